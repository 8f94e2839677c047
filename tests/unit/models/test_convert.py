"""Weights of other tools: read as tensors alone, renamed, checked, and put into networks for other pictures."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from dojang.cli.main import main
from dojang.data import fetch
from dojang.data.statistics import IMAGENET
from dojang.errors import ConfigError, DataError, SecurityError, TrainError
from dojang.models import convert, pretrained, weights
from dojang.models.build import build, rebuild, shaped
from dojang.models.presets import PRESETS

NAMES = tuple("abcd")


def net_of(name: str = "resnet20", classes: int = 4, channels: int = 3, side: int = 32) -> nn.Module:
    return build(name, in_channels=channels, classes=classes, image_size=(side, side), seed=3)


def test_a_state_dict_becomes_the_same_network(tmp_path: Path) -> None:
    net = net_of().eval()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    notes = convert.convert(tmp_path / "net.pth", tmp_path / "net.safetensors", model="resnet20", labels=NAMES)
    levels = "less 0.485, 0.456, 0.406, over 0.229, 0.224, 0.225"
    assert notes == [f"pictures of 32 x 32, {levels} (--imgsz, --mean, --std)"]
    tensors, card = weights.load(tmp_path / "net.safetensors")
    assert card.labels == NAMES
    assert card.preprocess["mean"] == [0.485, 0.456, 0.406]
    assert (card.preprocess["height"], card.preprocess["resize"]) == (32, 1.0)
    assert card.extra["converted_from"] == "net.pth"
    assert card.architecture is not None
    again = rebuild(card.architecture).eval()
    weights.restore(again, tensors)
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(again(x), net(x))


@pytest.mark.parametrize("kind", ["wrapped", "compiled", "safetensors", "inside", "older", "linear"])
def test_forms_in_which_weights_come(kind: str, tmp_path: Path) -> None:
    net = net_of("densenet121") if kind == "older" else net_of()
    state: dict[str, Any] = dict(net.state_dict())
    file = tmp_path / "given"
    notes = 1
    if kind == "wrapped":
        torch.save(
            {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}, "best_prec1": 91.0}, file
        )
    elif kind == "compiled":
        torch.save({f"_orig_mod.{name}": tensor for name, tensor in state.items()}, file)
    elif kind == "safetensors":
        safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in state.items()}, file)
        notes = 0
    elif kind == "inside":
        # a checkpoint of long ago: no counts of batches
        kept = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
        torch.save({"model": kept, "epoch": 3}, file)
        notes = 0
    elif kind == "older":
        old = {re.sub(r"(denselayer\d+\.(?:norm|relu|conv))([12]\.)", r"\1.\2", name): t for name, t in state.items()}
        assert set(old) != set(state)
        torch.save(old, file)
    else:
        torch.save({name.replace("fc.", "linear."): tensor for name, tensor in state.items()}, file)
    model = "densenet121" if kind == "older" else "resnet20"
    found = convert.convert(file, tmp_path / "out", model=model, labels=NAMES, imgsz=32)
    assert len(found) == notes + 1
    tensors = weights.load(tmp_path / "out")[0]
    assert set(tensors) == set(state)
    for name, tensor in state.items():
        assert torch.equal(tensors[name], tensor), name


def test_auxiliary_heads_are_left_out(tmp_path: Path) -> None:
    from torchvision import models

    with torch.device("cpu"):
        theirs = models.googlenet(aux_logits=True, init_weights=False, num_classes=4)
    torch.save(theirs.state_dict(), tmp_path / "g.pth")
    note, levels = convert.convert(tmp_path / "g.pth", tmp_path / "g", model="googlenet", labels=NAMES)
    assert "less 0.500, 0.500, 0.500" in levels
    assert note.startswith("the auxiliary heads")
    path = tmp_path / "g"
    net, _, _ = pretrained.adapted(path, in_channels=3, labels=NAMES, image_size=(224, 224))
    theirs.eval()
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert (net.eval()(x) - theirs(x)).abs().max() < 1e-5


class Whole:
    """What torch.save(model) leaves: objects, not tensors."""

    def __reduce__(self) -> Any:
        return sys.setrecursionlimit, (sys.getrecursionlimit(),)


def test_files_that_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match=r"C209\]: the weights .* cannot be opened"):
        convert.convert(tmp_path / "none", out, model="resnet20")
    torch.save(nn.Linear(2, 2), tmp_path / "whole.pth")
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Whole(), protocol=2))
    (tmp_path / "text").write_text("weights, honestly")
    (tmp_path / "empty").write_bytes(b"")
    for name in ("whole.pth", "evil.pth", "text", "empty"):
        with pytest.raises(SecurityError, match=r"X509\]") as caught:
            convert.convert(tmp_path / name, out, model="resnet20")
        assert name in str(caught.value)
    torch.save({"epoch": 3}, tmp_path / "nothing.pth")
    with pytest.raises(SecurityError, match=r"X509\]: .* holds no tensors by name"):
        convert.convert(tmp_path / "nothing.pth", out, model="resnet20")
    assert not out.exists()


def test_weights_of_another_network_name_three_tensors(tmp_path: Path) -> None:
    torch.save(net_of("resnet32").state_dict(), tmp_path / "net.pth")
    with pytest.raises(TrainError, match=r"T310\]") as caught:
        convert.convert(tmp_path / "net.pth", tmp_path / "out", model="resnet20", labels=NAMES)
    assert str(caught.value).count("in the network") == 3


def test_labels(tmp_path: Path) -> None:
    torch.save(net_of().state_dict(), tmp_path / "net.pth")
    for labels, said in (
        (None, "do not say what they are called"),
        (("a", "b"), "there are 2 names"),
        (("a", "b", "a", "c"), "'a' stands twice"),
    ):
        with pytest.raises(ConfigError, match=r"C246\]") as caught:
            convert.convert(tmp_path / "net.pth", tmp_path / "out", model="resnet20", labels=labels)
        assert said in str(caught.value)
    names = convert.imagenet()
    assert len(set(names)) == 1000
    assert names[207] == "golden retriever"


def test_another_number_of_channels_and_classes(tmp_path: Path) -> None:
    net = net_of().eval()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    convert.convert(tmp_path / "net.pth", tmp_path / "net", model="resnet20", labels=NAMES)
    grey, card, notes = pretrained.adapted(tmp_path / "net", in_channels=1, labels=NAMES, image_size=(32, 32))
    assert card.labels == NAMES
    assert notes == ["conv1.weight: filters for 3 channels summed and shared out to 1"]
    x = torch.randn(2, 1, 32, 32)
    # a grey picture gives what it gave in colour
    assert (grey.eval()(x) - net(x.expand(2, 3, 32, 32))).abs().max() < 1e-5
    four, _, _ = pretrained.adapted(tmp_path / "net", in_channels=4, labels=NAMES, image_size=(32, 32))
    assert (four.eval()(x.expand(2, 4, 32, 32)) - net(x.expand(2, 3, 32, 32))).abs().max() < 1e-5
    other, _, notes = pretrained.adapted(tmp_path / "net", in_channels=3, labels=tuple("abcdefg"), image_size=(32, 32))
    assert notes == ["fc.weight: 4 classes before, 7 now; it starts afresh"]
    state = other.state_dict()
    assert state["fc.weight"].shape == (7, 64)
    for name, tensor in net.state_dict().items():
        assert name.startswith("fc.") or torch.equal(state[name], tensor), name


def test_classes_in_another_order_or_others(tmp_path: Path) -> None:
    net = net_of().eval()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    convert.convert(tmp_path / "net.pth", tmp_path / "net", model="resnet20", labels=NAMES)
    found, _, notes = pretrained.adapted(tmp_path / "net", in_channels=3, labels=tuple("dbca"), image_size=(32, 32))
    assert notes == ["fc.weight: its classes were put into the order they have here"]
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(found.eval()(x), net(x)[:, [3, 1, 2, 0]])
    other, _, notes = pretrained.adapted(tmp_path / "net", in_channels=3, labels=tuple("abce"), image_size=(32, 32))
    assert notes == ["fc.weight: 4 classes before, 4 others now; it starts afresh"]
    assert not torch.equal(other.state_dict()["fc.weight"], net.state_dict()["fc.weight"])


def test_a_size_that_its_dense_layers_do_not_take(tmp_path: Path) -> None:
    net = build("vgg11", in_channels=3, classes=4, image_size=(32, 32), seed=0, options={"stem": "small"})
    torch.save(net.state_dict(), tmp_path / "net.pth")
    convert.convert(tmp_path / "net.pth", tmp_path / "net", model="vgg11", labels=NAMES, imgsz=32)
    with pytest.raises(TrainError, match=r"T310\]") as caught:
        pretrained.adapted(tmp_path / "net", in_channels=3, labels=NAMES, image_size=(64, 64))
    assert "--imgsz 32" in str(caught.value)


def test_where_weights_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=r"C247\]: there are no weights of 'resnet20' in the cache") as caught:
        pretrained.find("resnet20", "auto")
    assert "dojang convert FILE.pth --model resnet20" in str(caught.value)
    with pytest.raises(ConfigError, match=r"C247\]: there are no weights of 'resnet20' at '/nowhere'"):
        pretrained.find("resnet20", "/nowhere")
    torch.save(net_of(classes=10).state_dict(), tmp_path / "net.pth")
    assert main(["convert", str(tmp_path / "net.pth"), "--model", "resnet20", "--labels", "cifar10"]) == 0
    assert str(pretrained.place("resnet20")) in capsys.readouterr().out
    assert pretrained.find("resnet20", "auto") == pretrained.place("resnet20")
    assert weights.load(pretrained.place("resnet20"))[1].labels[:2] == ("airplane", "automobile")


def test_the_table_of_official_weights() -> None:
    """Each network of torchvision's name has them, and their size is that of the network."""
    found = [name for name in PRESETS if pretrained.official(name) is not None]
    ours = {name for name in PRESETS if PRESETS[name].home[0] == 224}
    assert set(found) == ours - {"alexnet-2012", "googlenet-2014"}
    for name in found:
        entry = pretrained.official(name)
        assert entry is not None
        address, file = entry
        assert address == "https://download.pytorch.org/models/"
        assert re.fullmatch(r"[\w-]+-[0-9a-f]{8}\.pth", file.name), file.name
        assert file.name.endswith(f"-{file.sha256}.pth")
        net = shaped(name, in_channels=3, classes=1000, image_size=(224, 224))
        bytes_ = sum(tensor.numel() * tensor.element_size() for tensor in net.state_dict().values())
        # beside the tensors there are their names, and GoogLeNet's auxiliary heads
        assert bytes_ < file.size < bytes_ + (2.6e7 if name == "googlenet" else 1e6), name


