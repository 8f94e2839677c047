"""The recipe of a run: its layers, the constraints that are declared, and args.yaml both ways."""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dojang import files, recipe
from dojang.errors import ConfigError
from dojang.models.presets import PRESETS
from dojang.runs.recipe import FACTS, OPTIONS, ROOMS, dump, load, read_file, read_layer, resolve
from dojang.train.options import OPTIMIZER_DEFAULTS, TrainOptions

Facts = dict[str, Any]
FIRST: Facts = {"format": 1, "task": "classify", "data": "/photos", "data_sha256": "ab", "segments": []}
TUNED = ("lr", "momentum", "weight_decay")


def tuned(*layers: dict[str, Any]) -> tuple[float | None, ...]:
    values = resolve(layers).values()
    return tuple(values[name] for name in TUNED)


# Layers


def test_defaults_then_family_then_file_then_flags() -> None:
    """One option that each layer sets: each wins over those below it."""
    layers: list[dict[str, Any]] = [{}, {"model": "mnist-cnn"}, {"batch_size": 7}, {"batch_size": 8}]
    expected = [128, 256, 7, 8]
    preset = PRESETS["mnist-cnn"].recipe["batch_size"]
    assert (OPTIONS["batch_size"].default, preset) == tuple(expected[:2])
    assert [resolve(layers[: n + 1]).train.batch_size for n in range(4)] == expected
    # what the layers above do not name is the family's
    assert resolve(layers).train.epochs == PRESETS["mnist-cnn"].recipe["epochs"] != OPTIONS["epochs"].default


def test_the_family_is_that_of_the_highest_layer() -> None:
    found = resolve([{"model": "cifar-vgg"}, {"model": "mnist-cnn"}])
    assert found.model.model == "mnist-cnn"
    # nothing of the other one is left
    assert found.values() == resolve([{"model": "mnist-cnn"}]).values()
    assert found.augment.flip is None
    assert resolve([{"model": "cifar-vgg"}]).augment.flip == "horizontal"


def test_a_network_of_ones_own_has_no_family() -> None:
    found = resolve([{"model": "mynet.py:CNN"}]).values()
    lr, momentum, weight_decay = OPTIMIZER_DEFAULTS[OPTIONS["optimizer"].default]
    defaults = {name: entry.default for name, entry in OPTIONS.items()}
    assert found == defaults | {
        "model": "mynet.py:CNN",
        "lr": lr,
        "momentum": momentum,
        "weight_decay": weight_decay,
    }


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_family_has_a_recipe_that_holds(name: str) -> None:
    found = resolve([{"model": name}]).values()
    for option, value in PRESETS[name].recipe.items():
        assert found[option] == value


def test_nothing_is_changed_in_the_layers() -> None:
    layers = [{"lr": 0.3}, {"optimizer": "sgd"}]
    resolve(layers)
    assert layers == [{"lr": 0.3}, {"optimizer": "sgd"}]


@pytest.mark.parametrize("optimizer", list(OPTIMIZER_DEFAULTS))
def test_another_optimizer_resets_what_was_tuned_for_the_first(optimizer: str) -> None:
    table = OPTIMIZER_DEFAULTS[optimizer]
    other = "sgd" if optimizer == "adamw" else "adamw"
    for below in ({"model": "mnist-mlp"}, {"lr": 0.3, "momentum": 0.1, "weight_decay": 0.2}, {"wd": 0.2}):
        layer = read_layer({"optimizer": other} | below, "test")
        assert tuned(layer, {"optimizer": optimizer}) == table
        # naming the one that is used already changes nothing
        assert tuned(layer, {"optimizer": other}) == tuned(layer)
    # but not what comes with it, or later
    assert tuned({"lr": 0.3}, {"optimizer": optimizer, "lr": 0.7}) == (0.7, *table[1:])
    assert tuned({"optimizer": optimizer}, {"momentum": 0.25}) == (table[0], 0.25, table[2])
    assert tuned({"optimizer": optimizer, "weight_decay": 0.0}) == (*table[:2], 0.0)


