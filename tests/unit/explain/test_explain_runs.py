"""`dojang explain` on a run: what is said, what is written, what is refused, in a notebook and in a terminal."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.cells import cell_len

import dojang
from dojang.cli.main import main
from dojang.errors import ConfigError, DataError
from dojang.explain.explain import Asked, explain
from dojang.explain.nearest import nearest, training_pictures
from dojang.explain.sight import look
from dojang.models.features import features
from dojang.predict.predictor import Predictor

TINY = ["model=mnist-cnn", "conv_dims=4,6", "hidden_dims=8", "epochs=3", "batch_size=12", "lr=0.01"]
TINY += ["threads=1", "workers=0", "--no-check"]
CLASSES = ("across", "down", "가로세로")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of three patterns in ``data``, and a run beside them."""
    place = tmp_path_factory.mktemp("made")
    draw, torch_threads = np.random.default_rng(0), torch.get_num_threads()
    down, across = np.indices((12, 12)) // 2 % 2
    for name, pattern in zip(CLASSES, (down, across, down ^ across), strict=True):
        (place / "data" / name).mkdir(parents=True)
        for number in range(16):
            levels = np.roll(pattern, draw.integers(0, 4, 2), (0, 1)) * 150 + draw.integers(0, 90, (12, 12))
            Image.fromarray(levels.astype(np.uint8)).save(place / "data" / name / f"{number}.png")
    torch.set_num_threads(1)
    assert main(["train", str(place / "data"), *TINY, f"project={place}", "name=run"]) == 0
    torch.set_num_threads(torch_threads)
    return place


