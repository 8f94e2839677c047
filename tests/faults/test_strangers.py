"""Pictures that belong to no class, and labels judged by folds: planted, found, and nothing found where nothing is."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dojang.cli.main import main
from dojang.data.scan import find
from dojang.doctor import strangers, unseen
from dojang.errors import ConfigError, DataError
from dojang.metrics import intervals

TRAIN = ["--model", "cnn", "--conv-dims", "8,16", "--epochs", "6", "--batch-size", "8", "--threads", "1"]


@pytest.fixture(scope="module", autouse=True)
def light() -> Iterator[None]:
    """No pictures are drawn, and intervals are of few draws: neither is looked at here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dojang.evaluate.curves.curves", lambda *tables: b"")
        patch.setattr("dojang.tasks.classify.pictures.confusion_matrix", lambda *matrix: b"")
        patch.setattr("dojang.metrics.intervals.bootstrap", functools.partial(intervals.bootstrap, resamples=100))
        yield


def stripes(draw: np.random.Generator, kind: int) -> np.ndarray:
    wave = 90 * np.sin(np.arange(32) * 0.9 + draw.uniform(0, 6))
    levels: np.ndarray = 128 + (wave[None, :] if kind else wave[:, None]) + draw.normal(0, 12, (32, 32))
    return levels


def rings(draw: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:32, :32] - draw.uniform(12, 20, 2)[:, None, None]
    levels: np.ndarray = 128 + 90 * np.sin(np.hypot(x, y) * 1.8 + draw.uniform(0, 6)) + draw.normal(0, 12, (32, 32))
    return levels


