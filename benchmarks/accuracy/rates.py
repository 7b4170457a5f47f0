"""The arithmetic: intervals of recall, and how false matches thin out below what was seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]

_TAIL_SHARE = 1e-5  # of all pairs: the nearest ones, which a tail is fitted to
_FEWEST = 50  # pairs that a fit needs
_RESAMPLES = 2000

# PDQ among pictures of one subject and one composition (33,348 pictures of whale flukes, 5.6·10⁸
# pairs): false matches a pair, middle of the fits, the last one as observed.
_NARROW_DISTANCES = (24, 31, 40, 48)
_NARROW_RATES = (6e-11, 5e-10, 7e-9, 4.1e-8)


@dataclass(frozen=True, slots=True)
class Tail:
    """An exponential tail of the distances of unrelated pairs.

    Args:
        limit: The largest distance that the fit used.
        share: Of all pairs, those within it.
        slope: Of the logarithm of that share, per bit.
        pairs: How many there were within the limit.
    """

    limit: int
    share: float
    slope: float
    pairs: int

    @classmethod
    def fit(cls, counts: Counts) -> Tail | None:
        """The tail below the limit that one pair in a hundred thousand reaches.

        The share of pairs within a distance is taken to fall exponentially below the limit, and
        the maximum-likelihood slope follows from how far below it they lie on average. Distances
        are even but for a few, since a code of either hash has as many ones as zeros.

        Args:
            counts: Pairs at each distance.
        """
        within = np.cumsum(counts)
        limits = np.flatnonzero(within <= _TAIL_SHARE * within[-1])
        limit = int(limits[-1]) // 2 * 2 if limits.size else 0
        pairs = int(within[limit])
        if pairs < _FEWEST:
            return None
        steps = (limit - np.arange(limit + 1)) / 2
        mean = float(counts[: limit + 1] @ steps / pairs)
        return cls(limit, pairs / int(within[-1]), math.log1p(1 / mean) / 2, pairs)

    def rate(self, threshold: float) -> float:
        """False matches a pair at a threshold below the limit."""
        return self.share * math.exp(-self.slope * (self.limit - threshold))

    def threshold(self, rate: float) -> float:
        """The threshold at which that many pairs match falsely; below 0 if none is low enough."""
        return self.limit + math.log(rate / self.share) / self.slope


def narrow_rate(threshold: float, times: float = 1) -> float:
    """PDQ's false matches a pair if queries and list show one subject in one composition.

    Args:
        threshold: In bits.
        times: How many times as often as PDQ a method errs at equal distances.
    """
    slopes = np.log(_NARROW_RATES)
    at = np.interp(threshold, _NARROW_DISTANCES, slopes)
    first = (slopes[1] - slopes[0]) / (_NARROW_DISTANCES[1] - _NARROW_DISTANCES[0])
    last = (slopes[-1] - slopes[-2]) / (_NARROW_DISTANCES[-1] - _NARROW_DISTANCES[-2])
    at += first * min(0, threshold - _NARROW_DISTANCES[0])
    at += last * max(0, threshold - _NARROW_DISTANCES[-1])
    return times * math.exp(at)


def times_as_often(counts: Counts, baseline: Counts) -> float | None:
    """How many times as often unrelated pairs come near as with a baseline, in its tail."""
    tail = Tail.fit(baseline)
    if tail is None or counts.size != baseline.size:
        return None
    return float(counts[: tail.limit + 1].sum() / counts.sum() / tail.share)


def equal_threshold(counts: Counts, baseline: Counts, threshold: int) -> int | None:
    """The threshold at which a method errs as often as a baseline at its own.

    Codes of one length: the method errs so many times as often where pairs were seen, and its
    errors thin out from there as the baseline's do. A fit of its own would be extrapolated over
    some fifty bits, in which a slope that is off by a twentieth makes ten times the rate. The
    slope where pairs were seen is the flattest there is, so that the threshold is a low one.
    Codes of different lengths have no distance in common: there it is the method's own fit.

    Args:
        counts: The method's unrelated pairs at each distance.
        baseline: The baseline's.
        threshold: The baseline's.

    Returns:
        ``None`` if there were too few pairs, or if no threshold errs so seldom.
    """
    reference, tail = Tail.fit(baseline), Tail.fit(counts)
    if reference is None or tail is None:
        return None
    times = times_as_often(counts, baseline)
    if times is None:
        equal = tail.threshold(reference.rate(threshold))
    else:
        equal = threshold - math.log(max(times, 1)) / reference.slope
    return math.floor(equal) if equal >= 0 else None


def false_refusals(rate: float, entries: float) -> float:
    """Expected false refusals per million queries."""
    return -1e6 * math.expm1(-rate * entries)


def interval(found: NDArray[np.bool_], seed: int = 2019) -> tuple[float, float]:
    """The middle 95 % of the mean over edits of the recall over photos, photos drawn again.

    Args:
        found: ``[edits, photos]``.
        seed: Of the drawing.
    """
    each = found.mean(axis=0)
    drawn = np.random.default_rng(seed).integers(0, each.size, (_RESAMPLES, each.size))
    low, high = np.percentile(each[drawn].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)
