from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
import structlog
from conftest import NOW, MakeGate
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from samples import SHARED_DATA
from structlog.testing import LogCapture

from initgate import Action, Algorithm, Allowed, AuditUnavailable, Context, Gate, Reason, Refused
from initgate.audit import chain
from initgate.canary import load_canary
from initgate.hashing import hash_bytes, pdq
from initgate.image import Limits, decode, encode
from initgate.index import Found, Index
from initgate.model import Hash, HashList, ListEntry, Picture, View
from initgate.policy import Encoded, Fallback, ListPolicy
from initgate.testing import MemorySink, make_list, scene
from initgate.views import views

LISTED, UNLISTED = scene(1), scene(2)
LIST = make_list([LISTED])


class BrokenSink(MemorySink):
    """A disk that is full."""

    def append(self, event: Mapping[str, object], **_: object) -> None:  # noqa: ARG002
        raise AuditUnavailable("disk full")


class CrashingSink(MemorySink):
    """A sink with a defect of its own."""

    def append(self, event: Mapping[str, object], **_: object) -> None:
        raise KeyError(len(event))


# ── Each reason ───────────────────────────────────────────────────────────────────────────────


def test_allows_what_no_list_holds(make_gate: MakeGate) -> None:
    decision = make_gate([LIST]).inspect(UNLISTED)
    assert (decision.reason, decision.verdict) == (Reason.NO_MATCH, Allowed("decision-1"))


def test_flags_what_lies_between_the_thresholds(make_gate: MakeGate, sink: MemorySink) -> None:
    (entry,) = LIST
    farther = np.frombuffer(entry.code, np.uint8) ^ np.array([255] * 4 + [0] * 28, np.uint8)
    whole = replace(LIST, codes=farther[None])
    made = make_gate([whole], policies={LIST.name: ListPolicy(31, flag_threshold=32)})
    decision = made.inspect(LISTED)
    assert (decision.reason, decision.verdict) == (Reason.FLAGGED, Allowed("decision-1"))
    assert [match.distance for match in decision.matches] == [32]
    (record,) = sink.records()
    assert (record.event["reason"], record.event["review_state"]) == ("flagged", "pending")
    assert "'distance': '32-39'" in str(record.event["matches"])
    tight = ListPolicy(32, view_offsets={"picture": -1})
    assert make_gate([whole], policies={LIST.name: tight}).inspect(LISTED).reason is Reason.NO_MATCH


def test_refuses_what_a_list_holds(make_gate: MakeGate) -> None:
    decision = make_gate([LIST]).inspect(LISTED)
    assert (decision.reason, decision.verdict) == (Reason.MATCH, Refused("decision-1"))


def test_names_list_entry_distance_and_view_to_the_operator(make_gate: MakeGate) -> None:
    (match,) = make_gate([LIST]).inspect(np.ascontiguousarray(LISTED[:, ::-1])).matches
    assert (match.list, match.entry, match.view) == ("test", "0", "picture, mirrored")
    assert match.distance <= 31


def test_allows_and_tells_what_only_a_flagging_list_holds(make_gate: MakeGate) -> None:
    gate = make_gate([LIST], policies={"test": ListPolicy(31, action=Action.FLAG)})
    decision = gate.inspect(LISTED)
    assert (decision.reason, decision.verdict) == (Reason.FLAGGED, Allowed("decision-1"))
    assert [match.entry for match in decision.matches] == ["0"]


def test_refuses_what_a_flagging_and_a_refusing_list_hold(make_gate: MakeGate) -> None:
    lists = [make_list([LISTED], name="trial"), make_list([LISTED], name="real")]
    policies = {"trial": ListPolicy(31, action=Action.FLAG), "real": ListPolicy(31)}
    decision = make_gate(lists, policies=policies).inspect(LISTED)
    assert decision.reason is Reason.MATCH
    assert {match.list for match in decision.matches} == {"trial", "real"}


@pytest.mark.parametrize(
    "image",
    [b"", b"no image", None, "photo.png", object(), np.zeros((0, 3)), np.full((9, 9), np.nan)],
    ids=["no bytes", "text", "None", "path", "object", "no pixels", "NaN"],
)
def test_refuses_what_it_cannot_read(make_gate: MakeGate, image: object) -> None:
    decision = make_gate([LIST]).inspect(image)
    assert (decision.reason, decision.verdict) == (Reason.UNREADABLE, Refused("decision-1"))


