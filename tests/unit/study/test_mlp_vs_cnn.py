"""Dense network against convolutions, with pixels in their places and in one fixed order: the studies, and their runs
compared picture by picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from dojang.cli.main import main
from dojang.models import weights
from dojang.models.build import shaped
from dojang.study import engines, named
from dojang.study.work import Job, Outcome, carry_out


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_networks_are_of_about_one_size_and_differ_in_nothing_else() -> None:
    plain, permuted = named.plan("mlp-vs-cnn"), named.plan("mlp-vs-cnn-permuted")
    assert plain.variants == {"mlp": {"model": "mlp"}, "cnn": {"model": "mnist-cnn"}} == permuted.variants
    assert permuted.recipe == plain.recipe and permuted.grid == {"permute_pixels": (False, True)} and not plain.grid
    # 784 x 128 + 128 + 128 x 10 + 10; and 9 x 32 + 32, 9 x 32 x 64 + 64, 3136 x 32 + 32, 32 x 10 + 10
    for name, wanted in (("mlp", 101_770), ("mnist-cnn", 320 + 18_496 + 100_384 + 330)):
        network = shaped(name, in_channels=1, classes=10, image_size=(28, 28))
        assert sum(parameter.numel() for parameter in network.parameters()) == wanted
        assert f"{wanted:,}" in plain.about


def test_on_a_small_set_and_their_runs_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(jobs: Sequence[Job], *, stopped: Callable[[], bool], **options: Any) -> Iterator[tuple[int, Outcome]]:
        for number, job in enumerate(jobs):
            yield number, carry_out(job)

    # processes of their own would take most of the time
    monkeypatch.setattr(engines, "run", run)
    monkeypatch.chdir(tmp_path)
    assert main(["study", "mlp-vs-cnn-permuted", "digits", "--epochs", "1", "--seeds", "1", "--jobs", "1"]) == 0
    told = capsys.readouterr()
    lines = {" ".join(line.split()[:3]): line for line in told.out.splitlines()[1:5]}
    assert set(lines) == {f"{name}, permute_pixels {on}" for name in ("mlp", "cnn") for on in ("on", "off")}
    assert sum(line.endswith("best") for line in lines.values()) == 1
    place = Path("runs/study/mlp-vs-cnn-permuted")
    cells = [place / f"cell-0{number}" / "seed-0" for number in (1, 2, 3, 4)]
    known = [weights.card_of(cell / "weights/best.safetensors") for cell in cells]
    assert [card.preprocess.get("permute_pixels") for card in known] == [None, True, None, True]
    # the same pictures, whatever order a network is shown their pixels in
    for one, other in ((0, 1), (1, 2)):
        assert main(["compare", str(cells[one]), str(cells[other]), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        (pair,) = found["comparisons"]
        right = [{picture["path"] for picture in pair[f"{which}_only_right"]} for which in ("first", "second")]
        assert (found["split"], found["n"]) == ("test", 180) and not right[0] & right[1]
        assert pair["both_right"] + pair["both_wrong"] + len(right[0]) + len(right[1]) == 180
        assert pair["differences"]["top1"]["value"] == pytest.approx((len(right[1]) - len(right[0])) / 180)
        tops = [one["scores"]["top1"] for one in found["runs"]]
        assert tops[1] - tops[0] == pytest.approx(pair["differences"]["top1"]["value"])
    # a cell, or the whole study, is several runs
    for folder in (place / "cell-01", place):
        assert main(["compare", str(folder), str(place / "cell-02")]) == 2
        said = capsys.readouterr().err
        assert f"ConfigError[C215]: '{folder}' is no run folder: it is of a study, and holds several runs." in said
        assert f"Fix: name one of them, such as {place}/cell-01/seed-0\n" in said
