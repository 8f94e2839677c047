"""Data sets of the library `datasets`: columns by type, splits by name, bytes undecoded, nothing fetched unasked."""

from __future__ import annotations

import io
import json
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dojang
from dojang.cli.main import main
from dojang.data.decode import decode
from dojang.data.hf import address, find_hf, from_object
from dojang.data.manifest import Manifest
from dojang.data.scan import find
from dojang.data.split import assign, describe
from dojang.errors import ConfigError, DataError


def png(level: int, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (5, 4), level if mode == "L" else (level, 0, 9)).save(file, "PNG")
    return file.getvalue()


class TestWithoutTheLibrary:
    @pytest.fixture(autouse=True)
    def missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # None: importing it raises ImportError
        monkeypatch.setitem(sys.modules, "datasets", None)

    def test_an_address_names_what_to_install(self) -> None:
        with pytest.raises(ConfigError) as caught:
            find("hf:beans")
        assert str(caught.value) == (
            "ConfigError[C250]: 'hf:beans' is read by the library datasets, which is not installed.\n"
            "  Fix: pip install 'dojang[hf]'"
        )

    def test_so_does_a_saved_folder(self, tmp_path: Path) -> None:
        (tmp_path / "dataset_dict.json").write_text("{}")
        with pytest.raises(ConfigError, match=r"C250\]"):
            find(tmp_path)

    def test_pairs_need_it_not(self) -> None:
        assert len(dojang.from_pairs([(png(1), "a"), (png(2), "b")])) == 2

    def test_a_module_of_that_name_is_not_taken_for_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "datasets", types.ModuleType("datasets"))
        assert len(dojang.from_pairs([(png(1), "a"), (png(2), "b")])) == 2


@pytest.mark.parametrize("where", ["hf:", "hf:a#", "hf:a#img=x", "hf:a@b@c#image", "hf:@x", "hf:a#image=x,y=z"])
def test_addresses_that_are_none(where: str) -> None:
    if where == "hf:a#":
        assert address(where) == ("a", "", "", "")
        return
    with pytest.raises(ConfigError) as caught:
        address(where)
    assert str(caught.value).startswith(f"ConfigError[C202]: {where!r} is no address of a data set; expected hf:NAME, ")


def test_addresses() -> None:
    assert address("hf:user/set@fine-grained") == ("user/set", "fine-grained", "", "")
    assert address("hf:a/b@c#label=x,image=y") == ("a/b", "c", "y", "x")


@pytest.fixture(scope="module")
def hf() -> Any:
    found = pytest.importorskip("datasets")
    # of what these tests make themselves
    found.disable_progress_bars()
    found.config.HF_UPDATE_DOWNLOAD_COUNTS = False
    return found


def rows(hf: Any, levels: list[int], names: list[str] | None = None, **more: Any) -> Any:
    """Pictures of one level each; the label is the level's parity."""
    names = names or ["even", "odd"]
    features = {"img": hf.Image(), "label": hf.ClassLabel(names=names)} | {
        column: kind for column, (kind, _) in more.items()
    }
    table = {"img": [{"bytes": png(i), "path": None} for i in levels], "label": [i % 2 for i in levels]}
    return hf.Dataset.from_dict(table | {c: v for c, (_, v) in more.items()}, features=hf.Features(features))


def levels_of(manifest: Manifest) -> list[int]:
    return [int(decode(manifest.source.read(path), path, mode="RGB")[0, 0, 0]) for path in manifest.paths]


def test_a_data_set_given_in_python(hf: Any) -> None:
    found = dojang.from_pairs(rows(hf, [3, 4, 8, 9]))
    assert found.classes == ("even", "odd") and found.targets.tolist() == [1, 0, 0, 1]
    assert found.paths == ("rows#0", "rows#1", "rows#2", "rows#3") and set(found.splits) == {""}
    assert found.source.read("rows#2") == png(8)  # the file's own bytes, not decoded
    assert found.notes == ("pictures are its column 'img', labels 'label'",)
    with pytest.raises(DataError, match=r"D112\]: cannot read rows#4 in 'hf': the rows are rows#0 to #3"):
        found.source.read("rows#4")


def test_views_of_it_are_what_they_show(hf: Any) -> None:
    view = rows(hf, list(range(9))).shuffle(seed=3).select(range(5)).with_format("numpy")
    view.set_transform(lambda batch: 1 / 0)
    found = dojang.from_pairs(view)
    files = view.with_format(None).cast_column("img", hf.Image(decode=False))
    assert [found.source.read(path) for path in found.paths] == [row["img"]["bytes"] for row in files]
    assert [n % 2 for n in levels_of(found)] == found.targets.tolist()


@pytest.fixture
def saved(hf: Any, tmp_path: Path) -> Path:
    parts = {
        "train": rows(hf, [0, 1, 2, 3]),
        "validation": rows(hf, [4, 5]),
        "test": rows(hf, [7, 6], ["odd", "even"]),
        "unsupervised": rows(hf, [9]),
    }
    # the test part says its classes in another order
    parts["test"] = parts["test"].map(lambda row: {"label": row["label"]})
    hf.DatasetDict(parts).save_to_disk(str(tmp_path / "saved"))
    return tmp_path / "saved"


