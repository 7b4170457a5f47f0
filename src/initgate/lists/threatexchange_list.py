"""What ``threatexchange dataset -P --csv`` prints: ``signal_type,signal_str,collab,category,tags``.

It gives no identifiers: a hash is its own. Harmless ones, of the category ``NEGATIVE_CLASS``, are
skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from initgate.lists.feed import (
    BadRecord,
    Held,
    Record,
    Skipped,
    algorithm_of,
    code_of,
    held,
    identity,
    label,
    parsed,
    shown,
    tag,
    unmatched,
)
from initgate.lists.table import rows

COLUMNS = ("signal_type", "signal_str", "collab", "category", "tags")
_HARMLESS = "NEGATIVE_CLASS"
_CATEGORIES = frozenset({"POSITIVE_CLASS", "INVESTIGATION_SEED", "DISPUTED", _HARMLESS})


def read(file: BinaryIO, *, source: str) -> Iterator[Record]:
    """Yields the records of a file.

    Raises:
        ListRejected: It cannot be read to its end.
    """
    return parsed(
        rows(file, frozenset(COLUMNS), source=source), _records, source=source, unit="line"
    )


def signal(kind: str, text: str) -> tuple[str, bytes | None]:
    """The identifier of a signal, and its hash if it can be matched.

    Raises:
        BadRecord: It is malformed.
    """
    algorithm = algorithm_of(kind)
    if algorithm is None:
        if not text:
            raise BadRecord(f"{shown(kind)} without a value")
        return label(f"{kind}:{text}"), None
    code = code_of(algorithm, text)
    return identity(algorithm, code), code


def _records(row: dict[str, str]) -> Iterator[Held]:
    kind, category = row["signal_type"], row["category"]
    algorithm = algorithm_of(kind)
    entry, code = signal(kind, row["signal_str"])
    if category not in _CATEGORIES:
        raise BadRecord(f"unknown category {shown(category)}")
    if category == _HARMLESS:
        yield Skipped(f"category {category}", entry)
    elif algorithm is None or code is None:
        yield unmatched(kind, entry)
    else:
        told = {"collab": [row["collab"]], "category": [category], "tag": row["tags"].split()}
        tags = [tag(key, value) for key, values in told.items() for value in values if value]
        yield held(algorithm, code, entry, tags=tags)
