"""The command line: `dojang VERB ...`. Each verb is a file here, imported only when it is used."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import sys
from typing import Any

import click
from rich.cells import cell_len

from dojang.errors import ConfigError, DojangError, did_you_mean

_VERBS = {
    "train": "train a network on a folder of pictures, or resume a run",
    "lr-find": "which learning rate to begin with: a range test",
    "val": "score a run again, on its own pictures or on others",
    "report": "one page that tells all of a run: data, scores, mistakes with pictures, recipe; or a model card",
    "predict": "answers for pictures",
    "explain": "why a network answers as it does: heat maps, filters, every number traced to its pixels",
    "export": "a trained network as a file that needs no dojang: ONNX, torch.export, OpenVINO",
    "study": "many networks that differ in chosen fields, with several seeds each: a table with intervals",
    "compare": "runs on the same pictures: how much better one is, and where they differ",
    "split": "divide a data set, and write down how: stratified, grouped, in folds",
    "scan": "what is wrong with a data set: doubled, mislabelled, unreadable, odd pictures",
    "clean": "apply chosen repairs to a copy, or in place with a way back",
    "data": "look at data; gather loose files into classes; save a prepared set",
    "models": "the networks there are",
    "summary": "what a network is made of, with every number explained",
    "convert": "make weights of another tool a file that dojang reads",
    "conv": "the convolution itself: what it costs, and what it does, step by step",
    "serve": "answer pictures over HTTP, with a page",
    "bench": "what this machine can do, and how much of it training reaches",
    "cache": "list or clear the decoded pictures that dojang keeps",
}


_JSON = ("json=true", "json=yes", "json=on", "json=1")


class Verbs(click.Group):
    """The verbs, found by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _VERBS:
            return None
        command: click.Command = importlib.import_module(f"dojang.cli.{name.replace('-', '_')}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        # the task may be named first, as users of other tools do
        if len(args) > 1 and args[0] == "classify":
            args = args[1:]
        if args and args[0].replace("_", "-") in _VERBS:
            # lr_find, as it is spelled in Python
            args = [args[0].replace("_", "-"), *args[1:]]
        if args and args[0] not in _VERBS:
            raise ConfigError(
                "C200",
                f"unknown verb {args[0]!r}.{did_you_mean(args[0], _VERBS)}",
                context=f"The verbs are {', '.join(_VERBS)}.",
                fix="dojang --help",
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(_VERBS.items()))


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="dojang VERB --help tells more. First steps: dojang train digits",
)
@click.version_option(package_name="dojang", message="dojang %(version)s")
def dojang() -> None:
    """From a folder of images to a convolutional network that you can trust."""


def main(args: list[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit status: 0 ok, 1 failed, 2 usage, 3 bad data, 4 no room, 130 and 143 for signals.
    """
    words = sys.argv[1:] if args is None else args
    as_json = any(word == "--json" or word.lower() in _JSON for word in words)
    try:
        # a verb that ends with a status of its own gives it back
        status = dojang.main(args=list(words) or ["--help"], prog_name="dojang", standalone_mode=False)
    except DojangError as error:
        _tell(error, as_json)
        return error.exit_code
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.UsageError as error:
        _tell(ConfigError("C200", error.format_message(), fix=_help_of(error)), as_json)
        return 2
    except (KeyboardInterrupt, click.Abort):
        # only training saves states
        kept = "; the last saved state is good" if "train" in words[:1] else ""
        click.echo(f"stopped at once{kept}.", err=True)
        return 130
    except BrokenPipeError:
        # the reader of our output has left; nothing more can be said to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status if isinstance(status, int) else 0


def _tell(error: DojangError, as_json: bool) -> None:
    if as_json:
        print_json(error.as_dict())
    tell(str(error))


def tell(text: str) -> None:
    """Lines for people, to stderr: on a terminal broken between words at its width, elsewhere whole.

    A command that is to be pasted stays in one piece.
    """
    lines = inert(text).split("\n")
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        lines = [part for line in lines for part in wrapped(line, width)]
    click.echo("\n".join(lines), err=True)


def wrapped(line: str, width: int) -> list[str]:
    """A line in lines of a width, those behind the first indented by two more than it.

    >>> wrapped("  Fix: dojang val runs/classify/train, to score it", 30)
    ['  Fix:', '    dojang val runs/classify/train, to score it']
    """
    if cell_len(line) <= width:
        return [line]
    indent = len(line) - len(line.lstrip(" "))
    head, command = line, ""
    if found := _COMMAND.search(line) if line.startswith("  Fix: ") else None:
        head, command = line[: found.start()], line[found.start() :]
    made = [" " * indent]
    for word in head.split():
        lead = "" if not made[-1].strip() else " "
        if lead and cell_len(made[-1]) + 1 + cell_len(word) > width:
            made.append(" " * (indent + 2))
            lead = ""
        made[-1] += lead + word
    return [*made, " " * (indent + 2) + command] if command else made


# from here on a fix is for a shell
_COMMAND = re.compile(r"(?<=[ ])(dojang |mv |pip |--)\S")


def inert(text: str) -> str:
    """Text that cannot move the cursor or colour the screen: file names may hold escape sequences."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _help_of(error: click.UsageError) -> str:
    return f"{error.ctx.command_path if error.ctx else 'dojang'} --help"


def print_json(value: Any) -> None:
    """A result, to stdout; what cannot be printed is escaped, so any terminal and any encoding can take it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    click.echo("".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text))
