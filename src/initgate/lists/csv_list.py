"""Our CSV: header ``algorithm,hash,entry,quality,tags``, the last two optional; UTF-8.

Tags are joined by ``;``. An empty quality or tags field means unknown or none.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from initgate.errors import ListRejected
from initgate.lists.records import COLUMNS, OPTIONAL, REQUIRED, to_entry, to_record
from initgate.model import ListEntry

_AT_ONCE = 1 << 16  # bytes


def read(file: BinaryIO, *, source: str) -> Iterator[ListEntry]:
    """Yields the entries of a file, read line by line.

    Args:
        file: At its start; it can be rewound.
        source: Where it came from, for error messages.

    Raises:
        ListRejected: At the first malformed line.
    """
    _check_encoding(file, source)
    text = io.TextIOWrapper(file, "utf-8-sig", newline="")
    rows = csv.reader(text, strict=True)
    try:
        header = next(rows, [])
        _check_header(header, source)
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                raise ListRejected(
                    f"{len(row)} fields, the header has {len(header)}",
                    source=source,
                    record=rows.line_num,
                )
            yield to_entry(
                _to_record(dict(zip(header, row, strict=True))), source=source, line=rows.line_num
            )
    except csv.Error as error:
        raise ListRejected(str(error), source=source, record=rows.line_num) from error
    finally:
        if not file.closed:
            text.detach()  # it would close the file, which is the caller's


def write(entries: Iterable[ListEntry]) -> bytes:
    """The file of some entries; ``read`` gives them back."""
    out = io.StringIO(newline="")
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    for entry in entries:
        record = to_record(entry)
        rows.writerow(
            [
                record["algorithm"],
                record["hash"],
                record["entry"],
                record.get("quality", ""),
                ";".join(entry.tags),
            ]
        )
    return out.getvalue().encode()


def _check_encoding(file: BinaryIO, source: str) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    read, kept = 0, 0
    try:
        while piece := file.read(_AT_ONCE):
            kept = len(decoder.getstate()[0])  # of a character that the piece before cut
            decoder.decode(piece)
            read += len(piece)
        kept = len(decoder.getstate()[0])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        at = read - kept + error.start
        raise ListRejected(f"not UTF-8 at byte {at}", source=source) from error
    file.seek(0)


def _check_header(header: list[str], source: str) -> None:
    missing = [name for name in REQUIRED if name not in header]
    unknown = [name for name in header if name not in COLUMNS]
    if missing or unknown or len(set(header)) != len(header):
        raise ListRejected(
            f"the header must hold {', '.join(REQUIRED)} and may hold {', '.join(OPTIONAL)}, "
            f"found {','.join(header)!r}",
            source=source,
            record=1,
        )


def _to_record(row: dict[str, str]) -> dict[str, object]:
    record: dict[str, object] = {key: row[key] for key in REQUIRED}
    quality = row.get("quality", "")
    if quality:
        record["quality"] = int(quality) if re.fullmatch(r"[0-9]{1,3}", quality) else quality
    tags = row.get("tags", "")
    if tags:
        record["tags"] = tags.split(";")
    return record
