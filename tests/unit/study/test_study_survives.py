"""What a study must not lose, count twice or make better than it is: searches, stopped runs, changed plans."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dojang.cli.main import main
from dojang.errors import ConfigError, TrainError
from dojang.metrics.intervals import student
from dojang.study import engines, prune, results, study
from dojang.study.plan import Plan, read
from dojang.study.results import Row, half, lines
from dojang.study.work import Job, Outcome, carry_out

SEARCH = "search: {method: tpe, trials: 10, space: {lr: {low: 1e-4, high: 0.3, log: true}}}"


def quick(job: Job) -> Outcome:
    """A run without training: what it leaves, with a score that its options decide."""
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    score = 1 - abs(float(job.options["lr"]) - 0.01) - 0.001 * job.options["seed"]
    metrics = {"format": 1, "val": {"top1": {"value": score}}, "training": {"steps": 3, "seconds": 0.5}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return Outcome("done")


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs that cost nothing; the folders of those that were begun."""
    found: list[str] = []

    def run(jobs: Sequence[Job], *, stopped: Callable[[], bool], **options: Any) -> Iterator[tuple[int, Outcome]]:
        for number, job in enumerate(jobs):
            found.append(Path(job.folder).relative_to(Path(job.folder).parents[1]).as_posix())
            yield number, quick(job)

    monkeypatch.setattr(engines, "run", run)
    return found


def table(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "table.csv").read_text("utf-8"), newline="")))


def searching(data: Path, seeds: int = 2) -> Plan:
    return read(f"data: {data}\nrecipe: {{model: mlp, val: 60}}\n{SEARCH}\nseeds: {seeds}\n", "a search")


def test_a_search_that_learns_is_whole_after_every_kill(stripes: Path, tmp_path: Path, begun: list[str]) -> None:
    pytest.importorskip("optuna")
    whole = study.begin(searching(stripes), project=tmp_path, name="whole", jobs=1)
    assert len(begun) == 20 and len(table(whole)) == 10
    assert sorted(one.cell.number for one in study.table(whole)[2]) == list(range(1, 11))
    made = (whole / "table.csv").read_bytes()
    # killed in the second batch, and in the third: what was done is neither done again nor lost
    for left in (5, 9):
        for cell in range(left + 1, 11):
            for file in sorted((whole / f"cell-{cell:02}").rglob("*"), reverse=True):
                file.rmdir() if file.is_dir() else file.unlink()
        (whole / "table.csv").unlink()
        count = len(begun)
        study.resume(whole)
        assert len(begun) - count == 2 * (10 - left) and (whole / "table.csv").read_bytes() == made
    count = len(begun)
    study.resume(whole)
    assert len(begun) == count and (whole / "table.csv").read_bytes() == made


