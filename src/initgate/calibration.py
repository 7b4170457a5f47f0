"""How near ordinary pictures come to a list, and which threshold that supports. No I/O.

One false refusal in a million queries cannot be counted among a thousand pictures. So besides what
was counted there is an estimate from the nearest pairs. It rests on one assumption: that below
them the number of pairs goes on falling by at least the factor a bit by which it falls among them.
If the distances' density is log-concave, as normal and binomial ones are, that factor only grows
downwards, and the estimate is too high. Of many kinds of pictures mixed it is not, and the estimate
may be too low: the nearest pairs are of one kind, further ones of others. And of a kind that the
sample lacks it tells nothing: pictures of one subject and one composition come nearest to each
other, and a sample without any that is like the list's cannot show them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from initgate.hashing.pdq import ORIENTATIONS
from initgate.model import Codes, Hash

MIN_PICTURES = 50
"""From fewer pictures nothing is estimated: they are not many kinds."""

TAILS = (100, 30)
"""Of how many of the nearest pairs an estimate is made: the last is the figure, the interval is the
widest of all. Fewer are nearer to what is asked for; more have less chance in them."""

CONFIDENCE = 0.95
"""Of every interval, which has equal chances on both sides."""

_RESAMPLES = 200
_AT_ONCE = 1 << 15  # codes that stay in the processor's cache

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """How near one picture's hashes come to the entries of a list.

    Args:
        counts: int64 ``[bits + 1]``: per distance, how many entries have it to their nearest hash.
        row: The entry that is nearest.
        nearest: Per hash, the distance of its nearest entry.
    """

    counts: Counts
    row: int
    nearest: tuple[int, ...]

    @property
    def distance(self) -> int:
        """Of the nearest entry."""
        return min(self.nearest)


def words(codes: Codes) -> NDArray[np.uint64]:
    """Codes by columns of 64 bits, ``[bits / 64, n]``, as :func:`compare` takes a list."""
    return np.ascontiguousarray(np.ascontiguousarray(codes).view(np.uint64).T)


def compare(listed: NDArray[np.uint64], picture: Codes) -> Comparison:
    """Compares all hashes of a picture with all of a list.

    Args:
        listed: From :func:`words`; at least one.
        picture: uint8 ``[h, bits / 8]``, at least one.
    """
    asked = words(picture).T
    counts = np.zeros(picture.shape[1] * 8 + 1, np.int64)
    nearest = np.full(len(asked), len(counts))
    row, least = 0, len(counts)
    for start in range(0, listed.shape[1], _AT_ONCE):
        chunk = listed[:, start : start + _AT_ONCE]
        best = np.full(chunk.shape[1], len(counts), np.uint16)
        for number, code in enumerate(asked):
            distances = _distances(chunk, code)
            nearest[number] = min(nearest[number], distances.min())
            np.minimum(best, distances, out=best)
        counts += np.bincount(best, minlength=len(counts))
        if (found := int(best.min())) < least:
            row, least = start + int(best.argmin()), found
    return Comparison(counts, row, tuple(nearest.tolist()))


def _distances(listed: NDArray[np.uint64], code: NDArray[np.uint64]) -> NDArray[np.uint16]:
    total: NDArray[np.uint16] = np.bitwise_count(listed[0] ^ code[0]).astype(np.uint16)
    for column, word in zip(listed[1:], code[1:], strict=True):
        total += np.bitwise_count(column ^ word)
    return total


# ── What was counted ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Rate:
    """A share, and the interval that holds the true one in 95 of 100 cases.

    Args:
        value: The best single figure.
        low: The interval's lower end.
        high: Its upper end.
    """

    value: float
    low: float
    high: float

    def times(self, number: float) -> Rate:
        """Of some tries, the chance or the expected number of hits, whichever is less than 1."""
        return Rate(*(min(1.0, one * number) for one in (self.value, self.low, self.high)))


def observed(hits: int, tries: int) -> Rate:
    """The share that was counted, with its exact binomial interval (Clopper and Pearson 1934).

    Exact for tries that do not hang together. Pairs with one picture in common do, so that of
    pairs the interval is too narrow.

    Args:
        hits: How often it happened.
        tries: Of how many, at least 1.
    """
    low, high = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    return Rate(
        hits / tries,
        float(betaincinv(hits, tries - hits + 1, low)) if hits else 0.0,
        float(betaincinv(hits + 1, tries - hits, high)) if hits < tries else 1.0,
    )


@dataclass(frozen=True, slots=True)
class ViewStatistics:
    """How prone one view is to come near by chance.

    Args:
        view: Its name, without frame and orientation.
        hashes: How many there were.
        nearest: How often it was the nearest of its picture; several that tie share.
        expected: How often it would be, if all hashes of a picture had the same chance.
        median: The median distance of its nearest entry, in bits.
    """

    view: str
    hashes: int
    nearest: float
    expected: float
    median: float


def views(
    pictures: Sequence[Sequence[Hash]], compared: Sequence[Comparison]
) -> list[ViewStatistics]:
    """Which views come nearest, most prone first.

    Args:
        pictures: The hashes of each.
        compared: The same, compared.
    """
    found: dict[str, list[tuple[int, float, float]]] = {}
    for hashes, one in zip(pictures, compared, strict=True):
        ties = one.nearest.count(one.distance)
        for made, distance in zip(hashes, one.nearest, strict=True):
            won = 1 / ties if distance == one.distance else 0.0
            found.setdefault(_family(made.view), []).append((distance, won, 1 / len(hashes)))
    made_of = (
        ViewStatistics(
            view=name,
            hashes=len(rows),
            nearest=sum(won for _, won, _ in rows),
            expected=sum(share for _, _, share in rows),
            median=float(np.median([distance for distance, _, _ in rows])),
        )
        for name, rows in found.items()
    )
    return sorted(made_of, key=lambda one: one.expected / max(one.nearest, 1e-9))


def _family(view: str) -> str:
    words = view.split(", ")
    kept = [one for one in words if one not in ORIENTATIONS and not one.startswith("frame ")]
    return ", ".join(kept) or "picture"


# ── What is estimated ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Tail:
    """The nearest pairs, as a share that falls by a factor a bit.

    Args:
        start: The distance from which on the pairs are as they were counted.
        share: Of all pairs, how many lie within ``start``.
        slope: The natural logarithm of the factor by which the share falls, a bit.
    """

    start: int
    share: float
    slope: float

    def within(self, threshold: int) -> float:
        """The share of pairs within a threshold below ``start``."""
        return self.share * math.exp(-self.slope * (self.start - threshold))


def fit(counts: Counts, tail: int) -> Tail | None:
    """Fits a geometric law to the nearest pairs.

    Args:
        counts: Pairs per distance, ``[bits + 1]``.
        tail: At least so many of the nearest pairs are taken.

    Returns:
        None where there are fewer pairs than that.
    """
    within = counts.cumsum()
    if within[-1] < tail:
        return None
    start = int(within.searchsorted(tail))
    held = np.flatnonzero(counts[: start + 1])
    # Hashes with half of their bits set, as PDQ's, lie only at even distances.
    step = int(np.gcd.reduce(start - held)) or 1
    steps = float(((start - held) / step) @ counts[held])
    # The mean number of steps, as if there were a pair more, a step below: never infinitely steep.
    slope = math.log1p((within[start] + 1) / (steps + 1)) / step
    return Tail(start, float(within[start] / within[-1]), slope)


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Shares of pairs within a threshold, below what was counted too.

    Args:
        nearest: The distance of the nearest pair that was counted.
        rates: Per threshold, 0 to the width of the hash.
    """

    nearest: int
    rates: tuple[Rate, ...]


