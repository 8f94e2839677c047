"""What a recipe leaves to the data: the network by the size, epochs and batch by the number, parts by the device."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from dojang.errors import ConfigError
from dojang.models.presets import PRESETS
from dojang.runs.recipe import Circumstances, Recipe, resolve

CIFAR = Circumstances(32, 32, 50_000, "cpu")
SPRINTS = [name for name in PRESETS if PRESETS[name].family == "sprint"]


def known(pictures: int = 50_000, device: str = "cpu", size: tuple[int, int] = (32, 32)) -> Circumstances:
    return Circumstances(*size, pictures, device)


def made(known: Circumstances, *layers: dict[str, Any]) -> Recipe:
    return resolve([{}, *layers], known)


@pytest.mark.parametrize(
    ("size", "name"),
    [
        ((28, 28), "sprint"),
        ((32, 32), "sprint"),
        ((64, 64), "sprint"),
        ((28, 64), "sprint"),
        ((27, 27), "cnn"),
        ((27, 64), "cnn"),
        ((28, 65), "cnn"),
        ((8, 8), "cnn"),
        ((128, 128), "cnn"),
    ],
)
def test_the_size_chooses_the_network(size: tuple[int, int], name: str) -> None:
    found = made(known(size=size))
    assert found.model.model == name
    assert found.train.optimizer == PRESETS[name].recipe["optimizer"]
    assert found.values() == made(known(size=size), {"model": name}).values()
    # said in words it is the same
    assert found == made(known(size=size), {"model": "auto"})


def test_until_the_data_is_known_the_choice_stays_open() -> None:
    assert resolve([]).model.model == "auto"
    assert resolve([{"model": "auto"}, {"epochs": 3}]).model.model == "auto"


def test_a_network_that_was_named_is_not_exchanged() -> None:
    for name in ("cnn", "mnist-cnn", "mlp"):
        found = made(CIFAR, {"model": name})
        assert found.model.model == name
        assert found.values() == resolve([{}, {"model": name}]).values()


def test_the_plan_of_sprint_for_a_large_set() -> None:
    found = made(CIFAR).train
    assert (found.epochs, found.batch_size, found.optimizer, found.lr) == (10, 1000, "muon", 0.24)
    assert (found.momentum, found.weight_decay, found.schedule, found.time) == (0.6, 0.0, "linear", None)
    assert made(CIFAR).train.progressive == 0.5
    data = made(CIFAR).augment
    assert (data.crop_padding, data.crop_fill) == (2, "reflect")
    assert made(CIFAR).task.tta == "auto" and made(CIFAR).task.label_smoothing == 0.2


@pytest.mark.parametrize("name", SPRINTS)
def test_few_pictures_are_seen_more_often_in_smaller_batches(name: str) -> None:
    epochs = PRESETS[name].recipe["epochs"]
    plans = {n: made(known(n), {"model": name}).train for n in (60_000, 12_500, 6_250, 1_000, 100, 1)}
    assert [plans[n].epochs for n in (60_000, 12_500)] == [epochs, epochs]
    assert plans[6_250].epochs == 2 * epochs
    assert [plans[n].epochs for n in (1_000, 100, 1)] == [60, 60, 60]
    assert [plans[n].batch_size for n in plans] == [1000, 1000, 781, 125, 32, 32]
    counts = sorted(plans)
    assert all(plans[a].epochs >= plans[b].epochs for a, b in pairwise(counts))
    # pictures seen in all never get fewer with a larger set
    assert all(a * plans[a].epochs <= b * plans[b].epochs for a, b in pairwise(counts))


def test_parts_are_for_the_caches_and_the_memory_of_a_cpu() -> None:
    parts = made(known(device="cpu")).train.micro_batch
    assert parts is not None and 1 < parts < 1000
    assert made(known(device="cuda")).train.micro_batch is None
    assert made(known(device="cuda")).train.batch_size == 2000


@pytest.mark.parametrize(
    "flags",
    [{"epochs": 3}, {"batch_size": 64}, {"micro_batch": 7}, {"lr": 0.1}, {"epochs": 1, "batch_size": 9}],
    ids=str,
)
@pytest.mark.parametrize("pictures", [50_000, 300])
def test_flags_win_over_the_plan(flags: dict[str, Any], pictures: int) -> None:
    plain, found = made(known(pictures)).values(), made(known(pictures), flags).values()
    assert {name: found[name] for name in flags} == flags
    assert {name for name in found if found[name] != plain[name]} <= set(flags)
    # so does a file, which lies below the flags
    assert made(known(pictures), flags, {}).values() == found


def test_a_time_given_is_the_end() -> None:
    found = made(CIFAR, {"time": 90.0}).train
    assert found.time == 90.0
    assert found.batch_size == 1000
    with pytest.raises(ConfigError, match="C210"):
        made(CIFAR, {"time": 90.0, "epochs": 4})


def test_another_optimizer_has_its_own_rates() -> None:
    found = made(CIFAR, {"optimizer": "sgd"}).train
    assert (found.lr, found.momentum, found.weight_decay) == (0.1, 0.9, 5e-4)
    assert (found.epochs, found.batch_size) == (10, 1000)
    assert made(CIFAR, {"optimizer": "muon"}).train.lr == 0.24


def test_a_network_of_ones_own_has_no_plan() -> None:
    found = made(CIFAR, {"model": "mynet.py:CNN"})
    assert found.values() == resolve([{}, {"model": "mynet.py:CNN"}]).values()
