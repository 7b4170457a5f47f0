"""Makes a TUF repository and publishes lists in it.

Readers see the old state or the new one: every file but timestamp.json has its version or digest in
its name and is written once; timestamp.json, which leads to the others, is replaced last.

::

    metadata/N.root.json      which keys sign what, and how many of them must
    metadata/N.targets.json   the lists: length and SHA-256
    metadata/N.snapshot.json  which version of targets belongs to this state
    metadata/timestamp.json   which snapshot is the present one, and until when that holds
    targets/SHA256.NAME       the lists
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO

from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from initgate.errors import ConfigError, ListRejected
from initgate.sources.folders import WritableFolder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ROLES = (Root.type, Targets.type, Snapshot.type, Timestamp.type)
"""What keys are for, the most precious first."""

_LONG = timedelta(days=365)  # what holds until somebody publishes again
_AT_ONCE = 1 << 18  # bytes
_VERSIONED = re.compile(r"([1-9][0-9]*)\.(targets|snapshot)\.json")
_OF_DIGEST = re.compile(r"[0-9a-f]{64}\..+")


@dataclass(frozen=True, slots=True)
class Role:
    """A part of a repository's present state.

    Args:
        version: Its number.
        expires: Until when readers take it.
        keys: The beginnings of the ids of its keys.
        threshold: How many of them must have signed.
    """

    version: int
    expires: datetime
    keys: tuple[str, ...]
    threshold: int


@dataclass(frozen=True, slots=True)
class _State:
    """A repository's present metadata."""

    root: Metadata[Root]
    targets: Metadata[Targets]
    snapshot: Metadata[Snapshot]
    timestamp: Metadata[Timestamp]

    @classmethod
    def read(cls, folder: WritableFolder, root: bytes) -> _State:
        """Everything that timestamp.json leads to, each part signed by the keys of its role."""
        try:
            given = Metadata[Root].from_bytes(root)
            given.signed.verify_delegate(Root.type, given.signed_bytes, given.signatures)
        except (RepositoryError, ValueError, AttributeError) as error:
            raise ConfigError(f"root.json: {error}") from error
        newest = _newest_root(folder, given)
        # The one at hand still counts: a rotation may have been cut off between root and the rest.
        roots = (newest.signed, given.signed)
        timestamp: Metadata[Timestamp] = _read(folder, "timestamp.json", roots, Timestamp.type)
        version = timestamp.signed.snapshot_meta.version
        snapshot: Metadata[Snapshot] = _read(
            folder, f"{version}.snapshot.json", roots, Snapshot.type
        )
        version = snapshot.signed.meta["targets.json"].version
        targets: Metadata[Targets] = _read(folder, f"{version}.targets.json", roots, Targets.type)
        return cls(newest, targets, snapshot, timestamp)


