"""How often the 95 % intervals of dojang's scores hold the truth, over 2,000 simulated test sets each.

    python benchmarks/coverage.py [--kinds good poor] [--tried]
    python benchmarks/coverage.py --table      # what is kept, as docs/scores.md shows it

A kind of classifier is 100 classifiers, drawn at random: how far apart its classes lie, how sure it is of itself. Each
of them answers a population of 100,000 pictures, so the truth is known exactly: it is the score of the population.
From the population test sets are drawn, picture by picture and with replacement, 20 for each of the 100, so how many
pictures of a class are in a test set is chance, too ("redrawn"; that is what the intervals are for, and what is held to
93 to 97 %). Then the same with each class in its exact share, as a stratified split has it ("kept", 5 for each). A
class without pictures in a test set is no part of the truth of a mean over classes.

Where an interval is not shown (and the reason is) it is not counted; "shown" is the share of test sets that show one.
"width" is the mean width, "error" the Monte-Carlo standard error of the coverage, from the spread between classifiers.
A kind is a mean: "of_the_best" is the coverage for the ten classifiers of the hundred that make fewest mistakes, where
a test set may hold none of them.

--tried measures what is not used, and why: the stratified bootstrap (BCa) and the plain 1.96 standard errors.
Results: benchmarks/results/coverage.json, kind by kind; a kind that is there is measured anew only when it is named.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import dojang
from dojang.metrics import classes, influence, intervals, scores
from dojang.metrics.calibration import calibration
from dojang.metrics.intervals import Score, proportion
from dojang.metrics.ranking import ranking

RESULTS = Path(__file__).parent / "results" / "coverage.json"
CLASSIFIERS, POPULATION, BEST = 100, 100_000, 10
SETS = {"redrawn": 20, "kept": 5}
SIZES = (100, 1_000, 10_000)

# shares of the classes; from and to: how far a class lies from the others, in deviations of the noise, and how sure the
# network is, 1 being what suits pictures of that noise about; how alike neighbours are; how unlike classes are
KINDS: dict[str, tuple[np.ndarray, tuple[float, float], tuple[float, float], float, float]] = {
    "good": (np.full(10, 0.1), (3.5, 5.5), (0.8, 2.5), 0.35, 0.3),
    "middling": (np.full(10, 0.1), (2.0, 3.5), (0.8, 2.5), 0.35, 0.3),
    "poor": (np.full(10, 0.1), (0.3, 1.5), (0.5, 2.0), 0.35, 0.3),
    "imbalanced": (0.65 ** np.arange(8) / np.sum(0.65 ** np.arange(8)), (2.0, 5.0), (0.8, 2.5), 0.35, 0.5),
    "two, 9 to 1": (np.array([0.9, 0.1]), (1.5, 4.0), (0.8, 2.5), 0.0, 0.3),
    "a hundred classes": (np.full(100, 0.01), (2.5, 6.0), (0.8, 2.0), 0.35, 0.3),
}


class Population:
    """A classifier's answers to many pictures, and its true scores.

    Args:
        true: int64 (n,).
        table: float32 (n, c), probabilities.
    """

    def __init__(self, kind: str, draw: np.random.Generator) -> None:
        shares, skill, sure, alike, unlike = KINDS[kind]
        c = len(shares)
        self.true = draw.choice(c, size=POPULATION, p=shares)
        far = draw.uniform(*skill) + unlike * draw.normal(size=c)
        logits = draw.normal(size=(POPULATION, c))
        rows = np.arange(POPULATION)
        logits[rows, self.true] += far[self.true]
        logits[rows, (self.true ^ 1) % c] += alike * far[self.true]
        self.table = scores.softmax(logits * draw.uniform(*sure)).astype(np.float32)
        self.shares, self.classes = shares, c
        self.members = [np.flatnonzero(self.true == k) for k in range(c)]
        matrix = scores.confusion_matrix(self.true, self.table.argmax(axis=1), c)
        each, ranked = scores.per_class(matrix), ranking(self.true, self.table)
        self.by_class = {"precision": each.precision, "recall": each.recall, "f1": each.f1}
        self.means = {
            "balanced_accuracy": each.recall,
            "macro_f1": each.f1,
            "roc_auc": ranked.roc_auc,
            "average_precision": ranked.average_precision,
        }
        self.plain = {
            "top1": float(np.trace(matrix)) / POPULATION,
            "top5": scores.top_k_accuracy(self.true, self.table, 5) if c > 10 else math.nan,
            "log_loss": scores.log_loss(self.true, self.table),
            "brier": scores.brier(self.true, self.table),
        }
        self.bins = calibration(self.true, self.table, draws=0).accuracy

    def test_set(self, n: int, design: str, draw: np.random.Generator) -> np.ndarray:
        """Numbers of pictures."""
        if design == "redrawn":
            return draw.integers(0, POPULATION, n)
        exact = self.shares * n
        size = np.floor(exact).astype(int)
        size[np.argsort(size - exact, kind="stable")[: n - size.sum()]] += 1
        return np.concatenate([draw.choice(rows, k) for rows, k in zip(self.members, size, strict=True)])

    def truth(self, name: str, there: np.ndarray) -> float:
        """Of a score, where these classes have pictures."""
        return float(self.means[name][there].mean()) if name in self.means else self.plain[name]


# the score; how many intervals are shown, how many of them hold the truth, their width together
Held = tuple[str, float, float, float]
What = Callable[["Population", np.ndarray], Iterator[Held]]


def held(p: Population, rows: np.ndarray) -> Iterator[Held]:
    """What each score's interval of a test set does."""
    true, table = p.true[rows], p.table[rows]
    n, there = len(rows), np.bincount(true, minlength=p.classes) > 0
    matrix = scores.confusion_matrix(true, table.argmax(axis=1), p.classes)
    ranked = ranking(true, table)
    found = {
        "top1": proportion(int(np.trace(matrix)), n),
        "balanced_accuracy": classes.balanced_accuracy(matrix),
        "macro_f1": classes.macro_f1(matrix),
        "roc_auc": ranked.macro_roc_auc,
        "average_precision": ranked.macro_average_precision,
        "log_loss": influence.mean(scores.log_losses(true, table)),
        "brier": influence.mean(scores.briers(true, table), bounds=(0.0, 2.0)),
    }
    if p.classes > 10:
        found["top5"] = proportion(round(scores.top_k_accuracy(true, table, 5) * n), n)
    for name, score in found.items():
        yield _one(name, score, p.truth(name, there))
    ends = classes.per_class(matrix)
    for name, truth in p.by_class.items():
        end = getattr(ends, name)
        yield _many(f"{name} of a class", end.low[there], end.high[there], truth[there])
    bins = calibration(true, table, draws=0)
    yield _many("accuracy of a reliability bin", bins.low, bins.high, p.bins)


