"""The ready-made studies that look inside: every field is an option, every network can be built, all is explained."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch.nn.functional import cross_entropy

import dojang
from dojang.data.named import NAMES
from dojang.models.build import build, shaped
from dojang.models.options import ModelOptions
from dojang.recipe import options_of
from dojang.runs import recipe as recipes
from dojang.study.layers import look
from dojang.train import autoencoder

READY = Path(dojang.__file__).parent / "study" / "ready"
OURS = ("activations", "initialisations", "norm-order", "shortcuts", "regularisation", "batch-norm")
ENTRIES = {"format", "title", "about", "data", "recipe", "variants", "grid", "seeds", "judge", "inside"}


def cells(study: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The recipes of a study, by the name of their variant."""
    grid = study.get("grid", {})
    made = []
    for name, changes in study.get("variants", {"": {}}).items():
        for values in itertools.product(*grid.values()):
            made.append((name, {**study["recipe"], **changes, **dict(zip(grid, values, strict=True))}))
    return made


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((READY / f"{name}.yaml").read_text("utf-8"))
    return found


@pytest.mark.parametrize("name", OURS)
def test_every_field_is_an_option_and_every_network_can_be_built(name: str) -> None:
    study = read(name)
    assert set(study) <= ENTRIES and study["format"] == 1 and study["data"] in NAMES
    assert study["title"] and len(study["about"]) > 300 and 2 <= study["seeds"] <= 5
    made = cells(study)
    assert 2 <= len(made) <= 20
    resolved, sizes = [], []
    for variant, values in made:
        where = f"{name}, {variant}"
        layer = recipes.read_layer(values, where)
        assert set(layer) == set(values)
        found = recipes.resolve([layer])
        resolved.append(found.values())
        side = found.data.imgsz or 28
        options = {option: getattr(found.model, option) for option in options_of(ModelOptions)}
        assert options.pop("model") and options.pop("pretrained") is None
        network = shaped(
            found.model.model,
            in_channels=1,
            classes=10,
            image_size=(side, side),
            options=options | {"pretrained": None},
        )
        sizes.append(sum(parameter.numel() for parameter in network.parameters()))
        if found.model.init == "autoencoder":
            assert len(autoencoder.layers(network)) == 10
    # none is there twice
    assert len({repr(sorted(one.items())) for one in resolved}) == len(made)
    assert max(sizes) < 1_000_000


def test_what_they_compare() -> None:
    assert {values["activation"] for _, values in cells(read("activations"))} >= {
        "sigmoid", "tanh", "relu", "leaky-relu", "elu", "maxout"}  # fmt: skip
    starts = {(values["init"], values["batch_norm"]) for _, values in cells(read("initialisations"))}
    assert starts == set(itertools.product(("uniform", "normal", "xavier", "he", "autoencoder"), (False, True)))
    orders = [(values["model"], values["order"]) for _, values in cells(read("norm-order"))]
    assert [model for model, _ in orders] == ["cnn"] * 4 + ["resnet20"] * 2 and len(set(orders)) == 6
    shortcuts = {(values["model"], values["shortcut"]) for _, values in cells(read("shortcuts"))}
    assert {(f"resnet{n}", kind) for n in (20, 56) for kind in ("none", "simple")} <= shortcuts
    corners = {(v["batch_norm"], v["init"], v["lr"]) for _, v in cells(read("batch-norm"))}
    assert len(corners) == 18 and {init for _, init, _ in corners} == {"normal", "xavier", "he"}
    changed = {name for _, values in cells(read("regularisation")) for name in values}
    assert changed >= {"l1", "weight_decay", "dropout", "conv_dropout", "batch_norm", "crop_padding"}


def test_gradients_change_with_every_layer_of_a_plain_network_and_hardly_with_shortcuts() -> None:
    """SCOPE T4, M9: by layer, before training. In a network without shortcuts batch normalisation lets gradients grow
    by a factor a layer on their way back (Yang et al., "A Mean Field Theory of Batch Normalization", ICLR 2019), so
    what is moderate with 20 layers is thousands with 56; with shortcuts depth changes little."""
    draw = torch.Generator().manual_seed(0)
    pictures, labels = torch.randn(64, 1, 14, 14, generator=draw), torch.arange(64) % 10

    def first_over_last(name: str, shortcut: str) -> float:
        network = build(name, in_channels=1, classes=10, image_size=(14, 14), seed=0, options={"shortcut": shortcut})
        found = look(network.train(), lambda model: cross_entropy(model(pictures), labels))
        gradients = [one.gradient for one in found if one.type == "Conv2d" and one.gradient]
        return gradients[0] / gradients[-1]

    plain, residual = ([first_over_last(f"resnet{n}", kind) for n in (20, 56)] for kind in ("none", "simple"))
    assert plain[0] > 3 * residual[0]
    # 36 more layers: as many factors more, or none
    assert plain[1] > 50 * plain[0] and residual[1] < 5 * residual[0]