def test_official_weights_are_fetched_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, web: Callable[..., Any]
) -> None:
    torch.save(net_of("squeezenet1_1", 1000, side=64).state_dict(), tmp_path / "net.pth")
    data = (tmp_path / "net.pth").read_bytes()
    file = fetch.File("net.pth", len(data) + 300, sha256=hashlib.sha256(data).hexdigest()[:8])
    monkeypatch.setattr(pretrained, "official", lambda name: ("https://where/", file))
    net = web({})
    with pytest.raises(ConfigError, match=r"C247\]") as caught:
        pretrained.find("squeezenet1_1", "auto")
    assert "--download (5 MB from https://where/)" in caught.value.fix
    with pytest.raises(ConfigError, match=r"C247\]"):
        # a file of one's own is not looked for elsewhere
        pretrained.find("squeezenet1_1", "/nowhere", download=True)
    assert net.asked == []
    for page, said in (
        (data[:-1] + bytes([data[-1] ^ 1]), f"expected {file.sha256}..."),
        (data + bytes(1000), f"sent {file.size + 1:,} bytes"),
        (OSError("no route"), "no route"),
    ):
        web({"https://where/net.pth": page})
        with pytest.raises(DataError, match=r"D119\]") as failed:
            pretrained.find("squeezenet1_1", "auto", download=True)
        assert said in str(failed.value)
        assert list(pretrained.place("squeezenet1_1").parent.iterdir()) == []
    net, told = web({"https://where/net.pth": data}), list[str]()
    path = pretrained.find("squeezenet1_1", "auto", download=True, tell=told.append)
    assert path == pretrained.place("squeezenet1_1")
    assert told == [f"downloaded https://where/net.pth, into {path}"]
    assert weights.load(path)[1].labels == convert.imagenet()
    assert pretrained.find("squeezenet1_1", "auto", download=True) == path
    assert net.asked == ["https://where/net.pth"]


