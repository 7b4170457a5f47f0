"""Hash lists become an index that is searched exactly.

An index is immutable, holds no thresholds and answers with every entry within the one it is
asked with (inclusive). :mod:`initgate.index.cost` chooses how: short lists are compared code by
code (``flat``, the one import of faiss), long ones looked up by bands of their bits (``banded``),
digests by their beginnings (``digests``). A list out of a ``snapshot`` brings its own engine. Short
lists of one algorithm are searched as one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from initgate.index.banded import Banded, Postings
from initgate.index.cost import choose
from initgate.index.digests import Digests
from initgate.index.flat import Flat
from initgate.index.hits import Engine
from initgate.model import Action, Algorithm, Hash, HashList, Match

# Codes. Each engine that is asked costs as much as comparing with a tenth of so many.
_ALONE = 200_000


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a search.

    Args:
        matches: Every entry within its list's threshold, once, at the view that lies deepest within
            it; nearest first. What several lists hold is told for each of them.
        searched: Names of the lists whose algorithm was among the hashes.
    """

    matches: tuple[Match, ...]
    searched: frozenset[str]


class Index:
    """All loaded lists, ready to be searched.

    Args:
        lists: Several may share a name: a list and what was added to it since it was made.
        thresholds: Per list, what it will mostly be asked with; default: its algorithm's. It
            matters to speed alone.
    """

    def __init__(
        self, lists: Iterable[HashList], *, thresholds: Mapping[str, int] | None = None
    ) -> None:
        self._parts: list[_Part] = []
        ordered = sorted(lists, key=lambda one: one.algorithm)
        for algorithm, same in itertools.groupby(ordered, key=lambda one: one.algorithm):
            self._parts += _parts(algorithm, list(same), thresholds or {})

    @property
    def algorithms(self) -> frozenset[Algorithm]:
        """The algorithms whose hashes are worth computing."""
        return frozenset(part.algorithm for part in self._parts)

    def search(
        self,
        hashes: Sequence[Hash],
        *,
        thresholds: Mapping[str, int],
        offsets: Mapping[str, Sequence[int]] | None = None,
    ) -> Found:
        """Every entry of the named lists within the list's threshold of any of the hashes.

        Args:
            hashes: Of all views of one image, of any algorithms.
            thresholds: Per list, in bits, inclusive. Lists not named are not searched.
            offsets: Per list, for each of the hashes, bits that are added to the threshold: 0 or
                less. Default: none.
        """
        matches: list[Match] = []
        searched: set[str] = set()
        for part in self._parts:
            which = [n for n, query in enumerate(hashes) if query.algorithm is part.algorithm]
            asked = {name: thresholds[name] for name in part.names if name in thresholds}
            if which and asked:
                searched.update(asked)
                queries = [hashes[n] for n in which]
                added = {
                    name: np.array(each)[which]
                    for name, each in (offsets or {}).items()
                    if name in asked
                }
                matches.extend(part.search(queries, asked, added))
        # An entry that stands in a list twice is told once.
        return Found(tuple(_nearest_first(dict.fromkeys(matches))), frozenset(searched))


def make_engine(hash_list: HashList, *, threshold: int) -> Engine | None:
    """What searches a list by itself; None if it is so short that it may share an engine.

    Args:
        hash_list: A list.
        threshold: What it is mostly asked with, in bits.
    """
    if isinstance(hash_list.engine, Engine):
        return hash_list.engine
    codes = np.ascontiguousarray(hash_list.codes)
    if hash_list.algorithm.is_digest:
        return Digests.of(codes)
    layout = choose(len(codes), hash_list.algorithm.bits, threshold)
    return None if layout is None else Banded(codes, Postings.of(codes, layout))


def _parts(
    algorithm: Algorithm, lists: Sequence[HashList], thresholds: Mapping[str, int]
) -> Iterator[_Part]:
    """Lists of one algorithm with what searches them; short ones share an engine."""
    asked = {one.name: thresholds.get(one.name, algorithm.default_threshold) for one in lists}
    short, scanned = [], []
    for one in lists:
        if one.engine is None and len(one) < _ALONE and not algorithm.is_digest:
            short.append(one)
            continue
        match make_engine(one, threshold=asked[one.name]):
            case None:
                short.append(one)
            case Flat() as engine:
                scanned.append(_Part(algorithm, engine, [one]))
            case engine:
                yield _Part(algorithm, engine, [one])
    # Together, lists that are short may be so long that bands pay.
    joined = [*short, *(one for part in scanned for one in part.lists)]
    if not joined:
        return
    most = max(asked[one.name] for one in joined)
    layout = choose(sum(map(len, joined)), algorithm.bits, most)
    if layout is not None:
        codes = np.concatenate([one.codes for one in joined])
        yield _Part(algorithm, Banded(codes, Postings.of(codes, layout)), joined)
        return
    yield from scanned
    if short:
        yield _Part(algorithm, Flat(np.concatenate([one.codes for one in short])), short)


def _nearest_first(matches: Iterable[Match]) -> list[Match]:
    return sorted(matches, key=lambda match: (match.distance, match.list, match.entry, match.view))


class _Part:
    """One or more lists of one algorithm behind one engine, which sees them joined."""

    def __init__(self, algorithm: Algorithm, engine: Engine, lists: Sequence[HashList]) -> None:
        self.algorithm = algorithm
        self.names = tuple(one.name for one in lists)
        self._engine = engine
        self.lists = lists
        self._starts = np.cumsum([0, *(len(one) for one in lists)])

    def search(
        self,
        queries: Sequence[Hash],
        thresholds: Mapping[str, int],
        offsets: Mapping[str, NDArray[np.int64]],
    ) -> Iterable[Match]:
        codes = np.frombuffer(b"".join(query.code for query in queries), np.uint8)
        codes = codes.reshape(len(queries), -1)
        hits = self._engine.search(codes, max(thresholds.values()))
        if not len(hits.rows):
            return
        hits = hits.only(hits.rows.argsort(kind="stable"))
        for which, one in enumerate(self.lists):
            if one.name not in thresholds:
                continue
            start, end = np.searchsorted(hits.rows, self._starts[which : which + 2])
            own = hits.only(slice(int(start), int(end)))
            lengths = own.distances
            if one.name in offsets:  # the nearest view may be one of a tighter threshold
                lengths = lengths - offsets[one.name][own.queries]
            within = lengths <= thresholds[one.name]
            own = own.only(within).nearest(lengths[within])
            rows = own.rows - self._starts[which]
            for hit in np.flatnonzero(one.is_fit(rows)):
                query = queries[int(own.queries[hit])]
                match = _match(one, int(rows[hit]), int(own.distances[hit]), query)
                if match.entry not in one.removed:
                    yield match


def _match(one: HashList, row: int, distance: int, query: Hash) -> Match:
    is_flagged = bool(one.flagged) and one.codes[row].tobytes() in one.flagged
    return Match(
        list=one.name,
        entry=one.entries[row],
        algorithm=one.algorithm,
        distance=distance,
        view=query.view,
        tags=one.tags[row],
        action=Action.FLAG if is_flagged else Action.REFUSE,
        code=query.code,
    )
