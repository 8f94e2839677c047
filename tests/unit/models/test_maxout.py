"""Maxout: what it computes, what it costs by hand, and that everything that reads networks reads it, too."""

import json

import pytest
import torch
from torch import nn

from dojang.errors import ConfigError
from dojang.models import fusion, weights
from dojang.models.arithmetic import explain
from dojang.models.build import architecture, build, rebuild, shaped
from dojang.models.convolutional import convolutionalize
from dojang.models.drawing import volumes
from dojang.models.maxout import Maxout
from dojang.models.summary import summarise

FACTS = {"in_channels": 1, "classes": 10, "image_size": (28, 28), "seed": 0}


def make(name, **options):
    return build(name, **FACTS, options={"activation": "maxout", **options})


@pytest.mark.parametrize("shape", [(3, 8), (2, 6, 4, 5)])
def test_a_unit_is_the_larger_of_its_two_pieces(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found, units = Maxout()(x), shape[1] // 2
    assert found.shape == (shape[0], units, *shape[2:])
    for b in range(shape[0]):
        for unit in range(units):
            one, other = x[b, unit], x[b, unit + units]
            assert torch.equal(found[b, unit], torch.where(one > other, one, other))


def test_two_pieces_make_the_known_activations():
    # pieces w x and 0, w x and -w x, w x and 0.1 w x
    x = torch.linspace(-2, 2, 9)[:, None]
    for other, known in ((0 * x, nn.ReLU()), (-x, torch.abs), (0.1 * x, nn.LeakyReLU(0.1))):
        assert torch.equal(Maxout()(torch.cat([x, other], dim=1)), known(x))


def test_the_gradient_goes_to_the_larger_piece():
    x = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Maxout(), (x,))
    (gradient,) = torch.autograd.grad(Maxout()(x).sum(), x)
    assert gradient.sum() == 12 and set(gradient.unique().tolist()) == {0.0, 1.0}


def test_what_it_refuses():
    with pytest.raises(ConfigError) as caught:
        Maxout()(torch.zeros(2, 5))
    assert str(caught.value) == (
        "ConfigError[C204]: maxout takes 2 numbers for each unit, and was given 5 numbers a picture.\n"
        "  Fix: 2 * n outputs of the layer before, for n units."
    )
    with pytest.raises(ConfigError, match=r"was given the shape \(4,\)"):
        Maxout()(torch.zeros(4))


@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        # 784 x 100 + 100, 50 x 10 + 10
        ("mlp", {"hidden_dims": (50,)}, 784 * 100 + 100 + 50 * 10 + 10),
        # a norm before it has a factor and a shift for each piece
        ("mlp", {"hidden_dims": (50,), "batch_norm": True}, 784 * 100 + 100 + 2 * 100 + 50 * 10 + 10),
        # 3x3x1 x 64, 3x3x32 x 128, 64 channels of 7x7 to 64 pieces, 32 units to 10
        ("mnist-cnn", {}, (9 + 1) * 64 + (9 * 32 + 1) * 128 + (64 * 49 + 1) * 64 + (32 + 1) * 10),
        ("mnist-cnn", {"batch_norm": True}, (9 + 1) * 64 + (9 * 32 + 1) * 128 + (64 * 49 + 1) * 64 + 330 + 2 * 192),
        # a norm behind it has those of the units
        (
            "mnist-cnn",
            {"batch_norm": True, "order": "conv-act-bn-pool"},
            (9 + 1) * 64 + (9 * 32 + 1) * 128 + (64 * 49 + 1) * 64 + 330 + 2 * 96,
        ),
    ],
)
def test_parameters_by_hand(name, options, parameters):
    assert sum(p.numel() for p in make(name, **options).parameters()) == parameters


def test_two_convolutions_a_block():
    net = make("cifar-vgg")
    wide = [(layer.in_channels, layer.out_channels) for layer in net.children() if isinstance(layer, nn.Conv2d)]
    assert wide == [(1, 64), (32, 64), (32, 128), (64, 128), (64, 256), (128, 256)]
    assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize("name", ["mlp", "mnist-cnn", "lenet-bn", "lenet-bn-fcn"])
def test_saved_and_loaded(name, tmp_path):
    net = make(name).eval()
    record = json.loads(json.dumps(architecture(net)))
    assert record["arguments"]["activation"] == "maxout"
    card = weights.Card(
        version="0", task="classify", architecture=record, labels=tuple("abcdefghij"), preprocess={}, metrics={}
    )
    (tmp_path / "w.safetensors").write_bytes(weights.dump(net.state_dict(), card))
    tensors, card, _ = weights.read(tmp_path / "w.safetensors")
    again = rebuild(card.architecture).eval()
    weights.restore(again, tensors)
    x = torch.randn(2, 1, 28, 28)
    assert torch.equal(net(x), again(x))


def test_summary_arithmetic_and_drawing():
    net = shaped("mnist-cnn", in_channels=1, classes=10, image_size=(28, 28), options={"activation": "maxout"})
    found = summarise(net, (28, 28), 1)
    rows = {row.name: row for row in found.rows}
    assert rows["conv1"].shape == (64, 28, 28) and rows["maxout1"].shape == (32, 28, 28)
    assert rows["maxout1"].parameters == rows["maxout1"].macs == 0
    # what it sees is what its convolution sees; behind a pooling of 2 and 3x3 again: 3 + 1 + 2 x 2
    assert rows["maxout1"].field == (3, 3) and rows["maxout2"].field == (8, 8) and rows["maxout2"].stride == (2, 2)
    assert rows["conv2"].macs == 128 * 9 * 32 * 14 * 14 and found.depth == 4
    lines = explain(net, (28, 28), 1, "maxout1").splitlines()
    assert lines[:4] == [
        "maxout1: Maxout()",
        "output      the larger of 2 pieces for each of 32 units: 32 x 28 x 28 = 25,088 numbers",
        "parameters  none",
        "memory      32 x 28 x 28 x 4 bytes = 98 KiB",
    ]
    drawn = {volume.layers[0]: volume for volume in volumes(found)}
    assert drawn["conv1"].kind == "convolution" and drawn["maxout1"].kind == "pooling"


def test_made_fully_convolutional():
    net = make("mnist-cnn").eval()
    whole, x = convolutionalize(net), torch.randn(2, 1, 28, 28)
    torch.testing.assert_close(whole(x)[:, :, 0, 0], net(x), rtol=1e-4, atol=1e-5)
    assert sum(p.numel() for p in whole.parameters()) == sum(p.numel() for p in net.parameters())
    assert whole(torch.zeros(1, 1, 36, 28)).shape == (1, 10, 3, 1)


def test_rows_in_one_go_leave_it_alone():
    layers = [nn.MaxPool2d(2), nn.BatchNorm2d(8), Maxout(), nn.Conv2d(4, 3, 1)]
    assert fusion.match(layers)[2:] == ("none", 2)
    x = torch.randn(2, 8, 6, 6)
    plain = x
    for layer in layers:
        plain = layer(plain)
    torch.testing.assert_close(fusion.run(layers, x), plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "said"), [("resnet18", "whose form is fixed"), ("vgg11", "whose form is fixed")])
def test_networks_of_the_field_refuse_it(name, said):
    with pytest.raises(ConfigError) as caught:
        make(name)
    assert caught.value.code == "C204" and said in str(caught.value) and "--model cnn" in caught.value.fix


def test_sprint_names_what_it_has():
    with pytest.raises(ConfigError) as caught:
        make("sprint")
    assert str(caught.value) == ("ConfigError[C204]: activation cannot be 'maxout'; expected one of gelu, silu, relu.")
