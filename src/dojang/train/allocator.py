"""Keep memory that a step freed for the next step.

glibc gives large blocks back to the system as soon as they are freed, so every step of a network on a CPU asks for its
activations again, page by page, each page zeroed by the kernel.  Kept, an epoch of mnist-cnn takes 0.69 of the time
(benchmarks/results/allocator.json).  While training, freed memory is kept; afterwards it is given back.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator

# <malloc.h>; -1 as a threshold means never, see mallopt(3)
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4
_PAD = 64 * 2**20
_USUAL = {_MMAP_MAX: 65536, _TOP_PAD: 128 * 2**10, _TRIM_THRESHOLD: 128 * 2**10}
# what glibc's own adaptation would have reached after a few large blocks
_ADAPTED = 32 * 2**20


def can_keep() -> bool:
    """Whether the C library lets itself be told so; glibc does."""
    libc = ctypes.CDLL(None)
    return all(hasattr(libc, name) for name in ("mallopt", "malloc_trim", "gnu_get_libc_version"))


def release() -> None:
    """Give back what is kept and not used now: where one kind of work ends, and the next will want other sizes."""
    if can_keep():
        ctypes.CDLL(None).malloc_trim(0)


@contextlib.contextmanager
def keeping() -> Iterator[bool]:
    """For the length of a block, keep freed memory in the process; gives whether that could be done."""
    if not can_keep():
        yield False
        return
    libc = ctypes.CDLL(None)
    done = all(libc.mallopt(name, value) for name, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_TOP_PAD, _PAD)))
    try:
        yield done
    finally:
        for name, value in _USUAL.items():
            libc.mallopt(name, value)
        libc.mallopt(_MMAP_THRESHOLD, _ADAPTED)
        libc.malloc_trim(0)
