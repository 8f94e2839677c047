"""The ready-made studies that repeat tables of the notes, one command each, and what they found.

    python benchmarks/studies.py NAME... [--data DATA] [--data-root FOLDER] [--project runs/study] [--flags "FLAGS"]

For each NAME the command is ``dojang study NAME [DATA] [FLAGS]``.  It goes on where it was stopped: a study of that
name that is under --project is resumed.  Kept in benchmarks/results/studies/NAME.json: the command, the plan as it was
carried out, the table with its intervals and every run with its scores.  This is about scores: the machine may be busy
with other things meanwhile, so the seconds are kept run by run but nothing is made of them.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
import yaml

import dojang

RESULTS = Path(__file__).parent / "results" / "studies"


def numbers(path: Path) -> list[dict[str, Any]]:
    """Rows of a table, numbers as numbers."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: _number(value) for name, value in row.items()} for row in csv.DictReader(file)]


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--data", help="in place of the study's own")
    parser.add_argument("--data-root")
    parser.add_argument("--project", type=Path, default=Path("runs/study"))
    parser.add_argument("--called", help="of its folder and of the kept file, where flags make it another study")
    parser.add_argument("--flags", default="", help="further flags of dojang study, in one word")
    options = parser.parse_args()
    for name in options.names:
        called = options.called or name
        folder = options.project / called
        # what others need to know of the command; where things lie is a matter of this machine
        said = ["study", name, *([options.data] if options.data else []), *shlex.split(options.flags)]
        here = ["--project", str(options.project), "--name", called]
        here += ["--data-root", options.data_root] if options.data_root else []
        words = ["study", "--resume", str(folder)] if (folder / "state.json").exists() else [*said, *here]
        subprocess.run([sys.executable, "-m", "dojang", *words], check=True)
        plan = yaml.safe_load((folder / "study.yaml").read_text("utf-8"))
        plan["recipe"].pop("data_root", None)
        kept = {
            "command": "dojang " + shlex.join(said),
            "with": {"dojang": dojang.__version__, "python": platform.python_version(), "torch": torch.__version__},
            "machine": {"cpu": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
            "judge": json.loads((folder / "state.json").read_text("utf-8"))["judge"],
            "plan": {key: value for key, value in plan.items() if value and key not in ("about", "format")},
            "table": numbers(folder / "table.csv"),
            "runs": numbers(folder / "runs.csv"),
        }
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{called}.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")
        print(f"kept in {RESULTS / called}.json")


if __name__ == "__main__":
    main()
