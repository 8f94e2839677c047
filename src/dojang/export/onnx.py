"""A network as an ONNX file: by torch's exporter, which folds batch normalisation into convolutions where it can."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch.export import ExportedProgram

from dojang.errors import ExportError
from dojang.export.about import CONTRACT, INPUT, OUTPUT
from dojang.export.graph import Graph
from dojang.export.runtime import runtime
from dojang.export.tracing import SIDES, impossible

OPSET = 20
# protobuf's own limit is 2 GiB; the graph itself and its texts take a little
_MOST = 2**31 - 2**26

# what answers for pictures of one size
Ask = Callable[[UInt8[np.ndarray, "b h w 3"]], Float32[np.ndarray, "b classes"]]


@dataclass(frozen=True)
class Made:
    """An ONNX model.

    Args:
        data: The file.
        network: Names of the nodes that are the network's: not those before and behind it.
    """

    data: bytes
    network: tuple[str, ...]


def made(graph: Graph, program: ExportedProgram, about: Mapping[str, str]) -> Made:
    """The ONNX model of a traced graph; the same graph gives the same bytes.

    Args:
        about: Its metadata.

    Raises:
        ExportError: E702 for an operation that ONNX does not have, E703 for more than a file can hold.
    """
    import onnx

    size = sum(tensor.numel() * tensor.element_size() for tensor in program.state_dict.values())
    if size > _MOST:
        raise ExportError(
            "E703",
            f"the network's weights are {size / 1e9:.1f} GB; one ONNX file holds 2 GB.",
            fix="--format torch-export",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = torch.onnx.export(
                program,
                (),
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=SIDES,
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
        except Exception as error:
            raise impossible(graph.network, error) from error
    assert found is not None
    model = found.model_proto
    network = tuple(node.name for node in model.graph.node if _scope(node).startswith("network"))
    for part in _graphs(model):
        _forget(part)
    model.producer_name, model.producer_version, model.doc_string = "dojang", about["dojang"], CONTRACT
    model.graph.name = "dojang"
    del model.metadata_props[:]
    for name, text in about.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, text
    onnx.checker.check_model(model, full_check=True)
    return Made(model.SerializeToString(deterministic=True), network)


def asking(data: bytes, threads: int = 0) -> Ask:
    """What ONNX Runtime answers, on the CPU.

    Args:
        threads: 0 for one a core.
    """
    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # errors only: what it says of its own optimisations is for its developers
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def ask(pictures: np.ndarray) -> np.ndarray:
        answer: np.ndarray = session.run([OUTPUT], {INPUT: pictures})[0]
        return answer

    return ask


def _scope(node: Any) -> str:
    """In which part of the module a node was: "network.conv1", "preparation"; empty where that is not known."""
    for entry in node.metadata_props:
        if entry.key == "namespace":
            # ": dojang.export.graph.Graph/network: dojang.models.cnn.CNN/network.conv1: ..."
            parts = entry.value.split("/")
            return parts[1].partition(":")[0] if len(parts) > 1 else ""
    return ""


def _graphs(model: Any) -> Iterable[Any]:
    """The graph, and those inside its nodes."""
    waiting = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        yield graph
        waiting += [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]


def _forget(graph: Any) -> None:
    """Take out what the exporter notes for its developers: lines of source, with the folders of this machine."""
    del graph.metadata_props[:]
    kinds = ("node", "initializer", "value_info", "input", "output")
    for part in (part for kind in kinds for part in getattr(graph, kind, ()) if not isinstance(part, str)):
        del part.metadata_props[:]
        part.doc_string = ""
