"""What many measurements say together: scores, times, their spread, and ratios of medians."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

TIMES = ("algorithm_seconds", "cold_wall_seconds")


def spread(values: Iterable[float | None]) -> dict[str, Any] | None:
    """n, mean, median, sd, lowest and highest of what is there; None where nothing is.

    >>> spread([1.0, None, 3.0])
    {'n': 2, 'mean': 2.0, 'median': 2.0, 'sd': 1.414214, 'min': 1.0, 'max': 3.0}
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    return {
        "n": len(known),
        "mean": round(statistics.mean(known), 6),
        "median": round(statistics.median(known), 6),
        "sd": round(statistics.stdev(known), 6) if len(known) > 1 else None,
        "min": min(known),
        "max": max(known),
    }


def ideal_seconds(run: dict[str, Any], products: list[dict[str, Any]]) -> float | None:
    """Seconds that the arithmetic of a run's training takes at the rate of matrix products in its precision."""
    rates = {row["precision"]: row["tflop_per_s"] for row in products}
    rate = rates.get(run.get("precision"))
    if not rate or not run.get("training_flop"):
        return None
    return float(run["training_flop"] / (rate["median"] * 1e12))


def results(runs: list[dict[str, Any]], products: list[dict[str, Any]]) -> dict[str, Any]:
    """Task by task, of every entrant that was trained to the end: scores and times."""
    found: dict[str, Any] = {}
    for task, entrant, group in _groups(runs):
        ideals = [ideal_seconds(run, products) for run in group]
        found.setdefault(task, {})[entrant] = {
            "top1": spread(run["top1"] for run in group),
            "top1_tta": spread(run.get("top1_tta") for run in group),
            **{name: spread(run[name] for run in group) for name in TIMES},
            "training_flop": group[0]["training_flop"],
            "times_the_ideal": spread(
                run["algorithm_seconds"] / ideal for run, ideal in zip(group, ideals, strict=True) if ideal
            ),
            "peak_mb": spread(run["peak_mb"] for run in group),
        }
    return found


def ratios(found: dict[str, Any], recipes: Iterable[str]) -> list[dict[str, Any]]:
    """Of each recipe of dojang against each other entrant: how many times less time, and whether it scores as well."""
    rows = []
    for task, entrants in found.items():
        for ours in [name for name in entrants if name in set(recipes)]:
            for other in [name for name in entrants if name not in set(recipes)]:
                mine, theirs = entrants[ours], entrants[other]
                rows.append(
                    {
                        "task": task,
                        "recipe": ours,
                        "against": other,
                        # without test-time augmentation on either side
                        "as_accurate": mine["top1"]["mean"] >= theirs["top1"]["mean"],
                        **{name: round(theirs[name]["median"] / mine[name]["median"], 2) for name in TIMES},
                    }
                )
    return rows


def rates(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Task by task, of every entrant: pictures a second in training, measured, and what that would come to.

    The projection says how long the entrant's own number of epochs would take at that rate; it is no result.
    """
    found: dict[str, Any] = {}
    for task, entrant, group in _groups(runs):
        details = group[0]["details"]
        measured = spread(run["details"]["images_per_second"] for run in group)
        if measured is None:
            continue
        epoch = details["train_images"] / measured["median"]
        found.setdefault(task, {})[entrant] = {
            **{name: details[name] for name in ("version", "model", "settings", "batch_size", "threads")},
            "images_per_second": measured,
            "forward_flops_per_image": details["forward_flops_per_image"],
            "peak_mb": spread(run["peak_mb"] for run in group),
            "projection_not_a_result": {
                "epoch_seconds": round(epoch, 1),
                "epochs": details["epochs"],
                "train_seconds": round(epoch * details["epochs"], 1),
            },
        }
    return found


def _groups(runs: list[dict[str, Any]]) -> Iterable[tuple[str, str, list[dict[str, Any]]]]:
    keys = dict.fromkeys((run["task"], run["entrant"]) for run in runs if "failed" not in run)
    for task, entrant in keys:
        yield task, entrant, [r for r in runs if (r["task"], r["entrant"]) == (task, entrant) and "failed" not in r]
