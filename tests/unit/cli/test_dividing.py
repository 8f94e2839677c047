"""`dojang split`, and training by what it wrote."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dojang.cli.main import main
from dojang.data.manifest import read_splits


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    for number in range(60):
        folder = Path("photos") / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        # what is to be told apart: one half is brighter
        levels = draw.integers(0, 120, (16, 16), np.uint8) + 100 * (number % 2)
        Image.fromarray(levels.astype(np.uint8)).save(folder / f"patient{number // 4:02}_{number}.png")
    return Path("photos")


def rows(path: str) -> dict[str, tuple[str, str]]:
    return {row.path: (row.split, row.group) for row in read_splits(Path(path).read_text())}


def test_a_division_and_training_by_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["split", "photos", "--val", "0.2", "--test", "0.2"]) == 0
    out = capsys.readouterr().out
    assert "splits.csv  train 36, val 12, test 12; 2 classes" in out
    assert "dojang train photos --splits splits.csv" in out and max(map(len, out.splitlines())) <= 80
    written = rows("splits.csv")
    assert len(written) == 60
    assert main(["train", "photos", "--splits", "splits.csv", "--model", "mlp", "--epochs", "1"]) == 0
    left = rows("runs/classify/train/splits.csv")
    assert {path: split for path, (split, _) in left.items()} == {path: split for path, (split, _) in written.items()}
    assert main(["train", "photos", "--splits", "splits.csv", "--val", "0.1", "--model", "mlp"]) == 2
    assert "ConfigError[C204]: --val divides pictures" in capsys.readouterr().err
    # nothing is overwritten
    assert main(["split", "photos"]) == 2


def test_training_learns_from_everything_where_the_file_holds_nothing_out(data: Path) -> None:
    text = Path("photos").parent / "all.csv"
    assert main(["split", "photos", "--val", "none", "--test", "0", "--out", str(text)]) == 0
    assert Counter(split for split, _ in rows("all.csv").values()) == {"train": 60}
    assert main(["train", "photos", "--splits", "all.csv", "--model", "mlp", "--epochs", "1"]) == 0
    assert Counter(split for split, _ in rows("runs/classify/train/splits.csv").values()) == {"train": 60}


def test_patients_stay_together(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["split", "photos", "--group-by", r"(patient\d+)", "--val", "0.2", "--test", "0.2", "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["files"] == ["splits.csv"] and "15 groups by" in told["notes"][0]
    splits: dict[str, set[str]] = {}
    for path, (split, _) in rows("splits.csv").items():
        splits.setdefault(path.split("/")[1].split("_")[0], set()).add(split)
    assert len(splits) == 15 and all(len(some) == 1 for some in splits.values())


def test_copies_stay_together(data: Path) -> None:
    originals = sorted(data.rglob("*.png"))
    for path in originals:
        shutil.copy(path, path.with_name(f"copy_{path.name}"))
    for seed in range(3):
        assert main(["split", "photos", "--seed", str(seed), "--out", f"s{seed}.csv"]) == 0
        written = rows(f"s{seed}.csv")
        for path in written:
            folder, _, name = path.partition("/")
            if not name.startswith("copy_"):
                assert written[path][0] == written[f"{folder}/copy_{name}"][0]
        # pictures of the same bytes are never divided
        assert main(["split", "photos", "--no-pairs", "--seed", str(seed), "--out", f"p{seed}.csv"]) == 0
        written = rows(f"p{seed}.csv")
        assert not apart(written)
    for path in data.rglob("copy_*.png"):
        with Image.open(path) as picture:
            picture.save(path, compress_level=1)
    assert main(["split", "photos", "--out", "together.csv"]) == 0
    assert main(["split", "photos", "--no-pairs", "--out", "apart.csv"]) == 0
    assert apart(rows("apart.csv")) and not apart(rows("together.csv"))


def apart(written: dict[str, tuple[str, str]]) -> list[str]:
    """Copies that are in another split than what they were copied from."""
    return [p for p in written if "/copy_" in p and written[p][0] != written[p.replace("/copy_", "/")][0]]


def test_a_run_by_a_file_is_resumed_and_scored_by_its_own_copy_of_it(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["split", "photos", "--val", "0.2", "--test", "0.2", "--seed", "3"]) == 0
    text = Path("splits.csv").read_text()
    # a picture that the file leaves out
    first = next(line for line in text.splitlines() if ",train," in line)
    Path("splits.csv").write_text(text.replace(first, first.replace(",train,", ",,")))
    words = ["train", "photos", "--splits", "splits.csv", "--model", "mlp", "--epochs", "1"]
    assert main(words) == 0
    Path("splits.csv").unlink()
    assert main(["val", "runs/classify/train"]) == 0
    assert main(["train", "--resume", "runs/classify/train", "--epochs", "2"]) == 0
    assert "C218" not in capsys.readouterr().err
    for path in data.rglob("*.png"):
        path.rename(path.with_name(f"other_{path.name}"))
    assert main(["val", "runs/classify/train"]) == 2
    assert "ConfigError[C218]: the data has changed: it has none of the 59 pictures" in capsys.readouterr().err


def test_folds(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["split", "photos", "--folds", "3", "--test", "0.2", "--out", "cv.csv"]) == 0
    assert "cv-3.csv  train 32, val 16, test 12" in capsys.readouterr().out
    made = [rows(f"cv-{k}.csv") for k in (1, 2, 3)]
    for path in made[0]:
        splits = [one[path][0] for one in made]
        assert splits == ["test"] * 3 or sorted(splits) == ["train", "train", "val"]


def test_pictures_that_cannot_be_read_stop_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    next(data.rglob("*.png")).write_bytes(b"")
    assert main(["split", "photos"]) == 3
    assert "DataError[D104]" in capsys.readouterr().err and not Path("splits.csv").exists()
