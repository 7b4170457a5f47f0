"""What a feed holds, and what its next batch makes of that. Pure, and in columns.

The laws: all records of an identifier replace those that it had before; within a batch a withdrawal
wins; the same batch a second time changes nothing; batches of different identifiers may come in any
order. The same content is the same rows in the same order, and has the same digest.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from initgate.columns import Lazy, Texts
from initgate.errors import ListRejected
from initgate.lists.feed import Held, Skipped, Unmatched, Withdrawn
from initgate.model import Algorithm, Codes, HashList, ListEntry

MAX_KINDS = 1000
"""Real feeds have about ten kinds of hashes that nothing here can match."""

_AT_ONCE = 1 << 16  # rows
_MOVED = 1 << 13  # rows, of which each byte's place is told
_WORD = 8  # bytes
_KEY = 8  # bytes
_PAIR = np.dtype([("kind", "<u2"), ("key", "<u8")])


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Records that are no entries, so that an update can replace them.

    Args:
        kinds: Their names, ascending.
        pairs: A row each, ascending and each once: the number of the kind, and 64 bits of a digest
            of the identifier.
    """

    kinds: tuple[str, ...] = ()
    pairs: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, _PAIR))

    def counts(self) -> dict[str, int]:
        """How many identifiers, by kind."""
        numbers = np.bincount(self.pairs["kind"], minlength=len(self.kinds)).tolist()
        return dict(zip(self.kinds, numbers, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """What a feed holds.

    Args:
        lists: By algorithm; the rows of each ordered by hash and identifier, none twice.
        unmatched: By kind of hash.
        skipped: By reason.
    """

    lists: Mapping[Algorithm, HashList] = field(default_factory=dict)
    unmatched: Counted = field(default_factory=Counted)
    skipped: Counted = field(default_factory=Counted)

    def __len__(self) -> int:
        """How many entries."""
        return sum(map(len, self.lists.values()))

    def __bool__(self) -> bool:
        """Whether it holds anything, if only records that are counted."""
        return bool(len(self) or len(self.unmatched.pairs) or len(self.skipped.pairs))

    def digest(self) -> str:
        """SHA-256 (hex): which version this is."""
        made = hashlib.sha256()
        for algorithm in sorted(self.lists):
            made.update(f"{algorithm} {_digest(self.lists[algorithm])}\n".encode())
        for name, counted in (("unmatched", self.unmatched), ("skipped", self.skipped)):
            pairs = hashlib.sha256(counted.pairs.tobytes()).hexdigest()
            made.update(json.dumps([name, counted.kinds, pairs]).encode())
        return made.hexdigest()


def merge(held: Contents, records: Iterable[Held], *, is_whole: bool) -> tuple[Contents, int]:
    """What a feed holds after a batch.

    Args:
        held: What it holds before.
        records: All of the batch.
        is_whole: Whether the batch replaces everything.

    Returns:
        That, and how many entries stood twice in the batch.

    Raises:
        ListRejected: There are too many kinds of hashes, or a reader rejects the batch.
    """
    before = Contents() if is_whole else held
    batch = _Batch(has_earlier=bool(before))
    for record in records:
        batch.add(record)
    lists, doubles = {}, 0
    for algorithm in sorted(before.lists.keys() | batch.rows.keys()):
        earlier = before.lists.get(algorithm)
        parts = [] if earlier is None else [_without(_Rows.of(earlier), batch.replaced(algorithm))]
        if algorithm in batch.rows:  # out of the batch, so that its columns go as others are made
            new = batch.rows.pop(algorithm).rows()
            parts.append(_without(new, batch.withdrawn(algorithm)))
            del new
        rows, repeated = _ordered(parts)
        doubles += repeated
        if len(rows.codes):
            lists[algorithm] = rows.to_list(algorithm)
    keys = np.fromiter(map(_key, batch.identifiers), np.uint64, len(batch.identifiers))
    return Contents(
        lists,
        batch.unmatched.onto(before.unmatched, keys),
        batch.skipped.onto(before.skipped, keys),
    ), doubles


class _Batch:
    """The records of a batch, added up."""

    def __init__(self, *, has_earlier: bool) -> None:
        self.rows: dict[Algorithm, _Growing] = defaultdict(_Growing)
        self.unmatched, self.skipped = _Counting(), _Counting()
        self.identifiers: set[bytes] = set()
        self._has_earlier = has_earlier  # else nothing is there to be replaced
        self._gone: set[bytes] = set()
        self._gone_of: dict[Algorithm, set[bytes]] = defaultdict(set)

    def add(self, record: Held) -> None:
        name = record.entry.encode()
        match record:
            case ListEntry():
                self.rows[record.algorithm].append(record, name)
            case Withdrawn(algorithm=Algorithm() as algorithm):
                self._gone_of[algorithm].add(name)
                return  # its other hashes stay
            case Withdrawn():
                self._gone.add(name)
            case Unmatched():
                self.unmatched.append(record.kind, name)
            case Skipped():
                self.skipped.append(record.why, name)
        if self._has_earlier:
            self.identifiers.add(name)

    def replaced(self, algorithm: Algorithm) -> set[bytes]:
        """Identifiers that lose what they had before."""
        return self.identifiers | self._gone_of.get(algorithm, set())

    def withdrawn(self, algorithm: Algorithm) -> set[bytes]:
        """Identifiers that have nothing in this batch either."""
        return self._gone | self._gone_of.get(algorithm, set())


class _Growing:
    """Entries of one algorithm that become rows."""

    def __init__(self) -> None:
        self._codes, self._text = bytearray(), bytearray()
        self._ends, self._qualities, self._tags = array("q", [0]), array("h"), array("I")
        self._numbers: dict[tuple[str, ...], int] = {}

    def append(self, entry: ListEntry, name: bytes) -> None:
        self._codes += entry.code
        self._text += name
        self._ends.append(len(self._text))
        self._qualities.append(-1 if entry.quality is None else entry.quality)
        self._tags.append(self._numbers.setdefault(entry.tags, len(self._numbers)))

    def rows(self) -> _Rows:
        number = len(self._qualities)
        return _Rows(
            np.frombuffer(self._codes, np.uint8).reshape(number, -1),
            np.frombuffer(self._text, np.uint8),
            np.frombuffer(self._ends, np.int64),
            np.frombuffer(self._qualities, np.int16),
            np.frombuffer(self._tags, np.uint32),
            list(self._numbers),
        )


@dataclass(slots=True, eq=False)
class _Rows:
    """Entries of one algorithm in columns, which are replaced and never changed; see
    :class:`HashList`.

    Args:
        codes: uint8 ``[n, bits / 8]``.
        text: Identifiers in UTF-8, uint8.
        ends: Where each begins, and at last where all end: int64 ``[n + 1]``.
        qualities: int16 ``[n]``.
        tags: Numbers in the table, uint32 ``[n]``.
        table: Different tags.
    """

    codes: Codes
    text: NDArray[np.uint8]
    ends: NDArray[np.int64]
    qualities: NDArray[np.int16]
    tags: NDArray[np.uint32]
    table: list[tuple[str, ...]]

    @classmethod
    def of(cls, made: HashList) -> _Rows:
        numbers: dict[tuple[str, ...], int] = {}
        told = (numbers.setdefault(tags, len(numbers)) for tags in made.tags)
        tags = np.fromiter(told, np.uint32, len(made))
        texts = made.entries
        if not isinstance(texts, Texts):
            encoded = [one.encode() for one in texts]
            ends = np.cumsum([0, *map(len, encoded)])
            texts = Texts(np.frombuffer(b"".join(encoded), np.uint8), ends)
        ends = texts.ends.astype(np.int64, copy=False)
        return cls(made.codes, texts.text, ends, made.qualities, tags, list(numbers))

    def names(self, rows: NDArray[np.int64] | None = None) -> Iterator[bytes]:
        """The identifiers of all or some rows, in UTF-8."""
        chosen = np.arange(len(self.codes)) if rows is None else rows
        for start in range(0, len(chosen), _AT_ONCE):
            some = chosen[start : start + _AT_ONCE]
            if rows is None:  # they lie side by side
                begin = int(self.ends[some[0]])
                text = self.text[begin : int(self.ends[some[-1] + 1])].tobytes()
                ends = (self.ends[some[0] : some[-1] + 2] - begin).tolist()
                yield from (text[a:b] for a, b in itertools.pairwise(ends))
            else:
                for row in some.tolist():
                    yield self.text[int(self.ends[row]) : int(self.ends[row + 1])].tobytes()

    def take(self, rows: NDArray[np.int64]) -> None:
        """Leaves some rows, each once, in an order. No two columns are there twice at a time."""
        ends = np.zeros(len(rows) + 1, np.int64)
        text = np.empty(len(self.text), np.uint8)
        for start in range(0, len(rows), _MOVED):
            some = rows[start : start + _MOVED]
            starts = self.ends[some]
            lengths = self.ends[some + 1] - starts
            begin = int(ends[start])
            np.cumsum(lengths, out=ends[start + 1 : start + len(some) + 1])
            ends[start + 1 : start + len(some) + 1] += begin
            end = int(ends[start + len(some)])
            moved = np.repeat(starts - ends[start : start + len(some)], lengths)
            text[begin:end] = self.text[np.arange(begin, end) + moved]
        self.text, self.ends = text[: ends[-1]], ends
        self.codes = self.codes[rows]
        self.qualities, self.tags = self.qualities[rows], self.tags[rows]

    def to_list(self, algorithm: Algorithm) -> HashList:
        table, tags = self.table, self.tags
        return HashList(
            name="",
            algorithm=algorithm,
            codes=self.codes,
            entries=Texts(self.text, self.ends),
            qualities=self.qualities,
            tags=Lazy(len(tags), lambda row: table[int(tags[row])]),
        )


def _without(rows: _Rows, gone: set[bytes]) -> _Rows:
    """The rows of all identifiers but some."""
    if not gone:
        return rows
    kept = np.fromiter((name not in gone for name in rows.names()), np.bool_, len(rows.codes))
    if not kept.all():
        rows.take(np.flatnonzero(kept))
    return rows


def _joined(parts: Sequence[_Rows]) -> _Rows:
    if len(parts) == 1:
        return parts[0]
    numbers: dict[tuple[str, ...], int] = {}
    tags = []
    for one in parts:
        renamed = [numbers.setdefault(each, len(numbers)) for each in one.table]
        tags.append(np.array(renamed, np.uint32)[one.tags] if renamed else one.tags)
    shifts = np.cumsum([0, *(int(one.ends[-1]) for one in parts[:-1])])
    ends = [one.ends[1:] + shift for one, shift in zip(parts, shifts, strict=True)]
    return _Rows(
        np.concatenate([one.codes for one in parts]),
        np.concatenate([one.text[: int(one.ends[-1])] for one in parts]),
        np.concatenate([[0], *ends]),
        np.concatenate([one.qualities for one in parts]),
        np.concatenate(tags),
        list(numbers),
    )


def _ordered(parts: list[_Rows]) -> tuple[_Rows, int]:
    """All rows by hash and identifier, but those that a later one repeats; how many those are.

    Args:
        parts: Emptied, so that no more than one copy of the columns is kept.
    """
    rows = _joined(parts)
    parts.clear()
    order, is_same = _by_hash(rows.codes)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_same, [False]]).astype(np.int8)))
    dropped: list[int] = []
    for begin, last in edges.reshape(-1, 2).tolist():  # runs of one hash
        same = order[begin : last + 1]
        names = list(rows.names(same))
        by_name = sorted(range(len(same)), key=names.__getitem__)  # stable: the last one counts
        order[begin : last + 1] = same[by_name]
        dropped += [
            begin + n
            for n, (one, other) in enumerate(itertools.pairwise(by_name))
            if names[one] == names[other]
        ]
    order = np.delete(order, dropped)
    if len(order) < len(rows.codes) or not (np.diff(order) > 0).all():
        rows.take(order)
    return rows, len(dropped)


