from __future__ import annotations

import gc
import multiprocessing
import sqlite3
import stat
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from audit_writers import append_and_die, write
from conftest import MakeGate
from hypothesis import given
from hypothesis import strategies as st

from initgate import (
    Algorithm,
    Allowed,
    AuditUnavailable,
    Context,
    Decision,
    Gate,
    Match,
    Reason,
    Refused,
)
from initgate.audit import Journal, Provenance
from initgate.audit.chain import GENESIS, Record, link, verify
from initgate.audit.sqlite import SqliteAudit
from initgate.image import encode
from initgate.testing import MemorySink, make_list, scene

TIME = datetime(2030, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)


def chain_of(number: int) -> list[Record]:
    records: list[Record] = []
    for count in range(number):
        records.append(link({"n": count}, after=records[-1] if records else None))
    return records


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


@pytest.fixture
def audit(database: Path) -> SqliteAudit:
    return SqliteAudit(f"sqlite:///{database}")


def run_sql(database: Path, *statements: str) -> None:
    connection = sqlite3.connect(database)
    try:
        with connection:
            for statement in statements:
                connection.execute(statement)
    finally:
        connection.close()


# ── The chain ─────────────────────────────────────────────────────────────────────────────────


@given(number=st.integers(0, 12))
def test_an_untouched_chain_is_whole(number: int) -> None:
    records = chain_of(number)
    report = verify(records)
    assert report.problems == ()
    assert report.is_whole
    assert report.records == number
    assert report.head == (records[-1].digest if records else GENESIS)


@given(data=st.data(), number=st.integers(1, 8))
def test_an_edit_is_detected(data: st.DataObject, number: int) -> None:
    records = chain_of(number)
    at = data.draw(st.integers(0, number - 1))
    changes: list[Callable[[Record], Record]] = [
        lambda record: replace(record, body=record.body + " "),
        lambda record: replace(record, body='{"n":99}'),
        lambda record: replace(record, previous="f" * 64),
        lambda record: replace(record, digest="f" * 64),
        lambda record: replace(record, sequence=record.sequence + 1),
    ]
    records[at] = data.draw(st.sampled_from(changes))(records[at])
    assert not verify(records).is_whole


@given(data=st.data(), number=st.integers(2, 8))
def test_an_edit_with_its_own_digest_made_anew_is_detected(
    data: st.DataObject, number: int
) -> None:
    records = chain_of(number)
    at = data.draw(st.integers(0, number - 2))
    records[at] = link({"n": 99}, after=records[at - 1] if at else None)
    assert not verify(records).is_whole


@given(data=st.data(), number=st.integers(2, 8))
def test_a_dropped_record_is_detected(data: st.DataObject, number: int) -> None:
    records = chain_of(number)
    del records[data.draw(st.integers(0, number - 2))]
    assert not verify(records).is_whole


@given(data=st.data(), number=st.integers(2, 8))
def test_swapped_records_are_detected(data: st.DataObject, number: int) -> None:
    records = chain_of(number)
    at = data.draw(st.integers(0, number - 2))
    records[at], records[at + 1] = records[at + 1], records[at]
    assert not verify(records).is_whole


@given(data=st.data(), number=st.integers(1, 8))
def test_a_repeated_record_is_detected(data: st.DataObject, number: int) -> None:
    records = chain_of(number)
    at = data.draw(st.integers(0, number - 1))
    records.insert(at, records[at])
    assert not verify(records).is_whole


@given(data=st.data(), number=st.integers(1, 8))
def test_a_truncation_is_detected_by_an_exported_head(data: st.DataObject, number: int) -> None:
    records = chain_of(number)
    left = data.draw(st.integers(0, number - 1))
    report = verify(records[:left], expected_head=records[-1].digest)
    assert not report.is_whole
    assert "records were cut" in report.problems[-1]


def test_a_chain_written_anew_is_detected_by_an_exported_head() -> None:
    head = chain_of(3)[-1].digest
    forged = [link({"n": "forged"}, after=None)]
    forged.append(link({"n": 1}, after=forged[-1]))
    assert verify(forged).is_whole
    assert not verify(forged, expected_head=head).is_whole


def test_records_after_an_exported_head_are_fine() -> None:
    records = chain_of(5)
    assert verify(records, expected_head=records[2].digest).is_whole


def test_an_empty_log_continues_from_its_own_head() -> None:
    assert verify(chain_of(2), expected_head=GENESIS).is_whole


