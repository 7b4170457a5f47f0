"""What an engine answers: which rows are near which queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from initgate.model import Codes


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """Pairs of a row and a query within the threshold. A pair may stand there more than once.

    Args:
        rows: int64 ``[h]``.
        queries: int64 ``[h]``.
        distances: In bits, int64 ``[h]``.
    """

    rows: NDArray[np.int64]
    queries: NDArray[np.int64]
    distances: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: Sequence[Hits]) -> Hits:
        """All hits of some answers; none of no answers."""
        nothing = np.zeros(0, np.int64)
        return cls(
            np.concatenate([nothing, *(one.rows for one in parts)]),
            np.concatenate([nothing, *(one.queries for one in parts)]),
            np.concatenate([nothing, *(one.distances for one in parts)]),
        )

    def nearest(self, lengths: NDArray[np.int64]) -> Hits:
        """Each row once, with the first of its nearest queries.

        Args:
            lengths: What to go by in place of the distances, int64 ``[h]``.
        """
        order = np.lexsort((self.queries, lengths, self.rows))
        rows = self.rows[order]
        first = order[np.diff(rows, prepend=-1) != 0]
        return self.only(first)

    def only(self, which: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Hits:
        """Some of them, by number, mask or place."""
        return Hits(self.rows[which], self.queries[which], self.distances[which])


@runtime_checkable
class Engine(Protocol):
    """Searches the codes of one list, or of several joined. Immutable, safe in several threads."""

    def search(self, queries: Codes, threshold: int) -> Hits:
        """Every row within the threshold (bits, inclusive) of any query.

        Args:
            queries: uint8 ``[q, bits / 8]``, C-contiguous.
            threshold: 0 or more. Engines of digests take only what is equal.
        """
        ...
