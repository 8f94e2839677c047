"""decode: levels against their definitions in exact integers, against Pillow's own road, and the text of each error."""

import io
import struct
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from dojang.data.decode import MAX_PIXELS, ImageInfo, decode, is_gray, probe
from dojang.errors import ConfigError, DataError

RNG = np.random.default_rng(7)
PHOTO = Image.fromarray(RNG.integers(0, 256, (24, 31, 3), dtype=np.uint8))


def save(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def png(width, height, depth, colour, rows, *chunks):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", head), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def tiff(array, *, photometric=1, bits, sample_format=1, order="<"):
    """An uncompressed gray TIFF of one strip, with tags that Pillow cannot be asked to write."""
    pixels = array.tobytes()
    tags = {256: array.shape[1], 257: array.shape[0], 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1}
    tags |= {278: array.shape[0], 279: len(pixels), 339: sample_format}
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8 + len(pixels))
    return head + pixels + struct.pack(order + "H", len(tags)) + entries + b"\0" * 4


def pillow(data, mode):
    """The road through Image.open, for pictures without transparency and of 8 bits."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    return np.asarray(image if mode == "RGB" else image.convert("L")).reshape(image.height, image.width, -1)


def fails(data, code, where="cat/1.png", **options):
    with pytest.raises(DataError) as caught:
        decode(data, where, **({"mode": "RGB"} | options))
    assert caught.value.code == code
    return str(caught.value)


# Formats and modes


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"restart_marker_blocks": 1}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("BMP", {}),
        ("GIF", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("TIFF", {"compression": "jpeg"}),
        ("TIFF", {"big_tiff": True}),
    ],
)
def test_each_format_equals_pillow(format, options, mode):
    data = save(PHOTO, format, **options)
    levels = decode(data, "a", mode=mode)
    assert np.array_equal(levels, pillow(data, mode))
    assert levels.dtype == np.uint8
    assert levels.shape == (24, 31, 1 if mode == "L" else 3)
    assert levels.flags.c_contiguous
    info = probe(data, "a")
    assert (info.width, info.height, info.format, info.frames) == (31, 24, format, 1)


def test_gray_is_itu_601_in_fixed_point():
    colours = RNG.integers(0, 256, (50, 50, 3), dtype=np.uint8)
    red, green, blue = np.moveaxis(colours.astype(np.int64), 2, 0)
    wanted = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16
    assert np.array_equal(decode(save(Image.fromarray(colours), "PNG"), "a", mode="L")[:, :, 0], wanted)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "BMP", "GIF"])
def test_gray_files_keep_their_levels_in_both_modes(format):
    data = save(PHOTO.convert("L"), format)
    gray = decode(data, "a", mode="L")
    assert is_gray(probe(data, "a")) == (format != "GIF")  # Pillow writes a palette of grays
    assert np.array_equal(gray[:, :, 0], np.asarray(Image.open(io.BytesIO(data)).convert("L")))
    assert np.array_equal(decode(data, "a", mode="RGB"), np.repeat(gray, 3, axis=2))


def test_one_bit_and_palette():
    bits = PHOTO.convert("1")
    for format in ("PNG", "BMP", "TIFF"):
        assert np.array_equal(decode(save(bits, format), "a", mode="L")[:, :, 0], np.asarray(bits) * np.uint8(255))
    palette = PHOTO.quantize(16)
    for format in ("PNG", "BMP", "TIFF", "GIF"):
        assert np.array_equal(decode(save(palette, format), "a", mode="RGB"), np.asarray(palette.convert("RGB")))


def test_cmyk_jpeg_is_read_as_adobe_writes_it():
    """Adobe stores CMYK upside down; the JPEG of no ink is white."""
    levels = decode(save(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG", quality=100), "a", mode="RGB")
    assert levels.min() == 255
    levels = decode(save(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100), "a", mode="RGB")
    assert levels[0, 0, 0] >= 253
    assert levels[0, 0, 1:].max() <= 2
    data = save(PHOTO.convert("CMYK"), "JPEG")
    assert np.array_equal(decode(data, "a", mode="RGB"), pillow(data, "RGB"))
    data = save(PHOTO.convert("CMYK"), "TIFF")
    assert np.array_equal(decode(data, "a", mode="RGB"), pillow(data, "RGB"))


# Transparency


@pytest.mark.parametrize("background", [0, 3, 128, 255])
def test_alpha_is_laid_over_the_background_exactly(background):
    """All 65,536 pairs of level and alpha: round((v * a + b * (255 - a)) / 255), where no tie can occur."""
    level, alpha = np.meshgrid(np.arange(256), np.arange(256))
    wanted = (2 * (level * alpha + background * (255 - alpha)) + 255) // 510
    pair = np.stack([level, alpha], 2).astype(np.uint8)
    la = Image.merge("LA", [Image.fromarray(pair[:, :, 0]), Image.fromarray(pair[:, :, 1])])
    rgba = Image.fromarray(pair[:, :, [0, 0, 0, 1]])
    for image in (la, rgba):
        data = save(image, "PNG")
        assert np.array_equal(decode(data, "a", mode="L", background=background)[:, :, 0], wanted)
        assert np.array_equal(decode(data, "a", mode="RGB", background=background), np.repeat(wanted[..., None], 3, 2))


def test_background_is_white_unless_given():
    clear = save(Image.new("RGBA", (2, 2), (9, 9, 9, 0)), "PNG")
    assert decode(clear, "a", mode="RGB").min() == 255
    assert decode(clear, "a", mode="RGB", background=7).max() == 7


@pytest.mark.parametrize("format", ["WEBP", "TIFF"])
def test_alpha_in_other_formats(format):
    rgba = Image.fromarray(RNG.integers(0, 256, (9, 8, 4), dtype=np.uint8))
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    assert np.array_equal(
        decode(save(rgba, format, **options), "a", mode="RGB"), decode(save(rgba, "PNG"), "a", mode="RGB")
    )


def test_gray_of_transparent_colour_is_taken_after_the_background():
    data = save(Image.new("RGBA", (1, 1), (255, 0, 0, 128)), "PNG")
    red = (2 * (255 * 128 + 100 * 127) + 255) // 510
    other = (2 * (100 * 127) + 255) // 510
    wanted = (19595 * red + 38470 * other + 7471 * other + 0x8000) >> 16
    assert decode(data, "a", mode="L", background=100).item() == wanted


def test_palette_with_transparency():
    image = Image.fromarray(np.arange(4, dtype=np.uint8).reshape(2, 2)).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 1, 2, 3])
    single = decode(save(image, "PNG", transparency=1), "a", mode="RGB", background=200)
    assert single.tolist() == [[[10, 20, 30], [200, 200, 200]], [[70, 80, 90], [1, 2, 3]]]
    graded = decode(save(image, "PNG", transparency=bytes([255, 128, 0])), "a", mode="RGB", background=200)
    half = [(2 * (v * 128 + 200 * 127) + 255) // 510 for v in (40, 50, 60)]
    assert graded.tolist() == [[[10, 20, 30], half], [[200, 200, 200], [1, 2, 3]]]
    gif = decode(save(image, "GIF", transparency=2), "a", mode="RGB", background=200)
    assert gif.tolist() == [[[10, 20, 30], [40, 50, 60]], [[200, 200, 200], [1, 2, 3]]]


@pytest.mark.parametrize(
    ("depth", "colour", "row", "clear", "wanted"),
    [
        (1, 0, b"\x80", (1,), [9, 0]),
        (2, 0, b"\xb0", (2,), [9, 255]),
        (4, 0, b"\x3f", (15,), [51, 9]),
        (8, 0, b"\x07\x08", (7,), [9, 8]),
        (16, 0, struct.pack(">2H", 1000, 1001), (1001,), [4, 9]),
        (8, 2, b"\x01\x01\x01\x02\x02\x02", (1, 1, 1), [9, 2]),
        (16, 2, struct.pack(">6H", *[0x1234] * 3, *[0x2000] * 3), (0x1234,) * 3, [9, 0x20]),
    ],
)
def test_png_transparent_level_at_each_depth(depth, colour, row, clear, wanted):
    """The level of tRNS counts in the file's depth; Pillow compares it with levels already scaled."""
    data = png(2, 1, depth, colour, [row], (b"tRNS", struct.pack(f">{len(clear)}H", *clear)))
    assert decode(data, "a", mode="L", background=9).ravel().tolist() == wanted