def test_the_table_of_optimizers_is_that_of_the_option() -> None:
    assert OPTIONS["optimizer"].facts["choices"] == tuple(OPTIMIZER_DEFAULTS)
    for row in OPTIMIZER_DEFAULTS.values():
        for name, value in zip(TUNED, row, strict=True):
            assert OPTIONS[name].read(value, "table") == value


def test_epochs_and_time_end_training_in_turn() -> None:
    assert resolve([{"time": 90.0}]).train.time == 90.0
    # the later layer decides which of them ends the run
    assert resolve([{"epochs": 5}, {"time": 90.0}]).train.time == 90.0
    later = resolve([{"time": 90.0}, {"epochs": 5}]).train
    assert (later.time, later.epochs) == (None, 5)
    assert resolve([{"epochs": 5, "time": None}]).train.time is None


def test_c210_for_both_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve([{"epochs": 5, "time": 90.0}])
    assert str(caught.value) == (
        "ConfigError[C210]: epochs and time are both given; training ends by one of them.\n  Fix: --time 90s"
    )


def test_replace_finds_the_room() -> None:
    before = resolve([])
    after = before.replace(conv_dims=(3, 4), val="none", lr=0.5, loss="bce", name="x")
    assert (after.model.conv_dims, after.data.val, after.train.lr, after.task.loss, after.run.name) == (
        (3, 4),
        "none",
        0.5,
        "bce",
        "x",
    )
    different = {name for name, value in after.values().items() if before.values()[name] != value}
    assert different == {"conv_dims", "val", "lr", "loss", "name"}


# Declarations


def test_names_and_aliases_are_unique_over_all_rooms() -> None:
    names = [*OPTIONS, *FACTS, *(alias for entry in OPTIONS.values() for alias in entry.facts["aliases"])]
    assert [name for name, times in Counter(names).items() if times > 1] == []
    # also as flags, and as the opposites of switches
    flags = [name.replace("_", "-") for name in names]
    flags += ["no-" + name.replace("_", "-") for name, entry in OPTIONS.items() if entry.is_switch]
    assert len(set(flags)) == len(flags)
    assert sum(len(recipe.options_of(room)) for room in ROOMS) == len(OPTIONS)


@pytest.mark.parametrize("name", list(OPTIONS))
def test_every_option_says_what_it_is(name: str) -> None:
    entry = OPTIONS[name]
    text = entry.facts["help"]
    assert len(text) > 3
    assert not text.endswith(".")
    assert "\n" not in text
    assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
    # a default must stand the check of its own option
    assert entry.default is None or entry.read(entry.default, "default") == entry.default
    assert (entry.default is None) <= (type(None) in entry.kinds)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("epochs", "epochs"),
        ("batch-size", "batch_size"),
        ("batch", "batch_size"),
        ("lr", "lr"),
        ("lr0", "lr"),
        ("imgsz", "imgsz"),
        ("img-size", "imgsz"),
        ("optimizer", "optimizer"),
        ("weight-decay", "weight_decay"),
        ("patience", "patience"),
        ("seed", "seed"),
        ("device", "device"),
        ("workers", "workers"),
        ("project", "project"),
        ("name", "name"),
        ("exist-ok", "exist_ok"),
        ("model", "model"),
    ],
)
def test_what_people_type_is_known(typed: str, name: str) -> None:
    assert recipe.canonical("--" + typed, OPTIONS, "the command") == name


# Every constraint that is declared, and a value just beyond it


