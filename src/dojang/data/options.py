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
    permute_pixels: bool = option(
        False, "put every picture's pixels in one fixed order, the same for all: then nothing has neighbours"
    )
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


@dataclass(frozen=True)
class AugmentOptions:
    """What is changed in training pictures, anew in every epoch; validation and test never see it."""

    augment: str | None = option(
        None,
        "a policy, which gives the options below; auto goes by the number of pictures; by default what the model has",
        aliases=("augmentation",),
        choices=("none", "light", "notes", "strong", "auto"),
    )
    flip: str | None = option(
        None,
        "mirror training pictures at random (photographs: horizontal), or alternately every other epoch",
        aliases=("hflip",),
        choices=("none", "horizontal", "alternating", "vertical", "both"),
    )
    crop_padding: int = option(0, "pad training pictures by N pixels, then crop at random", low=0)
    crop_fill: str = option("black", "what training pictures are padded with", choices=("black", "reflect"))
    train_crop: str = option(
        "random",
        "where larger pictures are cropped in training; resized: a random part of each, brought to size",
        choices=("random", "center", "resized"),
    )
    crop_scale: float = option(0.35, "smallest part that resized takes, as a share of the area", above=0, high=1)
    degrees: float = option(0.0, "turn by up to so many degrees, either way", aliases=("rotate",), low=0, high=180)
    translate: float = option(0.0, "move by up to this share of the sides", low=0, high=1)
    zoom: float = option(0.0, "enlarge or shrink by up to this share", low=0, high=0.9)
    shear: float = option(0.0, "slant by up to so many degrees, along both axes", low=0, high=80)
    random_ops: str = option(
        "none",
        "operations drawn at random: RandAugment, or TrivialAugment, which has nothing to choose",
        aliases=("auto_augment", "aa"),
        choices=("none", "randaugment", "trivialaugment"),
    )
    ops_count: int = option(2, "operations a picture, with randaugment", low=1, high=10)
    ops_strength: int = option(9, "their strength, with randaugment", low=0, high=30)
    brightness: float = option(0.0, "make brighter or darker by up to this share", low=0, high=1)
    contrast: float = option(0.0, "the same of the contrast", low=0, high=1)
    saturation: float = option(0.0, "the same of the colours", low=0, high=1)
    hue: float = option(0.0, "turn the hues by up to this share of the circle", low=0, high=0.5)
    grey: float = option(0.0, "probability of taking the colours away", aliases=("grayscale",), low=0, high=1)
    blur: float = option(0.0, "probability of a Gaussian blur", low=0, high=1)
    noise: float = option(0.0, "deviation of Gaussian noise, black to white being 1", low=0, high=1)
    erase: float = option(
        0.0, "probability of blanking out a rectangle", aliases=("erasing", "random_erase", "reprob"), low=0, high=1
    )
    cutout: int = option(0, "blank out a square of N pixels a side", low=0)
    mixup: float = option(0.0, "alpha of mixup: two pictures laid on each other, and their labels; 0 is off", low=0)
    cutmix: float = option(0.0, "alpha of CutMix: a rectangle from another picture, and of its label", low=0)
    mix_prob: float = option(1.0, "probability with which a picture is mixed", low=0, high=1)
