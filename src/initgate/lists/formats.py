"""The formats of feeds by name, with their options."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, BinaryIO, Protocol

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from initgate.errors import ConfigError
from initgate.lists import (
    csv_list,
    jsonl_list,
    mapped_list,
    ncmec_list,
    stopncii_list,
    tat_list,
    threat_updates_list,
    threatexchange_list,
    typed_list,
    vics_list,
)
from initgate.lists.feed import Record
from initgate.lists.mapped_list import Columns, Encoding, Layout


class FeedFormat(StrEnum):
    """How what a feed brings is written, named as in the configuration."""

    CSV = "csv"
    JSONL = "jsonl"
    NCMEC = "ncmec"
    STOPNCII = "stopncii"
    TAT = "tat"
    VICS = "vics"
    THREATEXCHANGE = "threatexchange"
    THREAT_UPDATES = "threat_updates"
    TYPED = "typed"
    MAPPED = "mapped"


class Reader(Protocol):
    """Yields the records of a file."""

    def __call__(self, file: BinaryIO, *, source: str) -> Iterator[Record]:
        """Records; where one comes from is for error messages."""


_checked = checked(frozen=True, config=ConfigDict(extra="forbid"))


@_checked
class _None:
    pass


@_checked
class _Ncmec:
    environment: str = ""


@_checked
class _Vics:
    categories: dict[int, str]
    country: str = ""


@_checked
class _Typed:
    signal_type: str = ""


@_checked
class _Mapped:
    """:class:`Columns`, and how they are written down."""

    layout: Layout
    hashes: dict[str, str] | None = None
    hash: str = ""
    algorithm: str = ""
    entry: str = ""
    quality: str = ""
    tags: tuple[str, ...] = ()
    withdrawn: str = ""
    withdrawn_values: frozenset[str] = frozenset()
    encoding: Encoding = Encoding.HEX


@dataclass(frozen=True, slots=True)
class _Format:
    """A reader, and what may be told it."""

    read: Callable[..., Iterator[Record]]
    options: type[Any]


_FORMATS = {
    FeedFormat.CSV: _Format(csv_list.read, _None),
    FeedFormat.JSONL: _Format(jsonl_list.read, _None),
    FeedFormat.NCMEC: _Format(ncmec_list.read, _Ncmec),
    FeedFormat.STOPNCII: _Format(stopncii_list.read, _None),
    FeedFormat.TAT: _Format(tat_list.read, _None),
    FeedFormat.VICS: _Format(vics_list.read, _Vics),
    FeedFormat.THREATEXCHANGE: _Format(threatexchange_list.read, _None),
    FeedFormat.THREAT_UPDATES: _Format(threat_updates_list.read, _None),
    FeedFormat.TYPED: _Format(typed_list.read, _Typed),
    FeedFormat.MAPPED: _Format(mapped_list.read, _Mapped),
}


def reader(file_format: FeedFormat, options: Mapping[str, object]) -> Reader:
    """What reads the files of a feed.

    Args:
        file_format: How they are written.
        options: What the format must or may be told, by name.

    Raises:
        ConfigError: Naming the option that is missing, unknown or wrong.
    """
    made = _FORMATS[file_format]
    names = [one.name for one in fields(made.options)]
    try:
        # From JSON's types, as TOML has them: a text may be the number of a VICS category.
        told = vars(TypeAdapter(made.options).validate_python(dict(options)))
    except ValidationError as error:
        known = ", ".join(names) or "none"
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"options: {where}: {first['msg']}; the format {file_format} knows: {known}"
        ) from error
    given: dict[str, Any] = {name: told[name] for name in names}
    if file_format is FeedFormat.MAPPED:
        layout, hashes = given.pop("layout"), given.pop("hashes")
        given = {"layout": layout, "columns": Columns(hashes=hashes or {}, **given)}
    return functools.partial(made.read, **given)
