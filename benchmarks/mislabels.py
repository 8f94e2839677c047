"""How many of the labels that were made wrong are among the most suspect tenth.

    dojang convert FILE.pth --model squeezenet1_1
    python benchmarks/mislabels.py --photos FOLDER --weights FILE.safetensors

FOLDER holds photographs in class folders.  Of 5 % of them, drawn by seed, the label is changed to another; features
come from the weights, which know nothing of these labels, probabilities from out of fold.  The classifier was chosen on
seeds 100 to 105.  Kept in benchmarks/results/mislabels.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

import dojang
from dojang.data.scan import find
from dojang.doctor import suspects
from dojang.predict.predictor import Predictor

RESULTS = Path(__file__).parent / "results" / "mislabels.json"
PLANTED, TOP = 0.05, 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()

    manifest = find(options.photos)
    began = time.perf_counter()
    rows, seen = suspects.features(Predictor.load(options.weights), manifest, threads=2)
    seconds = time.perf_counter() - began
    targets, classes, count = manifest.targets, len(manifest.classes), len(manifest)
    shares = []
    for seed in range(options.seeds):
        draw = np.random.default_rng(seed)
        wrong = draw.choice(count, round(PLANTED * count), replace=False)
        labels = targets.copy()
        labels[wrong] = (labels[wrong] + draw.integers(1, classes, len(wrong))) % classes
        made = manifest.replace(labels=tuple((int(label),) for label in labels))
        judged = suspects.judge(made, rows, seen)
        shares.append(float(np.isin(wrong, rows[judged.order()[: round(TOP * count)]]).mean()))
    kept: dict[str, Any] = {
        "pictures": count,
        "planted": round(PLANTED * count),
        "looked_at": round(TOP * count),
        "weights": options.weights.stem,
        "found_share": [round(share, 4) for share in shares],
        "mean": round(statistics.mean(shares), 4),
        "sd": round(statistics.stdev(shares), 4) if len(shares) > 1 else None,
        "seconds_of_features": round(seconds, 1),
        "dojang": dojang.__version__,
    }
    print(kept)
    options.out.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
