"""A network as OpenVINO's two files (.xml, .bin), read by OpenVINO from the ONNX model.

OpenVINO's CPU plugin has no float64, in which the resize is exact; in float32 a pixel here and there is one
level off.  And where the processor has bf16, it computes in that unless it is told not to.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from dojang import files, folders
from dojang.errors import ExportError
from dojang.export.onnx import Ask

#: what must be said to OpenVINO, for the answers that were checked
EXACT = {"INFERENCE_PRECISION_HINT": "f32"}


def made(model: bytes, about: Mapping[str, str]) -> tuple[bytes, bytes]:
    """The .xml and the .bin.

    Args:
        model: The ONNX file.
        about: Its metadata.

    Raises:
        ExportError: E702 for a model that OpenVINO cannot read.
    """
    openvino = library()
    with folders.scratch() as folder:
        files.write_bytes(folder / "model.onnx", model, flush=False)
        try:
            found = openvino.Core().read_model(folder / "model.onnx")
        except Exception as error:
            raise ExportError(
                "E702",
                f"OpenVINO cannot read the network: {str(error).strip().splitlines()[-1][:300]}",
                fix="--format onnx",
            ) from error
        for name, text in about.items():
            found.set_rt_info(text, [name])
        # not save_model: it would make halves of the weights
        openvino.serialize(found, folder / "model.xml", folder / "model.bin")
        return (folder / "model.xml").read_bytes(), (folder / "model.bin").read_bytes()


def asking(contents: tuple[bytes, bytes], settings: Mapping[str, str] = EXACT) -> tuple[Ask, str]:
    """What OpenVINO answers on the CPU, and in which precision it computes.

    Args:
        contents: From :func:`made`.
        settings: None of them leaves all to OpenVINO, as most of its users do.
    """
    openvino = library()
    core = openvino.Core()
    model = core.compile_model(core.read_model(*contents), "CPU", dict(settings))

    def ask(pictures: np.ndarray) -> np.ndarray:
        answer: np.ndarray = model(pictures)[0]
        return answer

    return ask, str(model.get_property("INFERENCE_PRECISION_HINT").get_type_name())


def library() -> Any:
    """The library, without the telemetry that it would send where it is imported."""
    telemetry = "openvino_telemetry"
    if "openvino" not in sys.modules and telemetry not in sys.modules:
        # None in the table of modules is Python's word for one that is not there; OpenVINO then does without
        sys.modules[telemetry] = None  # type: ignore[assignment]
        try:
            import openvino
        finally:
            del sys.modules[telemetry]
    import openvino

    return openvino
