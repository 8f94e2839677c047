"""From a run to a file that needs no dojang: made, held against the network on real pictures, and only then written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dojang import files
from dojang.data.manifest import pasted
from dojang.errors import ConfigError, many
from dojang.export import formats, onnx, openvino, parity
from dojang.export.about import FORMAT, about
from dojang.export.formats import Candidate, Format
from dojang.export.graph import Graph
from dojang.export.int8 import CALIBRATION, cost, quantised, scored_on
from dojang.export.real import Picture, Real
from dojang.export.tracing import traced
from dojang.predict.predictor import Predictor
from dojang.runs import folder as names
from dojang.runs import validate as validation
from dojang.runs.exported import Exported
from dojang.train.log import Reporter, Silent

#: of the record beside the files
RECORD = ".json"
# where pictures are taken from; those of test are for the end of training, and serve only where there are no others
_SPLITS = ("val", "train", "", "test")


def export(
    run: str | Path,
    format: str = "onnx",
    *,
    out: str | os.PathLike[str] | None = None,
    int8: bool = False,
    data: Any = None,
    model: nn.Module | str | None = None,
    exist_ok: bool = False,
    reporter: Reporter | None = None,
) -> Exported:
    """Write a trained network as one graph: uint8 RGB pictures of any size in, probabilities out.

    Args:
        run: A run folder or a weights file.
        format: "onnx", "torch-export" or "openvino".
        out: The file; None puts it beside the weights.
        int8: The network in 8 bits (onnx only), with the accuracy of each class before and after.
        data: Where the run's pictures are now, or, for weights without a run, pictures to check on.
        model: For weights of a model of one's own: an object, or ``FILE.py:CLASS``.
        exist_ok: Replace files that are there.

    Raises:
        ExportError: E701 where the graph does not answer as the network, and nothing is written; E702 for a network
            that cannot be exported, E703 for one that is too large for the format.
        ConfigError: C202 for a format that does not exist and for a file that is there already, C250 for libraries
            that are not installed; those of :class:`dojang.export.real.Real` where there are no pictures.
        DataError: D121 for ``int8`` without pictures to see ranges on, or to be judged on.
    """
    reporter = reporter or Silent()
    kind = formats.named(format)
    if int8 and format != "onnx":
        raise ConfigError("C202", f"--int8 makes ONNX files, and --format is {format}.", fix="--format onnx --int8")
    weights = names.weights_of(run)
    places = _places(weights, kind, out, int8)
    if not exist_ok:
        other = places[0].with_stem(f"{places[0].stem}-2")
        for place in places:
            files.must_be_new(place, fix=f"--exist-ok, or --out {pasted(str(other))}")
    predictor = validation.load(run, model=model, device="cpu")
    real = Real(run, data, predictor.labels, predictor.preprocess)
    judged_on = scored_on(real) if int8 else ""
    said, threads = about(predictor, weights), torch.get_num_threads()
    graph = Graph(predictor, kind.branch)
    found = formats.candidate(format, graph, traced(graph), said, threads)
    told: dict[str, Any] = {"format": FORMAT, "export": format, **found.facts, "threads": threads}
    told["parity"] = parity.check(found.ask, predictor, _checked(real, reporter)).as_dict()
    if format == "openvino":
        told["left_to_openvino"] = _left_to_openvino(found, predictor, _checked(real, reporter))
    if int8:
        found, told["int8"] = _in_8_bits(found, said, predictor, real, judged_on, threads, reporter)
    reporter.end()
    if real.left_out:
        reporter.note(f"{many(len(real.left_out), 'picture')} left out: changed since, or cannot be read")
    contents = dict(zip(places, found.contents, strict=False))
    told |= {
        "source": {"weights": str(weights), "sha256": said["source_sha256"]},
        "labels": list(predictor.labels),
        "versions": {"dojang": said["dojang"]} | formats.versions(format),
        "files": {path.name: {"bytes": len(data), "sha256": files.sha256(data)} for path, data in contents.items()},
    }
    if len(contents) > 1 and exist_ok:
        # or the old one would for a moment stand beside what is not its own
        files.remove(places[0])
    # the one to open comes last: where it is, the others are
    for path in reversed(contents):
        files.write_bytes(path, contents[path])
    files.write_json(places[-1], told)
    return Exported(places[0], told)


def _places(weights: Path, kind: Format, out: str | os.PathLike[str] | None, int8: bool) -> list[Path]:
    """Where the files go, and their record."""
    suffix = kind.suffixes[0]
    if out is None:
        path = weights.with_name(f"{weights.stem}{'-int8' if int8 else ''}{suffix}")
    else:
        path = Path(out)
        if path.suffix != suffix:
            raise ConfigError(
                "C202",
                f"--out {os.fspath(out)!r} must end in {suffix} for this format.",
                fix=f"--out {pasted(str(path.with_suffix(suffix)))}",
            )
    return [*(path.with_suffix(suffix) for suffix in kind.suffixes), path.with_name(path.name + RECORD)]


def _checked(real: Real, reporter: Reporter) -> Iterator[Picture]:
    """The pictures on which answers are held against each other."""
    total = min(parity.PICTURES, sum(real.count(split) for split in _SPLITS))
    for done, picture in enumerate(real.some(_SPLITS, parity.PICTURES), 1):
        yield picture
        reporter.preparing("checking", done, total)


def _left_to_openvino(found: Candidate, predictor: Predictor, pictures: Iterator[Picture]) -> dict[str, Any] | None:
    """How far answers are off where OpenVINO chooses the precision; None where it chooses the exact one."""
    ask, precision = openvino.asking((found.contents[0], found.contents[1]), {})
    if precision == "f32":
        return None
    n = other = 0
    gap = 0.0
    for picture in pictures:
        n += 1
        exact, theirs = found.ask(picture.pixels[None])[0], ask(picture.pixels[None])[0]
        other += int(exact.argmax() != theirs.argmax())
        gap = max(gap, float(abs(exact - theirs).max()))
    return {"precision": precision, "n": n, "top1_different": other, "largest_probability_difference": gap}


def _in_8_bits(
    found: Candidate,
    said: dict[str, str],
    predictor: Predictor,
    real: Real,
    split: str,
    threads: int,
    reporter: Reporter,
) -> tuple[Candidate, dict[str, Any]]:
    """The candidate in 8 bits, and what that costs."""
    assert found.onnx is not None

    def shown(pictures: Iterator[Picture], stage: str, total: int) -> Iterator[Picture]:
        for done, picture in enumerate(pictures, 1):
            yield picture
            reporter.preparing(stage, done, total)

    most = min(CALIBRATION, real.count("train"))
    data, calibrated = quantised(found.onnx, said, shown(real.some(("train",), CALIBRATION), "calibrating on", most))
    ask = onnx.asking(data, threads)
    judged = shown(real.all(split), "judging on", real.count(split))
    told = cost(ask, predictor, judged, split, calibrated).as_dict()
    return Candidate((data,), ask, found.facts), told
