"""How weights start: the moments and bounds of each scheme, and what it leaves alone."""

import math

import pytest
import torch
from torch import nn

from dojang.errors import ConfigError
from dojang.models.build import build
from dojang.models.init import initialise


def net():
    return nn.Sequential(nn.Conv2d(20, 40, 5), nn.BatchNorm2d(40), nn.Flatten(), nn.Linear(300, 200))


FANS = {0: (20 * 25, 40 * 25), 3: (300, 200)}


@pytest.mark.parametrize("scheme", ["uniform", "normal", "xavier", "he"])
def test_moments(scheme):
    torch.manual_seed(0)
    model = net()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    initialise(model, scheme)
    for index, (fan_in, fan_out) in FANS.items():
        weight = model[index].weight.detach().double()
        mean, deviation = {
            "uniform": (0.5, math.sqrt(1 / 12)),
            "normal": (0, 0.02),
            "xavier": (0, math.sqrt(2 / (fan_in + fan_out))),
            "he": (0, math.sqrt(2 / fan_in)),
        }[scheme]
        # five standard errors of 20,000 draws and more
        assert abs(weight.mean() - mean) < 5 * deviation / math.sqrt(weight.numel())
        assert abs(weight.std() / deviation - 1) < 0.03
        bounds = {"uniform": (0, 1), "xavier": (-math.sqrt(3) * deviation, math.sqrt(3) * deviation)}
        if scheme in bounds:
            low, high = bounds[scheme]
            assert weight.min() >= low - 1e-6 and weight.max() <= high + 1e-6
        bias = model[index].bias.detach()
        if scheme == "uniform":
            assert torch.equal(bias, before[f"{index}.bias"])
        else:
            assert not bias.any()
    assert model[1].weight.eq(1).all() and not model[1].bias.any()


@pytest.mark.parametrize(
    ("scheme", "theirs", "gain"),
    [("xavier", nn.init.xavier_uniform_, nn.init.calculate_gain("sigmoid")),
     ("he", nn.init.kaiming_normal_, nn.init.calculate_gain("relu"))],
)  # fmt: skip
def test_gains_are_those_of_the_papers_and_of_torch(scheme, theirs, gain):
    # Xavier's equation 16 has no gain (torch has 5/3 for tanh, which is not in the paper); He's is the root of 2
    assert gain == {"xavier": 1, "he": math.sqrt(2)}[scheme]
    model = net()
    torch.manual_seed(3)
    initialise(model, scheme)
    torch.manual_seed(3)
    for index, (fan_in, fan_out) in FANS.items():
        twin = torch.empty_like(model[index].weight)
        theirs(twin, **({"gain": gain} if scheme == "xavier" else {"nonlinearity": "relu"}))
        assert torch.equal(model[index].weight, twin)
        fan = (fan_in + fan_out) / 2 if scheme == "xavier" else fan_in
        assert abs(twin.std() / (gain / math.sqrt(fan)) - 1) < 0.03


@pytest.mark.parametrize(("between", "same"), [(nn.Tanh, "xavier"), (nn.Sigmoid, "xavier"), (nn.ReLU, "he")])
def test_autoencoders_begin_with_what_suits_the_activation(between, same):
    found = []
    for scheme in ("autoencoder", same):
        model = nn.Sequential(nn.Linear(9, 5), between(), nn.Linear(5, 2))
        torch.manual_seed(0)
        initialise(model, scheme)
        found.append(model[0].weight.detach().clone())
    assert torch.equal(*found)


def test_default_draws_nothing():
    model, state = net(), torch.get_rng_state()
    before = [parameter.clone() for parameter in model.parameters()]
    initialise(model, "default")
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_layers_without_bias():
    initialise(nn.Conv2d(1, 1, 3, bias=False), "he")


def test_presets_and_option():
    arguments = {"in_channels": 1, "classes": 10, "image_size": (28, 28), "seed": 0}
    lenet = build("lenet-bn", **arguments)
    assert abs(lenet.fc1.weight.std().item() - 0.02) < 0.001 and not lenet.conv1.bias.any()
    assert build("lenet-bn", **arguments, options={"init": "default"}).conv1.bias.any()
    assert build("mnist-mlp", **arguments, options={"init": "uniform"}).fc1.weight.min() >= 0


def test_unknown_scheme():
    with pytest.raises(ConfigError) as caught:
        initialise(net(), "xavir")
    assert str(caught.value) == (
        "ConfigError[C204]: init cannot be 'xavir'; expected one of default, uniform, normal, xavier, he, autoencoder."
        " Did you mean 'xavier'?"
    )
