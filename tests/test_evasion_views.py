"""Listed sample photos are refused where they are but a part of a picture. Measured through the
gate of the shipped configuration."""

from __future__ import annotations

import pytest
from PIL import Image, ImageDraw, ImageOps
from samples import LISTED, UNLISTED, photo

from initgate import Gate, Reason

OTHERS = [photo(name, 900) for name in UNLISTED]


def assert_recognised(gate: Gate, image: Image.Image, name: str) -> None:
    decision = gate.inspect(image)
    assert (decision.reason, decision.detail) == (Reason.MATCH, "")
    assert name in {match.entry for match in decision.matches}


def screenshot(picture: Image.Image, *, dark: bool) -> Image.Image:
    """In a browser's window, between a heading and text."""
    ground, bar, ink = (
        ("#17191c", "#26292f", "#e0e0e0") if dark else ("white", "#e8eaed", "#202020")
    )
    shown = picture.copy()
    shown.thumbnail((620, 480))
    made = Image.new("RGB", (1100, 820), ground)
    draw = ImageDraw.Draw(made)
    draw.rectangle((0, 0, 1100, 70), bar)
    draw.text((130, 100), "Sample photos and what they show", ink, font_size=30)
    made.paste(shown, (130, 160))
    for line in range((640 - shown.height) // 24):
        words = "A line of the text that goes with a picture like this one, and on"
        draw.text((130, 180 + shown.height + 24 * line), words, ink, font_size=16)
    return made


def collage(picture: Image.Image, *, gutter: int) -> Image.Image:
    """In a grid of four."""
    width, height = 420, round(420 * picture.height / picture.width)
    made = Image.new("RGB", (2 * width + 3 * gutter, 2 * height + 3 * gutter), "white")
    for number, one in enumerate([*OTHERS[:2], picture, OTHERS[2]]):
        x = gutter + number % 2 * (width + gutter)
        y = gutter + number // 2 * (height + gutter)
        made.paste(one.resize((width, height)), (x, y))
    return made


def inset(picture: Image.Image) -> Image.Image:
    """In the corner of another photo, in a thin frame."""
    made = OTHERS[0].resize((1000, 700))
    shown = picture.copy()
    shown.thumbnail((460, 460))
    draw = ImageDraw.Draw(made)
    draw.rectangle((27, 37, 32 + shown.width, 42 + shown.height), "white")
    made.paste(shown, (30, 40))
    return made


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", LISTED)
def test_refuses_a_screenshot(sample_gate: Gate, name: str, *, dark: bool) -> None:
    assert_recognised(sample_gate, screenshot(photo(name), dark=dark), name)


@pytest.mark.parametrize("gutter", [0, 9])
@pytest.mark.parametrize("name", LISTED)
def test_refuses_a_collage(sample_gate: Gate, name: str, gutter: int) -> None:
    assert_recognised(sample_gate, collage(photo(name), gutter=gutter), name)


@pytest.mark.parametrize("name", LISTED)
def test_refuses_an_inset(sample_gate: Gate, name: str) -> None:
    assert_recognised(sample_gate, inset(photo(name)), name)


@pytest.mark.parametrize("name", LISTED)
def test_refuses_a_photo_sunk_into_the_dark(sample_gate: Gate, name: str) -> None:
    dark = photo(name).point([round(255 * (level / 255) ** 3) for level in range(256)] * 3)
    assert_recognised(sample_gate, dark, name)


@pytest.mark.parametrize("name", LISTED)
def test_refuses_a_negative_with_a_border(sample_gate: Gate, name: str) -> None:
    assert_recognised(sample_gate, ImageOps.expand(ImageOps.invert(photo(name)), 70, "#444"), name)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", UNLISTED)
def test_screenshots_of_other_photos_pass(sample_gate: Gate, name: str, *, dark: bool) -> None:
    assert sample_gate.inspect(screenshot(photo(name), dark=dark)).reason is Reason.NO_MATCH