def test_runs_are_not_counted_under_other_values(stripes: Path, tmp_path: Path, begun: list[str]) -> None:
    plan = Plan(data=str(stripes), recipe={"model": "mlp", "val": 60}, grid={"lr": (0.01, 0.1)}, seeds=(0, 1))
    folder = study.begin(plan, project=tmp_path, jobs=1)
    written = (folder / "study.yaml").read_text()
    (folder / "study.yaml").write_text(written.replace("0.01", "0.2"))
    with pytest.raises(ConfigError, match=r"C282.*cell-01' was begun with lr 0\.01; the plan has 0\.2 for it now"):
        study.resume(folder)
    with pytest.raises(ConfigError, match="C282"):
        study.table(folder)
    # what all runs share counts, too
    (folder / "study.yaml").write_text(written.replace("model: mlp", "model: mlp, epochs: 3"))
    with pytest.raises(ConfigError, match=r"C282.*begun with epochs None; the plan has 3"):
        study.resume(folder)
    (folder / "study.yaml").write_text(written)
    study.resume(folder)
    (folder / "cell-01" / "cell.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"C223.*cell\.json"):
        study.resume(folder)


def rows(**of: dict[int, float | str]) -> tuple[Plan, dict[tuple[int, int], Row]]:
    """A plan and its runs: of each cell a score, or a status, by seed."""
    variants: dict[str, Any] = {name: {"lr": 0.1 + i} for i, name in enumerate(of)}
    seeds = tuple(sorted({seed for one in of.values() for seed in one}))
    found = {}
    for number, (name, values) in enumerate(of.items(), 1):
        for seed, value in values.items():
            scores = {} if isinstance(value, str) else {"val/top1": value}
            status = value if isinstance(value, str) else "done"
            found[number, seed] = Row(number, name, seed, status, scores=scores)
    return Plan(data="x", variants=variants, seeds=seeds), found


def told(plan: Plan, found: dict[tuple[int, int], Row]) -> dict[str, results.Line]:
    return {one.cell.variant: one for one in lines(plan, "val", plan.cells(), found)}


def test_what_was_let_through_is_not_a_mean_where_others_were_stopped() -> None:
    good = {0: 0.8, 1: 0.81, 2: 0.79}
    made = told(*rows(good=good, lucky={0: 0.95, 1: "pruned", 2: "pruned"}))
    assert made["good"].best and not made["lucky"].values and not made["lucky"].others
    assert results.count(made["lucky"]) == "0 (2 pruned)" and made["lucky"].told == ""
    plan, found = rows(good=good, lucky={0: 0.95, 1: "pruned", 2: "pruned"})
    said = results.closing(plan, "val", lines(plan, "val", plan.cells(), found))
    assert "neither are the others of their combinations" in said


def test_one_seed_that_is_lost_takes_no_comparison_away() -> None:
    best = {0: 0.90, 1: 0.91, 2: 0.92, 3: 0.90, 4: 0.91}
    made = told(*rows(best=best, one={0: 0.80, 1: "failed", 2: 0.81, 3: 0.82, 4: 0.79}, luck={0: 0.99, 1: "failed"}))
    assert made["best"].best and made["one"].told == "worse" and made["one"].against is not None
    assert made["one"].against.difference == pytest.approx((-0.10 - 0.11 - 0.08 - 0.12) / 4)
    # one run says nothing, however good
    assert made["luck"].told == "" and made["luck"].against is not None
    # where all have lost one, those with the most can be best, and are still held against each other
    made = told(*rows(a={0: 0.9, 1: 0.91, 2: 0.92, 3: "failed"}, b={0: "failed", 1: 0.8, 2: 0.81, 3: 0.8}, c={0: 0.99}))
    assert made["a"].best and made["b"].against is not None
    assert made["b"].against.difference == pytest.approx(-0.11) and not made["c"].best


def test_half_of_an_interval_is_student_s_also_where_it_ends_at_a_bound() -> None:
    made = told(*rows(near={0: 0.99, 1: 0.995, 2: 0.90}))["near"]
    assert made.over is not None and made.over.high == 1.0
    assert half(made) == pytest.approx(student(0.95, 2) * made.over.sd / 3**0.5)
    assert half(made) > (made.over.high - made.over.low) / 2  # type: ignore[operator]
    assert half(told(*rows(one={0: 0.5}))["one"]) is None


def test_a_failed_run_that_is_finished_on_the_disk_is_finished(
    stripes: Path, tmp_path: Path, begun: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(data=str(stripes), recipe={"model": "mlp", "val": 60}, grid={"lr": (0.01, 0.1)}, seeds=(0, 1))
    folder = study.begin(plan, project=tmp_path, jobs=1)
    made = (folder / "table.csv").read_bytes()
    text = (folder / "runs.csv").read_text()
    (folder / "runs.csv").write_text(text.replace("lr 0.1,1,done", "lr 0.1,1,failed"))
    study.resume(folder)
    assert (folder / "table.csv").read_bytes() == made


def test_a_study_of_which_no_run_was_finished_is_a_failure(
    stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(jobs: Sequence[Job], **options: Any) -> Iterator[tuple[int, Outcome]]:
        yield from ((number, Outcome("failed", "D118: not here")) for number in range(len(jobs)))

    monkeypatch.setattr(engines, "run", run)
    monkeypatch.chdir(tmp_path)
    assert main(["study", str(stripes), "--model", "mlp", "--val", "60", "--grid", "lr=0.1,0.2", "--seeds", "2"]) == 1
    said = capsys.readouterr().err
    assert "C284" in said and "no run of the study was finished; of lr 0.1, seed 0, is said: D118: not here" in said
    assert "dojang study --resume runs/study/study --retry" in said
    assert len(table(tmp_path / "runs/study/study")) == 2


def test_places_in_a_recipe_hold_wherever_it_goes_on(
    stripes: Path, tmp_path: Path, begun: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net.py").write_text("")
    (tmp_path / "mlp").mkdir()
    (tmp_path / "auto").mkdir()
    monkeypatch.chdir(tmp_path)
    recipe = {"val": 60, "data_root": "mlp", "lr": 0.01}
    variants = {"a": {"model": "net.py:CNN"}, "b": {"model": "mlp", "pretrained": "auto"}}
    monkeypatch.setattr(Plan, "_check", lambda self: None)
    folder = study.begin(Plan(data=str(stripes), recipe=recipe, variants=variants, seeds=(0,)), project="runs", jobs=1)
    found = study.load(folder)[0]
    assert found.recipe["data_root"] == str(tmp_path / "mlp")
    assert found.variants == {"a": {"model": f"{tmp_path / 'net.py'}:CNN"}, "b": {"model": "mlp", "pretrained": "auto"}}


def test_a_signal_while_pictures_are_made_stops(
    stripes: Path, tmp_path: Path, begun: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study.pictures, "write", lambda *args: os.kill(os.getpid(), signal.SIGTERM))
    plan = Plan(data=str(stripes), recipe={"model": "mlp", "val": 60}, grid={"lr": (0.01, 0.1)}, inside=True)
    with pytest.raises(TrainError, match=r"T320.*signal 15") as caught:
        study.begin(plan, project=tmp_path, jobs=1, engine="ray")
    assert caught.value.fix.endswith(f"--resume {tmp_path / 'study'} --engine ray")


def run_of(folder: Path, total: int, scores: dict[int, float]) -> Path:
    """A run that is as far as its last validation."""
    folder.mkdir(parents=True)
    last = max(scores)
    (folder / "results.csv").write_text(
        "step,val/top1,val/loss\n" + "".join(f"{k},{v},{1 - v}\n" for k, v in scores.items())
    )
    (folder / "steps.csv").write_text(f"step,epoch,progress,lr,loss\n{last},0,{last / total:.6g},0.1,1\n")
    return folder


def test_hopeless_is_what_lies_below_the_median_of_four_that_came_as_far(tmp_path: Path) -> None:
    others = (0.5, 0.6, 0.7, 0.8)
    for i, value in enumerate(others):
        run_of(tmp_path / f"cell-{i:02}" / "seed-0", 30, {10: value, 20: value + 0.1, 30: 0.99})
    mine = run_of(tmp_path / "cell-09" / "seed-0", 30, {10: 0.1})

    def at(step: int, value: float, score: str = "top1") -> bool:
        return prune.hopeless(mine, {"step": step, "val/top1": value, "val/loss": 1 - value}, 30, score)

    assert at(10, 0.64) and not at(10, 0.66)
    assert at(10, 0.64, "log_loss") and not at(10, 0.66, "log_loss")
    # at two thirds the others had more; what it had at its best counts
    assert at(20, 0.70) and not at(20, 0.80)
    # not before a third, and not at the end
    assert not at(9, 0.0) and not at(30, 0.0)
    # three others are too few
    (tmp_path / "cell-00" / "seed-0" / "results.csv").unlink()
    assert not at(10, 0.0)


def test_shares_that_are_no_round_numbers_count_the_row_they_were_made_of(tmp_path: Path) -> None:
    steps = [(k, n) for n in range(10, 200, 7) for k in range(-(-n // 3), n) if (k / n) * n < k]
    assert steps, "the fault is there to be met"
    for number, (step, total) in enumerate(steps[:5]):
        place = tmp_path / str(number)
        for i in range(4):
            run_of(place / f"cell-{i:02}" / "seed-0", total, {step: 0.5})
        mine = run_of(place / "cell-09" / "seed-0", total, {step: 0.1})
        assert prune.hopeless(mine, {"step": step, "val/top1": 0.1, "val/loss": 1}, total, "top1")


def test_what_a_study_prunes_it_prunes_to_its_end(
    stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    plan = Plan(data=str(stripes), recipe={"model": "mlp", "val": 60}, grid={"lr": (0.01, 0.1)}, seeds=(0,))
    monkeypatch.setattr(engines, "run", _interrupted)
    with pytest.raises(TrainError, match="T320"):
        study.begin(plan, project=tmp_path, jobs=1, prune=True)
    monkeypatch.setattr(engines, "run", lambda jobs, **options: _noting(jobs, asked))
    study.resume(tmp_path / "study")
    assert asked == [True, True]


def _interrupted(jobs: Sequence[Job], **options: Any) -> Iterator[tuple[int, Outcome]]:
    os.kill(os.getpid(), signal.SIGTERM)
    yield from ((number, Outcome("stopped")) for number in range(len(jobs)))


def _noting(jobs: Sequence[Job], asked: list[bool]) -> Iterator[tuple[int, Outcome]]:
    for number, job in enumerate(jobs):
        asked.append(job.prune)
        yield number, quick(job)


def test_a_hopeless_run_is_stopped_and_is_in_no_figure(stripes: Path, tmp_path: Path) -> None:
    """Through a real run: four others stand at better scores, and it is stopped behind its first third."""
    for i in range(4):
        run_of(tmp_path / f"cell-{i:02}" / "seed-0", 6, {1: 1.0, 2: 1.0, 4: 1.0})
    folder = tmp_path / "cell-09" / "seed-0"
    options = {"model": "mlp", "epochs": 6, "val": 60, "batch_size": 30, "lr": 1e-7, "train_sample": 0, "threads": 1}
    job = Job(str(folder), str(stripes), options | {"familiar": False}, prune=True)
    found = carry_out(job)
    assert found.status == "pruned" and found.seconds > 0
    steps = len((folder / "results.csv").read_text().splitlines()) - 1
    assert steps < 6 and not (folder / "metrics.json").exists()
