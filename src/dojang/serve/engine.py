"""What runs the network: torch as it is, torch with norms folded, ONNX Runtime, OpenVINO; one interface for all.

An engine is given decoded pictures, uint8 (b, h, w, c), and gives the logits over the temperature and, where asked for,
the features in front of the last layer.  Preprocessing behind the 8 bits is part of it, so parity covers that too.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from dojang.models.features import features
from dojang.predict.predictor import Predictor
from dojang.serve.fold import folded
from dojang.train.precision import has_bf16

Pixels = UInt8[np.ndarray, "b h w c"]
Seen = tuple[Float32[np.ndarray, "b d"] | None, Float32[np.ndarray, "b classes"]]
Engine = Callable[[Pixels], Seen]


class Whole(nn.Module):
    """From 8 bits to logits over the temperature, and features where they are asked for, as one module."""

    def __init__(self, predictor: Predictor, model: nn.Module, with_features: bool) -> None:
        super().__init__()
        self.model, self.preprocess = model, predictor.preprocess
        self.temperature, self.with_features = predictor.temperature, with_features

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        images: Tensor = self.preprocess.normalise(pixels)
        if not self.with_features:
            return (self.model(images) / self.temperature,)
        found = features(self.model, images)
        assert found is not None  # asked for of dojang's own networks only
        return found[1] / self.temperature, found[0]


@dataclass(frozen=True)
class Plan:
    """What an engine is made of, so that a process that is begun anew need not measure again.

    Args:
        engine: Its name.
        threads: Of the arithmetic.
        max_batch: Pictures at once.
        seconds: A picture takes, in such a batch.
        model: The ONNX file, for those that read one.
    """

    engine: str = "eager"
    threads: int = 1
    max_batch: int = 16
    seconds: float = 0.01
    model: bytes = b""


def available(device: torch.device) -> list[str]:
    """Engines that this machine could have, the reference first.

    Example:
        >>> available(torch.device("cpu"))[:2]
        ['eager', 'folded']
    """
    names = ["eager", "folded"]
    if has_bf16(device):
        names.append("bf16")
    if device.type == "cpu" and all(map(_there, ("onnx", "onnxscript"))):
        names += [name for name, library in (("onnx", "onnxruntime"), ("openvino", "openvino")) if _there(library)]
    return names


def make(plan: Plan, predictor: Predictor, with_features: bool) -> Engine:
    """The engine of a plan."""
    if plan.engine == "onnx":
        return _onnx(plan, with_features)
    if plan.engine == "openvino":
        return _openvino(plan, with_features)
    return _torch(plan, predictor, with_features)


def _torch(plan: Plan, predictor: Predictor, with_features: bool) -> Engine:
    model, device = predictor.model, predictor.device
    if plan.engine != "eager":
        p = predictor.preprocess
        blank = torch.zeros((1, p.height, p.width, p.channels), dtype=torch.uint8, device=device)
        model, _ = folded(model, p.normalise(blank))
        model = model.to(memory_format=torch.channels_last)
    whole, low = Whole(predictor, model, with_features).eval(), plan.engine == "bf16"

    def run(pixels: np.ndarray) -> Seen:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=low):
            found = whole(torch.from_numpy(np.require(pixels, requirements="W")).to(device))
            logits, *rest = (one.float().cpu().numpy() for one in found)
        return (rest[0] if rest else None), logits

    return run


def in_memory_onnx(predictor: Predictor, with_features: bool) -> bytes:
    """The network behind the 8 bits as an ONNX file of any batch; it never touches a disk.

    Raises:
        Exception: Whatever torch says of a network that it cannot follow.
    """
    p = predictor.preprocess
    whole = Whole(predictor, predictor.model, with_features).eval()
    pixels = torch.zeros((2, p.height, p.width, p.channels), dtype=torch.uint8)
    names = ["logits", "features"][: 1 + with_features]
    # libraries warn of their own affairs
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.export.export(whole, (pixels,), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=False)
        made = torch.onnx.export(
            program, (), dynamo=True, input_names=["pixels"], output_names=names, external_data=False, verbose=False
        )
    assert made is not None
    data: bytes = made.model_proto.SerializeToString()
    return data


def _onnx(plan: Plan, with_features: bool) -> Engine:
    from dojang.export.runtime import runtime

    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = plan.threads
    # threads that spin while there is nothing to do would take the core on which requests are read
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(plan.model, options, providers=["CPUExecutionProvider"])
    names = ["logits", "features"][: 1 + with_features]

    def run(pixels: np.ndarray) -> Seen:
        logits, *rest = session.run(names, {"pixels": pixels})
        return (rest[0] if rest else None), logits

    return run


def _openvino(plan: Plan, with_features: bool) -> Engine:
    from dojang.export.openvino import library

    openvino = library()
    core = openvino.Core()
    settings: dict[str, Any] = {
        # bf16 where the processor has it would be the default, and no longer the same answer
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": plan.threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(core.read_model(plan.model), "CPU", settings).create_infer_request()

    def run(pixels: np.ndarray) -> Seen:
        request.infer([pixels])
        # its memory is used again by the next batch
        found = [request.get_output_tensor(number).data.copy() for number in range(1 + with_features)]
        return (found[1] if with_features else None), found[0]

    return run


def _there(library: str) -> bool:
    return importlib.util.find_spec(library) is not None
