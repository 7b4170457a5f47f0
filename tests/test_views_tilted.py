from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from samples import LISTED, photo

from initgate.hashing import hash_upright, hash_views
from initgate.image import to_turned
from initgate.model import Algorithm, Picture, Pixels, View
from initgate.testing import scene
from initgate.views.looks import looks
from initgate.views.tilted import tilted

PHOTO = photo(next(iter(LISTED)), 500)


def found(picture: Image.Image | np.ndarray) -> list[View]:
    (look,) = looks(Picture((Pixels(np.asarray(picture)),)))
    return list(tilted(look))


def nearest(picture: Image.Image) -> tuple[int, str]:
    """How near a view of a picture comes to the photo, and the view's name."""
    wanted = int.from_bytes(hash_upright(np.asarray(PHOTO), Algorithm.PDQ).code)
    return min(
        ((int.from_bytes(made.code) ^ wanted).bit_count(), made.view)
        for made in hash_views(found(picture), [Algorithm.PDQ])
    )


def cut(picture: Image.Image, height: float, width: float) -> Image.Image:
    """The middle of a picture."""
    left, top = (picture.width - width) / 2, (picture.height - height) / 2
    return picture.crop((round(left), round(top), round(left + width), round(top + height)))


@pytest.mark.parametrize("fill", ["black", "white", "#3366aa"])
@pytest.mark.parametrize("degrees", [-25, -7.3, 3.1, 14])
def test_corners_of_one_colour_tell_the_angle_exactly(degrees: float, fill: str) -> None:
    turned = PHOTO.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=fill)
    distance, name = nearest(turned)
    assert distance <= 16
    assert name.startswith(f"picture, tilted by {degrees:.1f}, ")


@pytest.mark.parametrize("degrees", [-8.0, 5.5])
def test_a_border_that_was_turned_with_its_picture_is_taken_off(degrees: float) -> None:
    framed = ImageOps.expand(PHOTO, 50, "#dddddd")
    distance, name = nearest(framed.rotate(degrees, Image.Resampling.BICUBIC, expand=True))
    assert distance <= 31
    assert name.endswith("trimmed")


@pytest.mark.parametrize("degrees", [-4.2, 6.1])
def test_a_canvas_of_the_old_size_is_seen_through_too(degrees: float) -> None:
    distance, name = nearest(PHOTO.rotate(degrees, Image.Resampling.BICUBIC, fillcolor="white"))
    assert distance <= 26
    assert name == f"picture, tilted by {degrees:.1f}"


@pytest.mark.parametrize("degrees", [-9, 2, 6.2, 12])
def test_where_the_corners_show_a_picture_angles_are_tried(degrees: float) -> None:
    turned = PHOTO.rotate(degrees, Image.Resampling.BICUBIC)
    mask = Image.new("L", PHOTO.size, 255).rotate(degrees)
    mirrored = PHOTO.transpose(Image.Transpose.ROTATE_180)
    assert nearest(Image.composite(turned, mirrored, mask))[0] <= 31


def test_a_turned_picture_may_have_been_cut_to_its_shape() -> None:
    sin, cos = np.sin(np.radians(3)), np.cos(np.radians(3))
    share = 1 / (cos + sin * PHOTO.width / PHOTO.height)
    turned = PHOTO.rotate(3, Image.Resampling.BICUBIC)
    assert nearest(cut(turned, share * PHOTO.height, share * PHOTO.width))[0] <= 31


def test_a_turned_picture_may_have_been_cut_to_the_largest_rectangle_within() -> None:
    sin, cos = np.sin(np.radians(5)), np.cos(np.radians(5))
    width = (PHOTO.width * cos - PHOTO.height * sin) / (cos**2 - sin**2)
    height = (PHOTO.height * cos - PHOTO.width * sin) / (cos**2 - sin**2)
    assert nearest(cut(PHOTO.rotate(-5, Image.Resampling.BICUBIC), height, width))[0] <= 31


@pytest.mark.parametrize("picture", [PHOTO, scene(1), scene(2)])
def test_an_upright_picture_has_no_corners_that_tell(picture: Image.Image | np.ndarray) -> None:
    assert len(found(picture)) == len(found(scene(3)))


def test_a_strip_was_no_tilted_picture() -> None:
    assert not found(scene(1, height=20, width=400))


@settings(max_examples=30)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_any_picture_is_tried(height: int, width: int, levels: int, seed: int) -> None:
    drawn = np.random.default_rng(seed).integers(0, levels + 1, (height, width), np.uint8)
    hash_views(found(drawn * np.uint8(85)), [Algorithm.PDQ])


@given(st.floats(-40, 40))
def test_turning_back_undoes_a_turn(degrees: float) -> None:
    levels = scene(4, height=200, width=200)[:, :, 0]
    smooth = np.asarray(Image.fromarray(levels).resize((20, 20)).resize((200, 200)))
    turned = np.asarray(Image.fromarray(smooth).rotate(degrees, Image.Resampling.BILINEAR))
    back = to_turned(turned, degrees, size=(100, 100), middle=(100.0, 100.0))
    wanted = smooth[50:150, 50:150]
    assert np.abs(back.astype(int) - wanted).mean() < 4
