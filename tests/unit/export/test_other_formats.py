"""torch.export's and OpenVINO's files, as others open them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from colours import KINDS

import dojang
from dojang.export import openvino as kept
from dojang.export.export import export
from dojang.runs.exported import Exported

# in a process that has no dojang
ALONE = """
import json, sys
sys.modules["dojang"] = None
import numpy, torch

extra = {"labels": "", "temperature": ""}
network = torch.export.load(sys.argv[1], extra_files=extra).module()
found = [network(torch.from_numpy(numpy.load(path))).tolist() for path in sys.argv[2:]]
print(json.dumps([extra, found]))
"""


@pytest.fixture(scope="module")
def arrays() -> list[np.ndarray]:
    """Batches of several sizes."""
    draw = np.random.default_rng(0)
    shapes = [(1, 16, 16), (3, 50, 21), (2, 90, 10), (1, 1, 1), (5, 7, 8)]
    return [draw.integers(0, 256, (*shape, 3)).astype(np.uint8) for shape in shapes]


@pytest.fixture(scope="module")
def right(coloured: Path, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """What dojang answers."""
    predictor = dojang.Run(coloured).predictor("cpu")
    return [
        np.concatenate([predictor.probabilities(predictor.preprocess.picture(one, "")[None]) for one in array])
        for array in arrays
    ]


def test_a_program_of_torch_export(
    coloured: Path, arrays: list[np.ndarray], right: list[np.ndarray], tmp_path: Path
) -> None:
    made = dojang.Run(coloured).export("torch-export", out=tmp_path / "photos.pt2")
    assert made.record["parity"]["largest_probability_difference"] < 1e-5
    for i, array in enumerate(arrays):
        np.save(tmp_path / f"{i}.npy", array)
    words = [str(made.path), *(str(tmp_path / f"{i}.npy") for i in range(len(arrays)))]
    ran = subprocess.run([sys.executable, "-c", ALONE, *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    said, found = json.loads(ran.stdout)
    assert json.loads(said["labels"]) == sorted(KINDS) and float(said["temperature"]) == 1.7
    for ours, theirs in zip(right, found, strict=True):
        assert np.abs(ours - np.array(theirs)).max() < 1e-5
    assert b"site-packages" not in made.path.read_bytes()


@pytest.fixture(scope="module")
def in_openvino(coloured: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(coloured, "openvino", out=tmp_path_factory.mktemp("openvino") / "photos.xml")


def test_the_two_files_of_openvino(in_openvino: Exported, arrays: list[np.ndarray], right: list[np.ndarray]) -> None:
    openvino = kept.library()
    core = openvino.Core()
    model = core.read_model(in_openvino.path)
    (side,) = model.inputs
    assert side.get_element_type().get_type_name() == "u8" and str(side.get_partial_shape()) == "[?,?,?,3]"
    assert json.loads(model.get_rt_info("labels").astype(str)) == sorted(KINDS)
    compiled = core.compile_model(model, "CPU", in_openvino.record["settings"])
    for array, ours in zip(arrays, right, strict=True):
        # a resize in float32: here and there a pixel is one level off
        assert np.abs(compiled(array)[0] - ours).max() < 1e-3
    names = ["photos.bin", "photos.xml", "photos.xml.json"]
    assert sorted(path.name for path in in_openvino.path.parent.iterdir()) == names
    assert set(in_openvino.record["files"]) == set(names[:2])


def test_what_openvino_does_of_its_own(in_openvino: Exported) -> None:
    """Where the processor has bf16 it computes in that, and how far off this is is recorded."""
    contents = tuple(in_openvino.path.with_suffix(suffix).read_bytes() for suffix in (".xml", ".bin"))
    assert len(contents) == 2
    assert kept.asking((contents[0], contents[1]))[1] == "f32"
    own, told = kept.asking((contents[0], contents[1]), {})[1], in_openvino.record["left_to_openvino"]
    if own == "f32":
        assert told is None
    else:
        assert told["precision"] == own and told["n"] == 90
        assert told["largest_probability_difference"] > in_openvino.record["parity"]["largest_probability_difference"]
