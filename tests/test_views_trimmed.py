from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from samples import photo

from initgate.hashing import hash_upright, hash_views
from initgate.image import Limits, decode, encode
from initgate.model import RGB, Algorithm, Box, Family, Levels, Picture, Pixels, View
from initgate.testing import scene
from initgate.views import views

CAT = np.asarray(photo("chelsea", 420))
SCENE = scene(3)


def trimmed(levels: Levels) -> list[View]:
    whole, *others = views(Picture((Pixels(levels),)), {Family.TRIMMED})
    assert whole.box is None
    return others


def boxes(levels: Levels) -> list[Box | None]:
    return [view.box for view in trimmed(levels)]


def distance(levels: Levels, original: Levels) -> int:
    """That of the nearest trimmed view."""
    made = np.frombuffer(hash_upright(original, Algorithm.PDQ).code, np.uint8)
    found = hash_views(trimmed(levels), [Algorithm.PDQ])
    codes = [np.frombuffer(one.code, np.uint8) for one in found]
    return min((int(np.bitwise_count(code ^ made).sum()) for code in codes), default=256)


def saved(levels: Levels, quality: int = 75) -> Levels:
    """After a lossy file."""
    data = encode(levels, "JPEG", quality=quality)
    return decode(data, limits=Limits()).pixels[0].levels


def framed(
    levels: RGB,
    top: int = 0,
    left: int = 0,
    bottom: int = 0,
    right: int = 0,
    *,
    colour: tuple[int, int, int] = (255, 255, 255),
    ground: NDArray[np.uint8] | None = None,
) -> RGB:
    height, width = levels.shape[0] + top + bottom, levels.shape[1] + left + right
    canvas = np.full((height, width, 3), colour, np.uint8) if ground is None else ground.copy()
    canvas[top : height - bottom, left : width - right] = levels
    return canvas


def written(levels: RGB, text: str, at: tuple[int, int], size: int, colour: str) -> RGB:
    image = Image.fromarray(levels)
    ImageDraw.Draw(image).text(at, text, colour, ImageFont.load_default(size))
    return np.asarray(image)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 30, 60)])
@pytest.mark.parametrize(
    ("top", "left", "bottom", "right"),
    [
        (60, 0, 60, 0),
        (0, 90, 0, 90),
        (25, 25, 25, 25),
        (0, 0, 0, 80),
        (12, 40, 70, 90),
        (5, 5, 5, 5),
    ],
)
def test_a_plain_border_is_taken_off_to_the_pixel(
    top: int, left: int, bottom: int, right: int, colour: tuple[int, int, int]
) -> None:
    bordered = framed(CAT, top, left, bottom, right, colour=colour)
    first = boxes(saved(bordered))[0]
    assert first == (top, left, top + CAT.shape[0], left + CAT.shape[1])


@pytest.mark.parametrize("quality", [95, 75, 55])
def test_a_frame_in_a_frame_is_seen_through(quality: int) -> None:
    inner = framed(CAT, 26, 26, 26, 26, colour=(176, 30, 40))
    both = framed(inner, 30, 30, 30, 30, colour=(40, 220, 90))
    assert distance(saved(both, quality), CAT) <= 10


def test_a_caption_is_taken_off_with_its_text() -> None:
    bar = framed(CAT, 90)
    bar = written(bar, "when it is Monday again", (12, 10), 30, "black")
    bar = written(bar, "and the bowl is empty", (30, 48), 30, "black")
    assert (90, 0, *bar.shape[:2]) in boxes(saved(bar))


def test_a_polaroid_is_unpacked() -> None:
    card = framed(CAT, 20, 20, 90, 20, colour=(250, 249, 244))
    card = written(card, "summer 1994", (90, CAT.shape[0] + 40), 34, "navy")
    assert distance(saved(card), CAT) <= 10


