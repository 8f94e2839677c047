"""Progressive resizing: in the first part of training pictures are shown smaller, where a step costs less.

What a network learns early on, edges and colours and rough shapes, it learns from small pictures as well; so time is
saved first and spent where it counts.  A network must take pictures of any size.  Source: Jeremy Howard's entries to
DAWNBench, fast.ai, 2018; the ffcv recipes (Leclerc et al., arXiv:2306.12517) grow the pictures likewise.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dojang.errors import ConfigError

# of the sides, in equal parts of that time
_SHARES = (5 / 8, 3 / 4, 7 / 8)


def size(full: tuple[int, int], progress: float, until: float) -> tuple[int, int]:
    """Height and width at which pictures are shown.

    Args:
        full: Those of the prepared pictures.
        progress: Of training, in [0, 1].
        until: The progress from which on they have their full size; 0 shows them so all the time.

    >>> [size((32, 32), progress, 0.75) for progress in (0, 0.25, 0.5, 0.75)]
    [(20, 20), (24, 24), (28, 28), (32, 32)]
    """
    if progress >= until:
        return full
    share = _SHARES[min(int(progress / until * len(_SHARES)), len(_SHARES) - 1)]
    height, width = (max(1, 2 * round(share * side / 2)) for side in full)
    return height, width


def sizes(full: tuple[int, int], until: float) -> list[tuple[int, int]]:
    """All sizes at which pictures are shown, in their order.

    >>> sizes((28, 28), 0.5), sizes((28, 28), 0)
    ([(18, 18), (20, 20), (24, 24), (28, 28)], [(28, 28)])
    """
    steps = [until * i / len(_SHARES) for i in range(len(_SHARES))] if until else []
    return list(dict.fromkeys([size(full, progress, until) for progress in steps] + [full]))


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
            reason = error.what if isinstance(error, ConfigError) else str(error).splitlines()[0]
            raise ConfigError(
                "C231",
                f"--progressive {until:g} shows pictures of {one[0]} x {one[1]} at first, and this network takes "
                f"{full[0]} x {full[1]} only: {reason}",
                fix="--progressive 0",
            ) from None
        finally:
            model.train(was_training)
