"""Training pictures before and after augmentation, as a page."""

from __future__ import annotations

from dojang.data.manifest import plain
from dojang.doctor.sheet import grid, sheet
from dojang.runs.preview import Preview


def page(found: Preview, name: str) -> str:
    """The text of an HTML page: a picture a row, as validation sees it and as the first epochs of training do.

    Args:
        name: Of the data.
    """
    rows = []
    columns = zip(found.paths, found.labels, found.before, found.after, strict=True)
    for path, label, before, after in columns:
        shown = [(before, "as it is"), *((levels, f"epoch {number}") for number, levels in enumerate(after, 1))]
        rows.append((f"{plain(label)} | {plain(path)}", shown))
    summary = [
        f"augment: {found.words}",
        "Each picture is changed anew in every epoch, by draws that depend on the seed, the epoch and the picture "
        "alone. Validation and test pictures stay as they are.",
    ]
    augment = found.recipe.augment
    if augment.mixup or augment.cutmix:
        summary.append("Where pictures are mixed it is with the next one of their batch; here a batch is what you see.")
    return sheet(f"{name}: before and after", summary, [("Training pictures", [], grid(rows))])
