"""Pillow's resize in 8 bits, by Pillow, or by a kernel in C that gives the same bits in less than half the time.

Which of the two ran cannot be seen in a picture. The kernel is compiled once, with the system's compiler, into the
cache folder, when there is so much to resize that this pays; without a compiler Pillow does it all.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dojang.native import compiler

Box = tuple[float, float, float, float]
Levels = UInt8[np.ndarray, "h w c"]
# an image of mode L or RGB, its new height and width, a name of FILTERS, the part to take (None: all of it), and where
# the result goes (C-contiguous; None: into memory of its own); gives where it is
Resize = Callable[[Image.Image, tuple[int, int], str, Box | None, Levels | None], Levels]

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
# in pixels; the kernel saves milliseconds a megapixel in every run (benchmarks/results/photo_road.json), and compiling
# it takes a part of a second, once
WORTH = 30_000_000


def with_pillow(
    image: Image.Image, size: tuple[int, int], interpolation: str, box: Box | None = None, out: Levels | None = None
) -> Levels:
    """The definition.

    >>> with_pillow(Image.new("RGB", (30, 20), (1, 2, 3)), (5, 4), "bilinear")[0, 0].tolist()
    [1, 2, 3]
    """
    height, width = size
    if image.size != (width, height) or box is not None:
        image = image.resize((width, height), FILTERS[interpolation], box)
    levels = np.asarray(image).reshape(height, width, -1)
    if out is None:
        return levels
    out[...] = levels
    return out


def fastest(pixels: int) -> Resize:
    """What resizes so many pixels soonest: the kernel, where it can be built, or Pillow."""
    made = kernel() if pixels >= WORTH else None
    return made or with_pillow


@functools.cache
def kernel() -> Resize | None:
    """The kernel; None where it cannot be compiled, or does not give Pillow's bits."""
    found = library()
    if found is None:
        return None
    run, copy = found.dojang_resize_rgb, found.dojang_copy_rgb
    address, whole = ctypes.c_void_p, ctypes.c_int
    run.argtypes = [address, whole, whole, address, whole, whole, ctypes.c_float * 4, whole]
    copy.argtypes = [address, ctypes.c_int64, address]
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.argtypes, pointer.restype = [ctypes.py_object, ctypes.c_char_p], address

    def resize(
        image: Image.Image, size: tuple[int, int], interpolation: str, box: Box | None = None, out: Levels | None = None
    ) -> Levels:
        height, width = size
        if image.mode != "RGB":
            return with_pillow(image, size, interpolation, box, out)
        try:
            # Pillow's own memory, 4 bytes a pixel; the capsule owns what the pointer shows
            capsule = image.__arrow_c_array__()[1]
        except (ValueError, MemoryError):
            # pictures of more than 16 MB lie in several pieces
            return with_pillow(image, size, interpolation, box, out)
        to = np.empty((height, width, 3), np.uint8) if out is None else out
        at = pointer(capsule, b"arrow_array")
        if image.size == (width, height) and box is None:
            failed = copy(at, height * width, to.ctypes.data)
        else:
            part = (ctypes.c_float * 4)(*(box or (0, 0, *image.size)))
            failed = run(at, image.height, image.width, to.ctypes.data, height, width, part, interpolation == "bicubic")
        return with_pillow(image, size, interpolation, box, out) if failed else to

    return resize if _agrees(resize) else None


@functools.cache
def library() -> ctypes.CDLL | None:
    """The functions of native/resize.c; None where they cannot be built."""
    # a fused multiply-add would round the weights otherwise than Pillow does
    return compiler.load("resize", ("-ffp-contract=off",))


def _agrees(resize: Resize) -> bool:
    """Whether a kernel gives the bits of this Pillow; another version may sum otherwise."""
    levels = np.arange(61 * 47 * 3, dtype=np.uint32).reshape(61, 47, 3)
    image = Image.fromarray((levels * 2654435761 >> 13).astype(np.uint8))
    asked: list[tuple[tuple[int, int], str, Box | None]] = [
        (size, name, box)
        for size in ((20, 17), (61, 47), (90, 71))
        for name in FILTERS
        for box in (None, (0.0, 0.0, 46.5, 60.25))
    ]
    return all(np.array_equal(resize(image, *one, None), with_pillow(image, *one)) for one in asked)
