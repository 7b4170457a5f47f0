"""PDQ (Meta, 2019): 256 bits of a 64×64 luma DCT, with a quality of 0 to 100.

``pdqhash`` binds the reference C++ implementation. Reference: "The TMK+PDQF Video-Hashing
Algorithm and the PDQ Image-Hashing Algorithm", facebook/ThreatExchange, ``hashing/hashing.pdf``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pdqhash

from initgate.model import RGB

# The order in which pdqhash.compute_dihedral returns its eight hashes.
ORIENTATIONS = (
    "upright",
    "rotated 90",
    "rotated 180",
    "rotated 270",
    "flipped top to bottom",
    "mirrored",
    "transposed",
    "transverse",
)


def upright(rgb: RGB) -> tuple[bytes, int]:
    """The hash of a picture as it is, 32 bytes, and its quality, 0 to 100."""
    vector, quality = pdqhash.compute(rgb)
    return np.packbits(vector).tobytes(), int(quality)


def orientations(rgb: RGB) -> Iterator[tuple[str, bytes, int]]:
    """The eight dihedral variants from one pass over the pixels: name, hash, quality."""
    vectors, quality = pdqhash.compute_dihedral(rgb)
    for name, vector in zip(ORIENTATIONS, vectors, strict=True):
        yield name, np.packbits(vector).tobytes(), int(quality)
