"""Pictures without what was put around them: bars, frames, captions, polaroids, blurred fills.

What stands around a picture may have any colour, a gradient, noise or a text on it. Its inner edge
gives it away: along a straight line most pixels step at once, right beside a strip in which
hardly any pixel does. A sky ends otherwise, and where one does not, the view is one too many.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from initgate.image import to_grey
from initgate.model import Box, Levels, View
from initgate.views.looks import Look

_SIDE = 256  # pixels of the shorter side that lines are sought on
_COARSER = 4  # times fewer, for borders with noise or a texture
_SURER = 0.2  # of the score: what these lines must be ahead
_LEAST = 32  # of a side, below which nothing is sought
_SLENDER = 16  # sides in a ratio beyond this hold no picture worth the time

_STEPS = np.array([5, 14, 32], np.uint8)  # levels that count as a step: faint, plain, and beside noise

_QUIET = 0.15  # share of pixels that may step in the strip beside a line
_BUSY = 0.4  # the same outside on the whole, where a text may stand
_LOOSE = 0.35  # share of the line that steps, while its ends are unknown
_FIRM = 0.5
_FAINT = 0.2  # the same beside what has no texture and no text, if less steps behind the line
_SPOTLESS = 0.01  # share that may step there
_RAMP = 0.75  # share that steps behind a line, beyond which that is a shadow's and no picture's
_DEEPEST = 0.6  # of the picture that one border may take
_REST = 0.2  # of the picture that remains between two
_CLEAR = 40  # levels; a higher step counts no more when an edge is placed

_BLUR = 2  # pixels over which an enlarged picture's edge spreads

_LINES = 3  # candidates a side
_VIEWS = 4
_ROUNDED = 0.02  # of the shorter side: least radius of a corner
_CORNERS = ((1, 1), (1, -1), (-1, 1), (-1, -1))
_ROUND = 3  # corners that must have it
_ALIKE = 12  # levels by which a corner's ground differs from its first pixel
_AGREED = 0.75  # share of a corner's ground, and of the quarter circle's outside, that coincide
_DEPTH = 3  # borders around each other
_DOUBT = 0.25  # of the score: choices further below the best are no views


class _Line(NamedTuple):
    """How many pixels a border may take, with the one in which it ends, and how sure that is."""

    at: int
    score: float


_NONE = _Line(0, _FIRM)

_Shares: TypeAlias = NDArray[np.float32]

_Sides: TypeAlias = list[list[_Line]]
"""Candidates for the top, left, bottom and right, best first."""


class _Choice(NamedTuple):
    """What may remain of a plane, in its pixels, and how sure that is."""

    box: Box
    score: float


def trimmed(look: Look) -> Iterator[View]:
    """Yields up to four views, likeliest first; none of most pictures.

    Args:
        look: The picture.
    """
    height, width = look.full
    if max(height, width) > _SLENDER * min(height, width):
        return
    grey, scale = look.grey(_SIDE)
    if min(grey.shape) < _LEAST:
        return
    choices = [(choice, grey, scale) for choice in _peeled(grey)]
    coarse = to_grey(grey, _COARSER)
    if min(coarse.shape) >= _LEAST:
        others = [(choice, coarse, scale * _COARSER) for choice in _peeled(coarse)]
        if others and (not choices or others[0][0].score > choices[0][0].score + _SURER):
            choices = others + choices
    boxes: list[Box] = []
    for choice, plane, wide in choices:
        box = _placed(look, choice.box, wide, plane.shape)
        if len(boxes) < _VIEWS and not any(_alike(box, other) for other in boxes):
            boxes.append(box)
    for box in [(0, 0, *look.full), *boxes]:
        filled = _filled(grey, tuple(round(side / scale) for side in box))
        if filled is not None:
            yield View(f"{look.name}, trimmed", filled, look.full, scale, box)
        elif box in boxes:
            yield look.part("trimmed", box)


def _score(found: _Line | _Choice) -> float:
    return -found.score


def _peeled(grey: Levels) -> list[_Choice]:
    """What may remain, border by border from without; the likeliest of each, then the others."""
    down, across = _steps(grey), _steps(grey.T).T
    box = (0, 0, *grey.shape)
    likeliest: list[_Choice] = []
    others: list[_Choice] = []
    for _ in range(_DEPTH):
        choices = _within(down, across, box)
        if not choices:
            break
        likeliest.append(choices[0])
        others.extend(choices[1:])
        box = choices[0].box
    return likeliest + others


def _within(down: Levels, across: Levels, box: Box) -> list[_Choice]:
    """What may remain of a box, likeliest first."""
    loose = _likeliest(_sides(down, across, box, box, _LOOSE), box)
    if not loose:
        return []
    return _likeliest(_sides(down, across, box, loose[0].box, _FIRM), box)


def _alike(box: Box, other: Box) -> bool:
    """Whether two boxes are the same to a pixel or two."""
    return all(abs(a - b) <= 2 for a, b in zip(box, other, strict=True))


def _steps(plane: Levels) -> Levels:
    """How far each pixel's neighbours above and below differ."""
    steps = np.zeros_like(plane)
    above, below = plane[:-2], plane[2:]
    steps[1:-1] = np.maximum(above, below) - np.minimum(above, below)
    return steps


def _sides(down: Levels, across: Levels, box: Box, part: Box, least: float) -> _Sides:
    """Lines along the four sides of a box, judged by their pixels within a part of it."""
    top, left, bottom, right = box
    first, start, last, end = part
    rows = _both_ends(down[top:bottom, start:end], across[top:bottom, start:end], 1, least)
    columns = _both_ends(across[first:last, left:right], down[first:last, left:right], 0, least)
    return [rows[0], columns[0], rows[1], columns[1]]


