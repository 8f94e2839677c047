"""The page's files: nothing from other hosts, every text in both languages, every element that a script asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import dojang.serve

PAGE = Path(dojang.serve.__file__).parent / "page"
SCRIPTS = {path.name: path.read_text("utf-8") for path in sorted(PAGE.glob("*.js"))}
HTML = (PAGE / "index.html").read_text("utf-8")
ENTRY = re.compile(r'^  "?([\w-]+)"?: \[(.*?)\],$', re.MULTILINE | re.DOTALL)
WORDS = {
    name: [text.replace('\\"', '"') for text in re.findall(r'"((?:[^"\\]|\\.)*)"', both)]
    for name, both in ENTRY.findall(SCRIPTS["words.js"])
}


def test_nothing_comes_from_other_hosts() -> None:
    for path in PAGE.iterdir():
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[a-z]+\.|url\(|@import", text), path.name


def test_every_text_is_there_in_both_languages() -> None:
    assert len(WORDS) > 100
    for name, both in WORDS.items():
        assert len(both) == 2 and all(both), name
        braces = [sorted(re.findall(r"\{(\w+)\}", text)) for text in both]
        assert braces[0] == braces[1], name
        # Hangul in the second, but for names and formulas that are the same in both
        assert re.search("[가-힣]", both[1]) or both[0] == both[1], name


def test_every_text_that_is_asked_for_is_there_and_no_other() -> None:
    asked = set(re.findall(r'data-t="([\w-]+)"', HTML))
    for text in SCRIPTS.values():
        asked |= set(re.findall(r'\bt\("([\w-]+)"', text))
        # one of two, by what is the case
        for pair in re.findall(r'\bt\([^"()]*(?:\([^()]*\))?[^"()]*\? "([\w-]+)" : "([\w-]+)"\)', text):
            asked |= set(pair)
    assert asked <= set(WORDS), asked - set(WORDS)
    # names that are put together, or lie in lists
    rest = set(WORDS) - asked
    assert not {
        name for name in rest if not any(f'"{name}"' in text or f"{name}:" in text for text in SCRIPTS.values())
    }


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_every_element_that_is_asked_for_by_name_is_in_the_page(name: str) -> None:
    ids = set(re.findall(r'\bid="([\w-]+)"', HTML))
    asked = set(re.findall(r'(?:getElementById|\bat)\("([\w-]+)"\)', SCRIPTS[name]))
    assert asked <= ids, asked - ids
    imported = re.findall(r'from "\./([\w.]+)"', SCRIPTS[name])
    assert set(imported) <= set(SCRIPTS), imported
