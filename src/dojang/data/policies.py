"""Augmentation by name: the values of its options that each policy stands for."""

from __future__ import annotations

from typing import Any

# nothing is changed, not even the place of the cut
_NONE: dict[str, Any] = {
    "flip": "none",
    "crop_padding": 0,
    "train_crop": "center",
    **dict.fromkeys(("degrees", "translate", "zoom", "shear", "brightness", "contrast", "saturation", "hue"), 0.0),
    **dict.fromkeys(("grey", "blur", "noise", "erase", "mixup", "cutmix"), 0.0),
    "random_ops": "none",
    "cutout": 0,
}
# pictures above this many pixels a side are kept larger than they are shown, so the cut has room without padding
_SMALL = 64
# training pictures from which on "auto" changes less
_MANY, _SOME = 20_000, 2_000


def values(name: str, pictures: int, side: int) -> dict[str, Any]:
    """What a policy stands for; ``flip`` of None goes by the kind of pictures.

    Args:
        name: "none"; "light"; "notes": what a course's notes use; "strong"; "auto": one of them by the number of
            training pictures.
        pictures: That number.
        side: The longer side of the pictures as the network sees them.

    >>> values("auto", 50_000, 32) == values("light", 50_000, 32)
    True
    >>> values("light", 50_000, 32)["crop_padding"], values("none", 50_000, 32)["flip"]
    (4, 'none')
    """
    if name == "auto":
        name = "light" if pictures >= _MANY else "notes" if pictures >= _SOME else "strong"
    if name == "none":
        return dict(_NONE)
    moved = {"flip": None, "crop_padding": side // 8 if side <= _SMALL else 0, "train_crop": "random"}
    every = _NONE | moved
    if name == "light":
        return every | {"brightness": 0.1, "contrast": 0.1}
    if name == "notes":
        jitter = dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.2)
        return every | jitter | {"degrees": 15.0, "translate": 0.1, "blur": 0.1, "erase": 0.1}
    larger = {} if side <= _SMALL else {"train_crop": "resized"}
    return every | larger | {"random_ops": "trivialaugment", "erase": 0.25, "cutmix": 1.0, "mix_prob": 0.5}


def flip(colour: bool, side: int, alternating: bool) -> str:
    """How pictures are mirrored where nobody says: photographs may be, digits and letters may not.

    Args:
        side: Their height.
        alternating: Whether the network is one for small photographs, whose schedule goes by pairs of epochs.

    >>> flip(True, 224, False), flip(True, 32, False), flip(True, 32, True), flip(False, 224, True)
    ('horizontal', 'none', 'alternating', 'none')
    """
    if not colour:
        return "none"
    return "alternating" if alternating else "horizontal" if side > _SMALL else "none"