def beyond(entry: recipe.Option) -> list[Any]:
    """Values that a declaration forbids, each as near to what it allows as can be."""
    facts = entry.facts
    found: list[Any] = [object(), {}, b"1"]
    whole = int in entry.kinds or any("int" in str(kind) for kind in entry.kinds)
    if facts["low"] is not None:
        found.append(int(facts["low"]) - 1 if whole else math.nextafter(facts["low"], -math.inf))
    if facts["high"] is not None:
        found.append(int(facts["high"]) + 1 if whole else math.nextafter(facts["high"], math.inf))
    if facts["above"] is not None:
        found.append(facts["above"])
    if facts["choices"]:
        found += [facts["choices"][0] + "x", facts["choices"][-1].upper(), ""]
    if facts["unit"] == "duration":
        found += [90, "90", "90 parsecs", "-1s", "0s"]
    if entry.is_switch:
        found += ["perhaps", 2]
    if int in entry.kinds:
        found += [1.5, "1.5", True, math.nan]
    if float in entry.kinds:
        found += ["fast", True, math.inf, math.nan]
    if str not in entry.kinds:
        found.append("nonsense")
    if type(None) not in entry.kinds:
        found.append(None)
    if any("tuple" in str(kind) for kind in entry.kinds):
        found += [[1, facts["low"] - 1], "1,x", [1.5]]
    return [value for value in found if not (value == "" and type(None) in entry.kinds)]


def least(entry: recipe.Option) -> list[Any]:
    """Values just inside."""
    facts = entry.facts
    found = [facts[bound] for bound in ("low", "high") if facts[bound] is not None] + list(facts["choices"])
    if facts["above"] is not None:
        found.append(math.nextafter(facts["above"], math.inf))
    return found


CASES = [(name, value) for name, entry in OPTIONS.items() for value in beyond(entry)]


@pytest.mark.parametrize(("name", "value"), CASES, ids=[f"{name}-{type(value).__name__}" for name, value in CASES])
def test_c202_just_beyond_every_constraint(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        read_layer({name: value}, "the command")
    assert str(caught.value).startswith(
        f"ConfigError[C202]: the command: {name} cannot be {value!r}; {OPTIONS[name].expects()}."
    )


@pytest.mark.parametrize("name", list(OPTIONS))
def test_just_inside_every_constraint(name: str) -> None:
    for value in least(OPTIONS[name]):
        assert read_layer({name: value}, "test")[name] in (value, (value,))


def test_the_constraints_are_those_of_the_design() -> None:
    """What would hurt if a bound was lost."""
    bounded = {"epochs", "batch_size", "imgsz", "patience", "seed", "workers", "threads", "momentum", "val", "test"}
    assert {name for name in bounded if OPTIONS[name].facts["low"] is None} == set()
    assert {name for name in ("lr", "clip") if OPTIONS[name].facts["above"] != 0} == set()
    assert OPTIONS["time"].facts["unit"] == "duration"


# args.yaml


def valid(entry: recipe.Option) -> st.SearchStrategy[Any]:
    """Any value that an option may have."""
    facts = entry.facts
    low, high = facts["low"], facts["high"]
    kinds: list[st.SearchStrategy[Any]] = []
    for kind in entry.kinds:
        if kind is bool:
            kinds.append(st.booleans())
        elif kind is int:
            kinds.append(st.integers(int(low), int(high) if high is not None else 2**40))
        elif kind is float and facts["unit"] == "duration":
            kinds.append(st.floats(1e-9, 1e9))
        elif kind is float:
            low_or_above = low if low is not None else facts["above"]
            kinds.append(st.floats(low_or_above, high, exclude_min=low is None, allow_infinity=False))
        elif kind is str:
            kinds.append(st.sampled_from(facts["choices"]) if facts["choices"] else st.text())
        elif kind is type(None):
            kinds.append(st.none())
        else:
            kinds.append(st.lists(st.integers(int(low), 2**20), max_size=4).map(tuple))
    return st.one_of(kinds)


@settings(max_examples=30)
@given(st.fixed_dictionaries({}, optional={name: valid(entry) for name, entry in OPTIONS.items()}))
def test_args_yaml_there_and_back(tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any]) -> None:
    made = resolve([]).replace(**changes)
    # not above the folders of other tests, which would lie in a run folder then
    path = tmp_path_factory.getbasetemp() / "there-and-back" / "args.yaml"
    facts = FIRST | {"segments": [{"step": 3, "seconds": 1.5, "changed": {"lr": 0.1}}]}
    files.write_text(path, dump(made, facts))
    assert load(path) == (made, facts)


