"""Several seeds: one division, other networks; resumed after a kill; what is left with the weights; compared."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import nn

import dojang
from dojang.cli.main import main
from dojang.errors import ConfigError, TrainError
from dojang.metrics import intervals
from dojang.metrics.repeats import repeats
from dojang.models import weights
from dojang.report import compared
from dojang.runs import comparison, recipe, session, settle, train
from dojang.runs import folder as names
from dojang.train.log import Silent

TINY: dict[str, Any] = {
    "model": "mnist-cnn",
    "conv_dims": "3,4",
    "hidden_dims": "6",
    "epochs": 2,
    "batch_size": 15,
    "lr": 0.01,
    "threads": 1,
    "val": 60,
    "crop_padding": 1,
}
FILES = ("splits.csv", "steps.csv", "predictions.csv", "weights/best.safetensors", "weights/last.safetensors")


class Killed(BaseException):
    """What no code catches."""


class Dies(Silent):
    """Ends a run at a step, as a kill does."""

    def __init__(self, run: int, step: int) -> None:
        self.run, self.at, self.begun, self.said = run, step, 0, list[str]()

    def begin(self, steps: int | None, seconds: float | None, done: int) -> None:
        self.begun += 1

    def note(self, text: str) -> None:
        self.said.append(text)

    def step(self, step: int, epoch: int, progress: float, loss: float, pictures: int) -> None:
        if (self.begun, step) == (self.run, self.at):
            raise Killed


def begin(data: Any, project: Path, reporter: Silent | None = None, **options: Any) -> Path:
    layer = recipe.read_layer(TINY | {"project": str(project)} | options, "test")
    return train.begin(str(data) if isinstance(data, Path) else data, [layer], reporter=reporter)


def metrics(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return found


def left(folder: Path) -> dict[str, bytes]:
    found = {f"{run}/{name}": (folder / run / name).read_bytes() for run in ("seed-5", "seed-6") for name in FILES}
    return found | {"seeds": json.dumps(metrics(folder)["seeds"]).encode()}


@pytest.fixture(scope="module", autouse=True)
def light() -> Iterator[None]:
    """No pictures are drawn, and intervals are of few draws: neither is looked at here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dojang.evaluate.curves.curves", lambda *tables: b"")
        patch.setattr("dojang.tasks.classify.pictures.confusion_matrix", lambda *matrix: b"")
        patch.setattr("dojang.metrics.intervals.bootstrap", partial(intervals.bootstrap, resamples=100))
        yield


@pytest.fixture(scope="module")
def heard() -> Dies:
    return Dies(0, 0)


