"""A model card: the README.md that the Hugging Face hub shows, with the test scores where the hub looks for them.

Source: https://huggingface.co/docs/hub/model-cards and its model-index of scores.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import dojang
from dojang import files
from dojang.data.manifest import SplitRow, pasted, plain, read_splits, readable
from dojang.report.story import Story
from dojang.report.text import Words, number
from dojang.runs import folder as names

#: what the hub calls a score of dojang's
_METRICS = {"top1": "accuracy", "macro_f1": "f1", "roc_auc": "roc_auc", "average_precision": "average_precision"}
_LISTED = 40
_UNKNOWN = "With `--none-of-these` a picture that is like none of its classes is said to be unknown."


def card(story: Story, license: str = "unknown") -> str:
    """The text of a model card: YAML for the hub, Markdown for people.

    What dojang cannot know (who uses the network, what for, where the pictures came from) is left open and marked; the
    rest is filled in from the run.

    Args:
        license: As the hub writes it ("apache-2.0", "cc-by-4.0"); nobody knows it but the owner.

    Raises:
        ConfigError: C216 where there are no weights: a run that has none yet, or several runs together.
    """
    import yaml

    names.weights_of(story.folder)
    rows = _rows(story)
    text = yaml.safe_dump(header(story, license), sort_keys=False, allow_unicode=True, width=100)
    parts = [_intended(story), _data(story, rows), _training(story), _evaluation(story), _limits(story), _use(story)]
    return "\n\n".join([f"---\n{text}---", f"# {_md(story.name)}", *parts]) + "\n"


def header(story: Story, license: str = "unknown") -> dict[str, Any]:
    """What stands in the YAML: the fields that the hub knows, and the scores of the split that judges."""
    found: dict[str, Any] = {
        "license": license,
        "library_name": "dojang",
        "pipeline_tag": "image-classification",
        "tags": ["dojang", "image-classification", "pytorch"],
    }
    if not story.splits:
        return found
    split = story.splits[0]
    scores = [(name, one["value"]) for name, one in story.scores(split).items() if isinstance(one["value"], float)]
    known = [(name, value) for name, value in scores if name in _METRICS]
    found["metrics"] = [_METRICS[name] for name, _ in known]
    t = Words("en")
    found["model-index"] = [
        {
            "name": plain(story.name),
            "results": [
                {
                    "task": {"type": "image-classification", "name": "Image classification"},
                    "dataset": {"name": _data_name(story), "type": _slug(_data_name(story)), "split": split},
                    "metrics": [
                        {"type": _METRICS[name], "value": round(value, 6), "name": t.brief(name)}
                        for name, value in known
                    ],
                }
            ],
        }
    ]
    return found


def _intended(story: Story) -> str:
    labels = readable(story.card.labels) if story.card else []
    named = ", ".join(f"`{_code(label)}`" for label in labels[:_LISTED])
    more = f" and {len(labels) - _LISTED:,} more" if len(labels) > _LISTED else ""
    return _section(
        "Intended use",
        f"An image classifier. It gives one of {len(labels):,} answers for a picture: {named}{more}."
        if labels
        else "An image classifier.",
        "Use it on pictures like those it learned from (see Data). It has no answer for anything else and gives one of "
        + (
            "these all the same, unless it is asked with `--none-of-these`." if _knows(story) else "these all the same."
        ),
        "*To be completed by its owner: who uses it, what for, and what it must not be used for.*",
    )


def _data(story: Story, rows: Sequence[SplitRow]) -> str:
    counts = Counter(row.split for row in rows)
    said = [f"{name} {counts[name]:,}" for name in ("train", "val", "test") if counts[name]]
    lines = [f"Data: {_md(_data_name(story))}" + (f"; pictures: {', '.join(said)}." if said else ".")]
    classes = sorted({row.label for row in rows})
    short = dict(zip(classes, readable(classes), strict=True))
    by_class = Counter(short[row.label] for row in rows if row.split == "train")
    if len(by_class) > 1:
        (most, high), (least, low) = by_class.most_common()[0], by_class.most_common()[-1]
        lines.append(
            f"Every class has {low:,} pictures to learn from."
            if low == high
            else f"The largest class to learn from is {_md(most)} with {high:,} pictures, the smallest {_md(least)} "
            f"with {low:,}."
        )
        lines.append("Which picture was in which part is in splits.csv, by SHA-256.")
    lines.append("*To be completed by its owner: where the pictures come from, and under which terms.*")
    return _section("Data", *lines)


def _training(story: Story) -> str:
    t, options = story.metrics.get("training", {}), story.recipe.train
    begun = story.recipe.model.pretrained
    from_weights = f", begun from trained weights (`{_code(begun)}`)" if begun else ""
    if begun == "auto":
        # which file it was is written nowhere
        from_weights = f", begun from the weights for `{_code(str(story.recipe.model.model))}` in dojang's cache"
    lines = [
        f"Network: `{_code(str(story.recipe.model.model))}`{from_weights}. Optimizer {options.optimizer}, learning "
        f"rate {options.lr or 0:g}, {options.schedule} schedule, batches of {options.batch_size}, precision "
        f"{options.precision}, seed {options.seed}."
    ]
    if "steps" in t:
        chosen = t.get("weights") == "best.safetensors"
        lines.append(
            f"{t['steps']:,} steps, {t.get('seconds', 0):,.1f} s. "
            + (
                f"The weights are those of step {t.get('step', 0):,}, chosen by validation "
                f"{Words('en').brief(options.monitor)}."
                if chosen
                else "The weights are the last ones; nothing was chosen."
            )
        )
    if story.card is not None and story.card.preprocess.get("permute_pixels"):
        lines.append(
            "The pixels of every picture are put in one fixed order first (`--permute-pixels`); that is part of the "
            "weights file's preprocessing."
        )
    lines += _temperature(story)
    around = story.environment
    if around:
        lines.append(
            f"Made with dojang {plain(str(around.get('dojang')))}, torch {plain(str(around.get('torch')))} on "
            f"{plain(str(around.get('cpu') or around.get('device')))}. Every option is in args.yaml."
        )
    return _section("Training", *lines)


def _temperature(story: Story) -> list[str]:
    fitted, value = story.metrics.get("calibration", {}), story.card.temperature if story.card else 1.0
    if value != 1.0:
        known = fitted.get("temperature") == value and "n" in fitted
        on = f", fitted on {fitted['n']:,} validation pictures" if known else ""
        return [f"Its scores are divided by a temperature of {value:.4g}{on} before they become probabilities."]
    return [f"Its temperature is 1: {_md(fitted['why'])}."] if fitted.get("why") else []


def _knows(story: Story) -> bool:
    """Whether the weights hold what known pictures look like."""
    return story.card is not None and story.card.extra.get("familiar") == ""


def _evaluation(story: Story) -> str:
    if not story.splits:
        again = f"`dojang val {_code(pasted(str(story.folder)))}`"
        unscored = f"Its scores are not here (metrics.json); {again} makes them anew."
        return _section("Evaluation", unscored if story.finished else "This run has no scores yet.")
    t, split = Words("en"), story.splits[0]
    lines = ["| score | value | 95 % interval |", "|---|---|---|"]
    for name, one in story.scores(split).items():
        low, high = one.get("low"), one.get("high")
        interval = f"none: {_md(one['why'])}" if one.get("why") else ""
        if low is not None and high is not None:
            interval = f"{number(low)} to {number(high)}"
        lines.append(f"| {_md(t.name(name))} | {number(one['value'])} | {interval} |")
    about = t(f"about_{split}") if t.has(f"about_{split}") else ""
    n = story.metrics[split].get("n", 0)
    said = [f"{about} n = {n:,}.".strip(), "\n".join(lines), t("intervals_note")]
    if story.chosen is not None and story.chosen[0] != "top1":
        by, on = story.chosen
        said.insert(1, t("chosen_by_alone", monitor=t.brief(by), split=t.split(on)))
    leaked = story.metrics[split].get("leaked")
    if leaked:
        said.insert(1, f"**{t('leaked', n=leaked, split=t.split(split))}**")
    return _section("Evaluation", *said)


def _limits(story: Story) -> str:
    lines = [
        "The scores hold for pictures like the ones it was judged by. Other cameras, places or times may give others.",
        "It was trained once: another seed gives another network.",
    ]
    if story.kept is not None and story.kept.confused():
        names_of = readable(story.kept.labels)
        pairs = [f"{_md(names_of[i])} taken for {_md(names_of[j])} ({n:,})" for i, j, n in story.kept.confused()[:5]]
        lines.append(f"What it confuses most: {'; '.join(pairs)}.")
    return _section("Limits", *lines)


def _use(story: Story) -> str:
    weights = "best.safetensors" if (story.folder / names.BEST).exists() else "last.safetensors"
    own = story.card is not None and story.card.architecture is None
    model = ", model=MyNetwork()" if own else ""
    code = f'import dojang\n\nmodel = dojang.Model("{weights}"{model})\nprint(model.predict("picture.jpg")[0])'
    shell = f"dojang predict {weights} picture.jpg" + (" --model mynet.py:CNN" if own else "")
    return _section(
        "How to use",
        f"`{weights}` is all that is needed: it carries labels, preprocessing and architecture, and holds no pickle."
        if not own
        else f"`{weights}` carries labels and preprocessing; the code of the network is needed beside it.",
        f"```\npip install dojang\n{shell}\n```",
        *([_UNKNOWN] if _knows(story) else []),
        f"```python\n{code}\n```",
        f"Made by dojang {dojang.__version__}.",
    )


def _section(heading: str, *paragraphs: str) -> str:
    return "\n\n".join([f"## {heading}", *paragraphs])


def _rows(story: Story) -> list[SplitRow]:
    path = story.folder / names.SPLITS
    return read_splits(files.read_text(path), str(path)) if path.exists() else []


def _data_name(story: Story) -> str:
    place = story.facts["data"]
    return plain(PurePath(str(place)).name or str(place)) if place is not None else "pictures given in Python"


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "pictures"


def _md(text: str) -> str:
    r"""A name as Markdown shows it, whatever it holds.

    >>> print(_md("<b>_a|b*"))
    &lt;b&gt;\_a\|b\*
    """
    inert = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]#|~])", r"\\\1", inert)


def _code(text: str) -> str:
    """A name between backquotes, which it then must not hold."""
    return plain(text).replace("`", "'")
