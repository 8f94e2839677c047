"""What a scan finds: each fault planted by code into clean pictures, and nothing where nothing was planted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scenes import gallery, scene

from dojang.cli.main import main
from dojang.data.scan import find
from dojang.doctor import page
from dojang.doctor.findings import GRAVE, KINDS, Report
from dojang.doctor.scan import scan
from dojang.doctor.show import lines


def found(data: Path) -> Report:
    return scan(find(data), threads=2, max_pixels=50_000_000)[0]


def kinds(report: Report) -> set[str]:
    return {finding.kind for finding in report.findings}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gallery(tmp_path_factory.mktemp("clean"))


@pytest.fixture
def data(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "photos"))


def test_clean_pictures_give_silence(clean: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = found(clean)
    assert report.findings == () and not report.grave and report.pictures == 24
    assert main(["scan", str(clean)]) == 0
    out = capsys.readouterr().out
    assert "nothing wrong was found." in out and max(map(len, out.splitlines())) <= 80


def one(data: Path, number: int = 0) -> Path:
    return sorted(data.rglob("*.jpg"))[number]


def _copy(data: Path) -> None:
    shutil.copy(one(data), one(data).with_name("copy.jpg"))


def _other_label(data: Path) -> None:
    shutil.copy(one(data), data / "class1" / "copy.jpg")


def _pixels(data: Path) -> None:
    with Image.open(one(data)) as picture:
        picture.save(one(data).with_name("copy.png"))


def _encoded(data: Path) -> None:
    with Image.open(one(data)) as picture:
        picture.save(one(data).with_name("copy.jpg"), quality=60)


def _halved(data: Path) -> None:
    with Image.open(one(data)) as picture:
        picture.resize((picture.width // 2, picture.height // 2)).save(one(data).with_name("copy.jpg"))


def _cropped(data: Path) -> None:
    with Image.open(one(data)) as picture:
        box = 8, 0, picture.width - 2, picture.height - 6
        picture.crop(box).save(one(data).with_name("copy.jpg"))


def _truncated(data: Path) -> None:
    one(data).write_bytes(one(data).read_bytes()[:2000])


def _empty(data: Path) -> None:
    one(data).write_bytes(b"")


def _page(data: Path) -> None:
    one(data).write_bytes(b"<!doctype html><title>404</title>")


def _saved(change: Callable[[Image.Image], Image.Image]) -> Callable[[Path], None]:
    def plant(data: Path) -> None:
        with Image.open(one(data)) as picture:
            picture.load()
        change(picture).save(one(data), quality=95)

    return plant


def _blank(picture: Image.Image) -> Image.Image:
    return Image.new("RGB", picture.size, (200, 200, 200))


def _dark(picture: Image.Image) -> Image.Image:
    return picture.point(lambda level: level // 14)


def _bright(picture: Image.Image) -> Image.Image:
    return picture.point(lambda level: 255 - (255 - level) // 14)


def _blurred(picture: Image.Image) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(8))


def _tiny(picture: Image.Image) -> Image.Image:
    return picture.resize((20, 15))


def _long(picture: Image.Image) -> Image.Image:
    return scene(999, (900, 90))


def _turned(data: Path) -> None:
    with Image.open(one(data)) as picture:
        exif = picture.getexif()
        exif[0x0112] = 6
        picture.save(one(data), exif=exif, quality=95)


def _frames(data: Path) -> None:
    stills = [scene(500 + number, (80, 80)) for number in range(3)]
    stills[0].save(data / "class0" / "moving.gif", save_all=True, append_images=stills[1:])


def _few(data: Path) -> None:
    for path in sorted((data / "class2").iterdir())[1:]:
        path.unlink()
    for number in range(5):
        scene(700 + number).save(data / "class0" / f"more{number}.jpg")


def _case(data: Path) -> None:
    (data / "class1").rename(data / "Class0")


PLANTED: dict[str, tuple[Callable[[Path], None], str]] = {
    "the same bytes": (_copy, "same"),
    "the same bytes elsewhere": (_other_label, "two-labels"),
    "the same pixels": (_pixels, "same"),
    "re-encoded": (_encoded, "near"),
    "halved": (_halved, "near"),
    "cropped": (_cropped, "near"),
    "truncated": (_truncated, "unreadable"),
    "empty": (_empty, "unreadable"),
    "a web page": (_page, "unreadable"),
    "blank": (_saved(_blank), "blank"),
    "dark": (_saved(_dark), "dark"),
    "bright": (_saved(_bright), "bright"),
    "blurred": (_saved(_blurred), "blurred"),
    "tiny": (_saved(_tiny), "tiny"),
    "long": (_saved(_long), "shape"),
    "turned": (_turned, "turned"),
    "frames": (_frames, "frames"),
    "few of a class": (_few, "imbalance"),
    "names alike": (_case, "names"),
}


@pytest.mark.parametrize("name", list(PLANTED))
def test_what_was_planted_is_found_and_nothing_else(name: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant, kind = PLANTED[name]
    plant(data)
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    report = found(data)
    assert kinds(report) == {kind}, list(lines(report))
    assert len(report.findings) == 1
    assert report.grave == (KINDS[kind].gravity == GRAVE)
    status = main(["scan", str(data), "--json"])
    assert status == (3 if report.grave else 0)
    told = json.loads(capsys.readouterr().out)
    assert [one["kind"] for one in told["findings"]] == [kind] and told["pictures"] == report.pictures
    assert max(map(len, lines(report))) <= 80
    # nothing is changed
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before


def test_pictures_in_two_splits(clean: Path, tmp_path: Path) -> None:
    for split in ("train", "test"):
        shutil.copytree(clean, tmp_path / "data" / split)
    for path in (tmp_path / "data" / "test").rglob("*.jpg"):
        # every second one is the same, the others are saved again or quite different
        number = int(path.stem)
        if number % 4 == 1:
            with Image.open(path) as picture:
                picture.load()
            picture.save(path, quality=70)
        elif number % 4 in (2, 3):
            scene(1000 + number).save(path)
    for path in (tmp_path / "data" / "test" / "class2").iterdir():
        path.unlink()
    report = found(tmp_path / "data")
    exact = {int(Path(finding.paths[0]).stem) for finding in report.of("same-across")}
    nearly = {int(Path(finding.paths[0]).stem) for finding in report.of("near-across")}
    left = {number for number in range(24) if number % 3 != 2}
    assert exact == {number for number in left if number % 4 == 0}
    assert nearly == {number for number in left if number % 4 == 1}
    assert report.of("class-missing")[0].facts["classes"] == ["class2"] and report.grave
    assert kinds(report) == {"same-across", "near-across", "class-missing"}


def test_one_group_in_two_splits(clean: Path, tmp_path: Path) -> None:
    paths = sorted(clean.rglob("*.jpg"))
    rows = [
        f"{path},{path.parent.name},{'test' if i % 8 == 3 else 'train'},camera{i % 7}" for i, path in enumerate(paths)
    ]
    (tmp_path / "table.csv").write_text("path,label,split,group\n" + "\n".join(rows) + "\n")
    report = found(tmp_path / "table.csv")
    assert kinds(report) == {"group-across"} and report.grave
    # 3, 11 and 19 are for testing: cameras 3, 4 and 5, of which others are for training
    assert {finding.facts["group"] for finding in report.findings} == {"camera3", "camera4", "camera5"}


def test_nearly_the_same_under_two_labels(data: Path) -> None:
    with Image.open(one(data)) as picture:
        picture.save(data / "class1" / "copy.jpg", quality=60)
    assert kinds(found(data)) == {"near-two-labels"}


def test_small_pictures_are_compared_too(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    pairs = [(draw.integers(0, 256, (28, 28), np.uint8), "ab"[number % 2]) for number in range(40)]
    from dojang.data.pairs import from_pairs

    report, _ = scan(from_pairs([*pairs, pairs[3], (pairs[5][0], "a")]), threads=0, max_pixels=10**6)
    assert sorted(finding.kind for finding in report.findings) == ["same", "two-labels"]


def test_the_page_is_inert(data: Path, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    (data / "class0").rename(data / evil.replace("/", "_"))
    _copy(data)
    manifest = find(data)
    report, looks = scan(manifest, threads=2, max_pixels=10**8)
    text = page.render(report, manifest, looks)
    assert "<script" not in text and "&lt;script&gt;" in text
    assert "http" not in text.replace("http-equiv", "") and text.count("data:image/jpeg;base64,") == 2
    out = tmp_path / "scan.html"
    assert main(["scan", str(data), "--html", str(out)]) == 0 and out.exists()
    assert main(["scan", str(data), "--html", str(out)]) == 2


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two kinds of pictures that a network tells apart: stripes down and stripes across, with noise."""
    root = tmp_path_factory.mktemp("drawn")
    draw = np.random.default_rng(0)
    for number in range(80):
        kind = number % 2
        wave = 90 * np.sin(np.arange(32) * 0.9 + draw.uniform(0, 6))
        levels = 128 + (wave[None, :] if kind else wave[:, None]) + draw.normal(0, 12, (32, 32))
        (root / f"kind{kind}").mkdir(exist_ok=True)
        Image.fromarray(levels.clip(0, 255).astype(np.uint8)).save(root / f"kind{kind}" / f"{number:02}.png")
    return root


