"""Between the event loop and the gate: so many threads, so many who may wait, and no more.

The loop never decodes, hashes or writes a record; the pool never holds more than it may. What was
begun is finished and recorded, also when the service stops.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from initgate.gate import Gate
from initgate.model import Context, Decision
from initgate.service.metrics import Metrics, Step

_T = TypeVar("_T")


class Busy(Exception):
    """Every thread has work and as many requests wait as may."""


class Pool:
    """Runs a gate's work in threads.

    Args:
        gate: The gate.
        workers: Threads.
        waiting: How many may wait for one.
        metrics: What counts decisions and times; None to count nothing.
    """

    def __init__(
        self, gate: Gate, *, workers: int, waiting: int, metrics: Metrics | None = None
    ) -> None:
        self._gate = gate
        self._most = workers + waiting
        self._metrics = metrics
        self._taken = 0
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="initgate pool")

    @property
    def is_full(self) -> bool:
        """Whether the next one would be turned away."""
        return self._taken >= self._most

    async def inspect(self, image: object, *, context: Context) -> Decision:
        """:meth:`initgate.gate.Gate.inspect` in a thread.

        Raises:
            Busy: Too many wait.
        """
        return await self.run(partial(self.look, image, context))

    def look(self, image: object, context: Context) -> Decision:
        """The same in the thread that calls, which should be one of the pool."""
        started = time.perf_counter()
        decision = self._gate.inspect(image, context=context)
        if self._metrics is not None:
            self._metrics.decided(decision, took=time.perf_counter() - started)
        return decision

    async def run(self, work: Callable[[], _T]) -> _T:
        """Anything else that must not hold up the event loop.

        Args:
            work: It is called in a thread.

        Raises:
            Busy: Too many wait.
        """
        if self.is_full:
            raise Busy
        future = self._threads.submit(self._timed, work, time.perf_counter())
        self._change(+1)
        # Not when the caller is gone, but when the thread is done: only then is there room.
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._change, -1))
        return await asyncio.wrap_future(future)

    def _timed(self, work: Callable[[], _T], queued: float) -> _T:
        if self._metrics is not None:
            self._metrics.took(Step.WAIT, time.perf_counter() - queued)
        return work()

    def _change(self, by: int) -> None:
        self._taken += by
        if self._metrics is not None:
            self._metrics.taken(self._taken)

    async def close(self) -> None:
        """Waits until all that was begun or waits is done. No decision is left unrecorded."""
        await asyncio.to_thread(self._threads.shutdown)
