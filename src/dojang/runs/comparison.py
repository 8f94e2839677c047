"""Run folders side by side: scores on the same pictures, time, size."""

from __future__ import annotations

import shlex
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dojang.data.manifest import Manifest, pasted
from dojang.errors import ConfigError
from dojang.evaluate import compare as comparing
from dojang.evaluate.compare import Pair
from dojang.metrics import scores
from dojang.predict.predictor import Predictor
from dojang.runs import folder as names
from dojang.runs import recipe as recipes
from dojang.runs import validate

# pictures at once while time is taken
_BATCH = 32


@dataclass(frozen=True)
class Entrant:
    """One of the runs that are compared.

    Args:
        run: As the user named it.
        scores: On the pictures of them all, by name.
        milliseconds: That an answer takes, pictures being decoded already; None where its network cannot be built.
        bytes: Of its weights; None where it has none.
        parameters: Of its network.
        learned: How many of the pictures it was trained on, byte for byte; not of a cross-validation, which asks the
            network that has not.
        chosen_by, chosen_on: The score and the split by which its weights were the best of the run; None where nothing
            was chosen, or it is not known.
    """

    run: str
    scores: dict[str, float]
    learned: int = 0
    milliseconds: float | None = None
    bytes: int | None = None
    parameters: int | None = None
    chosen_by: str | None = None
    chosen_on: str | None = None


@dataclass(frozen=True)
class Comparison:
    """Runs, and each of them against the first.

    Args:
        split: What they were asked about.
        n: Pictures.
        device: Where time was taken.
    """

    split: str
    n: int
    entrants: tuple[Entrant, ...]
    pairs: tuple[Pair, ...]
    device: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "split": self.split,
            "n": self.n,
            "device": self.device,
            "batch": _BATCH,
            "runs": [dict(vars(entrant)) for entrant in self.entrants],
            "comparisons": [pair.as_dict() for pair in self.pairs],
        }


def compare(
    runs: Sequence[str | Path], *, split: str | None = None, device: str = "auto", seconds: float = 0.5
) -> Comparison:
    """Compare runs on the same pictures, each with the first.

    Args:
        runs: Folders; two or more.
        split: None takes test where all have it, else the answers of a cross-validation, else val.
        device: Where time is taken.
        seconds: For how long, each; 0 takes none.

    Raises:
        ConfigError: C202 for fewer than two, C215 for what is no run.
        DataError: D121 for a split that a run has no answers to, D141 for different pictures, D142 for other labels.
    """
    if len(runs) < 2:
        raise ConfigError("C202", "a comparison is of two runs or more.", fix="dojang compare RUN RUN")
    named = [str(run) for run in runs]
    folders = [names.find(run) for run in named]
    split = split or _shared(folders, named)
    answers = [comparing.asked(folder, split, name) for folder, name in zip(folders, named, strict=True)]
    pairs = comparing.compare(answers, split, lambda number: _advice(folders[0], folders[number]))
    entrants = [
        _entrant(folder, asked, split, device, seconds)
        for folder, asked in zip(folders, [pairs[0].first, *(pair.second for pair in pairs)], strict=True)
    ]
    where = next((found for _, found in entrants if found), device)
    return Comparison(split, len(pairs[0].first.paths), tuple(one for one, _ in entrants), tuple(pairs), where)


def pictures(run: str | Path) -> Manifest:
    """The pictures of a run, to be looked at. Raises ConfigError C218 for a run on pairs given in Python."""
    from dojang.runs.train import open_data

    recipe, facts = recipes.load(names.find(run) / names.ARGS)
    if facts["data"] is None:
        raise ConfigError("C218", f"{str(run)!r} was trained on pairs given in Python; their pictures are not at hand.")
    return open_data(facts["data"], recipe.data.data_root)


def _shared(folders: Sequence[Path], named: Sequence[str]) -> str:
    """The split that tells most of those that all have answers to."""
    several = [run for folder, run in zip(folders, named, strict=True) if "seeds" in validate.metrics_of(folder)]
    if several:
        raise ConfigError(
            "C216",
            f"{several[0]!r} is several runs of one recipe: it has no answers of its own, each of its runs has.",
            fix=f"name one of them, such as {shlex.quote(several[0] + '/' + names.SEED.format(0))}",
        )
    have = [comparing.splits_of(folder) for folder in folders]
    for split in comparing.JUDGING:
        if all(split in one for one in have):
            return split
    # one that the first has, so that the message says what the other lacks
    return have[0][0] if have[0] else comparing.JUDGING[0]


def _advice(first: Path, other: Path) -> str:
    """The command that trains the other run's recipe on the first one's division."""
    recipe, facts = recipes.load(other / names.ARGS)
    data = pasted(facts["data"]) if facts["data"] else "DATA"
    words = [
        "dojang train",
        data,
        "--splits",
        pasted(str(first / names.SPLITS)),
        "--recipe",
        pasted(str(other / names.ARGS)),
    ]
    # these divide pictures, too
    words += [f"--{name} none" for name in ("val", "test") if getattr(recipe.data, name) is not None]
    return " ".join(words)


def _entrant(folder: Path, asked: comparing.Asked, split: str, device: str, seconds: float) -> tuple[Entrant, str]:
    place = {label: i for i, label in enumerate(sorted({*asked.true, *asked.predicted}))}
    true, predicted = (np.array([place[one] for one in some], np.int64) for some in (asked.true, asked.predicted))
    table = scores.confusion_matrix(true, predicted, len(place))
    found = {
        "top1": float(asked.right.mean()),
        "balanced_accuracy": scores.balanced_accuracy(table),
        "macro_f1": scores.macro_f1(table),
    }
    if asked.own is not None:
        found["log_loss"] = float(comparing.losses(asked.own).mean())
    weights = validate.metrics_of(folder).get("weights")
    chosen = (weights.get("chosen_by"), weights.get("chosen_on")) if isinstance(weights, dict) else (None, None)
    learned = sum(digest in asked.learned for digest, _ in asked.pictures) if split in ("val", "test") else 0
    size = None
    try:
        size = names.weights_of(folder).stat().st_size
        predictor = validate.load(folder, device=device)
    except ConfigError as error:
        # a cross-validation has no weights; the code of a network given in Python is not in the folder
        if error.code not in ("C216", "C240"):
            raise
        return Entrant(asked.run, found, learned, None, size, None, *chosen), ""
    parameters = sum(parameter.numel() for parameter in predictor.model.parameters())
    pace = _pace(predictor, seconds) if seconds else None
    return Entrant(asked.run, found, learned, pace, size, parameters, *chosen), str(predictor.device)


def _pace(predictor: Predictor, seconds: float) -> float:
    """Milliseconds a picture, the median over batches."""
    p = predictor.preprocess
    pixels = np.zeros((_BATCH, p.height, p.width, p.channels), np.uint8)
    taken: list[float] = []
    ends = time.perf_counter() + seconds
    # the first one is slower
    predictor.probabilities(pixels)
    while len(taken) < 3 or (time.perf_counter() < ends and len(taken) < 1000):
        began = time.perf_counter()
        predictor.probabilities(pixels)
        taken.append(time.perf_counter() - began)
    return 1000 * statistics.median(taken) / _BATCH
