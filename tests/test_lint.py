from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from codes import flipped, random_codes
from hypothesis import given
from hypothesis import strategies as st

from initgate.benign import load_benign
from initgate.image import Limits, decode
from initgate.lint import _TRIVIAL, Flaw, Report, lint, share
from initgate.model import Algorithm, Codes, HashList
from initgate.testing import make_list, scene

BENIGN = load_benign()
PERCEPTUAL = [one for one in Algorithm if not one.is_digest]


def to_list(
    codes: Codes,
    *,
    algorithm: Algorithm = Algorithm.PDQ,
    quality: int = 100,
    entries: Sequence[str] | None = None,
) -> HashList:
    number = len(codes)
    return HashList(
        name="a",
        algorithm=algorithm,
        codes=codes,
        entries=entries or [str(row) for row in range(number)],
        qualities=np.full(number, quality, np.int16),
        tags=[()] * number,
    )


def plain_codes(number: int, seed: int = 0) -> Codes:
    """Codes as pictures have them: random, half of the bits ones."""
    random = np.random.default_rng(seed)
    bits = random.random((number, 256)).argsort(axis=1) < 128
    return np.packbits(bits, axis=1)


def look(hash_list: HashList, threshold: int = 31) -> Report:
    return lint(hash_list, threshold=threshold, benign=BENIGN)


def flaws(report: Report) -> dict[Flaw, list[int]]:
    return {flaw: rows.tolist() for flaw, rows in report.rows.items() if len(rows)}


@pytest.mark.parametrize("algorithm", PERCEPTUAL)
def test_ordinary_pictures_are_clean(algorithm: Algorithm) -> None:
    report = look(make_list([scene(seed) for seed in range(12)], algorithm=algorithm), 0)
    assert (flaws(report), report.share, len(report.live)) == ({}, 0.0, 12)


@pytest.mark.parametrize("byte", [0, 255])
def test_nothing_but_zeros_or_ones_is_a_placeholder(byte: int) -> None:
    codes = plain_codes(3)
    codes[1] = byte
    assert flaws(look(to_list(codes)))[Flaw.PLACEHOLDER] == [1]


@pytest.mark.parametrize("algorithm", [Algorithm.MD5, Algorithm.SHA1, Algorithm.SHA256])
@pytest.mark.parametrize("data", _TRIVIAL, ids=len)
def test_the_digest_of_a_file_that_everybody_has_is_a_placeholder(
    algorithm: Algorithm, data: bytes
) -> None:
    digests = [hashlib.new(algorithm, one).digest() for one in (b"a photo", data)]
    codes = np.frombuffer(b"".join(digests), np.uint8).reshape(2, -1)
    report = look(to_list(codes, algorithm=algorithm, quality=-1), 0)
    assert flaws(report) == {Flaw.PLACEHOLDER: [1]}


def test_the_pictures_that_everybody_has_are_of_one_pixel() -> None:
    pictures = [one for one in _TRIVIAL if len(one) > 2]
    assert len(pictures) == 5
    for data in pictures:
        assert decode(data, limits=Limits()).pixels[0].levels.shape[:2] == (1, 1)


def test_a_low_quality_is_a_fault_and_an_unknown_one_a_note() -> None:
    whole = replace(to_list(plain_codes(3)), qualities=np.array([49, 50, -1], np.int16))
    report = look(whole)
    assert flaws(report) == {Flaw.LOW_QUALITY: [0], Flaw.UNKNOWN_QUALITY: [2]}
    assert report.faulty.tolist() == [0]


@pytest.mark.parametrize(
    ("algorithm", "ones", "is_uneven"),
    [
        (Algorithm.PDQ, 96, False),
        (Algorithm.PDQ, 95, True),
        (Algorithm.PDQ, 161, True),
        (Algorithm.DHASH256, 32, False),
        (Algorithm.DHASH256, 31, True),
        (Algorithm.AHASH256, 225, True),
    ],
)
def test_few_or_many_ones_are_uneven(algorithm: Algorithm, ones: int, is_uneven: bool) -> None:
    bits = np.random.default_rng(0).permutation(np.arange(256) < ones)
    report = look(to_list(np.packbits(bits)[None], algorithm=algorithm), 0)
    assert (Flaw.UNEVEN in flaws(report)) == is_uneven


