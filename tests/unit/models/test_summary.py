"""Summaries: shapes and counts of any network, and that looking changes nothing."""

import pytest
import torch
from torch import nn

from dojang.errors import ConfigError
from dojang.models.build import MODELS, build, shaped
from dojang.models.presets import PRESETS
from dojang.models.summary import parameters_table, summarise, totals


def test_numbers_of_a_preset():
    net = build("mnist-cnn", in_channels=1, classes=10, image_size=(28, 28), seed=0)
    summary = summarise(net, (28, 28), 1)
    assert summary.total == summary.trainable == 119_530 and summary.bytes == 4 * 119_530
    shapes = {row.name: row.shape for row in summary.rows}
    assert shapes["conv1"] == (32, 28, 28) and shapes["pool2"] == (64, 7, 7) and shapes["fc2"] == (10,)
    assert sum(row.parameters for row in summary.rows) == 119_530
    assert str(summary).splitlines()[2].split() == [
        "conv1", "32x28x28", "320", "225.8", "k", "98", "KiB", "3", "1"
    ]  # fmt: skip
    # 288 and 18,432 weights at 28 x 28 and 14 x 14 positions; 3,136 x 32 and 32 x 10 once
    macs = 288 * 28 * 28 + 18_432 * 14 * 14 + 3136 * 32 + 320
    assert str(summary).endswith(f"119,530 parameters, 119,530 trainable, 0.46 MiB; {macs:,} mult-adds")


class Odd(nn.Module):
    """Shared layer, unused layer, a parameter of its own, one frozen, several outputs, chance in the forward."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Dropout(0.5))
        self.relu = nn.ReLU()
        self.spare = nn.Linear(2, 2)
        self.net[0].weight.requires_grad_(False)
        self.net[2].eval()

    def forward(self, x):
        y = self.relu(self.net(self.relu(x))) * self.scale[:, None, None]
        return {"scores": nn.functional.dropout(y, 0.5), "other": None}


def test_any_network():
    summary = summarise(Odd(), (4, 6), 3)
    assert [(row.name, row.shape, row.parameters) for row in summary.rows] == [
        ("relu", (3, 4, 6), 0),
        ("net.conv1", (3, 4, 6), 12),
        ("net.bn1", (3, 4, 6), 6),
        ("net.drop1", (3, 4, 6), 0),
        ("relu#2", (3, 4, 6), 0),
        ("Odd", (3, 4, 6), 3),
        ("spare", None, 6),
    ]
    assert (summary.total, summary.trainable) == (27, 18)
    assert [row.path for row in summary.rows][1] == "net.0"


def test_looking_changes_nothing():
    net = Odd()
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    modes, generator = [module.training for module in net.modules()], torch.get_rng_state()
    summarise(net, (4, 6), 3)
    with pytest.raises(ConfigError):
        summarise(net, (4, 6), 5)
    assert [module.training for module in net.modules()] == modes and modes.count(False) == 1
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not any(module._forward_hooks for module in net.modules())


def test_network_that_refuses_the_picture():
    with pytest.raises(ConfigError) as caught:
        summarise(nn.Sequential(nn.Conv2d(3, 4, 3)), (8, 8), 1)
    assert caught.value.code == "C208"
    assert str(caught.value).startswith(
        "ConfigError[C208]: Sequential cannot take a picture of 8x8, 1 channel: RuntimeError: "
    )


def test_tied_weights_count_once():
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Linear(4, 4))
    net[2].weight = net[1].weight
    assert summarise(net, (2, 2), 1).total == 24
    assert [row.parameters for row in summarise(net, (2, 2), 1).rows] == [0, 20, 4]


def test_other_dtypes():
    assert summarise(nn.Sequential(nn.Conv2d(1, 2, 1)).double(), (3, 3), 1).bytes == 32
    assert summarise(nn.Sequential(nn.ReLU()), (3, 3), 1).total == 0


def test_tables_fit_80_columns():
    inner = nn.Sequential(nn.Conv2d(1, 2, 1))
    for name in ("a_rather_long_name_for_a_block", "and_a_longer_one_inside_of_it", "third_level_of_the_thing"):
        outer = nn.Module()
        outer.add_module(name, inner)
        outer.forward = lambda x, inner=inner: inner(x)
        inner = outer
    for text in (str(summarise(inner, (3, 3), 1)), parameters_table(inner, first=20)):
        assert max(map(len, text.splitlines())) <= 80
        assert "…" in text


def test_every_parameter_is_listed():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.arange(6).reshape(3, 2) / 4)
        net[0].bias.copy_(torch.tensor([1.0, -2.0, 1234.5678]))
    lines = parameters_table(net, first=4).splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == ["0.weight", "0.bias", "1.weight"]
    assert lines[1].split() == ["0.weight", "3", "x", "2", "6", "0", "0.25", "0.5", "0.75", "..."]
    assert lines[2].split() == ["0.bias", "3", "3", "1", "-2", "1.23e+03"]
    assert lines[-1] == "12 parameters in all"


@pytest.mark.parametrize("name", list(MODELS))
def test_totals_are_those_of_the_summary(name):
    side, channels, classes = PRESETS[name].home
    net = shaped(name, in_channels=channels, classes=classes, image_size=(side, side))
    found = summarise(net, (side, side), channels)
    assert totals(net, (side, side), channels) == (found.total, found.macs, found.depth)
    assert sum(row.macs for row in found.rows) == found.macs
