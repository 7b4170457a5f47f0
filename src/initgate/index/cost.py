"""What a search costs, from which follow the number of bands and whether bands pay at all.

With n codes in m bands of b_j bits, a query within r bits looks into P(m, r) buckets
(:meth:`Layout.probes`), and if codes are spread evenly meets Σ_j P_j · n / 2^b_j candidates, whose
distances it must count:

    banded(m) = FIXED + PROBE · P + CANDIDATE · Σ_j P_j · n / 2^b_j
    flat      = SCAN · n · bits / 256

More bands are narrower and want fewer flips, so fewer probes, but their buckets are fuller. The sum
has one minimum over m; as n doubles, the best band is about a bit wider. The constants are
multiples of what one row of 256 bits costs a scan; ``benchmarks/speed/search.py`` measures them
(``--constants``). A processor that is slow at scanning has smaller ones, so bands pay at least as
much there.

A choice, good or bad, never changes what is found.
"""

from __future__ import annotations

import numpy as np

from initgate.index.layout import MAX_WIDTH, Layout

# Rows: a query's share of what NumPy's calls cost, however few the probes. A query by itself pays
# four times as much, but a picture asks with all its hashes at once, 24 and more.
FIXED = 15_000.0
PROBE = 10.0
CANDIDATE = 40.0
_GAIN = 2.0  # bands take about as much memory again as two or three times the codes
_NARROWEST = 6  # bits of a band: a word of the bitmap
_MOST = np.iinfo(np.uint32).max  # postings, which are numbered by uint32


def scan(number: int, bits: int) -> float:
    """The cost of comparing a query with every code."""
    return number * bits / 256


def probing(layout: Layout, threshold: int) -> float:
    """The cost of a query's look-ups, without its candidates."""
    return FIXED + PROBE * layout.probes(threshold)


def banded(layout: Layout, number: int, threshold: int) -> float:
    """The cost of a query, candidates included, if the codes are spread evenly."""
    fill = number / 2 ** (layout.bits / layout.bands)
    return probing(layout, threshold) + CANDIDATE * fill * layout.probes(threshold)


def choose(number: int, bits: int, threshold: int) -> Layout | None:
    """The best layout for a list, None if comparing with every code is about as good.

    Args:
        number: Codes in the list.
        bits: The width of a code.
        threshold: What the list is mostly asked with, in bits.
    """
    layouts = [
        Layout(bits, bands)
        for bands in range(-(-bits // MAX_WIDTH), bits // _NARROWEST + 1)
        if number * bands <= _MOST
    ]
    best = min(layouts, key=lambda one: banded(one, number, threshold), default=None)
    if best is None or banded(best, number, threshold) * _GAIN > scan(number, bits):
        return None
    return best
