"""Ready-made studies by name."""

from __future__ import annotations

from importlib import resources

from dojang.errors import ConfigError, did_you_mean
from dojang.study.plan import Plan, read


def names() -> list[str]:
    """Of all ready-made studies."""
    room = resources.files("dojang.study").joinpath("ready")
    return sorted(one.name.removesuffix(".yaml") for one in room.iterdir() if one.name.endswith(".yaml"))


def text(name: str) -> str:
    """The file of a ready-made study. Raises C283 where there is none of that name."""
    known = names()
    if name not in known:
        raise ConfigError(
            "C283",
            f"there is no study {name!r}, and no file of that name.{did_you_mean(name, known)}",
            fix=f"dojang study --list; there are {', '.join(known)}.",
        )
    return resources.files("dojang.study").joinpath("ready", f"{name}.yaml").read_text("utf-8")


def plan(name: str) -> Plan:
    """A ready-made study. Raises C283."""
    return read(text(name), f"the study {name}")
