"""Parameter counts, maps and layers of the presets: the figures of the notes, and the definitions written out."""

import dataclasses
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from dojang.errors import ConfigError
from dojang.models.build import MODELS, build
from dojang.models.cnn import CNN, CNNConfig, fitting_dims
from dojang.models.presets import PRESETS
from dojang.models.summary import summarise


def make(name, channels=1, size=28, **options):
    return build(name, in_channels=channels, classes=10, image_size=(size, size), seed=0, options=options)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "channels", "size", "options", "parameters"),
    [
        ("mnist-mlp", 1, 28, {}, 39_760),
        ("mnist-mlp", 1, 28, {"batch_norm": True}, 39_860),
        ("mlp", 1, 28, {}, 101_770),
        ("mnist-cnn", 1, 28, {}, 119_530),
        ("mnist-cnn", 1, 28, {"batch_norm": True}, 119_722),
        ("mnist-cnn", 1, 28, {"hidden_dims": (1024, 128)}, 3_363_594),
        ("fashion-cnn", 1, 28, {}, 360_458),
        ("cifar-cnn", 3, 32, {}, 1_284_170),
        ("cifar-vgg", 3, 32, {}, 2_396_330),
        ("lenet-bn", 1, 28, {}, 22_000),
        ("lenet-bn-fcn", 1, 28, {}, 22_000),
        ("cnn", 1, 8, {}, 53_194),
        # 12 components of 2x2x3 patches, both signs: 24 x 12 + 24; then filters, 9 (24 x 64 + 64^2 + 64 x 256 +
        # 3 x 256^2); 4 (64 + 2 x 256) of the norms and 2,560 of the head
        ("sprint", 3, 32, {}, 312 + 1_967_616 + 2304 + 2560),
        # 4x4 patches of three channels have 48 components; 24 are kept
        ("sprint", 3, 100, {"conv_dims": (4,)}, 24 * 2 * 48 + 48 + 9 * (48 * 4 + 16) + 16 + 40),
    ],
)
def test_parameter_counts(name, channels, size, options, parameters):
    assert count(make(name, channels, size, **options)) == parameters


@pytest.mark.parametrize(
    ("name", "channels", "size", "sides"),
    [("fashion-cnn", 1, 28, [13, 6, 2]), ("cifar-cnn", 3, 32, [15, 7, 3]), ("lenet-bn", 1, 28, [24, 8])],
)
def test_sides_of_the_maps(name, channels, size, sides):
    rows = summarise(make(name, channels, size), (size, size), channels).rows
    assert [row.shape[1] for row in rows if row.type == "Conv2d"] == sides


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("mnist-mlp", "flatten fc1 sigmoid1 fc2"),
        ("mnist-cnn", "conv1 relu1 pool1 conv2 relu2 pool2 drop1 flatten fc1 relu3 fc2"),
        ("fashion-cnn", "conv1 relu1 conv2 relu2 conv3 relu3 flatten drop1 fc1 relu4 drop2 fc2"),
        ("lenet-bn", "conv1 bn1 pool1 relu1 conv2 bn2 pool2 relu2 flatten fc1 bn3 relu3 fc2"),
        ("lenet-bn-fcn", "conv1 bn1 pool1 relu1 conv2 bn2 pool2 relu2 conv3 bn3 relu3 conv4"),
        (
            "cifar-vgg",
            "conv1 relu1 bn1 conv2 relu2 bn2 pool1 conv3 relu3 bn3 conv4 relu4 bn4 pool2 "
            "conv5 relu5 bn5 conv6 relu6 bn6 pool3 flatten drop1 fc1 relu7 drop2 fc2",
        ),
    ],
)
def test_order_and_names_of_the_layers(name, names):
    assert [child for child, _ in make(name).named_children()] == names.split()


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("mnist-cnn", {"drop1": 0.5}),
        ("fashion-cnn", {"drop1": 0.2, "drop2": 0.2}),
        ("cifar-cnn", {"drop1": 0.5, "drop2": 0.2}),
        ("cifar-vgg", {"drop1": 0.5, "drop2": 0.2}),
    ],
)
def test_dropout_rates(name, rates):
    layers = dict(make(name).named_children())
    assert {key: layer.p for key, layer in layers.items() if key.startswith("drop")} == rates
    if name == "mnist-cnn":
        assert isinstance(layers["drop1"], torch.nn.Dropout2d)


def test_mnist_cnn_is_what_its_description_says():
    net = make("mnist-cnn").double().eval()
    x, p = torch.rand(5, 1, 28, 28, dtype=torch.float64), dict(net.named_parameters())
    y = F.max_pool2d(F.conv2d(x, p["conv1.weight"], p["conv1.bias"], padding=1).clamp(min=0), 2)
    y = F.max_pool2d(F.conv2d(y, p["conv2.weight"], p["conv2.bias"], padding=1).clamp(min=0), 2)
    y = (y.reshape(5, 64 * 7 * 7) @ p["fc1.weight"].T + p["fc1.bias"]).clamp(min=0)
    y = y @ p["fc2.weight"].T + p["fc2.bias"]
    torch.testing.assert_close(net(x), y, rtol=0, atol=1e-12)


