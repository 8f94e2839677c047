"""Cross-validation: each picture judged once by a network that has not learned it, and what is said of it."""

from __future__ import annotations

import csv
import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import nn

import dojang
from dojang.cli.main import main
from dojang.errors import ConfigError, TrainError
from dojang.metrics import intervals
from dojang.metrics.intervals import wilson
from dojang.runs import recipe, train, validate
from dojang.train.log import Silent

TINY: dict[str, Any] = {
    "model": "mnist-cnn",
    "conv_dims": "3,4",
    "hidden_dims": "6",
    "epochs": 2,
    "batch_size": 20,
    "lr": 0.02,
    "threads": 1,
    "folds": 3,
}


class Listening(Silent):
    """Remembers what was said, and how often pictures were decoded."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.decoded = 0

    def note(self, text: str) -> None:
        self.said.append(text)

    def preparing(self, stage: str, done: int, total: int) -> None:
        self.decoded += stage == "decoding"


def begin(data: Any, project: Path, **options: Any) -> Path:
    reporter = options.pop("reporter", None)
    layer = recipe.read_layer(TINY | {"project": str(project)} | options, "test")
    return train.begin(str(data) if isinstance(data, Path) else data, [layer], reporter=reporter)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def metrics(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return found


@pytest.fixture(scope="module", autouse=True)
def light() -> Iterator[None]:
    """No pictures are drawn, and intervals are of few draws: neither is looked at here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dojang.evaluate.curves.curves", lambda *tables: b"")
        patch.setattr("dojang.tasks.classify.pictures.confusion_matrix", lambda *matrix: b"")
        patch.setattr("dojang.metrics.intervals.bootstrap", functools.partial(intervals.bootstrap, resamples=100))
        yield


@pytest.fixture(scope="module")
def heard() -> Listening:
    return Listening()


