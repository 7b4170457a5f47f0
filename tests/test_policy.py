from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initgate.model import Action, Algorithm, HashList, ListEntry, Match, Reason
from initgate.policy import Encoded, Fallback, ListPolicy, Policy

NOW = datetime(2030, 1, 1, tzinfo=UTC)
AGED = Policy({"a": ListPolicy(31, max_age=timedelta(days=1)), "b": ListPolicy(31)})


def match(name: str) -> Match:
    return Match(name, "x", Algorithm.PDQ, 3, "picture")


def qualities(*values: int | None) -> HashList:
    entries = [
        ListEntry(Algorithm.PHASH64, bytes([number] * 8), str(number), value, (str(number),))
        for number, value in enumerate(values)
    ]
    return HashList.of(entries, name="a", algorithm=Algorithm.PHASH64, digest="d", as_of=NOW)


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        ({"a": NOW, "b": NOW}, ()),
        ({"a": NOW - timedelta(days=1), "b": NOW}, ()),
        ({"a": NOW - timedelta(days=1, microseconds=1), "b": NOW}, ("a",)),
        ({"a": NOW, "b": NOW - timedelta(days=999)}, ()),
        ({"a": None, "b": None}, ("a",)),
        ({}, ("a",)),
    ],
    ids=["fresh", "at the limit", "past it", "without limit", "of no age", "unknown"],
)
def test_a_list_is_expired_past_its_age(
    ages: Mapping[str, datetime | None], expected: tuple[str, ...]
) -> None:
    assert AGED.expired(ages, NOW) == expected


@pytest.mark.parametrize(
    ("matched", "reason"),
    [
        ([], Reason.NO_MATCH),
        (["flag"], Reason.FLAGGED),
        (["refuse"], Reason.MATCH),
        (["flag", "refuse"], Reason.MATCH),
        (["refuse", "flag", "flag"], Reason.MATCH),
    ],
)
def test_a_refusing_list_outweighs_flagging_ones(matched: list[str], reason: Reason) -> None:
    policy = Policy({"flag": ListPolicy(31, action=Action.FLAG), "refuse": ListPolicy(31)})
    assert policy.judge([match(name) for name in matched]) is reason


@pytest.mark.parametrize("reason", Reason)
def test_only_a_finding_of_nothing_and_a_flag_are_allowed(reason: Reason) -> None:
    assert Policy({}).allows(reason) == (reason in {Reason.NO_MATCH, Reason.FLAGGED})


@pytest.mark.parametrize("reason", Reason)
def test_no_setting_allows_more_than_it_names(reason: Reason) -> None:
    lenient = Policy({}, unreadable=Fallback.ALLOW, encoded=Encoded.ALLOW)
    assert lenient.allows(reason) == (
        reason in {Reason.NO_MATCH, Reason.FLAGGED, Reason.UNREADABLE, Reason.ENCODED_INPUT}
    )


def test_an_entry_that_every_flat_picture_would_match_is_not_fit() -> None:
    entries = [ListEntry(Algorithm.PDQ, code, "x") for code in (bytes(32), b"\1" * 32)]
    listed = HashList.of(entries, name="a", algorithm=Algorithm.PDQ)
    assert Policy({"a": ListPolicy(31, min_quality=50)}).fit_entries(listed).is_fit().tolist() == [
        False,
        True,
    ]
    assert Policy({"a": ListPolicy(31)}).fit_entries(listed).is_fit().all()


def test_what_cannot_be_decoded_is_refused_where_encoded_inputs_are_to_be_decoded() -> None:
    assert not Policy({}, encoded=Encoded.DECODE).allows(Reason.ENCODED_INPUT)


def test_entries_below_the_floor_are_not_fit_and_unknown_ones_are() -> None:
    policy = Policy({"a": ListPolicy(6, min_quality=50)})
    fit = policy.fit_entries(qualities(49, 50, None, 0, 100))
    assert fit.is_fit().tolist() == [False, True, True, False, True]


@given(st.lists(st.none() | st.integers(0, 100), max_size=12), st.integers(0, 100))
def test_a_floor_changes_nothing_else(values: list[int | None], floor: int) -> None:
    whole = qualities(*values)
    fit = Policy({"a": ListPolicy(6, min_quality=floor)}).fit_entries(whole)
    assert list(fit) == list(whole)
    assert fit.is_fit().tolist() == [value is None or value >= floor for value in values]
    assert (fit.name, fit.algorithm, fit.digest, fit.as_of) == ("a", Algorithm.PHASH64, "d", NOW)


def test_thresholds_are_told_per_list() -> None:
    assert Policy({"a": ListPolicy(3), "b": ListPolicy(0)}).thresholds == {"a": 3, "b": 0}
