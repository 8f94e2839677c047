"""All that happens to a picture behind its decoding, as one module: pixels of any size in, probabilities out."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor, nn

from dojang.data.permutation import order
from dojang.data.preprocess import Preprocess
from dojang.export.resize_graph import coefficients, columns_first, resized
from dojang.predict.predictor import Predictor

# ITU-R 601 in Pillow's fixed point (Convert.c, L24): of 2^16
_GREY = (19595.0, 38470.0, 7471.0)


class Preparation(nn.Module):
    """What :class:`Preprocess` does, for pictures of one size that is not known before.

    The numbers that depend on the size are numbers of the graph (0-d tensors), and never shapes of anything but the two
    matrices of the resize; so one graph fits all sizes.

    Args:
        preprocess: Of the weights.
        branch: As :func:`dojang.export.resize_graph.resized` has it.

    Example:
        >>> prepare = Preparation(Preprocess("RGB", 2, 2, mean=(0.0,) * 3, std=(1.0,) * 3))
        >>> prepare(torch.full((1, 5, 4, 3), 255, dtype=torch.uint8)).shape
        torch.Size([1, 3, 2, 2])
    """

    shift: Tensor
    scale: Tensor
    order: Tensor | None

    def __init__(self, preprocess: Preprocess, branch: bool = True) -> None:
        super().__init__()
        self.preprocess, self.branch = preprocess, branch
        self.register_buffer("shift", torch.tensor([255.0 * m for m in preprocess.mean]))
        self.register_buffer("scale", torch.tensor([255.0 * s for s in preprocess.std]))
        places = order(preprocess.height, preprocess.width) if preprocess.permute_pixels else None
        self.register_buffer("order", None if places is None else torch.from_numpy(places))

    def forward(self, pictures: UInt8[Tensor, "b h w 3"]) -> Float32[Tensor, "b c i j"]:
        """The network's input."""
        return self.normalised(self.levels(pictures))

    def levels(self, pictures: UInt8[Tensor, "b h w 3"]) -> Float32[Tensor, "b c i j"]:
        """Pictures as :meth:`Preprocess.picture` has them, whole numbers from 0 to 255."""
        p = self.preprocess
        height, width = (torch.scalar_tensor(side, dtype=torch.float64) for side in pictures.shape[1:3])
        levels = pictures.permute(0, 3, 1, 2).to(torch.float64)
        if p.mode == "L":
            levels = _grey(levels)
        rows, columns = self.inner(height, width)
        down, is_down = self.placed(rows, p.height)
        across, is_across = self.placed(columns, p.width)
        made = resized(
            levels,
            coefficients(height, _numbers(pictures.shape[1]), rows, down, p.interpolation),
            coefficients(width, _numbers(pictures.shape[2]), columns, across, p.interpolation).t().contiguous(),
            columns_first(height, width, rows, columns),
            branch=self.branch,
        )
        if is_down is not None and is_across is not None:
            made = torch.where(is_down[:, None] & is_across, made, float(p.background))
        return made.to(torch.float32)

    def inner(self, height: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
        """The size to which a picture is resized, as ``Preprocess._inner_size`` has it, before anything is cut off."""
        p = self.preprocess
        if p.fit == "pad":
            box, least = (p.height, p.width), (1, 1)
            scale = torch.minimum(_number(p.height) / height, _number(p.width) / width)
        else:
            box = round(p.height * p.resize), round(p.width * p.resize)
            least = box
            scale = torch.maximum(_number(box[0]) / height, _number(box[1]) / width)
        rows, columns = (torch.round(side * scale) for side in (height, width))
        return rows.clamp(min=float(least[0])), columns.clamp(min=float(least[1]))

    def placed(self, inner: Tensor, side: int) -> tuple[Tensor, Tensor | None]:
        """Which of the resized pixels come to a side of what the network sees, and where there are such (None: all)."""
        places = _numbers(side)
        if self.preprocess.fit != "pad":
            return places + torch.floor((inner - side) / 2.0), None
        found = places - torch.floor((side - inner) / 2.0)
        inside = (found >= 0.0) & (found < inner)
        # what lies beside the picture is made of its edge, and then covered
        return torch.minimum(found.clamp(min=0.0), inner - 1.0), inside

    def normalised(self, levels: Float32[Tensor, "b c i j"]) -> Float32[Tensor, "b c i j"]:
        """As :meth:`Preprocess.normalise`: pixels in their order, scaled, normalised."""
        if self.order is not None:
            levels = levels.flatten(2).index_select(2, self.order).reshape(levels.shape)
        return (levels - self.shift[:, None, None]) / self.scale[:, None, None]


class Graph(nn.Module):
    """A trained network with what belongs before and behind it.

    Args:
        predictor: The network, its preprocessing and its temperature; on the CPU.
        branch: As :func:`dojang.export.resize_graph.resized` has it.

    Shapes:
        uint8 (batch, height, width, 3), RGB, to float32 (batch, classes) that sum to 1.
    """

    def __init__(self, predictor: Predictor, branch: bool = True) -> None:
        super().__init__()
        self.preparation = Preparation(predictor.preprocess, branch)
        # files know one order of numbers in memory, and warn of another
        self.network = copy.deepcopy(predictor.model).to(memory_format=torch.contiguous_format)
        self.temperature = predictor.temperature

    def forward(self, pictures: UInt8[Tensor, "b h w 3"]) -> Float32[Tensor, "b classes"]:
        """The probabilities."""
        scores: Tensor = self.network(self.preparation(pictures)).float()
        return (scores / self.temperature).softmax(dim=1)


def _grey(levels: Tensor) -> Tensor:
    """(b, 3, h, w) to (b, 1, h, w); sums stay under 2^24, so that float32 would be exact, too."""
    red, green, blue = (levels[:, i : i + 1] * share for i, share in enumerate(_GREY))
    return torch.floor((red + green + blue + 32768.0) / 65536.0)


def _number(value: float) -> Tensor:
    # divided by a tensor, a number of Python's would become its reciprocal and a product, which round otherwise
    return torch.scalar_tensor(value, dtype=torch.float64)


def _numbers(count: int) -> Tensor:
    return torch.arange(count, dtype=torch.float64)
