"""JSON of others, read as a stream: the objects of an array, one at a time, within bounds.

No more than one record is held, however long the file is. A field that stands twice, or values
nested deeper than any format has them, spoil their record alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, NoReturn, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from initgate.errors import ListRejected
from initgate.lists.feed import BOM, MAX_RECORD_BYTES, BadRecord, bounded_lines, needs, shown

Event: TypeAlias = tuple[str, object]
"""An event of ijson, as ``("map_key", "a")``."""

Path: TypeAlias = tuple[str | None, ...]
"""The way to an object: names of fields, and None for each item of an array."""

Numbered: TypeAlias = Iterator[tuple[int, dict[str, object] | BadRecord]]
"""Objects with their numbers from 1; or why one is none."""

_CHUNK_BYTES = 1 << 16
_MAX_DEPTH = 16

# However low Python's own limit is set, it lets these pass. The C part of ijson must not meet it:
# it would go on with an exception set.
_MAX_DIGITS = 640
_LONG_NUMBER = re.compile(rb"(?<![0-9])[0-9]{%d}" % (_MAX_DIGITS + 1))
_ARRAY = object()

_Model = TypeVar("_Model", bound=BaseModel)


class Stream:
    """The events of a file. Between two records no more bytes are read than a record may have.

    Args:
        file: Open for reading bytes. A byte order mark is allowed.
        source: For error messages.

    Raises:
        ListRejected: While iterating: no JSON, or a record too long.
    """

    def __init__(self, file: BinaryIO, *, source: str) -> None:
        self.source = source
        self._file = file
        self._read = 0
        self._first = True
        self._digits = b""  # that the next bytes may go on with

    def __iter__(self) -> Iterator[Event]:
        try:
            import ijson  # noqa: PLC0415  # of an extra
        except ImportError:
            raise needs("ijson", self.source) from None
        try:
            yield from ijson.basic_parse(self, buf_size=_CHUNK_BYTES)
        except ListRejected:
            raise
        except (ijson.JSONError, ValueError, ArithmeticError) as error:
            reason = str(error).partition("\n")[0].strip()[:200]
            raise ListRejected(f"no JSON: {reason}", source=self.source) from error

    def read(self, size: int) -> bytes:
        """The next bytes, for the parser."""
        if self._read > MAX_RECORD_BYTES:
            raise ListRejected(
                f"more than {MAX_RECORD_BYTES:,} bytes without a record", source=self.source
            )
        data = self._file.read(size)
        if self._first and size:
            self._first = False
            data = data.removeprefix(BOM) or self._file.read(size)
        self._read += len(data)
        digits = self._digits + data
        if _LONG_NUMBER.search(digits):
            raise ListRejected(f"a number of more than {_MAX_DIGITS} digits", source=self.source)
        self._digits = digits[-_MAX_DIGITS:]
        return data

    def has_record(self) -> None:
        """A record ends here: the next one may be as long again."""
        self._read = 0


def records(stream: Stream, events: Iterator[Event], path: Path) -> Numbered:
    """Yields each object that stands at a path, and reads the file to its end.

    Args:
        stream: Whose events they are.
        events: From the beginning.
        path: Ends with None: the items of an array.

    Raises:
        ListRejected: There is no such array, or no JSON.
    """
    number = 0
    is_found = False
    for value in _at(path, next(events), events):
        stream.has_record()
        if value is _ARRAY:
            is_found = True
            continue
        number += 1
        if isinstance(value, dict | BadRecord):
            yield number, value
        else:
            yield number, BadRecord(f"not a JSON object: {shown(value)}")
    for _ in events:  # what is wrong behind the value shows here
        pass
    if not is_found:
        way = "".join("[]" if step is None else f".{step}" for step in path)
        raise ListRejected(f"there is no array {way}", source=stream.source)


def array(file: BinaryIO, name: str, *, source: str) -> Numbered:
    """Yields the objects of an array: the whole file, or a field of the object that it is."""
    stream = Stream(file, source=source)
    events = iter(stream)
    first = next(events)
    path: Path = (None,) if first[0] == "start_array" else (name, None)
    return records(stream, chain([first], events), path)


def outline(file: BinaryIO, name: str, *, source: str) -> dict[str, object]:
    """The values of an object that stand outside of one of its arrays.

    Args:
        file: Open for reading bytes.
        name: The field that holds the array.
        source: For error messages.

    Returns:
        Texts, numbers, booleans and nulls by their path, as ``paging.next``; other arrays left out.

    Raises:
        ListRejected: It is no JSON object.
    """
    stream = Stream(file, source=source)
    events = iter(stream)
    if next(events)[0] != "start_map":
        raise ListRejected("no JSON object", source=source)
    found: dict[str, object] = {}
    for field, first in _values(events):
        if field == name and first[0] == "start_array":
            for item in events:
                if item[0] == "end_array":
                    break
                _skip(item, events)
                stream.has_record()
        else:
            _outlined(field, first, events, found, _MAX_DEPTH)
    for _ in events:  # what is wrong behind the object shows here
        pass
    return found


def lines(file: BinaryIO, *, source: str) -> Numbered:
    """Yields the object of each line that is not blank, with the line's number.

    Raises:
        ListRejected: A line is longer than a record may be.
    """
    for number, line in bounded_lines(file, source=source):
        if not line.strip():
            continue
        try:
            value = json.loads(
                line.decode("utf-8"), object_pairs_hook=_without_repeats, parse_constant=_no_number
            )
        except (ValueError, RecursionError) as error:
            yield number, BadRecord(f"no JSON object: {error}")
        else:
            is_object = isinstance(value, dict)
            yield number, value if is_object else BadRecord(f"not a JSON object: {shown(value)}")


def fields(model: type[_Model], record: object) -> _Model:
    """The fields of a record, checked.

    Raises:
        BadRecord: Naming the first field that is missing or wrong.
    """
    try:
        return model.model_validate(record)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        if first["type"] == "missing":
            raise BadRecord(f"field {where!r} is missing") from None
        raise BadRecord(f"{where}: {first['msg']}, found {shown(first['input'])}") from None


# ── Events become values ──────────────────────────────────────────────────────────────────────


def _at(path: Path, first: Event, events: Iterator[Event]) -> Iterator[object]:
    """Yields what stands at a path in the value that an event begins, after _ARRAY."""
    event, value = first
    if not path:
        problems: list[str] = []
        built = _built(event, value, events, _MAX_DEPTH, problems)
        yield BadRecord(problems[0]) if problems else built
        return
    step, rest = path[0], path[1:]
    if event == "start_map" and step is not None:
        for name in _names(events):
            if name == step:
                yield from _at(rest, next(events), events)
            else:
                _skip(next(events), events)
    elif event == "start_array" and step is None:
        if not rest:
            yield _ARRAY
        for item in events:
            if item[0] == "end_array":
                return
            yield from _at(rest, item, events)
    elif event != "null":
        _skip(first, events)
        yield BadRecord("not an array" if step is None else f"no object with {step}")


def _outlined(
    path: str, first: Event, events: Iterator[Event], found: dict[str, object], depth: int
) -> None:
    if first[0] == "start_map" and depth:
        for name, value in _values(events):
            _outlined(f"{path}.{name}", value, events, found, depth - 1)
    elif first[0].startswith("start_"):
        _skip(first, events)
    else:
        found[path] = first[1]


def _values(events: Iterator[Event]) -> Iterator[tuple[str, Event]]:
    """The fields of an object, each with the event that begins its value."""
    for name in _names(events):
        yield name, next(events)


def _names(events: Iterator[Event]) -> Iterator[str]:
    for event, name in events:
        if event == "end_map":
            return
        yield str(name)


def _built(
    event: str, value: object, events: Iterator[Event], depth: int, problems: list[str]
) -> object:
    if event not in {"start_map", "start_array"}:
        return value
    if depth == 0:
        problems.append(f"nested deeper than {_MAX_DEPTH} levels")
        _skip((event, value), events)
        return None
    if event == "start_array":
        items: list[object] = []
        for inner, held in events:
            if inner == "end_array":
                break
            items.append(_built(inner, held, events, depth - 1, problems))
        return items
    made: dict[str, object] = {}
    for name in _names(events):
        if name in made:
            problems.append(f"field {shown(name)} stands twice")
        made[name] = _built(*next(events), events, depth - 1, problems)
    return made


def _skip(first: Event, events: Iterator[Event]) -> None:
    open_values = 0
    event = first[0]
    while True:
        open_values += event.startswith("start_") - event.startswith("end_")
        if open_values == 0:
            return
        event = next(events)[0]


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("a field stands twice")
    return record


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")
