"""What a file that is no picture seems to be, for the message that refuses it."""

from __future__ import annotations

_SIGNS = (
    (b"%PDF", "it looks like a PDF"),
    (b"%!PS", "it looks like a PostScript (EPS) file"),
    (b"\xc5\xd0\xd3\xc6", "it looks like a PostScript (EPS) file"),
    (b"8BPS", "it looks like a Photoshop (PSD) file"),
    (b"PK\x03\x04", "it looks like a ZIP archive"),
    (b"\x1f\x8b", "it looks like a gzip archive"),
    (b"\x93NUMPY", "it looks like a NumPy array"),
    (b"version https://git-lfs", "it looks like a Git LFS pointer; the picture itself was not fetched (git lfs pull)"),
    (b"\0\0\0\x0cjP  ", "it looks like a JPEG 2000 picture"),
    (b"\0\0\1\0", "it looks like a Windows icon"),
)


def looks_like(data: bytes) -> str:
    """A guess, from the first bytes, at what a file is that is no picture."""
    if not data:
        return "it is an empty file"
    for magic, words in _SIGNS:
        if data.startswith(magic):
            return words
    if data[4:8] == b"ftyp":
        return f"it looks like a {data[8:12].decode('latin-1').strip()!r} picture or film (HEIC, AVIF, MP4)"
    text = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if b"<svg" in text and text.startswith(b"<"):
        return "it looks like an SVG drawing"
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "it looks like an HTML page"
    if text.startswith(b"<"):
        return "it looks like an XML or HTML page"
    if all(32 <= byte < 127 or byte in b"\t\n\r" for byte in data[:64]):
        return f"it looks like text that begins with {data[:20].decode('ascii')!r}"
    return f"its first bytes are {data[:8].hex(' ')}"