def _one(name: str, score: Score, truth: float) -> Held:
    if math.isnan(score.low):
        return name, 0, 0, 0
    return name, 1, score.low <= truth <= score.high, score.high - score.low


def _many(name: str, low: np.ndarray, high: np.ndarray, truth: np.ndarray) -> Held:
    # rounding: a share of all rows may be the end itself
    inside = (low <= truth + 1e-12) & (truth <= high + 1e-12)
    shown = np.isfinite(low)
    return name, int(shown.sum()), int(inside[shown].sum()), float((high - low)[shown].sum())


def tried(p: Population, rows: np.ndarray) -> Iterator[Held]:
    """What the intervals that are not used do."""
    true, table = p.true[rows], p.table[rows]
    there = np.bincount(true, minlength=p.classes) > 0
    said, losses = table.argmax(axis=1), scores.log_losses(true, table)

    def matrix(t: np.ndarray, s: np.ndarray) -> np.ndarray:
        return scores.confusion_matrix(t, s, p.classes)

    statistics: dict[str, tuple[Callable[..., float], tuple[np.ndarray, ...]]] = {
        "balanced_accuracy": (lambda t, s: scores.balanced_accuracy(matrix(t, s)), (true, said)),
        "macro_f1": (lambda t, s: scores.macro_f1(matrix(t, s)), (true, said)),
        "log_loss": (lambda values: float(values.mean()), (losses,)),
    }
    for name, (statistic, arrays) in statistics.items():
        score = intervals.bootstrap(statistic, *arrays, strata=true, resamples=500)
        yield _one(f"{name}, stratified bootstrap (BCa, 500 draws)", score, p.truth(name, there))
    for name, values in (("log_loss", losses), ("brier", scores.briers(true, table))):
        half = 1.96 * float(values.std(ddof=1)) / math.sqrt(len(rows))
        middle = float(values.mean())
        score = Score(middle, middle - half, middle + half, len(rows))
        yield _one(f"{name}, 1.96 standard errors", score, p.truth(name, there))
    found = calibration(true, table, draws=0)
    ece = calibration(p.true, p.table, draws=0).ece
    again = np.random.default_rng(0)
    draws = [calibration(true[i], table[i], draws=0).ece for i in again.integers(0, len(rows), (200, len(rows)))]
    yield _one("ece, percentile bootstrap (200 draws)", Score(found.ece, *np.quantile(draws, (0.025, 0.975)), 0), ece)


