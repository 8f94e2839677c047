"""Building from a name and options, the record that builds the same again, and what is refused."""

import copy
import dataclasses
import json

import pytest
import torch
from torch import nn

from dojang.errors import ConfigError, DojangError
from dojang.models.build import MODELS, architecture, build, rebuild
from dojang.models.cnn import CNN, CNNConfig
from dojang.models.layers import ACTIVATIONS
from dojang.models.mlp import MLP, MLPConfig
from dojang.models.options import ACTIVATION_NAMES, ModelOptions
from dojang.models.presets import PRESETS
from dojang.models.sprint import Sprint, SprintConfig


def make(name="mnist-cnn", seed=0, **options):
    return build(name, in_channels=1, classes=10, image_size=(28, 28), seed=seed, options=options)


def bits(model):
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


def test_every_preset_has_its_class():
    assert list(MODELS) == list(PRESETS) and len(MODELS) >= 13
    assert MODELS["mlp"] is MLP and MODELS["cifar-vgg"] is CNN and MODELS["sprint-l"] is Sprint


def test_seed_fixes_the_bits_and_leaves_the_generator_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = bits(make(seed=3))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert bits(make(seed=3)) == first
    other = bits(make(seed=4))
    assert all(other[name] != first[name] for name in first)


def test_default_device_does_not_matter():
    with torch.device("meta"):
        net = make()
    assert {parameter.device.type for parameter in net.parameters()} == {"cpu"}


def test_options_change_the_preset():
    net = make(
        conv_dims=(4, 6, 8),
        hidden_dims=(20, 30),
        kernel_size=5,
        activation="leaky-relu",
        batch_norm=True,
        dropout=0.25,
        conv_dropout=0.125,
    )
    layers = dict(net.named_children())
    assert [layers[f"conv{i}"].out_channels for i in (1, 2, 3)] == [4, 6, 8]
    assert layers["conv1"].kernel_size == (5, 5) and layers["conv1"].padding == (2, 2)
    assert [layers[f"fc{i}"].out_features for i in (1, 2, 3)] == [20, 30, 10]
    assert layers["leaky_relu1"].negative_slope == 0.1 and "bn3" in layers and "bn4" not in layers
    assert [layers[f"drop{i}"].p for i in (1, 2, 3)] == [0.125, 0.25, 0.25]


def test_options_as_dataclass_as_text_and_none():
    expected = bits(make(hidden_dims=(7,)))
    kind = ModelOptions(model="ignored here", hidden_dims=(7,))
    assert bits(build("mnist-cnn", in_channels=1, classes=10, image_size=(28, 28), seed=0, options=kind)) == expected
    assert bits(make(hidden_dims="7", dropout=None)) == expected


def test_dropout_off_and_batch_norm_off_everywhere():
    kinds = {type(layer) for layer in make("cifar-cnn", dropout=0.0).children()}
    assert nn.Dropout not in kinds
    kinds = {type(layer) for layer in make("lenet-bn", batch_norm=False).children()}
    assert not kinds & {nn.BatchNorm1d, nn.BatchNorm2d}
    kinds = {type(layer) for layer in make("cifar-vgg", batch_norm=False).children()}
    assert nn.BatchNorm2d not in kinds


