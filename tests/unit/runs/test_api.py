"""The public objects: dojang.Model and dojang.Run, as a script or a notebook uses them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import dojang
from dojang.runs import recipe, train
from dojang.runs.session import Session

TINY: dict[str, Any] = {"epochs": 1, "batch_size": 20, "val": 10, "lr": 0.01, "threads": 1}
SMALL = TINY | {"conv_dims": (3, 4), "hidden_dims": (6,)}


class Net(nn.Module):
    """A network of one's own, with a state that is no parameter."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3 * 64, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that end with training: no pictures, no intervals."""
    monkeypatch.setattr(Session, "finish", lambda self: {})


@pytest.fixture(scope="module")
def trained(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[dojang.Model, dojang.Run]]:
    """A trained model and its run, which no test changes."""
    project = tmp_path_factory.mktemp("trained")
    made: list[tuple[dojang.Model, dojang.Run]] = []

    def of() -> tuple[dojang.Model, dojang.Run]:
        if not made:
            model = dojang.Model("mnist-cnn")
            made.append((model, model.train(data=stripes, project=str(project), **SMALL | {"epochs": 3})))
        return made[0]

    return of


def pictures(n: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 10, 10), dtype=np.uint8)


def pairs(n: int = 60, seed: int = 0) -> list[tuple[np.ndarray, str]]:
    """Dark, grey and light pictures."""
    draw = np.random.default_rng(seed)
    return [(draw.integers(85 * (i % 3), 85 * (i % 3) + 85, (10, 10), np.uint8), "dgl"[i % 3]) for i in range(n)]


# Training, scores


def test_train_leaves_a_run_with_scores(trained: Any) -> None:
    model, run = trained()
    assert isinstance(run, dojang.Run)
    assert run.metrics == json.loads((run.path / "metrics.json").read_text())
    top1 = run.metrics["test"]["top1"]
    assert top1["n"] == 30
    assert top1["low"] <= top1["value"] <= top1["high"]
    assert repr(model) == "Model('mnist-cnn')"
    values = {split: run.metrics[split]["top1"]["value"] for split in ("val", "test")}
    expected = f"Run({str(run.path)!r}: val top-1 {values['val']:.4f}, test top-1 {values['test']:.4f})"
    assert repr(run) == expected


def test_a_run_is_opened_by_its_folder_or_anything_in_it(trained: Any) -> None:
    _, run = trained()
    for place in (run.path, str(run.path), run.path / "weights/last.safetensors"):
        assert dojang.Run(place).path == run.path
    assert dojang.Run(run.path).metrics == run.metrics


@pytest.mark.usefixtures("unscored")
def test_a_run_that_is_not_scored_yet_has_no_scores(stripes: Path, tmp_path: Path) -> None:
    run = dojang.Model("mlp").train(data=str(stripes), project=str(tmp_path), **TINY)
    assert run.metrics == {}
    assert repr(run) == f"Run({str(run.path)!r})"


