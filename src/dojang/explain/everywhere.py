"""The answer at every place of a larger picture, as a heat map: what fully convolutional forms give.

Source: Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic Segmentation", arXiv:1411.4038.
"""

from __future__ import annotations

from dojang.explain.frame import Frame
from dojang.explain.heat import Heat
from dojang.explain.sight import Sight
from dojang.predict.places import TIMES, Everywhere


def everywhere(sight: Sight, times: float = TIMES) -> Heat:
    """The probability of a class wherever the network can be moved to, over the whole picture.

    Nothing is cut off: the picture's shorter side becomes ``times`` the network's.

    Raises:
        ConfigError: C248 for a network that has no fully convolutional form, or that knows pixels in one fixed order.
    """
    places = Everywhere(sight.predictor, times).places(sight.original, sight.source)
    values = places.of(sight.label)
    height, width = values.shape
    picture = sight.frame.picture
    frame = Frame(picture, (height, width), (height / picture[0], width / picture[1]), (0, 0))
    rows, columns, _ = places.probabilities.shape
    facts = {"places": [rows, columns], "times": times}
    return Heat("everywhere", sight.label, values, frame, facts=facts)
