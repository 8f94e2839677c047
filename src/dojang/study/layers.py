"""A look into a network: how large the numbers of each layer are, and the gradients that come back to it.

Where numbers shrink from layer to layer, or sit at the flat ends of a sigmoid, the gradient that comes back shrinks,
too, and the first layers learn nothing.  Sources: Glorot and Bengio, "Understanding the difficulty of training deep
feedforward neural networks", AISTATS 2010; He et al., "Delving Deep into Rectifiers", ICCV 2015.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from dojang import seeds
from dojang.models.layers import ACTIVATIONS

#: numbers of each layer that its histogram is of: all, or so many of them drawn at random
SAMPLE = 50_000
#: a sigmoid or tanh is saturated where it is within this share of its range from an end
NEAR = 0.01
_RANGES: dict[type[nn.Module], tuple[float, float]] = {nn.Sigmoid: (0.0, 1.0), nn.Tanh: (-1.0, 1.0)}
_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_ACTIVATIONS: tuple[type[nn.Module], ...] = (
    *{type(make()) for make in ACTIVATIONS.values()},
    *(nn.ReLU6, nn.PReLU, nn.SELU, nn.CELU, nn.Mish, nn.Softplus, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish),
)
_LOOKED_AT: tuple[type[nn.Module], ...] = (*_WEIGHTED, *_ACTIVATIONS)
#: what is measured of a layer
COLUMNS = ("mean", "std", "signal", "dead", "saturated", "gradient", "weight_std", "weight_gradient")


@dataclasses.dataclass(frozen=True)
class Layer:
    """One use of a layer, by what it gave for a batch of pictures.

    Args:
        name: Its path in the network; "relu#2" where it is used for the second time.
        kind: "weights" or "activation".
        type: Of the module.
        units: Its channels or features.
        mean: Of all its numbers, as ``std``, their standard deviation.
        signal: What is left of the differences between pictures: each unit's standard deviation over pictures and
            places, root mean square over units.  Units that differ from each other, but not from picture to picture,
            have a ``std`` and no signal.
        dead: Of an activation: the share of its units that are 0 for all pictures, at all places.
        saturated: Of a sigmoid or tanh: the share of its numbers at the ends, within 1 % of the range.
        gradient: Root mean square of the gradient of the loss by its numbers.
        weight_std: Of its weights (biases are left out).
        weight_gradient: Root mean square of the gradient of the loss by its weights; of a layer used twice, of both.
        values: Its numbers, at most :data:`SAMPLE` of them.
    """

    name: str
    kind: str
    type: str
    units: int
    mean: float
    std: float
    signal: float
    dead: float | None = None
    saturated: float | None = None
    gradient: float | None = None
    weight_std: float | None = None
    weight_gradient: float | None = None
    values: Float32[np.ndarray, " n"] = dataclasses.field(default_factory=lambda: np.zeros(0, np.float32), repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; None for what does not apply or is not finite."""
        found: dict[str, Any] = {name: getattr(self, name) for name in ("name", "kind", "type", "units")}
        return found | {name: finite(getattr(self, name)) for name in COLUMNS}


