"""Each operation of augmentation against torchvision's, at fixed amounts; and against what it is by definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as V

from dojang.data import colour, geometry, random_ops, spots

# single precision, a few operations one after the other
CLOSE = {"rtol": 1e-4, "atol": 2e-5}


def pictures(n: int = 4, channels: int = 3, height: int = 21, width: int = 26) -> Tensor:
    """Smooth pictures with noise, one flat, in 8 bits."""
    draw = np.random.default_rng(7)
    coarse = torch.from_numpy(draw.random((n, channels, 5, 6), np.float32))
    images = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    images = (images + 0.05 * torch.from_numpy(draw.standard_normal(images.shape, np.float32))).clamp(0, 1)
    images[-1] = 0.5
    return (images * 255).round() / 255


def one_by_one(images: Tensor, amounts: Tensor, change: object) -> Tensor:
    assert callable(change)
    return torch.stack([change(image, amount) for image, amount in zip(images, amounts.tolist(), strict=True)])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (colour.brightness, V.adjust_brightness),
        (colour.contrast, V.adjust_contrast),
        (colour.saturation, V.adjust_saturation),
        (colour.sharpness, V.adjust_sharpness),
        (colour.solarize, V.solarize),
    ],
    ids=lambda f: f.__name__,
)
def test_amounts_equal_torchvision(ours: object, theirs: object, channels: int) -> None:
    images, amounts = pictures(channels=channels), torch.tensor([0.0, 0.37, 1.0, 0.8])
    assert callable(ours)
    torch.testing.assert_close(ours(images, amounts), one_by_one(images, amounts, theirs), **CLOSE)
    strong = torch.tensor([1.9, 1.4, 1.1, 1.7])
    if theirs is not V.solarize:
        torch.testing.assert_close(ours(images, strong), one_by_one(images, strong, theirs), **CLOSE)


def test_hue_equals_torchvision() -> None:
    images, shifts = pictures(6), torch.tensor([0.0, 0.1, -0.3, 0.5, -0.5, 0.25])
    torch.testing.assert_close(colour.hue(images, shifts), one_by_one(images, shifts, V.adjust_hue), rtol=0, atol=1e-5)
    grey = pictures(channels=1)
    assert colour.hue(grey, shifts[:4]) is grey


def test_hue_turns_a_circle() -> None:
    """Red by a third is green; three thirds are where it began; lightness never changes."""
    red = torch.tensor([1.0, 0.2, 0.2]).reshape(1, 3, 1, 1)
    green = colour.hue(red, torch.tensor([1 / 3]))
    torch.testing.assert_close(green.flatten(), torch.tensor([0.2, 1.0, 0.2]), rtol=0, atol=1e-6)
    images = pictures()
    turned = images
    for _ in range(3):
        turned = colour.hue(turned, torch.full((4,), 1 / 3))
    torch.testing.assert_close(turned, images, rtol=0, atol=1e-5)
    other = colour.hue(images, torch.full((4,), 0.2))
    torch.testing.assert_close(other.amax(1), images.amax(1)), torch.testing.assert_close(other.amin(1), images.amin(1))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(colour.autocontrast, V.autocontrast), (colour.equalize, V.equalize)],
    ids=lambda f: f.__name__,
)
def test_levels_equal_torchvision(ours: object, theirs: object, channels: int) -> None:
    images = pictures(channels=channels)
    assert callable(ours) and callable(theirs)
    torch.testing.assert_close(ours(images), theirs(images), **CLOSE)


@pytest.mark.parametrize("seed", range(5))
def test_equalize_of_few_levels(seed: int) -> None:
    """Pictures whose histogram is mostly empty, small and large ones, flat ones."""
    draw = np.random.default_rng(seed)
    for height, width, levels in ((3, 3, 2), (16, 16, 3), (40, 30, 200), (64, 64, 256)):
        chosen = draw.integers(0, 256, levels)
        images = torch.from_numpy(chosen[draw.integers(0, levels, (2, 3, height, width))].astype(np.uint8))
        ours = (colour.equalize(images.float() / 255) * 255).round().to(torch.uint8)
        assert torch.equal(ours, V.equalize(images))


def test_posterize_equals_torchvision() -> None:
    images, bits = pictures(9), torch.arange(9)
    expected = torch.stack([V.posterize(image, bit) for image, bit in zip(images, range(9), strict=True)])
    # of no bits torchvision makes nothing of it: one level is black
    expected[0] = 0
    torch.testing.assert_close(colour.posterize(images, bits), expected)


def test_grey_equals_torchvision() -> None:
    images = pictures()
    torch.testing.assert_close(colour.grey(images), V.rgb_to_grayscale(images, num_output_channels=3), **CLOSE)


@pytest.mark.parametrize("radius", [1, 3])
def test_blur_equals_torchvision(radius: int) -> None:
    images, sigmas = pictures(), torch.tensor([0.1, 0.7, 1.3, 2.0])
    size = 2 * radius + 1
    expected = one_by_one(images, sigmas, lambda image, sigma: V.gaussian_blur(image, [size, size], [sigma, sigma]))
    torch.testing.assert_close(spots.blur(images, sigmas, radius), expected, **CLOSE)


def test_blur_of_a_picture_smaller_than_its_kernel() -> None:
    images = pictures(height=2, width=3)
    assert spots.blur(images, torch.ones(4), 5).shape == images.shape
    single = torch.rand(1, 1, 1, 1)
    torch.testing.assert_close(spots.blur(single, torch.ones(1), 5), single)


AFFINE = [
    (0.0, 0, 0, 1.0, 0.0, 0.0),
    (30.0, 0, 0, 1.0, 0.0, 0.0),
    (0.0, 3, -2, 1.0, 0.0, 0.0),
    (0.0, 0, 0, 1.4, 0.0, 0.0),
    (0.0, 0, 0, 1.0, 20.0, 0.0),
    (0.0, 0, 0, 1.0, 0.0, -15.0),
    (-77.0, 2, 5, 0.7, 12.0, 8.0),
]


def test_warp_equals_torchvision() -> None:
    images = pictures(len(AFFINE))
    images[-1] = pictures()[0]
    made = geometry.warp(images, geometry.matrices(*np.array(AFFINE).T))
    expected = torch.stack(
        [
            V.affine(image, angle, [right, down], scale, [sx, sy], interpolation=InterpolationMode.BILINEAR)
            for image, (angle, right, down, scale, sx, sy) in zip(images, AFFINE, strict=True)
        ]
    )
    torch.testing.assert_close(made, expected, rtol=0, atol=2e-4)


def test_warp_by_its_definition() -> None:
    """Bilinear interpolation written as loops, in float64, beyond the edge black or mirrored."""
    image = np.random.default_rng(3).random((5, 7))
    matrix = geometry.matrices(*np.array([[-33.0, 1.0, -1.0, 0.8, 9.0, -4.0]]).T)
    for fill in ("black", "reflect"):
        expected = np.zeros((5, 7))
        for y in range(5):
            for x in range(7):
                sx, sy = matrix[0] @ (x - 3.0, y - 2.0, 1.0) + (3.0, 2.0)
                if fill == "reflect":
                    # mirrored at the outer edges of the pixels at the border, then no further than their middle
                    sx, sy = (_folded(place, side) for place, side in ((sx, 7), (sy, 5)))
                x0, y0 = int(np.floor(sx)), int(np.floor(sy))
                for yy, wy in ((y0, 1 - (sy - y0)), (y0 + 1, sy - y0)):
                    for xx, wx in ((x0, 1 - (sx - x0)), (x0 + 1, sx - x0)):
                        if 0 <= yy < 5 and 0 <= xx < 7:
                            expected[y, x] += wy * wx * image[yy, xx]
        made = geometry.warp(torch.from_numpy(image)[None, None], matrix, fill)[0, 0].numpy()
        np.testing.assert_allclose(made, expected, atol=1e-12)


def _folded(place: float, side: int) -> float:
    place = abs(place + 0.5) % (2 * side)
    return float(np.clip(min(place, 2 * side - place) - 0.5, 0, side - 1))


def test_warp_there_and_back() -> None:
    """A quarter turn four times is nothing; a whole number of pixels moves without blurring."""
    square = pictures(width=21)
    still = np.zeros(4)
    quarter = geometry.matrices(still + 90, still, still, still + 1, still, still)
    turned = square
    for _ in range(4):
        turned = geometry.warp(turned, quarter)
    torch.testing.assert_close(turned, square, rtol=0, atol=1e-4)
    # clockwise: what was at the top is at the right
    torch.testing.assert_close(geometry.warp(square, quarter), square.rot90(-1, (2, 3)), rtol=0, atol=1e-4)
    moved = geometry.warp(square, geometry.matrices(still, still + 3, still - 2, still + 1, still, still))
    torch.testing.assert_close(moved[:, :, :-2, 3:], square[:, :, 2:, :-3], rtol=0, atol=1e-4)


def test_noise_has_its_deviation_and_its_own_seed() -> None:
    images = torch.full((3, 1, 60, 60), 0.5)
    made = spots.noise(images, [1, 2, 1], 0.1)
    assert torch.equal(made[0], made[2]) and not torch.equal(made[0], made[1])
    # 7,200 values: the deviation of the deviation is below 1 %, that of the mean 0.0012
    assert abs(float((made - images).std()) - 0.1) < 0.004 and abs(float(made.mean()) - 0.5) < 0.006
    assert torch.equal(spots.noise(images[1:2], [2], 0.1)[0], made[1])


def test_a_box_is_blanked_out_and_no_more() -> None:
    images = pictures(3)
    boxes = torch.tensor([[2, 3, 5, 9], [0, 0, 0, 0], [-4, -4, 2, 100]])
    made = spots.blank(images, boxes, torch.tensor([0.1, 0.2, 0.3]))
    expected = images.clone()
    expected[0, :, 2:5, 3:9] = expected[2, :, :2] = torch.tensor([0.1, 0.2, 0.3])[:, None, None]
    assert torch.equal(made, expected)


THEIRS = {
    "brightness": V.adjust_brightness,
    "saturation": V.adjust_saturation,
    "contrast": V.adjust_contrast,
    "sharpness": V.adjust_sharpness,
}


@pytest.mark.parametrize("kind", ["randaugment", "trivialaugment"])
@pytest.mark.parametrize("name", random_ops.OPERATIONS)
def test_random_operations_mean_what_torchvision_means(kind: str, name: str) -> None:
    """The strengths 0, 7, -18 and 30 of every operation, by torchvision's own tables."""
    from torchvision.transforms import v2

    images, strengths = pictures(4, height=40, width=48), np.array([[0], [7], [-18], [30]])
    images[-1] = images[0]
    which = np.full((4, 1), random_ops.OPERATIONS.index(name))
    made = random_ops.apply(images, kind, which, strengths, "black")
    space = (v2.RandAugment if kind == "randaugment" else v2.TrivialAugmentWide)._AUGMENTATION_SPACE
    theirs = {**{n: n.title().replace("_", "") for n in random_ops.OPERATIONS}, "saturation": "Color"}
    theirs |= {"autocontrast": "AutoContrast"}
    magnitudes, signed = space[theirs[name]]
    table = magnitudes(31, 40, 48)
    for image, strength, found in zip(images, strengths[:, 0].tolist(), made, strict=True):
        size = None if table is None else float(table[abs(strength)])
        amount = -(size or 0.0) if signed and strength < 0 else size
        expected = _theirs(image, name, amount)
        torch.testing.assert_close(found, expected, rtol=0, atol=5e-4, msg=f"{name} {strength} ({amount})")


