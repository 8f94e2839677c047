"""From a manifest to everything that training needs of its pictures: inspect, split, decode, measure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice, pairwise

import numpy as np

from dojang import files
from dojang.data import leaks, split
from dojang.data.ahead import in_order
from dojang.data.decode import ImageInfo, Walked, described, is_gray, look_through, opened, probe
from dojang.data.manifest import Manifest
from dojang.data.options import DataOptions
from dojang.data.preprocess import Preprocess
from dojang.data.statistics import statistics
from dojang.data.store import Store, build
from dojang.errors import ConfigError, DataError, listing, many
from dojang.garbage import unsearched

# the margin around the central cut of a photograph, as the ImageNet networks have it
_MARGIN = 256 / 224
# encoded files that are kept between the two passes: as good as all of a small set, and no burden on any machine
_HELD, _HELD_EACH = 128 * 2**20, 2**20
# of an opened image beside its file
_OPENED = 2**14
# so many files are looked at first; where one of them usually takes under so many seconds, there is nothing to wait
# for but the interpreter, and threads would only wait for each other
_TRIED, _AT_ONCE = 32, 3e-4

Tick = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Prepared:
    """Pictures ready for a network.

    Args:
        manifest: Split, with digests; its rows are the store's.
        store: The pictures.
        preprocess: What was done and is to be done to each.
        bad: What could not be read, by path; not in the manifest.
        notes: What is to be said of it, one plain sentence each.
    """

    manifest: Manifest
    store: Store
    preprocess: Preprocess
    bad: dict[str, DataError]
    notes: tuple[str, ...] = ()


@unsearched()
def prepare(
    manifest: Manifest,
    options: DataOptions,
    *,
    seed: int,
    default_size: int,
    threads: int,
    preprocess: Preprocess | None = None,
    trained: Preprocess | None = None,
    assign: bool = True,
    tick: Tick = lambda stage, done, total: None,
) -> Prepared:
    """Read, split and decode the pictures of a manifest.

    Args:
        manifest: From :func:`dojang.data.scan.find`.
        seed: Of the split.
        default_size: Height and width for pictures that are neither small nor of one size.
        threads: That read and decode.
        preprocess: That of trained weights; None finds one that suits the training part.
        trained: That of weights from which training starts: with ``--normalize weights`` its mean and deviation stay.
        assign: Set pictures apart for val and test where the data does not say; False takes the splits as they are.
        tick: Called with the stage ("reading" or "decoding"), the pictures done and their number.

    Raises:
        DataError: D104 when no picture, or none to train on, can be read; those of :func:`dojang.data.leaks.check` and
            :func:`dojang.data.split.assign`.
    """
    if len(manifest) and isinstance(manifest.source.read(manifest.paths[0]), np.ndarray):
        # pixels need no decoder: threads would only wait for each other
        threads = 0
    held: dict[str, Walked] = {}
    count = len(manifest)
    manifest, infos, bad = inspect(manifest, options.max_pixels, threads, lambda n: tick("reading", n, count), held)
    if not infos:
        raise bad_pictures(bad, len(bad), "")
    # trained weights are scored as they are; what is about to be trained must be able to be scored
    notes = leaks.check(manifest, allow=options.allow_leak) if preprocess is None else ()
    if assign:
        manifest = split.assign(manifest, val=options.val, test=options.test, seed=seed)
    chosen = preprocess or _choose([infos[row] for row in manifest.rows("train")], options, default_size)
    sizes = np.array([(info.height, info.width) for info in infos])
    reductions = np.ones(len(infos), np.int64)
    # weights that are trained already are scored: on every pixel, as they answer
    if options.scaled_decoding and preprocess is None:
        for row in manifest.rows("train"):
            if infos[row].format in ("JPEG", "MPO"):
                reductions[row] = chosen.reduction(infos[row].height, infos[row].width)
        if reduced := int((reductions > 1).sum()):
            notes += (
                f"decoding {many(reduced, 'training JPEG')} at 1/2, 1/4 or 1/8 (--no-scaled-decoding decodes all)",
            )
    total = len(manifest)
    built = build(
        manifest,
        sizes,
        chosen,
        reductions=reductions,
        held=held,
        place=options.store,
        threads=threads,
        tick=lambda n: tick("decoding", n, total),
    )
    bad |= built.bad
    nothing = len(built.manifest) == 0 or (preprocess is None and not len(built.manifest.rows("train")))
    if bad and nothing:
        raise bad_pictures(bad, len(bad) + len(built.manifest), "")
    if preprocess is None:
        if options.normalize == "weights":
            mean, std = _of_weights(trained, chosen.channels)
        else:
            mean, std = statistics(built.store, built.manifest.rows("train"), chosen, options.normalize)
        chosen = replace(chosen, mean=mean, std=std)
    return Prepared(built.manifest, built.store, chosen, bad, notes)


def inspect(
    manifest: Manifest,
    max_pixels: int,
    threads: int,
    tick: Callable[[int], None],
    held: dict[str, Walked] | None = None,
) -> tuple[Manifest, list[ImageInfo], dict[str, DataError]]:
    """Digest and header of every row; rows without a readable header are left out and explained.

    Args:
        held: Takes the first files, up to a bounded number of bytes, so that they need not be read and walked again.
    """
    room = _HELD

    def one(path: str) -> tuple[str, ImageInfo, Walked | None] | DataError:
        try:
            data = manifest.source.read(path)
            if isinstance(data, bytes):
                walked = opened(look_through(data, path, max_pixels), path)
                kept = walked if len(data) <= _HELD_EACH else None
                return files.sha256(data), probe(walked, path), kept
            return files.sha256(np.ascontiguousarray(data).data), described(data), None
        except DataError as error:
            return error

    digests, infos, good = [], [], []
    bad: dict[str, DataError] = {}
    paths = iter(manifest.paths)
    first, moments = [], [time.perf_counter()]
    for path in islice(paths, _TRIED):
        first.append(one(path))
        moments.append(time.perf_counter())
    # the usual one: the first of all may load code, and the disk may have to wake up
    if first and sorted(b - a for a, b in pairwise(moments))[len(first) // 2] < _AT_ONCE:
        threads = 0
    for row, found in enumerate(chain(first, in_order(one, paths, threads, together=16))):
        if isinstance(found, DataError):
            bad[manifest.paths[row]] = found
        else:
            digests.append(found[0])
            infos.append(found[1])
            good.append(row)
            walked = found[2]
            if held is not None and walked is not None and room > 0:
                held[manifest.paths[row]] = walked
                room -= len(walked.container.pixels) + _OPENED
        tick(row + 1)
    kept = manifest.keep(np.array(good, dtype=np.int64)) if bad else manifest
    return kept.replace(digests=tuple(digests)), infos, bad


def bad_pictures(bad: Mapping[str, DataError], total: int, full_list: str, *, fix: str = "") -> DataError:
    """The one error for all pictures that cannot be read; ``fix`` where there is no --bad."""
    first = next(iter(bad.values()))
    return DataError(
        "D104",
        f"{len(bad):,} of {total:,} images cannot be decoded, e.g. {first.what}",
        context=f"Full list: {full_list}." if full_list else f"They are: {listing(bad, most=3)}.",
        fix=fix or "repair them, or pass --bad=skip to leave them out (recorded in the run).",
    )


def _of_weights(trained: Preprocess | None, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation with which weights were trained; a grey picture is each of three colours."""
    if trained is None:
        raise ConfigError("C204", "--normalize weights is for weights to start from.", fix="--pretrained, too.")
    if len(trained.mean) == channels:
        return trained.mean, trained.std
    mean, std = (sum(values) / len(values) for values in (trained.mean, trained.std))
    return (mean,) * channels, (std,) * channels


def _choose(infos: list[ImageInfo], options: DataOptions, default_size: int) -> Preprocess:
    """What suits the training pictures: their own size when it is small and common, grey when all are grey."""
    sizes = {(info.height, info.width) for info in infos}
    common = next(iter(sizes)) if len(sizes) == 1 else None
    small = common is not None and max(common) <= 64
    if options.imgsz is not None:
        height = width = options.imgsz
    else:
        height, width = common if common and small else (default_size, default_size)
    return Preprocess(
        mode="L" if all(is_gray(info) for info in infos) else "RGB",
        height=height,
        width=width,
        resize=1.0 if small or options.fit == "pad" else _MARGIN,
        fit=options.fit,
        interpolation=options.interpolation,
        background=options.background,
        max_pixels=options.max_pixels,
        permute_pixels=options.permute_pixels,
    )
