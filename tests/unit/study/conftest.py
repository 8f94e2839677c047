"""Studies carried out in this process, where a process of their own would only take time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from dojang.study import engines
from dojang.study.work import Job, Outcome, carry_out


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs in this process, one after the other; the folders of those that were begun."""
    begun: list[str] = []

    def run(jobs: Sequence[Job], *, stopped: Callable[[], bool], **options: Any) -> Iterator[tuple[int, Outcome]]:
        for number, job in enumerate(jobs):
            begun.append(job.folder)
            yield number, Outcome("stopped") if stopped() else carry_out(job)

    monkeypatch.setattr(engines, "run", run)
    return begun
