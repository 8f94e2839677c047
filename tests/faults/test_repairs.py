"""Faults planted by code into clean pictures, and the repairs that take them out: exactly those, by the stated rule."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scenes import gallery, scene

from dojang.data.decode import decode
from dojang.data.scan import find
from dojang.doctor.apply import copy_to
from dojang.doctor.plan import Plan
from dojang.doctor.repairs import SINGLE, Repairs, make
from dojang.errors import ConfigError, DataError, DojangError


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gallery(tmp_path_factory.mktemp("whole"), classes=2, each=4)


@pytest.fixture
def data(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "photos"))


def plan_of(data: Path, **chosen: object) -> Plan:
    return make(find(data), Repairs(**chosen), threads=2)  # type: ignore[arg-type]


def out(plan: Plan) -> dict[str, str]:
    return {line.path: line.why for line in plan.lines if not line.stays}


EVERY = (*SINGLE, "duplicates", "near", "near-across")


def test_of_clean_pictures_nothing_goes(data: Path) -> None:
    plan = plan_of(data, drop=EVERY)
    assert out(plan) == {} and all(line.path == line.to and line.action == "keep" for line in plan.lines)


def planted(data: Path) -> dict[str, str]:
    """By path, the kind of what was put there."""
    (data / "class0" / "empty.jpg").write_bytes(b"")
    (data / "class0" / "cut.jpg").write_bytes((data / "class0" / "000.jpg").read_bytes()[:2000])
    Image.new("RGB", (200, 150), (90, 90, 90)).save(data / "class0" / "blank.jpg")
    scene(70).point(lambda level: level // 14).save(data / "class1" / "dark.png")
    scene(71).point(lambda level: 255 - (255 - level) // 14).save(data / "class1" / "bright.png")
    scene(72, (20, 15)).save(data / "class1" / "tiny.png")
    scene(73, (900, 90)).save(data / "class0" / "long.png")
    shutil.copy(data / "class0" / "000.jpg", data / "class0" / "000 copy.jpg")
    with Image.open(data / "class0" / "002.jpg") as picture:
        picture.save(data / "class0" / "same pixels.png")
        picture.resize((picture.width // 2, picture.height // 2)).save(data / "class0" / "half.jpg")
    return {
        "class0/empty.jpg": "unreadable",
        "class0/cut.jpg": "unreadable",
        "class0/blank.jpg": "blank",
        "class1/dark.png": "dark",
        "class1/bright.png": "bright",
        "class1/tiny.png": "tiny",
        "class0/long.png": "shape",
        "class0/000 copy.jpg": "same",
        # the longer file of the two is the PNG
        "class0/002.jpg": "same",
        "class0/half.jpg": "near",
    }


def test_each_kind_goes_when_it_is_asked_for_and_else_stays(data: Path) -> None:
    where = planted(data)
    assert {path: why.split(":")[0] for path, why in out(plan_of(data, drop=EVERY)).items()} == where
    for kind in sorted(set(where.values())):
        found = out(plan_of(data, drop=(kind,)))
        assert set(found) == {path for path, its in where.items() if its == kind}
    assert out(plan_of(data)) == {} and out(plan_of(data, fix_extensions=True)) == {}


def test_what_is_moved_goes_into_a_class(data: Path) -> None:
    planted(data)
    plan = plan_of(data, move={"blank": "nothing", "duplicates": "twice", "unreadable": "broken"}, drop=("dark",))
    to = {line.path: line.to for line in plan.lines}
    assert to["class0/blank.jpg"] == "nothing/blank.jpg" and to["class0/empty.jpg"] == "broken/empty.jpg"
    assert to["class0/000 copy.jpg"] == "twice/000 copy.jpg" and to["class0/000.jpg"] == "class0/000.jpg"
    assert set(out(plan)) == {"class1/dark.png"}


def split_up(data: Path) -> Path:
    for split in ("train", "val", "test"):
        for name in ("class0", "class1"):
            (data / split / name).mkdir(parents=True)
    for path in sorted(data.glob("class*/*.jpg")):
        path.rename(data / "train" / path.parent.name / path.name)
    for name in ("class0", "class1"):
        (data / name).rmdir()
        for number, split in enumerate(("val", "test")):
            scene(80 + number * 2 + (name == "class1")).save(data / split / name / "own.png")
    return data


def test_of_copies_in_splits_those_that_are_scored_stay(data: Path) -> None:
    split_up(data)
    picture = data / "train/class0/000.jpg"
    for split in ("val", "test"):
        shutil.copy(picture, data / split / "class0" / "copy.jpg")
    with Image.open(data / "train/class1/001.jpg") as larger:
        larger.resize((larger.width // 2, larger.height // 2)).save(data / "val/class1/small.png")
    assert out(plan_of(data, drop=("same",))) == {}
    assert out(plan_of(data, drop=("same-across",))) == {
        "train/class0/000.jpg": "same-across: test/class0/copy.jpg stays",
        "val/class0/copy.jpg": "same-across: test/class0/copy.jpg stays",
    }
    # also where the one in train is larger: a score counts for more
    assert set(out(plan_of(data, drop=("near-across",)))) == {"train/class1/001.jpg"}


def test_one_picture_under_two_labels_is_not_decided_unasked(data: Path) -> None:
    shutil.copy(data / "class0/000.jpg", data / "class1/other.jpg")
    shutil.copy(data / "class0/000.jpg", data / "class1/third.jpg")
    assert set(out(plan_of(data, drop=("duplicates", "near")))) == {"class1/third.jpg"}
    both = {"class0/000.jpg", "class1/other.jpg", "class1/third.jpg"}
    assert set(out(plan_of(data, drop=("duplicates", "two-labels")))) == both
    # a label that the user gives decides
    table = data.parent / "labels.csv"
    table.write_text("path,label\nclass0/000.jpg,class1\n")
    assert set(out(plan_of(data, drop=("duplicates", "two-labels"), relabel=str(table)))) == {
        "class1/other.jpg",
        "class1/third.jpg",
    }


def test_the_larger_of_two_is_kept_whatever_its_name(data: Path) -> None:
    with Image.open(data / "class0/000.jpg") as picture:
        picture.resize((picture.width * 2, picture.height * 2)).save(data / "class0" / "zz large.png")
    assert set(out(plan_of(data, drop=("near",)))) == {"class0/000.jpg"}


def test_a_chain_of_pictures_loses_none_that_no_kept_one_is_like(data: Path) -> None:
    from dojang.doctor.copies import doubles
    from dojang.doctor.pairs import Pair

    names = ["a", "b", "c", "d"]
    found = doubles(
        [Pair((0, 1), "near", 0.8), Pair((1, 2), "near", 0.8), Pair((2, 3), "near", 0.8)],
        {"near"},
        labels=["x"] * 4,
        splits=[""] * 4,
        paths=names,
        areas=np.array([4, 3, 2, 1]),
        sizes=[1] * 4,
    )
    # b is like a, d is like c; c is like neither a nor d is enough
    assert [(names[one.row], names[one.kept]) for one in found] == [("b", "a"), ("d", "c")]


def test_bytes_copies_are_what_their_first_is(data: Path) -> None:
    with Image.open(data / "class0/000.jpg") as picture:
        picture.save(data / "class0/re1.jpg", quality=50)
    shutil.copy(data / "class0/re1.jpg", data / "class0/re2.jpg")
    assert set(out(plan_of(data, drop=("near",)))) == {"class0/re1.jpg", "class0/re2.jpg"}
    assert set(out(plan_of(data, drop=("same",)))) == {"class0/re2.jpg"}


# names, encodings


def turned() -> bytes:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    scene(60).save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


def odd(data: Path) -> Path:
    """One turned, one that lies, one of 16 bits, one that is transparent."""
    (data / "class0" / "turned.jpg").write_bytes(turned())
    scene(61).save(data / "class0" / "liar.jpg", "PNG")
    levels = np.random.default_rng(0).integers(0, 65536, (70, 80), np.uint16)
    Image.fromarray(levels).save(data / "class1" / "deep.png")
    scene(62).convert("RGBA").save(data / "class1" / "clear.webp", lossless=True)
    return data


def test_pictures_encoded_anew_are_what_dojang_sees(data: Path, tmp_path: Path) -> None:
    odd(data)
    manifest = find(data)
    plan = make(manifest, Repairs(reencode="png"), threads=2)
    record = copy_to(manifest, plan, tmp_path / "new", threads=2)
    assert record.read_text() == plan.to_csv()
    for line in plan.lines:
        made = (tmp_path / "new" / line.to).read_bytes()
        assert made.startswith(b"\x89PNG") and line.to.endswith(".png") and b"Exif" not in made and b"eXIf" not in made
        before = decode((data / line.path).read_bytes(), line.path, mode="RGB")
        assert (decode(made, line.to, mode="RGB") == before).all()
    # what is PNG already keeps its bytes, sixteen bits and all
    assert {line.path for line in plan.lines if line.action == "keep"} == {"class0/liar.jpg", "class1/deep.png"}
    jpeg = make(manifest, Repairs(reencode="jpeg"), threads=2)
    acts = {line.path: line.action for line in jpeg.lines}
    assert acts["class0/turned.jpg"] == acts["class0/liar.jpg"] == "jpeg-95" and acts["class0/000.jpg"] == "keep"
    again = make(manifest, Repairs(reencode="jpeg", quality=40), threads=2)
    assert {line.action for line in again.lines} == {"jpeg-40"}
    copy_to(manifest, again, tmp_path / "small", threads=2)
    with Image.open(tmp_path / "small/class0/turned.jpg") as picture:
        assert picture.size == (150, 200) and not picture.getexif()


def test_extensions_that_lie(data: Path) -> None:
    odd(data)
    plan = plan_of(data, fix_extensions=True)
    assert {line.path: line.to for line in plan.lines if line.path != line.to} == {"class0/liar.jpg": "class0/liar.png"}


def test_what_cannot_be_encoded_is_said_before_anything_is_done(data: Path) -> None:
    (data / "class0" / "empty.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"D104\]: class0/empty.jpg cannot be encoded anew") as caught:
        plan_of(data, reencode="png")
    assert "--drop unreadable" in caught.value.fix
    assert set(out(plan_of(data, reencode="png", drop=("unreadable",)))) == {"class0/empty.jpg"}


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"drop": ("blnk",)}, "--drop cannot be 'blnk'; expected kinds of unreadable, blank, .*Did you mean 'blank'?"),
        ({"drop": ("turned",)}, "--drop cannot be 'turned' .turned by their EXIF orientation: handled: read upright"),
        ({"move": {"imbalance": "x"}}, "--move cannot be 'imbalance' .classes of very different size"),
        ({"move": {"blank": "a/b"}}, "'a/b' cannot be a class: it would lead to another folder"),
        ({"move": {"blank": "test"}}, "'test' cannot be a class: it is that of a split"),
        ({"drop": ("blank",), "move": {"blank": "x"}}, "C204.*blank is to be dropped and moved"),
        ({"quality": 80}, "C204.*--quality is for --reencode jpeg"),
        ({"merge_classes": True}, "C204.*--merge-classes is for --rename-classes"),
        ({"new_classes": True}, "C204.*--new-classes is for --relabel"),
        ({"rename_files": "{class}"}, "every picture of a class would get the same name"),
        ({"rename_files": "{clas}_{number}"}, "there is no .clas.. Did you mean 'class'?"),
        ({"rename_files": "{number.real}"}, "there is no .number.real."),
        ({"rename_files": "{number!r}"}, "only .number:05. says how many digits"),
        ({"rename_files": "{number:99999}"}, "only .number:05. says how many digits"),
        ({"rename_files": "a/{number}"}, "a name has no folders in it"),
        ({"rename_files": "{number"}, "expected '}'"),
        ({"rename_classes": ("wnidd",)}, "cannot be 'wnidd'.*Did you mean 'wnid'?"),
        ({"rename_classes": ("wnid",)}, "'wnid' fits none of the 2 classes: class0, class1"),
        ({"rename_classes": ("(=>x",)}, "is no regular expression"),
        ({"rename_classes": (r"0$=>\3",)}, "is no regular expression"),
        ({"rename_classes": ("^class0$=>",)}, "would give 'class0' the name '': it is empty"),
        ({"rename_classes": ("^class0$=>../x",)}, "it would lead to another folder"),
        ({"rename_classes": ("^class0$=>.x",)}, "dojang passes over folders of such names"),
    ],
)
def test_repairs_that_cannot_be(data: Path, chosen: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s){words}"):
        plan_of(data, **chosen)


def test_classes_that_would_become_one(data: Path) -> None:
    with pytest.raises(DataError) as caught:
        plan_of(data, rename_classes=(r"\d=>",))
    assert caught.value.code == "D154"
    assert caught.value.what == "two classes would become one: 'class0' and 'class1' would both be 'class'."
    plan = plan_of(data, rename_classes=(r"\d=>",), merge_classes=True)
    assert {line.to.partition("/")[0] for line in plan.lines} == {"class"}
    # names that one disk cannot hold apart are one, too
    with pytest.raises(DataError, match="D154"):
        plan_of(data, rename_classes=("class0=>dog", "class1=>Dog"))
    (data / "class0").rename(data / "CLASS1")
    with pytest.raises(DataError, match="'CLASS1' and 'class1' would both be 'class1'"):
        plan_of(data, rename_classes=("lower",))
    # as they are, they are the user's own
    assert out(plan_of(data)) == {}


def test_relabelling(data: Path) -> None:
    table = data.parent / "labels.csv"

    def given(text: str, **more: object) -> dict[str, str]:
        table.write_text(text)
        plan = plan_of(data, relabel=str(table), **more)
        return {line.path: line.to for line in plan.lines if line.path != line.to}

    assert given("label,path\nclass1,class0/000.jpg\n") == {"class0/000.jpg": "class1/000.jpg"}
    assert given("file,class,more\nclass0/000.jpg,class0,\n") == {}
    # the old name and the new one are one class
    for label in ("class1", "second"):
        found = given(f"path,label\nclass0/000.jpg,{label}\n", rename_classes=("class1=>second",))
        assert found["class0/000.jpg"] == "second/000.jpg" and found["class1/001.jpg"] == "second/001.jpg"
    assert given("path,label\nclass0/000.jpg,bird\n", new_classes=True) == {"class0/000.jpg": "bird/000.jpg"}
    for text, words in (
        (
            "path,label\nclass0/00.jpg,class1\n",
            r"D155\]: .*line 2: there is no picture 'class0/00.jpg'.* Did you",
        ),
        ("path,label\nclass0/000.jpg,clas1\n", r"D155\]: .*line 2: there is no class 'clas1'. Did you mean 'class1'?"),
        ("path,label\nclass0/000.jpg,class1\nclass0/000.jpg,class0\n", r"D155\]: .*line 3: .* another label on line 2"),
        ("path,label\nclass0/000.jpg,a/b\n", r"D111\]: .*line 2: the label 'a/b' cannot be the name of a folder"),
        ("path,label\nclass0/000.jpg\n", r"D111\]: .*line 2: 1 field, but the header has 2"),
        ("a,b,c\n1,2,3\n", r"D111\]: .*line 1: no columns for the picture"),
        ("path,label\n", r"D111\]: .*no lines below the header"),
        ("url,label\nhttp://x/y.jpg,class0\n", r"D155\]: .*names addresses; --relabel needs paths"),
    ):
        with pytest.raises(DojangError, match=f"(?s){words}"):
            given(text)
