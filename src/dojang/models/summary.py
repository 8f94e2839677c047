"""What a network is made of: layers, shapes, parameters, arithmetic, receptive fields, seen by one blank picture."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dojang.errors import ConfigError
from dojang.models import receptive

_WIDTH = 80


@dataclasses.dataclass(frozen=True)
class Row:
    """One layer.

    Args:
        path: Where it is in the network, as ``get_submodule`` takes it.
        name: The same with a type where the path has only a number.
        shape: Of what it gives, without the batch; None when it gave no tensor or was not used.
        parameters: Its own, in the row of its first use.
        macs: Multiplications (each with its addition) of convolutions and matrix products, for one picture.
        bytes: What its output takes in memory.
        field: Height and width of the part of the picture that each number of its output depends on (its receptive
            field), padding included; None where that is not known.
        stride: Pixels from the field of one position to that of the next.
        given: The shape of what it was given, without the batch.
        given_field, given_stride: Field and stride of that.
    """

    path: str
    name: str
    type: str
    shape: tuple[int, ...] | None
    parameters: int
    macs: int = 0
    bytes: int = 0
    field: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None
    given: tuple[int, ...] | None = None
    given_field: tuple[int, int] | None = None
    given_stride: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True)
class Summary:
    """The layers of a network in the order of their use; ``str`` gives a table of at most 80 columns.

    Args:
        rows: A layer that is used twice has two rows, "relu" and "relu#2"; its parameters stand in the first.
        total: Parameters of the network, shared ones counted once.
        trainable: Those of them that training changes.
        bytes: What parameters and buffers take in memory.
        macs: Multiplications of all layers, for one picture.
        depth: Layers with weights on the longest road from the picture to the answer.
    """

    input_shape: tuple[int, ...]
    rows: tuple[Row, ...]
    total: int
    trainable: int
    bytes: int
    macs: int = 0
    depth: int = 0

    def __str__(self) -> str:
        head = ("layer", "output", "parameters", "mult-adds", "memory", "sees", "stride")
        first = ("input", _close(self.input_shape), "", "", "", "", "")
        lines = _table([head, first, *(self._cells(row) for row in self.rows)], right=(2, 3, 4, 5, 6))
        size = f"{self.bytes / 2**20:.2f} MiB"
        return "\n".join(
            [*lines, f"{self.total:,} parameters, {self.trainable:,} trainable, {size}; {self.macs:,} mult-adds"]
        )

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for ``--json``."""
        return dataclasses.asdict(self)

    def _cells(self, row: Row) -> tuple[str, ...]:
        height, width = self.input_shape[1:]
        sees = stride = ""
        if row.field is not None and row.stride is not None:
            # beyond the picture there is padding only
            sees = "all" if row.field[0] >= 2 * height and row.field[1] >= 2 * width else _one(row.field)
            stride = _one(row.stride) if any(row.stride) else ""
        macs = short(row.macs) if row.macs else ""
        memory = f"{row.bytes / 1024:,.0f} KiB" if row.bytes else ""
        return row.name, _close(row.shape), f"{row.parameters:,}", macs, memory, sees, stride


