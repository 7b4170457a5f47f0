"""Codes for the tests of the index, and brute force to compare with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from initgate.index.hits import Hits
from initgate.model import Codes


def random_codes(seed: int, number: int, bits: int) -> Codes:
    """Codes of evenly drawn bits: uint8 ``[number, bits / 8]``."""
    return np.random.default_rng(seed).integers(0, 256, (number, bits // 8), np.uint8)


def flipped(codes: Codes, distances: NDArray[np.int64], seed: int = 0) -> Codes:
    """Each code with as many of its bits flipped, anywhere, as its distance says."""
    random = np.random.default_rng(seed)
    bits = np.unpackbits(codes, axis=1)
    order = random.random(bits.shape).argsort(axis=1).argsort(axis=1)
    return np.packbits(bits ^ (order < distances[:, None]), axis=1)


def brute_force(codes: Codes, queries: Codes, threshold: int) -> set[tuple[int, int, int]]:
    """Row, query and distance of every pair within the threshold, inclusive."""
    rows = np.unpackbits(codes, axis=1).astype(np.int64)
    asked = np.unpackbits(queries, axis=1).astype(np.int64)
    distances = rows @ (1 - asked).T + (1 - rows) @ asked.T
    near = np.argwhere(distances <= threshold)
    return {(int(row), int(query), int(distances[row, query])) for row, query in near}


def as_set(hits: Hits) -> set[tuple[int, int, int]]:
    """The same of an answer."""
    columns = (hits.rows.tolist(), hits.queries.tolist(), hits.distances.tolist())
    return set(zip(*columns, strict=True))
