"""Views and bytes become hashes. One file per family: :mod:`pdq`, :mod:`dct`, :mod:`digest`."""

from __future__ import annotations

from collections.abc import Iterator

from initgate.hashing import dct, digest, pdq
from initgate.model import Algorithm, Hash, Levels, View


def hash_orientations(view: View, algorithm: Algorithm) -> Iterator[Hash]:
    """The eight dihedral variants of a view, for a query.

    EXIF orientation is one of the eight, so it cannot matter whether a consumer applies it.
    """
    if algorithm is Algorithm.PDQ:
        for name, code, quality in pdq.orientations(view.levels, full=view.full, scale=view.scale):
            yield Hash(algorithm, code, quality, _named(view, name))
    else:
        for name, code in dct.orientations(view.levels, algorithm):
            yield Hash(algorithm, code, None, _named(view, name))


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
