"""Rows of CSV and TSV of others, read as a stream, within bounds; a bad one spoils itself alone.

Bytes that are no UTF-8 do no harm in columns that are not read.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import BinaryIO

from initgate.errors import ListRejected
from initgate.lists.feed import MAX_RECORD_BYTES, BadRecord, bounded_lines, shown


class _Lines:
    """The lines of a file as text. A row may have as many as fit into a record."""

    def __init__(self, file: BinaryIO, source: str) -> None:
        self._lines = bounded_lines(file, source=source)
        self._source = source
        self._read = 0
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        for number, line in self._lines:
            self._read += len(line)
            if self._read > MAX_RECORD_BYTES:
                raise ListRejected(
                    f"a row of more than {MAX_RECORD_BYTES:,} bytes: is a quote open?",
                    source=self._source,
                    record=self.number,
                )
            self.number = number
            yield line.decode("utf-8", "surrogateescape")

    def has_row(self) -> None:
        self._read = 0


def rows(
    file: BinaryIO, needed: frozenset[str], *, source: str, delimiter: str = ","
) -> Iterator[tuple[int, dict[str, str] | BadRecord]]:
    """Yields the rows, by column, with the number of the line in which each ends.

    Args:
        file: Open for reading bytes.
        needed: Columns that the header must name.
        source: For error messages.
        delimiter: Between fields.

    Raises:
        ListRejected: The header lacks a column or names one twice, or a row is too long.
    """
    lines = _Lines(file, source)
    reader = csv.reader(iter(lines), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise ListRejected(f"no header: {error}", source=source, record=1) from error
    if missing := needed - set(header):
        raise ListRejected(
            f"the header lacks {', '.join(sorted(missing))}, found {shown(delimiter.join(header))}",
            source=source,
            record=1,
        )
    if len(set(header)) != len(header):
        raise ListRejected("the header names a column twice", source=source, record=1)
    while True:
        lines.has_row()
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield lines.number, BadRecord(str(error))
            continue
        if row is None:
            return
        if len(row) == len(header):
            yield lines.number, dict(zip(header, row, strict=True))
        elif row:
            yield lines.number, BadRecord(f"{len(row)} fields, the header has {len(header)}")