def test_a_report_counts_the_records_that_were_read() -> None:
    records = chain_of(5)
    del records[1]
    assert verify(records).records == 4


def test_a_problem_names_the_record() -> None:
    records = chain_of(3)
    records[1] = replace(records[1], body="{}")
    assert verify(records).problems == ("record 2 was changed after it was written",)


def test_a_body_is_canonical() -> None:
    assert link({"b": 1, "a": "é"}, after=None).body == '{"a":"\\u00e9","b":1}'


def test_a_record_gives_its_event_back() -> None:
    assert link({"a": [1, "x"]}, after=None).event == {"a": [1, "x"]}


# ── SQLite ────────────────────────────────────────────────────────────────────────────────────


def test_records_come_back_in_order(audit: SqliteAudit) -> None:
    for number in range(3):
        audit.append({"n": number})
    assert [record.event["n"] for record in audit.records()] == [0, 1, 2]
    assert verify(audit.records()).is_whole


def test_records_are_read_beyond_one_page(
    audit: SqliteAudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("initgate.audit.sqlite._PAGE", 2)
    for number in range(5):
        audit.append({"n": number})
    assert [record.sequence for record in audit.records()] == [1, 2, 3, 4, 5]


def test_the_newest_records_come_oldest_first(audit: SqliteAudit) -> None:
    for number in range(4):
        audit.append({"n": number})
    assert [record.event["n"] for record in audit.last(2)] == [2, 3]


def test_a_log_is_continued_when_opened_again(audit: SqliteAudit, database: Path) -> None:
    audit.append({"n": 0})
    again = SqliteAudit(f"sqlite:///{database}")
    again.append({"n": 1})
    assert verify(again.records()).records == 2
    assert verify(again.records()).is_whole


def test_a_record_is_in_the_file_when_append_returns(audit: SqliteAudit, database: Path) -> None:
    audit.append({"n": 1})
    connection = sqlite3.connect(database)
    rows = connection.execute("SELECT body FROM decisions").fetchall()
    connection.close()
    assert rows == [('{"n":1}',)]


@pytest.mark.parametrize("is_durable", [True, False])
def test_a_record_survives_a_process_that_is_cut_off(database: Path, is_durable: bool) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=append_and_die, args=(str(database),), kwargs={"is_durable": is_durable}
    )
    process.start()
    process.join()
    assert process.exitcode == 9
    assert [record.event["n"] for record in SqliteAudit(f"sqlite:///{database}").records()] == [1]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE decisions SET body = '{}'",
        "UPDATE decisions SET sequence = sequence + 1",
        "DELETE FROM decisions",
        "DELETE FROM decisions WHERE sequence = 1",
    ],
)
def test_the_file_forbids_changes(audit: SqliteAudit, database: Path, statement: str) -> None:
    audit.append({"n": 1})
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        run_sql(database, statement)
    assert [record.event["n"] for record in audit.records()] == [1]


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE decisions SET body = '{\"n\":99}' WHERE sequence = 2",
        "UPDATE decisions SET digest = 'x' WHERE sequence = 2",
        "UPDATE decisions SET previous = 'x' WHERE sequence = 1",
        "DELETE FROM decisions WHERE sequence = 1",
        "DELETE FROM decisions WHERE sequence = 2",
        "UPDATE decisions SET sequence = 9 WHERE sequence = 3",
        "INSERT INTO decisions VALUES (4, '{}', 'x', 'y')",
    ],
)
def test_tampering_with_the_file_is_found(
    audit: SqliteAudit, database: Path, tampering: str
) -> None:
    for number in range(3):
        audit.append({"n": number})
    run_sql(database, "DROP TRIGGER no_update", "DROP TRIGGER no_delete", tampering)
    assert not verify(audit.records()).is_whole


def test_cutting_the_file_is_found_by_an_exported_head(audit: SqliteAudit, database: Path) -> None:
    for number in range(3):
        audit.append({"n": number})
    head = verify(audit.records()).head
    run_sql(database, "DROP TRIGGER no_delete", "DELETE FROM decisions WHERE sequence = 3")
    assert verify(audit.records()).is_whole
    assert not verify(audit.records(), expected_head=head).is_whole


@pytest.mark.slow
def test_several_processes_write_one_whole_chain(database: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=write, args=(str(database), number)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    audit = SqliteAudit(f"sqlite:///{database}")
    report = verify(audit.records())
    assert (report.problems, report.records) == ((), 100)
    written = sorted((record.event["writer"], record.event["n"]) for record in audit.records())
    assert written == [(writer, number) for writer in range(4) for number in range(25)]
    assert audit.counts() == {"no_match": 100}


def test_several_threads_write_one_whole_chain(audit: SqliteAudit) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(audit.append, [{"n": number} for number in range(40)]))
    report = verify(audit.records())
    assert (report.problems, report.records) == ((), 40)


