"""Which entries of a list would refuse honest people, and why. Pure: lists in, findings out.

An entry is at fault if many different pictures have a hash like its own. What only deserves a look,
a quality that is not told or a hash that stands there twice, is noted: real lists are full of it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from initgate.index import make_engine
from initgate.index.flat import Flat
from initgate.index.hits import Engine
from initgate.lists.build import DEFAULT_QUALITY_FLOOR
from initgate.model import Algorithm, Codes, HashList

_AT_ONCE = 1 << 17  # rows whose bits are counted
_SAMPLE = 100_000  # entries that tell a list's share
_ASKED = 20_000  # entries whose neighbours are looked up
_QUERIES = 64  # at once: a list may be nothing but neighbours
_CROWD = 10  # other entries near to one
_LOOKED_AT = 32  # of them
_PERIODS = range(1, 9)  # bytes; those of 1 to 8 bits are among them
_ALIKE = 16  # of so many bits one may differ where a pattern repeats

# Bits of these are compared with their median: half of them are ones, but for terms that are
# equal. Of 8,000 photos, the hashes had half to within 1/256 (PDQ, pHash) or 1/16 (wHash).
_HALVED = {
    Algorithm.PDQ,
    Algorithm.PHASH64,
    Algorithm.PHASH256,
    Algorithm.WHASH64,
    Algorithm.WHASH256,
}
_HALF = (3 / 8, 5 / 8)
_ANY = (1 / 8, 7 / 8)  # of photos' other hashes, 17 to 79 % were ones

# Terms of a cosine transform; of the others, a landscape's rows are alike.
_TERMS = {Algorithm.PDQ, Algorithm.PHASH64, Algorithm.PHASH256}

# Files of which everybody has a copy: nothing, a byte, a line, and pictures of a single pixel that
# web pages are full of.
_TRIVIAL = (
    b"",
    b"\0",
    b"\n",
    b"\r\n",
    *map(
        base64.b64decode,
        (
            "R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==",
            "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
            "R0lGODlhAQABAIAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==",
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=",
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
        ),
    ),
)


class Flaw(StrEnum):
    """What is wrong with an entry, or to be noted about it."""

    PLACEHOLDER = "placeholder"
    """Nothing but zeros or ones, or the digest of a file that everybody has."""

    LOW_QUALITY = "low_quality"
    """A picture with too little structure to be told from others."""

    UNEVEN = "uneven"
    """Few or many ones, where the algorithm makes about half of the bits ones."""

    PATTERN = "pattern"
    """Bits that repeat, as those of stripes, grids and flat pictures."""

    BENIGN = "benign"
    """Within the threshold of a form, page, window or the like, as honest people send."""

    HUB = "hub"
    """Within the threshold of many entries that are far from one another."""

    UNKNOWN_QUALITY = "unknown_quality"
    """Noted: the list does not tell."""

    DUPLICATE = "duplicate"
    """Noted: the same hash stands earlier in the list."""

    @property
    def is_fault(self) -> bool:
        """Whether the entry may refuse honest people, and counts."""
        return self not in {Flaw.UNKNOWN_QUALITY, Flaw.DUPLICATE}


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What was found in a list.

    Args:
        live: Rows that may refuse: searched, not withdrawn, not set to flag.
        rows: Per flaw, the rows that have it; int64, ascending.
        like: Of rows with the flaw ``benign``, what they are like.
        asked: For how many different hashes neighbours were looked up.
    """

    live: NDArray[np.int64]
    rows: Mapping[Flaw, NDArray[np.int64]]
    like: Mapping[int, str]
    asked: int

    @property
    def faulty(self) -> NDArray[np.int64]:
        """The rows at fault, each once."""
        found = [rows for flaw, rows in self.rows.items() if flaw.is_fault]
        return np.unique(np.concatenate([np.zeros(0, np.int64), *found]))

    @property
    def share(self) -> float:
        """The share of what may refuse that is at fault, 0 to 1."""
        return len(self.faulty) / max(1, len(self.live))


