"""The picture that was turned by some degrees, turned back.

Where one colour fills the corners of a turned picture, the straight edges between tell the angle to
a tenth of a degree. Otherwise angles are tried, in steps that a hash stands: it finds its way
back from a degree and a quarter, and from less where parts that were cut off must be made up too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from initgate.hashing.parts import continued
from initgate.image import to_turned
from initgate.model import Family, Levels, View
from initgate.views.looks import Look, is_strip
from initgate.views.trimmed import trimmed

_SIDE = 256  # pixels of the shorter side of the plane on which edges are looked for
_TRIED_SIDE = 128  # the same of the plane that is turned by each angle: the hash needs no more
_MARGIN = 0.3  # of a side: how far a plane is continued, so that nothing black turns in

# Degrees, chosen by how many random turns of photos each adds to those before it.
_KEPT = (2.5, 5.0, 7.5, 10.0, 12.5)
_SAME_SHAPE = (2.5, 4.5, 6.5)
_LARGEST = (2.5, 4.5, 7.0)

_NEAR = 10  # levels by which pixels of one colour differ at most
_FEWEST = 8  # pairs of columns that must tell a side's slope
_BENT = 2.0  # pixels by which a straight edge may leave its line
_SLOPES = (np.tan(np.radians(0.5)), np.tan(np.radians(40.0)))
_APART = 0.7  # degrees by which the sides' angles may differ


@dataclass(frozen=True, slots=True)
class _Tilt:
    """How a picture may have come to be tilted.

    Args:
        degrees: How far it was turned, counter-clockwise.
        full: Its height and width.
        how: What became of the canvas.
    """

    degrees: float
    full: tuple[int, int]
    how: str = ""


def tilted(look: Look) -> Iterator[View]:
    """One for each angle and way to fill the canvas; two more if corners tell the angle."""
    if is_strip(look.full):
        return
    plane, scale = look.grey(_SIDE)
    if degrees := _angle(plane):
        for upright in _turned_back(look, plane, scale, _in_corners(degrees, *look.full)):
            yield upright
            # A border may have been turned with the picture in it.
            yield from trimmed(Look(upright.name, upright.levels, upright.full or (0, 0), scale))
    plane, scale = look.grey(_TRIED_SIDE)
    yield from _turned_back(look, plane, scale, _tried(*look.full))


def _turned_back(look: Look, plane: Levels, scale: int, tilts: Iterator[_Tilt]) -> Iterator[View]:
    above, before = (round(side * _MARGIN) for side in plane.shape)
    floats = continued(continued(plane, above, above).T, before, before).T
    wide = np.rint(floats).astype(np.uint8)
    middle = wide.shape[0] / 2, wide.shape[1] / 2
    for tilt in tilts:
        size = -(-tilt.full[0] // scale), -(-tilt.full[1] // scale)
        upright = to_turned(wide, tilt.degrees, size=size, middle=middle)
        name = f"{look.name}, {Family.TILTED} by {tilt.degrees:.1f}{tilt.how}"
        yield View(name, upright, tilt.full, scale, (0, 0, *tilt.full))


def _in_corners(degrees: float, height: int, width: int) -> Iterator[_Tilt]:
    """A canvas of the picture's size, and one that just holds all of the turned picture."""
    yield _Tilt(degrees, (height, width))
    cos, sin = _cos_sin(abs(degrees))
    full = (
        round((height * cos - width * sin) / (cos**2 - sin**2)),
        round((width * cos - height * sin) / (cos**2 - sin**2)),
    )
    if min(full) > 0:
        yield _Tilt(degrees, full, ", expanded")


def _tried(height: int, width: int) -> Iterator[_Tilt]:
    """Canvases of the picture's size, and pictures that were cropped until no corner showed."""
    for degrees in _KEPT:
        yield from _both_ways(degrees, (height, width), "")
    for degrees in _SAME_SHAPE:
        cos, sin = _cos_sin(degrees)
        more = cos + sin * max(height, width) / min(height, width)
        full = round(height * more), round(width * more)
        yield from _both_ways(degrees, full, ", cropped to its shape")
    for degrees in _LARGEST:
        cos, sin = _cos_sin(degrees)
        full = round(height * cos + width * sin), round(width * cos + height * sin)
        yield from _both_ways(degrees, full, ", cropped")


def _both_ways(degrees: float, full: tuple[int, int], how: str) -> Iterator[_Tilt]:
    yield _Tilt(degrees, full, how)
    yield _Tilt(-degrees, full, how)


def _cos_sin(degrees: float) -> tuple[float, float]:
    return float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))


def _angle(plane: Levels) -> float | None:
    """The angle that two or more sides agree on, in degrees counter-clockwise."""
    level = int(np.median(plane[[0, 0, -1, -1], [0, -1, 0, -1]]))
    sides = plane, plane[::-1], plane.T, plane[:, ::-1].T
    found = []
    for side, sign in zip(sides, (-1, 1, 1, -1), strict=True):
        slope = _slope(_depths(side, level))
        if slope is not None:
            found.append(sign * float(np.degrees(np.arctan(slope))))
    middle = float(np.median(found)) if found else 0.0
    agreeing = [one for one in found if abs(one - middle) <= _APART]
    return float(np.mean(agreeing)) if len(agreeing) > 1 else None


def _depths(plane: Levels, level: int) -> NDArray[np.intp]:
    """How far each column keeps a level from its top; 0 where that is as far as the middle."""
    upper = plane[: (len(plane) + 1) // 2].astype(np.int16)
    differs = np.abs(upper - level) > _NEAR
    depths: NDArray[np.intp] = differs.argmax(axis=0)
    return depths


def _slope(depths: NDArray[np.intp]) -> float | None:
    """The slope of the straight line on which many of the depths lie, if there is one."""
    lag = len(depths) // 4
    starts = np.flatnonzero((depths[lag:] > 0) & (depths[: len(depths) - lag] > 0))
    if len(starts) < _FEWEST:
        return None
    rises = depths[starts + lag] - depths[starts]
    rise = int(np.bincount(rises - rises.min()).argmax() + rises.min())  # the most frequent
    x = starts[rises == rise]
    start = np.median(depths[x] - rise / lag * x)
    x = np.flatnonzero(depths)
    x = x[np.abs(depths[x] - rise / lag * x - start) <= _BENT]
    if len(x) < lag:
        return None
    slope = float(np.polyfit(x, depths[x], 1)[0])
    return slope if _SLOPES[0] <= abs(slope) <= _SLOPES[1] else None
