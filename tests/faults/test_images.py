"""Hostile and damaged pictures, rows I1 to I5, I11 and X4 of the fault matrix: each is refused, and says why.

Every file here is made by code; nothing is committed.
"""

import io
import random
import resource
import struct
import subprocess
import sys
import textwrap
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from dojang.data.decode import decode, probe
from dojang.errors import DataError

SKIP = "or pass --bad=skip to leave it out (recorded in the run)."


def save(image, format, **options):
    file = io.BytesIO()
    image.copy().save(file, format, **options)  # Pillow leaves a writer's settings on the image it saved
    return file.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def tiff(tags, data=b""):
    entries = b"".join(struct.pack("<HHII", tag, kind, count, value) for tag, kind, count, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + entries + b"\0" * 4


def gray_tiff(width, height, data=b"12345678", **changes):
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(data)}
    tags |= {int(name.removeprefix("tag")): value for name, value in changes.items()}
    return tiff([(tag, 4, 1, value) for tag, value in sorted(tags.items())], data)


def files():
    """One whole file of each kind, noise so that no part is empty."""
    levels = np.random.default_rng(3).integers(0, 256, (40, 52, 3), dtype=np.uint8)
    rgb = Image.fromarray(levels)
    gray, palette, turned = rgb.convert("L"), rgb.quantize(64), rgb.rotate(180)
    deep = Image.fromarray((levels[:, :, 0].astype(np.uint16) << 8) + levels[:, :, 1])
    exif = Image.Exif()
    exif[0x0112] = 6

    def two(format):
        return save(rgb, format, save_all=True, append_images=[turned.copy()])

    made = {
        "jpeg": save(rgb, "JPEG", exif=exif),
        "jpeg gray": save(gray, "JPEG"),
        "jpeg progressive": save(rgb, "JPEG", progressive=True),
        "jpeg restart": save(rgb, "JPEG", restart_marker_blocks=2),
        "jpeg cmyk": save(rgb.convert("CMYK"), "JPEG"),
        "mpo": two("MPO"),
        "png": save(rgb, "PNG", exif=exif),
        "png 16": save(deep, "PNG"),
        "png palette": save(palette, "PNG", transparency=bytes(range(64))),
        "png animated": two("PNG"),
        "webp": save(rgb, "WEBP", exif=exif),
        "webp lossless": save(rgb, "WEBP", lossless=True),
        "webp animated": two("WEBP"),
        "bmp": save(rgb, "BMP"),
        "bmp palette": save(palette, "BMP"),
        "gif": save(palette, "GIF"),
        "gif animated": save(palette, "GIF", save_all=True, append_images=[turned.quantize(64)]),
        "tiff": save(rgb, "TIFF"),
        "tiff 16": save(deep, "TIFF"),
        "tiff big": save(rgb, "TIFF", big_tiff=True),
        "tiff pages": two("TIFF"),
        "tiff jpeg": save(rgb, "TIFF", compression="jpeg"),
        "tiff fax": save(gray.convert("1"), "TIFF", compression="group4"),
    }
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        made[compression] = save(rgb, "TIFF", compression=compression)
    return made


FILES = files()
NAMES = sorted(FILES)


def refused(data, *codes, where="cat/1.jpg", **options):
    with pytest.raises(DataError) as caught:
        decode(data, where, **({"mode": "RGB"} | options))
    assert caught.value.code in codes
    assert caught.value.exit_code == 3
    assert caught.value.fix
    return str(caught.value)


# I1: truncated, empty, a page instead of a picture, a wrong checksum


@pytest.mark.parametrize("name", NAMES)
def test_i1_cut_files_are_refused(name):
    data = FILES[name]
    decode(data, name, mode="RGB")
    for percent in range(10, 100, 5):
        kept = len(data) * percent // 100
        message = refused(data[:kept], "D102", where=f"cat/{name}")
        assert message.startswith(f"DataError[D102]: 'cat/{name}' is a ")
        assert message.endswith(f" ({kept:,} bytes).\n  Fix: replace it with a whole copy, {SKIP}")


