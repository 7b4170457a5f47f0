"""Missing parts: what was signed is held back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("tuf")

from repositories import NAME, SECOND, Repository

from initgate.errors import SourceUnavailable


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_a_list_that_was_signed_and_is_missing_is_rejected(repository: Repository) -> None:
    repository.publish(SECOND)
    now = repository.copied()
    repository.target(SECOND).unlink()
    repository.assert_rejected("a file that was signed is missing")
    repository.assert_goes_on(now)


@pytest.mark.parametrize("part", ["snapshot", "targets"])
def test_metadata_that_was_signed_and_is_missing_is_rejected(
    repository: Repository, part: str
) -> None:
    repository.publish(SECOND)
    now = repository.copied()
    repository.file(f"metadata/*.{part}.json").unlink()
    repository.assert_rejected("a file that was signed is missing")
    repository.assert_goes_on(now)


def test_a_list_that_is_cut_off_is_rejected(repository: Repository) -> None:
    repository.publish(SECOND)
    now = repository.copied()
    repository.target(SECOND).write_bytes(SECOND[:-1])
    repository.assert_rejected("not the one that was signed")
    repository.assert_goes_on(now)


def test_a_list_that_is_published_no_more_is_told(repository: Repository) -> None:
    publisher = repository.open()
    publisher.withdraw(NAME)
    publisher.commit()
    repository.assert_rejected(f"publishes no list named '{NAME}'")
    repository.assert_goes_on(repository.copied())


def test_a_repository_that_is_gone_cannot_be_read(repository: Repository) -> None:
    now = repository.copied()
    shutil.rmtree(repository.place)
    with pytest.raises(SourceUnavailable, match="no TUF repository there"):
        repository.fetch()
    repository.place.mkdir()
    repository.assert_goes_on(now)