def estimate(compared: Sequence[Comparison], *, seed: int = 0) -> Estimate | None:
    """Estimates the share of pairs within each threshold.

    The interval is the widest of those of several tails, each by drawing the pictures again, with
    repetition (the bootstrap): pairs of one picture hang together, so whole pictures are drawn.

    Args:
        compared: The pictures.
        seed: Of the drawing.

    Returns:
        None of fewer than ``MIN_PICTURES`` pictures, or of too few pairs.
    """
    if len(compared) < MIN_PICTURES:
        return None
    counts = np.stack([one.counts for one in compared])
    total = counts.sum(axis=0)
    chance = np.random.default_rng(seed)
    shares = np.full(len(compared), 1 / len(compared))
    drawn = chance.multinomial(len(compared), shares, _RESAMPLES) @ counts
    tails = [tail for tail in TAILS if total.sum() >= tail]
    if not tails:
        return None
    curves = np.array([[_curve(one, tail) for one in (total, *drawn)] for tail in tails])
    value = curves[-1, 0]
    ends = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    low, high = np.quantile(curves[:, 1:], ends, axis=1)
    low = np.minimum(low.min(axis=0), value)
    high = np.maximum(high.max(axis=0), value)
    rates = tuple(Rate(*map(float, one)) for one in zip(value, low, high, strict=True))
    return Estimate(int(np.flatnonzero(total)[0]), rates)


def _curve(counts: Counts, tail: int) -> NDArray[np.float64]:
    """The share of pairs within each threshold: as fitted below the tail's start, then counted."""
    curve: NDArray[np.float64] = counts.cumsum() / counts.sum()
    if (fitted := fit(counts, tail)) is not None:
        below = np.arange(fitted.start)
        curve[below] = fitted.share * np.exp(-fitted.slope * (fitted.start - below))
    return curve


# ── What to do ────────────────────────────────────────────────────────────────────────────────


def supported(
    compared: Sequence[Comparison],
    drawn: Sequence[Comparison],
    estimated: Estimate | None,
    *,
    entries: int,
    rate: float,
) -> int | None:
    """The largest threshold at which the false-refusal rate is at most ``rate``, as far as known.

    A threshold is supported if the upper end of what was counted is within the rate; or if no
    picture matched at it and the estimate is (the figure, not the end of its interval: a threshold
    lowered without need lets known material pass). Drawn pictures are no sample of anybody's
    traffic: none of them may match.

    Args:
        compared: The operator's pictures.
        drawn: Those of the benign reference.
        estimated: From :func:`estimate`.
        entries: Of the list.
        rate: False refusals a query.

    Returns:
        None if not even 0 is.
    """
    nearest = np.array([one.distance for one in compared])
    best = None
    for threshold in range(len(compared[0].counts)):
        if any(one.distance <= threshold for one in drawn):
            break
        matched = int((nearest <= threshold).sum())
        is_counted = observed(matched, len(nearest)).high <= rate
        is_estimated = (
            matched == 0
            and estimated is not None
            and estimated.rates[threshold].value * entries <= rate
        )
        if not is_counted and not is_estimated:
            break
        best = threshold
    return best


def recall(distances: Iterable[int], thresholds: Sequence[int]) -> Iterator[float]:
    """The share of edited pictures that are recognised at each threshold.

    Args:
        distances: Of each from its original's entry, over all views.
        thresholds: In bits.
    """
    found = np.array(list(distances))
    yield from (float((found <= one).mean()) for one in thresholds)
