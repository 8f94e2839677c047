"""One number traced: the pixels it saw, the arithmetic behind it, where it goes next, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from patches import noise, untaught
from torch import Tensor, nn

from dojang.data.preprocess import Preprocess
from dojang.errors import ConfigError
from dojang.explain.readers import readers
from dojang.explain.sight import Sight, look
from dojang.explain.unit import Unit
from dojang.explain.xray import Xray, xray
from dojang.models.maxout import Maxout
from dojang.predict.predictor import Predictor


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def before(net: nn.Module, size: tuple[int, int] = (12, 12), channels: int = 1, **options: Any) -> Sight:
    """A picture of noise before a network of one's own with two classes."""
    mode = "L" if channels == 1 else "RGB"
    preprocess = Preprocess(mode, *size, mean=(0.3,) * channels, std=(0.2,) * channels, **options)
    return look(Predictor(net.eval(), ("a", "b"), preprocess), noise(size), "noise.png")


def seeded(*layers: nn.Module) -> nn.Sequential:
    """Fresh weights, the same each time, and norms that are not the identity."""
    net, draw = nn.Sequential(*layers), torch.Generator().manual_seed(1)
    for tensor in (*net.parameters(), *net.buffers()):
        if tensor.is_floating_point():
            tensor.data = torch.rand(tensor.shape, generator=draw) + 0.2
            tensor.data[tensor > 0.9] *= -1 if tensor.requires_grad else 1
    return net


def head(inputs: int) -> tuple[nn.Module, ...]:
    return nn.Flatten(), nn.Linear(inputs, 2)


def dot_by_dot(conv: nn.Conv2d, given: np.ndarray, channel: int, row: int, column: int) -> float:
    """A convolution's number with zeros beside the map, as its definition has it."""
    total = 0.0 if conv.bias is None else float(conv.bias.detach()[channel])
    wide = conv.in_channels // conv.groups
    first = channel // (conv.out_channels // conv.groups) * wide
    for c in range(wide):
        for i in range(conv.kernel_size[0]):
            for j in range(conv.kernel_size[1]):
                y = row * conv.stride[0] - int(conv.padding[0]) + i * conv.dilation[0]
                x = column * conv.stride[1] - int(conv.padding[1]) + j * conv.dilation[1]
                if 0 <= y < given.shape[1] and 0 <= x < given.shape[2]:
                    total += float(conv.weight.detach()[channel, c, i, j]) * given[first + c, y, x]
    return total


