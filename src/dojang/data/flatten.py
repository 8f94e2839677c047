"""Where a number of a picture stands in its flattened vector, channels last or channels first."""

from __future__ import annotations

Shape = tuple[int, int, int]


def last(y: int, x: int, c: int, shape: Shape) -> int:
    """The index in the vector of an array (height, width, channels), as files and NumPy have pictures.

    Args:
        y, x, c: Row, column and channel, from 0.
        shape: Height, width and number of channels.

    >>> last(1, 2, 0, (4, 5, 3))
    21
    """
    _, width, channels = shape
    return (y * width + x) * channels + c


def first(y: int, x: int, c: int, shape: Shape) -> int:
    """The index in the vector of an array (channels, height, width), as networks in PyTorch take pictures.

    >>> first(1, 2, 0, (4, 5, 3))
    7
    """
    height, width, _ = shape
    return (c * height + y) * width + x


def written_out(y: int, x: int, c: int, shape: Shape) -> tuple[str, str]:
    """Both sums with their numbers.

    >>> written_out(1, 2, 0, (4, 5, 3))
    ('(y*W + x)*C + c = (1*5 + 2)*3 + 0 = 21', '(c*H + y)*W + x = (0*4 + 1)*5 + 2 = 7')
    """
    height, width, channels = shape
    return (
        f"(y*W + x)*C + c = ({y}*{width} + {x})*{channels} + {c} = {last(y, x, c, shape)}",
        f"(c*H + y)*W + x = ({c}*{height} + {y})*{width} + {x} = {first(y, x, c, shape)}",
    )
