"""What cannot be exported, and what is said then; nothing is written."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from colours import trained
from torch import Tensor, nn

import dojang
from dojang.data.preprocess import Preprocess
from dojang.errors import ConfigError, DataError, DojangError, ExportError
from dojang.export import onnx, openvino
from dojang.export.export import export
from dojang.export.graph import Graph
from dojang.export.tracing import traced
from dojang.predict.predictor import Predictor
from dojang.runs.exported import Exported
from dojang.train.log import Reporter


@pytest.fixture(autouse=True)
def nothing_is_written(coloured: Path) -> Iterator[None]:
    before = sorted(path for path in coloured.rglob("*"))
    yield
    assert sorted(path for path in coloured.rglob("*")) == before


def refused(*words: object, **options: object) -> DojangError:
    with pytest.raises(DojangError) as caught:
        export(*words, **options)  # type: ignore[arg-type]
    return caught.value


def test_a_format_that_does_not_exist(coloured: Path) -> None:
    assert str(refused(coloured, "tflite")) == (
        "ConfigError[C202]: --format cannot be 'tflite'; expected one of onnx, torch-export, openvino.\n"
        "  Fix: --format onnx"
    )


@pytest.mark.parametrize(
    ("format", "library", "extra"),
    [("onnx", "onnxruntime", "export"), ("onnx", "onnxscript", "export"), ("openvino", "openvino", "export,openvino")],
)
def test_a_library_that_is_not_installed(
    format: str, library: str, extra: str, coloured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    assert str(refused(coloured, format)) == (
        f"ConfigError[C250]: --format {format} needs {library}, not installed here.\n"
        f'  Fix: pip install "dojang[{extra}]"'
    )


def test_8_bits_of_another_format(coloured: Path) -> None:
    assert str(refused(coloured, "openvino", int8=True)) == (
        "ConfigError[C202]: --int8 makes ONNX files, and --format is openvino.\n  Fix: --format onnx --int8"
    )


def test_a_name_that_says_another_format(coloured: Path, tmp_path: Path) -> None:
    assert str(refused(coloured, "torch-export", out=tmp_path / "my net.onnx")) == (
        f"ConfigError[C202]: --out '{tmp_path}/my net.onnx' must end in .pt2 for this format.\n"
        f"  Fix: --out '{tmp_path}/my net.pt2'"
    )


@pytest.mark.parametrize("name", ["a.xml", "a.bin", "a.xml.json"])
def test_a_file_that_is_there(name: str, coloured: Path, tmp_path: Path) -> None:
    """Any of the three; said before anything is computed."""
    (tmp_path / name).write_text("mine")
    error = refused(coloured, "openvino", out=tmp_path / "a.xml")
    assert str(error) == (
        f"ConfigError[C202]: '{tmp_path / name}' is there already; nothing is overwritten.\n"
        f"  Fix: --exist-ok, or --out {tmp_path}/a-2.xml"
    )
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


def test_weights_that_do_not_say_where_pictures_are(coloured: Path, tmp_path: Path) -> None:
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes((coloured / "weights/best.safetensors").read_bytes())
    assert str(refused(weights)) == (
        f"ConfigError[C200]: '{weights}' is no run: it does not say where pictures are.\n"
        "  What is exported is held against the network on real pictures.\n"
        f"  Fix: dojang export {weights} --data PLACE"
    )


def test_pictures_that_are_gone(coloured: Path, photos: Path) -> None:
    moved = photos.with_name("elsewhere")
    photos.rename(moved)
    try:
        error = refused(coloured)
        assert error.code == "C218" or error.code.startswith("D")
        assert error.context == "What is exported is held against the network on real pictures."
        assert f"dojang export {coloured} --data PLACE" in error.fix
        assert str(photos) in error.what
    finally:
        moved.rename(photos)


def test_pictures_that_are_others(coloured: Path, stripes: Path) -> None:
    """Those of another data set: their classes are not the network's."""
    error = refused(coloured, data=str(stripes))
    assert isinstance(error, DataError) and error.code == "D107"


def test_a_folder_of_pictures_without_classes_will_do(coloured: Path, photos: Path, tmp_path: Path) -> None:
    """Answers are held against each other; only 8 bits are judged by labels."""
    weights, loose = tmp_path / "mine.safetensors", tmp_path / "loose"
    weights.write_bytes((coloured / "weights/best.safetensors").read_bytes())
    loose.mkdir()
    (loose / "notes.txt").write_text("no picture")
    for number, path in enumerate(sorted((photos / "val").rglob("*.*"))[::5]):
        (loose / f"{number}{path.suffix}").write_bytes(path.read_bytes())
    count = len(list(loose.iterdir())) - 1
    made = export(weights, data=str(loose), out=tmp_path / "made.onnx")
    assert made.record["parity"]["pictures"] == {"": count} and count > 5
    assert refused(weights, data=str(loose), int8=True).code == "D121"


