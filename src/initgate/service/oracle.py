"""What a verdict could tell beyond itself: by how long it takes, and by how often one may ask."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from initgate.config import BackoffSettings
from initgate.model import Allowed, Decision, Reason
from initgate.service.problems import Problem

# Of the image. A gate that refuses everything says nothing about who asks.
_COUNTED = frozenset({Reason.MATCH, Reason.UNREADABLE, Reason.ENCODED_INPUT})
_MOST_SUBJECTS = 100_000


async def pad(started: float, floor_ms: int) -> None:
    """Waits until a whole multiple of ``floor_ms`` has passed.

    Not only up to the first: an answer that took longer would tell by how much.

    Args:
        started: When the body was there, by the event loop's clock.
        floor_ms: 0 to wait for nothing.
    """
    if floor_ms:
        floor = floor_ms / 1000
        passed = asyncio.get_running_loop().time() - started
        await asyncio.sleep(math.ceil(passed / floor) * floor - passed)


@dataclass(slots=True)
class _Refusals:
    number: int
    until: float  # when the last one's wait is over, which may be none


class Backoff:
    """Lets those wait who are refused again and again. Safe to use from several threads.

    Each process counts for itself.

    Args:
        after: Refusals that cost nothing; 0 to let nobody wait.
        seconds: The first wait; the next are twice as long each.
        max_seconds: The longest wait, and how long refusals are remembered.
        stopwatch: Seconds of a monotonic clock.
    """

    def __init__(
        self, *, after: int, seconds: float, max_seconds: float, stopwatch: Callable[[], float]
    ) -> None:
        self._after = after
        self._seconds = seconds
        self._max_seconds = max_seconds
        self._stopwatch = stopwatch
        self._lock = threading.RLock()
        self._refusals: OrderedDict[tuple[str, str], _Refusals] = OrderedDict()

    @classmethod
    def of(cls, settings: BackoffSettings) -> Backoff:
        """As a table of the configuration says."""
        return cls(
            after=settings.backoff_after,
            seconds=settings.backoff_seconds,
            max_seconds=settings.backoff_max_seconds,
            stopwatch=time.monotonic,
        )

    def admit(self, who: tuple[str, str]) -> None:
        """Lets somebody ask, or go on.

        Args:
            who: The key's name and the subject; for the proxy, as it names its clients.

        Raises:
            Problem: 429 while they have to wait.
        """
        with self._lock:
            known = self._refusals.get(who)
            left = known.until - self._stopwatch() if known else 0.0
        if left > 0:
            raise Problem(429, "too many refusals", retry_after=math.ceil(left))

    def settle(self, who: tuple[str, str], *decisions: Decision) -> None:
        """Counts the decisions of a request before they are told.

        Raises:
            Problem: 429, they have to wait since they asked. So who asks many times at once learns
                no more than in turn.
        """
        with self._lock:
            try:
                self.admit(who)
            finally:
                for one in decisions:
                    self.note(who, one)

    def note(self, who: tuple[str, str], decision: Decision) -> None:
        """Counts a decision, if it is the refusal of an image."""
        if not self._after or isinstance(decision.verdict, Allowed):
            return
        if decision.reason not in _COUNTED:
            return
        with self._lock:
            now = self._stopwatch()
            known = self._refusals.pop(who, None)
            is_old = known is None or now - known.until > self._max_seconds
            number = 1 if is_old or known is None else known.number + 1
            self._refusals[who] = _Refusals(number, now + self._wait(number))
            while len(self._refusals) > _MOST_SUBJECTS:
                self._refusals.popitem(last=False)

    def _wait(self, number: int) -> float:
        """Seconds, for so many refusals."""
        beyond = number - self._after
        if beyond < 0:
            return 0.0
        # Beyond 2 ** 60 seconds is beyond any longest wait.
        return min(self._seconds * 2.0 ** min(beyond, 60), self._max_seconds)
