"""What an export leaves: a file that needs no dojang, and what was found out about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        path: The file to open.
        record: What the file beside it holds: what it was made of, how near its answers are, what 8 bits cost.

    >>> Exported(Path("best.onnx"), {})
    Exported('best.onnx')
    """

    path: Path
    record: dict[str, Any]

    def __repr__(self) -> str:
        return f"Exported({str(self.path)!r})"
