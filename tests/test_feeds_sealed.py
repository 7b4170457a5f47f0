"""Feeds whose lists are encrypted on disk, from the configuration to a refusal."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import plain, run
from feeding import Fed

from initgate import Reason, load_gate
from initgate.errors import ConfigError, ListRejected, SourceUnavailable
from initgate.lists import Format, dump
from initgate.testing import make_list, scene

pytest.importorskip("cryptography")

KEY, ANOTHER = "0f" * 32, "1e" * 32
TABLE = '[store]\nkey = "env:STORE_KEY"\n'


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration with a key, and a feed of one scene that was fetched."""
    monkeypatch.setenv("STORE_KEY", KEY)
    (tmp_path / "partner.csv").write_bytes(dump(make_list([scene(1)]), Format.CSV))
    file = tmp_path / "gate.toml"
    file.write_text(
        f'{TABLE}[[lists]]\nname = "known"\nfeed = "partner"\n'
        '[[feeds]]\nname = "partner"\nsource = "partner.csv"\n'
        '[gate]\nviews = "fast"\nreload_seconds = 0\n[audit]\nurl = "sqlite:///audit.db"\n'
    )
    fetch(file)
    return file


def fetch(config: Path) -> None:
    result = run("lists", "fetch", "-c", config)
    assert result.exit_code == 0, result.stderr


def is_refused(config: Path) -> bool:
    gate = load_gate(config)
    try:
        return gate.inspect(scene(1)).reason is Reason.MATCH
    finally:
        gate.journal.sink.close()


def contents(folder: Path) -> Iterator[bytes]:
    yield from (one.read_bytes() for one in folder.rglob("*") if one.is_file())


def test_what_is_encrypted_is_refused(config: Path) -> None:
    assert is_refused(config)


def test_no_hash_can_be_read_on_disk(config: Path) -> None:
    code = bytes(make_list([scene(1)]).codes[0])
    store = config.parent / "initgate-lists"
    assert not any(code in one for one in contents(store))
    config.write_text(config.read_text().replace(TABLE, '[store]\npath = "plain"\n'))
    fetch(config)
    assert any(code in one for one in contents(config.parent / "plain"))


def test_batches_that_wait_are_encrypted_and_go_on(tmp_path: Path) -> None:
    fed = Fed(tmp_path, key=bytes.fromhex(KEY))
    fed.brings(("partners-entry", "?no-matcher"), SourceUnavailable("cut"))
    with pytest.raises(SourceUnavailable, match="cut"):
        fed.fetch()
    assert [*(tmp_path / "incoming").iterdir()]
    assert not any(b"partners-entry" in one for one in contents(tmp_path))
    fed.source.batches[1] = ("another",)
    about = fed.fetch().about
    assert fed.held() == {"partners-entry", "another"}
    assert (about.unmatched, fed.versions.contents(about).unmatched.counts()) == (
        {"PhotoDNA": 1},
        {"PhotoDNA": 1},
    )


@pytest.mark.parametrize(
    "command",
    ["status", "verify partner", "lint known", "diff partner partner", "export known out.csv"],
)
def test_the_commands_open_it(config: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(config.parent)
    result = run("lists", *command.split(), "-c", config)
    assert result.exit_code == 0, result.stderr


def test_the_doctor_opens_it(config: Path) -> None:
    result = run("doctor", "-c", config)
    assert (result.exit_code, "list known: 1 entries" in plain(result.stdout)) == (0, True)


def test_with_another_key_nothing_is_opened(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_KEY", ANOTHER)
    with pytest.raises(ListRejected, match=r"pdq\.igx: it was sealed with another key.*\[store\]"):
        load_gate(config)


def test_without_the_key_nothing_is_opened(config: Path) -> None:
    config.write_text(config.read_text().replace(TABLE, ""))
    with pytest.raises(ListRejected, match=r"pdq\.igx: it is encrypted: set key in \[store\]"):
        load_gate(config)


@pytest.mark.parametrize("value", [None, "", "0f0f", "sesame"])
def test_a_key_that_is_none_is_said_where_it_should_be_and_not_shown(
    config: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("STORE_KEY") if value is None else monkeypatch.setenv("STORE_KEY", value)
    with pytest.raises(ConfigError, match=r"^\[store\] key: .*STORE_KEY") as raised:
        load_gate(config)
    assert not value or value not in str(raised.value)


def test_the_key_itself_does_not_belong_into_the_configuration(config: Path) -> None:
    config.write_text(config.read_text().replace("env:STORE_KEY", KEY))
    with pytest.raises(ConfigError, match=r"store\.key: allowed: .env:NAME.") as raised:
        load_gate(config)
    assert KEY not in str(raised.value)


def test_versions_are_verified_without_the_key(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STORE_KEY")
    assert run("lists", "verify", "partner", "-c", config).exit_code == 0


def test_what_was_fetched_before_there_was_a_key_is_fetched_anew(config: Path) -> None:
    shutil.rmtree(config.parent / "initgate-lists")
    with_key = config.read_text()
    config.write_text(with_key.replace(TABLE, ""))
    fetch(config)
    config.write_text(with_key)
    with pytest.raises(ListRejected, match="not encrypted, though"):
        load_gate(config)
    fetch(config)
    assert is_refused(config)


def test_the_key_is_changed_by_fetching_all_anew(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_KEY", ANOTHER)
    assert run("lists", "fetch", "-c", config).exit_code == 0  # nothing new: nothing is opened
    shutil.rmtree(config.parent / "initgate-lists/partner/versions")
    fetch(config)
    assert is_refused(config)
