"""One contract for every registered network (RELIABILITY.md N4)."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from dojang.errors import ConfigError
from dojang.models.build import MODELS, architecture, build, rebuild, shaped
from dojang.models.presets import PRESETS
from dojang.models.summary import parameters_table, summarise
from dojang.models.weights import Card, dump, load, restore

# at 28x28x1 and 10 classes, computed by hand from the layers' formulas; a new network enters its number here
GOLDEN = {
    "cifar-cnn": 92_672 + 128 * 2 * 2 * 1024 + 1024 + 10_250,
    "cifar-vgg": 287_008 - 2 * 32 * 9 + 896 + 128 * 3 * 3 * 1024 + 1024 + 10_250,
    "cnn": 320 + 18_496 + 73_856 + 2 * (32 + 64 + 128) + 128 * 3 * 3 * 128 + 128 + 1290,
    "fashion-cnn": 360_458,
    "lenet-bn": 22_000,
    "lenet-bn-fcn": 22_000,
    "mlp": 101_770,
    "mnist-cnn": 119_530,
    "mnist-mlp": 39_760,
    # the stem's four 2x2 patches, both signs: 8 x 4 + 8; convolutions without bias; 2 x 2 numbers a channel in the
    # norms of a group; no bias at the end. 28 pixels are 27, 13, 6, 3 on the way, so there are three groups
    "sprint": 40 + 9 * (8 * 32 + 32**2 + 32 * 128 + 3 * 128**2) + 4 * (32 + 2 * 128) + 1280,
    "sprint-s": 40 + 9 * (8 * 16 + 16**2 + 16 * 32 + 3 * 32**2) + 4 * (16 + 2 * 32) + 320,
    "sprint-m": 40 + 9 * (8 * 32 + 32**2 + 32 * 64 + 3 * 64**2) + 4 * (32 + 2 * 64) + 640,
    "sprint-l": 40 + 9 * (8 * 64 + 64**2 + 64 * 192 + 3 * 192**2) + 4 * (64 + 2 * 192) + 1920,
}
# the published networks: what they have at 224x224x3 and 1,000 classes (tests/unit/models/test_published.py), with the
# stem and the head that they get here
HEAD = {"resnet18": 512, "resnet34": 512, "resnet50": 2048, "resnet101": 2048, "resnet152": 2048}
HEAD |= {"densenet121": 1024, "densenet169": 1664, "densenet201": 1920, "densenet161": 2208}
FULL = {"resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032, "resnet101": 44_549_160}
FULL |= {"resnet152": 60_192_808, "densenet121": 7_978_856, "densenet161": 28_681_000, "densenet169": 14_149_480}
FULL |= {"densenet201": 20_013_928}
for _name, _features in HEAD.items():
    _width = 96 if _name == "densenet161" else 64
    # filters of 7 x 7 x 3 become 3 x 3 x 1, and 990 classes go
    GOLDEN[_name] = FULL[_name] - _width * (7 * 7 * 3 - 3 * 3) - 990 * (_features + 1)
GOLDEN |= {
    "googlenet": 6_624_904 - 64 * (7 * 7 * 3 - 3 * 3) - 990 * 1025,
    "googlenet-2014": 6_998_552 - 64 * (7 * 7 * 3 - 3 * 3) - 990 * 1025,
    "squeezenet1_0": 1_248_424 - 96 * (7 * 7 * 3 - 3 * 3) - 990 * 513,
    "squeezenet1_1": 1_235_496 - 64 * (3 * 3 * 3 - 3 * 3) - 990 * 513,
    # 11 x 11 x 3 become 5 x 5 x 1; a map of 6 x 6 x 256 becomes 2 x 2 x 256
    "alexnet": 61_100_840 - 64 * (121 * 3 - 25) - 4096 * 256 * (36 - 4) - 990 * 4097,
    "alexnet-2012": 60_965_224 - 96 * (121 * 3 - 25) - 4096 * 256 * (36 - 4) - 990 * 4097,
}
# 0.27, 0.46, 0.66, 0.85 and 1.7 million; 3 channels become 1
_SMALL = {"resnet20": 269_722, "resnet32": 464_154, "resnet44": 658_586, "resnet56": 853_018, "resnet110": 1_727_962}
_SMALL |= {"plain20": _SMALL["resnet20"], "plain56": _SMALL["resnet56"]}
GOLDEN |= {_name: total - 16 * 9 * 2 for _name, total in _SMALL.items()}
# four poolings leave 1 x 1 x 512 of 28 pixels; the hidden layers are 512 wide instead of 4,096
_VGG = {"vgg11": 132_863_336, "vgg13": 133_047_848, "vgg16": 138_357_544, "vgg19": 143_667_240}
_VGG |= {"vgg11_bn": 132_868_840, "vgg13_bn": 133_053_736, "vgg16_bn": 138_365_992, "vgg19_bn": 143_678_248}
_dense = (25_088 * 4096 + 4096) + (4096 * 4096 + 4096) + (4096 * 1000 + 1000)
_small = (512 * 512 + 512) + (512 * 512 + 512) + (512 * 10 + 10)
GOLDEN |= {_name: total - 64 * 9 * 2 - _dense + _small for _name, total in _VGG.items()}
# more layers of what a smaller one of the same file has: minutes on two cores
DEEP = {"vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn", "googlenet-2014", "resnet34", "resnet101"}
DEEP |= {"resnet152", "resnet32", "resnet44", "resnet56", "resnet110", "plain56", "densenet161", "densenet169"}
DEEP |= {"densenet201", "alexnet-2012"}
SIZES = [(16, 16), (28, 28), (33, 47)]

NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in DEEP else name for name in MODELS]
every = pytest.mark.parametrize("name", NAMES)


def takes(name, option):
    """Whether a network can be built with and without something; the form of some is fixed."""
    return option in {field.name for field in dataclasses.fields(MODELS[name].Config)}


def make(name, size=(28, 28), channels=1, classes=10, seed=0, **options):
    return build(name, in_channels=channels, classes=classes, image_size=size, seed=seed, options=options)


def pictures(n, channels=1, size=(28, 28), seed=0):
    return torch.randn(n, channels, *size, generator=torch.Generator().manual_seed(seed))


def test_every_network_has_its_golden_number():
    assert set(GOLDEN) == set(MODELS) == set(PRESETS)


@pytest.mark.parametrize("name", list(MODELS))
def test_golden_parameter_count(name):
    net = shaped(name, in_channels=1, classes=10, image_size=(28, 28))
    assert sum(parameter.numel() for parameter in net.parameters()) == GOLDEN[name]


@every
@pytest.mark.parametrize("size", SIZES)
def test_forward(name, size):
    for channels, classes in ((1, 10), (3, 2), (5, 1)):
        net = make(name, size, channels, classes).eval()
        x = pictures(3, channels, size)
        before = x.clone()
        with torch.no_grad():
            scores = net(x)
            assert net(x[:0]).shape == (0, classes)
        assert scores.shape == (3, classes) and scores.dtype == torch.float32 and scores.isfinite().all()
        assert torch.equal(x, before)


@pytest.mark.parametrize(
    ("name", "batch_norm"),
    [
        pytest.param(name, value, marks=pytest.mark.slow if name in DEEP else ())
        for name in MODELS
        for value in (None, True, False)
        if value is None or takes(name, "batch_norm")
    ],
)
def test_finite_gradient_for_every_parameter(name, batch_norm):
    net = make(name, batch_norm=batch_norm).train()
    F.cross_entropy(net(pictures(8)), torch.arange(8)).backward()
    assert any(parameter.requires_grad for parameter in net.parameters())
    for key, parameter in net.named_parameters():
        if not parameter.requires_grad:
            assert parameter.grad is None, key
            continue
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key
        # a bias in front of batch normalisation has no effect, every weight has
        assert key.endswith("bias") or parameter.grad.any(), key


@every
def test_answer_does_not_depend_on_batch_mates(name):
    net = make(name)
    net(pictures(16))
    net.eval()
    x = pictures(6, seed=1)
    with torch.no_grad():
        together = net(x).softmax(1)
        alone = torch.cat([net(x[i : i + 1]) for i in range(6)]).softmax(1)
        others = net(torch.cat([x[:1], 50 * pictures(9, seed=2)]))[:1].softmax(1)
    assert (together - alone).abs().max() < 2e-5 and (together[:1] - others).abs().max() < 2e-5


@every
def test_evaluation_changes_nothing(name):
    net = make(name).eval()
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    net(pictures(4))
    assert all(torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items())


@every
def test_contiguous_or_not_is_the_same(name):
    net, x = make(name).eval(), pictures(4)
    with torch.no_grad():
        assert (net(x.transpose(2, 3).contiguous().transpose(2, 3)) - net(x)).abs().max() < 1e-4


@every
def test_state_comes_back_bit_for_bit(name, tmp_path):
    net = make(name, seed=5)
    net(pictures(8))
    path = tmp_path / "net.safetensors"
    path.write_bytes(dump(net.state_dict(), Card(architecture=architecture(net), labels=tuple("0123456789"))))
    tensors, card = load(path)
    again = rebuild(card.architecture)
    restore(again, tensors)
    for key, tensor in net.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor), key
    net.eval(), again.eval()
    assert torch.equal(again(pictures(4)), net(pictures(4)))
    assert repr(again) == repr(net)


@every
def test_seed_decides_the_start(name):
    torch.manual_seed(123)
    one = make(name, seed=1)
    torch.manual_seed(321)
    two, other = make(name, seed=1), make(name, seed=2)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    drawn = [(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True) if not is_identity(a)]
    weights = [(a, b) for a, b in drawn if a.ndim > 1]
    assert weights and not any(torch.equal(a, b) for a, b in weights)


def is_identity(weight):
    """Filters that hand every channel on as it is: nothing is drawn there."""
    return weight.ndim == 4 and torch.equal(weight, torch.nn.init.dirac_(torch.empty_like(weight)))


@every
def test_first_loss_is_near_chance(name):
    net = make(name)
    net.eval()
    loss = F.cross_entropy(net(pictures(64)), torch.arange(64) % 10)
    assert 2.0 < loss < 3.0  # ln 10 = 2.303


@every
def test_last_layer_is_bare(name):
    options = {key: value for key, value in {"batch_norm": True, "dropout": 0.5}.items() if takes(name, key)}
    last = [layer for layer in make(name, **options).modules() if any(True for _ in layer.parameters(recurse=False))][
        -1
    ]
    assert isinstance(last, (torch.nn.Linear, torch.nn.Conv2d))


@every
@pytest.mark.parametrize(
    "batch", [pictures(2)[0], pictures(2, channels=2), torch.zeros(2, 1, 28, 28, dtype=torch.uint8)]
)
def test_wrong_rank_channels_and_type_are_refused(name, batch):
    with pytest.raises(ConfigError) as caught:
        make(name)(batch)
    assert caught.value.code == "C204"


@every
def test_summary_adds_up(name):
    net = make(name)
    summary = summarise(net, (28, 28), 1)
    assert sum(row.parameters for row in summary.rows) == summary.total == GOLDEN[name]
    names = [row.name for row in summary.rows]
    assert len(set(names)) == len(names) and all(row.shape for row in summary.rows)
    for text in (str(summary), parameters_table(net)):
        assert max(map(len, text.splitlines())) <= 80
