"""Exact digests, looked up whole. No table of Python objects: 4.5 bytes an entry beside the codes.

The first bits of a digest are spread evenly, so they are the number of its bucket as they are, and
a bucket holds about six. ``starts`` tells where each bucket begins in ``rows``, and at last the end
of all. Digests chosen to fill one bucket cost time, and are found all the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from initgate.index.hits import Hits
from initgate.model import Codes

_HEAD = 32  # bits of the beginning that tell the bucket
_SPARSE = 3  # a bucket for every 4 to 8 digests


@dataclass(frozen=True, slots=True, eq=False)
class Digests:
    """Digests of one list.

    Args:
        codes: uint8 ``[n, bits / 8]``.
        starts: uint32 ``[buckets + 1]``; buckets are a power of two.
        rows: uint32 ``[n]``, bucket by bucket.
    """

    codes: Codes
    starts: NDArray[np.uint32]
    rows: NDArray[np.uint32]

    @classmethod
    def of(cls, codes: Codes) -> Digests:
        """Sorts digests into buckets."""
        width = bucket_bits(len(codes))
        # Head before row in one word: sorting is by head, then row, and needs no index.
        order = _heads(codes) << np.uint64(_HEAD)
        order |= np.arange(len(codes), dtype=np.uint64)
        order.sort()
        edges = np.arange(1 << width, dtype=np.uint64) << np.uint64(2 * _HEAD - width)
        starts = np.append(np.searchsorted(order, edges), len(codes)).astype(np.uint32)
        return cls(codes, starts, order.astype(np.uint32))  # the low half

    def search(self, queries: Codes, threshold: int) -> Hits:
        """See :class:`initgate.index.hits.Engine`."""
        del threshold  # a digest is equal or it is another
        shift = np.uint64(_HEAD - bucket_bits(len(self.codes)))
        parts = []
        for query, bucket in enumerate(_heads(queries) >> shift):
            begin, end = (int(one) for one in self.starts[int(bucket) : int(bucket) + 2])
            rows = self.rows[begin:end]
            if len(rows) != end - begin:  # a slice would hide it
                raise IndexError(f"rows {begin} to {end} of {len(self.rows)}")
            same = (self.codes.take(rows, axis=0) == queries[query]).all(axis=1)
            found = rows[same].astype(np.int64)
            parts.append(Hits(found, np.full_like(found, query), np.zeros_like(found)))
        return Hits.joined(parts)


def bucket_bits(number: int) -> int:
    """How many bits tell the bucket among some digests."""
    return min(_HEAD, max(0, number.bit_length() - _SPARSE))


def _heads(codes: Codes) -> NDArray[np.uint64]:
    heads = np.ascontiguousarray(codes[:, : _HEAD // 8]).view(">u4").reshape(-1)
    return heads.astype(np.uint64)