@pytest.fixture(scope="module")
def done(stripes: Path, heard: Listening, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """A finished cross-validation of three folds, trained by the first test that asks; nobody changes it."""
    project = tmp_path_factory.mktemp("folds")

    def run() -> Path:
        if not (project / "train").exists():
            begin(stripes, project, reporter=heard)
        return project / "train"

    return run


def test_every_picture_is_judged_once_and_the_test_part_by_nobody(done: Callable[[], Path]) -> None:
    judged = rows(done() / "predictions.csv")
    splits = rows(done() / "splits.csv")
    taking_part = {row["path"]: row["fold"] for row in splits if row["split"] == "train"}
    assert len(splits) == 120 and len(taking_part) == 90
    assert [row["path"] for row in judged] == list(taking_part)
    assert {row["path"]: row["fold"] for row in judged} == taking_part
    assert Counter(taking_part.values()) == {"1": 30, "2": 30, "3": 30}
    # the data's own test part, 30 pictures: in no fold, and no network was asked about it
    assert {row["fold"] for row in splits if row["split"] == "test"} == {""}
    assert "test" not in metrics(done()) and metrics(done())["folds"]["set_aside"] == 30
    for k in (1, 2, 3):
        own = rows(done() / f"fold-{k}/splits.csv")
        assert Counter(row["split"] for row in own) == {"train": 60, "test": 30, "": 30}
        assert {row["path"] for row in own if row["split"] == "test"} == {
            p for p, f in taking_part.items() if f == str(k)
        }


def test_what_stands_above_is_what_the_folds_say(done: Callable[[], Path]) -> None:
    above = {row["path"]: row for row in rows(done() / "predictions.csv")}
    values = []
    for k in (1, 2, 3):
        below = rows(done() / f"fold-{k}/predictions.csv")
        for row in below:
            assert {**row, "split": "out_of_fold", "fold": str(k)} == above[row["path"]]
        values.append(sum(row["correct"] == "1" for row in below) / len(below))
        assert metrics(done() / f"fold-{k}")["test"]["top1"]["value"] == pytest.approx(values[-1])
    found = metrics(done())
    top1 = found["folds"]["scores"]["top1"]
    assert top1["values"] == pytest.approx(values) and top1["mean"] == pytest.approx(np.mean(values))
    assert top1["sd"] == pytest.approx(np.std(values, ddof=1))
    right = sum(row["correct"] == "1" for row in above.values())
    whole = found["out_of_fold"]["top1"]
    assert (whole["value"], whole["n"]) == (right / 90, 90)
    assert (whole["low"], whole["high"]) == pytest.approx(wilson(right, 90))
    assert "Nadeau" in top1["method"]


def test_probabilities_are_those_of_the_predictions(done: Callable[[], Path]) -> None:
    labels = rows(done() / "probabilities.csv")[0].keys() - {"path"}
    assert labels == {"0", "1", "2"}
    pairs = zip(rows(done() / "predictions.csv"), rows(done() / "probabilities.csv"), strict=True)
    for answer, shares in pairs:
        assert answer["path"] == shares.pop("path")
        best = max(shares, key=lambda label: float(shares[label]))
        assert best == answer["predicted"] and float(shares[best]) == pytest.approx(
            float(answer["probability"]), abs=1e-5
        )
        assert sum(map(float, shares.values())) == pytest.approx(1, abs=1e-4)


def test_pictures_are_decoded_once_and_a_fold_is_a_line(done: Callable[[], Path], heard: Listening) -> None:
    done()
    assert heard.decoded == 120
    assert sum("plan:" in said for said in heard.said) == 1
    lines = [said for said in heard.said if said.startswith("fold-")]
    assert [line.split("  ")[0] for line in lines] == ["fold-1 of 3", "fold-2 of 3", "fold-3 of 3"]
    assert max(map(len, lines)) <= 80
    assert "folds: 90 pictures in 3 parts, each class in proportion, seed 0" in heard.said
    assert "test: 30 pictures set aside; the folds do not look at them" in heard.said


def test_a_fold_is_what_training_by_its_splits_gives(done: Callable[[], Path], stripes: Path, tmp_path: Path) -> None:
    splits = tmp_path / "splits.csv"
    splits.write_bytes((done() / "fold-2/splits.csv").read_bytes())
    alone = begin(stripes, tmp_path, folds=None, splits=str(splits), scaled_decoding=False)
    for name in ("weights/last.safetensors", "predictions.csv", "steps.csv"):
        assert (alone / name).read_bytes() == (done() / "fold-2" / name).read_bytes()


def test_nothing_is_chosen_by_what_judges(done: Callable[[], Path]) -> None:
    for k in (1, 2, 3):
        assert metrics(done() / f"fold-{k}")["training"]["weights"] == "last.safetensors"
        assert not (done() / f"fold-{k}/weights/best.safetensors").exists()


def test_a_part_to_choose_by_comes_out_of_what_is_learned(stripes: Path, tmp_path: Path) -> None:
    run = begin(stripes, tmp_path, val=9, epochs=1)
    for k in (1, 2, 3):
        own = Counter(row["split"] for row in rows(run / f"fold-{k}/splits.csv"))
        assert own == {"train": 51, "val": 9, "test": 30, "": 30}
        assert metrics(run / f"fold-{k}")["training"]["weights"] == "best.safetensors"
    assert len(rows(run / "predictions.csv")) == 90


def test_a_fold_is_scored_and_asked_by_its_own_folder(
    done: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = metrics(done() / "fold-1")["test"]["top1"]
    folder, found = validate.validate(done() / "fold-1", split="test")
    assert folder == done() / "fold-1" and found["test"]["top1"] == before
    with pytest.raises(ConfigError) as caught:
        validate.validate(done(), split="test")
    assert str(caught.value) == (
        f"ConfigError[C216]: {str(done())!r} is a cross-validation: it has no weights of its own, each of its runs "
        "has.\n"
        "  It says how well a recipe does; the network to use is then trained on all of the data.\n"
        f"  Fix: name one of them, such as {done()}/fold-1; or: dojang train DATA --val none"
    )


def test_args_say_how_it_was_done(done: Callable[[], Path]) -> None:
    args = yaml.safe_load((done() / "args.yaml").read_text())
    assert args["folds"] == 3 and args["scaled_decoding"] is False and args["precision"] in ("fp32", "bf16")
    own = yaml.safe_load((done() / "fold-3/args.yaml").read_text())
    assert own["folds"] is None and own["splits"] == str(done() / "fold-3/splits.csv")
    same = set(args) - {"folds", "splits", "project", "name", "data_sha256"}
    assert {name: args[name] for name in same} == {name: own[name] for name in same}


def test_mean_and_deviation_are_those_of_what_each_network_learns(tmp_path: Path) -> None:
    # one half of each class is dark: folds differ in their mean
    draw = np.random.default_rng(0)
    pairs = [(draw.integers(0, 100 + 150 * (i % 4 > 1), (8, 8), np.uint8), "ab"[i % 2]) for i in range(24)]
    run = begin(pairs, tmp_path, epochs=1, folds=2, model="mlp", conv_dims=None, hidden_dims="4")
    for k in (1, 2):
        learned = [
            int(row["path"].split("#")[1]) for row in rows(run / f"fold-{k}/splits.csv") if row["split"] == "train"
        ]
        expected = np.mean([pairs[i][0] for i in learned]) / 255
        weights = dojang.Run(run / f"fold-{k}").predictor()
        assert weights.preprocess.mean == pytest.approx((expected,))


def test_groups_and_copies_stay_in_one_fold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    Path("photos").mkdir()
    lines = ["path,label,split,group"]
    for i in range(48):
        levels = (draw.integers(0, 120, (8, 8)) + 100 * (i % 2)).astype(np.uint8)
        Image.fromarray(levels).save(f"photos/{i}.png")
        lines.append(f"{i}.png,{'ab'[i % 2]},{'val' if i < 8 else 'train'},{f'patient{i // 6}' if i < 36 else ''}")
    Path("photos/47.png").write_bytes(Path("photos/41.png").read_bytes())
    # a patient in train and val of the data is no leak here: both take part
    Path("photos/table.csv").write_text("\n".join(lines) + "\n")
    run = begin("photos/table.csv", tmp_path / "runs", model="mlp", conv_dims=None, hidden_dims="4", epochs=1)
    found = rows(run / "splits.csv")
    folds: dict[str, set[str]] = {}
    for row in found:
        folds.setdefault(row["group"] or row["path"], set()).add(row["fold"])
    assert all(len(some) == 1 for some in folds.values())
    assert next(row for row in found if row["path"] == "47.png")["group"]
    assert len(rows(run / "predictions.csv")) == 48


def test_a_division_with_groups_is_divided_in_folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    for i in range(48):
        folder = Path("photos") / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((draw.integers(0, 120, (8, 8)) + 100 * (i % 2)).astype(np.uint8)).save(
            folder / f"p{i // 4}_{i}.png"
        )
    assert main(["split", "photos", "--group-by", r"(p\d+)_", "--val", "0.2", "--test", "0.2"]) == 0
    words = ["train", "photos", "--splits", "splits.csv", "--folds", "2", "--model", "mlp", "--epochs", "1"]
    assert main(words) == 0
    before, after = rows(Path("splits.csv")), rows(Path("runs/classify/train/splits.csv"))
    assert [row["split"] == "test" for row in before] == [row["split"] == "test" for row in after]
    patients: dict[str, set[str]] = {}
    for row in after:
        patients.setdefault(row["path"].split("/")[1].split("_")[0], set()).add(row["fold"])
    assert all(len(some) == 1 for some in patients.values())
    # the file is no longer needed, and the run not yet to be begun again
    Path("splits.csv").unlink()
    (Path("runs/classify/train") / "metrics.json").unlink()
    assert main(["train", "--resume", "runs/classify/train"]) == 0


def test_python_gives_the_runs(stripes: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(100, 3))
    before = module[1].weight.detach().clone()
    model = dojang.Model(module)
    run = model.train(str(stripes), folds=2, epochs=1, project=str(tmp_path), threads=1)
    assert len(run.runs) == 2 and run.metrics["folds"]["count"] == 2
    whole, mean = run.metrics["out_of_fold"]["top1"]["value"], run.metrics["folds"]["scores"]["top1"]["mean"]
    assert repr(run).endswith(f"out_of_fold top-1 {whole:.4f}, mean top-1 of 2 folds {mean:.4f})")
    # each began with the network that was given, which is as it was
    assert torch.equal(module[1].weight, before)
    answers = run.runs[1].predict(np.zeros((10, 10), np.uint8))
    assert len(answers[0].probabilities) == 3
    with pytest.raises(ConfigError, match="C243"):
        model.predict(np.zeros((10, 10), np.uint8))


def test_the_table_fits_a_terminal(stripes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"{name}={value}" for name, value in (TINY | {"epochs": 1, "folds": 2, "project": tmp_path}).items()]
    assert main(["train", str(stripes), *words]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    # the folder's path may be of any length
    assert max(map(len, lines[:-2])) <= 80 and lines[-2].startswith("run")
    assert lines[0].split() == ["fold", "n", "top-1", "balanced", "macro", "F1", "log", "loss"]
    assert [line.split()[0] for line in lines[1:]] == [
        "1",
        "2",
        "mean",
        "sd",
        "95",
        "to",
        "all",
        "run",
        "(confusion_matrix.png,",
    ]


def test_too_few_of_a_class(tmp_path: Path) -> None:
    pairs = [(np.full((8, 8), 9 * i, np.uint8), "aaaaab"[i % 6]) for i in range(12)]
    with pytest.raises(ConfigError, match=r"C212\]: 5 folds cannot each have 'b': too few of it"):
        begin(pairs, tmp_path, folds=5)
    assert not (tmp_path / "train").exists()


def test_what_cannot_be_changed(done: Callable[[], Path]) -> None:
    with pytest.raises(ConfigError, match=r"C219\]: epochs cannot be changed in a cross-validation"):
        train.resume(done(), {"epochs": 5})
    with pytest.raises(TrainError, match=r"T321\]: .* is finished: all 3 folds"):
        train.resume(done())


def test_a_new_run_in_an_old_folder_begins_afresh(stripes: Path, tmp_path: Path) -> None:
    begin(stripes, tmp_path, epochs=1, folds=3)
    run = begin(stripes, tmp_path, epochs=1, folds=2, seed=1, exist_ok=True)
    assert run == tmp_path / "train"
    assert len(metrics(run)["folds"]["runs"]) == 2 and not (run / "fold-3/args.yaml").exists()
    assert yaml.safe_load((run / "fold-1/args.yaml").read_text())["seed"] == 1


@pytest.mark.parametrize("options", [{}, {"val": "none"}, {"val": "none", "folds": None}], ids=str)
def test_patience_needs_a_validation_part(stripes: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"C204\]: --patience stops by the score of a validation part") as caught:
        begin(stripes, tmp_path, patience=2, **options)
    assert caught.value.fix == "--val 0.1, or leave --patience out." and not list(tmp_path.glob("*/train"))
