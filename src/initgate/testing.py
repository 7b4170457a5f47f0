"""The test kit, shipped so that integrators can test their wiring without any real list or photo.

Everything here is drawn or held in memory. Nothing is read from disk or network.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from initgate.audit.chain import Record, link
from initgate.hashing import hash_upright
from initgate.model import RGB, Algorithm, HashList, ListEntry, Reason


def scene(seed: int, *, height: int = 256, width: int = 320) -> RGB:
    """A drawn scene: a graded sky, hills, and discs and boxes in colours; the same for a seed.

    Two seeds give pictures that no hash takes for one another.

    Args:
        seed: Which scene.
        height: In pixels.
        width: In pixels.

    Returns:
        uint8 ``[height, width, 3]``.
    """
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : complex(height), 0 : 1 : complex(width)]
    top, bottom = random.uniform(0, 1, (2, 3))
    canvas = top + (bottom - top) * y[:, :, None]
    for _ in range(3):
        frequency, phase, level = (
            random.uniform(2, 7),
            random.uniform(0, 6),
            random.uniform(0.3, 0.9),
        )
        hill = y > level + 0.12 * np.sin(frequency * x * 3 + phase)
        canvas[hill] = canvas[hill] * 0.3 + random.uniform(0, 1, 3) * 0.7
    for _ in range(14):
        cx, cy = random.uniform(0, 1, 2)
        size = random.uniform(0.03, 0.2)
        is_disc = random.integers(2) == 0
        if is_disc:
            shape = (x - cx) ** 2 + (y - cy) ** 2 < size**2
        else:
            shape = (abs(x - cx) < size) & (abs(y - cy) < size * random.uniform(0.4, 1.6))
        canvas[shape] = random.uniform(0, 1, 3)
    drawn: RGB = np.rint(np.clip(canvas, 0, 1) * 255).astype(np.uint8)
    return drawn


def make_list(
    pictures: Sequence[RGB], *, name: str = "test", algorithm: Algorithm = Algorithm.PDQ
) -> HashList:
    """A list that holds some pictures, entries named ``0``, ``1``, …; no digests.

    Args:
        pictures: uint8 ``[height, width, 3]`` each.
        name: The list's name.
        algorithm: A perceptual one.
    """
    hashes = [hash_upright(picture, algorithm) for picture in pictures]
    entries = [
        ListEntry(algorithm, made.code, str(number), made.quality)
        for number, made in enumerate(hashes)
    ]
    return HashList.of(entries, name=name, algorithm=algorithm)


class MemorySink:
    """An audit sink in memory, chained like the real ones."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._counts: Counter[Reason] = Counter()
        self._lock = threading.Lock()

    def append(self, event: Mapping[str, object], *, is_durable: bool = True) -> None:
        """See :class:`initgate.audit.AuditSink`."""
        del is_durable  # memory never is
        with self._lock:
            self._records.append(link(event, after=self._records[-1] if self._records else None))

    def count(self, reason: Reason) -> None:
        """See :class:`initgate.audit.AuditSink`."""
        with self._lock:
            self._counts[reason] += 1

    def records(self) -> Iterator[Record]:
        """See :class:`initgate.audit.AuditSink`."""
        return iter(tuple(self._records))

    def last(self, number: int) -> list[Record]:
        """See :class:`initgate.audit.AuditSink`."""
        return self._records[-number:] if number else []

    def counts(self) -> dict[str, int]:
        """See :class:`initgate.audit.AuditSink`."""
        return {reason.value: number for reason, number in self._counts.items()}

    def close(self) -> None:
        """See :class:`initgate.audit.AuditSink`."""
