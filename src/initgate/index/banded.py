"""An exact index of bands: multi-index hashing in flat arrays, without a loop over codes.

:mod:`initgate.index.layout` cuts the codes into bands and says why nothing is missed. All buckets
of all bands are numbered through; those that hold a code are packed:

    bitmap  a bit a bucket: is it empty?              uint64 [buckets / 64], least bit first
    ranks   buckets with codes before each word       uint32 [buckets / 64]
    starts  where in ``rows`` each bucket with codes begins, and at last the end of all
                                                      uint32 [buckets with codes + 1]
    rows    the codes' rows, bucket by bucket         uint32 [bands × n]

Where looking up would be more work than comparing with every code, that is done instead.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from initgate.index import cost
from initgate.index.flat import Flat
from initgate.index.hits import Hits
from initgate.index.layout import Layout, masks
from initgate.model import Codes

_PROBES_AT_ONCE = 1 << 19
_CANDIDATES_AT_ONCE = 1 << 17
_BITS_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """Which rows lie in which bucket.

    Args:
        layout: What a bucket is.
        bitmap: See the module.
        ranks: See the module.
        starts: See the module.
        rows: See the module.
    """

    layout: Layout
    bitmap: NDArray[np.uint64]
    ranks: NDArray[np.uint32]
    starts: NDArray[np.uint32]
    rows: NDArray[np.uint32]

    @classmethod
    def of(cls, codes: Codes, layout: Layout) -> Postings:
        """Sorts codes into buckets.

        Args:
            codes: uint8 ``[n, bits / 8]``.
            layout: How.
        """
        size = len(codes) * layout.bands
        bitmap = np.empty(layout.first_buckets[-1] // 64, np.uint64)
        starts = np.empty(size + 1, np.uint32)  # what is not filled takes no memory
        rows = np.empty(size, np.uint32)
        filled = 0
        for band in Band.each(codes, layout):
            bitmap[band.words] = band.bitmap
            starts[filled : filled + len(band.starts)] = band.starts
            rows[band.number * len(codes) : (band.number + 1) * len(codes)] = band.rows
            filled += len(band.starts)
        starts[filled] = size
        return cls(layout, bitmap, ranks_of(bitmap), starts[: filled + 1], rows)

    def find(self, buckets: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
        """Where the rows of some buckets lie.

        Args:
            buckets: int64 ``[p]``.

        Returns:
            For each bucket with codes: its place among ``buckets``, and its begin and end in
            ``rows``; int64 ``[b]`` each.
        """
        # take, here and below: on memory far away it is several times as fast as an index in [].
        words = self.bitmap.take(buckets >> 6)
        bits = np.uint64(1) << (buckets & 63).astype(np.uint64)
        filled = np.flatnonzero((words & bits).astype(np.bool_))
        before = np.bitwise_count(words.take(filled) & (bits.take(filled) - np.uint64(1)))
        ranks = self.ranks.take(buckets.take(filled) >> 6).astype(np.int64) + before
        begins, ends = self.starts.take(ranks), self.starts.take(ranks + 1)
        return filled, begins.astype(np.int64), ends.astype(np.int64)


def ranks_of(bitmap: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """How many bits are set before each word."""
    counts = np.bitwise_count(bitmap)
    ranks = np.cumsum(counts, dtype=np.uint32)
    ranks -= counts
    return ranks


def _bitmap(numbers: NDArray[np.uint32], size: int) -> NDArray[np.uint64]:
    """``size`` bits, a multiple of 64, of which those are set that sorted numbers tell."""
    words = np.empty(size // 64, np.uint64)
    for start in range(0, size, _BITS_AT_ONCE):
        bits = np.zeros(min(_BITS_AT_ONCE, size - start), np.bool_)
        first, last = np.searchsorted(numbers, (start, start + len(bits)))
        bits[numbers[first:last] - np.uint32(start)] = True
        packed = np.packbits(bits, bitorder="little").view("<u8")
        words[start // 64 : (start + len(bits)) // 64] = packed
    return words


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """One band's share of the postings.

    Args:
        number: Which band.
        words: Of the whole ``bitmap``, those of this band.
        bitmap: These words.
        starts: Of this band's buckets with codes, counted from the first row of all bands.
        rows: The codes' rows, bucket by bucket.
    """

    number: int
    words: slice
    bitmap: NDArray[np.uint64]
    starts: NDArray[np.uint32]
    rows: NDArray[np.uint32]

    @classmethod
    def each(cls, codes: Codes, layout: Layout) -> Iterator[Band]:
        """Sorts codes into buckets, band by band: one at a time takes little memory.

        Args:
            codes: uint8 ``[n, bits / 8]``.
            layout: How.
        """
        for number, (low, high) in enumerate(itertools.pairwise(layout.first_buckets)):
            # Bucket before row in one word: sorting is by bucket, then row, and needs no index.
            postings = layout.column(codes, number).astype(np.uint64)
            postings <<= np.uint64(32)
            postings |= np.arange(len(codes), dtype=np.uint64)
            postings.sort()
            rows = postings.astype(np.uint32)  # the low half
            postings >>= np.uint64(32)
            buckets = postings.astype(np.uint32)
            del postings
            changes = np.diff(buckets, prepend=np.uint32(0xFFFFFFFF))
            starts = np.flatnonzero(changes).astype(np.uint32)
            del changes
            used = buckets[starts]
            used -= np.uint32(low)
            del buckets
            bitmap = _bitmap(used, high - low)
            del used
            starts += np.uint32(number * len(codes))
            yield cls(number, slice(low // 64, high // 64), bitmap, starts, rows)


class Banded:
    """Codes of one list with their postings.

    Args:
        codes: uint8 ``[n, bits / 8]``, C-contiguous.
        postings: Of these codes.
    """

    def __init__(self, codes: Codes, postings: Postings) -> None:
        self.postings = postings
        self._flat = Flat(codes)
        self._words = codes.view(np.uint64)
        self._scan = cost.scan(len(codes), postings.layout.bits)

    def search(self, queries: Codes, threshold: int) -> Hits:
        """See :class:`initgate.index.hits.Engine`."""
        layout = self.postings.layout
        most = (self._scan - cost.probing(layout, threshold)) / cost.CANDIDATE
        at_once = _PROBES_AT_ONCE // layout.probes(threshold)
        if most <= 0 or not at_once:
            return self._flat.search(queries, threshold)
        parts = []
        for start in range(0, len(queries), at_once):
            chunk = queries[start : start + at_once]
            parts += [
                Hits(one.rows, one.queries + start, one.distances)
                for one in self._search(chunk, threshold, most)
            ]
        return Hits.joined(parts)

    def _search(self, queries: Codes, threshold: int, most: float) -> Iterator[Hits]:
        bands, flipped = masks(self.postings.layout, threshold)
        buckets = self.postings.layout.buckets(queries).astype(np.int64)[:, bands] ^ flipped
        places, begins, ends = self.postings.find(buckets.reshape(-1))
        asking = places // len(flipped)
        if len(places) and int((ends - begins).sum()) > most:
            # Some query may meet so many candidates that comparing with every code is quicker.
            totals = np.bincount(asking, weights=ends - begins, minlength=len(queries))
            scanned = np.flatnonzero(totals > most)
            found = self._flat.search(queries[scanned], threshold)
            yield Hits(found.rows, scanned[found.queries], found.distances)
            kept = totals[asking] <= most
            asking, begins, ends = asking[kept], begins[kept], ends[kept]
        words = queries.view(np.uint64)
        for places, rows in _gather(self.postings.rows, begins, ends):
            whose = asking.take(places)
            differing = self._words.take(rows, axis=0) ^ words.take(whose, axis=0)
            counts = np.bitwise_count(differing).astype(np.int64)
            distances = functools.reduce(np.add, counts.T)  # faster than a sum of few columns
            near = np.flatnonzero(distances <= threshold)
            yield Hits(rows[near].astype(np.int64), whose[near], distances[near])


def _gather(
    rows: NDArray[np.uint32], begins: NDArray[np.int64], ends: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint32]]]:
    """The rows of all ranges, some at a time: each with the place of its range, ``[c]``."""
    if not len(begins):
        return
    lengths = ends - begins
    totals = lengths.cumsum()
    shifts = ends - totals  # from a candidate's number to its place in ``rows``
    cuts = totals.searchsorted(np.arange(_CANDIDATES_AT_ONCE, totals[-1], _CANDIDATES_AT_ONCE))
    for first, last in itertools.pairwise([0, *cuts.tolist(), len(lengths)]):
        places = np.arange(first, last).repeat(lengths[first:last])
        numbers = np.arange(len(places)) + (totals[first] - lengths[first])
        yield places, rows.take(numbers + shifts.take(places))
