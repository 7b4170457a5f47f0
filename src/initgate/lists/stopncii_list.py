"""StopNCII's answer to FetchHashes, or its records alone: JSON.

A record is the whole state of one hash. ``Withdrawn`` and ``Deleted`` remove it: that is the
right of the person who made it. The hashes are unreviewed; feedback of platforms is in the tags.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, BinaryIO

from pydantic import BaseModel, BeforeValidator, Field

from initgate.lists.feed import (
    Held,
    Record,
    Withdrawn,
    code_of,
    held,
    identity,
    label,
    parsed,
    tag,
    unmatched,
)
from initgate.lists.json_stream import array, fields
from initgate.model import Algorithm


class _Status(StrEnum):
    UNKNOWN = "Unknown"
    RECEIVED = "Received"
    ACTIVE = "Active"
    WITHDRAWN = "Withdrawn"
    DELETED = "Deleted"


class _Feedback(BaseModel):
    value: str = Field(alias="feedbackValue", min_length=1)
    tags: list[str] = []


def _empty_object(value: object) -> object:
    # No cases at all come as an empty array.
    return {} if value in ([], None) else value


class _Hash(BaseModel):
    kind: str = Field(alias="signalType", min_length=1)
    value: str = Field(alias="hashValue", min_length=1)
    status: _Status = Field(alias="hashStatus")
    cases: Annotated[dict[str, str], BeforeValidator(_empty_object)] = Field(
        alias="caseNumbers", default={}
    )
    feedback: list[_Feedback] | None = Field(alias="CSPFeedbacks", default=None)


def read(file: BinaryIO, *, source: str) -> Iterator[Record]:
    """Yields the records of a file.

    Raises:
        ListRejected: It cannot be read to its end.
    """
    return parsed(array(file, "hashRecords", source=source), _records, source=source, unit="record")


def _records(raw: dict[str, object]) -> Iterator[Held]:
    made = fields(_Hash, raw)
    is_picture = made.kind == "ImagePDQ"
    code = code_of(Algorithm.PDQ, made.value) if is_picture else b""
    entry = identity(Algorithm.PDQ, code) if is_picture else label(f"{made.kind}:{made.value}")
    if made.status in {_Status.WITHDRAWN, _Status.DELETED}:
        yield Withdrawn(entry)
    elif is_picture:
        yield held(Algorithm.PDQ, code, entry, tags=tuple(_tags(made)))
    else:
        yield unmatched(made.kind, entry)


def _tags(made: _Hash) -> Iterator[str]:
    yield tag("status", made.status)
    for case, status in made.cases.items():
        yield tag("case", f"{case}={status}")
    feedback = made.feedback or []
    for value, number in Counter(one.value for one in feedback).items():
        yield tag("feedback", f"{value}={number}")
    for text in dict.fromkeys(text for one in feedback for text in one.tags):
        yield tag("feedback-tag", text)
