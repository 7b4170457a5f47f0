"""Brute force by FAISS, which compares with every code. The codes stay where they lie.

An ``IndexBinaryFlat`` would copy them; the function under it reads any memory, mapped files too.
"""

from __future__ import annotations

from dataclasses import dataclass

import faiss
import numpy as np

from initgate.index.hits import Hits
from initgate.model import Codes


@dataclass(frozen=True, slots=True, eq=False)
class Flat:
    """Codes, compared one by one.

    Args:
        codes: uint8 ``[n, bits / 8]``, C-contiguous.
    """

    codes: Codes

    def __post_init__(self) -> None:
        if not self.codes.flags.c_contiguous:  # faiss is handed a bare pointer
            raise ValueError("codes must be C-contiguous")

    def search(self, queries: Codes, threshold: int) -> Hits:
        """See :class:`initgate.index.hits.Engine`."""
        number, width = queries.shape
        if width != self.codes.shape[1] or not queries.flags.c_contiguous:
            raise ValueError(f"queries {queries.shape} for codes {self.codes.shape}")
        found = faiss.RangeSearchResult(number)
        # One thread: with OpenMP's default a single query is several times slower, and the host
        # runs torch beside us. The setting is the calling thread's own; put back what was there.
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)
        try:
            faiss.hamming_range_search(  # type: ignore[attr-defined]  # left out of its stubs
                faiss.swig_ptr(queries),
                faiss.swig_ptr(self.codes),
                number,
                len(self.codes),
                threshold + 1,  # faiss compares with <, our thresholds are inclusive
                width,
                found,
            )
        finally:
            faiss.omp_set_num_threads(threads)
        # Copies, by astype: faiss frees its memory with ``found``.
        ends = faiss.rev_swig_ptr(found.lims, number + 1).astype(np.int64)
        return Hits(
            faiss.rev_swig_ptr(found.labels, int(ends[-1])).astype(np.int64),
            np.repeat(np.arange(number), np.diff(ends)),
            faiss.rev_swig_ptr(found.distances, int(ends[-1])).astype(np.int64),
        )
