"""A handful of everyday edits, to see what a threshold still recognises.

A quick look for operators at their own pictures, not the measure of recognition.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from initgate.image import Limits, decode, encode, to_pil
from initgate.model import Levels


def _reencoded(levels: Levels) -> Levels:
    data = encode(levels, "JPEG", quality=40)
    return decode(data, limits=Limits()).pixels[0].levels


def _halved(levels: Levels) -> Levels:
    height, width = levels.shape[:2]
    return np.asarray(to_pil(levels).resize((max(1, width // 2), max(1, height // 2))))


def _brighter(levels: Levels) -> Levels:
    made: Levels = np.minimum(levels * 1.3, 255).astype(np.uint8)
    return made


def _mirrored(levels: Levels) -> Levels:
    return np.ascontiguousarray(levels[:, ::-1])


def _banner(levels: Levels) -> Levels:
    """A black bar with white letters' worth of blocks, over the lower part."""
    made = levels.copy()
    height, width = made.shape[:2]
    made[height * 80 // 100 : height * 92 // 100] = 0
    letters = np.arange(width) * 40 // max(1, width) % 3 > 0
    made[height * 84 // 100 : height * 88 // 100, letters] = 255
    return made


def _captioned(levels: Levels) -> Levels:
    """A white bar with black blocks, below the picture."""
    height, width = levels.shape[:2]
    bar = np.full((max(1, height // 8), *levels.shape[1:]), 255, np.uint8)
    letters = np.arange(width) * 40 // max(1, width) % 3 > 0
    bar[len(bar) // 3 : len(bar) * 2 // 3, letters] = 0
    return np.concatenate([levels, bar])


def _framed(levels: Levels) -> Levels:
    margin = max(1, min(levels.shape[:2]) // 12)
    widths = [(margin, margin)] * 2 + [(0, 0)] * (levels.ndim - 2)
    return np.pad(levels, widths, constant_values=255)


def _cropped(levels: Levels) -> Levels:
    height, width = levels.shape[:2]
    return levels[height // 20 : height - height // 20, width // 20 : width - width // 20].copy()


def _square(levels: Levels) -> Levels:
    height, width = levels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return levels[top : top + side, left : left + side].copy()


EDITS: dict[str, Callable[[Levels], Levels]] = {
    "JPEG quality 40": _reencoded,
    "half size": _halved,
    "brighter by 30 %": _brighter,
    "mirrored": _mirrored,
    "banner over it": _banner,
    "caption below": _captioned,
    "white border": _framed,
    "5 % cut off each side": _cropped,
    "square from the middle": _square,
}
"""Each by name: levels in, levels out."""
