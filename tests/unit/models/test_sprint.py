"""The record network: its stem from the data, its start as the identity, and the rules for depth and width."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dojang.errors import ConfigError
from dojang.models import build
from dojang.models.sprint import Sprint, SprintConfig, fitting, stem_stride
from dojang.models.weights import Card, dump, load, restore

SMALL = SprintConfig(conv_dims=(4, 6))


def photographs(n: int = 400, channels: int = 3, side: int = 28, seed: int = 0) -> Tensor:
    """Smooth noise, alike in all channels, with a mean that is not 0: neighbours are correlated as in photographs."""
    draw = torch.Generator().manual_seed(seed)
    rough = torch.randn(n, channels + 1, side + 4, side + 4, generator=draw)
    smooth = 3 * F.avg_pool2d(rough, 3, 1, 1) + 0.3 * rough
    return (smooth[:, :channels] + smooth[:, channels:] + 0.4)[:, :, 2:-2, 2:-2].contiguous()


def patches(images: Tensor, side: int, stride: int) -> Tensor:
    """All patches as rows, in float64."""
    columns = F.unfold(images.double(), side, stride=stride)  # (b, c * side * side, places)
    return columns.transpose(1, 2).reshape(-1, columns.shape[1])


def stem_of(net: Sprint) -> nn.Conv2d:
    stem = net.get_submodule("whiten1")
    assert isinstance(stem, nn.Conv2d)
    return stem


# The stem


@pytest.mark.parametrize(("channels", "side"), [(3, 28), (1, 28), (3, 66), (1, 70)])
def test_the_stem_makes_patches_white(channels: int, side: int) -> None:
    net = Sprint(channels, 2, (side, side), SMALL)
    images = photographs(80, channels, side)
    net.fit_stem(images, eps=0.0)
    stem = stem_of(net)
    half = stem.out_channels // 2
    stride = stem_stride((side, side))
    assert stem.kernel_size == (2 * stride, 2 * stride)
    assert half == min(channels * (2 * stride) ** 2, 24)
    rows = patches(images, 2 * stride, stride)
    before = rows.T @ rows / len(rows)
    assert before.diagonal().min() > 0.5 * before.diagonal().max() and before[0, 1] > 0.3 * before[0, 0]
    with torch.no_grad():
        white = stem(images).double().permute(0, 2, 3, 1).reshape(-1, 2 * half)
    # filters are stored in fp32 and used in fp32
    covariance = white[:, :half].T @ white[:, :half] / len(white)
    torch.testing.assert_close(covariance, torch.eye(half, dtype=torch.float64), rtol=0, atol=1e-3)
    assert torch.equal(white[:, half:], -white[:, :half])


def test_directions_without_variance_are_not_blown_up() -> None:
    """Drawings: white paper. Each direction comes out with the variance v / (v + eps), never more than 1."""
    net = Sprint(1, 2, (28, 28), SMALL)
    draw = torch.Generator().manual_seed(1)
    images = torch.randn(50, 1, 1, 1, generator=draw) + 5e-3 * torch.randn(50, 1, 28, 28, generator=draw)
    net.fit_stem(images)
    with torch.no_grad():
        power = stem_of(net)(images).double().square().mean(dim=(0, 2, 3))[:4]
    rows = patches(images, 2, 1)
    values = torch.linalg.eigvalsh(rows.T @ rows / len(rows)).flip(0)
    torch.testing.assert_close(power, values / (values + 5e-4), rtol=1e-3, atol=1e-6)
    assert power[0] > 0.99 and power[1:].max() < 0.1
    net.fit_stem(torch.zeros(4, 1, 28, 28))
    assert stem_of(net).weight.isfinite().all()


def test_filters_come_in_order_with_fixed_signs() -> None:
    """An eigenvector's sign is the library's whim; here its sum decides."""
    images = photographs(100)
    found = []
    for seed in (0, 1):
        net = build.build("sprint", in_channels=3, classes=2, image_size=(28, 28), seed=seed)
        assert isinstance(net, Sprint)
        for _ in range(2):
            net.fit_stem(images)
            found.append(stem_of(net).weight.clone())
    assert all(torch.equal(found[0], other) for other in found[1:])
    sums = found[0].sum(dim=(1, 2, 3))
    assert (sums[:12] > 0).all() and (sums[12:] < 0).all()
    # the strongest direction first: it is scaled down most
    lengths = found[0][:12].flatten(1).norm(dim=1)
    assert (lengths.diff() > 0).all()
    # the order of the pictures does not matter beyond rounding, and they are worked on 256 at a time
    net.fit_stem(torch.cat([images.flip(0), images, images]))
    torch.testing.assert_close(stem_of(net).weight, found[0], rtol=0, atol=1e-3)


def test_the_stem_is_computed_not_learned() -> None:
    net = Sprint(3, 4, (28, 28), SMALL)
    images = photographs(8)
    before = images.clone()
    net.fit_stem(images)
    assert torch.equal(images, before)
    stem = stem_of(net)
    assert not stem.weight.requires_grad
    assert stem.bias is not None and stem.bias.requires_grad and not stem.bias.any()
    F.cross_entropy(net(images), torch.arange(8) % 4).backward()
    assert stem.weight.grad is None and stem.bias.grad is not None


def test_the_stem_keeps_its_memory_format() -> None:
    net = Sprint(3, 2, (28, 28), SMALL).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    net.fit_stem(photographs(8).contiguous(memory_format=torch.channels_last))
    assert stem_of(net).weight.is_contiguous(memory_format=torch.channels_last)


# The start


@pytest.mark.parametrize(("inputs", "outputs"), [(6, 6), (4, 6), (6, 4)])
def test_convolutions_start_as_the_identity(inputs: int, outputs: int) -> None:
    net = Sprint(1, 2, (28, 28), SprintConfig(conv_dims=(inputs, outputs), convs_per_block=1))
    layer = net.get_submodule("conv2")
    x = torch.randn(2, inputs, 5, 5)
    same = min(inputs, outputs)
    with torch.no_grad():
        assert torch.equal(layer(x)[:, :same], x[:, :same])
        # the filters beyond are drawn
        assert outputs <= inputs or bool(layer(x)[:, same:].any())


def test_norms_have_a_fixed_scale_and_the_head_no_bias() -> None:
    net = Sprint(3, 10, (32, 32))
    norms = [layer for layer in net.children() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == 6
    for layer in norms:
        assert layer.momentum == 0.4
        assert not layer.weight.requires_grad and torch.equal(layer.weight.detach(), torch.ones(layer.num_features))
        assert layer.bias.requires_grad
    assert all(layer.bias is None for name, layer in net.named_children() if name.startswith("conv"))
    head = list(net.children())[-1]
    assert isinstance(head, nn.Linear) and head.bias is None
    # scores of some hundredths at first, whatever the number of features
    assert float(head.weight.detach().std()) == pytest.approx(1 / 256, rel=1e-5)


def test_every_learned_parameter_has_one_role() -> None:
    net = Sprint(3, 10, (32, 32))
    names = {id(p): name for name, p in net.named_parameters()}
    found = {role: [names[id(p)] for p in some] for role, some in net.roles().items()}
    assert found == {
        "filters": [f"conv{i}.weight" for i in range(1, 7)],
        "norms": [f"bn{i}.bias" for i in range(1, 7)],
        "stem": ["whiten1.bias"],
        "head": ["fc1.weight"],
    }
    held = [name for some in found.values() for name in some]
    assert sorted(held) == sorted(name for name, p in net.named_parameters() if p.requires_grad)


# Depth and width


def test_the_stem_keeps_maps_at_64_pixels_or_less() -> None:
    for side in range(1, 1000):
        stride = stem_stride((side, 1000))
        assert stride in (1, 2, 4, 8, 16)
        assert side / stride <= 64
        assert stride == 1 or side / (stride // 2) > 64


@pytest.mark.parametrize("side", [*range(28, 225, 14), 64, 65, 127, 128, 129])
def test_the_last_map_is_about_three_pixels_wide(side: int) -> None:
    with torch.device("meta"):
        net = Sprint(3, 10, (side, side))
    *_, last = (layer for name, layer in net.named_children() if not name.startswith(("maxpool", "flatten", "fc")))
    sides: list[int] = []
    last.register_forward_hook(lambda layer, args, output: sides.append(output.shape[-1]))
    with torch.device("meta"):
        net.eval()(torch.zeros(1, 3, side, side))
    assert sides[0] in (3, 4, 5)
    dims = net.config.conv_dims
    assert dims is not None
    assert dims == (64,) + (256,) * (len(dims) - 1)
    assert 3 <= len(dims) <= 4


@pytest.mark.parametrize(
    ("size", "channels", "classes"),
    [((28, 28), 1, 10), ((32, 32), 3, 1000), ((28, 64), 3, 1), ((65, 65), 3, 2), ((128, 96), 1, 7), ((224, 224), 3, 5)],
)
def test_any_size_channels_and_classes(size: tuple[int, int], channels: int, classes: int) -> None:
    net = Sprint(channels, classes, size, SprintConfig(width=1 / 8, growth=2))
    x = torch.randn(2, channels, *size)
    net.fit_stem(x)
    scores = net.train()(x)
    assert scores.shape == (2, classes) and scores.isfinite().all()
    assert net.eval()(x).shape == (2, classes)


def test_width_and_growth() -> None:
    assert fitting((32, 32), 3, 2.0, 3) == (128, 384, 384)
    assert fitting((32, 32), 1, 2.0, 3) == fitting((32, 32), 2, 2.0, 3) == (64, 192, 192)
    assert fitting((224, 28), 5, 1.0, 4) == fitting((28, 28), 5, 1.0, 4)
    assert fitting((4, 4), 1, 1 / 32, 64) == (1,)


@pytest.mark.parametrize("side", [3, 8, 27])
def test_pictures_smaller_than_it_is_for_still_work(side: int) -> None:
    assert Sprint(1, 2, (side, side))(torch.randn(3, 1, side, side)).shape == (3, 2)


def test_pictures_that_vanish_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        Sprint(1, 2, (2, 40))
    assert caught.value.code == "C204"
    assert "pool1: a picture of 2x40 is down to 1x39 there" in str(caught.value)
    assert "The smallest picture that this network works on is 3x3." in str(caught.value)


# Saving


def test_what_was_fitted_comes_back(tmp_path: Path) -> None:
    options = {"conv_dims": (4, 6), "activation": "silu"}
    net = build.build("sprint-m", in_channels=3, classes=4, image_size=(28, 30), seed=0, options=options)
    assert isinstance(net, Sprint)
    images = photographs(8, side=30)[:, :, 1:-1]
    net.fit_stem(images)
    net(images)
    record = json.loads(json.dumps(build.architecture(net)))
    assert record["name"] == "sprint-m"
    assert record["arguments"]["conv_dims"] == [4, 6] and record["arguments"]["growth"] == 2
    again = build.rebuild(record)
    path = tmp_path / "net.safetensors"
    path.write_bytes(dump(net.state_dict(), Card(architecture=record, labels=tuple("abcd"))))
    restore(again, load(path)[0])
    assert torch.equal(again.eval()(images), net.eval()(images))
    assert not stem_of(again).weight.requires_grad  # type: ignore[arg-type]