def lint(hash_list: HashList, *, threshold: int, benign: HashList) -> Report:
    """Looks at every entry that may refuse; for neighbours, at no more than 20,000.

    Args:
        hash_list: The list, with its quality floor.
        threshold: Within which it refuses, in bits.
        benign: Hashes that no entry should be near to; they are of no use for other algorithms.
    """
    live = _live(hash_list, np.arange(len(hash_list)))
    codes = hash_list.codes[live]
    rows = {
        flaw: live[mask]
        for flaw, mask in _told(hash_list.algorithm, codes, hash_list.qualities[live])
    }
    first = np.unique(_items(codes), return_index=True)[1]
    rows[Flaw.DUPLICATE] = np.delete(live, first)
    like: dict[int, str] = {}
    asked = live[:0]
    if not hash_list.algorithm.is_digest and len(live):
        engine = make_engine(hash_list, threshold=threshold) or Flat(
            np.ascontiguousarray(hash_list.codes)
        )
        is_live = np.zeros(len(hash_list), np.bool_)
        is_live[live] = True
        near = _near(engine, hash_list.algorithm, threshold, benign)
        like = {row: name for row, name in sorted(near.items()) if is_live[row]}
        rows[Flaw.BENIGN] = np.array([*like], np.int64)
        asked = live[_sampled(hash_list, np.sort(first), _ASKED)]
        rows[Flaw.HUB] = _hubs(engine, hash_list, asked, is_live, threshold)
    return Report(live, {flaw: rows[flaw] for flaw in Flaw if flaw in rows}, like, len(asked))


def share(parts: Sequence[HashList], *, threshold: int, benign: HashList) -> float:
    """The share of entries at fault, 0 to 1: quickly, of a sample, without looking for hubs.

    Args:
        parts: A list and what was added to it, with their quality floor.
        threshold: See :func:`lint`, as the next.
        benign: See there.
    """
    total = faulty = 0.0
    for number, one in enumerate(parts):
        live = _live(one, _sampled(one, np.arange(len(one)), _SAMPLE))
        for earlier in parts[:number]:  # after a merge, additions stand in the list as well
            live = live[~_holds(earlier, one.codes[live])]
        if not len(live):
            continue
        codes = np.ascontiguousarray(one.codes[live])
        is_faulty = np.zeros(len(live), np.bool_)
        for flaw, mask in _told(one.algorithm, codes, one.qualities[live]):
            is_faulty |= mask & flaw.is_fault
        if not one.algorithm.is_digest:
            is_faulty[[*_near(Flat(codes), one.algorithm, threshold, benign)]] = True
        weight = len(one) / min(len(one), _SAMPLE)
        total += weight * len(live)
        faulty += weight * int(is_faulty.sum())
    return faulty / total if total else 0.0


