"""Training by a user who may only read the data, in a process of its own.

    python nobody.py DATA OWN OTHER OPTIONS

OWN is a folder that everybody may write, OTHER one that nobody but root may, OPTIONS a recipe as JSON. A child of the
tests' own process will not do: torch refuses a backward pass in a child of a process whose autograd has made threads.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from dojang.errors import ResourceError
from dojang.runs import recipe, train


def begin(data: Path, project: Path, options: dict[str, Any]) -> Path:
    return train.begin(str(data), [recipe.read_layer(options | {"project": str(project)}, "test")])


def main(data: Path, own: Path, other: Path, options: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # imports everything: nobody may not read a Python that lies in root's home
        begin(data, Path(folder), options)
    # root may write anywhere
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    os.environ["HOME"] = str(own)
    os.environ["DOJANG_CACHE"] = str(own / "cache")
    with pytest.raises(PermissionError):
        (data / "new").write_text("")
    run = begin(data, own, options | {"store": "disk"})
    assert (run / "metrics.json").exists()
    with pytest.raises(ResourceError, match=r"R402\]: cannot write"):
        begin(data, other / "closed", options)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4]))
