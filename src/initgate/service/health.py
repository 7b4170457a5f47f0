"""Whether the gate may be relied on: the canary is looked up, but not at every question."""

from __future__ import annotations

import asyncio
import time

from initgate.gate import Gate

_EVERY_SECONDS = 5.0


class Health:
    """Of a gate.

    Args:
        gate: The gate.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._lock = asyncio.Lock()
        self._proved = False
        self._looked = float("-inf")

    async def reasons(self) -> list[str]:
        """Why it may not be relied on, for the operator; empty if it may."""
        async with self._lock:  # many who ask at once wait for one look
            if time.monotonic() - self._looked > _EVERY_SECONDS:
                # Beside the pool: a service that is busy is well.
                self._proved = await asyncio.to_thread(self._gate.prove)
                self._looked = time.monotonic()
        found = [] if self._proved else ["canary: the self-test does not find its picture"]
        if doubts := self._gate.doubts():
            reason, detail = doubts
            found.append(f"{reason}: {detail}")
        return found
