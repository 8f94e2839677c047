"""A run with --permute-pixels: every road to the network has the pixels in the one order, whoever asks it and when."""

from __future__ import annotations

import copy
import csv
import dataclasses
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor, nn

import dojang
from dojang.cli.main import main
from dojang.data.permutation import order
from dojang.data.preprocess import Preprocess
from dojang.doctor import suspects
from dojang.errors import ConfigError
from dojang.evaluate.views import ask_again
from dojang.models import build, weights
from dojang.models.layers import Network
from dojang.predict.places import Everywhere
from dojang.predict.predictor import Predictor
from dojang.report import page, story
from dojang.report.card import card
from dojang.runs import recipe, train, validate
from dojang.runs.recipe import Circumstances, resolve
from dojang.study.inside import inside
from dojang.train.log import Silent

TINY: dict[str, Any] = {
    "model": "mlp", "hidden_dims": "12", "epochs": 2, "batch_size": 20, "val": 12, "threads": 1, "precision": "fp32",
    "lr": 0.01, "permute_pixels": True,
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Told(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def begin(data: Path, project: Path, reporter: Silent | None = None, **options: Any) -> Path:
    layer = recipe.read_layer(TINY | {"project": str(project)} | options, "test")
    return train.begin(str(data), [layer], reporter=reporter)


def pictures(data: Path) -> dict[str, np.ndarray]:
    """The pictures of the set by the paths that splits.csv gives them, uint8 (10, 10)."""
    manifest = train.open_data(str(data))
    found = {}
    for path in manifest.paths:
        pixels = manifest.source.read(path)
        assert isinstance(pixels, np.ndarray)
        found[path] = pixels.reshape(10, 10)
    return found


def as_shown(pixels: np.ndarray, preprocess: Preprocess) -> np.ndarray:
    """A gray picture as the network must be shown it: normalised, each number moved by hand."""
    levels = pixels.reshape(-1).astype(np.float32)
    numbers = (levels - np.float32(255 * preprocess.mean[0])) / np.float32(255 * preprocess.std[0])
    made = np.zeros(100, np.float32)
    for place, pixel in enumerate(order(10, 10).tolist()):
        made[place] = numbers[pixel]
    return made.reshape(1, 10, 10)


@pytest.fixture(scope="module")
def made(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on pictures in that order; nothing is written into it by a test."""
    before = torch.get_num_threads()
    try:
        return begin(stripes, tmp_path_factory.mktemp("made"))
    finally:
        torch.set_num_threads(before)


def preprocess_of(run: Path) -> Preprocess:
    return Preprocess.from_dict(weights.card_of(run / "weights/best.safetensors").preprocess)


def predictions(run: Path) -> list[dict[str, str]]:
    with open(run / "predictions.csv", newline="") as file:
        return list(csv.DictReader(file))


# Every road


@pytest.mark.parametrize("model", [{}, {"model": "mnist-cnn", "conv_dims": "3,4", "hidden_dims": "6"}])
def test_no_road_shows_the_network_a_picture_in_another_order(
    stripes: Path, tmp_path: Path, model: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a network takes is looked at: in checks, training, validation, scores, answers, the look inside."""
    seen: list[np.ndarray] = []

    def look(module: nn.Module, given: tuple[Any, ...]) -> None:
        if isinstance(module, Network):
            seen.extend(given[0].detach().numpy().copy())

    def maps(self: Network, x: Tensor) -> Tensor:
        look(self, (x,))
        return in_part(self, x)

    # a network is asked as a whole, or for what is in front of its head
    in_part = Network.maps
    monkeypatch.setattr(Network, "maps", maps)
    handle = nn.modules.module.register_module_forward_pre_hook(look)
    counts = {}
    try:
        run = begin(stripes, tmp_path, **model)
        counts["training"] = len(seen)
        # as training did, from the weights' files
        validate.validate(run, split="test")
        counts["val"] = len(seen)
        validate.score(run, str(stripes), split="train", project=str(tmp_path / "other"))
        counts["other data"] = len(seen)
        natural = pictures(stripes)
        dojang.Model(str(run)).predict(np.stack(list(natural.values())[:3])[:, :, :, None])
        counts["predict"] = len(seen)
        inside(run)
        counts["inside"] = len(seen)
        suspects.features(validate.load(run), train.open_data(str(stripes)).keep(np.arange(4)))
        counts["scan --run"] = len(seen)
    finally:
        handle.remove()
    ways = list(counts.values())
    assert ways[0] > 0 and all(after > before for before, after in pairwise(ways)), counts
    spec = preprocess_of(run)
    allowed = {as_shown(one, spec).tobytes() for one in natural.values()}
    plain = dataclasses.replace(spec, permute_pixels=False)
    shown = {np.ascontiguousarray(one).tobytes() for one in seen}
    # and two pictures of noise, by which a network is looked at before its first step
    assert shown >= allowed and len(shown - allowed) == 2
    assert len(allowed) == len({one.tobytes() for one in natural.values()})
    # in their own places they would be others
    first = torch.from_numpy(next(iter(natural.values()))[None, :, :, None].copy())
    assert plain.normalise(first).numpy().tobytes() not in allowed


def test_a_picture_file_has_the_answer_that_the_run_wrote_down(stripes: Path, made: Path, tmp_path: Path) -> None:
    """Training's scores, predictions, `dojang predict` and the network by hand: one answer."""
    natural, spec = pictures(stripes), preprocess_of(made)
    tensors, about, _ = weights.read(made / "weights/best.safetensors")
    net = build.rebuild(about.architecture)
    weights.restore(net.eval(), tensors)
    rows = predictions(made)
    assert len(rows) == 12 + 30
    for row in rows[::7]:
        with torch.no_grad():
            scores: Tensor = net(torch.from_numpy(as_shown(natural[row["path"]], spec))[None]) / about.temperature
        by_hand = scores.softmax(dim=1)[0].numpy()
        file = tmp_path / "one.png"
        Image.fromarray(natural[row["path"]]).save(file)
        (answer,) = dojang.Model(str(made)).predict(file)
        assert answer.label == row["predicted"] == answer.labels[int(by_hand.argmax())]
        assert answer.probability == pytest.approx(float(row["probability"]), abs=2e-6)
        assert by_hand == pytest.approx(np.array(answer.probabilities), abs=1e-6)


def test_a_dense_network_cannot_tell() -> None:
    """Exactly: with the columns of its first layer in the same order every answer is the same, views of it, too.

    Equal up to the order in which a computer adds: 300 products of numbers near 1 in float32.
    """
    spec = Preprocess("RGB", 10, 10, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.2))
    net = build.build("mlp", in_channels=3, classes=5, image_size=(10, 10), seed=0)
    moved = copy.deepcopy(net)
    places = order(10, 10)
    # flattened channels first: each channel's block of columns by itself
    columns = np.concatenate([channel * 100 + places for channel in range(3)])
    with torch.no_grad():
        for one, other in zip(net.modules(), moved.modules(), strict=True):
            if isinstance(one, nn.Linear) and isinstance(other, nn.Linear) and one.in_features == 300:
                other.weight.copy_(one.weight[:, columns])
    labels = tuple("abcde")
    plain = Predictor(net, labels, spec)
    permuted = Predictor(moved, labels, dataclasses.replace(spec, permute_pixels=True))
    photos = np.random.default_rng(0).integers(0, 256, (9, 10, 10, 3), np.uint8)
    np.testing.assert_allclose(permuted.logits(photos).numpy(), plain.logits(photos).numpy(), atol=2e-5)
    for kind in ("mirror", "mirror+shift"):
        np.testing.assert_allclose(ask_again(permuted, photos, kind), ask_again(plain, photos, kind), atol=1e-5)
    (seen, _), (also, _) = plain.look(photos), permuted.look(photos)
    assert seen is not None and also is not None
    np.testing.assert_allclose(also.numpy(), seen.numpy(), atol=2e-5)
    # and without it the answers are others
    assert not np.allclose(Predictor(net, labels, permuted.preprocess).logits(photos), plain.logits(photos), atol=1e-2)


# What is said and written


def test_it_is_in_args_in_the_card_and_in_the_plan(stripes: Path, tmp_path: Path) -> None:
    told = Told()
    run = begin(stripes, tmp_path, told)
    assert yaml.safe_load((run / "args.yaml").read_text())["permute_pixels"] is True
    assert preprocess_of(run).permute_pixels
    assert any(", 10x10x1, pixels in one fixed order; " in line for line in told.said)
    plain = Told()
    other = begin(stripes, tmp_path, plain, permute_pixels=False, epochs=1)
    assert "permute_pixels" not in weights.card_of(other / "weights/best.safetensors").preprocess
    assert not [line for line in plain.said if "fixed order" in line]
    # a run of an older dojang, which had no such option
    text = (other / "args.yaml").read_text()
    (other / "args.yaml").write_text(text.replace("permute_pixels: false\n", ""))
    assert text.count("permute_pixels") == 1 and not recipe.load(other / "args.yaml")[0].data.permute_pixels
    with pytest.raises(ConfigError, match=r"C219.*permute_pixels cannot be changed in a run that has begun"):
        train.resume(other, {"permute_pixels": True})


def test_summary_report_and_card_say_it(made: Path, stripes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", str(made)]) == 0
    out = capsys.readouterr().out
    assert "trained with --permute-pixels: what a number sees is a square of that order," in out
    assert max(map(len, out.splitlines())) <= 80
    assert main(["summary", str(made), "--json"]) == 0
    json.loads(capsys.readouterr().out)
    assert main(["summary", "mlp"]) == 0 and "permute" not in capsys.readouterr().out
    found = story.read(made)
    assert "are put in one fixed order first (--permute-pixels)" in page.make(found, "en", threads=0).html
    assert "정해진 순서 하나로 섞었습니다(--permute-pixels)" in page.make(found, "ko", threads=0).html
    assert "are put in one fixed order first (`--permute-pixels`)" in card(found)


def test_what_other_weights_know_is_said(made: Path, stripes: Path, tmp_path: Path) -> None:
    more = {"pretrained": str(made), "hidden_dims": None, "epochs": 1, "head_epochs": 0}
    for given, words in ((False, "in one fixed order, these are not (--permute-pixels"), (True, None)):
        told = Told()
        begin(stripes, tmp_path, told, permute_pixels=given, **more)
        said = [line for line in told.said if line.startswith("pretrained: the weights know pixels")]
        assert [words in line for line in said] == ([True] if words else [])


# What it cannot be combined with


@pytest.mark.parametrize(
    ("layer", "context"),
    [
        ({"model": "mnist-cnn", "progressive": 0.5}, ""),
        ({"model": "sprint"}, "sprint does so unless told otherwise."),
        ({}, "sprint does so unless told otherwise."),
    ],
)
def test_c204_smaller_pictures(layer: dict[str, Any], context: str) -> None:
    known = Circumstances(28, 28, 60_000, "cpu")
    with pytest.raises(ConfigError) as caught:
        resolve([layer | {"permute_pixels": True}], known)
    assert caught.value.code == "C204" and caught.value.context == context
    assert caught.value.what == (
        "--permute-pixels puts pixels in the order of one size, and --progressive 0.5 shows smaller pictures at first."
    )
    assert caught.value.fix == "--progressive 0"
    assert resolve([layer | {"permute_pixels": True, "progressive": 0.0}], known).data.permute_pixels


def test_c248_places_of_a_larger_picture() -> None:
    net = build.build("mnist-cnn", in_channels=1, classes=2, image_size=(28, 28), seed=0)
    predictor = Predictor(net, ("a", "b"), Preprocess("L", 28, 28, mean=(0.0,), std=(1.0,), permute_pixels=True))
    with pytest.raises(ConfigError) as caught:
        Everywhere(predictor)
    assert caught.value.code == "C248"
    assert caught.value.what == (
        "this network was trained with --permute-pixels: it knows pixels in one fixed order of 28 x 28, and a larger "
        "picture has no such places."
    )
    assert caught.value.fix == "a network that was trained without --permute-pixels."


def test_a_study_refuses_it_before_its_first_run() -> None:
    from dojang.study.plan import Plan

    with pytest.raises(ConfigError, match=r"C204.*cell 'permute_pixels on': --permute-pixels puts pixels"):
        Plan(data="digits", recipe={"model": "sprint"}, grid={"permute_pixels": (False, True)})
