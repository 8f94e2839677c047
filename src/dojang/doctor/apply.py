"""A plan carried out into a new folder: what stays is copied, what goes is not, the data is only read.

The folder is filled under the name ``NEW.unfinished`` and gets its own when all is there. The plan lies beside it, as
``NEW.plan.csv``, from the first moment: with the same plan a second run goes on where one was killed.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from dojang import files, folders
from dojang.data.ahead import in_order
from dojang.data.decode import MAX_PIXELS, decode, is_gray, probe
from dojang.data.manifest import Manifest, pasted, plain
from dojang.doctor.places import folder_of
from dojang.doctor.plan import Line, Plan, check, encoding
from dojang.errors import ConfigError, DataError

Tick = Callable[[str, int, int], None]


def record_of(out: str | os.PathLike[str]) -> Path:
    """Where the plan of a new folder lies: beside it.

    >>> record_of("photos").name
    'photos.plan.csv'
    """
    out = Path(out)
    return out.with_name(f"{out.name}.plan.csv")


def outside(path: str | Path, manifest: Manifest, flag: str) -> None:
    """Refuse to write into the data, or around it.

    Raises:
        ConfigError: C244.
    """
    data, place = folder_of(manifest), Path(path).resolve()
    if data is None:
        return
    data = data.resolve()
    if place.is_relative_to(data) or data.is_relative_to(place):
        how = "is" if place == data else "lies inside" if place.is_relative_to(data) else "holds"
        raise ConfigError(
            "C244",
            f"{flag} {os.fspath(path)!r} {how} the data {manifest.source.name!r}.",
            context="dojang never writes into the folder of your pictures.",
            fix=f"{flag} {pasted(str(data.parent / (data.name + '-clean' + Path(path).suffix)))}",
        )


def copy_to(
    manifest: Manifest,
    plan: Plan,
    out: str | Path,
    *,
    threads: int = 0,
    max_pixels: int = MAX_PIXELS,
    tick: Tick = lambda stage, done, total: None,
) -> Path:
    """Make the new folder that a plan describes.

    Args:
        out: A folder that is not there yet.
        threads: That read and encode.
        tick: Called with "writing", the pictures done and their number.

    Returns:
        The record: the plan beside the new folder.

    Raises:
        ConfigError: C202 where there is something at ``out``, C244 where it lies inside the data.
        DataError: D151 to D153 and D156 for plans that do not fit; D160 where another plan is half carried out there;
            D102 and its kin for a picture that cannot be encoded.
        ResourceError: R401 when the disk is full; a second run then goes on.
    """
    check(plan, manifest.paths)
    begin(out, manifest, plan)
    half = folders.unfinished(out)
    lines = plan.staying

    def one(line: Line) -> tuple[Line, bytes]:
        return line, content(manifest, line, max_pixels)

    for done, (line, data) in enumerate(in_order(one, lines, threads), 1):
        target = files.safe_join(half, line.to)
        # there already where a run was killed; its last files may be torn
        if not (target.is_file() and files.sha256_of(target) == files.sha256(data)):
            files.write_bytes(target, data, flush=False)
        tick("writing", done, len(lines))
    folders.finish(out)
    return record_of(out)


def begin(out: str | Path, manifest: Manifest, plan: Plan) -> None:
    """Write the record and make the unfinished folder, or find both as a killed run left them."""
    outside(out, manifest, "--out")
    files.must_be_new(out, fix="--out NEW", flag="--out")
    half, record = folders.unfinished(out), record_of(out)
    text = plan.to_csv()
    if os.path.lexists(half) or os.path.lexists(record):
        if not record.is_file() or files.read_text(record) != text:
            there = half if os.path.lexists(half) else record
            raise DataError(
                "D160",
                f"{str(there)!r} is there, of another plan than this one.",
                context="Nothing is overwritten; with the same plan dojang would go on with it.",
                fix=f"move it elsewhere, or --out another; to go on: --plan {pasted(str(record))} --apply",
            )
        folders.clear_temporaries(half)
    else:
        files.write_text(record, text)
    folders.make_folder(half)


def content(manifest: Manifest, line: Line, max_pixels: int = MAX_PIXELS) -> bytes:
    """The bytes that a picture will have: its own, sure to be those that the plan was made of, or encoded anew.

    Raises:
        DataError: D151 where the picture has changed; D102 and its kin where it cannot be encoded.
    """
    data = manifest.source.read(line.path)
    if not isinstance(data, bytes):
        raise TypeError(f"{line.path} is no file")
    if line.sha256 and files.sha256(data) != line.sha256.strip().lower():
        raise changed(line.path)
    return encoded(data, line.path, line.action, max_pixels)


def changed(path: str) -> DataError:
    """The error for a picture that is not what it was when the plan was made."""
    return DataError(
        "D151",
        f"{plain(path)} has changed since the plan was made: its SHA-256 is another.",
        fix="make a new plan: dojang clean DATA ... --plan NEW.csv",
    )


def encoded(data: bytes, path: str, action: str, max_pixels: int = MAX_PIXELS) -> bytes:
    """A picture as dojang sees it, upright and 8 bits deep, as PNG or JPEG; or its own bytes for "keep".

    Raises:
        DataError: As :func:`dojang.data.decode.decode`.
    """
    how = encoding(action)
    if how is None:
        return data
    mode = "L" if is_gray(probe(data, path, max_pixels)) else "RGB"
    levels = decode(data, path, mode=mode, max_pixels=max_pixels)
    file = io.BytesIO()
    image = Image.fromarray(levels[:, :, 0] if mode == "L" else levels)
    options = {"compress_level": 6} if how[0] == "png" else {"quality": how[1]}
    image.save(file, how[0].upper(), **options)
    return file.getvalue()
