"""Whether records that were asked for again, because windows overlap, are the same as before."""

from __future__ import annotations

import hashlib
import json
from typing import BinaryIO

from initgate.lists.feed import BadRecord
from initgate.lists.json_stream import array
from initgate.sources import Checkpoint

_SEEN = "seen"


class Told:
    """The records of the pages of a batch.

    Args:
        field: That holds them, in each page.
        source: For error messages.
    """

    def __init__(self, field: str, source: str) -> None:
        self._field = field
        self._source = source
        self._sum = 0  # of their digests: the same in any order
        self._number = 0

    def add(self, page: BinaryIO) -> None:
        """Reads one more page.

        Raises:
            ListRejected: It cannot be read to its end.
        """
        for _, record in array(page, self._field, source=self._source):
            written = json.dumps(
                str(record) if isinstance(record, BadRecord) else record,
                sort_keys=True,
                default=str,
            )
            self._sum += int.from_bytes(hashlib.sha256(written.encode()).digest())
            self._number += 1

    def checkpoint(self) -> dict[str, str]:
        """What to keep of them."""
        return {_SEEN: f"{self._number}:{self._sum % 2**256:064x}"}

    def is_nothing_since(self, checkpoint: Checkpoint) -> bool:
        """Whether they are none, or those of the batch before."""
        return not self._number or self.checkpoint()[_SEEN] == checkpoint.get(_SEEN)
