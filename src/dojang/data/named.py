"""Data sets by name: found where they usually lie, told apart by their content, fetched only when asked.

MNIST and Fashion-MNIST have files of the same names, so a set is known by the MD5 of what its files hold, never by
where it lies. Nothing is downloaded unless the caller says so, and then only from the addresses below.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dojang.data import cifar, idx
from dojang.data.arrays import Part, assemble, read_file
from dojang.data.fetch import File, fetch
from dojang.data.manifest import Manifest
from dojang.errors import DataError, DojangError, did_you_mean, listing
from dojang.files import cache_folder

# where Debian's package dataset-fashion-mnist puts its files, in a folder of the set's name
SYSTEM = Path("/usr/share/datasets")


@dataclass(frozen=True)
class Named:
    """A data set that has a name.

    Args:
        title: As its authors write it.
        kind: How it is read: "idx", "cifar", or "sklearn" (comes with scikit-learn).
        files: As published.
        classes: The name of label 0, 1, ...
        mirrors: Addresses to which a file's name is added, tried in order.
        folders: Names under which people keep it.
        licence: What its authors say of its use.
        also: Another way to get it, for messages.
    """

    title: str
    kind: str
    classes: tuple[str, ...]
    licence: str
    files: tuple[File, ...] = ()
    mirrors: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    also: str = ""


def _idx_files(*facts: tuple[int, str, str]) -> tuple[File, ...]:
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return tuple(File(name + "-ubyte.gz", *fact) for name, fact in zip(names, facts, strict=True))


_DIGITS = tuple("0123456789")
_FASHION = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree
wolf woman worm
"""

