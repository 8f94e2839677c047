"""Answers for files, one by one: a picture that cannot be read costs its own answer and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dojang.errors import DataError, DojangError, SecurityError
from dojang.predict.answer import Answer
from dojang.predict.familiar import UNFAMILIAR
from dojang.predict.predictor import Predictor

_BATCH, _THREADS = 64, 2
# what may have been read ahead of the batch that is being answered
_AHEAD = 4 * _THREADS


@dataclass(frozen=True)
class Bad:
    """A picture without an answer, and why."""

    source: str
    error: DojangError


def answers(
    predictor: Predictor,
    paths: Sequence[str],
    read: Callable[[str], bytes | np.ndarray],
    *,
    unknown_below: float | None = None,
    none_of_these: bool = False,
) -> Iterator[Answer | Bad]:
    """An answer for each file, in order, or the reason why it has none.

    Pictures are decoded ahead as long as all can be read; around one that cannot, each is tried by itself.

    Args:
        read: Gives the bytes of a file.

    Raises:
        ConfigError: Those of :meth:`Predictor.predict`.
    """

    def ask(some: Sequence[str]) -> Iterator[Answer]:
        return predictor.predict(
            ((path, read(path)) for path in some),
            batch_size=_BATCH,
            threads=_THREADS,
            unknown_below=unknown_below,
            none_of_these=none_of_these,
        )

    at = 0
    while at < len(paths):
        try:
            for answer in ask(paths[at:]):
                yield answer
                at += 1
            return
        except (DataError, SecurityError):
            near = paths[at : at + _BATCH + _AHEAD]
        bad = {path: error for path in near if (error := _wrong(predictor, path, read)) is not None}
        # where it is none of the pictures, it is raised again
        good = ask([path for path in near if path not in bad])
        for path in near:
            yield Bad(path, bad[path]) if path in bad else next(good)
        at += len(near)


def _wrong(predictor: Predictor, path: str, read: Callable[[str], bytes | np.ndarray]) -> DojangError | None:
    try:
        predictor.preprocess.picture(read(path), path)
    except (DataError, SecurityError) as error:
        return error
    return None


def why_unknown(answer: Answer, unknown_below: float | None) -> str:
    """In a word or three, why an answer is unknown; nothing where it is known.

    >>> why_unknown(Answer("a.png", "cat", (0.4, 0.3, 0.3), ("cat", "dog", "owl"), unknown=True), 0.5)
    'unsure'
    """
    if not answer.unknown:
        return ""
    unsure = unknown_below is not None and answer.probability < unknown_below
    far = answer.familiarity is not None and answer.familiarity <= UNFAMILIAR
    return " and ".join(["unsure"] * unsure + ["far from all classes"] * far)
