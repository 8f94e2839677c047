"""The result of a bench as text that fits a terminal of 80 columns."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

_WIDTH = 80
_DIGITS = ((100, 0), (10, 1), (1, 2), (0, 3))


def table(result: Mapping[str, Any]) -> str:
    """The figures of :func:`dojang.bench.run.bench`, median and range, with the reasons of those that are missing."""
    machine, rates, model = result["machine"], result["rates"], result["model"]
    name = machine["cpu"] if machine["device"] == "cpu" else machine["device"]
    parts = [
        f"{name}, {machine['machine']}, {machine['threads']} threads, torch {result['versions']['torch']}\n"
        f"medians of {_runs(rates, model)} runs, and the least and the most of them",
        _matrix_work(rates),
        _bytes(rates),
        _heading(model),
        _speeds(model["speeds"]),
    ]
    missing = _missing(rates, model)
    return "\n\n".join([*parts, *missing])


def _matrix_work(rates: Mapping[str, Any]) -> str:
    grid = _grid(("TFLOP/s", "fp32", "min..max", "bf16", "min..max"), right=(1, 2, 3, 4))
    lines: dict[str, dict[str, Any]] = {}
    for row in rates["gemm"]:
        lines.setdefault(f"matrix product {row['size']}x{row['size']}", {})[row["precision"]] = row["tflop_per_s"]
    for row in rates["convolution"]:
        shape = f"{row['in_channels']} to {row['out_channels']} at {row['size']}"
        line = f"3x3 {shape}, {row['pass'].replace('_', ' ')}"
        lines.setdefault(line, {})[row["precision"]] = row["tflop_per_s"]
    for line, found in lines.items():
        cells = [cell for precision in ("fp32", "bf16") for cell in _figure(found.get(precision))]
        grid.add_row(line, *cells)
    peak = [rates["peak"][f"{precision}_tflop_per_s"] for precision in ("fp32", "bf16")]
    grid.add_row("best: the peak", _number(peak[0]), "", _number(peak[1]), "")
    return _text(grid)


def _bytes(rates: Mapping[str, Any]) -> str:
    grid = _grid(("", "", "min..max", ""), right=(1, 2))
    for row in rates["copy"]:
        grid.add_row("copy in memory", *_figure(row["gb_per_s"]), "GB/s, read and written")
    for row in rates["decode"]:
        threads = f"{row['threads']} thread" + "s" * (row["threads"] > 1)
        unit = "images/s"
        if row["megapixel_per_s"]:
            unit += f", {row['megapixel_per_s']['median']:,.0f} megapixel/s"
        grid.add_row(f"JPEG {row['width']}x{row['height']}, {threads}", *_figure(row["images_per_s"]), unit)
    return _text(grid)


def _heading(model: Mapping[str, Any]) -> str:
    return (
        f"{model['name']}: {model['parameters']:,} parameters, "
        f"{model['height']}x{model['width']}x{model['in_channels']}, "
        f"{model['forward_flop_per_image'] / 1e6:,.1f} MFLOP forward; "
        f"batch {model['batch_size']}, {model['optimizer']}"
    )


def _speeds(rows: Sequence[Mapping[str, Any]]) -> str:
    grid = _grid(("", "", "", "images/s", "min..max", "TFLOP/s", "of peak"), right=(3, 4, 5, 6))
    before = ""
    for row in rows:
        share = "-" if row["share_of_peak"] is None else f"{row['share_of_peak']:.0%}"
        shown = row["mode"] if row["mode"] != before else ""
        before = row["mode"]
        cells = _figure(row["images_per_s"])
        grid.add_row(shown, row["precision"], row["layout"], *cells, _number(row["tflop_per_s"]), share)
    return _text(grid)


def _missing(rates: Mapping[str, Any], model: Mapping[str, Any]) -> list[str]:
    """Why figures are missing, each reason once."""
    reasons: dict[str, list[str]] = {}
    for name, rows in _groups(rates, model).items():
        for row in rows:
            if "failed" in row:
                facts = [str(row[key]) for key in ("mode", "pass", "precision", "layout") if key in row]
                reasons.setdefault(row["failed"], []).append(" ".join([name, *facts]))
    lines = [f"not measured: {'; '.join(what)}: {why}" for why, what in reasons.items()]
    return ["\n".join(textwrap.wrap(line, _WIDTH, subsequent_indent="  ")) for line in lines]


def _runs(rates: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    rows = [row for rows in _groups(rates, model).values() for row in rows]
    counts = {value["n"] for row in rows for value in row.values() if isinstance(value, Mapping)}
    return " to ".join(str(n) for n in sorted({min(counts), max(counts)})) if counts else "no"


def _groups(rates: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Sequence[Mapping[str, Any]]]:
    """The rows of figures under the names of what they are of."""
    return {name: rates[name] for name in ("gemm", "convolution", "copy", "decode")} | {model["name"]: model["speeds"]}


def _figure(found: Mapping[str, float] | None) -> tuple[str, str]:
    """Median, and least to most."""
    if found is None:
        return "-", "-"
    return _number(found["median"]), f"{_number(found['min'])}..{_number(found['max'])}"


def _number(value: float | None) -> str:
    """Three digits, or all before the point; runs of a second differ by more than that.

    >>> _number(1234.5), _number(39.14), _number(1.5), _number(0.2345), _number(0.00012), _number(None)
    ('1,234', '39.1', '1.50', '0.234', '<.001', '-')
    """
    if value is None:
        return "-"
    if 0 < value < 0.001:
        return "<.001"
    return f"{value:,.{next(digits for least, digits in _DIGITS if value >= least)}f}"


def _grid(head: Sequence[str], right: Sequence[int]) -> Table:
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(head))
    for i, name in enumerate(head):
        grid.add_column(name, justify="right" if i in right else "left", no_wrap=True)
    return grid


def _text(grid: Table) -> str:
    out = io.StringIO()
    Console(file=out, width=_WIDTH, color_system=None, highlight=False, markup=False).print(grid)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())
