"""What a page says of how good the network is: the score that judges, what must be known of it, and all scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from dojang.data.manifest import pasted, plain
from dojang.report import figures, svg
from dojang.report.story import Story
from dojang.report.text import Words, alike, number
from dojang.runs.pictures import Pictures

#: scores of which less is better: a bar would tell the opposite
_LESS = ("loss", "brier", "error")
#: runs side by side in a table
_ACROSS = 5


def hero(story: Story, t: Words) -> dict[str, Any] | None:
    """The one score that judges, and what it means."""
    if not story.splits:
        return _mean(story, t)
    split = story.splits[0]
    found = story.metrics[split]["top1"]
    value, low, high, n = found["value"], found.get("low"), found.get("high"), story.metrics[split].get("n")
    if value is None or low is None or high is None:
        return None
    said = [t(f"about_{split}")] if t.has(f"about_{split}") else []
    if n:
        # a narrow interval needs more pictures to be told
        of = next((of for of in (100, 1000) if round(of * low) < round(of * high)), 10_000)
        said.append(t("of_hundred", of=of, low=round(of * low), high=round(of * high), n=n))
    if story.kept is not None and story.kept.split == split:
        most = int(np.bincount(story.kept.true).max())
        said.append(t("guessing", value=most / len(story.kept)))
    bar = svg.bar(value, low, high, t("interval_short", low=low, high=high))
    of_what = f"n\u00a0=\u00a0{n:,}" if n is not None else ""
    told = {"value": number(value), "interval": t("interval_short", low=number(low), high=number(high))}
    return told | {"of": of_what, "bar": bar, "said": said}


def _mean(story: Story, t: Words) -> dict[str, Any] | None:
    """The mean over several runs, where that is all there is."""
    if story.repeated is None or "top1" not in story.repeated[1].get("scores", {}):
        return None
    found = story.repeated[1]
    one, runs = found["scores"]["top1"], found["runs"]
    mean, low, high = (one.get(name) for name in ("mean", "low", "high"))
    if mean is None:
        return None
    counts = [run["n"] for run in runs if "n" in run]
    each = f"{min(counts):,}" if len(set(counts)) == 1 else f"{min(counts):,}–{max(counts):,}" if counts else "–"
    interval = t("interval_short", low=number(low), high=number(high)) if low is not None and high is not None else ""
    bar = svg.bar(mean, low, high, interval or number(mean))
    of_what = t("runs_each", n=len(runs), each=each)
    said = [t("about_mean", n=len(runs))]
    if found.get("split"):
        said.append(t("judged_by", split=t.split(str(found["split"]))))
    return {"value": number(mean), "interval": interval, "of": of_what, "bar": bar, "said": said}


def warnings(story: Story, pictures: Pictures, t: Words) -> list[tuple[str, str]]:
    """What must be known before anything else is read: (sentence, command)."""
    said: list[tuple[str, str]] = []
    place = pasted(str(story.folder))
    scored = bool(story.splits or story.repeated)
    if not story.finished:
        said.append((t("unfinished_scored" if scored else "unfinished"), f"dojang train --resume {place}"))
    elif not scored and story.card is not None:
        has_parts = bool({row.split for row in pictures.rows} & {"val", "test"})
        said.append((t("unscored"), f"dojang val {place}") if has_parts else (t("unscored_parts"), ""))
    if story.kept is None and story.splits:
        # what lies above the runs of a cross-validation is no run's to score
        said.append((t("no_answers"), "" if story.repeated else f"dojang val {place}"))
    for split in story.splits:
        leaked = story.metrics[split].get("leaked")
        if leaked:
            said.append((t("leaked", n=leaked, split=t.split(split)), ""))
    chosen = story.chosen
    if chosen is not None and chosen[0] != "top1":
        training, values = story.metrics.get("training", {}), _words(chosen, t)
        if story.best_step is not None:
            said.append((t("chosen_by", **values, step=story.best_step, steps=training["steps"]), ""))
        else:
            said.append((t("chosen_by_alone", **values), ""))
    if pictures.missing is not None:
        data = story.facts["data"]
        words = t("no_pictures", place=data, code=pictures.missing.code) if data else t("no_pictures_python")
        said.append((words, ""))
    if pictures.changed:
        said.append((t("pictures_changed", n=len(pictures.changed)), ""))
    if pictures.unread:
        said.append((t("pictures_unread", n=len(pictures.unread)), ""))
    return said


def scores(story: Story, t: Words) -> list[dict[str, Any]]:
    """Every score of every split, with its interval."""
    found = []
    for split in story.splits:
        rows = []
        for name, value in story.scores(split).items():
            if isinstance(value["value"], (list, dict)):
                continue
            low, high = value.get("low"), value.get("high")
            why = value.get("why")
            interval = t("no_interval", why=t.why(why)) if why else ""
            if low is not None and high is not None:
                interval = f"{number(low)} – {number(high)}"
            title = f"{t.name(name)}: {number(value['value'])}"
            rows.append(
                {
                    "name": t.name(name),
                    "value": number(value["value"]),
                    "interval": interval,
                    "why": bool(why),
                    "bar": figures.score_bar(value, title) if not name.endswith(_LESS) else None,
                }
            )
        n = story.metrics[split].get("n")
        found.append({"name": t.split(split), "n": f"{n:,}" if isinstance(n, int) else "–", "rows": rows})
    return found


def scores_said(story: Story, t: Words) -> list[str]:
    """Which weights were scored, and what the intervals hold."""
    return [*_weights(story, t), t("intervals_note")]


def _weights(story: Story, t: Words) -> list[str]:
    training, weights = story.metrics.get("training", {}), story.metrics.get("weights", {})
    chosen, file = story.chosen, weights.get("file")
    if chosen is not None:
        values = _words(chosen, t)
        if story.best_step is not None:
            return [t("weights_best", step=story.best_step, steps=training["steps"], **values)]
        return [t("weights_best_file", file=file, **values) if file else t("weights_best_runs", **values)]
    if training.get("weights") and "steps" in training:
        return [t("weights_last", steps=training["steps"])]
    return [t("weights_last_runs")] if story.repeated and (weights or story.parts) else []


def _words(chosen: tuple[str, str], t: Words) -> dict[str, str]:
    return {"monitor": t.brief(chosen[0]), "split": t.split(chosen[1])}


def repeated(story: Story, t: Words) -> dict[str, Any] | None:
    """The scores of runs that were put together, run by run, with mean, deviation and interval."""
    if story.repeated is None:
        return None
    kind, found = story.repeated
    runs = found.get("runs", [])
    splits = {str(found.get("split") or ("test" if kind == "folds" else "")): found.get("scores", {})}
    splits |= found.get("others", {})
    # of the split that judges it is known how many pictures there are
    bare = [{"name": run["name"]} for run in runs]
    parts = [
        _repeated(split, scores, bare if i else runs, t)
        for i, (split, scores) in enumerate(splits.items())
        if scores and runs
    ]
    if not parts:
        return None
    aside = found.get("set_aside")
    return {
        "heading": t(f"repeats_{kind}", n=len(runs)),
        "parts": parts,
        "said": [*([] if story.splits else _weights(story, t)), *([t("set_aside", n=aside)] if aside else [])],
    }


def _repeated(split: str, scores: dict[str, Any], runs: list[dict[str, Any]], t: Words) -> dict[str, Any]:
    """Two tables of a split: mean, deviation and interval of each score; and each score run by run."""
    over, single = [], []
    for name, one in scores.items():
        column = [one.get(key) for key in ("mean", "sd", "low", "high")]
        told = alike([*column, *one["values"]])
        interval = f"{told[2]} – {told[3]}" if None not in column[2:] else "–"
        over.append((t.name(name), told[0], told[1], interval))
        single.append((t.brief(name), told[4:]))
    # as many side by side as paper has room for
    blocks = [
        {
            "runs": [(plain(run["name"]), f"n = {run['n']:,}" if "n" in run else "") for run in runs[i : i + _ACROSS]],
            "rows": [(name, cells[i : i + _ACROSS]) for name, cells in single],
        }
        for i in range(0, len(runs), _ACROSS)
    ]
    return {"split": t.split(split), "over": over, "blocks": blocks}


def calibration(story: Story, t: Words) -> dict[str, Any] | None:
    """The reliability curve, where metrics.json has one."""
    if not story.splits:
        return None
    split = story.splits[0]
    found = story.metrics[split].get("calibration")
    bins = figures.bins(found) if isinstance(found, dict) else []
    if not bins:
        return None
    words = t("calibration_title"), bins, t("axis_probability"), t("axis_right"), t("answers")
    measured = {name: found.get(name) for name in ("ece", "by_chance", "by_chance_high")}
    said = []
    if all(value is not None for value in measured.values()):
        told = {name: float(value or 0) for name, value in measured.items()}
        said = [t("calibration_error", n=sum(one.n for one in bins), **told), t(_verdict(bins, told))]
    return {"drawing": svg.reliability(*words), "said": said + _temperature(story, t)}


def _verdict(bins: list[svg.Bin], measured: dict[str, float]) -> str:
    """The key of what the calibration error says: chance alone, or which way the probabilities are wrong."""
    if measured["ece"] <= measured["by_chance_high"]:
        return "calibration_chance"
    more = sum(one.n * (one.probability - one.right) for one in bins)
    return "calibration_too_sure" if more > 0 else "calibration_too_careful"


def _temperature(story: Story, t: Words) -> list[str]:
    """What was done so that probabilities mean what they say, or why nothing was."""
    value = story.card.temperature if story.card else 1.0
    fitted = story.metrics.get("calibration", {})
    if value == 1.0:
        return [t("temperature_one", why=t.why(fitted["why"]))] if fitted.get("why") else []
    error = fitted.get("val", {}).get("calibration_error")
    if not error or "n" not in fitted or fitted.get("temperature") != value:
        return [t("temperature", value=value)]
    said = [t("temperature_fitted", value=value, n=fitted["n"], **error)]
    # of the validation pictures the curve is kinder than of new ones
    return said + [t(f"temperature_{name}") for name in story.splits[:1] if name in ("test", "val")]
