"""Pictures from addresses that a user's table names: bounded in size, time and redirects, and pictures by content."""

from __future__ import annotations

import contextlib
import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from dojang.data.decode import MAX_PIXELS, look_through
from dojang.errors import DataError

MOST_REDIRECTS = 5
_PIECE = 2**16
#: the extension of what was fetched, by what it is
ENDS = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "GIF": "gif", "TIFF": "tif"}


class AddressError(Exception):
    """Why an address gave no picture, in words."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = MOST_REDIRECTS
    max_repeats = 2

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        try:
            check_address(newurl)
        except AddressError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def check_address(address: str) -> None:
    """Make sure that an address is one of http or https with a host. Raises AddressError otherwise.

    >>> check_address("https://example.org/a.jpg")
    >>> check_address("file:///etc/passwd")
    Traceback (most recent call last):
    ...
    dojang.data.addresses.AddressError: it is no address of http or https
    """
    try:
        parts = urllib.parse.urlsplit(address)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good or not address.isprintable() or " " in address:
        raise AddressError("it is no address of http or https")


def picture(address: str, most: int, seconds: float, max_pixels: int = MAX_PIXELS) -> tuple[bytes, str]:
    """The picture at an address, and the extension that suits it.

    Args:
        most: Bytes.
        seconds: In all, and at most so long without a byte.

    Raises:
        AddressError: Where it is no picture that dojang reads, or cannot be had within the limits.
    """
    check_address(address)
    data = bytearray()
    end = time.monotonic() + seconds
    try:
        with contextlib.closing(_connect(address, seconds)) as stream:
            while piece := stream.read(_PIECE):
                data += piece
                if len(data) > most:
                    raise AddressError(f"it has more than {most:,} bytes")
                if time.monotonic() > end:
                    raise AddressError(f"it took more than {seconds:g} s")
    except urllib.error.HTTPError as error:
        error.close()
        raise AddressError(f"the server says {error.code} {error.reason}".split("\n")[0].rstrip()) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise AddressError(str(getattr(error, "reason", "") or error) or type(error).__name__) from None
    try:
        walked = look_through(bytes(data), "it", max_pixels)
    except DataError as error:
        raise AddressError(error.what.removeprefix("'it' ")) from None
    return bytes(data), ENDS[walked.container.format]


def _connect(address: str, seconds: float) -> Any:
    # an opener of these alone: files, ftp and data: have no handler
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(address, headers={"User-Agent": "dojang"})  # noqa: S310 (checked above)
    return opener.open(request, timeout=seconds)