def test_a_folder_of_save_to_disk(saved: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for where in (str(saved), f"hf:{saved}", f"hf:{saved}#image=img,label=label"):
        found = find(where)
        assert found.classes == ("even", "odd")
        assert describe(found) == "train 4, val 2, test 2; 2 classes"
        assert found.paths[4] == "val#0" and levels_of(found) == [0, 1, 2, 3, 4, 5, 7, 6]
        # by name: class 1 of the test part is "even"
        assert found.targets.tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
        assert "left out its other parts: unsupervised" in found.notes
    assert capfd.readouterr().err == ""


def test_its_training_and_resume_data_are_found_again(saved: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", str(saved), "--model", "mlp", "--epochs", "1"]) == 0
    assert main(["val", "runs/classify/train"]) == 0
    assert main(["train", "hf:saved#label=label", "--model", "mlp", "--epochs", "1"]) == 0
    monkeypatch.chdir(tmp_path.parent)
    assert main(["val", str(tmp_path / "runs/classify/train2")]) == 0
    monkeypatch.chdir(tmp_path)
    assert main(["split", str(saved), "--resplit", "--ratio", "50/25/25"]) == 0


def test_one_part_is_all_of_it(hf: Any) -> None:
    found = dojang.from_pairs(hf.DatasetDict({"train": rows(hf, list(range(20)))}))
    assert set(found.splits) == {""} and "its only part, train, is taken for all of it" in found.notes
    assert describe(assign(found)) == "train 16, val 2, test 2; 2 classes"


def test_a_dict_of_ones_own(hf: Any) -> None:
    found = dojang.from_pairs({"train": rows(hf, [0, 1, 2]), "val": rows(hf, [3])})
    assert found.splits == ("train",) * 3 + ("val",)
    assert "val has no images of 1 class: even" in found.notes
    with pytest.raises(DataError, match=r"D114\]: item 0 of train is a dict; expected a pair"):
        dojang.from_pairs({"train": rows(hf, [0]), "val": [(png(1), 0)]})


def test_a_stream(hf: Any) -> None:
    stream = rows(hf, [5, 6, 7]).to_iterable_dataset()
    found = dojang.from_pairs(stream)
    assert found.classes == ("even", "odd") and levels_of(found) == [5, 6, 7] and found.paths[0] == "pairs#0"
    both = dojang.from_pairs(hf.IterableDatasetDict({"train": stream, "test": rows(hf, [1]).to_iterable_dataset()}))
    assert describe(both) == "train 3, test 1; 2 classes"


def test_pictures_that_lie_as_files(hf: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(png(77))
    table = {"image": [str(file), "hf://elsewhere/a.png"], "label": ["a", "b"]}
    data = hf.Dataset.from_dict(table).cast_column("image", hf.Image())
    found = dojang.from_pairs(data)
    assert found.classes == ("a", "b") and found.source.read("rows#0") == file.read_bytes()
    with pytest.raises(DataError) as caught:
        found.source.read("rows#1")
    assert "D112" in str(caught.value) and "its picture is not on this machine but at hf://" in str(caught.value)
    file.unlink()
    with pytest.raises(DataError, match=r"D112\]: cannot read .*a\.png.*No such file"):
        found.source.read("rows#0")


def test_columns_are_told_by_type_or_asked_for(hf: Any, tmp_path: Path) -> None:
    images = [{"bytes": png(5), "path": None}] * 2
    fine = (hf.ClassLabel(names=["x", "y", "z"]), [2, 1])
    two = rows(hf, [1, 2], coarse_label=fine)
    with pytest.raises(DataError) as caught:
        dojang.from_pairs(two)
    assert str(caught.value) == (
        "DataError[D171]: 'hf' has several columns that could hold labels: label, coarse_label.\n"
        "  Its columns: img, label, coarse_label.\n"
        "  Fix: data.select_columns([...]), with 'label' or whichever label column you mean"
    )
    two.save_to_disk(str(tmp_path / "two"))
    with pytest.raises(DataError) as caught:
        find(str(tmp_path / "two"))
    assert f"Fix: hf:{tmp_path}/two#label=label" in str(caught.value).replace("'", "")
    assert find(f"hf:{tmp_path}/two#label=coarse_label").classes == ("x", "y", "z")
    with pytest.raises(DataError) as caught:
        find(f"hf:{tmp_path}/two#label=coarse")
    assert "has no column 'coarse' that could hold labels Did you mean 'coarse_label'?" in str(caught.value)
    again = rows(hf, [1, 2], other=(hf.Image(), images))
    with pytest.raises(DataError, match=r"several columns that could hold images: img, other\."):
        dojang.from_pairs(again)
    with pytest.raises(DataError) as caught:
        dojang.from_pairs(hf.Dataset.from_dict({"pixels": [[1]], "label": [0]}))
    assert "has no column that could hold images." in str(caught.value)
    assert "Fix: dojang.from_pairs((row[...], row[...]) for row in data)" in str(caught.value)
    with pytest.raises(DataError, match="no column that could hold labels"):
        dojang.from_pairs(two.select_columns(["img"]))


def test_rows_without_labels(hf: Any) -> None:
    bare = rows(hf, [0, 1])
    bare = bare.map(lambda row: {"label": -1}, features=bare.features)
    found = dojang.from_pairs({"train": rows(hf, [0, 1]), "test": bare})
    assert describe(found) == "train 2; 2 classes" and "left out test: its 2 rows have no labels" in found.notes
    with pytest.raises(DataError) as caught:
        dojang.from_pairs(bare)
    assert "DataError[D114]: item 0 of hf has no label (2 rows of 2)." in str(caught.value)
    assert "Fix: data = data.filter(lambda row: row['label'] not in (None, -1))" in str(caught.value)


def test_a_class_that_training_lacks_and_no_train(hf: Any) -> None:
    strange = rows(hf, [1], ["even", "lynx"])
    with pytest.raises(DataError, match=r"D107\]: the validation set has a class the training set lacks: 'lynx'"):
        dojang.from_pairs({"train": rows(hf, [0, 1]), "val": strange})
    with pytest.raises(DataError, match=r"D124\]: 'hf' has the splits validation, test but no train\."):
        dojang.from_pairs({"validation": rows(hf, [0]), "test": rows(hf, [1])})
    with pytest.raises(DataError, match=r"D101\]: rows? ?.*|D101\].*no rows"):
        dojang.from_pairs(rows(hf, []))


def test_a_stream_whose_columns_are_not_known(hf: Any) -> None:
    blind = hf.IterableDataset.from_generator(lambda: iter([{"image": 1, "label": 2}]))
    with pytest.raises(DataError, match=r"D171\]: hf is a stream whose columns are not known"):
        from_object(blind)


def test_nothing_is_fetched_unasked(hf: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # any attempt to connect fails the test (tests/conftest.py)
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(DataError) as caught:
        find("hf:nobody/beans")
    text = str(caught.value)
    assert text.startswith("DataError[D118]: 'hf:nobody/beans' is not on this machine, and nothing is downloaded")
    assert "Fix: --download; or give the folder of its save_to_disk" in text
    assert hf.config.HF_HUB_OFFLINE is False


def test_a_set_in_the_librarys_cache_is_found_offline(hf: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for i in range(4):
        place = tmp_path / "photos" / "ab"[i % 2] / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(png(i))
    hf.load_dataset("imagefolder", data_dir=str(tmp_path / "photos"))
    # as if it had been fetched from there
    (made,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    target = tmp_path / "cache" / "nobody___beans"
    shutil.move(made, target)
    (config,) = target.iterdir()
    config.rename(target / "default")
    for file in target.rglob("dataset_info.json"):
        facts = json.loads(file.read_text()) | {"dataset_name": "beans", "config_name": "default"}
        file.write_text(json.dumps(facts))
        for arrow in file.parent.glob("imagefolder-*.arrow"):
            arrow.rename(arrow.with_name(arrow.name.replace("imagefolder", "beans", 1)))
    found = find("hf:nobody/beans")
    assert found.classes == ("a", "b") and len(found) == 4 and levels_of(found) == [0, 2, 1, 3]


def test_a_fetch_that_fails(hf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        assert hf.config.HF_HUB_OFFLINE is False
        raise ConnectionError("no route")

    monkeypatch.setattr(hf, "load_dataset", refuse)
    with pytest.raises(DataError) as caught:
        find_hf("hf:nobody/beans@small", download=True)
    assert str(caught.value).startswith("DataError[D119]: 'hf:nobody/beans@small' could not be fetched: Connection")
    assert "It said: no route" in str(caught.value)


def test_a_folder_that_is_damaged(saved: Path) -> None:
    (saved / "train" / "state.json").write_text("{")
    with pytest.raises(DataError, match=r"D112\]: cannot read .*: the library datasets says"):
        find(saved)


def test_broken_pictures_are_found_by_the_scan(hf: Any, tmp_path: Path, capsys: Any) -> None:
    table = {"image": [{"bytes": b"no picture", "path": None}] + [{"bytes": png(i), "path": None} for i in range(9)]}
    data = hf.Dataset.from_dict(table | {"label": ["a", "b"] * 5}, features=None).cast_column("image", hf.Image())
    data.save_to_disk(str(tmp_path / "saved"))
    assert main(["scan", str(tmp_path / "saved"), "--json"]) == 3
    assert "rows#0" in capsys.readouterr().out


def test_images_are_numpy_equal_to_the_librarys_own(hf: Any) -> None:
    data = rows(hf, [0, 100, 255])
    found = dojang.from_pairs(data)
    for path, row in zip(found.paths, data, strict=True):
        np.testing.assert_array_equal(decode(found.source.read(path), path, mode="RGB"), np.asarray(row["img"]))


def test_rows_of_tables_are_no_files_to_clean(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["clean", str(saved), "--out", str(tmp_path / "new"), "--apply"]) == 3
    said = capsys.readouterr().err
    assert "D150]" in said and "are no files but rows of tables" in said and not (tmp_path / "new").exists()
