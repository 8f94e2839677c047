"""Prepared sets saved and read back: the same pixels, labels and splits, in all three forms."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import write_idx
from dojang import files
from dojang.cli.main import main
from dojang.data.decode import decode
from dojang.data.export import export
from dojang.data.manifest import Manifest
from dojang.data.options import DataOptions
from dojang.data.pairs import from_pairs
from dojang.data.preprocess import Preprocess
from dojang.data.scan import find
from dojang.errors import DataError, DojangError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "_sync_all", lambda: None)


def photos(grey: bool = False, splits: bool = True) -> Path:
    draw = np.random.default_rng(0)
    for number in range(12):
        split = ("train", "train", "val", "test")[number // 3] if splits else ""
        folder = Path("photos") / split / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        shape = (40 + number, 50 - number, *(() if grey else (3,)))
        Image.fromarray(draw.integers(0, 256, shape, np.uint8)).save(folder / f"{number:02}.png")
    return Path("photos")


def content(manifest: Manifest) -> list[tuple[str, str, bytes]]:
    """Split, label and pixels of every row, whatever the order."""
    rows = []
    for path, (label,), split in zip(manifest.paths, manifest.labels, manifest.splits, strict=True):
        pixels = decode(manifest.source.read(path), path, mode="RGB")
        rows.append((split, manifest.classes[label], pixels.tobytes()))
    return sorted(rows)


def expected(manifest: Manifest, preprocess: Preprocess) -> list[tuple[str, str, bytes]]:
    """What a network would see of each, by Preprocess.picture, picture by picture."""
    rows = []
    for path, (label,), split in zip(manifest.paths, manifest.labels, manifest.splits, strict=True):
        pixels = preprocess.picture(manifest.source.read(path), path)
        pixels = np.repeat(pixels, 3, axis=2) if preprocess.mode == "L" else pixels
        rows.append((split, manifest.classes[label], np.ascontiguousarray(pixels).tobytes()))
    return sorted(rows)


def saved(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert main(["data", "export", *words]) == status
    said = capsys.readouterr()
    return said.err if status else said.out


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("form", ["folders", "npz", "idx"])
@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_read_back_the_same(capsys: pytest.CaptureFixture[str], grey: bool, form: str, fit: str) -> None:
    data = photos(grey)
    new = "new.npz" if form == "npz" else "new"
    words = [str(data), "--format", form, "--out", new, "--imgsz", "24", "--fit", fit]
    if form == "idx" and not grey:
        assert "DataError[D162]: cannot be saved so: IDX files hold grey pictures" in saved(capsys, *words, status=3)
        assert not Path("new").exists()
        return
    said = saved(capsys, *words)
    assert f"pictures of 24 x 24, {'grey' if grey else 'RGB'}" in said and "6  train, 2 classes" in said
    found = find(new)
    way = Preprocess("L" if grey else "RGB", 24, 24, resize=1.0 if fit == "pad" else 256 / 224, fit=fit)
    assert found.classes == ("cat", "dog")
    assert content(found) == expected(find(data), way)
    assert sorted(path.name for path in Path().iterdir()) == sorted(["photos", new])


def test_training_pictures_are_decoded_whole(capsys: pytest.CaptureFixture[str]) -> None:
    # training may read large JPEGs at a fraction of their sides; what is saved is what validation sees
    levels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    for name in "ab":
        Path(f"large/train/{name}").mkdir(parents=True)
        Image.fromarray(levels).save(f"large/train/{name}/1.jpg")
    saved(capsys, "large", "--format", "npz", "--out", "new.npz", "--imgsz", "24")
    assert content(find("new.npz")) == expected(find("large"), Preprocess("RGB", 24, 24, resize=256 / 224))


def test_numpy_reads_it_without_pickle(capsys: pytest.CaptureFixture[str]) -> None:
    saved(capsys, str(photos()), "--format", "npz", "--out", "a.npz", "--imgsz", "24")
    saved(capsys, "photos", "--format", "npz", "--out", "b.npz", "--imgsz", "24")
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes()
    with np.load("a.npz", allow_pickle=False) as arrays:
        shapes = {name: (arrays[name].dtype.str, arrays[name].shape) for name in arrays.files}
        assert arrays["classes"].tolist() == ["cat", "dog"]
    assert shapes == {
        "x_train": ("|u1", (6, 24, 24, 3)), "y_train": ("<i8", (6,)), "x_val": ("|u1", (3, 24, 24, 3)),
        "y_val": ("<i8", (3,)), "x_test": ("|u1", (3, 24, 24, 3)), "y_test": ("<i8", (3,)), "classes": ("<U3", (2,)),
    }  # fmt: skip
    with pytest.raises(ValueError, match="objects"):
        files.write_npz("c.npz", {"x": np.array([None])})
    assert not Path("c.npz").exists()


def test_idx_files_are_mnists_to_the_byte(stripes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(capsys, str(stripes), "--format", "idx", "--out", "new")
    names = {path.name for path in stripes.iterdir()}
    assert {path.name for path in Path("new").iterdir()} == names | {"classes.txt"}
    assert all((Path("new") / name).read_bytes() == (stripes / name).read_bytes() for name in names)
    assert find("new").classes == ("0", "1", "2")


@pytest.mark.parametrize("form", ["folders", "npz", "idx"])
def test_data_without_splits_is_divided_on_request_alone(capsys: pytest.CaptureFixture[str], form: str) -> None:
    data = photos(grey=True, splits=False)
    new = "new.npz" if form == "npz" else "new"
    saved(capsys, str(data), "--format", form, "--out", new, "--imgsz", "16")
    # IDX files have no other name for it
    assert set(find(new).splits) == {"train" if form == "idx" else ""} and len(find(new)) == 12
    new = f"other-{new}"
    saved(capsys, str(data), "--format", form, "--out", new, "--imgsz", "16", "--test", "0.25", "--val", "none")
    assert {split: sum(n.values()) for split, n in find(new).counts().items()} == {"train": 9, "test": 3}
    assert main(["split", "photos", "--val", "2", "--test", "2"]) == 0
    capsys.readouterr()
    saved(capsys, str(data), "--format", form, "--out", f"third-{new}", "--imgsz", "16", "--splits", "splits.csv")
    assert {split: sum(n.values()) for split, n in find(f"third-{new}").counts().items()} == {
        "train": 8,
        "val": 2,
        "test": 2,
    }


def test_training_on_what_was_saved_sees_what_it_would_have_seen(capsys: pytest.CaptureFixture[str]) -> None:
    saved(capsys, str(photos()), "--format", "npz", "--out", "new.npz", "--imgsz", "24")
    words = ["--model", "mlp", "--epochs", "1", "--imgsz", "24", "--train-crop", "center", "--threads", "1", "--json"]
    for data in ("photos", "new.npz"):
        assert main(["train", data, *words]) == 0
    rows = [Path(f"runs/classify/{name}/predictions.csv").read_text().splitlines()[1:] for name in ("train", "train2")]
    # the probabilities of every picture, bit for bit as they are written
    assert sorted(line.split(",", 1)[1] for line in rows[0]) == sorted(line.split(",", 1)[1] for line in rows[1])


def test_pictures_of_arrays_and_names_that_meet(capsys: pytest.CaptureFixture[str]) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (4, 6, 6), np.uint8)
    made = export(from_pairs(zip(levels, "abab", strict=True)), DataOptions(), "new", "folders")
    assert made.counts == {"": {"a": 2, "b": 2}}
    assert find("new").paths == ("a/000000.png", "a/000002.png", "b/000001.png", "b/000003.png")
    for number, name in enumerate(("1.png", "1.bmp", "1.PNG")):
        path = Path("photos") / "ab"[number % 2] / "x" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels[number]).save(path, "PNG")
    # the name that row 3, 1.png beside 1.PNG, would get
    Image.fromarray(levels[3]).save("photos/a/x/1-000003.png")
    Image.fromarray(levels[3]).save("photos/a/x/01.png")
    saved(capsys, "photos", "--out", "more")
    names = ("01", "1-000003", "1-000003-000003", "1")
    assert set(find("more").paths) == {*(f"a/{name}.png" for name in names), "b/1.png"}


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["photos"], 2, "C200]: export needs a place: --out NEW."),
        (["photos", "--format", "npz", "--out", "x"], 2, "C202]: --out 'x' is to be an npz; end it in .npz."),
        (["photos", "--format", "tar", "--out", "x"], 2, "C200"),
        (["photos", "--out", "photos"], 2, "C244]"),
        (["photos", "--out", "taken"], 2, "C202]: --out 'taken' is there already"),
        (["photos", "--out", "photos/new"], 2, "C244]: --out 'photos/new' lies inside the data"),
        (["photos", "--out", "x", "--splits", "no.csv"], 2, "C202]: cannot read 'no.csv'"),
        (["photos", "--out", "x", "--test", "2"], 2, "C211]"),
    ],
)
def test_mistakes(capsys: pytest.CaptureFixture[str], words: list[str], status: int, said: str) -> None:
    photos()
    Path("taken").mkdir()
    assert said in saved(capsys, *words, status=status)
    assert not Path("x").exists() and not Path("x.unfinished").exists()


def test_pictures_that_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    photos()
    Path("photos/train/cat/00.png").write_bytes(b"")
    assert "DataError[D104]" in saved(capsys, "photos", "--out", "new", status=3) and not Path("new").exists()
    assert "1  left out, not readable: train/cat/00.png" in saved(capsys, "photos", "--out", "new", "--bad", "skip")


def test_classes_that_a_form_cannot_hold() -> None:
    levels = np.zeros((2, 5, 5), np.uint8)
    for form, classes, words in (
        ("folders", ("a/b", "c"), "the class 'a/b' cannot be a folder: it would lead to another folder"),
        ("folders", ("..", "c"), "the class '..' cannot be a folder"),
        ("idx", ("a\nb", "c"), "classes.txt has a name a line, and 'a\\nb' has a line break"),
        ("idx", tuple(map(str, range(257))), "IDX labels are bytes, and there are 257 classes"),
    ):
        manifest = from_pairs([(levels[0], 0), (levels[1], 1)], classes=classes)
        with pytest.raises(DataError) as caught:
            export(manifest, DataOptions(), "new", form)
        assert caught.value.code == "D162" and words in caught.value.what and not Path("new").exists()
    # an npz holds any name
    export(from_pairs([(levels[0], 0), (levels[1], 1)], classes=("a/b", "c\nd")), DataOptions(), "new.npz", "npz")
    assert find("new.npz").classes == ("a/b", "c\nd")
    with pytest.raises(DojangError, match=r"C202\]: --format cannot be 'zip'"):
        export(manifest, DataOptions(), "new", "zip")


# npz of others


def packed(**arrays: Any) -> None:
    np.savez("x.npz", **arrays)


X, Y = np.zeros((3, 5, 5), np.uint8), np.array([0, 1, 1])


def test_npz_of_others() -> None:
    # as Keras keeps MNIST, and CIFAR's labels, which are a column
    packed(x_train=X, y_train=Y[:, None], x_test=X[:1], y_test=Y[:1].astype(np.uint8))
    found = find("x.npz")
    assert found.classes == ("0", "1") and found.splits == ("train",) * 3 + ("test",)
    assert found.paths[0] == "x.npz:x_train#0" and found.source.read("x.npz:x_test#0").shape == (5, 5)
    np.savez_compressed("x.npz", x=np.asfortranarray(np.arange(75, dtype=np.uint8).reshape(1, 5, 5, 3)), y=[0])
    assert (find("x.npz").source.read("x.npz:x#0") == np.arange(75).reshape(5, 5, 3)).all()


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, "it holds nothing"),
        ({"a": X}, "it holds a"),
        ({"x": X, "y": Y, "x_train": X, "y_train": Y}, "it holds x, y"),
        ({"x_train": X}, "x_train has no y_train beside it"),
        ({"x_train": X.astype(np.float32), "y_train": Y}, "x_train.npy holds float32 values"),
        ({"x_train": X.astype(np.uint16), "y_train": Y}, "x_train holds uint16 values, 3 x 5 x 5"),
        ({"x_train": X[..., None].repeat(2, 3), "y_train": Y}, "x_train holds uint8 values, 3 x 5 x 5 x 2"),
        ({"x_train": X, "y_train": np.array([None, 1, 1])}, "y_train.npy holds object values"),
        ({"x_train": X, "y_train": Y.astype(float)}, "y_train.npy holds float64 values"),
        ({"x_train": X, "y_train": np.eye(3, dtype=int)}, "y_train has 2 dimensions; labels have one"),
        ({"x_train": X, "y_train": Y[:2]}, "holds 3 pictures and their labels file 2 labels"),
        ({"x_train": X, "y_train": Y, "classes": np.array(["a"])}, "has the label 1 at row 1; it has 1 classes"),
    ],
)
def test_npz_that_cannot_be_data(arrays: dict[str, np.ndarray], words: str) -> None:
    packed(**arrays)
    with pytest.raises(DataError) as caught:
        find("x.npz")
    assert caught.value.code == "D116" and words in caught.value.what


def test_npz_that_lie_or_swell() -> None:
    packed(x_train=X, y_train=Y)
    whole = Path("x.npz").read_bytes()
    draw = np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(whole)
        for place in draw.integers(0, len(data), draw.integers(1, 6)):
            data[place] = draw.integers(256)
        Path("x.npz").write_bytes(bytes(data[: draw.integers(4, len(data) + 1)]) if draw.random() < 0.2 else data)
        try:
            find("x.npz")
        except DojangError as error:
            assert error.code in ("D100", "D112", "D116") or error.code[0] == "X"
    np.savez_compressed("x.npz", x_train=np.zeros((2000, 100, 100), np.uint8), y_train=np.zeros(2000, int))
    with pytest.raises(DojangError, match=r"X504\]: 'x.npz' is refused: 'x_train.npy' unpacks from"):
        find("x.npz")
    # a header that declares more than there is
    file = io.BytesIO()
    np.save(file, X)
    with zipfile.ZipFile("x.npz", "w") as zipped:
        zipped.writestr("x_train.npy", file.getvalue().replace(b"(3, 5, 5)", b"(9, 5, 5)"))
        zipped.writestr("y_train.npy", b"")
    with pytest.raises(DataError, match=r"D116\]: 'x.npz' is damaged or no npz: x_train.npy is cut short"):
        find("x.npz")


def test_names_of_classes_beside_idx_files(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    write_idx(folder / "train-images-idx3-ubyte", X)
    write_idx(folder / "train-labels-idx1-ubyte", Y.astype(np.uint8))
    assert find(folder).classes == ("0", "1")
    (folder / "classes.txt").write_text("cat\ndog\nowl\n")
    found = find(folder)
    assert found.classes == ("cat", "dog", "owl") and "the names of the classes are those of classes.txt" in found.notes
    (folder / "classes.txt").write_text("cat\n")
    with pytest.raises(DataError, match=r"D116\]: .* has the label 1 at row 1; it has 1 classes"):
        find(folder)