def _both_ends(steps: Levels, along: Levels, axis: int, least: float) -> list[list[_Line]]:
    """Lines near the first row, and near the last.

    Args:
        steps: How far the pixels beside each differ, across the lines.
        along: The same along the lines.
        axis: That of the lines: 1 for rows, 0 for columns.
        least: Share of a line that must step.
    """
    jump, busy = _shares(steps, axis), _shares(along, axis)
    forth = _lines(jump, busy, least)
    back = _lines(jump[:, ::-1], busy[:, ::-1], least)
    return [_apart(forth), _apart(back)]


def _shares(steps: Levels, axis: int) -> _Shares:
    """Of each line's pixels the share that exceeds each size of a step: ``[sizes, lines]``."""
    exceeds = (steps > _STEPS[:, None, None]).view(np.uint8)
    return np.add.reduce(exceeds, axis=axis + 1, dtype=np.uint16) / np.float32(steps.shape[axis])


def _lines(jump: _Shares, busy: _Shares, least: float) -> Iterator[_Line]:
    """Lines at which a border may end that begins with the first row.

    Args:
        jump: Share of each row's pixels that step from the row before to the row after.
        busy: Share of them that step along the row.
        least: Share that must step at a line.
    """
    deepest = int(jump.shape[1] * _DEEPEST)
    beyond = jump[:, 3 : deepest + 3]
    jump, busy = jump[:, :deepest], busy[:, :deepest]
    calm, outside = np.zeros_like(jump), np.zeros_like(jump)
    calm[:, 3:] = np.minimum(jump[:, 1:-2], jump[:, :-3])
    calm[:, 1:] = np.maximum(calm[:, 1:], busy[:, :-1])
    outside[:, 1:] = np.cumsum(busy[:, :-1], axis=1) / np.arange(1, deepest, dtype=np.float32)
    is_line = (jump >= least) & (calm <= _QUIET) & (outside <= _BUSY)
    is_faint = (jump >= _FAINT) & (jump >= 2 * beyond)
    is_line |= is_faint & (np.maximum(calm, outside) <= _SPOTLESS)
    is_line[:, 0] = False
    ramp = np.maximum(beyond - _RAMP, 0) / (1 - _RAMP) / 2
    score = np.maximum(jump - calm - outside / 2 - ramp, _FIRM + 0.1)
    for step, at in zip(*np.nonzero(is_line), strict=True):
        yield _Line(int(at) + 1, float(score[step, at]))


def _apart(lines: Iterable[_Line]) -> list[_Line]:
    """The best lines, of neighbours the best one, and none at all."""
    kept: list[_Line] = []
    for line in sorted(lines, key=_score):
        if all(abs(line.at - other.at) > 2 for other in kept):
            kept.append(line)
    return [*kept[:_LINES], _NONE]


def _likeliest(found: _Sides, box: Box) -> list[_Choice]:
    """The best choices of a line, or none, for each side of a box."""
    top, left, bottom, right = box
    rows = _pairs(found[0], found[2], bottom - top)
    columns = _pairs(found[1], found[3], right - left)
    choices = []
    for ((above, below), high), ((before, after), wide) in product(rows, columns):
        if above or below or before or after:
            rest = (top + above, left + before, bottom - below, right - after)
            choices.append(_Choice(rest, high + wide))
    choices.sort(key=_score)
    return [choice for choice in choices[:_VIEWS] if choice.score >= choices[0].score - _DOUBT]


def _pairs(first: list[_Line], last: list[_Line], size: int) -> list[tuple[tuple[int, int], float]]:
    """The best choices for two sides that leave enough between them, with their scores."""
    pairs = [
        ((one.at, other.at), one.score + other.score)
        for one, other in product(first, last)
        if size - one.at - other.at >= _REST * size
    ]
    return sorted(pairs, key=lambda pair: -pair[1])[: _VIEWS + 1]


def _placed(look: Look, box: Box, scale: int, shape: tuple[int, ...]) -> Box:
    """A box in full pixels, its edges placed on the finest plane there is.

    Args:
        look: The picture.
        box: In shrunk pixels. Where it ends within the plane, a step is in the next pixel.
        scale: What each of them stands for.
        shape: The plane's.
    """
    fine = look.scale
    wide = scale // fine
    top, left, bottom, right = (side * wide for side in box)
    placed = [0, 0, *look.full]
    for side, whole in enumerate((0, 0, *shape)):
        if box[side] == whole:
            continue
        at = box[side] - 1 if whole == 0 else box[side]
        near = slice(max(0, (at - 1) * wide), (at + 2) * wide)
        is_row = side % 2 == 0
        strip = look.levels[near, left:right] if is_row else look.levels[top:bottom, near]
        grey = to_grey(strip)
        placed[side] = (near.start + _edge(grey if is_row else grey.T)) * fine
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


def _filled(grey: Levels, box: Box) -> Levels | None:
    """A plane in which a box's rounded corners are filled from within; None if it has none."""
    top, left, bottom, right = box
    part = grey[top:bottom, left:right]
    least, reach = _ROUNDED * min(part.shape), min(part.shape) // 3
    turns = [(slice(None, None, down), slice(None, None, right)) for down, right in _CORNERS]
    radii = [_radius(part[turn][:reach, :reach]) for turn in turns]
    middle = float(np.median(radii))
    even = sum(abs(radius - middle) <= 1 + middle / 8 for radius in radii)
    if middle < least or even < _ROUND:
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
