"""Time to accuracy: dojang beside the plain loops of the notes and beside its peers, on the same machine.

    python benchmarks/time_to_accuracy.py --data-root DATA [--tasks mnist,fashion,cifar10] [--seeds 5]
        [--recipes sprint,...] [--peer-python fastai=ENV/bin/python ...] [--rates SECONDS]

Seed by seed everything is run in turn, each in a process of its own: ``dojang train`` as a user types it, the plain
loop (peers/plain.py), and each peer whose Python is given (peers/NAME_peer.py; requirements beside it).  Schedules are
fixed beforehand, all training pictures are used, the test pictures are looked at once, at the end.  Two times are kept:
the algorithm's, which is training and scoring as the entrant itself counts them, and the cold wall time of its process,
imports and reading of the data included.  Scores are of one view of each picture; ``top1_tta`` stands beside them.

With ``--rates`` the peers and the plain loop only train for so many seconds, which gives pictures a second and a
projection, never a result.

Every run is kept as soon as it is done (benchmarks/results/time_to_accuracy.json, or peers_rates.json), so a killed
benchmark goes on where it stopped.  Nothing else should run meanwhile; the load found before each run is kept too.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peers import measurement, summary

import dojang
from dojang import files

HERE = Path(__file__).parent
DATASETS = {"mnist": "mnist", "fashion": "fashion-mnist", "cifar10": "cifar10"}
_ALL = "--val none --train-sample 0"
_SAME = {"mnist": "mnist-cnn", "fashion": "fashion-cnn", "cifar10": "cifar-vgg"}
_SMALL = "--model sprint-s --batch-size 500"
_SHORT = {task: f"{_SMALL} --epochs {epochs} {_ALL}" for task, epochs in (("mnist", 1), ("fashion", 2), ("cifar10", 5))}
# flags that follow `dojang train SET`; presets bring epochs, batch size and optimizer
RECIPES: dict[str, dict[str, str]] = {
    "sprint": dict.fromkeys(DATASETS, f"--model sprint {_ALL}"),
    "sprint-fp32": dict.fromkeys(DATASETS, f"--model sprint --precision fp32 {_ALL}"),
    # the plain loop's network, batches and optimizer: what the loop alone brings
    "same-network": {task: f"--model {model} --schedule constant {_ALL}" for task, model in _SAME.items()},
    # chosen on 5,000 held-out training pictures, by their scores alone (benchmarks/NOTES.md): as soon as the plain
    # loop's accuracy is reached
    "sprint-fast": _SHORT | {"mnist": f"{_SMALL} --time 1.8s {_ALL}"},
    # 99.4 %, 93 % and 93 %
    "sprint-better": {
        "mnist": f"--model sprint-s --epochs 4 {_ALL}",
        "fashion": f"--model sprint --batch-size 500 --epochs 3 --flip alternating {_ALL}",
        "cifar10": f"--model sprint --epochs 6 {_ALL}",
    },
    # a number of epochs in both precisions: for their scores, and for machines without bf16
    "sprint-short": _SHORT,
    "sprint-short-fp32": {task: f"{flags} --precision fp32" for task, flags in _SHORT.items()},
    # other points between time and accuracy; run where they are named
    "sprint-six-seconds": dict.fromkeys(DATASETS, f"{_SMALL} --time 6s {_ALL}"),
    "sprint-two": dict.fromkeys(DATASETS, f"{_SMALL} --epochs 2 {_ALL}"),
    "sprint-l": dict.fromkeys(DATASETS, f"--model sprint-l {_ALL}"),
}
DEFAULT = ("sprint", "sprint-fp32", "same-network")
Entrants = dict[str, Callable[[str, int], dict[str, Any]]]


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    from dojang.runs.environment import describe

    found = describe(torch.device("cpu"), torch.get_num_threads(), {"cores": os.cpu_count()})
    # the kernel's own name says nothing of the machine
    return {name: value for name, value in found.items() if name != "system"} | {"system": platform.system()}


def commit() -> str | None:
    """Of the code that runs now; None outside of a clone."""
    words = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(words, cwd=HERE, capture_output=True, text=True).stdout.strip() or None


def entrants(options: argparse.Namespace) -> Entrants:
    """Who takes part: by name, what gives the record of one run of a task with a seed."""
    more = [] if options.epochs is None else ["--epochs", str(options.epochs)]
    # another schedule is another entrant: it neither counts as the peer's own nor keeps that from being run
    schedule = "" if options.epochs is None else f", {options.epochs} epochs"
    if options.rates is not None:
        more = [*more, "--limit-seconds", str(options.rates)]

    def script(python: str, name: str, extra: list[str], task: str, seed: int) -> dict[str, Any]:
        return measurement.entrant(python, name, DATASETS[task], options.prepared, seed, [*extra, *more])

    def recipe(flags: dict[str, str], task: str, seed: int) -> dict[str, Any]:
        return measurement.dojang(flags[task], DATASETS[task], options.data_root, seed)

    found: Entrants = {}
    if options.rates is None:
        found |= {name: functools.partial(recipe, RECIPES[name]) for name in options.recipes}
    if options.plain:
        # which is the faster one depends on the machine
        for workers in options.plain_workers:
            extra = ["--workers", str(workers)]
            found[f"plain, {workers} workers{schedule}"] = functools.partial(script, sys.executable, "plain", extra)
    for name, python in options.peer_python:
        found[f"{name}{schedule}"] = functools.partial(script, python, name, [])
    return found


def run(options: argparse.Namespace, kept: dict[str, Any], keep: Callable[[], None]) -> None:
    """Whatever is not there yet, in turn."""
    done = {(row["task"], row["entrant"], row["seed"]) for row in kept["runs"] if "failed" not in row}
    for seed in range(options.seeds):
        for task in options.tasks:
            for name, measure in entrants(options).items():
                if (task, name, seed) in done:
                    continue
                load = round(os.getloadavg()[0], 2)
                facts = {"task": task, "entrant": name, "seed": seed, "commit": commit(), "load_before": load}
                row = facts | measure(task, seed)
                kept["runs"].append(row)
                keep()
                print(f"{task}, {name}, seed {seed}: {_said(row)}", flush=True)


def _said(row: dict[str, Any]) -> str:
    if "failed" in row:
        return f"failed: {row['failed'].strip().splitlines()[-1]}"
    if row["top1"] is None:
        return f"{row['details']['images_per_second']} images/s"
    tta = "" if row.get("top1_tta") is None else f", {row['top1_tta']:.4f} with augmentation"
    return (
        f"top-1 {row['top1']:.4f}{tta}, {row['algorithm_seconds']:.1f} s, cold {row['cold_wall_seconds']:.1f} s, "
        f"{row['peak_mb']} MB"
    )


def show(kept: dict[str, Any]) -> None:
    """The table."""
    for task, rows in kept.get("results", {}).items():
        for name, row in rows.items():
            top1, cold, time = row["top1"], row["cold_wall_seconds"], row["algorithm_seconds"]
            ideal = "" if row["times_the_ideal"] is None else f", {row['times_the_ideal']['median']:.1f} x ideal"
            print(
                f"{task:8} {name:18} n {top1['n']}: top-1 {top1['mean']:.4f} (sd {top1['sd']}, {top1['min']:.4f} to "
                f"{top1['max']:.4f}); {time['median']:.1f} s ({time['min']:.1f} to {time['max']:.1f}), "
                f"cold {cold['median']:.1f} s{ideal}"
            )
    for row in kept.get("ratios", []):
        equal = "as accurate or more" if row["as_accurate"] else "LESS accurate"
        print(
            f"{row['task']:8} {row['recipe']} takes 1/{row['algorithm_seconds']} of {row['against']}'s time "
            f"(cold 1/{row['cold_wall_seconds']}), {equal}"
        )
    for task, rows in kept.get("rates", {}).items():
        for name, row in rows.items():
            rate, guess = row["images_per_second"], row["projection_not_a_result"]
            print(
                f"{task:8} {name:18} n {rate['n']}: {rate['median']:.0f} images/s ({rate['min']:.0f} to "
                f"{rate['max']:.0f}); projected {guess['epoch_seconds']:.0f} s an epoch, {guess['epochs']} epochs "
                f"{guess['train_seconds']:.0f} s"
            )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True, help="where dojang finds the sets by name")
    parser.add_argument("--prepared", type=Path, default=Path("build/peers-data"), help="made once, for the peers")
    parser.add_argument("--tasks", default=",".join(DATASETS), help="which, separated by commas")
    parser.add_argument("--seeds", type=int, default=5, help="runs of everything")
    parser.add_argument("--recipes", default=",".join(DEFAULT), help=f"of {', '.join(RECIPES)}; '' for none")
    parser.add_argument("--no-plain", dest="plain", action="store_false", help="leave the plain loops out")
    parser.add_argument("--plain-workers", type=int, nargs="+", default=[1, 2], help="of the plain loops' DataLoader")
    parser.add_argument("--peer-python", action="append", default=[], metavar="NAME=PATH", help="a peer's Python")
    parser.add_argument("--epochs", type=int, help="of the peers and the plain loop, instead of their own number")
    parser.add_argument("--rates", type=float, metavar="SECONDS", help="only pictures a second, no result")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    for name, known in (("tasks", DATASETS), ("recipes", RECIPES)):
        values = [value for value in getattr(options, name).split(",") if value]
        setattr(options, name, values)
        if unknown := set(values) - set(known):
            parser.error(f"--{name}: {', '.join(sorted(unknown))} unknown; known: {', '.join(known)}")
    options.peer_python = [tuple(pair.split("=", 1)) for pair in options.peer_python]
    if any(len(pair) != 2 for pair in options.peer_python):
        parser.error("--peer-python: NAME=PATH, as in fastai=envs/fastai/bin/python")
    name = "time_to_accuracy.json" if options.rates is None else "peers_rates.json"
    options.out = options.out or HERE / "results" / name
    return options


def main() -> None:
    options = arguments()
    prepare = [sys.executable, str(HERE / "peers" / "prepare.py"), "--data-root", str(options.data_root)]
    sets = [DATASETS[task] for task in options.tasks]
    subprocess.run([*prepare, "--out", str(options.prepared), "--datasets", *sets], check=True, stdout=sys.stderr)
    kept: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {"format": 1, "runs": []}
    kept["machine"] = machine() | {"dojang": dojang.__version__}
    if "matrix_products" not in kept:
        yardstick = [sys.executable, str(HERE / "peers" / "yardstick.py")]
        kept["matrix_products"] = json.loads(subprocess.check_output(yardstick, text=True))

    def keep() -> None:
        if options.rates is None:
            kept["results"] = summary.results(kept["runs"], kept["matrix_products"])
            kept["ratios"] = summary.ratios(kept["results"], RECIPES)
        else:
            kept["rates"] = summary.rates(kept["runs"])
        files.write_json(options.out, kept)

    run(options, kept, keep)
    keep()
    show(kept)


if __name__ == "__main__":
    main()
