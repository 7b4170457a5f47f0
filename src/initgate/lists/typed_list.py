"""The local file of ``threatexchange``: a line is ``TYPE HASH``, or a hash of a type that is known.

It gives no identifiers: a hash is its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from initgate.lists.feed import (
    BadRecord,
    Held,
    Record,
    algorithm_of,
    bounded_lines,
    code_of,
    held,
    identity,
    label,
    parsed,
    shown,
    unmatched,
)


def read(file: BinaryIO, *, source: str, signal_type: str = "") -> Iterator[Record]:
    """Yields the records of a file.

    Args:
        file: Open for reading bytes.
        source: Where it came from, for error messages.
        signal_type: Of every line, if lines are hashes alone.

    Raises:
        ListRejected: It cannot be read to its end.
    """
    lines = bounded_lines(file, source=source)

    def made(line: bytes) -> Iterator[Held]:
        return _records(line, signal_type)

    whole = ((number, line) for number, line in lines if line.strip())
    return parsed(whole, made, source=source, unit="line")


def _records(line: bytes, signal_type: str) -> Iterator[Held]:
    text = line.decode("utf-8", "surrogateescape").strip()
    kind, _, value = (signal_type, "", text) if signal_type else text.partition(" ")
    value = value.strip()
    if not value:
        raise BadRecord(f"neither TYPE HASH nor a hash of a type that is known: {shown(text)}")
    if (algorithm := algorithm_of(kind)) is None:
        yield unmatched(kind, label(f"{kind}:{value}"))
    else:
        code = code_of(algorithm, value)
        yield held(algorithm, code, identity(algorithm, code))
