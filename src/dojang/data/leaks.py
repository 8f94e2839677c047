"""Pictures that are in two parts of the data at once: a score on what was learned is no score.

Two pictures are one here when their bytes are (of pictures that are arrays: their pixels), which costs a comparison of
digests that exist already; ``dojang scan`` finds those that are nearly one, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from dojang.data.manifest import SPLITS, Manifest, pasted, plain
from dojang.errors import DataError, many

_WORDS = {"val": "validation", "test": "test"}


def check(manifest: Manifest, *, allow: bool = False) -> tuple[str, ...]:
    """Refuse data whose own splits share pictures or groups with its training part.

    Args:
        manifest: With digests, before dojang divides what the data leaves open.
        allow: Say it, and go on.

    Returns:
        What is to be said, one plain sentence each.

    Raises:
        DataError: D110 for pictures, D126 for groups.
    """
    notes = _groups(manifest, allow)
    # one set of all digests: what most data is done with
    if len(set(manifest.digests)) == len(manifest):
        return tuple(notes)
    first = _first(manifest, [row for row, split in enumerate(manifest.splits) if split in ("train", "")])
    counts, example = {}, ""
    for split in _WORDS:
        rows = manifest.rows(split).tolist()
        leaked = [row for row in rows if manifest.digests[row] in first]
        if leaked:
            counts[split] = f"{len(leaked):,} of {len(rows):,} {_WORDS[split]}"
            pair = leaked[0], first[manifest.digests[leaked[0]]]
            example = example or " = ".join(plain(manifest.paths[row]) for row in pair)
    if counts:
        what = f"{' and '.join(counts.values())} images are byte-identical to training images, e.g. {example}"
        if not allow:
            raise DataError(
                "D110",
                f"{what}.",
                context="Their score would be that of pictures learned by heart.",
                fix=f"dojang clean {pasted(manifest.source.name)} --drop duplicates --out NEW --apply; or --allow-leak"
                ", which is recorded and said beside every score.",
            )
        notes.append(f"leak: {what} (--allow-leak)")
    chosen = _first(manifest, manifest.rows("val").tolist())
    both = [row for row in manifest.rows("test").tolist() if manifest.digests[row] in chosen]
    if both:
        names = (plain(manifest.paths[row]) for row in (both[0], chosen[manifest.digests[both[0]]]))
        said = f"{many(len(both), 'test image')} helped to choose the best weights, being in val too"
        notes.append(f"{said}, e.g. {' = '.join(names)}")
    return (*notes, *_labels(manifest))


def count(manifest: Manifest, split: str, learned: Collection[str]) -> int:
    """How many pictures of a split have a digest among those of the pictures that a network has learned from."""
    rows = zip(manifest.splits, manifest.digests, strict=False)
    return sum(1 for name, digest in rows if name == split and digest in learned)


def learned(manifest: Manifest) -> frozenset[str]:
    """The digests of the training pictures."""
    rows = zip(manifest.splits, manifest.digests, strict=False)
    return frozenset(digest for name, digest in rows if name == "train")


def copies(manifest: Manifest, rows: Iterable[int]) -> list[tuple[int, int]]:
    """Pairs of rows that are one picture: each with the first of its kind. None where nothing was read yet."""
    if len(set(manifest.digests)) in (0, len(manifest)):
        return []
    first: dict[str, int] = {}
    found = ((first.setdefault(manifest.digests[row], row), row) for row in rows)
    return [(one, other) for one, other in found if one != other]


def _first(manifest: Manifest, rows: Iterable[int]) -> dict[str, int]:
    """The first row of each digest."""
    found: dict[str, int] = {}
    for row in rows:
        found.setdefault(manifest.digests[row], row)
    return found


def _groups(manifest: Manifest, allow: bool) -> list[str]:
    """The same of groups that the data names."""
    parts: dict[str, set[str]] = {}
    for group, split in zip(manifest.groups, manifest.splits, strict=True):
        if group:
            parts.setdefault(group, set()).add(split or "train")
    across = [group for group, splits in parts.items() if len(splits) > 1]
    if not across:
        return []
    splits = [split for split in SPLITS if split in parts[across[0]]]
    number = many(len(across), "group is", "groups are")
    what = f"{number} in more than one split, e.g. {plain(across[0])!r} in {' and '.join(splits)}"
    if not allow:
        raise DataError(
            "D126",
            f"{what}.",
            context="Pictures of one group are alike: a score on them would be that of pictures half known.",
            fix="put all rows of a group into one split; or --allow-leak, which is recorded and said.",
        )
    return [f"leak: {what} (--allow-leak)"]


def _labels(manifest: Manifest) -> list[str]:
    """What is to be said of pictures that are there under two labels."""
    first: dict[str, int] = {}
    other = []
    for row, (digest, labels) in enumerate(zip(manifest.digests, manifest.labels, strict=True)):
        if manifest.labels[first.setdefault(digest, row)] != labels:
            other.append(row)
    if not other:
        return []
    pair = f"{plain(manifest.paths[other[0]])} = {plain(manifest.paths[first[manifest.digests[other[0]]]])}"
    return [
        f"{many(len(other), 'image is', 'images are')} there under two labels, e.g. {pair} "
        f"(dojang scan {pasted(manifest.source.name)} lists them)"
    ]
