"""A list and its index in one file, which is mapped, not read: docs/snapshot-format.md.

It opens in milliseconds at any size, and all processes of a machine share one copy in memory. The
header is checked when it is opened; the sections, which may be gigabytes, by :func:`verify`. A file
is written whole or not at all, the same bytes for the same list. Nothing in it is ever executed.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import itertools
import json
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from initgate.columns import Lazy, Texts
from initgate.errors import ListRejected
from initgate.index.banded import Band, Banded, Postings, ranks_of
from initgate.index.cost import choose
from initgate.index.digests import Digests, bucket_bits
from initgate.index.flat import Flat
from initgate.index.hits import Engine
from initgate.index.layout import Layout
from initgate.model import Algorithm, Codes, HashList
from initgate.sealed import MAGIC as SEALED
from initgate.sealed import seal, unseal

_MAGIC = b"\x89IGX\r\n\x1a\n"  # as PNG's: shows transfers that mend line ends or drop the 8th bit
_VERSION = 1
_HEADER = 4096  # bytes
_PREAMBLE = 48
_ALIGNED = 64  # a processor's cache line
_AT_ONCE = 1 << 18  # bytes read
_ROWS = 1 << 15  # written at once
_BUFFER = 1 << 22  # bytes; long, aligned writes get large pages in the kernel's cache
_TYPES = {
    "codes": ("|u1",),
    "qualities": ("<i2",),
    "entry_text": ("|u1",),
    "entry_ends": ("<u4", "<u8"),
    "tag_table": ("|u1",),
    "tag_index": ("|u1", "<u2", "<u4"),
    "bitmap": ("<u8",),
    "ranks": ("<u4",),
    "starts": ("<u4",),
    "rows": ("<u4",),
}

_DIGESTS = ("starts", "rows")
_BANDS = ("bitmap", "ranks", "starts", "rows")

_Array: TypeAlias = NDArray[Any]
_Column: TypeAlias = tuple[str, str, Iterable[_Array]]


@dataclass(frozen=True, slots=True)
class Section:
    """An array in the file.

    Args:
        dtype: Of its items, little-endian, as NumPy writes it.
        count: Items.
        offset: Of the first byte in the file, a multiple of 64.
        blake2b: BLAKE2b-256 (hex) of its bytes and the zeros up to the next multiple of 64.
    """

    dtype: str
    count: int
    offset: int
    blake2b: str

    @property
    def end(self) -> int:
        """Where it ends in the file, zeros included."""
        return _aligned(self.offset + self.count * np.dtype(self.dtype).itemsize)


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says about itself.

    Args:
        algorithm: Of all entries.
        entries: How many.
        digest: :attr:`initgate.model.HashList.digest`.
        bands: How many the codes are cut into, 0 for none.
        sections: By name, in the order of the file.
    """

    algorithm: Algorithm
    entries: int
    digest: str
    bands: int
    sections: Mapping[str, Section]


def write(
    hash_list: HashList, path: Path, *, threshold: int | None = None, key: bytes | None = None
) -> Header:
    """Makes the file of a list.

    Args:
        hash_list: Its name, age and quality floor are not written: they are the operator's.
        path: Replaced at once when all is written.
        threshold: What the list will mostly be asked with, in bits. Default: its algorithm's.
        key: Seals the file (:mod:`initgate.sealed`), which is then made in memory first.

    Raises:
        OSError: It cannot be written.
    """
    most = hash_list.algorithm.default_threshold if threshold is None else threshold
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb", buffering=_BUFFER) as file:
            clear = file if key is None else io.BytesIO()
            # What is sealed must not lie on the disk in clear, not for a moment either.
            folder = path.parent if key is None else None
            header = _write(clear, hash_list, threshold=most, folder=folder)
            if key is not None:
                clear.seek(0)
                seal(clear, file, key)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return header


