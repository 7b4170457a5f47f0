"""Draws pictures that are no photos and are easily taken for one another: forms, pages, windows.

All invented, none copied: words are random syllables, logos are shapes. The same seed gives the
same pictures. :func:`pictures` makes those of the shipped reference of benign hashes, and other
instances of the same families for a benchmark.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from PIL import Image

from drawn import drawings, paper, screens, surfaces
from drawn.pen import FAMILIES

__all__ = ["FAMILIES", "drawings", "family", "paper", "pictures", "screens", "surfaces"]


def pictures(seed: int = 0, *, each: int = 45) -> Iterator[tuple[str, Image.Image]]:
    """Draws some of every family.

    Args:
        seed: 0 gives the shipped reference's pictures, any other one different instances.
        each: How many of a family. Fewer are the first of more.

    Yields:
        ``family-number``, and the picture in RGB.
    """
    for family, draw in FAMILIES.items():
        for number in range(each):
            dice = random.Random(f"{seed} {family} {number}")
            yield f"{family}-{number}", draw(dice).convert("RGB")


def family(name: str) -> str:
    """The family in a picture's name."""
    return name.rpartition("-")[0]
