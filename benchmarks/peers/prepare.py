"""Lay the data out as the peers want it: torchvision's files, and folders of PNG pictures.

    python benchmarks/peers/prepare.py --data-root DATA --out PREPARED [--datasets mnist ...]

The pictures are dojang's own (the published files, every digest checked), written without loss.  None of this is timed.
``folders/SET/val`` holds 200 of the training pictures again, for a trainer that insists on some; they choose nothing.
"""

from __future__ import annotations

import argparse
import os
import struct
from pathlib import Path

import numpy as np
from entrant import DATASETS
from PIL import Image

from dojang.data import cifar
from dojang.data.manifest import Manifest
from dojang.data.named import NAMES, open_named

_VAL = 200


def pixels_of(manifest: Manifest, rows: np.ndarray) -> np.ndarray:
    """The pictures of these rows, uint8 (n, h, w) or (n, h, w, c)."""
    return np.stack([np.asarray(manifest.source.read(manifest.paths[row])) for row in rows])


def idx(array: np.ndarray) -> bytes:
    """An array of bytes in MNIST's format."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def torchvision_files(dataset: str, manifest: Manifest, data_root: Path, out: Path) -> None:
    """What torchvision's class looks for."""
    if NAMES[dataset].kind == "cifar":
        places = [place for place in (data_root / dataset, data_root) if cifar.place_of(cifar.CIFAR10, place)]
        source = (cifar.place_of(cifar.CIFAR10, places[0]) if places else None) or Path()
        if not source.is_dir() or not places:
            raise SystemExit(f"{dataset}: unpack {cifar.CIFAR10.folder}/ in {str(data_root)!r}; torchvision needs it.")
        out.mkdir(parents=True, exist_ok=True)
        link = out / cifar.CIFAR10.folder
        if not link.exists():
            os.symlink(source.absolute(), link)
        return
    folder = out / DATASETS[dataset].name / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    for split, word in (("train", "train"), ("test", "t10k")):
        rows = manifest.rows(split)
        pixels = pixels_of(manifest, rows)
        (folder / f"{word}-images-idx3-ubyte").write_bytes(idx(pixels.reshape(pixels.shape[:3])))
        (folder / f"{word}-labels-idx1-ubyte").write_bytes(idx(manifest.targets[rows]))


def folders(manifest: Manifest, out: Path) -> None:
    """A folder a part, in it a folder a class, in it a file a picture."""
    targets = manifest.targets  # computed at each call
    for split in ("train", "val", "test"):
        rows = manifest.rows("train")[:_VAL] if split == "val" else manifest.rows(split)
        for label in range(len(manifest.classes)):
            (out / split / str(label)).mkdir(parents=True, exist_ok=True)
        for number, row in enumerate(rows):
            pixels = np.asarray(manifest.source.read(manifest.paths[row]))
            pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
            path = out / split / str(targets[row]) / f"{number:05d}.png"
            Image.fromarray(pixels).save(path, compress_level=1)


def prepare(dataset: str, data_root: Path, out: Path) -> None:
    """Both layouts of one set; nothing is done again where it is done."""
    done = out / f"{dataset}.done"
    if done.exists():
        return
    manifest = open_named(dataset, data_root)
    torchvision_files(dataset, manifest, data_root, out / "torchvision")
    folders(manifest, out / "folders" / dataset)
    done.touch()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True, help="where dojang finds the sets by name")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--datasets", nargs="*", choices=tuple(DATASETS), default=list(DATASETS))
    options = parser.parse_args()
    for dataset in options.datasets:
        prepare(dataset, options.data_root, options.out)
        print(f"{dataset}: {options.out}")


if __name__ == "__main__":
    main()
