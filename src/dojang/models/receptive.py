"""Receptive fields: which pixels a number inside a network can see, right also where roads branch and meet again.

Every operation of a forward pass is followed below the layers, so any network can be asked, whatever its code looks
like; no arithmetic is done (tensors on the "meta" device have shapes only).  A field is kept for each side as three
numbers: where that of the first position begins, how long it is, and how far the next one lies.  A window of k at
stride s makes a field f at distance j one of f + (k - 1) j at distance j s; where two roads meet the union counts.
Source: Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019,
doi 10.23915/distill.00021.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode


@dataclasses.dataclass(frozen=True)
class Side:
    """The fields along one side of the picture, in pixels.

    Args:
        start: Where the field of the first position begins; negative where it reaches into the padding.
        size: How long each field is.
        jump: From one position's field to the next one's.
    """

    start: float
    size: float
    jump: float

    def window(self, size: int, stride: int, padding: float, dilation: int = 1) -> Side:
        """Behind a window.

        >>> Side(0, 1, 1).window(3, 2, 1).window(3, 2, 1)
        Side(start=-3, size=7, jump=4)
        """
        reach = dilation * (size - 1)
        return Side(self.start - padding * self.jump, self.size + reach * self.jump, self.jump * stride)

    def union(self, other: Side) -> Side:
        """What both see together; they are expected to have one jump."""
        start, end = min(self.start, other.start), max(self.start + self.size, other.start + other.size)
        return Side(start, end - start, max(self.jump, other.jump))

    def whole(self, positions: int) -> Side:
        """What all positions see together."""
        return Side(self.start, self.size + (positions - 1) * self.jump, 0)


@dataclasses.dataclass(frozen=True)
class Field:
    """The fields of a map, down the height and across the width."""

    down: Side
    across: Side

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of each field in pixels; it may be larger than the picture."""
        return round(self.down.size), round(self.across.size)

    @property
    def stride(self) -> tuple[int, int]:
        """Pixels from one position's field to the next one's; 0 where there is one position."""
        return round(self.down.jump), round(self.across.jump)

    def union(self, other: Field) -> Field:
        """What both see together."""
        return Field(self.down.union(other.down), self.across.union(other.across))


_PIXELS = Field(Side(0, 1, 1), Side(0, 1, 1))
_aten = torch.ops.aten


class Tracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is on, it follows the fields of every tensor that a picture goes into, and counts multiplications.

    ``macs`` is the number of multiplications (each with its addition) of convolutions and matrix products so far.

    Args:
        image: The picture, (b, c, h, w).

    Example:
        >>> image = torch.zeros(1, 3, 32, 32, device="meta")
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3)).to("meta")
        >>> with torch.no_grad(), Tracker(image) as tracker:
        ...     found = tracker.field(net(image))
        >>> found.size, found.stride
        ((8, 8), (2, 2))
    """

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # the tensors are kept, so that no identity comes twice
        self._known: dict[int, tuple[Tensor, Field | None, int]] = {id(image): (image, _PIXELS, 0)}
        self.macs = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # nothing is compiled while it is on; to make sure of that torch would import its compiler, which takes seconds
        return False

    def field(self, tensor: Tensor) -> Field | None:
        """What each position of a map sees; None where that is not known, or the picture did not go into it."""
        return self._known.get(id(tensor), (None, None, 0))[1]

    def depth(self, tensor: Tensor) -> int:
        """How many convolutions and matrix products lie between the picture and a tensor, on the longest road."""
        return self._known.get(id(tensor), (None, None, 0))[2]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        cost = _COSTS.get(func.overloadpacket)
        if cost is not None:
            self.macs += cost(args, tensors(out)[0])
        seen = [tensor for tensor in tensors((args, kwargs)) if id(tensor) in self._known]
        results = tensors(out)
        if seen and results:
            rule = _RULES.get(func.overloadpacket)
            fields = [one for tensor in seen if (one := self.field(tensor)) is not None]
            field: Field | None = None
            if len(fields) == len(seen):
                field = rule(args, fields[0]) if rule else _by_shape(seen, fields, results[0])
            depth = max(map(self.depth, seen)) + (cost is not None)
            for result in results:
                self._known[id(result)] = (result, field, depth)
        return out


def _by_shape(seen: Sequence[Tensor], fields: Sequence[Field], out: Tensor) -> Field | None:
    """Of an operation without a rule of its own: position by position where the map keeps its size, else over all."""
    field = fields[0]
    for other in fields[1:]:
        field = field.union(other)
    # the largest of them: a factor for each channel may come first
    before = max((tensor.shape for tensor in seen), key=lambda shape: (len(shape) >= 3, shape[-2:].numel()))
    if len(before) < 3:
        # a vector already
        return field
    if out.ndim >= 3 and out.shape[-2:] == before[-2:]:
        return field
    if out.ndim < 3 or out.shape[-2:] == (1, 1) or (out.ndim == 3 and out.shape[-2:] != before[-2:]):
        return Field(field.down.whole(before[-2]), field.across.whole(before[-1]))
    return None


def tensors(value: Any) -> list[Tensor]:
    """The tensors in what an operation or a module takes or gives, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (tuple, list)):
        return []
    return [tensor for one in value for tensor in tensors(one)]


