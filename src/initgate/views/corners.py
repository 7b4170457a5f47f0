"""Rounded corners are filled from within: a quarter circle of ground costs PDQ a good many bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from initgate.model import Box, Levels

_CORNERS = ((1, 1), (1, -1), (-1, 1), (-1, -1))  # steps that lead from each into the picture
_ROUND = 3  # of them must have about one radius
_LEAST = 0.02  # of the shorter side, that radius
_ALIKE = 12  # levels by which a corner's ground differs from its first pixel
_AGREED = 0.75  # share of the ground, and of the outside of a quarter circle, that coincide


def without_corners(grey: Levels, scale: int, box: Box) -> Levels | None:
    """A plane in which a box's rounded corners are filled; None if it has none.

    Args:
        grey: The plane.
        scale: How many full pixels each of its pixels stands for, on both axes.
        box: In full pixels.
    """
    top, left, bottom, right = (round(side / scale) for side in box)
    part = grey[top:bottom, left:right]
    reach = min(part.shape) // 3
    turns = [(slice(None, None, down), slice(None, None, right)) for down, right in _CORNERS]
    radii = [_radius(part[turn][:reach, :reach]) for turn in turns]
    middle = float(np.median(radii))
    even = sum(abs(radius - middle) <= 1 + middle / 8 for radius in radii)
    if middle < _LEAST * min(part.shape) or even < _ROUND:
        return None
    filled = grey.copy()
    centre = round(middle) - 0.5
    y, x = np.mgrid[: round(middle), : round(middle)]
    away = np.hypot(centre - y, centre - x)
    outside = away > centre - 1  # with the pixels that the arc cuts
    back = (centre - 2) / away[outside]
    rows, columns = (
        np.rint(centre - (centre - at[outside]) * back).astype(np.intp) for at in (y, x)
    )
    for turn in turns:
        corner = filled[top:bottom, left:right][turn]
        corner[y[outside], x[outside]] = corner[rows, columns]
    return filled


def _radius(corner: Levels) -> float:
    """The radius of a rounded corner, from the area of its ground; 0 if that has another shape."""
    ground = np.abs(corner.astype(np.int16) - int(corner[0, 0])) <= _ALIKE
    across, down = _run(ground[0]), _run(ground[:, 0])
    if abs(across - down) > 1 + across / 4 or 2 * across > len(corner):
        return 0.0
    ground = np.logical_and.accumulate(ground[: 2 * down, : 2 * across], axis=1)
    ground[down:] = False
    radius = float(np.sqrt(np.count_nonzero(ground) / (1 - np.pi / 4)))
    y, x = np.ogrid[: ground.shape[0], : ground.shape[1]]
    bent = np.hypot(radius - 0.5 - y, radius - 0.5 - x) > radius
    bent &= (y < radius) & (x < radius)
    agreed = np.count_nonzero(bent & ground) >= _AGREED * np.count_nonzero(bent | ground)
    return radius if agreed and radius <= len(corner) else 0.0


def _run(is_ground: NDArray[np.bool_]) -> int:
    """How many of the first are ground."""
    return len(is_ground) if is_ground.all() else int(is_ground.argmin())
