"""What a scan finds, by kind: how grave it is, what it means and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

GRAVE, WARN, NOTE = "error", "warning", "note"


@dataclass(frozen=True)
class Kind:
    """A kind of finding.

    Args:
        title: What it is, in a few words.
        gravity: "error" where scores would be wrong, "warning" where training may suffer, "note" for what is handled.
        advice: What to do.
    """

    title: str
    gravity: str
    advice: str


KINDS: Mapping[str, Kind] = {
    "unreadable": Kind("cannot be read", GRAVE, "replace them, or train with --bad=skip"),
    "two-labels": Kind("the same picture under two labels", GRAVE, "keep the right one"),
    "same-across": Kind("the same picture in two splits", GRAVE, "remove it from one: it is scored on what it learned"),
    "group-across": Kind("one group in two splits", GRAVE, "a group belongs into one split"),
    "class-missing": Kind("classes that a split lacks", WARN, "their scores would rest on nothing"),
    "near-two-labels": Kind("nearly the same picture under two labels", WARN, "look which label is right"),
    "near-across": Kind("nearly the same picture in two splits", WARN, "look at them: a score on them is too good"),
    "same": Kind("the same picture twice", WARN, "keep one, or let both lie in one split"),
    "near": Kind("nearly the same picture", WARN, "let both lie in one split"),
    "label": Kind("labels that are probably wrong", WARN, "look at them, the most suspect first"),
    "stranger": Kind("belong to no class", WARN, "look whether they are what they should be, the strangest first"),
    "names": Kind("names that are easily taken for each other", WARN, "rename the folders if they are one class"),
    "imbalance": Kind(
        "classes of very different size",
        NOTE,
        "look at balanced accuracy; --class-weights balanced, or --sampler balanced",
    ),
    "blank": Kind("nothing to see", WARN, "remove them"),
    "dark": Kind("very dark", WARN, "look whether anything can be seen"),
    "bright": Kind("very bright", WARN, "look whether anything can be seen"),
    "blurred": Kind("blurred", WARN, "look whether they are what they should be"),
    "tiny": Kind("much smaller than the others", WARN, "look whether anything can be seen"),
    "huge": Kind("very large", NOTE, "smaller copies are read faster"),
    "shape": Kind("of an unusual shape", WARN, "the central cut shows little of them: --fit pad"),
    "turned": Kind("turned by their EXIF orientation", NOTE, "handled: read upright"),
    "frames": Kind("more than one picture in a file", NOTE, "handled: the first is read"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Args:
        kind: A key of :data:`KINDS`.
        paths: The pictures it is about; two for pairs.
        words: What is to be said of it beside their names.
        facts: Figures, for JSON.
    """

    kind: str
    paths: tuple[str, ...]
    words: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """The result of a scan.

    Args:
        data: What the user gave.
        counts: Pictures by split and class.
        sizes: Smallest, median and largest (width, height), by area; none of no pictures.
        formats, modes: How many of each.
        findings: In the order of :data:`KINDS`.
        notes: What was seen and left out while listing.
        seconds: That the scan took.
    """

    data: str
    counts: Mapping[str, Mapping[str, int]]
    sizes: tuple[tuple[int, int], ...]
    formats: Mapping[str, int]
    modes: Mapping[str, int]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def pictures(self) -> int:
        return sum(sum(classes.values()) for classes in self.counts.values())

    @property
    def grave(self) -> bool:
        """Whether anything was found that would make scores wrong."""
        return any(KINDS[finding.kind].gravity == GRAVE for finding in self.findings)

    def of(self, kind: str) -> Sequence[Finding]:
        """The findings of a kind."""
        return [finding for finding in self.findings if finding.kind == kind]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "format": 1,
            "data": self.data,
            "pictures": self.pictures,
            "counts": {split or "all": dict(classes) for split, classes in self.counts.items()},
            "sizes": dict(zip(("smallest", "median", "largest"), map(list, self.sizes), strict=False)),
            "formats": dict(self.formats),
            "modes": dict(self.modes),
            "findings": [
                {
                    "kind": finding.kind,
                    "gravity": KINDS[finding.kind].gravity,
                    "paths": list(finding.paths),
                    "words": finding.words,
                    **finding.facts,
                }
                for finding in self.findings
            ],
            "notes": list(self.notes),
            "seconds": round(self.seconds, 3),
        }
