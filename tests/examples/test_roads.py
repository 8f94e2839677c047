"""The two roads of examples/: every command of theirs, in order, on a small set with the same faults."""

from __future__ import annotations

import csv
import re
import shlex
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dojang import folders
from dojang.cli.main import main

EXAMPLES = Path(__file__).parents[2] / "examples"
# in place of what takes long, or weights that are not here: the same commands, small
SMALL = ["--model", "cnn", "--conv-dims", "4,4", "--epochs", "2", "--imgsz", "16", "--batch-size", "8"]


def commands(name: str) -> list[list[str]]:
    """The commands of a page that begin with dojang, in their order."""
    blocks = re.findall(r"^```\n(.*?)^```", (EXAMPLES / name).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("dojang ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def photograph(seed: int, kind: int) -> Image.Image:
    """Coarse colour noise over a gradient whose direction is the class."""
    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(0, 120, (8, 10, 3), dtype=np.uint8)).resize((80, 64))
    ramp = np.linspace(0, 130, 80 if kind % 2 else 64)
    ramp = ramp[::-1] if kind >= 2 else ramp
    levels = np.asarray(coarse, float) + (ramp[None, :, None] if kind % 2 else ramp[:, None, None])
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def run(words: list[str], expected: int = 0) -> None:
    if words[0] == "train":
        replaced = {"--model", "--pretrained", "--epochs"}
        kept, skip = [], False
        for word, after in zip(words, [*words[1:], ""], strict=True):
            if skip:
                skip = False
            elif word in replaced:
                skip = not after.startswith("--") and after != ""
            else:
                kept.append(word)
        words = [*kept, *SMALL]
    assert main(words) == expected, words


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    # once for the whole machine; nothing here is about power cuts
    monkeypatch.setattr("dojang.files._sync_all", lambda: None)
    assert folders.free_name(Path("dogs")) == Path("dogs")
    return tmp_path


def test_from_a_raw_archive(place: Path) -> None:
    raw = place / "raw"
    for kind, name in enumerate(("n02086240-Shih-Tzu", "n02088364-beagle", "n02111889-Samoyed")):
        (raw / "dogs" / name).mkdir(parents=True)
        for number in range(10):
            photograph(100 * kind + number, kind).save(raw / "dogs" / name / f"{name[:9]}_{number}.jpg", quality=90)
    with tarfile.open("dogs.tar", "w") as archive:
        archive.add(raw / "dogs", "dogs")
    found = commands("dog_breeds.md")
    assert [words[0] for words in found[:3]] == ["scan", "clean", "clean"] and len(found) >= 8
    for words in found:
        run(words)
    assert sorted(path.name for path in (place / "dogs").iterdir()) == ["Samoyed", "Shih-Tzu", "beagle"]
    with open("runs/classify/train/per_class.csv", newline="") as file:
        tested = [row["class"] for row in csv.DictReader(file) if row["split"] == "test"]
    assert tested == ["Samoyed", "Shih-Tzu", "beagle"]


def test_a_data_set_of_your_own(place: Path) -> None:
    (place / "files").mkdir()
    names = ("딩고", "비글", "사모예드")
    rows = []
    for number in range(36):
        photograph(number, number % 3).save(f"files/IMG_{number:06}.jpg", quality=90)
        rows.append((f"IMG_{number:06}.jpg", names[number % 3]))
    Path("files/copy of it.jpg").write_bytes(Path("files/IMG_000003.jpg").read_bytes())
    Path("files/broken.jpg").write_bytes(Path("files/IMG_000004.jpg").read_bytes()[:900])
    Image.new("RGB", (80, 64), (3, 3, 3)).save("files/lens cap.jpg")
    rows += [("copy of it.jpg", names[0]), ("broken.jpg", names[0]), ("lens cap.jpg", names[1])]
    with open("labels.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    for words in commands("own_dataset.md"):
        if "--suspects" in words:
            # trained weights are not here: what they would have said
            Path("relabel.csv").write_text("path,label\n딩고/IMG_000006.jpg,비글\n", "utf-8")
            continue
        broken = words[:2] == ["scan", "dogs"] and "--html" in words
        run(words, expected=3 if broken else 0)
    assert Path("dogs/비글/IMG_000006.jpg").exists()
    assert sorted(path.name for path in Path("dogs-taken-out/out").rglob("*.jpg")) == [
        "broken.jpg",
        "copy of it.jpg",
        "lens cap.jpg",
    ]
    assert Path("runs/classify/train2/fold-5").is_dir()
