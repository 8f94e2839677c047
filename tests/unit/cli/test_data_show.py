"""`dojang data show`: what is chosen, what is measured, what the page holds, and that names do no harm."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dojang.cli.main import main
from dojang.data.options import DataOptions
from dojang.data.pairs import from_pairs
from dojang.data.permutation import order
from dojang.data.scan import find
from dojang.doctor.anatomy import anatomy
from dojang.doctor.samples import samples
from dojang.doctor.sheet import address, figure, grid, matrix, sheet
from dojang.doctor.stages import stages
from dojang.errors import ConfigError, DataError


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(2)
    for number in range(60):
        name = ("고양이", "<script>alert(1)</script>", "=cmd()")[number % 3].replace("/", "_")
        folder = Path("photos", "test" if number >= 48 else "train", name)
        folder.mkdir(parents=True, exist_ok=True)
        base = draw.integers(0, 200, 3)
        levels = base + draw.integers(0, 56, (12, 16, 1)) + np.zeros((12, 16, 3), int)
        Image.fromarray(levels.astype(np.uint8)).save(folder / f"{number:02}.png")
    return Path("photos")


def shown_pictures(page: str) -> list[np.ndarray]:
    found = re.findall(r'src="data:image/(?:png|jpeg);base64,([^"]+)"', page)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in found]


def test_pictures_of_each_class(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", "photos", "--count", "3"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "page  show.html" and "train 48, test 12; 3 classes" in out
    page = Path("show.html").read_text("utf-8")
    assert len(shown_pictures(page)) == 3 * 3 * 2 and "<b>고양이 <span>16 pictures</span></b>" in page
    assert "<script" not in page and "&lt;script&gt;" in page
    # no page is written over another
    assert main(["data", "show", "photos"]) == 0
    assert Path("show-2.html").exists() and len(list(Path().glob("*.html"))) == 2
    assert main(["data", "show", "photos", "--out", "show.html"]) == 2
    assert "ConfigError[C202]: --out 'show.html' is there already" in capsys.readouterr().err


def test_the_choice_is_the_seeds(photos: Path) -> None:
    found = find(photos)
    one, again, other = (samples(found, 4, seed) for seed in (0, 0, 1))
    assert one.rows == again.rows != other.rows
    for split, classes in one.rows.items():
        for name, rows in classes.items():
            assert len(rows) == 4 and {found.splits[row] for row in rows} == {split}
            assert {found.classes[found.labels[row][0]] for row in rows} == {name}


def test_many_classes_are_fewer_pictures_each() -> None:
    wide = from_pairs((np.zeros((1, 1), np.uint8), i % 600) for i in range(1200))
    found = samples(wide)
    assert sum(len(rows) for rows in found.rows[""].values()) == 480 and found.left == 120
    assert "120 classes more have no place on this page." in found.page()


def test_a_picture_that_cannot_be_decoded_says_so(photos: Path) -> None:
    broken = next(photos.rglob("*.png"))
    broken.write_bytes(b"no picture")
    assert f"{broken.name}: D103, cannot be decoded" in samples(find(photos), 480).page()


@pytest.fixture
def measured(photos: Path) -> Any:
    return stages(find(photos), DataOptions(), side=6)


def test_only_the_training_part_is_measured(measured: Any, photos: Path) -> None:
    train = [np.asarray(Image.open(path)) for path in sorted(photos.glob("train/*/*.png"))]
    values = np.stack(train).reshape(-1, 3) / 255
    # by the definition, on the files themselves
    np.testing.assert_allclose(measured.mean, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(measured.deviation, values.std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(measured.mean_picture, np.mean(np.stack(train) / 255, axis=0), rtol=1e-12)
    assert len(measured.manifest) == 48 and measured.pictures == 48
    # what is not for training may be anything
    for path in photos.glob("test/*/*.png"):
        Image.new("RGB", (12, 16), (255, 0, 255)).save(path)
    again = stages(find(photos), DataOptions(), side=6)
    assert again.as_dict() == measured.as_dict()


def test_the_stages(measured: Any) -> None:
    x = measured.examples.reshape(len(measured.examples), -1) / 255
    white = measured.whitening
    np.testing.assert_allclose(measured.stage("original"), measured.examples / 255)
    np.testing.assert_allclose(measured.stage("zero-centred").reshape(x.shape), x - white.mean)
    np.testing.assert_allclose(measured.stage("scaled").reshape(x.shape), (x - white.mean) / white.deviation)
    assert set(measured.names) == {"고양이", "<script>alert(1)<_script>", "=cmd()"}
    # all 48 pictures are dots: what was measured on them holds exactly
    dots = measured.dots
    np.testing.assert_allclose(dots["zero-centred"].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(dots["scaled"].std(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(np.cov(dots["whitened"], rowvar=False), np.eye(2), atol=1e-9)
    (row, column, channel), beside = measured.pixels
    assert beside == (row, column + 1, channel) and channel == 1


def test_the_page_of_the_stages(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", "photos", "--preprocess", "--side", "6", "--threads", "0"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^mean {11}0\.\d{4} 0\.\d{4} 0\.\d{4}  \(of 255: ", out, re.MULTILINE)
    assert max(map(len, out.splitlines())) <= 80
    page = Path("show.html").read_text("utf-8")
    # the mean picture, four stages of six, sixteen eigenvectors; four drawings
    assert len(shown_pictures(page)) == 1 + 24 + 16 and page.count("<svg") == 4
    assert "<script" not in page and "고양이" in page and "http" not in page.replace("http-equiv", "")
    assert main(["data", "show", "photos", "--preprocess", "--side", "6", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["training_pictures"] == 48 and told["whitening"]["features"] == 108 and "page" not in told
    assert told["whitening"]["rank"] <= 47 and not Path("show-2.html").exists()
    assert main(["data", "show", "photos", "--preprocess", "--side", "6", "--json", "--out", "p.html"]) == 0
    assert json.loads(capsys.readouterr().out) == told | {"page": "p.html"}


def test_flat_data_is_divided_first(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    flat = from_pairs((draw.integers(0, 256, (6, 6), np.uint8), i % 2) for i in range(40))
    found = stages(flat, DataOptions())
    assert len(found.manifest) == 32 and set(found.manifest.splits) == {"train"}
    assert found.lines()[0].startswith("divided 40 images: train 32, val 4, test 4")
    assert found.shape == (6, 6, 1) and found.whitening.vectors.shape[1] == 36


@pytest.mark.slow
def test_mnists_figures(shared_data: Path) -> None:
    if not (shared_data / "mnist").is_dir() and not (shared_data / "MNIST").is_dir():
        pytest.skip("no MNIST here")
    found = stages(find("mnist", shared_data), DataOptions(), pictures=100, side=8)
    assert (len(found.manifest), round(found.mean[0], 4), round(found.deviation[0], 4)) == (60_000, 0.1307, 0.3081)


RAMP = np.arange(40 * 50 * 3, dtype=np.uint32).reshape(40, 50, 3).astype(np.uint8)


def test_a_picture_as_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(RAMP).save("ramp.png")
    assert main(["data", "show", "--picture", "ramp.png", "--at", "3,5"]) == 0
    out = capsys.readouterr().out
    assert "40 x 50 x 3 = 6,000 numbers from 0 to 255" in out and max(map(len, out.splitlines())) <= 80
    assert "".join(f"{level:4d}" for level in RAMP[3, 5:13, 0]) in out.splitlines()
    assert "(y*W + x)*C + c = (3*50 + 5)*3 + 2 = 467" in out and "(c*H + y)*W + x = (2*40 + 3)*50 + 5 = 4155" in out
    page = Path("show.html").read_text("utf-8")
    planes = shown_pictures(page)
    assert len(planes) == 7
    np.testing.assert_array_equal(planes[0], RAMP)
    for c in range(3):
        np.testing.assert_array_equal(planes[1 + 2 * c], RAMP[:, :, c])
        np.testing.assert_array_equal(planes[2 + 2 * c], RAMP * (np.arange(3) == c).astype(np.uint8))
    assert main(["data", "show", "--picture", "ramp.png", "--at", "3,5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["part"] == {"top": 3, "left": 5, "levels": RAMP[3:11, 5:13].tolist()}
    y, x = told["index"]["y"], told["index"]["x"]
    vectors = RAMP.reshape(-1), RAMP.transpose(2, 0, 1).reshape(-1)
    for vector, places in zip(vectors, (told["index"]["channels_last"], told["index"]["channels_first"]), strict=True):
        assert [vector[place] for place in places] == RAMP[y, x].tolist()


def test_small_pictures_are_shown_whole_and_parts_end_at_the_edge() -> None:
    small = anatomy(RAMP[:20, :30, 0], "small")
    assert small.part == (20, 30) and (small.top, small.left) == (0, 0) and small.names == ("gray",)
    assert small.page().count("<td style=") == 600
    corner = anatomy(RAMP, "large", (38, 49))
    assert corner.part == (2, 1) and corner.numbers.shape == (2, 1, 3)
    middle = anatomy(RAMP, "large")
    assert (middle.top, middle.left, middle.part) == (16, 21, (8, 8))


def test_a_row_of_data(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", "photos", "--row", "0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["class"] in find(photos).classes and (told["row"], told["height"], told["width"]) == (0, 12, 16)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "ConfigError[C200]: what is to be shown? DATA; DATA with --preprocess, --augment POLICY or --row N"),
        (["photos", "--picture", "a.png"], "ConfigError[C200]: what is to be shown?"),
        (["photos", "--preprocess", "--row", "1"], "ConfigError[C200]: what is to be shown?"),
        (["photos", "--row", "60"], "ConfigError[C202]: --row 60 is not there: the rows are 0 to 59."),
        (["photos", "--row", "1", "--at", "x"], "ConfigError[C202]: --at 'x' is no place in a picture; expected ROW,"),
        (["photos", "--row", "1", "--at", "12,0"], "C202]: --at 12,0 is outside of the picture: rows 0 to 11, columns"),
        (["photos", "--preprocess", "--side", "40"], "C202]: --side 40 makes 4,800 numbers a picture; from 2 x 2 pix"),
        (["--picture", "none.png"], "DataError[D112]: cannot read none.png"),
        (["phots"], "DataError[D100]"),
    ],
)
def test_what_cannot_be_shown(photos: Path, words: list[str], expected: str, capsys: Any) -> None:
    assert main(["data", "show", *words]) in (2, 3)
    assert expected in capsys.readouterr().err and not list(Path().glob("*.html"))


def test_verbs_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "shwo"]) == 2
    assert "ConfigError[C200]: unknown verb 'data shwo'. Did you mean 'show'?" in capsys.readouterr().err
    assert main(["data", "--help"]) == 0
    assert "show " in capsys.readouterr().out


def test_bad_pictures_stop_or_are_left_out(photos: Path) -> None:
    next(photos.glob("train/*/*.png")).write_bytes(b"no")
    with pytest.raises(DataError, match=r"D104\]: 1 of 48 images cannot be decoded"):
        stages(find(photos), DataOptions(), side=6)
    found = stages(find(photos), DataOptions(bad="skip"), side=6)
    assert len(found.manifest) == 47 and found.notes == ("left out 1 picture that cannot be read",)


def test_too_few_pictures() -> None:
    two = from_pairs({"train": [(np.zeros((4, 4), np.uint8), 0), (np.zeros((4, 4), np.uint8), 1)]})
    with pytest.raises(ConfigError, match=r"C202\]: 1 picture of 2 cannot be whitened; two or more can"):
        stages(two, DataOptions(), pictures=1)
    # nothing varies: nothing to show, and no error
    assert "Eigenvectors" in stages_page_of(two)


def stages_page_of(manifest: Any) -> str:
    from dojang.doctor.stages_page import page

    return page(stages(manifest, DataOptions()))


class TestSheet:
    def test_pictures_are_the_same_up_to_64_pixels(self) -> None:
        for levels in (RAMP, RAMP[:, :, :1], RAMP[:, :, 0]):
            (back,) = shown_pictures(f'src="{address(levels)}"')
            np.testing.assert_array_equal(back, levels.squeeze())
        (small,) = shown_pictures(f'src="{address(np.zeros((300, 100, 3), np.uint8), 150)}"')
        assert small.shape == (150, 50, 3)

    def test_names_are_inert(self) -> None:
        bad = "</figcaption><script>\x1b[31m"
        page = sheet(bad, [bad], [(bad, [bad], grid([(bad, [(RAMP, bad), RAMP])]) + figure(RAMP, bad))])
        assert "<script" not in page and "\x1b" not in page

    def test_numbers_can_be_read_on_their_shade(self) -> None:
        cells = matrix(np.array([[0, 255]], np.uint8), 3, 7)
        assert "background:rgb(0,0,0);color:#fff" in cells and "background:rgb(255,255,255);color:#000" in cells
        assert '<td class="i">3</td>' in cells and '<td class="i">8</td>' in cells


def test_pixels_in_one_fixed_order_are_shown_beside_the_pictures(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["data", "show", "photos", "--preprocess", "--side", "6", "--threads", "0", "--imgsz", "10"]
    assert main(words) == 0
    assert "fixed order" not in capsys.readouterr().out + Path("show.html").read_text("utf-8")
    assert main([*words, "--permute-pixels"]) == 0
    assert "pixels         in one fixed order, the same for all pictures" in capsys.readouterr().out
    page = Path("show-2.html").read_text("utf-8")
    assert "<h2>One fixed order</h2>" in page and "what the network is shown, then normalised" in page
    options = DataOptions(imgsz=10, permute_pixels=True)
    found = stages(find(photos), options, side=6)
    whole, moved = found.permuted if found.permuted is not None else (None, None)
    assert whole is not None and moved is not None and whole.shape == (6, 10, 10, 3) == moved.shape
    for one, other in zip(whole.reshape(6, 100, 3), moved.reshape(6, 100, 3), strict=True):
        for place, pixel in enumerate(order(10, 10).tolist()):
            assert np.array_equal(other[place], one[pixel])
    # the pictures of the page are these, and all else is measured without
    assert sum(shown.shape == (10, 10, 3) for shown in shown_pictures(page)) >= 12
    assert found.as_dict() == stages(find(photos), DataOptions(imgsz=10), side=6).as_dict() | {"permute_pixels": True}


@pytest.mark.parametrize("view", [[], ["--augment", "light"], ["--row", "1"]])
def test_an_order_is_for_what_a_network_is_shown(
    photos: Path, capsys: pytest.CaptureFixture[str], view: list[str]
) -> None:
    assert main(["data", "show", "photos", *view, "--permute-pixels"]) == 2
    assert "ConfigError[C204]: --permute-pixels is for --preprocess." in capsys.readouterr().err
