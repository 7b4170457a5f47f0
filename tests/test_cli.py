from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pytest
import typer
from samples import CONFIG, ROOT
from typer.testing import CliRunner

from initgate import Algorithm, Reason, __version__, load_gate, load_settings
from initgate.audit.chain import Record, verify
from initgate.benign import load_benign
from initgate.cli import app
from initgate.config import Role
from initgate.image import encode
from initgate.lists import Format, dump
from initgate.testing import make_list, scene

Configure: TypeAlias = Callable[..., Path]

PDQ_FILE = ROOT / "hashlists/sample-pdq.csv"
SAMPLE = f'name = "sample-pdq"\npath = "{PDQ_FILE.as_posix()}"'
FLAT = encode(np.full((64, 64, 3), 128, np.uint8), "PNG")
ODD_NAMES = {
    "a newline": "two\nlines.png",
    "an escape sequence": "red\x1b[31m.png",
    "no UTF-8": os.fsdecode(b"latin\xe9.png"),
}


# ── Running it ────────────────────────────────────────────────────────────────────────────────


class Result(NamedTuple):
    """What is left of a run."""

    exit_code: int
    stdout: str
    stderr: str


def run(*arguments: object) -> Result:
    """Runs the command in this process. Whatever would be a traceback is raised."""
    given = [str(one) for one in arguments]
    result = CliRunner().invoke(app, given, catch_exceptions=False)
    return Result(result.exit_code, result.stdout, result.stderr)


