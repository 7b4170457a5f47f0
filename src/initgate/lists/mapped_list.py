"""Lists of any other shape, by a map of their columns: CSV, TSV, a JSON array or JSON Lines.

The map says which columns hold hashes, and what else is read. A list without identifiers has its
hashes for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO

from initgate.errors import ConfigError
from initgate.lists import json_stream, table
from initgate.lists.feed import (
    BadRecord,
    Held,
    Record,
    Skipped,
    Withdrawn,
    algorithm_of,
    base64_code_of,
    code_of,
    held,
    identity,
    label,
    parsed,
    shown,
    tag,
    unmatched,
)

_BEST = 100  # quality


class Layout(StrEnum):
    """How the columns are written down."""

    CSV = "csv"
    TSV = "tsv"
    JSON = "json"
    """An array of objects: the file, or the field ``records`` of the object that it is."""

    JSONL = "jsonl"


class Encoding(StrEnum):
    """How the bytes of a hash are written down."""

    HEX = "hex"
    BASE64 = "base64"


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column, or field of a JSON object, is what. An empty name: there is none.

    Args:
        hashes: Columns of hashes, each with the name of its algorithm, as ``SHA-256``; a row may
            leave some empty.
        hash: The column of the one hash of a row, if its algorithm stands in another …
        algorithm: … which is this one.
        entry: The identifier.
        quality: 0 to 100.
        tags: Columns that become tags, ``column:value``.
        withdrawn: The column that tells whether an identifier is withdrawn …
        withdrawn_values: … by one of these values, as texts: ``true`` for JSON's.
        encoding: Of the hashes.

    Raises:
        ConfigError: No hash, or half a pair.
    """

    hashes: Mapping[str, str] = field(default_factory=dict)
    hash: str = ""
    algorithm: str = ""
    entry: str = ""
    quality: str = ""
    tags: tuple[str, ...] = ()
    withdrawn: str = ""
    withdrawn_values: frozenset[str] = frozenset()
    encoding: Encoding = Encoding.HEX

    def __post_init__(self) -> None:
        if bool(self.hash) != bool(self.algorithm) or bool(self.hash) == bool(self.hashes):
            raise ConfigError("columns: give either hashes, or both hash and algorithm")
        if bool(self.withdrawn) != bool(self.withdrawn_values):
            raise ConfigError("columns: withdrawn and withdrawn_values need one another")

    @property
    def names(self) -> frozenset[str]:
        """Every column that is read."""
        one = (self.hash, self.algorithm, self.entry, self.quality, self.withdrawn)
        return frozenset({*self.hashes, *one, *self.tags}) - {""}


def read(file: BinaryIO, *, source: str, columns: Columns, layout: Layout) -> Iterator[Record]:
    """Yields the records of a file.

    Args:
        file: Open for reading bytes.
        source: Where it came from, for error messages.
        columns: What is where.
        layout: How it is written down.

    Raises:
        ListRejected: It cannot be read to its end, or lacks a column.
    """

    def made(raw: Mapping[str, object]) -> Iterator[Held]:
        return _records({name: _text(name, raw.get(name)) for name in columns.names}, columns)

    match layout:
        case Layout.CSV | Layout.TSV:
            delimiter = "\t" if layout is Layout.TSV else ","
            rows = table.rows(file, columns.names, source=source, delimiter=delimiter)
            return parsed(rows, made, source=source, unit="line")
        case Layout.JSON:
            objects = json_stream.array(file, "records", source=source)
            return parsed(objects, made, source=source, unit="record")
        case Layout.JSONL:
            return parsed(json_stream.lines(file, source=source), made, source=source, unit="line")


def _text(name: str, value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return value.strip()
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case _:
            raise BadRecord(f"{name} must be a text or a whole number, found {shown(value)}")


def _records(row: dict[str, str], columns: Columns) -> Iterator[Held]:
    named = label(row[columns.entry]) if columns.entry else ""
    if columns.entry and not named:
        raise BadRecord(f"{columns.entry} is empty")
    is_withdrawn = bool(columns.withdrawn) and row[columns.withdrawn] in columns.withdrawn_values
    if is_withdrawn and named:
        yield Withdrawn(named)
        return
    found = list(_hashes(row, columns))
    if not found:
        if is_withdrawn or not named:
            raise BadRecord("neither a hash nor an identifier")
        yield Skipped("no hash", named)
    quality = _quality(row[columns.quality]) if columns.quality else None
    tags = [tag(name, row[name]) for name in columns.tags if row[name]]
    read_code = base64_code_of if columns.encoding is Encoding.BASE64 else code_of
    for kind, text in found:
        algorithm = algorithm_of(kind)
        code = b"" if algorithm is None else read_code(algorithm, text)
        entry = named or (identity(algorithm, code) if algorithm else label(f"{kind}:{text}"))
        if is_withdrawn:
            yield Withdrawn(entry, algorithm)
        elif algorithm is None:
            yield unmatched(kind, entry)
        else:
            yield held(algorithm, code, entry, quality=quality, tags=tags)


def _hashes(row: dict[str, str], columns: Columns) -> Iterator[tuple[str, str]]:
    """The kinds and texts of the hashes that a row gives."""
    if columns.hash:
        if not row[columns.algorithm] or not row[columns.hash]:
            raise BadRecord(f"{columns.hash} or {columns.algorithm} is empty")
        yield row[columns.algorithm], row[columns.hash]
    for name, kind in columns.hashes.items():
        if row[name]:
            yield kind, row[name]


def _quality(text: str) -> int | None:
    if not text:
        return None
    if not re.fullmatch("[0-9]{1,3}", text) or int(text) > _BEST:
        raise BadRecord(f"quality must be a whole number from 0 to {_BEST}, found {shown(text)}")
    return int(text)