@pytest.mark.parametrize("name", NAMES)
def test_i1_cut_files_are_refused_where_a_program_has_told_pillow_to_take_them(name, monkeypatch):
    """LOAD_TRUNCATED_IMAGES is a global: any library in the process may have set it."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for percent in (10, 40, 60, 90):
        refused(FILES[name][: len(FILES[name]) * percent // 100], "D102")


def test_i1_a_jpeg_without_its_end_marker_is_refused():
    """Pillow takes some: all their rows are there, or seem to be."""
    data = FILES["jpeg cmyk"]
    assert data.endswith(b"\xff\xd9")
    Image.open(io.BytesIO(data[:-2])).load()
    assert refused(data[:-2], "D102") == (
        "DataError[D102]: 'cat/1.jpg' is a JPEG file that cannot be decoded: truncated: the data ends inside scan 1 "
        f"({len(data) - 2:,} bytes).\n  Fix: replace it with a whole copy, {SKIP}"
    )
    assert np.array_equal(decode(data + b"\0" * 100, "a", mode="RGB"), decode(data, "a", mode="RGB"))


def test_i1_the_end_marker_of_a_thumbnail_does_not_count():
    thumbnail = save(Image.new("RGB", (4, 4)), "JPEG")
    exif = b"Exif\0\0" + b"II*\0\x08\0\0\0\0\0\0\0\0\0" + thumbnail
    data = FILES["jpeg gray"]
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    decode(data, "a", mode="RGB")
    refused(data[: len(data) - 300], "D102")


def test_i1_checksums_of_png_pixels_are_verified():
    """Pillow leaves them unread; where the stream's own sum stands in a chunk of its own, pixels change in silence."""
    pixels = zlib.compress(b"\0" + bytes(range(200)), 0)  # stored, so a flipped bit is one wrong pixel
    head = struct.pack(">IIBBBBB", 200, 1, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", pixels[:-4]), (b"IDAT", pixels[-4:]), (b"IEND", b"")]
    good = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
    assert decode(good, "a", mode="L").ravel().tolist() == list(range(200))
    bad = bytearray(good)
    bad[good.index(bytes(range(50, 60)))] ^= 1
    assert np.asarray(Image.open(io.BytesIO(bytes(bad))))[0, 50] == 51
    text = refused(bytes(bad), "D102", where="a.png")
    assert "'a.png' is a PNG file that cannot be decoded: the checksum of the chunk 'IDAT' at byte 33 is wrong" in text
    assert f"({len(good):,} bytes)" in text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is an empty file (0 bytes)"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "it looks like an HTML page (45 bytes)"),
        (b"\xef\xbb\xbf<html></html>", "it looks like an HTML page (16 bytes)"),
        (b"Not found", "it looks like text that begins with 'Not found' (9 bytes)"),
        (b"\0" * 1000, "its first bytes are 00 00 00 00 00 00 00 00 (1,000 bytes)"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "it looks like a Git LFS pointer; the picture itself was not fetched (git lfs pull) (43 bytes)",
        ),
        (b"\xff\xd8", "its first bytes are ff d8 (2 bytes)"),
    ],
)
def test_i1_what_is_no_picture_is_named(data, words):
    text = (
        f"DataError[D103]: 'cat/1.jpg' is not a picture that dojang reads: {words}.\n"
        "  Read: jpg, png, webp, bmp, gif, tiff (by content).\n"
        f"  Fix: save it as one of these, {SKIP}"
    )
    assert refused(data, "D103") == text
    with pytest.raises(DataError) as caught:
        probe(data, "cat/1.jpg")
    assert str(caught.value) == text


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), mode=st.sampled_from(["L", "RGB"]))
def test_i1_flipped_bytes_never_raise_anything_else(name, seed, mode):
    """Only DataError comes out, under warnings as errors, and what decodes has the shape of its header."""
    data, draw = bytearray(FILES[name]), random.Random(seed)
    for _ in range(draw.choice((1, 1, 2, 8))):
        place = draw.randrange(len(data) if draw.random() < 0.5 else 200)
        data[place] = draw.choice((0, 127, 128, 255, draw.randrange(256)))
    data = bytes(data)
    if name.startswith("png"):
        data = repaired(data)
    try:
        levels = decode(data, name, mode=mode, max_pixels=1_000_000)
    except DataError as error:
        assert error.code in ("D102", "D103", "D105", "D106")
        assert "object at 0x" not in str(error)
        return
    info = probe(data, name)
    assert levels.shape == (info.height, info.width, 1 if mode == "L" else 3)


def repaired(png):
    """The same chunks with right checksums, so that the damage reaches Pillow."""
    parts, place = [png[:8]], 8
    while place + 12 <= len(png):
        length = struct.unpack_from(">I", png, place)[0]
        if place + 12 + length > len(png):
            break
        parts.append(chunk(png[place + 4 : place + 8], png[place + 8 : place + 8 + length]))
        place += 12 + length
    return b"".join(parts) + png[place:]


