"""Pages of ``threat_updates`` of Meta's ThreatExchange, or their records alone: JSON.

An update is the whole state of one indicator: its hash, and what members said of it in descriptors.
``should_delete``, or none left who describes it, withdraws. What every descriptor calls harmless is
skipped; what some call so, or disagree with, has negative feedback in its tags.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, BinaryIO, Final

from pydantic import BaseModel, BeforeValidator, Field, StrictBool

from initgate.lists.feed import (
    BadRecord,
    Held,
    Record,
    Skipped,
    Withdrawn,
    code_of,
    held,
    label,
    parsed,
    shown,
    tag,
    unmatched,
)
from initgate.lists.json_stream import array, fields
from initgate.model import Algorithm

RECORDS: Final = "data"
"""The field of a page that holds its records."""

FIELDS: Final = (
    "id,indicator,type,last_updated,should_delete,descriptors{owner{id},reactions,status,tags}"
)
"""What to ask the interface for."""

_MATCHED = {
    "HASH_PDQ": Algorithm.PDQ,
    "HASH_MD5": Algorithm.MD5,
    "HASH_SHA1": Algorithm.SHA1,
    "HASH_SHA256": Algorithm.SHA256,
}
_HARMLESS = "NON_MALICIOUS"
_DISAGREES = "DISAGREE_WITH_TAGS"
_OF_VIDEOS = "media_type_video"


def _text(value: object) -> object:
    return str(value) if type(value) is int else value


def _inner(value: object) -> object:
    """The items of an edge, which is an object with ``data``, or an array."""
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        return value["data"]
    return [] if value is None else value


def _texts(value: object) -> object:
    """Tags, given as texts or as objects with one."""
    inner = _inner(value)
    if not isinstance(inner, list):
        return inner
    return [one.get("text") if isinstance(one, dict) else one for one in inner]


def _kinds(value: object) -> object:
    """The kinds of reactions, given as texts, as objects with a ``key``, or as keys of objects."""
    inner = _inner(value)
    if isinstance(inner, dict):
        return list(inner)
    if not isinstance(inner, list):
        return inner
    lists = (
        [one] if not isinstance(one, dict) else [one["key"]] if "key" in one else list(one)
        for one in inner
    )
    return [kind for one in lists for kind in one]


class _Owner(BaseModel):
    id: Annotated[str, BeforeValidator(_text)] = Field(min_length=1)


class _Descriptor(BaseModel):
    owner: _Owner | None = None
    status: str = "UNKNOWN"
    tags: Annotated[list[str], BeforeValidator(_texts)] = []
    reactions: Annotated[list[str], BeforeValidator(_kinds)] = []


class _Update(BaseModel):
    id: Annotated[str, BeforeValidator(_text)] = Field(min_length=1)
    type: str = Field(default="", max_length=64)
    indicator: str = ""
    should_delete: StrictBool
    descriptors: Annotated[list[_Descriptor], BeforeValidator(_inner)] = []


def read(file: BinaryIO, *, source: str) -> Iterator[Record]:
    """Yields the records of a page.

    Raises:
        ListRejected: It cannot be read to its end.
    """
    return parsed(array(file, RECORDS, source=source), _records, source=source, unit="record")


def _records(raw: dict[str, object]) -> Iterator[Held]:
    made = fields(_Update, raw)
    entry = label(made.id)
    if made.should_delete or not made.descriptors:
        yield Withdrawn(entry)
        return
    if not made.type or not made.indicator:
        raise BadRecord(f"an update needs a type and an indicator, found {shown(made.type)}")
    algorithm = _MATCHED.get(made.type)
    tags = list(dict.fromkeys(one for said in made.descriptors for one in said.tags))
    if algorithm is None:
        yield unmatched(made.type, entry)
    elif algorithm.is_digest and _OF_VIDEOS in tags:
        yield unmatched(f"{made.type} of a video", entry)
    elif all(said.status == _HARMLESS for said in made.descriptors):
        yield Skipped(f"status {_HARMLESS}", entry)
    else:
        told = (*_opinions(made.descriptors), *(tag("tag", one) for one in tags if one))
        yield held(algorithm, code_of(algorithm, made.indicator), entry, tags=told)


def _opinions(descriptors: Sequence[_Descriptor]) -> Iterator[str]:
    for status, number in Counter(said.status for said in descriptors).items():
        yield tag("status", f"{status}={number}")
    negative = sum(said.status == _HARMLESS or _DISAGREES in said.reactions for said in descriptors)
    if negative:
        yield tag("feedback", f"negative={negative}")
    for owner in dict.fromkeys(said.owner.id for said in descriptors if said.owner):
        yield tag("member", owner)
