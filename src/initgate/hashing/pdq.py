"""PDQ (Meta, 2019): 256 bits of a 64×64 luma DCT, with a quality of 0 to 100.

The same bits as the reference implementation gives. All that PDQ does before its median is linear
and done to each axis alone, so that each of the 64 samples of an axis is a weighted sum of a few
neighbouring rows: no pass over the whole picture, no plane of floating-point numbers beside it.

Reference: "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm",
facebook/ThreatExchange, ``hashing/hashing.pdf``; its C++ rounds the windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from initgate.model import Levels

Luma: TypeAlias = NDArray[np.uint8] | NDArray[np.float32]
"""A luma plane: ``[height, width]``, 0 to 255."""

ORIENTATIONS = (
    "upright",
    "transposed",
    "mirrored",
    "rotated 90",
    "flipped top to bottom",
    "rotated 270",
    "rotated 180",
    "transverse",
)
"""The eight ways to turn a picture, counter-clockwise; what the hashes of a query are named by.

A flip and its transpose, four times: the hash of a transposed picture is the transposed hash.
"""

_SAMPLES = 64
_SMALLEST_SIDE = 5  # the reference gives smaller pictures no hash: all zeros, quality 0
_LUMA = np.array([0.299, 0.587, 0.114])
_DCT = np.sqrt(2 / _SAMPLES) * np.cos(
    np.pi / (2 * _SAMPLES) * np.outer(np.arange(1, 17), 2 * np.arange(_SAMPLES) + 1)
)

# Equal to so many digits is equal. The reference compares the rounding errors of single precision
# where a picture is flat, striped or symmetric; ours of double precision stay below 1e-9, so that
# such a picture has one hash on every machine.
_DIGITS = 6

# Rows first, as they lie in memory; but not of a picture so wide that 128 of its rows are much.
_WIDEST = 8  # times the height

# The weights take 16 bytes for each pixel of a side. Strips must not fill memory with them.
_LONGEST_KEPT = 65_535  # pixels

# Numbers gathered for one call: enough that small pictures take few, and they stay in a cache.
_AT_ONCE = 1 << 17


def upright(picture: Levels | Luma) -> tuple[bytes, int]:
    """The hash of a picture as it is, 32 bytes, and its quality, 0 to 100."""
    _, code, quality = next(orientations(picture))
    return code, quality


def orientations(
    picture: Levels | Luma, *, full: tuple[int, int] | None = None, scale: int = 1
) -> Iterator[tuple[str, bytes, int]]:
    """The hashes of the eight turned pictures, upright first: name, hash, quality.

    Args:
        picture: Colours, greys, or luma of any precision.
        full: Height and width of the picture before it was shrunk. Default: it was not.
        scale: Each pixel of ``picture`` stands for ``scale × scale`` of the full one, those at the
            right and lower edge for what is left: as a JPEG decoder shrinks.

    Raises:
        ValueError: ``picture`` has not the size that ``full`` and ``scale`` make.
    """
    full = full or picture.shape[:2]
    if picture.shape[:2] != tuple(-(-side // scale) for side in full):
        raise ValueError(f"{picture.shape[:2]} is not 1/{scale} of {full}")
    if min(full) < _SMALLEST_SIDE:
        yield from ((name, bytes(32), 0) for name in ORIENTATIONS)
        return
    codes, qualities = _hashes(_samples(picture, full, scale))
    for number, name in enumerate(ORIENTATIONS):
        yield name, codes[number].tobytes(), int(qualities[number // 2])


def _hashes(samples: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The codes ``[8, 32]`` of the orientations and the qualities ``[4]`` of the flips.

    A picture that is flat or striped has no term but 0: its code is all zeros. All such pictures
    have this code, so it tells nothing: its quality is 0.
    """
    terms = np.round(_DCT @ samples @ _DCT.T, _DIGITS)
    middle = terms[0].size // 2 - 1
    median = np.partition(terms.reshape(len(terms), -1), middle)[:, middle]
    bits = (terms > median[:, None, None])[:, ::-1, ::-1]
    both = np.stack([bits, bits.swapaxes(1, 2)], axis=1)
    codes = np.packbits(both.reshape(len(ORIENTATIONS), -1), axis=1)
    return codes, _qualities(samples) * terms.any(axis=(1, 2))


