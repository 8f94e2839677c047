"""Where a window goes: sizes, strides, padding and dilation along each axis, and the size of what comes out."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dojang.errors import ConfigError, did_you_mean

MODES = ("valid", "same", "same-before", "full")

# one number for all axes, one each, or a pair (before, behind) each; or a mode
Padding = int | str | Sequence[int] | Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Geometry:
    """A window moved over an array, in numbers, one for each axis.

    Args:
        size: Of the array.
        kernel: Of the window.
        stride: Steps between two places.
        padding: What is added before and behind.
        dilation: Steps between two weights of the window.
    """

    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    @property
    def reach(self) -> tuple[int, ...]:
        """How far the window reaches, from its first weight to its last: d (k - 1) + 1."""
        return tuple(reach(k, d) for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def padded(self) -> tuple[int, ...]:
        """The size with its padding."""
        return tuple(n + before + behind for n, (before, behind) in zip(self.size, self.padding, strict=True))

    @property
    def inner(self) -> tuple[slice, ...]:
        """Where the array itself lies within its padding."""
        return tuple(slice(before, before + n) for n, (before, _) in zip(self.size, self.padding, strict=True))

    @property
    def out(self) -> tuple[int, ...]:
        """Places of the window: floor((n + before + behind - d (k - 1) - 1) / s) + 1."""
        return tuple((n - r) // s + 1 for n, r, s in zip(self.padded, self.reach, self.stride, strict=True))

    def where(self, offset: Sequence[int]) -> tuple[slice, ...]:
        """The numbers of the padded array that one weight of the window meets, over all places.

        >>> geometry((5,), (3,), stride=2).where((1,))
        (slice(1, 4, 2),)
        """
        starts = [o * d for o, d in zip(offset, self.dilation, strict=True)]
        return tuple(
            slice(start, start + (n - 1) * s + 1, s) for start, n, s in zip(starts, self.out, self.stride, strict=True)
        )


def reach(kernel: int, dilation: int) -> int:
    """How far a window reaches.

    >>> reach(3, 1), reach(3, 2)
    (3, 5)
    """
    return dilation * (kernel - 1) + 1


def geometry(
    size: int | Sequence[int],
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "valid",
    dilation: int | Sequence[int] = 1,
) -> Geometry:
    """The geometry of a window over an array.

    Args:
        size: Of the array along each axis; one number for one axis.
        kernel: Of the window; one number for all axes.
        stride: One number, or one for each axis.
        padding: "valid" for none; "same" so that the stride alone decides the size of n >= 1 numbers, ceil(n / s), with
            the odd one out behind, as TensorFlow has it, and torch with stride 1 (with others it has no "same");
            "same-before" with the odd one out before, as SciPy has it (but in ``signal.correlate2d`` and
            ``ndimage.convolve``, where it is behind);
            "full" so that each place where window and array touch counts; or numbers.
        dilation: One number, or one for each axis.

    Raises:
        ConfigError: C251 where the window does not fit, C252 for numbers that cannot be used.

    Example:
        >>> geometry((32, 32), (5, 5)).out, geometry((32, 32), (3, 3), stride=2, padding="same").out
        ((28, 28), (16, 16))
        >>> [geometry((4,), (2,), padding=mode).out for mode in MODES]
        [(3,), (4,), (4,), (5,)]
    """
    sizes = numbers("size", size, _axes(size), 0)
    kernels = numbers("kernel", kernel, len(sizes) if whole(kernel) is not None else _axes(kernel), 1)
    if len(sizes) != len(kernels):
        raise ConfigError("C251", f"a window of {times(kernels)} cannot be moved over an array of {times(sizes)}.")
    strides, dilations = (
        numbers(name, value, len(sizes), 1) for name, value in (("stride", stride), ("dilation", dilation))
    )
    reaches = tuple(reach(k, d) for k, d in zip(kernels, dilations, strict=True))
    found = Geometry(sizes, kernels, strides, _padding(padding, sizes, reaches, strides), dilations)
    for axis, (n, r) in enumerate(zip(found.padded, reaches, strict=True)):
        if n < r:
            more = -(-(r - n) // 2) + max(found.padding[axis])
            padded = f", {n} with its padding," if n != sizes[axis] else ""
            raise ConfigError(
                "C251",
                f"a window of {times(kernels)} does not fit into {times(sizes)}: along axis {axis} it reaches over "
                f"{r}, and there are {sizes[axis]}{padded and padded[:-1]}.",
                context=f"It would fit into {r - n + sizes[axis]} and more.",
                fix=f"a smaller window, or more around the array (padding={more}).",
            )
    return found


def _padding(
    given: Padding, sizes: tuple[int, ...], reaches: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """Pairs (before, behind)."""
    if isinstance(given, str):
        if given not in MODES:
            raise ConfigError(
                "C252",
                f"there is no padding {given!r}.{did_you_mean(given, MODES)}",
                context=f"There are: {', '.join(MODES)}, and numbers from 0 on.",
            )
        if given == "valid":
            return tuple((0, 0) for _ in sizes)
        if given == "full":
            return tuple((r - 1, r - 1) for r in reaches)
        pairs = []
        for n, r, s in zip(sizes, reaches, strides, strict=True):
            total = max((-(-n // s) - 1) * s + r - n, 0)
            less, more = total // 2, total - total // 2
            pairs.append((less, more) if given == "same" else (more, less))
        return tuple(pairs)
    if whole(given) is not None:
        return tuple((one, one) for one in numbers("padding", given, len(sizes), 0))
    each = list(given) if isinstance(given, Iterable) else []
    if len(each) == len(sizes) and all(whole(one) is not None for one in each):
        return tuple((one, one) for one in numbers("padding", each, len(sizes), 0))
    if len(each) == len(sizes) and all(isinstance(one, (tuple, list)) and len(one) == 2 for one in each):
        return tuple((a, b) for a, b in (numbers("padding", one, 2, 0) for one in each))
    raise ConfigError(
        "C252", f"padding cannot be {given!r}; expected a mode, a number, one for each axis, or a pair for each."
    )


def whole(value: object) -> int | None:
    """A whole number as Python's, NumPy's too; None for anything else.

    >>> whole(3), whole(3.0), whole(True)
    (3, None, None)
    """
    try:
        return None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def numbers(name: str, given: object, axes: int, least: int) -> tuple[int, ...]:
    """One whole number for each axis.

    Args:
        name: Of the option, for the error.
        given: One for all axes, or one each.
        least: The smallest that can be used.

    Raises:
        ConfigError: C252 for anything else.

    >>> numbers("stride", 2, 2, 1), numbers("stride", (1, 3), 2, 1)
    ((2, 2), (1, 3))
    """
    one = whole(given)
    values = [one] * axes if one is not None else list(map(whole, given)) if isinstance(given, Iterable) else []
    found = tuple(value for value in values if value is not None and value >= least)
    if len(values) != axes or len(found) != axes:
        raise ConfigError(
            "C252", f"{name} cannot be {given!r}; expected a whole number from {least} on, or {axes} of them."
        )
    return found


def _axes(given: object) -> int:
    return len(list(given)) if isinstance(given, Iterable) else 1


def divided(groups: int, channels: int, filters: int, shapes: str = "") -> int:
    """The groups, if channels and filters can be divided into them; else C251 says into which they can."""
    number = whole(groups) or 0
    if number < 1 or channels % number or filters % number:
        common = [n for n in range(1, max(channels, 1) + 1) if channels % n == 0 and filters % n == 0]
        raise ConfigError(
            "C251",
            f"{channels} channels and {filters} filters cannot be divided into {groups} groups.",
            context=shapes,
            fix=f"groups of {', '.join(map(str, common[:8]))}.",
        )
    return number


def times(numbers: Sequence[int]) -> str:
    """Sizes as one reads them.

    >>> times((3, 32, 32))
    '3 x 32 x 32'
    """
    return " x ".join(str(one) for one in numbers) or "no axes"
