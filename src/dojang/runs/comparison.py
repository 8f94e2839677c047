"""Run folders side by side: scores on the same pictures, time, size."""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dojang import files
from dojang.data.manifest import pasted, plain
from dojang.errors import ConfigError, DataError, did_you_mean, listing
from dojang.evaluate import compare as comparing
from dojang.evaluate.chosen import known
from dojang.evaluate.compare import Pair
from dojang.metrics import scores
from dojang.predict.predictor import Predictor
from dojang.runs import folder as names
from dojang.runs import recipe as recipes
from dojang.runs import validate
from dojang.runs.pictures import Pictures

if TYPE_CHECKING:
    from dojang.runs.api import Run

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
    runs: Sequence[str | Path | Run], *, split: str | None = None, device: str = "auto", seconds: float = 0.5
) -> Comparison:
    """Compare runs on the same pictures, each with the first.

    Args:
        runs: Run folders, or folders that ``dojang val RUN DATA`` made; two or more. A :class:`dojang.Run`
            is taken, too.
        split: None takes test where all have it, else the answers of a cross-validation, else val.
        device: Where time is taken.
        seconds: For how long, each; 0 takes none.

    Raises:
        ConfigError: C202 for fewer than two, C215 for what is no run.
        DataError: D121 for a split that a run has no answers to, D141 for different pictures, D142 for other labels.
    """
    if len(runs) < 2:
        raise ConfigError("C202", "a comparison is of two runs or more.", fix="dojang compare RUN RUN")
    named = [str(getattr(run, "path", run)) for run in runs]
    folders = [_folder(run) for run in named]
    split = _shared(folders, named, split)
    answers = [_asked(folder, split, name) for folder, name in zip(folders, named, strict=True)]
    pairs = comparing.compare(answers, split, lambda number: _advice(folders[0], folders[number]))
    entrants = [
        _entrant(folder, asked, split, device, seconds)
        for folder, asked in zip(folders, [pairs[0].first, *(pair.second for pair in pairs)], strict=True)
    ]
    where = next((found for _, found in entrants if found), device)
    return Comparison(split, len(pairs[0].first.paths), tuple(one for one, _ in entrants), tuple(pairs), where)


def pictures(run: str | Path, data: str | None = None) -> Pictures:
    """The pictures of a run, to be looked at: those that are still what the run saw, byte for byte.

    Args:
        data: Where they are now; None where the run says.

    Raises:
        DataError: D100 where they are not at ``data``.
    """
    found = Pictures(_folder(run), data)
    if data is not None and found.missing is not None:
        raise found.missing
    return found


def _folder(run: str | Path) -> Path:
    """A run folder, or one of scores on other data. Raises ConfigError C215 for anything else."""
    return Path(run) if (Path(run) / names.VAL).is_file() else names.find(run)


def _asked(folder: Path, split: str, name: str) -> comparing.Asked:
    found = comparing.asked(folder, split, name)
    # the other rows of its splits.csv are of the other data, and nothing that was learned
    return dataclasses.replace(found, learned=frozenset()) if (folder / names.VAL).is_file() else found


def _shared(folders: Sequence[Path], named: Sequence[str], wanted: str | None) -> str:
    """The split that is asked for, or the one that tells most of those that all have answers to."""
    several = [run for folder, run in zip(folders, named, strict=True) if "seeds" in validate.metrics_of(folder)]
    if several:
        raise ConfigError(
            "C216",
            f"{several[0]!r} is several runs of one recipe: it has no answers of its own, each of its runs has.",
            fix=f"name one of them, such as {pasted(several[0] + '/' + _first_seed(several[0]))}",
        )
    have = [comparing.splits_of(folder) for folder in folders]
    there = dict.fromkeys(split for one in have for split in one)
    shared = [split for split in (*comparing.JUDGING, "train") if all(split in one for one in have)]
    if wanted is not None and wanted not in (*there, "train", "val", "test"):
        raise DataError(
            "D121",
            f"no run has answers to {plain(wanted)!r} pictures; there are those to {listing(there) or 'none'}."
            f"{did_you_mean(wanted, there)}",
            fix=f"--split {next(iter([*shared, *there]), 'NAME')}",
        )
    if wanted is not None or (shared and shared[0] != "train"):
        return wanted if wanted is not None else shared[0]
    folded = [one == ["out_of_fold"] for one in have]
    if any(folded) and not all(folded):
        return _refuse_mixed(folders, named, folded)
    # one that the first has, so that the message says what the other lacks
    return have[0][0] if have[0] else comparing.JUDGING[0]


def _refuse_mixed(folders: Sequence[Path], named: Sequence[str], folded: Sequence[bool]) -> str:
    """A cross-validation beside a run: they were asked about different pictures, and never can be about the same."""
    folds, single = folded.index(True), folded.index(False)
    fix = "compare runs with runs, and cross-validations with cross-validations."
    if (folders[single] / names.ARGS).is_file():
        _, facts = recipes.load(folders[folds] / names.ARGS)
        count = validate.metrics_of(folders[folds]).get("folds", {}).get("count", 5)
        place = pasted(facts["data"]) if facts["data"] else "DATA"
        fix = f"dojang train {place} --folds {count} --recipe {pasted(str(folders[single] / names.ARGS))}"
    raise DataError(
        "D121",
        f"{plain(named[folds])!r} is a cross-validation, and has no answers but out_of_fold; {plain(named[single])!r} "
        f"has none of those.",
        context="A cross-validation of the other recipe can be compared with it.",
        fix=fix,
    )


def _first_seed(run: str) -> str:
    found = sorted(path.parent.name for path in Path(run).glob(names.SEED.format(f"*/{names.ARGS}")))
    return found[0] if found else names.SEED.format(0)


def _advice(first: Path, other: Path) -> str:
    """The command that trains the other run's recipe on the first one's division."""
    if (first / names.VAL).is_file() or (other / names.VAL).is_file():
        return "dojang val RUN DATA, of each network with the same DATA; then compare the folders that it makes."
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


def _weights(folder: Path) -> Path:
    """The run, or the weights file alone, whose answers are in a folder.

    Raises:
        ConfigError: C216 where there are none, or none any more.
    """
    if not (folder / names.VAL).is_file():
        return folder
    try:
        named = json.loads(files.read_text(folder / names.VAL)).get("weights")
    except (ValueError, AttributeError):
        named = None
    if not isinstance(named, str) or not Path(named).is_file():
        raise ConfigError("C216", f"the weights of {plain(str(folder))!r} are not where they were.")
    try:
        # a run remembers the file of a network of one's own
        run = names.find(named)
        return run if names.weights_of(run) == Path(named) else Path(named)
    except ConfigError:
        return Path(named)


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
    metrics = validate.metrics_of(folder)
    chosen = known(metrics)
    learned = sum(digest in asked.learned for digest, _ in asked.pictures) if split in ("val", "test") else 0
    if (folder / names.VAL).is_file():
        learned = metrics.get(split, {}).get("leaked", 0)
    size = None
    try:
        run = _weights(folder)
        size = names.weights_of(run).stat().st_size
        predictor = validate.load(run, device=device)
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
