"""A TUF repository made by the real publisher, one who reads it, and ways to tamper with a copy."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from initgate import trust
from initgate.errors import ListRejected
from initgate.sources import Source
from initgate.sources.folders import open_writable
from initgate.sources.tuf import open_source

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from initgate.sources.tuf.publisher import Publisher

NAME = "pdq.csv"
FIRST, SECOND, THIRD = b"first list\n", b"second list\n", b"third list\n"
WEEK = timedelta(days=7)
ROLES = ("root", "targets", "snapshot", "timestamp")


@cache
def key(name: str) -> Ed25519PrivateKey:
    """A key; the same for a name."""
    return trust.load_key(trust.make_key(), source=name)


class Repository:
    """A repository in a folder, of which one list is published and was fetched once."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / "repository"
        self.keys = [key(role) for role in ROLES]
        self._metadata = folder / "seen"
        self._root = folder / "root.json"
        self.checkpoint: Mapping[str, str | int | float | None] = {}
        made = self._publisher().create(
            open_writable(str(self.place)),
            {role: [key(role)] for role in ROLES},
            thresholds={},
            now=datetime.now(UTC),
            lifetime=WEEK,
        )
        self._root.write_bytes(made.root)
        made.add(io.BytesIO(FIRST), NAME)
        made.commit()
        assert self.fetch() == FIRST

    def open(self, *, now: datetime | None = None) -> Publisher:
        """Its publisher, with all keys."""
        return self._publisher().open(
            open_writable(str(self.place)),
            self.keys,
            root=self._root.read_bytes(),
            now=now or datetime.now(UTC),
            lifetime=WEEK,
        )

    def publish(self, content: bytes, name: str = NAME, *, now: datetime | None = None) -> None:
        """Publishes another version of the list."""
        publisher = self.open(now=now)
        publisher.add(io.BytesIO(content), name)
        publisher.commit()

    def source(self, target: str = NAME, *, max_bytes: int = 1000) -> Source:
        """Who reads it, and remembers what was seen."""
        return open_source(
            f"tuf+{self.place.as_uri()}",
            target=target,
            root=self._root,
            metadata=self._metadata,
            max_bytes=max_bytes,
        )

    def fetch(self, target: str = NAME) -> bytes | None:
        """What is new, as a feed fetches it: the checkpoint moves when a batch was taken."""
        content = None
        for batch in self.source(target).fetch(self.checkpoint):
            assert batch.is_whole
            (page,) = batch.pages
            content = page.read()
            self.checkpoint = batch.checkpoint
        return content

    def copied(self) -> dict[str, bytes]:
        """Every file of its present state."""
        return {
            str(one.relative_to(self.place)): one.read_bytes()
            for one in self.place.rglob("*")
            if one.is_file()
        }

    def put_back(self, state: Mapping[str, bytes]) -> None:
        """Makes a state the present one."""
        shutil.rmtree(self.place)
        for name, content in state.items():
            path = self.place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def file(self, pattern: str) -> Path:
        """The newest of its files with such a name."""
        return max(self.place.glob(pattern), key=lambda one: int(one.name.partition(".")[0] or 0))

    def target(self, content: bytes) -> Path:
        """The file of a version of the list."""
        (found,) = (
            one for one in (self.place / "targets").iterdir() if one.read_bytes() == content
        )
        return found

    def edit(self, path: Path, change: Callable[[dict[str, Any]], None]) -> None:
        """Changes the signed part of a metadata file, without a key to sign it."""
        content = json.loads(path.read_bytes())
        change(content["signed"])
        path.write_bytes(json.dumps(content).encode())

    def assert_rejected(self, reason: str, target: str = NAME) -> None:
        """That nothing is taken, for a reason, and that sound updates are taken afterwards."""
        before = self.checkpoint
        with pytest.raises(ListRejected, match=reason):
            self.fetch(target)
        assert self.checkpoint == before

    def assert_goes_on(self, state: Mapping[str, bytes]) -> None:
        """That once the attack is over, a sound update of the true state is taken."""
        self.put_back(state)
        self.publish(THIRD)
        assert self.fetch() == THIRD

    @staticmethod
    def _publisher() -> type[Publisher]:
        from initgate.sources.tuf.publisher import Publisher  # noqa: PLC0415  # an extra

        return Publisher