def _sampled(hash_list: HashList, items: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many, ascending; the same ones of the same list."""
    if len(items) <= most:
        return items
    random = np.random.default_rng(int(hash_list.digest[:16] or "0", 16))
    return np.sort(random.choice(items, most, replace=False, shuffle=False))


def _live(hash_list: HashList, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of some rows that may refuse."""
    rows = rows[hash_list.is_fit(rows)]
    if hash_list.flagged:
        flagged = np.frombuffer(b"".join(sorted(hash_list.flagged)), np.uint8)
        flagged = flagged.reshape(-1, hash_list.codes.shape[1])
        rows = rows[~np.isin(_items(hash_list.codes[rows]), _items(flagged))]
    if hash_list.removed:
        kept = [row for row in rows.tolist() if hash_list.entries[row] not in hash_list.removed]
        rows = np.array(kept, np.int64)
    return rows


def _holds(hash_list: HashList, codes: Codes) -> NDArray[np.bool_]:
    """Which of some codes an entry has that may refuse."""
    heads = _items(hash_list.codes[:, :8]).view(np.uint64)
    rows = np.flatnonzero(np.isin(heads, _items(codes[:, :8]).view(np.uint64)))
    found: NDArray[np.bool_] = np.isin(
        _items(codes), _items(hash_list.codes[_live(hash_list, rows)])
    )
    return found


def _items(codes: Codes) -> NDArray[np.void]:
    """Each code as one item, to be compared whole."""
    return np.ascontiguousarray(codes).view(f"V{codes.shape[1]}").reshape(-1)


def _told(
    algorithm: Algorithm, codes: Codes, qualities: NDArray[np.int16]
) -> Iterator[tuple[Flaw, NDArray[np.bool_]]]:
    """What an entry tells by itself: each flaw with a mask of the codes."""
    if algorithm.is_digest:
        trivial = [hashlib.new(algorithm, one, usedforsecurity=False).digest() for one in _TRIVIAL]
        known = np.frombuffer(b"".join(trivial), np.uint8).reshape(len(trivial), -1)
        yield Flaw.PLACEHOLDER, _constant(codes) | np.isin(_items(codes), _items(known))
        return
    yield Flaw.PLACEHOLDER, _constant(codes)
    yield Flaw.LOW_QUALITY, (qualities >= 0) & (qualities < DEFAULT_QUALITY_FLOOR)
    yield Flaw.UNKNOWN_QUALITY, qualities < 0
    ones = np.bitwise_count(codes).sum(axis=1) / algorithm.bits
    least, most = _HALF if algorithm in _HALVED else _ANY
    yield Flaw.UNEVEN, (ones < least) | (ones > most)
    if algorithm in _TERMS:
        yield Flaw.PATTERN, _repeating(codes)


def _constant(codes: Codes) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = (codes == codes[:, :1]).all(axis=1)
    return same & np.isin(codes[:, 0], (0, 255))


def _repeating(codes: Codes) -> NDArray[np.bool_]:
    found = np.zeros(len(codes), np.bool_)
    width = codes.shape[1]
    for start in range(0, len(codes), _AT_ONCE):
        some = codes[start : start + _AT_ONCE]
        for period in _PERIODS:
            if period * 4 > width:  # too little is left to compare
                break
            changes = np.bitwise_count(some[:, period:] ^ some[:, :-period]).sum(axis=1)
            found[start : start + _AT_ONCE] |= changes * _ALIKE <= (width - period) * 8
    return found


def _near(engine: Engine, algorithm: Algorithm, threshold: int, benign: HashList) -> dict[int, str]:
    """The rows within the threshold of a benign hash, and the nearest one's name."""
    if algorithm is not benign.algorithm:
        return {}
    hits = engine.search(benign.codes, threshold)
    hits = hits.nearest(hits.distances)
    names = [benign.entries[query] for query in hits.queries.tolist()]
    return dict(zip(hits.rows.tolist(), names, strict=True))


def _hubs(
    engine: Engine,
    hash_list: HashList,
    asked: NDArray[np.int64],
    is_live: NDArray[np.bool_],
    threshold: int,
) -> NDArray[np.int64]:
    """The rows with the code of a hub."""
    found: list[NDArray[np.int64]] = []
    for start in range(0, len(asked), _QUERIES):
        queries = np.ascontiguousarray(hash_list.codes[asked[start : start + _QUERIES]])
        hits = engine.search(queries, threshold)
        hits = hits.only(is_live[hits.rows])
        counts = np.bincount(hits.queries, minlength=len(queries))
        for query in np.flatnonzero(counts > _CROWD):
            own = hits.only(hits.queries == query)
            if _is_hub(hash_list, own.rows[own.distances > 0], threshold):
                found.append(own.rows[own.distances == 0])
    return np.unique(np.concatenate([np.zeros(0, np.int64), *found]))


def _is_hub(hash_list: HashList, near: NDArray[np.int64], threshold: int) -> bool:
    """Whether the neighbours are many entries, most of them far from one another.

    The copies of one picture, and the pictures of a series, are near to one another.
    """
    by_entry = {hash_list.entries[row]: row for row in near.tolist()}
    if len(by_entry) < _CROWD:
        return False
    codes = hash_list.codes[list(by_entry.values())[:_LOOKED_AT]]
    distances = np.bitwise_count(codes[:, None] ^ codes[None]).sum(axis=2)
    pairs = distances[np.triu_indices(len(codes), 1)]
    return bool(np.median(pairs) > threshold)
