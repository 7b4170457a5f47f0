"""What the different consumers of one image may see: each a whole picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from initgate.image import to_grey
from initgate.model import Box, Levels, Picture, Pixels, View

_T = TypeVar("_T")

_LONGEST = 8  # times the other side


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One whole picture, in which others may stand.

    Args:
        name: Which frame, reading and ground; ``"picture"`` if there is but one.
        levels: Colours or greys.
        full: Height and width before a decoder shrank it.
        scale: Each of ``levels`` stands for ``scale × scale`` pixels of the full picture.
    """

    name: str
    levels: Levels
    full: tuple[int, int]
    scale: int = 1
    _greys: dict[int, Levels] = field(default_factory=dict, init=False)
    _made: dict[Callable[[Look], Any], Any] = field(default_factory=dict, init=False)

    @property
    def whole(self) -> View:
        """All of it, in its colours."""
        return View(self.name, self.levels, self.full, self.scale)

    def grey(self, side: int) -> tuple[Levels, int]:
        """Its luma, shrunk by a power of two as far as ``side`` pixels stay on the shorter side.

        Returns:
            The plane, and for how many full pixels each of its pixels stands, on both axes.
        """
        shrink = 1
        while min(self.full) // (self.scale * shrink * 2) >= side:
            shrink *= 2
        if shrink not in self._greys:
            self._greys[shrink] = to_grey(self.levels, shrink)
        return self._greys[shrink], self.scale * shrink

    def once(self, make: Callable[[Look], _T]) -> _T:
        """What ``make`` makes of it, made once for all who ask."""
        if make not in self._made:
            self._made[make] = make(self)
        made: _T = self._made[make]
        return made

    def part(self, name: str, box: Box, *, side: int = 256) -> View:
        """The view of a part.

        Args:
            name: What it is.
            box: Where it is, in full pixels.
            side: Pixels that its shorter side shall keep, if it has so many.
        """
        share = min(self.full) / min(box[2] - box[0], box[3] - box[1])
        plane, scale = self.grey(round(side * share))
        return View(f"{self.name}, {name}", plane, self.full, scale, box)

    def cut(self, view: View) -> Look:
        """A part of it, from :meth:`part`, as a picture of its own."""
        top, left, bottom, right = view.box or (0, 0, *self.full)
        rows = slice(top // self.scale, -(-bottom // self.scale))
        columns = slice(left // self.scale, -(-right // self.scale))
        size = bottom - top, right - left
        return Look(view.name, self.levels[rows, columns], size, self.scale)


def is_strip(size: tuple[int, int]) -> bool:
    """Whether a height and width are those of no photo, but of something very long and thin."""
    return max(size) > _LONGEST * min(size)


def looks(picture: Picture) -> Iterator[Look]:
    """Yields every look of every frame, one at a time so that memory stays bounded.

    A frame with transparency has four: the colours under the alpha (diffusers drops the alpha),
    the composite on white (transformers' CLIP processor, most viewers), on black (a premultiplied
    resize), and the alpha plane itself, in which a picture may hide.
    """
    for pixels in picture.pixels:
        where = list(_where(pixels))
        for how, levels in _shown(pixels):
            name = ", ".join([*where, *how]) or "picture"
            yield Look(name, levels, pixels.full or levels.shape[:2], pixels.scale)


def _shown(pixels: Pixels) -> Iterator[tuple[list[str], Levels]]:
    yield [], pixels.levels
    if pixels.alpha is not None:
        opacity = _widened(pixels.alpha, pixels.levels)
        on_black = _dimmed(pixels.levels, opacity)
        yield ["on white"], on_black + (255 - opacity)
        yield ["on black"], on_black
        yield ["alpha"], pixels.alpha


def _where(pixels: Pixels) -> Iterator[str]:
    if pixels.frame > 0:
        yield f"frame {pixels.frame}"
    if pixels.reading:
        yield pixels.reading


def _widened(alpha: NDArray[np.uint8], levels: Levels) -> Levels:
    """The alpha of each level: numpy is quicker with it than with one for all three colours."""
    return np.repeat(alpha, levels[0, 0].size).reshape(levels.shape)


def _dimmed(levels: Levels, opacity: Levels) -> Levels:
    """Blends with black, rounding as Pillow's ``alpha_composite`` to within one level."""
    blended = np.multiply(levels, opacity, dtype=np.uint16)
    blended += 127
    blended //= 255
    return blended.astype(np.uint8)
