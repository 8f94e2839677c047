"""Memory that is kept between steps, and given back."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
import torch

from dojang.train import allocator

pytestmark = pytest.mark.skipif(not allocator.can_keep(), reason="the C library is not glibc")


def faults(n: int = 20) -> int:
    """Page faults of a loop that asks for 40 MB and frees it again."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(n):
        torch.ones(10_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_freed_memory_is_used_again() -> None:
    outside = faults()
    with allocator.keeping() as kept:
        assert kept
        faults()
        inside = faults()
    assert inside < outside / 4


def test_it_is_given_back() -> None:
    with allocator.keeping():
        block = torch.ones(50_000_000)
        del block
        held = resident()
    assert held - resident() > 100e6
