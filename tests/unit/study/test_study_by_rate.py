"""Drawings by learning rate: cells in series, runs that break off, the finder beside what the grid found."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dojang import files
from dojang.errors import ConfigError, TrainError
from dojang.runs import lr_find
from dojang.runs.recipe import read_layer
from dojang.study import drawings, engines, finder, named, study
from dojang.study.by_rate import series
from dojang.study.drawings import Scene
from dojang.study.finder import Finder
from dojang.study.plan import Plan, layer, read
from dojang.study.rates import Rates
from dojang.study.results import Row
from dojang.study.study import Settings
from dojang.study.work import Job, Outcome, carry_out
from dojang.train.guard import Stopped

TINY: dict[str, Any] = {
    "model": "mnist-cnn",
    "conv_dims": (3, 4),
    "hidden_dims": (6,),
    "conv_dropout": 0.0,
    "epochs": 1,
    "batch_size": 5,
    "val": 60,
    "train_sample": 0,
    "familiar": False,
    "precision": "fp32",
    "schedule": "constant",
}
VARIANTS: dict[str, Any] = {"sgd": {"optimizer": "sgd", "momentum": 0.0}, "운동량": {"optimizer": "sgd"}}
BAD = {"shortcut": "none"}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in this process, where one of their own would only take time."""

    def run(jobs: Sequence[Job], *, stopped: Callable[[], bool], **options: Any) -> Iterator[tuple[int, Outcome]]:
        for number, job in enumerate(jobs):
            yield number, Outcome("stopped") if stopped() else carry_out(job)

    monkeypatch.setattr(engines, "run", run)


def scene_of(plan: Plan, rows: Sequence[Row] = (), place: Path = Path("nowhere")) -> Scene:
    settings = Settings("digits", "val", 1, "cpu")
    return Scene(place, plan, settings, plan.cells(), {row.key: row for row in rows})


def done(cell: int, seed: int, score: float) -> Row:
    return Row(cell, "", seed, "done", 3, 1.0, "", {"val/top1": score})


def test_cells_that_differ_in_their_rate_alone_are_a_series() -> None:
    plan = Plan(data="digits", variants=VARIANTS, grid={"lr": (0.1, 0.01), "batch_size": (5, 10)}, seeds=(0, 1))
    rows = [done(cell.number, seed, cell.number / 10 + seed / 100) for cell in plan.cells() for seed in (0, 1)]
    rows[0] = Row(1, "", 0, "failed", error="T301: ...")
    found = series(scene_of(plan, rows))
    assert [one.name for one in found] == [f"{name}, batch_size {n}" for name in VARIANTS for n in (5, 10)]
    assert found[0].changes == {"optimizer": "sgd", "momentum": 0.0, "batch_size": 5}
    assert [rate for rate, _ in found[0].points] == [0.01, 0.1]
    by_cell = {(line.cell.variant, line.cell.changes["batch_size"], rate): line.cell.number
               for one in found for rate, line in one.points}  # fmt: skip
    assert by_cell["sgd", 5, 0.1] == 1 and by_cell["sgd", 5, 0.01] == 3 and len(by_cell) == 8
    assert found[0].broken == [0.1] and found[1].broken == []
    best = found[0].best(higher=True)
    assert best is not None and best[0] == 0.01 and best[1].mean == pytest.approx(0.305)
    worst = found[1].best(higher=False)
    assert worst is not None and worst[0] == 0.1
    # a rate at which a run broke off is not the best for what the others scored, but where there is no other
    lucky = dict(scene_of(plan, [*rows, done(1, 1, 0.99)]).rows)
    assert (series(dataclasses.replace(scene_of(plan), rows=lucky))[0].best(higher=True) or (0,))[0] == 0.01
    lucky[3, 0] = Row(3, "", 0, "failed")
    assert (series(dataclasses.replace(scene_of(plan), rows=lucky))[0].best(higher=True) or (0,))[0] == 0.1


