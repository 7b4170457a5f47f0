"""The picture with other tones, which undo what brightening, filters and curves did to them.

A hash of low frequencies stands a change of brightness and contrast, as long as nothing burns out,
and little of a bent curve. Which tones to try was chosen, one after the other, by how many
brightened, contrasted, recoloured and equalised photos each adds to those before it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from initgate.image import to_mean
from initgate.model import Family, Levels, View
from initgate.views.looks import Look

_SIDE = 128  # pixels of the shorter side: the hash needs no more
_RAREST = 0.01  # share at which the tails of the normal distribution end
_SHADE = 2.6  # an exponent


def _normal(shares: NDArray[np.float64]) -> Levels:
    """Shares, 0 to 1, as levels whose distribution is normal if that of the shares is even."""
    most = ndtri(1 - _RAREST)
    scores = ndtri(np.clip(shares, _RAREST, 1 - _RAREST)) / most
    levels: Levels = np.rint(255 * (scores + 1) / 2).astype(np.uint8)
    return levels


_LEVELS = np.arange(256) / 255
_SPREAD = _normal(_LEVELS)
_SHADED: Levels = np.rint(255 * _LEVELS**_SHADE).astype(np.uint8)


def toned(look: Look) -> Iterator[View]:
    """Three: what is nearly white and nearly black drawn apart, equalised, and shaded."""
    grey, scale = look.grey(_SIDE)
    # All colours alike count most when hues were turned.
    mean = to_mean(look.levels, scale // look.scale)
    for name, plane in (
        ("spread", _SPREAD[mean]),
        ("equalised", _normal(_ranks(grey))[grey]),
        ("shaded", _SHADED[grey]),
    ):
        yield View(
            f"{look.name}, {Family.TONED} {name}", plane, look.full, scale, (0, 0, *look.full)
        )


def _ranks(grey: Levels) -> NDArray[np.float64]:
    """Of each level the share of pixels that are darker, and half of those that are as dark."""
    counts = np.bincount(grey.ravel(), minlength=256)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - counts / 2) / grey.size
    return ranks