# More than 8 bits


def sixteen(v):
    return np.array([(2 * int(x) * 255 + 65535) // (2 * 65535) for x in v.ravel()], np.uint8).reshape(v.shape)


RAMP = np.arange(65536, dtype=np.uint16).reshape(256, 256)


@pytest.mark.parametrize(
    "data",
    [
        save(Image.fromarray(RAMP), "PNG"),
        save(Image.fromarray(RAMP), "TIFF"),
        save(Image.fromarray(RAMP), "TIFF", compression="tiff_lzw"),
        tiff(RAMP.astype(">u2"), bits=16, order=">"),
        tiff(RAMP.astype("<u4"), bits=32),
    ],
    ids=["png", "tiff", "lzw", "big-endian", "32-bit"],
)
def test_sixteen_bits_are_scaled_not_clipped(data):
    levels = decode(data, "a", mode="L")[:, :, 0]
    assert len(np.unique(levels)) == 256
    assert np.array_equal(levels, sixteen(RAMP))
    assert np.array_equal(decode(data, "a", mode="RGB"), np.repeat(levels[:, :, None], 3, 2))
    assert is_gray(probe(data, "a"))


def test_white_is_zero_is_turned_round():
    """Pillow inverts such pictures of 8 bits but not those of 16."""
    assert decode(tiff(RAMP, bits=16, photometric=0), "a", mode="L")[0, 0, 0] == 255
    levels = decode(tiff(RAMP, bits=16, photometric=0), "a", mode="L")[:, :, 0]
    assert np.array_equal(levels, sixteen(65535 - RAMP))
    eight = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(decode(tiff(eight, bits=8, photometric=0), "a", mode="L")[:, :, 0], 255 - eight)


def test_twelve_bits_use_the_whole_range():
    data = tiff(np.array([[0xFF, 0xF0, 0x00]], np.uint8), bits=12)  # two samples: 4095 and 0
    data = data.replace(struct.pack("<HHII", 256, 4, 1, 3), struct.pack("<HHII", 256, 4, 1, 2))
    assert decode(data, "a", mode="L").ravel().tolist() == [255, 0]


def test_sixteen_bit_colour_is_what_pillow_gives():
    """Its high byte: at most one level away from the scaled one."""
    values = RNG.integers(0, 65536, (4, 4, 3)).astype(">u2")
    levels = decode(png(4, 4, 16, 2, [row.tobytes() for row in values]), "a", mode="RGB")
    assert np.array_equal(levels, values >> 8)
    assert np.abs(levels.astype(int) - sixteen(values)).max() <= 1


def test_floats_from_0_to_1():
    values = np.array([[0, 0.25, 0.5], [1 / 255, 0.998, 1]], np.float32)
    levels = decode(save(Image.fromarray(values), "TIFF"), "a", mode="L")
    assert levels.ravel().tolist() == [int(float(v) * 255 + 0.5) for v in values.ravel()]


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (
            np.array([[-3, 12000]], np.float32),
            "floating-point levels from -3 to 12000; dojang reads those from 0 to 1.",
        ),
        (
            np.array([[0.5, np.nan]], np.float32),
            "floating-point levels from nan to nan; dojang reads those from 0 to 1.",
        ),
        (np.array([[5, 70000]], np.int32), "32-bit levels from 5 to 70000; dojang reads those from 0 to 65535."),
        (np.array([[-1, 7]], np.int32), "32-bit levels from -1 to 7; dojang reads those from 0 to 65535."),
    ],
)
def test_other_ranges_are_refused(values, what):
    assert fails(save(Image.fromarray(values), "TIFF"), "D106") == (
        f"DataError[D106]: 'cat/1.png' has {what}\n"
        "  Scaling them by each picture's own range would make pictures incomparable.\n"
        "  Fix: scale all pictures alike, e.g. (x - low) / (high - low), and save them as 16-bit PNG, "
        "or pass --bad=skip to leave it out (recorded in the run)."
    )


