"""Which records a page of JSON holds, to tell pages that are the same from those that are not."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import BinaryIO

from initgate.lists.feed import BadRecord
from initgate.lists.json_stream import array

_MOST = 2**256


@dataclass(frozen=True, slots=True)
class Told:
    """Some records: how many, and the sum of their digests, which is the same in any order."""

    number: int = 0
    total: int = 0

    def __add__(self, other: Told) -> Told:
        return Told(self.number + other.number, (self.total + other.total) % _MOST)

    def __str__(self) -> str:
        return f"{self.number}:{self.total:064x}"


def told(page: BinaryIO, field: str, *, source: str) -> Told:
    """The records of a page, which is at its start afterwards.

    Args:
        page: At its start.
        field: That holds them.
        source: For error messages.

    Raises:
        ListRejected: It cannot be read to its end.
    """
    found = Told()
    for _, record in array(page, field, source=source):
        value = str(record) if isinstance(record, BadRecord) else record
        written = json.dumps(value, sort_keys=True, default=str).encode()
        found += Told(1, int.from_bytes(hashlib.sha256(written).digest()))
    page.seek(0)
    return found
