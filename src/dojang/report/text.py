"""The words of a page in one language, from the one catalogue that has all of them."""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Sequence
from importlib import resources
from typing import Any

from dojang.data.manifest import plain
from dojang.errors import ConfigError, did_you_mean

LANGUAGES = ("en", "ko")


@functools.cache
def catalogue() -> dict[str, dict[str, str]]:
    """Every sentence by key and language."""
    import yaml

    text = resources.files("dojang.report").joinpath("catalogue.yaml").read_text("utf-8")
    found: dict[str, dict[str, str]] = yaml.safe_load(text)
    return found


class Words:
    """The catalogue in one language: call it with a key and what is to be put in.

    Args:
        lang: "en" or "ko".

    Raises:
        ConfigError: C202 for another language.

    Example:
        >>> Words("ko")("made_by", version="1.0")
        'dojang 1.0으로 만듦'
    """

    def __init__(self, lang: str) -> None:
        if lang not in LANGUAGES:
            raise ConfigError(
                "C202",
                f"--lang cannot be {lang!r}; expected one of {', '.join(LANGUAGES)}.{did_you_mean(lang, LANGUAGES)}",
                fix="--lang ko",
            )
        self.lang = lang

    def __call__(self, key: str, **values: Any) -> str:
        """The sentence, with values as a reader expects them: thousands apart, names inert."""
        said, before = list[str](), ""
        for literal, name, _, _ in string.Formatter().parse(catalogue()[key][self.lang]):
            said.append(particle(before, literal) if self.lang == "ko" else literal)
            before = shown(values[name]) if name else ""
            said.append(before)
        return "".join(said)

    def has(self, key: str) -> bool:
        """Whether there is such a key."""
        return key in catalogue()

    def name(self, score: str) -> str:
        """What a score is called; one that the catalogue does not know keeps the name that metrics.json has."""
        return self(f"name_{score}") if self.has(f"name_{score}") else plain(score)

    def brief(self, score: str) -> str:
        """The same without what explains it."""
        key = f"name_{score}_short"
        return self(key) if self.has(key) else self.name(score)

    def why(self, reason: str) -> str:
        """Why a score has no interval, as metrics.json says it in English; a reason that is new stays as it is.

        >>> Words("ko").why("fewer than 20 pictures a class")
        '클래스마다 사진이 20장보다 적음'
        """
        for key, pattern in _reasons():
            if found := pattern.fullmatch(reason):
                return self(key, **found.groupdict())
        return plain(reason)

    def split(self, name: str) -> str:
        """What a split is called."""
        key = f"split_{name or 'none'}"
        return self(key) if self.has(key) else plain(name)


# each by the end of the word before it: after a consonant, after a vowel
_PARTICLES = {
    "(으)로": ("으로", "로"),
    "은(는)": ("은", "는"),
    "이(가)": ("이", "가"),
    "을(를)": ("을", "를"),
    "과(와)": ("과", "와"),
}
_RIEUL = 8
# how digits end when they are read: the consonant's number in its syllable, 0 for none
_DIGITS = dict(zip("0123456789", (21, 8, 0, 16, 0, 0, 1, 8, 8, 0), strict=True))


def particle(word: str, rest: str) -> str:
    """The text after a word, with the Korean particle that it begins with as the word's last letter or digit asks.

    A word that ends in anything else, a Latin letter say, may be read either way and keeps both.

    >>> particle("0.3", "(으)로 나눕니다"), particle("2", "(으)로"), particle("cat", "을(를)")
    ('으로 나눕니다', '로', '을(를)')
    """
    both = next((both for both in _PARTICLES if rest.startswith(both)), None)
    last = word[-1:]
    if both is None or not ("가" <= last <= "힣" or (last in _DIGITS and last)):
        return rest
    end = _DIGITS[last] if last in _DIGITS else (ord(last) - ord("가")) % 28
    # "(으)로" takes ㄹ for a vowel
    vowel = end == 0 or (end == _RIEUL and both == "(으)로")
    return _PARTICLES[both][vowel] + rest[len(both) :]


@functools.cache
def _reasons() -> list[tuple[str, re.Pattern[str]]]:
    """What the English sentences of reasons look like, with any number in them."""
    found = []
    for key, sentence in catalogue().items():
        if key.startswith("why_"):
            parts = re.split(r"\{(\w+)\}", sentence["en"])
            text = "".join(f"(?P<{part}>[0-9,]+)" if i % 2 else re.escape(part) for i, part in enumerate(parts))
            found.append((key, re.compile(text)))
    return found


def shown(value: Any) -> str:
    """A value as text: whole numbers with their thousands apart, others with four digits, names inert.

    >>> shown(1437), shown(0.98765), shown("a\\x1b")
    ('1,437', '0.9877', 'a\\\\x1b')
    """
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return number(value)
    return plain(str(value))


def number(value: float | None) -> str:
    """A score or loss: four decimals; nothing to say is a dash.

    >>> number(0.5), number(12345.678), number(0.00001), number(None)
    ('0.5000', '12,345.7', '1e-05', '–')
    """
    if value is None or value != value:
        return "–"
    if value and abs(value) < 1e-3:
        return f"{value:.3g}"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"


def alike(values: Sequence[float | None]) -> list[str]:
    """Numbers that stand beside each other, all with as many decimals as the largest needs.

    >>> alike([0.5, 0.0004, None]), alike([0.0021, 0.0004])
    (['0.5000', '0.0004', '–'], ['0.002100', '0.000400'])
    """
    there = [abs(value) for value in values if value is not None and value == value]
    most = max(there, default=0.0)
    digits = 1 if most >= 100 else 6 if 0 < most < 0.01 else 4
    return ["–" if value is None or value != value else f"{value:,.{digits}f}" for value in values]