class Publisher:
    """A repository that one may write to: from :meth:`create` or :meth:`open`."""

    def __init__(
        self,
        folder: WritableFolder,
        keys: Iterable[Ed25519PrivateKey],
        state: _State,
        *,
        now: datetime,
        lifetime: timedelta,
    ) -> None:
        self._folder = folder
        self._signers = _signers(keys)
        self._root, self._targets = state.root, state.targets
        self._snapshot, self._timestamp = state.snapshot, state.timestamp
        self._now = now.replace(microsecond=0)
        self._lifetime = lifetime

    @classmethod
    def create(
        cls,
        folder: WritableFolder,
        keys: Mapping[str, Sequence[Ed25519PrivateKey]],
        *,
        thresholds: Mapping[str, int],
        now: datetime,
        lifetime: timedelta,
    ) -> Publisher:
        """Makes a repository without lists.

        Args:
            folder: Empty.
            keys: For each of :data:`ROLES`.
            thresholds: How many of a role's keys must sign. Default: 1.
            now: The present.
            lifetime: How long a state holds before somebody must renew it.

        Raises:
            ConfigError: There is a repository already, or a threshold cannot be met.
            OSError: It cannot be written.
        """
        if folder.names("metadata"):
            raise ConfigError("there is a repository already; publish without --init")
        root = Root(expires=now.replace(microsecond=0) + _LONG, consistent_snapshot=True)
        for role in ROLES:
            for signer in _signers(keys[role]).values():
                root.add_key(signer.public_key, role)
            root.roles[role].threshold = thresholds.get(role, 1)
        state = _State(
            Metadata(root), Metadata(Targets()), Metadata(Snapshot()), Metadata(Timestamp())
        )
        known = [key for of_role in keys.values() for key in of_role]
        made = cls(folder, known, state, now=now, lifetime=lifetime)
        made._sign(Root.type, state.root)
        made._write_state(step=0, root_too=True)
        return made

    @classmethod
    def open(
        cls,
        folder: WritableFolder,
        keys: Iterable[Ed25519PrivateKey],
        *,
        root: bytes,
        now: datetime,
        lifetime: timedelta,
    ) -> Publisher:
        """Reads a repository, and checks it before it is signed anew.

        Args:
            folder: That holds ``metadata`` and ``targets``.
            keys: All that are at hand. Those that a role needs are found among them.
            root: The content of root.json.
            now: The present.
            lifetime: How long a state holds before somebody must renew it.

        Raises:
            ConfigError: The root is none.
            ListRejected: What is in the folder was not signed by its keys.
            OSError: It cannot be read.
        """
        state = _State.read(folder, root)
        return cls(folder, keys, state, now=now, lifetime=lifetime)

    @property
    def root(self) -> bytes:
        """The content of root.json, for those who read the repository."""
        return self._root.to_bytes()

    @property
    def lists(self) -> Mapping[str, str]:
        """What is published: name and SHA-256."""
        return {name: one.hashes["sha256"] for name, one in self._targets.signed.targets.items()}

    @property
    def roles(self) -> Mapping[str, Role]:
        """The present state."""
        found: dict[str, Metadata[Any]] = {
            Root.type: self._root,
            Targets.type: self._targets,
            Snapshot.type: self._snapshot,
            Timestamp.type: self._timestamp,
        }
        return {
            name: Role(
                one.signed.version,
                one.signed.expires,
                tuple(key[:12] for key in self._root.signed.roles[name].keyids),
                self._root.signed.roles[name].threshold,
            )
            for name, one in found.items()
        }

    def add(self, file: BinaryIO, name: str) -> str:
        """Puts a list into the repository, in place of what had its name; readers see it after
        :meth:`commit`.

        Args:
            file: At its start; seekable.
            name: Under which readers ask for it.

        Returns:
            Its SHA-256.

        Raises:
            ConfigError: The name is none.
            OSError: The repository cannot be written.
        """
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", name):
            raise ConfigError(f"{name!r}: allowed: letters, digits, '.', '-' and '_'")
        target = TargetFile.from_data(name, file, ["sha256"])
        digest = target.hashes["sha256"]
        file.seek(0)
        self._folder.write(f"targets/{digest}.{name}", iter(lambda: file.read(_AT_ONCE), b""))
        self._targets.signed.targets[name] = target
        return digest

    def withdraw(self, name: str) -> None:
        """Takes a list out; readers see it after :meth:`commit`.

        Raises:
            ConfigError: There is none of that name.
        """
        if name not in self.lists:
            raise ConfigError(f"{name!r} is not published; there are: {', '.join(self.lists)}")
        del self._targets.signed.targets[name]

    def commit(self) -> None:
        """Makes the lists that are there now the next state.

        Raises:
            ConfigError: Too few of the keys needed are at hand. Nothing was changed for readers.
            OSError: The repository cannot be written.
        """
        self._write_state()

    def refresh(self) -> None:
        """Vouches for the present state anew, so that readers go on taking it.

        Raises:
            ConfigError: The key of timestamp is not at hand.
            OSError: The repository cannot be written.
        """
        self._sign_timestamp()
        self._write_timestamp()

    def rotate(self, role: str, keys: Sequence[Ed25519PrivateKey]) -> None:
        """Takes other keys for a role; the ones before count no more.

        Args:
            role: One of :data:`ROLES`.
            keys: No fewer than must sign.

        Raises:
            ConfigError: Too few keys, or too few of root's own (the old and, of root, the new).
            OSError: The repository cannot be written.
        """
        before = copy.deepcopy(self._root.signed)
        root = self._root.signed
        if len(keys) < root.roles[role].threshold:
            raise ConfigError(
                f"{role}: {root.roles[role].threshold} keys must sign, not {len(keys)}"
            )
        for keyid in list(root.roles[role].keyids):
            root.revoke_key(keyid, role)
        for keyid, signer in _signers(keys).items():
            root.add_key(signer.public_key, role)
            self._signers[keyid] = signer
        root.version += 1
        root.expires = self._now + _LONG
        # All is signed before anything is written.
        self._sign(Root.type, self._root, also=before)
        self._write_state(root_too=True)

    def prune(self, keep: int) -> list[str]:
        """Removes lists that the last versions do not name. Readers may still be fetching those.

        Args:
            keep: How many versions, the present one among them.

        Returns:
            The names of the files removed.

        Raises:
            OSError: The repository cannot be read or written.
        """
        oldest = {
            Targets.type: self._targets.signed.version - keep,
            Snapshot.type: self._snapshot.signed.version - keep,
        }
        kept, removed = set[str](), list[str]()
        for name in self._folder.names("metadata"):
            if found := _VERSIONED.fullmatch(name):
                if int(found[1]) <= oldest[found[2]]:
                    removed.append(f"metadata/{name}")
                elif found[2] == Targets.type:
                    # Unchecked: it only says what to keep.
                    content = b"".join(self._folder.read(f"metadata/{name}"))
                    targets = Metadata[Targets].from_bytes(content)
                    for one in targets.signed.targets.values():
                        kept.update(one.get_prefixed_paths())
        for name in self._folder.names("targets"):
            if _OF_DIGEST.fullmatch(name) and name not in kept:
                removed.append(f"targets/{name}")
        for name in removed:
            self._folder.remove(name)
        return removed

    # ── Writing ──────────────────────────────────────────────────────────────────────────────

    def _sign(self, role: str, made: Metadata[Any], *, also: Root | None = None) -> None:
        """Signs by the role's keys, and those of another root."""
        made.signatures.clear()
        for root in (self._root.signed, *([also] if also else [])):
            needed = root.roles[role]
            found = [key for key in needed.keyids if key in self._signers]
            if len(found) < needed.threshold:
                raise ConfigError(
                    f"{role}: {needed.threshold} of its keys must sign, {len(found)} are at hand: "
                    + ", ".join(key[:12] for key in needed.keyids)
                )
            for key in found:
                made.sign(self._signers[key], append=True)

    def _write_state(self, *, step: int = 1, root_too: bool = False) -> None:
        """Writes targets, snapshot and timestamp, versions on; nothing if a key is missing."""
        for made in (self._targets, self._snapshot):
            made.signed.version += step
            made.signed.expires = self._now + _LONG
        self._sign(Targets.type, self._targets)
        self._snapshot.signed.meta["targets.json"] = _described(self._targets)
        self._sign(Snapshot.type, self._snapshot)
        self._sign_timestamp(step=step)
        written: list[Metadata[Any]] = [self._targets, self._snapshot]
        for made in written + [self._root] * root_too:
            name = f"metadata/{made.signed.version}.{made.signed.type}.json"
            self._folder.write(name, [made.to_bytes()])
        self._write_timestamp()

    def _sign_timestamp(self, *, step: int = 1) -> None:
        timestamp = self._timestamp.signed
        timestamp.version += step
        timestamp.expires = self._now + self._lifetime
        timestamp.snapshot_meta = _described(self._snapshot)
        self._sign(Timestamp.type, self._timestamp)

    def _write_timestamp(self) -> None:
        self._folder.write("metadata/timestamp.json", [self._timestamp.to_bytes()])


