from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from initgate.model import Algorithm, Allowed, HashList, ListEntry, Refused

ENTRIES = [
    ListEntry(Algorithm.PHASH64, bytes(range(8)), "a", 90, ("x", "y")),
    ListEntry(Algorithm.PHASH64, bytes(8), "b", 0),
    ListEntry(Algorithm.PHASH64, bytes(range(8)), "a", None),
]


@pytest.mark.parametrize("verdict", [Allowed("d"), Refused("d")])
def test_a_verdict_is_no_truth_value(verdict: Allowed | Refused) -> None:
    with pytest.raises(TypeError, match="case Allowed"):
        bool(verdict)


def test_a_verdict_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Refused("d").decision_id = "e"  # type: ignore[misc]  # that it fails is the point


def test_a_refusal_is_not_an_allowance_with_the_same_id() -> None:
    assert Refused("d") != Allowed("d")  # type: ignore[comparison-overlap]  # the point


def test_a_list_gives_its_entries_back() -> None:
    assert list(HashList.of(ENTRIES, name="a", algorithm=Algorithm.PHASH64)) == ENTRIES


@pytest.mark.parametrize("algorithm", Algorithm)
def test_an_empty_list_has_the_width_of_its_algorithm(algorithm: Algorithm) -> None:
    empty = HashList.of([], name="a", algorithm=algorithm)
    assert empty.codes.shape == (0, algorithm.bits // 8)
    assert list(empty) == []


def test_a_list_keeps_unknown_quality_apart_from_zero() -> None:
    packed = HashList.of(ENTRIES, name="a", algorithm=Algorithm.PHASH64)
    assert packed.qualities.tolist() == [90, 0, -1]
    assert packed.codes.dtype == np.uint8
    assert len(packed) == 3


@pytest.mark.parametrize("algorithm", Algorithm)
def test_every_algorithm_has_sound_numbers(algorithm: Algorithm) -> None:
    assert algorithm.bits % 8 == 0
    assert 0 <= algorithm.default_threshold <= algorithm.max_threshold < algorithm.bits / 2


@pytest.mark.parametrize(
    ("algorithm", "most"),
    [(Algorithm.PDQ, 96), (Algorithm.PHASH64, 24), (Algorithm.MD5, 0), (Algorithm.SHA256, 0)],
)
def test_the_largest_threshold(algorithm: Algorithm, most: int) -> None:
    assert algorithm.max_threshold == most


def test_digests_are_told_from_perceptual_hashes() -> None:
    assert {one for one in Algorithm if one.is_digest} == {
        Algorithm.MD5,
        Algorithm.SHA1,
        Algorithm.SHA256,
    }
