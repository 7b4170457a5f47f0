"""Where the bytes of lists come from. The only outbound door of the core.

A source is asked with the checkpoint after what was stored last, and answers in batches. Each is
complete: a window of time of which all pages were read, or a whole list. What it could not have in
full it does not give.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Protocol, TypeAlias

Checkpoint: TypeAlias = Mapping[str, str | int | float | None]
"""How far a source was read: JSON; ``{}`` before the first fetch. Its keys are the source's own."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a source brought in one piece: a whole list, or changes since the checkpoint before.

    Args:
        name: For error messages; never with credentials.
        pages: Documents of the feed's format, at their start, in temporary files that are closed
            when the next batch is asked for.
        checkpoint: To go on from once this batch is stored.
        is_whole: Whether it replaces all that is there, or changes it.
        signature: A detached signature that lay beside it.
    """

    name: str
    pages: tuple[BinaryIO, ...]
    checkpoint: Checkpoint
    is_whole: bool
    signature: bytes | None = None


class Source(Protocol):
    """Where a feed comes from."""

    def fetch(self, checkpoint: Checkpoint) -> Iterator[Batch]:
        """Yields what is new since a checkpoint; nothing at all if nothing is.

        A source that begins anew yields one batch that is whole, then changes to it: make a version
        of them only when the iterator has ended. What was stored of batches before an error or
        a kill stays good, and the next fetch goes on behind it.

        Args:
            checkpoint: Of the last batch that was stored; ``{}`` to begin anew.

        Raises:
            SourceUnavailable: It could not be had. The message names the source and the way out.
            ListRejected: What came is not what was asked for, or too much.
            ConfigError: A credential or a package is missing.
        """
        ...
