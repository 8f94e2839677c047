"""What a client is told who cannot be answered: a status, a code, what happened and a fix; no path and no traceback."""

from __future__ import annotations

import json
from typing import Any

from dojang.errors import DojangError, ServeError

_READ = "Read: jpg, png, webp, bmp, gif, tiff (by content)."
# of pictures that cannot be read: what the errors of training data advise is nothing for a client
_FIXES = {
    "D102": "send a whole copy of the picture.",
    "D103": "send one picture as the body (--data-binary @cat.jpg), or several as form parts (-F image=@cat.jpg).",
    "D105": "send a smaller copy of the picture.",
    "D106": "save the picture with 8 bits a channel, and send that.",
}
_STATUSES = {"D102": 422, "D103": 415, "D105": 413, "D106": 422}


def refusal(code: str, status: int, what: str, *, fix: str = "", retry_after: int | None = None) -> ServeError:
    """An error that a client meets.

    Args:
        status: Of HTTP.
        retry_after: Seconds after which it may help to ask again.

    Example:
        >>> refusal("S608", 429, "256 pictures wait already.", retry_after=2).status
        429
    """
    error = ServeError(code, what, fix=fix)
    error.status, error.retry_after = status, retry_after
    return error


def of_picture(error: DojangError) -> ServeError:
    """What is said of a picture that could not be read, with the data's own words but for the fix.

    Example:
        >>> from dojang.errors import DataError
        >>> found = of_picture(DataError("D105", "'a.png' is 9 x 9 = 0.000081 megapixels; the limit is 0.00001."))
        >>> found.code, found.status, found.fix
        ('S601', 413, 'send a smaller copy of the picture.')
    """
    code = "S601" if error.code == "D105" else error.code
    return refusal(
        code, _STATUSES.get(error.code, 422), error.what, fix=_FIXES.get(error.code, "send another picture.")
    )


def broken(request: str) -> ServeError:
    """What went wrong inside, of which a client hears no more than where to look for it."""
    return refusal(
        "S611",
        500,
        "the network could not answer this picture.",
        fix=f"ask who runs the service to look for {request} in its log.",
    )


def as_dict(error: ServeError) -> dict[str, Any]:
    """For JSON, as one picture's place among the answers has it."""
    return {"code": error.code, "message": error.what, "fix": error.fix}


def body(error: ServeError, request: str) -> bytes:
    """The whole body of a refusal."""
    return json.dumps({"error": as_dict(error), "request_id": request}).encode()
