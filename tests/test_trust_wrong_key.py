"""Wrong key: what is offered was signed, but not by those who are trusted."""

from __future__ import annotations

import io
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tuf")

from repositories import NAME, ROLES, SECOND, WEEK, Repository, key
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from initgate.sources.folders import open_writable
from initgate.sources.tuf.publisher import Publisher


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_part_signed_by_another_key_is_rejected(repository: Repository, role: str) -> None:
    """Every part that leads to it is signed properly, but this one by a stranger."""
    honest = repository.copied()
    repository.publish(SECOND)
    _sign_by_stranger(repository, role)
    repository.assert_rejected("too few of the keys")
    repository.put_back(honest)
    repository.publish(SECOND)
    repository.open().refresh()  # past the versions that were signed for the attack
    repository.assert_goes_on(repository.copied())


def test_a_whole_repository_of_other_keys_is_rejected(
    repository: Repository, tmp_path: Path
) -> None:
    now = repository.copied()
    other = tmp_path / "other"
    published = Publisher.create(
        open_writable(str(other)),
        {role: [key(f"other {role}")] for role in ROLES},
        thresholds={},
        now=datetime.now(UTC),
        lifetime=WEEK,
    )
    for _ in range(5):  # later than any version that was seen
        published.add(io.BytesIO(SECOND), NAME)
        published.commit()
    shutil.rmtree(repository.place)
    other.rename(repository.place)
    repository.assert_rejected("too few of the keys")
    repository.assert_goes_on(now)


def test_a_new_root_that_the_old_keys_did_not_sign_is_rejected(repository: Repository) -> None:
    now = repository.copied()
    stranger = CryptoSigner(key("stranger"))
    root = Metadata[Root].from_file(str(repository.file("metadata/*.root.json")))
    root.signed.version += 1
    for keyid in list(root.signed.roles["root"].keyids):
        root.signed.revoke_key(keyid, "root")
    root.signed.add_key(stranger.public_key, "root")
    root.sign(stranger)
    root.to_file(str(repository.place / "metadata/2.root.json"))
    repository.assert_rejected("too few of the keys")
    repository.assert_goes_on(now)


def test_keys_that_were_replaced_count_no_more(repository: Repository) -> None:
    old = repository.keys.copy()
    repository.open().rotate("timestamp", [key("new timestamp")])
    now = repository.copied()
    assert repository.fetch() is None
    timestamp = Metadata[Timestamp].from_file(str(repository.place / "metadata/timestamp.json"))
    timestamp.signed.version += 1
    timestamp.sign(CryptoSigner(old[ROLES.index("timestamp")]))
    timestamp.to_file(str(repository.place / "metadata/timestamp.json"))
    repository.assert_rejected("too few of the keys")
    repository.keys.append(key("new timestamp"))
    repository.assert_goes_on(now)


def test_versions_signed_far_ahead_with_a_stolen_key_are_forgotten_once_it_is_replaced(
    repository: Repository,
) -> None:
    now = repository.copied()
    path = repository.place / "metadata/timestamp.json"
    timestamp = Metadata[Timestamp].from_file(str(path))
    timestamp.signed.version = 10**6
    timestamp.sign(CryptoSigner(key("timestamp")))
    timestamp.to_file(str(path))
    assert repository.fetch() is None  # and is bound to that version
    repository.put_back(now)
    repository.assert_rejected("older than what was seen")
    repository.keys.append(key("new timestamp"))
    repository.open().rotate("timestamp", [key("new timestamp")])
    repository.assert_goes_on(repository.copied())


def test_fewer_signatures_than_the_threshold_are_rejected(repository: Repository) -> None:
    """Of two keys that must sign, one that signs twice is one."""
    root = Metadata[Root].from_file(str(repository.file("metadata/*.root.json")))
    root.signed.add_key(CryptoSigner(key("second")).public_key, "timestamp")
    root.signed.roles["timestamp"].threshold = 2
    root.signed.version += 1
    root.sign(CryptoSigner(key("root")))
    root.to_file(str(repository.place / "metadata/2.root.json"))
    repository.assert_rejected("too few of the keys")
    repository.keys.append(key("second"))
    repository.assert_goes_on(repository.copied())


def _sign_by_stranger(repository: Repository, role: str) -> None:
    """Signs a part by another key, and by the right ones what leads to it."""
    stranger = CryptoSigner(key("stranger"))
    metadata = repository.place / "metadata"
    targets = Metadata[Targets].from_file(str(repository.file("metadata/*.targets.json")))
    snapshot = Metadata[Snapshot].from_file(str(repository.file("metadata/*.snapshot.json")))
    timestamp = Metadata[Timestamp].from_file(str(metadata / "timestamp.json"))
    signers = {one: CryptoSigner(key(one)) for one in ROLES} | {role: stranger}
    targets.sign(signers["targets"])
    targets.to_file(str(repository.file("metadata/*.targets.json")))
    snapshot.signed.meta["targets.json"] = _described(targets)
    snapshot.sign(signers["snapshot"])
    snapshot.to_file(str(repository.file("metadata/*.snapshot.json")))
    timestamp.signed.snapshot_meta = _described(snapshot)
    timestamp.sign(signers["timestamp"])
    timestamp.to_file(str(metadata / "timestamp.json"))


def _described(made: Metadata[Any]) -> MetaFile:
    return MetaFile.from_data(made.signed.version, made.to_bytes(), ["sha256"])
