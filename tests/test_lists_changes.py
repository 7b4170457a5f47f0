from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initgate.errors import ListRejected
from initgate.lists import changes
from initgate.model import Algorithm, HashList, ListEntry

IDS = st.sampled_from(["a", "b", "c"])
CODES = st.integers(0, 3).map(lambda n: bytes([n]) * 32)


def entry(name: str, code: bytes = bytes(32)) -> ListEntry:
    return ListEntry(Algorithm.PDQ, code, name, 90, ("tag",))


ADDITIONS = st.builds(lambda name, code: changes.addition(entry(name, code)), IDS, CODES)
REMOVALS = IDS.map(changes.removal)
LINES = st.lists(ADDITIONS | REMOVALS, max_size=8)


def searched(made: list[ListEntry], lines: list[bytes]) -> set[ListEntry]:
    """What a gate searches after these changes."""
    base = HashList.of(made, name="x", algorithm=Algorithm.PDQ)
    read = changes.read(b"".join(lines), source="x.changes")
    parts = list(changes.apply(read, base, source="x.changes"))
    return {one for part in parts for one in part if one.entry not in part.removed}


@given(st.lists(st.builds(entry, IDS, CODES), max_size=4), LINES)
def test_changes_add_up_in_their_order(made: list[ListEntry], lines: list[bytes]) -> None:
    expected = set(made)
    for line in lines:
        one = changes.read(line, source="x")
        expected = {e for e in expected if e.entry not in one.removed} | set(one.added)
    assert searched(made, lines) == expected


@given(st.lists(st.builds(entry, IDS, CODES), max_size=4), LINES)
def test_changes_made_a_second_time_change_nothing(
    made: list[ListEntry], lines: list[bytes]
) -> None:
    merged = searched(made, lines)
    assert searched(list(merged), lines) == merged


def test_a_line_that_is_still_being_written_is_left_for_later() -> None:
    whole, half = changes.addition(entry("a")), changes.addition(entry("b"))[:-5]
    assert changes.read(whole + half, source="x") == changes.read(whole, source="x")


def test_a_list_with_changes_is_another_version() -> None:
    base = HashList.of([entry("a")], name="x", algorithm=Algorithm.PDQ, digest="d")
    read = changes.read(changes.removal("a"), source="x")
    (changed,) = changes.apply(read, base, source="x")
    assert changed.digest not in {"", "d"}
    assert list(changes.apply(changes.Changes(), base, source="x")) == [base]


@pytest.mark.parametrize(
    "line",
    [
        b"{}\n",
        b'{"change": "drop", "entry": "a"}\n',
        b'{"change": "remove"}\n',
        b'{"change": "remove", "entry": 7}\n',
        b'{"change": "remove", "entry": "a", "hash": "00"}\n',
        b'{"change": "add", "entry": "a"}\n',
        b'{"change": "flag"}\n',
        b'{"change": "flag", "hash": "0g"}\n',
        b'{"change": "flag", "hash": 7}\n',
        b'{"change": "unflag", "hash": "00", "entry": "a"}\n',
        b"not json\n",
    ],
)
def test_a_malformed_change_is_rejected_with_file_and_line(line: bytes) -> None:
    with pytest.raises(ListRejected, match=r"x\.changes.*2"):
        changes.read(changes.removal("a") + line, source="x.changes")


def test_an_entry_of_another_algorithm_is_rejected() -> None:
    base = HashList.of([], name="x", algorithm=Algorithm.MD5)
    read = changes.read(changes.addition(entry("a")), source="x")
    with pytest.raises(ListRejected, match="entry a is pdq, but the list md5"):
        list(changes.apply(read, base, source="x"))


FLAGS = st.tuples(st.sampled_from([changes.flag, changes.unflag]), CODES).map(lambda x: x[0](x[1]))


@given(st.lists(ADDITIONS | REMOVALS | FLAGS, max_size=8), CODES)
def test_the_last_line_of_a_hash_says_whether_it_flags(lines: list[bytes], code: bytes) -> None:
    own = [line for line in lines if line in {changes.flag(code), changes.unflag(code)}]
    read = changes.read(b"".join(lines), source="x")
    assert (code in read.flagged) == (own[-1:] == [changes.flag(code)])


def test_hashes_that_flag_do_so_in_the_list_and_among_what_was_added() -> None:
    base = HashList.of([entry("a")], name="x", algorithm=Algorithm.PDQ)
    lines = changes.addition(entry("b")) + changes.flag(bytes(32))
    parts = list(changes.apply(changes.read(lines, source="x"), base, source="x"))
    assert [one.flagged for one in parts] == [frozenset([bytes(32)])] * 2


def test_a_hash_to_flag_of_another_width_is_rejected() -> None:
    base = HashList.of([entry("a")], name="x", algorithm=Algorithm.PDQ)
    read = changes.read(changes.flag(bytes(8)), source="x")
    with pytest.raises(ListRejected, match="pdq needs 64 hexadecimal digits"):
        list(changes.apply(read, base, source="x.changes"))
