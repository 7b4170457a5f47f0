"""Pictures within a picture: in a screenshot, on a page, an inset in another one.

A picture is a box of four lines that meet at its corners (the edges of the whole serve as lines,
but not as more than two), with more within than one ground. Every two upright and two level lines
make a box; the steps passed along a line are counted beforehand, so that looking at all is cheap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from initgate.model import Box, Family, View
from initgate.views.looks import Look
from initgate.views.steps import LONGEST, SMALLEST_SIDE, Lines, Net, Shares, net

_SMALLEST = 0.03  # of the picture
_LARGEST = 0.97
_DRAWN = 0.5  # share of each side that steps
_LINES = 2  # at least, that are not the picture's own edges

# What a box is worth, beside the share of its faintest side that steps.
_CROSSED = 0.5  # less, if a line crosses all of it: then it may be two
_JOINED = 0.8  # of that forgiven, if all corners are drawn: then it may have a frame in it
_LINE = 0.05  # more for each side that is not the picture's own edge
_AREA = 0.1  # more for all of the picture
_PLAIN = 0.4  # share of one ground that costs nothing
_WORTH = 0.45

_CORNER = 3  # samples
_CONSIDERED = 24  # boxes
_VIEWS = 6
_ALIKE = 0.95  # of their union that two boxes share


class _Spans(NamedTuple):
    """Every two lines of one axis that a picture may lie between.

    Args:
        first: Which line it begins at.
        last: Which it ends at.
        start: The place of the former, in pixels of the plane.
        end: The place of the latter.
        lines: How many of the two are not the picture's own edges.
        drawn: ``[spans, lines of the other axis]``: how much of those steps between the two.
        cornered: The same of their ends alone, at the worse of the two.
        crossed: ``[spans, lines, lines]``: the most that any steps of those between two others.
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    lines: NDArray[np.int64]
    drawn: Shares
    cornered: Shares
    crossed: Shares


def embedded(look: Look) -> Iterator[View]:
    """Yields up to six views, likeliest first; none of most pictures.

    Args:
        look: The picture.
    """
    found = look.once(net)
    if found is None:
        return
    chosen: list[Box] = []
    for box in _likeliest(found):
        if all(_shared(box, other) <= _ALIKE for other in chosen):
            chosen.append(box)
            yield found.part(look, Family.EMBEDDED, box)
        if len(chosen) == _VIEWS:
            return


def _likeliest(found: Net) -> list[Box]:
    """Boxes of the plane that may be pictures, likeliest first."""
    rows, columns = (
        _spans(found.level, found.upright, found),
        _spans(found.upright, found.level, found),
    )
    # (1) Boxes with four sides: [rows, columns].
    faintest = np.minimum(
        np.minimum(rows.drawn[:, columns.first], rows.drawn[:, columns.last]),
        np.minimum(columns.drawn[:, rows.first], columns.drawn[:, rows.last]).T,
    )
    high, wide = (rows.end - rows.start)[:, None], (columns.end - columns.start)[None]
    area = high * wide / found.plane.size
    lines = rows.lines[:, None] + columns.lines
    row, column = np.nonzero(
        (faintest >= _DRAWN)
        & (lines >= _LINES)
        & (area >= _SMALLEST)
        & (area <= _LARGEST)
        & (np.maximum(high, wide) <= LONGEST * np.minimum(high, wide))
    )
    # (2) What crosses them, and their corners.
    above, below = rows.first[row], rows.last[row]
    before, after = columns.first[column], columns.last[column]
    crossed = np.maximum(rows.crossed[row, before, after], columns.crossed[column, above, below])
    cornered = np.minimum(
        np.minimum(rows.cornered[row, before], rows.cornered[row, after]),
        np.minimum(columns.cornered[column, above], columns.cornered[column, below]),
    )
    worth = faintest[row, column] + _LINE * lines[row, column] + _AREA * area[row, column]
    worth -= _CROSSED * crossed * (1 - _JOINED * cornered)
    # (3) What is in the best of them.
    boxes = np.stack([rows.start[row], columns.start[column], rows.end[row], columns.end[column]])
    left_over = []
    for best in np.argsort(-worth, kind="stable")[:_CONSIDERED]:
        top, left, bottom, right = boxes[:, best].tolist()
        box = (top, left, bottom, right)
        rest = float(worth[best]) - max(0.0, found.ground(box) - _PLAIN)
        if rest >= _WORTH:
            left_over.append((rest, box))
    return [box for _, box in sorted(left_over, key=lambda one: -one[0])]


def _spans(along: Lines, across: Lines, found: Net) -> _Spans:
    first, last = np.triu_indices(len(along.at), 1)
    far = along.at[last] - along.at[first] >= -(-SMALLEST_SIDE // found.scale)
    first, last = first[far], last[far]
    start, end = along.at[first], along.at[last]
    ends = _CORNER * across.apart
    drawn = across.shares(start, end)
    return _Spans(
        first,
        last,
        start,
        end,
        (first > 0).astype(np.int64) + (last < len(along.at) - 1),
        drawn,
        np.minimum(across.shares(start, start + ends), across.shares(end - ends, end)),
        _crossed(drawn),
    )


def _crossed(drawn: Shares) -> Shares:
    """The largest share of any line between two: ``[spans, lines, lines]``."""
    spans, lines = drawn.shape
    most = np.zeros((spans, lines, lines))
    for first in range(lines - 2):
        np.maximum.accumulate(drawn[:, first + 1 : -1], axis=1, out=most[:, first, first + 2 :])
    return most


def _shared(one: Box, other: Box) -> float:
    """How much two boxes have in common, as a share of what they cover."""
    high = min(one[2], other[2]) - max(one[0], other[0])
    wide = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0, high) * max(0, wide)
    return both / (_area(one) + _area(other) - both)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
