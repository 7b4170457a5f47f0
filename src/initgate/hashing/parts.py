"""PDQ of parts of a picture: boxes within one plane, and boxes that reach beyond its edges.

The same sums as in :mod:`initgate.hashing.pdq`, taken further: blur, sampling and DCT of an axis
are one matrix of 16 rows, so that a box costs two small matrix products, and its pixels are
neither cut out nor padded. The bits are those of the box cut out, to within rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from initgate.hashing.pdq import ORIENTATIONS
from initgate.model import View

Terms = NDArray[np.float32]
"""The DCT terms of the four flips of a part: ``[2, 2, 16, 16]``, top to bottom by left to right."""

_SAMPLES = 64
_TERMS = 16
_DCT = np.sqrt(2 / _SAMPLES) * np.cos(
    np.pi / (2 * _SAMPLES) * np.outer(2 * np.arange(_SAMPLES) + 1, np.arange(1, _TERMS + 1))
)

# Sixteen bits a sign say nothing about a part whose strongest term is weaker than that, in levels.
_FLAT = 2.0

# OpenBLAS starts threads for products of more multiplications, which costs more than it gains.
_PRODUCT = 1 << 18


def hash_parts(views: Iterable[View]) -> Iterator[tuple[View, str, bytes]]:
    """The PDQ hashes of the eight turned parts, those of flat ones left out: view, name, hash.

    Args:
        views: Each with a box, and grey.
    """
    structured, found = [], []
    for view in views:
        terms = _terms(view)
        if np.abs(terms[0, 0]).max() >= _FLAT:
            structured.append(view)
            found.append(terms)
    if not found:
        return
    for view, codes in zip(structured, _codes(np.stack(found)), strict=True):
        for name, code in zip(ORIENTATIONS, codes, strict=True):
            yield view, name, code.tobytes()


def _codes(terms: Terms) -> NDArray[np.uint8]:
    """The hashes of all turns: ``[n, 8, 32]`` of terms ``[n, 2, 2, 16, 16]``."""
    flips = terms.reshape(-1, _TERMS * _TERMS)
    middle = flips.shape[1] // 2 - 1
    bits = flips > np.partition(flips, middle, axis=1)[:, middle, None]
    bits = bits.reshape(-1, 1, _TERMS, _TERMS)
    both = np.concatenate([bits, bits.swapaxes(2, 3)], axis=1)  # a flip and its transpose
    return np.packbits(both[..., ::-1, ::-1].reshape(len(terms), 8, -1), axis=2)


def _terms(view: View) -> Terms:
    if view.box is None:
        raise ValueError("the view has no box")
    top, left, bottom, right = view.box
    height, width = view.full or view.levels.shape
    rows, down = _axis(top, bottom, height, view.scale)
    columns, across = _axis(left, right, width, view.scale)
    part = _taken(view.levels, rows, columns)
    halfway = _product(down, part)
    terms = halfway.reshape(2, _TERMS, -1) @ across.reshape(2, 1, _TERMS, -1).swapaxes(2, 3)
    return terms.swapaxes(0, 1).copy()


def _axis(
    start: int, end: int, size: int, scale: int
) -> tuple[NDArray[np.int64] | slice, NDArray[np.float32]]:
    """Which pixels of a shrunk axis a part takes, and the matrix ``[32, pixels]`` over them.

    Args:
        start: Where it begins, in full pixels; below 0 it is mirrored at the edge.
        end: Where it ends, beyond ``size`` likewise.
        size: Full pixels of the axis.
        scale: How many each shrunk one stands for.
    """
    matrix = _matrix(end - start)
    if start >= 0 and end <= size and scale == 1:
        return slice(start, end), matrix
    at = np.arange(start, end)
    at = np.where(at < 0, -1 - at, at)
    at = np.where(at >= size, 2 * size - 1 - at, at) // scale
    firsts = np.flatnonzero(np.diff(at, prepend=-1))
    if len(firsts) < len(at):
        matrix = np.add.reduceat(matrix, firsts, axis=1)
    if start >= 0 and end <= size:
        return slice(int(at[0]), int(at[-1]) + 1), matrix
    return at[firsts], matrix


def _taken(
    plane: NDArray[np.uint8], rows: NDArray[np.int64] | slice, columns: NDArray[np.int64] | slice
) -> NDArray[np.float32]:
    part = plane[rows][:, columns]
    return part.astype(np.float32)


def _product(matrix: NDArray[np.float32], part: NDArray[np.float32]) -> NDArray[np.float32]:
    """``matrix @ part``, in pieces too small for threads."""
    made = np.empty((len(matrix), part.shape[1]), np.float32)
    step = max(1, _PRODUCT // matrix.size)
    for start in range(0, part.shape[1], step):
        piece = slice(start, start + step)
        np.matmul(matrix, part[:, piece], out=made[:, piece])
    return made


@lru_cache(maxsize=512)
def _matrix(size: int) -> NDArray[np.float32]:
    """Blur, sampling and DCT of an axis: ``[32, size]``, from its start and from its end.

    A window of ⌈size / 128⌉ pixels, cut at the edges, averages the axis twice; that is applied to
    the matrix instead, from the DCT backwards, by running sums.
    """
    window = (size + 127) // 128
    forth, back = window // 2, (window - 1) // 2
    at = np.arange(size)
    reach = np.minimum(at + forth, size - 1) - np.maximum(at - back, 0) + 1
    first, after = np.maximum(at - forth, 0), np.minimum(at + back + 1, size)
    made = np.zeros((size, _TERMS))
    np.add.at(made, np.arange(1, 2 * _SAMPLES, 2) * size // (2 * _SAMPLES), _DCT)
    sums = np.zeros((size + 1, _TERMS))
    for _ in range(2):
        np.cumsum(made / reach[:, None], axis=0, out=sums[1:])
        made = sums[after] - sums[first]
    matrix = np.concatenate([made, made[::-1]], axis=1).T.astype(np.float32, order="C")
    matrix.flags.writeable = False
    return matrix
