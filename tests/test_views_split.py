from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import LISTED, UNLISTED, photo

from initgate.model import RGB, Box, Levels
from initgate.testing import scene
from initgate.views.looks import Look
from initgate.views.split import split

NAMES = [*LISTED, *UNLISTED]


def boxes(levels: Levels) -> list[Box]:
    return [view.box for view in split(Look("picture", levels, levels.shape[:2])) if view.box]


def pictures(count: int, *, height: int, width: int) -> list[RGB]:
    """Sample photos, all of one size."""
    chosen = (photo(NAMES[number % len(NAMES)]) for number in range(count))
    return [np.asarray(one.resize((width, height))) for one in chosen]


def grid(rows: int, columns: int, *, gutter: int = 0, level: int = 255) -> tuple[RGB, list[Box]]:
    """A collage, and where its pictures are."""
    height, width = 210, 280
    high, wide = rows * (height + gutter) + gutter, columns * (width + gutter) + gutter
    made = np.full((high, wide, 3), level, np.uint8)
    cells = []
    for number, one in enumerate(pictures(rows * columns, height=height, width=width)):
        top = gutter + number // columns * (height + gutter)
        left = gutter + number % columns * (width + gutter)
        made[top : top + height, left : left + width] = one
        cells.append((top, left, top + height, left + width))
    return made, cells


@pytest.mark.parametrize(("rows", "columns"), [(1, 2), (2, 1), (2, 2), (1, 3), (3, 3)])
@pytest.mark.parametrize("gutter", [0, 7])
def test_every_cell_of_a_collage_is_found(rows: int, columns: int, gutter: int) -> None:
    made, cells = grid(rows, columns, gutter=gutter)
    assert set(cells) <= set(boxes(made))


def test_a_gutter_may_be_dark() -> None:
    made, cells = grid(2, 2, gutter=12, level=0)
    assert set(cells) <= set(boxes(made))


def test_an_uneven_grid_is_cut_again() -> None:
    large, upper, lower = (
        pictures(1, height=420, width=560)[0],
        *pictures(3, height=210, width=280)[1:],
    )
    made = np.hstack([large, np.vstack([upper, lower])])
    cells = {(0, 0, 420, 560), (0, 560, 210, 840), (210, 560, 420, 840)}
    assert cells <= set(boxes(made))


@pytest.mark.parametrize("name", NAMES)
def test_a_plain_photo_is_hardly_ever_cut(name: str) -> None:
    assert len(boxes(np.asarray(photo(name, 512)))) <= 2


def test_flat_parts_are_no_views() -> None:
    made = np.full((300, 800, 3), 240, np.uint8)
    made[:, 400:] = scene(1, height=300, width=400)
    assert boxes(made) == [(0, 400, 300, 800)]


def test_there_are_at_most_twelve() -> None:
    made, _ = grid(4, 4)
    assert len(boxes(made)) == 12


@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
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
