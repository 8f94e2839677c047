"""Cleaning from beginning to end: find the pictures, make or read the plan, carry it out where that is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dojang import files
from dojang.data.decode import MAX_PIXELS
from dojang.data.manifest import Manifest, pasted
from dojang.data.named import NAMES
from dojang.data.scan import find
from dojang.doctor.apply import Tick, copy_to, outside, record_of
from dojang.doctor.inplace import rearrange
from dojang.doctor.journal import check_no_other
from dojang.doctor.places import folder_of, no_files
from dojang.doctor.plan import Plan, check, read_plan
from dojang.doctor.repairs import Repairs, make
from dojang.errors import ConfigError
from dojang.folders import unfinished


@dataclass(frozen=True)
class Cleaned:
    """What came of it.

    Args:
        written: The file of the plan, where it was written.
        out: The new folder; taken: the folder beside the data that holds what was taken out; "" for none of it.
        applied: Whether anything was carried out.
    """

    manifest: Manifest
    plan: Plan
    written: str = ""
    out: str = ""
    taken: str = ""
    applied: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"plan": self.written, "out": self.out, "taken": self.taken, "applied": self.applied}

    def lines(self) -> Iterator[str]:
        """What is to be said at the end."""
        if self.written:
            yield f"plan  {self.written}"
        if not self.applied:
            here = " or --in-place --apply" if folder_of(self.manifest) else ""
            yield f"nothing was changed; to do it: --out NEW --apply{here}"
            if len(self.plan.staying) == len(self.plan.lines) and not any(line.why for line in self.plan.lines):
                yield f"no repair was chosen; what there is to repair: dojang scan {pasted(self.manifest.source.name)}"
        elif self.out:
            yield f"made  {self.out}   what was done: {record_of(self.out)}"
            yield f"look at it: dojang scan {pasted(self.out)}"
        elif self.taken:
            yield f"what was moved and why: {self.taken}"
            yield f"take it back: dojang clean --undo {pasted(self.taken)}"
        else:
            yield "nothing had to be changed."


def repairs_from(chosen: Mapping[str, Any]) -> Repairs:
    """Repairs from the words of a command: lists may be divided by commas, moves are KIND=CLASS.

    Raises:
        ConfigError: C202 for a move that is none.

    Example:
        >>> repairs_from({"drop": ("blank,dark", "tiny"), "move": ("bright=other",)}).move
        {'bright': 'other'}
    """
    words = dict(chosen)
    words["drop"] = tuple(kind.strip() for word in chosen.get("drop", ()) for kind in word.split(",") if kind.strip())
    move = {}
    for word in chosen.get("move", ()):
        kind, sign, name = word.partition("=")
        if not sign or not name:
            raise ConfigError("C202", f"--move cannot be {word!r}; expected KIND=CLASS.", fix="--move blank=blank")
        move[kind.strip()] = name
    words["move"] = move
    words["rename_classes"] = tuple(chosen.get("rename_classes", ()))
    return Repairs(**words)


def clean(
    data: str,
    repairs: Repairs,
    *,
    plan: str | None = None,
    out: str | None = None,
    in_place: bool = False,
    apply: bool = False,
    threads: int = 0,
    max_pixels: int = MAX_PIXELS,
    tick: Tick = lambda stage, done, total: None,
) -> Cleaned:
    """Make or read a plan for some data, and carry it out if that is asked for.

    Args:
        data: A folder, an archive or a table.
        repairs: What was chosen; nothing of it beside a plan that is there already.
        plan: A file: read where it exists, else written.
        out: The new folder.

    Raises:
        ConfigError, DataError, SecurityError, ResourceError: Those of the functions that it calls.
    """
    there = plan is not None and os.path.lexists(plan)
    both = there and repairs != Repairs()
    # the command that was killed once is given again
    if both and not (apply and out is not None and os.path.lexists(unfinished(out))):
        raise _both(str(plan))
    if data in NAMES and not os.path.lexists(data):
        raise no_files(data)
    if os.path.isdir(data):
        # first of all: half of its pictures may be elsewhere
        check_no_other(Path(data).resolve())
    # whatever is wrong with an archive is an error here, before anything is written
    manifest = find(data)
    if plan is not None and not there:
        outside(plan, manifest, "--plan")
    if out is not None:
        outside(out, manifest, "--out")
        files.must_be_new(out, fix="--out NEW", flag="--out")
    if there:
        made = read_plan(str(plan))
    else:
        made = make(manifest, repairs, threads=threads, max_pixels=max_pixels, tick=tick)
    if both and make(manifest, repairs, threads=threads, max_pixels=max_pixels, tick=tick).lines != made.lines:
        raise _both(str(plan))
    check(made, manifest.paths)
    written = ""
    if plan is not None and not there:
        files.write_text(plan, made.to_csv())
        written = plan
    if not apply:
        return Cleaned(manifest, made, written)
    if out is not None:
        copy_to(manifest, made, out, threads=threads, max_pixels=max_pixels, tick=tick)
        return Cleaned(manifest, made, written, out=out, applied=True)
    journal = rearrange(manifest, made, max_pixels=max_pixels, tick=tick)
    taken = _near(journal.folder) if journal else ""
    return Cleaned(manifest, made, written, taken=taken, applied=True)


def _both(plan: str) -> ConfigError:
    return ConfigError(
        "C200",
        f"--plan {plan!r} is there already, and repairs are chosen, too.",
        context="A plan that exists is followed as it is; nothing is overwritten.",
        fix="leave the repairs out to follow it, or --plan NEW.csv",
    )


def _near(path: Path) -> str:
    """A path as one would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
