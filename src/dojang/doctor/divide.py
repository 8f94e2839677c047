"""A division of data into splits, or into folds, with pictures that are one picture kept together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dojang.data import division, split
from dojang.data.manifest import SPLITS, Manifest, pasted
from dojang.data.prepare import bad_pictures
from dojang.doctor.look import look
from dojang.doctor.pairs import pairs as find_pairs
from dojang.errors import many


@dataclass(frozen=True)
class Divided:
    """What came of it.

    Args:
        manifests: One, or one a fold, with digests, groups and splits.
        words: The splits of each in a line.
        notes: What is to be said of how it was done.
    """

    manifests: tuple[Manifest, ...]
    words: tuple[str, ...]
    notes: tuple[str, ...]


def divide(
    manifest: Manifest,
    *,
    val: float | str | None = None,
    test: float | None = None,
    folds: int | None = None,
    group_by: str | None = None,
    pairs: bool = True,
    resplit: bool = False,
    seed: int = 0,
    threads: int = 0,
    max_pixels: int = 50_000_000,
    tick: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Divided:
    """Divide a manifest.

    Args:
        val, test: As :func:`dojang.data.split.assign`; with folds there is no test part but one that is asked for.
        folds: So many manifests, in each another part "val".
        group_by: A regular expression; see :func:`dojang.data.division.grouped`.
        pairs: Whether pictures that are nearly one are groups; those of the same bytes always are.
        resplit: Set the division aside that the data brings.

    Raises:
        DataError: D104 where pictures cannot be read; those of the functions named.
        ConfigError: Those of the functions named.
    """
    count = len(manifest)
    looks = look(manifest, threads=threads, max_pixels=max_pixels, tick=lambda n: tick("looking at", n, count))
    if looks.bad:
        fix = f"dojang clean {pasted(manifest.source.name)} --drop unreadable --out NEW --apply, and divide that."
        raise bad_pictures(looks.bad, count, "", fix=fix)
    manifest = manifest.replace(digests=tuple(digest.hex() for digest in looks.facts["digest"].tolist()))
    before = len(manifest.notes)
    own = [name for name in SPLITS if name in manifest.splits]
    if resplit:
        manifest = division.anew(manifest)
    if group_by is not None:
        manifest = division.grouped(manifest, group_by)
    notes = []
    if pairs:
        # where the data has divided two already, nothing is left to keep together
        kept = [split == "test" if folds else split for split in manifest.splits]
        found = [p for p in find_pairs(manifest, looks, tick=tick) if kept[p.rows[0]] == kept[p.rows[1]]]
        manifest = division.together(manifest, [pair.rows for pair in found])
        if found:
            rows = {row for pair in found for row in pair.rows}
            notes.append(f"kept together: {many(len(rows), 'picture')} that are one picture with another, or nearly")
    if folds is None:
        done = split.assign(manifest, val=val, test=test, seed=seed)
        made = [done]
        if own and not resplit:
            stay = ", ".join(name for name in own if name != "train" or done.splits == manifest.splits)
            notes.append(f"left as the data brings it: {stay} (--resplit divides anew)")
        notes += done.notes[before:]
    else:
        if test:
            manifest = split.assign(manifest, val="none", test=test, seed=seed)
        made = division.folds(manifest, folds, seed)
        notes += manifest.notes[before:]
    return Divided(tuple(made), tuple(map(split.describe, made)), tuple(notes))
