"""The laws of merging, what is counted, and what two versions differ in."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from initgate.errors import ListRejected
from initgate.lists import merge as merging
from initgate.lists.diff import diff
from initgate.lists.feed import Held, Skipped, Unmatched, Withdrawn
from initgate.lists.merge import Contents, merge
from initgate.model import Algorithm, HashList, ListEntry

PDQ, MD5 = Algorithm.PDQ, Algorithm.MD5


def entry(name: str, level: int, algorithm: Algorithm = PDQ, *tags: str) -> ListEntry:
    return ListEntry(algorithm, bytes([level]) * (algorithm.bits // 8), name, 90, tags)


def contents(*records: Held, after: Contents | None = None, is_whole: bool = False) -> Contents:
    return merge(after or Contents(), records, is_whole=is_whole)[0]


def entries(held: Contents) -> list[ListEntry]:
    return list(itertools.chain.from_iterable(held.lists.values()))


NAMES = st.sampled_from(["a", "b", "ä", "c" * 9])
ENTRIES = st.builds(
    entry, NAMES, st.integers(1, 3), st.sampled_from([PDQ, MD5]), st.sampled_from(["x", "y"])
)
RECORDS: st.SearchStrategy[list[Held]] = st.lists(
    st.one_of(
        ENTRIES,
        st.builds(Withdrawn, NAMES, st.sampled_from([None, PDQ])),
        st.builds(Unmatched, st.sampled_from(["PhotoDNA", "TMK"]), NAMES),
        st.builds(Skipped, st.sampled_from(["placeholder", "PhotoDNA"]), NAMES),
    ),
    max_size=12,
)


def expected(batches: Iterable[list[Held]]) -> set[tuple[Algorithm, bytes, str]]:
    """What the laws say, entry by entry."""
    held: set[tuple[Algorithm, bytes, str]] = set()
    for batch in batches:
        gone = {(one.algorithm, one.entry) for one in batch if isinstance(one, Withdrawn)}
        named = {one.entry for one in batch if not isinstance(one, Withdrawn) or not one.algorithm}
        held = {one for one in held if one[2] not in named and (one[0], one[2]) not in gone}
        held |= {
            (one.algorithm, one.code, one.entry)
            for one in batch
            if isinstance(one, ListEntry)
            and not gone & {(None, one.entry), (one.algorithm, one.entry)}
        }
    return held


def in_turn(batches: Iterable[list[Held]]) -> Contents:
    held = Contents()
    for batch in batches:
        held = contents(*batch, after=held)
    return held


@given(st.lists(RECORDS, max_size=4))
def test_a_feed_holds_what_the_last_batch_of_each_identifier_says(
    batches: list[list[Held]],
) -> None:
    held = entries(in_turn(batches))
    assert {(one.algorithm, one.code, one.entry) for one in held} == expected(batches)
    assert len(held) == len(expected(batches))


@given(st.lists(RECORDS, max_size=3), RECORDS)
def test_a_batch_that_comes_again_changes_nothing(
    batches: list[list[Held]], last: list[Held]
) -> None:
    once = in_turn([*batches, last])
    assert contents(*last, after=once).digest() == once.digest()


@given(RECORDS, RECORDS, RECORDS)
def test_batches_of_different_identifiers_may_come_in_any_order(
    before: list[Held], one: list[Held], other: list[Held]
) -> None:
    named = {record.entry for record in one}
    other = [record for record in other if record.entry not in named]
    assert in_turn([before, one, other]).digest() == in_turn([before, other, one]).digest()


@given(RECORDS)
def test_the_order_within_a_batch_says_nothing_about_hashes(batch: list[Held]) -> None:
    shuffled = sorted(batch, key=repr)
    once, again = entries(contents(*batch)), entries(contents(*shuffled))
    assert [(one.code, one.entry) for one in once] == [(one.code, one.entry) for one in again]


@given(RECORDS, RECORDS)
def test_a_withdrawal_wins_wherever_it_stands(one: list[Held], other: list[Held]) -> None:
    held = entries(contents(*one, Withdrawn("a"), *other))
    assert "a" not in {each.entry for each in held}


@given(st.lists(RECORDS, max_size=3), RECORDS)
def test_a_whole_batch_leaves_nothing_of_before(
    batches: list[list[Held]], last: list[Held]
) -> None:
    held = contents(*last, after=in_turn(batches), is_whole=True)
    assert held.digest() == contents(*last).digest()


def test_a_withdrawal_of_one_algorithm_leaves_the_others() -> None:
    held = contents(entry("a", 1), entry("a", 1, MD5))
    held = contents(Withdrawn("a", PDQ), after=held)
    assert [one.algorithm for one in entries(held)] == [MD5]


def test_an_entry_that_stands_twice_is_kept_once_as_it_stood_last_and_counted() -> None:
    records = [entry("a", 1, PDQ, "old"), entry("b", 1), entry("a", 1, PDQ, "new")]
    held, doubles = merge(Contents(), records, is_whole=True)
    assert (doubles, [(one.entry, one.tags) for one in entries(held)]) == (
        1,
        [("a", ("new",)), ("b", ())],
    )


def test_qualities_and_tags_come_through() -> None:
    made = ListEntry(PDQ, b"\x01" * 32, "a", None, ("x", "y"))
    other = ListEntry(PDQ, b"\x02" * 32, "b", 7)
    held = contents(Withdrawn("c"), after=contents(other, made, entry("c", 3)))
    assert entries(held) == [made, other]


def test_identifiers_are_counted_once_by_kind_and_replaced_by_later_records() -> None:
    held = contents(
        Unmatched("PhotoDNA", "a"),
        Unmatched("PhotoDNA", "a"),
        Unmatched("TMK", "a"),
        Unmatched("PhotoDNA", "b"),
        Skipped("placeholder", "b"),
    )
    assert held.unmatched.counts() == {"PhotoDNA": 2, "TMK": 1}
    assert held.skipped.counts() == {"placeholder": 1}
    held = contents(Withdrawn("a"), entry("b", 1), after=held)
    assert (held.unmatched.counts(), held.skipped.counts()) == ({}, {})


def test_more_kinds_than_there_can_be_reject_a_batch() -> None:
    kinds = [Unmatched(f"kind {n}", "a") for n in range(merging.MAX_KINDS + 1)]
    with pytest.raises(ListRejected, match="more than 1000 kinds"):
        contents(*kinds)
    held = contents(*kinds[1:])
    with pytest.raises(ListRejected, match="more than 1000 kinds"):
        contents(Unmatched("kind 0", "b"), after=held)


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=2), st.sampled_from("abc"))))
def test_rows_are_ordered_by_all_of_their_hash_and_by_identifier(
    made: list[tuple[bytes, str]],
) -> None:
    """Hashes that begin alike, too."""
    entries = [
        ListEntry(Algorithm.SHA1, one.rjust(10, b"a").ljust(20, b"z"), name) for one, name in made
    ]
    held, _ = merge(Contents(), entries, is_whole=True)
    rows = [(one.code, one.entry) for one in held.lists.get(Algorithm.SHA1, ())]
    assert rows == sorted({(one.code, one.entry) for one in entries})


def test_a_list_that_came_from_elsewhere_merges_too() -> None:
    made = HashList(
        name="",
        algorithm=PDQ,
        codes=np.full((2, 32), 1, np.uint8),
        entries=["b", "a"],
        qualities=np.array([-1, 5], np.int16),
        tags=[(), ("t",)],
    )
    held = contents(entry("c", 0), after=Contents({PDQ: made}))
    assert [one.entry for one in entries(held)] == ["c", "a", "b"]


def test_a_difference_tells_what_was_added_removed_and_changed() -> None:
    before = [entry("a", 1), entry("b", 2), entry("c", 3), entry("d", 4)]
    after = [entry("d", 4), entry("e", 5), entry("c", 3, PDQ, "t"), entry("b", 2), entry("b", 6)]
    found = diff(before, after)
    assert (found.added, found.removed, found.changed) == (("e",), ("a",), ("b", "c"))
