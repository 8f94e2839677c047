"""`dojang val`: which splits are scored, what stays as it is, where pictures have moved to, scores of each class."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.cells import cell_len

from dojang.cli.main import main

TINY = ["model=mnist-cnn", "conv_dims=3,4", "hidden_dims=6", "epochs=1", "batch_size=12", "lr=0.01"]
TINY += ["threads=1", "workers=0", "--no-check"]
CLASSES = ("across", "down", "none of the two, which is a long name")
PICTURES = ("confusion_matrix.png", "confusion_matrix.csv", "reliability.png", "worst.png")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in ``data``; made runs beside them."""
    place = tmp_path_factory.mktemp("made")
    draw = np.random.default_rng(0)
    for name in CLASSES:
        (place / "data" / name).mkdir(parents=True)
        for i in range(12):
            levels = draw.integers(0, 256, (10, 10), np.uint8)
            Image.fromarray(levels).save(place / "data" / name / f"{i}.png")
    return place


@pytest.fixture
def run(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A run with val and test; a copy."""
    if not (made / "whole").exists():
        assert main(["train", str(made / "data"), *TINY, f"project={made}", "name=whole"]) == 0
    if not (made / "no-val").exists():
        assert main(["train", str(made / "data"), *TINY, f"project={made}", "name=no-val", "--val", "none"]) == 0
    capsys.readouterr()
    shutil.copytree(made / "whole", tmp_path / "whole")
    shutil.copytree(made / "no-val", tmp_path / "no-val")
    return tmp_path / "whole"


def looks(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in PICTURES if (run / name).exists()}


def test_all_that_was_scored_is_scored_anew_and_pictures_stay_those_of_test(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = looks(run)
    metrics = json.loads((run / "metrics.json").read_text())
    # what is old is not passed off as new
    spoilt = json.loads(json.dumps(metrics))
    spoilt["test"]["top1"]["value"] = spoilt["val"]["top1"]["value"] = 0.123
    (run / "metrics.json").write_text(json.dumps(spoilt))
    assert main(["val", str(run)]) == 0
    out = capsys.readouterr().out
    assert [line.split(":")[0] for line in out.splitlines() if "intervals of 95" in line] == ["val", "test"]
    assert json.loads((run / "metrics.json").read_text()) == metrics
    assert looks(run) == before
    assert main(["val", str(run), "--split", "val"]) == 0
    out = capsys.readouterr().out
    assert "val: " in out and "test: " not in out
    assert looks(run) == before


def test_a_run_without_val_is_scored_on_test(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run.parent / "no-val"
    before = looks(run)
    assert main(["val", str(run)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("test: ") and looks(run) == before
    assert main(["val", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scored"] == ["test"]
    assert main(["val", str(run), "--split", "val"]) == 3
    err = capsys.readouterr().err
    assert "D121]: the data has no 'val' pictures; it has train, test.\n  Fix: --split test\n" in err


def test_what_a_score_can_bring_back(run: Path) -> None:
    before = {name: (run / name).read_bytes() for name in ("metrics.json", "splits.csv", "predictions.csv")}
    for name in ("splits.csv", "metrics.json", "predictions.csv"):
        (run / name).unlink()
        assert main(["val", str(run)]) == 0
    after = {name: (run / name).read_bytes() for name in before}
    assert after["splits.csv"] == before["splits.csv"]
    assert sorted(after["predictions.csv"].split()) == sorted(before["predictions.csv"].split())
    old, new = (json.loads(files["metrics.json"]) for files in (before, after))
    assert all(old[name] == new[name] for name in ("val", "test", "weights"))


def test_pictures_that_have_moved(
    run: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "else where"
    shutil.copytree(made / "data", moved)
    gone = str(made / "data")
    (run / "args.yaml").write_text((run / "args.yaml").read_text().replace(gone, "/nowhere"))
    assert main(["val", str(run)]) == 3
    err = capsys.readouterr().err
    assert f"  Fix: dojang val {run} --data PLACE, where they are now.\n" in err
    assert main(["val", str(run), "--data", str(moved), "--split", "test"]) == 0
    capsys.readouterr()
    (moved / "down" / "0.png").write_bytes((moved / "down" / "1.png").read_bytes())
    before = (run / "metrics.json").read_bytes()
    assert main(["val", str(run), "--data", str(moved)]) == 2
    assert f"C218]: the data has changed since the run was trained.\n  Fix: dojang val {run} '{moved}'" in (
        capsys.readouterr().err
    )
    assert (run / "metrics.json").read_bytes() == before
    assert main(["val", str(run), str(moved), "--data", str(moved)]) == 2
    assert f"Fix: dojang val {run} '{moved}'\n" in capsys.readouterr().err
    # a word of the form data=... is other data, as it was
    monkeypatch.chdir(tmp_path)
    assert main(["val", str(run), f"data={moved}"]) == 0
    assert "runs/classify/val" in capsys.readouterr().out


def test_scores_of_each_class(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run / "per_class.csv"
    assert main(["val", str(run), "--split", "val", "--per-class"]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.split()[:1] == ["class"])
    assert lines[at].split() == ["class", "precision", "recall", "F1", "n"]
    rows = lines[at + 1 : at + 4]
    found = [re.split(r"\s{2,}", row.strip()) for row in rows]
    assert {row[0] for row in found} == {"across", "down", "none of the two,..."}
    f1 = [0.0 if row[3] == "-" else float(row[3].split()[0]) for row in found]
    assert f1 == sorted(f1)
    with path.open() as file:
        told = {line.split(",")[0].strip('"'): line for line in file if ",val," in line}
    for name, *cells, n in (row for row in found if row[0] != "none of the two,..."):
        want = told[name].strip().split(",")
        assert n == want[5]
        for cell, value, low, high in zip(cells, want[2:5], want[6:12:2], want[7:12:2], strict=True):
            shown = f"{float(value):.3f} {float(low):.2f}-{float(high):.2f}" if low else "-"
            assert cell == shown
    assert max(cell_len(line.replace(str(run), "runs")) for line in lines) <= 80


def test_a_class_without_pictures_is_last(
    run: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    some = tmp_path / "some"
    shutil.copytree(made / "data", some)
    shutil.rmtree(some / "across")
    assert main(["val", str(run), str(some), "--per-class"]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.split()[:1] == ["class"])
    assert lines[at + 3].split() == ["across", "no", "pictures", "0"]
