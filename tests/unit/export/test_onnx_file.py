"""The ONNX file as somebody has it who never heard of dojang: onnxruntime, NumPy and Pillow."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from colours import SIZES, picture
from PIL import Image, ImageOps

import dojang
from dojang import files
from dojang.export.export import export
from dojang.runs.exported import Exported


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def test_its_answers_are_dojangs_on_pictures_of_all_sizes(coloured: Path, shipped: Exported, tmp_path: Path) -> None:
    """Files, decoded by Pillow here and by dojang there."""
    model, network = dojang.Model(coloured), session(shipped.path)
    draw = np.random.default_rng(5)
    for i, size in enumerate([*SIZES, (16, 16), (250, 333)]):
        path = tmp_path / f"{i}.{('png', 'jpg')[i % 2]}"
        picture(i % 3, draw, size).save(path)
        ours = model.predict(path)[0].probabilities
        theirs = network.run(None, {"pictures": np.asarray(Image.open(path))[None]})[0]
        assert theirs.shape == (1, 3) and theirs.dtype == np.float32
        assert np.abs(theirs[0] - ours).max() < 1e-5
        assert theirs.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 7, 32])
def test_a_batch_is_its_pictures(shipped: Exported, batch: int) -> None:
    draw, network = np.random.default_rng(batch), session(shipped.path)
    pictures = draw.integers(0, 256, (batch, 29, 43, 3)).astype(np.uint8)
    together = network.run(None, {"pictures": pictures})[0]
    alone = np.concatenate([network.run(None, {"pictures": one[None]})[0] for one in pictures])
    assert together.shape == (batch, 3)
    assert np.abs(together - alone).max() < 1e-5


def test_the_grey_network_takes_colour(grey: Path, tmp_path: Path) -> None:
    """Every file takes RGB; here grey levels are made in the graph, and pixels put in the network's order."""
    shipped = export(grey, out=tmp_path / "grey.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 33, 14, 3)).astype(np.uint8)
    theirs = session(shipped.path).run(None, {"pictures": pixels})[0]
    for one, answer in zip(pixels, theirs, strict=True):
        Image.fromarray(one).save(tmp_path / "one.png")
        ours = dojang.Model(grey).predict(tmp_path / "one.png")[0].probabilities
        assert np.abs(answer - ours).max() < 1e-5


def test_what_it_says_of_itself(coloured: Path, shipped: Exported) -> None:
    network = session(shipped.path)
    said = network.get_modelmeta().custom_metadata_map
    # labels that are no plain words come back as they were
    assert json.loads(said["labels"]) == list(dojang.Run(coloured).predictor("cpu").labels) == shipped.record["labels"]
    assert "gruen, 초록" in json.loads(said["labels"])
    assert json.loads(said["preprocess"])["height"] == 16
    assert float(said["temperature"]) == 1.7
    assert said["task"] == "classify" and said["format"] == "1"
    assert said["source_sha256"] == files.sha256_of(coloured / "weights/best.safetensors")
    (taken,), (given,) = network.get_inputs(), network.get_outputs()
    assert (taken.name, taken.type, taken.shape[3]) == ("pictures", "tensor(uint8)", 3)
    assert all(isinstance(side, str) for side in taken.shape[:3]) and len(set(taken.shape[:3])) == 3
    assert (given.name, given.type, given.shape) == ("probabilities", "tensor(float)", [taken.shape[0], 3])


def test_temperature_and_softmax_are_in_it(coloured: Path, shipped: Exported) -> None:
    """At another temperature it would give other probabilities."""
    predictor = dojang.Run(coloured).predictor("cpu")
    assert predictor.temperature == 1.7
    pixels = np.random.default_rng(1).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    theirs = session(shipped.path).run(None, {"pictures": pixels[None]})[0]
    warm = predictor.probabilities(predictor.preprocess.picture(pixels, "")[None])
    predictor.temperature = 1.0
    cold = predictor.probabilities(predictor.preprocess.picture(pixels, "")[None])
    assert np.abs(theirs - warm).max() < 1e-5 < np.abs(theirs - cold).max()


def test_it_names_no_folder_of_this_machine(shipped: Exported) -> None:
    """The exporter notes lines of source for every node."""
    data = shipped.path.read_bytes()
    for word in (str(Path(dojang.__file__).parent), "site-packages", ".py", str(shipped.path.parent), str(Path.home())):
        assert word.encode() not in data
    assert onnx.load_from_string(data).producer_name == "dojang"


def test_the_same_run_gives_the_same_bytes(coloured: Path, shipped: Exported, tmp_path: Path) -> None:
    again = export(coloured, out=tmp_path / "again.onnx")
    assert again.path.read_bytes() == shipped.path.read_bytes()


def test_the_record_beside_it(coloured: Path, shipped: Exported) -> None:
    record = json.loads((shipped.path.parent / "photos.onnx.json").read_text("utf-8"))
    assert record == shipped.record
    assert record["format"] == 1 and record["export"] == "onnx" and record["opset"] >= 17
    data = shipped.path.read_bytes()
    assert record["files"] == {"photos.onnx": {"bytes": len(data), "sha256": files.sha256(data)}}
    near = record["parity"]
    # 36 of val; where that is less than 256, those of training, too
    assert near["pictures"] == {"val": 36, "train": 54} and near["n"] == 90
    assert near["sizes"] == len(SIZES) and near["batches"] == [1, 7, 32]
    assert 0 < near["largest_probability_difference"] < 1e-5
    assert set(record["versions"]) == {"dojang", "torch", "onnx", "onnxscript", "onnxruntime"}
    assert sorted(path.name for path in shipped.path.parent.iterdir()) == ["photos.onnx", "photos.onnx.json"]


def test_of_a_weights_file_alone(coloured: Path, photos: Path, tmp_path: Path) -> None:
    """Without its run it does not know where pictures are: they are given, and the file lies beside the weights."""
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes((coloured / "weights/best.safetensors").read_bytes())
    made = dojang.Model(weights).export("torch-export", data=str(photos))
    assert made.path == tmp_path / "mine.pt2"
    assert made.record["parity"]["n"] == 90
    assert repr(made) == f"Exported({str(made.path)!r})"


def test_an_upright_jpeg_is_what_is_meant(coloured: Path, shipped: Exported, tmp_path: Path) -> None:
    """Decoding is the caller's: what a camera marked as turned has to be turned, as dojang does."""
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(1, np.random.default_rng(3), (20, 60)).save(out, "JPEG", exif=exif)
    (tmp_path / "turned.jpg").write_bytes(out.getvalue())
    ours = dojang.Model(coloured).predict(tmp_path / "turned.jpg")[0].probabilities
    pixels = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "turned.jpg")).convert("RGB"))
    theirs = session(shipped.path).run(None, {"pictures": pixels[None]})[0]
    assert np.abs(theirs[0] - ours).max() < 1e-5
