"""The page of a study: whole in itself, inert, the same figures as its table, in both languages."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

import dojang
from dojang import files, recipe
from dojang.cli.main import main
from dojang.errors import ConfigError
from dojang.metrics.against import paired
from dojang.report.studied import Study
from dojang.study import results, study
from dojang.study.plan import Plan
from dojang.study.results import Row

SCORES = {1: (0.5, 0.52, 0.55), 2: (0.9, 0.91, 0.93), 3: (0.899, 0.912, 0.928)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study that was never trained: its runs are lines of a table."""
    variants: dict[str, Any] = {"<b>plain</b>": {}, "고양이": {"dropout": 0.1}, "leaky": {"activation": "leaky-relu"}}
    plan = Plan(
        data="digits",
        recipe={"model": "mlp"},
        variants=variants | {"bad": {"lr": 9.0}},
        title="What <i>helps</i>?",
        about="Look.",
    )
    place = tmp_path / "my study"
    files.write_text(place / "study.yaml", recipe.dump_yaml(plan.as_dict()))
    settings = {"format": 1, "data": "digits", "judge": "val", "threads": 1, "device": "cpu"}
    files.write_json(place / "state.json", settings)
    rows = [
        Row(cell, plan.cells()[cell - 1].name, seed, "done", 3, 1.0, "", {"val/top1": value})
        for cell, values in SCORES.items()
        for seed, value in enumerate(values)
    ]
    rows += [Row(4, "bad", seed, "failed", error="T301: <script>loss</script> became NaN") for seed in range(3)]
    results.write_rows(place, plan, rows)

    # what is done counts by its folder; here the table is all there is
    def knows(self: study._Ended, cell: study.Cell, seed: int) -> bool:
        self.rows |= {row.key: row for row in results.rows(self.place)}
        return (cell.number, seed) in self.rows

    monkeypatch.setattr(study._Ended, "knows", knows)
    return place


def test_the_page_has_the_figures_of_the_table(folder: Path) -> None:
    html = Study(folder).page()
    table = html[html.index("<tbody>") : html.index("</tbody>")]
    order = [table.index(name) for name in ("고양이", "leaky", "&lt;b&gt;plain&lt;/b&gt;", ">bad<")]
    assert order == sorted(order)
    assert "0.9133" in table and "0.0153" in table and ">best<" in table
    worse = paired(SCORES[1], SCORES[2])
    assert f"{worse.difference:+.4f} (p " in table and ": worse" in table and ": not told apart" in table
    assert "0 (3 failed)" in table and "T301: &lt;script&gt;loss" in html
    assert "<i>helps" not in html and "<script" not in html and "http" not in html.replace("http-equiv", "")


def test_both_languages_of_a_study(folder: Path) -> None:
    english, korean = Study(folder).page("en"), Study(folder).page("ko")
    assert "구별되지 않음" in korean and "더 나쁨" in korean and "3개 실패" in korean
    shown = re.sub(r"<style>.*?</style>|<pre.*?</pre>|<code>.*?</code>|<[^>]*>", " ", korean, flags=re.S)
    for sentence in ("not told apart", "beside the best", "Intervals are", "All learned from the same"):
        assert sentence in re.sub(r"<[^>]*>", " ", english) and sentence not in shown
    with pytest.raises(ConfigError, match="C202"):
        Study(folder).page("de")


def test_the_verb_and_the_object(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(folder)]) == 0
    page = folder / "report.html"
    assert capsys.readouterr().out == f"page  {page}\n" and page.read_text("utf-8") == Study(folder).page()
    # made anew, but never over what the user put there
    assert main(["report", str(folder), "--json", "--lang", "ko"]) == 0
    assert json.loads(capsys.readouterr().out) == {"study": str(folder), "page": str(page)}
    page.write_text("mine")
    assert main(["report", str(folder)]) == 2 and page.read_text() == "mine"
    assert main(["report", str(folder), "--card", str(folder / "a.md")]) == 2
    found = dojang.Study(folder)
    assert repr(found) == f"Study({str(folder)!r}: best 고양이, 0.9133)"
    shown = found._repr_html_()
    assert shown.count("<tr>") == 5 and "not told apart" in shown and "<b>plain" not in shown


PIXEL = b"\x89PNG\r\n\x1a\n and so on"


def test_a_page_shows_pictures_of_the_folder_and_nothing_that_a_link_leads_to(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "private.png").write_bytes(PIXEL)
    named = ["own.png", "linked.png", "folder.png", "text.png", "pipe.png", "gone.png", "zero\0.png", "x.txt"]
    kept = {"format": 1, "drawings": {"circle": {"files": named, "said": ["a line"]}}}
    files.write_json(folder / "drawings.json", kept)
    (folder / "linked.png").symlink_to(tmp_path / "private.png")
    (folder / "inside.png").symlink_to(tmp_path / "private.png")
    (folder / "folder.png").mkdir()
    (folder / "text.png").write_text("password: 1234")
    os.mkfifo(folder / "pipe.png")
    assert "data:image" not in Study(folder).page() and "data:image" not in Study(folder)._repr_html_()
    (folder / "own.png").write_bytes(PIXEL)
    assert Study(folder).page().count("data:image/png;base64,") == 1
    (folder / "inside.png").unlink()
    (folder / "inside.png").write_bytes(PIXEL)
    assert Study(folder).page().count("data:image/png;base64,") == 2
