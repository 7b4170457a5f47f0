"""Bytes of a list become entries whole or not at all. One file per format, exact round trip."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import BinaryIO, Protocol

from initgate.errors import ListRejected
from initgate.lists import csv_list, jsonl_list
from initgate.model import Algorithm, HashList, ListEntry


class Format(StrEnum):
    """A file format, named as in the configuration and as a file's suffix."""

    CSV = "csv"
    JSONL = "jsonl"
    SNAPSHOT = "igx"
    """Made of one of the others; :mod:`initgate.index.snapshot` opens it, by path."""


class _Reader(Protocol):
    def __call__(self, file: BinaryIO, *, source: str) -> Iterator[ListEntry]: ...


_READERS: dict[Format, _Reader] = {Format.CSV: csv_list.read, Format.JSONL: jsonl_list.read}
_WRITERS: dict[Format, Callable[[Iterable[ListEntry]], bytes]] = {
    Format.CSV: csv_list.write,
    Format.JSONL: jsonl_list.write,
}

EMPTY = "the list is empty; if that is meant, set allow_empty = true"
_AT_ONCE = 1 << 20  # bytes
TEXTS = tuple(_READERS)
"""The formats that ``load`` reads and ``dump`` writes."""


def load(
    file: BinaryIO,
    *,
    name: str,
    source: str,
    file_format: Format,
    algorithm: Algorithm,
    allow_empty: bool = False,
    as_of: datetime | None = None,
) -> HashList:
    """Reads a whole list.

    Args:
        file: At its start; it can be rewound, and is read twice.
        name: The operator's name for the list.
        source: Where the bytes came from, for error messages.
        file_format: How they are written: one of ``TEXTS``.
        algorithm: What every entry must be.
        allow_empty: Whether no entry is fine.
        as_of: When the bytes were last known to be current.

    Raises:
        ListRejected: Naming source, line and reason. Nothing is kept of a rejected list.
    """
    digest = _digest(file)
    made = HashList.of(
        _read(file, name=name, source=source, file_format=file_format, algorithm=algorithm),
        name=name,
        algorithm=algorithm,
        digest=digest,
        as_of=as_of,
    )
    if not len(made) and not allow_empty:
        raise ListRejected(EMPTY, source=source)
    return made


def _digest(file: BinaryIO) -> str:
    made = hashlib.sha256()
    while piece := file.read(_AT_ONCE):
        made.update(piece)
    file.seek(0)
    return made.hexdigest()


def _read(
    file: BinaryIO, *, name: str, source: str, file_format: Format, algorithm: Algorithm
) -> Iterator[ListEntry]:
    for number, entry in enumerate(_READERS[file_format](file, source=source), start=1):
        if entry.algorithm is not algorithm:
            raise ListRejected(
                f"entry {number} ({entry.entry}) is {entry.algorithm}, but list {name!r} is "
                f'configured with algorithm = "{algorithm}": give each algorithm a list of its own',
                source=source,
            )
        yield entry


def dump(entries: Iterable[ListEntry], file_format: Format) -> bytes:
    """The file of some entries; ``load`` gives them back."""
    return _WRITERS[file_format](entries)
