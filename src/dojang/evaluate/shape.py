"""The shape of metrics.json: what everyone who reads a run folder relies on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SPLITS = ("train", "val", "test", "out_of_fold")
# entries that are tables where they are there
_TABLES = (*SPLITS, "weights", "calibration", "training", "folds", "seeds")


def check(metrics: Mapping[str, Any]) -> None:
    """Refuse what cannot be shown: scores that are no numbers, runs without a name.

    Raises:
        ValueError: Naming the place.

    >>> check({"test": {"n": 2, "top1": {"value": "0.9"}}})
    Traceback (most recent call last):
    ValueError: test.top1.value is '0.9'
    """
    for name in _TABLES:
        if name in metrics:
            _must(metrics[name], name, dict)
    for name in SPLITS:
        if name in metrics:
            _split(metrics[name], name)
    for name in ("chosen_by", "chosen_on", "file"):
        _must((metrics.get("weights") or {}).get(name), f"weights.{name}", str, type(None))
    training = metrics.get("training", {})
    for name in ("step", "steps"):
        _must(training.get(name, 0), f"training.{name}", int)
    for name in ("seconds", "evaluation_seconds"):
        _number(training.get(name), f"training.{name}")
    for name in ("weights", "ended"):
        _must(training.get(name), f"training.{name}", str, type(None))
    _temperature(metrics.get("calibration", {}))
    for name in ("folds", "seeds"):
        several = metrics.get(name, {})
        for number, run in enumerate(_must(several.get("runs", []), f"{name}.runs", list)):
            place = f"{name}.runs[{number}]"
            _must(_must(run, place, dict).get("name"), f"{place}.name", str)
            _must(run.get("n", 0), f"{place}.n", int)
        for score, found in _must(several.get("scores", {}), f"{name}.scores", dict).items():
            place = f"{name}.scores.{score}"
            _over_runs(found, place, len(several.get("runs", [])))
        for split, others in _must(several.get("others", {}), f"{name}.others", dict).items():
            for score, found in _must(others, f"{name}.others.{split}", dict).items():
                _over_runs(found, f"{name}.others.{split}.{score}", len(several.get("runs", [])))


def _temperature(found: Mapping[str, Any]) -> None:
    _number(found.get("temperature"), "calibration.temperature")
    _must(found.get("n", 0), "calibration.n", int)
    _must(found.get("why", ""), "calibration.why", str)
    error = _must(found.get("val", {}), "calibration.val", dict).get("calibration_error", {})
    for word in ("before", "after") if _must(error, "calibration.val.calibration_error", dict) else ():
        _must(error.get(word), f"calibration.val.calibration_error.{word}", int, float)


def _over_runs(found: Any, place: str, count: int) -> None:
    values = _must(_must(found, place, dict).get("values", []), f"{place}.values", list)
    if len(values) != count:
        raise ValueError(f"{place}.values has {len(values)} of {count}")
    for value in values:
        _number(value, f"{place}.values")
    for word in ("mean", "sd", "low", "high"):
        _number(found.get(word), f"{place}.{word}")


def _split(found: Mapping[str, Any], name: str) -> None:
    _must(found.get("n", 0), f"{name}.n", int)
    _must(found.get("leaked", 0), f"{name}.leaked", int)
    if "value" not in _must(found.get("top1"), f"{name}.top1", dict):
        raise ValueError(f"{name}.top1 has no value")
    for score, value in found.items():
        if isinstance(value, dict) and (score == "top1" or "value" in value):
            for word in ("value", "low", "high"):
                _number(value.get(word), f"{name}.{score}.{word}")
            _must(value.get("why", ""), f"{name}.{score}.why", str)
    for word in ("known", "with_pictures"):
        _must(_must(found.get("classes", {}), f"{name}.classes", dict).get(word, 0), f"{name}.classes.{word}", int)
    calibration = _must(found.get("calibration", {}), f"{name}.calibration", dict)
    for word in ("ece", "by_chance", "by_chance_high"):
        _number(calibration.get(word), f"{name}.calibration.{word}")
    for number, one in enumerate(_must(calibration.get("bins", []), f"{name}.calibration.bins", list)):
        place = f"{name}.calibration.bins[{number}]"
        for word in ("confidence", "accuracy", "low", "high", "n"):
            _must(_must(one, place, dict).get(word), f"{place}.{word}", int, float)
    for number, pair in enumerate(_must(found.get("confused", []), f"{name}.confused", list)):
        place = f"{name}.confused[{number}]"
        _must(pair, place, dict)
        for word, kinds in (("true", (str,)), ("predicted", (str,)), ("n", (int,)), ("share", (int, float))):
            _must(pair.get(word), f"{place}.{word}", *kinds)


def _number(value: Any, place: str) -> None:
    _must(value, place, int, float, type(None))


def _must(value: Any, place: str, *kinds: type) -> Any:
    # True is an int to Python, and no number to anyone else
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise ValueError(f"{place} is {str(value)[:30]!r}")
    return value
