"""Where the page goes, what is never overwritten, and the verb."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dojang.cli.main import main
from dojang.errors import ConfigError
from dojang.report.report import Report
from dojang.runs import folder as names


def test_the_page_lies_in_the_run_folder_and_is_made_anew(make_run) -> None:
    folder = make_run()
    place = Report(folder, threads=0).write()
    assert place == folder / "report.html" and names.is_report(place)
    before = place.read_bytes()
    assert Report(folder, lang="ko", threads=0).write() == place and place.read_bytes() != before
    names.clear(folder)
    assert not place.exists()


def test_what_a_user_put_there_stays(make_run, tmp_path) -> None:
    folder = make_run()
    mine = folder / "report.html"
    mine.write_text("my own notes")
    with pytest.raises(ConfigError, match=r"C202.*is no report of dojang's; it is not overwritten"):
        Report(folder, threads=0).write()
    names.clear(folder)
    assert mine.read_text() == "my own notes"
    mine.unlink()
    elsewhere = tmp_path / "page.html"
    elsewhere.write_bytes(Report(make_run(name="b"), threads=0).page().html.encode())
    mine.symlink_to(elsewhere)
    assert not names.is_report(mine)


def test_out_is_never_overwritten(make_run, tmp_path) -> None:
    made = Report(make_run(), threads=0)
    place = made.write(tmp_path / "a.html")
    with pytest.raises(ConfigError, match=r"C202.*--out .* is there already"):
        made.write(place)


def test_the_verb(make_run, tmp_path, capsys) -> None:
    folder = make_run()
    assert main(["report", str(folder), "--threads", "0"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"page  {folder}/report.html   (") and "pictures)" in told
    assert all(len(line) <= 80 or str(tmp_path) in line for line in told.splitlines())
    out = tmp_path / "page.html"
    assert main(["report", str(folder), "--out", str(out), "--lang=ko", "--json", "--threads", "0"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["page"] == str(out) and found["bytes"] == out.stat().st_size and found["pictures"] > 10
    assert 'lang="ko"' in out.read_text("utf-8")


def test_the_verb_writes_a_card_alone(make_run, tmp_path, capsys) -> None:
    folder, card = make_run(), tmp_path / "README.md"
    assert main(["report", str(folder), "--card", str(card), "--license", "mit"]) == 0
    assert capsys.readouterr().out == f"card  {card}\n" and not (folder / "report.html").exists()
    assert card.read_text().startswith("---\nlicense: mit\n")
    assert main(["report", str(folder), "--card", str(card)]) == 2
    assert "--card" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code"),
    [(["--lang", "de"], "C202"), (["--out", "there"], "C202"), (["--nonsense"], "C201")],
)
def test_the_verb_refuses_before_it_reads_pictures(words, code, make_run, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there").write_text("mine")
    assert main(["report", str(make_run()), *words]) == 2
    assert f"ConfigError[{code}]" in capsys.readouterr().err


def test_no_run_folder(tmp_path, capsys) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert "C215" in capsys.readouterr().err


def test_a_report_shows_itself(make_run) -> None:
    made = Report(make_run(), threads=0)
    shown = made._repr_html_()
    assert shown.startswith("<iframe srcdoc=") and shown.count("<") == 2 and repr(made).startswith("Report(")


def test_a_card_and_a_page_are_two_files(make_run, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    folder = make_run()
    (tmp_path / "link").symlink_to(tmp_path)
    for card in ("a.md", str(tmp_path / "a.md"), "link/a.md"):
        assert main(["report", str(folder), "--card", card, "--out", "./a.md"]) == 2
        assert "ConfigError[C202]: --card and --out are the same file" in capsys.readouterr().err
    assert not Path("a.md").exists()


@pytest.mark.parametrize("where", ["nope", "others"])
def test_data_that_is_not_the_runs_is_refused(where, make_run, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    folder = make_run()
    before = Report(folder, threads=0).write().read_bytes()
    for kind in ("a", "b"):
        place = Path("others", kind)
        place.mkdir(parents=True)
        (place / "x.png").write_bytes(next((tmp_path / "photos").rglob("*.png")).read_bytes())
    assert main(["report", str(folder), "--data", where, "--threads", "0"]) == 2
    told = capsys.readouterr().err
    assert f"ConfigError[C218]: --data '{where}'" in told
    assert (folder / "report.html").read_bytes() == before


def test_a_card_in_another_language_says_that_it_is_english(make_run, tmp_path, capsys) -> None:
    assert main(["report", str(make_run()), "--card", str(tmp_path / "a.md"), "--lang", "ko"]) == 0
    assert "a card is in English" in capsys.readouterr().out


def test_a_picture_without_a_digest_is_not_shown(make_run) -> None:
    """Whoever empties the column of digests could else have any picture of the machine shown."""
    folder = make_run()
    lines = (folder / "splits.csv").read_text().splitlines()
    cut = [lines[0], *(line.rpartition(",")[0] + "," for line in lines[1:])]
    (folder / "splits.csv").write_text("\n".join(cut) + "\n")
    made = Report(folder, threads=0).page()
    assert made.pictures == 0 and "are not known to be" in made.notes[0]
