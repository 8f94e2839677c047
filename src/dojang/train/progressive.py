"""Progressive resizing: in the first part of training pictures are shown smaller, where a step costs less.

What a network learns early on, edges and colours and rough shapes, it learns from small pictures as well; so time is
saved first and spent where it counts.  A network must take pictures of any size.  Source: Jeremy Howard's entries to
DAWNBench, fast.ai, 2018; the ffcv recipes (Leclerc et al., arXiv:2306.12517) do likewise.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dojang.errors import ConfigError

# of the sides, to the nearest even number: 0.56 of the arithmetic. Growing from 5/8 in steps was tried: it scored less
# for the same time (benchmarks/NOTES.md)
_SHARE = 3 / 4


def size(full: tuple[int, int], progress: float, until: float) -> tuple[int, int]:
    """Height and width at which pictures are shown.

    Args:
        full: Those of the prepared pictures.
        progress: Of training, in [0, 1].
        until: The progress from which on they have their full size; 0 shows them so all the time.

    >>> [size((32, 28), progress, 0.5) for progress in (0, 0.49, 0.5, 1)]
    [(24, 20), (24, 20), (32, 28), (32, 28)]
    """
    if progress >= until:
        return full
    height, width = (min(side, max(1, 2 * round(_SHARE * side / 2))) for side in full)
    return height, width


def sizes(full: tuple[int, int], until: float) -> list[tuple[int, int]]:
    """All sizes at which pictures are shown, in their order.

    >>> sizes((32, 32), 0.5), sizes((32, 32), 0)
    ([(24, 24), (32, 32)], [(32, 32)])
    """
    return list(dict.fromkeys([size(full, 0.0, until), full]))


def shown(images: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c height width"]:
    """Pictures at another size, each new pixel the mean of what it covers (bilinear, with antialiasing)."""
    if images.shape[2:] == size:
        return images
    smaller = F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
    # prepared pictures have their channels last
    return smaller.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def check(model: nn.Module, images: Float[Tensor, "b c h w"], until: float) -> None:
    """See whether a network takes pictures of every size that it will be shown.

    Raises:
        ConfigError: C231 when it does not.
    """
    *smaller, full = sizes((images.shape[2], images.shape[3]), until)
    was_training = model.training
    for one in smaller:
        try:
            model.eval()(shown(images[:2], one))
        except (ConfigError, RuntimeError, ValueError) as error:
            # a network of dojang's own would say the same again
            reason = "." if isinstance(error, ConfigError) else f": {str(error).partition(chr(10))[0]}"
            raise ConfigError(
                "C231",
                f"--progressive {until:g} shows pictures of {one[0]} x {one[1]} at first, and this network takes "
                f"{full[0]} x {full[1]} only{reason}",
                fix="--progressive 0",
            ) from None
        finally:
            model.train(was_training)
