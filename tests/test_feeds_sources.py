"""From the configuration to a refusal: feeds of every kind of source, and who vouches for them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import run
from list_server import GROUP, PASSWORD, TOKEN, USER, Change, ListServer

from initgate import Reason, load_gate, load_settings
from initgate.errors import ListRejected
from initgate.feeds import Fetched, fetch
from initgate.lists import Format, dump
from initgate.store.versions import State
from initgate.testing import make_list, scene
from initgate.wiring import now, open_feed

pytest.importorskip("tuf")
fsspec = pytest.importorskip("fsspec")

MINE, OTHER, LATER = 1, 2, 3  # scenes


def listed(*seeds: int) -> bytes:
    """The file of a list of scenes."""
    return dump(make_list([scene(one) for one in seeds]), Format.CSV)


def code(seed: int) -> str:
    """The hash of a scene."""
    return bytes(make_list([scene(seed)]).codes[0]).hex()


@dataclass
class Configured:
    """A configuration of one feed and a list of it."""

    file: Path

    def fetch(self) -> Fetched:
        return fetch(open_feed(load_settings(self.file), "partner"), clock=now)

    @property
    def state(self) -> State:
        return open_feed(load_settings(self.file), "partner").versions.state()

    def refused(self) -> list[int]:
        """The scenes that a gate refuses."""
        gate = load_gate(self.file)
        try:
            told = {one: gate.inspect(scene(one)).reason for one in (MINE, OTHER, LATER)}
        finally:
            gate.journal.sink.close()
        return [one for one, reason in told.items() if reason is Reason.MATCH]

    def assert_rejected(self, reason: str) -> None:
        """That a fetch takes nothing, and that the feed's state says why."""
        with pytest.raises(ListRejected, match=reason) as raised:
            self.fetch()
        assert self.state.error == str(raised.value)


Configure = Callable[[str], Configured]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """Makes a configuration of what the feed says of its source and trust."""

    def made(feed: str) -> Configured:
        file = tmp_path / "gate.toml"
        file.write_text(
            '[[lists]]\nname = "known"\nfeed = "partner"\n'
            f'[[feeds]]\nname = "partner"\nmax_shrink = 1\n{feed}\n'
            '[gate]\nviews = "fast"\nreload_seconds = 0\n[audit]\nurl = "sqlite:///audit.db"\n'
        )
        return Configured(file)

    return made


# ── Services ──────────────────────────────────────────────────────────────────────────────────

SERVICES = {
    "ncmec": (f"{USER}:{PASSWORD}", "/hashsharing", ""),
    "stopncii": ("subscription-key:function-key", "/v1", ""),
    "threatexchange": (TOKEN, "/graph", f"privacy_group = {GROUP}"),
    "tat": (f"{USER}:{PASSWORD}", "", ""),
}


