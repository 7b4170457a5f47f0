from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initgate.model import Action, Algorithm, Hash, HashList, ListEntry, Match, Reason
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


@pytest.mark.parametrize(
    ("distance", "action", "reason"),
    [
        (31, Action.REFUSE, Reason.MATCH),
        (32, Action.REFUSE, Reason.FLAGGED),
        (40, Action.REFUSE, Reason.FLAGGED),
        (31, Action.FLAG, Reason.FLAGGED),
        (40, Action.FLAG, Reason.FLAGGED),
    ],
)
def test_between_the_thresholds_a_match_flags(
    distance: int, action: Action, reason: Reason
) -> None:
    policy = Policy({"a": ListPolicy(31, action=action, flag_threshold=40)})
    assert policy.judge([replace(match("a"), distance=distance)]) is reason


def test_an_entry_that_is_set_to_flag_flags_within_the_threshold() -> None:
    policy = Policy({"a": ListPolicy(31)})
    assert policy.judge([replace(match("a"), action=Action.FLAG)]) is Reason.FLAGGED


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ((), Reason.MATCH),
        (("feedback:affirmative=3",), Reason.MATCH),
        (("category:a", "feedback:negative=1"), Reason.FLAGGED),
        (("feedback:Negative=1",), Reason.MATCH),
        (("x feedback:negative=1",), Reason.MATCH),
    ],
    ids=["no tag", "another", "one of several", "in other letters", "not from its beginning"],
)
def test_an_entry_with_a_tag_of_the_patterns_flags(tags: tuple[str, ...], reason: Reason) -> None:
    policy = Policy({"a": ListPolicy(31, flag_tags=("status:new", "feedback:negative=*"))})
    assert policy.judge([replace(match("a"), tags=tags)]) is reason


def test_the_tags_of_one_list_are_nothing_to_another() -> None:
    policy = Policy({"a": ListPolicy(31, flag_tags=("*",)), "b": ListPolicy(31)})
    assert policy.judge([replace(match("b"), tags=("x",))]) is Reason.MATCH


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ([], Reason.RELEASED),
        ([replace(match("a"), exception="e2")], Reason.RELEASED),
        ([match("flag")], Reason.FLAGGED),
        ([match("a")], Reason.MATCH),
        ([match("a"), match("flag")], Reason.MATCH),
    ],
    ids=["alone", "with another", "beside a flag", "beside a match", "beside both"],
)
def test_what_is_not_released_alone_decides(others: list[Match], reason: Reason) -> None:
    policy = Policy({"a": ListPolicy(31), "flag": ListPolicy(31, action=Action.FLAG)})
    assert policy.judge([replace(match("a"), exception="e1"), *others]) is reason


def test_the_search_asks_with_the_larger_threshold() -> None:
    policy = Policy({"a": ListPolicy(31, flag_threshold=40), "b": ListPolicy(31)})
    assert policy.thresholds == {"a": 40, "b": 31}


@pytest.mark.parametrize(
    ("view", "offset"),
    [
        ("picture", 0),
        ("picture, mirrored", -3),
        ("frame 12, on black", -2),
        ("frame 12, mirrored", -3),
        ("frames", 0),
    ],
)
def test_the_lowest_offset_of_a_views_families_counts(view: str, offset: int) -> None:
    one = ListPolicy(31, view_offsets={"frame": -2, "mirrored": -3, "alpha": -9})
    assert one.offset(view) == offset


def test_an_offset_lowers_both_thresholds() -> None:
    policy = Policy({"a": ListPolicy(31, flag_threshold=40, view_offsets={"frame": -4})})
    found = [replace(match("a"), view="frame 1", distance=distance) for distance in (27, 28)]
    assert [policy.action_of(one) for one in found] == [Action.REFUSE, Action.FLAG]
    assert policy.offsets([Hash(Algorithm.PDQ, bytes(32), view=v) for v in ("frame 1", "x")]) == {
        "a": [-4, 0]
    }


MATCHES = st.builds(
    Match,
    list=st.sampled_from(["flag", "refuse", "tight", "tagged"]),
    entry=st.just("x"),
    algorithm=st.just(Algorithm.PDQ),
    distance=st.integers(0, 40),
    view=st.sampled_from(["picture", "frame 1"]),
    action=st.sampled_from(Action),
    tags=st.sampled_from([(), ("doubt",)]),
    exception=st.sampled_from(["", "e"]),
)


@given(st.lists(MATCHES, max_size=5), MATCHES)
def test_a_further_match_never_hides_a_refusal(found: list[Match], more: Match) -> None:
    policy = Policy(
        {
            "flag": ListPolicy(31, action=Action.FLAG, flag_threshold=40),
            "refuse": ListPolicy(31, flag_threshold=40),
            "tight": ListPolicy(31, flag_threshold=40, view_offsets={"frame": -9}),
            "tagged": ListPolicy(31, flag_tags=("doubt",)),
        }
    )
    if policy.judge(found) is Reason.MATCH:
        assert policy.judge([*found, more]) is Reason.MATCH


@pytest.mark.parametrize("reason", Reason)
def test_only_a_finding_of_nothing_a_flag_and_a_release_are_allowed(reason: Reason) -> None:
    allowed = {Reason.NO_MATCH, Reason.FLAGGED, Reason.RELEASED}
    assert Policy({}).allows(reason) == (reason in allowed)


@pytest.mark.parametrize("reason", Reason)
def test_no_setting_allows_more_than_it_names(reason: Reason) -> None:
    lenient = Policy({}, unreadable=Fallback.ALLOW, encoded=Encoded.ALLOW)
    strict = {Reason.NO_MATCH, Reason.FLAGGED, Reason.RELEASED}
    assert lenient.allows(reason) == (reason in {*strict, Reason.UNREADABLE, Reason.ENCODED_INPUT})


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
