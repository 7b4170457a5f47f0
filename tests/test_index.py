from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import faiss
import numpy as np
import pytest
from codes import flipped, random_codes
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from initgate.index import Index, make_engine
from initgate.index.banded import Banded
from initgate.index.flat import Flat
from initgate.model import Action, Algorithm, Hash, HashList, ListEntry

PERCEPTUAL = [one for one in Algorithm if not one.is_digest]
DIGESTS = [one for one in Algorithm if one.is_digest]


def to_list(
    codes: Sequence[bytes], *, name: str = "a", algorithm: Algorithm = Algorithm.PDQ
) -> HashList:
    entries = [ListEntry(algorithm, code, str(number)) for number, code in enumerate(codes)]
    return HashList.of(entries, name=name, algorithm=algorithm)


def flip(code: bytes, *bits: int) -> bytes:
    levels = np.unpackbits(np.frombuffer(code, np.uint8))
    levels[list(bits)] ^= 1
    return np.packbits(levels).tobytes()


def distance(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def near_codes(seed: int, number: int, width: int) -> list[bytes]:
    """Random codes, most of them near to one of a few centres, some of them twice."""
    random = np.random.default_rng(seed)
    centres = random.integers(0, 256, (3, width), np.uint8)
    codes = []
    for _ in range(number):
        bits = np.unpackbits(centres[random.integers(3)])
        chosen = random.permutation(width * 8)[: random.integers(0, width * 4)]
        bits[chosen] ^= 1
        codes.append(np.packbits(bits).tobytes())
    if number:
        codes += [codes[random.integers(number)] for _ in range(number // 3)]
    return codes


@given(
    seed=st.integers(0, 2**32 - 1),
    numbers=st.lists(st.integers(0, 60), min_size=1, max_size=4),
    queries=st.integers(1, 12),
    fractions=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    algorithm=st.sampled_from(PERCEPTUAL),
)
def test_finds_exactly_what_brute_force_finds(
    seed: int,
    numbers: list[int],
    queries: int,
    fractions: list[float],
    algorithm: Algorithm,
) -> None:
    width = algorithm.bits // 8
    pool = near_codes(seed, sum(numbers) + queries, width)
    asked = [Hash(algorithm, code, None, str(n)) for n, code in enumerate(pool[:queries])]
    lists, start = [], queries
    for which, number in enumerate(numbers):
        lists.append(to_list(pool[start : start + number], name=f"l{which}", algorithm=algorithm))
        start += number
    thresholds = {
        one.name: round(fraction * algorithm.bits)
        for one, fraction in zip(lists, fractions, strict=False)
    }
    expected = set()
    for one in lists:
        for entry in one:
            nearest = min(distance(query.code, entry.code) for query in asked)
            if nearest <= thresholds[one.name]:
                expected.add((one.name, entry.entry, nearest))
    found = Index(lists).search(asked, thresholds=thresholds)
    assert len(found.matches) == len(expected)
    assert {(match.list, match.entry, match.distance) for match in found.matches} == expected


@pytest.mark.parametrize("number", [0, 1, 2, 3, 31, 32, 33, 64, 127, 128, 129, 256, 1024, 4096])
@pytest.mark.parametrize("algorithm", [Algorithm.PDQ, Algorithm.PHASH64])
def test_finds_every_entry_when_all_are_the_same(number: int, algorithm: Algorithm) -> None:
    code = bytes(range(algorithm.bits // 8))
    index = Index([to_list([code] * number, algorithm=algorithm)])
    found = index.search([Hash(algorithm, code)], thresholds={"a": 0})
    assert {match.entry for match in found.matches} == {str(n) for n in range(number)}


@pytest.mark.parametrize("algorithm", [Algorithm.PDQ, Algorithm.MD5])
def test_what_several_lists_hold_is_told_once_for_each(algorithm: Algorithm) -> None:
    code = bytes(range(algorithm.bits // 8))
    lists = [to_list([code], name=name, algorithm=algorithm) for name in "abc"]
    asked = [Hash(algorithm, code, None, view) for view in ("picture", "mirrored")]
    found = Index(lists).search(asked, thresholds={"a": 0, "b": 0, "c": 0})
    assert [(match.list, match.view) for match in found.matches] == [
        ("a", "picture"),
        ("b", "picture"),
        ("c", "picture"),
    ]


def test_an_entry_that_stands_in_a_list_and_in_what_was_added_to_it_is_told_once() -> None:
    made = to_list([bytes(32)])
    found = Index([made, to_list([bytes(32)])]).search(
        [Hash(Algorithm.PDQ, bytes(32))], thresholds={"a": 0}
    )
    assert [match.entry for match in found.matches] == ["0"]


def test_hashes_of_one_identifier_that_do_different_things_are_all_told() -> None:
    entries = [ListEntry(Algorithm.PDQ, bytes(32), "x", None, tags) for tags in [(), ("doubt",)]]
    made = HashList.of(entries, name="a", algorithm=Algorithm.PDQ)
    found = Index([made]).search([Hash(Algorithm.PDQ, bytes(32))], thresholds={"a": 0})
    assert [match.tags for match in found.matches] == [(), ("doubt",)]


@pytest.mark.parametrize("number", [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096])
def test_finds_first_and_last_of_a_list_of_any_size(number: int) -> None:
    codes = [np.random.default_rng(n).bytes(32) for n in range(number)]
    index = Index([to_list(codes)])
    for position in (0, number - 1):
        found = index.search([Hash(Algorithm.PDQ, codes[position])], thresholds={"a": 31})
        assert [match.entry for match in found.matches] == [str(position)]


@pytest.mark.parametrize("algorithm", PERCEPTUAL)
@pytest.mark.parametrize("threshold", [0, 1, 7, 8, 31, 63])
def test_a_threshold_is_inclusive(algorithm: Algorithm, threshold: int) -> None:
    code = bytes(algorithm.bits // 8)
    index = Index([to_list([flip(code, *range(threshold))], algorithm=algorithm)])
    found = index.search([Hash(algorithm, code)], thresholds={"a": threshold})
    assert [match.distance for match in found.matches] == [threshold]


@pytest.mark.parametrize("algorithm", PERCEPTUAL)
@pytest.mark.parametrize("threshold", [0, 1, 7, 8, 31, 62])
def test_a_bit_above_the_threshold_is_no_match(algorithm: Algorithm, threshold: int) -> None:
    code = bytes(algorithm.bits // 8)
    index = Index([to_list([flip(code, *range(threshold + 1))], algorithm=algorithm)])
    assert index.search([Hash(algorithm, code)], thresholds={"a": threshold}).matches == ()


def test_the_largest_distance_is_found_at_the_largest_threshold() -> None:
    index = Index([to_list([b"\xff" * 32])])
    found = index.search([Hash(Algorithm.PDQ, bytes(32))], thresholds={"a": 256})
    assert [match.distance for match in found.matches] == [256]


def test_each_list_keeps_its_own_threshold() -> None:
    code = bytes(32)
    near = flip(code, *range(20))
    index = Index([to_list([near], name="tight"), to_list([near], name="wide")])
    found = index.search([Hash(Algorithm.PDQ, code)], thresholds={"tight": 19, "wide": 20})
    assert [match.list for match in found.matches] == ["wide"]


def test_a_list_that_is_not_named_is_not_searched() -> None:
    code = bytes(32)
    index = Index([to_list([code], name="a"), to_list([code], name="b")])
    found = index.search([Hash(Algorithm.PDQ, code)], thresholds={"b": 0})
    assert {match.list for match in found.matches} == found.searched == {"b"}


def test_an_entry_is_found_once_at_its_nearest_view() -> None:
    code = bytes(32)
    queries = [
        Hash(Algorithm.PDQ, flip(code, 1, 2, 3), view="far"),
        Hash(Algorithm.PDQ, flip(code, 1), view="near"),
        Hash(Algorithm.PDQ, flip(code, 1, 2), view="between"),
    ]
    found = Index([to_list([code])]).search(queries, thresholds={"a": 31})
    assert [(match.view, match.distance) for match in found.matches] == [("near", 1)]


@given(
    st.lists(st.lists(st.integers(0, 255), max_size=8), min_size=1, max_size=6),
    st.lists(st.lists(st.integers(0, 255), max_size=8), min_size=1, max_size=4),
    st.data(),
)
def test_with_offsets_an_entry_is_found_if_any_view_is_within_its_own_threshold(
    listed: list[list[int]], asked: list[list[int]], data: st.DataObject
) -> None:
    offsets = data.draw(st.lists(st.integers(-6, 0), min_size=len(asked), max_size=len(asked)))
    codes = [flip(bytes(32), *bits) for bits in listed]
    queries = [Hash(Algorithm.PDQ, flip(bytes(32), *bits)) for bits in asked]
    index = Index([to_list(codes), to_list(codes, name="b")])
    found = index.search(queries, thresholds={"a": 8, "b": 8}, offsets={"a": offsets})
    lengths = [
        [
            distance(code, query.code) - offset
            for query, offset in zip(queries, offsets, strict=True)
        ]
        for code in codes
    ]
    expected = {str(number) for number, each in enumerate(lengths) if min(each) <= 8}
    assert {match.entry for match in found.matches if match.list == "a"} == expected
    plain = index.search(queries, thresholds={"b": 8}).matches
    assert [match for match in found.matches if match.list == "b"] == list(plain)


def test_a_farther_view_is_told_if_it_lies_deeper_within_its_threshold() -> None:
    code = bytes(32)
    queries = [
        Hash(Algorithm.PDQ, flip(code, 1), view="near"),
        Hash(Algorithm.PDQ, flip(code, 1, 2, 3), view="far"),
    ]
    found = Index([to_list([code])]).search(queries, thresholds={"a": 3}, offsets={"a": [-3, 0]})
    assert [(match.view, match.distance) for match in found.matches] == [("far", 3)]


def test_an_entry_that_is_set_to_flag_says_so_in_its_match() -> None:
    codes = [bytes([15]) * 32, bytes([240]) * 32]
    whole = replace(to_list(codes), flagged=frozenset(codes[:1]))
    queries = [Hash(Algorithm.PDQ, code) for code in codes]
    found = Index([whole]).search(queries, thresholds={"a": 0})
    assert {match.entry: match.action for match in found.matches} == {
        "0": Action.FLAG,
        "1": Action.REFUSE,
    }


def test_matches_come_nearest_first() -> None:
    code = bytes(32)
    index = Index([to_list([flip(code, *range(bits)) for bits in (9, 2, 5)])])
    found = index.search([Hash(Algorithm.PDQ, code)], thresholds={"a": 31})
    assert [match.distance for match in found.matches] == [2, 5, 9]


def test_tags_and_algorithm_come_with_a_match() -> None:
    entry = ListEntry(Algorithm.PDQ, bytes(32), "x", 90, ("one", "two"))
    index = Index([HashList.of([entry], name="a", algorithm=Algorithm.PDQ)])
    (match,) = index.search([Hash(Algorithm.PDQ, bytes(32))], thresholds={"a": 0}).matches
    assert (match.tags, match.algorithm) == (("one", "two"), Algorithm.PDQ)


def test_algorithms_of_one_width_are_kept_apart() -> None:
    index = Index([to_list([bytes(32)], algorithm=Algorithm.PHASH256)])
    found = index.search([Hash(Algorithm.PDQ, bytes(32))], thresholds={"a": 31})
    assert (found.matches, found.searched) == ((), frozenset())


def test_nothing_is_searched_without_hashes() -> None:
    assert Index([to_list([bytes(32)])]).search([], thresholds={"a": 31}).searched == frozenset()


def test_an_index_tells_which_algorithms_it_needs() -> None:
    index = Index([to_list([], name="a"), to_list([], name="b", algorithm=Algorithm.MD5)])
    assert index.algorithms == {Algorithm.PDQ, Algorithm.MD5}


@pytest.mark.parametrize("algorithm", DIGESTS)
def test_a_digest_matches_whole(algorithm: Algorithm) -> None:
    code = bytes(range(algorithm.bits // 8))
    index = Index([to_list([code, code, bytes(len(code))], algorithm=algorithm)])
    found = index.search([Hash(algorithm, code)], thresholds={"a": 0})
    assert [match.entry for match in found.matches] == ["0", "1"]


@pytest.mark.parametrize("algorithm", DIGESTS)
def test_a_digest_with_one_bit_changed_is_no_match(algorithm: Algorithm) -> None:
    code = bytes(range(algorithm.bits // 8))
    index = Index([to_list([code], algorithm=algorithm)])
    found = index.search([Hash(algorithm, flip(code, 0))], thresholds={"a": 0})
    assert found.matches == ()
    assert found.searched == {"a"}


def test_digests_of_several_lists_are_all_found() -> None:
    code = bytes(16)
    lists = [to_list([code], name=name, algorithm=Algorithm.MD5) for name in ("a", "b", "c")]
    found = Index(lists).search([Hash(Algorithm.MD5, code)], thresholds={"a": 0, "c": 0})
    assert [match.list for match in found.matches] == ["a", "c"]


def test_an_entry_below_the_quality_floor_is_not_found() -> None:
    entries = [
        ListEntry(Algorithm.PDQ, bytes([15]) * 32, str(quality), quality)
        for quality in (49, 50, None, 0)
    ]
    whole = HashList.of(entries, name="a", algorithm=Algorithm.PDQ)
    floored = replace(whole, name="b", min_quality=50)
    thresholds = {"a": 31, "b": 31}
    found = Index([whole, floored]).search(
        [Hash(Algorithm.PDQ, bytes([15]) * 32)], thresholds=thresholds
    )
    assert [one.entry for one in found.matches if one.list == "a"] == ["0", "49", "50", "None"]
    assert [one.entry for one in found.matches if one.list == "b"] == ["50", "None"]


@pytest.mark.parametrize(
    ("number", "threshold", "kind"), [(10, 31, None), (300_000, 31, Banded), (300_000, 96, None)]
)
def test_a_long_list_is_looked_up_by_bands_if_its_threshold_allows(
    number: int, threshold: int, kind: type | None
) -> None:
    codes = np.random.default_rng(0).integers(0, 256, (number, 32), np.uint8)
    qualities = np.full(number, 100, np.int16)
    one = HashList("a", Algorithm.PDQ, codes, ["x"] * number, qualities, [()] * number)
    engine = make_engine(one, threshold=threshold)
    assert engine is None if kind is None else isinstance(engine, kind)
    found = Index([one], thresholds={"a": threshold}).search(
        [Hash(Algorithm.PDQ, flip(codes[-1].tobytes(), *range(31)), view="v")], thresholds={"a": 31}
    )
    assert [(one.distance, one.view) for one in found.matches] == [(31, "v")]


@pytest.mark.parametrize("engine", ["none", "a scan"])
def test_short_lists_that_are_long_together_are_looked_up_by_bands(engine: str) -> None:
    codes = random_codes(1, 240_000, 256)
    lists = [
        HashList(
            name=str(number),
            algorithm=Algorithm.PDQ,
            codes=one,
            entries=[str(row) for row in range(len(one))],
            qualities=np.full(len(one), 100, np.int16),
            tags=[()] * len(one),
            engine=None if engine == "none" else Flat(one),
        )
        for number, one in enumerate(np.split(codes, 3))
    ]
    thresholds = {"0": 31, "1": 20, "2": 31}
    index = Index(lists, thresholds=thresholds)
    assert [type(part._engine) for part in index._parts] == [Banded]
    near = flipped(codes[[5, 80_006, 160_007, 160_008]], np.array([31, 21, 3, 32]))
    found = index.search(
        [Hash(Algorithm.PDQ, code.tobytes()) for code in near], thresholds=thresholds
    )
    assert [(one.list, one.entry, one.distance) for one in found.matches] == [
        ("2", "7", 3),
        ("0", "5", 31),
    ]


def test_a_search_leaves_the_thread_setting_as_it_was() -> None:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        Index([to_list([bytes(32)])]).search([Hash(Algorithm.PDQ, bytes(32))], thresholds={"a": 31})
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)


def test_answers_several_threads_rightly() -> None:
    codes: list[bytes] = [np.random.default_rng(n).bytes(32) for n in range(500)]
    index = Index([to_list(codes)])

    def search(number: int) -> list[str]:
        query = Hash(Algorithm.PDQ, codes[number])
        return [match.entry for match in index.search([query], thresholds={"a": 31}).matches]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(search, range(500))) == [[str(number)] for number in range(500)]


def test_codes_in_any_memory_layout_are_indexed_rightly() -> None:
    wide: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (10, 64), np.uint8)
    one = to_list([bytes(32)] * 10)
    strided = HashList("a", Algorithm.PDQ, wide[:, ::2], one.entries, one.qualities, one.tags)
    query = Hash(Algorithm.PDQ, wide[7, ::2].tobytes())
    found = Index([strided]).search([query], thresholds={"a": 0})
    assert [match.entry for match in found.matches] == ["7"]
