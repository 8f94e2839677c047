"""What can be asked of an explanation; no torch here, so that ``--help`` is instant."""

from __future__ import annotations

#: heat maps, and what each shows
METHODS: dict[str, str] = {
    "gradcam": "which places of the last maps speak for the class (Grad-CAM)",
    "layercam": "the same, weighed place by place (LayerCAM)",
    "occlusion": "how much the score falls where a part is covered",
    "integrated": "each pixel's share of the score, from black to the picture (integrated gradients)",
    "everywhere": "the answer at every place of a larger picture (fully convolutional)",
}
#: those of a network with maps, and of one without
DEFAULT, DEFAULT_DENSE = ("gradcam", "layercam"), ("integrated", "occlusion")