def open_snapshot(
    path: Path, *, name: str, as_of: datetime | None = None, key: bytes | None = None
) -> HashList:
    """The list in a file, its columns mapped, with the engine that searches it.

    Args:
        path: The file. It may be replaced while it is open, but must not be changed in place.
        name: The operator's name for the list.
        as_of: When it was last known to be current.
        key: What it is sealed with. It is then decrypted into memory of this process's own.

    Raises:
        ListRejected: It is no such file, or it is damaged.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        if key is None:
            header = _read_header(file, path)
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            if hasattr(mmap, "MADV_HUGEPAGE"):
                with contextlib.suppress(OSError):  # a hint, for what is read from disk
                    mapped.madvise(mmap.MADV_HUGEPAGE)
        else:
            mapped = unseal(file, key, source=str(path))
            header = _read_header(mapped, path)
    try:
        sections = {
            title: np.frombuffer(mapped, one.dtype, one.count, one.offset)
            for title, one in header.sections.items()
        }
        return _to_list(header, sections, name=name, as_of=as_of)
    except (ValueError, LookupError) as error:
        raise _damaged(path, f"sections that do not fit: {error}") from error


def verify(path: Path, *, key: bytes | None = None) -> Header:
    """Reads a file to its end and compares every checksum.

    Args:
        path: The file.
        key: What it is sealed with.

    Raises:
        ListRejected: A section is not what was written.
        OSError: It cannot be read.
    """
    with path.open("rb") as raw:
        file = raw if key is None else unseal(raw, key, source=str(path))
        header = _read_header(file, path)
        for name, section in header.sections.items():
            if _checksum(file, section) != section.blake2b:
                raise _damaged(path, f"section {name!r} is not what was written")
    return header


def _damaged(path: Path, what: str) -> ListRejected:
    return ListRejected(f"{what}; make the file anew with initgate lists compile", source=str(path))


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNED) * _ALIGNED


def _checksum(file: BinaryIO | mmap.mmap, section: Section) -> str:
    made = hashlib.blake2b(digest_size=32)
    file.seek(section.offset)
    left = section.end - section.offset
    while left and (read := file.read(min(left, _AT_ONCE))):
        made.update(read)
        left -= len(read)
    return made.hexdigest()


# ── Writing ──────────────────────────────────────────────────────────────────────────────────


def _write(file: BinaryIO, hash_list: HashList, *, threshold: int, folder: Path | None) -> Header:
    bands, columns = _found_by(hash_list, threshold, folder)
    file.write(bytes(_HEADER))
    sections = {
        name: _write_section(file, dtype, chunks)
        for name, dtype, chunks in itertools.chain(_columns(hash_list), columns)
    }
    header = Header(
        algorithm=hash_list.algorithm,
        entries=len(hash_list),
        digest=hash_list.digest,
        bands=bands,
        sections=sections,
    )
    file.seek(0)
    file.write(_pack(header))
    return header


def _write_section(file: BinaryIO, dtype: str, chunks: Iterable[_Array]) -> Section:
    made = hashlib.blake2b(digest_size=32)
    offset = file.tell()
    for chunk in chunks:
        data = chunk.astype(dtype, copy=False).tobytes()
        made.update(data)
        file.write(data)
    count = (file.tell() - offset) // np.dtype(dtype).itemsize
    padding = bytes(_aligned(file.tell()) - file.tell())
    made.update(padding)
    file.write(padding)
    return Section(dtype, count, offset, made.hexdigest())


def _columns(hash_list: HashList) -> Iterator[_Column]:
    """What a list holds: each section's name, its type, its content in pieces."""
    yield "codes", _type("codes"), _pieces(hash_list.codes)
    yield "qualities", _type("qualities"), _pieces(hash_list.qualities)
    ends = np.zeros(len(hash_list) + 1, np.uint64)
    yield "entry_text", _type("entry_text"), _texts(hash_list.entries, ends)
    yield "entry_ends", _type("entry_ends", int(ends[-1])), _pieces(ends)
    numbers: dict[tuple[str, ...], int] = {}
    told = (numbers.setdefault(tags, len(numbers)) for tags in hash_list.tags)
    index = np.fromiter(told, np.uint32, len(hash_list))
    table = json.dumps([*numbers], ensure_ascii=False, separators=(",", ":")).encode()
    yield "tag_table", _type("tag_table"), _pieces(np.frombuffer(table, np.uint8))
    yield "tag_index", _type("tag_index", len(numbers)), _pieces(index)