# The sum


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3},
        {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0), "bias": False},
        {"kernel_size": 3, "dilation": 2, "padding": 2, "groups": 3},
        {"kernel_size": 1, "groups": 3},
    ],
)
def test_a_convolution_is_patch_times_kernel(options: dict[str, Any]) -> None:
    net = seeded(nn.Conv2d(3, 6, **options), nn.AdaptiveAvgPool2d(1), *head(6))
    sight = before(net, (9, 11), 3)
    given = sight.image[0].double().numpy()
    shape = sight.trace.nodes[sight.trace.find("conv1").gave or 0].shape
    for index in np.ndindex(*shape):
        found = xray(sight, Unit(sight.trace.find("conv1"), index))
        terms = found.work.terms
        assert terms is not None and found.work.kind == "convolution"
        wanted = dot_by_dot(net[0], given, *index)
        assert found.work.result == pytest.approx(wanted, abs=1e-9)
        assert found.value == pytest.approx(wanted, abs=1e-5)
        assert terms.sum + terms.bias == pytest.approx(wanted, abs=1e-9)
        assert terms.patch.shape == terms.kernel.shape == terms.products.shape
        # the patch is what lies at its places
        assert terms.places is not None
        for i, row in enumerate(terms.places[0]):
            for j, column in enumerate(terms.places[1]):
                inside = 0 <= row < 9 and 0 <= column < 11
                assert (terms.inside is None or bool(terms.inside[i, j])) == inside or terms.inside is None
                own = given[terms.channels, row, column] if inside else 0.0
                assert terms.patch[0, i, j] == own


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_that_is_not_zeros(mode: str) -> None:
    net = seeded(nn.Conv2d(1, 2, 3, padding=1, padding_mode=mode), nn.ReLU(), *head(288))
    sight = before(net)
    for place in ((0, 0), (0, 5), (11, 11)):
        found = xray(sight, f"conv1:1,{place[0]},{place[1]}")
        assert found.gap is not None and found.gap < 1e-5


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (nn.MaxPool2d(3, 2, 1), "maximum"),
        (nn.MaxPool2d(2, dilation=2), "maximum"),
        (nn.AvgPool2d(3, 2, 1), "mean"),
        (nn.AvgPool2d(3, 2, 1, count_include_pad=False, ceil_mode=True), "mean"),
        (nn.AvgPool2d(2, divisor_override=3), "mean"),
        (nn.AdaptiveAvgPool2d((5, 3)), "mean"),
        (nn.AdaptiveMaxPool2d(7), "maximum"),
        (nn.BatchNorm2d(4), "normalisation"),
        (nn.BatchNorm2d(4, affine=False, track_running_stats=False), "normalisation"),
        (nn.GroupNorm(2, 4), "normalisation"),
        (nn.LayerNorm([4, 12, 12]), "normalisation"),
        (nn.LocalResponseNorm(3, 0.1), "normalisation"),
        (nn.ReLU6(), "activation"),
        (nn.LeakyReLU(0.1), "activation"),
        (nn.PReLU(4), "activation"),
        (nn.ELU(), "activation"),
        (nn.GELU(), "activation"),
        (nn.GELU("tanh"), "activation"),
        (nn.SiLU(), "activation"),
        (nn.Sigmoid(), "activation"),
        (nn.Tanh(), "activation"),
        (nn.Hardswish(), "activation"),
        (nn.Hardsigmoid(), "activation"),
        (nn.ZeroPad2d((1, 2, 0, 1)), "copy"),
        (Maxout(), "maximum"),
    ],
    ids=repr,
)
def test_layers_without_a_kernel(layer: nn.Module, kind: str) -> None:
    with torch.no_grad():
        shape = layer(torch.zeros(1, 4, 12, 12)).shape
    sight = before(seeded(nn.Conv2d(1, 4, 3, padding=1), layer, *head(int(shape.numel()))))
    name = [call.name for call in sight.trace.layers()][1]
    draw = np.random.default_rng(0)
    for _ in range(20):
        index = ",".join(str(draw.integers(side)) for side in shape[1:])
        found = xray(sight, f"{name}:{index}")
        assert found.work.kind == kind
        assert found.gap is not None and found.gap < 1e-5 * max(1, abs(found.value))
        assert found.work.formula and found.work.filled


def test_the_winner_of_a_pooling_and_its_window() -> None:
    sight = before(nn.Sequential(nn.MaxPool2d(3, 2, 1), *head(36)))
    found = xray(sight, "pool1:0,0,3")
    given = sight.image[0, 0].double().numpy()
    window = found.work.window
    assert window is not None and window.rows == (0, 1) and window.columns == (5, 6, 7)
    part = given[0:2, 5:8]
    row, column = np.unravel_index(int(part.argmax()), part.shape)
    assert window.winner == (int(row), 5 + int(column)) and found.work.result == part.max()


class Other(nn.ReLU):
    """Looks like a ReLU, and is none."""

    def forward(self, given: Tensor) -> Tensor:
        return given.abs() + 1


class Own(nn.Module):
    """One convolution used twice, a sum, channels joined, a mean and functions in its own code."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.last = nn.Linear(8, 2)

    def forward(self, given: Tensor) -> Tensor:
        stem = F.relu(self.stem(given))
        both = torch.cat([stem, self.conv(self.conv(stem)) + stem], dim=1)
        found: Tensor = self.last(both.mean(dim=(2, 3)))
        return found


def test_what_is_not_known_is_not_made_up() -> None:
    net = nn.Sequential(seeded(nn.Conv2d(1, 2, 3))[0], Other(), *head(200))
    found = xray(before(net), "other1:1,2,3" if "other1" in str(net) else "1:1,2,3")
    assert found.work.kind == "other" and found.gap is None
    assert "the arithmetic of Other is not written out" in str(found)
    assert found.as_dict()["result"] is None
    # where it goes and what it saw are known all the same
    assert found.readers and found.seen is not None


def test_a_network_of_ones_own() -> None:
    torch.manual_seed(0)
    sight = before(Own())
    assert [call.name for call in sight.trace.layers()] == ["stem", "conv", "conv#2", "last"]
    for unit in ("stem:1,0,5", "conv:2,3,4", "conv#2:3,11,0", "last:1"):
        found = xray(sight, unit)
        assert found.unit == unit and found.gap is not None and found.gap < 1e-5
    assert found.given == "mean of 2 side by side: relu of stem, the sum of conv#2 and relu of stem"
    assert str(xray(sight, "last:1").readers[0]) == "the answer, as the score of b"
    way = [str(reader) for reader in xray(sight, "stem:1,0,5").readers]
    assert any(line.startswith("relu, then conv: 4 channels x 2 x 3 places") for line in way)
    assert any("joined with other channels" in line and "then last" in line for line in way)


class Block(nn.Module):
    """A branch in its own code, which gives a sum, a joined map or a function of one."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.conv, self.kind = nn.Conv2d(1, 3, 3, padding=1), kind

    def forward(self, given: Tensor) -> Tensor:
        found = self.conv(given)
        if self.kind == "sum":
            return found + torch.tanh(given * 2)
        return torch.cat([given, found * 3], dim=1) if self.kind == "copy" else F.gelu(found)