def test_a_picture_that_has_changed_is_left_out(stripes: Path, tmp_path: Path) -> None:
    """It is not the one that the run knew; the others serve, and it is said."""
    from PIL import Image

    data = tmp_path / "data"
    for label, level in (("dark", 20), ("light", 220)):
        (data / label).mkdir(parents=True)
        for i in range(20):
            Image.fromarray(np.full((12, 12), level + i, np.uint8)).save(data / label / f"{i}.png")
    run = trained(data, tmp_path / "runs", epochs=1, val=8, test=4)
    Image.fromarray(np.full((12, 12), 99, np.uint8)).save(data / "dark/3.png")
    notes: list[str] = []

    class Told(Reporter):
        def note(self, text: str) -> None:
            notes.append(text)

        def __getattr__(self, name: str) -> object:
            return lambda *args, **kwargs: None

    found = export(run, "torch-export", out=tmp_path / "a.pt2", reporter=Told())
    assert found.record["parity"]["n"] == 39
    assert notes[-1] == "1 picture left out: changed since, or cannot be read"


def test_8_bits_want_pictures_that_they_were_not_made_with(coloured: Path, photos: Path, tmp_path: Path) -> None:
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes((coloured / "weights/best.safetensors").read_bytes())
    error = refused(weights, int8=True, data=str(photos / "train"))
    assert str(error) == (
        "DataError[D121]: the data has no 'val' or 'test' pictures: --int8 sees ranges on training pictures, and is "
        "judged on others.\n  Fix: dojang split DATA --tree NEW, and --data NEW."
    )


class Branches(nn.Module):
    """Its way depends on what it sees."""

    def forward(self, x: Tensor) -> Tensor:
        scores = x.flatten(1)[:, :2]
        return scores if x.sum() > 0 else -scores


class EightAtATime(nn.Module):
    """Made for one size of batch."""

    def forward(self, x: Tensor) -> Tensor:
        return x.view(8, -1)[:, :2]


STEPS = Preprocess("RGB", 4, 4, mean=(0.5,) * 3, std=(1.0,) * 3)


@pytest.mark.parametrize("network", [Branches(), EightAtATime()], ids=lambda network: type(network).__name__)
def test_a_network_that_torch_cannot_follow(network: nn.Module) -> None:
    with pytest.raises(ExportError) as caught:
        traced(Graph(Predictor(network, ("a", "b"), STEPS)))
    first, *rest = str(caught.value).split("\n")
    assert first.startswith(f"ExportError[E702]: {type(network).__name__} cannot be exported: ")
    assert rest == [
        "  Its forward must not depend on the values of tensors, nor on the size of the batch.",
        "  Fix: write x.flatten(1) for x.view(8, -1), and torch.where for an if on a tensor's value.",
    ]


def test_a_network_that_is_too_large_for_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx, "_MOST", 10_000)
    graph = Graph(Predictor(nn.Sequential(nn.Flatten(), nn.Linear(48, 60)), tuple(map(str, range(60))), STEPS))
    program = traced(graph)
    with pytest.raises(ExportError) as caught:
        onnx.made(graph, program, {"dojang": "0"})
    # (48 + 1) x 60 numbers of 4 bytes, and what normalises
    assert str(caught.value) == (
        "ExportError[E703]: the network's weights are 0.0 GB; one ONNX file holds 2 GB.\n  Fix: --format torch-export"
    )


def test_a_model_that_openvino_cannot_read() -> None:
    with pytest.raises(ExportError) as caught:
        openvino.made(b"no model", {})
    assert str(caught.value).startswith("ExportError[E702]: OpenVINO cannot read the network: ")
    assert str(caught.value).endswith("\n  Fix: --format onnx")


def test_a_model_of_ones_own_needs_its_code(photos: Path, tmp_path: Path) -> None:
    """Weights alone are numbers; with the object it is exported as any other."""

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x.mean(dim=(2, 3)))

    torch.manual_seed(0)
    run = dojang.Model(Own()).train(
        data=str(photos), epochs=1, imgsz=8, threads=1, batch=20, project=str(tmp_path), name="own"
    )
    assert refused(run.path).code == "C240"
    made = run.export("torch-export")
    assert isinstance(made, Exported) and made.path == run.path / "weights/best.pt2"
    assert isinstance(refused(run.path, "torch-export", model=Own()), ConfigError)
