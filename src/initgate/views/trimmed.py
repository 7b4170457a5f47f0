"""Pictures without what was put around them: bars, frames, captions, polaroids, blurred fills.

What stands around a picture may have any colour, a gradient, noise or a text on it. Its inner edge
gives it away: along a straight line most pixels step at once, right beside a strip in which
hardly any pixel does. A sky ends otherwise, and where one does not, the view is one too many.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from initgate.image import to_grey
from initgate.model import Box, Levels, View
from initgate.views.corners import without_corners
from initgate.views.looks import Look

_SIDE = 256  # pixels of the shorter side that lines are sought on
_COARSER = 4  # times fewer, for borders with noise or a texture
_SURER = 0.2  # of the score: what lines of the coarser plane must be ahead
_LEAST = 32  # pixels of a shorter side, below which nothing is sought
_SLENDER = 16  # sides in a ratio beyond this hold no picture worth the time

# How much must step, and how little, was chosen on photos with drawn borders.
# Steps in levels, from white beside off-white to what stands out of noise.
_STEPS = np.array([2, 5, 14, 32], np.uint8)
_LOOSE = 0.35  # share of a line that must step, while its ends are unknown
_FIRM = 0.5  # the same within the picture that the other three sides leave
_QUIET = 0.15  # share that may step in the strip just outside
_BUSY = 0.4  # the same outside on the whole, where a text may stand
_FAINT = 0.2  # share of a line that must step if next to nothing does outside, and less behind it
_SPOTLESS = 0.01  # next to nothing
_RAMP = 0.75  # share that steps behind a line, beyond which that begins a shadow, not a picture

_OUTER = 0.3  # of the score: how much an outermost line is ahead of a deepest one
_RINGING = 32  # of the plane's shorter side, the part in which an edge may ring
_FAINT_STEP = 14  # levels that it may
_DEEPEST = 0.6  # of the picture that one border may take
_REST = 0.2  # of the picture that two must leave
_DEPTH = 3  # borders around each other
_LINES = 3  # candidates a side
_VIEWS = 4
_ODD = 0.3  # of the score: how much two or three sides that make no bars and no frame are behind
_DOUBT = 0.25  # of the score: choices further below the best are no views

_CLEAR = 40  # levels; a higher step counts no more when an edge is placed
_NEAR = 2  # pixels within which two lines, or edges, are one
_BLUR = 2  # pixels over which the edge of an enlarged picture spreads


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
    """Yields up to four views, likeliest first, and one more if its own corners are rounded.

    Args:
        look: The picture.
    """
    yield from look.once(_found)


def likeliest(look: Look) -> Look | None:
    """The likeliest of them as a picture of its own; None if there is no border."""
    for view in look.once(_found):
        if view.box != (0, 0, *look.full):
            return look.cut(view)
    return None


def _found(look: Look) -> list[View]:
    return list(_find(look))


def _find(look: Look) -> Iterator[View]:
    height, width = look.full
    if max(height, width) > _SLENDER * min(height, width):
        return
    grey, scale = look.grey(_SIDE)
    if min(grey.shape) < _LEAST:
        return
    for box in [(0, 0, height, width), *_boxes(look, grey, scale)]:
        filled = without_corners(grey, scale, box)
        if filled is not None:
            yield View(f"{look.name}, trimmed", filled, look.full, scale, box)
        elif box != (0, 0, height, width):
            yield look.part("trimmed", box)


def _boxes(look: Look, grey: Levels, scale: int) -> list[Box]:
    """What may remain, in full pixels, likeliest first."""
    choices = [(choice, grey, scale) for choice in _peeled(grey)]
    coarse = to_grey(grey, _COARSER)
    others = [(choice, coarse, scale * _COARSER) for choice in _peeled(coarse)]
    if _surest(others) > _surest(choices) + _SURER:
        choices = choices[:1] + others + choices[1:]
    boxes: list[Box] = []
    for choice, plane, wide in choices:
        box = _placed(look, choice.box, wide, plane.shape)
        if not any(_are_near(box, other) for other in boxes):
            boxes.append(box)
        if len(boxes) == _VIEWS:
            break
    return boxes


def _surest(choices: list[tuple[_Choice, Levels, int]]) -> float:
    return max((choice.score for choice, _, _ in choices), default=0.0)


def _peeled(grey: Levels) -> list[_Choice]:
    """What may remain, border by border from without; the likeliest of each, then the others."""
    down, across = _steps(grey), _steps(grey.T).T
    box = (0, 0, *grey.shape)
    likeliest: list[_Choice] = []
    others: list[_Choice] = []
    while len(likeliest) < _DEPTH and min(box[2] - box[0], box[3] - box[1]) >= _LEAST:
        choices = _within(down, across, box)
        if not choices:
            break
        likeliest.append(choices[0])
        others.extend(choices[1:])
        box = choices[0].box
        _silence(down, across, box)
    return likeliest + others


def _silence(down: Levels, across: Levels, box: Box) -> None:
    """Forgets the faint steps along a box's edges: lossy files let the edge itself ring there."""
    wide = min(down.shape) // _RINGING
    top, left, bottom, right = box
    for near in (
        down[top : top + wide],
        down[bottom - wide : bottom],
        across[:, left : left + wide],
        across[:, right - wide : right],
    ):
        near[near <= _FAINT_STEP] = 0