def test_the_file_is_readable_by_its_owner_only(audit: SqliteAudit, database: Path) -> None:
    audit.append({"n": 1})
    modes = {stat.S_IMODE(one.stat().st_mode) for one in database.parent.glob("audit.db*")}
    assert modes == {0o600}


def test_the_folder_is_made(tmp_path: Path) -> None:
    SqliteAudit(f"sqlite:///{tmp_path / 'a/b/audit.db'}").append({"n": 1})
    assert (tmp_path / "a/b/audit.db").exists()


def test_counts_survive_close(audit: SqliteAudit, database: Path) -> None:
    for _ in range(3):
        audit.count(Reason.NO_MATCH)
    audit.close()
    assert SqliteAudit(f"sqlite:///{database}").counts() == {"no_match": 3}


def test_counts_are_not_added_twice(audit: SqliteAudit) -> None:
    audit.count(Reason.NO_MATCH)
    audit.close()
    audit.close()
    assert audit.counts() == {"no_match": 1}


def test_counts_are_written_out_before_long(audit: SqliteAudit, database: Path) -> None:
    for _ in range(256):
        audit.count(Reason.NO_MATCH)
    assert SqliteAudit(f"sqlite:///{database}").counts() == {"no_match": 256}


def test_a_count_that_cannot_be_written_is_kept(database: Path) -> None:
    blocked = SqliteAudit(f"sqlite:///{database}", busy_timeout_s=0)
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    for _ in range(300):
        blocked.count(Reason.NO_MATCH)
    writer.execute("ROLLBACK")
    writer.close()
    assert blocked.counts() == {"no_match": 300}


def test_a_busy_file_is_unavailable(database: Path) -> None:
    blocked = SqliteAudit(f"sqlite:///{database}", busy_timeout_s=0)
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(AuditUnavailable, match="locked"):
        blocked.append({"n": 2})
    writer.execute("ROLLBACK")
    writer.close()


def test_a_file_that_is_no_database_is_unavailable(database: Path) -> None:
    database.write_bytes(b"no database at all, but long enough to be looked at" * 20)
    with pytest.raises(AuditUnavailable, match=r"audit\.db"):
        SqliteAudit(f"sqlite:///{database}")


def test_a_folder_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(AuditUnavailable):
        SqliteAudit(f"sqlite:///{tmp_path}")


def test_a_lost_table_is_unavailable(audit: SqliteAudit, database: Path) -> None:
    run_sql(database, "DROP TABLE decisions")
    with pytest.raises(AuditUnavailable):
        audit.append({"n": 1})


def test_a_closed_log_leaves_no_connection_open(audit: SqliteAudit) -> None:
    def connections() -> int:
        gc.collect()
        return sum(type(one) is sqlite3.Connection for one in gc.get_objects())

    audit.close()
    before = connections()
    audit.append({"n": 1})
    assert list(audit.records())
    audit.close()
    assert connections() == before


# ── What is recorded ──────────────────────────────────────────────────────────────────────────


def record(decision: Decision, context: Context | None = None, key: bytes = b"k") -> Record:
    sink = MemorySink()
    provenance = Provenance("policy-digest", {"pillow": "1"})
    Journal(sink, provenance=provenance, subject_key=key).record(
        decision, context or Context(), TIME, lists={"a": "list-digest"}
    )
    (made,) = sink.records()
    return made


def match(distance: int, algorithm: Algorithm = Algorithm.PDQ) -> Match:
    return Match("a", "case-4711", algorithm, distance, "picture", ("tag",))


def test_a_record_holds_these_fields() -> None:
    made = record(Decision(Refused("d"), Reason.MATCH, (match(3),)))
    assert made.event == {
        "decision_id": "d",
        "time": "2030-01-02T03:04:05.678+00:00",
        "verdict": "refused",
        "reason": "match",
        "detail": "",
        "matches": [
            {
                "list": "a",
                "algorithm": "pdq",
                "distance": "1-7",
                "view": "picture",
                "tags": ["tag"],
                "exception": "",
            }
        ],
        "endpoint": "",
        "request_id": "",
        "subject": "",
        "policy": "policy-digest",
        "lists": {"a": "list-digest"},
        "versions": {"pillow": "1"},
        "automated_detection": True,
        "automated_decision": True,
        "review_state": "pending",
        "legal_hold": False,
    }