@pytest.mark.parametrize("kind", ["sum", "copy", "activation"])
def test_a_block_is_what_its_own_code_does_at_its_end(kind: str) -> None:
    torch.manual_seed(0)
    shape = (4 if kind == "copy" else 3, 12, 12)
    net = nn.Sequential(Block(kind), *head(int(np.prod(shape))))
    sight = before(net)
    with torch.no_grad():
        own = net[0](sight.image)[0]
    given = {"sum": "0.conv", "copy": "mul of 0.conv", "activation": "0.conv"}
    for index in ((0, 0, 0), (2, 5, 11)):
        found = xray(sight, f"block1:{index[0]},{index[1]},{index[2]}")
        assert found.work.kind == kind and found.gap is not None and found.gap < 1e-5
        assert found.value == pytest.approx(float(own[index]), abs=1e-6)
        # of what is joined the picture itself comes first
        assert found.given == ("the picture" if (kind, index[0]) == ("copy", 0) else given[kind])


# The pixels


def test_exactly_the_pixels_that_it_saw_change_it() -> None:
    """Every pixel is changed once: those in the box change the number, the others do not; at corners it is cut."""
    net = seeded(nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.MaxPool2d(2), nn.Conv2d(3, 2, 2), *head(8)).double()
    for parameter in net.parameters():
        parameter.data.abs_()
    net[1] = nn.AvgPool2d(2)  # a maximum hides what is not the largest
    sight = before(net.float())
    call = sight.trace.find("conv2")
    for row, column in ((0, 0), (1, 0), (1, 1)):
        found = xray(sight, f"conv2:1,{row},{column}")
        assert found.seen is not None
        top, left, bottom, right = found.seen.box
        changes = np.zeros((12, 12), bool)
        for place in np.ndindex(12, 12):
            changed = sight.image.clone()
            changed[0, 0, place[0], place[1]] += 1
            with torch.no_grad():
                other = net[2](net[1](net[0](changed)))[0, 1, row, column]
            changes[place] = abs(float(other) - found.value) > 1e-4
        wanted = np.zeros((12, 12), bool)
        wanted[top:bottom, left:right] = True
        assert np.array_equal(changes, wanted)
        assert np.array_equal(found.seen.pixels, sight.pixels[top:bottom, left:right])
    assert xray(sight, "conv2:1,0,0").seen.clipped  # type: ignore[union-attr]
    assert call.gave is not None


def test_pixels_in_another_order_are_those_that_it_saw() -> None:
    net = seeded(nn.Conv2d(1, 2, 3), nn.ReLU(), *head(200))
    sight = before(net, permute_pixels=True)
    found = xray(sight, "conv1:0,4,5")
    assert found.seen is not None and found.seen.scattered is not None and found.seen.on_picture is None
    changed = sight.image.clone()
    for row, column in found.seen.scattered:
        changed[0, 0, row, column] += 1
    wanted = sight.trace.find("conv1")
    with torch.no_grad():
        moved = net[0](sight.given(changed))[0, 0] - sight.trace.value(wanted.gave or 0)[0]
    # all nine of them together change it by the sum of its kernel
    assert float(moved[4, 5]) == pytest.approx(float(net[0].weight.detach()[0].sum()), abs=1e-5)
    levels = [sight.pixels[row, column, 0] for row, column in found.seen.scattered]
    assert found.seen.pixels[..., 0].ravel().tolist() == levels
    assert "scattered over the picture by --permute-pixels" in str(found)


