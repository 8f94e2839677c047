"""What docs/own_data.md and docs/show.md say: the first example runs, and the picture is what is drawn today."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"


def test_the_class_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = re.findall(r"```python\n(.*?)```", (DOCS / "own_data.md").read_text("utf-8"), re.DOTALL)[0]
    (tmp_path / "example.py").write_text(text.replace("epochs=3", "epochs=1"))
    runpy.run_path("example.py")
    assert 0 <= float(capsys.readouterr().out) <= 1


def test_the_error_that_is_quoted() -> None:
    import dojang

    text = (DOCS / "own_data.md").read_text("utf-8")
    with pytest.raises(dojang.DataError) as caught:
        dojang.from_pairs((np.zeros((2, 3, 32, 32), np.uint8), [0, 1]))
    assert str(caught.value) in text


def test_the_picture_is_as_drawn_today() -> None:
    drawn = runpy.run_path(str(DOCS / "show" / "draw.py"))["picture"]()
    kept = np.asarray(Image.open(DOCS / "show" / "stages.png"))
    # other libraries of linear algebra round otherwise
    assert drawn.shape == kept.shape and np.abs(drawn.astype(int) - kept).max() <= 2
