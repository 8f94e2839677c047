"""From the bytes of some pictures to the JSON of their answers: decode on threads, the network once for all of them."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from dojang.errors import DataError, SecurityError
from dojang.predict.familiar import Familiar
from dojang.predict.predictor import Predictor
from dojang.serve import refusals, wire
from dojang.serve.engine import Engine
from dojang.serve.parity import shares

# bytes of a picture from which on decoding it is worth a hand-over to another thread
_WORTH = 8192
# seconds after which a sign of life is due
_SIGN = 0.5


class Asked(NamedTuple):
    """A picture that waits for its answer."""

    id: int
    name: str
    data: bytes


class Work:
    """What answers pictures.

    Args:
        engine: Runs the network.
        threads: That decode.
        unknown_below, none_of_these: As in :meth:`Predictor.predict`.
    """

    def __init__(
        self,
        predictor: Predictor,
        engine: Engine,
        *,
        threads: int = 1,
        unknown_below: float | None = None,
        none_of_these: bool = False,
    ) -> None:
        self.predictor, self.engine = predictor, engine
        self.unknown_below = unknown_below
        self.familiar = predictor.familiar if none_of_these and isinstance(predictor.familiar, Familiar) else None
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode") if threads > 1 else None

    def frames(self, asked: Sequence[Asked], alive: Callable[[], None] = lambda: None) -> list[bytes]:
        """A frame for each picture, in order: its answer, or why it has none.

        Args:
            alive: Called every now and then while large pictures are decoded.
        """
        began = time.perf_counter()
        found = self._decoded(asked, alive)
        middle = time.perf_counter()
        decoding = int((middle - began) * 1e6) // max(1, len(asked))
        whole = [number for number, one in enumerate(found) if isinstance(one, np.ndarray)]
        rows = self._answered(asked, [found[number] for number in whole], whole)  # type: ignore[misc]
        network = int((time.perf_counter() - middle) * 1e6)
        made = []
        for number, (one, pixels) in enumerate(zip(asked, found, strict=True)):
            if isinstance(pixels, bytes):
                made.append(pixels)
            elif isinstance(row := rows[number], bytes):
                made.append(wire.pack(wire.ANSWER, one.id, row, decoding, network))
            else:
                made += [wire.pack(wire.LOG, one.id, _told(row)), wire.pack(wire.FAILED, one.id)]
        return made

    def _decoded(self, asked: Sequence[Asked], alive: Callable[[], None]) -> list[np.ndarray | bytes]:
        """Pixels, or the frame of a refusal."""
        found: list[np.ndarray | bytes] = []
        said = time.perf_counter()
        if self._pool is not None and len(asked) > 1 and sum(len(one.data) for one in asked) > _WORTH * len(asked):
            decoded: Iterable[np.ndarray | bytes] = self._pool.map(self._decode, asked)
        else:
            decoded = map(self._decode, asked)
        for one in decoded:
            found.append(one)
            if (now := time.perf_counter()) - said > _SIGN:
                alive()
                said = now
        return found

    def _decode(self, one: Asked) -> np.ndarray | bytes:
        try:
            return self.predictor.preprocess.picture(one.data, one.name)
        except (DataError, SecurityError) as error:
            told = refusals.of_picture(error)
            return wire.pack(wire.REFUSED, one.id, json.dumps(refusals.as_dict(told)).encode(), told.status)
        except Exception as error:
            # a fault of ours must cost this picture and no other
            return wire.pack(wire.LOG, one.id, _told(error)) + wire.pack(wire.FAILED, one.id)

    def _answered(
        self, asked: Sequence[Asked], pixels: Sequence[np.ndarray], whole: Sequence[int]
    ) -> dict[int, bytes | Exception]:
        """JSON by place, or what went wrong; where a batch fails, each of its pictures is tried alone."""
        if not pixels:
            return {}
        try:
            return self._batch(asked, pixels[0][None] if len(pixels) == 1 else np.stack(pixels), whole)
        except Exception as error:
            if len(pixels) == 1:
                return {whole[0]: error}
        found: dict[int, bytes | Exception] = {}
        for one, number in zip(pixels, whole, strict=True):
            found |= self._answered(asked, [one], [number])
        return found

    def _batch(self, asked: Sequence[Asked], pixels: np.ndarray, whole: Sequence[int]) -> dict[int, bytes | Exception]:
        seen, logits = self.engine(pixels)
        rows = shares(logits)
        if not math.isfinite(np.add.reduce(rows, axis=None)):
            raise ArithmeticError("the network's scores are not finite")
        known: list[float | None] = [None] * len(rows)
        if self.familiar is not None and seen is not None:
            known = [*self.familiar.shares(seen).tolist()]
        made: dict[int, bytes | Exception] = {}
        for number, row, share in zip(whole, rows, known, strict=True):
            answer = self.predictor.answer(asked[number].name, row, unknown_below=self.unknown_below, familiarity=share)
            made[number] = answer.as_json().encode()
        return made


def _told(error: Exception) -> bytes:
    """For the log of who runs the service."""
    import traceback

    return "".join(traceback.format_exception(error))[-4000:].encode()
