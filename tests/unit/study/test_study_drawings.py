"""Drawings of a study: checked when its file is read, made when its runs are done, a study in themselves."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

import dojang
from dojang import recipe
from dojang.cli.main import main
from dojang.errors import ConfigError, TrainError
from dojang.recipe import option
from dojang.report.studied import Study
from dojang.study import drawings, study
from dojang.study.drawings import Drawing, Drawn, Scene
from dojang.study.plan import Plan, read, read_file
from dojang.train.guard import Stopped

# a picture of one grey pixel
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c6368000000820081d736e7d30000000049454e44ae426082"
)
ALONE = "format: 1\ntitle: A circle\nabout: Look at it.\ndraw: {circle: {radii: [1, 2.5], words: [a, b]}}\n"


@dataclass(frozen=True)
class Circle(Drawing):
    """What a drawing has to be."""

    radii: tuple[float, ...] = option((1.0,), "of circles", above=0)
    words: tuple[str, ...] = option((), "below them")
    signal: int = option(0, "that somebody sends meanwhile")

    def check(self, plan: Plan) -> None:
        if len(self.radii) > 3:
            raise ConfigError("C280", "four circles are too many.")

    def cost(self, plan: Plan) -> str:
        return "three strokes"

    def draw(self, scene: Scene) -> Drawn:
        if self.signal:
            os.kill(os.getpid(), self.signal)
            raise Stopped(scene.stop.signal)
        done = sum(row.status == "done" for row in scene.rows.values())
        said = (f"radii {self.radii}", f"{len(scene.cells)} cells, {done} runs", "<b>" + "x" * 70)
        return Drawn({"circle.png": PIXEL, "circle.csv": "radius\n1\n"}, said)


@pytest.fixture(autouse=True)
def circle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(drawings.NAMES, "circle", f"{__name__}:Circle")


def test_settings_are_read_with_the_file_and_written_back() -> None:
    found = read(ALONE, "x.yaml")
    assert found.draw == {"circle": Circle((1.0, 2.5), ("a", "b"))}
    assert not found.trains and found.count == 0 and found.cells() == []
    assert read(recipe.dump_yaml(found.as_dict()), "y.yaml") == found
    both = read("data: digits\ngrid: {lr: [0.1, 0.2]}\ndraw: {circle: }", "x.yaml")
    assert both.trains and both.count == 2 and both.draw == {"circle": Circle()}
    assert read(recipe.dump_yaml(both.as_dict()), "y.yaml") == both


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("draw: {circel: {}}", "C280", "unknown drawing 'circel' in x.yaml, draw. Did you mean 'circle'?"),
        ("draw: {circle: {radi: [1]}}", "C280", "unknown setting 'radi' in x.yaml, draw, circle. Did you mean 'radii'"),
        ("draw: {circle: {radii: [0]}}", "C202", "x.yaml, draw, circle: radii cannot be [0]"),
        ("draw: {circle: {radii: [1, 2, 3, 4]}}", "C280", "four circles are too many."),
        ("draw: {circle: 3}", "C280", "x.yaml, draw, circle is 3; expected its settings."),
        ("draw: [circle]", "C280", "x.yaml, draw is ['circle']; expected lines of 'name: value'."),
        ("data: digits\ndraw: {circle: {}}", "C280", "the study has data, and nothing that is trained"),
        ("inside: true\ndraw: {circle: {}}", "C280", "the study has inside, and nothing that is trained"),
        ("drow: {circle: {}}", "C280", "unknown entry 'drow' in x.yaml. Did you mean 'draw'?"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_drawing_is_said_before_anything_begins(text: str, code: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text, "x.yaml")
    assert caught.value.code == code and said in str(caught.value)


def test_a_study_of_drawings_alone(tmp_path: Path) -> None:
    file = tmp_path / "round.yaml"
    file.write_text(ALONE)
    folder = study.begin(read_file(file), source=file, project=tmp_path / "out", name="round")
    # no run, no table, no pictures that were divided
    made = {"study.yaml", "state.json", "circle.png", "circle.csv", "drawings.json"}
    assert {path.name for path in folder.iterdir() if path.name != ".lock"} == made
    assert drawings.kept(folder)["circle"]["said"][:2] == ["radii (1.0, 2.5)", "0 cells, 0 runs"]
    # made again, also after somebody lost it
    (folder / "circle.png").unlink()
    study.resume(folder)
    assert (folder / "circle.png").read_bytes() == PIXEL
    file.write_text(ALONE.replace("2.5", "3"))
    with pytest.raises(ConfigError, match="C282"):
        study.resume(folder)
    assert repr(Study(folder)) == f"Study({str(folder)!r})"


def test_drawings_come_after_the_runs(stripes: Path, tmp_path: Path) -> None:
    tiny = {"model": "mnist-cnn", "conv_dims": (3,), "hidden_dims": (6,), "epochs": 1, "val": 60, "familiar": False}
    plan = Plan(data=str(stripes), recipe=tiny, seeds=(0, 1), draw={"circle": Circle()})
    folder = study.begin(plan, project=tmp_path, jobs=1)
    assert drawings.kept(folder)["circle"]["said"][1] == "1 cells, 2 runs"
    assert (folder / "table.md").exists()
    # of one combination there is no field to name
    html = Study(folder).page()
    assert html.index("<code>run</code>") < html.index("Drawing: circle") and "Combinations: 1." in html


def test_stopped_while_it_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(drawings.NAMES, "again", f"{__name__}:Circle")
    plan = Plan(data="", draw={"circle": Circle(), "again": Circle(signal=int(signal.SIGTERM))})
    with pytest.raises(TrainError, match=r"T320.*stopped by signal 15; what was done is kept") as caught:
        study.begin(plan, project=tmp_path)
    assert caught.value.exit_code == 143 and caught.value.fix == f"dojang study --resume {tmp_path / 'study'}"
    assert list(drawings.kept(tmp_path / "study")) == ["circle"]


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("round.yaml").write_text(ALONE)
    assert main(["study", "round.yaml", "--dry-run"]) == 0
    told = capsys.readouterr()
    assert "draw: circle; nothing is trained" in told.err and "plan:" not in told.err
    assert told.out.splitlines() == [
        "circle: three strokes",
        "nothing is trained: it takes seconds; nothing was kept",
    ]
    assert not Path("runs").exists()
    assert main(["study", "round.yaml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["radii (1.0, 2.5)", "0 cells, 0 runs"]
    assert lines[3:] == ["circle  circle.png, circle.csv", "study  runs/study/round"]
    assert main(["study", "--resume", "runs/study/round", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cells"] == [] and found["judge"] is None
    assert found["drawings"]["circle"]["files"] == ["circle.png", "circle.csv"]
    for words in (["digits"], ["--epochs", "3"], ["--seeds", "2"], ["--grid", "lr=0.1"], ["--prune"]):
        assert main(["study", "round.yaml", *words]) == 2
        told = capsys.readouterr()
        word = "DATA" if words == ["digits"] else words[0]
        assert f"C200]: the study round.yaml trains nothing, it draws circle: {word} is not for it." in told.err


def test_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = study.begin(read(ALONE, "x.yaml"), project=tmp_path)
    assert main(["report", str(folder)]) == 0
    html = (folder / "report.html").read_text("utf-8")
    assert html.count("data:image/png;base64,") == 1 and "Drawing: circle" in html and "&lt;b&gt;xxx" in html
    assert "Nothing was trained" in html and "Combinations" not in html and "0 combinations" not in html
    assert "학습 없이" in Study(folder).page("ko") and "Nothing was" not in Study(folder).page("ko")
    # a notebook shows the picture, and no table that is empty
    shown = dojang.Study(folder)._repr_html_()
    assert shown.count("data:image/png;base64,") == 1 and "<table" not in shown
    # what the folder of a stranger calls a picture is looked for in it alone
    (tmp_path / "secret.png").write_bytes(b"secret")
    kept = json.loads((folder / "drawings.json").read_text())
    kept["drawings"]["circle"]["files"] = ["../secret.png"]
    (folder / "drawings.json").write_text(json.dumps(kept))
    assert "data:image" not in Study(folder).page()


def test_the_page_of_studies_tells_every_drawing_and_setting() -> None:
    page = (Path(__file__).parents[3] / "docs" / "studies.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.MULTILINE))
    for name in drawings.NAMES:
        if name != "circle":
            settings = {one.name for one in dataclasses.fields(drawings.kind(name, "the test"))}
            assert settings <= set(re.findall(r"`(\w+)`", rows[name])), name


def test_what_is_kept_of_drawings_may_be_broken(tmp_path: Path) -> None:
    folder = study.begin(read(ALONE, "x.yaml"), project=tmp_path)
    (folder / "drawings.json").write_text('{"format": 1, "drawings": [1]}')
    with pytest.raises(ConfigError, match=r"C223.*drawings.json.*is not as dojang wrote it"):
        dojang.Study(folder).page()
    (folder / "drawings.json").write_text('{"format": 2}')
    with pytest.raises(ConfigError, match=r"C213.*newer dojang \(format 2\)"):
        drawings.kept(folder)
    study.resume(folder)
    assert list(drawings.kept(folder)) == ["circle"]