def test_padding_only_and_the_place_on_a_larger_picture() -> None:
    net = seeded(nn.Conv2d(1, 1, 1, padding=2), nn.ReLU(), *head(256))
    found = xray(before(net), "conv1:0,0,0")
    assert found.seen is not None and found.seen.box == (0, 0, 0, 0)
    assert "padding only" in str(found)
    assert found.value == pytest.approx(float(net[0].bias.detach()[0]))
    of = untaught("mnist-cnn", (12, 12), 1)
    large = xray(look(of, noise((48, 24)), "large"), "conv1:0,3,3")
    # 24 x 24 in the middle of 48 x 24 are seen, each of the network's pixels being two by two
    assert large.seen is not None and large.seen.box == (2, 2, 5, 5)
    assert large.seen.on_picture == (12 + 4, 4, 12 + 10, 10)


# Where it goes


def test_who_reads_it_by_changing_it() -> None:
    """A number is changed by hand; those of the next layer that change are those that are named."""
    net = seeded(nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(2), *head(16))
    net = nn.Sequential(nn.Conv2d(1, 2, 3), *net)
    sight = before(net.eval(), (11, 9))
    call = sight.trace.find("conv1")
    assert call.gave is not None
    value = sight.trace.value(call.gave)
    for index in ((0, 0, 0), (1, 4, 3), (1, 8, 6)):
        reader = readers(sight.trace, call.gave, index)[0]
        changed = value[None].clone()
        changed[0][index] += 100
        with torch.no_grad():
            moved = (net[1](changed) - net[1](value[None]))[0].abs() > 1
        channels, rows, columns = (np.unique(side) for side in np.nonzero(moved.numpy()))
        assert reader.layer == "conv2"
        assert reader.units == (len(channels), len(rows), len(columns))
        assert reader.first == (channels[0], rows[0], columns[0])


def test_a_dense_layer_counts_most_for_some() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(144, 6), nn.ReLU(), nn.Linear(6, 2))
    sight = before(net)
    found = xray(sight, "relu1:4")
    column = net[3].weight.detach()[:, 4]
    best = int(column.abs().argmax())
    assert found.readers[0].layer == "fc2"
    assert found.readers[0].weights[0] == (best, pytest.approx(float(column[best])))
    assert f"weighs most for: {float(column[best]):+.3g} to unit {best}" in str(found)


# What is left out, and what is wrong


def test_what_is_left_out_is_the_strongest() -> None:
    sight = before(seeded(nn.Conv2d(1, 4, 3), nn.ReLU(), *head(400)))
    output = sight.trace.value(sight.trace.find("conv1").gave or 0)
    whole = tuple(int(one) for one in np.unravel_index(int(output.abs().argmax()), output.shape))
    assert xray(sight, "conv1").index == whole
    place = tuple(int(one) for one in np.unravel_index(int(output[2].abs().argmax()), output[2].shape))
    assert xray(sight, "conv1:2").index == (2, *place)


@pytest.mark.parametrize("said", ["4,0,0", "0,10,0", "0,0,0,0", "-1", "a", ""])
def test_a_unit_that_is_not_there(said: str) -> None:
    sight = before(seeded(nn.Conv2d(1, 4, 3), nn.ReLU(), *head(400)))
    with pytest.raises(ConfigError) as error:
        xray(sight, f"conv1:{said}")
    assert error.value.code == "C291"
    assert f"conv1 has no unit {said!r}: it has channel 0 to 3, row 0 to 9, column 0 to 9." in str(error.value)
    assert "Fix: conv1:2,5,5" in str(error.value)
    assert xray(sight, "conv1:2,5,5").index == (2, 5, 5)


def test_a_layer_that_is_not_there() -> None:
    sight = before(seeded(nn.Conv2d(1, 4, 3), nn.ReLU(), *head(400)))
    with pytest.raises(ConfigError) as error:
        xray(sight, "conv11:0,0,0")
    assert error.value.code == "C203"
    assert "there is no layer 'conv11'. Did you mean 'conv1'?" in str(error.value)
    assert "Layers: conv1, relu1, flatten1, fc1." in str(error.value)


