"""Halves, quarters and cells: pictures that were joined, with or without a gutter between them.

A picture is cut along every line that runs through all of it; what is left is cut again, so that a
grid need not be even. Narrow parts are gutters and margins.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import pairwise, product

import numpy as np

from initgate.model import Box, Family, View
from initgate.views.looks import Look
from initgate.views.steps import LONGEST, SMALLEST_SIDE, Lines, net

_THROUGH = 0.6  # share of the line that steps
_HALFWAY = 0.45  # the same of either half of it
_NARROWEST = 1 / 8  # of the shorter side
_LARGEST = 0.92  # of the picture: less is off than a border
_PLAIN = 0.8  # share of one ground, beyond which a part is no picture
_VIEWS = 12


def split(look: Look) -> Iterator[View]:
    """Yields up to twelve views; none of most pictures.

    Args:
        look: The picture.
    """
    found = look.once(net)
    if found is None:
        return
    height, width = found.plane.shape
    least = max(-(-SMALLEST_SIDE // found.scale), int(_NARROWEST * min(height, width)))
    views = 0
    waiting: deque[Box] = deque([(0, 0, height, width)])
    while waiting:
        whole = waiting.popleft()
        for box in _cells(whole, found.upright, found.level, least):
            waiting.append(box)
            if (box[2] - box[0]) * (
                box[3] - box[1]
            ) <= _LARGEST * found.plane.size and found.ground(box) <= _PLAIN:
                yield found.part(look, Family.SPLIT, box)
                views += 1
            if views == _VIEWS:
                return


def _cells(whole: Box, upright: Lines, level: Lines, least: int) -> Iterator[Box]:
    """What lies between the lines through all of a box, if there are any."""
    top, left, bottom, right = whole
    rows, columns = _cuts(level, top, bottom, left, right), _cuts(upright, left, right, top, bottom)
    for (above, below), (before, after) in product(pairwise(rows), pairwise(columns)):
        box = above, before, below, after
        sides = below - above, after - before
        if box != whole and least <= min(sides) and max(sides) <= LONGEST * min(sides):
            yield box


def _cuts(lines: Lines, first: int, last: int, start: int, end: int) -> list[int]:
    """Where a box is cut across one axis, its own edges included."""
    middle = (start + end) // 2
    places = np.array([[start, end], [start, middle], [middle, end]])
    whole, *halves = lines.shares(places[:, 0], places[:, 1])
    through = (whole >= _THROUGH) & (np.minimum(*halves) >= _HALFWAY)
    through &= (lines.at > first) & (lines.at < last)
    return [first, *lines.at[through].tolist(), last]
