"""Endless data: a file goes on and on, to fill disk or memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

pytest.importorskip("tuf")

from repositories import SECOND, Repository

from initgate.errors import SourceUnavailable
from initgate.sources.tuf import reader


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


ENDLESS = 10**9


def _grow(path: Path) -> None:
    """To a thousand million bytes, of which a disk holds none."""
    with path.open("r+b") as file:
        file.truncate(ENDLESS)


@pytest.mark.parametrize("pattern", ["timestamp.json", "*.snapshot.json", "*.targets.json"])
def test_metadata_without_an_end_is_rejected(
    repository: Repository, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.publish(SECOND)
    now = repository.copied()
    (path,) = sorted((repository.place / "metadata").glob(pattern))[-1:]
    _grow(path)
    read = _counted(monkeypatch)
    repository.assert_rejected("longer than it may be")
    assert sum(read) < 10**6
    path.unlink()
    repository.assert_goes_on(now)


def test_a_list_without_an_end_is_rejected(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.publish(SECOND)
    now = repository.copied()
    _grow(repository.target(SECOND))
    read = _counted(monkeypatch)
    repository.assert_rejected("longer than it may be")
    assert sum(read) < 10**6
    repository.assert_goes_on(now)


def test_a_list_that_is_signed_but_larger_than_allowed_is_not_fetched(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.publish(bytes(1001))
    read = _counted(monkeypatch)
    repository.assert_rejected("1001 bytes; allowed are 1000")
    assert sum(read) < 10**4
    repository.assert_goes_on(repository.copied())


def test_a_file_that_comes_too_slowly_is_given_up(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.publish(SECOND)
    monkeypatch.setattr("initgate.sources.tuf.reader.time.monotonic", count(0, 1000).__next__)
    with pytest.raises(SourceUnavailable, match="took over"):
        repository.fetch()
    monkeypatch.undo()
    repository.assert_goes_on(repository.copied())


def test_a_fetch_that_takes_too_long_in_all_is_given_up(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file may come in time, and there may be hundreds of roots."""
    repository.publish(SECOND)
    monkeypatch.setattr("initgate.sources.tuf.reader.time.monotonic", count(0, 400).__next__)
    with pytest.raises(SourceUnavailable, match="all files over 3600 s"):
        repository.fetch()
    monkeypatch.undo()
    repository.assert_goes_on(repository.copied())


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes are read from now on."""
    read: list[int] = []
    fetch = reader._Fetcher._fetch

    def counting(self: reader._Fetcher, url: str) -> Iterator[bytes]:
        for piece in fetch(self, url):
            read.append(len(piece))
            yield piece

    monkeypatch.setattr(reader._Fetcher, "_fetch", counting)
    return read
