"""What the page asks of one picture: its heat maps, its way through the layers, the sum behind any number.

No HTTP here: a question is a path, what stands behind its "?", and a body; the answer is bytes and their type.  Only
one thread may ask at a time, since networks are watched through hooks; so it has a network of its own, apart from the
one that answers ``/predict``.
"""

from __future__ import annotations

import io
import json
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dojang.errors import ConfigError
from dojang.explain import questions, target
from dojang.explain.options import DEFAULT, DEFAULT_DENSE, METHODS
from dojang.explain.sight import Sight
from dojang.predict.predictor import Predictor
from dojang.serve.refusals import refusal

#: pictures that are kept, and how many bytes of them; those that were asked about last
PICTURES, BYTES = 32, 256 * 2**20
#: of which so many have their way through the layers kept, which may be a hundred megabytes each
TRACES = 2
#: pictures made for units that are kept
MAXIMISED = 256
#: pictures to begin with, and their longer side
SAMPLES, SAMPLE_SIDE = 10, 96
#: sides of what the page draws, in pixels
DRAWN = 1024
#: numbers of a patch, kernel and products that are sent
TERMS = 4096

Query = Mapping[str, str]
JSON, PNG, HTML = "application/json", "image/png", "text/html; charset=utf-8"


@dataclass(frozen=True)
class Reply:
    """Bytes, and what they are."""

    body: bytes
    type: str = JSON


@dataclass(frozen=True)
class Sample:
    """A picture to begin with.

    Args:
        name: Of its file.
        label: The class it belongs to.
        data: As its file has it, or pixels.
        picture: Small, as a data address.
    """

    name: str
    label: str
    data: bytes | np.ndarray
    picture: str

    def as_dict(self) -> dict[str, Any]:
        """What the page needs of it, for JSON."""
        return {"name": self.name, "label": self.label, "picture": self.picture}


Samples = Sequence[Sample]


class Looking:
    """A network that can be asked about pictures.

    Args:
        predictor: The network; nobody else may use it meanwhile.
        name: What to call it.
        report: Makes the page of its run in a language; None where there is no run.
        samples: Finds pictures of the run's own to begin with; None where none are to be shown.

    Example:
        >>> from dojang.data.preprocess import Preprocess
        >>> from dojang.models.build import build
        >>> net = build("mnist-cnn", in_channels=1, classes=2, image_size=(12, 12), seed=0)
        >>> looking = Looking(Predictor(net, ("a", "b"), Preprocess("L", 12, 12, mean=(0.0,), std=(1.0,))), "net")
        >>> sorted(json.loads(looking.get(("about",), {}).body))
        ['labels', 'methods', 'name', 'report', 'size']
    """

    def __init__(
        self,
        predictor: Predictor,
        name: str,
        report: Callable[[str], str] | None = None,
        samples: Callable[[], Samples] | None = None,
    ) -> None:
        self._predictor, self._name, self._report = predictor, name, report
        self._find_samples = samples
        self._samples: Samples | None = None
        self._sights: OrderedDict[str, Sight] = OrderedDict()
        self._maximised: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._reports: dict[str, bytes] = {}

    def post(self, data: bytes, source: str = "picture") -> Reply:
        """Take a picture in, and say what it shows.

        Raises:
            DataError: D102 to D106 for what is no picture that can be read.
        """
        return self._taken(questions.look(self._predictor, data, source))

    def sample(self, number: str) -> Reply:
        """The same for one of the pictures to begin with. Raises S616."""
        known = self._known_samples()
        if not number.isascii() or not number.isdigit() or len(number) > 3 or int(number) >= len(known):
            raise refusal("S616", 404, f"there is no sample {number[:40]!r}.", fix="GET /page/samples lists them.")
        chosen = known[int(number)]
        return self._taken(questions.look(self._predictor, chosen.data, chosen.name), chosen.label)

    def _known_samples(self) -> Samples:
        if self._samples is None:
            self._samples = self._find_samples() if self._find_samples is not None else ()
        return self._samples

    def _taken(self, sight: Sight, label: str | None = None) -> Reply:
        key = secrets.token_urlsafe(12)
        self._sights[key] = sight
        self._forget()
        height, width = sight.original.shape[:2]
        told = {"id": key, "answer": sight.answer.as_dict(), "height": height, "width": width}
        told |= {"frame": sight.frame.as_dict(), "another_order": sight.order is not None, "label": label}
        return _json(told)

    def get(self, path: Sequence[str], query: Query) -> Reply:
        """Answer a question.

        Args:
            path: What stands behind ``/page/``, in parts.
            query: layer, channel, y, x, method, class, lang: as the question needs them.

        Raises:
            ServeError: S616 for a path, or a picture, that is not there; S617 for what is missing or no number.
            ConfigError: C203, C290 to C293 for what cannot be asked.
        """
        match tuple(path):
            case ("about",):
                return self._about()
            case ("samples",):
                return _json({"samples": [one.as_dict() for one in self._known_samples()]})
            case ("filters",):
                return _json(questions.filters(self._blank(), query.get("layer")).as_dict())
            case ("maximise",):
                return Reply(self._maximise(_word(query, "layer"), _number(query, "channel")))
            case ("run",):
                return self._page(query.get("lang", "en"))
            case ("pictures", key):
                return Reply(_png(self._of(key).original), PNG)
            case ("pictures", key, "pixels"):
                return Reply(_png(self._of(key).pixels), PNG)
            case ("pictures", key, what):
                sight = self._of(key)
                found = self._asked(sight, what, query)
                self._forget()
                return _json(found)
        raise refusal("S616", 404, f"there is no page/{'/'.join(path)[:80]}.", fix="GET / is the page.")

    def _asked(self, sight: Sight, what: str, query: Query) -> dict[str, Any]:
        match what:
            case "layers":
                return {"layers": [layer.as_dict() for layer in questions.layers(sight)]}
            case "heat":
                method = query.get("method") or _suited(sight)
                return questions.heat(sight, method, query.get("class"), query.get("layer") or None).as_dict()
            case "maps":
                return questions.maps(sight, _word(query, "layer")).as_dict()
            case "xray":
                y, x = (_number(query, name) if name in query else None for name in ("y", "x"))
                return questions.xray(sight, _word(query, "layer"), _number(query, "channel"), y, x).as_dict(TERMS)
        raise refusal("S616", 404, f"nothing is known of {what[:80]!r}.", fix="layers, heat, maps or xray.")

    def _about(self) -> Reply:
        prepare = self._predictor.preprocess
        return _json(
            {
                "name": self._name,
                "labels": list(self._predictor.labels),
                "size": [prepare.height, prepare.width, 1 if prepare.mode == "L" else 3],
                "methods": list(METHODS),
                "report": self._report is not None,
            }
        )

    def _blank(self) -> Sight:
        """A picture that nobody sent, for what does not depend on one."""
        if "" not in self._sights:
            p = self._predictor.preprocess
            self._sights[""] = questions.look(self._predictor, np.zeros((p.height, p.width, 3), np.uint8), "")
        self._sights.move_to_end("")
        return self._sights[""]

    def _of(self, key: str) -> Sight:
        if key not in self._sights:
            raise refusal("S616", 404, "this picture is not kept any more.", fix="send it again.")
        self._sights.move_to_end(key)
        return self._sights[key]

    def _forget(self) -> None:
        """Let go of what was asked about longest ago."""
        while len(self._sights) > PICTURES or (
            len(self._sights) > 1 and sum(one.original.nbytes for one in self._sights.values()) > BYTES
        ):
            self._sights.popitem(last=False)
        for sight in list(self._sights.values())[:-TRACES]:
            sight.__dict__.pop("trace", None)

    def _maximise(self, layer: str, channel: int) -> bytes:
        key = layer, channel
        if key not in self._maximised:
            found = questions.maximise(self._predictor, layer, channel).as_dict()
            self._maximised[key] = _json(found).body
            while len(self._maximised) > MAXIMISED:
                self._maximised.popitem(last=False)
        self._maximised.move_to_end(key)
        return self._maximised[key]

    def _page(self, lang: str) -> Reply:
        if self._report is None:
            raise refusal("S616", 404, "these weights have no run folder.", fix="dojang serve RUN, for its report.")
        lang = lang if lang in ("en", "ko") else "en"
        if lang not in self._reports:
            self._reports[lang] = self._report(lang).encode()
        return Reply(self._reports[lang], HTML)


