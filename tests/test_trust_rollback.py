"""Rollback: an older state, once signed in good faith, is offered again."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tuf")

from repositories import FIRST, SECOND, Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_an_older_state_is_rejected(repository: Repository) -> None:
    old = repository.copied()
    repository.publish(SECOND)
    assert repository.fetch() == SECOND
    now = repository.copied()
    repository.put_back(old)
    repository.assert_rejected("older than what was seen")
    repository.assert_goes_on(now)


def test_an_older_snapshot_under_a_new_timestamp_is_rejected(repository: Repository) -> None:
    """Whoever has the key of timestamp, which lies on a server, cannot bring back an old list."""
    old = repository.copied()
    repository.publish(SECOND)
    assert repository.fetch() == SECOND
    now = repository.copied()
    repository.put_back(old)
    for _ in range(3):
        repository.open().refresh()
    repository.assert_rejected("older than what was seen")
    repository.put_back(now)
    for _ in range(3):  # past the versions that the attacker used up
        repository.open().refresh()
    repository.assert_goes_on(repository.copied())


def test_an_older_list_under_the_name_of_the_newer_is_rejected(repository: Repository) -> None:
    repository.publish(SECOND)
    now = repository.copied()
    repository.target(SECOND).write_bytes(FIRST)
    repository.assert_rejected("not the one that was signed")
    repository.assert_goes_on(now)


def test_the_same_state_again_is_no_rollback(repository: Repository) -> None:
    assert repository.fetch() is None
