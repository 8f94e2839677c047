"""What a page says of how the run was made: network, recipe, environment, and the command that makes it again."""

from __future__ import annotations

from typing import Any

from dojang import files
from dojang.data.manifest import pasted, plain
from dojang.models import weights
from dojang.models.summary import short
from dojang.report import network
from dojang.report.story import Story
from dojang.report.text import Words
from dojang.runs import folder as names
from dojang.runs.recipe import OPTIONS

#: options that say where a run is, not what it is
_PLACES = ("project", "name", "exist_ok", "data_root", "download")


def learning(story: Story, t: Words) -> list[str]:
    """How long it took, why it ended, and what was changed on the way."""
    training = story.metrics.get("training", {})
    said = []
    if {"steps", "seconds", "evaluation_seconds"} <= set(training):
        seconds = [f"{training[name]:,.1f}" for name in ("seconds", "evaluation_seconds")]
        said.append(t("took", steps=training["steps"], seconds=seconds[0], evaluation=seconds[1]))
    if training.get("ended") in ("patience", "time"):
        said.append(t(f"ended_{training['ended']}"))
    changed = [f"{name} = {value}" for one in story.facts["segments"] or () for name, value in one["changed"].items()]
    if changed:
        said.append(f"{t('resumed')} {plain(', '.join(changed))}")
    return said


def model(story: Story, t: Words) -> dict[str, Any]:
    """Name, size and layers of the network."""
    part = story.parts[0] if story.parts and story.card is None else story
    facts: list[tuple[str, str]] = [(t("network"), plain(str(story.recipe.model.model)))]
    said: list[str] = []
    rows: tuple[tuple[str, str, str, str], ...] = ()
    if part.card is not None:
        found = network.layers(part.card)
        if found is not None:
            facts += [(t("parameters"), f"{found.parameters:,}"), (t("macs"), short(found.macs))]
            rows = tuple((plain(name), *rest) for name, *rest in found.rows)  # type: ignore[misc]
            said = [t("layers_blocks")] if found.blocks else [t("layers_some")] if found.some else []
        elif part.card.architecture is None:
            facts.append((t("stored_numbers"), f"{_stored(part):,}"))
            said = [t("own_network")]
        p = part.card.preprocess
        if {"height", "width", "mode"} <= set(p):
            facts.append((t("input"), f"{p['height']} x {p['width']} x {1 if p['mode'] == 'L' else 3}"))
        if p.get("permute_pixels"):
            said.append(t("permuted"))
    facts.append((t("precision_of"), plain(str(story.recipe.train.precision))))
    return {"facts": facts, "rows": rows, "said": said}


def _stored(story: Story) -> int:
    name = next(name for name in (names.BEST, names.LAST) if (story.folder / name).exists())
    return sum(tensor.numel() for tensor in weights.load(story.folder / name)[0].values())


def recipe(story: Story) -> dict[str, Any]:
    """The options that differ from their defaults, and the text of args.yaml."""
    differs = []
    for name, value in story.recipe.values().items():
        default = OPTIONS[name].default
        if name not in _PLACES and value != default:
            differs.append((OPTIONS[name].flag, _value(value), None if default is None else _value(default)))
    return {"differs": differs, "all": _inert(files.read_text(story.folder / names.ARGS))}


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(map(_value, value))
    return f"{value:.6g}" if isinstance(value, float) else plain(str(value))


def _inert(text: str) -> str:
    return "\n".join(map(plain, text.splitlines()))


def again(story: Story, t: Words) -> list[tuple[str, str]]:
    """Sentences, each with the command that belongs to it."""
    place, args = story.facts["data"], story.folder / names.ARGS
    if place is None:
        call = f"from dojang.runs.recipe import read_file\ndojang.Model().train(pairs, **read_file({str(args)!r}))"
        return [(t("again_python"), plain_lines(call))]
    said = [("", f"dojang train {pasted(str(place))} --recipe {pasted(str(args))}")]
    said.append((t("again_time" if story.recipe.train.time is not None else "again_about"), ""))
    if story.facts["segments"]:
        said.append((t("again_segments"), ""))
    return said


def plain_lines(text: str) -> str:
    """Text in which nothing but line ends does not print."""
    return _inert(text)


def environment(story: Story) -> list[tuple[str, str]]:
    """What env.json holds, flat."""
    found = []
    for name, value in story.environment.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {_value(one)}" for key, one in value.items())
        if name != "format":
            found.append((plain(str(name)), _value(value) if value is not None else "–"))
    return found
