"""What the lists of others hold beside entries, and what their readers share.

A reader yields records in the order of its file. A record is read whole or not at all: one that
cannot be read is yielded as the :class:`ListRejected` that it deserves, and reading goes on.
Where a file cannot be read further, the reader raises; what it yielded before is then void.

All records of an identifier, skipped and unmatched ones too, replace those of an earlier file.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, TypeAlias, TypeVar

from initgate.errors import ConfigError, ListRejected
from initgate.model import Algorithm, ListEntry

MAX_RECORD_BYTES = 1 << 20
"""No record is longer: the real ones have some hundred bytes."""

BOM = b"\xef\xbb\xbf"
"""The byte order mark that some exporters write before UTF-8."""

MAX_KIND = 64
"""The longest name of a kind of hash, in characters: kinds are counted by name."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """An identifier whose entries go.

    Args:
        entry: The identifier.
        algorithm: Of the entries that go; None for all.
    """

    entry: str
    algorithm: Algorithm | None = None


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A hash that nothing here can match, as PhotoDNA's or a video's.

    Args:
        kind: The name that the format gives it.
        entry: The identifier.
    """

    kind: str
    entry: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """What is left out on purpose.

    Args:
        why: ``placeholder``, ``no hash``, or the category that does not count.
        entry: The identifier.
    """

    why: str
    entry: str


Held: TypeAlias = ListEntry | Withdrawn | Unmatched | Skipped
"""A record that was read."""

Record: TypeAlias = Held | ListRejected
"""The same, or why it could not be read."""

_Raw = TypeVar("_Raw")


class BadRecord(ValueError):
    """Why a record cannot be read. Within the readers: they yield a ListRejected."""


