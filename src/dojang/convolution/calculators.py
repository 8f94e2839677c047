"""What a layer costs, with the arithmetic written out: sizes, parameters, multiplications, memory, and savings."""

from __future__ import annotations

import dataclasses
import math
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from dojang.convolution.geometry import Padding, divided, geometry, numbers, reach, times
from dojang.errors import many


class _Written:
    """Lines of arithmetic, in a terminal and in a notebook."""

    lines: tuple[str, ...]

    def __str__(self) -> str:
        return _wrapped(self.lines)

    def _repr_html_(self) -> str:
        return f"<pre>{self}</pre>"


@dataclass(frozen=True)
class Arithmetic(_Written):
    """What was asked, worked out.

    Args:
        lines: The arithmetic, a line for each step.
        result: What it comes to.
    """

    lines: tuple[str, ...]
    result: float


@dataclass(frozen=True)
class Cost(_Written):
    """The numbers of one convolutional layer.

    Args:
        given: Channels and sizes of what comes in.
        out: Filters and sizes of what goes out.
        kernel: Of the windows.
        groups: Channels are divided into.
        weights, biases: What is learned.
        macs: Multiplications, each with its addition, for one array.
        lines: The arithmetic, a line for each.
    """

    given: tuple[int, ...]
    out: tuple[int, ...]
    kernel: tuple[int, ...]
    groups: int
    weights: int
    biases: int
    macs: int
    lines: tuple[str, ...]

    @property
    def dense(self) -> int:
        """The weights of a dense layer between the same numbers."""
        return math.prod(self.given) * math.prod(self.out)


def layer(
    channels: int,
    size: int | Sequence[int],
    filters: int,
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    bias: bool = True,
    bytes_each: int = 4,
) -> Cost:
    """What a convolutional layer costs.

    Args:
        channels, size: Of one array that comes in.
        filters, kernel: Of the layer.
        stride, padding, dilation: As :func:`dojang.convolution.conv`.
        groups: Channels and filters are divided into so many.
        bias: Whether each filter has one.
        bytes_each: Of a number in memory.

    Raises:
        ConfigError: C251 for what does not fit, C252 for values that cannot be used.

    Example:
        >>> print(layer(3, (32, 32), 4, (5, 5)))
        output      (32 - 5) / 1 + 1 = 28 along both axes;
                    4 filters give 4 x 28 x 28 = 3,136 numbers
        parameters  4 filters x (5 x 5 x 3) = 300 weights + 4 biases = 304
        mult-adds   5 x 5 x 3 = 75 for each of 3,136 numbers: 235,200
        memory      304 x 4 bytes = 1.2 KiB of parameters,
                    3,136 x 4 bytes = 12.2 KiB of output
        dense       (3 x 32 x 32) x (4 x 28 x 28) = 9,633,792 weights,
                    32,113 times as many
    """
    channels, filters = numbers("channels and filters", (channels, filters), 2, 1)
    groups = divided(groups, channels, filters)
    shape = geometry(size, kernel, stride=stride, padding=padding, dilation=dilation)
    each = channels // groups
    weights, biases = filters * math.prod(shape.kernel) * each, filters if bias else 0
    given, out = (channels, *shape.size), (filters, *shape.out)
    count = math.prod(out)
    per = math.prod(shape.kernel) * each
    found = Cost(given, out, shape.kernel, groups, weights, biases, per * count, ())
    sides = [
        _side(n, before + behind, k, s, d, after)
        for n, (before, behind), k, s, d, after in zip(
            shape.size, shape.padding, shape.kernel, shape.stride, shape.dilation, shape.out, strict=True
        )
    ]
    same = len(set(sides)) == 1
    words = {1: "", 2: " along both axes"}.get(len(sides), f" along all {len(sides)} axes") if same else ""
    along = sides[0] + words if same else ",\n".join(sides)
    window = times([*shape.kernel, each])
    total = f" + {many(biases, 'bias', 'biases')} = {weights + biases:,}" if bias else ""
    made = f"{many(filters, 'filter')} {'gives' if filters == 1 else 'give'}"
    shared = f" ({channels} channels in {groups} groups)" if groups > 1 else ""
    held = (weights + biases) * bytes_each
    lines = (
        f"output      {along};\n{made} {times(out)} = {count:,} numbers",
        f"parameters  {many(filters, 'filter')} x ({window}) = {weights:,} weights{total}{shared}",
        f"mult-adds   {window} = {per:,} for each of {count:,} numbers: {per * count:,}",
        f"memory      {weights + biases:,} x {bytes_each} bytes = {_bytes(held)} of parameters,\n{count:,} x "
        f"{bytes_each} bytes = {_bytes(count * bytes_each)} of output",
        f"dense       ({times(given)}) x ({times(out)}) = {found.dense:,} weights,\n"
        f"{_share(found.dense, weights)} times as many",
    )
    return dataclasses.replace(found, lines=lines)