def test_activations_are_those_of_the_options():
    assert tuple(ACTIVATIONS) == ACTIVATION_NAMES
    x = torch.linspace(-3, 3, 13)
    sigmoid = 1 / (1 + (-x).exp())
    definitions = {
        "relu": x.clamp(min=0),
        "leaky-relu": torch.where(x > 0, x, 0.1 * x),
        "elu": torch.where(x > 0, x, x.exp() - 1),
        "gelu": x * 0.5 * (1 + torch.erf(x / 2**0.5)),
        "silu": x * sigmoid,
        "tanh": 1 - 2 / ((2 * x).exp() + 1),
        "sigmoid": sigmoid,
        "maxout": torch.maximum(x[:6], x[6:12]),
    }
    for name, expected in definitions.items():
        found = ACTIVATIONS[name]()(x if name != "maxout" else x[None, :12])
        torch.testing.assert_close(found, expected if name != "maxout" else expected[None], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", list(PRESETS))
def test_record_builds_the_same_network(name):
    free = "activation" in {field.name for field in dataclasses.fields(MODELS[name].Config)}
    net = make(name, activation="silu") if free else make(name)
    assert not free or any(type(layer) is nn.SiLU for layer in net.children())
    record = json.loads(json.dumps(architecture(net)))
    assert record["name"] == name
    again = rebuild(record)
    assert repr(again) == repr(net)
    again.load_state_dict(net.state_dict())
    assert bits(again) == bits(net)
    assert architecture(again) == record


def test_record_of_a_class_used_directly():
    record = architecture(CNN(3, 2, (16, 16), CNNConfig(conv_dims=(4,))))
    assert record["name"] == "cnn" and record["arguments"]["conv_dims"] == [4]
    assert architecture(MLP(3, 2, (4, 4)))["name"] == "mlp"


def test_record_survives_a_deep_copy_and_states_defaults_as_they_were():
    net = copy.deepcopy(make("cnn"))
    assert architecture(net)["arguments"]["conv_dims"] == [32, 64, 128]
    assert architecture(net)["arguments"]["global_pool"] is False


def test_no_record_where_it_would_not_be_true():
    net = make()
    net.fc2 = nn.Linear(32, 5)
    assert architecture(net) is None

    class Mine(CNN):
        pass

    assert architecture(Mine(1, 10, (28, 28))) is None
    assert architecture(nn.Linear(1, 1)) is None


def test_rebuild_leaves_the_generator_alone():
    record = architecture(make())
    before = torch.get_rng_state()
    rebuild(record)
    assert torch.equal(torch.get_rng_state(), before)


def refused(code, call):
    with pytest.raises(DojangError) as caught:
        call()
    assert caught.value.code == code
    return str(caught.value)


def test_unknown_names():
    text = refused("C203", lambda: make("mnist-cn"))
    assert text.startswith("ConfigError[C203]: unknown model 'mnist-cn'. Did you mean 'mnist-cnn'?\n  Known: alexnet,")
    assert "'nothing'" in refused("C203", lambda: rebuild({"name": "nothing", "arguments": {}}))


def test_unusable_options():
    text = refused("C201", lambda: make(hiden_dims=(3,)))
    assert text == "ConfigError[C201]: unknown option 'hiden_dims' in the model's options. Did you mean 'hidden_dims'?"
    text = refused("C202", lambda: make(activation="rellu"))
    assert "activation cannot be 'rellu'; expected one of relu, leaky-relu" in text and "Did you mean 'relu'?" in text
    assert "expected a number from 0 to 0.99" in refused("C202", lambda: make(dropout=1.5))
    assert "of at least 1" in refused("C202", lambda: make(conv_dims=(0,)))
    assert refused("C202", lambda: make(init="zeros")).endswith(
        "one of default, uniform, normal, xavier, he, autoencoder."
    )
    text = refused("C204", lambda: make("mlp", kernel_size=5))
    assert text == (
        "ConfigError[C204]: kernel_size does not apply to model 'mlp', which has no convolutions.\n"
        "  Fix: leave out --kernel-size, or --model cnn"
    )
    text = refused("C204", lambda: make("sprint", batch_norm=False))
    assert text == (
        "ConfigError[C204]: batch_norm does not apply to model 'sprint', whose form is fixed.\n"
        "  Fix: leave out --batch-norm, or --model cnn"
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"in_channels": 0}, "in_channels cannot be 0; expected a whole number from 1 to 1,048,576."),
        ({"classes": True}, "classes cannot be True; expected a whole number"),
        ({"classes": 2.0}, "classes cannot be 2.0; expected a whole number"),
        ({"image_size": (28,)}, "image_size cannot be (28,); expected two numbers, height and width."),
        ({"image_size": (28, -1)}, "image_size cannot be -1;"),
        ({"image_size": (28, 10**6)}, "image_size cannot be 1000000; expected a whole number from 1 to 65,535."),
    ],
)
def test_unusable_sizes(change, text):
    arguments = {"in_channels": 1, "classes": 10, "image_size": (28, 28), "seed": 0} | change
    assert text in refused("C204", lambda: build("mlp", **arguments))


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"conv_dims": ()}, "conv_dims cannot be (); expected at least one number."),
        ({"conv_dims": None, "stride": 2}, "conv_dims cannot be None;"),
        ({"conv_dims": "32"}, "conv_dims cannot be '32'; expected whole numbers such as (32, 64)."),
        ({"conv_dims": [2] * 1001}, "at most 1,000 numbers."),
        ({"conv_dims": [2] * 101, "convs_per_block": 10}, "at most 1,000 convolutions in all."),
        ({"kernel_size": 0}, "kernel_size cannot be 0;"),
        ({"padding": "sane"}, "padding cannot be 'sane'; expected one of same, valid. Did you mean 'same'?"),
        ({"order": "conv"}, "order cannot be 'conv';"),
        ({"dropout": 1.0}, "dropout cannot be 1.0; expected a number from 0 up to, not including, 1."),
        ({"dropout": float("nan")}, "dropout cannot be nan;"),
        ({"batch_norm": 1}, "batch_norm cannot be 1; expected true or false."),
        ({"head": "conv", "global_pool": True}, "global_pool cannot be True; expected false with a convolutional head"),
    ],
)
def test_unusable_arguments_of_the_cnn(config, text):
    assert text in refused("C204", lambda: CNNConfig(**config))


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"conv_dims": ()}, "conv_dims cannot be (); expected at least one number."),
        ({"conv_dims": (8, 0)}, "conv_dims cannot be 0; expected a whole number from 1 to 1,048,576."),
        ({"width": 0.01}, "width cannot be 0.01; expected a number from 1/32 to 64."),
        ({"width": True}, "width cannot be True; expected a number from 1/32 to 64."),
        ({"width": float("nan")}, "width cannot be nan; expected a number from 1/32 to 64."),
        ({"growth": 0}, "growth cannot be 0; expected a whole number from 1 to 64."),
        ({"convs_per_block": 101}, "convs_per_block cannot be 101; expected a whole number from 1 to 100."),
        ({"conv_dims": [2] * 101, "convs_per_block": 10}, "at most 1,000 convolutions in all."),
        ({"activation": "gelo"}, "activation cannot be 'gelo'; expected one of gelu, silu, relu. Did you mean 'gelu'?"),
        ({"momentum": 0}, "momentum cannot be 0; expected a number above 0, at most 1."),
        ({"momentum": "0.4"}, "momentum cannot be '0.4'; expected a number above 0, at most 1."),
    ],
)
def test_unusable_arguments_of_sprint(config, text):
    assert text in refused("C204", lambda: SprintConfig(**config))


