"""A study from its plan to its table: the same pictures for all, failures told, nothing lost when it is killed."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dojang import files, recipe
from dojang.cli.main import main
from dojang.errors import ConfigError, TrainError
from dojang.study import engines, study, work
from dojang.study.plan import Plan, read, read_file
from dojang.study.search import Search
from dojang.study.work import Job, Outcome, carry_out

TINY: dict[str, Any] = {
    "model": "mnist-cnn",
    "conv_dims": (3, 4),
    "hidden_dims": (6,),
    "epochs": 2,
    "val": 60,
    "train_sample": 0,
    "familiar": False,
}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs in this process, where one of their own would only take time; the folders of those that were begun."""
    begun: list[str] = []

    def run(jobs: Sequence[Job], *, stopped: Callable[[], bool], **options: Any) -> Iterator[tuple[int, Outcome]]:
        for number, job in enumerate(jobs):
            begun.append(job.folder)
            yield number, Outcome("stopped") if stopped() else carry_out(job)

    monkeypatch.setattr(engines, "run", run)
    return begun


def plan_of(data: Path, **more: Any) -> Plan:
    given: dict[str, Any] = {"recipe": TINY, "grid": {"batch_size": (10, 30)}, "seeds": (0, 1)}
    return Plan(data=str(data), **(given | more))


def table(folder: Path) -> list[dict[str, str]]:
    return rows_of(folder / "table.csv")


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"), newline="")))


def test_all_runs_have_the_same_pictures(stripes: Path, tmp_path: Path, here: list[str]) -> None:
    folder = study.begin(plan_of(stripes), project=tmp_path, jobs=1)
    runs = rows_of(folder / "runs.csv")
    assert [(row["cell"], row["seed"], row["status"]) for row in runs] == [
        ("1", "0", "done"), ("1", "1", "done"), ("2", "0", "done"), ("2", "1", "done")
    ]  # fmt: skip
    splits = {path.read_bytes() for path in folder.glob("cell-*/seed-*/splits.csv")}
    assert splits == {(folder / "splits.csv").read_bytes()}
    scores = {}
    for row in runs:
        metrics = json.loads((folder / f"cell-0{row['cell']}" / f"seed-{row['seed']}" / "metrics.json").read_text())
        assert float(row["val/top1"]) == metrics["val"]["top1"]["value"]
        scores.setdefault(row["cell"], []).append(float(row["val/top1"]))
    lines = table(folder)
    assert {row["cell"]: float(row["mean"]) for row in lines} == {cell: sum(v) / 2 for cell, v in scores.items()}
    assert lines[0]["told"] == "best" and float(lines[0]["mean"]) >= float(lines[1]["mean"])
    assert [row["batch_size"] for row in sorted(lines, key=lambda row: row["cell"])] == ["10", "30"]
    drawn = {name: (folder / name).read_bytes() for name in ("dots.png", "parallel.png")}
    page = (folder / "table.md").read_text()
    assert all(f"]({name})\n" in page for name in drawn) and not (folder / "heatmap.png").exists()
    # made again of the same scores, whoever asks
    for name in drawn:
        (folder / name).unlink()
    study.resume(folder)
    assert {name: (folder / name).read_bytes() for name in drawn} == drawn
    # nothing in it tells how long it took
    assert "seconds" not in (folder / "table.csv").read_text()


class Killed(BaseException):
    """What no code catches."""


