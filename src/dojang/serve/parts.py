"""The pictures in a body: the body itself, or the parts of a form; in memory, never on a disk."""

from __future__ import annotations

from dojang.errors import ServeError
from dojang.serve.limits import Limits
from dojang.serve.refusals import refusal

#: the name of a picture that has none
UNNAMED = "image"
# letters of a name that are given back
_LONGEST = 200
_FIX = "curl -F image=@a.jpg -F image=@b.jpg, or one picture as the body: curl --data-binary @a.jpg"


def pictures_of(body: bytes, content_type: str, limits: Limits) -> list[tuple[str, bytes]]:
    """Names and bytes.

    Args:
        content_type: Of the request; anything but a form is taken for one picture, told by its own first bytes.

    Raises:
        ServeError: S603 for too many, S607 for a form that cannot be read or holds none.

    Example:
        >>> pictures_of(b"abc", "image/png", Limits())
        [('image', b'abc')]
    """
    if not content_type.lower().startswith("multipart/form-data"):
        if not body:
            raise _unreadable("the body is empty")
        return [(UNNAMED, body)]
    form = _Form(limits)
    form.read(body, content_type)
    if not form.found:
        raise _unreadable("the form has no part with a picture")
    return form.found


class _Form:
    """Collects parts as python-multipart finds them; those with a file name, and those called ``image``."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.found: list[tuple[str, bytes]] = []
        self._field, self._value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []
        self._length = 0
        self._ended = False

    def read(self, body: bytes, content_type: str) -> None:
        from python_multipart.exceptions import FormParserError
        from python_multipart.multipart import MultipartParser, parse_options_header

        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise _unreadable("the form's content type names no boundary")
        try:
            parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._on_field,
                    "on_header_value": self._on_value,
                    "on_header_end": self._on_header,
                    "on_part_data": self._on_data,
                    "on_part_end": self._on_part,
                    "on_end": self._on_end,
                },
            )
            parser.write(body)
            parser.finalize()
        except FormParserError as error:
            raise _unreadable("the form cannot be read") from error
        if not self._ended:
            raise _unreadable("the form is cut: its last boundary is missing")

    def _begin(self) -> None:
        self._headers, self._pieces, self._length = {}, [], 0

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += self._counted(data[start:end])

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += self._counted(data[start:end])

    def _counted(self, piece: bytes) -> bytes:
        self._length += len(piece)
        if self._length > self.limits.part_header_bytes:
            raise _unreadable(f"a part of the form has more than {self.limits.part_header_bytes:,} bytes of headers")
        return piece

    def _on_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field, self._value = b"", b""

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def _on_part(self) -> None:
        from python_multipart.multipart import parse_options_header

        facts = parse_options_header(self._headers.get(b"content-disposition", b""))[1]
        if b"filename" not in facts and facts.get(b"name") != UNNAMED.encode():
            return
        if len(self.found) == self.limits.pictures:
            raise refusal(
                "S603",
                413,
                f"the form has more than {self.limits.pictures:,} pictures.",
                fix=f"send at most {self.limits.pictures:,} in one request.",
            )
        name = facts.get(b"filename", b"").decode("utf-8", "replace")[:_LONGEST] or UNNAMED
        self.found.append((name, b"".join(self._pieces)))

    def _on_end(self) -> None:
        self._ended = True


def _unreadable(why: str) -> ServeError:
    return refusal("S607", 400, f"{why}.", fix=_FIX)
