"""The whole bench on sizes that take no time, its file, and its table."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from dojang.bench import decoding, rates, run
from dojang.bench.options import BenchOptions
from dojang.bench.run import bench
from dojang.bench.table import table
from dojang.errors import ConfigError, ResourceError

OPTIONS = BenchOptions(imgsz=12, channels=1, classes=3, batch_size=4, threads=1, seconds=1e-3)


def shrink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rates, "_SIDE", {"cpu": 16})
    patch.setattr(rates, "_BATCH", {"cpu": 2})
    patch.setattr(rates, "_COPIED", {"cpu": 4096})
    patch.setattr(decoding, "PICTURES", 1)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch)


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        return bench("mlp", OPTIONS)


def figures(value: Any) -> list[dict[str, float]]:
    if isinstance(value, dict):
        return [value] if "median" in value else [f for part in value.values() for f in figures(part)]
    return [f for part in value for f in figures(part)] if isinstance(value, list) else []


def test_the_result_has_its_parts(result: dict[str, Any]) -> None:
    assert list(result) == ["format", "machine", "versions", "settings", "rates", "model"]
    assert result["format"] == 1
    assert result["machine"]["threads"] == 1
    assert result["machine"]["device"] == "cpu"
    assert {"cpu", "system", "keeps_memory"} <= set(result["machine"])
    assert result["versions"]["torch"] == torch.__version__
    assert set(result["versions"]) == {"dojang", "python", "torch", "numpy", "pillow"}
    assert result["settings"] == {"seconds": 1e-3}
    assert list(result["rates"]) == ["gemm", "convolution", "copy", "decode", "peak"]
    assert [len(result["rates"][name]) for name in ("gemm", "convolution", "copy", "decode")] == [2, 18, 1, 1]
    assert result["model"]["name"] == "mlp"
    assert len(result["model"]["speeds"]) == 8


def test_every_figure_has_its_spread(result: dict[str, Any]) -> None:
    found = figures(result)
    assert len(found) == 2 + 18 + 1 + 2 + 8
    for figure in found:
        assert list(figure) == ["n", "median", "min", "max"]
        assert 3 <= figure["n"] <= 7
        assert 0 < figure["min"] <= figure["median"] <= figure["max"]


def test_shares_are_of_the_peak_in_that_precision(result: dict[str, Any]) -> None:
    for precision in ("fp32", "bf16"):
        rows = [*result["rates"]["gemm"], *result["rates"]["convolution"]]
        best = max(row["tflop_per_s"]["median"] for row in rows if row["precision"] == precision)
        assert result["rates"]["peak"][f"{precision}_tflop_per_s"] == best
        for row in result["model"]["speeds"]:
            if row["precision"] == precision:
                assert row["share_of_peak"] == pytest.approx(row["tflop_per_s"] / best)


def test_nothing_is_left_changed(small: None) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    seen: list[int] = []
    bench("mnist-cnn", OPTIONS, tell=lambda *words: seen.append(torch.get_num_threads()))
    assert set(seen) == {1}
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_the_file_is_the_result(small: None, tmp_path: Path) -> None:
    path = tmp_path / "new" / "bench.json"
    result = bench("mlp", OPTIONS, out=path)
    assert json.loads(path.read_text()) == json.loads(json.dumps(result))
    assert [found.name for found in path.parent.iterdir()] == ["bench.json"]


@pytest.mark.parametrize("kind", ["folder", "below a file"])
def test_a_place_that_cannot_be_written_is_told_at_once(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_measure", lambda *more: pytest.fail("measured all the same"))
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot write") as caught:
        bench("mlp", OPTIONS, out=tmp_path if kind == "folder" else tmp_path / "file" / "a.json")
    assert caught.value.code == "R402"


def test_an_interrupt_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*more: Any) -> None:
        # nothing for a kill to leave behind, either
        assert list(tmp_path.iterdir()) == []
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_measure", interrupt)
    threads = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        bench("mlp", OPTIONS, out=tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []
    assert torch.get_num_threads() == threads


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="C230"):
        bench("mlp", BenchOptions(device="cuda:77"))


# The table


def test_the_table_fits_and_holds_the_figures(result: dict[str, Any]) -> None:
    text = table(result)
    lines = text.splitlines()
    assert max(map(len, lines[1:])) <= 80
    assert text.isascii()
    assert "…" not in text
    for words in ("matrix product 16x16", "3x3 256 to 256 at 7, weight gradient", "best: the peak", "copy in memory"):
        assert sum(words in line for line in lines) == 1
    assert sum("JPEG" in line for line in lines) == 1
    first = [line.split()[0] for line in lines[-8:]]
    assert first == ["training", "fp32", "bf16", "bf16", "inference", "fp32", "bf16", "bf16"]
    assert "not measured" not in text


def test_large_machines_fit_too(result: dict[str, Any]) -> None:
    fast = copy.deepcopy(result)
    for figure in figures(fast["rates"]["gemm"] + fast["rates"]["convolution"]):
        figure.update(median=987.6, min=900.1, max=999.4)
    for row in fast["model"]["speeds"]:
        row["images_per_s"].update(median=1234567.8, min=1111111.1, max=2222222.2)
    lines = table(fast).splitlines()
    assert max(map(len, lines[1:])) <= 80
    assert sum("900..999" in line for line in lines) == 10
    assert sum("1,111,111..2,222,222" in line for line in lines) == 8


def test_slow_machines_fit_too(result: dict[str, Any]) -> None:
    slow = copy.deepcopy(result)
    for figure in figures(slow["rates"]):
        figure.update(median=0.000123, min=0.0000123, max=0.0123)
    lines = table(slow).splitlines()
    assert max(map(len, lines[1:])) <= 80
    assert sum("<.001..0.012" in line for line in lines) == 10 + 2


def test_missing_figures_and_their_reasons(result: dict[str, Any]) -> None:
    broken = copy.deepcopy(result)
    long = "RuntimeError: " + "no kernel for it " * 8
    for row in broken["model"]["speeds"]:
        if row["precision"] == "bf16":
            row.update(images_per_s=None, tflop_per_s=None, share_of_peak=None, failed=long)
    broken["rates"]["copy"][0].update(gb_per_s=None, failed="out of memory")
    broken["rates"]["peak"]["bf16_tflop_per_s"] = None
    text = table(broken)
    assert max(map(len, text.splitlines()[1:])) <= 80
    told = text[text.index("not measured") :].split("\n\n")
    assert told[0] == "not measured: copy: out of memory"
    assert " ".join(told[1].split()).startswith("not measured: mlp training bf16 channels_last; mlp training bf16")
    assert " ".join(told[1].split()).endswith(" ".join(long.split()))
    (line,) = (line for line in text.splitlines() if line.startswith("copy in memory"))
    assert line.split()[3:5] == ["-", "-"]