@pytest.fixture(scope="module")
def done(stripes: Path, heard: Dies, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Two seeds, trained by the first test that asks; nobody changes them."""
    project = tmp_path_factory.mktemp("seeds")

    def run() -> Path:
        if not (project / "train").exists():
            begin(stripes, project, heard, seeds=2, seed=5)
        return project / "train"

    return run


# several seeds


def test_the_division_is_one_and_the_networks_are_two(done: Callable[[], Path], heard: Dies) -> None:
    one, other = (done() / f"seed-{seed}" for seed in (5, 6))
    assert (one / "splits.csv").read_bytes() == (other / "splits.csv").read_bytes()
    assert (one / "splits.csv").read_bytes() == (done() / "splits.csv").read_bytes()
    for name in ("steps.csv", "weights/best.safetensors"):
        assert (one / name).read_bytes() != (other / name).read_bytes()
    assert "seeds: 2 runs, seeds 5 to 6, all on the division of seed 5" in heard.said
    assert [said.split()[0] for said in heard.said if said.startswith("seed-")] == ["seed-5", "seed-6"]
    own = yaml.safe_load((other / "args.yaml").read_text())
    above = yaml.safe_load((done() / "args.yaml").read_text())
    assert own["seed"] == 6 and own["seeds"] is None and above["seed"] == 5 and above["seeds"] == 2


def test_a_run_of_them_is_what_training_with_its_seed_gives(
    done: Callable[[], Path], stripes: Path, tmp_path: Path
) -> None:
    alone = begin(stripes, tmp_path, seed=6, splits=str(done() / "splits.csv"), val=None)
    for name in FILES:
        assert (alone / name).read_bytes() == (done() / "seed-6" / name).read_bytes()


def test_mean_deviation_and_interval(done: Callable[[], Path]) -> None:
    found = metrics(done())["seeds"]
    assert (found["count"], found["division"], found["split"]) == (2, 5, "test")
    assert found["runs"] == [{"name": f"seed-{seed}", "seed": seed, "n": 30} for seed in (5, 6)]
    for split, scores in (("test", found["scores"]), ("val", found["others"]["val"])):
        values = [metrics(done() / f"seed-{seed}")[split]["macro_f1"]["value"] for seed in (5, 6)]
        assert scores["macro_f1"] == json.loads(json.dumps(repeats(values).as_dict()))
        assert scores["top1"]["method"] == "Student's t over the runs" and scores["log_loss"]["mean"] > 0


def test_python_gives_the_runs(done: Callable[[], Path]) -> None:
    run = dojang.Run(done())
    assert [one.path.name for one in run.runs] == ["seed-5", "seed-6"]
    with pytest.raises(ConfigError) as caught:
        run.predictor()
    assert str(caught.value) == (
        f"ConfigError[C216]: {str(done())!r} is several runs of one recipe: it has no weights of its own, each of its "
        f"runs has.\n  Fix: name one of them, such as {done()}/seed-5"
    )


def test_a_given_network_begins_with_its_own_weights_each_time(stripes: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(100, 3))
    before, heard = module[1].weight.detach().clone(), Dies(0, 0)
    run = dojang.Model(module).train(
        str(stripes), seeds=2, epochs=1, project=str(tmp_path), threads=1, val=30, reporter=heard
    )
    assert torch.equal(module[1].weight, before) and len(run.runs) == 2
    assert any("all begin alike" in said for said in heard.said)
    with pytest.raises(ConfigError, match=r"C249\]: .*its features are not known"):
        run.runs[0].predict(np.zeros((10, 10), np.uint8), none_of_these=True)


@pytest.mark.parametrize(("run", "step"), [(1, 1), (2, 3)])
def test_killed_and_resumed(run: int, step: int, done: Callable[[], Path], stripes: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        begin(stripes, tmp_path, Dies(run, step), seeds=2, seed=5)
    assert not (tmp_path / "train/metrics.json").exists()
    assert train.resume(tmp_path / "train") == tmp_path / "train"
    assert left(tmp_path / "train") == left(done())


def test_killed_while_the_weights_are_settled(
    done: Callable[[], Path], stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two files that temperature and known pictures go into, and after them."""
    real, write = session.Session.settle, settle.files.write_bytes

    def deadly(path: Path, *rest: Any, **more: Any) -> None:
        written.append(path)
        if len(written) == at:
            raise Killed
        write(path, *rest, **more)

    def armed(self: session.Session, **options: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(settle.files, "write_bytes", deadly)
            real(self, **options)
        raise Killed

    for at in (2, 3):
        written = list[Path]()
        project = tmp_path / str(at)
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(session.Session, "settle", armed)
            begin(stripes, project, seeds=2, seed=5)
        assert len(written) == min(at, 2)
        train.resume(project / "train")
        assert left(project / "train") == left(done())


def test_what_cannot_be(done: Callable[[], Path], stripes: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"C222\]: --folds 3 and --seeds 2 are both given"):
        begin(stripes, tmp_path, seeds=2, folds=3)
    assert not (tmp_path / "train").exists()
    with pytest.raises(ConfigError, match=r"C219\]: epochs cannot be changed in runs of several seeds"):
        train.resume(done(), {"epochs": 5})
    with pytest.raises(TrainError, match=r"T321\]: .* is finished: all 2 seeds"):
        train.resume(done())


def test_a_new_run_in_an_old_folder_begins_afresh(done: Callable[[], Path], tmp_path: Path) -> None:
    shutil.copytree(done(), tmp_path / "train")
    (tmp_path / "train/seed-5/own.txt").write_text("of the user")
    names.clear(tmp_path / "train")
    left_over = [path.name for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"]
    assert left_over == ["own.txt"]


def test_the_table_fits_a_terminal(done: Callable[[], Path], capsys: pytest.CaptureFixture[str]) -> None:
    from dojang.cli.repeats import show_seeds

    show_seeds(metrics(done()))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["test", "seed", "top-1", "balanced", "macro", "F1", "log", "loss"]
    assert [line.split()[0] for line in lines[1:7]] == ["5", "6", "mean", "sd", "95", "to"]
    assert lines[-2] == "n = 2 runs, on the same 30 test pictures. The interval is Student's t, of"


# what training leaves with the weights


def test_the_temperature_is_in_the_weights_and_in_every_score(done: Callable[[], Path], tmp_path: Path) -> None:
    run = done() / "seed-5"
    found = metrics(run)["calibration"]
    cards = [weights.card_of(run / f"weights/{name}.safetensors") for name in ("best", "last")]
    assert cards[0].temperature == found["temperature"] != 1 and cards[1].temperature != 1
    predictor = dojang.Run(run).predictor()
    loss = found["val"]["log_loss"]
    assert loss["after"] < loss["before"]
    # what training saw, in bf16 where there is some, is before; what is scored is after
    with (run / "results.csv").open(newline="") as file:
        trained = [float(row["val/loss"]) for row in csv.DictReader(file)]
    assert min(abs(one - loss["before"]) for one in trained) < 1e-3
    assert metrics(run)["val"]["log_loss"]["value"] == pytest.approx(loss["after"], abs=1e-6)
    # a copy: scoring again puts the rows of that split last
    again = dojang.Run(shutil.copytree(run, tmp_path / "copy")).val(split="val")
    assert again["val"]["log_loss"]["value"] == pytest.approx(loss["after"], abs=1e-6)
    pixels = np.random.default_rng(0).integers(0, 256, (50, 10, 10, 1)).astype(np.uint8)
    divided = predictor.probabilities(pixels)
    logits = predictor.logits(pixels) * predictor.temperature
    predictor.temperature = 1.0
    plainly = predictor.probabilities(pixels)
    assert (divided.argmax(axis=1) == plainly.argmax(axis=1)).all() and not np.allclose(divided, plainly)
    by_hand = (logits / found["temperature"]).softmax(dim=1).numpy()
    assert divided == pytest.approx(by_hand, abs=1e-6)


def test_most_validation_pictures_are_known(done: Callable[[], Path]) -> None:
    run = dojang.Run(done() / "seed-5")
    pictures = comparison.pictures(run.path)
    with (run.path / "splits.csv").open(newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file) if row["split"] == "val"]
    answers = run.predict([np.asarray(pictures.read(path)) for path in paths], none_of_these=True)
    assert sum(answer.unknown for answer in answers) == 3  # of 60
    assert sorted(round(61 * (answer.familiarity or 0)) for answer in answers) == pytest.approx(range(2, 62), abs=1)


def test_switched_off(stripes: Path, tmp_path: Path) -> None:
    run = begin(stripes, tmp_path, calibrate="none", familiar=False)
    card = weights.card_of(run / "weights/best.safetensors")
    assert card.temperature == 1 and "trained with --no-familiar" in card.extra["familiar"]
    assert metrics(run)["calibration"] == {"method": "none", "temperature": 1.0, "why": "--calibrate none"}
    assert weights.read(run / "weights/best.safetensors")[2] == {}


def test_without_a_validation_part(stripes: Path, tmp_path: Path) -> None:
    heard = Dies(0, 0)
    run = begin(stripes, tmp_path, heard, val="none")
    assert weights.card_of(run / "weights/last.safetensors").temperature == 1
    assert "calibration: temperature 1: no validation part" in heard.said
    with pytest.raises(ConfigError, match=r"C249\]: .*: they were trained without a validation part\."):
        dojang.Run(run).predict(np.zeros((10, 10), np.uint8), none_of_these=True)


def test_a_sample_is_of_all_classes_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "_MOST", 10)
    monkeypatch.setattr(settle, "_EACH", 1)
    targets = np.array([0] * 90 + [1] * 8 + [2] * 2)
    rows = settle._sample(targets, np.arange(100), 0)
    assert np.bincount(targets[rows]).tolist() == [4, 4, 2] and (np.diff(rows) > 0).all()
    assert len(settle._sample(targets, np.arange(5), 0)) == 5


# compared


def test_compared_in_a_terminal(done: Callable[[], Path], capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(done() / f"seed-{seed}") for seed in (5, 6)]
    assert main(["compare", *runs]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "test: 30 pictures, the same for all runs (by their bytes)"
    assert lines[2].split() == ["run", "top-1", "balanced", "macro", "F1", "ms", "size", "weights"]
    answers = []
    for run in runs:
        with open(f"{run}/predictions.csv", newline="") as file:
            answers.append({row["path"]: row for row in csv.DictReader(file)})
    right = [[one[path]["correct"] == "1" for path in answers[0] if one[path]["split"] == "test"] for one in answers]
    only = sum(a and not b for a, b in zip(*right, strict=True)), sum(b and not a for a, b in zip(*right, strict=True))
    both = sum(a and b for a, b in zip(*right, strict=True))
    said = f"  right: both {both}, only 1 {only[0]}, only 2 {only[1]}, neither {30 - both - sum(only)}"
    assert said in lines


def test_compared_as_json_and_as_a_page(
    done: Callable[[], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [str(done() / f"seed-{seed}") for seed in (5, 6, 5)]
    page = tmp_path / "page.html"
    assert main(["compare", *runs, "--split", "val", "--html", str(page), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["split"] == "val" and found["n"] == 60 and found["page"] == str(page)
    assert [one["run"] for one in found["runs"]] == runs
    assert all(one["milliseconds"] > 0 and one["parameters"] > 0 and one["bytes"] > 0 for one in found["runs"])
    pairs = found["comparisons"]
    assert pairs[0]["p_corrected"] >= pairs[0]["p"] and pairs[1]["p"] == 1
    text = page.read_text()
    shown = pairs[0]["first_only_right"] + pairs[0]["second_only_right"]
    assert shown and text.count("<img ") == len(shown) and "http" not in text
    assert main(["compare", *runs, "--html", str(page)]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err


def test_names_are_inert(done: Callable[[], Path]) -> None:
    found = comparison.compare([done() / f"seed-{seed}" for seed in (5, 6)], split="val", seconds=0)
    hostile = "<script>alert(1)</script>\x1b[31m"
    (pair,) = found.pairs
    for one in (pair.first, pair.second):
        object.__setattr__(one, "run", hostile)
        object.__setattr__(one, "predicted", tuple(hostile for _ in one.predicted))
        object.__setattr__(one, "true", tuple("=cmd()" + label for label in one.true))
    text = compared.page(found, comparison.pictures(done() / "seed-5"))
    assert "<script" not in text and "\x1b" not in text
    assert "\x1b" not in "\n".join(compared.lines(found))


def test_the_advice_of_a_refusal_makes_them_comparable(
    done: Callable[[], Path], stripes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = str(done() / "seed-5")
    other = str(begin(stripes, tmp_path, epochs=1, seed=9))
    assert main(["compare", first, other, "--split", "val", "--json"]) == 3
    error = json.loads(capsys.readouterr().out)
    assert error["code"] == "D141" and "different val pictures: 60 and 60, of which they share" in error["what"]
    assert main([*shlex.split(error["fix"])[1:], "--json"]) == 0
    made = json.loads(capsys.readouterr().out)["run"]
    assert main(["compare", first, made, "--split", "val"]) == 0


def test_what_cannot_be_compared(done: Callable[[], Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(done() / "seed-5")]) == 2
    assert "C200" in capsys.readouterr().err
    assert main(["compare", str(done()), str(done() / "seed-5")]) == 2
    assert "is several runs of one recipe: it has no answers of its own" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"C202\]: a comparison is of two runs or more"):
        comparison.compare([done() / "seed-5"])
