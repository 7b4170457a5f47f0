"""A list in a local file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from initgate.errors import SourceUnavailable
from initgate.sources import Batch, Checkpoint

_SIGNATURE = ".minisig"  # of the file beside a list that holds a signature of it


@dataclass(frozen=True, slots=True)
class Opened:
    """A list's file and when it was last known to be current."""

    file: BinaryIO
    as_of: datetime


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Opens a file; it is as current as its modification time.

    Raises:
        SourceUnavailable: It is missing or cannot be read.
    """
    try:
        with path.open("rb") as file:
            as_of = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
            yield Opened(file, as_of)
    except OSError as error:
        raise SourceUnavailable(f"{path}: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class FileSource:
    """A whole list in a local file, brought whenever it is another file than before.

    Args:
        path: The file. Whoever replaces it writes a new one beside it and renames that.
    """

    path: Path

    def fetch(self, checkpoint: Checkpoint) -> Iterator[Batch]:
        """See :meth:`initgate.sources.Source.fetch`."""
        try:
            # Before the list: one that is replaced meanwhile does not fit an older signature.
            signature = self._beside()
            with self.path.open("rb") as file:
                stat = os.fstat(file.fileno())
                seen: Checkpoint = {
                    "inode": stat.st_ino,
                    "bytes": stat.st_size,
                    "modified_ns": stat.st_mtime_ns,
                    "signature": hashlib.sha256(signature or b"").hexdigest(),
                }
                if dict(checkpoint) != seen:
                    yield Batch(str(self.path), (file,), seen, is_whole=True, signature=signature)
        except OSError as error:
            raise SourceUnavailable(f"{self.path}: {error.strerror or error}") from error

    def _beside(self) -> bytes | None:
        try:
            return self.path.with_name(f"{self.path.name}{_SIGNATURE}").read_bytes()
        except FileNotFoundError:
            return None
