"""Scores on stdout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dojang.cli.classes import short, show_classes
from dojang.cli.main import print_json
from dojang.cli.progress import say
from dojang.cli.repeats import show_seeds
from dojang.data.manifest import readable
from dojang.errors import many
from dojang.evaluate import files as evaluation_files
from dojang.evaluate.chosen import WORDS, known, sentence
from dojang.runs.folder import VAL
from dojang.runs.validate import metrics_of

_PICTURES = ("results.png", "confusion_matrix.png", "reliability.png", "worst.png")
_PAIRS, _WRONG = 3, 3


def show_run(folder: Path, as_json: bool, splits: tuple[str, ...] = ("val", "test")) -> None:
    """The scores of a run in a line a split, and where its folder is."""
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
            say(f"{split:5} top-1 {score(found['top1'])}  macro F1 {_value(found['macro_f1'])}  n {found['n']:,}")
            _leaked(found, 6)
            if "top1_tta" in found:
                say(f"      top-1 {score(found['top1_tta'])}  with test-time augmentation")
    _weights(folder, metrics)
    _place(folder)


def show_scores(folder: Path, as_json: bool, splits: tuple[str, ...], *, per_class: bool = False) -> None:
    """Everything that is known of the splits that were scored, and where the files are."""
    metrics = metrics_of(folder)
    if as_json:
        more = evaluation_files.complete(folder, splits)
        print_json({"run": str(folder), "scored": list(splits), "metrics": metrics, **more})
        return
    for split in splits:
        _table(folder, split, metrics[split])
        if per_class:
            show_classes(folder, split)
    _weights(folder, metrics)
    _place(folder)


def _table(folder: Path, split: str, found: dict[str, Any]) -> None:
    """The scores of a split, one a line, within 80 columns."""
    # of an older run: scored by dojang 0.1
    have = found.get("classes", {"known": None, "with_pictures": None})
    classes = f", {have['known']} classes" if have["known"] else ""
    say(f"{split}: {found['n']:,} pictures{classes}; intervals of 95 %")
    _leaked(found, 2)
    if have["known"] != have["with_pictures"]:
        none, of = have["known"] - have["with_pictures"], many(have["known"], "class", "classes")
        say(f"  {none:,} of the {of} {'has' if none == 1 else 'have'} no pictures here; left out of means over classes")
    for name, title in WORDS.items():
        value = found.get(name)
        if isinstance(value, dict):
            say(f"  {title:18} {_value(value):>8}   {_interval(value)}")
    if "calibration" in found:
        c = found["calibration"]
        more = f"by chance alone {c['by_chance']:.4f}, up to {c['by_chance_high']:.4f}"
        say(f"  {'calibration error':18} {c['ece']:8.4f}   {more}")
    for i, pair in enumerate(found.get("confused", [])[:_PAIRS]):
        true, predicted = readable((pair["true"], pair["predicted"]))
        # 32 columns stand in front, 19 are words and the share
        said = f"{short(true, 14)} taken for {short(predicted, 14)}"
        say(f"  {'confused' if i == 0 else '':18} {pair['n']:>8,}   {said} ({100 * pair['share']:.0f} %)")
    wrong = [row for row in evaluation_files.read(folder / "worst.csv") if row["split"] == split]
    for i, row in enumerate(wrong[:_WRONG]):
        said = f"{short(row['path'], 32, end=True)} as {short(readable([row['predicted']])[0], 12)}"
        say(f"  {'surely wrong' if i == 0 else '':18} {float(row['probability']):8.4f}   {said}")


def _value(value: dict[str, Any]) -> str:
    return "-" if value["value"] is None else f"{value['value']:.4f}"


def _interval(value: dict[str, Any]) -> str:
    if value["low"] is None or value["value"] is None:
        return f"none: {value.get('why') or 'every draw gives the same'}"
    return f"{value['low']:.4f} to {value['high']:.4f}"


def _leaked(found: dict[str, Any], indent: int) -> None:
    if found.get("leaked"):
        say(f"{'':{indent}}{found['leaked']:,} of these pictures were trained on, byte for byte: too good")


def _weights(folder: Path, metrics: dict[str, Any]) -> None:
    """By what the weights were chosen, and what that does to the scores there."""
    if told := sentence(metrics):
        # what other data calls val is not what the weights were chosen on
        own = known(metrics)[1] in metrics and not (folder / VAL).exists()
        say(told + (", where they look better than they are" if own else ""))


def _place(folder: Path) -> None:
    pictures = [name for name in _PICTURES if (folder / name).exists()]
    say(f"run   {folder}")
    if pictures:
        say(f"      ({', '.join(pictures)})")
    if (folder / evaluation_files.LEGEND).exists():
        say("      some class names are numbers in the pictures, as no font here has their")
        say(f"      letters: {evaluation_files.LEGEND} names them; pip install 'dojang[korean]' brings a font")


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
    say(f"all   top-1 {score(whole['top1'])}  macro F1 {_value(whole['macro_f1'])}  n {whole['n']:,}")


_TITLES = {"top1": "top-1", "balanced_accuracy": "balanced", "macro_f1": "macro F1", "log_loss": "log loss"}


def score(value: dict[str, Any]) -> str:
    """A score with its 95 % interval."""
    if value["value"] is None:
        return "-"
    if value["low"] is None:
        return f"{value['value']:.4f}"
    return f"{value['value']:.4f} (95 %: {value['low']:.4f} to {value['high']:.4f})"
