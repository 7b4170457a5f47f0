"""What the doctor finds."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import (
    SAMPLE,
    Configure,
    Result,
    json_lines,
    old_list,
    plain,
    run,
    tamper,
)
from samples import CONFIG

# ── doctor ────────────────────────────────────────────────────────────────────────────────────


def findings(result: Result) -> dict[str, list[str]]:
    """By state, what was said."""
    told: dict[str, list[str]] = {}
    for line in json_lines(result):
        told.setdefault(line["state"], []).append(f"{line['check']}: {line['says']}")
    return told


def test_a_sound_gate_has_no_finding_but_ok(config: Path) -> None:
    result = run("doctor", "--json", "-c", config)
    assert result.exit_code == 0
    assert findings(result).keys() == {"ok"}


def test_the_doctor_looks_at_everything(config: Path) -> None:
    lines = json_lines(run("doctor", "--json", "-c", config))
    assert [line["check"] for line in lines] == [
        "configuration",
        "list sample-pdq",
        "index",
        "audit",
        "extra diffusers",
        "extra heif",
        "extra lists",
        "extra sources",
        "extra trust",
        "extra serve",
        "extra proxy",
    ]
    assert all(line.keys() == {"check", "state", "says"} for line in lines)


def test_the_doctor_talks_to_people(config: Path) -> None:
    shown = plain(run("doctor", "-c", config).stdout)
    assert f"ok       configuration: {config}\n" in shown
    assert "ok       index: the canary is found by the full path\n" in shown


def test_the_doctor_finds_the_shipped_configuration_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INITGATE_AUDIT__URL", f"sqlite:///{tmp_path / 'audit.db'}")
    result = run("doctor", "-c", CONFIG)
    assert result.exit_code == 0


def test_the_doctor_finds_a_broken_configuration(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("lists = 7")
    result = run("doctor", "--json", "-c", tmp_path / "bad.toml")
    assert result.exit_code == 2
    assert "bad.toml: lists" in findings(result)["failure"][0]


def test_the_doctor_finds_no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("doctor", "--json")
    assert result.exit_code == 2
    assert "no configuration" in findings(result)["failure"][0]


@pytest.mark.parametrize("content", ["nonsense", "algorithm,hash,entry\n", None])
def test_the_doctor_finds_a_list_that_cannot_be_loaded(
    configure: Configure, tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "bad.csv").write_text(content)
    config = configure('name = "bad"\npath = "bad.csv"', SAMPLE)
    result = run("doctor", "--json", "-c", config)
    assert result.exit_code == 2
    (failure,) = findings(result)["failure"]
    assert failure.startswith(f"list bad: {tmp_path / 'bad.csv'}")


def test_the_doctor_finds_a_list_whose_every_entry_is_below_the_floor(
    configure: Configure, flat: Path, tmp_path: Path
) -> None:
    run("lists", "build", flat, "-o", tmp_path / "low.csv", "-n", "low", "--min-quality", 0)
    result = run("doctor", "--json", "-c", configure('name = "low"\npath = "low.csv"'))
    assert result.exit_code == 2
    assert any("min_quality" in failure for failure in findings(result)["failure"])
    assert any(ok.startswith("audit: ") for ok in findings(result)["ok"])


def test_the_doctor_finds_an_expired_list(configure: Configure, tmp_path: Path) -> None:
    result = run("doctor", "--json", "-c", configure(old_list(tmp_path) + '\nmax_age = "30d"'))
    assert result.exit_code == 1
    (failure,) = findings(result)["failure"]
    assert "older than max_age" in failure
    assert str(tmp_path / "old.csv") in failure


def test_the_doctor_finds_a_tampered_record(recorded: Path) -> None:
    tamper(recorded, "DELETE FROM decisions WHERE sequence = 2")
    result = run("doctor", "--json", "-c", recorded)
    assert result.exit_code == 1
    (failure,) = findings(result)["failure"]
    assert failure.startswith("audit: record 2 is missing")


def test_the_doctor_finds_a_record_that_cannot_be_opened(
    configure: Configure, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    result = run("doctor", "--json", "-c", configure(audit="folder"))
    assert result.exit_code == 1
    (failure,) = findings(result)["failure"]
    assert failure.startswith("audit: sqlite:///")


def test_a_broken_list_weighs_more_than_a_broken_record(
    configure: Configure, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    result = run(
        "doctor", "-c", configure('name = "bad"\npath = "bad.csv"', SAMPLE, audit="folder")
    )
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("lists", "tables", "warning"),
    [
        (SAMPLE, '[gate]\nunreadable = "allow"', 'unreadable = "allow"'),
        (SAMPLE, '[gate]\nencoded = "allow"', 'encoded = "allow"'),
        (SAMPLE, '[gate]\njpeg = "reduced"', 'jpeg = "reduced"'),
        (SAMPLE + '\naction = "flag"', "", "no match is refused"),
        (
            SAMPLE.replace("pdq", "sha256") + '\nalgorithm = "sha256"',
            "",
            "exact digests",
        ),
        ('name = "old"\npath = "old.csv"', "", "set max_age"),
        ('name = "none"\npath = "none.csv"\nallow_empty = true', "", "no entry is searched"),
    ],
    ids=["unreadable", "encoded", "jpeg", "flag", "digests", "old", "empty"],
)
def test_the_doctor_warns_and_ends_with_0(
    configure: Configure, tmp_path: Path, lists: str, tables: str, warning: str
) -> None:
    old_list(tmp_path)
    (tmp_path / "none.csv").write_text("algorithm,hash,entry\n")
    result = run("doctor", "--json", "-c", configure(lists, tables=tables))
    assert result.exit_code == 0
    (told,) = findings(result)["warning"]
    assert warning in told


def test_the_doctor_tells_how_many_entries_are_left_out(
    configure: Configure, flat: Path, drawn: Path, tmp_path: Path
) -> None:
    run(
        *("lists", "build", flat, drawn, "-o", tmp_path / "mine.csv", "-n", "mine"),
        *("--min-quality", 0),
    )
    result = run("doctor", "--json", "-c", configure('name = "mine"\npath = "mine.csv"'))
    assert "list mine: 1 entries, 1 left out below min_quality" in findings(result)["ok"]
