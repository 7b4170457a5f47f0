"""The file of exceptions: read whole, and only ever replaced whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from initgate import store
from initgate.errors import ListRejected, SourceUnavailable
from initgate.exceptions import NONE, Exceptions, HashException, dump, read


@dataclass(slots=True)
class Watched:
    """A file that is read again whenever it is another one.

    Args:
        path: The file; None for none.
        settled: Which file was loaded, or rejected for good; it is None where there is none.
    """

    path: Path | None
    settled: store.Stamp | None = None

    def news(self) -> Exceptions | None:
        """What the file holds; None if it is the same as before.

        Raises:
            ListRejected: A line is malformed. That is told once.
            SourceUnavailable: It cannot be read.
        """
        if self.path is None:
            return None
        stamp, *_ = store.stamps(self.path)
        if stamp == self.settled:
            return None
        try:
            found = load(self.path)
        except ListRejected:
            self.settled = stamp
            raise
        self.settled = stamp
        return found


def load(path: Path) -> Exceptions:
    """Reads a file. One that is not there releases nothing.

    Raises:
        ListRejected: A line is malformed.
        SourceUnavailable: It cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return NONE
    except OSError as error:
        raise SourceUnavailable(f"{path}: {error.strerror or error}") from error
    return read(data, source=str(path))


def change(path: Path, edit: Callable[[Sequence[HashException]], Sequence[HashException]]) -> None:
    """Puts other exceptions into a file, which is made if it is not there.

    Args:
        path: The file.
        edit: Makes the new ones of those that it holds. What it raises leaves the file as it is.

    Raises:
        ListRejected: The file is malformed, or would be.
        SourceUnavailable: It cannot be read or written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with FileLock(f"{path}.lock"):
            data = dump(edit(load(path).records))
            read(data, source=str(path))
            try:
                with partial.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                if path.exists():
                    partial.chmod(path.stat().st_mode)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
            _sync_folder(path.parent)
    except SourceUnavailable:  # which is an OSError
        raise
    except OSError as error:
        raise SourceUnavailable(f"{path}: {error.strerror or error}") from error


def _sync_folder(folder: Path) -> None:
    """Makes sure that a new or renamed file is found after a crash."""
    with suppress(OSError):  # not every system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
