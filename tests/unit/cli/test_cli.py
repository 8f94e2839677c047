"""The command line, in process: what it says where, how it ends, and the words that people type."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dojang.cli import progress
from dojang.cli.main import inert, main
from dojang.runs import train
from dojang.runs.recipe import OPTIONS

VERBS = ("train", "val", "predict", "models", "summary", "bench")
TINY = ["model=mnist-cnn", "conv_dims=3,4", "hidden_dims=6", "epochs=2", "batch_size=12", "lr=0.01"]
TINY += ["threads=1", "workers=0"]
CLASSES = ("across", "down", "none")


def draw(folder: Path, per_class: int, seed: int = 0) -> Path:
    """Ten-pixel grey PNGs of stripes, a folder a class."""
    generator = np.random.default_rng(seed)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for i in range(per_class):
            levels = generator.integers(0, 60, (10, 10))
            if name != "none":
                lines = levels if name == "across" else levels.T
                lines[generator.integers(0, 3) :: 3] += 180
            Image.fromarray(levels.astype(np.uint8)).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("data"), 20)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def run(data: Path, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A run folder of one's own; trained once, copied for each test."""
    if not (place / "train").exists():
        assert main(["train", str(data), *TINY, f"project={place}"]) == 0
        capsys.readouterr()
    shutil.copytree(place / "train", tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def layer_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """What `dojang train digits ARGUMENTS` asks for, without training."""
    caught: dict[str, Any] = {}

    def begin(data: str, layers: list[dict[str, Any]], **more: Any) -> Path:
        caught.clear()
        caught.update(layers[-1])
        assert data == "digits"
        return Path("nowhere")

    monkeypatch.setattr(train, "begin", begin)

    def of(*arguments: str) -> dict[str, Any]:
        assert main(["train", "digits", *arguments]) == 0
        return dict(caught)

    return of


# Help


@pytest.mark.parametrize("words", [["--help"], ["-h"], [], *([verb, "--help"] for verb in VERBS)])
def test_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert err == ""
    verb = words[0] if len(words) == 2 else ""
    assert out.startswith(f"Usage: dojang {verb}".rstrip())
    # no line that a terminal of the usual width would break
    assert max(len(line) for line in out.splitlines()) <= 80
    if not verb:
        assert all(re.search(rf"^  {name} ", out, re.MULTILINE) for name in VERBS)


def test_the_help_of_train_shows_every_option_and_alias(capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "--help"])
    out = capsys.readouterr().out
    for entry in OPTIONS.values():
        for name in (entry.flag, *(f"--{alias.replace('_', '-')}" for alias in entry.facts["aliases"])):
            assert re.search(rf"{name}[ ,\n]", out), name
    words = re.sub(r"\s+", "", out)
    for entry in OPTIONS.values():
        assert re.sub(r"\s+", "", entry.facts["help"]) in words, entry.name


def fresh(code: str) -> str:
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_help_imports_nothing_heavy() -> None:
    """So that it is instant."""
    code = f"""
import contextlib, io, sys
from dojang.cli.main import main
for words in ([], *([verb, "--help"] for verb in {VERBS})):
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(words) == 0
heavy = {{"torch", "numpy", "PIL", "matplotlib", "sklearn", "scipy", "torchvision", "safetensors"}}
print(sorted(heavy & sys.modules.keys()))
"""
    assert fresh(code) == "[]\n"


def test_mistakes_are_found_before_anything_heavy_is_imported() -> None:
    code = """
import sys
from dojang.cli.main import main
for words in (["trian"], ["train", "digits", "lrr=1"], ["train", "digits", "epochs=x"], ["train"], ["predict", "run"]):
    assert main(words) == 2, words
print("torch" in sys.modules)
"""
    assert fresh(code) == "False\n"


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"dojang \d+\.\d+\.\d+\n", capsys.readouterr().out)


# The words that people type


@pytest.mark.parametrize(
    "words",
    [["--epochs", "3"], ["--epochs=3"], ["epochs=3"], ["--epochs", "3.0"]],
    ids=str,
)
def test_three_ways_to_write_an_option(words: list[str], layer_of: Callable[..., dict[str, Any]]) -> None:
    assert layer_of(*words) == {"epochs": 3}


