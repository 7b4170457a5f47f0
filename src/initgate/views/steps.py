"""Straight steps: the lines, upright or level, along which the light of a picture changes at once.

Where one picture ends and another thing begins, nearly every pixel steps at the same place, over
a length that little within a picture reaches. Few rows show where the upright lines are, and few
columns the level ones: what is written beside a picture seldom steps where it is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from initgate.model import Box, Levels, View
from initgate.views.looks import Look

Shares = NDArray[np.float64]
"""How much of a line steps, 0 to 1."""

SMALLEST_SIDE = 64
"""Pixels of a part, below which its hash means little."""

LONGEST = 4
"""Times its shorter side that a part's longer one may measure."""

_SIDE = 512  # pixels of the shorter side that lines are sought on
_SLENDER = 16  # sides in a ratio beyond this hold no picture worth the time

_STEP = 5  # levels
_SAMPLES = 128  # rows that are looked at for upright lines, columns for level ones
_BLOCK = 4  # of them, within which a line may lie in pieces
_SHORT = 0.12  # of the shorter side
_LINES = 14  # the longest of an axis

_NEAR = 4  # levels that count as one when a ground is sought
_CLEAR = 24  # levels; a higher step counts no more when an edge is placed
_SHARP = 0.75  # of the sharpest step nearby


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """The lines across one axis: upright ones by their x, or level ones by their y.

    Args:
        at: In pixels of the plane, ascending, from its first edge to its last: each before a pixel.
        passed: ``[samples + 1, lines]``: how many of the first samples along a line step.
        apart: Pixels from one sample to the next.
    """

    at: NDArray[np.int64]
    passed: NDArray[np.int64]
    apart: int

    def shares(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> Shares:
        """How much of each line steps between two places: ``[places, lines]``."""
        last = len(self.passed) - 1
        first = np.clip(-(-starts // self.apart), 0, last - 1)
        after = np.clip(ends // self.apart, first + 1, last)
        return (self.passed[after] - self.passed[first]) / (after - first)[:, None]


@dataclass(frozen=True, slots=True, eq=False)
class Net:
    """All lines of a picture.

    Args:
        plane: Where they were found.
        scale: Full pixels of each of its pixels.
        upright: By their x.
        level: By their y.
    """

    plane: Levels
    scale: int
    upright: Lines
    level: Lines

    def ground(self, box: Box) -> float:
        """The share of a part that has its commonest level: of a page it is most."""
        part = self.plane[box[0] : box[2] : 4, box[1] : box[3] : 4]
        counts = np.bincount(part.ravel() // _NEAR, minlength=256 // _NEAR)
        return float((counts[1:] + counts[:-1]).max() / part.size)

    def part(self, look: Look, name: str, box: Box) -> View:
        """The view of a part of the plane, its sides where the full picture has its edges."""
        top, left, bottom, right = (side * self.scale for side in box)
        if self.scale > look.scale:
            top, left, bottom, right = _sharpened(look, (top, left, bottom, right), self.scale)
        height, width = look.full
        return look.part(name, (top, left, min(bottom, height), min(right, width)))


def net(look: Look) -> Net | None:
    """The lines of a picture; None if it is too small or too slender to hold another."""
    if min(look.full) < SMALLEST_SIDE or max(look.full) > _SLENDER * min(look.full):
        return None
    plane, scale = look.grey(_SIDE)
    return Net(plane, scale, _upright(plane), _upright(plane.T))


def _upright(plane: Levels) -> Lines:
    height, width = plane.shape
    apart = max(1, height // _SAMPLES)
    looked_at = np.ascontiguousarray(plane[::apart])
    before, after = looked_at[:, :-1], looked_at[:, 1:]
    rise = np.maximum(before, after) - np.minimum(before, after)
    steps = rise >= _STEP  # and no lower than those beside it
    steps[:, 1:] &= rise[:, 1:] >= rise[:, :-1]
    steps[:, :-1] &= rise[:, :-1] >= rise[:, 1:]
    lengths = _lengths(steps)
    longest = lengths > _SHORT * min(height, width) / apart
    longest[1:] &= lengths[1:] > lengths[:-1]
    longest[:-1] &= lengths[:-1] >= lengths[1:]
    at = np.flatnonzero(longest)
    if len(at) > _LINES:
        at = np.sort(at[np.argsort(-lengths[at], kind="stable")[:_LINES]])
    passed = np.zeros((len(looked_at) + 1, len(at) + 2), np.int64)
    np.cumsum(steps[:, at], axis=0, out=passed[1:, 1:-1])
    passed[:, [0, -1]] = np.arange(len(passed))[:, None]  # the picture's own edges
    return Lines(np.concatenate([[0], at + 1, [width]]), passed, apart)


def _lengths(steps: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The length of the longest line in each column, in samples, what it lacks taken off twice.

    Kadane's sum, taken of blocks: a block counts 1 for each step and -1 for each that is none.
    """
    rows, columns = steps.shape
    blocks = steps[: rows // _BLOCK * _BLOCK].view(np.uint8).reshape(-1, _BLOCK, columns)
    gains = blocks.sum(axis=1, dtype=np.uint8) * np.float32(2) - np.float32(_BLOCK)
    sums = np.zeros((len(gains) + 1, columns), np.float32)
    np.cumsum(gains, axis=0, out=sums[1:])
    lengths: NDArray[np.float32] = (sums - np.minimum.accumulate(sums, axis=0)).max(axis=0)
    return lengths


def _sharpened(look: Look, box: Box, reach: int) -> Box:
    """A box with each side moved to where the full picture steps most, by little."""
    plane, scale = look.grey(min(look.full))
    height, width = plane.shape
    top, left, bottom, right = (-(-side // scale) for side in box)
    bottom, right = min(bottom, height), min(right, width)
    reach = reach // scale + 1
    rows, columns = plane[top:bottom], plane.T[left:right]
    top, left, bottom, right = (
        _edge(columns, top, reach),
        _edge(rows, left, reach),
        height - _edge(columns[:, ::-1], height - bottom, reach),
        width - _edge(rows[:, ::-1], width - right, reach),
    )
    return top * scale, left * scale, bottom * scale, right * scale


def _edge(plane: Levels, at: int, reach: int) -> int:
    """The sharpest upright edge near x = ``at``, the last of several; the plane's own stays."""
    if at <= 0:
        return 0
    first = max(0, at - reach - 1)
    near = plane[:, first : at + reach + 1].astype(np.int16)
    steps = np.minimum(np.abs(np.diff(near, axis=1)), _CLEAR).mean(axis=0)
    if not steps.any():
        return at
    return first + 1 + int(np.flatnonzero(steps >= _SHARP * steps.max())[-1])