def look(model: nn.Module, loss: Callable[[nn.Module], Tensor]) -> tuple[Layer, ...]:
    """What each activation and each layer with weights gives, and the gradients that come back to it.

    A copy is asked, in training mode with dropout off: batch normalisation goes by the batch, as in a step.  An
    activation that is a function, not a module (``F.relu`` in a network of one's own), is not seen.

    Args:
        model: Any network; it is left as it was.
        loss: Asks the copy and gives the loss, a scalar with its graph.

    Example:
        >>> x, y = torch.randn(8, 4), torch.arange(8) % 2
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> [(one.name, one.kind) for one in look(net, lambda m: nn.functional.cross_entropy(m(x), y))]
        [('0', 'weights'), ('1', 'activation'), ('2', 'weights')]
    """
    twin = copy.deepcopy(model).train()
    found: list[dict[str, Any]] = []
    seen: list[nn.Module] = []
    for path, layer in twin.named_modules():
        if "Dropout" in type(layer).__name__ or type(layer).__name__ in ("StochasticDepth", "DropPath"):
            layer.eval()
        if isinstance(layer, _LOOKED_AT):
            layer.register_forward_hook(_watch(path, found, seen))
    for parameter in twin.parameters():
        parameter.requires_grad_(True)
        parameter.grad = None
    with torch.enable_grad(), torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seeds.torch_seed("inside"))
        loss(twin).backward()  # type: ignore[no-untyped-call]
    for one, layer in zip(found, seen, strict=True):
        weight = getattr(layer, "weight", None)
        if one["kind"] == "weights" and isinstance(weight, Tensor):
            one["weight_std"] = float(weight.detach().double().std(unbiased=False))
            one["weight_gradient"] = None if weight.grad is None else _rms(weight.grad)
    return tuple(Layer(**one) for one in found)


def _watch(path: str, found: list[dict[str, Any]], seen: list[nn.Module]) -> Callable[[nn.Module, Any, Any], None]:
    def hook(layer: nn.Module, _: Any, output: Any) -> None:
        if not isinstance(output, Tensor):
            return
        use = 1 + sum(layer is other for other in seen)
        one = _described(layer, output.detach())
        one["name"] = path if use == 1 else f"{path}#{use}"
        found.append(one)
        seen.append(layer)
        if output.requires_grad:
            output.register_hook(lambda gradient: one.update(gradient=_rms(gradient)))  # type: ignore[no-untyped-call]

    return hook


def _described(layer: nn.Module, output: Float[Tensor, "b c ..."]) -> dict[str, Any]:
    numbers = output.double()
    one: dict[str, Any] = {"kind": "weights", "type": type(layer).__name__, "units": output.shape[1]}
    one |= {"mean": float(numbers.mean()), "std": float(numbers.std(unbiased=False)), "values": _sample(output)}
    others = [side for side in range(output.ndim) if side != 1]
    one["signal"] = float(numbers.var(dim=others, unbiased=False).mean().sqrt())
    if isinstance(layer, _WEIGHTED):
        return one
    one |= {"kind": "activation", "dead": float((output == 0).all(dim=others).double().mean())}
    if type(layer) in _RANGES:
        low, high = _RANGES[type(layer)]
        margin = NEAR * (high - low)
        one["saturated"] = float(((numbers < low + margin) | (numbers > high - margin)).double().mean())
    return one


def _sample(output: Tensor) -> Float32[np.ndarray, " n"]:
    flat = output.flatten()
    if len(flat) > SAMPLE:
        places = np.arange(SAMPLE, dtype=np.int64)
        flat = flat[torch.from_numpy(seeds.integers(seeds.key("inside"), places, len(flat))).to(flat.device)]
    values: np.ndarray = flat.float().cpu().numpy().copy()
    return values


def _rms(values: Tensor) -> float:
    return float(values.detach().double().square().mean().sqrt())


def finite(value: float | None) -> float | None:
    """A number that JSON has, or None."""
    return value if value is not None and math.isfinite(value) else None


def shared_edges(layers: Sequence[Layer], bins: int = 40) -> Float[np.ndarray, " n"]:
    """Edges of histograms that suit all of some layers: all finite numbers, but for one in a thousand at each end.

    Example:
        >>> one = Layer("a", "weights", "Linear", 1, 0.0, 1.0, 1.0, values=np.array([0, 1, 2], np.float32))
        >>> [round(edge, 1) for edge in shared_edges([one], bins=2).tolist()]
        [0.0, 1.0, 2.0]
    """
    values = np.concatenate([layer.values[np.isfinite(layer.values)] for layer in layers])
    low, high = (float(end) for end in np.quantile(values, [0.001, 0.999])) if len(values) else (0.0, 1.0)
    return np.linspace(low, high if high > low else low + 1, bins + 1)
