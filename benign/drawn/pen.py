"""What all drawings share: a pen, colours, words of no language, sizes."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour: TypeAlias = tuple[int, int, int]
Place: TypeAlias = tuple[float, float]
Dice: TypeAlias = random.Random
Draw: TypeAlias = Callable[[Dice], Image.Image]
Shares: TypeAlias = NDArray[np.floating]

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
_FONTS = Path(mpl.get_data_path()) / "fonts/ttf"
_SYLLABLES = (
    *("ba", "de", "fi", "go", "lu", "ma", "ne", "pi", "ro", "su", "ta", "ve", "wi", "xo", "za"),
    *("ken", "dor", "mil", "sha", "tri", "ul", "an", "ex", "or", "in"),
)

FAMILIES: dict[str, Draw] = {}
"""A function for each kind of picture: dice in, picture out."""


def kind(draw: Draw) -> Draw:
    """Makes a function a family of its own, called like it."""
    FAMILIES[draw.__name__.strip("_").replace("_", "-")] = draw
    return draw


def canvas(size: tuple[int, int], ground: Colour = WHITE) -> tuple[Image.Image, Pen]:
    """An empty picture, and the pen to draw on it."""
    image = Image.new("RGB", size, ground)
    return image, Pen(image)


class Pen(ImageDraw.ImageDraw):
    """Draws text and boxes by their upper left corner and size."""

    def box(
        self,
        corner: Place,
        size: Place,
        fill: Colour | None = None,
        *,
        outline: Colour | None = None,
        width: int = 1,
        radius: float = 0,
    ) -> None:
        """A rectangle, its corners rounded if wanted."""
        (x, y), (w, h) = corner, size
        if w >= 1 and h >= 1:
            radius = min(radius, w / 2 - 1, h / 2 - 1)
            self.rounded_rectangle((x, y, x + w, y + h), max(0, radius), fill, outline, width)

    def write(
        self,
        corner: Place,
        text: str,
        size: float,
        fill: Colour = BLACK,
        *,
        bold: bool = False,
        mono: bool = False,
        centred: bool = False,
    ) -> float:
        """A line of text; returns its width."""
        face = font("Mono" if mono else "", int(max(6, size)), bold=bold)
        width = face.getlength(text)
        x, y = corner
        self.text((x - width / 2 if centred else x, y), text, fill, face)
        return width

    def disc(self, centre: Place, radius: float, fill: Colour | None = None, **more: Any) -> None:
        """A circle, filled or not."""
        x, y = centre
        self.ellipse((x - radius, y - radius, x + radius, y + radius), fill, **more)


@lru_cache(256)
def font(kind: str, size: int, *, bold: bool) -> ImageFont.FreeTypeFont:
    """DejaVu, of a size in pixels."""
    file = _FONTS / f"DejaVuSans{kind}{'-Bold' if bold else ''}.ttf"
    # The basic layout: the other depends on a library that is not everywhere.
    return ImageFont.truetype(str(file), size, layout_engine=ImageFont.Layout.BASIC)


def grey(level: float) -> Colour:
    """A grey of a level, 0 to 255."""
    return (int(level),) * 3


def colour(dice: Dice, low: int = 0, high: int = 255) -> Colour:
    """Any colour whose channels lie between two levels."""
    return dice.randint(low, high), dice.randint(low, high), dice.randint(low, high)


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """A colour between two, by the share of the second."""
    r, g, b = (round(x + (y - x) * share) for x, y in zip(one, other, strict=True))
    return r, g, b


def word(dice: Dice) -> str:
    """A word of no language."""
    return "".join(dice.choice(_SYLLABLES) for _ in range(dice.randint(1, 4)))


def words(dice: Dice, number: int) -> str:
    """Some words, the first with a capital."""
    return " ".join(word(dice) for _ in range(number)).capitalize()


def digits(dice: Dice, number: int) -> str:
    """Some digits."""
    return "".join(dice.choice("0123456789") for _ in range(number))


def paragraphs(  # noqa: PLR0917  # as write, and where to end
    pen: Pen,
    dice: Dice,
    corner: Place,
    size: Place,
    letters: float,
    fill: Colour = BLACK,
) -> None:
    """Paragraphs of text that fill a box."""
    x, y = corner
    end = y + size[1]
    left = dice.randint(2, 9)  # lines of the paragraph
    while y + letters <= end:
        share = 1.0 if left else dice.uniform(0.2, 0.9)
        text = words(dice, 2)
        face = font("", int(max(6, letters)), bold=False)
        while face.getlength(text + " " + (more := word(dice))) < size[0] * share:
            text += " " + more
        pen.write((x, y), text, letters, fill)
        y += letters * (1.5 if left else 2.2)
        left = left - 1 if left else dice.randint(2, 9)


def page_size(dice: Dice) -> tuple[int, int]:
    """Paper, upright, in one of the two usual shapes."""
    width = dice.choice([480, 600, 720])
    return width, round(width * dice.choice([math.sqrt(2), 11 / 8.5]))


def screen_size(dice: Dice) -> tuple[int, int]:
    """A screen, in one of the usual shapes."""
    return dice.choice([(960, 540), (800, 500), (1024, 768), (840, 525)])


def phone_size(dice: Dice) -> tuple[int, int]:
    """A phone's screen, upright."""
    return dice.choice([(360, 640), (390, 844), (360, 780), (412, 732)])


def theme(dice: Dice) -> tuple[Colour, Colour, Colour]:
    """Ground, ink and an accent: light or dark."""
    accent = colour(dice, 30, 220)
    if dice.random() < 0.5:
        return grey(dice.randint(238, 255)), grey(dice.randint(10, 60)), accent
    return grey(dice.randint(14, 42)), grey(dice.randint(200, 245)), accent


def grid(size: tuple[int, int]) -> tuple[Shares, Shares]:
    """Rows and columns, 0 to 1."""
    y, x = np.mgrid[0 : 1 : complex(size[1]), 0 : 1 : complex(size[0])]
    return y, x


def shaded(shares: Shares, stops: list[Colour]) -> Image.Image:
    """A picture of colours in between some, by a share of 0 to 1 for each pixel."""
    places = np.linspace(0, 1, len(stops))
    channels = [np.interp(shares, places, [stop[one] for stop in stops]) for one in range(3)]
    return Image.fromarray(np.rint(np.stack(channels, axis=-1)).astype(np.uint8))


def polygon(dice: Dice, centre: Place, radius: float, corners: int, jitter: float) -> list[Place]:
    """A polygon about a centre; the jitter, 0 to 1, says how unlike a regular one."""
    turn = dice.uniform(0, math.tau)
    made = []
    for number in range(corners):
        angle = turn + math.tau * number / corners
        reach = radius * dice.uniform(1 - jitter, 1)
        made.append((centre[0] + reach * math.cos(angle), centre[1] + reach * math.sin(angle)))
    return made


def wave(dice: Dice, start: Place, end: Place, swing: float) -> list[Place]:
    """A curved way from one point to another."""
    phase, turns = dice.uniform(0, 6), dice.uniform(0.5, 2.5)
    (x, y), (u, v) = start, end
    made = []
    for step in range(41):
        share = step / 40
        off = swing * math.sin(phase + turns * math.tau * share)
        made.append((x + (u - x) * share + off * (v != y), y + (v - y) * share + off * (v == y)))
    return made
