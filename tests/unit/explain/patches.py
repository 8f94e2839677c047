"""A network that was taught where to look: patches with a pattern on noise, whose places are known."""

from __future__ import annotations

import functools

import numpy as np
import torch
import torch.nn.functional as F

from dojang.data.preprocess import Preprocess
from dojang.models.build import build
from dojang.models.cnn import CNN, CNNConfig
from dojang.predict.predictor import Predictor

SIDE, PATCH = 40, 12
LABELS = ("down", "across", "dots")
PREPROCESS = Preprocess("L", SIDE, SIDE, mean=(0.45,), std=(0.2,))


def pattern(kind: int, side: int = PATCH) -> np.ndarray:
    """Stripes down, stripes across, or dots: uint8 (side, side)."""
    down, across = np.indices((side, side)) // 2 % 2
    return np.uint8(255) * np.stack([across, down, across ^ down])[kind].astype(np.uint8)


def planted(kind: int, corner: tuple[int, int], size: tuple[int, int] = (SIDE, SIDE), seed: int = 0) -> np.ndarray:
    """Noise with a patch on it: uint8 (h, w)."""
    picture = np.random.default_rng(seed).integers(60, 160, size, dtype=np.uint8)
    top, left = corner
    picture[top : top + PATCH, left : left + PATCH] = pattern(kind)
    return picture


def draws(n: int, seed: int) -> list[tuple[np.ndarray, int, tuple[int, int]]]:
    """Pictures, the kinds and the corners of their patches."""
    draw = np.random.default_rng(seed)
    found = []
    for number in range(n):
        kind, top, left = (int(one) for one in draw.integers(0, (3, SIDE - PATCH + 1, SIDE - PATCH + 1)))
        found.append((planted(kind, (top, left), seed=seed + 1 + number), kind, (top, left)))
    return found


def mask(corner: tuple[int, int], size: tuple[int, int] = (SIDE, SIDE), side: int = PATCH) -> np.ndarray:
    """Where a patch is: bool (h, w)."""
    found = np.zeros(size, bool)
    found[corner[0] : corner[0] + side, corner[1] : corner[1] + side] = True
    return found


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union."""
    return float((first & second).sum() / (first | second).sum())


@functools.cache
def taught() -> Predictor:
    """A predictor that tells the patterns apart; no test changes it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        net = CNN(1, 3, (SIDE, SIDE), CNNConfig(conv_dims=(8, 16, 16), hidden_dims=(), global_pool=True))
    some = draws(480, 7)
    images = PREPROCESS.normalise(torch.from_numpy(np.stack([picture for picture, _, _ in some])[..., None]))
    targets = torch.tensor([kind for _, kind, _ in some])
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    net.train()
    for step in range(60):
        rows = torch.arange(step * 48, step * 48 + 48) % 480
        optimizer.zero_grad()
        F.cross_entropy(net(images[rows]), targets[rows]).backward()
        optimizer.step()
    torch.set_num_threads(threads)
    return Predictor(net, LABELS, PREPROCESS)


def untaught(name: str, size: tuple[int, int], channels: int = 3, seed: int = 0) -> Predictor:
    """A predictor with fresh weights, and running statistics that are not 0 and 1."""
    net = build(name, in_channels=channels, classes=4, image_size=size, seed=seed)
    draw = torch.Generator().manual_seed(seed)
    for layer in net.modules():
        if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None:
            layer.running_mean.normal_(0, 0.3, generator=draw)
            layer.running_var.uniform_(0.5, 2, generator=draw)
    mode = "L" if channels == 1 else "RGB"
    return Predictor(net, tuple("abcd"), Preprocess(mode, *size, mean=(0.4,) * channels, std=(0.25,) * channels))


def noise(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """A colour picture of noise."""
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
