"""Hash lists become an index that is searched exactly. The one import of faiss.

An index is immutable, holds no thresholds and answers with every entry within the one it is
asked with (inclusive). Perceptual codes lie in one ``IndexBinaryFlat`` per algorithm, which
compares with every code; digests lie in a hash table.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from initgate.model import Algorithm, Codes, Hash, HashList, Match


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a search.

    Args:
        matches: Every entry within its list's threshold, once, at its nearest view; nearest first.
        searched: Names of the lists whose algorithm was among the hashes.
    """

    matches: tuple[Match, ...]
    searched: frozenset[str]


class Index:
    """All loaded lists, ready to be searched.

    Args:
        lists: Each under its own name.
    """

    def __init__(self, lists: Iterable[HashList]) -> None:
        self._by_algorithm: dict[Algorithm, _Flat | _Table] = {}
        ordered = sorted(lists, key=lambda one: one.algorithm)
        for algorithm, same in itertools.groupby(ordered, key=lambda one: one.algorithm):
            self._by_algorithm[algorithm] = (_Table if algorithm.is_digest else _Flat)(list(same))

    @property
    def algorithms(self) -> frozenset[Algorithm]:
        """The algorithms whose hashes are worth computing."""
        return frozenset(self._by_algorithm)

    def search(self, hashes: Sequence[Hash], *, thresholds: Mapping[str, int]) -> Found:
        """Every entry of the named lists within the list's threshold of any of the hashes.

        Args:
            hashes: Of all views of one image, of any algorithms.
            thresholds: Per list, in bits, inclusive. Lists not named are not searched.
        """
        matches: list[Match] = []
        searched: set[str] = set()
        for algorithm, part in self._by_algorithm.items():
            queries = [query for query in hashes if query.algorithm is algorithm]
            asked = {name: thresholds[name] for name in part.names if name in thresholds}
            if queries and asked:
                searched.update(asked)
                matches.extend(part.search(queries, asked))
        return Found(tuple(_nearest_first(matches)), frozenset(searched))


def _nearest_first(matches: Iterable[Match]) -> list[Match]:
    return sorted(matches, key=lambda match: (match.distance, match.list, match.entry, match.view))


class _Rows:
    """Which list and entry a row of concatenated lists is."""

    def __init__(self, lists: Sequence[HashList]) -> None:
        self._lists = lists
        self._starts = np.cumsum([0, *(len(one) for one in lists)])

    def locate(self, row: int) -> tuple[HashList, int]:
        which = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self._lists[which], row - int(self._starts[which])


class _Flat:
    """Perceptual codes of one algorithm, compared one by one."""

    def __init__(self, lists: Sequence[HashList]) -> None:
        self.names = tuple(one.name for one in lists)
        self._rows = _Rows(lists)
        self._faiss = faiss.IndexBinaryFlat(lists[0].algorithm.bits)
        for one in lists:
            self._faiss.add(np.ascontiguousarray(one.codes))

    def search(self, queries: Sequence[Hash], thresholds: Mapping[str, int]) -> Iterable[Match]:
        codes = np.frombuffer(b"".join(query.code for query in queries), np.uint8)
        limits, distances, rows = self._range_search(
            codes.reshape(len(queries), -1), max(thresholds.values())
        )
        best: dict[int, tuple[int, int]] = {}  # row: (distance, query)
        for number in range(len(queries)):
            for hit in range(int(limits[number]), int(limits[number + 1])):
                candidate = (int(distances[hit]), number)
                row = int(rows[hit])
                best[row] = min(best.get(row, candidate), candidate)
        for row, (distance, number) in best.items():
            one, position = self._rows.locate(row)
            if distance <= thresholds.get(one.name, -1):
                yield _match(one, position, distance, queries[number])

    def _range_search(
        self, codes: Codes, threshold: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
        # One thread: with OpenMP's default a single query is several times slower, and the host
        # runs torch beside us. The setting is the calling thread's own; put back what was there.
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)
        try:
            # faiss compares with <, our thresholds are inclusive.
            found: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]] = (
                self._faiss.range_search(codes, threshold + 1)
            )
        finally:
            faiss.omp_set_num_threads(threads)
        return found


class _Table:
    """Digests of one algorithm, looked up whole."""

    def __init__(self, lists: Sequence[HashList]) -> None:
        self.names = tuple(one.name for one in lists)
        self._rows = _Rows(lists)
        self._table: dict[bytes, list[int]] = {}
        codes = itertools.chain.from_iterable(one.codes for one in lists)
        for row, code in enumerate(codes):
            self._table.setdefault(code.tobytes(), []).append(row)

    def search(self, queries: Sequence[Hash], thresholds: Mapping[str, int]) -> Iterable[Match]:
        for query in queries:
            for row in self._table.get(query.code, ()):
                one, position = self._rows.locate(row)
                if one.name in thresholds:
                    yield _match(one, position, 0, query)


def _match(one: HashList, position: int, distance: int, query: Hash) -> Match:
    return Match(
        list=one.name,
        entry=one.entries[position],
        algorithm=one.algorithm,
        distance=distance,
        view=query.view,
        tags=one.tags[position],
    )
