"""Files that are there whole after a crash, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from initgate.errors import ListRejected

FILE_MODE, FOLDER_MODE = 0o600, 0o700
_SEAL = "sha256"


def write(path: Path, data: bytes) -> None:
    """Writes a file, which is on disk when this returns."""
    with path.open("wb") as file:
        file.write(data)
        sync(file)


def sync(file: BinaryIO) -> None:
    """Makes sure that what was written to a file is on disk."""
    file.flush()
    os.fsync(file.fileno())


def replace(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Writes a file in the place of another one, in one step.

    Args:
        path: The file.
        data: Its content.
        mode: Its permissions. Default: as new files have them.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        write(partial, data)
        if mode is not None:
            partial.chmod(mode)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes sure that a new or renamed file is found after a crash."""
    with suppress(OSError):  # not every system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sealed(content: Mapping[str, Any]) -> bytes:
    """JSON that tells its own SHA-256."""
    text = json.dumps({**content, _SEAL: _digest(content)}, ensure_ascii=False, indent=1)
    return text.encode() + b"\n"


def unsealed(data: bytes, *, source: Path) -> dict[str, Any]:
    """The content of what :func:`sealed` made.

    Raises:
        ListRejected: It is not what was written.
    """
    try:
        content = json.loads(data)
        told = content.pop(_SEAL)
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
        content, told = {}, ""
    if told != _digest(content):
        raise ListRejected("it is not what was written", source=str(source))
    made: dict[str, Any] = content
    return made


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