def test_rates_may_stand_in_variants() -> None:
    plan = Plan(data="digits", variants={"slow": {"lr": 0.001}, "fast": {"lr": 0.1}, "wide": {"batch_size": 9}})
    found = series(scene_of(plan))
    assert [(one.name, [rate for rate, _ in one.points]) for one in found] == [
        ("as it is", [0.001, 0.1]),
        ("wide", []),
    ]
    assert found[0].best(higher=True) is None


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("draw: {rates: {}}", "C280", "rates is drawn by learning rate, and the study has no two rates"),
        ("data: digits\ngrid: {lr: [0.1]}\ndraw: {rates: {}}", "C280", "no two rates in its grid or variants"),
        ("search: {space: {lr: [0.1, 0.2]}}\ndraw: {rates: {}}", "C280", "no two rates in its grid or variants"),
        ("grid: {lr: [0.1, 0.2]}\ndraw: {rates: {smooth: 0}}", "C202", "smooth cannot be 0"),
        ("draw: {finder: {}}", "C280", "finder tests the networks of a study, and this one has none."),
        ("search: {space: {lr: [0.1, 0.2]}}\ndraw: {finder: {}}", "C280", "not of a search."),
        ("grid: {lr: [0.1, 0.2]}\ndraw: {finder: {min_lr: 1, max_lr: 2}}", "C202", "cannot rise from 1 to 2"),
        ("grid: {lr: [0.1, 0.2]}\ndraw: {finder: {steps: 5}}", "C202", "steps cannot be 5"),
        ("grid: {lr: [0.1, 0.2]}\ndraw: {finder: {max_rate: 5}}", "C280", "Did you mean 'max_lr'?"),
    ],
)
def test_what_they_cannot_be_drawn_of(text: str, code: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text, "x.yaml")
    assert caught.value.code == code and said in str(caught.value)


def test_a_study_of_rates(stripes: Path, tmp_path: Path, here: None) -> None:
    plan = Plan(
        data=str(stripes), recipe=TINY, variants=VARIANTS, grid={"lr": (0.001, 0.1, 1e30)}, seeds=(0,),
        draw={"rates": Rates(2), "finder": Finder(1e-4, 10.0, 40)},
    )  # fmt: skip
    # two at once have a thread each
    folder = study.begin(plan, project=tmp_path, jobs=2)
    kept = drawings.kept(folder)
    assert max(map(len, [*kept["rates"]["said"], *kept["finder"]["said"]])) <= 80
    table = {(row["variant"], float(row["lr"])): row for row in _rows(folder / "table.csv")}
    assert {key[1] for key, row in table.items() if row["failed"] == "1"} == {1e30}
    # of rates that score alike the lowest is named
    for name, line in zip(VARIANTS, kept["rates"]["said"][1:], strict=True):
        best = max((float(row["mean"]), -key[1]) for key, row in table.items() if key[0] == name and row["mean"])
        assert line.split()[-3:] == [f"{-best[1]:g}", f"{best[0]:.4f}", "1e+30"] and line.startswith(name)
    # the first one that broke off made a step or two, and none of them is no number
    scene = Scene(folder, plan, study.load(folder)[1], plan.cells(),
                  {row.key: row for row in study.results.rows(folder)})  # fmt: skip
    curves = Rates(2).curves(scene, series(scene))[0]
    assert [curve.broken for curve in curves] == [False, False, True]
    assert len(curves[2].steps) < 6 == len(curves[0].steps) and np.isfinite(curves[2].losses).all()
    losses = [float(row["loss"]) for row in _rows(folder / "cell-01" / "seed-0" / "steps.csv")]
    assert curves[0].losses[:2] == pytest.approx([losses[0], (0.25 * losses[0] + 0.5 * losses[1]) / 0.75])
    # the finder is that of the verb, on the study's own division of the pictures
    rows = _rows(folder / "lr_find.csv")
    given = layer({**TINY, **VARIANTS["운동량"], "val": None, "splits": str(folder / "splits.csv"), "threads": 2})
    settings = study.load(folder)[1]
    given |= {"threads": settings.threads, "device": "cpu", "seed": 0}
    alone = lr_find.find(str(stripes), [read_layer(given, "test")], min_lr=1e-4, max_lr=10.0, steps=40)
    own = [row for row in rows if row["name"] == "운동량"]
    assert [float(row["loss"]) for row in own] == alone.curve.losses.tolist()
    assert [float(row["lr"]) for row in own] == alone.curve.rates.tolist()
    told = next(line for line in kept["finder"]["said"] if line.startswith("운동량")).split()
    assert told[1:4] == ["-" if one.rate is None else lr_find.short(one.rate) for one in alone.suggestions]
    # made again it is the same
    before = {name: (folder / name).read_bytes() for name in ("rates.png", "lr_find.png", "lr_find.csv")}
    study.resume(folder)
    assert before == {name: (folder / name).read_bytes() for name in before}


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"), newline="")))


