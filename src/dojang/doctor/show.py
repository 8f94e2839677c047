"""A report in a terminal: what there is, then what was found, kind by kind, the gravest first."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from dojang.data.manifest import pasted, plain
from dojang.doctor.findings import GRAVE, KINDS, NOTE, Report
from dojang.errors import many

_WIDE = 80
# of each kind; the page and --json have all
_MOST = 5


def lines(report: Report, most: int = _MOST) -> Iterator[str]:
    """The lines of a report, 80 columns wide.

    Args:
        most: Findings of a kind that are named.
    """
    parts = [f"{many(report.pictures, 'picture')} in {pasted(report.data)}"]
    parts += [f"{name} {n:,}" for name, n in report.formats.items()]
    yield from folded_lines(", ".join(parts))
    if report.sizes:
        small, middle, large = (f"{width:,} x {height:,}" for width, height in report.sizes)
        every = f"all {small}" if small == large else f"{small} to {large} (median {middle})"
        modes = ", ".join(f"{plain(name)} {n:,}" for name, n in report.modes.items())
        yield from folded_lines(f"width x height {every}; {modes}")
    yield ""
    yield from _splits(report)
    for note in report.notes:
        yield from folded_lines(f"note: {note}")
    kinds = [kind for kind in KINDS if report.of(kind)]
    for kind in kinds:
        yield ""
        found, about = report.of(kind), KINDS[kind]
        yield from folded_lines(f"{about.gravity}: {about.title} ({len(found):,}): {about.advice}", "  ")
        if about.gravity == NOTE and kind not in ("imbalance", "huge"):
            continue
        for finding in found[:most]:
            names = " = ".join(plain(path) for path in finding.paths)
            yield from folded_lines(": ".join(part for part in (names, finding.words) if part), "    ", "  ")
        if len(found) > most:
            yield f"  and {len(found) - most:,} more (--json or --html FILE has all)"
    yield ""
    yield _verdict(report, kinds)


def _splits(report: Report) -> Iterator[str]:
    row = "{:<8}{:>10}{:>10}{:>24}{:>24}".format
    yield row("split", "pictures", "classes", "smallest", "largest")
    for split, classes in report.counts.items():
        some = {name: n for name, n in classes.items() if n}
        if not some:
            continue
        least, most = min(some, key=lambda name: some[name]), max(some, key=lambda name: some[name])
        ends = [f"{_cut(plain(name), 16)} {some[name]:,}" for name in (least, most)]
        yield row(split or "all", f"{sum(some.values()):,}", f"{len(some):,}", *ends)


def _verdict(report: Report, kinds: list[str]) -> str:
    graves = sum(len(report.of(kind)) for kind in kinds if KINDS[kind].gravity == GRAVE)
    if graves:
        return f"{many(graves, 'finding')} would make scores wrong."
    rest = sum(len(report.of(kind)) for kind in kinds if KINDS[kind].gravity != NOTE)
    return f"nothing that would make scores wrong; {many(rest, 'warning')}." if rest else "nothing wrong was found."


def _cut(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 3] + "..."


def folded_lines(text: str, inset: str = "  ", first: str = "") -> list[str]:
    """Text broken between words, 80 columns wide."""
    return textwrap.wrap(
        text, _WIDE, initial_indent=first, subsequent_indent=inset, break_on_hyphens=False, break_long_words=True
    )
