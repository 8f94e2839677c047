"""The network's part of an ONNX model in 8 bits, and what that costs: accuracy of each class before and after.

Quantised are weights (a scale for each output channel) and what flows between layers (a range seen on training
pictures); what lies before and behind the network stays as it is.  Weights get 7 of the 8 bits: processors without VNNI
add two products in 16 bits, which 8 bits can overflow, and a file is to answer alike on all of them.
Source: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from __future__ import annotations

import contextlib
import logging
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from jaxtyping import Int64

from dojang import folders
from dojang.errors import DataError
from dojang.export.about import INPUT
from dojang.export.onnx import Ask, Made
from dojang.export.real import Picture, Real
from dojang.export.runtime import runtime
from dojang.metrics.intervals import proportion
from dojang.metrics.paired import difference
from dojang.predict.predictor import Predictor, batches

#: training pictures on which ranges are seen
CALIBRATION = 200
# pictures that the network in float32 is asked about at a time
_BATCH = 32


@dataclass(frozen=True)
class Cost:
    """What 8 bits cost.

    Args:
        split: Whose pictures were asked about.
        labels: Names of the classes.
        n, before, after: Pictures of each class, and right answers before and after.
        lost, won: Answers that were right before only, and after only.
        same: Answers with the same label.
        gap: The largest difference of two probabilities.
        calibrated: Training pictures on which ranges were seen.
        seconds: That the graph takes for one picture, the median.
    """

    split: str
    labels: tuple[str, ...]
    n: Int64[np.ndarray, " classes"]
    before: Int64[np.ndarray, " classes"]
    after: Int64[np.ndarray, " classes"]
    lost: int
    won: int
    same: int
    gap: float
    calibrated: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        total = int(self.n.sum())
        classes = zip(self.labels, self.n.tolist(), self.before.tolist(), self.after.tolist(), strict=True)
        return {
            "calibrated_on": {"train": self.calibrated},
            "split": self.split,
            "n": total,
            "top1_before": proportion(int(self.before.sum()), total).as_dict(),
            "top1_after": proportion(int(self.after.sum()), total).as_dict(),
            "difference": difference(self.lost, self.won, total).as_dict(),
            "right_before_only": self.lost,
            "right_after_only": self.won,
            "same_label": self.same,
            "largest_probability_difference": self.gap,
            "seconds_a_picture": self.seconds,
            "per_class": [
                {
                    "label": label,
                    "n": n,
                    "accuracy_before": before / n if n else None,
                    "accuracy_after": after / n if n else None,
                }
                for label, n, before, after in classes
            ],
        }


def scored_on(real: Real) -> str:
    """The split on which 8 bits are judged: val, without it test; never what ranges are seen on.

    Raises:
        DataError: D121 for data without a training part, or with nothing else.
    """
    split = next((name for name in ("val", "test") if real.count(name)), None)
    if split is None or not real.count("train"):
        missing = "'train'" if split else "'val' or 'test'"
        raise DataError(
            "D121",
            f"the data has no {missing} pictures: --int8 sees ranges on training pictures, and is judged on others.",
            fix="dojang split DATA --tree NEW, and --data NEW.",
        )
    return split


def quantised(model: Made, about: Mapping[str, str], pictures: Iterable[Picture]) -> tuple[bytes, int]:
    """The model with its network in 8 bits, and the number of pictures on which ranges were seen.

    Args:
        model: In float32.
        about: Its metadata.
        pictures: Of the training part.
    """
    import onnx

    # before any part of it is imported
    runtime()
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        """Pictures, one at a time, as the quantiser wants them."""

        def __init__(self) -> None:
            self.left, self.done = iter(pictures), 0

        def get_next(self) -> dict[str, np.ndarray] | None:
            found = next(self.left, None)
            self.done += found is not None
            return None if found is None else {INPUT: found.pixels[None]}

    reader = Reader()
    with folders.scratch() as folder, _quiet():
        quantization.quantize_static(
            onnx.load_from_string(model.data),
            folder / "int8.onnx",
            reader,
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            nodes_to_quantize=list(model.network),
        )
        found = onnx.load(folder / "int8.onnx")
    _in_order(found.graph)
    # the library adds marks of its own, and names itself
    found.producer_name, found.producer_version = "dojang", about["dojang"]
    del found.metadata_props[:]
    for name, text in (*about.items(), ("precision", "int8")):
        entry = found.metadata_props.add()
        entry.key, entry.value = name, text
    onnx.checker.check_model(found, full_check=True)
    return found.SerializeToString(deterministic=True), reader.done


def _in_order(graph: Any) -> None:
    """Put each node behind those that it reads, also from inside a branch; the library looks at its inputs only."""
    waiting, made = [*graph.node], {one.name for one in (*graph.input, *graph.initializer)} | {""}
    sorted_ = []
    while waiting:
        ready = [node for node in waiting if _read(node) <= made]
        assert ready, "a graph without a circle"
        sorted_ += ready
        made |= {name for node in ready for name in node.output}
        waiting = [node for node in waiting if not set(node.output) <= made]
    del graph.node[:]
    graph.node.extend(sorted_)


def _read(node: Any) -> set[str]:
    """Names of what a node needs that it does not make itself."""
    needs = set(node.input)
    for graph in (attribute.g for attribute in node.attribute if attribute.HasField("g")):
        inside = {one.name for one in (*graph.input, *graph.initializer)}
        inside |= {name for one in graph.node for name in one.output}
        needs |= {name for one in graph.node for name in _read(one)} - inside
        needs |= {one.name for one in graph.output} - inside
    return needs


def cost(ask: Ask, predictor: Predictor, pictures: Iterable[Picture], split: str, calibrated: int) -> Cost:
    """Both asked about the same pictures.

    Args:
        ask: The model in 8 bits.
        predictor: The network in float32.
        pictures: All of a split.
        calibrated: Training pictures on which ranges were seen.
    """
    n, before, after = (np.zeros(len(predictor.labels), np.int64) for _ in range(3))
    lost = won = same = 0
    gap, seconds = 0.0, list[float]()

    def asked() -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Label, network's input and the graph's answer; a camera's picture itself is not kept."""
        for picture in pictures:
            began = time.perf_counter()
            theirs = ask(picture.pixels[None])[0]
            seconds.append(time.perf_counter() - began)
            yield picture.label, predictor.preprocess.picture(picture.data, picture.name), theirs

    # one by one the network would take several times as long
    for some in batches(asked(), _BATCH):
        rows = predictor.probabilities(np.stack([seen for _, seen, _ in some]))
        for (label, _, theirs), ours in zip(some, rows, strict=True):
            was, now = int(ours.argmax()) == label, int(theirs.argmax()) == label
            n[label] += 1
            before[label] += was
            after[label] += now
            lost, won = lost + (was and not now), won + (now and not was)
            same += int(ours.argmax() == theirs.argmax())
            gap = max(gap, float(np.abs(ours - theirs).max()))
    return Cost(split, predictor.labels, n, before, after, lost, won, same, gap, calibrated, median(seconds or [0.0]))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The library speaks through the program's own log, and would give that a place to print if it had none."""
    root, nowhere = logging.getLogger(), logging.NullHandler()

    def others(record: logging.LogRecord) -> bool:
        return "onnxruntime" not in record.pathname

    root.addHandler(nowhere)
    root.addFilter(others)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeFilter(others)
        root.removeHandler(nowhere)
