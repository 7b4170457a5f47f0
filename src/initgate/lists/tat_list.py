"""Tech Against Terrorism's hash list: an answer of its interface, or the records alone: JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, BinaryIO

from pydantic import BaseModel, BeforeValidator, Field, StrictBool

from initgate.lists.feed import (
    Held,
    Record,
    Withdrawn,
    algorithm_of,
    code_of,
    held,
    label,
    parsed,
    tag,
    unmatched,
)
from initgate.lists.json_stream import array, fields

_VIDEOS = frozenset({"mov", "m4v", "mp4", "webm", "mkv", "avi", "wmv", "mpg", "mpeg", "3gp", "flv"})


def _id(value: object) -> object:
    return str(value) if type(value) is int else value


class _Hash(BaseModel):
    id: Annotated[str, BeforeValidator(_id)] = Field(min_length=1)
    algorithm: str
    digest: str = Field(alias="hash_digest")
    deleted: StrictBool
    ideology: str | None = None
    file_type: str | None = None


def read(file: BinaryIO, *, source: str) -> Iterator[Record]:
    """Yields the records of a file.

    Raises:
        ListRejected: It cannot be read to its end.
    """
    return parsed(array(file, "results", source=source), _records, source=source, unit="record")


def _records(raw: dict[str, object]) -> Iterator[Held]:
    made = fields(_Hash, raw)
    entry = label(made.id)
    algorithm = algorithm_of(made.algorithm)
    suffix = (made.file_type or "").lower().removeprefix(".")
    if made.deleted:
        yield Withdrawn(entry)
    elif algorithm is None:
        yield unmatched(made.algorithm, entry)
    elif algorithm.is_digest and suffix in _VIDEOS:
        yield unmatched(f"{made.algorithm} of a video", entry)
    else:
        told = {"ideology": made.ideology, "file_type": made.file_type}
        tags = tuple(tag(key, value) for key, value in told.items() if value)
        yield held(algorithm, code_of(algorithm, made.digest), entry, tags=tags)