# I2 to I4: modes, orientation, several pictures; tests/unit/data/test_decode.py has the exact levels


def test_i2_unusual_modes_have_their_golden_levels():
    cases = [
        (save(Image.new("LA", (1, 1), (100, 51)), "PNG"), [224, 224, 224]),
        (save(Image.new("RGBA", (1, 1), (10, 20, 30, 204)), "PNG"), [59, 67, 75]),
        (save(Image.new("1", (1, 1), 1), "PNG"), [255, 255, 255]),
        (save(Image.new("I;16", (1, 1), 257 * 77), "PNG"), [77, 77, 77]),
        (save(Image.new("F", (1, 1), 0.5), "TIFF"), [128, 128, 128]),
        (save(Image.new("CMYK", (1, 1), (0, 255, 0, 0)), "TIFF"), [255, 0, 255]),
        (save(Image.new("P", (1, 1), 0), "PNG", transparency=0), [255, 255, 255]),
    ]
    for data, wanted in cases:
        assert decode(data, "a", mode="RGB").ravel().tolist() == wanted


def test_i2_a_sixteen_bit_ramp_keeps_256_levels():
    """Clipping, which Pillow's own convert does, leaves 2."""
    ramp = Image.fromarray(np.linspace(0, 65535, 4096).astype(np.uint16).reshape(64, 64))
    assert len(np.unique(decode(save(ramp, "PNG"), "a", mode="L"))) == 256


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_i3_eight_orientations_give_identical_pixels(format):
    """Each file stores the picture turned so that its orientation, undone, gives the same one."""
    # blocks of one colour survive JPEG alike from every side
    picture = np.kron(np.array([[0, 255, 90], [200, 30, 160]], np.uint8), np.ones((16, 16), np.uint8))
    stored = {
        1: picture,
        2: picture[:, ::-1],
        3: picture[::-1, ::-1],
        4: picture[::-1],
        5: picture.T,
        6: picture.T[::-1],
        7: picture.T[::-1, ::-1],
        8: picture.T[:, ::-1],
    }
    options = {"lossless": True} if format == "WEBP" else {"quality": 100} if format == "JPEG" else {}
    for orientation, levels in stored.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = save(Image.fromarray(np.ascontiguousarray(levels)), format, exif=exif, **options)
        assert np.array_equal(decode(data, "a", mode="L")[:, :, 0], picture)
        assert (probe(data, "a").width, probe(data, "a").height) == (48, 32)


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("mpo", "MPO"),
        ("png animated", "PNG"),
        ("webp animated", "WEBP"),
        ("gif animated", "GIF"),
        ("tiff pages", "TIFF"),
    ],
)
def test_i4_of_several_pictures_the_first_is_read_and_all_are_counted(name, format):
    info = probe(FILES[name], "a")
    assert (info.format, info.frames) == (format, 2)
    levels = decode(FILES[name], "a", mode="RGB")
    assert levels.shape == (40, 52, 3)
    first = np.asarray(Image.open(io.BytesIO(FILES[name])).convert("RGB"))
    assert np.array_equal(levels, first)


# I5: content decides, and six formats are allowed


def test_i5_the_extension_does_not_matter():
    assert np.array_equal(decode(FILES["png"], "a.jpg", mode="RGB"), decode(FILES["png"], "a.png", mode="RGB"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it looks like a PostScript (EPS) file"),
        (b"8BPS\0\x01" + b"\0" * 30, "it looks like a Photoshop (PSD) file"),
        (b"%PDF-1.7\n", "it looks like a PDF"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "it looks like an SVG drawing"),
        (b"<svg/>", "it looks like an SVG drawing"),
        (b"<rss></rss>", "it looks like an XML or HTML page"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "it looks like a 'heic' picture or film (HEIC, AVIF, MP4)"),
        (b"PK\x03\x04" + b"\0" * 9, "it looks like a ZIP archive"),
        (b"\x93NUMPY\x01\0", "it looks like a NumPy array"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "its first bytes are 52 49 46 46 10 00 00 00"),
        (b"BM is how this text begins", "it looks like text that begins with 'BM is how this text '"),
    ],
)
def test_i5_other_formats_are_refused(data, words):
    assert f"'cat/1.jpg' is not a picture that dojang reads: {words} ({len(data):,} bytes).\n" in refused(data, "D103")


