"""Pictures without what was put around them: bars, frames, captions, polaroids, blurred fills.

What stands around a picture may have any colour, a gradient, noise or a text on it. Its inner edge
gives it away: along a straight line most pixels step at once, right beside a strip in which
hardly any pixel does. A sky ends otherwise, and where one does not, the view is one too many.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from initgate.image import to_grey
from initgate.model import Box, Levels, View
from initgate.views.looks import Look

_SIDE = 256  # pixels of the shorter side that lines are sought on
_LEAST = 32  # of a side, below which nothing is sought
_SLENDER = 16  # sides in a ratio beyond this hold no picture worth the time

_STEPS = (5, 14, 32)  # levels that count as a step: faint, plain, and beside noise

_QUIET = 0.15  # share of pixels that may step in the strip beside a line
_BUSY = 0.25  # the same outside on the whole, where a text may stand
_LOOSE = 0.35  # share of the line that steps, while its ends are unknown
_FIRM = 0.5
_DEEPEST = 0.6  # of the picture that one border may take
_REST = 0.2  # of the picture that remains between two
_CLEAR = 40  # levels; a higher step counts no more when an edge is placed

_BLUR = 2  # pixels over which an enlarged picture's edge spreads

_LINES = 3  # candidates a side
_VIEWS = 4


class _Line(NamedTuple):
    """Where a border may end, in pixels from its side, and how sure that is."""

    at: int
    score: float


_Sides: TypeAlias = list[list[_Line]]
"""Candidates for the top, left, bottom and right, best first."""


def trimmed(look: Look) -> Iterator[View]:
    """Yields up to four views, likeliest first; none of most pictures.

    Args:
        look: The picture.
    """
    grey, scale = look.grey(_SIDE)
    if min(grey.shape) < _LEAST or max(grey.shape) > _SLENDER * min(grey.shape):
        return
    down, across = _steps(grey), _steps(grey.T).T
    height, width = grey.shape
    found = _sides(down, across, (0, 0, height, width), _LOOSE)
    if not any(found):
        return
    first = [lines[0].at if lines else 0 for lines in found]
    found = _sides(down, across, _inside(first, height, width), _FIRM)
    for ends in _likeliest(found, height, width):
        yield look.part("trimmed", _placed(look, ends, scale, _inside(ends, height, width)))


def _steps(plane: Levels) -> Levels:
    """How far each pixel's neighbours above and below differ."""
    steps = np.zeros_like(plane)
    above, below = plane[:-2], plane[2:]
    steps[1:-1] = np.maximum(above, below) - np.minimum(above, below)
    return steps


def _inside(ends: list[int], height: int, width: int) -> Box:
    """What remains when so many pixels are taken from the top, left, bottom and right."""
    top, left, bottom, right = ends
    return top, left, height - bottom, width - right


def _sides(down: Levels, across: Levels, box: Box, least: float) -> _Sides:
    """Lines along the four sides, judged by their pixels within a box."""
    top, left, bottom, right = box
    rows = _both_ends(down[:, left:right], across[:, left:right], least)
    columns = _both_ends(across[top:bottom].T, down[top:bottom].T, least)
    return [rows[0], columns[0], rows[1], columns[1]]


def _both_ends(steps: Levels, along: Levels, least: float) -> tuple[list[_Line], list[_Line]]:
    """Lines near the first row, and near the last, at each size of a step."""
    ends: tuple[list[_Line], list[_Line]] = [], []
    for step in _STEPS:
        jump = np.count_nonzero(steps > step, axis=1) / steps.shape[1]
        busy = np.count_nonzero(along > step, axis=1) / steps.shape[1]
        ends[0].extend(_lines(jump, busy, least))
        ends[1].extend(_lines(jump[::-1], busy[::-1], least))
    return _apart(ends[0]), _apart(ends[1])


def _lines(
    jump: NDArray[np.float64], busy: NDArray[np.float64], least: float
) -> Iterator[_Line]:
    """Lines at which a border may end that begins with the first row.

    Args:
        jump: Share of each row's pixels that step from the row before to the row after.
        busy: Share of them that step along the row.
        least: Share that must step at a line.
    """
    deepest = int(len(jump) * _DEEPEST)
    jump, busy = jump[:deepest], busy[:deepest]
    calm = np.zeros(deepest)
    calm[3:] = np.minimum(jump[1:-2], jump[:-3])
    calm[1:] = np.maximum(calm[1:], busy[:-1])
    outside = np.zeros(deepest)
    outside[1:] = np.cumsum(busy[:-1]) / np.arange(1, deepest)
    is_line = (jump >= least) & (calm <= _QUIET) & (outside <= _BUSY)
    for at in np.flatnonzero(is_line):
        yield _Line(int(at), float(jump[at] - calm[at] - outside[at]))


def _apart(lines: list[_Line]) -> list[_Line]:
    """The best lines, of neighbours the best one."""
    kept: list[_Line] = []
    for line in sorted(lines, key=lambda line: -line.score):
        if all(abs(line.at - other.at) > 2 for other in kept):
            kept.append(line)
    return kept[:_LINES]


def _likeliest(found: _Sides, height: int, width: int) -> list[list[int]]:
    """The best choices of a line, or none, for each side."""
    choices = []
    for chosen in product(*[[*lines, _Line(0, _FIRM)] for lines in found]):
        ends = [line.at for line in chosen]
        top, left, bottom, right = _inside(ends, height, width)
        if any(ends) and bottom - top >= _REST * height and right - left >= _REST * width:
            choices.append((sum(line.score for line in chosen), ends))
    choices.sort(key=lambda choice: -choice[0])
    return [ends for _, ends in choices[:_VIEWS]]


def _placed(look: Look, ends: list[int], scale: int, box: Box) -> Box:
    """The box in full pixels, its edges placed on the finest plane there is.

    Args:
        look: The picture.
        ends: How many shrunk pixels each side lost; 0 leaves it where it is.
        scale: What each of them stands for.
        box: What remains, in shrunk pixels.
    """
    fine = look.scale
    wide = scale // fine
    top, left, bottom, right = (side * wide for side in box)
    placed = [0, 0, *look.full]
    for side, end in enumerate(ends):
        if end == 0:
            continue
        at = box[side] if side < 2 else box[side] - 1  # the pixel in whose middle the step is
        near = slice(max(0, (at - 1) * wide), (at + 2) * wide)
        strip = look.levels[near, left:right] if side % 2 == 0 else look.levels[top:bottom, near]
        grey = to_grey(strip)
        placed[side] = (near.start + _edge(grey if side % 2 == 0 else grey.T)) * fine
    return placed[0], placed[1], placed[2], placed[3]


def _edge(strip: Levels) -> int:
    """The row at which a strip steps: the first one beyond."""
    steps = np.abs(np.diff(strip.astype(np.int16), axis=0))
    strength = np.minimum(steps, _CLEAR).mean(axis=1)
    highest = int(strength.argmax())
    first = max(0, highest - _BLUR)
    around = strength[first : highest + _BLUR + 1] - np.median(strength)
    weights = np.maximum(around, 0)
    if not weights.any():
        return highest + 1
    return 1 + first + round(float(np.average(np.arange(len(weights)), weights=weights)))
