"""What every format of ours shares: a record of named fields ⇄ ListEntry."""

from __future__ import annotations

import re
from collections.abc import Mapping

from typing_extensions import TypeIs

from initgate.errors import ListRejected
from initgate.model import Algorithm, ListEntry

REQUIRED = ("algorithm", "hash", "entry")
OPTIONAL = ("quality", "tags")
COLUMNS = (*REQUIRED, *OPTIONAL)

_KNOWN = frozenset(COLUMNS)
_NEEDED = frozenset(REQUIRED)
_HEXADECIMAL = {one: re.compile(f"[0-9a-fA-F]{{{one.bits // 4}}}") for one in Algorithm}
_BEST = 100  # quality
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # and halves of characters


def to_entry(record: Mapping[str, object], *, source: str, line: int) -> ListEntry:
    """Checks a record field by field.

    Args:
        record: ``algorithm``, ``hash`` (hex, either case) and ``entry``; optionally ``quality``
            (0 to 100) and ``tags`` (a sequence of strings).
        source: For the error message.
        line: For the error message.

    Raises:
        ListRejected: Naming source, line and reason.
    """

    def rejected(reason: str) -> ListRejected:
        return ListRejected(reason, source=source, record=line)

    if unknown := record.keys() - _KNOWN:
        raise rejected(f"unknown field {min(unknown)!r}; the fields are {', '.join(COLUMNS)}")
    if missing := _NEEDED - record.keys():
        raise rejected(f"field {min(missing)!r} is missing")

    try:
        algorithm = Algorithm(str(record["algorithm"]))
    except ValueError:
        known = ", ".join(Algorithm)
        raise rejected(f"unknown algorithm {record['algorithm']!r}; known are {known}") from None

    text = record["hash"]
    if not isinstance(text, str) or not _HEXADECIMAL[algorithm].fullmatch(text):
        raise rejected(
            f"{algorithm} needs {algorithm.bits // 4} hexadecimal digits, found {text!r}"
        )

    entry = record["entry"]
    if not _is_label(entry):
        raise rejected(f"entry must be a text without control characters, found {entry!r}")

    quality = record.get("quality")
    if quality is not None and (type(quality) is not int or not 0 <= quality <= _BEST):
        raise rejected(f"quality must be a whole number from 0 to {_BEST}, found {quality!r}")

    tags = record.get("tags", ())
    if not isinstance(tags, list | tuple) or not all(_is_label(t) and ";" not in t for t in tags):
        raise rejected(f"tags must be texts without control characters or ';', found {tags!r}")

    return ListEntry(algorithm, bytes.fromhex(text), entry, quality, tuple(tags))


def _is_label(value: object) -> TypeIs[str]:
    return isinstance(value, str) and value != "" and not _CONTROL.search(value)


def to_record(entry: ListEntry) -> dict[str, object]:
    """The fields of an entry, in column order; unknown ones left out."""
    record: dict[str, object] = {
        "algorithm": entry.algorithm.value,
        "hash": entry.code.hex(),
        "entry": entry.entry,
    }
    if entry.quality is not None:
        record["quality"] = entry.quality
    if entry.tags:
        record["tags"] = list(entry.tags)
    return record