@pytest.mark.parametrize("format", ["PPM", "TGA", "ICO", "PCX", "SGI", "EPS", "PDF", "JPEG2000", "DDS", "AVIF"])
def test_i5_formats_that_pillow_would_read_or_write_are_refused(format):
    refused(save(Image.new("RGB", (32, 32), (9, 99, 200)), format), "D103")


# I11: sizes; X4: bombs


@pytest.mark.parametrize("size", [(1, 1), (1, 20000), (20000, 1), (65535, 1), (1, 65535)])
@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "GIF"])
def test_i11_thin_and_long_pictures_are_read(format, size):
    data = save(Image.new("L", size, 77), format)
    levels = decode(data, "a", mode="L")
    assert levels.shape == (size[1], size[0], 1)
    assert levels.min() == levels.max() == 77


def test_i11_a_square_of_65535_is_refused():
    png = save(Image.new("L", (1, 1)), "PNG")
    head = struct.pack(">IIBBBBB", 65535, 65535, 8, 0, 0, 0, 0)
    bomb = png[:8] + chunk(b"IHDR", head) + png[33:]
    text = (
        "DataError[D105]: 'cat/1.jpg' is 65,535 x 65,535 = 4,294.836225 megapixels; the limit is 50.\n"
        f"  Fix: shrink it (magick IN -resize 4000x4000 OUT), {SKIP}"
    )
    assert refused(bomb, "D105") == text
    with pytest.raises(DataError) as caught:
        probe(bomb, "cat/1.jpg")
    assert str(caught.value) == text


def bombs():
    """Small files that ask for much, each with the words of its refusal."""
    png, gif = save(Image.new("L", (5, 5)), "PNG"), FILES["gif"]
    start = gif.index(struct.pack("<BHHHH", 0x2C, 0, 0, 52, 40))
    outside = gif[: start + 5] + b"\xff" * 4 + gif[start + 9 :]
    swollen = zlib.compress(b"x" * 40_000_000, 9)
    webp = bytearray(FILES["webp"])
    webp[24:30] = b"\xff\x3f\0\xff\x3f\0"
    dqt_dht = b"\xff\xdb\0\x43\0" + b"\1" * 64 + b"".join(b"\xff\xc4\0\x14%c\1" % c + b"\0" * 16 for c in (0, 16))
    scan = b"\xff\xda\0\x08\1\1\0\1\x3f\0\0"
    jpeg = b"\xff\xd8" + dqt_dht + b"\xff\xc2\0\x0b\x08\x1b\x58\x1b\x58\1\1\x11\0" + scan * 101 + b"\xff\xd9"
    bmp = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 99, 0, 0, 54, 40, 7000, 7000, 1, 8, 1, 9, 0, 0, 256, 0) + b"\0" * 2000
    filler, n = b"\0" * 500_000, 20_000
    shared = tiff([(30_000 + i, 7, len(filler), 8) for i in range(n)], filler)
    rows, parts = b"\x55" * 1_000_000, 30_000
    lists = struct.pack("<I", 8) * parts + struct.pack("<I", 99) * parts
    tags = [(256, 4, 1, 1000), (257, 4, 1, 1000), (258, 4, 1, 8), (259, 4, 1, 1), (262, 4, 1, 1), (277, 4, 1, 1)]
    tags += [(273, 4, parts, 8 + len(rows)), (278, 4, 1, 999), (279, 4, parts, 8 + len(rows) + 4 * parts)]
    text = "Decompressed data too large for PngImagePlugin.MAX_TEXT_CHUNK"
    return {
        "png header": (
            png[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 16, 6, 0, 0, 0)) + png[33:],
            "D105",
            "2,147,483,647 x 2,147,483,647",
        ),
        "png zTXt": (png[:33] + chunk(b"zTXt", b"k\0\0" + swollen) + png[33:], "D102", text),
        "png iTXt": (png[:33] + chunk(b"iTXt", b"k\0\1\0\0\0" + swollen) + png[33:], "D102", text),
        "png iCCP": (png[:33] + chunk(b"iCCP", b"k\0\0" + swollen) + png[33:], "D102", text),
        "png text last": (png[:-12] + chunk(b"zTXt", b"k\0\0" + swollen) + png[-12:], "D102", text),
        "png texts": (
            png[:33] + chunk(b"zTXt", b"k\0\0" + zlib.compress(b"x" * 1_000_000, 9)) * 80 + png[33:],
            "D102",
            "Too much memory used in text chunks",
        ),
        "gif frame": (outside, "D102", "its picture, 65535x65535 at 0,0, leaves its 52x40 screen"),
        "gif screen": (gif[:6] + b"\xff" * 4 + gif[10:], "D105", "65,535 x 65,535 = 4,294.836225 megapixels"),
        "webp canvas": (bytes(webp), "D105", "16,384 x 16,384 = 268.435456 megapixels; the limit is 50."),
        "jpeg scans": (jpeg, "D102", "it has more than 100 scans"),
        "jpeg size": (
            FILES["jpeg"].replace(b"\0\x11\x08\0\x28\0\x34", b"\0\x11\x08\xff\xff\xff\xff"),
            "D105",
            "65,535 x 65,535",
        ),
        "bmp size": (
            save(Image.new("L", (1, 1)), "BMP").replace(b"\1\0\0\0\1\0\0\0", b"\0\0\1\0\0\0\1\0"),
            "D102",
            "truncated",
        ),
        "bmp run lengths": (bmp, "D102", "a compressed BMP of more than 4,000,000 pixels takes too long to decode"),
        "tiff size": (gray_tiff(2**32 - 1, 2**32 - 1), "D105", "4,294,967,295 x 4,294,967,295"),
        "tiff tiles": (
            gray_tiff(9, 9, tag259=5, tag322=2**31, tag323=2**31, tag324=8, tag325=8),
            "D102",
            "its tiles are 2,147,483,648 x 2,147,483,648 pixels",
        ),
        "tiff shared tags": (shared, "D102", "its tags claim 10,000,240,006 bytes"),
        "tiff shared strips": (tiff(sorted(tags), rows + lists), "D102", "it lists 30,000 strips or tiles"),
        "tiff samples": (gray_tiff(5, 1, tag277=65535), "D102", "Invalid value for samples per pixel"),
        "tiff empty": (gray_tiff(0, 5), "D102", "it is 0 x 5 pixels of 1 samples"),
        "tiff tag": (
            gray_tiff(5, 1).replace(struct.pack("<HHI", 259, 4, 1), struct.pack("<HHI", 259, 4, 2)),
            "D102",
            "",
        ),
    }


