from __future__ import annotations

import functools

import numpy as np
import pytest
from codes import as_set, brute_force, flipped, random_codes
from hypothesis import given
from hypothesis import strategies as st

from initgate.index import banded, cost
from initgate.index.banded import Banded, Postings
from initgate.index.flat import Flat
from initgate.index.hits import Hits
from initgate.index.layout import Layout, masks
from initgate.model import Codes

# Every number of bands that the cost model can choose at any size and threshold, but for the
# widest bands, whose bitmaps are large: a few tests further down have those.
LAYOUTS = [Layout(256, bands) for bands in range(13, 33)] + [
    Layout(64, bands) for bands in range(4, 11)
]


@pytest.fixture(autouse=True)
def _never_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short lists are asked by bands too."""
    monkeypatch.setattr(cost, "scan", lambda *_: float("inf"))


def make(codes: Codes, layout: Layout) -> Banded:
    return Banded(codes, Postings.of(codes, layout))


@given(
    layout=st.sampled_from(LAYOUTS),
    number=st.integers(0, 80),
    queries=st.integers(1, 9),
    fraction=st.floats(0, 0.3),
    seed=st.integers(0, 2**32 - 1),
)
def test_finds_exactly_what_brute_force_finds(
    layout: Layout, number: int, queries: int, fraction: float, seed: int
) -> None:
    threshold = min(int(fraction * layout.bits), 3 * layout.bands - 1)
    asked = random_codes(seed, queries, layout.bits)
    random = np.random.default_rng(seed)
    # Planted around the threshold, some of them twice.
    chosen = asked[random.integers(0, queries, number)]
    codes = flipped(chosen, random.integers(0, threshold + 3, number), seed)
    codes = np.concatenate([codes, codes[: number // 4]])
    found = make(codes, layout).search(asked, threshold)
    assert as_set(found) == brute_force(codes, asked, threshold)


@functools.cache
def haystack(bits: int) -> Codes:
    return random_codes(5, 20_000, bits)


@pytest.mark.parametrize(
    ("layout", "threshold"),
    [
        *((Layout(256, bands), 31) for bands in (11, 12, 13, 14, 15, 16, 32)),
        *((Layout(256, bands), threshold) for bands in (12, 16) for threshold in (0, 8, 15, 20)),
        (Layout(256, 11), 32),
        (Layout(256, 11), 33),
        (Layout(64, 3), 5),
        (Layout(64, 3), 6),
        (Layout(64, 4), 10),
    ],
    ids=str,
)
def test_finds_planted_codes_at_every_distance(layout: Layout, threshold: int) -> None:
    codes = haystack(layout.bits)
    distances = np.arange(600) % (threshold + 3)
    rows = np.arange(600) * 7
    queries = flipped(codes[rows], distances)
    hits = make(codes, layout).search(queries, threshold)
    planted = {(int(r), q, int(d)) for q, (r, d) in enumerate(zip(rows, distances, strict=True))}
    expected = {one for one in planted if one[2] <= threshold}
    found = as_set(hits)
    assert expected <= found
    assert planted - expected == planted - found
    for row, query, distance in found - expected:  # by chance; none is invented
        assert int(np.bitwise_count(codes[row] ^ queries[query]).sum()) == distance <= threshold


@pytest.mark.parametrize("bands", [10, 11])
def test_the_widest_bands_find_what_brute_force_finds(bands: int) -> None:
    codes = random_codes(2, 300, 256)
    queries = flipped(codes[:34], np.arange(34))
    index = make(codes, Layout(256, bands))
    assert as_set(index.search(queries, 31)) == brute_force(codes, queries, 31)


def one_bit_apart(bits: int) -> Codes:
    return np.packbits(np.eye(bits, dtype=np.uint8), axis=1)  # powers of two, and two bits apart


ADVERSARIAL = {
    "all equal": np.zeros((3000, 32), np.uint8),
    "a bit from nothing": one_bit_apart(256),
    "a bit from all": ~one_bit_apart(256),
    "one entry": np.full((1, 32), 7, np.uint8),
    "nothing": np.zeros((0, 32), np.uint8),
    "one bucket": np.packbits(
        np.eye(256, dtype=np.uint8)[(159 * np.arange(64, 256)) % 256], axis=1
    ),
    "counting": np.arange(4096, dtype=">u2").repeat(16).view(np.uint8).reshape(4096, 32),
}


@pytest.mark.parametrize("codes", ADVERSARIAL.values(), ids=ADVERSARIAL)
@pytest.mark.parametrize(
    ("threshold", "is_scanned"),
    [*((one, False) for one in (0, 1, 2, 16, 31)), *((one, True) for one in (0, 2, 31, 255, 256))],
)
def test_lists_made_to_be_hard_are_answered_exactly(
    codes: Codes, threshold: int, is_scanned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_scanned:
        monkeypatch.setattr(cost, "scan", lambda *_: 1e5)  # what a few candidates cost as well
        monkeypatch.setattr(cost, "CANDIDATE", 1e4)
    queries = np.concatenate([np.zeros((1, 32), np.uint8), codes[:2], random_codes(3, 2, 256)])
    found = make(codes, Layout(256, 16)).search(queries, threshold)
    assert as_set(found) == brute_force(codes, queries, threshold)


def test_only_the_query_with_many_candidates_is_scanned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "scan", lambda *_: 1e6)
    codes = np.concatenate([np.zeros((30_000, 32), np.uint8), random_codes(1, 1000, 256)])
    queries = np.concatenate([codes[-1:], codes[:1], codes[-2:]])
    index = make(codes, Layout(256, 16))
    scanned: list[Codes] = []

    def spy(flat: Flat, asked: Codes, threshold: int) -> Hits:
        scanned.append(asked)
        return search(flat, asked, threshold)

    search = Flat.search
    monkeypatch.setattr(Flat, "search", spy)
    assert as_set(index.search(queries, 31)) == brute_force(codes, queries, 31)
    assert [one.tolist() for one in scanned] == [codes[:1].tolist()]


@pytest.mark.parametrize("at_once", [1, 2, 7, 1000])
def test_the_size_of_a_bite_changes_nothing(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.concatenate([random_codes(1, 50, 256), np.zeros((40, 32), np.uint8)])
    queries = np.concatenate([codes[-1:], flipped(codes[:20], np.arange(20) + 14)])
    index = make(codes, Layout(256, 16))
    monkeypatch.setattr(banded, "_CANDIDATES_AT_ONCE", at_once)
    monkeypatch.setattr(banded, "_PROBES_AT_ONCE", at_once * 300)
    assert as_set(index.search(queries, 31)) == brute_force(codes, queries, 31)


def test_postings_hold_every_row_of_every_band_in_order() -> None:
    codes = random_codes(9, 1000, 64)
    layout = Layout(64, 5)
    postings = Postings.of(codes, layout)
    assert (np.sort(postings.rows.reshape(5, -1)) == np.arange(1000)).all()
    buckets = layout.buckets(codes)
    for band in range(5):
        rows = postings.rows.reshape(5, -1)[band]
        order = buckets[rows, band].astype(np.int64) * 1000 + rows
        assert (np.diff(order) > 0).all()


def test_a_row_out_of_range_is_a_fault_and_no_miss() -> None:
    codes = random_codes(9, 100, 256)
    good = Postings.of(codes, Layout(256, 16))
    for rows, starts in [(good.rows + 100, good.starts), (good.rows, good.starts + 10_000)]:
        bad = Postings(good.layout, good.bitmap, good.ranks, starts, rows)
        with pytest.raises((IndexError, ValueError)):
            Banded(codes, bad).search(codes[:1], 31)


def test_masks_are_made_once() -> None:
    assert masks(Layout(256, 16), 31) is masks(Layout(256, 16), 31)