def _found_by(
    hash_list: HashList, threshold: int, folder: Path | None
) -> tuple[int, Iterable[_Column]]:
    """What a list is searched by: the number of bands, 0 for none, and the sections.

    Args:
        hash_list: The list.
        threshold: What it will mostly be asked with.
        folder: Where what is made too early waits in files, None for in memory.
    """
    match hash_list.engine:
        case Banded() as engine:
            return engine.postings.layout.bands, _arrays(engine.postings, _BANDS)
        case Digests() as engine:
            return 0, _arrays(engine, _DIGESTS)
        case Flat():
            return 0, ()
        case _:
            pass  # none yet
    codes = np.ascontiguousarray(hash_list.codes)
    if hash_list.algorithm.is_digest:
        return 0, _arrays(Digests.of(codes), _DIGESTS)
    layout = choose(len(codes), hash_list.algorithm.bits, threshold)
    return (0, ()) if layout is None else (layout.bands, _band_by_band(codes, layout, folder))


def _arrays(holder: object, names: Iterable[str]) -> Iterator[_Column]:
    for name in names:
        yield name, _type(name), _pieces(getattr(holder, name))


def _band_by_band(codes: Codes, layout: Layout, folder: Path | None) -> Iterator[_Column]:
    """The sections of :class:`Postings`, of which one band at a time is held in memory."""
    bitmap = np.empty(layout.first_buckets[-1] // 64, np.uint64)
    with _spill(folder) as starts, _spill(folder) as rows:
        for band in Band.each(codes, layout):
            bitmap[band.words] = band.bitmap
            starts.write(band.starts.astype("<u4", copy=False).data)
            rows.write(band.rows.astype("<u4", copy=False).data)
        starts.write(np.array([len(codes) * layout.bands], "<u4").data)
        yield "bitmap", _type("bitmap"), _pieces(bitmap)
        yield "ranks", _type("ranks"), _pieces(ranks_of(bitmap))
        yield "starts", _type("starts"), _read_back(starts)
        yield "rows", _type("rows"), _read_back(rows)


def _spill(folder: Path | None) -> BinaryIO:
    return io.BytesIO() if folder is None else tempfile.TemporaryFile(dir=folder)


def _read_back(file: BinaryIO) -> Iterator[_Array]:
    file.seek(0)
    while read := file.read(_AT_ONCE):
        yield np.frombuffer(read, "<u4")


def _type(name: str, most: int = 0) -> str:
    """The smallest type for numbers up to ``most`` that the section may have."""
    return next(one for one in _TYPES[name] if most <= np.iinfo(one).max)


def _pieces(column: _Array) -> Iterator[_Array]:
    for start in range(0, len(column), _ROWS):
        yield column[start : start + _ROWS]


def _texts(entries: Sequence[str], ends: NDArray[np.uint64]) -> Iterator[_Array]:
    """The texts in UTF-8, some at a time; tells where each one ends."""
    written = 0
    for start in range(0, len(entries), _ROWS):
        encoded = [one.encode() for one in entries[start : start + _ROWS]]
        lengths = np.array([len(one) for one in encoded], np.uint64)
        ends[start + 1 : start + 1 + len(encoded)] = np.cumsum(lengths) + np.uint64(written)
        joined = b"".join(encoded)
        written += len(joined)
        yield np.frombuffer(joined, np.uint8)


def _pack(header: Header) -> bytes:
    """The first 4096 bytes: magic, version, length, checksum of all the rest, JSON, zeros."""
    content = {
        "algorithm": header.algorithm.value,
        "entries": header.entries,
        "digest": header.digest,
        "bands": header.bands,
        "sections": {
            name: {"dtype": s.dtype, "count": s.count, "offset": s.offset, "blake2b": s.blake2b}
            for name, s in header.sections.items()
        },
    }
    text = json.dumps(content, separators=(",", ":")).encode()
    start = _MAGIC + _VERSION.to_bytes(4, "little") + len(text).to_bytes(4, "little")
    rest = text.ljust(_HEADER - _PREAMBLE, b"\0")
    return start + _header_checksum(start, rest) + rest


def _header_checksum(start: bytes, rest: bytes) -> bytes:
    return hashlib.blake2b(start + rest, digest_size=32).digest()


# ── Reading ──────────────────────────────────────────────────────────────────────────────────


def _read_header(file: BinaryIO | mmap.mmap, path: Path) -> Header:
    file.seek(0, os.SEEK_END)
    size = file.tell()
    file.seek(0)
    data = file.read(_HEADER)
    start, told, rest = data[:16], data[16:_PREAMBLE], data[_PREAMBLE:]
    if start[:8] == SEALED:
        raise ListRejected("it is encrypted: set key in [store]", source=str(path))
    if start[:8] != _MAGIC:
        raise _damaged(path, "not a snapshot")
    if start[8:12] != _VERSION.to_bytes(4, "little"):
        raise _damaged(path, "made by another version of initgate")
    if len(data) != _HEADER or told != _header_checksum(start, rest):
        raise _damaged(path, "the header is not what was written")
    try:
        header = _unpack(json.loads(rest[: int.from_bytes(start[12:], "little")]))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise _damaged(path, f"a header that does not fit: {error!r}") from error
    whole = max((one.end for one in header.sections.values()), default=_HEADER)
    if whole != size:
        raise _damaged(path, f"{size} bytes where {whole} were written")
    return header


def _unpack(content: dict[str, Any]) -> Header:
    sections = {name: Section(**one) for name, one in content["sections"].items()}
    end = _HEADER
    for name, one in sections.items():
        if one.dtype not in _TYPES[name] or one.offset != end or one.count < 0:
            raise ValueError(f"section {name!r}")
        end = one.end
    return Header(
        algorithm=Algorithm(content["algorithm"]),
        entries=int(content["entries"]),
        digest=str(content["digest"]),
        bands=int(content["bands"]),
        sections=sections,
    )


def _to_list(
    header: Header, sections: Mapping[str, _Array], *, name: str, as_of: datetime | None
) -> HashList:
    number = header.entries
    codes: Codes = sections["codes"].reshape(number, header.algorithm.bits // 8)
    return HashList(
        name=name,
        algorithm=header.algorithm,
        codes=codes,
        entries=Texts(sections["entry_text"], _sized(sections["entry_ends"], number + 1)),
        qualities=_sized(sections["qualities"], number),
        tags=_Tags(sections["tag_table"], _sized(sections["tag_index"], number)),
        digest=header.digest,
        as_of=as_of,
        engine=_engine(header, codes, sections),
    )


def _engine(header: Header, codes: Codes, sections: Mapping[str, _Array]) -> Engine:
    number = header.entries
    if header.algorithm.is_digest:
        starts = _sized(sections["starts"], (1 << bucket_bits(number)) + 1)
        return Digests(codes, starts, _sized(sections["rows"], number))
    if not header.bands:
        return Flat(codes)
    layout = Layout(header.algorithm.bits, header.bands)
    words = layout.first_buckets[-1] // 64
    return Banded(
        codes,
        Postings(
            layout,
            bitmap=_sized(sections["bitmap"], words),
            ranks=_sized(sections["ranks"], words),
            starts=sections["starts"],
            rows=_sized(sections["rows"], number * header.bands),
        ),
    )


def _sized(section: _Array, count: int) -> _Array:
    if len(section) != count:
        raise ValueError(f"{len(section)} items where {count} belong")
    return section


class _Tags(Lazy[tuple[str, ...]]):
    """The tags: few different ones, so a number for each entry."""

    def __init__(self, table: NDArray[np.uint8], index: _Array) -> None:
        super().__init__(len(index), self._tags)
        self._json = table
        self._index = index

    @functools.cached_property
    def _table(self) -> list[tuple[str, ...]]:
        return [tuple(map(str, tags)) for tags in json.loads(self._json.tobytes())]

    def _tags(self, row: int) -> tuple[str, ...]:
        return self._table[int(self._index[row])]
