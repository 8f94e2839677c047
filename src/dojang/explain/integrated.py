"""Each pixel's share of a score, by the gradients on the straight way from an empty picture to this one.

Source: Sundararajan, Taly, Yan, "Axiomatic Attribution for Deep Networks", ICML 2017, arXiv:1703.01365: the shares sum
to the difference of the two pictures' scores (completeness), which is checked here and said.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dojang.errors import ConfigError
from dojang.explain.heat import Heat
from dojang.explain.sight import Sight

#: of the difference of the scores, that the sum of the shares may be off
WITHIN = 0.01
_FIRST, _MOST = 32, 1024
_AT_ONCE = 2**20
_LEVELS = {"black": 0, "grey": 128, "white": 255}


def integrated(sight: Sight, baseline: str = "black", most: int = _MOST) -> Heat:
    """Integrate the gradient from an empty picture to this one, in as many steps as it takes to come out right.

    Steps are doubled, from 32 on, until the shares sum to the difference of the scores within 1 %; that, and how many
    it took, is among the facts.

    Args:
        baseline: "black", "grey" or "white", every pixel; or "mean", that of the training pictures.
        most: Steps at most.

    Raises:
        ConfigError: C203 for another baseline.
    """
    empty = _empty(sight, baseline)
    with torch.no_grad():
        ends = sight.scores(torch.cat([empty, sight.image]))[:, sight.target].double().tolist()
    change = ends[1] - ends[0]
    steps = _FIRST
    while True:
        shares = _shares(sight, empty, steps)
        gap = float(shares.sum()) - change
        if abs(gap) <= WITHIN * abs(change) or 2 * steps > most:
            break
        steps *= 2
    facts = {
        "baseline": baseline,
        "steps": steps,
        "score": ends[1],
        "score_of_baseline": ends[0],
        "sum_of_shares": float(shares.sum()),
        "complete": abs(gap) <= WITHIN * abs(change),
    }
    values = shares.sum(dim=0).float().cpu().numpy()
    return Heat("integrated", sight.label, values, sight.frame, smooth=False, facts=facts)


def _shares(sight: Sight, empty: Float[Tensor, "1 c h w"], steps: int) -> Float[Tensor, "c h w"]:
    """The difference of the pictures times the mean gradient in the middles of some steps; float64."""
    away = sight.image - empty
    total = torch.zeros_like(away, dtype=torch.float64)
    some = max(1, _AT_ONCE // away[0, 0].numel())
    middles = (torch.arange(steps, device=away.device, dtype=torch.float32) + 0.5) / steps
    for part in torch.split(middles, some):
        between = (empty + part[:, None, None, None] * away).requires_grad_(True)
        with torch.enable_grad():
            score = sight.scores(between)[:, sight.target].sum()
            gradient = torch.autograd.grad(score, between)[0]
        total += gradient.double().sum(dim=0)
    return (away.double() * total / steps)[0]


def _empty(sight: Sight, baseline: str) -> Float[Tensor, "1 c h w"]:
    if baseline == "mean":
        return torch.zeros_like(sight.image)
    if baseline not in _LEVELS:
        raise ConfigError("C203", f"unknown baseline {baseline!r}.", context=f"Known: {', '.join([*_LEVELS, 'mean'])}.")
    same = dataclasses.replace(sight, pixels=np.full_like(sight.pixels, _LEVELS[baseline]))
    return same.image
