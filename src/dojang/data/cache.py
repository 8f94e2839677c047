"""The cache folder's stores: decoded pictures that were too many for memory; used longest ago goes first."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from dojang import files, folders
from dojang.errors import ConfigError, ResourceError

LIMIT = 40 * 10**9
INDEX = "index.json"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One store: its folder, size, number of pictures, and when it was last used."""

    path: Path
    bytes: int
    pictures: int
    used: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self) | {"path": str(self.path)}


def folder() -> Path:
    """Where stores are kept."""
    return files.cache_folder() / "stores"


def entries() -> list[Entry]:
    """Every whole store, the one used longest ago first."""
    found = []
    for index in folder().glob(f"*/{INDEX}"):
        size = sum(file.stat().st_size for file in index.parent.iterdir())
        found.append(Entry(index.parent, size, json.loads(files.read_text(index))["pictures"], index.stat().st_mtime))
    return sorted(found, key=lambda entry: entry.used)


def clear(several: list[Entry]) -> None:
    """Remove stores; they are made again when they are needed."""
    for entry in several:
        folders.remove_folder(entry.path)


def make_room(need: int) -> None:
    """Evict stores until one more of ``need`` bytes fits the limit, $DOJANG_CACHE_LIMIT or 40 GB.

    Raises:
        ConfigError: C202 for a limit that is no number.
        ResourceError: R403 when it never would.
    """
    given = os.environ.get("DOJANG_CACHE_LIMIT", str(LIMIT))
    try:
        limit = int(float(given))
    except (ValueError, OverflowError):
        raise ConfigError(
            "C202",
            f"DOJANG_CACHE_LIMIT cannot be {given!r}; expected a number of bytes.",
            fix="DOJANG_CACHE_LIMIT=40e9",
        ) from None
    # a build that was killed leaves gigabytes
    folders.clear_temporaries(folder())
    if need > limit:
        raise ResourceError(
            "R403",
            f"the decoded pictures take {need / 1e9:.1f} GB; the cache folder may hold {limit / 1e9:.1f} GB.",
            fix=f"DOJANG_CACHE_LIMIT={need + 10**9}, or a smaller --imgsz.",
        )
    have = entries()
    total = sum(entry.bytes for entry in have)
    for entry in have:
        if total + need <= limit:
            break
        clear([entry])
        total -= entry.bytes
