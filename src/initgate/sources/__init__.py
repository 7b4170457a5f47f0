"""Where the bytes of lists come from. The only outbound door of the core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Protocol, TypeAlias

Checkpoint: TypeAlias = Mapping[str, str | int | float | None]
"""How far a source was read, as JSON holds it; empty before the first fetch."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a source brought in one piece: a whole list, or changes since the checkpoint before.

    Args:
        name: For error messages; never with credentials.
        pages: Documents of the feed's format, at their start.
        checkpoint: To go on from once this batch is stored.
        is_whole: Whether it replaces all, or changes what is there.
        signature: A detached signature that lay beside it.
    """

    name: str
    pages: tuple[BinaryIO, ...]
    checkpoint: Checkpoint
    is_whole: bool
    signature: bytes | None = None


class Source(Protocol):
    """Brings lists."""

    def fetch(self, checkpoint: Checkpoint) -> Iterator[Batch]:
        """Yields what is new; nothing at all if nothing is.

        Args:
            checkpoint: Of the last batch that was stored.

        Raises:
            SourceUnavailable: It cannot be read now.
            ListRejected: What it offers must not be taken.
        """
