"""What the page asks: the answers are the explanations' own, what is kept is bounded, and mistakes are told."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dojang.data.preprocess import Preprocess
from dojang.errors import ServeError
from dojang.explain import questions
from dojang.models.build import build
from dojang.predict.predictor import Predictor
from dojang.runs import train
from dojang.runs.recipe import read_layer
from dojang.serve import looking
from dojang.serve.looking import Looking, of_run

LABELS = ("one", "two", "three")


def network(name: str = "mnist-cnn") -> Predictor:
    net = build(name, in_channels=1, classes=3, image_size=(12, 12), seed=0)
    return Predictor(net, LABELS, Preprocess("L", 12, 12, mean=(0.5,), std=(0.5,)))


def png(seed: int = 0, side: int = 20) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def told(reply: looking.Reply) -> Any:
    # JSON as browsers read it has no NaN
    return json.loads(reply.body, parse_constant=lambda name: pytest.fail(name))


def test_a_picture_is_answered_and_asked_about() -> None:
    asked = Looking(network(), "net")
    first = told(asked.post(png()))
    sight = questions.look(network(), png(), "picture")
    assert first["answer"] == sight.answer.as_dict() and first["label"] is None
    assert (first["height"], first["width"]) == (20, 20) and first["frame"] == sight.frame.as_dict()

    def get(what: str, **query: str) -> Any:
        return told(asked.get(("pictures", first["id"], what), query))

    assert get("layers")["layers"] == json.loads(json.dumps([one.as_dict() for one in questions.layers(sight)]))
    heat = get("heat", **{"class": "two", "method": "layercam"})
    assert heat == json.loads(json.dumps(questions.heat(sight, "layercam", "two").as_dict()))
    assert get("heat")["method"] == "gradcam" and get("heat")["label"] == sight.answer.label
    assert get("maps", layer="conv1") == questions.maps(sight, "conv1").as_dict()
    through = get("xray", layer="conv2", channel="3", y="1", x="2")
    own = questions.xray(sight, "conv2", 3, 1, 2)
    assert through["unit"] == "conv2:3,1,2" and through["value"] == pytest.approx(own.value)
    assert through["result"] == pytest.approx(own.value, abs=1e-5)
    assert told(asked.get(("filters",), {"layer": "conv1"})) == questions.filters(sight, "conv1").as_dict()


def test_pictures_are_drawn() -> None:
    asked = Looking(network(), "net")
    key = told(asked.post(png(side=2000)))["id"]
    whole = Image.open(io.BytesIO(asked.get(("pictures", key), {}).body))
    seen = Image.open(io.BytesIO(asked.get(("pictures", key, "pixels"), {}).body))
    assert whole.size == (looking.DRAWN, looking.DRAWN) and seen.size == (12, 12) and seen.mode == "L"


def test_a_network_without_maps_is_asked_pixel_by_pixel() -> None:
    asked = Looking(network("mlp"), "net")
    key = told(asked.post(png()))["id"]
    assert told(asked.get(("pictures", key, "heat"), {}))["method"] == "integrated"


def test_a_maximised_picture_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, made = Looking(network(), "net"), []
    real = questions.maximise

    def once(*given: Any, **more: Any) -> Any:
        made.append(given[1:])
        return real(*given, steps=2)

    monkeypatch.setattr(questions, "maximise", once)
    first = asked.get(("maximise",), {"layer": "conv1", "channel": "1"})
    assert told(first)["picture"].startswith("data:image/png;base64,")
    assert asked.get(("maximise",), {"layer": "conv1", "channel": "1"}).body == first.body
    assert made == [("conv1", 1)]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Looking(network(), "net")
    keys = [told(asked.post(png(seed)))["id"] for seed in range(looking.PICTURES)]
    # one that was asked about is young again
    asked.get(("pictures", keys[0], "layers"), {})
    asked.post(png(99))
    asked.get(("pictures", keys[0]), {})
    with pytest.raises(ServeError, match=r"S616.*this picture is not kept any more.") as caught:
        asked.get(("pictures", keys[1]), {})
    assert caught.value.status == 404 and caught.value.fix == "send it again."
    for key in keys[2:8]:
        asked.get(("pictures", key, "layers"), {})
    assert sum("trace" in sight.__dict__ for sight in asked._sights.values()) == looking.TRACES
    # and by bytes: each of these has 1,200
    monkeypatch.setattr(looking, "BYTES", 3 * 1200)
    asked.post(png(100))
    assert len(asked._sights) == 3


@pytest.mark.parametrize(
    ("path", "query", "status", "told"),
    [
        (("nothing",), {}, 404, "S616.*there is no page/nothing"),
        (("pictures", "ID", "nothing"), {}, 404, "S616.*nothing is known of 'nothing'"),
        (("pictures", "ID", "maps"), {}, 400, "S617.*layer is missing"),
        (
            ("pictures", "ID", "xray"),
            {"layer": "conv1", "channel": "-1"},
            400,
            "S617.*channel is '-1'; expected a whole",
        ),
        (("pictures", "ID", "xray"), {"layer": "conv1", "channel": "9" * 99}, 400, "S617"),
        (("maximise",), {"layer": "conv1"}, 400, "S617.*channel is missing"),
        (("run",), {}, 404, "S616.*these weights have no run folder"),
    ],
)
def test_mistakes_are_told(path: tuple[str, ...], query: dict[str, str], status: int, told: str) -> None:
    asked = Looking(network(), "net")
    key = json.loads(asked.post(png()).body)["id"]
    with pytest.raises(ServeError, match=told) as caught:
        asked.get([key if part == "ID" else part for part in path], query)
    assert caught.value.status == status


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = {"model": "mnist-cnn", "epochs": 1, "project": str(tmp_path_factory.mktemp("runs")), "threads": 1}
    return train.begin("digits", [read_layer(given, "test")])


def test_a_run_has_its_report_and_pictures_to_begin_with(run: Path) -> None:
    predictor = Predictor.load(run / "weights" / "best.safetensors")
    asked = of_run(run, predictor, "digits", samples=True)
    assert told(asked.get(("about",), {}))["report"] is True
    page = asked.get(("run",), {"lang": "ko"})
    assert page.type == looking.HTML and '<html lang="ko"' in page.body.decode()[:200]
    samples = told(asked.get(("samples",), {}))["samples"]
    assert [one["label"] for one in samples] == list("0123456789")
    split = dict(line.split(",")[0:3:2] for line in (run / "splits.csv").read_text().splitlines()[1:])
    assert {split[one["name"]] for one in samples} == {"test"}
    first = told(asked.sample("4"))
    assert first["label"] == "4" and first["answer"]["source"] == samples[4]["name"]
    for wrong in ("10", "-1", "x"):
        with pytest.raises(ServeError, match="S616"):
            asked.sample(wrong)
    # nobody who may not see them does
    assert told(of_run(run, predictor, "digits").get(("samples",), {})) == {"samples": []}


def test_weights_alone_have_neither(run: Path, tmp_path: Path) -> None:
    (tmp_path / "alone.safetensors").write_bytes((run / "weights" / "best.safetensors").read_bytes())
    predictor = Predictor.load(tmp_path / "alone.safetensors")
    asked = of_run(tmp_path / "alone.safetensors", predictor, "alone", samples=True)
    assert told(asked.get(("about",), {}))["report"] is False
    assert told(asked.get(("samples",), {})) == {"samples": []}


def test_samples_of_many_classes_lie_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    from dojang.data.manifest import SplitRow
    from dojang.runs import pictures

    class Many:
        missing = None
        rows = tuple(SplitRow(f"{label:02}.png", f"{label:02}", "val", "", "") for label in range(40))

        def __init__(self, folder: Path) -> None: ...

        def thumbnails(self, paths: Any, side: int) -> dict[str, str]:
            return dict.fromkeys(paths, "data:,")

        def read(self, path: str) -> bytes | None:
            # one of them is gone
            return None if path == "08.png" else b""

    monkeypatch.setattr(pictures, "Pictures", Many)
    found = looking.samples_of(Path("run"))
    assert [one.label for one in found] == ["00", "04", "12", "16", "20", "24", "28", "32", "36"]