class Constant(nn.Module):
    """A part whose numbers the picture has nothing to do with."""

    def __init__(self) -> None:
        super().__init__()
        self.code, self.last = nn.Linear(3, 2), nn.Linear(144, 2)

    def forward(self, given: Tensor) -> Tensor:
        found: Tensor = self.last(given.flatten(1)) + self.code(torch.ones(1, 3))
        return found


def test_a_layer_without_the_picture_in_it() -> None:
    with pytest.raises(ConfigError, match=r"\[C291\]: the layer 'code' gives nothing that the picture went into"):
        xray(before(Constant()), "code:0")


# As text and as JSON


def every(found: Xray) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    return told


def test_as_json_it_adds_up() -> None:
    sight = look(untaught("mnist-cnn", (28, 28), 1), noise((28, 28)), "noise")
    found = xray(sight, "conv2:7,0,5")
    told = every(found)
    terms = told["terms"]
    patch, kernel = np.array(terms["patch"]), np.array(terms["kernel"])
    assert patch.shape == (32, 3, 3) and terms["kept"] is None and terms["first_channel"] == 0
    assert float((patch * kernel).sum()) + terms["bias"] == pytest.approx(told["value"], abs=1e-4)
    assert terms["sums"] == pytest.approx((patch * kernel).sum(axis=(1, 2)).tolist(), abs=1e-4)
    assert terms["inside"] == [[False] * 3, [True] * 3, [True] * 3] and terms["rows"] == [-1, 0, 1]
    assert told["unit"] == "conv2:7,0,5" and told["seen"]["box"] == [0, 7, 5, 15]
    assert np.array(told["seen"]["pixels"]).shape == (5, 8, 1)


def test_as_json_it_can_be_short() -> None:
    sight = look(untaught("mnist-cnn", (28, 28), 1), noise((28, 28)), "noise")
    for unit, many, shape in (("conv2:7,0,5", 32 * 9, (4, 3, 3)), ("fc1:3", 64 * 49, (40,))):
        found, terms = xray(sight, unit), every(xray(sight, unit))["terms"]
        assert np.array(terms["patch"]).size == many
        short = found.as_dict(most=40)
        kept = short["terms"]["kept"]
        for part in ("patch", "kernel", "products"):
            assert np.array(short["terms"][part]).shape == shape
            assert np.array_equal(short["terms"][part], np.array(terms[part])[kept])
        assert found.work.terms is not None
        largest = np.abs(found.work.terms.sums)
        assert largest[kept].min() >= np.delete(largest, kept).max()
        assert short["terms"]["sum"] == terms["sum"]
        assert short["seen"]["pixels"] is None or len(short["seen"]["pixels"]) < 7


def test_the_text_adds_up() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(), *head(144))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[[[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]]]))
        net[0].bias.fill_(0.5)
    of = Predictor(net.eval(), ("a", "b"), Preprocess("L", 12, 12, mean=(0.0,), std=(1.0,)))
    picture = np.zeros((12, 12), np.uint8)
    picture[:, 5:] = 255
    assert str(xray(look(of, picture, "edge.png"), "conv1:0,0,5")).split("\n") == [
        "conv1     Conv2d: channel 0, row 0, column 5 of 1 x 12 x 12",
        "sees      rows 0 to 1, columns 4 to 6: 2 x 3 pixels (a field of 3 x 3, cut at",
        "          the edge)",
        "given     1 x 12 x 12 from the picture",
        "     patch         kernel        products",
        "      .  .  .  x    1  0 -1  =    0  0  0",
        "      0  1  1  x    2  0 -2  =    0  0 -2",
        "      0  1  1  x    1  0 -1  =    0  0 -1",
        "made      sum of patch x kernel + bias",
        "          -3 + 0.5 = -2.5",
        "result    -2.5; the network's own is -2.5, 0 apart",
        "goes to   relu1: 1 channel x 1 x 1 places",
    ]


def test_a_notebook_shows_it_inert() -> None:
    sight = before(seeded(nn.Conv2d(1, 4, 3), nn.ReLU(), *head(400)))
    shown = xray(sight, "conv1:0,0,0")._repr_html_()
    assert shown.startswith("<pre>conv1") and shown.endswith("</pre>")