def test_wrong_labels_by_a_run(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", str(drawn), "--model", "cnn", "--epochs", "6", "--batch-size", "8"]) == 0
    data = tmp_path / "data"
    shutil.copytree(drawn, data)
    assert main(["scan", str(data), "--run", "runs/classify/train"]) == 0
    assert "probably wrong" not in capsys.readouterr().out
    # three in the wrong folder
    moved = [data / "kind0" / "00.png", data / "kind0" / "14.png", data / "kind1" / "21.png"]
    for path in moved:
        path.rename(data / ("kind1" if path.parent.name == "kind0" else "kind0") / path.name)
    assert main(["scan", str(data), "--run", "runs/classify/train", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    labels = [one for one in told["findings"] if one["kind"] == "label"]
    assert {Path(one["paths"][0]).name for one in labels} == {path.name for path in moved}
    for one in labels:
        assert one["suggested"] != one["label"] == Path(one["paths"][0]).parent.name
    assert main(["scan", str(data), "--run", "nowhere"]) == 2
    # written down, looked at, carried out: all three are where they belong
    assert main(["scan", str(data), "--run", "runs/classify/train", "--suspects", "wrong.csv"]) == 0
    assert "--relabel wrong.csv" in capsys.readouterr().out
    assert Path("wrong.csv").read_text().startswith("path,label,was,probability\nkind")
    assert main(["clean", str(data), "--relabel", "wrong.csv", "--in-place", "--apply"]) == 0
    assert all(path.exists() for path in moved)
    # nothing is written over another, or without a network to ask
    assert main(["scan", str(data), "--run", "runs/classify/train", "--suspects", "wrong.csv"]) == 2
    assert "--suspects 'wrong.csv' is there already" in capsys.readouterr().err
    assert main(["scan", str(data), "--suspects", "other.csv"]) == 2
    assert "no network is given" in capsys.readouterr().err


def test_a_class_of_one_cannot_be_judged(drawn: Path, tmp_path: Path) -> None:
    from dojang.doctor import suspects
    from dojang.errors import ConfigError

    data = Path(shutil.copytree(drawn, tmp_path / "data"))
    for path in sorted((data / "kind0").iterdir())[1:]:
        path.unlink()
    with pytest.raises(ConfigError, match=r"C212\]"):
        suspects.judge(find(data), np.arange(41), np.zeros((41, 3), np.float32))


def test_copies_count_as_one_when_labels_are_judged(drawn: Path) -> None:
    from dojang.doctor import suspects

    manifest = find(drawn)
    # all of a class but three are one picture: four folds
    copies = [row for row in range(len(manifest)) if manifest.targets[row] == 0][3:]
    manifest = manifest.replace(groups=tuple("g" if row in copies else "" for row in range(len(manifest))))
    seen = np.random.default_rng(0).standard_normal((len(manifest), 3)) + 5 * manifest.targets[:, None]
    judged = suspects.judge(manifest, np.arange(len(manifest)), seen.astype(np.float32))
    assert np.allclose(judged.probabilities.sum(axis=1), 1) and (judged.margin > 0).mean() > 0.9


def test_weights_that_are_not_there_are_fetched_when_asked(
    drawn: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fix of the error is a flag of this verb, and it does what it says."""
    from dojang.errors import ConfigError
    from dojang.models import pretrained

    asked = []

    def found(model: str, given: str, *, download: bool = False) -> Path:
        asked.append((model, given, download))
        raise ConfigError("C247", "there are none.")

    monkeypatch.setattr(pretrained, "find", found)
    for words in ([], ["--download"]):
        assert main(["scan", str(drawn), "--run", "squeezenet1_1", *words]) == 2
    assert asked == [("squeezenet1_1", "auto", False), ("squeezenet1_1", "auto", True)]