def test_refuses_encoded_input(make_gate: MakeGate, sink: MemorySink) -> None:
    assert make_gate([LIST]).check_encoded("image: 4 channels") == Refused("decision-1")
    (record,) = sink.records()
    assert record.event["reason"] == "encoded_input"
    assert record.event["detail"] == "image: 4 channels"


def test_refuses_an_object_when_only_digests_are_listed(make_gate: MakeGate) -> None:
    digests = HashList.of(
        [ListEntry(Algorithm.MD5, bytes(16), "a")], name="digests", algorithm=Algorithm.MD5
    )
    decision = make_gate([digests]).inspect(Image.fromarray(UNLISTED))
    assert (decision.reason, decision.verdict) == (Reason.NO_LIST, Refused("decision-1"))


def test_allows_unlisted_bytes_when_only_digests_are_listed(make_gate: MakeGate) -> None:
    digests = HashList.of(
        [ListEntry(Algorithm.MD5, bytes(16), "a")], name="digests", algorithm=Algorithm.MD5
    )
    assert make_gate([digests]).inspect(encode(UNLISTED, "PNG")).reason is Reason.NO_MATCH


BROKEN = encode(LISTED, "PNG")[:-200]
LARGE = encode(LISTED, "PNG")


def digest_list(data: bytes, algorithm: Algorithm = Algorithm.SHA256) -> HashList:
    entry = ListEntry(algorithm, hash_bytes(data, algorithm).code, "a")
    return HashList.of([entry], name="digests", algorithm=algorithm)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("unreadable", Fallback)
@pytest.mark.parametrize("algorithm", [one for one in Algorithm if one.is_digest])
def test_refuses_a_listed_file_that_it_cannot_read(
    make_gate: MakeGate, algorithm: Algorithm, unreadable: Fallback, kind: Callable[[bytes], object]
) -> None:
    gate = make_gate([LIST, digest_list(BROKEN, algorithm)], unreadable=unreadable)
    decision = gate.inspect(kind(BROKEN))
    assert (decision.reason, decision.verdict) == (Reason.MATCH, Refused("decision-1"))
    assert [match.list for match in decision.matches] == ["digests"]
    assert decision.detail  # what kept it from being read


def test_refuses_a_listed_file_that_is_too_large(make_gate: MakeGate) -> None:
    gate = make_gate(
        [digest_list(LARGE)],
        unreadable=Fallback.ALLOW,
        limits=Limits(max_bytes=len(LARGE) - 1),
    )
    assert gate.inspect(LARGE).reason is Reason.MATCH


@pytest.mark.parametrize("unreadable", Fallback)
def test_a_file_that_it_cannot_read_is_not_known_by_a_flagging_list(
    make_gate: MakeGate, unreadable: Fallback
) -> None:
    policies = {"digests": ListPolicy(0, action=Action.FLAG)}
    gate = make_gate([digest_list(BROKEN)], policies=policies, unreadable=unreadable)
    decision = gate.inspect(BROKEN)
    assert decision.reason is Reason.UNREADABLE
    assert isinstance(decision.verdict, Allowed) == (unreadable is Fallback.ALLOW)
    assert [match.list for match in decision.matches] == ["digests"]


def test_a_listed_digest_does_not_keep_it_from_looking(make_gate: MakeGate) -> None:
    data = encode(LISTED, "PNG")
    decision = make_gate([LIST, digest_list(data)]).inspect(data)
    assert {match.list for match in decision.matches} == {"test", "digests"}


