"""Listed sample photos are refused in whatever is put around them; others pass in the same.
Measured through the gate of the shipped configuration."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from samples import LISTED, photo

from initgate import Gate, Reason

Border = Callable[[Image.Image], Image.Image]


def bars(picture: Image.Image) -> Image.Image:
    """Black ones above and below."""
    made = Image.new("RGB", (picture.width, picture.height + 160))
    made.paste(picture, (0, 80))
    return made


def frame(picture: Image.Image) -> Image.Image:
    """A dark one in a light one."""
    return ImageOps.expand(ImageOps.expand(picture, 12, "#40302a"), 40, "#eeeeee")


def caption(picture: Image.Image) -> Image.Image:
    """A line of text above."""
    made = Image.new("RGB", (picture.width, picture.height + 110), "white")
    made.paste(picture, (0, 110))
    ImageDraw.Draw(made).text((20, 25), "a line above it", "black", font_size=44)
    return made


def fill(picture: Image.Image) -> Image.Image:
    """Upright, on its own blur."""
    size = (picture.width, picture.width * 16 // 9)
    made = ImageOps.fit(picture, size).filter(ImageFilter.GaussianBlur(24))
    made.paste(picture, (0, (made.height - picture.height) // 2))
    return made


def card(picture: Image.Image) -> Image.Image:
    """With rounded corners, on a colour."""
    mask = Image.new("L", picture.size)
    corners = (0, 0, picture.width - 1, picture.height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(corners, picture.height // 10, 255)
    made = Image.new("RGB", (picture.width + 60, picture.height + 60), "#2f6f8f")
    made.paste(picture, (30, 30), mask)
    return made


BORDERS: dict[str, Border] = {made.__name__: made for made in (bars, frame, caption, fill, card)}


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("border", BORDERS.values(), ids=BORDERS)
def test_refuses_a_listed_photo_with_a_border(sample_gate: Gate, name: str, border: Border) -> None:
    decision = sample_gate.inspect(border(photo(name, 600)))
    assert (decision.reason, decision.detail) == (Reason.MATCH, "")
    assert {match.entry for match in decision.matches} == {name}


@pytest.mark.parametrize("border", BORDERS.values(), ids=BORDERS)
def test_passes_another_photo_with_the_same_border(sample_gate: Gate, border: Border) -> None:
    decision = sample_gate.inspect(border(photo("flower", 600)))
    assert (decision.reason, decision.detail) == (Reason.NO_MATCH, "")