def measure(kind: str, sizes: tuple[int, ...], sets: dict[str, int], what: What, seed: int) -> list[dict[str, Any]]:
    """Rows of the result for a kind."""
    # of each classifier: how many intervals are shown, how many of them hold the truth, their width; test sets with one
    totals: dict[tuple[str, int, str], np.ndarray] = {}
    right = np.empty(CLASSIFIERS)
    for number in range(CLASSIFIERS):
        draw = np.random.default_rng([seed, list(KINDS).index(kind), number])
        p = Population(kind, draw)
        right[number] = p.plain["top1"]
        for design, times in sets.items():
            for n in sizes:
                for _ in range(times):
                    for name, *counts in what(p, p.test_set(n, design, draw)):
                        found = totals.setdefault((design, n, name), np.zeros((CLASSIFIERS, 4)))
                        found[number] += (*counts, counts[0] > 0)
    rows = []
    best = np.argsort(-right)[:BEST]
    for (design, n, name), found in totals.items():
        shown, inside, width, some = found.T
        count = sets[design] * CLASSIFIERS
        row: dict[str, Any] = {"score": name, "kind": kind, "design": design, "n": n, "test_sets": count}
        row["shown"] = round(float(some.sum()) / count, 4)
        if shown.sum():
            share = float(inside.sum() / shown.sum())
            error = math.sqrt(float(np.sum((inside - share * shown) ** 2))) / float(shown.sum())
            row |= {"coverage": round(share, 4), "error": round(error, 4)}
            row |= {"width": float(f"{width.sum() / shown.sum():.4g}")}
            if shown[best].sum():
                row |= {"of_the_best": round(float(inside[best].sum() / shown[best].sum()), 4)}
        rows.append(row)
    return rows


def markdown(result: dict[str, Any], part: str) -> str:
    """The least and the most over the kinds, in Markdown."""
    rows = [row for row in result[part] if row["design"] == "redrawn" and row["shown"] >= 0.01]
    sizes = sorted({row["n"] for row in rows})
    lines = ["| | " + " | ".join(f"n = {n:,}" for n in sizes) + " |", "|---" * (len(sizes) + 1) + "|"]
    for name in dict.fromkeys(row["score"] for row in rows):
        cells = []
        for n in sizes:
            found = [row for row in rows if (row["score"], row["n"]) == (name, n)]
            each = [row["coverage"] for row in found]
            kinds = len({row["kind"] for row in rows})
            aside = ""
            if part == "results" and name != "top5":
                least = min((row["shown"] for row in found), default=0.0)
                aside = f" (of {least:.0%} of test sets and more)" if least < 0.995 else ""
                aside = aside if len(found) == kinds else f" ({len(found)} of {kinds} kinds)"
            cells.append(f"{min(each):.3f} to {max(each):.3f}{aside}" if each else "none shown")
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kinds", nargs="*", choices=list(KINDS), default=None)
    parser.add_argument("--tried", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    result: dict[str, Any] = json.loads(given.out.read_text()) if given.out.exists() else {"results": [], "tried": []}
    part = "tried" if given.tried else "results"
    if given.table:
        print(markdown(result, "results"), markdown(result, "tried"), sep="\n\n")
        return
    for kind in given.kinds or list(KINDS):
        if given.kinds is None and any(row["kind"] == kind for row in result[part]):
            continue
        began = time.perf_counter()
        if given.tried:
            rows = measure(kind, (100, 1_000), {"redrawn": 4}, tried, seed=2026)
        else:
            rows = measure(kind, SIZES, SETS, held, seed=2026)
        # another kind may have been measured meanwhile
        result = json.loads(given.out.read_text()) if given.out.exists() else {"results": [], "tried": []}
        result["what"] = "share of 95 % intervals that hold the truth; see benchmarks/coverage.py"
        result["with"] = {"dojang": dojang.__version__, "numpy": np.__version__, "python": platform.python_version()}
        result["kinds"] = list(KINDS)
        result[part] = [row for row in result[part] if row["kind"] != kind] + rows
        head = {key: value for key, value in result.items() if key not in ("results", "tried")}
        text = json.dumps(head, indent=1)[:-2]
        for name in ("results", "tried"):
            lines = ",\n  ".join(json.dumps(row) for row in result[name])
            text += f',\n "{name}": [\n  {lines}\n ]'
        given.out.write_text(text + "\n}\n")
        print(f"{kind}: {time.perf_counter() - began:.0f} s")
        for row in rows:
            if row["design"] == "redrawn":
                told = " ".join(
                    f"{name} {row.get(name, '-')}" for name in ("coverage", "error", "shown", "of_the_best")
                )
                print(f"  {row['n']:6} {row['score']:50} {told}")


if __name__ == "__main__":
    main()
