"""Whether a study that is killed, or carried out by Ray, ends with the table of one that was not: byte for byte.

    python benchmarks/study_killed.py [--ray]

A study of 12 runs on digits (2 optimizers x 2 batches x 3 seeds).  Once left alone; once killed twice (SIGKILL to the
study itself, at a moment when runs are finished, under way and waiting) and resumed; with --ray, which needs the extra
of that name, once on Ray's engine, and once begun by processes, killed, and ended by Ray.  Kept in
benchmarks/results/study_killed.json: the digest of table.csv each, and how many runs were done at each kill.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import dojang

RESULTS = Path(__file__).parent / "results" / "study_killed.json"
STUDY = (
    "study digits --model mnist-cnn --epochs 3 --grid optimizer=adam,sgd --grid batch_size=32,128 --seeds 3 --name {}"
)
RUNS = 12


def start(words: list[str], project: Path) -> subprocess.Popen[str]:
    """dojang, in a process of its own."""
    command = [sys.executable, "-m", "dojang", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=project)


def finish(words: list[str], project: Path) -> None:
    """Run dojang to its end."""
    process = start(words, project)
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"dojang {' '.join(words)} ended with {process.returncode}:\n{said}")


def done(folder: Path) -> int:
    """Runs of a study that are finished."""
    return sum("training" in json.loads(path.read_text()) for path in folder.glob("cell-*/seed-*/metrics.json"))


def kill_after(words: list[str], project: Path, folder: Path, count: int) -> dict[str, int]:
    """Let a study run until so many runs are finished and others are under way, and kill it."""
    process = start(words, project)
    while done(folder) < count:
        if process.poll() is not None:
            raise SystemExit(f"it ended before it could be killed:\n{process.stderr.read() if process.stderr else ''}")
        time.sleep(0.05)
    # into the middle of the next ones
    time.sleep(1.0)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    if process.stderr:
        process.stderr.close()
    # its workers see that it is gone, and end at the end of the run that they are at: nothing else is to be begun
    time.sleep(15)
    begun = sum(1 for _ in folder.glob("cell-*/seed-*/args.yaml"))
    return {"finished": done(folder), "begun": begun}


def digest(folder: Path) -> str:
    if done(folder) != RUNS:
        raise SystemExit(f"{folder.name} has {done(folder)} of {RUNS} runs")
    return hashlib.sha256((folder / "table.csv").read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    kept: dict[str, Any] = {"what": "sha256 of table.csv", "command": "dojang " + STUDY.format("NAME")}
    kept["with"] = {"dojang": dojang.__version__, "python": sys.version.split()[0], "torch": torch.__version__}
    kept["machine"] = {"cores": os.cpu_count(), "system": sys.platform}
    kept["tables"] = {}
    with tempfile.TemporaryDirectory() as place:
        project = Path(place)
        studies = project / "runs" / "study"
        finish(STUDY.format("whole").split(), project)
        kept["tables"]["left alone"] = {"digest": digest(studies / "whole")}
        first = kill_after(STUDY.format("killed").split(), project, studies / "killed", 2)
        again = ["study", "--resume", "runs/study/killed"]
        second = kill_after(again, project, studies / "killed", 6)
        finish(again, project)
        kept["tables"]["killed twice"] = {"digest": digest(studies / "killed"), "at": [first, second]}
        if options.ray:
            import ray

            kept["with"]["ray"] = ray.__version__
            finish([*STUDY.format("ray").split(), "--engine", "ray"], project)
            kept["tables"]["ray"] = {"digest": digest(studies / "ray")}
            at = kill_after(STUDY.format("both").split(), project, studies / "both", 4)
            finish(["study", "--resume", "runs/study/both", "--engine", "ray"], project)
            kept["tables"]["killed, then ray"] = {"digest": digest(studies / "both"), "at": [at]}
    kept["the same"] = len({one["digest"] for one in kept["tables"].values()}) == 1
    options.out.write_text(json.dumps(kept, indent=1) + "\n")
    print(json.dumps(kept, indent=1))
    if not kept["the same"]:
        raise SystemExit("the tables differ")


if __name__ == "__main__":
    main()
