"""A prepared set saved: pictures as a network sees them in validation, with their labels, for any tool.

As folders of PNG, as one npz, or as IDX files. All three are read back by dojang as the same pixels and labels.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from dojang import files, folders
from dojang.data import idx
from dojang.data.layout import unfit
from dojang.data.manifest import SPLITS, Manifest, folded, plain
from dojang.data.options import DataOptions
from dojang.data.prepare import Prepared, bad_pictures, prepare
from dojang.errors import ConfigError, DataError, listing

FORMATS = ("folders", "npz", "idx")
# what MNIST calls them
_IDX = {"train": "train", "val": "val", "test": "t10k", "": "train"}

Tick = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Exported:
    """What came of it.

    Args:
        out: A folder, or a file for npz.
        counts: Pictures by split and class.
        height, width, channels: Of every picture.
        left_out: Pictures that could not be read, with --bad skip.
    """

    out: str
    counts: dict[str, dict[str, int]]
    height: int
    width: int
    channels: int
    left_out: tuple[str, ...] = ()


def export(
    manifest: Manifest,
    options: DataOptions,
    out: str | Path,
    format: str,
    *,
    seed: int = 0,
    default_size: int = 128,
    threads: int = 0,
    tick: Tick = lambda stage, done, total: None,
) -> Exported:
    """Save the pictures of a manifest as a network would see them.

    Data that brings no splits is divided where ``--val``, ``--test`` or ``--splits`` say how, else not at all.

    Args:
        out: A folder that is not there yet; for "npz" a file.
        format: One of :data:`FORMATS`.
        seed: Of a division that is asked for.
        default_size: Height and width for pictures that are neither small nor of one size, without --imgsz.
        threads: That read and decode.
        tick: Called with the stage, the pictures done and their number.

    Raises:
        ConfigError: C202 for another format, or where there is something at ``out``.
        DataError: D104 where pictures cannot be read; D162 for pictures or classes that a format cannot hold.
        ResourceError: R401 when the disk is full.
    """
    if format not in FORMATS:
        raise ConfigError("C202", f"--format cannot be {format!r}; expected {', '.join(FORMATS)}.")
    files.must_be_new(out, fix="--out NEW", flag="--out")
    divided = _divided(manifest, options)
    whole = replace(options, scaled_decoding=False, normalize="none")
    # prepare looks for a training part to see what the pictures are like
    all_train = not divided and not any(manifest.splits)
    given = manifest.replace(splits=("train",) * len(manifest)) if all_train else manifest
    made = prepare(given, whole, seed=seed, default_size=default_size, threads=threads, assign=divided, tick=tick)
    if made.bad and options.bad == "stop":
        raise bad_pictures(made.bad, len(manifest), "")
    if all_train:
        made = replace(made, manifest=made.manifest.replace(splits=("",) * len(made.manifest)))
    shape = made.preprocess.height, made.preprocess.width, made.preprocess.channels
    {"folders": _folders, "npz": _npz, "idx": _idx}[format](made, Path(out), tick)
    return Exported(str(out), made.manifest.counts(), *shape, tuple(made.bad))


def _divided(manifest: Manifest, options: DataOptions) -> bool:
    """Whether the user asked for a division of what has none."""
    return options.splits is None and (options.val is not None or options.test is not None)


def _pictures(made: Prepared, rows: np.ndarray) -> Iterator[np.ndarray]:
    """The central cuts, uint8 (h, w) or (h, w, 3)."""
    height, width = made.preprocess.height, made.preprocess.width
    for row in rows.tolist():
        kept = made.store.picture(row)
        top, left = made.preprocess.centre(*kept.shape[:2])
        cut = kept[top : top + height, left : left + width]
        yield cut[:, :, 0] if made.preprocess.channels == 1 else cut


def _block(made: Prepared, rows: np.ndarray) -> np.ndarray:
    shape = (made.preprocess.height, made.preprocess.width, *((3,) if made.preprocess.channels == 3 else ()))
    block = np.empty((len(rows), *shape), np.uint8)
    for place, picture in enumerate(_pictures(made, rows)):
        block[place] = picture
    return block


def _parts(manifest: Manifest) -> Iterator[tuple[str, np.ndarray]]:
    for split in ("", *SPLITS):
        rows = manifest.rows(split)
        if len(rows):
            yield split, rows


def _npz(made: Prepared, out: Path, tick: Tick) -> None:
    arrays = {}
    for split, rows in _parts(made.manifest):
        end = f"_{split}" if split else ""
        arrays[f"x{end}"] = _block(made, rows)
        arrays[f"y{end}"] = made.manifest.targets[rows]
    arrays["classes"] = np.array(made.manifest.classes)
    files.write_npz(out, arrays)


def _idx(made: Prepared, out: Path, tick: Tick) -> None:
    classes = made.manifest.classes
    if made.preprocess.channels != 1:
        raise _cannot("IDX files hold grey pictures, and these have colours", "--format npz, or --format folders")
    if len(classes) > 256:
        raise _cannot(f"IDX labels are bytes, and there are {len(classes):,} classes", "--format npz")
    broken = [name for name in classes if len(name.splitlines()) != 1]
    if broken:
        raise _cannot(f"{idx.CLASSES} has a name a line, and {broken[0]!r} has a line break or nothing", "--format npz")
    half = folders.unfinished(out)
    files.must_be_new(half, fix="move it elsewhere, or --out another")
    for split, rows in _parts(made.manifest):
        pixels = _block(made, rows)
        targets = made.manifest.targets[rows].astype(np.uint8)
        for name, values in (("images-idx3", pixels), ("labels-idx1", targets)):
            with files.writing(half / f"{_IDX[split]}-{name}-ubyte", flush=False) as file:
                file.write(idx.header(values))
                file.write(np.ascontiguousarray(values).data)
    files.write_text(half / idx.CLASSES, "".join(f"{name}\n" for name in classes))
    folders.finish(out)


def _folders(made: Prepared, out: Path, tick: Tick) -> None:
    for name in made.manifest.classes:
        if problem := unfit(name):
            raise _cannot(f"the class {name!r} cannot be a folder: {problem}", "--format npz")
    half = folders.unfinished(out)
    files.must_be_new(half, fix="move it elsewhere, or --out another")
    names = _names(made.manifest)
    count = len(made.manifest)
    for row, picture in enumerate(_pictures(made, np.arange(count))):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG", compress_level=6)
        files.write_bytes(files.safe_join(half, names[row]), file.getvalue(), flush=False)
        tick("writing", row + 1, count)
    folders.finish(out)


def _names(manifest: Manifest) -> list[str]:
    """split/class/name.png of every row: its own name where that is free in any spelling, else one with a number.

    >>> from dojang.data.pairs import from_pairs
    >>> dots = from_pairs([(np.zeros((1, 1), np.uint8), "on")] * 3)
    >>> _names(dots.replace(paths=("on/A.jpg", "on/a.png", "on/a-000001.jpg")))
    ['on/A.png', 'on/a-000001-000001.png', 'on/a-000001.png']
    """
    own = []
    for row, (path, (label,), split) in enumerate(zip(manifest.paths, manifest.labels, manifest.splits, strict=True)):
        folder = f"{split}/{manifest.classes[label]}" if split else manifest.classes[label]
        name = path.rpartition("/")[2]
        own.append(f"{folder}/{f'{row:06}' if '#' in name else name.rpartition('.')[0]}")
    # what is added to one name may make it that of another
    forms, taken = {folded(name) for name in own}, set[str]()
    found = []
    for row, name in enumerate(own):
        form = folded(name)
        while form in taken or (name != own[row] and form in forms):
            name += f"-{row:06}"
            form = folded(name)
        taken.add(form)
        found.append(f"{name}.png")
    return found


def _cannot(what: str, fix: str) -> DataError:
    return DataError("D162", f"cannot be saved so: {what}.", fix=fix)


def words(exported: Exported) -> Iterator[str]:
    """What is to be said."""
    colours = "grey" if exported.channels == 1 else "RGB"
    yield f"made  {exported.out}: pictures of {exported.width} x {exported.height}, {colours}"
    for split, classes in exported.counts.items():
        full = sum(1 for n in classes.values() if n)
        yield f"{sum(classes.values()):>9,}  {split or 'all'}, {full:,} classes"
    if exported.left_out:
        yield f"{len(exported.left_out):>9,}  left out, not readable: {listing(map(plain, exported.left_out), most=2)}"