NAMES: Mapping[str, Named] = {
    "digits": Named(
        title="scikit-learn's digits",
        kind="sklearn",
        classes=_DIGITS,
        licence="CC BY 4.0; E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998 (test part).",
    ),
    "mnist": Named(
        title="MNIST",
        kind="idx",
        classes=_DIGITS,
        licence="none stated; LeCun, Cortes, Burges, The MNIST database of handwritten digits.",
        files=_idx_files(
            (9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873", "6bbc9ace898e44ae57da46a324031adb"),
            (28_881, "d53e105ee54ea40749a09fcbcd1e9432", "a25bea736e30d166cdddb491f175f624"),
            (1_648_877, "9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"),
            (4_542, "ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"),
        ),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        folders=("mnist", "MNIST"),
    ),
    # the published files and Debian's differ in gzip's header alone (no name, another time): the content is equal
    "fashion-mnist": Named(
        title="Fashion-MNIST",
        kind="idx",
        classes=tuple(_FASHION.split(",")),
        licence="MIT; Xiao, Rasul, Vollgraf, Fashion-MNIST, arXiv:1708.07747.",
        files=_idx_files(
            (26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
            (29_515, "25c81989df183df01b3e8a0aad5dffbe", "9018921c3c673c538a1fc5bad174d6f9"),
            (4_422_102, "bef4ecab320f06d8554ea6380940ec79", "8181f5470baa50b63fa0f6fddb340f0a"),
            (5_148, "bb300cfdad3c16e7a12a480ee83cd310", "15d484375f8d13e6eb1aabb0c3f46965"),
        ),
        mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        folders=("fashion-mnist", "Fashion-MNIST", "FashionMNIST"),
        also="apt install dataset-fashion-mnist",
    ),
    "cifar10": Named(
        title="CIFAR-10",
        kind="cifar",
        classes=tuple(_CIFAR10.split()),
        licence="none stated; A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.",
        files=(File(cifar.CIFAR10.archive, 170_498_071, cifar.CIFAR10.archive_md5),),
        mirrors=("https://www.cs.toronto.edu/~kriz/",),
        folders=("cifar10", "CIFAR10", "CIFAR-10", "cifar-10"),
    ),
    "cifar100": Named(
        title="CIFAR-100",
        kind="cifar",
        classes=tuple(_CIFAR100.split()),
        licence="none stated; A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.",
        files=(File(cifar.CIFAR100.archive, 169_001_437, cifar.CIFAR100.archive_md5),),
        mirrors=("https://www.cs.toronto.edu/~kriz/",),
        folders=("cifar100", "CIFAR100", "CIFAR-100", "cifar-100"),
    ),
}


def open_named(name: str, data_root: str | Path | None = None, download: bool = False) -> Manifest:
    """A data set by its name; its rows, paths and order are the same wherever it was found.

    Looked in, in this order: ``data_root``, ``$DOJANG_DATA``, ``data/`` in dojang's cache folder, and where Debian
    puts its data sets; in each of them itself, a folder of the set's name, and torchvision's layouts.

    Args:
        name: One of :data:`NAMES`.
        data_root: A folder to look in first.
        download: Fetch the published files into the cache folder when they are nowhere.

    Raises:
        DataError: D118 when the set is unknown or is not found, D119 when it cannot be downloaded.

    Example:
        >>> NAMES["fashion-mnist"].classes[9]
        'Ankle boot'
    """
    if name not in NAMES:
        raise DataError(
            "D118",
            f"there is no data set named {name!r}.{did_you_mean(name, NAMES)}",
            context=f"Known: {listing(NAMES)}.",
        )
    named = NAMES[name]
    if named.kind == "sklearn":
        return _digits(name)
    reasons: list[str] = []
    for place in _places(data_root):
        manifest = _open_below(name, place, reasons)
        if manifest is not None:
            return manifest
    put = f"put {_what(named)} into {str(_places(data_root)[0] / name)!r}"
    if download:
        home = cache_folder() / "data" / name
        fetch(named.files, named.mirrors, home, advice=put + ".")
        manifest = _open_below(name, home, reasons)
        if manifest is not None:
            return manifest.replace(notes=(*manifest.notes, f"downloaded from {named.mirrors[0]}"))
    megabytes = sum(file.size for file in named.files) / 1e6
    raise DataError(
        "D118",
        f"{named.title} ({name!r}) is not on this machine, and nothing is downloaded unasked.",
        context=f"Looked in: {'; '.join(reasons)}.",
        fix=f"--download ({megabytes:.1f} MB from {named.mirrors[0]}), or {put}"
        + (f", or {named.also}." if named.also else "."),
    )


def _places(data_root: str | Path | None) -> list[Path]:
    given = [place for place in (data_root, os.environ.get("DOJANG_DATA")) if place]
    places = [Path(place).expanduser() for place in given] + [cache_folder() / "data", SYSTEM]
    return list(dict.fromkeys(places))


def _what(named: Named) -> str:
    names = listing(file.name for file in named.files)
    return names + (" (as it is; it is read in place)" if named.kind == "cifar" else "")


def _open_below(name: str, place: Path, reasons: list[str]) -> Manifest | None:
    """The set if it lies in a place or below; else None, and ``reasons`` gains why."""
    named, known = NAMES[name], len(reasons)
    if not os.path.isdir(place):
        reasons.append(f"{str(place)!r} (no such folder)")
        return None
    try:
        candidates = _candidates(name, place)
    except DojangError as error:
        reasons.append(error.what.rstrip("."))
        return None
    for found in candidates:
        try:
            manifest = _open_idx(name, found) if named.kind == "idx" else cifar.open_cifar(_layout(name), found, name)
            return manifest.replace(notes=(*manifest.notes, f"{named.title} was read from {str(found)!r}"))
        except DojangError as error:
            reasons.append(error.what.rstrip("."))
    if len(reasons) == known:
        reasons.append(f"{str(place)!r} (not there)")
    return None


def _candidates(name: str, place: Path) -> list[Path]:
    """Where in a place the set's files seem to lie; another set's files may bear the same names."""
    found = []
    for base in (place, *(place / folder for folder in NAMES[name].folders)):
        if NAMES[name].kind == "cifar":
            found.append(cifar.place_of(_layout(name), base))
        else:
            found += [folder for folder in idx.places_below(base) if idx.file_names(folder)]
    return list(dict.fromkeys(path for path in found if path is not None))


def _layout(name: str) -> cifar.Layout:
    return {"cifar10": cifar.CIFAR10, "cifar100": cifar.CIFAR100}[name]


def _open_idx(name: str, folder: Path) -> Manifest:
    """The set, sure to be the published one: each file's content has the published MD5."""
    named = NAMES[name]
    roles, notes = idx.roles_in(folder)
    arrays = {}
    for file in named.files:
        role = idx.role_of(file.name)
        path = roles.get(role) if role else None
        if path is None:
            raise DataError("D117", f"{str(folder)!r} does not hold {file.name}.")
        data = idx.content(read_file(path), str(path))
        got = hashlib.md5(data, usedforsecurity=False).hexdigest()
        if got != file.content_md5:
            others = [other.title for other in NAMES.values() if got in {known.content_md5 for known in other.files}]
            what = f"is {others[0]}'s" if others else f"has the content MD5 {got}, expected {file.content_md5}"
            raise DataError("D118", f"{str(path)!r} is not {named.title}'s: it {what}.")
        arrays[file.name] = idx.read_idx(data, str(path))
    parts = [
        Part(images.name, split, idx.as_pictures(arrays[images.name], images.name), arrays[labels.name])
        for split, images, labels in zip(("train", "test"), named.files[::2], named.files[1::2], strict=True)
    ]
    return assemble(name, parts, named.classes, notes)


def _digits(name: str) -> Manifest:
    # 1.7 seconds that only this set has to pay
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * 255 / 16).astype(np.uint8)  # (1797, 8, 8)
    note = "pixel values 0..16 were scaled to 0..255: round(v * 255 / 16)"
    return assemble(name, [Part("digits", "", pixels, digits.target)], NAMES[name].classes, [note])
