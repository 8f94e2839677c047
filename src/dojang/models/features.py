"""What a network makes of a picture just before it decides: the numbers that its last layer is given."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from dojang.models import fusion
from dojang.models.layers import Network


def features(model: nn.Module, images: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b d"], Tensor] | None:
    """The features of pictures, and the scores that the last layer makes of them: bit by bit those of the network.

    Of a last layer that is a convolution, as SqueezeNet's, the mean over the map is taken.

    Args:
        model: In evaluation mode.
        images: Prepared.

    Returns:
        None for a network that dojang has not built: what is in front of its last layer is not known.

    Example:
        >>> import torch
        >>> from dojang.models.build import build
        >>> model = build("mlp", in_channels=1, classes=3, image_size=(8, 8), seed=0, options={"hidden_dims": (5,)})
        >>> seen, scores = features(model.eval(), torch.zeros(2, 1, 8, 8))
        >>> tuple(seen.shape), tuple(scores.shape)
        ((2, 5), (2, 3))
    """
    if not isinstance(model, Network):
        return None
    head = model.head()
    last = max((number for number, layer in enumerate(head) if any(True for _ in layer.parameters())), default=0)
    seen = fusion.run(head[:last], model.maps(images))
    scores = model.scores_of(fusion.run(head[last:], seen))
    return seen.flatten(2).mean(dim=2) if seen.ndim > 2 else seen, scores
