"""Extraneous targets: a list that nobody published is slipped in."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

pytest.importorskip("tuf")

from repositories import FIRST, NAME, SECOND, THIRD, Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_a_list_that_nobody_signed_is_not_to_be_had(repository: Repository) -> None:
    """A file that only lies there is no list, whatever its name."""
    digest = hashlib.sha256(SECOND).hexdigest()
    (repository.place / f"targets/{digest}.other.csv").write_bytes(SECOND)
    repository.assert_rejected("publishes no list named 'other.csv'", target="other.csv")
    repository.assert_goes_on(repository.copied())


def test_what_lies_beside_the_list_is_never_read(repository: Repository) -> None:
    repository.publish(SECOND)
    (repository.place / "targets/pdq.csv").write_bytes(FIRST)
    (repository.place / "targets/pdq.csv.exe").write_bytes(FIRST)
    assert repository.fetch() == SECOND


@pytest.mark.parametrize("target", ["other.csv", NAME])
def test_an_entry_slipped_into_targets_is_rejected(repository: Repository, target: str) -> None:
    repository.publish(SECOND)
    now = repository.copied()
    digest = hashlib.sha256(THIRD).hexdigest()
    (repository.place / f"targets/{digest}.{target}").write_bytes(THIRD)
    slipped_in = {target: {"length": len(THIRD), "hashes": {"sha256": digest}}}
    repository.edit(
        repository.file("metadata/*.targets.json"),
        lambda signed: signed["targets"].update(slipped_in),
    )
    repository.assert_rejected("not the one that was signed|longer than it may be", target=target)
    repository.assert_goes_on(now)


@pytest.mark.parametrize("target", ["../../seen/root.json", "/etc/hostname", ""])
def test_a_name_that_leads_out_of_the_repository_is_no_list(
    repository: Repository, target: str
) -> None:
    repository.assert_rejected("publishes no list", target=target)
