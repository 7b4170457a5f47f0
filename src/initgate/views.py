"""Pixels become the views worth hashing: what the different consumers of one image may see.

Orientations are no views here: hash algorithms have cheaper ways to all eight
(see :mod:`initgate.hashing`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from initgate.model import RGB, Picture, Pixels, View


def views(picture: Picture) -> Iterator[View]:
    """Yields every view of every frame, one at a time so that memory stays bounded.

    A frame with transparency has four: the colours under the alpha (diffusers drops the alpha),
    the composite on white (transformers' CLIP processor, most viewers), on black (a premultiplied
    resize), and the alpha plane itself, in which a picture may hide.
    """
    for pixels in picture.pixels:
        where = ", ".join(_where(pixels))
        yield View(where or "picture", pixels.rgb)
        if pixels.alpha is not None:
            yield View(_named(where, "on white"), _composite(pixels.rgb, pixels.alpha, 255))
            yield View(_named(where, "on black"), _composite(pixels.rgb, pixels.alpha, 0))
            yield View(_named(where, "alpha"), np.repeat(pixels.alpha[:, :, None], 3, axis=2))


def _where(pixels: Pixels) -> Iterator[str]:
    if pixels.frame > 0:
        yield f"frame {pixels.frame}"
    if pixels.reading:
        yield pixels.reading


def _named(where: str, what: str) -> str:
    return f"{where}, {what}" if where else what


def _composite(rgb: RGB, alpha: NDArray[np.uint8], ground: int) -> RGB:
    """Blends with a grey ground, rounding as Pillow's ``alpha_composite`` to within one level."""
    weight = alpha[:, :, None].astype(np.uint16)
    blended = rgb.astype(np.uint16) * weight + np.uint16(ground) * (np.uint16(255) - weight)
    return ((blended + 127) // 255).astype(np.uint8)