def stacked(kernel: int, times: int) -> Arithmetic:
    """Several small windows one behind the other against one that sees as much.

    Example:
        >>> print(stacked(3, 2))
        2 windows of 3 x 3 see 5 x 5:
        2 x (3 x 3) = 18 weights for each pair of channels
        1 window of 5 x 5 sees as much: 5 x 5 = 25 weights
        18 / 25 = 0.72, and there is an activation between them
    """
    numbers("kernel and times", (kernel, times), 2, 1)
    sees = times * (kernel - 1) + 1
    few, large = times * kernel**2, sees**2
    lines = (
        f"{many(times, 'window')} of {kernel} x {kernel} {'sees' if times == 1 else 'see'} {sees} x {sees}:",
        f"{times} x ({kernel} x {kernel}) = {few} weights for each pair of channels",
        f"1 window of {sees} x {sees} sees as much: {sees} x {sees} = {large} weights",
        f"{few} / {large} = {few / large:.2g}" + (", and there is an activation between them" if times > 1 else ""),
    )
    return Arithmetic(lines, few / large)


def bottleneck(channels: int, inner: int, kernel: int = 3) -> Arithmetic:
    """A 1x1 convolution to fewer channels, the window, and a 1x1 back, against the window at full width.

    Example:
        >>> print(bottleneck(256, 64))
        direct      3 x 3 x 256 x 256 = 589,824 weights
        bottleneck  256 x 64 + 3 x 3 x 64 x 64 + 64 x 256
                    = 16,384 + 36,864 + 16,384 = 69,632 weights
        589,824 / 69,632 = 8.5 times fewer
    """
    numbers("channels, inner and kernel", (channels, inner, kernel), 3, 1)
    direct = kernel**2 * channels**2
    parts = (channels * inner, kernel**2 * inner**2, inner * channels)
    window = f"{kernel} x {kernel}"
    lines = (
        f"direct      {window} x {channels} x {channels} = {direct:,} weights",
        f"bottleneck  {channels} x {inner} + {window} x {inner} x {inner} + {inner} x {channels}\n= "
        f"{' + '.join(f'{part:,}' for part in parts)} = {sum(parts):,} weights",
        f"{direct:,} / {sum(parts):,} = {_share(direct, sum(parts))} times fewer"
        if direct >= sum(parts)
        else f"{sum(parts):,} / {direct:,} = {_share(sum(parts), direct)} times more",
    )
    return Arithmetic(lines, direct / sum(parts))


def receptive_field(windows: Sequence[tuple[int, int]]) -> Arithmetic:
    """What a number behind windows in a row sees, step by step.

    Args:
        windows: Kernel and stride of each.

    Example:
        >>> print(receptive_field([(3, 1), (2, 2), (3, 1)]))
        1 + (3 - 1) x 1 = 3, stride 1
        3 + (2 - 1) x 1 = 4, stride 2
        4 + (3 - 1) x 2 = 8, stride 2
    """
    sees, jump, lines = 1, 1, []
    for pair in windows:
        kernel, stride = numbers("kernel and stride", pair, 2, 1)
        before, sees = sees, sees + (kernel - 1) * jump
        lines.append(f"{before} + ({kernel} - 1) x {jump} = {sees}, stride {jump * stride}")
        jump *= stride
    return Arithmetic(tuple(lines), sees)


def _side(n: int, padding: int, kernel: int, stride: int, dilation: int, after: int) -> str:
    window = str(kernel) if dilation == 1 else f"{reach(kernel, dilation)} [{dilation} x ({kernel} - 1) + 1]"
    rounded = "" if (n + padding - reach(kernel, dilation)) % stride == 0 else " (rounded down)"
    wide = f"{n} + {padding}" if padding else str(n)
    return f"({wide} - {window}) / {stride} + 1 = {after}{rounded}"


def _share(large: int, small: int) -> str:
    """How many times, in a few digits."""
    return f"{large / small:,.0f}" if large >= 100 * small else f"{large / small:.2g}"


def _wrapped(lines: Sequence[str]) -> str:
    """Lines of at most 80 columns; what does not fit goes below the beginning of the sum."""
    found = []
    for line in lines:
        inset = " " * 12 if re.match(r"[a-z-]+ {2,}", line) else ""
        for number, part in enumerate(line.split("\n")):
            found += textwrap.wrap(part, 80, initial_indent=inset if number else "", subsequent_indent=inset)
    return "\n".join(found)


def _bytes(count: int) -> str:
    return f"{count / 1024:,.1f} KiB" if count < 2**20 else f"{count / 2**20:,.1f} MiB"
