from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from initgate.cli import app
from initgate.image import encode
from initgate.lists import Format, dump
from initgate.testing import make_list, scene

WHO = ("--reason", "a drawing", "--author", "reviewer", "--expires", "90d")


def run(*arguments: object) -> tuple[int, str, str]:
    """Exit code, output and errors, without colours."""
    result = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    texts = (re.sub(r"\x1b\[[0-9;]*m", "", text) for text in (result.stdout, result.stderr))
    return (result.exit_code, *texts)  # type: ignore[return-value]  # two texts


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(one) for one in output.splitlines()]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture that the list holds by mistake."""
    file = tmp_path / "picture.png"
    file.write_bytes(encode(scene(3), "PNG"))
    return file


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (made,) = make_list([scene(3)])
    near = np.frombuffer(made.code, np.uint8) ^ np.array([255] * 2 + [0] * 30, np.uint8)
    (tmp_path / "a.csv").write_bytes(
        dump([replace(made, code=near.tobytes(), entry="near")], Format.CSV)
    )
    file = tmp_path / "gate.toml"
    file.write_text(
        '[[lists]]\nname = "a"\npath = "a.csv"\n[exceptions]\npath = "exceptions.jsonl"\n'
        '[gate]\nviews = "fast"\n[audit]\nurl = "sqlite:///audit.db"\n'
    )
    return file


def reason(config: Path, picture: Path) -> str:
    _, out, _ = run("check", picture, "--json", "-c", config)
    (line,) = lines(out)
    return str(line["reason"])


def test_a_file_is_released_by_its_bytes(config: Path, picture: Path) -> None:
    assert reason(config, picture) == "match"
    code, out, _ = run("exceptions", "add", "--file", picture, *WHO, "--json", "-c", config)
    (line,) = lines(out)
    assert code == 0
    assert (line["algorithm"], line["hash"]) == (
        "sha256",
        hashlib.sha256(picture.read_bytes()).hexdigest(),
    )
    assert line["expires"] == f"{datetime.now(UTC).date() + timedelta(days=90)}"
    assert reason(config, picture) == "released"
    picture.write_bytes(encode(scene(3), "WEBP"))
    assert reason(config, picture) == "match"


def test_a_picture_is_released_by_each_hash_that_matches(config: Path, picture: Path) -> None:
    add = ("exceptions", "add", "--file", picture, "--algorithm", "pdq", *WHO)
    code, out, err = run(*add, "--threshold", 4, "--list", "a", "-c", config)
    assert (code, err) == (0, "")
    assert out.startswith("added")
    assert reason(config, picture) == "released"
    picture.write_bytes(encode(scene(3), "WEBP"))  # without loss
    assert reason(config, picture) == "released"
    _, out, _ = run("check", picture, "-c", config)
    (name, *_) = [one["id"] for one in lines(run("exceptions", "list", "--json", "-c", config)[1])]
    assert f"released by {name}" in out


def test_a_hash_is_released(config: Path) -> None:
    (made,) = make_list([scene(3)])
    add = ("exceptions", "add", "--hash", made.code.hex(), "--algorithm", "pdq", *WHO)
    assert run(*add, "--threshold", 8, "--decision-id", "01-02", "-c", config)[0] == 0
    (line,) = lines(run("exceptions", "list", "--json", "-c", config)[1])
    assert (line["decision_id"], line["author"], line["reason"]) == (
        "01-02",
        "reviewer",
        "a drawing",
    )
    assert (line["threshold"], line["expired"]) == (8, False)


def test_an_exception_on_top_of_an_entry_is_warned_of(config: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(dump(make_list([scene(3)]), Format.CSV))
    file = tmp_path / "listed.png"
    file.write_bytes(encode(scene(3), "PNG"))
    add = ("exceptions", "add", "--file", file, "-a", "pdq", *WHO, "-c", config)
    code, _, err = run(*add)
    assert code == 0
    assert "entry 0 of list a lies 0 bits from it" in err


def test_what_was_removed_releases_nothing(config: Path, picture: Path) -> None:
    run("exceptions", "add", "--file", picture, *WHO, "-c", config)
    (line,) = lines(run("exceptions", "list", "--json", "-c", config)[1])
    assert run("exceptions", "remove", line["id"], "-c", config)[0] == 0
    assert reason(config, picture) == "match"
    assert "there are none in" in run("exceptions", "list", "-c", config)[1]


def test_expired_exceptions_are_told(config: Path, picture: Path) -> None:
    add = ("exceptions", "add", "--file", picture, *WHO[:-1], "2020-01-01", "-c", config)
    assert run(*add)[0] == 0
    assert "2020-01-01, expired" in run("exceptions", "list", "-c", config)[1]
    assert lines(run("exceptions", "list", "--json", "-c", config)[1])[0]["expired"]
    assert "1 exceptions, 1 expired" in run("lists", "status", "-c", config)[1]
    assert "warning  exceptions: 1 exceptions, 1 expired" in run("doctor", "-c", config)[1]
    assert reason(config, picture) == "match"


def test_a_malformed_file_is_told_and_not_changed(
    config: Path, picture: Path, tmp_path: Path
) -> None:
    (tmp_path / "exceptions.jsonl").write_text("{}\n")
    for arguments in (("list",), ("add", "--file", picture, *WHO), ("remove", "x")):
        code, _, err = run("exceptions", *arguments, "-c", config)
        assert code == 2
        assert "exceptions.jsonl, line 1: hash: " in err
    code, out, _ = run("doctor", "-c", config)
    assert code == 2
    assert "failure  exceptions: " in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (WHO, "give --file or --hash"),
        (("--hash", "0" * 64, *WHO), "--hash needs --algorithm"),
        (("--hash", "0" * 63, "-a", "pdq", *WHO), "--hash: pdq needs 64 hexadecimal digits"),
        (("--hash", "0" * 32, "-a", "md5", *WHO), "--algorithm: two files"),
        (("--hash", "0" * 64, "-a", "pdq", "--threshold", 9, *WHO), "--threshold: 9"),
        (("--hash", "0" * 64, "-a", "pdq", *WHO[:-1], "never"), "--expires never; allowed"),
        (("--hash", "0" * 64, "-a", "pdq", *WHO[:-1], "soon"), "--expires soon; allowed"),
        (("--hash", "0" * 64, "-a", "pdq", "--reason", " ", *WHO[2:]), "--reason: "),
        (("--hash", "0" * 64, "-a", "pdq", "--list", "b", *WHO), "--list b; there are: a"),
    ],
)
def test_what_is_wrong_is_told_by_its_option(
    config: Path, arguments: tuple[object, ...], told: str
) -> None:
    code, _, err = run("exceptions", "add", *arguments, "-c", config)
    assert (code, told in err) == (2, True), err
    assert not (config.parent / "exceptions.jsonl").exists()


def test_a_picture_that_no_list_holds_needs_no_exception(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "other.png"
    file.write_bytes(encode(scene(2), "PNG"))
    code, _, err = run("exceptions", "add", "--file", file, "-a", "pdq", *WHO, "-c", config)
    assert code == 2
    assert "no pdq list holds it; there is nothing to release" in err


def test_an_exception_is_not_added_twice(config: Path, picture: Path) -> None:
    add = ("exceptions", "add", "--file", picture, *WHO, "-c", config)
    assert run(*add)[0] == 0
    code, _, err = run(*add)
    assert code == 2
    assert "is there already; first: initgate exceptions remove" in err


def test_what_is_not_there_is_not_removed(config: Path) -> None:
    code, _, err = run("exceptions", "remove", "x", "-c", config)
    assert code == 2
    assert "there is no exception x; nothing was changed" in err


def test_without_a_file_in_the_configuration_there_are_no_exceptions(
    config: Path, picture: Path
) -> None:
    config.write_text(config.read_text().replace('[exceptions]\npath = "exceptions.jsonl"\n', ""))
    code, _, err = run("exceptions", "add", "--file", picture, *WHO, "-c", config)
    assert code == 2
    assert "set path in [exceptions]" in err
