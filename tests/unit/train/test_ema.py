"""Averaged weights against a loop over plain numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dojang.train.ema import Average


def network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3))
    return model.to(memory_format=torch.channels_last)


def move(model: nn.Module, draw: torch.Generator) -> None:
    """A made-up training step: every weight and statistic changes."""
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.add_(torch.randn(value.shape, generator=draw))
            else:
                value.add_(1)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
def test_every_number_follows_the_loop(decay: float) -> None:
    model = network()
    average = Average(model, decay)
    expected = {name: value.double().flatten().tolist() for name, value in model.state_dict().items()}
    draw = torch.Generator().manual_seed(1)
    for step in range(1, 31):
        move(model, draw)
        average.update(model, step)
        share = min(decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            now = value.double().flatten().tolist()
            if value.is_floating_point():
                now = [share * old + (1 - share) * new for old, new in zip(expected[name], now, strict=True)]
            expected[name] = now
    for name, value in average.model.state_dict().items():
        # thirty roundings to float32
        assert value.flatten().tolist() == pytest.approx(expected[name], rel=1e-5, abs=1e-5), name


def test_norms_are_averaged_and_counts_are_copied() -> None:
    model = network()
    average = Average(model, 0.5)
    with torch.no_grad():
        model[1].running_mean.fill_(8.0)
        model[1].num_batches_tracked.fill_(7)
    average.update(model, 1000)
    assert average.model[1].running_mean.tolist() == [4.0, 4.0]
    assert int(average.model[1].num_batches_tracked) == 7


def test_the_start_is_forgotten_early_on() -> None:
    model = nn.Linear(1, 1, bias=False)
    average = Average(model, 0.999)
    with torch.no_grad():
        average.model.weight.fill_(100.0)
        model.weight.fill_(0.0)
    average.update(model, 1)
    # the decay of step 1 is 2 / 11, and not 0.999
    assert float(average.model.weight) == pytest.approx(100 * 2 / 11)


def test_the_average_is_a_network_apart_that_only_evaluates() -> None:
    model = network()
    average = Average(model, 0.9)
    assert not average.model.training
    assert model.training
    assert not any(p.requires_grad for p in average.model.parameters())
    assert average.model[0].weight.is_contiguous(memory_format=torch.channels_last)
    before = model[0].weight.clone()
    with torch.no_grad():
        average.model[0].weight.zero_()
    assert torch.equal(model[0].weight, before)
    mine, theirs = average.model.state_dict(), model.state_dict()
    assert not {v.data_ptr() for v in mine.values()} & {v.data_ptr() for v in theirs.values()}


def test_an_average_of_equal_weights_is_those_weights() -> None:
    """A property: a network that stands still is its own average, to the bit."""
    model = network()
    average = Average(model, 0.7)
    for step in range(1, 20):
        average.update(model, step)
    theirs = model.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in average.model.state_dict().items())