def _qualities(samples: NDArray[np.float64]) -> NDArray[np.int64]:
    """How much neighbouring samples differ, in whole percents of white, ``[4]``."""
    percents = np.zeros(len(samples), np.int64)
    for axis in (1, 2):
        steps = np.abs(np.diff(samples, axis=axis)) * (100 / 255)
        percents += (steps + 0.5 * 10.0**-_DIGITS).astype(np.int64).sum(axis=(1, 2))
    return np.minimum(100, percents // 90)


def _samples(picture: Levels | Luma, full: tuple[int, int], scale: int) -> NDArray[np.float64]:
    """The 64×64 samples of the four flips ``[4, 64, 64]``, in the order of ``ORIENTATIONS``."""
    if picture.shape[1] > _WIDEST * picture.shape[0]:
        flips = _samples(picture.swapaxes(0, 1), full[::-1], scale)
        return flips[[0, 2, 1, 3]].swapaxes(1, 2)
    rows = _sampled(picture, full[0], scale)
    if picture.shape[2:]:  # colours, not luma alone
        # So short a product that no BLAS starts threads for it.
        rows = (rows.reshape(-1, 2 * _SAMPLES, 3) @ _LUMA).reshape(2 * _SAMPLES, -1)
    both = _sampled(np.ascontiguousarray(rows.T), full[1], scale)
    flips = both.reshape(2, _SAMPLES, 2, _SAMPLES).transpose(2, 0, 3, 1)
    return flips.reshape(4, _SAMPLES, _SAMPLES)


def _sampled(plane: NDArray[Any], size: int, scale: int) -> NDArray[np.float64]:
    """The samples of the first axis, 64 as seen from its start and 64 from its end: ``[128, m]``.

    Args:
        plane: ``[n, …]``; what follows is flattened.
        size: Pixels of the axis before it was shrunk.
        scale: How many of them each of the ``n`` stands for.
    """
    plane = plane.reshape(len(plane), -1)
    made = np.empty((2, _SAMPLES, plane.shape[1]))
    done = 0
    for starts, weights in _windows(size, scale):
        pixels = weights.shape[2]
        some = max(1, min(len(starts), _AT_ONCE // (pixels * plane.shape[1])))
        near = np.empty((some, pixels, plane.shape[1]))
        for first in range(0, len(starts), some):
            part = slice(first, first + some)
            for place, start in enumerate(starts[part]):
                near[place] = plane[start : start + pixels]
            used = weights[part]
            out = made[:, done : done + len(used)]
            # Not a matrix product: that would start threads, which costs more than it gains here.
            np.einsum("ksn,kni->ski", used, near[: len(used)], out=out)
            done += len(used)
    made[1] = made[1, ::-1]
    return made.reshape(2 * _SAMPLES, -1)


def _windows(size: int, scale: int) -> Iterator[tuple[list[int], NDArray[np.float64]]]:
    """What samples are sums of: their first pixels, and the weights ``[k, 2, n]`` from those on."""
    if size <= _LONGEST_KEPT:
        yield _kept_weights(size, scale)
    else:
        for number in range(_SAMPLES):
            yield _weights(size, scale, slice(number, number + 1))


@lru_cache(maxsize=64)
def _kept_weights(size: int, scale: int) -> tuple[list[int], NDArray[np.float64]]:
    starts, weights = _weights(size, scale, slice(None))
    weights.flags.writeable = False
    return starts, weights


def _weights(size: int, scale: int, which: slice) -> tuple[list[int], NDArray[np.float64]]:
    """The weights of some of an axis' 64 samples.

    A window of ⌈size / 128⌉ pixels, cut at the edges, averages the axis twice. The result is
    sampled in the middle of each of 64 equal parts. A window of even width reaches one pixel
    further forth than back, so that the samples from the end are other ones.

    Returns:
        The first pixel of each sample, and the weights ``[samples, 2, n]`` of it and the next:
        of the sample from the start, and of the one at the same place from the end.
    """
    window = (size + 127) // 128
    forth = np.array([window // 2, (window - 1) // 2])[:, None, None]
    back = forth[::-1]
    middles = np.arange(1, 2 * _SAMPLES, 2, dtype=np.int64) * size // (2 * _SAMPLES)
    middles = np.stack([middles, size - 1 - middles[::-1]])[:, which, None]

    # (1) The second pass: which averages of the first it takes.
    inner = middles - back + np.arange(window)
    inside = (inner >= 0) & (inner < size)
    # (2) The first pass: from where to where each of them reaches.
    first = np.clip(inner - back, 0, size - 1)
    after = np.clip(inner + forth, 0, size - 1) + 1
    share = inside / (after - first) / inside.sum(axis=2, keepdims=True)
    # (3) One window of shrunk pixels that holds them all.
    starts = first.min(axis=(0, 2)) // scale
    pixels = int(((after.max(axis=(0, 2)) - 1) // scale + 1 - starts).max())
    starts = np.minimum(starts, -(-size // scale) - pixels)
    # (4) The sum of the first pass's windows, by their two edges each.
    edges = np.zeros((*middles.shape[:2], pixels * scale + 1))
    side, sample = np.ogrid[:2, : len(starts)]
    place = side[..., None], sample[..., None]
    origins = (starts * scale)[:, None]
    np.add.at(edges, (*place, first - origins), share)
    np.add.at(edges, (*place, after - origins), -share)
    weights = edges.cumsum(axis=2)[..., :-1].reshape(2, len(starts), pixels, scale).sum(axis=3)
    return starts.tolist(), np.ascontiguousarray(weights.swapaxes(0, 1))
