"""What Prometheus reads. No label tells an entry, a caller or an image.

With several workers, prometheus_client adds up what each wrote to files in a folder; it learns of
the folder from the environment, when it is first imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from initgate.gate import Gate
from initgate.model import Allowed, Decision, Reason

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Step(StrEnum):
    """A part of the time that an answer takes."""

    RECEIVE = "receive"
    """The body arrives."""

    WAIT = "wait"
    """For a thread."""

    DECIDE = "decide"
    """From image to decision."""

    RECORD = "record"
    """Until the decision is on disk, or counted."""

    ANSWER = "answer"
    """From a request's first byte to its last, with everything above and padding."""


class Metrics:
    """Counts and times.

    Args:
        gate: Whose lists are told of.
        clock: The present, in UTC.
        folder: Where the workers' files are; None for one worker.
    """

    def __init__(
        self, gate: Gate, *, clock: Callable[[], datetime], folder: Path | None = None
    ) -> None:
        self._lists = _Lists(gate, clock)
        self._folder = folder
        self._own = CollectorRegistry()
        self._decisions = Counter(
            "initgate_decisions",
            "Images decided about.",
            ["verdict", "reason"],
            registry=self._own,
        )
        self._seconds = Histogram(
            "initgate_step_seconds",
            "What answers take, by step.",
            ["step"],
            buckets=_SECONDS,
            registry=self._own,
        )
        self._requests = Counter(
            "initgate_requests",
            "Requests answered.",
            ["route", "status"],
            registry=self._own,
        )
        self._taken = Gauge(
            "initgate_pool_requests",
            "Requests that are looked at or wait.",
            registry=self._own,
            multiprocess_mode="livesum",
        )
        for reason in Reason:
            for verdict in ("allowed", "refused"):
                if verdict == "refused" or gate.policy.allows(reason):
                    self._decisions.labels(verdict, reason.value)
        for step in Step:
            self._seconds.labels(step.value)

    def decided(self, decision: Decision, *, took: float | None = None) -> None:
        """Counts a decision.

        Args:
            decision: The decision.
            took: Seconds, with the record; None for one that no image was looked at for.
        """
        verdict = "allowed" if isinstance(decision.verdict, Allowed) else "refused"
        self._decisions.labels(verdict, decision.reason.value).inc()
        if took is None:
            return
        self.took(Step.DECIDE, decision.took_ms / 1000)
        self.took(Step.RECORD, max(0.0, took - decision.took_ms / 1000))

    def took(self, step: Step, seconds: float) -> None:
        """Counts what a step took."""
        self._seconds.labels(step.value).observe(seconds)

    def answered(self, route: str, status: int) -> None:
        """Counts an answer.

        Args:
            route: The route's pattern or the dialect, never a path that somebody made up.
            status: HTTP's.
        """
        self._requests.labels(route, str(status)).inc()

    def taken(self, number: int) -> None:
        """Notes how many requests the pool holds."""
        self._taken.set(number)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        if self._folder is None:
            counted = generate_latest(self._own)
        else:
            together = CollectorRegistry()
            MultiProcessCollector(together, path=str(self._folder))  # type: ignore[no-untyped-call]  # it is untyped
            counted = generate_latest(together)
        lists = CollectorRegistry()
        lists.register(self._lists)
        return counted + generate_latest(lists)


class _Lists(Collector):
    """The lists, as they are when somebody asks. The same in every worker, but for a moment."""

    def __init__(self, gate: Gate, clock: Callable[[], datetime]) -> None:
        self._gate = gate
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        shelf, now = self._gate.shelf, self._clock()
        entries = GaugeMetricFamily("initgate_list_entries", "Entries.", labels=["list"])
        for name, number in shelf.entries.items():
            entries.add_metric([name], number)
        ages = GaugeMetricFamily(
            "initgate_list_age_seconds", "Since a list was known to be current.", labels=["list"]
        )
        for name, as_of in shelf.ages.items():
            if as_of is not None:
                ages.add_metric([name], (now - as_of).total_seconds())
        fit = GaugeMetricFamily(
            "initgate_fit", "1 if images are decided about, 0 if everything is refused."
        )
        fit.add_metric([], float(self._gate.doubts() is None))
        yield from (entries, ages, fit)
