from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from initgate.calibration import (
    MIN_PICTURES,
    Comparison,
    Estimate,
    compare,
    estimate,
    fit,
    observed,
    recall,
    supported,
    views,
    words,
)
from initgate.model import Algorithm, Codes, Hash

BITS = 256


def random_codes(seed: int, number: int, bits: int = BITS) -> Codes:
    return np.random.default_rng(seed).integers(0, 256, (number, bits // 8), dtype=np.uint8)


def at(*distances: int, bits: int = BITS) -> Comparison:
    """A picture with one hash, so far from each entry."""
    counts = np.bincount(distances, minlength=bits + 1)
    return Comparison(counts, 0, (min(distances),))


def sampled(cumulated: Sequence[float], pictures: int, entries: int) -> list[Comparison]:
    """Pictures whose distances from the entries are drawn from a distribution."""
    random = np.random.default_rng(0)
    shares = np.diff(cumulated, prepend=0.0)
    counts = random.multinomial(entries, shares / shares.sum(), pictures)
    return [Comparison(one, 0, (int(np.flatnonzero(one)[0]),)) for one in counts]


# ── Comparing ─────────────────────────────────────────────────────────────────────────────────


@given(
    seed=st.integers(0, 1000),
    entries=st.integers(1, 40),
    hashes=st.integers(1, 5),
    bits=st.sampled_from([64, 256]),
)
def test_a_comparison_is_that_of_every_bit(seed: int, entries: int, hashes: int, bits: int) -> None:
    listed, picture = random_codes(seed, entries, bits), random_codes(seed + 1, hashes, bits)
    differing = np.unpackbits(listed, axis=1)[:, None] != np.unpackbits(picture, axis=1)
    distances = differing.sum(axis=2)
    one = compare(words(listed), picture)
    assert one.counts.tolist() == np.bincount(distances.min(axis=1), minlength=bits + 1).tolist()
    assert one.nearest == tuple(distances.min(axis=0).tolist())
    assert distances[one.row].min() == distances.min() == one.distance


def test_a_negative_is_256_bits_away() -> None:
    listed = random_codes(0, 1)
    assert compare(words(listed), ~listed).distance == 256


def test_a_long_list_is_compared_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("initgate.calibration._AT_ONCE", 7)
    listed = random_codes(0, 20)
    assert (
        compare(words(listed), listed[19:]).row,
        compare(words(listed), listed[19:]).distance,
    ) == (
        19,
        0,
    )


# ── Counting ──────────────────────────────────────────────────────────────────────────────────


@given(tries=st.integers(1, 300), data=st.data())
def test_the_interval_leaves_out_a_40th_on_each_side(tries: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, tries))
    rate = observed(hits, tries)
    assert rate.low <= rate.value <= rate.high
    if hits:
        assert binom.sf(hits - 1, tries, rate.low) == pytest.approx(0.025)
    if hits < tries:
        assert binom.cdf(hits, tries, rate.high) == pytest.approx(0.025)


def test_no_match_among_a_thousand_leaves_3_7_in_a_thousand_possible() -> None:
    assert observed(0, 1000).high == pytest.approx(3.68e-3, rel=0.01)


def test_the_nearest_view_of_a_picture_is_counted_for_it() -> None:
    hashes = [
        Hash(Algorithm.PDQ, bytes(32), view="picture"),
        Hash(Algorithm.PDQ, bytes(32), view="picture, squeezed, mirrored"),
    ]
    near_first, near_second = (Comparison(np.zeros(257, int), 0, one) for one in ((5, 9), (9, 3)))
    found = views([hashes] * 3, [near_second, near_first, near_second])
    assert [(one.view, one.nearest, one.expected) for one in found] == [
        ("picture, squeezed", 2.0, 1.5),
        ("picture", 1.0, 1.5),
    ]


def test_views_that_tie_share_and_frames_and_turns_are_one_view() -> None:
    hashes = [
        Hash(Algorithm.PDQ, bytes(32), view="frame 3, on white"),
        Hash(Algorithm.PDQ, bytes(32), view="frame 4, on white, rotated 90"),
    ]
    (one,) = views([hashes], [Comparison(np.zeros(257, int), 0, (8, 8))])
    assert (one.view, one.hashes, one.nearest, one.median) == ("on white", 2, 1.0, 8.0)


# ── Estimating ────────────────────────────────────────────────────────────────────────────────


@given(factor=st.floats(1.1, 3.0), step=st.sampled_from([1, 2]))
def test_a_geometric_tail_is_found_with_its_factor(factor: float, step: int) -> None:
    random = np.random.default_rng(1)
    steps = random.geometric(1 - factor**-step, 4000) - 1
    distances = np.maximum(90 - step * steps, 0)
    fitted = fit(np.bincount(distances, minlength=BITS + 1), 4000)
    assert fitted is not None
    assert (fitted.start, fitted.share) == (90, 1.0)
    assert fitted.slope == pytest.approx(math.log(factor), rel=0.08)


def test_a_fit_goes_through_what_was_counted_at_its_start() -> None:
    fitted = fit(np.bincount([70, 80, 82, 90, *[128] * 96], minlength=BITS + 1), 4)
    assert fitted is not None
    assert fitted.within(90) == pytest.approx(0.04)


def test_pairs_all_at_one_distance_are_not_infinitely_steep() -> None:
    fitted = fit(np.bincount([90] * 100, minlength=BITS + 1), 100)
    assert fitted is not None
    assert 0 < fitted.within(89) < 1


def test_a_tail_of_too_few_pairs_is_not_fitted() -> None:
    assert fit(np.bincount([90] * 99, minlength=BITS + 1), 100) is None


def test_an_estimate_of_binomial_distances_is_too_high_and_never_too_low() -> None:
    # As if of 110 bits: PDQ's 256 hang together.
    truth = binom.cdf(np.arange(BITS + 1) * 110 / BITS, 110, 0.5)
    estimated = estimate(sampled(truth, 100, 10_000))
    assert estimated is not None
    # The nearest of a million pairs.
    assert 1e-8 < truth[estimated.nearest] < 1e-4
    for threshold in range(estimated.nearest):
        assert estimated.rates[threshold].high >= truth[threshold]


def test_the_interval_holds_a_truth_a_hundred_times_rarer_than_the_sample_shows() -> None:
    # The share falls by the factor e every 5 bits.
    truth = np.minimum(1.0, np.exp((np.arange(BITS + 1) - 128) / 5))
    estimated = estimate(sampled(truth.tolist(), 200, 1000))
    assert estimated is not None
    threshold = estimated.nearest - 23
    rate = estimated.rates[threshold]
    assert rate.low < truth[threshold] < rate.high
    assert 0.1 < rate.value / truth[threshold] < 10


def test_an_estimate_grows_with_the_threshold() -> None:
    truth = np.minimum(1.0, np.exp((np.arange(BITS + 1) - 128) / 5))
    estimated = estimate(sampled(truth.tolist(), 60, 500))
    assert estimated is not None
    for end in ("low", "value", "high"):
        assert (np.diff([getattr(one, end) for one in estimated.rates]) >= -1e-12).all()


def test_nothing_is_estimated_of_few_pictures() -> None:
    assert estimate([at(*[90] * 1000)] * (MIN_PICTURES - 1)) is None


def test_nothing_is_estimated_of_few_pairs() -> None:
    assert estimate([at(90)] * 29) is None


def test_the_same_pictures_give_the_same_estimate() -> None:
    truth = np.minimum(1.0, np.exp((np.arange(BITS + 1) - 128) / 5))
    one, other = (estimate(sampled(truth.tolist(), 60, 500)) for _ in range(2))
    assert one is not None
    assert other is not None
    assert one.rates == other.rates


# ── What is supported ─────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def ordinary() -> list[Comparison]:
    """Pictures whose nearest pairs are near 80 bits, and few near those."""
    truth = binom.cdf(np.arange(BITS + 1) * 200 / BITS, 200, 0.5)
    return sampled(truth, 100, 10_000)


@pytest.fixture(scope="module")
def estimated(ordinary: list[Comparison]) -> Estimate:
    made = estimate(ordinary)
    assert made is not None
    return made


def test_ordinary_pictures_support_more_than_the_default(
    ordinary: list[Comparison], estimated: Estimate
) -> None:
    found = supported(ordinary, [], estimated, entries=10_000, rate=1e-6)
    assert found is not None
    assert Algorithm.PDQ.default_threshold < found < min(one.distance for one in ordinary)


def test_a_match_is_never_supported_by_an_estimate(
    ordinary: list[Comparison], estimated: Estimate
) -> None:
    match = at(20, *[128] * 9_999)
    with_match = [*ordinary, match]
    found = supported(with_match, [], estimated, entries=10_000, rate=1e-6)
    assert found == 19


def test_a_drawn_picture_must_not_match(ordinary: list[Comparison], estimated: Estimate) -> None:
    found = supported(ordinary, [at(12)], estimated, entries=10_000, rate=1e-6)
    assert found == 11


def test_a_high_rate_is_supported_by_counting_alone() -> None:
    pictures = [at(100)] * 99 + [at(30)]
    assert supported(pictures, [], None, entries=1, rate=0.04) == 29
    assert supported(pictures, [], None, entries=1, rate=0.06) == 99


def test_too_few_pictures_support_nothing() -> None:
    assert supported([at(128)] * 10, [], None, entries=1, rate=1e-6) is None


@given(rates=st.tuples(st.floats(1e-12, 0.5), st.floats(1e-12, 0.5)))
def test_a_lower_rate_never_supports_more(
    ordinary: list[Comparison], estimated: Estimate, rates: tuple[float, float]
) -> None:
    low, high = (
        supported(ordinary, [], estimated, entries=10_000, rate=one) for one in sorted(rates)
    )
    assert (-1 if low is None else low) <= (-1 if high is None else high)


@given(sizes=st.tuples(st.integers(1, 10**9), st.integers(1, 10**9)))
def test_a_longer_list_never_supports_more(
    ordinary: list[Comparison], estimated: Estimate, sizes: tuple[int, int]
) -> None:
    short, long = (
        supported(ordinary, [], estimated, entries=one, rate=1e-6) for one in sorted(sizes)
    )
    assert (-1 if long is None else long) <= (-1 if short is None else short)


def test_recall_is_the_share_within_a_threshold() -> None:
    assert list(recall([4, 10, 31, 90], [3, 10, 31])) == [0.0, 0.5, 0.75]