def run_process(
    *arguments: object, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own, as into a pipe 80 columns wide."""
    clean = {k: v for k, v in os.environ.items() if k not in {"FORCE_COLOR", "GITHUB_ACTIONS"}}
    return subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "initgate.cli", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        env=clean | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "80", **(env or {})},
        cwd=cwd,
        check=False,
        timeout=600,
    )


def plain(text: str) -> str:
    """Without colours, should the environment force them."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def json_lines(result: Result | subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """Writes a configuration whose audit log is in a folder of its own."""

    def write(*lists: str, tables: str = "", audit: str = "audit.db", more: str = "") -> Path:
        file = tmp_path / "gate.toml"
        tabled = "\n".join(f"[[lists]]\n{one}\n" for one in lists or (SAMPLE,))
        file.write_text(
            f'{tabled}\n{tables}\n[audit]\nurl = "sqlite:///{audit}"\n{more}\n', encoding="utf-8"
        )
        return file

    return write


@pytest.fixture
def config(configure: Configure) -> Path:
    return configure()


@pytest.fixture
def garbage(tmp_path: Path) -> Path:
    """A file that is no picture."""
    file = tmp_path / "garbage.png"
    file.write_bytes(b"no picture")
    return file


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """A picture without any structure."""
    file = tmp_path / "flat.png"
    file.write_bytes(FLAT)
    return file


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A picture on no list."""
    file = tmp_path / "drawn.png"
    file.write_bytes(encode(scene(1), "PNG"))
    return file


@pytest.fixture
def recorded(config: Path, listed_photo: Path, garbage: Path) -> Path:
    """A configuration whose log holds three refusals."""
    run("check", listed_photo, garbage, listed_photo, "-c", config)
    return config


def tamper(config: Path, statement: str) -> None:
    """Does to the log what its triggers would prevent."""
    connection = sqlite3.connect(config.parent / "audit.db")
    try:
        with connection:
            for trigger in ("no_update", "no_delete"):
                connection.execute(f"DROP TRIGGER {trigger}")
            connection.execute(statement)
    finally:
        connection.close()


# ── check: the exit code ──────────────────────────────────────────────────────────────────────


def test_an_allowed_picture_ends_with_0(config: Path, unlisted_photo: Path) -> None:
    assert run("check", unlisted_photo, "-c", config).exit_code == 0


def test_a_listed_picture_ends_with_3(config: Path, listed_photo: Path) -> None:
    assert run("check", listed_photo, "-c", config).exit_code == 3


def test_one_refusal_among_several_ends_with_3(
    config: Path, listed_photo: Path, unlisted_photo: Path
) -> None:
    result = run("check", unlisted_photo, listed_photo, unlisted_photo, "-c", config)
    assert result.exit_code == 3


def test_the_process_ends_with_the_exit_code(config: Path, listed_photo: Path) -> None:
    assert run_process("check", listed_photo, "-c", config).returncode == 3


def test_an_unreadable_file_is_refused(config: Path, garbage: Path) -> None:
    result = run("check", garbage, "--json", "-c", config)
    assert [line["reason"] for line in json_lines(result)] == ["unreadable"]
    assert result.exit_code == 3


def test_an_empty_file_is_refused(config: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    assert run("check", tmp_path / "empty.png", "-c", config).exit_code == 3


def test_a_file_larger_than_the_limit_is_refused(
    configure: Configure, unlisted_photo: Path
) -> None:
    config = configure(tables="[gate]\nmax_bytes = 1000")
    result = run("check", unlisted_photo, "--json", "-c", config)
    assert "max_bytes = 1000" in json_lines(result)[0]["detail"]
    assert result.exit_code == 3


def test_an_unreadable_file_passes_where_that_is_configured(
    configure: Configure, garbage: Path
) -> None:
    config = configure(tables='[gate]\nunreadable = "allow"')
    assert run("check", garbage, "-c", config).exit_code == 0


def test_a_flagged_picture_is_allowed(configure: Configure, listed_photo: Path) -> None:
    config = configure(SAMPLE + '\naction = "flag"')
    result = run("check", listed_photo, "--json", "-c", config)
    assert (result.exit_code, json_lines(result)[0]["reason"]) == (0, "flagged")


def test_an_expired_list_refuses_every_picture(
    configure: Configure, unlisted_photo: Path, tmp_path: Path
) -> None:
    config = configure(old_list(tmp_path) + '\nmax_age = "30d"')
    result = run("check", unlisted_photo, "--json", "-c", config)
    assert (result.exit_code, json_lines(result)[0]["reason"]) == (3, "list_expired")


def old_list(folder: Path) -> str:
    """The sample list, last changed forty days ago."""
    file = folder / "old.csv"
    file.write_bytes(PDQ_FILE.read_bytes())
    then = time.time() - 40 * 86_400
    os.utime(file, (then, then))
    return 'name = "old"\npath = "old.csv"'


# ── check: usage and configuration ────────────────────────────────────────────────────────────


def test_no_file_is_a_usage_error(config: Path) -> None:
    assert run("check", "-c", config).exit_code == 2


def test_a_file_that_is_not_there_is_a_usage_error(config: Path, tmp_path: Path) -> None:
    assert run("check", tmp_path / "nope.png", "-c", config).exit_code == 2


def test_a_folder_is_a_usage_error(config: Path, tmp_path: Path) -> None:
    assert run("check", tmp_path, "-c", config).exit_code == 2


def test_nothing_is_checked_if_one_file_is_not_there(
    config: Path, listed_photo: Path, tmp_path: Path
) -> None:
    result = run("check", listed_photo, tmp_path / "nope.png", "-c", config)
    assert result.stdout == ""
    assert not (tmp_path / "audit.db").exists()


def test_a_missing_configuration_is_named(listed_photo: Path, tmp_path: Path) -> None:
    result = run("check", listed_photo, "-c", tmp_path / "nope.toml")
    assert result.exit_code == 2
    assert "nope.toml: No such file" in result.stderr


def test_without_a_configuration_it_says_where_it_looked(
    listed_photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("check", listed_photo)
    assert result.exit_code == 2
    assert "initgate.toml" in result.stderr
    assert "--config" in result.stderr


def test_the_configuration_here_is_found(
    config: Path, listed_photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.rename(config.with_name("initgate.toml"))
    monkeypatch.chdir(config.parent)
    assert run("check", listed_photo).exit_code == 3


def test_the_environment_names_a_configuration(
    config: Path, listed_photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INITGATE_CONFIG", str(config))
    assert run("check", listed_photo).exit_code == 3


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("lists = [", "not TOML"),
        ("", "[[lists]]"),
        ('[[lists]]\nname = "a"', "path"),
        ('[[lists]]\nname = "a"\npath = "a.csv"\nalgorithm = "md6"', "algorithm"),
        ('[[lists]]\nname = "a"\npath = "a.csv"\nthreshold = 300', "threshold"),
        ('[[lists]]\nname = "a"\npath = "a.csv"\n[gate]\nunreadible = "allow"', "unreadible"),
        ('[[lists]]\nname = "a"\npath = "a.csv"\n[gate]\nunreadable = "[/]"', "gate.unreadable"),
        ('[[lists]]\nname = "a"\npath = "a.csv"', "a.csv: No such file"),
        ('[[lists]]\nname = "a"\npath = "a.txt"', "format"),
    ],
)
def test_a_wrong_configuration_is_refused_and_what_is_wrong_named(
    tmp_path: Path, listed_photo: Path, content: str, named: str
) -> None:
    config = tmp_path / "wrong.toml"
    config.write_text(content)
    (tmp_path / "a.txt").touch()
    result = run("check", listed_photo, "-c", config)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert named in result.stderr


def test_an_unknown_variable_is_a_configuration_error(
    config: Path, listed_photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INITGATE_GATE__UNREADIBLE", "allow")
    result = run("check", listed_photo, "-c", config)
    assert result.exit_code == 2
    assert "INITGATE_GATE__UNREADIBLE" in result.stderr


def test_a_malformed_list_is_named_with_its_line(
    configure: Configure, listed_photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.csv").write_text("algorithm,hash,entry\npdq,xyz,a\n")
    result = run("check", listed_photo, "-c", configure('name = "bad"\npath = "bad.csv"'))
    assert result.exit_code == 2
    assert "bad.csv, line 2: " in result.stderr


# ── check: what it prints ─────────────────────────────────────────────────────────────────────


def test_json_is_an_object_a_line_and_nothing_else(
    config: Path, listed_photo: Path, unlisted_photo: Path
) -> None:
    result = run_process("check", listed_photo, unlisted_photo, "--json", "-c", config)
    assert [line["file"] for line in json_lines(result)] == [str(listed_photo), str(unlisted_photo)]
    assert result.stderr == ""


def test_json_tells_the_verdict_its_grounds_and_its_id(config: Path, listed_photo: Path) -> None:
    (line,) = json_lines(run("check", listed_photo, "--json", "-c", config))
    assert line.keys() == {
        "file",
        "verdict",
        "reason",
        "decision_id",
        "matches",
        "detail",
        "took_ms",
    }
    assert (line["verdict"], line["reason"]) == ("refused", "match")
    assert line["took_ms"] > 0


def test_json_of_an_allowed_picture_has_no_match(config: Path, unlisted_photo: Path) -> None:
    (line,) = json_lines(run("check", unlisted_photo, "--json", "-c", config))
    assert (line["verdict"], line["reason"], line["matches"]) == ("allowed", "no_match", [])


def test_json_tells_of_a_match_what_an_operator_needs(config: Path, listed_photo: Path) -> None:
    (line,) = json_lines(run("check", listed_photo, "--json", "-c", config))
    assert line["matches"] == [
        {
            "list": "sample-pdq",
            "entry": "astronaut",
            "algorithm": "pdq",
            "distance": 0,
            "view": "picture",
            "action": "refuse",
            "exception": None,
        }
    ]


def test_a_line_names_the_match(config: Path, listed_photo: Path) -> None:
    line = plain(run("check", listed_photo, "-c", config).stdout)
    assert line.startswith(f"refused  {listed_photo}  match  ")
    assert "sample-pdq/astronaut, pdq distance 0, picture" in line


def test_a_line_gives_the_id_of_the_record(config: Path, listed_photo: Path) -> None:
    line = plain(run("check", listed_photo, "-c", config).stdout)
    (record,) = json_lines(run("audit", "tail", "--json", "-c", config))
    assert record["event"]["decision_id"] in line


def test_a_line_says_why_a_file_is_unreadable(config: Path, garbage: Path) -> None:
    line = plain(run("check", garbage, "-c", config).stdout)
    assert line.startswith(f"refused  {garbage}  unreadable  10 bytes in none of the formats")


def test_the_matches_that_a_line_does_not_name_are_counted(
    configure: Configure, listed_photo: Path
) -> None:
    config = configure(SAMPLE, SAMPLE.replace("sample-pdq", "again", 1))
    line = plain(run("check", listed_photo, "-c", config).stdout)
    assert "(+1 more)" in line


def test_several_files_have_a_line_each_and_a_sum(
    config: Path, listed_photo: Path, unlisted_photo: Path, garbage: Path
) -> None:
    result = run("check", listed_photo, unlisted_photo, garbage, "-c", config)
    lines = plain(result.stdout).splitlines()
    assert [line.split("  ")[0] for line in lines[:-1]] == ["refused", "allowed", "refused"]
    assert lines[-1] == "3 checked, 2 refused"


def test_many_files_are_checked_in_their_order(config: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.png" for number in range(30)]
    for number, file in enumerate(files):
        file.write_bytes(encode(scene(number, height=64, width=64), "PNG"))
    result = run_process("check", *files, "--json", "-c", config)
    assert [line["file"] for line in json_lines(result)] == list(map(str, files))
    assert result.stderr == ""  # no progress bar into a pipe


@pytest.mark.parametrize("name", ["a [red]b[bold].png", "c[/d].png", "[@x]y.png", ":boom:.png"])
def test_what_is_markup_in_a_file_name_is_printed_as_it_is(
    config: Path, drawn: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    file = drawn.rename(tmp_path / name)
    assert f"allowed  {file}  no_match" in plain(run("check", file, "-c", config).stdout)


def test_what_is_markup_in_the_name_of_a_left_out_picture_is_printed_as_it_is(
    tmp_path: Path, garbage: Path
) -> None:
    file = garbage.rename(tmp_path / "a [red]b.png")
    result = run("lists", "build", file, "-o", tmp_path / "a.csv", "-n", "a")
    assert f"left out  {file}  " in plain(result.stderr)


@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES)
def test_an_odd_file_name_is_one_line_without_control_characters(
    config: Path, drawn: Path, name: str
) -> None:
    result = run_process("check", drawn.rename(drawn.with_name(name)), "-c", config)
    assert (result.returncode, result.stderr) == (0, "")
    (line,) = result.stdout.splitlines()
    assert line.isprintable()


@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES)
def test_json_gives_an_odd_file_name_back(config: Path, drawn: Path, name: str) -> None:
    file = drawn.rename(drawn.with_name(name))
    result = run_process("check", file, "--json", "-c", config)
    assert (result.returncode, result.stderr) == (0, "")
    assert [line["file"] for line in json_lines(result)] == [str(file)]


def test_an_output_without_the_letters_of_a_file_name_is_no_error(
    config: Path, drawn: Path
) -> None:
    file = drawn.rename(drawn.with_name("été.png"))
    result = run_process("check", file, "-c", config, env={"PYTHONIOENCODING": "ascii"})
    assert (result.returncode, result.stderr) == (0, "")


def test_json_needs_no_more_than_ascii(config: Path, drawn: Path) -> None:
    file = drawn.rename(drawn.with_name("été.png"))
    result = run_process("check", file, "--json", "-c", config, env={"PYTHONIOENCODING": "ascii"})
    assert [line["file"] for line in json_lines(result)] == [str(file)]


# ── check: the record ─────────────────────────────────────────────────────────────────────────


def test_nothing_of_a_files_path_gets_into_the_record(
    configure: Configure, listed_photo: Path, garbage: Path, tmp_path: Path
) -> None:
    config = configure(more="record_allowed = true")
    folder = tmp_path / "jane-doe"
    folder.mkdir()
    pictures = {
        "holiday-1.png": listed_photo.read_bytes(),
        "holiday-2.png": garbage.read_bytes(),
        "holiday-3.png": encode(scene(1), "PNG"),
        "holiday-4.png": encode(scene(1), "PNG")[:900],
    }
    for name, data in pictures.items():
        (folder / name).write_bytes(data)
    run("check", *(folder / name for name in pictures), "-c", config)
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("audit.db*"))
    assert stored.count(b"cli check") >= 4
    assert b"jane-doe" not in stored
    assert b"holiday" not in stored


def test_no_list_entry_gets_into_the_record(recorded: Path) -> None:
    stored = b"".join(file.read_bytes() for file in recorded.parent.glob("audit.db*"))
    assert b"sample-pdq" in stored
    assert b"astronaut" not in stored


@pytest.mark.parametrize("command", ["check", "audit tail", "audit verify", "audit export"])
def test_a_record_that_cannot_be_opened_ends_with_1(
    configure: Configure, listed_photo: Path, tmp_path: Path, command: str
) -> None:
    (tmp_path / "folder").mkdir()
    files = [listed_photo] if command == "check" else []
    result = run(*command.split(), *files, "-c", configure(audit="folder"))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert plain(result.stderr).startswith("error: sqlite:///")
    assert len(result.stderr.splitlines()) == 1


def test_a_record_that_is_no_database_ends_with_1(
    config: Path, listed_photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "audit.db").write_bytes(b"not a database, but long enough to be looked at" * 99)
    result = run("check", listed_photo, "-c", config)
    assert result.exit_code == 1
    assert "file is not a database" in result.stderr


# ── lists build ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_built_list_refuses_its_picture(
    configure: Configure, drawn: Path, tmp_path: Path, algorithm: Algorithm, suffix: str
) -> None:
    out = tmp_path / f"mine.{suffix}"
    built = run("lists", "build", drawn, "-o", out, "-n", "mine", "-a", algorithm)
    assert built.exit_code == 0
    config = configure(f'name = "mine"\npath = "mine.{suffix}"\nalgorithm = "{algorithm}"')
    (line,) = json_lines(run("check", drawn, "--json", "-c", config))
    assert [(one["list"], one["entry"], one["distance"]) for one in line["matches"]] == [
        ("mine", "drawn", 0)
    ]


def test_a_built_list_allows_another_picture(
    configure: Configure, drawn: Path, tmp_path: Path, unlisted_photo: Path
) -> None:
    run("lists", "build", drawn, "-o", tmp_path / "mine.csv", "-n", "mine")
    config = configure('name = "mine"\npath = "mine.csv"')
    assert run("check", unlisted_photo, "-c", config).exit_code == 0


def test_what_it_prints_configures_the_list(drawn: Path, tmp_path: Path) -> None:
    built = run("lists", "build", drawn, "-o", tmp_path / "mine.jsonl", "-n", "mine", "-a", "md5")
    printed = plain(built.stdout)
    config = tmp_path / "gate.toml"
    config.write_text(printed[printed.index("[[lists]]") :])
    assert run("check", drawn, "-c", config).exit_code == 3


def test_what_it_prints_is_toml_for_an_odd_path_too(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / 'a "b" \\ [c]' / "mine.csv"
    out.parent.mkdir()
    printed = plain(run("lists", "build", drawn, "-o", out, "-n", "mine").stdout)
    content = tomllib.loads(printed[printed.index("[[lists]]") :])
    assert content["lists"][0]["path"] == str(out.resolve())


def test_pictures_of_one_name_are_both_listed(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    twin = tmp_path / "more" / drawn.name
    twin.write_bytes(encode(scene(2), "PNG"))
    out = tmp_path / "mine.csv"
    result = run("lists", "build", drawn, twin, "-o", out, "-n", "mine", "--json")
    assert json_lines(result)[0]["entries"] == 2
    assert len(out.read_text().splitlines()) == 3


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES)
def test_an_odd_file_name_makes_a_list_that_works(
    configure: Configure, drawn: Path, tmp_path: Path, name: str, suffix: str
) -> None:
    file = drawn.rename(drawn.with_name(name))
    built = run("lists", "build", file, "-o", tmp_path / f"mine.{suffix}", "-n", "mine", "--json")
    assert (built.exit_code, json_lines(built)[0]["entries"]) == (0, 1)
    config = configure(f'name = "mine"\npath = "mine.{suffix}"')
    assert run("check", file, "--json", "-c", config).exit_code == 3


def test_json_tells_what_was_built(drawn: Path, garbage: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.csv"
    result = run("lists", "build", drawn, garbage, "-o", out, "-n", "mine", "--json")
    (line,) = json_lines(result)
    (left_out,) = line.pop("left_out")
    assert line == {"name": "mine", "out": str(out), "algorithm": "pdq", "entries": 1}
    assert left_out["file"] == str(garbage)
    assert "none of the formats" in left_out["reason"]


@pytest.mark.parametrize("fixture", ["flat", "garbage"])
def test_an_unfit_picture_is_left_out_named_and_the_others_are_written(
    drawn: Path, tmp_path: Path, fixture: str, request: pytest.FixtureRequest
) -> None:
    unfit: Path = request.getfixturevalue(fixture)
    out = tmp_path / "mine.csv"
    result = run("lists", "build", unfit, drawn, "-o", out, "-n", "mine")
    assert result.exit_code == 1
    assert f"left out  {unfit}  " in plain(result.stderr)
    assert [line.split(",")[2] for line in out.read_text().splitlines()] == ["entry", "drawn"]


def test_a_lower_floor_lists_a_flat_picture(flat: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.csv"
    result = run("lists", "build", flat, "-o", out, "-n", "mine", "--min-quality", 0)
    assert (result.exit_code, out.is_file()) == (0, True)


def test_no_floor_applies_to_digests(flat: Path, tmp_path: Path) -> None:
    result = run("lists", "build", flat, "-o", tmp_path / "m.csv", "-n", "m", "-a", "sha256")
    assert result.exit_code == 0


def test_without_a_fit_picture_nothing_is_written(flat: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.csv"
    result = run("lists", "build", flat, "-o", out, "-n", "mine")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "nothing written" in result.stderr
    assert not out.exists()


def test_without_a_fit_picture_the_list_that_was_there_stays(flat: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.csv"
    out.write_text("precious")
    run("lists", "build", flat, "-o", out, "-n", "mine")
    assert out.read_text() == "precious"


def test_a_list_that_was_there_is_replaced(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.csv"
    out.write_text("replaceable")
    assert run("lists", "build", drawn, "-o", out, "-n", "mine").exit_code == 0
    assert "replaceable" not in out.read_text()


def test_nothing_but_the_list_is_written(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    run("lists", "build", drawn, "-o", tmp_path / "lists/mine.csv", "-n", "mine")
    assert [file.name for file in (tmp_path / "lists").iterdir()] == ["mine.csv"]


@pytest.mark.parametrize(
    ("out", "name", "named"),
    [
        ("mine.csv", "Not Good", "Not Good"),
        ("mine.csv", "", "--name"),
        ("mine.csv", "[/]", "[/]"),
        ("mine.txt", "mine", "mine.txt"),
        ("mine", "mine", "mine"),
        ("nowhere/mine.csv", "mine", "nowhere/mine.csv"),
        ("folder.csv", "mine", "folder.csv: Is a directory"),
        ("drawn.png/mine.csv", "mine", "drawn.png/mine.csv"),
    ],
)
def test_a_list_that_cannot_be_made_is_a_usage_error_and_leaves_nothing(
    drawn: Path, tmp_path: Path, out: str, name: str, named: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    before = sorted(tmp_path.rglob("*"))
    result = run("lists", "build", drawn, "-o", tmp_path / out, "-n", name)
    assert result.exit_code == 2
    assert named in plain(result.stderr)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("-n", "mine"),
        ("-o", "mine.csv"),
        ("-o", "mine.csv", "-n", "mine", "-a", "md6"),
        ("-o", "mine.csv", "-n", "mine", "--min-quality", "101"),
        ("-o", "mine.csv", "-n", "mine", "nope.png"),
    ],
)
def test_wrong_arguments_write_no_list(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("lists", "build", drawn, *arguments).exit_code == 2
    assert not (tmp_path / "mine.csv").exists()


# ── lists status ──────────────────────────────────────────────────────────────────────────────


def status(config: Path) -> dict[str, dict[str, Any]]:
    lines = json_lines(run("lists", "status", "--json", "-c", config))
    return {line["name"]: line for line in lines}


# ── lists compile, lists verify ───────────────────────────────────────────────────────────────


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    """A snapshot of the sample list."""
    out = tmp_path / "sample.igx"
    assert run("lists", "compile", PDQ_FILE, "-o", out).exit_code == 0
    return out


def test_a_compiled_list_refuses_what_its_source_does(
    compiled: Path, configure: Configure, listed_photo: Path
) -> None:
    file = configure(f'name = "sample-pdq"\npath = "{compiled.as_posix()}"')
    (record,) = json_lines(run("check", listed_photo, "-c", file, "--json"))
    assert record["reason"] == "match"
    (status,) = json_lines(run("lists", "status", "-c", file, "--json"))
    assert status["digest"] == hashlib.sha256(PDQ_FILE.read_bytes()).hexdigest()


def test_compiling_tells_what_was_written(tmp_path: Path) -> None:
    entries = len(PDQ_FILE.read_text().splitlines()) - 1
    out = tmp_path / "a.igx"
    result = run("lists", "compile", PDQ_FILE, "-o", out, "--threshold", 20)
    assert f"{entries} entries to {out}, " in plain(result.stdout)
    (record,) = json_lines(run("lists", "compile", PDQ_FILE, "-o", out, "--json"))
    assert (record["entries"], record["bytes"]) == (entries, out.stat().st_size)
    assert (record["out"], record["algorithm"], record["bands"]) == (str(out), "pdq", 0)


def test_a_compiled_list_is_as_old_as_its_source(tmp_path: Path) -> None:
    source, out = tmp_path / "a.csv", tmp_path / "a.igx"
    source.write_bytes(PDQ_FILE.read_bytes())
    os.utime(source, (1000, 1000))
    run("lists", "compile", source, "-o", out)
    assert out.stat().st_mtime == 1000


@pytest.mark.parametrize(
    ("source", "out", "told"),
    [
        (PDQ_FILE, "a.csv", ".igx"),
        (PDQ_FILE, "no/folder/a.igx", "a.igx"),
        ("missing.csv", "a.igx", "missing.csv"),
        ("a.igx", "b.igx", "csv, jsonl"),
        (ROOT / "hashlists/sample-phash.jsonl", "a.igx", "phash"),
    ],
)
def test_what_cannot_be_compiled_is_told(
    tmp_path: Path, source: Path | str, out: str, told: str
) -> None:
    result = run("lists", "compile", tmp_path / source, "-o", tmp_path / out)
    assert result.exit_code == 2
    assert told in result.stderr
    assert not (tmp_path / out).exists()


def test_a_whole_snapshot_is_verified(compiled: Path) -> None:
    result = run("lists", "verify", compiled)
    assert result.exit_code == 0
    assert plain(result.stdout).startswith(f"whole  {compiled}  ")
    (record,) = json_lines(run("lists", "verify", compiled, "--json"))
    assert (record["whole"], record["algorithm"], record["problem"]) == (True, "pdq", "")


def test_a_damaged_snapshot_is_told_beside_whole_ones(compiled: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.igx"
    damaged.write_bytes(compiled.read_bytes()[:-1] + b"x")
    result = run("lists", "verify", damaged, compiled)
    assert result.exit_code == 1
    assert [line.split()[0] for line in plain(result.stdout).splitlines()] == ["damaged", "whole"]
    first, second = json_lines(run("lists", "verify", damaged, compiled, "--json"))
    assert (first["whole"], second["whole"]) == (False, True)
    assert "initgate lists compile" in first["problem"]


def test_the_doctor_reads_snapshots_to_their_ends(compiled: Path, configure: Configure) -> None:
    file = configure(f'name = "sample-pdq"\npath = "{compiled.as_posix()}"')
    assert run("doctor", "-c", file).exit_code == 0
    compiled.write_bytes(compiled.read_bytes()[:-1] + b"x")
    result = run("doctor", "-c", file)
    assert result.exit_code == 2
    assert "is not what was written" in result.stdout


def test_crops_on_a_list_are_found_told_and_withdrawn_with_their_picture(
    drawn: Path, tmp_path: Path, configure: Configure
) -> None:
    out = tmp_path / "mine.csv"
    other = tmp_path / "other.png"
    other.write_bytes(encode(scene(2), "PNG"))
    (built,) = json_lines(
        run("lists", "build", drawn, other, "-o", out, "-n", "mine", "--views", "--json")
    )
    assert built["entries"] > 12
    crop = tmp_path / "crop.png"
    crop.write_bytes(encode(scene(1)[:, 32:-32], "PNG"))
    config = configure('name = "mine"\npath = "mine.csv"')
    assert run("check", crop, "-c", config).exit_code == 3
    (record,) = json_lines(run("audit", "tail", "--json", "-c", config))
    assert record["event"]["matches"][0]["tags"] == ["view:square"]
    run("lists", "remove", "mine", "drawn", "-c", config)
    assert run("check", crop, drawn, "-c", config).exit_code == 0
    run("lists", "merge", "mine", "-c", config)
    assert run("check", crop, drawn, "-c", config).exit_code == 0
    assert run("check", other, "-c", config).exit_code == 3


def test_digests_have_no_crops(drawn: Path, tmp_path: Path) -> None:
    result = run(
        "lists", "build", drawn, "-o", tmp_path / "a.csv", "-n", "a", "-a", "md5", "--views"
    )
    assert result.exit_code == 2
    assert "--views: md5" in result.stderr


@pytest.fixture
def faulty(tmp_path: Path, configure: Configure) -> Path:
    """A configuration with a list of a picture, a placeholder and an entry like a form."""
    benign = load_benign()
    (made,) = make_list([scene(1)])
    entries = [
        replace(made, entry="drawn", quality=None),
        replace(made, code=b"\xff" * 32, entry="ones"),
        replace(made, code=benign.codes[700].tobytes(), entry="form"),
    ]
    (tmp_path / "mine.csv").write_bytes(dump(entries, Format.CSV))
    return configure('name = "mine"\npath = "mine.csv"', SAMPLE)


def test_lint_says_which_entries_are_at_fault_and_why(faulty: Path) -> None:
    result = run("lists", "lint", "mine", "-c", faulty, "--json")
    assert result.exit_code == 1
    (line,) = json_lines(result)
    found = {(one["entry"], one["flaw"]) for one in line["found"]}
    assert {("ones", "placeholder"), ("form", "benign")} <= found
    assert {one["entry"] for one in line["found"]} == {"ones", "form"}
    assert (line["looked_at"], line["faulty"], line["flaws"]["unknown_quality"]) == (3, 2, 1)
    assert [one["like"] for one in line["found"] if one["flaw"] == "benign"] == [
        load_benign().entries[700]
    ]
    text = plain(run("lists", "lint", "mine", "-c", faulty).stdout)
    assert "at fault  mine: 2 of 3 entries, 66.7%" in text
    assert "placeholder" in text


def test_lint_looks_at_all_lists_unless_one_is_named(faulty: Path) -> None:
    lines = json_lines(run("lists", "lint", "-c", faulty, "--json"))
    assert {line["name"]: line["faulty"] for line in lines} == {"mine": 2, "sample-pdq": 0}


def test_the_sample_lists_are_clean() -> None:
    result = run("lists", "lint", "-c", CONFIG)
    assert result.exit_code == 0
    assert plain(result.stdout).count("none at fault") == 3


def test_what_lint_sets_to_flag_refuses_no_more(faulty: Path, drawn: Path) -> None:
    assert run("lists", "lint", "mine", "--fix", "flag", "-c", faulty).exit_code == 0
    (line,) = json_lines(run("lists", "lint", "mine", "-c", faulty, "--json"))
    assert (line["looked_at"], line["faulty"]) == (1, 0)
    assert status(faulty)["mine"]["flagged"] == 2
    assert run("check", drawn, "-c", faulty).exit_code == 3


def test_lint_looks_for_some_flaws_alone(faulty: Path) -> None:
    run("lists", "lint", "mine", "--only", "benign", "--fix", "flag", "-c", faulty)
    (line,) = json_lines(run("lists", "lint", "mine", "-c", faulty, "--json"))
    assert {one["entry"] for one in line["found"]} == {"ones"}


def test_lint_does_not_set_every_entry_to_flag(tmp_path: Path, configure: Configure) -> None:
    (made,) = make_list([scene(1)])
    ones = replace(made, code=b"\xff" * 32)
    (tmp_path / "mine.csv").write_bytes(dump([ones], Format.CSV))
    config = configure('name = "mine"\npath = "mine.csv"')
    result = run("lists", "lint", "--fix", "flag", "-c", config)
    assert result.exit_code == 2
    assert "would refuse nothing, since every entry is at fault" in result.stderr
    assert run("lists", "lint", "-c", config).exit_code == 1


def test_the_doctor_tells_of_entries_at_fault(faulty: Path) -> None:
    result = run("doctor", "-c", faulty)
    assert result.exit_code == 0
    assert "66.7% of the entries look as if they would refuse honest people" in result.stdout


def test_an_entry_that_is_set_to_flag_flags_until_that_is_undone(drawn: Path, faulty: Path) -> None:
    assert run("lists", "flag", "mine", "drawn", "-c", faulty).exit_code == 0
    (line,) = json_lines(run("check", drawn, "--json", "-c", faulty))
    assert (line["reason"], line["matches"][0]["action"]) == ("flagged", "flag")
    run("lists", "flag", "mine", "drawn", "--undo", "-c", faulty)
    (line,) = json_lines(run("check", drawn, "--json", "-c", faulty))
    assert (line["reason"], line["matches"][0]["action"]) == ("match", "refuse")


def test_an_entry_that_is_not_there_is_not_set_to_flag(faulty: Path) -> None:
    result = run("lists", "flag", "mine", "drawn", "none", "-c", faulty)
    assert result.exit_code == 2
    assert "has no entry none; nothing was changed" in result.stderr
    assert status(faulty)["mine"]["flagged"] == 0


def test_the_last_entry_that_refuses_is_not_set_to_flag(faulty: Path) -> None:
    run("lists", "flag", "mine", "drawn", "ones", "-c", faulty)
    result = run("lists", "flag", "mine", "form", "-c", faulty)
    assert result.exit_code == 2
    assert "would refuse nothing" in result.stderr
    assert status(faulty)["mine"]["flagged"] == 2


def test_the_doctor_tells_how_many_hashes_are_set_to_flag(faulty: Path) -> None:
    run("lists", "flag", "mine", "ones", "form", "-c", faulty)
    assert "3 entries, 2 hashes set to flag" in run("doctor", "-c", faulty).stdout


def test_a_snapshot_keeps_what_its_source_sets_to_flag(
    drawn: Path, faulty: Path, configure: Configure
) -> None:
    run("lists", "flag", "mine", "drawn", "-c", faulty)
    for _ in range(2):
        assert run("lists", "compile", faulty.parent / "mine.csv", "-o", faulty.parent / "m.igx")
    config = configure('name = "mine"\npath = "m.igx"')
    (line,) = json_lines(run("check", drawn, "--json", "-c", config))
    assert line["reason"] == "flagged"


def test_the_version_that_was_accepted_is_told(faulty: Path) -> None:
    assert status(faulty)["mine"]["accepted"] is None
    digest = status(faulty)["mine"]["digest"][:12]
    assert run("lists", "accept", "mine", digest, "-c", faulty).exit_code == 0
    told = status(faulty)["mine"]
    assert told["accepted"] == told["digest"]


def test_the_status_tells_all_of_a_list(config: Path) -> None:
    line = status(config)["sample-pdq"]
    assert 0 <= line.pop("age_s") <= time.time() - PDQ_FILE.stat().st_mtime + 5
    data = PDQ_FILE.read_bytes()
    assert line == {
        "name": "sample-pdq",
        "path": str(PDQ_FILE),
        "feed": None,
        "algorithm": "pdq",
        "entries": len(data.splitlines()) - 1,
        "added": 0,
        "withdrawn": 0,
        "searched": len(data.splitlines()) - 1,
        "flagged": 0,
        "faulty_share": 0.0,
        "threshold": 31,
        "flag_threshold": None,
        "view_offsets": {},
        "min_quality": 50,
        "action": "refuse",
        "flag_tags": [],
        "max_age_s": None,
        "expired": False,
        "warn_after_s": None,
        "old": False,
        "max_lint_rise": 0.05,
        "digest": hashlib.sha256(data).hexdigest(),
        "accepted": None,
        "error": None,
    }


def test_the_status_has_every_list_of_the_shipped_configuration() -> None:
    lines = status(CONFIG)
    assert [(line["name"], line["threshold"]) for line in lines.values()] == [
        ("sample-pdq", Algorithm.PDQ.default_threshold),
        ("sample-phash", Algorithm.PHASH256.default_threshold),
        ("sample-sha256", 0),
    ]


def test_the_status_tells_what_was_set(configure: Configure) -> None:
    config = configure(SAMPLE + '\nthreshold = 20\naction = "flag"\nmax_age = "36h"')
    line = status(config)["sample-pdq"]
    assert (line["threshold"], line["action"], line["max_age_s"]) == (20, "flag", 36 * 3600)


def test_the_status_tells_how_many_entries_are_fit_to_be_searched(
    configure: Configure, flat: Path, drawn: Path, tmp_path: Path
) -> None:
    run(
        *("lists", "build", flat, drawn, "-o", tmp_path / "mine.csv", "-n", "mine"),
        *("--min-quality", 0),
    )
    line = status(configure('name = "mine"\npath = "mine.csv"'))["mine"]
    assert (line["entries"], line["searched"]) == (2, 1)


def test_the_status_tells_that_a_list_is_expired(configure: Configure, tmp_path: Path) -> None:
    line = status(configure(old_list(tmp_path) + '\nmax_age = "30d"'))["old"]
    assert line["expired"] is True
    assert 39 * 86_400 < line["age_s"] < 41 * 86_400


def test_the_status_is_a_table_for_people(config: Path) -> None:
    table = run_process("lists", "status", "-c", config).stdout
    digest = hashlib.sha256(PDQ_FILE.read_bytes()).hexdigest()
    for told in ("sample-pdq", "pdq", "6", "31", "refuse", digest[:12]):
        assert told in table.split()


def test_a_long_name_takes_no_column_from_the_table(configure: Configure) -> None:
    name = "a-name-" * 9
    config = configure(f'name = "{name}"\npath = "{PDQ_FILE.as_posix()}"')
    table = run_process("lists", "status", "-c", config).stdout
    digest = hashlib.sha256(PDQ_FILE.read_bytes()).hexdigest()
    for told in (name, "pdq", "6", "31", "refuse", digest[:12]):
        assert told in table.split()


def test_a_broken_list_is_named_and_the_others_are_shown(
    configure: Configure, tmp_path: Path
) -> None:
    (tmp_path / "bad.csv").write_text("nonsense")
    result = run("lists", "status", "-c", configure('name = "bad"\npath = "bad.csv"', SAMPLE))
    assert result.exit_code == 2
    assert f"not loaded  bad: {tmp_path / 'bad.csv'}, line 1: " in plain(result.stderr)
    assert "sample-pdq" in result.stdout


def test_json_tells_what_is_wrong_with_a_broken_list(configure: Configure, tmp_path: Path) -> None:
    config = configure('name = "gone"\npath = "gone.csv"', SAMPLE)
    result = run("lists", "status", "--json", "-c", config)
    gone, sample = json_lines(result)
    assert result.exit_code == 2
    assert (gone["entries"], gone["digest"]) == (None, None)
    assert gone["error"] == f"{tmp_path / 'gone.csv'}: No such file or directory"
    assert sample["error"] is None


def test_the_status_leaves_the_record_alone(config: Path, tmp_path: Path) -> None:
    run("lists", "status", "-c", config)
    assert not (tmp_path / "audit.db").exists()


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


# ── Every command ─────────────────────────────────────────────────────────────────────────────


def commands() -> dict[str, Any]:
    """Every command by its full name, leaves only."""
    found: dict[str, Any] = {}

    def walk(command: Any, name: str) -> None:
        children = getattr(command, "commands", None)
        if children is None:
            found[name] = command
            return
        for child, one in children.items():
            walk(one, f"{name} {child}".strip())

    walk(typer.main.get_command(app), "")
    return found


COMMANDS = commands()


def test_these_are_the_commands() -> None:
    assert COMMANDS.keys() == {
        "check",
        "lists build",
        "lists compile",
        "lists verify",
        "lists add-hash",
        "lists add-photo",
        "lists remove",
        "lists flag",
        "lists accept",
        "lists merge",
        "lists fetch",
        "lists rollback",
        "lists pin",
        "lists diff",
        "lists export",
        "lists keygen",
        "lists publish",
        "lists sign",
        "lists lint",
        "lists status",
        "exceptions add",
        "exceptions list",
        "exceptions remove",
        "audit tail",
        "audit verify",
        "audit export",
        "calibrate",
        "serve",
        "keys new",
        "proxy",
        "doctor",
        "demo",
    }


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"serve", "proxy"}))  # their log is
def test_every_command_speaks_json(name: str) -> None:
    assert any("--json" in parameter.opts for parameter in COMMANDS[name].params)


@pytest.mark.parametrize("name", ["", "lists", "audit", "keys", *COMMANDS])
def test_every_command_has_help(name: str) -> None:
    result = run(*name.split(), "--help")
    assert result.exit_code == 0
    assert f"{name} [OPTIONS]" in plain(result.stdout)


@pytest.mark.parametrize("name", ["", "lists", "audit"])
def test_a_group_by_itself_shows_its_help_as_a_usage_error(name: str) -> None:
    result = run(*name.split())
    assert result.exit_code == 2
    assert "Usage:" in plain(result.stdout + result.stderr)


def test_the_version_is_told() -> None:
    result = run("--version")
    assert (result.exit_code, plain(result.stdout)) == (0, f"initgate {__version__}\n")


@pytest.mark.parametrize("arguments", [["bogus"], ["lists", "bogus"], ["check", "--bogus"]])
def test_what_is_unknown_is_a_usage_error(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    "command", ["check FILE", "lists status", "audit tail", "audit verify", "audit export", "demo"]
)
def test_without_its_configuration_a_command_ends_with_2_and_a_sentence(
    tmp_path: Path, garbage: Path, command: str
) -> None:
    arguments = command.replace("FILE", str(garbage)).split()
    result = run(*arguments, "-c", tmp_path / "nope.toml")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert plain(result.stderr) == f"error: {tmp_path / 'nope.toml'}: No such file or directory\n"


def test_an_error_in_a_process_of_its_own_is_a_sentence(
    configure: Configure, garbage: Path
) -> None:
    result = run_process("check", garbage, "-c", configure('name = "x"\npath = "gone.csv"'))
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr


def test_a_reader_that_goes_away_gets_no_traceback(recorded: Path) -> None:
    process = subprocess.Popen(  # noqa: S603  # our own command
        [sys.executable, "-m", "initgate.cli", "audit", "export", "-c", str(recorded)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()


# ── demo ──────────────────────────────────────────────────────────────────────────────────────


def test_the_demo_tells_which_package_it_misses(config: Path) -> None:
    without = (
        "import sys; sys.modules['skimage'] = None; from initgate.cli import main; "
        f"sys.argv = ['initgate', 'demo', '-c', {str(config)!r}]; main()"
    )
    result = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-c", without], capture_output=True, text=True, check=False, timeout=600
    )
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "skimage: pip install 'initgate[demo]'" in plain(result.stderr)


@pytest.mark.slow
@pytest.mark.diffusers
def test_the_demo_allows_one_picture_and_refuses_three_before_any_model_runs(config: Path) -> None:
    pytest.importorskip("torch", exc_type=ImportError)
    pytest.importorskip("diffusers", exc_type=ImportError)
    result = run_process("demo", "--json", "-c", config)
    assert result.returncode == 0
    allowed, *refused, audit = json_lines(result)
    calls = ("denoise_calls", "encode_calls", "decode_calls")
    assert allowed["verdict"] == "allowed"
    assert all(allowed[one] > 0 for one in calls)
    assert [step["verdict"] for step in refused] == ["refused"] * 3
    assert [[step[one] for one in calls] for step in refused] == [[0, 0, 0]] * 3
    assert audit == {"audit": {"whole": True, "records": 3}}
    records = json_lines(run("audit", "export", "-c", config))
    assert [one["event"]["decision_id"] for one in records] == [
        step["decision_id"] for step in refused
    ]
    assert {one["event"]["reason"] for one in records} == {Reason.MATCH.value}


# ── The service ───────────────────────────────────────────────────────────────────────────────


def test_a_new_key_comes_with_the_table_that_lets_it_in(tmp_path: Path) -> None:
    made = run("keys", "new", "app", "--role", "check", "--role", "metrics")
    key = made.stderr.split("once: ")[1].split()[0]
    file = tmp_path / "gate.toml"
    file.write_text(f"[[lists]]\n{SAMPLE}\n{made.stdout}")
    (known,) = load_settings(file).serve.keys
    assert known.sha256 == hashlib.sha256(key.encode()).hexdigest()
    assert (known.name, known.roles) == ("app", frozenset({Role.CHECK, Role.METRICS}))
    assert key not in made.stdout


def test_no_two_new_keys_are_the_same() -> None:
    made = [json.loads(run("keys", "new", "app", "--json").stdout) for _ in range(2)]
    assert made[0]["key"] != made[1]["key"]
    assert made[0]["roles"] == ["check"]


def test_a_key_of_an_odd_name_is_not_made() -> None:
    result = run("keys", "new", "An App")
    assert result.exit_code == 2
    assert "lower-case" in result.stderr


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ((), "initgate keys new"),
        (("--workers", "0"), "workers"),
    ],
)
def test_a_service_that_cannot_be_says_why(
    configure: Configure, more: tuple[str, ...], told: str
) -> None:
    pytest.importorskip("fastapi")
    result = run("serve", "--config", configure(), *more)
    assert result.exit_code == 2
    assert told in result.stderr


# ── proxy ─────────────────────────────────────────────────────────────────────────────────────


def test_a_proxy_needs_a_server(configure: Configure) -> None:
    pytest.importorskip("httpx")
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    pytest.importorskip("websockets")
    result = run("proxy", "-c", configure(SAMPLE))
    assert result.exit_code == 2
    assert "--upstream" in result.stderr


def test_a_proxy_without_its_extra_says_what_to_install(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "initgate.service.proxy.run", None)
    result = run("proxy", "--upstream", "http://127.0.0.1:1", "-c", configure(SAMPLE))
    assert result.exit_code == 2
    assert "pip install" in result.stderr


@pytest.mark.parametrize("option", [("--dialect", "klingon"), ("--upstream", "nowhere")])
def test_a_proxy_option_that_cannot_be_is_named(
    configure: Configure, option: tuple[str, str]
) -> None:
    result = run("proxy", *option, "-c", configure(SAMPLE))
    assert result.exit_code == 2
    assert option[0].removeprefix("--") in result.stderr