def test_pixels_without_a_gray_or_rgb_meaning_are_refused():
    assert fails(save(Image.new("LAB", (2, 2)), "TIFF"), "D106").startswith(
        "DataError[D106]: 'cat/1.png' has LAB pixels, which cannot be shown as gray or RGB without a colour profile.\n"
        "  Fix: save it as RGB, or pass --bad=skip"
    )
    signed = tiff(np.zeros((2, 2), np.int8), bits=8, sample_format=2)
    assert "its samples are signed 8-bit numbers, which have no place in 0 to 255 (" in fails(signed, "D102")


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_equals_exif_transpose(format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a maker with a name longer than four bytes"
    data = save(PHOTO, format, exif=exif)
    assert np.array_equal(decode(data, "a", mode="RGB"), pillow(data, "RGB"))
    info = probe(data, "a")
    assert (info.width, info.height) == ((31, 24) if orientation < 5 else (24, 31))


def test_orientation_from_xmp():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    for format in ("JPEG", "WEBP", "TIFF"):
        data = save(PHOTO, format, **({"tiffinfo": {700: xmp}} if format == "TIFF" else {"xmp": xmp}))
        assert np.array_equal(decode(data, "a", mode="RGB"), pillow(data, "RGB"))
        assert probe(data, "a").width == 24


@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0", b"Exif\0\0II*\0", b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\3\0\1\0\0\0\6\0\0\0", b"junk"],
)
def test_damaged_exif_is_no_fault_of_the_picture(exif):
    """Pillow warns, which is an error here; the pixels are whole."""
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    plain = save(PHOTO, "JPEG")
    data = plain[:2] + segment + plain[2:]
    assert np.array_equal(decode(data, "a", mode="RGB"), pillow(plain, "RGB"))


