"""The tables of answers are read by one reader, and what is broken in them is named by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dojang.errors import ConfigError
from dojang.evaluate import answered, compare, files, kept
from dojang.evaluate.answered import Answer, answers, shares

HEAD = "path,true,predicted,probability,correct,split\n"


def put(folder: Path, text: str, name: str = "predictions.csv") -> Path:
    (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    return folder


def test_answers_of_any_names(tmp_path: Path) -> None:
    rows = '"a\n""b"".png",cat,"d,og",0.5,0,test\n=x(),\udcff,cat,1.000000,0,val\n'
    assert answers(put(tmp_path, HEAD + rows)) == [
        Answer('a\n"b".png', "cat", "d,og", 0.5, "test"),
        Answer("=x()", "\udcff", "cat", 1.0, "val"),
    ]
    # a cross-validation has a column more, and columns may stand in any order
    turned = "fold,split,path,probability,predicted,true\n3,val,p,0.25,a,b\n"
    assert answers(put(tmp_path, turned)) == [Answer("p", "b", "a", 0.25, "val")]
    assert answers(put(tmp_path, HEAD)) == []


def test_probabilities_of_any_labels(tmp_path: Path) -> None:
    assert shares(tmp_path) == {}
    put(tmp_path, "path,split,path\np,0.25,7.5e-1\n", "probabilities.csv")
    assert shares(tmp_path) == {"p": {"split": 0.25, "path": 0.75}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"line 1 .*: it has no column path, true, predicted, probability, split, but none\."),
        ("path,true,split\n", r"line 1 .*: it has no column predicted, probability, but path, true, split\."),
        (HEAD + "p,a,a,0.5,1,test\nq,a,a,0.5\n", r"line 3 .*: 4 fields; expected 6\."),
        (HEAD + "p,a,a,0.5,1,test,more\n", r"line 2 .*: 7 fields; expected 6\."),
        (HEAD + "p,a,a,half,1,test\n", r"line 2 .*: 'half' is no probability\."),
        (HEAD + "p,a,a,nan,1,test\n", r"line 2 .*: 'nan' is no probability\."),
        (HEAD + "p,a,a,1.5,1,test\n", r"line 2 .*: '1.5' is no probability\."),
        (HEAD + 'p,a,a,0.5,1,test\n"q', r"line 3: the CSV is broken: .*"),
        (HEAD + '"' + "p" * 200_000 + '",a,a,0.5,1,test\n', r"line 2: the CSV is broken: field larger .*"),
    ],
)
def test_a_broken_table_is_named_wherever_it_is_read(tmp_path: Path, text: str, said: str) -> None:
    put(tmp_path, text)
    put(tmp_path, "class,split\na,test\n", "per_class.csv")
    readers = (
        answers,
        kept.read,
        compare.splits_of,
        lambda folder: compare.asked(folder, "test"),
        lambda folder: files.complete(folder, ["test"]),
    )
    for reader in readers:
        with pytest.raises(
            ConfigError, match=rf"C223\]: .*predictions.csv.*{said}\n  Fix: bring back the file, or: mv "
        ):
            reader(tmp_path)


def test_broken_probabilities(tmp_path: Path) -> None:
    for text, said in (("name,a\np,1\n", "line 1 .*: the first column is 'name'; expected path"),
                       ("path,a\np,2\n", "line 2 .*: '2' is no probability"),
                       ("path,a\np\n", "line 2 .*: 1 fields; expected 2")):  # fmt: skip
        put(tmp_path, text, "probabilities.csv")
        with pytest.raises(ConfigError, match=rf"C223\]: .*probabilities.csv' {said}"):
            shares(tmp_path)


def test_a_table_that_is_not_there_or_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        answers(tmp_path)
    assert str(caught.value) == (
        f"ConfigError[C221]: cannot read '{tmp_path}/predictions.csv': No such file or directory.\n"
        "  Fix: name a run folder that is whole; dojang val RUN writes the answers of a run again."
    )
    # a run that was not scored has no answers, and its report says so
    assert kept.read(tmp_path) is None
    (tmp_path / "predictions.csv").mkdir()
    with pytest.raises(ConfigError, match=r"C221\]: cannot read .*: Is a directory"):
        kept.read(tmp_path)
    with pytest.raises(ConfigError, match=r"C221\]: cannot read .*splits.csv"):
        answered.text(tmp_path / "splits.csv")
