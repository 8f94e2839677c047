"""The options of the data room."""

from __future__ import annotations

from dataclasses import dataclass

from dojang.recipe import option


@dataclass(frozen=True)
class DataOptions:
    """Where pictures come from, how they are split, and how they become arrays."""

    data_root: str | None = option(None, "folder to look in for data sets by name", aliases=("data_dir",))
    download: bool = option(False, "fetch a data set by name, and official weights, where this machine has none")
    val: float | str | None = option(
        None, "pictures for validation: a share, a count, or none", low=0, choices=("none",), metavar="SHARE|N|none"
    )
    test: float | None = option(None, "test pictures of data without a test part: a share or a count", low=0)
    splits: str | None = option(
        None, "a splits.csv that says which picture is in which split (dojang split)", metavar="FILE"
    )
    allow_leak: bool = option(False, "train although val or test hold training pictures (recorded, said by the scores)")
    bad: str = option("stop", "pictures that cannot be read: stop, or skip and record", choices=("stop", "skip"))
    imgsz: int | None = option(
        None, "height and width the network sees", aliases=("img_size", "image_size"), low=1, high=4096
    )
    fit: str = option("crop", "pictures that are not square: crop the centre, or pad", choices=("crop", "pad"))
    interpolation: str = option("bilinear", "resizing by Pillow", choices=("bilinear", "bicubic"))
    background: int = option(255, "grey level behind transparent pixels and beside padded pictures", low=0, high=255)
    max_pixels: int = option(50_000_000, "larger pictures are refused before they are decoded", low=1)
    normalize: str = option(
        "train",
        "mean and deviation: of the training part, of ImageNet, those of pretrained weights, or none",
        choices=("train", "imagenet", "weights", "none"),
    )
    flip: str | None = option(
        None,
        "mirror training pictures at random (photographs: horizontal), or alternately every other epoch",
        aliases=("hflip",),
        choices=("none", "horizontal", "alternating", "vertical", "both"),
    )
    crop_padding: int = option(0, "pad training pictures by N pixels, then crop at random", low=0)
    crop_fill: str = option("black", "what training pictures are padded with", choices=("black", "reflect"))
    train_crop: str = option("random", "where larger pictures are cropped in training", choices=("random", "center"))
    sampler: str = option(
        "shuffle",
        "shuffle: each training picture once an epoch; balanced: every class as often as any other",
        choices=("shuffle", "balanced"),
    )
    scaled_decoding: bool = option(
        True, "decode training JPEGs of at least 4 times the size that is kept at 1/2, 1/4 or 1/8"
    )
    store: str = option("auto", "where decoded pictures are kept", choices=("auto", "memory", "disk"))
    workers: int | None = option(None, "threads that assemble batches", aliases=("num_workers",), low=0, high=256)
