"""Freeze: readers are shown the same state for ever, so that they miss what follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("tuf")

from repositories import Repository

AGO = timedelta(days=8)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def _frozen(repository: Repository) -> None:
    """The state of eight days ago, seen then, held for seven."""
    repository.open(now=datetime.now(UTC) - AGO).refresh()


def test_a_state_that_nobody_renewed_is_rejected(repository: Repository) -> None:
    now = repository.copied()
    _frozen(repository)
    repository.assert_rejected("out of date")
    repository.assert_goes_on(now)


def test_a_state_that_is_unchanged_is_rejected_once_it_is_out_of_date(
    repository: Repository,
) -> None:
    _frozen(repository)
    repository.assert_rejected("out of date")
    repository.assert_rejected("out of date")  # it was seen by now, and nothing is new
    repository.open().refresh()
    assert repository.fetch() is None
    repository.assert_goes_on(repository.copied())


def test_a_later_date_that_nobody_signed_is_rejected(repository: Repository) -> None:
    now = repository.copied()
    _frozen(repository)
    later = f"{datetime.now(UTC) + AGO:%Y-%m-%dT%H:%M:%SZ}"
    repository.edit(
        repository.place / "metadata/timestamp.json", lambda signed: signed.update(expires=later)
    )
    repository.assert_rejected("too few of the keys")
    repository.assert_goes_on(now)


def test_whoever_renews_says_how_to(repository: Repository) -> None:
    _frozen(repository)
    repository.assert_rejected("initgate lists publish --refresh")