def test_searches_once(make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(LISTED, "PNG")
    gate = make_gate([LIST, digest_list(data)], families=())
    asked: list[int] = []
    search = Index.search

    def counted(self: Index, hashes: Sequence[Hash], **options: Any) -> Found:
        asked.append(len(hashes))
        return search(self, hashes, **options)

    monkeypatch.setattr(Index, "search", counted)
    gate.inspect(data)
    assert asked == [9]  # the digest and eight orientations


# ── Reduced JPEGs ─────────────────────────────────────────────────────────────────────────────

JPEG = encode(scene(1, height=1100, width=1200), "JPEG")


def sizes_seen(monkeypatch: pytest.MonkeyPatch, gate: Gate) -> set[tuple[int, ...]]:
    """Of the views that are made of a large JPEG file."""
    seen: set[tuple[int, ...]] = set()

    def watched(picture: Picture, _: object) -> Iterator[View]:
        for view in views(picture, ()):
            seen.add(view.levels.shape)
            yield view

    monkeypatch.setattr("initgate.gate.views", watched)
    assert gate.inspect(JPEG).reason is Reason.MATCH
    return seen


def test_reduces_jpegs_if_told_to(make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = make_gate([LIST, digest_list(b"")], reduce_jpegs=True)
    assert sizes_seen(monkeypatch, gate) == {(550, 600, 3)}


def test_reduces_no_jpegs_by_itself(make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sizes_seen(monkeypatch, make_gate([LIST])) == {(1100, 1200, 3)}


def test_reduces_no_jpegs_for_hashes_that_do_not_stand_it(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_list([UNLISTED], name="other", algorithm=Algorithm.DHASH64)
    gate = make_gate([LIST, other], reduce_jpegs=True)
    assert sizes_seen(monkeypatch, gate) == {(1100, 1200, 3)}


# ── What is searched ──────────────────────────────────────────────────────────────────────────


def test_refuses_when_nothing_was_searched(make_gate: MakeGate) -> None:
    decision = make_gate([]).inspect(encode(UNLISTED, "PNG"))
    assert (decision.reason, decision.verdict) == (Reason.NO_LIST, Refused("decision-1"))


def test_the_canary_lists_do_not_count_as_searched(make_gate: MakeGate) -> None:
    canary = load_canary([Algorithm.PDQ])
    gate = make_gate([], index=Index(canary.lists))
    assert gate.inspect(UNLISTED).reason is Reason.NO_LIST


def test_refuses_everything_once_a_list_is_too_old(make_gate: MakeGate) -> None:
    old = replace(LIST, as_of=NOW - timedelta(days=30, microseconds=1))
    policies = {"test": ListPolicy(31, max_age=timedelta(days=30))}
    decision = make_gate([old], policies=policies).inspect(UNLISTED)
    assert (decision.reason, decision.verdict) == (Reason.LIST_EXPIRED, Refused("decision-1"))
    assert "test" in decision.detail


def test_serves_a_list_to_the_last_moment_of_its_age(make_gate: MakeGate) -> None:
    aged = replace(LIST, as_of=NOW - timedelta(days=30))
    policies = {"test": ListPolicy(31, max_age=timedelta(days=30))}
    assert make_gate([aged], policies=policies).inspect(UNLISTED).reason is Reason.NO_MATCH


def test_refuses_when_the_age_of_a_list_is_unknown(make_gate: MakeGate) -> None:
    policies = {"test": ListPolicy(31, max_age=timedelta(days=30))}
    assert make_gate([LIST], policies=policies).inspect(UNLISTED).reason is Reason.LIST_EXPIRED


@pytest.mark.parametrize(
    "index",
    [
        Index([LIST]),
        Index([]),
        Index([LIST, HashList.of([], name="initgate.canary.pdq", algorithm=Algorithm.PDQ)]),
        Index([LIST, make_list([scene(3)], name="initgate.canary.pdq")]),
    ],
    ids=["missing", "empty index", "empty list", "wrong hash"],
)
def test_refuses_everything_when_the_canary_is_not_found(make_gate: MakeGate, index: Index) -> None:
    gate = make_gate([LIST], index=index)
    assert not gate.prove()
    assert gate.inspect(UNLISTED).reason is Reason.CANARY
    assert gate.check(LISTED) == Refused("decision-2")


@pytest.mark.parametrize("algorithm", Algorithm)
def test_proves_itself_in_every_algorithm(make_gate: MakeGate, algorithm: Algorithm) -> None:
    empty = HashList.of([], name="test", algorithm=algorithm)
    assert make_gate([empty]).prove()


def test_one_lost_algorithm_fails_the_proof(make_gate: MakeGate, log_capture: LogCapture) -> None:
    other = make_list([LISTED], name="other", algorithm=Algorithm.PHASH256)
    gate = make_gate([LIST, other], index=Index([LIST, other, *load_canary([Algorithm.PDQ]).lists]))
    assert gate.inspect(UNLISTED).reason is Reason.CANARY
    assert log_capture.entries[0]["algorithms"] == ["phash256"]


@pytest.mark.parametrize("step", ["decode", "views", "hash_views"])
def test_refuses_when_a_step_fails(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    gate = make_gate([LIST], unreadable=Fallback.ALLOW, encoded=Encoded.ALLOW)

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(f"initgate.gate.{step}", fail)
    decision = gate.inspect(UNLISTED)
    assert (decision.reason, decision.verdict) == (Reason.FAULT, Refused("decision-1"))
    assert decision.detail == "ZeroDivisionError"


def test_refuses_when_the_search_fails(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = make_gate([LIST])

    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Index, "search", fail)
    assert gate.inspect(UNLISTED).reason is Reason.FAULT


def test_refuses_when_the_search_fails_at_start(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Index, "search", fail)
    assert make_gate([LIST]).inspect(UNLISTED).reason is Reason.CANARY


def test_refuses_when_the_clock_fails(make_gate: MakeGate) -> None:
    def stopped() -> datetime:
        raise OSError

    assert make_gate([LIST], clock=stopped).check(UNLISTED) == Refused("decision-1")


@pytest.mark.parametrize("broken", [BrokenSink, CrashingSink])
def test_refuses_a_flagged_image_that_cannot_be_recorded(
    make_gate: MakeGate, broken: Callable[[], MemorySink]
) -> None:
    gate = make_gate([LIST], policies={"test": ListPolicy(31, action=Action.FLAG)}, audit=broken())
    decision = gate.inspect(LISTED)
    assert (decision.reason, decision.verdict) == (Reason.UNRECORDED, Refused("decision-1"))


@pytest.mark.parametrize("broken", [BrokenSink, CrashingSink])
def test_a_refusal_that_cannot_be_recorded_is_still_a_refusal(
    make_gate: MakeGate, broken: Callable[[], MemorySink]
) -> None:
    decision = make_gate([LIST], audit=broken()).inspect(LISTED)
    assert (decision.reason, decision.verdict) == (Reason.MATCH, Refused("decision-1"))


def test_refuses_an_allowed_image_that_was_to_be_recorded_and_is_not(make_gate: MakeGate) -> None:
    gate = make_gate([LIST], record_allowed=True, audit=BrokenSink())
    assert gate.inspect(UNLISTED).reason is Reason.UNRECORDED


def test_refuses_an_unrecorded_pass_of_what_was_not_looked_at(make_gate: MakeGate) -> None:
    lenient = {"unreadable": Fallback.ALLOW, "encoded": Encoded.ALLOW}
    gate = make_gate([LIST], **lenient, audit=BrokenSink())
    assert gate.check(b"") == Refused("decision-1")
    assert gate.check_encoded("latents") == Refused("decision-2")


# ── Passes by the operator's setting ──────────────────────────────────────────────────────────


def test_an_unreadable_pass_is_recorded_and_logged(
    make_gate: MakeGate, sink: MemorySink, log_capture: LogCapture
) -> None:
    gate = make_gate([LIST], unreadable=Fallback.ALLOW)
    assert gate.check(b"no image") == Allowed("decision-1")
    (record,) = sink.records()
    assert (record.event["verdict"], record.event["reason"]) == ("allowed", "unreadable")
    assert [(line["event"], line["log_level"]) for line in log_capture.entries] == [
        ("passed", "warning")
    ]


def test_an_encoded_pass_is_recorded(make_gate: MakeGate, sink: MemorySink) -> None:
    gate = make_gate([LIST], encoded=Encoded.ALLOW)
    assert gate.check_encoded("latents") == Allowed("decision-1")
    (record,) = sink.records()
    assert (record.event["verdict"], record.event["reason"]) == ("allowed", "encoded_input")


def test_an_unreadable_pass_does_not_let_encoded_input_pass(make_gate: MakeGate) -> None:
    gate = make_gate([LIST], unreadable=Fallback.ALLOW)
    assert gate.check_encoded("latents") == Refused("decision-1")


# ── The answer ────────────────────────────────────────────────────────────────────────────────


def test_a_verdict_is_no_truth_value(make_gate: MakeGate) -> None:
    gate = make_gate([LIST])
    for image in (LISTED, UNLISTED):
        with pytest.raises(TypeError, match="match"):
            bool(gate.check(image))


def test_a_verdict_tells_nothing_but_the_decision_id(make_gate: MakeGate) -> None:
    gate = make_gate([LIST])
    assert repr(gate.check(LISTED)) == "Refused(decision_id='decision-1')"
    assert repr(gate.check(b"")) == "Refused(decision_id='decision-2')"


def test_the_record_is_there_before_the_answer(make_gate: MakeGate, sink: MemorySink) -> None:
    verdict = make_gate([LIST]).check(LISTED)
    assert [record.event["decision_id"] for record in sink.records()] == [verdict.decision_id]


def test_an_allowed_image_is_counted_and_not_recorded(
    make_gate: MakeGate, sink: MemorySink
) -> None:
    gate = make_gate([LIST])
    gate.check(UNLISTED)
    gate.check(UNLISTED)
    assert (list(sink.records()), sink.counts()) == ([], {"no_match": 2})


def test_an_allowed_image_leaves_no_line_in_the_log(
    make_gate: MakeGate, log_capture: LogCapture
) -> None:
    make_gate([LIST]).check(UNLISTED)
    assert log_capture.entries == []


def test_the_log_names_no_entry(make_gate: MakeGate, log_capture: LogCapture) -> None:
    named = HashList.of(
        [replace(entry, entry="case-4711") for entry in LIST], name="test", algorithm=Algorithm.PDQ
    )
    make_gate([named]).check(LISTED)
    assert log_capture.entries[0]["lists"] == ["test"]
    assert "case-4711" not in repr(log_capture.entries)


def test_a_broken_log_changes_no_verdict(make_gate: MakeGate) -> None:
    closed = io.StringIO()
    gate = make_gate([LIST], logger=structlog.wrap_logger(structlog.WriteLogger(closed)))
    closed.close()
    assert gate.check(LISTED) == Refused("decision-1")


def test_a_fault_with_a_broken_log_is_a_refusal(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = io.StringIO()
    gate = make_gate([LIST], logger=structlog.wrap_logger(structlog.WriteLogger(closed)))
    closed.close()

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Index, "search", fail)
    assert gate.check(UNLISTED) == Refused("decision-1")


def test_the_context_is_recorded_with_the_subject_as_a_pseudonym(
    make_gate: MakeGate, sink: MemorySink
) -> None:
    context = Context(endpoint="img2img", subject="jane@example.org", request_id="r-1")
    make_gate([LIST]).check(LISTED, context=context)
    (record,) = sink.records()
    assert (record.event["endpoint"], record.event["request_id"]) == ("img2img", "r-1")
    assert "jane" not in record.body


def test_the_limits_hold(make_gate: MakeGate) -> None:
    gate = make_gate([LIST], limits=Limits(max_pixels=256 * 320 - 1))
    assert gate.inspect(UNLISTED).reason is Reason.UNREADABLE


def test_an_entry_below_the_quality_floor_is_left_out(make_gate: MakeGate) -> None:
    blurred = HashList.of(
        [replace(entry, quality=49) for entry in LIST] + [*make_list([scene(3)])],
        name="test",
        algorithm=Algorithm.PDQ,
    )
    gate = make_gate([blurred], policies={"test": ListPolicy(31, min_quality=50)})
    assert gate.inspect(LISTED).reason is Reason.NO_MATCH
    assert gate.inspect(scene(3)).reason is Reason.MATCH


def test_answers_several_threads_rightly(make_gate: MakeGate, sink: MemorySink) -> None:
    gate = make_gate([LIST])
    images = [LISTED, UNLISTED] * 20
    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(gate.check, images))
    assert [isinstance(one, Refused) for one in verdicts] == [True, False] * 20
    assert chain.verify(sink.records()).is_whole
    assert len(list(sink.records())) == 20


@pytest.mark.parametrize("algorithm", [one for one in Algorithm if not one.is_digest])
def test_recognises_the_picture_in_every_perceptual_algorithm(
    make_gate: MakeGate, algorithm: Algorithm
) -> None:
    gate = make_gate([make_list([LISTED], algorithm=algorithm)])
    assert gate.inspect(np.ascontiguousarray(np.rot90(LISTED))).reason is Reason.MATCH


# ── Laws ──────────────────────────────────────────────────────────────────────────────────────

PICTURES = [scene(seed, height=64, width=80) for seed in range(6)]


@given(
    image=st.integers(0, 5),
    listed=st.sets(st.integers(0, 5), min_size=1),
    added=st.sets(st.integers(0, 5)),
    threshold=st.integers(0, 96),
    more=st.integers(0, 96),
)
def test_a_longer_list_or_larger_threshold_never_makes_a_refusal_a_pass(
    make_gate: MakeGate, *, image: int, listed: set[int], added: set[int], threshold: int, more: int
) -> None:
    def refuses(numbers: set[int], most: int) -> bool:
        hash_list = make_list([PICTURES[number] for number in sorted(numbers)])
        gate = make_gate([hash_list], policies={"test": ListPolicy(most)})
        return isinstance(gate.check(PICTURES[image]), Refused)

    if refuses(listed, threshold):
        assert refuses(listed | added, max(threshold, more))


@given(data=st.binary(max_size=64))
def test_no_bytes_bring_an_exception_out(make_gate: MakeGate, data: bytes) -> None:
    assert isinstance(make_gate([LIST]).check(data), Refused)


# ── Conformance ───────────────────────────────────────────────────────────────────────────────


# ── What a host could not show ────────────────────────────────────────────────────────────────


def test_a_hosts_refusal_is_recorded_and_no_setting_lets_it_pass(
    make_gate: MakeGate, sink: MemorySink
) -> None:
    gate = make_gate([LIST], unreadable=Fallback.ALLOW, encoded=Encoded.ALLOW)
    assert gate.refuse("a URL", context=Context("here")) == Refused("decision-1")
    (record,) = sink.last(1)
    told = (record.event["verdict"], record.event["reason"], record.event["endpoint"])
    assert told == ("refused", "unreadable", "here")


def test_a_hosts_refusal_that_cannot_be_recorded_is_one_all_the_same(make_gate: MakeGate) -> None:
    class Broken(MemorySink):
        def append(self, event: Mapping[str, object], **_: object) -> None:
            raise AuditUnavailable(str(len(event)))

    assert make_gate([LIST], audit=Broken()).refuse("a URL") == Refused("decision-1")


def _reference() -> list[Any]:
    file = SHARED_DATA / "pdq/expected.csv"
    if not file.exists():
        return [pytest.param("", "", marks=pytest.mark.skip("no shared data"))]
    with file.open(newline="") as opened:
        return [
            pytest.param(row["file"], row["pdq"], id=row["file"]) for row in csv.DictReader(opened)
        ]


@pytest.mark.parametrize(("file", "expected"), _reference())
def test_agrees_with_the_reference_hasher(file: str, expected: str) -> None:
    data = (SHARED_DATA / "pdq" / file).read_bytes()
    rgb = decode(data, limits=Limits()).pixels[0].levels
    code, quality = pdq.upright(rgb)
    wanted = np.frombuffer(bytes.fromhex(expected), np.uint8)
    distance = np.unpackbits(np.frombuffer(code, np.uint8) ^ wanted).sum()
    assert distance <= 10 or quality < 80


@pytest.mark.parametrize(("file", "expected"), _reference())
def test_refuses_the_pictures_of_the_reference_vectors(
    make_gate: MakeGate, file: str, expected: str
) -> None:
    entry = ListEntry(Algorithm.PDQ, bytes.fromhex(expected), file)
    hash_list = HashList.of([entry], name="test", algorithm=Algorithm.PDQ)
    gate = make_gate([hash_list])
    assert gate.inspect((SHARED_DATA / "pdq" / file).read_bytes()).reason is Reason.MATCH
