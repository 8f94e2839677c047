"""Scores on stdout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dojang.cli.main import print_json
from dojang.cli.progress import say
from dojang.cli.repeats import show_seeds
from dojang.runs.validate import metrics_of


def show_run(folder: Path, as_json: bool, splits: tuple[str, ...] = ("val", "test")) -> None:
    """The scores of a run and where its folder is."""
    metrics = metrics_of(folder)
    if as_json:
        print_json({"run": str(folder), "metrics": metrics})
        return
    if "folds" in metrics:
        _folds(metrics)
        splits = ()
    if "seeds" in metrics:
        show_seeds(metrics)
    for split in splits:
        if split in metrics:
            found = metrics[split]
            macro = found["macro_f1"]["value"]
            say(f"{split:5} top-1 {score(found['top1'])}  macro F1 {macro:.4f}  n {found['n']:,}")
            if found.get("leaked"):
                say(f"      {found['leaked']:,} of these pictures were trained on, byte for byte: too good")
            if "top1_tta" in found:
                say(f"      top-1 {score(found['top1_tta'])}  with test-time augmentation")
    pictures = [name for name in ("results.png", "confusion_matrix.png") if (folder / name).exists()]
    say(f"run   {folder}" + (f"   ({', '.join(pictures)})" if pictures else ""))


def _folds(metrics: dict[str, Any]) -> None:
    """The scores of a cross-validation, fold by fold."""
    folds, whole = metrics["folds"], metrics["out_of_fold"]
    names = [name for name in _TITLES if name in folds["scores"]]
    row = ("{:<6}{:>8}" + "{:>14}" * len(names)).format
    say(row("fold", "n", *(_TITLES[name] for name in names)).rstrip())
    for number, run in enumerate(folds["runs"]):
        values = (f"{folds['scores'][name]['values'][number]:.4f}" for name in names)
        say(row(run["name"].rpartition("-")[2], f"{run['n']:,}", *values))
    for word in ("mean", "sd", "low", "high"):
        found = [folds["scores"][name][word] for name in names]
        title = {"low": "95 %: from", "high": "to"}.get(word, word)
        say(f"{title:<14}" + "".join("{:>14}".format("-" if one is None else f"{one:.4f}") for one in found))
    macro = whole["macro_f1"]["value"]
    say(f"all   top-1 {score(whole['top1'])}  macro F1 {macro:.4f}  n {whole['n']:,}")


_TITLES = {"top1": "top-1", "balanced_accuracy": "balanced", "macro_f1": "macro F1", "log_loss": "log loss"}


def score(value: dict[str, Any]) -> str:
    """A score with its 95 % interval."""
    if value["value"] is None:
        return "-"
    if value["low"] is None:
        return f"{value['value']:.4f}"
    return f"{value['value']:.4f} (95 %: {value['low']:.4f} to {value['high']:.4f})"
