"""A study as one self-contained page, and as an object that a notebook shows."""

from __future__ import annotations

import base64
import math
import os
import stat
from importlib import resources
from pathlib import Path
from typing import Any

from markupsafe import Markup

import dojang
from dojang import files
from dojang.data.manifest import pasted, plain
from dojang.errors import ConfigError
from dojang.report import study_dots, study_heat, study_parallel, study_words, svg
from dojang.report.text import Words, number
from dojang.runs import folder as names
from dojang.study import drawings, results, study
from dojang.study.dimensions import has_squares
from dojang.study.plan import shown
from dojang.study.results import Line


class Study:
    """A study's folder: its table, and its page.

    Args:
        folder: What ``dojang study`` printed.

    Raises:
        ConfigError: C281 where it is no study, C223 where a file of it is broken.

    Example:
        >>> Study("photos")
        Traceback (most recent call last):
        dojang.errors.ConfigError: ConfigError[C281]: 'photos' is no study: it holds no study.yaml.
          Fix: give the folder that dojang study printed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.plan, self.settings, self.lines = study.table(self.folder)

    def page(self, lang: str = "en") -> str:
        """The text of the page. Raises ConfigError C202 for another language than "en" or "ko"."""
        from jinja2 import Environment, StrictUndefined

        t, plan = Words(lang), self.plan
        fields = [*(["variant"] if plan.variants else []), *plan.fields]
        room = resources.files("dojang.report")
        style, text = (room.joinpath(name).read_text("utf-8") for name in ("page.css", "study.html"))
        rows = [self._row(one, t) for one in self.lines]
        squares = has_squares(plan)
        said = [t("study_how") if len(plan.seeds) > 1 else t("study_one_seed")]
        said += [t("study_pruned")] if any(one.pruned for one in self.lines) else []
        made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        return made.from_string(text).render(
            t=t,
            version=dojang.__version__,
            style=style,
            name=plain(self.folder.resolve().name),
            title=plain(plan.title),
            about=plain(" ".join(plan.about.split())),
            count=plan.count,
            seeds=len(plan.seeds),
            data=plain(self.settings.data),
            score=t.brief(plan.score),
            split=t.split(self.settings.judge) if rows else "",
            fields=fields or [t("study_run")],
            rows=rows,
            bars=any(row["bar"] for row in rows),
            said=said,
            several=len(plan.seeds) > 1,
            heat=study_heat.heat(plan, self.lines, t) if rows and squares else None,
            dots=study_dots.dots(plan, self.lines, t) if rows and not squares else None,
            parallel=study_parallel.parallel(plan, self.lines, t) if rows else None,
            failed=[(plain(row.name), row.seed, plain(row.error)) for row in results.rows(self.folder) if row.error],
            inside=self._picture(results.INSIDE),
            drawings=self._drawings(),
            first=plan.seeds[0],
            command=f"dojang study {pasted(str(self.folder / study.PLAN))}",
            text="\n".join(map(plain, files.read_text(self.folder / study.PLAN).splitlines())),
        )

    def write(self, out: str | os.PathLike[str] | None = None, lang: str = "en") -> Path:
        """Write the page: to a new file, or to report.html in the study's folder, where an older one is replaced.

        Raises:
            ConfigError: C202 where something is there that is not to be overwritten.
        """
        place = self.folder / names.REPORT
        if out is not None:
            files.must_be_new(out, flag="--out", fix="--out ANOTHER.html")
            place = Path(out)
        elif os.path.lexists(place) and not names.is_report(place):
            what = f"{str(place)!r} is there already, and is no report of dojang's; it is not overwritten."
            raise ConfigError("C202", what, fix="--out ANOTHER.html")
        files.write_text(place, self.page(lang))
        return place

    def _drawings(self) -> list[dict[str, Any]]:
        """Name, pictures and lines of each drawing."""
        made = []
        for name, one in drawings.kept(self.folder).items():
            named = [file for file in one["files"] if Path(file).name == file and file.endswith(".png")]
            pictures = [picture for picture in map(self._picture, named) if picture]
            made.append({"name": plain(name), "pictures": pictures, "said": "\n".join(map(plain, one["said"]))})
        return made

    def _picture(self, name: str) -> str:
        """The address of a picture in the folder; "" for what is none.

        The folder may be somebody else's, and the page may be given away: what a link in it leads to is not shown.
        """
        try:
            # not followed, if it is a link; not waited for, if it is a pipe
            fd = os.open(self.folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            return ""
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return ""
            with open(fd, "rb", closefd=False) as file:
                content = file.read()
        finally:
            os.close(fd)
        return _address(content) if content.startswith(_PNG) else ""

    def _row(self, one: Line, t: Words) -> dict[str, Any]:
        over, plan = one.over, self.plan
        fields = [*([one.cell.variant] if plan.variants else [])]
        fields += [shown(one.cell.fields[name]) for name in plan.fields]
        fallen = ", ".join(study_words.fallen(one, t))
        told = over is not None and not math.isnan(over.low)
        bar: Markup | None = None
        if one.values and plan.score not in ("log_loss", "brier"):
            low, high = (over.low, over.high) if over and told else (None, None)
            bar = svg.bar(one.mean, low, high, f"{plain(one.cell.name)}: {number(one.mean)}", filled=False)
        return {
            "best": one.best,
            "fields": [plain(text) for text in fields] or ["–"],
            "n": f"{len(one.values)} ({fallen})" if fallen else str(len(one.values)),
            "mean": number(one.mean),
            "sd": number(over.sd) if over else "–",
            "interval": f"{number(over.low)} – {number(over.high)}" if over and told else "–",
            "bar": bar,
            "beside": self._beside(one, t),
        }

    def _beside(self, one: Line, t: Words) -> str:
        if one.best:
            return t("study_best")
        if one.against is None or math.isnan(one.against.difference):
            return ""
        difference = f"{one.against.difference:+.4f}"
        if math.isnan(one.against.corrected):
            return t("study_apart", difference=difference)
        key = "study_worse" if one.against.told_apart else "study_alike"
        return t(key, difference=difference, p=f"{one.against.corrected:.2g}")

    def _repr_html_(self) -> str:
        head = ["cell", "n", f"{self.settings.judge} {self.plan.score}", "95 %", "beside the best"]
        row, cell = Markup("<tr>{}</tr>"), Markup('<td style="text-align:left">{}</td>')
        lines = [row.format(Markup("").join(Markup("<th>{}</th>").format(one) for one in head))]
        for one in self.lines:
            told = [plain(one.cell.name), results.count(one), *results.spread(one), results.beside(one)]
            lines.append(row.format(Markup("").join(cell.format(text) for text in told)))
        table = Markup("<table>{}</table>").format(Markup("").join(lines)) if self.lines else Markup("")
        image = Markup('<p><img src="{}" alt="{}" style="max-width:100%"></p>')
        drawn = [image.format(picture, one["name"]) for one in self._drawings() for picture in one["pictures"]]
        return str(table + Markup("").join(drawn))

    def __repr__(self) -> str:
        best = next((one for one in self.lines if one.best), None)
        said = f": best {best.cell.name}, {number(best.mean)}" if best else ""
        return f"Study({str(self.folder)!r}{said})"


# how a PNG begins
_PNG = b"\x89PNG\r\n\x1a\n"


def _address(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
