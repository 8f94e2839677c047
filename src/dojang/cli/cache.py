"""`dojang cache list` and `dojang cache clear`."""

from __future__ import annotations

import click

from dojang import files
from dojang.cli.flags import Command, Flag
from dojang.errors import ConfigError


def _cache(what: str, as_json: bool) -> None:
    from dojang.cli.main import print_json
    from dojang.cli.progress import say
    from dojang.data import cache

    if what not in ("list", "clear"):
        raise ConfigError("C200", f"cache {what}: expected list or clear.", fix="dojang cache list")
    entries = cache.entries()
    # weights were asked for, and may not be had again: they are listed, and stay
    weights = sorted((files.cache_folder() / "weights").glob("*.safetensors")) if what == "list" else []
    sizes = {path: path.stat().st_size for path in weights}
    if what == "clear":
        cache.clear(entries)
    if as_json:
        kept = [{"path": str(path), "bytes": size, "weights": path.stem} for path, size in sizes.items()]
        print_json([entry.as_dict() for entry in entries] + kept)
        return
    for entry in entries:
        say(f"{entry.bytes / 1e6:10,.1f} MB  {entry.pictures:9,} pictures  {entry.path}")
    for path, size in sizes.items():
        say(f"{size / 1e6:10,.1f} MB  {'weights':18}  {path}")
    total = (sum(entry.bytes for entry in entries) + sum(sizes.values())) / 1e6
    say(f"{total:10,.1f} MB  {'removed' if what == 'clear' else 'in all'}")


command = Command(
    "cache",
    callback=_cache,
    help="Decoded pictures that were too many for memory: 'list' them, or 'clear' them away; converted weights are "
    "listed, and stay.",
    params=[
        click.Argument(["what"]),
        Flag(["as_json", "--json"], is_flag=True, help="the result as JSON on stdout"),
    ],
)