@pytest.mark.parametrize("seconds", [90.0, 0.1, 1 / 3, 1234567.0, 1234567.891, 1e-7, 1e22])
def test_time_keeps_every_digit(tmp_path: Path, seconds: float) -> None:
    made = resolve([{"time": seconds}])
    text = dump(made, FIRST)
    files.write_text(tmp_path / "args.yaml", text)
    assert load(tmp_path / "args.yaml")[0].train.time == seconds
    assert load(tmp_path / "args.yaml")[0] == made
    if seconds == 90.0:
        assert "\ntime: 90s\n" in text


def test_args_yaml_has_the_facts_and_every_option_a_line(tmp_path: Path) -> None:
    text = dump(resolve([{"conv_dims": (32, 64)}]), FIRST)
    assert [line.split(":")[0] for line in text.splitlines()] == [*FIRST, *OPTIONS]
    assert "conv_dims: [32, 64]" in text.splitlines()


def test_args_yaml_is_a_recipe_file(tmp_path: Path) -> None:
    """All but its facts; a flag still wins, and neither time nor an optimizer gets in the way."""
    made = resolve([{"model": "mnist-mlp", "time": 60.0}])
    path = tmp_path / "args.yaml"
    files.write_text(path, dump(made, FIRST))
    layer = read_file(path)
    assert set(layer) == set(OPTIONS)
    assert resolve([layer, {}]).values() == made.values()
    assert resolve([layer, {"lr": 0.5}]).values() == made.values() | {"lr": 0.5}
    assert resolve([layer, {"time": 30.0}]).train.time == 30.0
    assert resolve([layer, {"epochs": 3}]).train.time is None


def test_an_older_args_yaml_gets_the_defaults_of_what_is_new(tmp_path: Path) -> None:
    made = resolve([{"lr": 0.5}])
    lines = dump(made, FIRST).splitlines(keepends=True)
    files.write_text(tmp_path / "args.yaml", "".join(line for line in lines if not line.startswith("ema")))
    assert load(tmp_path / "args.yaml")[0] == made
    assert made.train.ema == TrainOptions().ema


@pytest.mark.parametrize("text", ["format: 2\n", "format: 2\nwhat: is this\n"])
def test_c213_for_a_newer_format(tmp_path: Path, text: str) -> None:
    path = tmp_path / "args.yaml"
    for whole in (text, dump(resolve([]), FIRST | {"format": 2})):
        files.write_text(path, whole)
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert str(caught.value) == f"ConfigError[C213]: {str(path)!r} was written by a newer dojang (format 2)."


@pytest.mark.parametrize(
    "text", ["", "lr: 0.1\n", "format: 1\n", "- 1\n", "word", "format: x\n", "format:\n", "a: [", "a: 2024-99-99", "\0"]
)
def test_c214_for_what_is_no_args_yaml(tmp_path: Path, text: str) -> None:
    path = tmp_path / "args.yaml"
    files.write_text(path, text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == (
        f"ConfigError[C214]: {str(path)!r} is not the args.yaml of a run.\n  Fix: give a run folder."
    )


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "no.yaml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError) as caught:
            read_file(path)
        assert str(caught.value) == f"ConfigError[C221]: cannot read {str(path)!r}: {reason}."


def test_an_args_yaml_that_somebody_edited(tmp_path: Path) -> None:
    path = tmp_path / "args.yaml"
    files.write_text(path, dump(resolve([]), FIRST).replace("momentum:", "momentun:"))
    with pytest.raises(ConfigError) as caught:
        load(path)
    line = 1 + [*FIRST, *OPTIONS].index("momentum")
    assert str(caught.value) == (
        f"ConfigError[C201]: unknown option 'momentun' in {path} line {line}. Did you mean 'momentum'?"
    )
