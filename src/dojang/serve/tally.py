"""What the service counts, as Prometheus reads it: https://prometheus.io/docs/instrumenting/exposition_formats/."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Tally:
    """Requests by status, and how long they took.

    Example:
        >>> tally = Tally()
        >>> tally.count(200, 0.002)
        >>> print(tally.text([])[-2])
        dojang_request_seconds_sum 0.002
    """

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {}
        self._buckets = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0

    def count(self, status: int, seconds: float) -> None:
        """One request to /predict; 499 stands for a client that left."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self._buckets[bisect_left(BUCKETS, seconds)] += 1
        self._seconds += seconds

    def text(self, gauges: Iterable[tuple[str, str, str, float]]) -> list[str]:
        """Lines.

        Args:
            gauges: Name, type, help and value of what is counted elsewhere.
        """
        lines = []
        for name, kind, told, value in gauges:
            lines += [f"# HELP dojang_{name} {told}", f"# TYPE dojang_{name} {kind}", f"dojang_{name} {value:g}"]
        lines += ["# HELP dojang_requests_total Requests to /predict, by status; 499: the client left."]
        lines += ["# TYPE dojang_requests_total counter"]
        lines += [f'dojang_requests_total{{status="{code}"}} {n}' for code, n in sorted(self.statuses.items())]
        lines += ["# HELP dojang_request_seconds From a request's headers to its answer."]
        lines += ["# TYPE dojang_request_seconds histogram"]
        total = 0
        for bound, n in zip([*map(str, BUCKETS), "+Inf"], self._buckets, strict=True):
            total += n
            lines.append(f'dojang_request_seconds_bucket{{le="{bound}"}} {total}')
        return [*lines, f"dojang_request_seconds_sum {self._seconds:g}", f"dojang_request_seconds_count {total}"]
