"""Runs that were put together, as metrics.json tells of them; and a file that is moved out of the way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: what metrics.json calls runs of one recipe that were put together
REPEATS = ("folds", "seeds")
_PART = re.compile(r"(fold|seed)-[0-9]+")


def repeated(found: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """("folds" or "seeds", what metrics.json says of them) where several runs were put together."""
    return next(((kind, found[kind]) for kind in REPEATS if kind in found), None)


def parts(found: Mapping[str, Any]) -> list[str]:
    """Names of the runs that were put together; one that leads elsewhere was not written by dojang."""
    of = repeated(found)
    return [run["name"] for run in of[1].get("runs", []) if _PART.fullmatch(run["name"])] if of else []
