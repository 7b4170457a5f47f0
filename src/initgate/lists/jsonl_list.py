"""Our JSON Lines: an object a line with the columns of the CSV; ``tags`` is an array of strings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from initgate.errors import ListRejected
from initgate.lists.records import to_entry, to_record
from initgate.model import ListEntry

_MARK = b"\xef\xbb\xbf"  # some editors begin UTF-8 with it


def read(file: BinaryIO, *, source: str) -> Iterator[ListEntry]:
    """Yields the entries of a file, read line by line.

    Args:
        file: At its start.
        source: Where it came from, for error messages.

    Raises:
        ListRejected: At the first malformed line.
    """
    for number, record in objects(file, source=source):
        yield to_entry(record, source=source, line=number)


def objects(lines: Iterable[bytes], *, source: str) -> Iterator[tuple[int, dict[str, object]]]:
    """Yields the object of each line that is not blank, with the line's number from 1.

    Raises:
        ListRejected: At the first line that is none.
    """
    for number, read in enumerate(lines, start=1):
        line = read.removeprefix(_MARK) if number == 1 else read
        if not line.strip():
            continue
        try:
            text = line.removesuffix(b"\n").decode("utf-8")
            record = json.loads(text, object_pairs_hook=_without_repeats)
        except (ValueError, RecursionError) as error:
            raise ListRejected(f"no JSON object: {error}", source=source, record=number) from error
        if not isinstance(record, dict):
            raise ListRejected("not a JSON object", source=source, record=number)
        yield number, record


def write(entries: Iterable[ListEntry]) -> bytes:
    """The file of some entries; ``read`` gives them back."""
    return b"".join(
        json.dumps(to_record(entry), ensure_ascii=False).encode() + b"\n" for entry in entries
    )


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("a field stands twice")
    return record
