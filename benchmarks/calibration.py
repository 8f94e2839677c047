"""How many validation pictures, and wrong answers among them, a temperature needs to be worth fitting.

    python benchmarks/calibration.py NAME=WEIGHTS=DATA ... [--data-root FOLDER]

Scores of the test pictures of each DATA by each WEIGHTS.  Half of them is held out; from the other half as many are
drawn as a validation part may have, a temperature is fitted on these without any rule, and the log loss of the held out
half is compared with what it was.  By the number of wrong answers among the drawn ones: how often the fit did harm, and
what it gained.  And for each network, on all of that half: temperature, log loss and calibration error before and after
on pictures that it was not fitted on.  Kept in benchmarks/results/calibration.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

import dojang
from dojang.data.scan import find
from dojang.evaluate import temperature
from dojang.predict.predictor import Predictor
from dojang.runs import folder as names

RESULTS = Path(__file__).parent / "results" / "calibration.json"
COUNTS = (10, 20, 50, 100, 200, 500, 1000, 2500)
BINS = ((0, 0), (1, 1), (2, 2), (3, 4), (5, 9), (10, 19), (20, 49), (50, 10_000))
DRAWS = 300


def scores(weights: Path, data: str, root: str | None) -> tuple[np.ndarray, np.ndarray]:
    """True labels and scores of the test part."""
    predictor, manifest = Predictor.load(weights), find(data, root)
    predictor.temperature = 1.0
    rows, found = manifest.rows("test"), []
    for part in np.array_split(rows, max(1, len(rows) // 200)):
        paths = [manifest.paths[row] for row in part]
        pixels = np.stack([predictor.preprocess.picture(manifest.source.read(path), path) for path in paths])
        found.append(predictor.look(pixels)[1].cpu().numpy())
    ids = np.array([predictor.labels.index(manifest.classes[label]) for label in manifest.targets[rows]])
    return ids, np.concatenate(found)


def loss(true: np.ndarray, table: np.ndarray, value: float) -> float:
    return temperature._of(true, table, value)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("of", nargs="+", metavar="NAME=WEIGHTS=DATA")
    parser.add_argument("--data-root")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()

    torch.set_num_threads(1)
    kept: dict[str, Any] = {"dojang": dojang.__version__, "torch": torch.__version__, "draws": DRAWS, "networks": {}}
    trials: list[tuple[int, int, float]] = []
    for entry in options.of:
        name, weights, data = entry.split("=")
        true, table = scores(names.weights_of(weights), data, options.data_root)
        draw = np.random.default_rng(0)
        order = draw.permutation(len(true))
        ours, others = order[: len(true) // 2], order[len(true) // 2 :]
        found = temperature.fit(true[ours], table[ours])
        before, after = (temperature._of(true[others], table[others], value) for value in (1.0, found.value))
        kept["networks"][name] = {
            "top1": round(float((table.argmax(axis=1) == true).mean()), 4),
            "fitted_on": len(ours),
            "temperature": found.value,
            "scored_on": len(others),
            "log_loss": [round(before[0], 4), round(after[0], 4)],
            "calibration_error": [round(before[1], 4), round(after[1], 4)],
        }
        print(name, kept["networks"][name])
        for count in (one for one in COUNTS if one <= len(ours)):
            for _ in range(DRAWS):
                some = draw.choice(ours, count, replace=False)
                wrong = int((table[some].argmax(axis=1) != true[some]).sum())
                value = 1 / temperature._inverse(true[some], table[some])
                trials.append((count, wrong, loss(true[others], table[others], value) - before[0]))
    every = np.array(trials)
    kept["by_wrong_answers"] = []
    for low, high in BINS:
        for few, many in ((10, 49), (50, 10_000)):
            at = (every[:, 1] >= low) & (every[:, 1] <= high) & (every[:, 0] >= few) & (every[:, 0] <= many)
            change = every[at, 2]
            if len(change) >= 20:
                kept["by_wrong_answers"].append(
                    {
                        "wrong": [low, high],
                        "pictures": [few, many],
                        "trials": len(change),
                        "worse": round(float((change > 0).mean()), 3),
                        "mean_change": round(float(change.mean()), 4),
                        "worst_twentieth": round(float(np.quantile(change, 0.95)), 4),
                    }
                )
                print(kept["by_wrong_answers"][-1])
    options.out.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