def test_a_fill_of_the_pictures_own_blur_is_taken_off() -> None:
    height, width = CAT.shape[:2]
    wide = Image.fromarray(CAT).resize((width * 2, height * 2))
    ground = wide.crop((0, height // 2, width * 2, height // 2 + height))
    fill = np.asarray(ground.filter(ImageFilter.GaussianBlur(14)))
    filled = framed(CAT, 0, width // 2, 0, width - width // 2, ground=fill)
    assert distance(saved(filled), CAT) <= 10


def test_a_noisy_border_is_taken_off() -> None:
    height, width = CAT.shape[0] + 80, CAT.shape[1] + 80
    noise = np.random.default_rng(1).normal(120, 20, (height, width, 1))
    ground = np.clip(noise, 0, 255).astype(np.uint8).repeat(3, axis=2)
    assert distance(framed(CAT, 40, 40, 40, 40, ground=ground), CAT) <= 20


def test_a_graded_border_is_taken_off() -> None:
    height, width = CAT.shape[0] + 80, CAT.shape[1] + 80
    y, x, _ = np.ogrid[0 : 1 : complex(height), 0 : 1 : complex(width), :1]
    ground = np.rint(255 * (y + x) / 2).astype(np.uint8).repeat(3, axis=2)
    assert distance(saved(framed(CAT, 40, 40, 40, 40, ground=ground)), CAT) <= 10


@pytest.mark.parametrize("margin", [0, 30])
def test_rounded_corners_are_filled(margin: int) -> None:
    height, width = CAT.shape[:2]
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, width - 1, height - 1), 45, 255)
    card = Image.new("RGB", (width + 2 * margin, height + 2 * margin), "white")
    card.paste(Image.fromarray(CAT), (margin, margin), mask)
    assert distance(saved(np.asarray(card)), CAT) <= 20


def test_a_drawn_scene_in_a_border_is_found() -> None:
    assert distance(saved(framed(SCENE, 40, 40, 40, 40, colour=(10, 10, 10))), SCENE) <= 20


@pytest.mark.parametrize("name", ["chelsea", "china", "flower", "grass"])
def test_a_photo_without_a_border_costs_no_view(name: str) -> None:
    assert trimmed(np.asarray(photo(name, 512))) == []


def test_a_sky_that_ends_in_hills_is_left_alone() -> None:
    y, x = np.mgrid[:300, :400]
    hills = y > 150 + 40 * np.sin(x / 50)
    noise = np.random.default_rng(2).integers(0, 120, (300, 400))
    assert trimmed(np.where(hills, noise, 230 - y // 4).astype(np.uint8)) == []


def test_a_shrunk_frame_has_boxes_in_full_pixels() -> None:
    bordered = framed(CAT, 40, 40, 40, 40)
    large = np.asarray(
        Image.fromarray(bordered).resize((bordered.shape[1] * 4, bordered.shape[0] * 4))
    )
    half = np.asarray(Image.fromarray(large).reduce(2))
    pixels = Pixels(half, full=large.shape[:2], scale=2)
    (_, first, *_) = views(Picture((pixels,)), {Family.TRIMMED})
    assert first.box is not None
    exact = (160, 160, 160 + 4 * CAT.shape[0], 160 + 4 * CAT.shape[1])
    assert np.abs(np.subtract(first.box, exact)).max() <= 4


def test_a_border_of_a_large_picture_is_found() -> None:
    large = np.asarray(Image.fromarray(CAT).resize((1800, 1500)))
    assert boxes(framed(large, 131, 77, 131, 77)) == [(131, 77, 1631, 1877)]


@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    blocks=st.integers(1, 8),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_picture_has_few_views_with_boxes_within_it(
    height: int, width: int, blocks: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    levels = np.full((height, width), random.integers(256), np.uint8)
    for _ in range(blocks):
        at, size = random.integers((height, width)), random.integers(1, 90, 2)
        levels[at[0] : at[0] + size[0], at[1] : at[1] + size[1]] = random.integers(256)
    found = trimmed(levels)
    assert len(found) <= 5
    for view in found:
        assert view.box is not None
        top, left, bottom, right = view.box
        assert 0 <= top < bottom <= height
        assert 0 <= left < right <= width
    hash_views(found, [Algorithm.PDQ])
    assert boxes(levels) == [view.box for view in found]


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (40, 5000)])
def test_strips_are_left_alone(shape: tuple[int, int]) -> None:
    assert trimmed(np.zeros(shape, np.uint8)) == []
