"""What an operator released from lists: why, who and until when. Pure: the time is an argument.

Each exception is a line of JSON::

    {"hash": "…", "algorithm": "pdq", "reason": "…", "author": "…", "expires": "2030-01-31"}

A SHA-256 releases the very file that has it. Any other hash releases the views of a picture that
lie within a few bits of it, and no others: what stands beside a released picture is looked at.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, TypeAlias

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    ValidationError,
    field_validator,
    model_validator,
)

from initgate.errors import ListRejected
from initgate.index.flat import Flat
from initgate.lists.jsonl_list import objects
from initgate.model import Algorithm, Hash

_SHARE = 32  # a threshold is at most bits / 32: 8 bits of 256


def _check_text(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("allowed: a text of a line")
    return value


def _check_date(value: object) -> object:
    is_day = isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value)
    if not is_day and type(value) is not date:
        raise ValueError('allowed: a day, as "2030-01-31"')
    return value


_Text: TypeAlias = Annotated[str, AfterValidator(_check_text)]


class HashException(BaseModel):
    """One exception. Field names are those of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hash: str
    """In hexadecimal digits."""

    algorithm: Algorithm
    """What made the hash: a perceptual one, or ``sha256`` of a file."""

    threshold: StrictInt = 0
    """How many bits a view may differ from it."""

    reason: _Text
    """Why."""

    author: _Text
    """Who answers for it."""

    expires: Annotated[date, BeforeValidator(_check_date)]
    """The first day, in UTC, on which it releases nothing."""

    lists: tuple[_Text, ...] | None = Field(default=None, min_length=1)
    """The lists that it releases from. Default: all."""

    decision_id: _Text | None = None
    """The decision that was looked into."""

    id: _Text | None = None
    """How records name it. Default: made of the hash, which it does not tell."""

    @field_validator("algorithm")
    @classmethod
    def _check_algorithm(cls, value: Algorithm) -> Algorithm:
        if value.is_digest and value is not Algorithm.SHA256:
            raise ValueError("two files can be made to have one; allowed: sha256 for files")
        return value

    @model_validator(mode="after")
    def _check_hash(self) -> HashException:
        digits = self.algorithm.bits // 4
        if not re.fullmatch(f"[0-9a-fA-F]{{{digits}}}", self.hash):
            raise ValueError(f"hash: {self.algorithm} needs {digits} hexadecimal digits")
        most = most_bits(self.algorithm)
        if not 0 <= self.threshold <= most:
            raise ValueError(f"threshold: {self.threshold}; for {self.algorithm} at most {most}")
        return self

    @property
    def code(self) -> bytes:
        """The hash."""
        return bytes.fromhex(self.hash)

    @property
    def name(self) -> str:
        """How records name it."""
        if self.id is not None:
            return self.id
        # No part of the hash: audit records hold none.
        return hashlib.sha256(f"{self.algorithm} {self.hash.lower()}".encode()).hexdigest()[:12]

    def is_live(self, now: datetime) -> bool:
        """Whether it releases anything yet.

        Args:
            now: The present, in UTC.
        """
        return now.date() < self.expires

    def covers(self, list_name: str) -> bool:
        """Whether it releases from a list."""
        return self.lists is None or list_name in self.lists


def most_bits(algorithm: Algorithm) -> int:
    """The largest threshold of an exception."""
    return 0 if algorithm.is_digest else algorithm.bits // _SHARE


class Exceptions:
    """Some exceptions, ready to be asked. Immutable, safe in several threads.

    Args:
        records: The exceptions; no two of a name.
    """

    def __init__(self, records: Iterable[HashException] = ()) -> None:
        self.records = tuple(records)
        of_views: dict[Algorithm, list[HashException]] = {}
        for one in self.records:
            if not one.algorithm.is_digest:
                of_views.setdefault(one.algorithm, []).append(one)
        self._engines = {
            algorithm: (Flat(_codes([one.code for one in same])), same)
            for algorithm, same in of_views.items()
        }

    def __len__(self) -> int:
        return len(self.records)

    def names(
        self, hashes: Sequence[Hash], data: bytes | None, *, lists: Iterable[str], now: datetime
    ) -> dict[str, list[str]]:
        """What releases which hashes.

        Args:
            hashes: Of all views of an image.
            data: Its file, if it came as one.
            lists: The names of the lists that were searched.
            now: The present, in UTC.

        Returns:
            Per list from which any is released, for each hash the name of the exception; empty
            where there is none.
        """
        found = self._of_views(hashes)
        whole = self._of_file(data)
        names = {}
        for one in lists:
            of_file = next((each.name for each in whole if _holds(each, one, now)), "")
            made = [
                next((each.name for each in found.get(n, ()) if _holds(each, one, now)), of_file)
                for n in range(len(hashes))
            ]
            if any(made):
                names[one] = made
        return names

    def _of_file(self, data: bytes | None) -> list[HashException]:
        """Those of the very file."""
        of_files = [one for one in self.records if one.algorithm is Algorithm.SHA256]
        if data is None or not of_files:
            return []
        code = hashlib.sha256(data).digest()
        return [one for one in of_files if one.code == code]

    def _of_views(self, hashes: Sequence[Hash]) -> Mapping[int, list[HashException]]:
        """Those of views, by the number of the hash."""
        found: dict[int, list[HashException]] = {}
        for algorithm, (engine, same) in self._engines.items():
            which = [n for n, one in enumerate(hashes) if one.algorithm is algorithm]
            if not which:
                continue
            hits = engine.search(_codes([hashes[n].code for n in which]), most_bits(algorithm))
            for row, query, bits in zip(hits.rows, hits.queries, hits.distances, strict=True):
                if bits <= same[row].threshold:
                    found.setdefault(which[query], []).append(same[row])
        return found


NONE = Exceptions()
"""Nothing is released."""


def read(data: bytes, *, source: str) -> Exceptions:
    """Reads a whole file.

    Args:
        data: Its bytes.
        source: Its name, for error messages.

    Raises:
        ListRejected: A line is malformed; it names line and field.
    """
    records: dict[str, HashException] = {}
    for number, raw in objects(io.BytesIO(data), source=source):
        try:
            record = HashException.model_validate(raw)
        except ValidationError as error:
            raise ListRejected(explain(error), source=source, record=number) from error
        if record.name in records:
            raise ListRejected(f"id: {record.name} stands twice", source=source, record=number)
        records[record.name] = record
    return Exceptions(records.values())


def dump(records: Iterable[HashException]) -> bytes:
    """The file of some exceptions; :func:`read` gives them back."""
    lines = (one.model_dump_json(exclude_defaults=True).encode() for one in records)
    return b"".join(line + b"\n" for line in lines)


def explain(error: ValidationError) -> str:
    """What is wrong with an exception: the field, and what is allowed."""
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{field}: {message}" if field else message


def _holds(one: HashException, list_name: str, now: datetime) -> bool:
    return one.covers(list_name) and one.is_live(now)


def _codes(codes: Sequence[bytes]) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.frombuffer(b"".join(codes), np.uint8).reshape(len(codes), -1)