def _within(down: Levels, across: Levels, box: Box) -> list[_Choice]:
    """What may remain of a box, likeliest first."""
    loose = _likeliest(_sides(down, across, box, box, _LOOSE), box)
    if not loose:
        return []
    return _likeliest(_sides(down, across, box, loose[0].box, _FIRM), box)


def _are_near(box: Box, other: Box) -> bool:
    """Whether two boxes are the same to a pixel or two."""
    return all(abs(a - b) <= _NEAR for a, b in zip(box, other, strict=True))


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
    counts = np.add.reduce(exceeds, axis=axis + 1, dtype=np.uint16)
    shares: _Shares = np.divide(counts, steps.shape[axis], dtype=np.float32)
    return shares


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
    inward = np.arange(deepest, dtype=np.float32) * (_OUTER / deepest)
    score = np.maximum(jump - calm - outside / 2 - ramp - inward, _FIRM + 0.1)
    for step, at in zip(*np.nonzero(is_line), strict=True):
        yield _Line(int(at) + 1, float(score[step, at]))


def _apart(lines: Iterable[_Line]) -> list[_Line]:
    """The best lines, of neighbours the best one, and none at all."""
    kept: list[_Line] = []
    for line in sorted(lines, key=lambda line: -line.score):
        if all(abs(line.at - other.at) > _NEAR for other in kept):
            kept.append(line)
        if len(kept) == _LINES:
            break
    return [*kept, _NONE]


def _likeliest(found: _Sides, box: Box) -> list[_Choice]:
    """The best choices of a line, or none, for each side of a box.

    The first has the sure lines of the best one alone: a picture's own lines are often fainter.
    """
    top, left, bottom, right = box
    rows = _pairs(found[0], found[2], bottom - top)
    columns = _pairs(found[1], found[3], right - left)
    lines = [
        (above, before, below, after) for (above, below), (before, after) in product(rows, columns)
    ]
    lines.sort(key=_likelihood, reverse=True)
    best = lines[0]
    least = max(line.score for line in best) - _DOUBT
    sure = tuple(line if line.score >= least else _NONE for line in best)
    least = _likelihood(best) - _DOUBT
    chosen = [sure, *(four for four in lines[:_VIEWS] if _likelihood(four) >= least)]
    return [_cut(box, four) for four in dict.fromkeys(chosen) if any(line.at for line in four)]


def _pairs(first: list[_Line], last: list[_Line], size: int) -> list[tuple[_Line, _Line]]:
    """The best choices for two sides that leave enough between them."""
    pairs = [
        pair for pair in product(first, last) if size - pair[0].at - pair[1].at >= _REST * size
    ]
    return sorted(pairs, key=_total, reverse=True)[: _VIEWS + 1]


def _likelihood(lines: Sequence[_Line]) -> float:
    """How likely four lines are together: bars are on one axis, frames on all sides."""
    top, left, bottom, right = (line.at > 0 for line in lines)
    is_odd = (top or bottom) and (left or right) and not (top and left and bottom and right)
    return _total(lines) - is_odd * _ODD


def _total(lines: Iterable[_Line]) -> float:
    return sum(line.score for line in lines)


def _cut(box: Box, lines: Sequence[_Line]) -> _Choice:
    """A box without what is outside of four lines."""
    top, left, bottom, right = (line.at for line in lines)
    rest = (box[0] + top, box[1] + left, box[2] - bottom, box[3] - right)
    return _Choice(rest, _total(lines))


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
