"""The hashes of the ``imagehash`` library: pHash (DCT), dHash, aHash and wHash (Haar wavelet).

64 bits are ``hash_size=8``, 256 bits are ``hash_size=16``; bits run row by row as in
``str(imagehash.ImageHash)``, so that lists made with the library match as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import imagehash
import numpy as np
from numpy.typing import NDArray

from initgate.hashing.pdq import ORIENTATIONS
from initgate.image import to_grey, to_pil, to_size
from initgate.model import Algorithm, Levels

_FAMILIES: dict[Algorithm, Callable[..., imagehash.ImageHash]] = {
    Algorithm.PHASH64: imagehash.phash,
    Algorithm.PHASH256: imagehash.phash,
    Algorithm.DHASH64: imagehash.dhash,
    Algorithm.DHASH256: imagehash.dhash,
    Algorithm.AHASH64: imagehash.average_hash,
    Algorithm.AHASH256: imagehash.average_hash,
    Algorithm.WHASH64: imagehash.whash,
    Algorithm.WHASH256: imagehash.whash,
}

# To how many pixels a side pHash shrinks the luma before anything else, whatever its shape. (aHash
# does too, but it compares pixels with their mean, where a level of rounding is a bit.)
SHRUNK = {Algorithm.PHASH64: 32, Algorithm.PHASH256: 64}

# numpy's twins of the orientations, in the same order.
_TURNS: tuple[Callable[[Levels], Levels], ...] = (
    lambda a: a,
    lambda a: a.T,
    lambda a: a[:, ::-1],
    lambda a: np.rot90(a, 1),
    lambda a: a[::-1],
    lambda a: np.rot90(a, 3),
    lambda a: np.rot90(a, 2),
    lambda a: np.rot90(a, 2).T,
)


def upright(levels: Levels, algorithm: Algorithm) -> bytes:
    """The hash of a picture as it is, ``algorithm.bits / 8`` bytes."""
    side = {64: 8, 256: 16}[algorithm.bits]
    found = _FAMILIES[algorithm](to_pil(levels), hash_size=side)
    return np.packbits(found.hash.flatten()).tobytes()


def orientations(levels: Levels, algorithm: Algorithm) -> Iterator[tuple[str, bytes]]:
    """The eight dihedral variants: name, hash. Each is hashed anew: the library knows no other.

    Except of pHash, for which the library shrinks any picture to a square. Its terms are those of
    the turned squares, but for their signs and places; and the turned square is the square of the
    turned picture to within rounding.
    """
    grey = to_grey(levels)  # which is the first that the library does
    side = SHRUNK.get(algorithm, 0)
    if 0 < side <= 2 * min(grey.shape):  # of smaller pictures the terms are rounding errors
        square = to_size(grey, (side, side), sharp=True)
        codes = [code.tobytes() for code in _phashes(square, {64: 8, 256: 16}[algorithm.bits])]
    else:
        codes = [upright(turn(grey), algorithm) for turn in _TURNS]
    yield from zip(ORIENTATIONS, codes, strict=True)


def _phashes(square: Levels, side: int) -> NDArray[np.uint8]:
    """The pHashes ``[8, side² / 8]`` of the eight orientations, the first as the library's is."""
    from scipy import fftpack  # noqa: PLC0415  # half a second, for which only some lists ask

    terms = fftpack.dct(fftpack.dct(square, axis=0), axis=1)[:side, :side]
    signs = 1 - 2 * (np.arange(side) % 2)  # of the terms of a mirrored picture
    across, along = terms * signs, signs[:, None]
    flips = np.stack([terms, across, terms * along, across * along])
    bits = flips > np.median(flips, axis=(1, 2), keepdims=True)
    both = np.stack([bits, bits.swapaxes(1, 2)], axis=1)
    return np.packbits(both.reshape(len(ORIENTATIONS), -1), axis=1)