def test_a_cross_stands_where_the_run_that_is_drawn_broke_off(tmp_path: Path) -> None:
    plan = Plan(data="digits", grid={"lr": (0.1, 1.0, 10.0)}, seeds=(0, 1), draw={"rates": Rates()})
    rows = [done(1, 0, 0.9), done(1, 1, 0.9), done(2, 0, 0.5), Row(2, "", 1, "failed", error="T301")]
    rows += [Row(3, "", 0, "failed", error="T301"), done(3, 1, 0.1)]
    scene = scene_of(plan, rows, tmp_path)
    for cell in (1, 2):
        files.write_text(tmp_path / f"cell-0{cell}" / "seed-0" / "steps.csv", "step,loss\n1,2.3\n2,0\n")
    # the third never made a step, so it has no table; a loss of 0 has a place on no logarithmic axis
    assert [curve.broken for curve in Rates().curves(scene, series(scene))[0]] == [False, False, True]
    made = Rates().draw(scene)
    assert made.said[1].split()[-5:] == ["is", "0.1", "0.9000", "1,", "10"]
    assert bytes(made.files["rates.png"]).startswith(b"\x89PNG")  # type: ignore[arg-type]
    lost = [Row(cell, "", seed, "failed", error="T301") for cell in (1, 2, 3) for seed in (0, 1)]
    made = Rates().draw(scene_of(plan, lost, tmp_path / "empty"))
    assert made.said[1].split()[-5:] == ["-", "-", "0.1,", "1,", "10"]


def test_many_series_are_not_all_drawn() -> None:
    plan = Plan(data="digits", grid={"lr": (0.1, 1.0), "batch_size": tuple(range(1, 9))}, seeds=(0,))
    made = Rates().draw(scene_of(plan, [done(cell.number, 0, 0.5) for cell in plan.cells()]))
    assert len(made.said) == 10 and made.said[-1] == "the picture has the first 6 of them"


def test_a_network_that_cannot_be_tested_is_told(stripes: Path, tmp_path: Path, here: None) -> None:
    variants = {"good": {}, "bad": BAD}
    plan = Plan(data=str(stripes), recipe=TINY, variants=variants, seeds=(0,), draw={"finder": Finder(steps=25)})
    folder = study.begin(plan, project=tmp_path, jobs=2)
    kept = drawings.kept(folder)["finder"]
    assert kept["files"] == ["lr_find.png", "lr_find.csv"]
    assert kept["said"][1].startswith("good") and kept["said"][-1].startswith("bad") and "C2" in kept["said"][-1]
    assert max(map(len, kept["said"])) <= 80
    # without rates in the grid there is no best one
    assert kept["said"][1].endswith(" -")
    none = Plan(data=str(stripes), recipe=TINY | BAD, seeds=(0,), draw={"finder": Finder(steps=25)})
    with pytest.raises(TrainError, match="C284"):
        study.begin(none, project=tmp_path, name="none", jobs=2)
    assert drawings.kept(tmp_path / "none")["finder"]["files"] == ["lr_find.csv"]


