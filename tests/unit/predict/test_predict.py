"""From one weights file to answers: S2 (the same pixels as in training), S3 (alone as in company), arrays."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from dojang.data.manifest import Manifest
from dojang.data.options import DataOptions
from dojang.data.pairs import from_pairs
from dojang.data.prepare import prepare
from dojang.data.preprocess import Preprocess
from dojang.errors import ConfigError, DataError, SecurityError
from dojang.models import build, weights
from dojang.predict.answer import Answer
from dojang.predict.arrays import pictures_of
from dojang.predict.predictor import Predictor


def levels(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def predictor_of(preprocess: Preprocess, classes: int = 3, name: str = "cnn", **more: Any) -> Predictor:
    size = preprocess.height, preprocess.width
    options = {"conv_dims": (4, 6), "batch_norm": True} if name == "cnn" else None
    model = build.build(
        name, in_channels=preprocess.channels, classes=classes, image_size=size, seed=0, options=options
    )
    # statistics of norms as training leaves them: not 0 and 1
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.2, 0.2, generator=torch.Generator().manual_seed(1))
            nn.init.uniform_(layer.running_var, 0.5, 2.0, generator=torch.Generator().manual_seed(2))
    return Predictor(model, [f"class {i}" for i in range(classes)], preprocess, **more)


GRAY = Preprocess("L", 10, 10, mean=(0.3,), std=(0.2,))
COLOUR = Preprocess("RGB", 16, 12, resize=256 / 224, mean=(0.3, 0.4, 0.5), std=(0.2, 0.25, 0.3))


def save(predictor: Predictor, path: Path, *, architecture: bool = True) -> Path:
    card = weights.Card(
        architecture=build.architecture(predictor.model) if architecture else None,
        labels=predictor.labels,
        preprocess=predictor.preprocess.as_dict(),
        temperature=predictor.temperature,
    )
    path.write_bytes(weights.dump(predictor.model.state_dict(), card))
    return path


# One weights file is all that is needed


@pytest.mark.parametrize("preprocess", [GRAY, COLOUR], ids=["gray", "colour"])
def test_a_weights_file_brings_everything(tmp_path: Path, preprocess: Preprocess) -> None:
    before = predictor_of(preprocess, temperature=1.7)
    after = Predictor.load(save(before, tmp_path / "w.safetensors"))
    assert after.preprocess == preprocess
    assert after.labels == before.labels == ("class 0", "class 1", "class 2")
    assert after.temperature == 1.7
    assert not after.model.training
    pixels = levels((9, preprocess.height, preprocess.width, preprocess.channels))
    assert (after.probabilities(pixels) == before.probabilities(pixels)).all()


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(100, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.flatten(1))


def test_weights_of_a_model_of_ones_own_need_the_object(tmp_path: Path) -> None:
    before = Predictor(Own(), "abc", GRAY)
    path = save(before, tmp_path / "w.safetensors")
    with pytest.raises(
        ConfigError, match=r"C240\]: '.*w.safetensors' holds the weights of a model of your own"
    ) as caught:
        Predictor.load(path)
    assert "--model mynet.py:CNN" in caught.value.fix
    after = Predictor.load(path, model=Own())
    pixels = levels((2, 10, 10, 1))
    assert (after.probabilities(pixels) == before.probabilities(pixels)).all()


def test_pickles_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "w.pt")
    with pytest.raises(SecurityError, match=r"X501\]"):
        Predictor.load(tmp_path / "w.pt")


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_logits_are_divided_by_the_temperature(temperature: float) -> None:
    predictor = predictor_of(GRAY, temperature=temperature)
    pixels = levels((4, 10, 10, 1))
    with torch.no_grad():
        logits = predictor.model(GRAY.normalise(torch.from_numpy(pixels))).double().numpy()
    powers = np.exp(logits / temperature)
    expected = powers / powers.sum(1, keepdims=True)
    assert predictor.probabilities(pixels) == pytest.approx(expected, abs=1e-6)


# S2: a picture's bytes go the same way everywhere


def encoded(pixels: np.ndarray, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format, **options)
    return out.getvalue()


def files_of(colour: bool) -> list[tuple[bytes | np.ndarray, str]]:
    """Pictures of many sizes and formats, two classes."""
    found: list[tuple[bytes | np.ndarray, str]] = []
    for i, (h, w) in enumerate([(16, 12), (40, 30), (31, 77), (90, 20), (12, 16), (5, 4)]):
        gray = levels((h, w))
        rgb = levels((h, w, 3))
        rgba = levels((h, w, 4))
        label = "ab"[i % 2]
        found += [(encoded(gray, "PNG"), label), (encoded(gray, "JPEG"), label), (gray, label)]
        if colour:
            exif = Image.Exif()
            exif[0x0112] = 6
            found += [
                (encoded(rgb, "JPEG", quality=80, exif=exif), label),
                (encoded(rgb, "WEBP"), label),
                (encoded(rgba, "PNG"), label),
                (rgb, label),
            ]
    return found


@pytest.mark.parametrize("options", [{}, {"fit": "pad"}, {"interpolation": "bicubic"}, {"imgsz": 7}], ids=str)
@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("place", ["memory", "disk"])
def test_pixels_in_training_and_in_prediction_are_the_same_bits(
    options: dict[str, Any], colour: bool, place: str
) -> None:
    """S2: the store that training, val and evaluation read, against the bytes of the same file."""
    pictures = files_of(colour)
    manifest: Manifest = from_pairs(pictures)
    # scaled decoding is for training pixels alone, and never the same bits
    chosen = DataOptions(store=place, scaled_decoding=False, **options)
    made = prepare(manifest, chosen, seed=0, default_size=13, threads=2)
    preprocess = made.preprocess
    assert preprocess.mode == ("RGB" if colour else "L")
    assert len(made.store) == len(pictures)
    for row, (data, _) in enumerate(pictures):
        kept = made.store.picture(row)
        top, left = preprocess.centre(*kept.shape[:2])
        seen = kept[top : top + preprocess.height, left : left + preprocess.width]
        alone = preprocess.picture(data, "x")
        assert alone.shape == (preprocess.height, preprocess.width, preprocess.channels)
        assert np.array_equal(alone, seen)
        again = Preprocess.from_dict(json.loads(json.dumps(preprocess.as_dict())))
        assert np.array_equal(again.picture(data, "x"), seen)
        batch = [preprocess.normalise(torch.from_numpy(p.copy())[None]) for p in (alone, seen)]
        assert torch.equal(*batch)


# S3: alone as in company


@pytest.mark.parametrize("preprocess", [GRAY, COLOUR], ids=["gray", "colour"])
@pytest.mark.parametrize("name", ["cnn", "mlp"])
def test_an_answer_does_not_depend_on_its_batch(preprocess: Preprocess, name: str) -> None:
    predictor = predictor_of(preprocess, name=name)
    shape = preprocess.height, preprocess.width, preprocess.channels
    pixels = levels((65, *shape))
    # extremes beside it: what a norm in training mode would let through
    pixels[1::2] = levels((32, *shape), seed=1) // 128 * 255
    alone = np.concatenate([predictor.probabilities(one[None]) for one in pixels])
    order = np.random.default_rng(0).permutation(65)
    for size in (2, 7, 32, 65):
        parts = [predictor.probabilities(pixels[order[i : i + size]]) for i in range(0, 65, size)]
        gap = np.abs(np.concatenate(parts) - alone[order]).max()
        assert gap < 2e-5
    assert np.ptp(alone, axis=0).max() > 0.01


@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("threads", [0, 2])
def test_answers_come_in_order_whatever_the_batch(batch_size: int, threads: int) -> None:
    predictor = predictor_of(COLOUR)
    sources = [(f"p{i}", data) for i, (data, _) in enumerate(files_of(colour=True))]
    answers = list(predictor.predict(sources, batch_size=batch_size, threads=threads))
    assert [answer.source for answer in answers] == [name for name, _ in sources]
    for answer, (_, data) in zip(answers, sources, strict=True):
        expected = predictor.probabilities(COLOUR.picture(data, "x")[None])[0]
        assert np.abs(np.array(answer.probabilities) - expected).max() < 2e-5
        assert answer.label == predictor.labels[int(np.argmax(answer.probabilities))]


def test_a_stream_is_read_as_it_is_answered() -> None:
    predictor = predictor_of(GRAY)
    read = []

    def endless() -> Any:
        while True:
            read.append(1)
            yield "x", np.zeros((10, 10), np.uint8)

    answers = predictor.predict(endless(), batch_size=4)
    for _ in range(4):
        next(answers)
    assert len(read) == 4


def test_a_picture_that_cannot_be_read_is_named() -> None:
    predictor = predictor_of(GRAY)
    with pytest.raises(DataError, match=r"holiday\.jpg"):
        list(predictor.predict([("holiday.jpg", b"<html>not found</html>")]))


def test_no_pictures_give_no_answers() -> None:
    assert list(predictor_of(GRAY).predict([])) == []


def test_loading_and_predicting_leave_random_numbers_alone(tmp_path: Path) -> None:
    path = save(predictor_of(GRAY), tmp_path / "w.safetensors")
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    list(Predictor.load(path).predict([("x", np.zeros((10, 10), np.uint8))]))
    assert torch.equal(torch.rand(2), expected)


# The answer

ANSWER = Answer("a.jpg", "dog", (0.2, 0.5, 0.3), ("cat", "dog", "ox"))


def test_an_answer() -> None:
    assert ANSWER.probability == 0.5
    assert ANSWER.top(2) == [("dog", 0.5), ("ox", 0.3)]
    assert [label for label, _ in ANSWER.top()] == ["dog", "ox", "cat"]
    assert ANSWER.as_dict() == {
        "source": "a.jpg",
        "label": "dog",
        "probability": 0.5,
        "unknown": False,
        "familiarity": None,
        "probabilities": {"cat": 0.2, "dog": 0.5, "ox": 0.3},
    }
    assert json.loads(json.dumps(ANSWER.as_dict())) == ANSWER.as_dict()
    assert str(ANSWER) == "a.jpg: dog (0.500)"


def test_of_equal_probabilities_the_first_label_is_the_answer_everywhere() -> None:
    answer = predictor_of(GRAY).answer("x", np.array([0.4, 0.4, 0.2]))
    assert answer.label == answer.top(1)[0][0] == "class 0"


# Pictures given in code

HWC = levels((6, 8, 3))
SAME: dict[str, Callable[[], Any]] = {
    "h w c": lambda: HWC,
    "c h w": lambda: HWC.transpose(2, 0, 1),
    "torch c h w": lambda: torch.from_numpy(HWC).permute(2, 0, 1),
    "torch shares": lambda: torch.from_numpy(HWC).permute(2, 0, 1).float() / 255,
    "float64 shares": lambda: HWC / 255,
    "a graph": lambda: (torch.from_numpy(HWC) / 255).requires_grad_(),
    "int64 levels": lambda: HWC.astype(np.int64),
    "backwards in memory": lambda: np.ascontiguousarray(HWC[::-1, ::-1])[::-1, ::-1],
    "pillow": lambda: Image.fromarray(HWC),
    "batch of 1": lambda: HWC[None],
    "batch of 1, c h w": lambda: HWC.transpose(2, 0, 1)[None],
}


@pytest.mark.parametrize("form", SAME)
def test_one_picture_in_any_form_is_the_same_picture(form: str) -> None:
    pictures, _ = pictures_of(SAME[form]())
    assert len(pictures) == 1
    assert isinstance(pictures[0], np.ndarray)
    assert pictures[0].dtype == np.uint8
    assert np.array_equal(pictures[0], HWC)
    assert pictures[0].flags.c_contiguous


@pytest.mark.parametrize(
    ("shape", "layout", "number", "each"),
    [
        ((6, 8), None, 1, (6, 8, 1)),
        ((6, 8, 1), None, 1, (6, 8, 1)),
        ((1, 6, 8), None, 1, (6, 8, 1)),
        ((5, 6, 8), None, 5, (6, 8, 1)),
        ((5, 6, 8, 3), None, 5, (6, 8, 3)),
        ((5, 3, 6, 8), None, 5, (6, 8, 3)),
        ((5, 1, 6, 8), None, 5, (6, 8, 1)),
        ((3, 3, 6, 8), None, 3, (6, 8, 3)),
        ((3, 6, 3), "hwc", 1, (3, 6, 3)),
        ((3, 6, 3), "chw", 1, (6, 3, 3)),
        ((2, 3, 6, 3), "chw", 2, (6, 3, 3)),
        ((2, 3, 6, 3), "hwc", 2, (3, 6, 3)),
    ],
)
def test_layouts(shape: tuple[int, ...], layout: str | None, number: int, each: tuple[int, ...]) -> None:
    values = levels(shape)
    pictures, _ = pictures_of(values, layout=layout)
    assert len(pictures) == number
    assert {np.shape(picture) for picture in pictures} == {each}
    assert sorted(np.concatenate([np.ravel(p) for p in pictures]).tolist()) == sorted(values.ravel().tolist())


@pytest.mark.parametrize("shape", [(3, 6, 3), (1, 6, 1), (4, 5, 1), (7, 3, 6, 3), (7, 6, 8, 5), (3,), (2, 2, 3, 4, 3)])
def test_a_layout_that_cannot_be_told_is_asked_for(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"D130\]") as caught:
        pictures_of(np.zeros(shape, np.uint8))
    assert str(shape) in caught.value.what
    assert 'layout="hwc"' in caught.value.fix


@pytest.mark.parametrize(
    ("shape", "layout"), [((6, 8, 7), "hwc"), ((7, 6, 8), "chw"), ((2, 6, 8, 5), "hwc"), ((3, 6, 8), "hwc")]
)
def test_a_layout_that_does_not_fit_is_refused(shape: tuple[int, ...], layout: str) -> None:
    with pytest.raises(DataError, match=r"D130\].*are not 1, 3 or 4"):
        pictures_of(np.zeros(shape, np.uint8), layout=layout)


@pytest.mark.parametrize("shape", [(0, 6, 8, 3), (6, 0, 3), ()])
def test_nothing_is_no_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"D130\].*no picture"):
        pictures_of(np.zeros(shape, np.uint8))


def test_words_for_layout_and_color_that_mean_nothing_are_refused() -> None:
    with pytest.raises(DataError, match=r"D130\]: layout 'nhwc' is unknown"):
        pictures_of(HWC, layout="nhwc")
    for color in ("BGR", "rgba", ""):
        with pytest.raises(DataError, match=f"color {color!r} is unknown"):
            pictures_of(HWC, color=color)


def test_bgr_is_turned_and_said() -> None:
    pictures, notes = pictures_of(HWC[..., ::-1], color="bgr")
    assert np.array_equal(pictures[0], HWC)
    assert notes == ["BGR turned into RGB"]
    gray, notes = pictures_of(HWC[..., 0], color="bgr")
    assert np.array_equal(gray[0][..., 0], HWC[..., 0])
    assert notes == []


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_transparency_shows_the_background_as_it_does_in_a_file(color: str) -> None:
    """The same picture, from an array and from a PNG, to the bit: not the colours that hide behind alpha 0."""
    rgba = levels((16, 12, 4))
    given = rgba if color == "rgb" else rgba[..., [2, 1, 0, 3]]
    pictures, notes = pictures_of(given, color=color)
    assert any("transparency" in note for note in notes)
    from_file = COLOUR.picture(encoded(rgba, "PNG"), "file")
    assert np.array_equal(COLOUR.picture(pictures[0], "array"), from_file)
    assert not np.array_equal(COLOUR.picture(np.ascontiguousarray(rgba[..., :3]), "dropped"), from_file)


@pytest.mark.parametrize("mode", ["P", "CMYK", "1", "LA", "RGBA", "I;16"])
def test_pillow_pictures_mean_what_their_files_mean(mode: str) -> None:
    """Not palette indices, nor ink taken for colours."""
    image = Image.fromarray(HWC).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    out = io.BytesIO()
    image.save(out, "TIFF" if mode == "CMYK" else "PNG")
    small = Preprocess("RGB", 6, 8)
    pictures, _ = pictures_of(image)
    assert np.array_equal(small.picture(pictures[0], "x"), small.picture(out.getvalue(), "file"))


def test_bytes_of_a_file_are_a_picture() -> None:
    data = encoded(HWC, "PNG")
    assert pictures_of(data) == ([data], [])


def test_levels_and_what_is_said_of_them() -> None:
    dark, said = pictures_of(np.array([[0.0, 0.5], [0.25, 1.0]]))
    assert dark[0][..., 0].tolist() == [[0, 128], [64, 255]]
    assert said == ["floats 0..1 turned into levels 0..255"]
    mask, said = pictures_of(np.array([[True, False]]))
    assert mask[0][..., 0].tolist() == [[255, 0]]
    assert said == ["false and true read as 0 and 255"]
    _, said = pictures_of(np.zeros((3, 6, 8), np.uint8))
    assert said == ["channels first (3, 6, 8) read as channels last"]
    _, said = pictures_of(np.zeros((6, 8, 3), np.uint8))
    assert said == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([[0.0, 1.5]]), "floats from 0 to 1.5"),
        (np.array([[-0.1, 0.5]]), "floats from -0.1 to 0.5"),
        (np.array([[0.0, 200.0]]), "floats from 0 to 200"),
        (np.array([[0.0, np.nan]]), "floats from nan to nan"),
        (np.array([[0.0, np.inf]]), "floats from 0 to inf"),
        (np.array([[-1, 5]]), "integers from -1 to 5"),
        (np.array([[0, 256]], np.uint16), "integers from 0 to 256"),
    ],
)
def test_values_that_are_no_levels_are_refused(values: np.ndarray, words: str) -> None:
    """No guess: normalised inputs and 16 bits would give answers that look fine."""
    with pytest.raises(DataError, match=r"D131\]") as caught:
        pictures_of(values)
    assert words in caught.value.what
    assert caught.value.fix


@pytest.mark.parametrize("thing", [3.5, None, {"a": 1}, [[1, 2], [3, 4]]])
def test_what_is_no_picture_is_refused(thing: Any) -> None:
    with pytest.raises(DataError, match=r"D114\]"):
        pictures_of(thing)


def test_what_is_given_is_not_changed_or_shared() -> None:
    given = HWC[..., ::-1].copy()
    before = given.copy()
    pictures, _ = pictures_of(given, color="bgr")
    np.asarray(pictures[0])[:] = 0
    assert np.array_equal(given, before)
