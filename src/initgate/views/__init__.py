"""Pixels become the views worth hashing: whole pictures, and pictures that stand in them.

A family of views, a file. Orientations are no views here: hash algorithms have cheaper ways to
all eight (see :mod:`initgate.hashing`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from itertools import chain

from initgate.model import Box, Family, Picture, View
from initgate.views.embedded import embedded
from initgate.views.looks import Look, looks
from initgate.views.split import split
from initgate.views.squeezed import squeezed
from initgate.views.tilted import tilted
from initgate.views.toned import toned
from initgate.views.trimmed import trimmed
from initgate.views.uncropped import uncropped

_FINDERS: dict[Family, Callable[[Look], Iterator[View]]] = {
    Family.TRIMMED: trimmed,
    Family.SQUEEZED: squeezed,
    Family.TONED: toned,
    Family.TILTED: tilted,
    Family.UNCROPPED: uncropped,
    Family.EMBEDDED: embedded,
    Family.SPLIT: split,
}

FAST = frozenset({Family.NEGATIVE, Family.TRIMMED})
STANDARD = FAST | {Family.SQUEEZED, Family.TONED, Family.EMBEDDED, Family.SPLIT}
THOROUGH = frozenset(Family)
"""The families that are worth their time, by how much of it there is."""


def views(picture: Picture, families: Collection[Family] = STANDARD) -> Iterator[View]:
    """Yields every view of every frame, one at a time so that memory stays bounded.

    Args:
        picture: What door 1 made.
        families: What to look for beside the whole pictures.
    """
    for look in looks(picture):
        yield replace(look.whole, negative=Family.NEGATIVE in families)
        found = chain.from_iterable(
            _found(look, family, families) for family in _FINDERS if family in families
        )
        yield from _once(found)


def _found(look: Look, family: Family, families: Collection[Family]) -> Iterator[View]:
    # A border may have been put around a negative, too.
    negative = family is Family.TRIMMED and Family.NEGATIVE in families
    for view in _FINDERS[family](look):
        yield replace(view, negative=negative)


def _once(found: Iterable[View]) -> Iterator[View]:
    """Leaves out the boxes of the same look that another finder has found."""
    seen: dict[tuple[int, Box | None], View] = {}  # which also keeps the planes, whose ids count
    for view in found:
        part = (id(view.levels), view.box)
        if part not in seen:
            seen[part] = view
            yield view
