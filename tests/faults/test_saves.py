"""T2, T3, T4, T14: a save either happens whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dojang import files
from dojang.errors import ResourceError, TrainError
from dojang.train.ema import Average
from dojang.train.state import Keeper, State, pack, tensors_of

STEPS = ("_open", "_write", "_sync", "_close", "_replace", "_sync_folder")


def state_of(step: int = 0, seed: int = 0) -> State:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))
    model = model.to(memory_format=torch.channels_last)
    state = State(model, torch.optim.Adam(model.parameters(), fused=True), Average(model, 0.9))
    for _ in range(2):
        state.optimizer.zero_grad()
        model(torch.randn(5, 2, 4, 4)).square().sum().backward()
        state.optimizer.step()
    state.counters.step = step
    return state


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_every_call_that_can_fail_fails_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """T3, as SQLite tests itself: the n-th call fails, for n = 1, 2, ... until a save meets no fault."""
    keeper = Keeper(tmp_path)
    keeper.save(state_of(1))
    good = (tmp_path / "step-1.safetensors").read_bytes()
    n = 0
    while True:
        n += 1
        calls = 0
        fired = False

        def failing(name: str) -> Any:
            real = getattr(files, name)

            def call(*args: Any) -> Any:
                nonlocal calls, fired
                calls += 1
                if calls == n:  # noqa: B023 (called at once)  # noqa: B023 (called at once)
                    fired = True
                    if name == "_close":
                        real(*args)
                    raise OSError(number, os.strerror(number))
                if name == "_write":
                    return real(args[0], args[1][:500])
                return real(*args)

            return call

        with monkeypatch.context() as patch:
            for name in STEPS:
                patch.setattr(files, name, failing(name))
            try:
                keeper.save(state_of(2))
            except ResourceError as error:
                assert error.exit_code == 4
                assert "step-1.safetensors is intact" in error.context
                if number == errno.ENOSPC:
                    assert error.code == "R401"
                    assert "needs at least" in error.what
                    assert "free on" in error.what
        assert (tmp_path / "step-1.safetensors").read_bytes() == good
        assert not list(tmp_path.glob(".*"))
        found = state_of(seed=5)
        Keeper(tmp_path).load(found)
        assert found.counters.step in (1, 2)
        if not fired:
            break
        (tmp_path / "step-2.safetensors").unlink(missing_ok=True)
    assert n > 10


def test_the_order_of_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """T4: write beside, flush, rename, flush the folder; nothing touches the old file before."""
    seen: list[tuple[str, str]] = []
    for name in STEPS:
        real = getattr(files, name)

        def call(*args: Any, name: str = name, real: Any = real) -> Any:
            seen.append((name, Path(args[0]).name if isinstance(args[0], Path) else ""))
            return real(*args)

        monkeypatch.setattr(files, name, call)
    files.write_bytes(tmp_path / "a.bin", b"123")
    temporary = f".a.bin.{os.getpid()}.dojang-tmp"
    assert seen == [
        ("_open", temporary),
        ("_write", ""),
        ("_sync", ""),
        ("_close", ""),
        ("_replace", temporary),
        ("_sync_folder", tmp_path.name),
    ]


def test_a_real_limit_on_file_size(tmp_path: Path) -> None:
    """T3 with the system's own refusal: RLIMIT_FSIZE in a child."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "from dojang import files; from dojang.errors import ResourceError;"
        "files.write_bytes(sys.argv[1], b'old');"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        "\ntry: files.write_bytes(sys.argv[1], b'x' * 5000)"
        "\nexcept ResourceError as error: print(error.code, error.exit_code)"
    )
    path = tmp_path / "a.bin"
    out = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["R401", "4"]
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_damaged_states_are_seen_and_passed_over(tmp_path: Path) -> None:
    """T14: any flipped byte and any cut is seen; the state before is used, and that is said."""
    keeper = Keeper(tmp_path)
    keeper.save(state_of(1))
    keeper.save(state_of(2))
    path = tmp_path / "step-2.safetensors"
    good = path.read_bytes()
    draw = random.Random(0)
    expected = pack(state_of(1))
    for trial in range(100):
        data = bytearray(good)
        if trial % 4 == 0:
            data = data[: draw.randrange(len(good))]
        else:
            data[draw.randrange(len(good))] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        found = state_of(seed=3)
        passed = keeper.load(found)
        if found.counters.step == 2:
            # a flip that JSON reads the same (white space at the header's end) changes nothing
            assert pack(found) == pack(state_of(2))
            continue
        assert found.counters.step == 1
        assert "step-2.safetensors is damaged" in passed[0]
        assert pack(found) == expected
    for p in tmp_path.iterdir():
        p.write_bytes(b"")
    with pytest.raises(TrainError, match=r"T313\]: .* holds no whole state"):
        keeper.load(state_of())


def test_a_state_of_another_network_is_refused(tmp_path: Path) -> None:
    Keeper(tmp_path).save(state_of(1))
    model = nn.Linear(2, 3)
    with pytest.raises(TrainError, match=r"T314\]: step-1.safetensors belongs to another network"):
        Keeper(tmp_path).load(State(model, torch.optim.SGD(model.parameters())))


def test_optimizer_state_takes_the_parameters_memory_format(tmp_path: Path) -> None:
    Keeper(tmp_path).save(state_of(1))
    found = state_of(seed=9)
    Keeper(tmp_path).load(found)
    weight = found.model[0].weight
    momentum = found.optimizer.state[weight]["exp_avg"]
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert momentum.stride() == weight.stride()
    expected = tensors_of(state_of(1))
    assert all(torch.equal(value, expected[name]) for name, value in tensors_of(found).items())


def test_only_the_last_two_states_are_kept(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    for step in (0, 10, 9, 100):
        keeper.save(state_of(step))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-10.safetensors", "step-100.safetensors"]


def killed_runs(trials: int, stripes: Path, tmp_path: Path) -> list[dict[str, Any]]:
    nursery = Path(__file__).with_name("nursery.py")
    out = subprocess.run(
        [sys.executable, str(nursery), str(stripes), str(tmp_path), str(trials)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert out.returncode == 0, out.stderr[-3000:]
    return [json.loads(line) for line in out.stdout.splitlines()]


def check_killed(found: list[dict[str, Any]], trials: int) -> None:
    assert len(found) == trials
    assert all(trial["killed"] for trial in found)
    assert [trial for trial in found if not trial["equal"]] == []
    assert [trial["stray"] for trial in found if trial["stray"]] == []
    # the kills hit every kind of call
    assert {trial["call"] for trial in found} == {"_open", "_write", "_sync", "_replace", "_sync_folder"}


def test_killed_inside_saves(stripes: Path, tmp_path: Path) -> None:
    """T2: kill -9 inside a save; the resumed run is bit-equal, and nothing stray is left."""
    check_killed(killed_runs(20, stripes, tmp_path), 20)


@pytest.mark.slow
def test_killed_inside_saves_200_times(stripes: Path, tmp_path: Path) -> None:
    check_killed(killed_runs(200, stripes, tmp_path), 200)
