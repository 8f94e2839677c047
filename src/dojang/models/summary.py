"""What a network is made of: layers, shapes and parameters, seen by sending one blank picture through it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dojang.errors import ConfigError

_WIDTH = 80


@dataclasses.dataclass(frozen=True)
class Row:
    """One layer. ``shape`` is without the batch; None when the layer gave no tensor or was not used."""

    path: str
    name: str
    type: str
    shape: tuple[int, ...] | None
    parameters: int


@dataclasses.dataclass(frozen=True)
class Summary:
    """The layers of a network in the order of their use; ``str`` gives a table of at most 80 columns.

    Args:
        rows: A layer that is used twice has two rows; its parameters stand in the first.
        total: Parameters of the network, shared ones counted once.
        trainable: Those of them that training changes.
        bytes: What parameters and buffers take in memory.
    """

    input_shape: tuple[int, ...]
    rows: tuple[Row, ...]
    total: int
    trainable: int
    bytes: int

    def __str__(self) -> str:
        body = [(row.name, row.type, _shape(row.shape), f"{row.parameters:,}") for row in self.rows]
        head = ("layer", "type", "output", "parameters")
        lines = _table([head, ("", "input", _shape(self.input_shape), ""), *body], right=(3,))
        size = f"{self.bytes / 2**20:.2f} MiB"
        return "\n".join([*lines, f"{self.total:,} parameters, {self.trainable:,} trainable, {size}"])


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
        layer  type    output       parameters
               input   3 x 32 x 32
        conv1  Conv2d  4 x 28 x 28         304
        relu1  ReLU    4 x 28 x 28           0
        304 parameters, 304 trainable, 0.00 MiB
    """
    names, seen, calls = _names(model), set[int](), list[tuple[str, nn.Module, Any]]()

    def hook(path: str) -> Callable[[nn.Module, Any, Any], None]:
        return lambda module, _, output: calls.append((path, module, output))

    layers = [(path, module) for path, module in model.named_modules() if _is_layer(module)]
    handles = [module.register_forward_hook(hook(path)) for path, module in layers]
    first = next(model.parameters(), torch.zeros(()))
    kind = first.dtype if first.is_floating_point() else torch.float32
    try:
        with _evaluating(model):
            model(torch.zeros(1, in_channels, *image_size, device=first.device, dtype=kind))
    except Exception as error:
        text = error.what if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
        size = f"{image_size[0]}x{image_size[1]}, {in_channels} channel{'s' * (in_channels != 1)}"
        raise ConfigError(
            "C208", f"{type(model).__name__} cannot take a picture of {size}: {text.strip().partition(chr(10))[0]}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    used = {id(module) for _, module, _ in calls}
    calls += [(path, module, None) for path, module in layers if id(module) not in used]
    rows = []
    for path, module, output in calls:
        count = 0
        for parameter in module.parameters(recurse=False):
            count += parameter.numel() if id(parameter) not in seen else 0
            seen.add(id(parameter))
        tensor = _first_tensor(output)
        shape = tuple(tensor.shape[1:]) if tensor is not None else None
        rows.append(Row(path, names[path], type(module).__name__, shape, count))
    parameters, stored = list(model.parameters()), [*model.parameters(), *model.buffers()]
    return Summary(
        (in_channels, *image_size),
        tuple(rows),
        sum(p.numel() for p in parameters),
        sum(p.numel() for p in parameters if p.requires_grad),
        sum(t.numel() * t.element_size() for t in stored),
    )


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


def _names(model: nn.Module) -> dict[str, str]:
    """A name for each layer; where the network has only a number (in nn.Sequential), its type and the how-many-eth."""
    names, counts = {}, dict[str, int]()
    for path, module in model.named_modules():
        parent, _, last = path.rpartition(".")
        if last.isdigit():
            kind = _SHORT.get(type(module).__name__, type(module).__name__.lower())
            counts[kind] = counts.get(kind, 0) + 1
            last = f"{kind}{counts[kind]}"
        names[path] = f"{parent}.{last}" if parent else last or type(model).__name__
    return names


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
