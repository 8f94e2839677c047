"""By which score weights were chosen: who reads a score of theirs is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dojang.models import weights

#: scores as they are called in words
WORDS = {
    "top1": "top-1",
    "top5": "top-5",
    "top1_tta": "top-1 with tta",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "loss": "loss",
    "brier": "Brier score",
}

_SPLITS = ("train", "val", "test")


def chosen(path: Path) -> dict[str, Any]:
    """What metrics.json says of the weights that were scored, read from their own file.

    Returns:
        "file", and "chosen_by" and "chosen_on": the score and the split by which these were the best of the run; None
        where nothing was chosen, as of the last weights of a run.
    """
    for name in weights.card_of(path).metrics:
        split, _, score = name.partition("/")
        # a weights file may come from anywhere, and what it says is printed
        if score in WORDS and split in _SPLITS:
            return {"file": path.name, "chosen_by": score, "chosen_on": split}
    return {"file": path.name, "chosen_by": None, "chosen_on": None}


def known(metrics: Mapping[str, Any]) -> tuple[str, str] | tuple[None, None]:
    """The score and the split by which weights were chosen, from what metrics.json holds; names that are none of
    dojang's are not known.

    >>> known({"weights": {"chosen_by": "a\\x1b[31m", "chosen_on": "val"}})
    (None, None)
    """
    found = metrics.get("weights") or {}
    by, on = found.get("chosen_by"), found.get("chosen_on")
    return (by, on) if by in WORDS and on in _SPLITS else (None, None)


def sentence(metrics: Mapping[str, Any]) -> str:
    """The same in words; nothing where nothing was chosen, or it is not known.

    >>> sentence({"weights": {"file": "best.safetensors", "chosen_by": "macro_f1", "chosen_on": "val"}})
    'weights chosen by macro F1 on val'
    """
    by, on = known(metrics)
    return f"weights chosen by {WORDS[by]} on {on}" if by else ""