# Several pictures


def test_frames_are_counted_and_the_first_is_read():
    others = [PHOTO.rotate(180), PHOTO.convert("L").convert("RGB")]
    for format in ("GIF", "WEBP", "TIFF", "PNG", "MPO"):
        options = {"lossless": True} if format == "WEBP" else {}
        data = save(PHOTO, format, save_all=True, append_images=others, **options)
        info = probe(data, "a")
        assert (info.format, info.frames) == (format, 3)
        assert np.array_equal(
            decode(data, "a", mode="RGB"), decode(save(PHOTO, _still(format), **options), "a", mode="RGB")
        )


def _still(format):
    return "JPEG" if format == "MPO" else format


def test_animated_png_with_a_picture_before_the_animation():
    data = save(PHOTO, "PNG", save_all=True, append_images=[PHOTO.rotate(90), PHOTO.rotate(180)], default_image=True)
    assert probe(data, "a").frames == Image.open(io.BytesIO(data)).n_frames == 3
    assert np.array_equal(decode(data, "a", mode="RGB"), np.asarray(PHOTO))


def test_an_index_of_pictures_that_were_dropped_leaves_a_plain_jpeg():
    """jpegtran copies the index of an MPO but not the pictures after the first."""
    data = save(PHOTO, "MPO", save_all=True, append_images=[PHOTO])
    first = data[: data.index(b"\xff\xd9") + 2]
    comment = first[:2] + b"\xff\xfe\0\x05abc" + first[2:]
    assert (probe(comment, "a").format, probe(comment, "a").frames) == ("JPEG", 1)
    assert "is a JPEG file that cannot be decoded: truncated: the data ends before picture 2 of 2 (" in fails(
        first, "D102"
    )


# Sizes


@pytest.mark.parametrize("size", [(1, 1), (1, 20000), (20000, 1), (65535, 2)])
@pytest.mark.parametrize("format", ["PNG", "BMP", "GIF", "TIFF", "JPEG"])
def test_extreme_sizes(format, size):
    if format == "JPEG" and max(size) > 65500:
        pytest.skip("libjpeg stops at 65,500")
    image = Image.new("RGB", size, (200, 100, 50))
    levels = decode(save(image, format), "a", mode="RGB")
    assert levels.shape == (size[1], size[0], 3)
    assert np.abs(levels.astype(int) - (200, 100, 50)).max() <= 3


def test_the_limit_on_pixels():
    data = save(Image.new("L", (20, 10)), "PNG")
    assert decode(data, "a", mode="L", max_pixels=200).shape == (10, 20, 1)
    text = (
        "DataError[D105]: 'cat/1.png' is 20 x 10 = 0.0002 megapixels; the limit is 0.000199.\n"
        "  Fix: shrink it (magick IN -resize 4000x4000 OUT), or pass --bad=skip to leave it out (recorded in the run)."
    )
    assert fails(data, "D105", max_pixels=199) == text
    with pytest.raises(DataError) as caught:
        probe(data, "cat/1.png", 199)
    assert str(caught.value) == text
    assert MAX_PIXELS == 50_000_000 < Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"])
