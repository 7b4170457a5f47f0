"""What was added to a list and withdrawn from it since its file was made, in a file beside it.

Each change is a line of JSON, in the order in which they were made::

    {"change": "add", "algorithm": "pdq", "hash": "…", "entry": "case-17"}
    {"change": "remove", "entry": "case-3"}
    {"change": "flag", "hash": "…"}
    {"change": "unflag", "hash": "…"}

Hashes that are set to flag refuse nothing, whichever entries have them: also those of a later list.
Applying changes a second time, to a list that already holds them, changes nothing.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from initgate.errors import ListRejected
from initgate.lists.jsonl_list import objects
from initgate.lists.records import to_entry, to_record
from initgate.model import HashList, ListEntry


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes to a list, added up.

    Args:
        added: Entries beside those of the list's file.
        removed: Identifiers whose entries in the list's file are withdrawn.
        flagged: Codes that at most flag.
        digest: SHA-256 (hex) of the lines.
    """

    added: tuple[ListEntry, ...] = ()
    removed: frozenset[str] = frozenset()
    flagged: frozenset[bytes] = frozenset()
    digest: str = ""


def beside(path: Path) -> Path:
    """Where the changes to a list's file are written."""
    return path.with_name(f"{path.name}.changes")


def addition(entry: ListEntry) -> bytes:
    """The line that adds an entry."""
    return _line({"change": "add", **to_record(entry)})


def removal(entry: str) -> bytes:
    """The line that withdraws all entries of an identifier."""
    return _line({"change": "remove", "entry": entry})


def flag(code: bytes) -> bytes:
    """The line by which a hash at most flags."""
    return _line({"change": "flag", "hash": code.hex()})


def unflag(code: bytes) -> bytes:
    """The line by which a hash does again what its list does."""
    return _line({"change": "unflag", "hash": code.hex()})


def read(data: bytes, *, source: str) -> Changes:
    """Adds up the lines of a file. A last one that is cut off is still being written.

    Raises:
        ListRejected: A line is malformed.
    """
    whole = whole_lines(data)
    added: dict[str, list[ListEntry]] = {}
    removed: set[str] = set()
    flagged: set[bytes] = set()
    for number, record in objects(io.BytesIO(whole), source=source):
        match record.pop("change", None):
            case "add":
                entry = to_entry(record, source=source, line=number)
                same = added.setdefault(entry.entry, [])
                if entry not in same:
                    same.append(entry)
            case "remove" if record.keys() == {"entry"} and isinstance(record["entry"], str):
                added.pop(record["entry"], None)
                removed.add(record["entry"])
            case "flag" if (code := _code(record)) is not None:
                flagged.add(code)
            case "unflag" if (code := _code(record)) is not None:
                flagged.discard(code)
            case _:
                raise ListRejected(
                    'no change: {"change": "add", …} with the fields of an entry, '
                    '{"change": "remove", "entry": "…"}, {"change": "flag", "hash": "…"} or '
                    '{"change": "unflag", "hash": "…"}',
                    source=source,
                    record=number,
                )
    entries = tuple(entry for same in added.values() for entry in same)
    digest = hashlib.sha256(whole).hexdigest()
    return Changes(entries, frozenset(removed), frozenset(flagged), digest)


def whole_lines(data: bytes) -> bytes:
    """A file without a last line that is cut off. One that only lacks its line end gets it."""
    kept, end, last = data.rpartition(b"\n")
    try:
        json.loads(last)
    except ValueError:
        return kept + end
    return data + b"\n"


def apply(changes: Changes, hash_list: HashList, *, source: str) -> Iterator[HashList]:
    """The list as it was made, without what is withdrawn, and a short one of what was added.

    Args:
        changes: To the list.
        hash_list: The list; it is not copied.
        source: Where the changes came from, for error messages.

    Raises:
        ListRejected: An added entry has another algorithm, or a hash to flag another width.
    """
    digits = hash_list.algorithm.bits // 4
    if wrong := sorted(code.hex() for code in changes.flagged if len(code) * 2 != digits):
        raise ListRejected(
            f"{hash_list.algorithm} needs {digits} hexadecimal digits, found {wrong[0]!r}",
            source=source,
        )
    for entry in changes.added:
        if entry.algorithm is not hash_list.algorithm:
            raise ListRejected(
                f"entry {entry.entry} is {entry.algorithm}, but the list {hash_list.algorithm}",
                source=source,
            )
    if not changes.digest:
        yield hash_list
        return
    digest = hashlib.sha256(f"{hash_list.digest} {changes.digest}".encode()).hexdigest()
    flagged = changes.flagged
    yield replace(hash_list, removed=changes.removed, flagged=flagged, digest=digest)
    if changes.added:
        added = HashList.of(
            changes.added,
            name=hash_list.name,
            algorithm=hash_list.algorithm,
            digest=digest,
            as_of=hash_list.as_of,
        )
        yield replace(added, flagged=flagged)


def _code(record: dict[str, object]) -> bytes | None:
    """The hash of a record that holds nothing else."""
    text = record.get("hash")
    if record.keys() != {"hash"} or not isinstance(text, str):
        return None
    return bytes.fromhex(text) if re.fullmatch("([0-9a-fA-F]{2})+", text) else None


def _line(record: dict[str, object]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"
