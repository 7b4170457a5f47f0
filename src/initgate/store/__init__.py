"""Lists on disk: opened with the changes to them, changed by a line, merged in one step.

A list's file is only ever replaced whole. What is urgent is appended to the file of changes beside
it (:mod:`initgate.lists.changes`), and merged into the list later.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from filelock import FileLock

from initgate.errors import ListRejected, SourceUnavailable
from initgate.index.snapshot import open_snapshot
from initgate.index.snapshot import verify as verify_snapshot
from initgate.index.snapshot import write as write_snapshot
from initgate.lists import EMPTY, Format, changes, dump
from initgate.lists import load as load_text
from initgate.model import Algorithm, HashList
from initgate.sources.file import opened
from initgate.store import durable

Stamp = tuple[int, int, int, int]
"""Which file it is: inode, size, and times of change in ns."""


def load(
    path: Path,
    *,
    name: str,
    file_format: Format,
    algorithm: Algorithm,
    allow_empty: bool = False,
) -> list[HashList]:
    """Opens a list, and what was added to it since.

    Args:
        path: The list's file. Its modification time is its age.
        name: The operator's name for the list.
        file_format: How it is written.
        algorithm: What every entry must be.
        allow_empty: Whether no entry is fine.

    Returns:
        One or two of the same name.

    Raises:
        ListRejected: The list or a change is malformed.
        SourceUnavailable: A file cannot be read.
    """
    # The changes first: they do no harm to a list that was merged with them meanwhile.
    more = read_changes(path)
    made = load_made(path, name=name, file_format=file_format, algorithm=algorithm)
    return changed(made, more, path, allow_empty=allow_empty)


def changed(
    made: HashList, more: changes.Changes, path: Path, *, allow_empty: bool = False
) -> list[HashList]:
    """A list with the changes to it: one or two of the same name.

    Args:
        made: From :func:`load_made`.
        more: From :func:`read_changes`.
        path: The list's file.
        allow_empty: Whether no entry is fine.

    Raises:
        ListRejected: They do not fit.
    """
    parts = list(changes.apply(more, made, source=str(changes.beside(path))))
    if not allow_empty and not any(one.has_searched() for one in parts):
        raise ListRejected(EMPTY, source=str(path))
    return parts


def load_made(
    path: Path,
    *,
    name: str,
    file_format: Format,
    algorithm: Algorithm,
    key: bytes | None = None,
) -> HashList:
    """Opens a list as its file was made.

    Args:
        path: See :func:`load`, as the next three.
        name: See there.
        file_format: See there.
        algorithm: See there.
        key: What a snapshot is sealed with.

    Raises:
        ListRejected: It is malformed.
        SourceUnavailable: It cannot be read.
    """
    if file_format is Format.SNAPSHOT:
        return _open(path, name=name, algorithm=algorithm, key=key)
    with opened(path) as fetched:
        return load_text(
            fetched.file,
            name=name,
            source=str(path),
            file_format=file_format,
            algorithm=algorithm,
            allow_empty=True,
            as_of=fetched.as_of,
        )


def read_changes(path: Path) -> changes.Changes:
    """The changes to a list since its file was made.

    Raises:
        ListRejected: One is malformed.
        SourceUnavailable: They cannot be read.
    """
    place = changes.beside(path)
    try:
        data = place.read_bytes()
    except FileNotFoundError:
        return changes.Changes()
    except OSError as error:
        raise SourceUnavailable(f"{place}: {error.strerror or error}") from error
    return changes.read(data, source=str(place))


def stamps(path: Path) -> tuple[Stamp | None, Stamp | None, Stamp | None]:
    """Tells whether a list, the changes to it and what was accepted are other files than before."""
    return _stamp(path), _stamp(changes.beside(path)), _stamp(_accepted(path))


def accept(path: Path, digest: str) -> None:
    """Records that a version of a list may be searched, though more of its entries are at fault.

    Args:
        path: The list's file.
        digest: Of the version, without changes.

    Raises:
        SourceUnavailable: It cannot be written.
    """
    with _locked(path):
        durable.replace(_accepted(path), f"{digest}\n".encode())


def accepted(path: Path) -> str:
    """The digest of the version that was accepted last; empty if none was.

    Raises:
        SourceUnavailable: It cannot be read.
    """
    try:
        return _accepted(path).read_bytes().decode("ascii", "replace").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SourceUnavailable(f"{_accepted(path)}: {error.strerror or error}") from error


def change(path: Path, lines: Iterable[bytes]) -> None:
    """Appends changes to those of a list. They are on disk when this returns.

    Args:
        path: The list's file.
        lines: From :func:`initgate.lists.changes.addition` and ``removal``.

    Raises:
        SourceUnavailable: They cannot be written.
    """
    with _locked(path), changes.beside(path).open("a+b") as file:
        file.seek(0)
        data = file.read()
        # A line that a crash cut off was never acknowledged.
        kept = changes.whole_lines(data)
        file.truncate(min(len(kept), len(data)))
        file.write(kept[len(data) :] + b"".join(lines))
        file.flush()
        os.fsync(file.fileno())
        durable.sync_folder(path.parent)


def merge(
    path: Path, *, file_format: Format, algorithm: Algorithm, threshold: int | None = None
) -> int:
    """Writes the changes to a list into its file, which stays as old as it was.

    Args:
        path: The list's file. Gates may go on reading it meanwhile.
        file_format: How it is written.
        algorithm: Of its entries.
        threshold: For a snapshot: what it will mostly be asked with, in bits.

    Returns:
        How many entries it has now.

    Raises:
        ListRejected: The list or a change is malformed. Nothing is written then.
        SourceUnavailable: A file cannot be read or written.
    """
    with _locked(path):
        before = stamps(path)
        if file_format is Format.SNAPSHOT:
            verify_snapshot(path)  # else what is damaged would get new checksums
        parts = load(
            path, name="merged", file_format=file_format, algorithm=algorithm, allow_empty=True
        )
        whole = merged(parts)
        partial = path.with_name(f".{path.name}.merged")
        try:
            if file_format is Format.SNAPSHOT:
                write_snapshot(whole, partial, threshold=threshold)
            else:
                durable.write(partial, dump(whole, file_format))
            shutil.copymode(path, partial)
            if whole.as_of is not None:
                os.utime(partial, (whole.as_of.timestamp(),) * 2)
            if stamps(path) != before:
                raise SourceUnavailable(f"{path} was replaced meanwhile; merge again")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        durable.sync_folder(path.parent)
        # A gate that opens the new file with the old changes finds the same: they change nothing.
        # What is set to flag stays a change: it must outlive the next file of the list, too.
        if flagged := parts[0].flagged:
            durable.replace(changes.beside(path), b"".join(map(changes.flag, sorted(flagged))))
        else:
            changes.beside(path).unlink(missing_ok=True)
    return len(whole)


def merged(parts: Sequence[HashList]) -> HashList:
    """One list of a list and what was added to it.

    Args:
        parts: From :func:`load`.
    """
    if len(parts) == 1 and not parts[0].removed:
        return parts[0]
    made, *added = parts
    new = [one for more in added for one in more]
    ids = {one.entry for one in new}
    # By number: a sequence that fails would end early, without a word.
    rows = [row for row in range(len(made)) if made.entries[row] not in made.removed]
    known = {made.at(row) for row in rows if made.entries[row] in ids}
    new = [one for one in new if one not in known]
    more = HashList.of(new, name=made.name, algorithm=made.algorithm)
    return replace(
        made,
        codes=np.concatenate([made.codes[rows], more.codes]),
        entries=[*(made.entries[row] for row in rows), *more.entries],
        qualities=np.concatenate([made.qualities[rows], more.qualities]),
        tags=[*(made.tags[row] for row in rows), *more.tags],
        removed=frozenset(),
        engine=None,
    )


def _open(path: Path, *, name: str, algorithm: Algorithm, key: bytes | None) -> HashList:
    try:
        as_of = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        opened = open_snapshot(path, name=name, as_of=as_of, key=key)
    except OSError as error:
        raise SourceUnavailable(f"{path}: {error.strerror or error}") from error
    if opened.algorithm is not algorithm:
        raise ListRejected(
            f"its entries are {opened.algorithm}, but list {name!r} is configured with "
            f'algorithm = "{algorithm}"',
            source=str(path),
        )
    return opened


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer at a time; readers need no lock."""
    if not path.exists():
        raise SourceUnavailable(f"{path}: there is no such list")
    try:
        with FileLock(f"{changes.beside(path)}.lock"):
            yield
    except SourceUnavailable:  # which is an OSError
        raise
    except OSError as error:
        raise SourceUnavailable(f"{error.filename or path}: {error.strerror or error}") from error


def _accepted(path: Path) -> Path:
    return path.with_name(f"{path.name}.accepted")


def _stamp(path: Path) -> Stamp | None:
    with suppress(OSError):
        found = path.stat()
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    return None
