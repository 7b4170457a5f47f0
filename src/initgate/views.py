"""Pixels become the views worth hashing: what the different consumers of one image may see.

Orientations are no views here: hash algorithms have cheaper ways to all eight
(see :mod:`initgate.hashing`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from initgate.model import Levels, Picture, Pixels, View


def views(picture: Picture) -> Iterator[View]:
    """Yields every view of every frame, one at a time so that memory stays bounded.

    A frame with transparency has four: the colours under the alpha (diffusers drops the alpha),
    the composite on white (transformers' CLIP processor, most viewers), on black (a premultiplied
    resize), and the alpha plane itself, in which a picture may hide.
    """
    for pixels in picture.pixels:
        where = list(_where(pixels))
        for how, levels in _shown(pixels):
            name = ", ".join([*where, *how]) or "picture"
            yield View(name, levels, pixels.full, pixels.scale)


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
