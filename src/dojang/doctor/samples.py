"""Some pictures of each class and split, as a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dojang import seeds
from dojang.data.decode import decode
from dojang.data.manifest import SPLITS, Manifest
from dojang.data.split import describe
from dojang.doctor.sheet import Section, grid, sheet
from dojang.errors import DataError, many

# of a class in a split; pictures on a page
_EACH, _MOST = 8, 480
_WORDS = {"train": "train: learned from", "val": "val: chosen by", "test": "test: judged by", "": "Not divided yet"}


@dataclass(frozen=True)
class Samples:
    """Which pictures are shown.

    Args:
        manifest: Theirs.
        rows: By split and class, numbers of rows.
        left: Classes without a place on the page.
    """

    manifest: Manifest
    rows: dict[str, dict[str, list[int]]]
    left: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        paths = self.manifest.paths
        shown = {
            split or "all": {name: [paths[row] for row in rows] for name, rows in classes.items()}
            for split, classes in self.rows.items()
        }
        counts = {split or "all": classes for split, classes in self.manifest.counts().items()}
        return {"data": self.manifest.source.name, "counts": counts, "shown": shown, "notes": [*self.manifest.notes]}

    def page(self) -> str:
        """The text of the page. A picture that cannot be decoded says so in its place."""
        sections: list[Section] = []
        counts = self.manifest.counts()
        for split, classes in self.rows.items():
            rows = [
                (f"{name} | {many(counts[split][name], 'picture')}", [self._picture(row) for row in chosen])
                for name, chosen in classes.items()
            ]
            sections.append((_WORDS[split], [], grid(rows)))
        summary = [describe(self.manifest)]
        if self.left:
            summary.append(f"{many(self.left, 'class', 'classes')} more have no place on this page.")
        return sheet(f"Pictures of {self.manifest.source.name}", summary, sections)

    def _picture(self, row: int) -> tuple[np.ndarray, str]:
        path = self.manifest.paths[row]
        name = path.rpartition("/")[2]
        try:
            return decode(self.manifest.source.read(path), path, mode="RGB"), name
        except DataError as error:
            return np.full((2, 2), 128, np.uint8), f"{name}: {error.code}, cannot be decoded"


def samples(manifest: Manifest, each: int | None = None, seed: int = 0) -> Samples:
    """Choose pictures to look at.

    Args:
        each: Of a class in a split; None for 8, or fewer where there are many classes.
        seed: Another one chooses others.

    Example:
        >>> from dojang.data.pairs import from_pairs
        >>> dots = from_pairs((np.zeros((1, 1), np.uint8), "ab"[i % 2]) for i in range(20))
        >>> {name: len(rows) for name, rows in samples(dots, 3).rows[""].items()}
        {'a': 3, 'b': 3}
    """
    splits = [split for split in (*SPLITS, "") if split in manifest.splits]
    classes = len(manifest.classes)
    count = each or max(1, min(_EACH, _MOST // max(1, classes * len(splits))))
    shown = max(1, min(classes, _MOST // (count * len(splits))))
    targets = manifest.targets
    found: dict[str, dict[str, list[int]]] = {}
    for split in splits:
        rows = manifest.rows(split)
        found[split] = {}
        for label, name in enumerate(manifest.classes[:shown]):
            inside = rows[targets[rows] == label]
            word = name.encode("utf-8", "backslashreplace").decode()
            order = seeds.permutation(seeds.key(seed, "show", split, word), len(inside))
            found[split][name] = sorted(inside[order[:count]].tolist())
    return Samples(manifest, found, classes - shown)
