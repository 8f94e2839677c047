"""How long `dojang report` takes as a whole process, for runs judged by 10,000 pictures; and how large the page is.

    python benchmarks/report_page.py --mnist FOLDER --photos FOLDER [--rounds 5]

Two runs are trained for an epoch, each in a folder of its own: on MNIST (``--mnist`` is a data root that holds it), and
on photographs (``--photos`` holds class folders; its pictures are linked again and again until 10,000 are in the test
part, so every one is read and made small anew).  A network that has learned so little fills all cells of the confusion
matrix, so the page has as many pictures as a page can have.  Then the page is made again and again by a process of its
own, in turn for each run; seconds are those of the whole process, the import of Python included.
Kept in benchmarks/results/report_page.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch

import dojang
from dojang.data.ahead import cores
from dojang.data.scan import find

RESULTS = Path(__file__).parent / "results" / "report_page.json"
PICTURES = 10_000


def link(photos: Path, place: Path) -> None:
    """Each photograph once for training, and links to them all until the test part has 10,000."""
    manifest = find(str(photos))
    pictures = list(zip(manifest.paths, [manifest.classes[i] for i in manifest.targets], strict=True))
    for part, count in (("train", len(pictures)), ("test", PICTURES)):
        for i in range(count):
            path, label = pictures[i % len(pictures)]
            name = place / part / label / f"{i:05}{Path(path).suffix}"
            name.parent.mkdir(parents=True, exist_ok=True)
            name.symlink_to((photos / path).resolve())


def dojang_(*words: str, inside: Path) -> float:
    """Seconds of the whole process."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "dojang", *words], cwd=inside, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mnist", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        link(given.photos, place / "photos")
        root = str(given.mnist.resolve())
        dojang_("train", "mnist", "--data-root", root, "--model", "mnist-cnn", "--epochs", "1", "--name", "mnist",
                inside=place)  # fmt: skip
        dojang_("train", "photos", "--model", "cnn", "--imgsz", "32", "--epochs", "1", "--val", "0.1", "--allow-leak",
                "--name", "photos", inside=place)  # fmt: skip
        rows: dict[str, dict[str, Any]] = {one: {"seconds": []} for one in ("mnist", "photos")}
        for _ in range(given.rounds):
            for one, row in rows.items():
                folder = place / "runs" / "classify" / one
                row["seconds"].append(round(dojang_("report", str(folder), inside=place), 2))
                page = (folder / "report.html").read_text("utf-8")
                metrics = json.loads((folder / "metrics.json").read_text("utf-8"))["test"]
                row |= {"test_pictures": metrics["n"], "top1": round(metrics["top1"]["value"], 4)}
                row |= {"megabytes": round(len(page.encode()) / 1e6, 2), "pictures_shown": page.count("<img ")}
        for one, row in rows.items():
            row["median"] = statistics.median(row["seconds"])
            print(f"{one:8} {row['median']:.2f} s ({min(row['seconds'])} to {max(row['seconds'])})  "
                  f"{row['megabytes']} MB  {row['pictures_shown']} pictures  n {row['test_pictures']:,}")  # fmt: skip
    result = {
        "what": "dojang report, a whole process; seconds of each round in turn",
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": cores(), "system": platform.system()},
        "with": {"dojang": dojang.__version__, "python": platform.python_version(), "torch": torch.__version__,
                 "numpy": np.__version__, "pillow": PIL.__version__},
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "runs": rows,
    }  # fmt: skip
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