@pytest.fixture
def run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A copy, beside its data, where the command is run: paths are short."""
    shutil.copytree(made / "run", tmp_path / "run")
    shutil.copytree(made / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    return Path("run")


def said(capsys: pytest.CaptureFixture[str], *words: str | Path, code: int = 0) -> str:
    """What a command prints; no line is wider than 80 columns."""
    assert main([str(word) for word in words]) == code
    found = capsys.readouterr()
    text = found.out if code == 0 else found.err
    assert code or max(map(cell_len, text.split("\n"))) <= 80
    return text


def loaded(run: Path) -> Predictor:
    return dojang.Run(run).predictor("cpu")


# The verb


def test_pictures_arrays_and_words(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Path("why")
    picture = run.parent / "data" / "down" / "3.png"
    text = said(capsys, "explain", run, picture, "--project", project)
    assert "3.png" in text.split("\n")[0] or text.split("\n")[0].endswith(":")
    assert re.search(r"^  layer +relu2: the last one that gives maps|^  layer +relu\d: the last", text, re.MULTILINE)
    assert re.search(r"^  gradcam +\S", text, re.MULTILINE) and re.search(r"^  layercam +\S", text, re.MULTILINE)
    folder = project / "run"
    told = json.loads((folder / "explain.json").read_text())
    one = told["pictures"][0]
    assert told["format"] == 1 and one["files"] == ["heat-gradcam.png", "heat-layercam.png", "heat.npz"]
    assert {path.name for path in (folder / "3").iterdir()} == set(one["files"])
    with np.load(folder / "3" / "heat.npz") as arrays:
        assert sorted(arrays) == ["gradcam", "layercam", "seen"]
        assert arrays["gradcam"].shape == (12, 12) and arrays["gradcam"].dtype == np.float32
    with Image.open(folder / "3" / "heat-gradcam.png") as drawn:
        assert drawn.size == (276, 276) and drawn.mode == "RGB"
    answer = dojang.Model("run").predict([str(picture)])[0]
    assert one["answer"]["label"] == answer.label and one["asked"] == answer.label
    # a second time beside it, never over it
    said(capsys, "explain", run, picture, "--project", project)
    assert (project / "run-2" / "explain.json").exists()


def test_all_that_can_be_asked(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project, data = Path("why"), run.parent / "data"
    text = said(
        capsys, "explain", run, data / "down" / "3.png", data / "across" / "3.png", "--method",
        "gradcam,layercam,occlusion,integrated", "--class", "가로세로", "--xray", "conv2:1,0,2", "--xray", "fc1",
        "--maps", "relu1", "--filters", "--deconvolve", "relu2", "--maximise", "가로세로", "--maximise", "conv2:3",
        "--nearest", "4", "--project", project, "--name", "all",
    )  # fmt: skip
    for word in ("asked", "gradcam", "layercam", "occlusion", "integrated", "nearest", "filters", "maximise"):
        assert re.search(rf"^  {word} +\S", text, re.MULTILINE), word
    assert "conv2     Conv2d: channel 1, row 0, column 2 of 6 x 6 x 6" in text
    names = {str(path.relative_to(project / "all")) for path in (project / "all").rglob("*") if path.is_file()}
    each = {"heat-gradcam.png", "heat-layercam.png", "heat-occlusion.png", "heat-integrated.png", "maps-relu1.png"}
    each |= {"deconvolution-relu2.png", "nearest.png", "xray-conv2-1-0-2.txt", "heat.npz"}
    for folder in ("3", "3-2"):
        assert {f"{folder}/{name}" for name in each} <= names
    assert {"filters.png", "filters.npz", "maximised.png", "maximised-가로세로.png", "maximised-conv2-3.png"} <= names
    told = json.loads((project / "all" / "explain.json").read_text())
    assert [one["asked"] for one in told["pictures"]] == ["가로세로"] * 2
    assert told["pictures"][0]["xrays"][0]["unit"] == "conv2:1,0,2"
    assert [one["of"] for one in told["maximised"]] == ["가로세로", "conv2:3"]
    assert len(told["pictures"][1]["nearest"]) == 4
    # it is its own nearest one, where it was trained on
    near = told["pictures"][1]["nearest"]
    assert near[0]["similarity"] >= near[-1]["similarity"]
    own = [one["path"] for one in near if one["path"].endswith("across/3.png")]
    own += [one["path"] for one in told["pictures"][0]["nearest"] if one["path"].endswith("down/3.png")]
    assert own and text.count("that is this picture: the run has learned from it") == len(own)


def test_as_json(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(run), "--filters", "--project", str(Path("why")), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["folder"] == str(Path("why") / "run")
    assert told["filters"] == {"layer": "conv1", "shape": [4, 1, 3, 3]} and told["pictures"] == []


def test_a_weights_file_is_enough(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = next((run / "weights").glob("*.safetensors"), None) or next(run.rglob("*.safetensors"))
    shutil.copy(weights, tmp_path / "mine.safetensors")
    picture = run.parent / "data" / "down" / "3.png"
    said(capsys, "explain", tmp_path / "mine.safetensors", picture, "--project", Path("why"))
    assert (Path("why") / "mine" / "explain.json").exists()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ((), "C200", "explain needs pictures, or --filters or --maximise."),
        (("--filters", "--xray", "conv1"), "C200", "--xray is of a picture, and none is named."),
        (("PICTURE", "--method", "gradcm"), "C203", "there is no method 'gradcm'. Did you mean 'gradcam'?"),
        (("PICTURE", "--layer", "conv9"), "C203", "there is no layer 'conv9'."),
        (("PICTURE", "--layer", "fc1"), "C290", "the layer 'fc1' gives no map, but 8 numbers."),
        (("PICTURE", "--class", "dwon"), "C203", "the network knows no class 'dwon'. Did you mean 'down'?"),
        (("PICTURE", "--xray", "conv1:9"), "C291", "conv1 has no unit '9': it has channel 0 to 3"),
        (("--maximise", "dwon"), "C203", "the network knows no class 'dwon'. Did you mean 'down'?"),
        (("--maximise", "conv1:x"), "C291", "conv1 has no unit 'x'"),
        (("nowhere.png",), "C241", "nowhere.png"),
    ],
)
def test_what_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: str, text: str
) -> None:
    picture = str(run.parent / "data" / "down" / "3.png")
    asked = [picture if word == "PICTURE" else word for word in words]
    found = said(capsys, "explain", run, *asked, "--project", Path("why"), code=2)
    assert code in found and text in " ".join(found.split())
    assert not (Path("why")).exists()


# Nearest training pictures


def test_the_nearest_are_the_nearest(run: Path) -> None:
    of, data = loaded(run), run.parent / "data"
    learned = training_pictures(run, of)
    sights = [look(of, (data / "down" / f"{number}.png").read_bytes(), f"{number}") for number in (1, 2)]
    found = nearest(sights, learned, 5)
    manifest = learned.manifest
    paths = [manifest.paths[row] for row in manifest.rows("train")]
    pixels = np.stack([of.preprocess.picture((data / path).read_bytes(), path) for path in paths])

    def described(pictures: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            own = features(of.model, of.preprocess.normalise(torch.from_numpy(pictures)))
        assert own is not None
        flat = own[0].double().numpy()
        unit: np.ndarray = flat / np.linalg.norm(flat, axis=1, keepdims=True)
        return unit

    alike = described(np.stack([sight.pixels for sight in sights])) @ described(pixels).T
    for near, row in zip(found, alike, strict=True):
        order = np.argsort(-row, kind="stable")[:5]
        assert [one.similarity for one in near] == pytest.approx(row[order].tolist(), abs=1e-5)
        assert [one.path for one in near] == [paths[number] for number in order]
        for one, number in zip(near, order, strict=True):
            assert one.label == Path(one.path).parts[0] and np.array_equal(one.pixels, pixels[number])


def test_nearest_needs_the_same_pictures(made: Path, tmp_path: Path) -> None:
    of, run = loaded(made / "run"), tmp_path / "run"
    shutil.copytree(made / "run", run)
    moved = tmp_path / "moved"
    shutil.copytree(made / "data", moved)
    picture = [("x", np.zeros((12, 12), np.uint8))]
    with pytest.raises(ConfigError, match=r"\[C202\]: --nearest is -1: it is how many training pictures are shown"):
        explain(of, picture, Asked(nearest=-1), run=made / "run")
    with pytest.raises(ConfigError, match=r"\[C215\]: nearest training pictures are those of a run, and none is given"):
        explain(of, picture, Asked(nearest=2))
    # where they are now can be said
    found = explain(of, picture, Asked(nearest=2), run=run, data=str(moved))
    assert len(found[0].near) == 2
    first = sorted(moved.rglob("*.png"))
    for path in first:
        Image.fromarray(np.full((12, 12), 9, np.uint8)).save(path)
    with pytest.raises(ConfigError) as changed:
        explain(of, picture, Asked(nearest=2), run=run, data=str(moved))
    assert changed.value.code == "C218" and "the data has changed since the run was trained: " in str(changed.value)
    args = run / "args.yaml"
    args.write_text(args.read_text().replace(str(made / "data"), str(tmp_path / "gone")))
    with pytest.raises(DataError) as gone:
        explain(of, picture, Asked(nearest=2), run=run)
    assert gone.value.code == "D100"
    assert "--nearest 6 --data PLACE, where they are now." in str(gone.value)


def test_nearest_of_a_run_on_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(0)
    pairs = [(draw.integers(0, 99, (10, 10)).astype(np.uint8) + 120 * (n % 2), "ab"[n % 2]) for n in range(20)]
    pairs = [(levels.astype(np.uint8), label) for levels, label in pairs]
    options: dict[str, Any] = {"epochs": 1, "conv_dims": (3, 4), "hidden_dims": (6,), "threads": 1, "workers": 0}
    run = dojang.Model("mnist-cnn").train(data=pairs, project=str(tmp_path), name="pairs", check=False, **options)
    with pytest.raises(ConfigError, match=r"\[C218\]: this run was trained on pairs given in Python"):
        run._model().explain([pairs[0][0]], nearest=2)
    found = run._model().explain([pairs[0][0]], nearest=2, data=pairs)
    assert len(found[0].near) == 2
    capsys.readouterr()


# In a notebook


def test_a_notebook_shows_it_and_names_are_inert(run: Path) -> None:
    of = loaded(run)
    wild = "<script>alert(1)</script>"
    picture = np.asarray(Image.open(run.parent / "data" / "down" / "3.png"))
    asked = Asked(xrays=("conv1:0,0,0",), maps=("relu1",), deconvolve=("relu2",), nearest=2)
    found = explain(of, [(wild, picture)], asked, run=run)
    shown = found._repr_html_()
    assert wild not in shown and "&lt;script&gt;" in shown
    assert shown.count("<img ") == 1 + 2 + 3 and "<pre>conv1" in shown
    one = found[0]
    assert repr(one).startswith("Explanation(") and "gradcam, layercam at relu2" in repr(one)
    assert one.heat().method == "gradcam" and one.xray("conv1:1,0,0").value != one.xray("conv1:0,0,0").value
    with pytest.raises(ConfigError, match=r"\[C203\]: no heat map by 'occlusion' was asked for\.\n.*gradcam, layercam"):
        one.heat("occlusion")


def test_a_model_explains(run: Path) -> None:
    model = dojang.Model(str(run))
    found = model.explain([str(run.parent / "data" / "down" / "3.png")], methods=["occlusion"], label="across")
    assert found[0].label == "across" and found[0].heats[0].method == "occlusion" and found[0].layer is None
    with pytest.raises(ConfigError, match="C243"):
        dojang.Model("mnist-cnn").explain([np.zeros((12, 12), np.uint8)])
