"""Steps in parts: the same gradient as from the whole batch, and running statistics that move as far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from dojang.data.loader import Pictures
from dojang.runs import recipe, train
from dojang.runs.session import Session
from dojang.train.log import read_table
from dojang.train.loop import norms_over
from dojang.train.micro import norms_over as defined

# 80 of 90 pictures to train on; the last batch of an epoch is smaller
TINY: dict[str, Any] = {
    "model": "cnn",
    "conv_dims": "3,4",
    "hidden_dims": "6",
    "batch_norm": False,
    "dropout": 0,
    "epochs": 2,
    "batch_size": 30,
    "val": 10,
    "optimizer": "sgd",
    "lr": 0.05,
    "threads": 1,
    "precision": "fp32",
}


def weights(data: Path, project: Path, **options: Any) -> tuple[dict[str, torch.Tensor], list[float]]:
    layer = recipe.read_layer(TINY | {"project": str(project)} | options, "test")
    folder = train.begin(str(data), [layer])
    losses = [float(row["loss"]) for row in read_table(folder / "steps.csv")]
    return safetensors.torch.load_file(folder / "weights" / "last.safetensors"), losses


@pytest.fixture(autouse=True)
def unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that end with training: no pictures, no intervals."""
    monkeypatch.setattr(Session, "finish", lambda self: {})


@pytest.mark.parametrize("options", [{}, {"l1": 1e-3, "label_smoothing": 0.2, "clip": 0.3}], ids=["plain", "penalties"])
def test_a_step_in_parts_is_the_whole_step(
    stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    """Batches of 30, 30 and 20 in parts of at most 7: parts of 6 to 7, of which each counts by its pictures."""
    whole, losses = weights(stripes, tmp_path, **options)
    sizes: list[list[int]] = []
    real = Pictures.parts

    def noted(self: Pictures, size: int | None) -> list[Pictures]:
        found = real(self, size)
        sizes.append([len(part) for part in found])
        return found

    monkeypatch.setattr(Pictures, "parts", noted)
    parts, others = weights(stripes, tmp_path, micro_batch=7, **options)
    assert sizes == [[6, 6, 6, 6, 6], [6, 6, 6, 6, 6], [7, 7, 6]] * 2
    assert others == pytest.approx(losses, rel=1e-6)
    assert len(set(losses)) == 6
    for name, value in whole.items():
        # six steps in fp32, whose sums are made in another order
        torch.testing.assert_close(parts[name], value, rtol=0, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")


def test_a_part_as_large_as_the_batch_is_the_batch(stripes: Path, tmp_path: Path) -> None:
    whole, _ = weights(stripes, tmp_path, batch_norm=True, epochs=1)
    same, _ = weights(stripes, tmp_path, batch_norm=True, epochs=1, micro_batch=30)
    other, _ = weights(stripes, tmp_path, batch_norm=True, epochs=1, micro_batch=10)
    assert all(torch.equal(same[name], value) for name, value in whole.items())
    # normalisation by the part is another training
    assert not torch.equal(other["conv1.weight"], whole["conv1.weight"])


@pytest.mark.parametrize("momentum", [0.1, 0.4, 1.0])
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_running_statistics_move_as_far(momentum: float, parts: int) -> None:
    """Of parts that are all alike they are those of the whole: the old ones count 1 - momentum either way."""
    part = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 + 5
    norm = nn.BatchNorm2d(3, momentum=momentum)
    with defined(norm, parts):
        for _ in range(parts):
            norm(part)
    assert norm.momentum == momentum
    mean = momentum * part.mean(dim=(0, 2, 3))
    var = (1 - momentum) + momentum * part.var(dim=(0, 2, 3))
    torch.testing.assert_close(norm.running_mean, mean, rtol=1e-5, atol=0)
    torch.testing.assert_close(norm.running_var, var, rtol=1e-5, atol=0)


def test_momentum_is_put_back_after_an_exception() -> None:
    model = nn.Sequential(nn.BatchNorm2d(2, momentum=0.3), nn.Sequential(nn.BatchNorm1d(2)), nn.BatchNorm3d(2))
    with pytest.raises(KeyError), defined(model, 4):
        assert model[0].momentum == pytest.approx(1 - 0.7**0.25)
        assert model[1][0].momentum == pytest.approx(1 - 0.9**0.25)
        assert model[2].momentum == pytest.approx(1 - 0.9**0.25)
        raise KeyError
    assert (model[0].momentum, model[1][0].momentum, model[2].momentum) == (0.3, 0.1, 0.1)


def test_norms_that_average_all_they_saw_are_left_alone() -> None:
    """momentum None is a mean over all batches, 0 keeps the statistics: neither has a share to divide."""
    model = nn.Sequential(nn.BatchNorm2d(2, momentum=None), nn.BatchNorm2d(2, momentum=0.0), nn.InstanceNorm2d(2))
    with defined(model, 4):
        assert [layer.momentum for layer in model] == [None, 0.0, 0.1]
    assert [layer.momentum for layer in model] == [None, 0.0, 0.1]
    assert norms_over is defined
