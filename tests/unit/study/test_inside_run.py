"""A run looked into: its network is the one that training began with, to the last bit, and the one it ended with."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from dojang.errors import ConfigError
from dojang.models import weights
from dojang.runs import recipe, session, train
from dojang.study import inside as inside_module
from dojang.study import inside_picture
from dojang.study.inside import Inside, inside
from dojang.study.layers import Layer, look
from dojang.train import autoencoder

TINY: dict[str, Any] = {"epochs": 1, "batch_size": 20, "threads": 1, "val": 30, "lr": 0.01, "familiar": False}
MLP = TINY | {"model": "mlp", "hidden_dims": "6,5", "activation": "sigmoid"}
CASES: dict[str, dict[str, Any]] = {
    "mlp": MLP,
    "cnn": TINY | {"model": "mnist-cnn", "conv_dims": "3,4", "hidden_dims": "6", "batch_norm": True, "dropout": 0.5},
    "autoencoder": MLP | {"init": "autoencoder"},
    "sprint": TINY | {"model": "sprint", "conv_dims": "4,4", "optimizer": "sgd"},
    "balanced": MLP | {"class_weights": "balanced", "loss": "bce", "label_smoothing": 0.1, "seed": 3},
}


@pytest.fixture(scope="module", autouse=True)
def light() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(autoencoder, "STEPS", 3)
        patch.setattr("dojang.evaluate.curves.curves", lambda *tables: b"")
        patch.setattr("dojang.tasks.classify.pictures.confusion_matrix", lambda *matrix: b"")
        yield


def begin(data: Any, project: Path, own: nn.Module | None = None, /, **options: Any) -> Path:
    place = str(data) if isinstance(data, Path) else data
    return train.begin(place, [recipe.read_layer(options | {"project": str(project)}, "test")], model=own)


@pytest.mark.parametrize("case", CASES)
def test_the_network_is_the_one_that_training_began_and_ended_with(
    case: str, stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[dict[str, torch.Tensor]] = []
    plain = session.loop.fit

    def watched(task: Any, state: Any, *rest: Any) -> None:
        began.append({name: value.clone() for name, value in state.model.state_dict().items()})
        plain(task, state, *rest)

    monkeypatch.setattr(session.loop, "fit", watched)
    run = begin(stripes, tmp_path, **CASES[case])
    looked: list[dict[str, torch.Tensor]] = []

    def seen(model: nn.Module, loss: Any) -> tuple[Layer, ...]:
        looked.append({name: value.clone() for name, value in model.state_dict().items()})
        return look(model, loss)

    monkeypatch.setattr(inside_module, "look", seen)
    found = inside(run, pictures=25)
    last = weights.read(run / "weights/last.safetensors")[0]
    for there, here in ((began[0], looked[0]), (last, looked[1])):
        assert set(there) == set(here)
        assert all(torch.equal(there[name], here[name]) for name in there), case
    assert found.run == "train" and found.pictures == 25
    assert [one.name for one in found.before] == [one.name for one in found.after]
    # all layers of the network that have weights are there
    assert {one.name for one in found.before if one.kind == "weights"} >= {"fc1"}
    assert found.before[0].std != found.after[0].std or case == "sprint"


def test_the_pictures_are_those_of_training_and_the_loss_is_training_s(stripes: Path, tmp_path: Path) -> None:
    run = begin(stripes, tmp_path, **CASES["balanced"])
    rows = [row for row in csv.DictReader((run / "splits.csv").read_text().splitlines()) if row["split"] == "train"]
    assert len(rows) == 60
    whole = inside(run)
    assert whole.pictures == 60
    # the mean of what the first layer gives, by hand: pixels over 255, normalised, times the weights
    tensors, card, _ = weights.read(run / "weights/last.safetensors")
    pixels = np.fromfile(stripes / "train-images-idx3-ubyte", np.uint8)[16:].reshape(-1, 100) / 255
    chosen = pixels[[int(row["path"].partition("#")[2]) for row in rows]]
    p = card.preprocess
    chosen = (chosen - p["mean"][0]) / p["std"][0]
    given = chosen @ tensors["fc1.weight"].double().numpy().T + tensors["fc1.bias"].double().numpy()
    assert whole.after[0].mean == pytest.approx(given.mean(), rel=1e-4, abs=1e-6)
    assert whole.after[0].std == pytest.approx(given.std(), rel=1e-4)


def test_rows_values_and_falls(stripes: Path, tmp_path: Path) -> None:
    found = inside(begin(stripes, tmp_path, **MLP))
    rows = list(csv.DictReader(found.csv().splitlines()))
    assert [(row["when"], row["layer"]) for row in rows[:3]] == [
        ("before", "fc1"), ("before", "sigmoid1"), ("before", "fc2")]  # fmt: skip
    assert len(rows) == 10 and rows[0]["dead"] == "" and rows[1]["weight_gradient"] == ""
    values = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert float(rows[0]["std"]) == pytest.approx(values["before"][0]["std"], rel=1e-5)
    grads = [one["weight_gradient"] for one in values["after"] if one["kind"] == "weights"]
    assert values["gradient_fall_after"] == pytest.approx(grads[-1] / grads[0])


def layer(name: str, kind: str = "weights", **more: Any) -> Layer:
    values = np.linspace(-1, 1, 50, dtype=np.float32)
    return Layer(name, kind, "Linear", 3, 0.0, 1.0, 1.0, **({"values": values} | more))


def test_falls_that_are_not_known_or_have_no_end() -> None:
    grads = [layer(str(i), weight_gradient=value) for i, value in enumerate((0.0, 1.0))]
    found = Inside("a", 2, tuple(grads), (layer("x", weight_gradient=math.nan),))
    assert found.fall("before") == math.inf and found.fall("after") is None
    assert found.as_dict()["gradient_fall_before"] is None
    assert Inside("a", 2).fall("before") is None and Inside("a", 2).csv().count("\n") == 1


# what is refused


def test_a_run_without_weights_or_on_other_pictures(stripes: Path, tmp_path: Path) -> None:
    run = begin(stripes, tmp_path / "runs", **MLP)
    with pytest.raises(ConfigError) as caught:
        inside(tmp_path)
    assert caught.value.code == "C215"
    other = tmp_path / "other"
    other.mkdir()
    for path in stripes.iterdir():
        data = bytearray(path.read_bytes())
        if "train-images" in path.name:
            data[16:] = bytes(255 - value for value in data[16:])
        (other / path.name).write_bytes(bytes(data))
    with pytest.raises(ConfigError, match="is another picture") as caught:
        inside(run, data=str(other))
    assert caught.value.code == "C218" and "#" in caught.value.what
    assert caught.value.fix == "bring the data back; or inside(run, data=PLACE), where it is elsewhere now."
    (run / "weights/last.safetensors").unlink()
    with pytest.raises(ConfigError, match="C216"):
        (run / "weights/best.safetensors").unlink()
        inside(run)


def test_several_seeds_are_looked_into_one_by_one(stripes: Path, tmp_path: Path) -> None:
    run = begin(stripes, tmp_path, **MLP, seeds=2)
    with pytest.raises(ConfigError, match="name one of them, such as") as caught:
        inside(run)
    assert caught.value.code == "C216"
    assert inside(run / "seed-1").run == "seed-1"


def test_pairs_and_modules_given_in_python(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    pairs = [(draw.integers(0, 256, (6, 6), np.uint8), "ab"[i % 2]) for i in range(40)]
    own = nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.ReLU(), nn.Linear(4, 2))
    before = {name: value.clone() for name, value in own.state_dict().items()}
    run = begin(pairs, tmp_path, own, **TINY | {"val": 10, "test": 10})
    with pytest.raises(ConfigError) as caught:
        inside(run, data=pairs)
    assert str(caught.value) == (
        f"ConfigError[C240]: {str(run)!r} trained a Sequential given in Python; its code is not in the folder.\n"
        f"  Fix: inside({str(run)!r}, model=Sequential())"
    )
    own.load_state_dict(before)
    with pytest.raises(ConfigError, match="trained on pairs given in Python") as caught:
        inside(run, model=own)
    assert caught.value.code == "C218" and caught.value.fix == "inside(run, data=pairs)"
    found = inside(run, data=pairs, model=own)
    assert [one.name for one in found.before] == ["1", "2", "3"]
    assert found.before[0].weight_std == pytest.approx(float(before["1.weight"].std(unbiased=False)), rel=1e-5)
    assert all(torch.equal(own.state_dict()[name], value) for name, value in before.items())


# pictures


def size(picture: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(picture)).size


def test_pictures_of_one_and_of_several(stripes: Path, tmp_path: Path) -> None:
    found = inside(begin(stripes, tmp_path, **MLP))
    picture = found.picture()
    assert size(picture)[0] == 1320 and picture == found.picture()
    both = inside_picture.compared({"한글 $x$": found, "<b>": Inside("none", 2), "c\nd": found})
    assert size(both)[0] == 1320 and size(both)[1] > 700


@pytest.mark.parametrize(
    "layers",
    [
        (),
        (layer("only"),),
        tuple(layer(f"a{i}", "activation", dead=1.0, values=np.zeros(0, np.float32)) for i in range(40)),
        (layer("a" * 90 + "\x1b[31m", "activation", saturated=0.5), layer("b", weight_gradient=math.inf)),
        (Layer("n", "activation", "ReLU", 1, math.nan, math.nan, 0.0, values=np.full(3, np.nan, np.float32)),),
    ],
)
def test_pictures_of_odd_networks(layers: tuple[Layer, ...]) -> None:
    assert size(Inside("odd", 2, layers).picture())[0] == 1320
    assert size(inside_picture.compared({"odd": Inside("odd", 2, (), layers)}))[0] == 1320