ALIASES = [(alias, entry.name) for entry in OPTIONS.values() for alias in entry.facts["aliases"]]
VALUES = {"optimizer": "sgd", "schedule": "linear", "flip": "none", "lr": "0.5", "clip": "0.5", "ema": "0.5"}
VALUES |= {"weight_decay": "0.5", "final_lr": "0.5", "data_root": "a", "augment": "light"}
VALUES |= {"random_ops": "randaugment", "grey": "0.5", "erase": "0.5"}


@pytest.mark.parametrize(("alias", "name"), ALIASES, ids=[alias for alias, _ in ALIASES])
def test_aliases(alias: str, name: str, layer_of: Callable[..., dict[str, Any]]) -> None:
    value = VALUES.get(name, "7")
    expected = layer_of(f"--{name.replace('_', '-')}", value)
    assert list(expected) == [name]
    assert layer_of(f"--{alias.replace('_', '-')}", value) == expected
    assert layer_of(f"{alias}={value}") == expected


def test_the_flags_people_type_are_all_there(layer_of: Callable[..., dict[str, Any]]) -> None:
    typed = (
        "--epochs 1 --batch 2 --lr0 0.5 --img-size 8 --optimizer sgd --weight-decay 0 --patience 3 --seed 4 "
        "--device cpu --workers 5 --project p --name n --exist-ok --model mlp --time 90s"
    )
    assert layer_of(*typed.split()) == {
        "epochs": 1,
        "batch_size": 2,
        "lr": 0.5,
        "imgsz": 8,
        "optimizer": "sgd",
        "weight_decay": 0.0,
        "patience": 3,
        "seed": 4,
        "device": "cpu",
        "workers": 5,
        "project": "p",
        "name": "n",
        "exist_ok": True,
        "model": "mlp",
        "time": 90.0,
    }


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--nesterov"], True),
        (["--no-nesterov"], False),
        (["nesterov=true"], True),
        (["nesterov=no"], False),
        (["Nesterov=off"], None),
    ],
    ids=str,
)
def test_switches(words: list[str], value: bool | None, layer_of: Callable[..., dict[str, Any]]) -> None:
    if value is None:
        assert main(["train", "digits", *words]) == 2
    else:
        assert layer_of(*words) == {"nesterov": value}


def test_lists_and_nothing(layer_of: Callable[..., dict[str, Any]]) -> None:
    assert layer_of("--conv-dims", "8,16", "hidden_dims=[32]", "--val", "none") == {
        "conv_dims": (8, 16),
        "hidden_dims": (32,),
        "val": "none",
    }
    assert layer_of() == {}