def test_killed_twice_it_ends_with_the_same_table(
    stripes: Path, tmp_path: Path, here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = study.begin(plan_of(stripes), project=tmp_path, name="whole", jobs=1)
    real = work.train.begin
    begun = [0]

    def dies(*args: Any, **options: Any) -> Any:
        begun[0] += 1
        if begun[0] == 2:
            raise Killed
        return real(*args, **options)

    monkeypatch.setattr(work.train, "begin", dies)
    with pytest.raises(Killed):
        study.begin(plan_of(stripes), project=tmp_path, name="killed", jobs=1)
    begun[0] = 0
    folder = tmp_path / "killed"
    with pytest.raises(Killed):
        study.resume(folder)
    monkeypatch.setattr(work.train, "begin", real)
    # a table that was lost is no loss: the runs are
    (folder / "runs.csv").unlink()
    done = len(here)
    study.resume(folder)
    assert len(here) - done == 2
    for name in ("table.csv", "table.md"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    # finished: nothing is trained again
    done = len(here)
    study.resume(folder)
    assert len(here) == done


def test_a_run_that_fails_is_told_and_the_others_go_on(stripes: Path, tmp_path: Path, here: list[str]) -> None:
    # a switch that this network does not have
    given = {"grid": {}, "variants": {"good": {}, "bad": {"shortcut": "none"}}}
    folder = study.begin(plan_of(stripes, **given), project=tmp_path, jobs=1)
    good, bad = table(folder)
    assert (good["variant"], good["n"], good["failed"], good["told"]) == ("good", "2", "0", "best")
    assert (bad["variant"], bad["n"], bad["failed"], bad["mean"]) == ("bad", "0", "2", "")
    runs = rows_of(folder / "runs.csv")
    assert runs[-1]["error"].startswith("C2") and "shortcut" in runs[-1]["error"]
    assert "| bad | 0 (2 failed) | - | - |" in (folder / "table.md").read_text()
    done = len(here)
    study.resume(folder)
    assert len(here) == done
    # only where it is asked for, and only those that failed
    study.resume(folder, retry=True)
    assert len(here) == done + 2 and all("cell-02" in one for one in here[done:])
    assert rows_of(folder / "runs.csv") == runs


def test_a_run_that_failed_for_a_reason_that_is_gone_can_be_tried_again(
    stripes: Path, tmp_path: Path, here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = study.begin(plan_of(stripes), project=tmp_path, name="whole", jobs=1)
    real, seen = work.train.begin, []

    def short(*args: Any, **options: Any) -> Any:
        seen.append(args)
        if len(seen) == 2:
            raise MemoryError("no room")
        return real(*args, **options)

    monkeypatch.setattr(work.train, "begin", short)
    folder = study.begin(plan_of(stripes), project=tmp_path, name="short", jobs=1)
    assert [row["failed"] for row in sorted(table(folder), key=lambda row: row["cell"])] == ["0", "1"]
    study.resume(folder)
    assert len(seen) == 4 and (folder / "table.csv").read_bytes() != (whole / "table.csv").read_bytes()
    study.resume(folder, retry=True)
    assert len(seen) == 5 and (folder / "table.csv").read_bytes() == (whole / "table.csv").read_bytes()


def test_stopped_by_somebody_it_says_how_to_go_on(
    stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(jobs: list[Job], **options: Any) -> Iterator[tuple[int, Outcome]]:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGTERM)
        yield 0, Outcome("stopped")

    monkeypatch.setattr(engines, "run", run)
    with pytest.raises(TrainError, match=r"T320.*stopped by signal 15; what was done is kept") as caught:
        study.begin(plan_of(stripes), project=tmp_path, jobs=1)
    assert caught.value.exit_code == 143 and caught.value.fix == f"dojang study --resume {tmp_path / 'study'}"
    assert not (tmp_path / "study" / "table.csv").exists()


def test_a_file_that_changed_is_another_study(stripes: Path, tmp_path: Path, here: list[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        f"data: {stripes}\nrecipe: {{model: mlp, epochs: 1, val: 60}}\ngrid: {{batch_size: [10]}}\nseeds: 1\n"
    )
    folder = study.begin(read_file(file), source=file, project=tmp_path, jobs=1)
    file.write_text(file.read_text().replace("[10]", "[10, 20]"))
    with pytest.raises(ConfigError, match=r"C282.*has changed since the study") as caught:
        study.resume(folder)
    assert caught.value.fix.startswith(f"dojang study --resume {folder} --as-begun")
    study.resume(folder, as_begun=True)
    assert len(table(folder)) == 1
    file.unlink()
    study.resume(folder)


def test_what_is_no_study_is_refused(tmp_path: Path, stripes: Path) -> None:
    with pytest.raises(ConfigError, match="C281"):
        study.resume(tmp_path)
    with pytest.raises(ConfigError, match=r"C280.*names no data"):
        study.begin(Plan(data="", grid={"lr": (0.1,)}), project=tmp_path)
    with pytest.raises(ConfigError, match=r"C280.*no 'val' pictures"):
        study.begin(plan_of(stripes, recipe=TINY | {"val": "none"}, judge="val"), project=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_runs_of_one_seed_tell_nothing_apart(stripes: Path, tmp_path: Path, here: list[str]) -> None:
    folder = study.begin(plan_of(stripes, seeds=(3,)), project=tmp_path, jobs=1)
    assert [row["told"] for row in table(folder)] == ["best", ""]
    assert "One run each: nothing can be told apart from luck." in (folder / "table.md").read_text()


def test_on_the_command_line(
    stripes: Path, tmp_path: Path, here: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["study", str(stripes), "--grid", "conv_dims=3,3+4", "--seeds", "2", "--jobs", "1", "--val", "60"]
    words += ["--model", "mnist-cnn", "--epochs", "1", "--hidden-dims", "6", "--no-familiar"]
    assert main(words) == 0
    told = capsys.readouterr()
    assert "plan: 2 combinations x 2 seeds = 4 runs" in told.err and "[4/4] conv_dims 3,4, seed 1: val top1" in told.err
    assert told.out.splitlines()[0].split() == ["cell", "n", "val", "top1", "beside", "the", "best"]
    assert told.out.endswith("pictures  dots.png, parallel.png\nstudy  runs/study/study\n")
    assert max(map(len, told.out.splitlines()[:3])) <= 80
    shutil.rmtree(tmp_path / "runs" / "study" / "study" / "cell-02" / "seed-1")
    (tmp_path / "runs" / "study" / "study" / "runs.csv").unlink()
    assert main(["study", "--resume", "runs/study/study", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["n"] for one in found["cells"]] == [2, 2] and found["score"] == "top1"
    assert found["pictures"] == ["dots.png", "parallel.png"]
    assert main(["study", str(stripes), "--grid", "lr=0.1", "--retry"]) == 2
    assert "--retry is for a study that goes on" in capsys.readouterr().err
    assert main(["study"]) == 2 and main(["study", "nothing-like-it"]) == 2
    assert main(["study", str(stripes), "--grid", "lr"]) == 2
    assert main(["study", "--list"]) == 0 and "batch-by-optimizer" in capsys.readouterr().out
    assert main(["study", "--print", "batch-by-optimizer"]) == 0 and "grid:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--dry-run"], "--dry-run"),
        (["--score", "brier"], "--score"),
        (["--judge", "test"], "--judge"),
        (["--name", "other"], "--name"),
        (["--project", "elsewhere"], "--project"),
        (["--device", "cpu"], "--device"),
        (["--seeds", "2"], "--seeds"),
        (["--grid", "lr=0.1"], "--grid"),
        (["--epochs", "2"], "--epochs"),
        (["data"], "'data'"),
    ],
)
def test_what_goes_on_takes_nothing_that_was_decided_on_the_command_line(
    words: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "resume", lambda *_, **__: pytest.fail("it went on"))
    assert main(["study", *words, "--resume", str(tmp_path)]) == 2
    assert f"C200]: {named} is for a study that begins; one that goes on has its" in capsys.readouterr().err


def test_what_is_given_twice_on_the_command_line(
    stripes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(study, "begin", lambda *_, **__: pytest.fail("it began"))
    assert main(["study", str(stripes), "--grid", "lr=0.1,0.1"]) == 2
    assert "C280]: grid: lr has the same value twice: 0.1." in capsys.readouterr().err
    assert main(["study", str(stripes), "--grid", "lr=0.1,0.2", "--grid", "learning_rate=0.3"]) == 2
    assert "C200]: --grid gives lr twice." in capsys.readouterr().err


def test_a_plan_that_could_not_be_read_again_does_not_begin(stripes: Path, tmp_path: Path, here: list[str]) -> None:
    # a value that is of no option's type: a file would have it read and checked
    with pytest.raises(ConfigError, match=r"C280.*cannot be written down: recipe is .*'batch_size': '30'"):
        study.begin(plan_of(stripes, recipe=TINY | {"batch_size": "30"}, grid={}), project=tmp_path, jobs=1)
    assert not here and not list(tmp_path.rglob("study.yaml"))


def test_a_dry_run_says_what_it_costs_and_leaves_nothing(
    stripes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dojang.study.estimate.SECONDS", 0.2)
    words = ["study", str(stripes), "--grid", "model=mnist-cnn,resnet20", "--shortcut", "none", "--val", "60"]
    assert main([*words, "--epochs", "3", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "model resnet20: about " in told and "model mnist-cnn: cannot be trained: C2" in told
    assert "all: about " in told and not (tmp_path / "runs").exists()


def test_data_that_is_not_there_and_networks_of_which_none_can_be_trained_end_a_dry_run(
    stripes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["study", "mlp-vs-cnn", "mnsit", "--dry-run"]) == 3
    assert "D100" in capsys.readouterr().err
    words = ["study", str(stripes), "--grid", "lr=0.1,0.2", "--model", "mnist-cnn", "--shortcut", "none", "--val", "60"]
    assert main([*words, "--dry-run"]) == 1
    said = capsys.readouterr()
    assert "lr 0.1: cannot be trained: C2" in said.out
    assert "TrainError[C284]: no combination that was tried can be trained." in said.err


@pytest.mark.parametrize(
    "plan",
    [
        {"grid": {"model": ("mlp", "mpl")}},
        {"variants": {"a": {"model": "mpl"}}},
        {"recipe": {"model": "mpl"}},
        {"grid": {}, "search": Search("random", 2, 0, {"model": ("mlp", "mpl")})},
    ],
)
def test_a_network_that_does_not_exist_is_refused_before_the_first_run(plan: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"C203.*unknown model 'mpl'. Did you mean 'mlp'"):
        Plan(**{"data": "digits", "recipe": {}, "grid": {"lr": (0.1, 0.2)}, **plan})
    Plan(data="digits", grid={"model": ("auto", "sprint", "nets.py:Net", "timm:resnet10t")})


def test_data_alone_and_a_study_that_began_are_no_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["study", "digits", "--epochs", "1"]) == 2
    assert capsys.readouterr().err == (
        "ConfigError[C200]: 'digits' is data; what is to differ between the runs?\n"
        "  Fix: dojang study digits --grid optimizer=adam,sgd; or a ready-made study (--list) of it.\n"
    )
    (tmp_path / "old one").mkdir()
    (tmp_path / "old one" / "study.yaml").write_text("")
    assert main(["study", "old one"]) == 2
    assert "'old one' is a study that has begun.\n  Fix: dojang study --resume 'old one'\n" in capsys.readouterr().err


def test_layers_are_looked_into_where_it_is_asked(stripes: Path, tmp_path: Path, here: list[str]) -> None:
    folder = study.begin(plan_of(stripes, seeds=(0,), inside=True), project=tmp_path, jobs=1)
    assert (folder / "inside.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "table.md").read_text().endswith("](inside.png)\n")
    for cell in ("cell-01", "cell-02"):
        assert len(rows_of(folder / cell / "inside.csv")) > 2


DIES = """
import os
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(100, 3))

    def forward(self, x):
        print("half a line", end="")
        if self.training:
            os._exit(3)
        return super().forward(x)
"""


def test_processes_of_their_own_bring_the_same_and_one_that_dies_is_told(
    stripes: Path, tmp_path: Path, here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net.py").write_text(DIES)
    variants = {"good": {}, "dies": {"model": f"{tmp_path / 'net.py'}:Net"}}
    recipe = {"model": "mlp", "epochs": 1, "val": 60, "train_sample": 0}
    given: dict[str, Any] = {"recipe": recipe, "grid": {}, "variants": variants, "seeds": (0,)}
    alone = study.begin(plan_of(stripes, **given | {"variants": {"good": {}}}), project=tmp_path, name="here", jobs=1)
    done = len(here)
    monkeypatch.undo()
    folder = study.begin(plan_of(stripes, **given), project=tmp_path, name="there", jobs=2)
    assert len(here) == done
    runs = {row["name"]: row for row in rows_of(folder / "runs.csv")}
    assert runs["dies"]["status"] == "failed" and runs["dies"]["error"] == "its process ended with status 3"
    assert runs["good"]["val/log_loss"] == rows_of(alone / "runs.csv")[0]["val/log_loss"]


@pytest.mark.parametrize("name", ["../../stripes/mine", "a/b", "..", ".", "", "/tmp/mine", "a\0"])
def test_a_name_is_no_path_out_of_the_project(tmp_path: Path, here: list[str], name: str) -> None:
    plan = read("draw: {paths: {optimizers: {SGD: {optimizer: sgd, lr: 0.5}}}}", "x.yaml")
    with pytest.raises(ConfigError) as caught:
        study.begin(plan, project=tmp_path / "runs" / "study", name=name)
    assert caught.value.code == "C202" and caught.value.what.startswith(f"--name is {name!r}; expected the name of")
    assert list(tmp_path.iterdir()) == []


def test_a_name_on_the_command_line_of_a_study(
    stripes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(stripes.iterdir())
    words = ["study", str(stripes), "--grid", "lr=0.1", "--seeds", "1", "--model", "mlp", "--val", "60"]
    assert main([*words, "--name", f"../../{stripes.name}/mine"]) == 2
    told = capsys.readouterr().err
    assert "C202]: --name is" in told and "Fix: --name mine; the folder that it is made in is --project" in told
    assert sorted(stripes.iterdir()) == before and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"judge": 5}, "judge is 5; expected text"),
        ({"judge": "<b>x"}, "judge is '<b>x'; expected one of val, test"),
        ({"judge": ""}, "judge is ''"),
        ({"data": None}, "data is None; expected text"),
        ({"data": 5}, "data is 5; expected text"),
        ({"source": 5}, "source is 5; expected text"),
        ({"source": "FOLDER"}, "a folder; expected a study file"),
        ({"digest": []}, "digest is []; expected text"),
        ({"threads": "many"}, "threads is 'many'; expected 1 or more"),
        ({"threads": True}, "threads is True; expected 1 or more"),
        ({"threads": 0}, "threads is 0; expected 1 or more"),
        ({"device": "toaster"}, "device is 'toaster'; expected cpu, cuda or mps"),
        ({"device": ""}, "device is ''; expected cpu"),
        ({"format": "new"}, "not as dojang wrote it"),
    ],
)
def test_settings_that_are_not_as_dojang_wrote_them(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    plan = Plan(data="digits", grid={"lr": (0.1, 0.2)})
    files.write_text(tmp_path / "study.yaml", recipe.dump_yaml(plan.as_dict()))
    settings = {"format": 1, "data": "digits", "judge": "val", "threads": 1, "device": "cpu"}
    files.write_json(tmp_path / "state.json", settings)
    assert study.load(tmp_path)[1].judge == "val"
    changed = {name: str(tmp_path) if value == "FOLDER" else value for name, value in changed.items()}
    files.write_json(tmp_path / "state.json", settings | changed)
    for ask in (study.table, study.resume):
        with pytest.raises(ConfigError) as caught:
            ask(tmp_path)
        assert caught.value.code == "C223" and said in caught.value.what, ask
    (tmp_path / "state.json").unlink()
    (tmp_path / "state.json").mkdir()
    with pytest.raises(ConfigError, match="C223"):
        study.load(tmp_path)