def _theirs(image: Tensor, name: str, amount: float | None) -> Tensor:
    how = {"interpolation": InterpolationMode.BILINEAR}
    if name == "identity":
        return image
    if name in ("autocontrast", "equalize"):
        result: Tensor = getattr(V, name)(image)
        return result
    assert amount is not None
    if name in THEIRS:
        return THEIRS[name](image, 1 + amount)
    if name == "posterize":
        return V.posterize(image, int(amount))
    if name == "solarize":
        # 0.4 of 255 is level 102 exactly, and so inverted; in single precision its table has a little more
        return V.solarize(image, amount - 1e-6)
    if name == "rotate":
        # torchvision's rotate turns the other way than its affine
        return V.rotate(image, -amount, **how)
    slant = float(np.degrees(np.arctan(amount)))
    move = {"translate_x": [int(amount), 0], "translate_y": [0, int(amount)]}.get(name, [0, 0])
    shear = {"shear_x": [slant, 0.0], "shear_y": [0.0, slant]}.get(name, [0.0, 0.0])
    return V.affine(image, 0.0, move, 1.0, shear, **how)


@pytest.mark.parametrize("kind", ["randaugment", "trivialaugment"])
def test_random_operations_are_drawn_evenly(kind: str) -> None:
    n = 14 * 900
    which, strengths = random_ops.draw(kind, 2, 9, 5, np.arange(n))
    assert which.shape == strengths.shape == (n, 2 if kind == "randaugment" else 1)
    counts = np.bincount(which.ravel(), minlength=14)
    expected = which.size / 14
    # chi-squared with 13 degrees of freedom is above 40 once in 8,000 keys; this one is fixed
    assert ((counts - expected) ** 2 / expected).sum() < 40
    assert abs((strengths > 0).mean() / (strengths != 0).mean() - 0.5) < 0.03
    sizes = np.abs(strengths)
    assert (sizes == 9).all() if kind == "randaugment" else np.bincount(sizes.ravel()).min() > n / 31 * 0.7
