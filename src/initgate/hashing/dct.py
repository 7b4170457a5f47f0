"""The hashes of the ``imagehash`` library: pHash (DCT), dHash, aHash and wHash (Haar wavelet).

64 bits are ``hash_size=8``, 256 bits are ``hash_size=16``; bits run row by row as in
``str(imagehash.ImageHash)``, so that lists made with the library match as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import imagehash
import numpy as np

from initgate.hashing.pdq import ORIENTATIONS
from initgate.image import to_pil
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
    """The eight dihedral variants: name, hash. Each is hashed anew: the library knows no other."""
    grey = np.asarray(to_pil(levels).convert("L"))  # which is the first that the library does
    for name, turn in zip(ORIENTATIONS, _TURNS, strict=True):
        yield name, upright(turn(grey), algorithm)
