"""The table over several seeds, on stdout."""

from __future__ import annotations

from typing import Any

from dojang.cli.progress import say
from dojang.errors import many

_TITLES = {"top1": "top-1", "balanced_accuracy": "balanced", "macro_f1": "macro F1", "log_loss": "log loss"}


def show_seeds(metrics: dict[str, Any]) -> None:
    """Scores run by run, their mean, deviation and interval, split by split, and what the interval is of."""
    several = metrics["seeds"]
    if not several["scores"]:
        say(f"{several['count']} runs, and no validation or test part to score them on")
        return
    pictures = many(several["runs"][0]["n"], f"{several['split']} picture")
    for split, scores in ({several["split"]: several["scores"]} | several["others"]).items():
        names = [name for name in _TITLES if name in scores]
        row = ("{:<14}" + "{:>14}" * len(names)).format
        say(row(f"{split} seed", *(_TITLES[name] for name in names)).rstrip())
        for number, run in enumerate(several["runs"]):
            say(row(run["seed"], *(f"{scores[name]['values'][number]:.4f}" for name in names)))
        for word, title in (("mean", "mean"), ("sd", "sd"), ("low", "95 %: from"), ("high", "to")):
            found = [scores[name][word] for name in names]
            say(row(title, *("-" if one is None else f"{one:.4f}" for one in found)))
    say(f"n = {several['count']} runs, on the same {pictures}. The interval is Student's t, of")
    say("the mean over seeds on this division; other pictures would change more.")
