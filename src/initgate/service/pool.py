"""Between the event loop and the gate: so many threads, so many who may wait, and no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from initgate.gate import Gate
from initgate.model import Context, Decision

_T = TypeVar("_T")


class Busy(Exception):
    """Every thread has work and as many requests wait as may."""


class Pool:
    """Runs a gate's work in threads.

    Args:
        gate: The gate.
        workers: Threads.
        waiting: How many may wait for one.
    """

    def __init__(self, gate: Gate, *, workers: int, waiting: int) -> None:
        self._gate = gate
        self._most = workers + waiting
        self._taken = 0
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="initgate pool")

    async def inspect(self, image: object, *, context: Context) -> Decision:
        """:meth:`initgate.gate.Gate.inspect` in a thread.

        Raises:
            Busy: Too many wait.
        """
        return await self.run(partial(self._gate.inspect, image, context=context))

    async def run(self, work: Callable[[], _T]) -> _T:
        """Anything else that must not hold up the event loop.

        Args:
            work: It is called in a thread.

        Raises:
            Busy: Too many wait.
        """
        if self._taken >= self._most:
            raise Busy
        self._taken += 1
        future = self._threads.submit(work)
        # Not when the caller is gone, but when the thread is done: only then is there room.
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave))
        return await asyncio.wrap_future(future)

    def _leave(self) -> None:
        self._taken -= 1

    async def close(self) -> None:
        """Waits until all that was begun or waits is done. No decision is left unrecorded."""
        await asyncio.to_thread(self._threads.shutdown)
