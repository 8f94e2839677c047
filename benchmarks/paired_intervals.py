"""How often the interval of a difference between two networks on the same pictures holds the true one.

    python benchmarks/paired_intervals.py

Pairs of networks are drawn at each setting: on a share of pictures only the first is right, on another only the second.
Tango's interval (dojang.metrics.paired), Newcombe's square-and-add (his method 10), and the plain one of a mean of
differences; and how often McNemar's exact test calls equally good networks different.  Kept in
benchmarks/results/paired_intervals.json.
"""

from __future__ import annotations

import argparse
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import dojang
from dojang.metrics.intervals import wilson
from dojang.metrics.paired import difference, mcnemar

RESULTS = Path(__file__).parent / "results" / "paired_intervals.json"
# both right, only the first, only the second, neither
SETTINGS = (
    (0.80, 0.05, 0.05, 0.10),
    (0.94, 0.01, 0.01, 0.04),
    (0.90, 0.02, 0.06, 0.02),
    (0.95, 0.005, 0.025, 0.02),
)
SIZES = (100, 1000, 10_000)
TRIALS = 2000


def plain(b: int, c: int, n: int) -> tuple[float, float]:
    d = (c - b) / n
    half = 1.959963984540054 * math.sqrt(max(b + c - (c - b) ** 2 / n, 0)) / n
    return d - half, d + half


def newcombe(a: int, b: int, c: int, d: int) -> tuple[float, float]:
    """Statistics in Medicine 17, 1998, page 2635, method 10."""
    n = a + b + c + d
    first, second = (a + b) / n, (a + c) / n
    (l1, u1), (l2, u2) = wilson(a + b, n), wilson(a + c, n)
    product = (a + b) * (c + d) * (a + c) * (b + d)
    phi = 0.0
    if product:
        gap = a * d - b * c
        phi = (max(gap - n / 2, 0) if gap > 0 else gap) / math.sqrt(product)
    low1, high1, low2, high2 = first - l1, u1 - first, second - l2, u2 - second
    low = math.sqrt(max(low2**2 - 2 * phi * low2 * high1 + high1**2, 0))
    high = math.sqrt(max(high2**2 - 2 * phi * high2 * low1 + low1**2, 0))
    return second - first - low, second - first + high


@cache
def tango(b: int, c: int, n: int) -> tuple[float, float]:
    found = difference(b, c, n)
    return found.low, found.high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()

    kept: dict[str, Any] = {"dojang": dojang.__version__, "trials": TRIALS, "settings": []}
    for shares in SETTINGS:
        truth = shares[2] - shares[1]
        for n in SIZES:
            draws = np.random.default_rng(0).multinomial(n, shares, TRIALS).tolist()
            ends = {
                "tango": [tango(b, c, n) for _, b, c, _ in draws],
                "newcombe": [newcombe(*counts) for counts in draws],
                "plain": [plain(b, c, n) for _, b, c, _ in draws],
            }
            row: dict[str, Any] = {"shares": shares, "n": n}
            for name, several in ends.items():
                row[name] = round(float(np.mean([low <= truth <= high for low, high in several])), 4)
                row[f"{name}_width"] = round(float(np.mean([high - low for low, high in several])), 5)
            if truth == 0:
                row["mcnemar_below_0.05"] = round(float(np.mean([mcnemar(b, c) < 0.05 for _, b, c, _ in draws])), 4)
            kept["settings"].append(row)
            print(row)
    options.out.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
