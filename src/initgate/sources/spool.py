"""What was fetched lies in a temporary file, of which each page is a part."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, Self, cast

from typing_extensions import Buffer, override


class Spool:
    """Pages one behind another in one file that has no name and is gone when it is closed.

    Args:
        folder: Where the file lies; it needs room for a batch.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by __exit__
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def begin(self, at: int) -> None:
        """Forgets what was written from there on: an attempt that failed leaves nothing."""
        self._file.seek(at)
        self._file.truncate()
        self.size = at

    def write(self, data: bytes) -> None:
        """Appends."""
        self.size += self._file.write(data)

    def page(self, start: int) -> BinaryIO:
        """The file from there to its present end, at its start; closed with the spool."""
        return cast("BinaryIO", io.BufferedReader(_Part(self._file, start, self.size)))


class _Part(io.RawIOBase):
    """A stretch of the file. The spool is not written to while one is being read."""

    def __init__(self, file: IO[bytes], start: int, end: int) -> None:
        super().__init__()
        self._file = file
        self._start = start
        self._end = end
        self._at = start

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")
        self._file.seek(self._at)
        data = self._file.read(min(len(view), self._end - self._at))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    @override
    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        origin = {io.SEEK_SET: self._start, io.SEEK_CUR: self._at, io.SEEK_END: self._end}[whence]
        self._at = min(max(origin + offset, self._start), self._end)
        return self._at - self._start
