"""A released picture carries nothing else through: what stands beside, behind or near to it is
looked at as ever."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from conftest import NOW, MakeGate
from PIL import Image
from structlog.testing import LogCapture

from initgate import Action, Algorithm, Allowed, AuditUnavailable, Gate, Reason, Refused
from initgate.exceptions import Exceptions, HashException
from initgate.image import encode
from initgate.model import RGB, HashList, ListEntry, Match
from initgate.policy import Fallback, ListPolicy
from initgate.testing import MemorySink, make_list, scene
from initgate.views import STANDARD

FALSE, TRUE, OTHER = scene(3), scene(1), scene(2)
(TRUE_ENTRY,) = make_list([TRUE])


def near_to(picture: RGB, bits: int, *, name: str = "near") -> ListEntry:
    """An entry some bits from a picture, which it matches by mistake."""
    (made,) = make_list([picture])
    code = np.frombuffer(made.code, np.uint8).copy()
    code[: bits // 8] ^= 255
    return replace(made, code=code.tobytes(), entry=name, tags=("category:a",))


def listed(*entries: ListEntry, name: str = "test") -> HashList:
    return HashList.of(entries, name=name, algorithm=entries[0].algorithm)


LIST = listed(near_to(FALSE, 16), replace(TRUE_ENTRY, entry="true"))
# The same picture a little nearer: within the list's reach, and beyond any exception's.
NEARER: RGB = np.array(Image.fromarray(FALSE).crop((3, 3, 317, 253)).resize((320, 256)))


def exception(code: bytes, **fields: Any) -> HashException:
    made = {
        "hash": code.hex(),
        "algorithm": Algorithm.PDQ,
        "reason": "a drawing",
        "author": "reviewer",
        "expires": date(2030, 2, 1),
    }
    return HashException.model_validate(made | fields)


def of_views(matches: Iterable[Match], **fields: Any) -> Exceptions:
    """Exceptions for each hash that matched."""
    codes = dict.fromkeys(match.code for match in matches)
    return Exceptions([exception(code, id=f"e{n}", **fields) for n, code in enumerate(codes)])


def of_file(data: bytes, **fields: Any) -> Exceptions:
    code = hashlib.sha256(data).digest()
    return Exceptions([exception(code, algorithm=Algorithm.SHA256, id="file", **fields)])


@pytest.fixture
def gate(make_gate: MakeGate) -> Gate:
    """A gate with the false picture released, view by view."""
    made = make_gate([LIST], families=STANDARD)
    made.release(of_views(made.recognise(FALSE)))
    return made


def test_a_released_picture_passes(gate: Gate) -> None:
    decision = gate.inspect(FALSE)
    assert (decision.reason, decision.verdict) == (Reason.RELEASED, Allowed("decision-1"))
    assert {match.entry for match in decision.matches} == {"near"}
    assert all(match.exception for match in decision.matches)


def test_without_exceptions_it_is_refused(make_gate: MakeGate) -> None:
    assert make_gate([LIST]).inspect(FALSE).reason is Reason.MATCH


def test_a_release_is_recorded_with_the_exception_and_logged(
    gate: Gate, sink: MemorySink, log_capture: LogCapture
) -> None:
    decision = gate.inspect(FALSE)
    (record,) = sink.records()
    assert (record.event["reason"], record.event["verdict"]) == ("released", "allowed")
    assert record.event["review_state"] == "none"
    names = {match.exception for match in decision.matches}
    assert {one["exception"] for one in record.event["matches"]} == names  # type: ignore[attr-defined]  # JSON
    assert {tuple(one["tags"]) for one in record.event["matches"]} == {("category:a",)}  # type: ignore[attr-defined]  # JSON
    used = [one for one in log_capture.entries if one["event"] == "exception used"]
    assert {(one["exception"], one["decision_id"]) for one in used} == {
        (name, "decision-1") for name in names
    }
    codes = [one.code.hex() for one in decision.matches]
    assert not any(code[:8] in record.body for code in codes)


def test_a_release_that_cannot_be_recorded_is_a_refusal(make_gate: MakeGate) -> None:
    class Broken(MemorySink):
        def append(self, event: object, **_: object) -> None:
            raise AuditUnavailable(str(type(event)))

    made = make_gate([LIST], audit=Broken())
    made.release(of_views(made.recognise(FALSE)))
    decision = made.inspect(FALSE)
    assert (decision.reason, decision.verdict) == (Reason.UNRECORDED, Refused("decision-1"))


@pytest.mark.parametrize("order", [(FALSE, TRUE), (TRUE, FALSE)], ids=["first", "second"])
def test_a_released_frame_releases_no_other(gate: Gate, order: tuple[RGB, RGB]) -> None:
    decision = gate.inspect(np.stack(order))
    assert decision.reason is Reason.MATCH
    kept = [match for match in decision.matches if not match.exception]
    assert {match.entry for match in kept} == {"true"}


def test_a_released_frame_hides_no_farther_one_that_is_near_to_the_same_entry(
    gate: Gate, make_gate: MakeGate
) -> None:
    (nearest,) = make_gate([LIST]).inspect(np.stack([FALSE, NEARER])).matches
    assert nearest.code in {match.code for match in gate.recognise(FALSE)}
    decision = gate.inspect(np.stack([FALSE, NEARER]))
    assert decision.reason is Reason.MATCH
    assert "near" in {match.entry for match in decision.matches if not match.exception}


def test_a_picture_near_to_a_released_one_is_not_released(gate: Gate) -> None:
    assert gate.inspect(NEARER).reason is Reason.MATCH


def test_a_released_picture_in_a_collage_releases_no_other(gate: Gate) -> None:
    collage = np.concatenate([FALSE, TRUE], axis=1)
    decision = gate.inspect(collage)
    assert decision.reason is Reason.MATCH
    assert "true" in {match.entry for match in decision.matches if not match.exception}


def test_a_released_picture_in_the_alpha_plane_or_under_it_releases_no_other(gate: Gate) -> None:
    levels = np.dstack([TRUE, FALSE[:, :, 0]])
    assert gate.inspect(levels).reason is Reason.MATCH


def test_a_copy_that_lies_on_the_other_side_of_the_entry_is_refused(make_gate: MakeGate) -> None:
    (made,) = make_list([FALSE])
    wide = Exceptions([exception(made.code, threshold=8)])
    gate = make_gate([LIST], exceptions=wide, families=())
    assert gate.inspect(NEARER).reason is Reason.MATCH


def test_a_released_file_passes_in_every_view_and_list(make_gate: MakeGate) -> None:
    data = encode(np.concatenate([FALSE, TRUE], axis=1), "PNG")
    digest = ListEntry(Algorithm.MD5, hashlib.md5(data, usedforsecurity=False).digest(), "md5")
    gate = make_gate(
        [LIST, listed(digest, name="digests")], families=STANDARD, exceptions=of_file(data)
    )
    decision = gate.inspect(data)
    assert decision.reason is Reason.RELEASED
    assert {match.entry for match in decision.matches} >= {"true", "md5"}
    assert {match.exception for match in decision.matches} == {"file"}


def test_a_released_file_releases_no_other_file_of_the_same_picture(make_gate: MakeGate) -> None:
    data = encode(TRUE, "PNG")
    gate = make_gate([LIST], exceptions=of_file(data))
    assert gate.inspect(data + b"\0").reason is Reason.MATCH
    assert gate.inspect(encode(TRUE, "WEBP")).reason is Reason.MATCH
    assert gate.inspect(TRUE).reason is Reason.MATCH


@pytest.mark.parametrize("unreadable", Fallback)
def test_a_released_file_that_cannot_be_read_is_unreadable(
    make_gate: MakeGate, unreadable: Fallback
) -> None:
    data = encode(TRUE, "PNG")[:-200]
    digest = ListEntry(Algorithm.SHA256, hashlib.sha256(data).digest(), "d")
    gate = make_gate(
        [listed(digest, name="digests")], exceptions=of_file(data), unreadable=unreadable
    )
    assert gate.inspect(data).reason is Reason.UNREADABLE


def test_an_expired_exception_releases_nothing(make_gate: MakeGate) -> None:
    made = make_gate([LIST])
    made.release(of_views(made.recognise(FALSE), expires=NOW.date()))
    assert made.inspect(FALSE).reason is Reason.MATCH
    data = encode(FALSE, "PNG")
    made.release(of_file(data, expires=NOW.date()))
    assert made.inspect(data).reason is Reason.MATCH


def test_an_exception_of_one_list_leaves_the_others(make_gate: MakeGate) -> None:
    made = make_gate([LIST, listed(near_to(FALSE, 16), name="other")])
    made.release(of_views(made.recognise(FALSE), lists=["test"]))
    decision = made.inspect(FALSE)
    assert decision.reason is Reason.MATCH
    assert {(match.list, bool(match.exception)) for match in decision.matches} == {
        ("test", True),
        ("other", False),
    }
    data = encode(FALSE, "PNG")
    made.release(of_file(data, lists=["other"]))
    assert {(one.list, one.exception) for one in made.inspect(data).matches} == {
        ("test", ""),
        ("other", "file"),
    }


def test_what_flags_beside_what_is_released_flags(make_gate: MakeGate) -> None:
    made = make_gate(
        [LIST, listed(near_to(FALSE, 16), name="trial")],
        policies={"test": ListPolicy(31), "trial": ListPolicy(31, action=Action.FLAG)},
    )
    made.release(of_views(made.recognise(FALSE), lists=["test"]))
    assert made.inspect(FALSE).reason is Reason.FLAGGED


def test_an_exception_counts_within_a_lists_offsets(make_gate: MakeGate) -> None:
    policies = {"test": ListPolicy(31, view_offsets={"mirrored": -4})}
    made = make_gate([LIST], policies=policies)
    made.release(of_views(made.recognise(FALSE)))
    assert made.inspect(FALSE).reason is Reason.RELEASED
    assert made.inspect(TRUE).reason is Reason.MATCH


def test_exceptions_do_not_heal_a_gate_that_is_distrusted(gate: Gate) -> None:
    gate.distrust("damaged")
    gate.release(Exceptions())
    assert gate.inspect(OTHER).reason is Reason.CANARY


def test_an_image_that_matches_nothing_asks_no_exception(
    make_gate: MakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_gate([LIST])
    made.release(of_views(made.recognise(FALSE)))

    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Exceptions, "names", never)
    assert made.inspect(OTHER).reason is Reason.NO_MATCH