def _newest_root(folder: WritableFolder, given: Metadata[Root]) -> Metadata[Root]:
    """The root in force; each is signed by the keys of the one before."""
    while True:
        name = f"{given.signed.version + 1}.root.json"
        try:
            following: Metadata[Root] = _read(folder, name, (given.signed,), Root.type)
        except FileNotFoundError:
            return given
        _verify((following.signed,), Root.type, following, name)
        given = following


def _read(folder: WritableFolder, name: str, roots: Sequence[Root], role: str) -> Metadata[Any]:
    try:
        found: Metadata[Any] = Metadata.from_bytes(b"".join(folder.read(f"metadata/{name}")))
    except RepositoryError as error:
        raise _foreign(name, error) from error
    _verify(roots, role, found, name)
    return found


def _signers(keys: Iterable[Ed25519PrivateKey]) -> dict[str, CryptoSigner]:
    signers = (CryptoSigner(key) for key in keys)
    return {signer.public_key.keyid: signer for signer in signers}


def _described(made: Metadata[Any]) -> MetaFile:
    return MetaFile.from_data(made.signed.version, made.to_bytes(), ["sha256"])


def _verify(roots: Sequence[Root], role: str, found: Metadata[Any], name: str) -> None:
    """By the keys of one of some roots."""
    problem = RepositoryError(f"it is of {found.signed.type}")
    for root in roots if found.signed.type == role else ():
        try:
            root.verify_delegate(role, found.signed_bytes, found.signatures)
        except RepositoryError as error:
            problem = error
        else:
            return
    raise _foreign(name, problem) from problem


def _foreign(name: str, error: Exception) -> ListRejected:
    return ListRejected(
        f"not signed by the repository's own keys, so that nothing is signed upon it: {error}",
        source=name,
    )
