"""A report as an object: shown in a notebook, or written to a file."""

from __future__ import annotations

import html
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dojang import files
from dojang.data.manifest import plain
from dojang.errors import ConfigError
from dojang.report import card, page, story
from dojang.report.page import Page
from dojang.report.text import Words
from dojang.runs import folder as names
from dojang.runs.api import Run


def apart(card: str, out: str | None) -> None:
    """Refuse one place for the card and the page. Raises ConfigError C202."""
    if out is not None and os.path.realpath(card) == os.path.realpath(out):
        raise ConfigError(
            "C202",
            f"--card and --out are the same file, {plain(card)!r}: one would replace the other.",
            fix="--card README.md --out report.html",
        )


class Report:
    """The page of a run, and its model card.

    Use it to hand a run to somebody: the page holds everything that is to be seen, in one file without a network. It
    also holds thumbnails of the pictures and the path that they were read from.

    Args:
        run: A run, its folder, or anything in it; a cross-validation, too.
        lang: "en" or "ko".
        data: Where the pictures are, if they are elsewhere now, or were given in Python: a path or a manifest.
        threads: That read pictures; None takes one a core.

    Raises:
        ConfigError: C215 where it is no run folder, C223 where a file of it is broken, C202 for another language.

    Example:
        >>> Report("photos")
        Traceback (most recent call last):
        dojang.errors.ConfigError: ConfigError[C215]: 'photos' is no run folder: there is nothing of that name.
          Fix: give the folder that training printed, such as runs/classify/train.
    """

    def __init__(
        self, run: Run | str | os.PathLike[str], *, lang: str = "en", data: Any = None, threads: int | None = None
    ) -> None:
        # another language is refused before anything is read
        Words(lang)
        self.story = story.read(run.path if isinstance(run, Run) else Path(run))
        self.lang, self._data, self._threads = lang, data, threads
        self._page: Page | None = None

    def page(self, tick: Callable[[int, int], None] = lambda done, total: None) -> Page:
        """The page; it is made once. ``tick`` is told how many pictures were read, and of how many."""
        if self._page is None:
            self._page = page.make(self.story, self.lang, pictures=self._data, threads=self._threads, tick=tick)
        return self._page

    def card(self, license: str = "unknown") -> str:
        """The text of a model card for the Hugging Face hub, in English; see :func:`dojang.report.card.card`."""
        return card.card(self.story, license)

    def write(
        self,
        out: str | os.PathLike[str] | None = None,
        *,
        tick: Callable[[int, int], None] = lambda done, total: None,
    ) -> Path:
        """Write the page.

        Args:
            out: A new file; None for report.html in the run folder, where an older report of dojang's is replaced.

        Raises:
            ConfigError: C202 where something is there that is not to be overwritten.
        """
        place = self.place(out)
        files.write_text(place, self.page(tick).html)
        return place

    def place(self, out: str | os.PathLike[str] | None = None) -> Path:
        """Where the page would be written, sure to be free. Raises ConfigError C202."""
        if out is not None:
            files.must_be_new(out, flag="--out", fix="--out ANOTHER.html")
            return Path(out)
        place = self.story.folder / names.REPORT
        if os.path.lexists(place) and not names.is_report(place):
            raise ConfigError(
                "C202",
                f"{str(place)!r} is there already, and is no report of dojang's; it is not overwritten.",
                fix="--out ANOTHER.html",
            )
        return place

    def _repr_html_(self) -> str:
        # a frame of its own: neither the page's style nor the notebook's reaches into the other
        inside = html.escape(self.page().html, quote=True)
        return f'<iframe srcdoc="{inside}" style="width:100%;height:44rem;border:1px solid #8886"></iframe>'

    def __repr__(self) -> str:
        return f"Report({str(self.story.folder)!r}, lang={self.lang!r})"