@dataclass(slots=True)
class Tally:
    """What a file held, counted.

    Args:
        entries: By algorithm.
        withdrawn: Identifiers.
        unmatched: By kind of hash.
        skipped: By reason.
        rejected: Records that could not be read.
    """

    entries: Counter[Algorithm] = field(default_factory=Counter)
    withdrawn: int = 0
    unmatched: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    rejected: int = 0

    def following(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yields the records, and counts them."""
        for record in records:
            match record:
                case ListEntry():
                    self.entries[record.algorithm] += 1
                case Withdrawn():
                    self.withdrawn += 1
                case Unmatched():
                    self.unmatched[record.kind] += 1
                case Skipped():
                    self.skipped[record.why] += 1
                case ListRejected():
                    self.rejected += 1
            yield record


def strict(records: Iterable[Record]) -> Iterator[Held]:
    """The records of a file in which each must be readable.

    Raises:
        ListRejected: At the first that is not.
    """
    return tolerant(records, at_most=0)


def tolerant(records: Iterable[Record], *, at_most: int) -> Iterator[Held]:
    """The records of a file, without some that cannot be read.

    Args:
        records: What a reader yields.
        at_most: How many may be left out.

    Raises:
        ListRejected: At the first that is one too many.
    """
    bad = 0
    for record in records:
        if not isinstance(record, ListRejected):
            yield record
        elif (bad := bad + 1) > at_most:
            raise record


def parsed(
    numbered: Iterable[tuple[int, _Raw | BadRecord]],
    parse: Callable[[_Raw], Iterable[Held]],
    *,
    source: str,
    unit: str,
) -> Iterator[Record]:
    """The records of the raw ones of a file.

    Args:
        numbered: Raw records with their numbers; or why there is none.
        parse: Makes records of a raw one, or raises BadRecord.
        source: Where the file came from, for error messages.
        unit: What the numbers count.
    """
    for number, raw in numbered:
        try:
            if isinstance(raw, BadRecord):
                raise raw
            records = tuple(parse(raw))
        except BadRecord as error:
            yield ListRejected(str(error), source=source, record=number, unit=unit)
        else:
            yield from records


def bounded_lines(file: BinaryIO, *, source: str) -> Iterator[tuple[int, bytes]]:
    """Yields the lines of a file, numbered from 1; the first without a byte order mark.

    Raises:
        ListRejected: A line is longer than a record may be.
    """
    number = 0
    while line := file.readline(MAX_RECORD_BYTES + 1):
        number += 1
        if len(line) > MAX_RECORD_BYTES:
            raise ListRejected(
                f"longer than {MAX_RECORD_BYTES:,} bytes", source=source, record=number
            )
        yield number, line.removeprefix(BOM) if number == 1 else line


def needs(package: str, source: str) -> ConfigError:
    """The error of a list that only an extra can read: nothing is wrong with the list."""
    return ConfigError(f"{source}: reading it needs {package}: pip install 'initgate[lists]'")


# ── Hashes ────────────────────────────────────────────────────────────────────────────────────

_EMPTY = frozenset(
    {
        hashlib.md5(b"", usedforsecurity=False).digest(),
        hashlib.sha1(b"", usedforsecurity=False).digest(),
        hashlib.sha256(b"").digest(),
    }
)


def algorithm_of(kind: str) -> Algorithm | None:
    """The algorithm that a format calls by a name such as ``SHA-256``; None for no one's."""
    try:
        return Algorithm(re.sub("[-_ ]", "", kind.lower()))
    except ValueError:
        return None


def code_of(algorithm: Algorithm, text: str) -> bytes:
    """The bytes of a hash in hexadecimal digits of either case.

    Raises:
        BadRecord: It is none.
    """
    digits = algorithm.bits // 4
    if not re.fullmatch(f"[0-9a-fA-F]{{{digits}}}", text):
        raise BadRecord(f"{algorithm} needs {digits} hexadecimal digits, found {shown(text)}")
    return bytes.fromhex(text)


def base64_code_of(algorithm: Algorithm, text: str) -> bytes:
    """The bytes of a hash in base64.

    Raises:
        BadRecord: It is none.
    """
    size = algorithm.bits // 8
    try:
        code = base64.b64decode(text, validate=True)
    except ValueError:
        code = b""
    if len(code) != size:
        raise BadRecord(f"{algorithm} needs {size} bytes in base64, found {shown(text)}")
    return code


def identity(algorithm: Algorithm, code: bytes) -> str:
    """The identifier of a hash in a list that gives none: the hash itself, with its kind."""
    return f"{algorithm}:{code.hex()}"


def is_placeholder(code: bytes) -> bool:
    """Whether a hash stands for none: all zeros, all ones, or the digest of no bytes."""
    return code in _EMPTY or not any(code) or code == b"\xff" * len(code)


def held(
    algorithm: Algorithm,
    code: bytes,
    entry: str,
    *,
    quality: int | None = None,
    tags: Sequence[str] = (),
) -> ListEntry | Skipped:
    """The entry of a hash, unless it is a placeholder."""
    if is_placeholder(code):
        return Skipped("placeholder", entry)
    return ListEntry(algorithm, code, entry, quality, tuple(tags))


def unmatched(kind: str, entry: str) -> Unmatched:
    """A hash that nothing here can match.

    Raises:
        BadRecord: The name of its kind is none.
    """
    if not 0 < len(kind) <= MAX_KIND:
        raise BadRecord(f"a kind of hash has a name of 1 to {MAX_KIND} characters, {shown(kind)}")
    return Unmatched(label(kind), entry)


# ── Texts ─────────────────────────────────────────────────────────────────────────────────────

_NOT_IN_LABELS = re.compile(r"[%\x00-\x1f\x7f\ud800-\udfff]")
_NOT_IN_TAGS = re.compile(r"[%;\x00-\x1f\x7f\ud800-\udfff]")
_SHOWN = 80  # characters of a value in a message


def label(text: str) -> str:
    """An identifier without control characters: those, and ``%``, are written as in URLs."""
    return _NOT_IN_LABELS.sub(_escaped, text)


def tag(key: str, value: str) -> str:
    """A tag ``key:value``, with ``;`` written as in URLs as well."""
    return _NOT_IN_TAGS.sub(_escaped, f"{key}:{value}")


def shown(value: object) -> str:
    """A value in a message, shortened."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass"))