def test_pillows_own_limit_never_warns(format, monkeypatch):
    """It is a global that others may set, and its warning is an error here."""
    data = save(PHOTO, format)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)
    if format in ("TIFF", "WEBP"):
        assert "31 x 24 = 0.000744 megapixels; the limit is 0.0007." in fails(data, "D105")
    else:
        assert decode(data, "a", mode="RGB").shape == (24, 31, 3)


# Pixels that are decoded already


def test_arrays_are_put_into_the_mode():
    gray = RNG.integers(0, 256, (5, 4), dtype=np.uint8)
    for given_ in (gray, gray[:, :, None], np.asfortranarray(gray)):
        assert np.array_equal(decode(given_, "a", mode="L")[:, :, 0], gray)
        assert np.array_equal(decode(given_, "a", mode="RGB"), np.stack([gray] * 3, 2))
    colour = np.asarray(PHOTO)
    assert np.array_equal(decode(colour, "a", mode="RGB"), colour)
    assert np.array_equal(decode(colour[:, ::-1], "a", mode="L"), pillow(save(PHOTO, "PNG"), "L")[:, ::-1])
    assert all(decode(colour[:, ::-1], "a", mode=mode).flags.c_contiguous for mode in ("L", "RGB"))


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((2, 2), np.float32), "float32 with shape (2, 2)"),
        (np.zeros((2, 2), bool), "bool with shape (2, 2)"),
        (np.zeros((2, 2, 4), np.uint8), "uint8 with shape (2, 2, 4)"),
        (np.zeros((1, 2, 2, 3), np.uint8), "uint8 with shape (1, 2, 2, 3)"),
        (np.zeros(4, np.uint8), "uint8 with shape (4,)"),
        (np.zeros((0, 5), np.uint8), "uint8 with shape (0, 5)"),
    ],
)
def test_other_arrays_are_refused(array, found):
    assert fails(array, "D108", where="batch#17") == (
        f"DataError[D108]: 'batch#17' is an array of {found}; expected uint8 of shape (height, width), "
        "(height, width, 1) or (height, width, 3).\n"
        "  Fix: pixels = (pixels * 255).round().astype(np.uint8)  # if they run from 0 to 1"
    )


# Arguments, messages, threads


def test_other_modes_and_backgrounds_are_refused():
    with pytest.raises(ConfigError, match=r"ConfigError\[C202\]: mode cannot be 'CMYK'; expected one of L, RGB\."):
        decode(b"", "a", mode="CMYK")
    with pytest.raises(ConfigError, match=r"C202\]: background cannot be 256; expected a whole number from 0 to 255\."):
        decode(b"", "a", mode="L", background=256)


def test_names_in_messages_are_inert():
    assert "'cat/\\x1b[31m\\n.png' is not a picture" in fails(b"", "D103", where="cat/\x1b[31m\n.png")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "I;16B", "I", "F"])
def test_gray_modes(mode):
    assert is_gray(ImageInfo(1, 1, mode, "TIFF", 1))


@pytest.mark.parametrize("mode", ["P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_colour_modes(mode):
    assert not is_gray(ImageInfo(1, 1, mode, "TIFF", 1))


def test_threads_get_the_same_pixels():
    files = [save(PHOTO, format) for format in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP")] * 20
    wanted = [decode(data, "a", mode="RGB") for data in files]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda data: decode(data, "a", mode="RGB"), files))
    finally:
        sys.setswitchinterval(before)
    assert all(np.array_equal(a, b) for a, b in zip(wanted, found, strict=True))


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
    mode=st.sampled_from(["1", "L", "RGB", "P"]),
    orientation=st.integers(1, 8),
)
def test_lossless_formats_agree(width, height, seed, mode, orientation):
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(levels).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    one = decode(save(image, "PNG", exif=exif), "a", mode="RGB")
    assert np.array_equal(one, pillow(save(image, "PNG", exif=exif), "RGB"))
    assert np.array_equal(one, decode(save(image, "TIFF", exif=exif), "a", mode="RGB"))
    if orientation == 1:
        assert np.array_equal(one, decode(save(image, "BMP"), "a", mode="RGB"))
