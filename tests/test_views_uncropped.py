from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from samples import LISTED, photo

from initgate.hashing import hash_upright, hash_views
from initgate.model import Algorithm, Picture, Pixels, View
from initgate.testing import scene
from initgate.views.looks import looks
from initgate.views.uncropped import uncropped

PHOTO = photo(next(iter(LISTED)), 500)


def found(picture: Image.Image | np.ndarray) -> list[View]:
    (look,) = looks(Picture((Pixels(np.asarray(picture)),)))
    return list(uncropped(look))


def nearest(
    left: float = 0, top: float = 0, right: float = 0, bottom: float = 0
) -> tuple[int, str]:
    """How near a view of the photo without some shares of its sides comes to the photo."""
    width, height = PHOTO.size
    box = left * width, top * height, (1 - right) * width, (1 - bottom) * height
    cropped = PHOTO.crop((round(box[0]), round(box[1]), round(box[2]), round(box[3])))
    wanted = int.from_bytes(hash_upright(np.asarray(PHOTO), Algorithm.PDQ).code)
    return min(
        ((int.from_bytes(made.code) ^ wanted).bit_count(), made.view)
        for made in hash_views(found(cropped), [Algorithm.PDQ])
    )


@pytest.mark.parametrize("each", [0.02, 0.035, 0.05])
def test_a_picture_cropped_on_all_sides_is_made_up_for(each: float) -> None:
    distance, name = nearest(each, each, each, each)
    assert distance <= 31
    assert name.startswith("picture, uncropped all round")


@pytest.mark.parametrize(
    ("side", "told"), [("left", "left"), ("top", "above"), ("right", "right"), ("bottom", "below")]
)
@pytest.mark.parametrize("share", [0.04, 0.09])
def test_a_picture_cropped_on_one_side_is_made_up_for(side: str, told: str, share: float) -> None:
    distance, name = nearest(**{side: share})
    assert distance <= 31
    assert name.startswith(f"picture, uncropped {told} by")


def test_a_wider_shape_cut_out_of_the_middle_is_made_up_for() -> None:
    distance, name = nearest(top=0.06, bottom=0.06)
    assert distance <= 31
    assert name.startswith("picture, uncropped above and below")


def test_what_was_cropped_and_then_captioned_is_made_up_for_too() -> None:
    width, height = PHOTO.size
    each = round(0.05 * width), round(0.05 * height)
    cropped = PHOTO.crop((*each, width - each[0], height - each[1]))
    captioned = ImageOps.expand(cropped, (0, 60, 0, 0), "white")
    wanted = int.from_bytes(hash_upright(np.asarray(PHOTO), Algorithm.PDQ).code)
    assert any(
        (int.from_bytes(made.code) ^ wanted).bit_count() <= 31
        for made in hash_views(found(captioned), [Algorithm.PDQ])
        if made.view.startswith("picture, trimmed, uncropped")
    )


def test_each_part_holds_the_whole_picture() -> None:
    for view in found(scene(1, height=100, width=200)):
        top, left, bottom, right = view.box or (0, 0, 0, 0)
        assert view.full is not None
        assert top <= 0
        assert left <= 0
        assert bottom >= view.full[0]
        assert right >= view.full[1]


def test_a_strip_was_no_cropped_picture() -> None:
    assert not found(scene(1, height=20, width=400))


@settings(max_examples=30)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32 - 1))
def test_any_picture_is_continued(height: int, width: int, seed: int) -> None:
    drawn = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    hash_views(found(drawn), [Algorithm.PDQ, Algorithm.DHASH64])
