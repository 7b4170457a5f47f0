"""What every format of ours shares: a record of named fields ⇄ ListEntry."""

from __future__ import annotations

import re
from collections.abc import Mapping

from initgate.errors import ListRejected
from initgate.model import Algorithm, ListEntry

REQUIRED = ("algorithm", "hash", "entry")
OPTIONAL = ("quality", "tags")
COLUMNS = (*REQUIRED, *OPTIONAL)

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


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

    for key in record:
        if key not in COLUMNS:
            raise rejected(f"unknown field {key!r}; the fields are {', '.join(COLUMNS)}")
    for key in REQUIRED:
        if key not in record:
            raise rejected(f"field {key!r} is missing")

    try:
        algorithm = Algorithm(str(record["algorithm"]))
    except ValueError:
        known = ", ".join(Algorithm)
        raise rejected(f"unknown algorithm {record['algorithm']!r}; known are {known}") from None

    text = record["hash"]
    digits = algorithm.bits // 4
    if not isinstance(text, str) or not re.fullmatch(f"[0-9a-fA-F]{{{digits}}}", text):
        raise rejected(f"{algorithm} needs {digits} hexadecimal digits, found {text!r}")

    entry = record["entry"]
    if not isinstance(entry, str) or not entry or _CONTROL.search(entry):
        raise rejected(f"entry must be a text without control characters, found {entry!r}")

    quality = record.get("quality")
    if quality is not None and (type(quality) is not int or not 0 <= quality <= 100):  # noqa: PLR2004
        raise rejected(f"quality must be a whole number from 0 to 100, found {quality!r}")

    tags = record.get("tags", ())
    if not isinstance(tags, list | tuple) or not all(
        isinstance(tag, str) and tag and not _CONTROL.search(tag) and ";" not in tag for tag in tags
    ):
        raise rejected(f"tags must be texts without control characters or ';', found {tags!r}")

    return ListEntry(algorithm, bytes.fromhex(text), entry, quality, tuple(tags))


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
