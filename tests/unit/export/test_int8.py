"""A network in 8 bits: what is quantised, and that the figures beside it are what others count."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import dojang
from dojang.export import int8
from dojang.export.int8 import Cost
from dojang.export.real import Picture, Real
from dojang.runs.exported import Exported


@pytest.fixture(scope="module")
def val(grey: Path) -> list[Picture]:
    """The run's validation pictures."""
    predictor = dojang.Run(grey).predictor("cpu")
    return list(Real(grey, None, predictor.labels, predictor.preprocess).all("val"))


@pytest.fixture(scope="module")
def network(shipped_grey: Exported) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(shipped_grey.path, providers=["CPUExecutionProvider"])


def test_its_figures_are_what_others_count(
    grey: Path, shipped_grey: Exported, val: list[Picture], network: onnxruntime.InferenceSession
) -> None:
    told, predictor = shipped_grey.record["int8"], dojang.Run(grey).predictor("cpu")
    assert len(val) == told["n"] == 20 and told["split"] == "val" and told["calibrated_on"] == {"train": 70}
    labels = np.array([one.label for one in val])
    before = np.stack([predictor.probabilities(predictor.preprocess.picture(one.data, "")[None])[0] for one in val])
    after = np.concatenate([network.run(None, {"pictures": one.pixels[None]})[0] for one in val])
    right = before.argmax(1) == labels, after.argmax(1) == labels
    assert told["top1_before"]["value"] == pytest.approx(right[0].mean())
    assert told["top1_after"]["value"] == pytest.approx(right[1].mean())
    assert told["right_before_only"] == (right[0] & ~right[1]).sum()
    assert told["right_after_only"] == (right[1] & ~right[0]).sum()
    assert told["same_label"] == (before.argmax(1) == after.argmax(1)).sum()
    assert told["largest_probability_difference"] == pytest.approx(np.abs(before - after).max(), rel=1e-3)
    # 8 bits are not float32, and not another network
    assert 1e-4 < told["largest_probability_difference"] < 0.3
    for i, row in enumerate(told["per_class"]):
        here = labels == i
        assert row["label"] == predictor.labels[i] and row["n"] == here.sum() > 0
        assert row["accuracy_before"] == pytest.approx(right[0][here].mean())
        assert row["accuracy_after"] == pytest.approx(right[1][here].mean())
    # of the graph in float32 that it is made of
    assert shipped_grey.record["parity"]["largest_probability_difference"] < 1e-5


def test_only_the_network_is_in_8_bits(shipped_grey: Exported) -> None:
    """Weights are whole numbers of 8 bits; what prepares pictures stays exact."""
    model = onnx.load(shipped_grey.path)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("QuantizeLinear") >= 4
    wide = [one for one in model.graph.initializer if one.data_type == onnx.TensorProto.INT8 and len(one.dims) > 1]
    assert [len(one.dims) for one in wide].count(4) == 2 and [len(one.dims) for one in wide].count(2) == 2
    # 7 of 8 bits: what adds two products in 16 bits must not overflow
    assert all(np.abs(onnx.numpy_helper.to_array(one)).max() <= 64 for one in wide)
    double = {one.name for one in model.graph.value_info if one.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE}
    quantised = {name for node in model.graph.node if node.op_type == "QuantizeLinear" for name in node.input}
    assert double and not double & quantised


def test_it_says_that_it_is(network: onnxruntime.InferenceSession) -> None:
    said = network.get_modelmeta().custom_metadata_map
    assert said["precision"] == "int8" and json.loads(said["labels"]) == ["0", "1", "2"]
    assert network.get_modelmeta().producer_name == "dojang"


def test_it_takes_any_size_and_batch(network: onnxruntime.InferenceSession) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 31, 12, 3)).astype(np.uint8)
    together = network.run(None, {"pictures": pixels})[0]
    alone = np.concatenate([network.run(None, {"pictures": one[None]})[0] for one in pixels])
    assert together.shape == (5, 3) and np.abs(together - alone).max() < 1e-5
    assert together.sum(1) == pytest.approx(np.ones(5), abs=1e-5)


def test_programs_log_as_they_did(caplog: pytest.LogCaptureFixture) -> None:
    """The library speaks through the root's log; what is done against that keeps nobody else's word, and is undone."""
    root = logging.getLogger()
    before = [*root.handlers], [*root.filters]
    with int8._quiet():
        for path in ("/any/onnxruntime/quantization/quantize.py", "/any/program.py"):
            root.handle(logging.LogRecord("root", logging.WARNING, path, 1, "from " + path, (), None))
    assert [record.pathname for record in caplog.records] == ["/any/program.py"]
    assert ([*root.handlers], [*root.filters]) == before


def test_a_class_without_pictures_has_no_accuracy() -> None:
    n, before, after = np.array([4, 0]), np.array([3, 0]), np.array([4, 0])
    told = Cost("val", ("a", "b"), n, before, after, 0, 1, 3, 0.1, 9, 0.01).as_dict()
    assert told["per_class"][1] == {"label": "b", "n": 0, "accuracy_before": None, "accuracy_after": None}
    assert told["per_class"][0]["accuracy_before"] == 0.75 and told["difference"]["value"] == 0.25
