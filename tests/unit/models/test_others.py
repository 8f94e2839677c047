"""Networks of other libraries."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from dojang.cli.main import main
from dojang.errors import ConfigError
from dojang.models import others, weights
from dojang.models.build import architecture, build, rebuild
from dojang.predict.predictor import Predictor
from dojang.runs import recipe, train

NAMES = ["torchvision:mobilenet_v3_small", "torchvision:googlenet", "timm:resnet10t"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 3])
def test_built_answered_recorded_and_built_again(name: str, channels: int) -> None:
    if name.startswith("timm"):
        pytest.importorskip("timm")
    facts: dict[str, Any] = {"in_channels": channels, "classes": 4, "image_size": (64, 64)}
    net = build(name, **facts, seed=0).eval()
    x = torch.randn(2, channels, 64, 64)
    with torch.no_grad():
        scores = net(x)
    assert scores.shape == (2, 4)
    record = architecture(net)
    assert record == {"name": name, "arguments": facts | {"image_size": [64, 64]}}
    again = rebuild(record).eval()
    weights.restore(again, net.state_dict())
    with torch.no_grad():
        assert torch.equal(again(x), scores)
    same = build(name, **facts, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), same.state_dict().values(), strict=True))
    # changed by hand it is a network of one's own
    name_of_last = [path for path, module in net.named_modules() if isinstance(module, torch.nn.Linear)][-1]
    net.set_submodule(name_of_last, torch.nn.Linear(3, 3))
    assert architecture(net) is None


def test_trained_and_read_back(stripes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {"model": "torchvision:squeezenet1_1", "imgsz": 32, "epochs": 1, "val": 10, "threads": 1}
    folder = train.begin(str(stripes), [recipe.read_layer(options | {"project": str(tmp_path)}, "test")])
    predictor = Predictor.load(folder / "weights/best.safetensors")
    assert predictor.labels == ("0", "1", "2")
    assert main(["val", str(folder)]) == 0
    assert main(["summary", "torchvision:resnet18", "--imgsz", "64"]) == 0
    assert "11,689,512 parameters" in capsys.readouterr().out


def test_a_network_that_computes_while_it_is_built(capsys: pytest.CaptureFixture[str]) -> None:
    """Its widths are computed by torch, which cannot be done without memory."""
    assert main(["summary", "torchvision:regnet_y_400mf", "--imgsz", "64"]) == 0
    assert "4,344,144 parameters" in capsys.readouterr().out
    net = build("torchvision:regnet_y_400mf", in_channels=3, classes=4, image_size=(64, 64), seed=0)
    assert architecture(net) is not None


@pytest.mark.parametrize(
    ("name", "side", "resize", "mean"),
    [
        ("torchvision:resnet18", 224, 256, 0.485),
        ("torchvision:efficientnet_b1", 240, 256, 0.485),
        ("torchvision:inception_v3", 299, 342, 0.5),
        ("torchvision:efficientnet_v2_l", 480, 480, 0.5),
        ("timm:resnet10t", 176, 176 / 0.875, 0.485),
    ],
)
def test_what_published_weights_know(name: str, side: int, resize: float, mean: float) -> None:
    if name.startswith("timm"):
        pytest.importorskip("timm")
    found = others.home(name)
    assert (found.side, found.mean[0]) == (side, mean)
    assert found.side * found.resize == pytest.approx(resize)


def test_numbers_from_a_file_cannot_fill_the_machine() -> None:
    for facts in ({"classes": 10**9}, {"in_channels": 10**9}, {"image_size": (10**9, 8)}):
        arguments = {"in_channels": 3, "classes": 4, "image_size": (32, 32)} | facts
        with pytest.raises(ConfigError, match=r"C204\]"):
            rebuild({"name": "torchvision:resnet18", "arguments": arguments})


MISTAKES = [
    ("torchvision:resnet81", {}, "C203", "Did you mean 'resnet"),
    ("torchvision:resnet18", {"dropout": 0.5}, "C204", "dropout does not apply to torchvision:resnet18"),
    ("torchvision:vit_b_16", {"size": (32, 48)}, "C204", "takes square pictures"),
]


@pytest.mark.parametrize(("name", "options", "code", "said"), MISTAKES)
def test_mistakes(name: str, options: dict[str, Any], code: str, said: str) -> None:
    size = options.pop("size", (32, 32))
    with pytest.raises(ConfigError) as caught:
        build(name, in_channels=3, classes=4, image_size=size, seed=0, options=options)
    assert caught.value.code == code
    assert said in str(caught.value)


def test_a_library_that_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r"C250\]: the network timm:resnet10t needs timm") as caught:
        build("timm:resnet10t", in_channels=3, classes=4, image_size=(32, 32), seed=0)
    assert 'pip install "dojang[timm]"' in str(caught.value)
