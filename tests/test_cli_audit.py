"""The commands of the audit log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import (
    json_lines,
    plain,
    run,
    run_process,
    tamper,
)

from initgate import load_gate
from initgate.audit.chain import Record, verify

# ── audit tail ────────────────────────────────────────────────────────────────────────────────


def test_the_tail_is_of_the_newest_records_in_their_order(recorded: Path) -> None:
    lines = json_lines(run("audit", "tail", "-n", 2, "--json", "-c", recorded))
    assert [line["sequence"] for line in lines] == [2, 3]
    assert [line["event"]["reason"] for line in lines] == ["unreadable", "match"]


def test_a_line_of_the_tail_is_a_whole_record(recorded: Path) -> None:
    line = json_lines(run("audit", "tail", "--json", "-c", recorded))[0]
    assert line.keys() == {"sequence", "previous", "digest", "event"}


def test_the_tail_tells_people_what_was_decided_and_found(recorded: Path) -> None:
    ids = [
        line["event"]["decision_id"]
        for line in json_lines(run("audit", "tail", "--json", "-c", recorded))
    ]
    shown = plain(run("audit", "tail", "-c", recorded).stdout)
    assert all(one in shown for one in ids)
    assert "sample-pdq: 0 bits, picture" in shown
    assert "10 bytes in none of the formats" in shown


def test_the_tail_tells_how_many_were_allowed(config: Path, unlisted_photo: Path) -> None:
    run_process("check", unlisted_photo, unlisted_photo, "-c", config)
    shown = plain(run("audit", "tail", "-c", config).stdout)
    assert shown == "2 images were allowed without a match and only counted\n"


@pytest.mark.parametrize("command", ["tail", "verify", "export"])
def test_a_log_that_no_gate_has_made_yet_is_no_empty_one(config: Path, command: str) -> None:
    result = run("audit", command, "-c", config)
    assert result.exit_code == 1
    assert "no such log; a gate makes it at its start" in plain(result.stderr)


def test_the_tail_of_an_empty_record_is_fine(config: Path) -> None:
    load_gate(config).journal.sink.close()
    result = run("audit", "tail", "--json", "-c", config)
    assert (result.exit_code, result.stdout) == (0, "")


def test_a_tail_of_no_records_is_a_usage_error(recorded: Path) -> None:
    assert run("audit", "tail", "-n", 0, "-c", recorded).exit_code == 2


EVENT = {
    "verdict": "refused",
    "reason": "match",
    "decision_id": "1",
    "time": "2030-01-02T03:04:05",
    "endpoint": "",
    "matches": [],
    "detail": "",
}
BROKEN_BODIES = {
    "no JSON": "junk",
    "deep JSON": "[" * 100_000,
    "no fields": "{}",
    "an array": "[1]",
    "null": "null",
    "matches that are none": json.dumps(EVENT | {"matches": 7}),
    "a time that is none": json.dumps(EVENT | {"time": 7}),
    "an endpoint that is none": json.dumps(EVENT | {"endpoint": ["x"]}),
    "markup": json.dumps(EVENT | {"reason": "[/]", "decision_id": "[/]", "time": "[/]"}),
}


@pytest.mark.parametrize("body", BROKEN_BODIES.values(), ids=BROKEN_BODIES)
@pytest.mark.parametrize(
    "command", ["audit tail", "audit tail --json", "audit export", "audit verify", "doctor"]
)
def test_a_record_that_is_no_event_any_more_is_no_traceback(
    recorded: Path, command: str, body: str
) -> None:
    tamper(recorded, f"UPDATE decisions SET body = '{body}' WHERE sequence = 2")  # noqa: S608  # ours
    result = run(*command.split(), "-c", recorded)  # raises what would be a traceback
    assert result.exit_code in {0, 1}


@pytest.mark.parametrize("command", ["audit tail", "audit tail --json", "audit export"])
def test_a_record_that_is_no_event_any_more_hides_no_other(recorded: Path, command: str) -> None:
    ids = [
        line["event"]["decision_id"]
        for line in json_lines(run("audit", "tail", "--json", "-c", recorded))
    ]
    tamper(recorded, "UPDATE decisions SET body = 'junk' WHERE sequence = 2")
    shown = run(*command.split(), "-c", recorded).stdout
    assert ids[0] in shown
    assert ids[2] in shown


# ── audit verify ──────────────────────────────────────────────────────────────────────────────


def head_of(config: Path) -> str:
    (report,) = json_lines(run("audit", "verify", "--json", "-c", config))
    head: str = report["head"]
    return head


def test_an_untouched_record_is_whole(recorded: Path) -> None:
    result = run("audit", "verify", "-c", recorded)
    assert result.exit_code == 0
    assert plain(result.stdout) == f"whole  3 records, head {head_of(recorded)}\n"


def test_an_empty_record_is_whole(config: Path) -> None:
    load_gate(config).journal.sink.close()
    assert run("audit", "verify", "-c", config).exit_code == 0


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (
            "UPDATE decisions SET body = replace(body, 'refused', 'allowed') WHERE sequence = 2",
            "record 2 was changed after it was written",
        ),
        ("DELETE FROM decisions WHERE sequence = 2", "record 2 is missing"),
        ("DELETE FROM decisions WHERE sequence = 1", "record 1 is missing"),
    ],
)
def test_a_tampered_record_is_broken_and_named(
    recorded: Path, statement: str, problem: str
) -> None:
    tamper(recorded, statement)
    result = run("audit", "verify", "-c", recorded)
    assert result.exit_code == 1
    assert f"broken  {problem}" in plain(result.stderr)
    assert plain(result.stdout).startswith("broken  ")


def test_json_tells_what_is_broken(recorded: Path) -> None:
    tamper(recorded, "UPDATE decisions SET body = 'junk' WHERE sequence = 2")
    result = run("audit", "verify", "--json", "-c", recorded)
    (report,) = json_lines(result)
    assert result.exit_code == 1
    assert report.keys() == {"whole", "records", "head", "problems"}
    assert report["whole"] is False
    assert report["problems"] == ["record 2 was changed after it was written"]


def test_a_head_shows_that_the_newest_records_were_cut_off(recorded: Path) -> None:
    head = head_of(recorded)
    tamper(recorded, "DELETE FROM decisions WHERE sequence = 3")
    result = run("audit", "verify", "--head", head, "-c", recorded)
    assert result.exit_code == 1
    assert f"the expected head {head} is not in the chain" in plain(result.stderr)


def test_without_a_head_a_cut_record_looks_whole(recorded: Path) -> None:
    tamper(recorded, "DELETE FROM decisions WHERE sequence = 3")
    assert run("audit", "verify", "-c", recorded).exit_code == 0


def test_an_earlier_head_is_found_in_a_record_that_grew(recorded: Path, garbage: Path) -> None:
    head = head_of(recorded)
    run("check", garbage, "-c", recorded)
    assert head_of(recorded) != head
    assert run("audit", "verify", "--head", head, "-c", recorded).exit_code == 0


# ── audit export ──────────────────────────────────────────────────────────────────────────────


def chain_of(text: str) -> Iterator[Record]:
    """What somebody with nothing but the export recomputes."""
    for line in text.splitlines():
        fields = json.loads(line)
        body = json.dumps(fields["event"], sort_keys=True, separators=(",", ":"))
        yield Record(fields["sequence"], body, fields["previous"], fields["digest"])


def test_an_export_can_be_verified_by_itself(recorded: Path) -> None:
    report = verify(chain_of(run("audit", "export", "-c", recorded).stdout))
    assert (report.problems, report.records) == ((), 3)


def test_an_export_of_a_changed_record_does_not_verify(recorded: Path) -> None:
    tamper(recorded, "UPDATE decisions SET body = replace(body, 'refused', 'allowed')")
    assert not verify(chain_of(run("audit", "export", "-c", recorded).stdout)).is_whole


def test_an_export_tells_the_head_to_keep(recorded: Path) -> None:
    result = run("audit", "export", "-c", recorded)
    assert plain(result.stderr) == f"3 records, head {head_of(recorded)}\n"


def test_an_export_goes_to_a_file(recorded: Path, tmp_path: Path) -> None:
    printed = run("audit", "export", "-c", recorded).stdout
    result = run("audit", "export", "--out", tmp_path / "export.jsonl", "-c", recorded)
    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / "export.jsonl").read_text() == printed


def test_an_export_is_json_with_the_flag_too(recorded: Path) -> None:
    assert len(json_lines(run("audit", "export", "--json", "-c", recorded))) == 3


def test_an_export_of_an_empty_record_is_empty(config: Path) -> None:
    load_gate(config).journal.sink.close()
    result = run("audit", "export", "-c", config)
    assert (result.exit_code, result.stdout) == (0, "")
    assert plain(result.stderr) == "0 records, head -\n"


@pytest.mark.parametrize("out", ["nowhere/export.jsonl", "folder"])
def test_an_export_that_cannot_be_written_is_a_usage_error_and_leaves_nothing(
    recorded: Path, tmp_path: Path, out: str
) -> None:
    (tmp_path / "folder").mkdir()
    result = run("audit", "export", "--out", tmp_path / out, "-c", recorded)
    assert result.exit_code == 2
    assert str(tmp_path / out) in result.stderr
    assert not list(tmp_path.rglob("*.partial"))
