"""A scan: every picture looked at once, pairs compared, and what is wrong said by kind."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dojang.data import division
from dojang.data.labels import alike
from dojang.data.manifest import Manifest, plain
from dojang.doctor.findings import KINDS, Finding, Report
from dojang.doctor.look import Looks, look
from dojang.doctor.pairs import Pair, pairs

if TYPE_CHECKING:
    from dojang.doctor.unseen import Unseen
    from dojang.predict.predictor import Predictor

Tick = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Limits:
    """From where on a picture is worth a word.

    Of 900 photographs of dogs none is found; the least sharp has 0.039, and blurred by a Gauss of 4 pixels, at
    340 x 256, they have 0.022 at most.

    Args:
        blank: Deviation of its grey levels, at most.
        dark, bright: The level that 99 % lie below, at most; that 1 % lie below, at least.
        blurred: Deviation of the differences of neighbours over that of the levels, at most; of pictures of 128 pixels
            and more.
        tiny: Of the median area of all, at most.
        huge: Pixels, at least.
        shape: Longer over shorter side, at least, where the median is below half of it.
        imbalance: Largest over smallest class, at least.
    """

    blank: float = 2.0
    dark: float = 24.0
    bright: float = 232.0
    blurred: float = 0.024
    tiny: float = 1 / 40
    huge: int = 25_000_000
    shape: float = 4.0
    imbalance: float = 10.0


LIMITS = Limits()


def scan(
    manifest: Manifest,
    *,
    threads: int,
    max_pixels: int,
    limits: Limits = LIMITS,
    predictor: Predictor | Unseen | None = None,
    tick: Tick = lambda stage, done, total: None,
) -> tuple[Report, Looks]:
    """Look at all pictures of a manifest and say what is wrong with them.

    Args:
        threads: That read and decode.
        max_pixels: Larger pictures are not read, and are found.
        predictor: A trained network, by whose features labels and strangers are judged, or a cross-validation, whose
            networks judge what they have not learned; None leaves that out.
        tick: Called with the stage ("looking at", "comparing" or "judging"), the pictures done and their number.

    Raises:
        ConfigError: C212, C218 and C248 where a predictor cannot judge these pictures.
        DataError: D107 where a cross-validation does not know a class.
    """
    began = time.perf_counter()
    count = len(manifest)
    looks = look(manifest, threads=threads, max_pixels=max_pixels, tick=lambda n: tick("looking at", n, count))
    found, notes = list(each(manifest, looks, limits)), list(manifest.notes)
    found += _all(manifest, limits)
    doubles = pairs(manifest, looks, tick=tick)
    found += _doubles(manifest, doubles)
    if predictor is not None:
        # torch takes longer to load than most scans
        from dojang.doctor.judge import judgements

        # pictures that are one are judged by others
        together = division.together(manifest, [pair.rows for pair in doubles])
        digests = [one.hex() if seen else "" for one, seen in looks.facts[["digest", "seen"]].tolist()]
        more, said = judgements(predictor, together, digests, threads, lambda n: tick("judging", n, count))
        found += more
        notes += said
    order = {kind: number for number, kind in enumerate(KINDS)}
    found.sort(key=lambda finding: order[finding.kind])
    seen = looks.facts[looks.facts["seen"]]
    report = Report(
        manifest.source.name,
        manifest.counts(),
        _sizes(seen),
        _numbers(looks.formats, seen["format"]),
        _numbers(looks.modes, seen["mode"]),
        tuple(found),
        tuple(notes),
        time.perf_counter() - began,
    )
    return report, looks


def each(manifest: Manifest, looks: Looks, limits: Limits) -> Iterator[Finding]:
    """What is to be said of single pictures."""
    for path, error in looks.bad.items():
        # the path stands before it already
        yield Finding("unreadable", (path,), error.what.removeprefix(f"{path!r} "), {"code": error.code})
    facts = looks.facts
    seen = facts["seen"]
    if not seen.any():
        return
    width, height = facts["width"].astype(np.int64), facts["height"].astype(np.int64)
    area = width * height
    typical = float(np.median(area[seen]))
    long = np.maximum(width, height) / np.maximum(np.minimum(width, height), 1)
    usual = float(np.median(long[seen]))
    blank = facts["deviation"] <= limits.blank
    large = np.minimum(width, height) >= 128
    kinds = {
        "blank": blank,
        "dark": ~blank & (facts["high"] <= limits.dark),
        "bright": ~blank & (facts["low"] >= limits.bright),
        "blurred": ~blank & large & (facts["sharpness"] <= limits.blurred),
        "tiny": (area <= limits.tiny * typical),
        "huge": area >= limits.huge,
        "shape": (long >= limits.shape) & (usual < limits.shape / 2),
        "turned": facts["turned"],
        "frames": facts["frames"] > 1,
    }
    for kind, which in kinds.items():
        for row in np.flatnonzero(which & seen).tolist():
            fact = facts[row]
            words = {
                "dark": f"99 % of its pixels are below level {fact['high']:.0f} of 255",
                "bright": f"99 % of its pixels are above level {fact['low']:.0f} of 255",
                "blurred": f"sharpness {fact['sharpness']:.4f}",
                "frames": f"{fact['frames']} pictures",
            }.get(kind, f"{fact['width']} x {fact['height']}")
            yield Finding(kind, (manifest.paths[row],), words)


def _all(manifest: Manifest, limits: Limits) -> Iterator[Finding]:
    """What is to be said of classes and splits."""
    counts = manifest.counts()
    for split, classes in counts.items():
        missing = [name for name, n in classes.items() if not n]
        if split and missing:
            words = f"{split} has no pictures of {', '.join(map(plain, missing))}"
            yield Finding("class-missing", (), words, {"split": split, "classes": missing})
    parts: dict[str, dict[str, list[str]]] = {}
    for group, split, path in zip(manifest.groups, manifest.splits, manifest.paths, strict=True):
        if group:
            parts.setdefault(group, {}).setdefault(split, []).append(path)
    for group, by_split in parts.items():
        if len(by_split) > 1:
            words = f"group {plain(group)}: " + ", ".join(
                f"{split} {len(paths):,}" for split, paths in by_split.items()
            )
            yield Finding("group-across", tuple(paths[0] for paths in by_split.values()), words, {"group": group})
    # the part that is learned from, or all of it
    classes = counts.get("train") or counts.get("") or {}
    sizes = {name: n for name, n in classes.items() if n}
    if len(sizes) > 1 and max(sizes.values()) >= limits.imbalance * min(sizes.values()):
        most, least = max(sizes, key=lambda name: sizes[name]), min(sizes, key=lambda name: sizes[name])
        words = f"{plain(most)} has {sizes[most]:,} pictures, {plain(least)} {sizes[least]:,}"
        yield Finding("imbalance", (), words, {"largest": most, "smallest": least})
    for names in alike(manifest.classes):
        yield Finding("names", (), f"{', '.join(map(repr, names))} are different classes", {"classes": names})


def _doubles(manifest: Manifest, found: list[Pair]) -> Iterator[Finding]:
    """Pairs as findings: under two labels, in two splits, or neither."""
    targets = manifest.targets
    for pair in found:
        labels = [manifest.classes[targets[row]] for row in pair.rows]
        splits = [manifest.splits[row] for row in pair.rows]
        other, across, exact = labels[0] != labels[1], splits[0] != splits[1], pair.how != "near"
        words = []
        if across:
            words.append(f"{splits[0]} and {splits[1]}")
        if other:
            words.append(f"labelled {plain(labels[0])} and {plain(labels[1])}")
        if exact:
            kind = "two-labels" if other else "same-across" if across else "same"
            words.append("the same bytes" if pair.how == "bytes" else "the same pixels in other bytes")
        else:
            kind = "near-two-labels" if other else "near-across" if across else "near"
            words.append(f"agree to {pair.score:.2f}")
        facts = {"how": pair.how, "score": round(pair.score, 4), "labels": labels, "splits": splits}
        paths = manifest.paths[pair.rows[0]], manifest.paths[pair.rows[1]]
        yield Finding(kind, paths, "; ".join(words), facts)


def _sizes(seen: np.ndarray) -> tuple[tuple[int, int], ...]:
    if not len(seen):
        return ()
    order = np.argsort(seen["width"].astype(np.int64) * seen["height"], kind="stable")
    rows = order[0], order[len(order) // 2], order[-1]
    return tuple((int(seen["width"][row]), int(seen["height"][row])) for row in rows)


def _numbers(words: tuple[str, ...], column: np.ndarray) -> dict[str, int]:
    found = Counter(column.tolist())
    return {words[key]: n for key, n in sorted(found.items(), key=lambda one: (-one[1], one[0]))}
