"""How much training there is: a number of epochs, or a time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """The end of training, and how far along a step is.

    Args:
        steps: Last step, for a budget in epochs; None for one in time.
        seconds: Length, for a budget in time; validation counts, the final evaluation does not.
        from_step, from_seconds: Where this budget began (a resumed run with a new one), else 0.
    """

    steps: int | None = None
    seconds: float | None = None
    from_step: int = 0
    from_seconds: float = 0.0

    def progress(self, step: int, elapsed: float) -> float:
        """The share of the budget that is used, in [0, 1].

        >>> Budget(steps=200).progress(50, elapsed=9.0), Budget(seconds=60.0).progress(50, elapsed=15.0)
        (0.25, 0.25)
        """
        if self.seconds is not None:
            share = (elapsed - self.from_seconds) / self.seconds
        else:
            share = (step - self.from_step) / max((self.steps or 0) - self.from_step, 1)
        return min(max(share, 0.0), 1.0)

    def spent(self, step: int, elapsed: float) -> bool:
        """Whether training ends before this step."""
        if self.seconds is not None:
            return elapsed - self.from_seconds >= self.seconds
        return step >= (self.steps or 0)
