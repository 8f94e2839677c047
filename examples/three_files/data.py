"""The pictures: any sequence of (picture, label) pairs will do."""

from sklearn.datasets import load_digits


def pairs():
    digits = load_digits()
    levels = (digits.images * 255 / 16).round().astype("uint8")  # (1797, 8, 8), 0..16 stretched to 0..255
    return list(zip(levels, digits.target.tolist(), strict=True))