def _by_hash(codes: Codes) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The order of hashes, earlier rows first of equal ones, and which of them equals the next.

    By eight bytes, which tell nearly all of them apart, and only the others by all bytes: it takes
    a quarter of the memory.
    """
    first = np.ascontiguousarray(codes[:, :_WORD]).view(">u8")[:, 0].astype(np.uint64)
    order = np.argsort(first, kind="stable")
    first = first[order]
    is_same = first[1:] == first[:-1]
    pairs = np.flatnonzero(is_same)
    tied = np.union1d(pairs, pairs + 1)
    some = codes[order[tied]]
    padded = np.zeros((len(some), -(-some.shape[1] // _WORD) * _WORD), np.uint8)
    padded[:, : some.shape[1]] = some
    by_all = np.lexsort(padded.view(">u8").T[::-1])  # stable
    order[tied] = order[tied[by_all]]
    some = some[by_all]
    places = np.searchsorted(tied, pairs)
    is_same[pairs] = (some[places] == some[places + 1]).all(axis=1)
    return order, is_same


def _digest(made: HashList) -> str:
    """Of all columns."""
    rows = _Rows.of(made)
    digest = hashlib.sha256(f"{len(rows.codes)} {len(rows.table)}\n".encode())
    for column in (rows.codes, rows.ends, rows.text, rows.qualities.astype("<i2"), rows.tags):
        digest.update(np.ascontiguousarray(column).data)
    digest.update(json.dumps(rows.table).encode())
    return digest.hexdigest()


class _Counting:
    """Records that are counted, of a batch."""

    def __init__(self) -> None:
        self._kinds, self._keys = array("H"), array("Q")
        self._numbers: dict[str, int] = {}

    def append(self, kind: str, name: bytes) -> None:
        number = self._numbers.setdefault(kind, len(self._numbers))
        if number >= MAX_KINDS:
            raise ListRejected(f"more than {MAX_KINDS} kinds of records that are no entries")
        self._kinds.append(number)
        self._keys.append(_key(name))

    def onto(self, before: Counted, replaced: NDArray[np.uint64]) -> Counted:
        """All that is counted, once the batch has replaced what its identifiers had before."""
        kept = before.pairs[~np.isin(before.pairs["key"], replaced)]
        new = np.zeros(len(self._kinds), _PAIR)
        new["kind"], new["key"] = self._kinds, self._keys
        parts = ((before.kinds, kept), (tuple(self._numbers), new))
        used = {names[n] for names, pairs in parts for n in np.unique(pairs["kind"]).tolist()}
        if len(used) > MAX_KINDS:
            raise ListRejected(f"more than {MAX_KINDS} kinds of records that are no entries")
        kinds = tuple(sorted(used))
        for names, pairs in parts:
            places = [kinds.index(name) if name in used else 0 for name in names]
            pairs["kind"] = np.array(places, np.uint16)[pairs["kind"]]
        return Counted(kinds, np.unique(np.concatenate([kept, new])))


def _key(name: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(name, digest_size=_KEY).digest(), "little")