def test_unusable_arguments_of_the_mlp():
    assert "hidden_dims cannot be 0;" in refused("C204", lambda: MLPConfig(hidden_dims=(0,)))


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ({"name": "mlp"}, "an architecture has a name and arguments; this one has name."),
        ({"name": ["mlp"], "arguments": {}}, "an architecture has a name and arguments"),
        ({"name": "mlp", "arguments": {"in_channels": 1, "classes": 2}}, "MLP needs the argument 'image_size'."),
        (
            {"name": "mlp", "arguments": {"hidden_dim": 2}},
            "MLP has no argument 'hidden_dim'. Did you mean 'hidden_dims'?",
        ),
    ],
)
def test_unusable_records(record, text):
    assert text in refused("C204", lambda: rebuild(record))


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_dims": [2**20, 2**20]},
        {"hidden_dims": [2**20] * 1000, "in_channels": 2**20, "image_size": [65_535, 65_535]},
    ],
)
def test_a_record_cannot_fill_the_memory(change):
    arguments = {"in_channels": 1, "classes": 10, "image_size": [8, 8]} | change
    text = refused("C204", lambda: rebuild({"name": "mlp", "arguments": arguments}))
    assert "would have more than 2,000,000,000 parameters." in text


def test_a_tower_that_no_picture_fits():
    with pytest.raises(ConfigError) as caught:
        make("cnn", conv_dims=(2,) * 900)
    assert caught.value.context == "No picture is large enough for so many layers."
    assert caught.value.fix == "fewer --conv-dims"


@pytest.mark.parametrize(
    ("batch", "given"),
    [
        (torch.zeros(1, 28, 28), "float32 of shape (1, 28, 28)"),
        (torch.zeros(2, 3, 28, 28), "float32 of shape (2, 3, 28, 28)"),
        (torch.zeros(2, 1, 32, 28), "float32 of shape (2, 1, 32, 28)"),
        (torch.zeros(2, 1, 28, 28, dtype=torch.uint8), "uint8 of shape (2, 1, 28, 28)"),
    ],
)
def test_a_wrong_batch_is_refused(batch, given):
    text = refused("C204", lambda: make()(batch))
    assert f"this mnist-cnn network takes floats of shape (batch, 1, 28, 28), and was given {given}." in text


def test_network_can_be_exported_with_a_free_batch():
    net = make("cnn").eval()
    program = torch.export.export(net, (torch.zeros(2, 1, 28, 28),), dynamic_shapes=({0: torch.export.Dim("b")},))
    x = torch.rand(5, 1, 28, 28)
    torch.testing.assert_close(program.module()(x), net(x), rtol=0, atol=1e-5)
