"""The hash chain: each record's digest covers its content, its number and the digest before it.

An edited, dropped, swapped or inserted record breaks the chain from there on. Records cut off the
end break nothing by themselves: compare with a head digest that was exported earlier.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

GENESIS = "0" * 64
"""What stands before the first record."""


@dataclass(frozen=True, slots=True)
class Record:
    """A link of the chain.

    Args:
        sequence: From 1, without gaps.
        body: The event as canonical JSON.
        previous: Digest of the record before, GENESIS for the first.
        digest: SHA-256 (hex) over sequence, previous and body.
    """

    sequence: int
    body: str
    previous: str
    digest: str

    @property
    def event(self) -> dict[str, object]:
        """The body, parsed."""
        parsed: dict[str, object] = json.loads(self.body)
        return parsed

    @property
    def fields(self) -> dict[str, object]:
        """The whole record, in JSON's types."""
        try:
            event: object = self.event
        except (ValueError, RecursionError):  # changed by somebody: evidence all the same
            event = self.body
        return {
            "sequence": self.sequence,
            "previous": self.previous,
            "digest": self.digest,
            "event": event,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What verification found.

    Args:
        records: How many were read.
        head: Digest of the last record; keep it elsewhere to notice a truncation.
        problems: A sentence each, naming the record; empty if the chain is whole.
    """

    records: int
    head: str
    problems: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.problems


def link(event: Mapping[str, object], *, after: Record | None) -> Record:
    """The record that follows another, or the first."""
    body = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    sequence = 1 if after is None else after.sequence + 1
    previous = GENESIS if after is None else after.digest
    return Record(sequence, body, previous, _digest(sequence, previous, body))


def verify(records: Iterable[Record], *, expected_head: str | None = None) -> Report:
    """Recomputes the chain.

    Args:
        records: From the first on, in order.
        expected_head: A head digest exported earlier; it must still be in the chain.
    """
    problems = []
    count, expected, previous = 0, 1, GENESIS
    expected_seen = expected_head in {None, GENESIS}
    for record in records:
        count += 1
        if record.sequence != expected:
            problems.append(f"record {expected} is missing: number {record.sequence} stands there")
        if record.previous != previous:
            problems.append(f"record {record.sequence} does not follow the record before it")
        if record.digest != _digest(record.sequence, record.previous, record.body):
            problems.append(f"record {record.sequence} was changed after it was written")
        previous, expected = record.digest, record.sequence + 1
        expected_seen = expected_seen or record.digest == expected_head
    if not expected_seen:
        problems.append(f"the expected head {expected_head} is not in the chain: records were cut")
    return Report(count, previous, tuple(problems))


def _digest(sequence: int, previous: str, body: str) -> str:
    return hashlib.sha256(f"{sequence}\n{previous}\n{body}".encode()).hexdigest()
