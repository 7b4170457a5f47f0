from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import LogCapture

from initgate import (
    Algorithm,
    AuditUnavailable,
    ConfigError,
    Context,
    Gate,
    ListRejected,
    Reason,
    Refused,
    SourceUnavailable,
    load_gate,
    load_settings,
)
from initgate.audit.chain import verify
from initgate.feeds import Rails
from initgate.image import Limits, decode, encode
from initgate.index.snapshot import write as write_snapshot
from initgate.lists import Format, dump
from initgate.lists.build import entry_of
from initgate.model import HashList, ListEntry, Picture
from initgate.testing import scene
from initgate.wiring import make_log, open_feed

LISTED, UNLISTED = encode(scene(1), "PNG"), encode(scene(2), "PNG")
ENTRY = entry_of(LISTED, algorithm=Algorithm.PDQ, entry="case-4711")

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a list and its configuration."""

    def write_both(
        more: str = "", *, entries: tuple[ListEntry, ...] = (ENTRY,), tables: str = ""
    ) -> Path:
        (tmp_path / "a.csv").write_bytes(dump(entries, Format.CSV))
        file = tmp_path / "gate.toml"
        file.write_text(f'[[lists]]\nname = "a"\npath = "a.csv"\n{more}\n{tables}\n')
        return file

    return write_both


def test_the_shipped_gate_refuses_a_listed_photo(gate: Gate, listed_photo: Path) -> None:
    decision = gate.inspect(listed_photo.read_bytes())
    assert decision.reason is Reason.MATCH
    assert {match.list for match in decision.matches} == {
        "sample-pdq",
        "sample-phash",
        "sample-sha256",
    }


def test_the_shipped_gate_allows_an_unlisted_photo(gate: Gate, unlisted_photo: Path) -> None:
    assert gate.inspect(unlisted_photo.read_bytes()).reason is Reason.NO_MATCH


def test_a_gate_is_made_of_a_file(write: Write, log: Any) -> None:
    gate = load_gate(write(), log=log)
    assert gate.inspect(LISTED).reason is Reason.MATCH
    assert gate.inspect(UNLISTED).reason is Reason.NO_MATCH


def test_a_gate_is_made_of_settings(write: Write, log: Any) -> None:
    assert load_gate(load_settings(write()), log=log).inspect(LISTED).reason is Reason.MATCH


def test_a_gate_is_made_of_what_the_environment_names(
    write: Write, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INITGATE_CONFIG", str(write()))
    assert load_gate(log=log).inspect(LISTED).reason is Reason.MATCH


def test_a_gate_has_a_new_time_ordered_id_for_every_decision(write: Write, log: Any) -> None:
    gate = load_gate(write(), log=log)
    ids = [gate.check(UNLISTED).decision_id for _ in range(3)]
    assert len(set(ids)) == 3
    assert ids == sorted(ids)


def test_the_threshold_of_the_file_holds(write: Write, log: Any) -> None:
    far = ListEntry(Algorithm.PDQ, bytes([ENTRY.code[0] ^ 0xFF, *ENTRY.code[1:]]), "far", 90)
    assert load_gate(write("threshold = 7", entries=(far,)), log=log).inspect(LISTED).matches == ()
    assert load_gate(write("threshold = 16", entries=(far,)), log=log).inspect(LISTED).matches


def test_the_action_of_the_file_holds(write: Write, log: Any) -> None:
    gate = load_gate(write('action = "flag"'), log=log)
    assert gate.inspect(LISTED).reason is Reason.FLAGGED


def test_the_fallbacks_of_the_file_hold(write: Write, log: Any) -> None:
    tables = '[gate]\nunreadable = "allow"\nencoded = "allow"'
    gate = load_gate(write(tables=tables), log=log)
    assert not isinstance(gate.check(b"no image"), Refused)
    assert not isinstance(gate.check_encoded("latents"), Refused)
    assert [record.event["verdict"] for record in gate.journal.sink.records()] == ["allowed"] * 2


def test_the_limits_of_the_file_hold(write: Write, log: Any) -> None:
    gate = load_gate(write(tables="[gate]\nmax_bytes = 10"), log=log)
    assert gate.inspect(UNLISTED).reason is Reason.UNREADABLE


@pytest.mark.parametrize(("jpeg", "reduces"), [("full", False), ("reduced", True)])
def test_the_decoding_of_the_file_holds(
    write: Write, log: Any, monkeypatch: pytest.MonkeyPatch, jpeg: str, *, reduces: bool
) -> None:
    gate = load_gate(write(tables=f'[gate]\njpeg = "{jpeg}"'), log=log)
    asked: list[bool] = []

    def watched(source: object, *, limits: Limits, reduce_jpegs: bool) -> Picture:
        asked.append(reduce_jpegs)
        return decode(source, limits=limits, reduce_jpegs=reduce_jpegs)

    monkeypatch.setattr("initgate.gate.decode", watched)
    gate.check(UNLISTED)
    assert asked == [reduces]


def test_record_allowed_of_the_file_holds(write: Write, log: Any) -> None:
    gate = load_gate(write(tables="[audit]\nrecord_allowed = true"), log=log)
    gate.check(UNLISTED)
    assert [record.event["reason"] for record in gate.journal.sink.records()] == ["no_match"]


def test_a_list_file_that_is_too_old_refuses_everything(write: Write, log: Any) -> None:
    file = write('max_age = "30d"')
    os.utime(file.parent / "a.csv", (0, datetime(2020, 1, 1, tzinfo=UTC).timestamp()))
    assert load_gate(file, log=log).inspect(UNLISTED).reason is Reason.LIST_EXPIRED


def test_a_fresh_list_file_serves(write: Write, log: Any) -> None:
    assert load_gate(write('max_age = "1h"'), log=log).inspect(UNLISTED).reason is Reason.NO_MATCH


def test_an_empty_list_makes_no_gate(write: Write, log: Any) -> None:
    with pytest.raises(ListRejected, match="allow_empty"):
        load_gate(write(entries=()), log=log)


def test_an_empty_list_that_is_meant_allows(write: Write, log: Any) -> None:
    gate = load_gate(write("allow_empty = true", entries=()), log=log)
    assert gate.inspect(UNLISTED).reason is Reason.NO_MATCH


def test_a_list_whose_every_entry_is_below_the_floor_makes_no_gate(write: Write, log: Any) -> None:
    poor = ListEntry(Algorithm.PDQ, ENTRY.code, "poor", 49)
    with pytest.raises(ListRejected, match="min_quality"):
        load_gate(write(entries=(poor,)), log=log)


def test_a_malformed_list_makes_no_gate(write: Write, log: Any) -> None:
    file = write()
    (file.parent / "a.csv").write_text("algorithm,hash,entry\npdq,xyz,a\n")
    with pytest.raises(ListRejected, match=r"a\.csv, line 2"):
        load_gate(file, log=log)


def test_a_missing_list_makes_no_gate(write: Write, log: Any) -> None:
    file = write()
    (file.parent / "a.csv").unlink()
    with pytest.raises(SourceUnavailable, match=r"a\.csv"):
        load_gate(file, log=log)


# ── Snapshots ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def snapshot(tmp_path: Path) -> Callable[..., Path]:
    """Writes a snapshot and its configuration."""

    def write_both(more: str = "", *, entries: tuple[ListEntry, ...] = (ENTRY,)) -> Path:
        made = HashList.of(entries, name="any", algorithm=Algorithm.PDQ)
        write_snapshot(made, tmp_path / "a.igx")
        file = tmp_path / "gate.toml"
        file.write_text(f'[[lists]]\nname = "a"\npath = "a.igx"\n{more}\n')
        return file

    return write_both


def test_a_snapshot_is_searched_like_its_source(snapshot: Write, log: Any) -> None:
    gate = load_gate(snapshot(), log=log)
    (match, *_) = gate.inspect(LISTED).matches
    assert (match.list, match.entry) == ("a", ENTRY.entry)
    assert gate.inspect(UNLISTED).reason is Reason.NO_MATCH


def test_a_snapshot_is_as_old_as_its_file(snapshot: Write, log: Any) -> None:
    file = snapshot('max_age = "1h"')
    assert load_gate(file, log=log).inspect(UNLISTED).reason is Reason.NO_MATCH
    os.utime(file.parent / "a.igx", (0, 0))
    assert load_gate(file, log=log).inspect(UNLISTED).reason is Reason.LIST_EXPIRED


def test_a_snapshot_keeps_its_entries_below_the_floor_to_itself(snapshot: Write, log: Any) -> None:
    poor = ListEntry(Algorithm.PDQ, ENTRY.code, "poor", 49)
    file = snapshot(entries=(poor, ListEntry(Algorithm.PDQ, bytes([15]) * 32, "other")))
    assert load_gate(file, log=log).inspect(LISTED).reason is Reason.NO_MATCH
    with pytest.raises(ListRejected, match="min_quality"):
        load_gate(snapshot(entries=(poor,)), log=log)


@pytest.mark.parametrize(
    ("more", "entries", "told"),
    [
        ('algorithm = "phash256"', (ENTRY,), "its entries are pdq"),
        ("", (), "the list is empty"),
    ],
    ids=["of another algorithm", "empty"],
)
def test_an_unfit_snapshot_makes_no_gate(
    snapshot: Write, log: Any, more: str, entries: tuple[ListEntry, ...], told: str
) -> None:
    with pytest.raises(ListRejected, match=told):
        load_gate(snapshot(more, entries=entries), log=log)


def test_an_empty_snapshot_that_is_meant_makes_a_gate(snapshot: Write, log: Any) -> None:
    file = snapshot("allow_empty = true", entries=())
    assert load_gate(file, log=log).inspect(LISTED).reason is Reason.NO_MATCH


def test_a_missing_snapshot_makes_no_gate(snapshot: Write, log: Any) -> None:
    file = snapshot()
    (file.parent / "a.igx").unlink()
    with pytest.raises(SourceUnavailable, match=r"a\.igx"):
        load_gate(file, log=log)


def test_a_damaged_snapshot_makes_no_gate(snapshot: Write, log: Any) -> None:
    file = snapshot()
    whole = (file.parent / "a.igx").read_bytes()
    (file.parent / "a.igx").write_bytes(whole[:-1])
    with pytest.raises(ListRejected, match=r"a\.igx.*lists compile"):
        load_gate(file, log=log)


def test_a_list_of_no_known_format_makes_no_gate(write: Write, log: Any) -> None:
    file = write()
    file.write_text('[[lists]]\nname = "a"\npath = "a.txt"\n')
    (file.parent / "a.txt").touch()
    with pytest.raises(ConfigError, match="format"):
        load_gate(file, log=log)


def test_an_audit_log_that_cannot_be_opened_makes_no_gate(write: Write, log: Any) -> None:
    file = write()
    (file.parent / "initgate-audit.db").mkdir()
    with pytest.raises(AuditUnavailable):
        load_gate(file, log=log)


def test_a_record_tells_under_what_it_was_made(gate: Gate, listed_photo: Path) -> None:
    gate.check(listed_photo.read_bytes())
    (record,) = gate.journal.sink.records()
    lists, versions = record.event["lists"], record.event["versions"]
    assert record.event["policy"] == gate.policy.digest
    assert isinstance(lists, dict)
    assert set(lists) == {"sample-pdq", "sample-phash", "sample-sha256"}
    assert isinstance(versions, dict)
    assert {"initgate", "pillow", "imagehash", "numpy", "faiss-cpu", "python"} == (
        set(versions) - {"pillow-heif"}  # an extra
    )


def test_a_subject_key_links_a_subject_across_restarts(write: Write, log: Any) -> None:
    file = write(tables='[audit]\nsubject_key = "hush"')
    for _ in range(2):
        load_gate(file, log=log).check(LISTED, context=Context(subject="jane"))
    records = list(load_gate(file, log=log).journal.sink.records())
    assert len({record.event["subject"] for record in records}) == 1
    assert verify(records).is_whole


def test_without_a_subject_key_restarts_cannot_be_linked(write: Write, log: Any) -> None:
    file = write()
    for _ in range(2):
        load_gate(file, log=log).check(LISTED, context=Context(subject="jane"))
    records = list(load_gate(file, log=log).journal.sink.records())
    assert len({record.event["subject"] for record in records}) == 2


# ── The log ───────────────────────────────────────────────────────────────────────────────────


def test_the_log_is_json_lines_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    make_log("info").warning("passed", reason="flagged")
    captured = capsys.readouterr()
    line = json.loads(captured.err)
    assert captured.out == ""
    assert (line["event"], line["level"], line["reason"]) == ("passed", "warning", "flagged")
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("level", "number"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)]
)
def test_less_severe_lines_are_left_out(
    capsys: pytest.CaptureFixture[str], level: str, number: int
) -> None:
    log = make_log(level)
    for write_line in (log.debug, log.info, log.warning, log.error):
        write_line("line")
    assert len(capsys.readouterr().err.splitlines()) == number


def test_a_fault_is_logged_with_its_traceback_and_without_what_the_caller_sent(
    write: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = load_gate(write())

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("initgate.gate.hash_views", fail)
    gate.check(LISTED, context=Context(subject="jane@example.org"))
    logged = capsys.readouterr().err
    assert "ZeroDivisionError" in logged
    assert "_look" in logged  # the step that failed
    assert "jane@example.org" not in logged
    assert "PNG" not in logged
    assert "array(" not in logged


def test_a_listed_entry_is_not_logged(
    write: Write, capsys: pytest.CaptureFixture[str], log_capture: LogCapture
) -> None:
    load_gate(write()).check(LISTED)
    assert "case-4711" not in capsys.readouterr().err
    assert log_capture.entries == []


# ── Feeds ─────────────────────────────────────────────────────────────────────────────────────

FEED = '[[lists]]\nname = "a"\nfeed = "f"\n[[feeds]]\nname = "f"\nsource = "{}"\nformat = "csv"\n'


@pytest.mark.parametrize(
    ("source", "more", "told"),
    [
        ("ncmec", "", "the source ncmec needs credentials"),
        ("a.csv", 'root = "root.json"', "root: the source is no TUF repository"),
        ("tuf+https://localhost/", "", "a TUF repository needs root and target"),
        ("tuf+file:///", 'root = "root.json"\ntarget = "a.csv"', "root.json: No such file"),
        ("a.csv", 'sha256 = ""', "sha256: ''; allowed: 64 hexadecimal digits"),
        ("a.csv", "public_keys = []", "feed 'f': public_keys: "),
    ],
)
def test_a_feed_that_cannot_be_trusted_as_it_says_is_not_opened(
    tmp_path: Path, source: str, more: str, told: str
) -> None:
    file = tmp_path / "gate.toml"
    file.write_text(FEED.format(source) + more)
    with pytest.raises(ConfigError, match=re.escape(told)):
        open_feed(load_settings(file), "f")


def test_a_feed_is_held_to_its_settings_and_to_those_of_its_lists(tmp_path: Path) -> None:
    file = tmp_path / "gate.toml"
    more = "[[lists]]\nname = 'b'\nfeed = 'f'\nthreshold = 9\nflag_threshold = 40\n"
    rails = 'max_shrink = 0.5\ncanary = "00ff00ff00ff00ff"\non_bad_record = "skip"\nkeep = 2\n'
    file.write_text(FEED.format("a.csv") + rails + more)
    feed = open_feed(load_settings(file), "f")
    assert feed.rails == Rails(0.5, allow_empty=False, canary=bytes.fromhex("00ff00ff00ff00ff"))
    assert (feed.thresholds, feed.max_bad_records, feed.keep) == ({Algorithm.PDQ: 40}, 100, 2)
