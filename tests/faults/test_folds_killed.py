"""A cross-validation that is stopped or killed goes on with the fold it was at, and ends bit-equal."""

from __future__ import annotations

import functools
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dojang.errors import ConfigError, TrainError
from dojang.metrics import intervals
from dojang.runs import recipe, several, train
from dojang.train.log import Silent

# 60 pictures to train on, 12 a step: 5 steps an epoch, 10 a fold
TINY: dict[str, Any] = {
    "model": "mnist-cnn",
    "conv_dims": "3,4",
    "hidden_dims": "6",
    "epochs": 2,
    "batch_size": 12,
    "lr": 0.02,
    "threads": 1,
    "folds": 3,
    "crop_padding": 1,
    "ema": 0.9,
}


class Killed(BaseException):
    """What no code catches: nothing is saved any more."""


class Stops(Silent):
    """Ends a run at a step of a fold, as Ctrl-C does or as a kill does."""

    def __init__(self, fold: int, step: int, kill: bool) -> None:
        self.fold, self.at, self.kill, self.begun = fold, step, kill, 0
        self.done: list[int] = []

    def begin(self, steps: int | None, seconds: float | None, done: int) -> None:
        self.begun += 1
        self.done.append(done)

    def step(self, step: int, epoch: int, progress: float, loss: float, pictures: int) -> None:
        if (self.begun, step) == (self.fold, self.at):
            if self.kill:
                raise Killed
            os.kill(os.getpid(), signal.SIGINT)


def begin(data: Path, project: Path, reporter: Silent | None = None) -> Path:
    return train.begin(str(data), [recipe.read_layer(TINY | {"project": str(project)}, "test")], reporter=reporter)


def left(folder: Path) -> dict[str, bytes]:
    """All that must be equal to the last byte; metrics without seconds."""
    names = ["splits.csv", "predictions.csv", "probabilities.csv", "per_class.csv", "confusion_matrix.csv"]
    for fold in ("fold-1", "fold-2", "fold-3"):
        names += [
            f"{fold}/{name}" for name in ("steps.csv", "predictions.csv", "splits.csv", "weights/last.safetensors")
        ]
    found = {name: (folder / name).read_bytes() for name in names}
    metrics = json.loads((folder / "metrics.json").read_text())
    found["scores"] = json.dumps([metrics["out_of_fold"], metrics["folds"]]).encode()
    return found


@pytest.fixture(scope="module", autouse=True)
def light() -> Iterator[None]:
    """No pictures are drawn, and intervals are of few draws: neither is looked at here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dojang.evaluate.curves.curves", lambda *tables: b"")
        patch.setattr("dojang.tasks.classify.pictures.confusion_matrix", lambda *matrix: b"")
        patch.setattr("dojang.metrics.intervals.bootstrap", functools.partial(intervals.bootstrap, resamples=100))
        yield


@pytest.fixture(scope="module")
def unbroken(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], dict[str, bytes]]:
    project = tmp_path_factory.mktemp("unbroken")

    def of() -> dict[str, bytes]:
        if not (project / "train").exists():
            begin(stripes, project)
        return left(project / "train")

    return of


@pytest.mark.parametrize(("fold", "step", "kill"), [(1, 3, False), (2, 7, False), (2, 7, True), (3, 1, True)])
def test_it_goes_on_where_it_was(
    fold: int, step: int, kill: bool, stripes: Path, tmp_path: Path, unbroken: Callable[[], dict[str, bytes]]
) -> None:
    if kill:
        with pytest.raises(Killed):
            begin(stripes, tmp_path, Stops(fold, step, True))
    else:
        with pytest.raises(TrainError) as caught:
            begin(stripes, tmp_path, Stops(fold, step, False))
        assert str(caught.value) == (
            f"TrainError[T320]: stopped by Ctrl-C after step {step} of fold-{fold}; the state is saved.\n"
            f"  Fix: dojang train --resume {tmp_path}/train"
        )
        assert caught.value.exit_code == 130
    run = tmp_path / "train"
    finished = {path: path.stat().st_mtime_ns for k in range(1, fold) for path in (run / f"fold-{k}").rglob("*.saf*")}
    assert not (run / "metrics.json").exists() and not (run / f"fold-{fold + 1}").exists()
    listening = Stops(0, 0, False)
    assert train.resume(run, reporter=listening) == run
    assert left(run) == unbroken()
    # not from the beginning: a stop saves its step, a kill loses what came after the last epoch
    assert listening.done == [step // 5 * 5 if kill else step] + [0] * (3 - fold)
    # what was finished was not touched
    assert finished == {path: path.stat().st_mtime_ns for path in finished}


def test_killed_between_two_folds_and_before_the_table(
    stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unbroken: Callable[[], dict[str, bytes]]
) -> None:
    from dojang.runs import folds

    def dies(*args: Any, **more: Any) -> None:
        raise Killed

    session = several._session
    monkeypatch.setattr(several, "_session", lambda *a: dies() if a[0].name == "fold-2" else session(*a))
    with pytest.raises(Killed):
        begin(stripes, tmp_path)
    monkeypatch.setattr(several, "_session", session)
    summary = folds._summary
    monkeypatch.setattr(folds, "_summary", dies)
    with pytest.raises(Killed):
        train.resume(tmp_path / "train")
    monkeypatch.setattr(folds, "_summary", summary)
    train.resume(tmp_path / "train")
    assert left(tmp_path / "train") == unbroken()


def test_a_fold_is_resumed_by_itself_too(
    stripes: Path, tmp_path: Path, unbroken: Callable[[], dict[str, bytes]]
) -> None:
    with pytest.raises(Killed):
        begin(stripes, tmp_path, Stops(2, 7, True))
    train.resume(tmp_path / "train/fold-2")
    train.resume(tmp_path / "train")
    assert left(tmp_path / "train") == unbroken()


def test_a_fold_of_other_pictures_is_refused(stripes: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        begin(stripes, tmp_path, Stops(2, 7, True))
    args = tmp_path / "train/fold-2/args.yaml"
    text = args.read_text()
    at = text.index("data_sha256: ") + len("data_sha256: ")
    args.write_text(text[:at] + "f" * 64 + text[at + 64 :])
    with pytest.raises(ConfigError, match=r"C218\]: .*fold-2' was begun on other pictures: their digest was f{16}"):
        train.resume(tmp_path / "train")
