from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps
from samples import LISTED, photo

from initgate.hashing import hash_upright, hash_views
from initgate.model import Algorithm, Picture, Pixels, View
from initgate.testing import scene
from initgate.views.looks import looks
from initgate.views.toned import toned

Change: TypeAlias = Callable[[Image.Image], Image.Image]

PHOTOS = [photo(name, 500) for name in LISTED]


def found(picture: Image.Image | np.ndarray) -> list[View]:
    (look,) = looks(Picture((Pixels(np.asarray(picture)),)))
    return list(toned(look))


def nearest(picture: Image.Image, changed: Image.Image) -> int:
    """How near the toned views of a changed picture come to the picture, in bits."""
    wanted = int.from_bytes(hash_upright(np.asarray(picture), Algorithm.PDQ).code)
    return min(
        (int.from_bytes(made.code) ^ wanted).bit_count()
        for made in hash_views(found(changed), [Algorithm.PDQ])
    )


def plain(picture: Image.Image, changed: Image.Image) -> int:
    """How near a changed picture comes as it is."""
    codes = (hash_upright(np.asarray(one), Algorithm.PDQ).code for one in (picture, changed))
    one, other = map(int.from_bytes, codes)
    return (one ^ other).bit_count()


def shadowed(picture: Image.Image) -> Image.Image:
    """All but the lights sunk into the dark."""
    return picture.point([round(255 * (level / 255) ** 3) for level in range(256)] * 3)


def overexposed(picture: Image.Image) -> Image.Image:
    """Twice as bright, so that much is burnt out."""
    return ImageEnhance.Brightness(picture).enhance(2)


@pytest.mark.parametrize("photo", PHOTOS)
def test_a_photo_sunk_into_the_dark_is_recognised(photo: Image.Image) -> None:
    assert nearest(photo, shadowed(photo)) <= 31


@pytest.mark.parametrize("change", [shadowed, overexposed, ImageOps.equalize])
def test_a_change_of_tones_is_undone_in_part(change: Change) -> None:
    pairs = [(one, change(one)) for one in PHOTOS]
    assert np.mean([nearest(*pair) for pair in pairs]) < np.mean([plain(*pair) for pair in pairs])


def test_there_are_three_of_the_whole_picture() -> None:
    views = found(scene(1, height=300, width=400))
    assert [view.name for view in views] == [
        f"picture, toned {how}" for how in ("spread", "equalised", "shaded")
    ]
    assert {view.box for view in views} == {(0, 0, 300, 400)}


@settings(max_examples=30)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32 - 1), st.integers(1, 255))
def test_any_picture_is_toned(height: int, width: int, seed: int, most: int) -> None:
    drawn = np.random.default_rng(seed).integers(0, most, (height, width, 3), np.uint8)
    hash_views(found(drawn), [Algorithm.PDQ, Algorithm.DHASH64])
