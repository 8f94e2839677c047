"""Every error a user can meet: a code, what happened, what surrounds it, and a fix that can be pasted.

The same object renders itself for Python (``str``), for the shell (``str`` and ``exit_code``) and for JSON
(``as_dict``), so the three can never drift apart.

Codes: C2xx configuration, D1xx data, T3xx training, R4xx resources, X5xx security, S6xx serving, E7xx export.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DojangError(Exception):
    """Base of all errors that dojang raises on purpose.

    Args:
        code: A letter and three digits, stable over releases; documentation and tests refer to it.
        what: What happened, with the values that show it; one or two sentences.
        context: What the reader needs beside it: where the full list is, what is still intact.
        fix: A command or an edit that would help, ready to paste.

    Example:
        >>> print(ConfigError("C201", "unknown option 'lrr'.", fix="--lr 0.1"))
        ConfigError[C201]: unknown option 'lrr'.
          Fix: --lr 0.1
    """

    exit_code = 1

    def __init__(self, code: str, what: str, *, context: str = "", fix: str = "") -> None:
        super().__init__(code, what)
        self.code, self.what, self.context, self.fix = code, what, context, fix

    def __str__(self) -> str:
        lines = [f"{type(self).__name__}[{self.code}]: {self.what}"]
        if self.context:
            lines.append(f"  {self.context}")
        if self.fix:
            lines.append(f"  Fix: {self.fix}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, str | int]:
        """The error as plain values, for ``--json``."""
        return {
            "error": type(self).__name__,
            "code": self.code,
            "what": self.what,
            "context": self.context,
            "fix": self.fix,
            "exit_code": self.exit_code,
        }


class ConfigError(DojangError):
    """An option, a recipe or an argument that cannot be used as given."""

    exit_code = 2


class DataError(DojangError):
    """Pictures, labels or splits that cannot be used as they are."""

    exit_code = 3


class TrainError(DojangError):
    """Training that cannot start or go on."""

    exit_code = 1


class ExportError(DojangError):
    """A network that cannot be exported, or whose exported form answers otherwise."""

    exit_code = 1


class ResourceError(DojangError):
    """No room: disk, memory, or time."""

    exit_code = 4


class SecurityError(DojangError):
    """A file that dojang refuses to open because opening it could do harm."""

    exit_code = 3


class ServeError(DojangError):
    """A request that the service does not answer, or a service that cannot begin.

    Attributes:
        status: Of HTTP, where a client meets it.
        retry_after: Seconds after which it may help to ask again; None where it will not.
    """

    status: int = 500
    retry_after: int | None = None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` for the nearest of ``known``, or nothing when none is near.

    >>> did_you_mean("weight_deacy", ["weight_decay", "lr"])
    " Did you mean 'weight_decay'?"
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


def listing(items: Iterable[object], most: int = 10) -> str:
    """The first ``most`` items in one line, and how many more there are.

    >>> listing("abc", most=2)
    'a, b and 1 more'
    """
    words = [str(item) for item in items]
    more = len(words) - most
    return ", ".join(words[:most]) + (f" and {more:,} more" if more > 0 else "")


def many(n: int, noun: str, plural: str = "") -> str:
    """A number with its noun.

    >>> many(1, "image"), many(1200, "image"), many(2, "class", "classes")
    ('1 image', '1,200 images', '2 classes')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
