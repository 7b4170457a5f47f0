"""How a code is cut into bands, and how far to look in each so that nothing near is missed.

**The pigeonhole principle.** Cut codes into m bands and give band j a number of flips f_j. If two
codes differed in more than f_j bits in every band j, they would differ in at least Σ(f_j + 1) bits
in all. So with Σ(f_j + 1) = r + 1, codes within r of each other agree in some band to within f_j
flips (Norouzi, Punjani and Fleet 2012, "Fast search in Hamming space with multi-index hashing").
With r = m·s + a the first a + 1 bands get s flips and the others s - 1, where -1 means that the
band need not be looked at.

**The shuffle.** Neighbouring bits of a picture's hash go together, which would fill a few buckets
of a band and leave the rest empty. So a band takes bits from everywhere: position p of the shuffled
code holds bit ``159·p mod bits``. 159 is odd, so each bit comes once, for any power of two; and it
is near the golden section of 256, so a run of positions holds bits that lie far apart.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from initgate.model import Codes

STEP = 159
MAX_WIDTH = 26  # a bitmap of 8 MB a band
_CHUNK = 1 << 13  # codes that stay in the processor's cache


@dataclass(frozen=True, slots=True)
class Layout:
    """Codes of some bits in some bands, the first of which are a bit wider if need be.

    A *bucket* is a band and a value of its bits. All bands' buckets are numbered through.

    Args:
        bits: The width of a code, a power of two.
        bands: How many.
    """

    bits: int
    bands: int

    @property
    def widths(self) -> tuple[int, ...]:
        """The bits of each band, widest first."""
        narrow, wider = divmod(self.bits, self.bands)
        return (narrow + 1,) * wider + (narrow,) * (self.bands - wider)

    @property
    def first_buckets(self) -> tuple[int, ...]:
        """The number of each band's first bucket, and at last that of all buckets.

        Each is a multiple of its band's number of buckets, since wider bands come first.
        """
        return tuple(itertools.accumulate((1 << width for width in self.widths), initial=0))

    def flips(self, threshold: int) -> tuple[int, ...]:
        """How many bits may differ in each band, -1 for none to look at."""
        every, more = divmod(threshold, self.bands)
        return (every,) * (more + 1) + (every - 1,) * (self.bands - more - 1)

    def probes(self, threshold: int) -> int:
        """How many buckets a query looks into."""
        pairs = zip(self.widths, self.flips(threshold), strict=True)
        return sum(math.comb(width, n) for width, most in pairs for n in range(most + 1))

    def buckets(self, codes: Codes) -> NDArray[np.uint32]:
        """The bucket of each code in each band.

        Args:
            codes: uint8 ``[n, bits / 8]``, of few queries: a row of a table for each byte.

        Returns:
            uint32 ``[n, bands]``.
        """
        places = np.arange(self.bits // 8)
        found: NDArray[np.uint32] = _tables(self)[places, codes].sum(axis=1, dtype=np.uint32)
        return found

    def column(self, codes: Codes, band: int) -> NDArray[np.uint32]:
        """The bucket of each of many codes in one band; several times as fast.

        Args:
            codes: uint8 ``[n, bits / 8]``.
            band: Which.

        Returns:
            uint32 ``[n]``.
        """
        tables = np.ascontiguousarray(_tables(self)[:, :, band])
        places = np.flatnonzero(tables.any(axis=1))  # bytes that the band looks at
        filled = np.zeros(len(codes), np.uint32)
        for start in range(0, len(codes), _CHUNK):
            part = filled[start : start + _CHUNK]
            chunk = codes[start : start + _CHUNK, places].T.astype(np.intp, order="C")
            for values, table in zip(chunk, tables[places], strict=True):
                part += table.take(values, mode="wrap")
        return filled


@functools.cache
def _tables(layout: Layout) -> NDArray[np.uint32]:
    """What each value of each byte of a code adds to its bucket in each band.

    Returns:
        uint32 ``[bits / 8, 256, bands]``.
    """
    shares = np.zeros((layout.bits, layout.bands), np.uint32)  # of each bit
    position = 0
    for band, width in enumerate(layout.widths):
        for place in reversed(range(width)):
            shares[STEP * position % layout.bits, band] = 1 << place
            position += 1
    values = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.uint32)
    tables = np.stack([values @ shares[bit : bit + 8] for bit in range(0, layout.bits, 8)])
    tables[0] += np.array(layout.first_buckets[:-1], np.uint32)
    return tables


@functools.lru_cache(64)
def masks(layout: Layout, threshold: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What to look into: for each probe its band and the bits to flip in the code's bucket.

    Returns:
        int64 ``[probes]`` each.
    """
    pairs = zip(layout.widths, layout.flips(threshold), strict=True)
    flipped = [
        np.array([sum(chosen) for n in range(most + 1) for chosen in _choices(width, n)], np.int64)
        for width, most in pairs
    ]
    lengths = [len(one) for one in flipped]
    return np.repeat(np.arange(layout.bands), lengths), np.concatenate(flipped)


def _choices(width: int, number: int) -> itertools.combinations[tuple[int, ...]]:
    return itertools.combinations([1 << place for place in range(width)], number)