BOMBS = bombs()


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_x4_bombs_are_refused_with_their_size(name):
    data, code, words = BOMBS[name]
    assert words in refused(data, code)


def test_x4_bombs_are_refused_in_little_memory():
    """A child with 200 MB of room for all of them together, after the imports."""
    script = textwrap.dedent(
        """
        import resource, sys
        sys.path.insert(0, sys.argv[1])
        import test_images as t
        made = t.BOMBS
        for line in open("/proc/self/status"):
            if line.startswith("VmSize"):
                room = int(line.split()[1]) * 1024 + 200_000_000
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
        for name, (data, code, words) in sorted(made.items()):
            assert "no memory" not in t.refused(data, code), name
        print(len(made))
        """
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, __file__.rpartition("/")[0]],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == f"{len(BOMBS)}\n", done.stderr


def test_x4_comments_and_later_pictures_cost_nothing():
    """Pillow joins comments and walks animations; here they are left out before it looks."""
    gif = FILES["gif"]
    start = gif.index(struct.pack("<BHHHH", 0x2C, 0, 0, 52, 40))
    long = gif[:start] + b"!\xfe" + (b"\xff" + b"x" * 255) * 20_000 + b"\0" + gif[start:]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    assert np.array_equal(decode(long, "a", mode="RGB"), decode(gif, "a", mode="RGB"))
    many = gif[:-1] + gif[start:-1] * 300 + b";"
    assert probe(many, "a").frames == 301
    assert np.array_equal(decode(many, "a", mode="RGB"), decode(gif, "a", mode="RGB"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 2
    looped = bytearray(FILES["tiff"])
    at = struct.unpack_from("<I", looped, 4)[0]
    count = struct.unpack_from("<H", looped, at)[0]
    struct.pack_into("<I", looped, at + 2 + 12 * count, at)
    assert probe(bytes(looped), "a").frames == 1


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "gif", "tiff", "bmp"])
def test_x4_the_limit_holds_to_the_pixel(name):
    assert decode(FILES[name], "a", mode="L", max_pixels=40 * 52).size == 40 * 52
    assert "52 x 40 = 0.00208 megapixels; the limit is 0.002079." in refused(
        FILES[name], "D105", max_pixels=40 * 52 - 1
    )