def summarise(model: nn.Module, image_size: tuple[int, int], in_channels: int) -> Summary:
    """The layers of any network, with the shapes they give for one picture. The network is left as it was.

    Args:
        model: Any nn.Module that takes a batch of pictures (B, C, H, W).
        image_size: Height and width.
        in_channels: Of the pictures.

    Raises:
        ConfigError: C208 when the network cannot take such a picture.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 5), nn.ReLU())
        >>> print(summarise(net, (32, 32), 3))
        layer  output   parameters  mult-adds  memory  sees  stride
        input  3x32x32
        conv1  4x28x28         304    235.2 k  12 KiB     5       1
        relu1  4x28x28           0             12 KiB     5       1
        304 parameters, 304 trainable, 0.00 MiB; 235,200 mult-adds
    """
    names, seen = layer_names(model), set[int]()
    layers = [(path, module) for path, module in model.named_modules() if _is_layer(module)]
    first = next(model.parameters(), torch.zeros(()))
    kind = first.dtype if first.is_floating_point() else torch.float32
    image = torch.zeros(1, in_channels, *image_size, device=first.device, dtype=kind)
    watch = _Watch(receptive.Tracker(image))
    handles = [handle for path, module in layers for handle in watch.over(path, module)]
    try:
        with _evaluating(model), watch.tracker:
            answer = _first_tensor(model(image))
    except Exception as error:
        raise _refusal(model, image, error) from error
    finally:
        for handle in handles:
            handle.remove()
    calls, used = watch.calls, {id(call[1]) for call in watch.calls}
    calls += [(path, module, None, None, 0) for path, module in layers if id(module) not in used]
    rows, uses = [], dict[str, int]()
    for path, module, given, output, macs in calls:
        use = uses[path] = uses.get(path, 0) + 1
        count = 0
        for parameter in module.parameters(recurse=False):
            count += parameter.numel() if id(parameter) not in seen else 0
            seen.add(id(parameter))
        tensor, taken = _first_tensor(output), _first_tensor(given)
        field, before = (watch.tracker.field(one) if one is not None else None for one in (tensor, taken))
        rows.append(
            Row(
                path,
                names[path] if use == 1 else f"{names[path]}#{use}",
                type(module).__name__,
                tuple(tensor.shape[1:]) if tensor is not None else None,
                count,
                macs,
                tensor.numel() * tensor.element_size() if tensor is not None else 0,
                field.size if field else None,
                field.stride if field else None,
                tuple(taken.shape[1:]) if taken is not None else None,
                before.size if before else None,
                before.stride if before else None,
            )
        )
    parameters, stored = list(model.parameters()), [*model.parameters(), *model.buffers()]
    return Summary(
        (in_channels, *image_size),
        tuple(rows),
        sum(p.numel() for p in parameters),
        sum(p.numel() for p in parameters if p.requires_grad),
        sum(t.numel() * t.element_size() for t in stored),
        watch.tracker.macs,
        watch.tracker.depth(answer) if answer is not None else 0,
    )


def check_takes(model: nn.Module, image: Tensor) -> None:
    """See whether a network takes a batch; it is left as it was.

    Raises:
        ConfigError: C208 when it cannot.
    """
    try:
        with _evaluating(model):
            model(image)
    except Exception as error:
        raise _refusal(model, image, error) from error


def _refusal(model: nn.Module, image: Tensor, error: Exception) -> ConfigError:
    text = error.what if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
    channels, height, width = image.shape[1:]
    size = f"{height}x{width}, {channels} channel{'s' * (channels != 1)}"
    said = text.strip().partition("\n")[0]
    return ConfigError(
        "C208", f"{type(model).__name__} cannot take a picture of {size}: {said}", fix="another --imgsz."
    )


def totals(model: nn.Module, image_size: tuple[int, int], in_channels: int) -> tuple[int, int, int]:
    """Parameters, multiplications for one picture, and depth, of a network without memory (on the "meta" device).

    Quicker than a summary, and it uses the network up: layers that neither multiply nor change a shape are taken out.

    Example:
        >>> with torch.device("meta"):
        ...     net = nn.Sequential(nn.Conv2d(3, 4, 5), nn.BatchNorm2d(4), nn.ReLU())
        >>> totals(net, (32, 32), 3)
        (312, 235200, 1)
    """
    parameters = sum(parameter.numel() for parameter in model.parameters())
    model.eval()
    for path, module in list(model.named_modules()):
        if isinstance(module, _PLAIN):
            model.set_submodule(path, nn.Identity())
    image = torch.zeros(1, in_channels, *image_size, device="meta")
    tracker = receptive.Tracker(image)
    with torch.no_grad(), tracker:
        answer = _first_tensor(model(image))
    return parameters, tracker.macs, tracker.depth(answer) if answer is not None else 0


class _Watch:
    """Notes every use of a layer, with the multiplications that are its own and not those of layers inside it."""

    def __init__(self, tracker: receptive.Tracker) -> None:
        self.tracker, self._claimed = tracker, 0
        self._open: list[tuple[int, int]] = []
        self.calls: list[tuple[str, nn.Module, Any, Any, int]] = []

    def over(self, path: str, module: nn.Module) -> tuple[Any, Any]:
        """Begin to watch a layer; gives what ends it."""

        def before(*_: Any) -> None:
            self._open.append((self.tracker.macs, self._claimed))

        def after(module: nn.Module, given: Any, output: Any) -> None:
            macs, claimed = self._open.pop()
            own = self.tracker.macs - macs - (self._claimed - claimed)
            self._claimed += own
            self.calls.append((path, module, given, output, own))

        return module.register_forward_pre_hook(before), module.register_forward_hook(after)


