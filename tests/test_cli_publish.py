"""``initgate lists keygen``, ``sign`` and ``publish``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from initgate.cli import app
from initgate.sources.tuf import open_source
from initgate.trust import Signed

pytest.importorskip("tuf")

CONTENT = b"algorithm,hash,entry\n"


class Result(NamedTuple):
    """What is left of a run."""

    exit_code: int
    stdout: str
    stderr: str


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    return Result(result.exit_code, *(_plain(text) for text in (result.stdout, result.stderr)))


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _json(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture
def pdq(tmp_path: Path) -> Path:
    file = tmp_path / "pdq.csv"
    file.write_bytes(CONTENT)
    return file


@pytest.fixture
def passphrase(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LIST_KEYS", "correct horse")
    return "env:LIST_KEYS"


# ── Signatures ───────────────────────────────────────────────────────────────────────────────


def _verify(file: Path, public_keys: list[str], **more: Any) -> str:
    with file.open("rb") as opened:
        signature = file.with_name(f"{file.name}.minisig").read_bytes()
        return Signed(public_keys, **more).verify([opened], signature, source="pdq").by


def test_a_list_signed_with_a_new_key_is_taken_by_its_public_half(
    tmp_path: Path, pdq: Path
) -> None:
    made = _json(run("lists", "keygen", tmp_path / "a.pem", "--json"))
    assert run("lists", "sign", pdq, "--key", tmp_path / "a.pem").exit_code == 0
    assert made["key_id"] in _verify(pdq, [made["public_key"]], name="pdq.csv")


def test_the_public_half_is_printed_as_the_configuration_takes_it(tmp_path: Path) -> None:
    told = run("lists", "keygen", tmp_path / "a.pem").stdout
    public = re.search(r'^public_keys = \["(RW[\w+/]{54})"\]$', told, re.MULTILINE)
    assert public is not None
    assert (tmp_path / "a.pub").read_text().splitlines()[1] == public[1]


def test_two_keys_sign_at_once_or_one_after_the_other(tmp_path: Path, pdq: Path) -> None:
    a, b = tmp_path / "a.pem", tmp_path / "b.pem"
    public = [_json(run("lists", "keygen", one, "--json"))["public_key"] for one in (a, b)]
    run("lists", "sign", pdq, "-k", a, "-k", b)
    at_once = _verify(pdq, public, at_least=2)
    run("lists", "sign", pdq, "-k", a)
    run("lists", "sign", pdq, "-k", b, "--add")
    assert _verify(pdq, public, at_least=2) == at_once


def test_a_secret_key_is_for_its_owner_and_never_overwritten(tmp_path: Path) -> None:
    run("lists", "keygen", tmp_path / "a.pem")
    assert (tmp_path / "a.pem").stat().st_mode & 0o077 == 0
    before = (tmp_path / "a.pem").read_bytes()
    again = run("lists", "keygen", tmp_path / "a.pem")
    assert (again.exit_code, "never overwritten" in again.stderr) == (2, True)
    assert (tmp_path / "a.pem").read_bytes() == before


def test_a_key_in_the_clear_is_warned_of(tmp_path: Path, passphrase: str) -> None:
    assert "not encrypted" in run("lists", "keygen", tmp_path / "a.pem").stderr
    more = ("--passphrase", passphrase)
    assert run("lists", "keygen", tmp_path / "b.pem", *more).stderr == ""
    assert b"ENCRYPTED" in (tmp_path / "b.pem").read_bytes()


def test_a_key_that_others_can_read_is_warned_of(tmp_path: Path, pdq: Path) -> None:
    run("lists", "keygen", tmp_path / "a.pem")
    (tmp_path / "a.pem").chmod(0o644)
    assert "others can read" in run("lists", "sign", pdq, "-k", tmp_path / "a.pem").stderr


def test_an_encrypted_key_asks_for_its_passphrase(
    tmp_path: Path, pdq: Path, passphrase: str
) -> None:
    run("lists", "keygen", tmp_path / "a.pem", "--passphrase", passphrase)
    result = run("lists", "sign", pdq, "-k", tmp_path / "a.pem")
    assert (result.exit_code, "tell where its passphrase is" in result.stderr) == (2, True)
    assert not (tmp_path / "pdq.csv.minisig").exists()
    more = ("--passphrase", passphrase)
    assert run("lists", "sign", pdq, "-k", tmp_path / "a.pem", *more).exit_code == 0


# ── Repositories ─────────────────────────────────────────────────────────────────────────────


class Place(NamedTuple):
    """A repository that is published to by commands."""

    repo: Path
    keys: Path

    def publish(self, *arguments: object) -> Result:
        return run("lists", "publish", *arguments, "--repo", self.repo, "--keys", self.keys)

    def fetch(self, target: str = "pdq.csv") -> list[bytes]:
        source = open_source(
            f"tuf+{self.repo.as_uri()}",
            target=target,
            root=self.keys / "root.json",
            metadata=self.repo.with_name("seen"),
            max_bytes=1000,
        )
        return [batch.pages[0].read() for batch in source.fetch({})]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "repo", tmp_path / "keys")


def test_a_list_is_published_in_a_new_repository(place: Place, pdq: Path) -> None:
    result = place.publish(pdq, "--init")
    assert result.exit_code == 0, result.stderr
    assert "published  pdq.csv" in result.stdout
    assert place.fetch() == [CONTENT]


def test_a_list_is_published_under_another_name(place: Place, pdq: Path) -> None:
    place.publish(pdq, "--init", "--name", "partner")
    assert place.fetch("partner") == [CONTENT]


def test_one_name_is_for_one_list(place: Place, pdq: Path) -> None:
    result = place.publish(pdq, pdq, "--init", "--name", "partner")
    assert (result.exit_code, "exactly one file" in result.stderr) == (2, True)


def test_what_is_published_is_told_to_machines(place: Place, pdq: Path) -> None:
    told = _json(place.publish(pdq, "--init", "--json", "--root-keys", 3, "--root-threshold", 2))
    assert told["lists"].keys() == {"pdq.csv"}
    assert told["roles"]["root"]["threshold"] == 2
    assert len(told["roles"]["root"]["keys"]) == 3
    assert len(list(place.keys.glob("root-*.pem"))) == 3


def test_a_state_is_renewed(place: Place, pdq: Path) -> None:
    before = _json(place.publish(pdq, "--init", "--expires", "1h", "--json"))["roles"]
    after = _json(place.publish("--refresh", "--expires", "7d", "--json"))["roles"]
    assert after["timestamp"]["version"] == before["timestamp"]["version"] + 1
    assert after["timestamp"]["expires"] > before["timestamp"]["expires"]
    assert after["targets"] == before["targets"]
    assert place.fetch() == [CONTENT]


def test_keys_are_replaced_and_readers_follow(place: Place, pdq: Path) -> None:
    place.publish(pdq, "--init")
    assert place.fetch() == [CONTENT]
    for role in ("timestamp", "root", "targets", "snapshot"):
        result = place.publish("--rotate", role)
        assert result.exit_code == 0, result.stderr
        (place.keys / f"{role}-1.pem").unlink()
    pdq.write_bytes(b"new")
    assert place.publish(pdq).exit_code == 0
    assert place.fetch() == [b"new"]


def test_as_many_keys_are_made_as_there_were(place: Place, pdq: Path) -> None:
    place.publish(pdq, "--init", "--root-keys", 3, "--root-threshold", 2)
    (place.keys / "root-1.pem").unlink()  # one of three may be lost
    root = _json(place.publish("--rotate", "root", "--json"))["roles"]["root"]
    assert (len(root["keys"]), root["threshold"]) == (3, 2)


def test_a_list_is_withdrawn(place: Place, pdq: Path) -> None:
    place.publish(pdq, "--init")
    assert _json(place.publish("--withdraw", "pdq.csv", "--json"))["lists"] == {}


def test_old_lists_are_removed(place: Place, pdq: Path) -> None:
    place.publish(pdq, "--init", "--keep", 2)
    for number in range(3):
        pdq.write_bytes(b"%d" % number)
        place.publish(pdq, "--keep", 2)
    assert len(list((place.repo / "targets").iterdir())) == 2


def test_a_repository_is_made_once(place: Place, pdq: Path) -> None:
    place.publish(pdq, "--init")
    for keys in (place.keys, place.keys.with_name("others")):
        again = place._replace(keys=keys).publish(pdq, "--init")
        assert (again.exit_code, "publish without --init" in again.stderr) == (2, True)


def test_without_a_repository_it_says_how_to_make_one(place: Place, pdq: Path) -> None:
    result = place.publish(pdq)
    assert (result.exit_code, "--init" in result.stderr) == (2, True)
    place.publish(pdq, "--init")
    moved = place._replace(repo=place.repo.with_name("elsewhere")).publish(pdq)
    assert (moved.exit_code, "--init" in moved.stderr) == (2, True)


@pytest.mark.parametrize("expires", ["never", "7", "", "-1d"])
def test_a_state_holds_for_a_time(place: Place, pdq: Path, expires: str) -> None:
    result = place.publish(pdq, "--init", f"--expires={expires}")
    assert (result.exit_code, "--expires" in result.stderr) == (2, True)
    assert not place.repo.exists()


def test_keys_are_encrypted(place: Place, pdq: Path, passphrase: str) -> None:
    more = ("--passphrase", passphrase)
    assert place.publish(pdq, "--init", *more).stderr == ""
    assert all(b"ENCRYPTED" in one.read_bytes() for one in place.keys.glob("*.pem"))
    assert place.publish(pdq).exit_code == 2
    assert place.publish(pdq, *more).exit_code == 0


def test_a_missing_key_is_named(place: Place, pdq: Path) -> None:
    place.publish(pdq, "--init")
    (place.keys / "targets-1.pem").unlink()
    result = place.publish(pdq)
    assert (result.exit_code, "targets: 1 of its keys" in result.stderr) == (2, True)


def test_the_folder_of_keys_is_for_its_owner(place: Place, pdq: Path) -> None:
    place.publish(pdq, "--init")
    assert place.keys.stat().st_mode & 0o077 == 0
