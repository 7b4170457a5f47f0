"""Mix and match: parts that were signed, but never belonged together."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tuf")

from repositories import SECOND, THIRD, Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_targets_of_another_state_are_rejected(repository: Repository) -> None:
    before = repository.file("metadata/*.targets.json").read_bytes()
    repository.publish(SECOND)
    now = repository.copied()
    repository.file("metadata/*.targets.json").write_bytes(before)
    repository.assert_rejected("not the one that was signed")
    repository.assert_goes_on(now)


def test_a_snapshot_of_another_state_is_rejected(repository: Repository) -> None:
    before = repository.file("metadata/*.snapshot.json").read_bytes()
    repository.publish(SECOND)
    now = repository.copied()
    repository.file("metadata/*.snapshot.json").write_bytes(before)
    repository.assert_rejected("not the one that was signed")
    repository.assert_goes_on(now)


def test_a_timestamp_in_the_place_of_a_snapshot_is_rejected(repository: Repository) -> None:
    repository.publish(SECOND)
    now = repository.copied()
    timestamp = (repository.place / "metadata/timestamp.json").read_bytes()
    repository.file("metadata/*.snapshot.json").write_bytes(timestamp)
    repository.assert_rejected("not the one that was signed|longer than it may be")
    repository.assert_goes_on(now)


def test_one_list_in_the_place_of_another_is_rejected(repository: Repository) -> None:
    repository.publish(SECOND, "other.csv")
    repository.publish(THIRD)
    now = repository.copied()
    repository.target(THIRD).write_bytes(SECOND)
    repository.assert_rejected("not the one that was signed|longer than it may be")
    repository.put_back(now)
    assert repository.fetch() == THIRD
