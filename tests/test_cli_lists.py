"""The commands of lists."""

from __future__ import annotations

import hashlib
import os
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import (
    ODD_NAMES,
    PDQ_FILE,
    SAMPLE,
    Configure,
    json_lines,
    old_list,
    plain,
    run,
    run_process,
)
from samples import CONFIG, ROOT

from initgate import Algorithm
from initgate.benign import load_benign
from initgate.image import encode
from initgate.lists import Format, dump
from initgate.testing import make_list, scene

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