def parameters_table(model: nn.Module, first: int = 3) -> str:
    """Every parameter with its name, shape, number and first values, and the total; at most 80 columns.

    Args:
        model: Any nn.Module.
        first: How many values to show.

    Example:
        >>> net = nn.Linear(4, 1)
        >>> _ = nn.init.constant_(net.weight, 0.5), nn.init.zeros_(net.bias)
        >>> print(parameters_table(net))
        parameter  shape  number  first values
        weight     1 x 4       4  0.5 0.5 0.5 ...
        bias       1           1  0
        5 parameters in all
    """
    lines = [("parameter", "shape", "number", "first values")]
    for name, parameter in model.named_parameters():
        values = parameter.detach().flatten()[:first].tolist()
        text = " ".join(f"{value:.3g}" for value in values) + (" ..." if parameter.numel() > first else "")
        lines.append((name, _shape(tuple(parameter.shape)), f"{parameter.numel():,}", text))
    total = sum(parameter.numel() for parameter in model.parameters())
    return "\n".join([*_table(lines, right=(2,)), f"{total:,} parameters in all"])


@contextlib.contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; each layer's own mode, and the generator, come back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            model.eval()
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def _is_layer(module: nn.Module) -> bool:
    return not any(module.children()) or any(True for _ in module.parameters(recurse=False))


def layer_names(model: nn.Module) -> dict[str, str]:
    """A name for each layer; where the network has only a number (in nn.Sequential), its type and the how-many-eth."""
    names, counts = {}, dict[tuple[str, str], int]()
    for path, module in model.named_modules():
        parent, _, last = path.rpartition(".")
        if last.isdigit():
            kind = _SHORT.get(type(module).__name__, type(module).__name__.lower())
            counts[parent, kind] = counts.get((parent, kind), 0) + 1
            last = f"{kind}{counts[parent, kind]}"
        names[path] = f"{parent}.{last}" if parent else last or type(model).__name__
    return names


_PLAIN = (nn.BatchNorm2d, nn.ReLU, nn.GELU, nn.Sigmoid, nn.LocalResponseNorm, nn.Dropout, nn.Dropout2d)
_SHORT = {"Conv1d": "conv", "Conv2d": "conv", "Conv3d": "conv", "Linear": "fc"}
_SHORT |= {"BatchNorm1d": "bn", "BatchNorm2d": "bn", "BatchNorm3d": "bn", "MaxPool2d": "pool", "AvgPool2d": "pool"}
_SHORT |= {"Dropout": "drop", "Dropout2d": "drop", "AdaptiveAvgPool2d": "avgpool"}


def _first_tensor(output: Any) -> Tensor | None:
    if isinstance(output, Tensor):
        return output
    parts = output.values() if isinstance(output, dict) else output if isinstance(output, (tuple, list)) else ()
    return next((found for part in parts if (found := _first_tensor(part)) is not None), None)


def _shape(shape: tuple[int, ...] | None) -> str:
    if shape is None:
        return "-"
    return " x ".join(str(side) for side in shape) or "1"


def _close(shape: tuple[int, ...] | None) -> str:
    return "-" if shape is None else "x".join(str(side) for side in shape) or "1"


def _one(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"


def short(number: int) -> str:
    """
    >>> short(999), short(235_200), short(11_498_290_176)
    ('999', '235.2 k', '11.5 G')
    """
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return str(number)


def _table(lines: Sequence[tuple[str, ...]], right: tuple[int, ...]) -> list[str]:
    """Columns two spaces apart; the first is cut on its left, the others on their right, to stay within 80."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    while sum(widths) + 2 * (len(widths) - 1) > _WIDTH:
        widest = max(range(len(widths)), key=lambda column: (column not in right) * widths[column])
        if widths[widest] <= 6:
            break
        widths[widest] -= 1
    table = []
    for line in lines:
        cells = []
        for column, (cell, width) in enumerate(zip(line, widths, strict=True)):
            if len(cell) > width:
                cell = "…" + cell[len(cell) - width + 1 :] if column == 0 else cell[: width - 1] + "…"
            cells.append(cell.rjust(width) if column in right else cell.ljust(width))
        table.append("  ".join(cells).rstrip())
    return table
