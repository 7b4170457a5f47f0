"""A list in a local file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from initgate.errors import SourceUnavailable


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes of a list and when they were last known to be current."""

    data: bytes
    as_of: datetime


def fetch(path: Path) -> Fetched:
    """Reads a file; it is as current as its modification time.

    Raises:
        SourceUnavailable: It is missing or may not be read.
    """
    try:
        with path.open("rb") as file:
            as_of = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
            return Fetched(file.read(), as_of)
    except OSError as error:
        raise SourceUnavailable(f"{path}: {error.strerror or error}") from error
