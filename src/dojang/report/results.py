"""What a page says of how good the network is: the score that judges, what must be known of it, and all scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from dojang.data.manifest import pasted, plain
from dojang.report import figures, svg
from dojang.report.story import Story
from dojang.report.text import Words, number
from dojang.runs.pictures import Pictures

#: scores of which less is better: a bar would tell the opposite
_LESS = ("loss", "brier", "error")


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
    return {"value": number(value), "low": number(low), "high": number(high), "n": f"{n:,}", "bar": bar, "said": said}


def _mean(story: Story, t: Words) -> dict[str, Any] | None:
    """The mean over several runs, where that is all there is."""
    if story.repeated is None or "top1" not in story.repeated[1].get("scores", {}):
        return None
    found = story.repeated[1]
    one, n = found["scores"]["top1"], len(found["runs"])
    low, high = one.get("low"), one.get("high")
    bar = svg.bar(one["mean"], low, high, t("interval_short", low=number(low), high=number(high)))
    told = {"value": number(one["mean"]), "low": number(low), "high": number(high), "n": f"{n:,}"}
    return told | {"bar": bar, "said": [t("about_mean", n=n)]}


def warnings(story: Story, pictures: Pictures, t: Words) -> list[tuple[str, str]]:
    """What must be known before anything else is read: (sentence, command)."""
    said: list[tuple[str, str]] = []
    if "training" not in story.metrics:
        said.append((t("unfinished"), f"dojang train --resume {pasted(str(story.folder))}"))
    for split in story.splits:
        leaked = story.metrics[split].get("leaked")
        if leaked:
            said.append((t("leaked", n=leaked, split=t.split(split)), ""))
    if _chosen(story) and story.recipe.train.monitor != "top1":
        training = story.metrics["training"]
        monitor = t.brief(story.recipe.train.monitor)
        said.append((t("chosen_by", monitor=monitor, step=training["step"], steps=training["steps"]), ""))
    if pictures.missing is not None:
        place = story.facts["data"]
        words = t("no_pictures", place=place, code=pictures.missing.code) if place else t("no_pictures_python")
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
    said = []
    training = story.metrics.get("training", {})
    if _chosen(story):
        monitor = t.brief(story.recipe.train.monitor)
        said.append(t("weights_best", step=training["step"], steps=training["steps"], monitor=monitor))
    elif training.get("weights"):
        said.append(t("weights_last", steps=training["steps"]))
    return [*said, t("intervals_note")]


def repeated(story: Story, t: Words) -> dict[str, Any] | None:
    """The scores of runs that were put together, run by run, with mean, deviation and interval."""
    if story.repeated is None:
        return None
    kind, found = story.repeated
    values: dict[str, dict[str, Any]] = found.get("scores", {})
    runs = found.get("runs", [])
    if not values or not runs:
        return None
    rows: list[dict[str, Any]] = []
    for i, run in enumerate(runs):
        cells = [number(one["values"][i]) for one in values.values()]
        name = plain(str(run["name"]))
        rows.append({"name": name, "n": f"{run.get('n', 0):,}", "cells": cells, "total": False})
    for key in ("mean", "sd"):
        cells = [number(one[key]) for one in values.values()]
        rows.append({"name": t(key), "n": "", "cells": cells, "total": key == "mean"})
    cells = ["–" if one["low"] is None else f"{number(one['low'])} – {number(one['high'])}" for one in values.values()]
    rows.append({"name": t("interval"), "n": "", "cells": cells, "total": False})
    aside = found.get("set_aside")
    return {
        "heading": t(f"repeats_{kind}", n=len(runs)),
        "names": [t.brief(name) for name in values],
        "rows": rows,
        "said": [t("set_aside", n=aside)] if aside else [],
    }


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
    said = [t("calibration_error", **measured)] if all(isinstance(v, float) for v in measured.values()) else []
    said += _temperature(story, t)
    return {"drawing": svg.reliability(*words), "said": said}


def _temperature(story: Story, t: Words) -> list[str]:
    """What was done so that probabilities mean what they say."""
    value = story.card.temperature if story.card else 1.0
    if value == 1.0:
        return []
    fitted = story.metrics.get("calibration", {})
    error = fitted.get("val", {}).get("calibration_error")
    if not error or fitted.get("temperature") != value:
        return [t("temperature", value=value)]
    return [t("temperature_fitted", value=value, n=fitted["n"], **error)]


def _chosen(story: Story) -> bool:
    training = story.metrics.get("training", {})
    return training.get("weights") == "best.safetensors" and "step" in training
