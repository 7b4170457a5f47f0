from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import LISTED, UNLISTED, photo

from initgate.image import Limits, decode, encode
from initgate.model import RGB, Box, Family, Levels, Picture, Pixels
from initgate.testing import scene
from initgate.views import views
from initgate.views.embedded import embedded
from initgate.views.looks import Look

PHOTO = np.asarray(photo(next(iter(LISTED)), 400))
OTHER = np.asarray(photo(next(iter(UNLISTED)), 900))
HEIGHT, WIDTH = PHOTO.shape[:2]


def look(levels: Levels) -> Look:
    return Look("picture", levels, levels.shape[:2])


def boxes(levels: Levels) -> list[Box]:
    return [view.box for view in embedded(look(levels)) if view.box]


def page(ground: int, *, height: int = 800, width: int = 1000) -> RGB:
    return np.full((height, width, 3), ground, np.uint8)


def pasted(onto: RGB, picture: RGB, top: int, left: int) -> Box:
    """Puts a picture on another, and tells where it is now."""
    box = (top, left, top + picture.shape[0], left + picture.shape[1])
    onto[box[0] : box[2], box[1] : box[3]] = picture
    return box


def written(onto: RGB, box: Box, ink: int) -> None:
    """Lines that look like text: strokes and gaps of uneven widths."""
    random = np.random.default_rng(1)
    for top in range(box[0], box[2] - 10, 22):
        inked = np.repeat(random.integers(2, size=(box[3] - box[1]) // 3 + 1) == 1, 3)
        onto[top : top + 10, box[1] : box[3]][:, inked[: box[3] - box[1]]] = ink


@pytest.mark.parametrize(("ground", "ink"), [(255, 30), (20, 220), (128, 0)])
def test_a_picture_on_a_page_of_text_is_found_to_the_pixel(ground: int, ink: int) -> None:
    screen = page(ground)
    screen[:61] = 200 - ground // 2  # a bar
    written(screen, (90, 40, 780, 480), ink)
    box = pasted(screen, PHOTO, 123, 517)
    written(screen, (140 + HEIGHT, 517, 780, 960), ink)
    assert box in boxes(screen)


def test_a_picture_as_wide_as_the_screen_is_found() -> None:
    screen = page(250, width=WIDTH)
    box = pasted(screen, PHOTO, 231, 0)
    written(screen, (20, 20, 200, WIDTH - 20), 40)
    assert box in boxes(screen)


def test_a_picture_is_found_after_a_lossy_encoding() -> None:
    screen = page(244)
    box = pasted(screen, PHOTO, 200, 301)
    written(screen, (20, 20, 180, 900), 40)
    (lossy,) = decode(encode(screen, "JPEG", quality=50), limits=Limits()).pixels
    assert min(np.abs(np.subtract(box, found)).max() for found in boxes(lossy.levels)) <= 1


def test_an_inset_is_found_within_its_frame() -> None:
    screen = OTHER.copy()
    framed = np.full((HEIGHT // 2 + 6, WIDTH // 2 + 6, 3), 255, np.uint8)
    inner = PHOTO[: HEIGHT // 2 * 2 : 2, : WIDTH // 2 * 2 : 2]
    framed[3:-3, 3:-3] = inner
    top, left, bottom, right = pasted(screen, framed, 30, 40)
    assert (top + 3, left + 3, bottom - 3, right - 3) in boxes(screen)


def test_a_picture_with_a_frame_of_its_own_is_found_with_it() -> None:
    framed = page(0, height=HEIGHT + 40, width=WIDTH + 40)
    pasted(framed, PHOTO, 20, 20)
    screen = page(240)
    box = pasted(screen, framed, 100, 150)
    assert box in boxes(screen)


def test_edges_are_placed_in_the_full_picture() -> None:
    large = np.repeat(np.repeat(PHOTO, 3, axis=0), 3, axis=1)
    screen = page(255, height=2 * large.shape[0], width=2 * large.shape[1])
    box = pasted(screen, large, 333, 217)
    assert look(screen).grey(512)[1] > 1
    assert box in boxes(screen)


@pytest.mark.parametrize("name", [*LISTED, *UNLISTED])
def test_a_plain_photo_has_few_views(name: str) -> None:
    assert len(boxes(np.asarray(photo(name, 512)))) <= 2


def test_there_are_at_most_six() -> None:
    screen = page(255, height=1000, width=1000)
    for number in range(9):
        pasted(screen, scene(number), 20 + number // 3 * 320, 10 + number % 3 * 330)
    assert len(boxes(screen)) == 6


def test_pages_without_pictures_have_none() -> None:
    screen = page(255)
    screen[:70] = 230
    written(screen, (90, 60, 780, 940), 20)
    assert boxes(screen) == []


@given(
    st.one_of(
        st.tuples(st.integers(1, 300), st.integers(1, 300)),
        st.tuples(st.just(1), st.integers(1, 100_000)),
        st.tuples(st.integers(1, 100_000), st.just(2)),
    ),
    st.sampled_from([1, 2, 256]),
    st.sampled_from([1, 90]),
    st.integers(0, 2**32 - 1),
)
def test_any_picture_has_parts_within_it_or_none(
    shape: tuple[int, int], levels: int, coarse: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    sides = [-(-side // coarse) for side in shape]
    blocks = random.integers(0, levels, sides, np.uint16).astype(np.uint8)
    noise = blocks.repeat(coarse, axis=0).repeat(coarse, axis=1)[: shape[0], : shape[1]]
    for top, left, bottom, right in boxes(noise):
        assert 0 <= top <= bottom - 64
        assert 0 <= left <= right - 64
        assert bottom <= shape[0]
        assert right <= shape[1]


def test_what_two_finders_find_is_one_view() -> None:
    screen = page(255, height=HEIGHT + 200, width=WIDTH)
    box = pasted(screen, PHOTO, 100, 0)
    both = views(Picture((Pixels(screen),)), {Family.EMBEDDED, Family.SPLIT})
    assert [view.box for view in both].count(box) == 1


def test_the_name_tells_what_it_is() -> None:
    screen = page(255)
    pasted(screen, PHOTO, 123, 317)
    names = [view.name for view in embedded(look(screen))]
    assert names[0] == "picture, embedded"
