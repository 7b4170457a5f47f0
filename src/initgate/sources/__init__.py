"""Where the bytes of lists come from. The only outbound door of the core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Protocol, TypeAlias

Checkpoint: TypeAlias = Mapping[str, str | int | float | None]
"""Where a source goes on, in JSON's types; empty before the first fetch."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a source brought in one piece: a whole list, or changes since the checkpoint before.

    Args:
        name: For error messages; never with credentials.
        pages: Documents of the feed's format, at their start.
        checkpoint: To go on from once this batch is stored.
        is_whole: Whether it replaces all, or changes what is there.
        signature: A detached one that lay beside it.
    """

    name: str
    pages: tuple[BinaryIO, ...]
    checkpoint: Checkpoint
    is_whole: bool
    signature: bytes | None = None


class Source(Protocol):
    """Where a feed's batches come from."""

    def fetch(self, checkpoint: Checkpoint) -> Iterator[Batch]:
        """Yields what is new since a checkpoint; nothing at all if nothing is.

        Raises:
            SourceUnavailable: Naming the source and the way out.
            ListRejected: What came cannot be what was asked for.
        """