def _pair(values: Any) -> tuple[int, int]:
    if isinstance(values, int):
        return values, values
    # of three, the first is along the channels, as in local response normalisation
    return (values[max(0, len(values) - 2)], values[-1]) if len(values) else (0, 0)


def _windowed(field: Field, size: Any, stride: Any, padding: Any, dilation: Any = 1) -> Field:
    windows = list(zip(_pair(size), _pair(stride), _pair(padding), _pair(dilation), strict=True))
    return Field(field.down.window(*windows[0]), field.across.window(*windows[1]))


def _convolution(args: Any, field: Field) -> Field | None:
    _, weight, _, stride, padding, dilation, transposed, *_ = args
    size = weight.shape[2:]
    if not transposed:
        return _windowed(field, size, stride, padding, dilation)
    # each output lies between inputs: the nearest of them that touch it
    sides = []
    spans = zip((field.down, field.across), _pair(size), _pair(stride), _pair(dilation), strict=True)
    for side, k, s, d in spans:
        reach = -(-(d * (k - 1) + 1) // s) - 1
        sides.append(Side(side.start - reach * side.jump, side.size + reach * side.jump, side.jump / s))
    return Field(*sides)


def _pooling(args: Any, field: Field) -> Field:
    size = args[1]
    stride = args[2] if len(args) > 2 and args[2] else size
    padding = args[3] if len(args) > 3 else 0
    # what follows is dilation for a maximum, and rounding for a mean
    dilation = args[4] if len(args) > 4 and not isinstance(args[4], bool) else 1
    return _windowed(field, size, stride, padding, dilation)


def _sliced(args: Any, field: Field) -> Field:
    tensor, dim = args[0], args[1] if len(args) > 1 else 0
    first = args[2] if len(args) > 2 and args[2] is not None else 0
    step = args[4] if len(args) > 4 else 1
    dim %= tensor.ndim
    if tensor.ndim < 3 or dim < tensor.ndim - 2:
        return field
    first = first + tensor.shape[dim] if first < 0 else first

    def moved(side: Side) -> Side:
        return Side(side.start + first * side.jump, side.size, side.jump * step)

    down = dim == tensor.ndim - 2
    return Field(moved(field.down) if down else field.down, field.across if down else moved(field.across))


def _padded(args: Any, field: Field) -> Field:
    pads = [*args[1], 0, 0, 0, 0]
    left, top = pads[0], pads[2]
    return Field(
        dataclasses.replace(field.down, start=field.down.start - top * field.down.jump),
        dataclasses.replace(field.across, start=field.across.start - left * field.across.jump),
    )


def _of_convolution(args: Any, out: Tensor) -> int:
    x, weight, transposed = args[0], args[1], args[6]
    # each number of the weights meets every position once: those of the output, or, transposed, of the input
    positions = x.shape[2:] if transposed else out.shape[2:]
    return int(out.shape[0] * weight.numel() * positions.numel())


def _of_product(first: int) -> Callable[[Any, Tensor], int]:
    return lambda args, out: int(out.numel() * args[first].shape[-1])


_COSTS: Mapping[Any, Callable[[Any, Tensor], int]] = {
    _aten.convolution: _of_convolution,
    _aten.mm: _of_product(0),
    _aten.bmm: _of_product(0),
    _aten.addmm: _of_product(1),
    _aten.baddbmm: _of_product(1),
}
_RULES: Mapping[Any, Callable[[Any, Field], Field | None]] = {
    _aten.convolution: _convolution,
    _aten.max_pool2d_with_indices: _pooling,
    _aten.max_pool2d: _pooling,
    _aten.avg_pool2d: _pooling,
    _aten.avg_pool3d: _pooling,
    _aten.slice: _sliced,
    _aten.constant_pad_nd: _padded,
}


def fields(model: nn.Module, image_size: tuple[int, int], in_channels: int) -> dict[str, Field | None]:
    """The field of each layer's output, by the layer's path; of one that is used twice, that of its last use.

    Args:
        model: Any nn.Module that takes a batch of pictures; a copy without memory is asked.
        image_size: Height and width.
        in_channels: Of the pictures.

    Example:
        >>> from dojang.models.build import build
        >>> net = build("resnet18", in_channels=3, classes=10, image_size=(224, 224), seed=0)
        >>> fields(net, (224, 224), 3)["layer4"].size
        (435, 435)
    """
    found: dict[str, Field | None] = {}
    twin = copy.deepcopy(model).to("meta").eval()
    image = torch.zeros(1, in_channels, *image_size, device="meta")
    tracker = Tracker(image)

    def note(path: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, _: Any, output: Any) -> None:
            made = tensors(output)
            found[path] = tracker.field(made[0]) if made else None

        return hook

    for path, module in twin.named_modules():
        module.register_forward_hook(note(path))
    with torch.no_grad(), tracker:
        twin(image)
    return found
