"""The command line: what is checked, and what holds for every command."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from commands import (
    ODD_NAMES,
    SAMPLE,
    Configure,
    json_lines,
    old_list,
    plain,
    run,
    run_process,
)

from initgate import Reason, __version__, load_settings
from initgate.cli import app
from initgate.config import Role
from initgate.image import encode
from initgate.testing import scene

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