@pytest.mark.parametrize("period", [*range(2, 9), 16, 24, 64])
def test_bits_that_repeat_are_a_pattern_also_with_a_few_others(period: int) -> None:
    bits = np.resize(np.random.default_rng(period).permutation(period) < period // 2, 256)
    code = flipped(np.packbits(bits)[None], np.array([3]))
    assert Flaw.PATTERN in flaws(look(to_list(code)))


def test_an_entry_near_to_a_form_or_page_is_told_with_what_it_is_like() -> None:
    near = flipped(BENIGN.codes[[700, 900]], np.array([31, 32]))
    report = look(to_list(np.concatenate([plain_codes(2), near])))
    assert report.rows[Flaw.BENIGN].tolist() == [2]
    assert report.like == {2: BENIGN.entries[700]}


def test_the_benign_reference_is_of_one_algorithm_alone() -> None:
    report = look(to_list(BENIGN.codes, algorithm=Algorithm.PHASH256))
    assert len(report.rows[Flaw.BENIGN]) == 0


def test_an_entry_near_to_many_that_are_far_from_one_another_is_a_hub() -> None:
    centre = plain_codes(1)
    around = flipped(centre.repeat(12, axis=0), np.full(12, 25))
    assert flaws(look(to_list(np.concatenate([around, centre])))) == {Flaw.HUB: [12]}


@pytest.mark.parametrize("distance", [0, 6])
def test_copies_of_one_picture_are_no_hub(distance: int) -> None:
    copies = flipped(plain_codes(1).repeat(40, axis=0), np.full(40, distance))
    assert Flaw.HUB not in flaws(look(to_list(copies)))


def test_the_hashes_of_one_entry_make_no_hub() -> None:
    centre = plain_codes(1)
    around = flipped(centre.repeat(40, axis=0), np.full(40, 25))
    whole = to_list(np.concatenate([centre, around]), entries=["centre", *["one"] * 40])
    assert Flaw.HUB not in flaws(look(whole))


def test_a_hash_that_stands_twice_is_noted_where_it_repeats() -> None:
    report = look(to_list(plain_codes(3)[[0, 1, 0, 2, 1]]))
    assert flaws(report) == {Flaw.DUPLICATE: [2, 4]}
    assert report.share == 0.0


def test_only_what_may_refuse_is_looked_at() -> None:
    codes = np.concatenate([plain_codes(1), np.full((4, 32), 255, np.uint8)])
    codes[2:, 0] = [1, 2, 3]
    whole = replace(
        to_list(codes),
        qualities=np.array([100, 100, 100, 40, 100], np.int16),
        min_quality=50,
        flagged=frozenset([codes[2].tobytes()]),
        removed=frozenset("4"),
    )
    report = look(whole)
    assert (report.live.tolist(), report.faulty.tolist(), report.share) == ([0, 1], [1], 0.5)
    assert share([whole], threshold=31, benign=BENIGN) == 0.5


@given(st.integers(0, 99), st.integers(1, 60), st.sampled_from(PERCEPTUAL))
def test_the_quick_share_is_the_whole_one_but_for_hubs(
    seed: int, number: int, algorithm: Algorithm
) -> None:
    codes = random_codes(seed, number, algorithm.bits)
    codes[::5] = 255
    if algorithm is Algorithm.PDQ:
        codes[1::7] = BENIGN.codes[: len(codes[1::7])]
    whole = to_list(codes, algorithm=algorithm)
    report = look(whole, algorithm.default_threshold)
    hubs = report.rows[Flaw.HUB]
    quick = share([whole], threshold=algorithm.default_threshold, benign=BENIGN)
    assert quick == pytest.approx(len(np.setdiff1d(report.faulty, hubs)) / number)


def test_the_share_is_of_all_parts_as_they_are_long() -> None:
    good, bad = to_list(plain_codes(6)), to_list(np.full((2, 32), 255, np.uint8))
    assert share([good, bad], threshold=31, benign=BENIGN) == 0.25


def test_an_addition_that_the_list_holds_counts_once() -> None:
    good, bad = to_list(plain_codes(2)), to_list(np.full((2, 32), 255, np.uint8))
    merged = to_list(np.concatenate([good.codes, bad.codes]))
    assert share([merged, bad], threshold=31, benign=BENIGN) == 0.5
    withdrawn = replace(merged, removed=frozenset("23"))
    assert share([withdrawn, bad], threshold=31, benign=BENIGN) == 0.5


def test_a_list_of_nothing_is_clean() -> None:
    empty = to_list(np.zeros((0, 32), np.uint8))
    assert (look(empty).share, share([empty], threshold=31, benign=BENIGN)) == (0.0, 0.0)
    none = to_list(np.zeros((0, 16), np.uint8), algorithm=Algorithm.MD5)
    assert look(none, 0).share == 0.0


def test_of_a_long_list_a_sample_tells_the_share_and_the_same_one_each_time() -> None:
    codes = random_codes(0, 250_000, 64)
    codes[::4] = 0
    whole = to_list(codes, algorithm=Algorithm.AHASH64)
    first, again = (share([whole], threshold=2, benign=BENIGN) for _ in range(2))
    assert first == again
    assert first == pytest.approx(0.25, abs=0.01)
