"""The picture that was turned by some degrees, turned back.

Where one colour fills the corners of a turned picture, the legs of the triangles tell the angle to
a tenth of a degree. Elsewhere angles are tried, in steps that a hash stands.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from initgate.hashing.parts import continued
from initgate.image import to_turned
from initgate.model import Family, Levels, View
from initgate.views.looks import Look, is_strip

_SIDE = 256  # pixels of the shorter side of the plane that corners are looked for on
_GRID_SIDE = 128  # the same of the planes that are turned by each angle
_KEPT = (2.5, 5.0, 7.5, 10.0, 12.5)
_SAME_SHAPE = (2.5, 4.5, 6.5)
_LARGEST = (2.5, 4.5, 7.0)
_MARGIN = 0.3  # of a side: how far a plane is continued, so that nothing black turns in

_NEAR = 10  # levels by which a corner's pixels differ at most
_SLOPES = (np.tan(np.radians(0.5)), np.tan(np.radians(40.0)))
_FEWEST = 8  # pairs of columns that must tell a side's slope
_BENT = 2.0  # pixels by which a straight edge may leave its line
_APART = 0.7  # degrees by which the sides' angles may differ


def tilted(look: Look) -> Iterator[View]:
    """One for each angle and way to fill the canvas; two more if the corners tell the angle."""
    if is_strip(look.full):
        return
    plane, scale = look.grey(_SIDE)
    if angle := _angle(plane):
        yield from _in_corners(look, (_widened(plane), scale), angle)
    plane, scale = look.grey(_GRID_SIDE)
    wide = _widened(plane)
    for angle, how, full in _tried(*look.full):
        for turned in (angle, -angle):
            yield _turned(look, f"by {turned:g}{how}", (wide, scale), turned, full)


def _tried(height: int, width: int) -> Iterator[tuple[float, str, tuple[int, int]]]:
    """Angles, how the canvas was filled, and how large the picture was then."""
    for angle in _KEPT:
        yield angle, "", (height, width)
    for angle in _SAME_SHAPE:
        cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        more = cos + sin * max(height, width) / min(height, width)
        yield angle, ", cropped to its shape", (round(height * more), round(width * more))
    for angle in _LARGEST:
        cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        full = round(height * cos + width * sin), round(width * cos + height * sin)
        yield angle, ", cropped", full


def _widened(plane: Levels) -> Levels:
    """Continued on all sides, so that nothing black turns in."""
    above, before = (round(side * _MARGIN) for side in plane.shape)
    wide = continued(continued(plane, above, above).T, before, before).T
    return np.rint(wide).astype(np.uint8)


def _turned(
    look: Look, how: str, wide: tuple[Levels, int], degrees: float, full: tuple[int, int]
) -> View:
    plane, scale = wide
    size = -(-full[0] // scale), -(-full[1] // scale)
    middle = plane.shape[0] / 2, plane.shape[1] / 2
    upright = to_turned(plane, degrees, size=size, middle=middle)
    name = f"{look.name}, {Family.TILTED} {how}"
    return View(name, upright, full, scale, (0, 0, *full))


def _in_corners(look: Look, wide: tuple[Levels, int], degrees: float) -> Iterator[View]:
    """The picture if the canvas was kept, and if it was made as large as the turned picture."""
    yield _turned(look, f"by {degrees:.1f}", wide, degrees, look.full)
    height, width = look.full
    cos, sin = np.cos(np.radians(degrees)), abs(np.sin(np.radians(degrees)))
    full = (
        round((height * cos - width * sin) / (cos**2 - sin**2)),
        round((width * cos - height * sin) / (cos**2 - sin**2)),
    )
    if min(full) > 0:
        yield _turned(look, f"by {degrees:.1f}, expanded", wide, degrees, full)


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
    upper = plane[: len(plane) // 2].astype(np.int16)
    differs = np.abs(upper - level) > _NEAR
    return np.where(differs.any(axis=0), differs.argmax(axis=0), 0)


def _slope(depths: NDArray[np.intp]) -> float | None:
    """The slope of the straight line that many of the depths lie on, if there is one."""
    lag = len(depths) // 4
    starts = np.flatnonzero((depths[lag:] > 0) & (depths[: len(depths) - lag] > 0))
    if len(starts) < _FEWEST:
        return None
    rises = depths[starts + lag] - depths[starts]
    rise = int(np.bincount(rises - rises.min()).argmax()) + int(rises.min())  # the most frequent
    x = starts[rises == rise]
    start = np.median(depths[x] - rise / lag * x)
    x = np.flatnonzero(depths)
    x = x[np.abs(depths[x] - rise / lag * x - start) <= _BENT]
    if len(x) < lag:
        return None
    slope = float(np.polyfit(x, depths[x], 1)[0])
    return slope if _SLOPES[0] <= abs(slope) <= _SLOPES[1] else None