def test_val_of_its_own_data_and_of_other_data(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stripes: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    _, run = trained()
    before = run.metrics
    assert run.val() == before
    assert run.val(split="test") == before
    other = run.val(str(stripes), split="test")
    assert other["folder"] == "runs/classify/val"
    assert other["test"] == before["test"]
    # pairs: what they are is not written down, only their scores
    named = [(picture, str(i % 3)) for i, picture in enumerate(pictures())]
    other = run.val(named)
    assert other["folder"] == "runs/classify/val2"
    assert other["test"]["n"] == 6
    facts = json.loads((tmp_path / "runs/classify/val2/val.json").read_text())
    assert facts == {"format": 1, "weights": str(run.path / "weights/best.safetensors"), "data": None, "split": "test"}
    assert run.metrics == before


def test_options_are_checked_by_name_and_value(tmp_path: Path, stripes: Path) -> None:
    model = dojang.Model("mnist-cnn")
    with pytest.raises(
        dojang.ConfigError, match=r"C201\]: unknown option 'ephocs' in train\(\)\. Did you mean 'epochs'"
    ):
        model.train(data=stripes, ephocs=3)
    with pytest.raises(dojang.ConfigError, match=r"C202\]: train\(\): epochs cannot be -1"):
        model.train(data=stripes, epochs=-1)
    assert list(tmp_path.iterdir()) == []


# The model's name


@pytest.mark.parametrize("name", ["mnist-cn", "nowhere/best.safetensors"])
def test_a_name_that_is_neither_a_preset_nor_a_file(name: str) -> None:
    with pytest.raises(dojang.ConfigError, match=rf"C203\]: unknown model '{name}'"):
        dojang.Model(name)


def test_a_folder_named_like_a_preset_is_no_trained_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cnn").mkdir()
    assert repr(dojang.Model("cnn")) == "Model('cnn')"


def test_a_trained_network_of_one_s_own_is_not_trained_again(stripes: Path, tmp_path: Path) -> None:
    """Its code is not known here, so it cannot be built for other classes."""
    model = dojang.Model(Net())
    how: dict[str, Any] = {"project": str(tmp_path), "epochs": 1, "threads": 1}
    model.train(data=stripes, **how)
    with pytest.raises(dojang.ConfigError, match=r"C242\]: 'Net' is trained already"):
        model.train(data=stripes, **how)


@pytest.mark.parametrize("make", [lambda: dojang.Model("mnist-cnn"), lambda: dojang.Model(Net())])
def test_what_is_not_trained_cannot_answer(make: Callable[[], dojang.Model]) -> None:
    with pytest.raises(dojang.ConfigError, match=r"C243\]: Model\('(mnist-cnn|Net)'\) is not trained"):
        make().predict(pictures()[0])


# Answers


def same(one: list[dojang.Answer], other: list[dojang.Answer]) -> bool:
    return all(
        np.allclose(a.probabilities, b.probabilities, atol=2e-5) and a.label == b.label
        for a, b in zip(one, other, strict=True)
    )


def test_predict_takes_pictures_in_any_form(trained: Any, tmp_path: Path) -> None:
    model, run = trained()
    levels = pictures()
    for i, picture in enumerate(levels):
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
    expected = model.predict(levels)
    assert len(expected) == 6
    assert len({answer.probabilities for answer in expected}) == 6
    paths = sorted(tmp_path.iterdir())
    for given in (
        str(tmp_path),
        tmp_path,
        paths,
        [str(path) for path in paths],
        list(levels),
        tuple(levels),
        levels[:, None],
        levels[..., None],
        torch.from_numpy(levels)[:, None],
        torch.from_numpy(levels)[:, None].float() / 255,
        [Image.open(path) for path in paths],
        [path.read_bytes() for path in paths],
        [paths[0], *levels[1:4], Image.open(paths[4]), str(paths[5])],
    ):
        assert same(model.predict(given), expected)
        assert same(run.predict(given, batch_size=4), expected)
    single = model.predict(levels[2])
    assert len(single) == 1
    assert same(single, expected[2:3])
    assert [answer.source for answer in model.predict([paths[1], levels[0]])] == [str(paths[1]), "array 1"]
    assert model.predict([]) == []


def test_answers_are_those_of_the_weights_file(trained: Any) -> None:
    model, run = trained()
    expected = model.predict(pictures())
    for again in (
        dojang.Model(run.path),
        dojang.Model(run.path / "weights/best.safetensors"),
        dojang.Run(run.path),
    ):
        assert same(again.predict(pictures()), expected)


def test_answers_in_the_run_folder_are_the_same(trained: Any, stripes: Path) -> None:
    """One answer: predictions.csv and predict agree."""
    _, run = trained()
    pixels = np.frombuffer((stripes / "t10k-images-idx3-ubyte").read_bytes(), np.uint8, offset=16).reshape(-1, 10, 10)
    answers = run.predict(pixels)
    rows = [line.split(",") for line in (run.path / "predictions.csv").read_text().splitlines()]
    test = {int(row[0].split("#")[1]): row for row in rows if row[-1] == "test"}
    assert len(test) == len(answers) == 30
    for i, answer in enumerate(answers):
        assert answer.label == test[i][2]
        assert answer.probability == pytest.approx(float(test[i][3]), abs=2e-5)


def test_conversions_are_said(trained: Any) -> None:
    model, _ = trained()
    assert model.predict(pictures()).notes == ()
    assert model.predict(list(pictures() / 255)).notes == ("floats 0..1 turned into levels 0..255",)
    colour = np.repeat(pictures(1)[0][..., None], 3, axis=2)
    found = model.predict([colour, colour.transpose(2, 0, 1)], color="bgr")
    assert found.notes == ("BGR turned into RGB", "channels first (3, 10, 10) read as channels last")
    assert same(found, model.predict([pictures(1)[0]] * 2))
    with pytest.raises(dojang.DataError, match=r"D130\]"):
        model.predict(np.zeros((3, 10, 3), np.uint8))
    assert len(model.predict(np.zeros((3, 10, 3), np.uint8), layout="chw")) == 1
    with pytest.raises(dojang.DataError, match=r"D131\]"):
        model.predict(torch.randn(1, 10, 10))
    with pytest.raises(dojang.ConfigError, match=r"C241\]: there is no file 'nowhere\.png'"):
        model.predict("nowhere.png")


# Going on


def test_resume_goes_beyond_the_end(stripes: Path, tmp_path: Path) -> None:
    run = dojang.Model("mnist-cnn").train(data=stripes, project=str(tmp_path), **SMALL)
    assert run.metrics["training"]["steps"] == 4
    with pytest.raises(dojang.TrainError, match=r"T321\]: .* is finished \(epochs, step 4\)"):
        run.resume()
    assert run.resume(epochs=2) is run
    assert run.metrics["training"]["steps"] == 8
    with pytest.raises(dojang.ConfigError, match=r"C219\]: batch_size cannot be changed"):
        run.resume(batch_size=3)
    with pytest.raises(dojang.ConfigError, match=r"C201\]: unknown option 'ephocs' in resume\(\)"):
        run.resume(ephocs=3)


# Pairs


@pytest.mark.usefixtures("unscored")
def test_pairs_are_data(tmp_path: Path) -> None:
    data = pairs()
    model = dojang.Model("mlp")
    run = model.train(data=data, project=str(tmp_path), **TINY | {"val": None})
    assert model.predict(data[0][0])[0].labels == ("d", "g", "l")
    for again in (run.val, run.resume):
        with pytest.raises(dojang.ConfigError, match=r"C218\]: this run was trained on pairs given in Python"):
            again()
    assert run.resume(data=data, epochs=2) is run
    with pytest.raises(dojang.ConfigError, match=r"C218\]: the data has changed"):
        run.resume(data=pairs(seed=1), epochs=3)
    # anything that gives pairs
    for other in (iter(data), (pair for pair in data), tuple(data)):
        again_run = dojang.Model("mlp").train(data=other, project=str(tmp_path), **TINY | {"val": None})
        assert (again_run.path / "weights/last.safetensors").read_bytes() == (
            tmp_path / "train2/weights/last.safetensors"
        ).read_bytes()


# Networks of one's own


def test_any_module_is_trained_in_place_and_asked_for_again(tmp_path: Path) -> None:
    data = pairs()
    net = Net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    model = dojang.Model(net)
    assert repr(model) == "Model('Net')"
    run = model.train(data=data, project=str(tmp_path), **TINY | {"val": None, "epochs": 3})
    assert not all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert "model: Net (an object given in Python)" in (run.path / "args.yaml").read_text()
    expected = model.predict(pictures())
    assert same(run.predict(pictures()), expected)
    # its own data is gone with the session: files and weights ask for the object
    weights = run.path / "weights/best.safetensors"
    for place in (run.path, weights):
        with pytest.raises(dojang.ConfigError, match=r"C240\].* holds the weights of a model of your own"):
            dojang.Model(place)
        assert same(dojang.Model(place, model=Net()).predict(pictures()), expected)
    with pytest.raises(dojang.ConfigError, match=r"C240\]: '.*' trained a Net given in Python") as caught:
        dojang.Run(run.path).resume(data=data, epochs=4)
    assert caught.value.fix == f"dojang.Run({str(run.path)!r}, model=Net()).resume()"
    again = dojang.Run(run.path, model=Net()).resume(data=data, epochs=4)
    assert again.metrics["training"]["steps"] == 4 * 3
    assert run.val(data=data)["test"]["n"] == 60
    with pytest.raises(dojang.ConfigError, match=r"C203\]: unknown model 'Net \(an object given in Python\)'"):
        train.begin(data, [recipe.read_file(run.path / "args.yaml")])


@pytest.mark.usefixtures("unscored")
def test_a_module_with_the_wrong_number_of_classes(tmp_path: Path) -> None:
    with pytest.raises(dojang.TrainError, match=r"T302\]: the network answers two pictures with shape \(2, 5\)"):
        dojang.Model(Net(classes=5)).train(data=pairs(), project=str(tmp_path), **TINY | {"val": None})


@pytest.mark.usefixtures("unscored")
def test_a_class_in_a_file(stripes: Path, tmp_path: Path) -> None:
    (tmp_path / "mynet.py").write_text(
        "from torch import nn\n\n\n"
        "class CNN(nn.Sequential):\n"
        "    def __init__(self, classes):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(100, classes))\n"
    )
    model = dojang.Model(f"{tmp_path}/mynet.py:CNN")
    run = model.train(data=stripes, project=str(tmp_path), **TINY)
    expected = model.predict(pictures())
    # the run folder remembers the file
    assert same(dojang.Model(run.path).predict(pictures()), expected)
    assert same(dojang.Run(run.path).predict(pictures()), expected)
    with pytest.raises(dojang.ConfigError, match=r"C208\]: .* has no class 'CNM'\. Did you mean 'CNN'"):
        dojang.Model(f"{tmp_path}/mynet.py:CNM").train(data=stripes, project=str(tmp_path), **TINY)
    with pytest.raises(dojang.ConfigError, match=r"C208\]: there is no file 'nowhere\.py'"):
        dojang.Model("nowhere.py:CNN").train(data=stripes, project=str(tmp_path), **TINY)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mynet.py", "train"]


@pytest.mark.usefixtures("unscored")
def test_reporters_are_told(stripes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dojang.train.log import Silent

    class Told(Silent):
        def __init__(self) -> None:
            self.notes: list[str] = []
            self.losses: list[float] = []

        def note(self, text: str) -> None:
            self.notes.append(text)

        def step(self, step: int, epoch: int, progress: float, loss: float, pictures: int) -> None:
            self.losses.append(loss)

    told = Told()
    dojang.Model("mlp").train(data=stripes, project=str(tmp_path), reporter=told, **TINY)
    assert len(told.losses) == 4
    assert any(re.match(r"before training: output \(2, 3\)", note) for note in told.notes)
    # a library does not print
    assert capsys.readouterr() == ("", "")


def test_the_public_names() -> None:
    assert dir(dojang) == sorted(dojang.__all__)
    for name in dojang.__all__:
        assert getattr(dojang, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Modle'"):
        dojang.Modle  # noqa: B018
