"""PDQ of parts of a picture: boxes within one plane, and boxes that reach beyond its edges.

The same sums as in :mod:`initgate.hashing.pdq`, taken further: blur, sampling and DCT of an axis
are one matrix of 16 rows, so that a box costs two small matrix products, and its pixels are
neither cut out nor padded: how a picture may have gone on beyond its edges is a sum of what is
within them, so that the matrix holds that too. The bits are those of the box cut out, to within
rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from initgate.hashing.pdq import ORIENTATIONS
from initgate.model import Levels, View

Terms: TypeAlias = NDArray[np.float32]
"""The DCT terms of the four flips of a part: ``[2, 2, 16, 16]``, top to bottom by left to right."""

Axis: TypeAlias = tuple[int, int, int, int]
"""A part of an axis: start, end, full size, and full pixels for each shrunk one."""

_SAMPLES = 64
_TERMS = 16
_DCT = np.sqrt(2 / _SAMPLES) * np.cos(
    np.pi / (2 * _SAMPLES) * np.outer(2 * np.arange(_SAMPLES) + 1, np.arange(1, _TERMS + 1))
)

# Beyond its edges a picture goes on as its outermost 1/128, fading within so much of its side.
_EDGE = 128
_FADING = 0.2

# Sixteen bits a sign say nothing about a part whose strongest term is weaker than that, in levels.
_FLAT = 2.0

# OpenBLAS starts threads for products of more multiplications, which costs more than it gains.
_PRODUCT = 1 << 18


def hash_parts(views: Sequence[View]) -> Iterator[tuple[View, str, bytes]]:
    """The PDQ hashes of the eight turned parts, those of flat ones left out: view, name, hash.

    Args:
        views: Each with a box, and grey.
    """
    structured, found = [], []
    halves = _Halves()
    for view in views:
        terms = _terms(view, halves)
        if np.abs(terms[0, 0]).max() >= _FLAT:
            structured.append(view)
            found.append(terms)
    if not found:
        return
    for view, codes in zip(structured, _codes(np.stack(found)), strict=True):
        for name, code in zip(ORIENTATIONS, codes, strict=True):
            yield view, name, code.tobytes()


def continued(plane: NDArray[Any], before: int, after: int) -> NDArray[np.float64]:
    """A plane with rows put before its first and after its last, as they may have gone on.

    Each column goes on with what its outermost 1/128 is on average, which fades into the average
    of the whole column, to 1/e within a fifth of the plane. That is what best foretells a row
    that was cut off, if neighbours are alike and distant ones are not (a first-order
    autoregressive process, the usual model of a picture's rows); the rows in a mirror foretell it
    worse.

    Args:
        plane: ``[n, …]``, of whatever the rows hold.
        before: Rows to put before it.
        after: Rows to put after it.
    """
    middle = plane.mean(axis=0)
    first, last = (plane[edge].mean(axis=0) for edge in _edges(len(plane)))
    fade = [_fading(count, len(plane)).reshape(-1, *[1] * middle.ndim) for count in (before, after)]
    above = middle + fade[0][::-1] * (first - middle)
    below = middle + fade[1] * (last - middle)
    return np.concatenate([above, plane, below])


def _fading(count: int, size: int) -> NDArray[np.float64]:
    """How much of a plane's edge the rows beyond it keep, the nearest first."""
    return np.exp(np.arange(-1, -count - 1, -1) / (_FADING * size))


def _edges(size: int) -> tuple[slice, slice]:
    """The outermost rows, at both ends."""
    thick = max(1, size // _EDGE)
    return slice(thick), slice(size - thick, None)


def _codes(terms: Terms) -> NDArray[np.uint8]:
    """The hashes of all turns: ``[n, 8, 32]`` of terms ``[n, 2, 2, 16, 16]``."""
    flips = terms.reshape(-1, _TERMS * _TERMS)
    middle = flips.shape[1] // 2 - 1
    bits = flips > np.partition(flips, middle, axis=1)[:, middle, None]
    bits = bits.reshape(-1, 1, _TERMS, _TERMS)
    both = np.concatenate([bits, bits.swapaxes(2, 3)], axis=1)  # a flip and its transpose
    return np.packbits(both[..., ::-1, ::-1].reshape(len(terms), 8, -1), axis=2)


class _Halves:
    """The products of rows, of which parts that span the same rows and pixels need but one.

    Planes are told apart by their ids, so that they must outlive this.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, Axis, int, int], NDArray[np.float32]] = {}

    def of(self, plane: Levels, rows: Axis, columns: slice) -> NDArray[np.float32]:
        """The terms of some columns: ``[32, columns]``."""
        key = (id(plane), rows, columns.start, columns.stop)
        if key not in self._kept:
            near, down = _axis(*rows)
            self._kept[key] = _product(down, plane[near, columns].astype(np.float32))
        return self._kept[key]


def _terms(view: View, halves: _Halves) -> Terms:
    if view.box is None:
        raise ValueError("the view has no box")
    top, left, bottom, right = view.box
    height, width = view.full or view.levels.shape
    columns, across = _axis(left, right, width, view.scale)
    halfway = halves.of(view.levels, (top, bottom, height, view.scale), columns)
    terms = _product(across, halfway.T).reshape(2, _TERMS, 2, _TERMS)
    return terms.transpose(2, 0, 3, 1).copy()


@lru_cache(maxsize=192)  # more than one picture has; each is small but of the longest strips
def _axis(start: int, end: int, size: int, scale: int) -> tuple[slice, NDArray[np.float32]]:
    """Which pixels of a shrunk axis a part takes, and the matrix ``[32, pixels]`` over them.

    Args:
        start: Where it begins, in full pixels; before 0 the axis is continued.
        end: Where it ends, beyond ``size`` likewise.
        size: Full pixels of the axis.
        scale: How many each shrunk one stands for.
    """
    matrix = _folded(_matrix(end - start), max(0, -start), max(0, end - size))
    start, end = max(0, start), min(size, end)
    near = slice(start // scale, -(-end // scale))
    if scale > 1:
        firsts = np.maximum(np.arange(near.start, near.stop) * scale - start, 0)
        matrix = np.add.reduceat(matrix, firsts, axis=1)
    return near, matrix


def _folded(matrix: NDArray[np.float32], before: int, after: int) -> NDArray[np.float32]:
    """What a matrix makes of a continued axis, as a matrix over what there is of the axis."""
    size = matrix.shape[1] - before - after
    folded = matrix[:, before : before + size].copy()
    for beyond, edge in zip(
        (matrix[:, :before][:, ::-1], matrix[:, before + size :]), _edges(size), strict=True
    ):
        fading = beyond @ _fading(beyond.shape[1], size).astype(np.float32)
        folded += ((beyond.sum(axis=1) - fading) / size)[:, None]
        thick = folded[:, edge]
        thick += (fading / thick.shape[1])[:, None]
    return folded


def _product(matrix: NDArray[np.float32], part: NDArray[np.float32]) -> NDArray[np.float32]:
    """``matrix @ part``, in pieces too small for threads."""
    made = np.empty((len(matrix), part.shape[1]), np.float32)
    step = max(1, _PRODUCT // matrix.size)
    for start in range(0, part.shape[1], step):
        piece = slice(start, start + step)
        np.matmul(matrix, part[:, piece], out=made[:, piece])
    return made


@lru_cache(maxsize=16)  # each takes 128 bytes for each pixel of a full side
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
