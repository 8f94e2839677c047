"""`dojang export RUN`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from dojang import garbage
from dojang.cli.flags import Command, Flag
from dojang.cli.main import print_json

# classes whose accuracy is shown; the record has all of them
_MOST = 20


def _export(
    run: str,
    format: str,
    out: str | None,
    int8: bool,
    data: str | None,
    model: str | None,
    exist_ok: bool,
    as_json: bool,
) -> None:
    with garbage.importing():
        from dojang.cli.progress import reporter, say
        from dojang.export.export import export

    progress = reporter()
    try:
        made = export(
            run,
            format,
            out=out,
            int8=int8,
            data=data,
            model=model,
            exist_ok=exist_ok,
            reporter=progress,
        )
    finally:
        progress.end()
    if as_json:
        print_json({"path": str(made.path)} | made.record)
        return
    for line in _lines(made.path, made.record):
        say(line)


def _lines(path: Path, record: Mapping[str, Any]) -> Iterator[str]:
    """What was made and what it is worth, in at most 80 columns but for paths."""
    from dojang.errors import many

    near, size = record["parity"], sum(one["bytes"] for one in record["files"].values())
    # of the ONNX file; the others have been made of one, or have none
    opset = f" opset {record['opset']}" if record["export"] == "onnx" else ""
    yield f"file    {path}"
    large = f"{size / 1e6:,.1f} MB" if size > 1e6 else f"{size / 1e3:,.0f} kB"
    yield f"format  {record['export']}{opset}, {large}"
    yield "takes   uint8 RGB pictures (batch, height, width, 3) of any size"
    yield f"gives   probabilities (batch, {len(record['labels'])}) float32; labels in its metadata"
    parts = ", ".join(f"{n:,} {split or 'of the data'}" for split, n in near["pictures"].items())
    # what was held against the network is the graph that 8 bits are then made of
    begin = "in float32, before 8 bits: " if record.get("int8") else ""
    said = f"{begin}all {near['n']:,} answers are the network's, on real pictures ({parts}), alone and in batches of "
    said += " and ".join(str(n) for n in near["batches"] if n > 1)
    if near["ties"]:
        said += f", {many(near['ties'], 'tie')} aside"
    if near["batched_at"]:
        said += f" (there at {_sized(near['batched_at'])})"
    yield from _wrapped(
        "parity", f"{said}; largest probability difference {near['largest_probability_difference']:.1e}"
    )
    if eight := record.get("int8"):
        yield from _eight(eight)
    milliseconds = 1000 * (record.get("int8") or near)["seconds_a_picture"]
    threads = many(record["threads"], "thread")
    yield f"time    {milliseconds:.2f} ms a picture ({_sized(near['at'])}, one by one, {threads})"
    if record.get("settings"):
        yield from _wrapped("note", _openvino(record))


def _eight(told: Mapping[str, Any]) -> Iterator[str]:
    """What 8 bits cost, class by class, the largest losses first."""
    before, after = told["top1_before"]["value"], told["top1_after"]["value"]
    change = told["difference"]
    interval = "" if change["low"] is None else f" (95 %: {change['low']:+.4f} to {change['high']:+.4f})"
    yield from _wrapped(
        "int8",
        f"top-1 on {told['split']} {before:.4f} before, {after:.4f} after: {change['value']:+.4f}{interval}; "
        f"of {told['n']:,} answers {told['right_before_only']:,} lost, {told['right_after_only']:,} won; largest "
        f"probability difference {told['largest_probability_difference']:.2g}; ranges seen on "
        f"{told['calibrated_on']['train']:,} training pictures",
    )
    from dojang.data.manifest import plain

    rows = [row for row in told["per_class"] if row["n"]]
    rows.sort(key=lambda row: row["accuracy_after"] - row["accuracy_before"])
    width = min(36, max(5, *(len(plain(row["label"])) for row in rows)))
    yield f"        {'class':<{width}}  {'before':>6}  {'after':>6}  {'n':>6}"
    for row in rows[:_MOST]:
        label = plain(row["label"])
        short = label if len(label) <= width else label[: width - 3] + "..."
        yield f"        {short:<{width}}  {row['accuracy_before']:6.4f}  {row['accuracy_after']:6.4f}  {row['n']:6,}"
    if len(rows) > _MOST:
        yield f"        and {len(rows) - _MOST:,} more, in the record beside the file"


def _openvino(record: Mapping[str, Any]) -> str:
    settings = ", ".join(f"{name}={value}" for name, value in record["settings"].items())
    said = f"compile it with {settings}: these are the answers that were checked"
    left = record["left_to_openvino"]
    if left is None:
        return said
    return (
        f"{said}. Left to itself OpenVINO computes in {left['precision']} here: probabilities up to "
        f"{left['largest_probability_difference']:.2g} off, {left['top1_different']:,} of {left['n']:,} labels differ"
    )


def _wrapped(word: str, text: str) -> list[str]:
    return textwrap.wrap(text, 80, initial_indent=f"{word:<8}", subsequent_indent=" " * 8, break_on_hyphens=False)


def _sized(size: list[int]) -> str:
    return f"{size[1]:,} x {size[0]:,}"


command = Command(
    "export",
    callback=_export,
    help="A trained network as one file that needs no dojang: pixels of any size in, probabilities out. Everything "
    "behind decoding is in it, and it is written only if it answers as the network does, on real pictures.",
    params=[
        click.Argument(["run"]),
        Flag(["format", "--format"], default="onnx", metavar="onnx|torch-export|openvino", help="[onnx]"),
        Flag(["out", "--out"], metavar="FILE", help="the file to write [beside the weights]"),
        Flag(["int8", "--int8"], is_flag=True, help="onnx in 8 bits, with each class's accuracy before and after"),
        Flag(["data", "--data"], metavar="DATA",
             help="where the run's pictures are now; for weights without a run, pictures to check on"),
        Flag(["model", "--model"], metavar="FILE.py:CLASS", help="for weights of a model of your own"),
        Flag(["exist_ok", "--exist-ok"], is_flag=True, help="replace files that are there"),
        Flag(["as_json", "--json"], is_flag=True, help="the result as JSON on stdout"),
    ],
)  # fmt: skip
