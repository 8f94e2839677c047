"""The formats: what each makes of a traced graph, and how it is asked."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch.export import ExportedProgram

from dojang.errors import ConfigError, listing
from dojang.export import onnx, openvino, torch_export
from dojang.export.graph import Graph
from dojang.export.onnx import Ask, Made


@dataclass(frozen=True)
class Format:
    """A format.

    Args:
        suffixes: Of its files; the first is the one to open.
        extra: Of dojang, that brings its libraries.
        libraries: That must be there.
        branch: Whether its graph may branch. OpenVINO 2026.4 reads what a branch gives before it is there, in the first
            inference; parity on real pictures found that.
    """

    suffixes: tuple[str, ...]
    extra: str
    libraries: tuple[str, ...]
    branch: bool = True


FORMATS = {
    "onnx": Format((".onnx",), "export", ("onnx", "onnxscript", "onnxruntime")),
    "torch-export": Format((".pt2",), "", ()),
    "openvino": Format((".xml", ".bin"), "export,openvino", ("onnx", "onnxscript", "openvino"), branch=False),
}


@dataclass(frozen=True)
class Candidate:
    """An exported network that is nowhere written yet.

    Args:
        contents: Of its files.
        ask: What it answers.
        facts: To be recorded.
        onnx: The model, where it is one.
    """

    contents: tuple[bytes, ...]
    ask: Ask
    facts: Mapping[str, Any]
    onnx: Made | None = None


def named(name: str) -> Format:
    """A format, all of whose libraries are installed.

    Raises:
        ConfigError: C202 for a name that is none, C250 where a library is missing.
    """
    if name not in FORMATS:
        raise ConfigError(
            "C202", f"--format cannot be {name!r}; expected one of {', '.join(FORMATS)}.", fix="--format onnx"
        )
    found = FORMATS[name]
    missing = [library for library in found.libraries if importlib.util.find_spec(library) is None]
    if missing:
        said = f"--format {name} needs {listing(missing)}, not installed here."
        raise ConfigError("C250", said, fix=f'pip install "dojang[{found.extra}]"')
    return found


def versions(name: str) -> dict[str, str]:
    """Of the libraries that decide what a file is."""
    return {library: importlib.metadata.version(library) for library in ("torch", *FORMATS[name].libraries)}


def candidate(name: str, graph: Graph, program: ExportedProgram, about: Mapping[str, str], threads: int) -> Candidate:
    """A graph in a format.

    Raises:
        ExportError: E702, E703 where the format cannot hold it.
    """
    if name == "torch-export":
        data = torch_export.made(program, about)
        return Candidate((data,), torch_export.asking(data), {})
    model = onnx.made(graph, program, about)
    facts = {"opset": onnx.OPSET}
    if name == "onnx":
        return Candidate((model.data,), onnx.asking(model.data, threads), facts, model)
    both = openvino.made(model.data, about)
    return Candidate(both, openvino.asking(both)[0], facts | {"settings": dict(openvino.EXACT)}, model)
