"""What a study found: its runs in a table, its cells in another, best first, and what cannot be told from the best."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dojang import files
from dojang.data.manifest import csv_line
from dojang.errors import ConfigError
from dojang.metrics.against import Against, all_against
from dojang.metrics.intervals import student
from dojang.metrics.repeats import Repeats, repeats
from dojang.runs import folder as run_folder
from dojang.runs import validate
from dojang.study.dimensions import has_squares
from dojang.study.plan import SCORES, Cell, Plan, higher, shown
from dojang.study.work import Outcome

RUNS, TABLE, PAGE = "runs.csv", "table.csv", "table.md"
#: pictures: of the table, and of what is inside the networks
HEATMAP, DOTS, PARALLEL, INSIDE = "heatmap.png", "dots.png", "parallel.png", "inside.png"
#: what each shows
SHOWS = {
    HEATMAP: "The score of every combination as a square",
    DOTS: "The scores with their intervals, over what was changed",
    PARALLEL: "A line for each combination, across an axis for each thing that was changed, to its score",
    INSIDE: "What happens inside the networks of the first seed, layer by layer",
}
SPLITS = ("val", "test")
_BOUNDS = {"log_loss": (0.0, math.inf), "brier": (0.0, 2.0)}
_RUN = ("cell", "name", "seed", "status", "steps", "seconds", "error")


@dataclass(frozen=True)
class Row:
    """A run that has come to its end.

    Args:
        status: "done", "failed" or "pruned".
        scores: By "split/score".
    """

    cell: int
    name: str
    seed: int
    status: str
    steps: int = 0
    seconds: float = 0.0
    error: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> tuple[int, int]:
        """Cell and seed."""
        return self.cell, self.seed

    def score(self, split: str, name: str) -> float | None:
        """A score; None where it has none."""
        return self.scores.get(f"{split}/{name}")


@dataclass(frozen=True)
class Line:
    """A cell in the table.

    Args:
        values: Its score by seed, of the runs that were finished.
        over: Mean, deviation and interval over them; None for fewer than two.
        failed, pruned: How many runs.
        against: It beside the best one, over the seeds that both have; None for the best, and where they share none.
        best: Whether it has the best mean.
        others: Means of the other scores, by "split/score".
        seconds: That a run took in the mean.
    """

    cell: Cell
    values: Mapping[int, float]
    over: Repeats | None
    failed: int
    pruned: int
    against: Against | None
    best: bool
    others: Mapping[str, float]
    seconds: float

    @property
    def mean(self) -> float:
        """Over the seeds; nan for none."""
        return sum(self.values.values()) / len(self.values) if self.values else math.nan

    @property
    def told(self) -> str:
        """Whether it is worse than the best: "best", "not told apart", "worse", or "" where nothing can be said."""
        if self.best:
            return "best"
        if self.against is None or math.isnan(self.against.corrected):
            return ""
        return "worse" if self.against.told_apart else "not told apart"


def row(place: Path, plan: Plan, cell: Cell, seed: int, outcome: Outcome) -> Row:
    """What there is to say of a run, from its folder."""
    if outcome.status != "done":
        return Row(cell.number, cell.name, seed, outcome.status, error=outcome.error)
    metrics = validate.metrics_of(place / cell.folder / run_folder.SEED.format(seed))
    scores = {
        f"{split}/{name}": float(value)
        for split in SPLITS
        for name in SCORES
        if (value := metrics.get(split, {}).get(name, {}).get("value")) is not None
    }
    training = metrics["training"]
    return Row(cell.number, cell.name, seed, "done", training["steps"], training["seconds"], "", scores)


def rows(place: Path) -> list[Row]:
    """The runs that runs.csv tells of. Raises C223 where it is not as dojang wrote it."""
    if not (place / RUNS).exists():
        return []
    found = []
    try:
        for line in csv.DictReader(io.StringIO(files.read_text(place / RUNS), newline="")):
            scores = {name: float(value) for name, value in line.items() if "/" in name and value}
            numbers = int(line["cell"]), line["name"], int(line["seed"]), line["status"]
            found.append(Row(*numbers, int(line["steps"]), float(line["seconds"]), line["error"], scores))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            "C223",
            f"{str(place / RUNS)!r} is not as dojang wrote it ({type(error).__name__}: {error}).",
            fix="move it away; --resume makes it again from the runs.",
        ) from None
    return found


def write_rows(place: Path, plan: Plan, found: Sequence[Row]) -> None:
    """runs.csv, in the order of cells and seeds."""
    columns = [f"{split}/{name}" for split in SPLITS for name in SCORES]
    columns = [name for name in columns if any(name in one.scores for one in found)]
    lines = [csv_line((*_RUN, *columns))]
    for one in sorted(found, key=lambda one: (one.cell, plan.seeds.index(one.seed))):
        values = [one.cell, one.name, one.seed, one.status, one.steps, f"{one.seconds:.3f}", one.error]
        lines.append(csv_line(map(str, [*values, *(_exact(one.scores.get(name)) for name in columns)])))
    files.write_text(place / RUNS, "".join(lines))


def lines(plan: Plan, judge: str, cells: Sequence[Cell], found: Mapping[tuple[int, int], Row]) -> list[Line]:
    """The table, best first; cells without a finished run come last."""
    made: list[tuple[Cell, dict[int, float], list[Row]]] = []
    for cell in cells:
        own = [found[cell.number, seed] for seed in plan.seeds if (cell.number, seed) in found]
        scored = ((one.seed, one.score(judge, plan.score)) for one in own if one.status == "done")
        values = {seed: score for seed, score in scored if score is not None and math.isfinite(score)}
        # where hopeless runs were stopped, those that were let through are the lucky ones
        made.append((cell, {} if any(one.status == "pruned" for one in own) else values, own))
    best, beside = -1, dict[int, Against | None]()
    # luck is worth more in few runs: only cells with all their seeds can be best, or with the most that any cell has
    most = max((len(values) for _, values, _ in made), default=0)
    if most:
        sign = 1 if higher(plan.score) else -1
        ranked = [i for i, (_, values, _) in enumerate(made) if len(values) == most]
        best = max(ranked, key=lambda i: sign * sum(made[i][1].values()) / most)
        beside = dict(enumerate(all_against([values for _, values, _ in made], best)))
    found_lines = []
    for i, (cell, values, own) in enumerate(made):
        done = [one for one in own if one.status == "done"]
        whole = done if not any(one.status == "pruned" for one in own) else []
        names = dict.fromkeys(name for one in whole for name in one.scores)
        found_lines.append(
            Line(
                cell,
                values,
                repeats(list(values.values()), bounds=_BOUNDS.get(plan.score, (0.0, 1.0))) if len(values) > 1 else None,
                sum(one.status == "failed" for one in own),
                sum(one.status == "pruned" for one in own),
                beside.get(i),
                i == best,
                {
                    name: sum(one.scores[name] for one in done) / len(done)
                    for name in names
                    if all(name in one.scores for one in done)
                },
                sum(one.seconds for one in done) / len(done) if done else math.nan,
            )
        )
    sign = -1 if higher(plan.score) else 1
    return sorted(
        found_lines,
        key=lambda one: (not one.best, math.isnan(one.mean), sign * one.mean if one.values else 0, one.cell.number),
    )


def write(
    place: Path, plan: Plan, judge: str, cells: Sequence[Cell], found: Mapping[tuple[int, int], Row]
) -> list[Line]:
    """table.csv and table.md; the same for the same scores, whoever carried out the runs and however long they took."""
    made = lines(plan, judge, cells, found)
    write_rows(place, plan, list(found.values()))
    files.write_text(place / TABLE, _csv(plan, judge, made))
    files.write_text(place / PAGE, _markdown(plan, judge, made))
    return made


def pictures(plan: Plan, lines: Sequence[Line]) -> list[str]:
    """The names of the pictures that a finished study has beside its table."""
    names = [HEATMAP if has_squares(plan) else DOTS, PARALLEL]
    inside = plan.inside and any(plan.seeds[0] in one.values for one in lines)
    return [*names, INSIDE] if inside else names


def _csv(plan: Plan, judge: str, made: Sequence[Line]) -> str:
    names = list(dict.fromkeys(name for one in made for name in one.others))
    head = ["cell", *(["variant"] if plan.variants else []), *plan.fields, "n", "failed", "pruned"]
    head += ["mean", "sd", "low", "high", "difference", "difference_low", "difference_high", "p", "told", *names]
    text = csv_line(head)
    for one in made:
        fields = [shown(one.cell.fields[name]) for name in plan.fields]
        over, beside = one.over, one.against
        numbers = [one.mean, *((over.sd, over.low, over.high) if over else (math.nan,) * 3)]
        numbers += [beside.difference, beside.low, beside.high, beside.corrected] if beside else [math.nan] * 4
        first = [str(one.cell.number), *([one.cell.variant] if plan.variants else []), *fields]
        counts = [str(len(one.values)), str(one.failed), str(one.pruned)]
        rest = [_exact(one.others.get(name)) for name in names]
        text += csv_line([*first, *counts, *(_exact(value) for value in numbers), one.told, *rest])
    return text


def _markdown(plan: Plan, judge: str, made: Sequence[Line]) -> str:
    head = [
        *(["variant"] if plan.variants else []),
        *plan.fields,
        "n",
        f"{judge} {plan.score}",
        "95 %",
        "beside the best",
    ]
    said = [
        f"# {_cell(plan.title or 'Study')}",
        plan.about,
        "| " + " | ".join(map(_cell, head)) + " |\n" + "|---" * len(head) + "|",
    ]
    for one in made:
        fields = [
            *([one.cell.variant] if plan.variants else []),
            *(shown(one.cell.fields[name]) for name in plan.fields),
        ]
        cells = [*fields, count(one), *spread(one), beside(one)]
        said[-1] += "\n| " + " | ".join(map(_cell, cells)) + " |"
    links = [f"![{SHOWS[name]}]({name})" for name in pictures(plan, made)]
    return "\n\n".join([one for one in said if one] + [closing(plan, judge, made), *links]) + "\n"


def count(one: Line) -> str:
    """How many runs the figures are of, and how many are not in them."""
    aside = missing(one)
    return f"{len(one.values)}" + (f" ({aside})" if aside else "")


def missing(one: Line) -> str:
    """How many runs of a cell are in no figure, and why, in words."""
    return ", ".join(f"{number} {word}" for number, word in ((one.failed, "failed"), (one.pruned, "pruned")) if number)


def spread(one: Line) -> tuple[str, str]:
    """Mean with deviation, and the interval, in words."""
    if not one.values:
        return "-", "-"
    if one.over is None:
        return f"{one.mean:.4f}", "one run"
    interval = "-" if math.isnan(one.over.low) else f"{one.over.low:.4f} to {one.over.high:.4f}"
    return f"{one.over.mean:.4f}, sd {one.over.sd:.4f}", interval


def half(one: Line) -> float | None:
    """Half of Student's 95 % interval over the seeds; None where there is none.

    Of an interval that would reach beyond the best or worst possible score, low and high are cut off there, and half of
    what is left would be too little.
    """
    if one.over is None or math.isnan(one.over.low):
        return None
    n = len(one.over.values)
    return student(0.95, n - 1) * one.over.sd / math.sqrt(n)


def beside(one: Line) -> str:
    """A cell beside the best, in words."""
    if one.against is None or math.isnan(one.against.difference):
        return one.told
    p = "" if math.isnan(one.against.corrected) else f" (p {one.against.corrected:.2g})"
    return f"{one.against.difference:+.4f}{p}" + (f": {one.told}" if one.told else "")


def closing(plan: Plan, judge: str, made: Sequence[Line]) -> str:
    """What the table is, and what it is not."""
    n, seeds = len(plan.seeds), ", ".join(map(str, plan.seeds))
    told = f"seed{'s' * (n != 1)} {seeds}"
    said = [f"All runs learned from the same pictures and are judged by the same {judge} pictures; {told}."]
    if n > 1:
        said.append(
            "Intervals are Student's t over the seeds. Beside the best: the difference over equal seeds, with the p of "
            "Student's paired t, corrected for all cells (Holm). What is not told apart is not known to be equal: more "
            "seeds tell more. The best was chosen for being best, so it is a little better here than it is."
        )
    else:
        said.append("One run each: nothing can be told apart from luck. Give --seeds 3 or more.")
    if any(one.failed for one in made):
        said.append("Runs that failed are in runs.csv with their errors.")
    if any(one.pruned for one in made):
        said.append(
            "Runs that were stopped as hopeless are in no figure here, and neither are the others of their "
            "combinations: those that were let through would be the lucky ones."
        )
    return " ".join(said)


def _exact(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(value)


def _cell(text: Any) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")