def save(levels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels.clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty pictures of two kinds, stripes down and across; six rings among them; three in the wrong folder."""
    root = tmp_path_factory.mktemp("planted")
    draw = np.random.default_rng(0)
    for number in range(80):
        kind = number % 2
        wrong = number in (0, 14, 21)
        save(stripes(draw, kind), root / "data" / f"kind{1 - kind if wrong else kind}" / f"{number:02}.png")
    for number in range(6):
        save(rings(draw), root / "data" / f"kind{number % 2}" / f"ring{number}.png")
    return root


@pytest.fixture(scope="module")
def folds(planted: Path) -> Callable[[], Path]:
    """A cross-validation of these pictures, trained by the first test that asks."""

    def run() -> Path:
        project = planted / "runs"
        if not project.exists():
            words = ["train", str(planted / "data"), "--folds", "3", "--project", str(project), *TRAIN]
            assert main(words) == 0
        return project / "train"

    return run


def scanned(data: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["scan", str(data), "--run", str(run), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def of(kind: str, told: dict[str, Any]) -> list[str]:
    return [Path(one["paths"][0]).name for one in told["findings"] if one["kind"] == kind]


def test_labels_judged_by_the_folds(
    planted: Path, folds: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    judged = unseen.load(folds())
    assert judged is not None and judged.labels == ("kind0", "kind1") and len(judged.fold) == 86
    manifest = find(planted / "data")
    told = scanned(planted / "data", folds(), capsys)
    # six epochs make no network sure: what is named is wrong, and the wrong ones are the most suspect
    digests = _digests(manifest)
    order = unseen.judge(judged, manifest, digests).order()
    stripes_alone = [Path(manifest.paths[row]).name for row in order if "ring" not in manifest.paths[row]]
    assert set(stripes_alone[:3]) == {"00.png", "14.png", "21.png"}
    assert set(of("label", told)) <= {"00.png", "14.png", "21.png"} | {f"ring{k}.png" for k in range(6)}


def _digests(manifest: Any) -> list[str]:
    from dojang import files

    return [files.sha256(manifest.source.read(path)) for path in manifest.paths]


def test_the_judgement_is_that_of_the_fold_that_had_not_learned_it(planted: Path, folds: Callable[[], Path]) -> None:
    manifest = find(planted / "data")
    judged = unseen.load(folds())
    assert judged is not None
    suspects = unseen.judge(judged, manifest, _digests(manifest))
    for row in range(0, len(manifest), 7):
        path = manifest.paths[row]
        fold = judged.fold[_digests(manifest.keep(np.array([row])))[0]]
        lines = (folds() / f"fold-{fold}/splits.csv").read_text().splitlines()
        assert any(line.startswith(f"{path},") and ",test," in line for line in lines)
        answers = (folds() / f"fold-{fold}/predictions.csv").read_text().splitlines()
        (answer,) = (line.split(",") for line in answers if line.startswith(f"{path},"))
        best = int(suspects.probabilities[row].argmax())
        assert manifest.classes[best] == answer[2]
        assert suspects.probabilities[row, best] == pytest.approx(float(answer[3]), abs=1e-5)
        own = int(manifest.targets[row])
        shares = suspects.probabilities[row]
        assert suspects.margin[row] == pytest.approx(np.log(shares[own] / np.delete(shares, own).max()), abs=1e-6)


def test_strangers_by_folds_and_by_one_run(
    planted: Path, folds: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    rings = {f"ring{k}.png" for k in range(6)}
    for run in (folds(), folds() / "fold-1"):
        found = of("stranger", scanned(planted / "data", run, capsys))
        # the strangest first: what was planted comes before anything else
        assert set(found[: len(rings)]) <= rings and len(rings & set(found)) >= 4
        assert len(set(found) - rings) <= 2
    assert main(["scan", str(planted / "data"), "--run", str(folds())]) == 0
    out = capsys.readouterr().out
    assert "warning: belong to no class (" in out and " times the usual distance from any class" in out
    assert max(map(len, out.splitlines())) <= 80


def test_moved_relabelled_and_new_pictures(
    planted: Path, folds: Callable[[], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Path(shutil.copytree(planted / "data", tmp_path / "data"))
    # a picture is known by its bytes: renamed and put into its right class it is no longer suspect
    (data / "kind1/00.png").rename(data / "kind0/zero.png")
    save(stripes(np.random.default_rng(9), 0), data / "kind0/new.png")
    (data / "kind0/02.png").write_bytes(b"")
    run = folds()
    # what training said, where this test is the first to ask for it
    capsys.readouterr()
    assert main(["scan", str(data), "--run", str(run), "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert "1 picture was in no fold of the run: not judged" in told["notes"]
    assert not {"zero.png", "00.png", "new.png", "02.png"} & set(of("label", told))


def test_pictures_and_classes_that_the_folds_do_not_know(
    planted: Path, folds: Callable[[], Path], tmp_path: Path
) -> None:
    judged = unseen.load(folds())
    assert judged is not None
    for number in range(4):
        save(rings(np.random.default_rng(number)), tmp_path / "other" / "ab"[number % 2] / f"{number}.png")
    other = find(tmp_path / "other")
    with pytest.raises(ConfigError) as caught:
        unseen.judge(judged, other, _digests(other))
    assert str(caught.value) == (
        f"ConfigError[C218]: {str(folds())!r} has judged none of the 4 pictures in {tmp_path}/other.\n"
        "  Fix: give the run whose folds were made of these pictures."
    )
    data = Path(shutil.copytree(planted / "data", tmp_path / "data"))
    (data / "kind1").rename(data / "rest")
    renamed = find(data)
    with pytest.raises(DataError, match=r"D107\].*a class the model does not know: 'rest'"):
        unseen.judge(judged, renamed, _digests(renamed))


def test_a_cross_validation_that_is_not_finished(folds: Callable[[], Path], tmp_path: Path) -> None:
    half = Path(shutil.copytree(folds(), tmp_path / "half"))
    (half / "metrics.json").unlink()
    with pytest.raises(ConfigError) as caught:
        unseen.load(half)
    assert str(caught.value) == (
        f"ConfigError[C216]: {str(half)!r} is a cross-validation that is not finished.\n"
        f"  Fix: dojang train --resume {half}"
    )
    assert unseen.load(folds() / "fold-2") is None


# The measure


def by_loops(seen: np.ndarray, targets: np.ndarray, classes: int) -> np.ndarray:
    """The definition: for each picture and class the lower median of the distances to the others of that class."""
    n = len(seen)

    def distance(i: int, j: int) -> float:
        return 1 - float(seen[i] @ seen[j] / np.linalg.norm(seen[i]) / np.linalg.norm(seen[j]))

    table = np.full((n, classes), np.inf)
    for i in range(n):
        for c in range(classes):
            others = sorted(distance(i, j) for j in range(n) if targets[j] == c and j != i)
            if sum(targets == c) > 1:
                table[i, c] = others[(len(others) - 1) // 2]
    usual = [np.median(table[targets == c, c]) if sum(targets == c) > 1 else np.nan for c in range(classes)]
    result: np.ndarray = np.nanmin(table / np.array(usual), axis=1)
    return result


@given(st.integers(0, 10**6), st.integers(6, 24), st.integers(1, 3))
@settings(deadline=None, max_examples=30)
def test_it_is_the_definition(seed: int, n: int, classes: int) -> None:
    draw = np.random.default_rng(seed)
    seen, targets = draw.random((n, 5)) + 0.05, draw.integers(0, classes, n)
    if np.bincount(targets).max() < 2:
        return
    found = strangers.apart(seen, targets, classes)
    # float32 cosines of rows in one orthant: 1e-6 over distances of about 0.1
    assert found == pytest.approx(by_loops(seen, targets, classes), rel=1e-3)
    # the length of a row says nothing, nor does the order of rows
    again = strangers.apart(seen * draw.uniform(0.5, 2, (n, 1)), targets, classes)
    assert again == pytest.approx(found, rel=1e-3)
    order = draw.permutation(n)
    assert strangers.apart(seen[order], targets[order], classes) == pytest.approx(found[order], rel=1e-3)


def test_a_crowd_of_strangers_does_not_hide_itself() -> None:
    """What a few neighbours, or a fitted covariance, would take for a class of its own."""
    draw = np.random.default_rng(0)
    means = draw.random((4, 30)) * np.repeat(np.eye(4), [8, 8, 7, 7], axis=1)
    usual = np.concatenate([mean + 0.1 * draw.random((50, 30)) for mean in means[:3]])
    crowd = means[3] + 0.02 * draw.random((45, 30))
    targets = np.concatenate([np.repeat([0, 1, 2], 50), np.arange(45) % 3])
    far = strangers.apart(np.concatenate([usual, crowd]), targets, 3)
    assert far[150:].min() > 2 * far[:150].max()
    assert np.median(far[:150]) == pytest.approx(1, abs=0.1)


def test_large_classes_are_compared_with_some_of_their_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    seen, targets = draw.random((300, 8)), np.arange(300) % 2
    every = strangers.apart(seen, targets, 2)
    monkeypatch.setattr(strangers, "_MEMBERS", 75)
    monkeypatch.setattr(strangers, "_BLOCK", 64)
    some = strangers.apart(seen, targets, 2)
    assert np.corrcoef(every, some)[0, 1] > 0.95 and np.array_equal(some, strangers.apart(seen, targets, 2))


@pytest.mark.parametrize(
    ("seen", "targets"),
    [
        (np.ones((6, 3)), [0, 0, 0, 1, 1, 1]),
        (np.eye(3), [0, 1, 2]),
        (np.zeros((4, 3)), [0, 0, 1, 1]),
        (np.ones((0, 3)), []),
    ],
)
def test_where_nothing_can_be_said(seen: np.ndarray, targets: list[int]) -> None:
    far = strangers.apart(seen, np.array(targets, np.int64), 3)
    assert np.array_equal(far, np.ones(len(far)))


def test_nothing_is_named_of_pictures_that_are_alike() -> None:
    draw = np.random.default_rng(0)
    manifest_rows = np.arange(200)
    named = []
    for seed in range(5):
        seen = np.random.default_rng(seed).random((200, 40))
        far = strangers.apart(seen, draw.integers(0, 2, 200), 2)
        from dojang.data.pairs import from_pairs

        pairs = from_pairs((np.zeros((1, 1), np.uint8), "ab"[i % 2]) for i in range(200))
        named.append(len(strangers.findings(pairs, manifest_rows, far)))
    assert sum(named) <= 10
