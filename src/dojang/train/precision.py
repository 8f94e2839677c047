"""The arithmetic of a run: device, threads, precision, decided once and recorded."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dojang.data.ahead import cores
from dojang.errors import ConfigError
from dojang.models import fusion
from dojang.native import compiler, convolution

# a bf16 number has 8 bits: sums of products come within 0.4 %; a wrong kernel is off by far more
_TOLERANCE = 0.02


def device_named(name: str) -> torch.device:
    """The device for "auto", "cpu", "cuda", "cuda:N", "N" or "mps".

    Raises:
        ConfigError: C230 for a device that is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    text = f"cuda:{name}" if name.isdigit() else name
    try:
        device = torch.device(text)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError("C230", f"device {name!r} cannot be used: {reason}", fix="--device cpu") from None
    return device


def threads_given(threads: int | None) -> int:
    """The number of CPU threads to use: the one given, or one a core that this process may use."""
    # torch counts real cores where it can; two threads on one core gain nothing
    return threads or min(cores(), torch.get_num_threads())


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Run the network's matrix work in bf16 over fp32 weights, or leave everything in fp32."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies in bf16 faster than in fp32: AMX or AVX512-BF16 on a CPU, a recent GPU.

    Where nothing is known (not Linux), the answer is no: fp32 is right everywhere.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    return compiler.processor_has("amx_bf16", "avx512_bf16")


@dataclass(frozen=True)
class Agreement:
    """How far a network's layers are off in bf16: the worst layer, where it is worst, and by how much."""

    layer: str
    what: str
    error: float

    @property
    def close(self) -> bool:
        """Whether bf16 can be trusted here."""
        return self.error <= _TOLERANCE

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; an error that is not finite is null."""
        return {"layer": self.layer, "what": self.what, "error": self.error if math.isfinite(self.error) else None}


def compare(model: nn.Module, images: Tensor) -> Agreement:
    """Run every convolution and dense layer of a network in bf16 and in fp32, forward and both ways back.

    bf16 kernels of CPUs have been wrong for some shapes (pytorch #163347, #169688); a network is not to be trained with
    such a one.  Both see the same numbers, rounded to bf16.

    Args:
        images: A batch as training has it, (b, c, h, w).
    """
    worst = Agreement("", "", 0.0)
    for name, layer, seen in _inputs(model, images):
        results, slope = [], None
        for kind in (torch.bfloat16, torch.float32):
            x = seen.detach().bfloat16().to(kind).requires_grad_(True)
            weight = layer.weight.detach().bfloat16().to(kind).requires_grad_(True)
            y = _apply(layer, x, weight)
            if slope is None:
                # a gradient without structure: the signs of the pseudo-random low bits of a ramp
                slope = torch.linspace(0, 1e4, y.numel(), device=y.device).sin_().view(y.shape).bfloat16()
            grads = torch.autograd.grad(y, (x, weight), slope.to(kind))
            results.append((y.detach(), *grads))
        for what, low, high in zip(("forward", "data gradient", "weight gradient"), *results, strict=True):
            scale = float(high.norm())
            # in place: these are the largest numbers of a run
            error = float(high.sub_(low).norm()) / (scale or 1.0)
            # NaN is worse than any number, and stays the worst
            if not (error <= worst.error or math.isnan(worst.error)):
                worst = Agreement(name, what, error)
    return worst


def _apply(layer: nn.Conv2d | nn.Linear, x: Tensor, weight: Tensor) -> Tensor:
    if x.dtype == torch.bfloat16 and fusion.convolves(layer, x):
        return convolution.conv3x3(x, weight)
    if isinstance(layer, nn.Conv2d):
        answer: Tensor = layer._conv_forward(x, weight, None)
        return answer
    return nn.functional.linear(x, weight)


@torch.no_grad()
def _inputs(model: nn.Module, images: Tensor) -> Iterator[tuple[str, nn.Conv2d | nn.Linear, Tensor]]:
    """Every plain convolution and dense layer that a batch goes through, with what it is given there."""
    found: list[tuple[str, nn.Conv2d | nn.Linear, Tensor]] = []
    hooks = []
    for name, layer in model.named_modules():
        if type(layer) is nn.Conv2d or type(layer) is nn.Linear:

            def note(layer: nn.Conv2d | nn.Linear, args: tuple[Tensor, ...], name: str = name) -> None:
                found.append((name, layer, args[0]))

            hooks.append(layer.register_forward_pre_hook(note))
    was_training = model.training
    try:
        model.eval()(images)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    found.reverse()
    with torch.enable_grad():
        while found:
            yield found.pop()
