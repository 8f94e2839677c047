"""`dojang report RUN`."""

from __future__ import annotations

from pathlib import Path

import click

from dojang import garbage
from dojang.cli.flags import Command, Flag
from dojang.cli.main import print_json
from dojang.errors import ConfigError


@garbage.unsearched()
def _report(
    run: str,
    lang: str,
    out: str | None,
    card: str | None,
    license: str,
    data: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    with garbage.importing():
        from dojang import files
        from dojang.cli.progress import reporter, say
        from dojang.report import report
        from dojang.report.report import Report
        from dojang.report.studied import Study
        from dojang.report.text import Words
        from dojang.study import study

    Words(lang)
    if (Path(run) / study.PLAN).exists():
        if card is not None or data is not None:
            raise ConfigError(
                "C200", "a study has no model card, and its page no pictures.", fix=f"dojang report {run}"
            )
        place = Study(run).write(out, lang)
        if as_json:
            print_json({"study": run, "page": str(place)})
        else:
            say(f"page  {place}")
        return
    made = Report(run, lang=lang, data=data, threads=threads)
    if card is not None:
        files.must_be_new(card, flag="--card", fix="--card ANOTHER.md")
        report.apart(card, out)
        text = made.card(license)
    told: dict[str, object] = {"run": str(made.story.folder)}
    lines = []
    if card is None or out is not None:
        # before any picture is read
        made.place(out)
        progress = reporter()
        place = made.write(out, tick=lambda done, total: progress.preparing("reading", done, total))
        progress.end()
        page = made.page()
        size = len(page.html.encode("utf-8", "surrogateescape"))
        told |= {"page": str(place), "bytes": size, "pictures": page.pictures, "notes": [*page.notes]}
        lines += [*page.notes, f"page  {place}   ({size / 1e6:.1f} MB, {page.pictures:,} pictures)"]
    if card is not None:
        files.write_text(card, text)
        told["card"] = card
        lines.append(f"card  {card}" + ("   (a card is in English)" if lang != "en" else ""))
    if as_json:
        print_json(told)
        return
    for line in lines:
        say(line)


command = Command(
    "report",
    callback=_report,
    help="RUN as one HTML page that needs no network: data, model, recipe, curves, scores with intervals, the "
    "confusion matrix with the pictures behind it, and the command that makes it again. It goes into the run folder.",
    params=[
        click.Argument(["run"]),
        Flag(["lang", "--lang"], default="en", metavar="en|ko", help="language of the page [en]"),
        Flag(["out", "--out"], metavar="FILE.html", help="the page; never overwritten [RUN/report.html, made anew]"),
        Flag(["card", "--card"], metavar="FILE.md",
             help="a model card for the Hugging Face hub in place of the page (with --out: beside it)"),
        Flag(["license", "--license"], default="unknown", metavar="NAME", help="of the model, for the card [unknown]"),
        Flag(["data", "--data"], metavar="DATA", help="where the pictures are, if they have moved"),
        Flag(["threads", "--threads"], type=click.IntRange(0, 256), help="that read pictures [one a core]"),
        Flag(["as_json", "--json"], is_flag=True, help="what was made, as JSON on stdout"),
    ],
)  # fmt: skip
