"""Project VIC's and CAID's VICS 1.x and 2.0: JSON, media alone or in cases.

What a category's number means differs from country to country: the caller says which count, and
for which country's numbers. An item is identified by its MD5, as the format itself does: media
numbers are not the same in the next export.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Annotated, BinaryIO

from pydantic import BaseModel, BeforeValidator, Field

from initgate.errors import ListRejected
from initgate.lists.feed import (
    BadRecord,
    Held,
    Record,
    Skipped,
    algorithm_of,
    base64_code_of,
    code_of,
    held,
    identity,
    is_placeholder,
    label,
    parsed,
    tag,
    unmatched,
)
from initgate.lists.json_stream import Numbered, Path, Stream, fields, records
from initgate.model import Algorithm

_CONTEXT = re.compile(
    r".*/ProjectVic/DataModels/(?:1\.\d+\.xml|2\.0\.xml/(\w+)/\$metadata)#(Media|Cases)", re.ASCII
)
_PATHS: dict[str, Path] = {"Media": ("value", None), "Cases": ("value", None, "Media", None)}


def _number(value: object) -> object:
    # Some exporters write numbers as texts, and none as an empty one.
    if isinstance(value, str) and re.fullmatch("[0-9]{0,9}", value):
        return int(value) if value else None
    return value


def _text(value: object) -> object:
    return str(value) if type(value) is int else value


class _Alternative(BaseModel):
    name: str = Field(alias="HashName")
    value: str = Field(alias="HashValue")


class _Media(BaseModel):
    number: Annotated[str | None, BeforeValidator(_text)] = Field(alias="MediaID", default=None)
    category: Annotated[int | None, BeforeValidator(_number)] = Field(
        alias="Category", default=None, strict=True
    )
    md5: str | None = Field(alias="MD5", default=None)
    sha1: str | None = Field(alias="SHA1", default=None)
    mime: str | None = Field(alias="MimeType", default=None)
    alternatives: list[_Alternative] | None = Field(alias="AlternativeHashes", default=None)


def read(
    file: BinaryIO, *, source: str, categories: Mapping[int, str], country: str = ""
) -> Iterator[Record]:
    """Yields the records of a file.

    Args:
        file: Open for reading bytes.
        source: Where it came from, for error messages.
        categories: Those that count, with a label for each; media of others are skipped.
        country: Whose numbers these are, as files of version 2.0 say it, as ``US`` or ``UK``;
            empty if any will do.

    Raises:
        ListRejected: It cannot be read to its end, or has the numbers of another country.
    """

    def made(raw: dict[str, object]) -> Iterator[Held]:
        return _records(fields(_Media, raw), categories)

    return parsed(_media(file, source, country), made, source=source, unit="record")


def _media(file: BinaryIO, source: str, country: str) -> Numbered:
    stream = Stream(file, source=source)
    events = iter(stream)
    start = next(events)
    key = next(events) if start[0] == "start_map" else start
    value = next(events) if key[0] == "map_key" else key
    context = value[1]
    if key not in {("map_key", "@odata.context"), ("map_key", "odata.metadata")} or not (
        found := _CONTEXT.fullmatch(context if isinstance(context, str) else "")
    ):
        raise ListRejected(
            "no VICS 1.x or 2.0: a file begins with @odata.context or odata.metadata, "
            "which names …/ProjectVic/DataModels/… and #Media or #Cases",
            source=source,
        )
    if country and found[1] != country:
        raise ListRejected(
            f"its categories have the numbers of {found[1] or 'no country'}, "
            f"but those that count are given for {country}",
            source=source,
        )

    yield from records(stream, chain([start], events), _PATHS[found[2]])


def _records(media: _Media, categories: Mapping[int, str]) -> Iterator[Held]:
    codes, others = _hashes(media)
    names = [identity(*one) for one in codes if not is_placeholder(one[1])]
    if not names and codes:
        yield Skipped("placeholder", identity(*codes[0]))
        return
    if not names and not media.number:
        raise BadRecord("neither a hash that can be matched nor a MediaID")
    entry = names[0] if names else label(f"media:{media.number}")
    if media.category is None or media.category not in categories:
        number = "none" if media.category is None else media.category
        yield Skipped(f"category {number}", entry)
        return
    tags = (tag("category", categories[media.category]),)
    is_video = (media.mime or "").lower().startswith("video/")
    for algorithm, code in codes:
        if is_video:
            yield unmatched(f"{algorithm} of a video", entry)
        else:
            yield held(algorithm, code, entry, tags=tags)
    for kind in others:
        yield unmatched(kind, entry)
    if not codes and not others:
        yield Skipped("no hash", entry)


def _hashes(media: _Media) -> tuple[list[tuple[Algorithm, bytes]], list[str]]:
    """Those that can be matched, MD5 first, and the kinds of the others."""
    codes: dict[tuple[Algorithm, bytes], None] = {}
    if media.md5:
        codes[Algorithm.MD5, code_of(Algorithm.MD5, media.md5)] = None
    if media.sha1:
        codes[Algorithm.SHA1, code_of(Algorithm.SHA1, media.sha1)] = None
    others = []
    for one in media.alternatives or []:
        if algorithm := algorithm_of(one.name):
            codes[algorithm, _code(algorithm, one.value)] = None
        else:
            others.append(one.name)
    return list(codes), others


def _code(algorithm: Algorithm, text: str) -> bytes:
    """The bytes of an alternative hash, which may be base64: its length tells, never its digits."""
    is_base64 = len(text) == len(base64.b64encode(bytes(algorithm.bits // 8)))
    return base64_code_of(algorithm, text) if is_base64 else code_of(algorithm, text)
