"""`dojang data show --augment`: pictures before and after, on a page that says what was done."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dojang.cli.main import main


def test_a_page_of_before_and_after(
    stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", "show", str(stripes), "--augment", "strong", "--mixup", "0.2", "--count", "3"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("augment: strong: padding 1, trivialaugment, erase 0.25, mixup 0.2, cutmix 1")
    assert out[-1] == "page  show.html"
    page = Path("show.html").read_text("utf-8")
    # each as it is and in seven epochs, no two alike
    pictures = re.findall(r'src="(data:image/png;base64,[^"]+)"', page)
    assert len(pictures) == 24 and len(set(pictures)) > 20
    assert page.count("as it is") == 3 and page.count("epoch 7") == 3 and "the next one of their batch" in page


def test_what_would_be_done_unasked_is_told_as_numbers(stripes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", str(stripes), "--model", "resnet20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["augment"] == "padding 4" and found["options"]["crop_padding"] == 4
    assert len(found["pictures"]) == 8 and not list(Path().glob("show*.html"))


def test_lines_fit_a_terminal(
    stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [f"--{name}=0.2" for name in ("brightness", "contrast", "saturation", "hue", "blur", "noise", "erase")]
    assert main(["data", "show", str(stripes), "--augment", "notes", *words, "--mixup", "0.2"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert max(map(len, out)) <= 80 and "mixup 0.2" in " ".join(out)


@pytest.mark.parametrize(
    "words",
    [
        ["--at", "1,1"],
        ["--side", "8"],
        ["--pictures", "9"],
        ["--row", "1", "--count", "3"],
        ["--preprocess", "--count", "3"],
    ],
    ids=" ".join,
)
def test_options_of_another_view(stripes: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", str(stripes), *words]) == 2
    flag = words[-2]
    assert f"ConfigError[C204]: {flag} is for " in capsys.readouterr().err and not list(Path().glob("show*.html"))


@pytest.mark.parametrize("words", [["--preprocess"], ["--row", "1"]], ids=" ".join)
def test_views_that_do_not_go_together(stripes: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", str(stripes), "--degrees", "10", *words]) == 2
    err = capsys.readouterr().err
    assert "ConfigError[C200]: augmentation is shown by itself" in err and "--augment light" in err