def as_convolutions(dense, convolutional):
    """The dense head's weights in the shapes of the convolutional one."""
    names = {"fc1": "conv3", "fc2": "conv4"}
    shapes = {name: tensor.shape for name, tensor in convolutional.state_dict().items()}
    state = {}
    for name, tensor in dense.state_dict().items():
        layer, _, rest = name.partition(".")
        renamed = f"{names.get(layer, layer)}.{rest}"
        state[renamed] = tensor.reshape(shapes[renamed])
    return state


def test_fully_convolutional_head_gives_the_same_answers_and_slides_over_larger_pictures():
    dense, conv = make("lenet-bn", init="he").double(), make("lenet-bn-fcn").double()
    dense(torch.randn(64, 1, 28, 28, dtype=torch.float64))  # so that the statistics of the norms are not 0 and 1
    conv.load_state_dict(as_convolutions(dense, conv))
    dense.eval(), conv.eval()
    x = torch.rand(3, 1, 28, 28, dtype=torch.float64)
    torch.testing.assert_close(conv(x), dense(x), rtol=0, atol=1e-12)
    large = torch.rand(2, 1, 32, 36, dtype=torch.float64)
    scores = conv(large)
    assert scores.shape == (2, 10, 2, 3)
    for i in range(2):
        for j in range(3):
            crop = large[:, :, 4 * i : 4 * i + 28, 4 * j : 4 * j + 28]
            torch.testing.assert_close(scores[:, :, i, j], dense(crop), rtol=0, atol=1e-12)


@pytest.mark.parametrize("side", [2, 3, 4, 5, 8, 9, 16, 28, 32, 33, 64, 100, 128, 224, 512])
def test_cnn_fits_itself_to_the_size(side):
    dims = fitting_dims((side, side))
    assert dims == tuple(min(32 * 2**i, 256) for i in range(len(dims)))
    last = side // 2 ** len(dims)
    assert last >= 1
    assert len(dims) == 6 or last <= 4
    assert len(dims) <= 2 or side // 2 ** (len(dims) - 1) > 4
    assert CNN(1, 2, (side, side), CNNConfig(hidden_dims=())).config.conv_dims == dims


def test_cnn_averages_large_maps_and_keeps_small_ones():
    small, large = CNN(3, 10, (32, 32)), CNN(3, 10, (128, 128))
    assert not small.config.global_pool and "avgpool1" not in dict(small.named_children())
    assert large.config.global_pool and "avgpool1" in dict(large.named_children())
    assert large.eval()(torch.zeros(1, 3, 160, 96)).shape == (1, 10)


@pytest.mark.parametrize(
    ("name", "smallest"),
    [("cnn", 2), ("mnist-cnn", 4), ("cifar-vgg", 8), ("fashion-cnn", 15), ("cifar-cnn", 15), ("lenet-bn", 16)],
)
def test_smallest_picture_is_said_and_true(name, smallest):
    with pytest.raises(ConfigError) as caught:
        make(name, size=smallest - 1)
    assert caught.value.code == "C204"
    assert f"is {smallest}x{smallest}." in caught.value.context
    assert f"--imgsz {smallest}" in caught.value.fix
    net = make(name, size=smallest).eval()
    assert net(torch.zeros(2, 1, smallest, smallest)).shape == (2, 10)


def test_text_of_a_vanished_map():
    with pytest.raises(ConfigError) as caught:
        build("fashion-cnn", in_channels=1, classes=10, image_size=(12, 40), seed=0)
    assert str(caught.value) == (
        "ConfigError[C204]: conv3: a picture of 12x40 is down to 2x9 there, too small for a window of 3x3.\n"
        "  The smallest picture that this network works on is 15x15.\n"
        "  Fix: --imgsz 15, or fewer --conv-dims"
    )


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [(17, 23), (24, 18)])
def test_sizes_are_those_that_torch_gives(kernel, stride, padding, size):
    config = CNNConfig(
        conv_dims=(2, 3), kernel_size=kernel, stride=stride, padding=padding, pool=stride == 1, hidden_dims=(4,)
    )
    assert CNN(1, 5, size, config).eval()(torch.zeros(1, 1, *size)).shape == (1, 5)


@pytest.mark.parametrize("option", ["activation", "batch_norm", "init"])
def test_no_batch_norm_after_the_last_layer(option):
    value = {"activation": "relu", "batch_norm": True, "init": "he"}[option]
    for name in PRESETS:
        if option not in {"init", *(field.name for field in dataclasses.fields(MODELS[name].Config))}:
            assert PRESETS[name].family == "sprint" or PRESETS[name].year  # whose form is fixed
            continue
        last = [
            layer
            for layer in make(name, **{option: value}).modules()
            if any(True for _ in layer.parameters(recurse=False))
        ][-1]
        assert isinstance(last, (torch.nn.Linear, torch.nn.Conv2d)), name


def test_recipes_are_options_that_people_know():
    for name in PRESETS:
        preset = PRESETS[name]
        assert {"epochs", "batch_size", "optimizer", "lr"} <= set(preset.recipe)
        assert "\n" not in preset.summary and len(preset.summary) <= 120
    assert PRESETS["cifar-vgg"].recipe["flip"] == "horizontal" and PRESETS["cifar-vgg"].recipe["crop_padding"] == 4


def test_unknown_preset():
    with pytest.raises(ConfigError) as caught:
        PRESETS["mnist-cn"]
    assert caught.value.code == "C203" and "Did you mean 'mnist-cnn'?" in caught.value.what


def test_options_and_presets_need_no_torch():
    code = (
        "import sys, dojang.models.options, dojang.models.presets;"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
