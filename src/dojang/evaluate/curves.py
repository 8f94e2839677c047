"""results.png: loss, score and learning rate over training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dojang.tasks.classify.pictures import png

# colour-blind-safe (Okabe and Ito)
_TRAIN, _VAL, _RATE = "#0072B2", "#D55E00", "#009E73"


def curves(results: Sequence[Mapping[str, str]], steps: Sequence[Mapping[str, str]]) -> bytes:
    """The curves of a run as PNG bytes, from the rows of results.csv and steps.csv."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.4), dpi=120, layout="constrained")
    loss, top1, rate = figure.subplots(1, 3)
    at = [int(row["step"]) for row in results]
    made = [int(row["step"]) for row in steps]
    loss.plot(made, [float(row["loss"]) for row in steps], color="0.75", linewidth=0.8, label="each step")
    for name, colour in (("train", _TRAIN), ("val", _VAL)):
        for axes, score in ((loss, "loss"), (top1, "top1")):
            if results and f"{name}/{score}" in results[0]:
                label = "training sample" if name == "train" else "validation"
                axes.plot(at, [float(row[f"{name}/{score}"]) for row in results], ".-", color=colour, label=label)
    rate.plot(made, [float(row["lr"]) for row in steps], color=_RATE)
    for axes, title in ((loss, "loss"), (top1, "top-1"), (rate, "learning rate")):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("step")
        axes.grid(alpha=0.25)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8)
    rate.set_ylim(bottom=0)
    return png(figure)
