"""PDQ (Meta, 2019): 256 bits of a 64×64 luma DCT, with a quality of 0 to 100.

``pdqhash`` binds the reference C++ implementation. Reference: "The TMK+PDQF Video-Hashing
Algorithm and the PDQ Image-Hashing Algorithm", facebook/ThreatExchange, ``hashing/hashing.pdf``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pdqhash

from initgate.model import RGB

# Of the eight hashes that compute_dihedral derives from one pass, only the upright and the
# transposed one are those of the turned pixels. The library samples its windows off-centre, so
# that the mirrored ones are up to 100 bits off where a picture has fine texture. Hence one pass
# per flip, of which these two are taken.
_UPRIGHT, _TRANSPOSED = 0, 6
_FLIPS = (
    (np.s_[:, :], ("upright", "transposed")),
    (np.s_[:, ::-1], ("mirrored", "rotated 90")),
    (np.s_[::-1, :], ("flipped top to bottom", "rotated 270")),
    (np.s_[::-1, ::-1], ("rotated 180", "transverse")),
)

ORIENTATIONS = tuple(name for _, names in _FLIPS for name in names)
"""The eight ways to turn a picture, counter-clockwise; what the hashes of a query are named by."""


def upright(rgb: RGB) -> tuple[bytes, int]:
    """The hash of a picture as it is, 32 bytes, and its quality, 0 to 100."""
    vector, quality = pdqhash.compute(rgb)
    return np.packbits(vector).tobytes(), int(quality)


def orientations(rgb: RGB) -> Iterator[tuple[str, bytes, int]]:
    """The hashes of the eight turned pictures, upright first: name, hash, quality."""
    for flip, names in _FLIPS:
        vectors, quality = pdqhash.compute_dihedral(np.ascontiguousarray(rgb[flip]))
        for name, which in zip(names, (_UPRIGHT, _TRANSPOSED), strict=True):
            yield name, np.packbits(vectors[which]).tobytes(), int(quality)