@pytest.mark.parametrize("kind", SERVICES)
def test_what_a_service_shares_is_refused_until_it_is_withdrawn(
    kind: str, configure: Configure, list_server: ListServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, path, options = SERVICES[kind]
    monkeypatch.setenv("THEIR_LOGIN", secret)
    feed = configure(
        f'source = "{kind}"\ncredentials = "env:THEIR_LOGIN"\n'
        f'[feeds.source_options]\naddress = "{list_server.address}{path}"\n{options}'
    )
    at = int(time.time()) - 30
    list_server.changes = [Change(one, at, code=code(one)) for one in (MINE, OTHER)]
    feed.fetch()
    assert feed.refused() == [MINE, OTHER]
    list_server.changes += [Change(MINE, at + 1, is_gone=True, code=code(MINE))]
    feed.fetch()
    assert feed.refused() == [OTHER]


# ── Addresses ─────────────────────────────────────────────────────────────────────────────────


def key(folder: Path, name: str) -> str:
    """Makes a key pair; returns the public half."""
    assert run("lists", "keygen", folder / f"{name}.pem").exit_code == 0
    return (folder / f"{name}.pub").read_text().splitlines()[1]


def signature(folder: Path, data: bytes, name: str) -> bytes:
    """Of the list, by a key."""
    file = folder / "list.csv"
    file.write_bytes(data)
    assert run("lists", "sign", file, "--key", folder / f"{name}.pem").exit_code == 0
    return file.with_name("list.csv.minisig").read_bytes()


@pytest.fixture
def signed(configure: Configure, list_server: ListServer, tmp_path: Path) -> Configured:
    """A feed of a signed list at an address, fetched once."""
    made = configure(
        f'source = "{list_server.address}/list.csv"\npublic_keys = ["{key(tmp_path, "theirs")}"]\n'
        "[feeds.source_options]\nallow_http = true"
    )
    list_server.file = listed(MINE)
    list_server.signature = signature(tmp_path, list_server.file, "theirs")
    made.fetch()
    return made


def test_a_signed_list_at_an_address_is_refused(signed: Configured) -> None:
    assert signed.refused() == [MINE]


def test_a_list_that_somebody_else_signed_changes_nothing(
    signed: Configured, list_server: ListServer, tmp_path: Path
) -> None:
    key(tmp_path, "nobodys")
    list_server.etag, list_server.file = '"2"', listed(OTHER)
    list_server.signature = signature(tmp_path, list_server.file, "nobodys")
    signed.assert_rejected("signed by 0 of public_keys")
    assert signed.refused() == [MINE]


def test_a_list_that_was_changed_after_it_was_signed_changes_nothing(
    signed: Configured, list_server: ListServer
) -> None:
    list_server.etag, list_server.file = '"2"', listed(OTHER)
    signed.assert_rejected("signature")
    assert signed.refused() == [MINE]


def test_an_unsigned_list_is_served_unless_it_must_be_signed(
    configure: Configure, list_server: ListServer
) -> None:
    source = f'source = "{list_server.address}/list.csv"\nsource_options = {{ allow_http = true }}'
    list_server.file = listed(MINE)
    feed = configure(source)
    assert feed.fetch().about.signer == "unsigned"
    assert feed.refused() == [MINE]


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_a_list_in_any_file_system_is_refused(
    scheme: str, configure: Configure, tmp_path: Path
) -> None:
    place = f"{tmp_path}/kept/list.csv"
    system = fsspec.filesystem(scheme, **({"auto_mkdir": True} if scheme == "file" else {}))
    feed = configure(f'source = "{scheme}://{place}"')
    for seeds in ([MINE], [MINE, OTHER]):
        system.pipe(place, listed(*seeds))
        assert feed.fetch().is_new
        assert feed.refused() == seeds
    assert not feed.fetch().is_new


# ── A TUF repository ──────────────────────────────────────────────────────────────────────────


def test_a_published_list_is_refused_and_never_goes_back(
    configure: Configure, tmp_path: Path
) -> None:
    repository, keys = tmp_path / "repository", tmp_path / "keys"

    def publish(*seeds: int, more: tuple[str, ...] = ()) -> None:
        file = tmp_path / "own.csv"
        file.write_bytes(listed(*seeds))
        where = ("--repo", repository, "--keys", keys)
        result = run("lists", "publish", file, *where, *more)
        assert result.exit_code == 0, result.stderr

    publish(MINE, more=("--init",))
    first = tmp_path / "first"
    shutil.copytree(repository, first)
    feed = configure(
        f'source = "tuf+{repository.as_uri()}"\ntarget = "own.csv"\nroot = "keys/root.json"'
    )
    feed.fetch()
    assert feed.refused() == [MINE]
    publish(MINE, OTHER)
    feed.fetch()
    assert feed.refused() == [MINE, OTHER]

    shutil.move(repository, tmp_path / "second")
    shutil.copytree(first, repository)
    feed.assert_rejected("older than what was seen before")
    assert feed.refused() == [MINE, OTHER]

    shutil.rmtree(repository)
    shutil.move(tmp_path / "second", repository)
    publish(MINE, OTHER, LATER)
    feed.fetch()
    assert feed.refused() == [MINE, OTHER, LATER]
    assert not feed.state.error
