"""How much a source may bring, how long it may take, and how often it is asked again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much and how long, before a fetch is given up.

    Args:
        page_bytes: Of one answer, decompressed.
        batch_bytes: Of all pages of a batch.
        total_bytes: Of a whole fetch.
        pages: In a batch.
        gap_seconds: Without a byte.
        page_seconds: For one answer.
        total_seconds: For a whole fetch, waits between attempts included.
    """

    page_bytes: int = 1 << 26
    batch_bytes: int = 1 << 32
    total_bytes: int = 1 << 34
    pages: int = 20_000
    gap_seconds: float = 30.0
    page_seconds: float = 300.0
    total_seconds: float = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How often what may pass is tried again: 429, 5xx, connections that fail or are cut.

    Args:
        attempts: In all.
        first_wait_seconds: The longest wait before the second attempt; it doubles. Waits are drawn
            at random up to it, so that a fleet does not come back at once.
        longest_wait_seconds: At most; a server that asks for a longer one is not asked again.
        sleep: Waits.
        clock: Seconds that only grow.
    """

    attempts: int = 5
    first_wait_seconds: float = 2.0
    longest_wait_seconds: float = 120.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


BOUNDS = Bounds()
"""Of services with pages."""

PATIENCE = Patience()