def test_the_task_may_be_named_first(
    layer_of: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    layer_of("epochs=2")
    assert main(["classify", "train", "digits", "epochs=2"]) == 0
    capsys.readouterr()
    assert main(["classify", "tarin", "digits"]) == 2
    assert "unknown verb 'tarin'. Did you mean 'train'?" in capsys.readouterr().err


def test_data_may_be_named(layer_of: Callable[..., dict[str, Any]]) -> None:
    layer_of()
    assert main(["train", "data=digits", "epochs=2"]) == 0


# Mistakes

MISTAKES = [
    (["trian", "x"], "C200", "unknown verb 'trian'. Did you mean 'train'?"),
    (["train"], "C200", "train needs DATA, or --resume RUN."),
    (["train", "a", "--resume", "b"], "C200", "DATA and --resume RUN are both given."),
    (["train", "a", "b"], "C200", "unexpected extra argument"),
    (["train", "digits", "--weight-deacy", "1"], "C201", "Did you mean '--weight-decay'?"),
    (["train", "digits", "weight_deacy=1"], "C201", "Did you mean '--weight-decay'?"),
    (["train", "digits", "--xyzzy"], "C201", "unknown option '--xyzzy' in the command."),
    (["train", "digits", "--epochs", "x"], "C202", "epochs cannot be 'x'; expected a whole number of at least 1."),
    (["train", "digits", "--epochs", "0"], "C202", "expected a whole number of at least 1."),
    (["train", "digits", "optimizer=sdg"], "C202", "Did you mean 'sgd'?"),
    (["train", "digits", "--time", "90"], "C202", "expected a time with its unit, such as 90s, 5m or 2h."),
    (["train", "digits", "--lr", "nan"], "C202", "lr cannot be 'nan'"),
    (["train", "digits", "--epochs"], "C200", "requires an argument"),
    (["train", "digits", "--model", "mnist-cn"], "C203", "unknown model 'mnist-cn'. Did you mean 'mnist-cnn'?"),
    (["train", "digits", "--recipe", "/nowhere.yaml"], "C221", "cannot read '/nowhere.yaml'"),
    (["train", "digits", "--model", "/nowhere.py:CNN"], "C208", "there is no file '/nowhere.py'"),
    (["train", "--resume", "/nowhere"], "C215", "'/nowhere' is no run folder: there is nothing of that name."),
    (["val", "/nowhere"], "C215", "'/nowhere' is no run folder"),
    (["val"], "C200", "Missing argument 'RUN'"),
    (["predict", "/nowhere", "a.png"], "C215", "'/nowhere' is no run folder"),
    (["predict", "/nowhere"], "C200", "predict needs pictures."),
    (["predict", "/nowhere", "a.png", "--top", "0"], "C200", "--top"),
    (["summary", "cn"], "C203", "unknown model 'cn'. Did you mean 'cnn'?"),
]


@pytest.mark.parametrize(("words", "code", "text"), MISTAKES, ids=[" ".join(words) for words, _, _ in MISTAKES])
def test_mistakes(words: list[str], code: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"ConfigError[{code}]: ")
    assert text in err
    assert "Traceback" not in err
    # the same as JSON: one object on stdout, the words for people still on stderr
    assert main([*words, "--json"]) == 2
    if words[0] in ("train", "val") and words[-1] != "--epochs":
        found = json.loads(capsys.readouterr().out)
        assert found["code"] == code
        assert text in found["what"]
        assert found["exit_code"] == 2


def test_every_error_ends_with_its_code(
    tmp_path: Path, run: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    for words, code, kind in (
        (["train", "--resume", str(run)], 1, "TrainError[T321]"),
        (["train", str(data), "lrr=1"], 2, "ConfigError[C201]"),
        (["train", str(tmp_path / "empty")], 3, "DataError[D101]"),
        (["predict", str(run), str(tmp_path / "file")], 3, "DataError["),
        (["train", str(data), *TINY, f"project={tmp_path / 'file' / 'sub'}"], 4, "ResourceError[R402]"),
    ):
        assert main(words) == code, words
        out, err = capsys.readouterr()
        assert out == ""
        assert kind in err
        assert "  Fix: " in err


def stopping(number: int) -> type[progress.Lines]:
    class Stopping(progress.Lines):
        def step(self, step: int, *rest: Any) -> None:
            if step == 3:
                os.kill(os.getpid(), number)
            super().step(step, *rest)

    return Stopping


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "signal 15")]
)
def test_signals(
    number: int,
    code: int,
    word: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = tmp_path / "my runs"
    with monkeypatch.context() as patch:
        patch.setattr(progress, "Lines", stopping(number))
        assert main(["train", str(data), *TINY, f"project={project}"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert f"TrainError[T320]: stopped by {word} after step 3; the state is saved." in err
    fix = re.search(r"Fix: dojang (.*)", err)
    assert fix is not None
    # the fix can be pasted, spaces and all
    assert fix[1] == f"train --resume '{project}/train'"
    assert main(["train", "--resume", str(project / "train")]) == 0
    assert "test  top-1" in capsys.readouterr().out


def test_an_interrupt_outside_of_training(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def begin(*args: Any, **more: Any) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "begin", begin)
    assert main(["train", "digits"]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("stopped at once; the last saved state is good.\n")


# Results on stdout, all else on stderr


def test_train_and_its_folders(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = tmp_path / "runs"
    words = ["train", str(data), *TINY, f"project={project}", "epochs=1"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    # a score, its interval, and of how many pictures
    score = r"[01]\.\d{4} \(95 %: 0\.\d{4} to [01]\.\d{4}\)"
    lines = out.splitlines()
    assert len(lines) == 5
    for line, split in zip(lines[:2], ("val", "test"), strict=True):
        assert re.match(rf"{split:5} top-1 {score}  macro F1 [01]\.\d{{4}}  n 6$", line)
    assert lines[2] == "weights chosen by top-1 on val, where they look better than they are"
    assert lines[3] == f"run   {project / 'train'}"
    assert re.fullmatch(r" {6}\(results\.png, confusion_matrix\.png, reliability\.png(, worst\.png)?\)", lines[4])
    assert "divided 60 images: train 48, val 6, test 6" in err
    assert "before training: output (2, 3)" in err
    assert re.search(r"^epoch 1  train loss .* val loss .* images/s  \S+ s left$", err, re.MULTILINE)
    assert main([*words, "--json"]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    found = json.loads(out)
    assert found["run"] == str(project / "train2")
    assert found["metrics"] == json.loads((project / "train2/metrics.json").read_text())
    assert "epoch 1" in err
    assert sorted(path.name for path in project.iterdir()) == ["train", "train2"]


def test_exist_ok_leaves_nothing_of_the_run_before(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An older run's states are later in steps: a resume would take them for the new run's."""
    (run / "notes.txt").write_text("mine")
    words = ["train", str(data), *TINY, f"project={tmp_path}", "name=run", "--exist-ok", "seed=5", "val=none", "test=0"]
    with monkeypatch.context() as patch:
        patch.setattr(progress, "Lines", stopping(signal.SIGINT))
        assert main(words) == 130
    assert sorted(path.name for path in (run / "state").iterdir()) == ["step-0.safetensors", "step-3.safetensors"]
    assert not (run / "metrics.json").exists()
    capsys.readouterr()
    assert main(["train", "--resume", str(run)]) == 0
    fresh = [*words[:-5], "name=fresh", *words[-3:]]
    assert main(fresh) == 0
    for name in ("steps.csv", "splits.csv", "weights/last.safetensors"):
        assert (run / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes(), name
    assert not (run / "predictions.csv").exists()
    assert not (run / "weights/best.safetensors").exists()
    assert (run / "notes.txt").read_text() == "mine"


def test_nothing_is_written_into_the_data(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user who stands in the folder of pictures, where the default project would be."""
    copy = tmp_path / "my photos" / "all"
    shutil.copytree(data, copy)
    before = sorted(copy.rglob("*"))
    monkeypatch.chdir(copy)
    assert main(["train", ".", *TINY]) == 2
    err = capsys.readouterr().err
    assert "ConfigError[C244]: the run folder would lie inside the data: 'runs/classify' is in '.'." in err
    assert f"Fix: --project '{tmp_path}/my photos/runs/classify'" in err
    assert sorted(copy.rglob("*")) == before


def test_val_on_its_own_data_is_merged(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    assert main(["val", str(run)]) == 0
    out = capsys.readouterr().out
    for split in ("val", "test"):
        head = rf"^{split}: 6 pictures, 3 classes; intervals of 95 %\n  top-1 +[01]\.\d{{4}}   "
        assert re.search(head, out, re.MULTILINE)
    # those of the training pictures, too, once they are scored
    assert "\ntrain" not in out
    assert max(map(len, out.replace(str(run), "runs/classify/train").splitlines())) <= 80
    after = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    assert json.loads(after["metrics.json"]) == json.loads(before["metrics.json"])
    assert sorted(after["predictions.csv"].splitlines()) == sorted(before["predictions.csv"].splitlines())
    assert main(["val", str(run), "--split", "train", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["run"] == str(run)
    assert found["metrics"]["train"]["n"] == 48
    assert found["metrics"]["val"] == json.loads(before["metrics.json"])["val"]
    assert [row["support"] for row in found["per_class"]["train"]] == [16, 16, 16]
    counts = found["confusion_matrix"]["train"]["counts"]
    wrong = sum(map(sum, counts)) - sum(counts[i][i] for i in range(3))
    assert sum(map(sum, counts)) == 48 and len(found["worst"]["train"]) == wrong
    rows = (run / "predictions.csv").read_text().splitlines()
    assert len(rows) == 1 + 60
    assert main(["val", str(run), "--split", "nowhere"]) == 3
    assert "D121" in capsys.readouterr().err


def test_val_on_other_data_makes_a_folder_of_its_own(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    other = draw(tmp_path / "other", 4, seed=3)
    shutil.rmtree(other / "down")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert main(["val", str(run), str(other)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("test: 8 pictures, 3 classes; intervals of 95 %\n")
    assert "\n  1 of the 3 classes has no pictures here; left out of means over classes\n" in out
    assert "look better than they are" not in out
    assert re.search(r"\nrun   runs/classify/val\n      \(confusion_matrix\.png, reliability\.png.*\)\n$", out)
    folder = tmp_path / "runs/classify/val"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["test"]["n"] == 8
    assert {line.split(",")[1] for line in (folder / "predictions.csv").read_text().splitlines()[1:]} == {
        "across",
        "none",
    }
    assert main(["val", str(run / "weights/best.safetensors"), str(other), "--json", "--project", "p"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["run"] == "p/val"
    assert found["metrics"] == metrics
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    (other / "none").rename(other / "lynx")
    assert main(["val", str(run), str(other)]) == 3
    assert "the test set has a class the model does not know: 'lynx' (4 images)." in capsys.readouterr().err
    assert not (tmp_path / "runs/classify/val2").exists()


# predict


def test_predict_files_and_folders(run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = data / "down/3.png", data / "none/1.png"
    assert main(["predict", str(run), str(two), str(one)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [str(two), str(one)]
    shares = re.fullmatch(r"(\w+) (\d\.\d{4})  (\w+) (\d\.\d{4})  (\w+) (\d\.\d{4})", lines[0].split(": ")[1])
    assert shares is not None
    assert sorted(shares.groups()[::2]) == sorted(CLASSES)
    values = [float(value) for value in shares.groups()[1::2]]
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(1, abs=2e-4)
    assert main(["predict", str(run), str(data), "--top", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 60
    assert lines[0].startswith(str(data / "across/0.png") + ": ")
    assert all(re.search(r"png: \w+ \d\.\d{4}$", line) for line in lines)
    (tmp_path / "nothing").mkdir()
    for missing in ("nowhere.png", "nothing"):
        assert main(["predict", str(run), str(one), str(tmp_path / missing)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert "C241" in err
        assert missing in err


def test_predict_as_json_is_one_object_a_line(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(run), str(data / "down"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    found = [json.loads(line) for line in out.splitlines()]
    assert len(found) == 20
    for answer in found:
        assert list(answer) == ["source", "label", "probability", "unknown", "familiarity", "probabilities"]
        assert answer["probability"] == max(answer["probabilities"].values())
        assert sorted(answer["probabilities"]) == sorted(CLASSES)
    # the answers in the run folder, by the same weights
    with (run / "predictions.csv").open() as file:
        rows = {line.split(",")[0]: line.split(",") for line in file}
    both = [(answer, rows[f"down/{Path(answer['source']).name}"]) for answer in found
            if f"down/{Path(answer['source']).name}" in rows]  # fmt: skip
    assert both
    for answer, row in both:
        assert answer["label"] == row[2]
        assert answer["probability"] == pytest.approx(float(row[3]), abs=2e-5)


def test_a_picture_that_is_none_is_named(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "page.jpg").write_text("<html>not found</html>")
    assert main(["predict", str(run), str(tmp_path / "page.jpg"), "--json"]) == 3
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["error"] == "DataError"
    assert "page.jpg" in found["what"]
    assert "page.jpg" in err


def test_what_cannot_be_read_is_an_error_and_no_hang(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert main(["predict", str(run), str(tmp_path / "pipe.png")]) == 3
    assert "DataError[D112]" in capsys.readouterr().err


# X6: names that mean harm

NAMES = (
    "\x1b[31mred\x1b[0m.png",
    "\x9b2Jclear.png",
    "<script>alert(1)</script>.png".replace("/", "_"),
    "=cmd().png",
    "one\ntwo: down 1.0000.png",
    "bell\x07.png",
    "\u202egnp.exe.png",
    "no-break\xa0space.png",
    "caf\udce9.png",
    "\U000e0001tag.png",
    "개.png",
)


def test_names_come_out_inert_and_come_back_exactly(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in NAMES:
        shutil.copy(data / "down/0.png", folder / name)
    assert main(["predict", str(run), str(folder), "--top", "1"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == len(NAMES)
    assert all(c.isprintable() for c in out.replace("\n", ""))
    assert "\\x1b[31mred" in out
    assert "one\\ntwo" in out
    assert "개.png" in out
    assert main(["predict", str(run), str(folder), "--json"]) == 0
    out = capsys.readouterr().out
    assert all(c.isprintable() for c in out.replace("\n", ""))
    sources = [json.loads(line)["source"] for line in out.splitlines()]
    assert sorted(sources) == sorted(str(folder / name) for name in NAMES)


def test_errors_about_such_names_are_inert_too(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMES:
        assert main(["predict", str(run), str(tmp_path / name), "--json"]) == 2
        out, err = capsys.readouterr()
        assert all(c.isprintable() for c in (out + err).replace("\n", ""))
        assert json.loads(out)["code"] == "C241"
        assert main(["train", str(tmp_path / name)]) == 3
        err = capsys.readouterr().err
        assert all(c.isprintable() for c in err.replace("\n", ""))


def test_classes_with_such_names_are_trained_scored_and_predicted(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    names = ("\x1b[31mred", "<b>bold<", "=cmd()")
    for old, new in zip(CLASSES, names, strict=True):
        (copy / old).rename(copy / new)
    assert main(["train", str(copy), *TINY, f"project={tmp_path}", "epochs=1"]) == 0
    assert main(["predict", str(tmp_path / "train"), str(copy)]) == 0
    out, err = capsys.readouterr()
    assert all(c.isprintable() for c in (out + err).replace("\n", ""))
    per_class = (tmp_path / "train/per_class.csv").read_bytes().decode()
    assert all(f"\n{name},val," in per_class for name in names)


def test_inert() -> None:
    assert inert("a\x1b[0m\r\x00é개\nb") == "a\\x1b[0m\\r\\x00é개\nb"


# models


def test_models(capsys: pytest.CaptureFixture[str]) -> None:
    from dojang.models.presets import PRESETS

    assert main(["models"]) == 0
    head, *lines, last = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["name", "year", "depth", "parameters"]
    assert [line.split()[0] for line in lines] == list(PRESETS)
    assert max(map(len, [head, *lines, last])) <= 80
    found = {line.split()[0]: line.split() for line in lines}
    assert found["resnet18"][1:6] == ["2015", "18", "11,689,512", "1.8", "G"]
    assert found["mnist-cnn"][1:3] == ["4", "119,530"]
    assert main(["models", "--json"]) == 0
    facts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["name"] for one in facts] == list(PRESETS)
    depths = {one["name"]: one["depth"] for one in facts}
    # as they are called, or as their papers count
    expected = {"resnet18": 18, "resnet152": 152, "resnet110": 110, "plain56": 56, "vgg16": 16, "vgg19_bn": 19}
    expected |= {"densenet121": 121, "googlenet": 22, "alexnet": 8, "alexnet-2012": 8}
    assert {name: depths[name] for name in expected} == expected


def test_summary(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["summary", "mnist-cnn", "--params"]) == 0
    out = capsys.readouterr().out
    assert "119,530 parameters" in out and "conv1.weight" in out
    assert max(map(len, out.splitlines())) <= 80
    assert main(["summary", "resnet50", "--imgsz", "32", "--in-channels", "1", "--classes", "10"]) == 0
    assert "1x32x32" in capsys.readouterr().out
    assert main(["summary", "resnet20", "--shortcut", "projected", "order=conv-act-bn"]) == 0
    assert "272,474 parameters" in capsys.readouterr().out
    assert main(["summary", "resnet18", "--explain", "conv1"]) == 0
    assert "64 filters x (7 x 7 x 3) = 9,408" in capsys.readouterr().out
    drawing = tmp_path / "net.svg"
    assert main(["summary", "vgg16", "--draw", str(drawing)]) == 0
    assert drawing.read_text().startswith("<svg")
    assert main(["summary", "vgg16", "--draw", str(tmp_path / "net.png")]) == 2
    assert "--draw writes SVG" in capsys.readouterr().err


def test_a_reader_that_leaves_ends_it_quietly() -> None:
    """`dojang models | head -1`."""
    read, write = os.pipe()
    os.close(read)
    ran = subprocess.run(
        [sys.executable, "-m", "dojang", "models"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert ran.returncode == 1
    assert ran.stderr == ""


def test_summary_of_a_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", str(run), "--params"]) == 0
    of_run = capsys.readouterr().out
    assert main(["summary", str(run / "weights/best.safetensors"), "--params"]) == 0
    assert capsys.readouterr().out == of_run
    assert main(["summary", str(run), "--imgsz", "32"]) == 2
    assert "is trained, and has its size" in capsys.readouterr().err


def test_predict_draws_where(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "a.png"
    Image.new("L", (40, 30), 90).save(picture)
    for name in ("a.png", "a2.png"):
        assert main(["predict", str(run), str(picture), "--map", str(tmp_path / "maps")]) == 0
        assert f"in {tmp_path / 'maps' / name}" in capsys.readouterr().out
        with Image.open(tmp_path / "maps" / name) as drawn:
            assert drawn.mode == "RGB"
    assert main(["predict", str(run), str(picture), "--map", str(tmp_path / "maps"), "--label", "nothing"]) == 2
    assert "the network knows no class 'nothing'" in capsys.readouterr().err
