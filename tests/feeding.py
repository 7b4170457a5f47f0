"""Feeds for tests: a source that brings what it is told, in a format of a word or two a line."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from initgate.errors import ListRejected
from initgate.feeds import Feed, Fetched, Rails, fetch
from initgate.lists.feed import Record, Unmatched, Withdrawn
from initgate.model import Algorithm, ListEntry
from initgate.sources import Batch, Checkpoint
from initgate.store.versions import Versions
from initgate.trust import Anyone, Trust


def code(name: str, algorithm: Algorithm = Algorithm.PDQ) -> bytes:
    """A code of its own for each name."""
    return name.encode().ljust(algorithm.bits // 8, b".")


def read(file: BinaryIO, *, source: str) -> Iterator[Record]:
    """``NAME`` is an entry, ``-NAME`` withdraws it, ``?NAME`` has no matcher, ``!`` is bad."""
    for number, line in enumerate(file, start=1):
        match line.decode().strip():
            case text if text.startswith("-"):
                yield Withdrawn(text[1:])
            case text if text.startswith("?"):
                yield Unmatched("PhotoDNA", text[1:])
            case "!":
                yield ListRejected("malformed", source=source, record=number)
            case text:
                yield ListEntry(Algorithm.PDQ, code(text), text)


def batch(number: int, *lines: str, is_whole: bool = False) -> Batch:
    """A batch of one page."""
    page = io.BytesIO("\n".join(lines).encode())
    return Batch(f"batch {number}", (page,), {"at": number}, is_whole)


@dataclass
class Scripted:
    """Brings the batches after its checkpoint; an exception among them is raised in its place.

    Args:
        batches: In order: the checkpoint of the first is 1.
    """

    batches: list[tuple[str, ...] | Exception] = field(default_factory=list)
    is_whole: bool = False
    asked: list[Checkpoint] = field(default_factory=list)

    def fetch(self, checkpoint: Checkpoint) -> Iterator[Batch]:
        self.asked.append(dict(checkpoint))
        first = int(checkpoint.get("at") or 0)
        for number, lines in enumerate(self.batches[first:], start=first + 1):
            if isinstance(lines, Exception):
                raise lines
            yield batch(number, *lines, is_whole=self.is_whole)


class Clock:
    """A time that goes on by a minute whenever it is asked for."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


@dataclass
class Fed:
    """A feed of scripted batches."""

    folder: Path
    source: Scripted = field(default_factory=Scripted)
    clock: Clock = field(default_factory=Clock)
    settings: Mapping[str, Any] = field(default_factory=dict)
    trust: Trust = field(default_factory=Anyone)
    key: bytes | None = None

    @property
    def versions(self) -> Versions:
        return Versions(self.folder, self.key)

    def brings(self, *batches: tuple[str, ...] | Exception) -> None:
        self.source.batches += batches

    def fetch(self) -> Fetched:
        rails = {"rails": Rails(max_shrink=1.0, allow_empty=True)}
        feed = Feed(
            versions=self.versions,
            source=self.source,
            trust=self.trust,
            read=read,
            **{**rails, "thresholds": {Algorithm.PDQ: 31}, **self.settings},
        )
        return fetch(feed, clock=self.clock)

    def held(self, digest: str = "") -> set[str]:
        """The identifiers in a version; by default in that which is served."""
        about, _ = (self.versions.verify(digest), "") if digest else self.versions.whole()
        assert about is not None
        lists = self.versions.contents(about).lists
        return {entry for one in lists.values() for entry in one.entries}
