"""The picture before it was cropped: what was cut off is made up by continuing what is left.

Low frequencies make a PDQ hash. A tenth of a side that is missing shifts them all, while a tenth
that is merely guessed changes some of their signs; how the guess is made tells
:func:`initgate.hashing.parts.continued`. It does for crops of up to a seventh around the middle
and a fifth on one side. Which parts to try was chosen, one after the other, by how many random
crops of photos each adds to those before it: a hash stands an error of some two hundredths of a
side.
"""

from __future__ import annotations

from collections.abc import Iterator

from initgate.model import Family, View
from initgate.views.looks import Look, is_strip
from initgate.views.trimmed import likeliest

# What to add above, left, below and right, in shares of the height and width that are left.
_ALL_ROUND = (0.02, 0.04, 0.065, 0.1, 0.14)
_ONE_SIDE = (0.045, 0.095, 0.16, 0.23)
_OPPOSITE = (0.065, 0.16)  # another shape cut out of the middle: a square, 16:9

_SHARES: tuple[tuple[str, tuple[float, float, float, float]], ...] = (
    *(("all round", (by, by, by, by)) for by in _ALL_ROUND),
    *(("above", (by, 0, 0, 0)) for by in _ONE_SIDE),
    *(("left", (0, by, 0, 0)) for by in _ONE_SIDE),
    *(("below", (0, 0, by, 0)) for by in _ONE_SIDE),
    *(("right", (0, 0, 0, by)) for by in _ONE_SIDE),
    *(("above and below", (by, 0, by, 0)) for by in _OPPOSITE),
    *(("left and right", (0, by, 0, by)) for by in _OPPOSITE),
)


def uncropped(look: Look) -> Iterator[View]:
    """The picture continued on all sides, on one, and on two opposite ones; also without border."""
    yield from _continued(look)
    if inner := likeliest(look):
        yield from _continued(inner)


def _continued(look: Look) -> Iterator[View]:
    if is_strip(look.full):
        return
    height, width = look.full
    for where, (above, before, below, after) in _SHARES:
        box = (
            -round(above * height),
            -round(before * width),
            height + round(below * height),
            width + round(after * width),
        )
        added = max(above, before, below, after)
        yield look.part(f"{Family.UNCROPPED} {where} by {added:.1%}", box)
