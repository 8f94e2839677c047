"""Every code in the source is in docs/errors.md, and the other way round; each is asserted by a test somewhere."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# no test can make these happen in process: a download needs a network
UNTESTED: set[str] = set()


def used() -> set[str]:
    code = re.compile(r'"([CDERSTX]\d{3})"')
    return {found for path in (ROOT / "src").rglob("*.py") for found in code.findall(path.read_text())}


def documented() -> set[str]:
    return set(re.findall(r"^\| ([CDERSTX]\d{3}) \|", (ROOT / "docs/errors.md").read_text(), re.MULTILINE))


def test_the_list_is_complete() -> None:
    assert used() == documented()


def test_every_code_is_asserted_by_a_test() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py") if path.name != Path(__file__).name)
    missing = {code for code in used() if code not in tests}
    assert missing == UNTESTED
