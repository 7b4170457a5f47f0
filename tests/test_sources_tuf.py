"""TUF repositories: what is published is what is fetched, and no kill leaves half a state."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

pytest.importorskip("tuf")

from repositories import FIRST, NAME, ROLES, SECOND, THIRD, WEEK, Repository, key

from initgate.errors import ConfigError, ListRejected, SourceUnavailable
from initgate.sources.folders import WritableFolder, open_writable
from initgate.sources.tuf import open_source
from initgate.sources.tuf.publisher import Publisher

NOW = datetime.now(UTC)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


# ── Publishing and fetching ──────────────────────────────────────────────────────────────────


def test_what_is_published_is_fetched_once(repository: Repository) -> None:
    repository.publish(SECOND)
    assert repository.fetch() == SECOND
    assert repository.fetch() is None


def test_a_state_that_was_only_renewed_brings_nothing(repository: Repository) -> None:
    repository.open().refresh()
    assert repository.fetch() is None


def test_another_list_of_the_repository_is_another_feed(repository: Repository) -> None:
    repository.publish(SECOND, "md5.csv")
    assert repository.fetch() is None
    assert repository.fetch("md5.csv") == SECOND


def test_a_feed_that_lost_its_checkpoint_fetches_anew(repository: Repository) -> None:
    repository.checkpoint = {}
    assert repository.fetch() == FIRST


def test_lists_are_published_in_one_state(repository: Repository) -> None:
    publisher = repository.open()
    publisher.add(io.BytesIO(SECOND), NAME)
    assert repository.fetch() is None
    publisher.add(io.BytesIO(THIRD), "md5.csv")
    publisher.commit()
    assert publisher.roles["targets"].version == 3
    assert publisher.lists.keys() == {NAME, "md5.csv"}
    assert (repository.fetch(), repository.fetch("md5.csv")) == (SECOND, THIRD)


def test_a_repository_behind_a_web_server_is_fetched(
    repository: Repository, tmp_path: Path
) -> None:
    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(repository.place))

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        source = open_source(
            f"tuf+http://127.0.0.1:{server.server_port}",
            target=NAME,
            root=tmp_path / "root.json",
            metadata=tmp_path / "seen by another",
            max_bytes=1000,
        )
        contents = [batch.pages[0].read() for batch in source.fetch({})]
        server.shutdown()
        thread.join()
    assert contents == [FIRST]


def test_a_repository_in_a_store_of_fsspec_is_published_and_fetched(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    url = f"memory://{tmp_path.name}"
    published = _create(open_writable(url))
    published.add(io.BytesIO(FIRST), NAME)
    published.commit()
    (tmp_path / "root.json").write_bytes(published.root)
    source = open_source(
        f"tuf+{url}",
        target=NAME,
        root=tmp_path / "root.json",
        metadata=tmp_path / "seen",
        max_bytes=1000,
    )
    assert [batch.pages[0].read() for batch in source.fetch({})] == [FIRST]


@pytest.mark.parametrize("content", [b"", b"{}", b"no JSON", b'{"signed": {"_type": "root"}}'])
def test_a_root_that_is_none_is_told(
    repository: Repository, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "root.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"no root\.json of a TUF repository"):
        repository.source()


def test_a_root_that_is_missing_is_told(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "root.json").unlink()
    with pytest.raises(ConfigError, match=r"root\.json: No such file"):
        repository.source()


# ── Keys ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("role", ROLES)
def test_readers_follow_when_keys_are_replaced(repository: Repository, role: str) -> None:
    repository.open().rotate(role, [key("new")])
    repository.keys = [key(one) for one in ROLES if one != role] + [key("new")]
    repository.publish(SECOND)
    assert repository.fetch() == SECOND


def test_readers_follow_through_many_roots_at_once(repository: Repository) -> None:
    for number in range(3):
        repository.keys.append(key(f"root {number}"))
        repository.open().rotate("root", [key(f"root {number}")])
    repository.publish(SECOND)
    assert repository.fetch() == SECOND


def test_a_root_is_not_replaced_without_its_old_keys(repository: Repository) -> None:
    repository.keys = [key(one) for one in ROLES if one != "root"]
    with pytest.raises(ConfigError, match="root: 1 of its keys must sign, 0 are at hand"):
        repository.open().rotate("timestamp", [key("new")])
    assert repository.fetch() is None


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_nothing_is_published_without_a_key_that_must_sign(
    repository: Repository, role: str
) -> None:
    repository.keys = [key(one) for one in ROLES if one != role]
    with pytest.raises(ConfigError, match=f"{role}: 1 of its keys must sign, 0 are at hand"):
        repository.publish(SECOND)
    assert repository.fetch() is None


def test_a_state_is_renewed_with_the_key_of_timestamp_alone(repository: Repository) -> None:
    repository.keys = [key("timestamp")]
    publisher = repository.open(now=NOW + timedelta(days=1))
    publisher.refresh()
    assert publisher.roles["timestamp"].expires > NOW + WEEK
    assert repository.fetch() is None


def test_as_many_keys_of_root_must_sign_as_its_threshold_says(tmp_path: Path) -> None:
    folder = open_writable(str(tmp_path))
    keys = {role: [key(role)] for role in ROLES} | {"root": [key("a"), key("b"), key("c")]}
    made = Publisher.create(folder, keys, thresholds={"root": 2}, now=NOW, lifetime=WEEK)
    for known, is_enough in (([key("a")], False), ([key("a"), key("c")], True)):
        others = [key(role) for role in ROLES[1:]]
        publisher = Publisher.open(folder, known + others, root=made.root, now=NOW, lifetime=WEEK)
        if is_enough:
            publisher.rotate("root", [key("d"), key("e")])
            assert publisher.roles["root"].threshold == 2
        else:
            with pytest.raises(ConfigError, match="root: 2 of its keys must sign, 1 are at hand"):
                publisher.rotate("root", [key("d"), key("e")])


def test_no_fewer_keys_than_must_sign(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="root: 2 of its keys must sign, 1 are at hand"):
        _create(open_writable(str(tmp_path)), thresholds={"root": 2})
    assert list(tmp_path.iterdir()) == []


def test_a_repository_is_not_made_twice(repository: Repository) -> None:
    with pytest.raises(ConfigError, match="there is a repository already"):
        _create(open_writable(str(repository.place)))


# ── What the publisher trusts ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("part", ["targets", "snapshot"])
def test_nothing_is_signed_upon_what_was_tampered_with(repository: Repository, part: str) -> None:
    """Else whoever can write to the folder would have their entry signed by the next publisher."""
    now = repository.copied()
    repository.edit(
        repository.file(f"metadata/*.{part}.json"), lambda signed: signed.update(version=9)
    )
    with pytest.raises(ListRejected, match="not signed by the repository's own keys"):
        repository.open()
    repository.assert_goes_on(now)


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".hidden", "a b", "x" * 129])
def test_a_list_needs_a_plain_name(repository: Repository, name: str) -> None:
    with pytest.raises(ConfigError, match="allowed: letters"):
        repository.open().add(io.BytesIO(SECOND), name)


def test_what_is_not_published_cannot_be_withdrawn(repository: Repository) -> None:
    with pytest.raises(ConfigError, match=r"'other' is not published; there are: pdq\.csv"):
        repository.open().withdraw("other")


# ── Old files ────────────────────────────────────────────────────────────────────────────────


def test_lists_of_the_last_states_are_kept(repository: Repository) -> None:
    for content in (SECOND, THIRD):
        repository.publish(content)
    removed = repository.open().prune(keep=2)
    kept = {one.read_bytes() for one in (repository.place / "targets").iterdir()}
    assert kept == {SECOND, THIRD}
    assert len([one for one in removed if one.startswith("targets/")]) == 1
    assert repository.fetch() == THIRD


def test_a_list_that_did_not_change_is_kept(repository: Repository) -> None:
    for content in (SECOND, THIRD):
        repository.publish(content, "md5.csv")
    repository.open().prune(keep=1)
    repository.checkpoint = {}
    assert repository.fetch() == FIRST


def test_no_root_is_removed(repository: Repository) -> None:
    for _ in range(3):
        repository.open().rotate("root", [key("root")])
    repository.open().prune(keep=1)
    assert len(list(repository.place.glob("metadata/*.root.json"))) == 4


# ── Kills ────────────────────────────────────────────────────────────────────────────────────


class _Killed(Exception):
    pass


class _Dying:
    """A folder whose writer is killed before it writes for the n-th time."""

    def __init__(self, folder: WritableFolder, writes: int) -> None:
        self._folder = folder
        self._left = writes

    def read(self, name: str) -> Iterator[bytes]:
        return self._folder.read(name)

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        if not self._left:
            raise _Killed
        self._left -= 1
        self._folder.write(name, pieces)

    def names(self, folder: str) -> list[str]:
        return self._folder.names(folder)

    def remove(self, name: str) -> None:
        self._folder.remove(name)


@pytest.mark.parametrize("writes", range(5))
def test_a_publisher_killed_at_any_write_leaves_the_old_state_or_the_new(
    repository: Repository, writes: int
) -> None:
    publisher = repository.open()
    publisher._folder = _Dying(publisher._folder, writes)
    is_done = True
    try:
        publisher.add(io.BytesIO(SECOND), NAME)
        publisher.commit()
    except _Killed:
        is_done = False
    assert is_done == (writes == 4)
    assert repository.fetch() == (SECOND if is_done else None)
    repository.publish(THIRD)
    assert repository.fetch() == THIRD


@pytest.mark.parametrize("writes", range(5))
@pytest.mark.parametrize("role", ROLES)
def test_a_rotation_killed_at_any_write_can_be_gone_on_from(
    repository: Repository, role: str, writes: int
) -> None:
    """For readers, only a moment in which they take nothing."""
    publisher = repository.open()
    publisher._folder = _Dying(publisher._folder, writes)
    try:
        publisher.rotate(role, [key("new")])
    except _Killed:
        assert writes < 4
    try:
        assert repository.fetch() is None
    except ListRejected as error:
        assert "too few of the keys" in str(error)  # noqa: PT017  # which may be or not
    repository.keys.append(key("new"))
    repository.publish(THIRD)
    assert repository.fetch() == THIRD


def test_a_reader_killed_while_it_fetches_goes_on(repository: Repository) -> None:
    """What it had seen of the state is remembered; the list is fetched again."""
    repository.publish(SECOND)
    for batch in repository.source().fetch(repository.checkpoint):
        assert batch.pages[0].read(3) == SECOND[:3]
        break  # and the checkpoint is not stored
    assert repository.fetch() == SECOND


def test_a_disk_that_is_full_is_told(repository: Repository, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "seen")
    (tmp_path / "seen").write_bytes(b"no folder")
    with pytest.raises(SourceUnavailable, match="seen"):
        repository.fetch()


def _create(folder: WritableFolder, thresholds: dict[str, int] | None = None) -> Publisher:
    return Publisher.create(
        folder,
        {role: [key(role)] for role in ROLES},
        thresholds=thresholds or {},
        now=NOW,
        lifetime=WEEK,
    )
