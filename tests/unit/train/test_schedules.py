"""Learning-rate schedules: values by hand, torch's own schedulers, and properties over all of progress."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dojang.train.options import SCHEDULES as NAMES
from dojang.train.schedules import SCHEDULES, rate

progress = st.floats(0, 1)
names = st.sampled_from(NAMES)
VALUES = {
    "constant": [(0.0, 1.0), (0.37, 1.0), (1.0, 1.0)],
    "linear": [(0.0, 1.0), (0.25, 0.75), (1.0, 0.0)],
    "cosine": [(0.0, 1.0), (1 / 3, 0.75), (0.5, 0.5), (2 / 3, 0.25), (1.0, 0.0)],
    "onecycle": [(0.0, 0.04), (0.15, 0.52), (0.3, 1.0), (0.65, 0.5), (1.0, 0.0)],
    "step": [(0.0, 1.0), (0.4999, 1.0), (0.5, 0.1), (0.7499, 0.1), (0.75, 0.01), (1.0, 0.01)],
}


def test_the_names_that_can_be_chosen_are_those_there_are() -> None:
    assert tuple(SCHEDULES) == NAMES == tuple(VALUES)


@pytest.mark.parametrize(("name", "at", "value"), [(name, *pair) for name in VALUES for pair in VALUES[name]])
def test_values_by_hand(name: str, at: float, value: float) -> None:
    assert rate(name, at) == pytest.approx(value, abs=1e-12)


def torch_rates(make: object, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)  # type: ignore[operator]
    found = []
    for _ in range(steps + 1):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_torch_has_the_same_cosine_and_line() -> None:
    steps = 40
    cosine = torch_rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, steps, eta_min=0.1), steps)
    line = torch_rates(lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.25, total_iters=steps), steps)
    for i in range(steps + 1):
        assert rate("cosine", i / steps, final=0.1) == pytest.approx(cosine[i], abs=1e-9)
        assert rate("linear", i / steps, final=0.25) == pytest.approx(line[i], abs=1e-9)


def test_torch_has_the_same_onecycle() -> None:
    # torch's ends at initial_lr / final_div_factor; here that is 0.04 / 4e8, which is nothing
    steps = 100

    def make(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.OneCycleLR:
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            1.0,
            total_steps=steps + 2,
            pct_start=31 / (steps + 2),
            final_div_factor=4e8,
            cycle_momentum=False,
        )

    expected = torch_rates(make, steps)
    # torch puts the peak at step 30 and the end at step 101, one step behind progress 1
    assert [rate("onecycle", 0.3 * i / 30) for i in range(31)] == pytest.approx(expected[:31], abs=1e-9)
    assert [rate("onecycle", 0.3 + 0.7 * i / 71) for i in range(71)] == pytest.approx(expected[30:], abs=1e-6)


@given(names, progress, st.floats(0, 0.9), progress)
def test_a_rate_is_a_share(name: str, at: float, warmup: float, final: float) -> None:
    assert 0.0 <= rate(name, at, warmup, final) <= 1.0


@given(names, st.floats(0, 0.9), progress)
def test_the_final_rate_is_reached_and_the_highest_too(name: str, warmup: float, final: float) -> None:
    end = {"constant": 1.0, "step": final + 0.01 * (1 - final)}.get(name, final)
    assert rate(name, 1.0, warmup, final) == pytest.approx(end, abs=1e-12)
    peak = warmup + 0.3 * (1 - warmup) if name == "onecycle" else warmup
    assert rate(name, peak, warmup, final) == pytest.approx(1.0, abs=1e-9)


@given(names, st.floats(-10, 0) | st.floats(1, 10), st.floats(0, 0.9))
def test_progress_beyond_its_ends_is_cut(name: str, at: float, warmup: float) -> None:
    assert rate(name, at, warmup) == rate(name, min(max(at, 0.0), 1.0), warmup)


@given(st.floats(0.01, 0.9), progress)
def test_warmup_rises_in_a_line_from_nothing(warmup: float, share: float) -> None:
    for name in ("constant", "linear", "cosine", "step"):
        assert rate(name, share * warmup, warmup) == pytest.approx(share, abs=1e-9)


@given(st.sampled_from(["constant", "linear", "cosine"]), st.floats(0.05, 0.9))
def test_warmup_joins_the_schedule_without_a_jump(name: str, warmup: float) -> None:
    before, after = rate(name, math.nextafter(warmup, 0), warmup), rate(name, warmup, warmup)
    assert before == pytest.approx(1.0, abs=1e-9)
    assert after == pytest.approx(1.0, abs=1e-9)


@given(st.sampled_from(["constant", "linear", "cosine", "step"]), progress, progress, st.floats(0, 1))
def test_after_its_peak_a_rate_never_rises(name: str, one: float, other: float, final: float) -> None:
    early, late = sorted((one, other))
    assert rate(name, early, 0.0, final) >= rate(name, late, 0.0, final) - 1e-12


@given(st.sampled_from(["constant", "linear", "cosine", "onecycle"]), progress)
def test_no_schedule_but_step_jumps(name: str, at: float) -> None:
    # the steepest is onecycle's rise: 0.96 * pi / 2 over 0.3
    slope = 0.96 * math.pi / 2 / 0.3
    assert abs(rate(name, at) - rate(name, at + 1e-4)) <= 1.001 * slope * 1e-4


@given(progress, st.floats(0.01, 0.9), st.floats(0, 1))
def test_warmup_and_final_only_stretch_the_schedule(at: float, warmup: float, final: float) -> None:
    stretched = rate("cosine", warmup + at * (1 - warmup), warmup, final)
    assert stretched == pytest.approx(final + (1 - final) * rate("cosine", at), abs=1e-6)
