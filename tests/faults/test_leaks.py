"""I10: pictures, or groups of them, in two splits of the data. What the data brings is refused; nothing is made so."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dojang.cli.main import main
from dojang.data import division, leaks, split
from dojang.data.manifest import Manifest
from dojang.data.options import DataOptions
from dojang.data.prepare import prepare
from dojang.data.scan import find
from dojang.errors import DataError

WORDS = ["--model", "mlp", "--epochs", "1", "--threads", "1"]


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twenty training pictures and six of val and test each, none like another."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    for part, number in (("train", 20), ("val", 6), ("test", 6)):
        for i in range(number):
            folder = Path("pets") / part / ("cat", "dog")[i % 2]
            folder.mkdir(parents=True, exist_ok=True)
            levels = draw.integers(0, 120, (12, 12), np.uint8) + 100 * (i % 2)
            Image.fromarray(levels.astype(np.uint8)).save(folder / f"{i}.png")
    return Path("pets")


def metrics(run: str = "runs/classify/train") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(run, "metrics.json").read_text())
    return found


def test_pictures_of_train_in_val_and_test_stop_it(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(pets / "train/dog/3.png", pets / "val/dog/a.png")
    shutil.copy(pets / "train/dog/3.png", pets / "val/dog/b.png")
    shutil.copy(pets / "train/cat/4.png", pets / "test/cat/c.png")
    assert main(["train", "pets", *WORDS]) == 3
    assert capsys.readouterr().err == (
        "DataError[D110]: 2 of 8 validation and 1 of 7 test images are byte-identical to training images, e.g. "
        "val/dog/a.png = train/dog/3.png.\n"
        "  Their score would be that of pictures learned by heart.\n"
        "  Fix: dojang clean pets --drop duplicates --out NEW --apply; or --allow-leak, which is recorded and said "
        "beside every score.\n"
    )
    assert not Path("runs").exists()


def test_a_leak_that_is_allowed_is_said_beside_the_scores(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(pets / "train/dog/3.png", pets / "val/dog/a.png")
    assert main(["train", "pets", "--allow-leak", *WORDS]) == 0
    told = capsys.readouterr()
    assert "leak: 1 of 7 validation images are byte-identical" in told.err
    said = "1 of these pictures were trained on, byte for byte: too good\n"
    assert told.out.count(said) == 1 and max(map(len, told.out.splitlines())) <= 80
    assert metrics()["val"]["leaked"] == 1 and "leaked" not in metrics()["test"]
    assert "allow_leak: true" in Path("runs/classify/train/args.yaml").read_text()
    # again, whenever they are scored again; not of what it should know
    assert main(["val", "runs/classify/train"]) == 0
    assert said in capsys.readouterr().out
    assert main(["val", "runs/classify/train", "--split", "train"]) == 0
    assert "leaked" not in metrics()["train"]
    # and where other data has pictures of the training
    for name in ("0", "2"):
        shutil.copy(pets / f"train/cat/{name}.png", pets / f"test/cat/{name}.png")
    assert main(["val", "runs/classify/train", "pets/test"]) == 0
    assert "2 of these pictures were trained on" in capsys.readouterr().out
    assert metrics("runs/classify/val")["test"]["leaked"] == 2


def test_clean_data_says_nothing(pets: Path) -> None:
    found = prepare(find("pets"), DataOptions(), seed=0, default_size=12, threads=0)
    assert found.notes == () and leaks.copies(found.manifest, range(len(found.manifest))) == []


def test_val_pictures_in_test_and_two_labels_are_said(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(pets / "val/dog/3.png", pets / "test/dog/a.png")
    shutil.copy(pets / "train/dog/3.png", pets / "train/cat/z.png")
    assert main(["train", "pets", *WORDS]) == 0
    err = capsys.readouterr().err
    assert (
        "1 test image helped to choose the best weights, being in val too, e.g. test/dog/a.png = val/dog/3.png" in err
    )
    said = "1 image is there under two labels, e.g. train/dog/3.png = train/cat/z.png (dojang scan pets lists them)"
    assert said in err


def test_hostile_names_stay_inert(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(pets / "train/dog/3.png", pets / "val/dog/\x1b[31mred\n.png")
    assert main(["train", "pets", *WORDS]) == 3
    err = capsys.readouterr().err
    assert r"val/dog/\x1b[31mred\n.png = train/dog/3.png" in err and "\x1b" not in err


def test_a_splits_file_that_leaks_is_refused(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(pets / "train/dog/3.png", pets / "train/dog/b.png")
    assert main(["split", "pets/train", "--out", "s.csv"]) == 0
    with open("s.csv", newline="") as file:
        rows = list(csv.reader(file))
    for row in rows[1:]:
        row[2], row[3] = ("val" if row[0] == "dog/b.png" else "train"), ""
    with open("s.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    capsys.readouterr()
    assert main(["train", "pets/train", "--splits", "s.csv", *WORDS]) == 3
    assert "D110]: 1 of 1 validation images are byte-identical" in capsys.readouterr().err


def test_one_group_in_two_splits(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["path,label,split,group"]
    for path in sorted(pets.rglob("*.png")):
        part, label, name = path.relative_to(pets).parts
        lines.append(f"{part}/{label}/{name},{label},{part},{'p1' if name in ('0.png', '1.png') else ''}")
    table = pets / "table.csv"
    table.write_text("\n".join(lines) + "\n")
    assert main(["train", "pets/table.csv", *WORDS]) == 3
    assert capsys.readouterr().err == (
        "DataError[D126]: 1 group is in more than one split, e.g. 'p1' in train and val and test.\n"
        "  Pictures of one group are alike: a score on them would be that of pictures half known.\n"
        "  Fix: put all rows of a group into one split; or --allow-leak, which is recorded and said.\n"
    )
    assert main(["train", "pets/table.csv", "--allow-leak", *WORDS]) == 0
    assert "leak: 1 group is in more than one split" in capsys.readouterr().err


def test_dojang_divides_no_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(1)
    for i in range(40):
        folder = Path("pets") / ("cat", "dog")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (12, 12), np.uint8)).save(folder / f"{i}.png")
        # under the other label, too
        shutil.copy(folder / f"{i}.png", Path("pets") / ("cat", "cat")[i % 2] / f"{i}_copy.png")
    for seed in range(5):
        manifest = prepare(find("pets"), DataOptions(), seed=seed, default_size=12, threads=0).manifest
        splits: dict[str, set[str]] = {}
        for digest, part in zip(manifest.digests, manifest.splits, strict=True):
            splits.setdefault(digest, set()).add(part)
        assert len(splits) == 40 and all(len(some) == 1 for some in splits.values())
        assert set(manifest.splits) == {"train", "val", "test"}


class Nothing:
    name = "nothing"

    def read(self, path: str) -> bytes:
        return b""


def made(digests: list[int], splits: list[str] | None = None, labels: list[int] | None = None) -> Manifest:
    n = len(digests)
    return Manifest(
        Nothing(),
        ("a", "b"),
        tuple(f"{i}.png" for i in range(n)),
        tuple((label,) for label in (labels or [i % 2 for i in range(n)])),
        tuple(splits or [""] * n),
        ("",) * n,
        tuple(f"{digest:064x}" for digest in digests),
    )


@given(st.data())
def test_what_is_counted_is_what_loops_count(data: st.DataObject) -> None:
    n = data.draw(st.integers(4, 20))
    digests = data.draw(st.lists(st.integers(0, 12), min_size=n, max_size=n))
    splits = data.draw(st.lists(st.sampled_from(["train", "val", "test"]), min_size=n, max_size=n))
    manifest = made(digests, splits, [0] * n)
    found = {}
    for part in ("val", "test"):
        pairs = [any(digests[i] == digests[j] and splits[j] == "train" for j in range(n)) for i in range(n)]
        found[part] = sum(pairs[i] for i in range(n) if splits[i] == part)
        assert leaks.count(manifest, part, leaks.learned(manifest)) == found[part]
    if any(found.values()):
        with pytest.raises(DataError, match="D110"):
            leaks.check(manifest)
        assert leaks.check(manifest, allow=True)[0].startswith("leak:")
    else:
        leaks.check(manifest)


@given(st.lists(st.integers(0, 15), min_size=20, max_size=40), st.integers(0, 5))
def test_divisions_never_part_copies(digests: list[int], seed: int) -> None:
    manifest = made(digests)
    done = [split.assign(manifest, val=0.2, test=0.2, seed=seed)]
    units = [len({d for d, (label,) in zip(digests, manifest.labels, strict=True) if label == k}) for k in (0, 1)]
    if min(units) >= 3:
        try:
            done += division.folds(manifest, 3, seed)
        except Exception as error:  # a class may have too few groups, once both labels share them
            assert "C212" in str(error)
    for one in done:
        parts: dict[str, set[str]] = {}
        for digest, name in zip(one.digests, one.splits, strict=True):
            parts.setdefault(digest, set()).add(name)
        assert all(len(names) == 1 for names in parts.values())


def test_data_without_copies_is_divided_as_ever() -> None:
    manifest = made(list(range(30)))
    plain = manifest.replace(digests=())
    assert split.assign(manifest, seed=4).splits == split.assign(plain, seed=4).splits
    assert [m.splits for m in division.folds(manifest, 3)] == [m.splits for m in division.folds(plain, 3)]