def test_levels_that_weights_expect(tmp_path: Path) -> None:
    """GoogLeNet's were trained on levels from -1 to 1: torchvision's own network changes them so inside."""
    from torchvision import models

    theirs = models.googlenet(aux_logits=False, init_weights=False, transform_input=True).eval()
    torch.save(theirs.state_dict(), tmp_path / "g.pth")
    convert.convert(tmp_path / "g.pth", tmp_path / "g", model="googlenet")
    tensors, card = weights.load(tmp_path / "g")
    assert card.architecture is not None
    net = rebuild(card.architecture).eval()
    weights.restore(net, tensors)
    pixels = torch.rand(1, 3, 224, 224)
    mean, std = (torch.tensor(levels).reshape(3, 1, 1) for levels in IMAGENET)
    own_mean, own_std = (torch.tensor(card.preprocess[key]).reshape(3, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        assert (net((pixels - own_mean) / own_std) - theirs((pixels - mean) / std)).abs().max() < 1e-4


def test_a_dense_network(tmp_path: Path) -> None:
    net = build("mlp", in_channels=1, classes=10, image_size=(28, 28), seed=3)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    words = ["convert", str(tmp_path / "net.pth"), "--model", "mlp", "--labels", "mnist", "--mean", "0.1307"]
    assert main([*words, "--std", "0.3081", "--out", str(tmp_path / "net")]) == 0
    card = weights.load(tmp_path / "net")[1]
    assert card.preprocess["mode"] == "L" and card.preprocess["mean"] == [pytest.approx(0.1307)]
    assert card.architecture is not None and card.architecture["arguments"]["in_channels"] == 1
    # the same command again would write over what is there
    assert main([*words, "--out", str(tmp_path / "net")]) == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--labels", "/nowhere.txt"], "C246", "the labels '/nowhere.txt' cannot be read"),
        (["--labels", "FILE"], "C246", "it is no text in UTF-8"),
        (["--labels", "mnist", "--mean", "a,b"], "C202", "--mean cannot be 'a,b'"),
        (["--labels", "mnist", "--std", "0"], "C202", "--std cannot be '0'"),
    ],
)
def test_mistakes(words: list[str], code: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(net_of(classes=10).state_dict(), tmp_path / "net.pth")
    words = [str(tmp_path / "net.pth") if word == "FILE" else word for word in words]
    out = tmp_path / "out"
    assert main(["convert", str(tmp_path / "net.pth"), "--model", "resnet20", "--out", str(out), *words]) == 2
    assert f"[{code}]: " in (text := capsys.readouterr().err) and said in text
    assert not out.exists()


def test_weights_for_other_channels_and_names_that_are_numbers(tmp_path: Path) -> None:
    torch.save(net_of(channels=4).state_dict(), tmp_path / "net.pth")
    with pytest.raises(ConfigError, match=r"C204\]: these weights are for 4 channels"):
        convert.convert(tmp_path / "net.pth", tmp_path / "out", model="resnet20", labels=NAMES)
    torch.save({0: torch.zeros(1)}, tmp_path / "net.pth")
    with pytest.raises(SecurityError, match=r"X509\]: .* holds no tensors by name"):
        convert.convert(tmp_path / "net.pth", tmp_path / "out", model="resnet20", labels=NAMES)


def test_networks_of_other_libraries(tmp_path: Path) -> None:
    name = "torchvision:mobilenet_v3_small"
    net = build(name, in_channels=3, classes=4, image_size=(64, 64), seed=3).eval()
    torch.save(net.state_dict(), tmp_path / "net.pth")
    notes = convert.convert(tmp_path / "net.pth", pretrained.place(name), model=name, labels=NAMES)
    assert len(notes) == 1 and notes[0].startswith("pictures of 224 x 224")
    found, card, notes = pretrained.adapted(
        pretrained.find(name, "auto"), in_channels=1, labels=tuple("abcde"), image_size=(64, 64)
    )
    assert card.preprocess["height"] == 224
    assert len(notes) == 2
    state = net.state_dict()
    changed = {key for key, tensor in found.state_dict().items() if not torch.equal(tensor, state[key])}
    assert changed == {"features.0.0.weight", "classifier.3.weight", "classifier.3.bias"}


@pytest.mark.parametrize(("name", "file"), [("resnet20", "resnet20-12fca82f.th"), ("resnet56", "resnet56-4bfd9763.th")])
def test_published_weights_for_cifar10(name: str, file: str, shared_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.safetensors"
    words = ["convert", str(shared_data / "weights" / file), "--model", name, "--labels", "cifar10", "--out", str(out)]
    assert main(words) == 0
    tensors, card = weights.load(out)
    assert card.architecture is not None and card.architecture["arguments"]["shortcut"] == "simple"
    # biases of the head and norms included
    assert (
        sum(t.numel() for n, t in tensors.items() if "running" not in n and "batches" not in n)
        == {
            "resnet20": 269_722,
            "resnet56": 853_018,
        }[name]
    )


def test_converted_weights_are_listed_and_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(net_of(classes=10).state_dict(), tmp_path / "net.pth")
    assert main(["convert", str(tmp_path / "net.pth"), "--model", "resnet20", "--labels", "cifar10"]) == 0
    place = pretrained.place("resnet20")
    capsys.readouterr()
    assert main(["cache", "list"]) == 0
    out = capsys.readouterr()
    assert f"MB  weights             {place}" in out.out + out.err
    assert main(["cache", "list", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry == {"path": str(place), "bytes": place.stat().st_size, "weights": "resnet20"}
    assert main(["cache", "clear"]) == 0
    assert place.is_file()
