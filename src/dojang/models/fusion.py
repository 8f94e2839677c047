"""Runs a row of layers, and neighbours that native kernels do in one go as one: pooling, normalisation, activation.

The network stays what it says it is, ordinary layers with ordinary names and weights; only training takes the short
way, where nothing looks at the maps between them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dojang.native import blocks, compiler, convolution


def run(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    """What ``layers`` make of ``x``, one after the other."""
    index = 0
    short = torch.is_grad_enabled() and x.device.type == "cpu" and compiler.library("blocks") is not None
    low = short and torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    while index < len(layers):
        length = 0
        if short and x.ndim == 4:
            pool, norm, act, length = match(layers[index : index + 3])
        if length and (norm is not None or act != "none"):
            x = blocks.fused(x, pool=pool, norm=None if norm is None else _facts(norm), act=act)
            index += length
        elif low and _one_channel(layers[index]) and compiler.processor_has("amx_bf16"):
            # bf16 convolutions of one channel are far slower there than fp32 ones: matrix units want wide rows
            with torch.autocast("cpu", enabled=False):
                x = layers[index](x.float())
            index += 1
        elif low and convolves(layers[index], x):
            x = convolution.conv3x3(x.to(torch.bfloat16), layers[index].weight)  # type: ignore[arg-type]
            index += 1
        else:
            x = layers[index](x)
            index += 1
    return x


def match(layers: Sequence[nn.Module]) -> tuple[bool, nn.BatchNorm2d | None, str, int]:
    """Pooling, normalisation and activation at the beginning of ``layers``, and how many layers that is.

    Example:
        >>> match([nn.MaxPool2d(2), nn.ReLU(), nn.Flatten()])
        (True, None, 'relu', 2)
        >>> match([nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()])
        (True, None, 'relu', 2)
    """
    if not all(layer.training and not _watched(layer) for layer in layers):
        return False, None, "none", 0
    if len(layers) > 1 and isinstance(layers[0], nn.ReLU) and _pools(layers[1]):
        # the larger of two numbers stays the larger without its negative part: the same bits, a quarter of the work
        return True, None, "relu", 2
    pool, norm, act, length = False, None, "none", 0
    if layers and _pools(layers[0]):
        pool, length = True, 1
    if length < len(layers) and _normalises(layers[length]):
        norm, length = layers[length], length + 1
    if length < len(layers) and _activation(layers[length]) != "none":
        act, length = _activation(layers[length]), length + 1
    return pool, norm, act, length  # type: ignore[return-value]


def _watched(layer: nn.Module) -> bool:
    """Whether somebody wants to see the maps or gradients at this layer."""
    hooks = (layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks, layer._backward_pre_hooks)
    return any(hooks)


def _one_channel(layer: nn.Module) -> bool:
    return type(layer) is nn.Conv2d and layer.in_channels == 1


def convolves(layer: nn.Module, x: Tensor) -> bool:
    """Whether this is a convolution whose weights' gradient the kernel is for."""
    if type(layer) is not nn.Conv2d or not layer.training or _watched(layer):
        return False
    plain = layer.stride == layer.padding == layer.dilation == (1, 1) and layer.groups == 1 and layer.bias is None
    known = layer.padding_mode == "zeros" and layer.weight.dtype == torch.float32 and layer.weight.requires_grad
    return plain and known and x.ndim == 4 and convolution.suits(layer.weight)


def _pools(layer: nn.Module) -> bool:
    if type(layer) is not nn.MaxPool2d or layer.return_indices:
        return False
    kernel, stride = (v if isinstance(v, tuple) else (v, v) for v in (layer.kernel_size, layer.stride))
    return (
        kernel == stride == (2, 2)
        and layer.padding in (0, (0, 0))
        and layer.dilation in (1, (1, 1))
        and not layer.ceil_mode
    )


def _normalises(layer: nn.Module) -> bool:
    return type(layer) is nn.BatchNorm2d and layer.track_running_stats and layer.momentum is not None


def _activation(layer: nn.Module) -> str:
    if type(layer) is nn.ReLU:
        return "relu"
    if type(layer) is nn.SiLU:
        return "silu"
    return "gelu" if type(layer) is nn.GELU and layer.approximate == "tanh" else "none"


def _facts(layer: nn.BatchNorm2d) -> blocks.Norm:
    if layer.num_batches_tracked is not None:
        layer.num_batches_tracked.add_(1)
    momentum = layer.momentum or 0.0
    return blocks.Norm(layer.weight, layer.bias, layer.running_mean, layer.running_var, momentum, layer.eps)