def test_a_record_names_no_entry() -> None:
    assert "4711" not in record(Decision(Refused("d"), Reason.MATCH, (match(3),))).body


@pytest.mark.parametrize(
    ("algorithm", "distance", "expected"),
    [
        (Algorithm.PDQ, 0, "0"),
        (Algorithm.PDQ, 1, "1-7"),
        (Algorithm.PDQ, 7, "1-7"),
        (Algorithm.PDQ, 8, "8-15"),
        (Algorithm.PDQ, 31, "24-31"),
        (Algorithm.PHASH64, 1, "1-1"),
        (Algorithm.PHASH64, 6, "6-7"),
        (Algorithm.MD5, 0, "0"),
    ],
)
def test_a_distance_is_recorded_as_a_range(
    algorithm: Algorithm, distance: int, expected: str
) -> None:
    made = record(Decision(Refused("d"), Reason.MATCH, (match(distance, algorithm),)))
    assert f'"distance":"{expected}"' in made.body


def test_a_subject_has_the_same_pseudonym_every_time() -> None:
    decision = Decision(Refused("d"), Reason.MATCH)
    one, two = (record(decision, Context(subject="jane")).event["subject"] for _ in range(2))
    assert one == two != ""


def test_a_pseudonym_depends_on_the_key() -> None:
    decision = Decision(Refused("d"), Reason.MATCH)
    one = record(decision, Context(subject="jane"), key=b"1").event["subject"]
    assert one != record(decision, Context(subject="jane"), key=b"2").event["subject"]


def test_a_flagged_image_waits_for_review() -> None:
    made = record(Decision(Allowed("d"), Reason.FLAGGED, (match(3),)))
    assert made.event["review_state"] == "pending"


def test_an_unreadable_image_does_not_wait_for_review() -> None:
    assert record(Decision(Refused("d"), Reason.UNREADABLE)).event["review_state"] == "none"


def test_no_file_name_reaches_the_record(gate: Gate, tmp_path: Path) -> None:
    from PIL import Image  # noqa: PLC0415  # a caller's own

    file = tmp_path / "holiday-snap.png"
    file.write_bytes(encode(scene(1), "PNG")[:-2000])
    with Image.open(file) as lazy:
        gate.check(lazy)
    gate.check(str(file))
    bodies = [one.body for one in gate.journal.sink.records()]
    assert len(bodies) == 2
    assert "holiday-snap" not in "".join(bodies)


def test_no_hash_of_the_image_reaches_the_record(make_gate: MakeGate, sink: MemorySink) -> None:
    listed = make_list([scene(1)])
    make_gate([listed]).check(scene(1))
    (made,) = sink.records()
    assert listed.codes.tobytes().hex() not in made.body


@pytest.mark.parametrize("is_durable", [True, False])
def test_the_disk_is_waited_for_where_a_record_must_be_durable(
    database: Path, is_durable: bool
) -> None:
    audit = SqliteAudit(f"sqlite:///{database}")
    audit.append({"n": 1}, is_durable=not is_durable)
    asked = []
    with audit._transaction(is_durable=is_durable) as connection:
        asked.append(connection.exec_driver_sql("PRAGMA synchronous").scalar())
    assert asked == [2 if is_durable else 1]  # FULL, NORMAL


def test_only_images_that_matched_nothing_need_not_outlast_a_power_failure() -> None:
    asked = []

    class Noting(MemorySink):
        def append(self, event: Mapping[str, object], *, is_durable: bool = True) -> None:
            asked.append((event["reason"], is_durable))

    journal = Journal(
        Noting(), provenance=Provenance("", {}), subject_key=b"k", record_allowed=True
    )
    for reason in Reason:
        verdict = Allowed("d") if reason is Reason.NO_MATCH else Refused("d")
        journal.record(Decision(verdict, reason), Context(), TIME, lists={})
    assert asked == [(one.value, one is not Reason.NO_MATCH) for one in Reason]


def test_an_exception_of_the_sink_comes_through() -> None:
    class Full(MemorySink):
        def append(self, event: object, **_: object) -> None:
            raise AuditUnavailable(type(event).__name__)

    journal = Journal(Full(), provenance=Provenance("", {}), subject_key=b"k")
    with pytest.raises(AuditUnavailable):
        journal.record(Decision(Refused("d"), Reason.MATCH), Context(), TIME, lists={})