def of_run(path: str | Path, predictor: Predictor, name: str, *, samples: bool = False) -> Looking:
    """The network of a run, with the run's report where there is a run folder.

    Args:
        samples: Whether pictures that it has not learned from may be shown to begin with.
    """
    from dojang.report.report import Report
    from dojang.runs import folder as names

    try:
        folder = names.find(path)
    except ConfigError as error:
        if error.code != "C215":
            raise
        # weights without the run that made them
        return Looking(predictor, name)
    return Looking(
        predictor,
        name,
        lambda lang: Report(folder, lang=lang).page().html,
        (lambda: samples_of(folder)) if samples else None,
    )


def samples_of(folder: Path) -> Samples:
    """Some pictures that a run has not learned from, of as many classes as there is room for; none where they are gone.

    Args:
        folder: Of the run.
    """
    from dojang.runs.pictures import Pictures

    found = Pictures(folder)
    if found.missing:
        return ()
    by_class: dict[str, list[str]] = {}
    for split in ("test", "val"):
        for row in found.rows:
            if row.split == split:
                by_class.setdefault(row.label, []).append(row.path)
        if by_class:
            break
    classes = sorted(by_class)
    # one of each class in turn, of classes that lie evenly where there are many
    labels = [classes[i * len(classes) // SAMPLES] for i in range(SAMPLES)] if len(classes) >= SAMPLES else classes
    chosen = [(label, by_class[label][0]) for label in labels]
    small = found.thumbnails((path for _, path in chosen), SAMPLE_SIDE)
    made = []
    for label, path in chosen:
        data = found.read(path) if path in small else None
        if data is not None:
            made.append(Sample(path, label, data, small[path]))
    return made


def _suited(sight: Sight) -> str:
    """The heat map that a network can have: by its last maps, or pixel by pixel where it has none."""
    try:
        target.best(sight.trace)
    except ConfigError as error:
        if error.code != "C290":
            raise
        return DEFAULT_DENSE[0]
    return DEFAULT[0]


def _json(found: Mapping[str, Any]) -> Reply:
    return Reply(json.dumps(found, ensure_ascii=False, allow_nan=False).encode())


def _png(pixels: np.ndarray) -> bytes:
    image = Image.fromarray(pixels.squeeze(-1) if pixels.shape[2:] == (1,) else pixels)
    image.thumbnail((DRAWN, DRAWN))
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _word(query: Query, name: str) -> str:
    if name not in query:
        raise refusal("S617", 400, f"{name} is missing.", fix=f"?{name}=...")
    return query[name]


def _number(query: Query, name: str) -> int:
    text = _word(query, name)
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise refusal("S617", 400, f"{name} is {text[:40]!r}; expected a whole number.", fix=f"?{name}=0")
    return int(text)
