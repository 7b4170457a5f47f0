"""Views and bytes become hashes. One file per family: :mod:`pdq`, :mod:`dct`, :mod:`digest`.

:mod:`parts` is PDQ of parts of a picture.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import numpy as np

from initgate.hashing import dct, digest, pdq
from initgate.hashing.parts import continued, hash_parts
from initgate.model import Algorithm, Family, Hash, Levels, View

# Parts that are hashed together. Until then their planes are held, of all frames of an animation.
_AT_ONCE = 64


def hash_views(views: Iterable[View], algorithms: Collection[Algorithm]) -> list[Hash]:
    """The hashes of all views in all orientations, for a query. Digests are none.

    Args:
        views: They may come one by one: no more than some planes are held.
        algorithms: What to compute.
    """
    hashes: list[Hash] = []
    parts: list[View] = []
    for view in views:
        for algorithm in algorithms:
            if algorithm is Algorithm.PDQ and view.box is not None:
                parts.append(view)
            elif not algorithm.is_digest:
                hashes += hash_orientations(view, algorithm)
        if len(parts) >= _AT_ONCE:
            hashes += _hash_parts(parts)
            parts = []
    return hashes + _hash_parts(parts)


def _hash_parts(parts: list[View]) -> list[Hash]:
    hashes: list[Hash] = []
    for view, name, code in hash_parts(parts):
        made = Hash(Algorithm.PDQ, code, None, _named(view, name))
        hashes.append(made)
        if view.negative:
            hashes.append(_negative(made))
    return hashes


def hash_orientations(view: View, algorithm: Algorithm) -> Iterator[Hash]:
    """The eight dihedral variants of a view, for a query.

    EXIF orientation is one of the eight, so it cannot matter whether a consumer applies it.
    """
    if algorithm is not Algorithm.PDQ:
        for name, code in dct.orientations(_cut_out(view), algorithm):
            yield Hash(algorithm, code, None, _named(view, name))
        return
    for name, code, quality in pdq.orientations(view.levels, full=view.full, scale=view.scale):
        made = Hash(algorithm, code, quality, _named(view, name))
        yield made
        if view.negative and quality:
            yield _negative(made)


def _negative(made: Hash) -> Hash:
    """The hash of the negative: each PDQ term changes its sign, and with it each bit."""
    code = (~np.frombuffer(made.code, np.uint8)).tobytes()
    return Hash(made.algorithm, code, made.quality, f"{made.view}, {Family.NEGATIVE}")


def _cut_out(view: View) -> Levels:
    """The pixels of a part, continued where it reaches beyond the picture."""
    if view.box is None:
        return view.levels
    top, left, bottom, right = (round(side / view.scale) for side in view.box)
    height, width = view.levels.shape
    part = view.levels[max(0, top) : bottom, max(0, left) : right]
    beyond = max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width)
    if not any(beyond):
        return part
    higher = continued(part, *beyond[:2])
    return np.rint(continued(higher.T, *beyond[2:]).T).astype(np.uint8)


def hash_upright(levels: Levels, algorithm: Algorithm) -> Hash:
    """The hash of a picture as it is, for a list entry.

    The quality is PDQ's for every perceptual algorithm: a blank picture makes a poor entry
    whichever hash is taken of it.
    """
    code, quality = pdq.upright(levels)
    if algorithm is not Algorithm.PDQ:
        code = dct.upright(levels, algorithm)
    return Hash(algorithm, code, quality)


def hash_bytes(data: bytes, algorithm: Algorithm) -> Hash:
    """The exact digest of an input's bytes."""
    return Hash(algorithm, digest.digest(data, algorithm), None, "exact bytes")


def _named(view: View, orientation: str) -> str:
    return view.name if orientation == pdq.ORIENTATIONS[0] else f"{view.name}, {orientation}"
