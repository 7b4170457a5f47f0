"""The peers' routes: the same question asked of the hash libraries and of numpy, without the gate.

Each takes a picture's file and a list of codes, and returns the rows within the threshold. None
limits an input, looks at transparency or frames, or records anything.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

import imagehash
import numpy as np
import pdqhash
from numpy.typing import NDArray
from PIL import Image

from initgate.model import RGB, Algorithm, Codes

PDQ_THRESHOLD = Algorithm.PDQ.default_threshold
PHASH_THRESHOLD = Algorithm.PHASH64.default_threshold

_BITS_SET = np.array([value.bit_count() for value in range(1 << 16)], np.uint8)


class BruteForce:
    """A list for numpy: XOR, count, compare, over every code.

    The codes lie in columns of 64 bits. Of the layouts tried it is the fastest: four times as
    fast as a code to a row.

    Args:
        codes: uint8 ``[n, bits / 8]``, bits a multiple of 64.
    """

    def __init__(self, codes: Codes) -> None:
        self._columns = np.ascontiguousarray(_words(codes).T)

    def distances(self, code: Codes) -> NDArray[np.uint16]:
        """The Hamming distance to every code, ``[n]``.

        Args:
            code: uint8 ``[bits / 8]``.
        """
        differing = _count(self._columns ^ _words(code)[:, None])
        distances: NDArray[np.uint16] = differing.sum(axis=0, dtype=np.uint16)
        return distances

    def search(self, queries: Iterable[Codes], threshold: int) -> list[NDArray[np.intp]]:
        """Per query, the rows within the threshold (inclusive): one pass over the list each."""
        return [np.flatnonzero(self.distances(code) <= threshold) for code in queries]


def pdq_upright(data: bytes, codes: BruteForce) -> list[NDArray[np.intp]]:
    """Pillow, ``pdqhash.compute`` and one pass: misses any turned or mirrored copy."""
    return codes.search([_pdq(_decode(data))], PDQ_THRESHOLD)


def pdq_dihedral(data: bytes, codes: BruteForce) -> list[NDArray[np.intp]]:
    """Pillow, ``pdqhash.compute_dihedral`` and eight passes."""
    return codes.search(dihedral_hashes(_decode(data)), PDQ_THRESHOLD)


def pdq_turned(data: bytes, codes: BruteForce) -> list[NDArray[np.intp]]:
    """Pillow, ``pdqhash.compute`` of each of the eight turned pictures, and eight passes."""
    return codes.search(turned_hashes(_decode(data)), PDQ_THRESHOLD)


def phash_upright(data: bytes, codes: BruteForce) -> list[NDArray[np.intp]]:
    """Pillow, ``imagehash.phash`` and one pass over 64-bit codes."""
    with Image.open(io.BytesIO(data)) as opened:
        found = imagehash.phash(opened)
    return codes.search([np.packbits(found.hash.flatten())], PHASH_THRESHOLD)


def dihedral_hashes(rgb: RGB) -> list[Codes]:
    """The eight that the library derives from one pass over the pixels."""
    vectors, _ = pdqhash.compute_dihedral(rgb)
    return [np.packbits(vector) for vector in vectors]


def turned_hashes(rgb: RGB) -> list[Codes]:
    """Those of the eight turned pictures, each hashed anew."""
    return [_pdq(turned) for turned in _turned(rgb)]


def _turned(rgb: RGB) -> Iterator[RGB]:
    for quarter_turns in range(4):
        turned = np.rot90(rgb, quarter_turns)
        yield np.ascontiguousarray(turned)
        yield np.ascontiguousarray(turned[:, ::-1])


def _pdq(rgb: RGB) -> Codes:
    vector, _ = pdqhash.compute(rgb)
    return np.packbits(vector)


def _decode(data: bytes) -> RGB:
    with Image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened.convert("RGB"))


def _words(codes: Codes) -> NDArray[np.uint64]:
    return np.ascontiguousarray(codes).view(np.uint64)


def _count(words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """The bits set in each word."""
    if hasattr(np, "bitwise_count"):
        counted: NDArray[np.uint8] = np.bitwise_count(words)
        return counted
    parts = _BITS_SET[words.view(np.uint16)]  # numpy 1 has a table at best
    summed: NDArray[np.uint8] = parts.reshape(*words.shape, 4).sum(axis=-1, dtype=np.uint8)
    return summed