def test_stopped_within_a_range_test(
    stripes: Path, tmp_path: Path, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(data: str, layers: list[dict[str, Any]], *, stop: Any, **options: Any) -> Any:
        # the pictures as they were divided for the runs
        assert layers[0]["splits"] == str(tmp_path / "study" / "splits.csv") and layers[0]["val"] is None
        assert data == str(stripes) and options["steps"] == 25 and stop is not None
        raise Stopped(2)

    monkeypatch.setattr(finder.lr_find, "find", asked)
    plan = Plan(data=str(stripes), recipe=TINY, seeds=(0,), draw={"finder": Finder(steps=25)})
    with pytest.raises(TrainError, match=r"T320.*stopped by Ctrl-C; what was done is kept") as caught:
        study.begin(plan, project=tmp_path, jobs=2)
    assert caught.value.exit_code == 130 and (tmp_path / "study" / "table.md").exists()


def test_the_ready_made_study() -> None:
    plan = named.plan("learning-rate")
    assert list(plan.draw) == ["rates", "paths", "finder"] and plan.data == "mnist" and plan.trains
    assert plan.draw["finder"].cost(plan) == "3 range tests of 200 steps at most"
    found = series(scene_of(plan))
    rates = [rate for rate, _ in found[0].points]
    assert [one.name for one in found] == list(plan.variants) and len(rates) >= 7
    assert all(2.5 < b / a < 4 for a, b in pairwise(rates))


def steps_of(place: Path, plan: Plan, text: str) -> None:
    for cell in plan.cells():
        files.write_text(place / cell.folder / "seed-0" / "steps.csv", "step,epoch,progress,lr,loss\n" + text)


@pytest.mark.parametrize("text", ["", "1,0,0,0.1,nan\n"])
def test_rates_without_a_loss_or_a_score_draw_nothing(tmp_path: Path, text: str) -> None:
    plan = Plan(data="digits", grid={"lr": (0.01, 0.1)}, seeds=(0,))
    steps_of(tmp_path, plan, text)
    failed = [Row(cell.number, "", 0, "failed", error="T301: ...") for cell in plan.cells()]
    made = Rates().draw(scene_of(plan, failed, tmp_path))
    assert made.files == {} and made.said[-1] == "nothing to draw: no run has a loss or a score"
    assert made.said[1].endswith("0.01, 0.1")


@pytest.mark.parametrize("text", ["1,0,0,0.1,2.3\n", "1,0,0,0.1,0.0\n", "1,0,0,0.1,2.3\n2,0,0,0.1,inf\n"])
def test_rates_of_one_step_and_of_losses_that_no_axis_has(tmp_path: Path, text: str) -> None:
    plan = Plan(data="digits", grid={"lr": (0.01, 0.1)}, seeds=(0,))
    steps_of(tmp_path, plan, text)
    rows = [done(1, 0, 0.5), Row(2, "", 0, "failed", error="T301: ...")]
    made = Rates().draw(scene_of(plan, rows, tmp_path))
    assert made.files["rates.png"][:4] == b"\x89PNG"


def test_steps_that_are_not_as_dojang_wrote_them(tmp_path: Path) -> None:
    plan = Plan(data="digits", grid={"lr": (0.01, 0.1)}, seeds=(0,))
    for text in ("1,0,0,0.1,x\n", "1,0\n"):
        steps_of(tmp_path, plan, text)
        with pytest.raises(ConfigError, match=r"C223.*steps.csv' is not as dojang wrote it"):
            Rates().draw(scene_of(plan, [done(1, 0, 0.5), done(2, 0, 0.5)], tmp_path))
