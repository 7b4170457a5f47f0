from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from initgate.model import Picture, Pixels, View
from initgate.testing import scene
from initgate.views import views

SCENE = scene(1, height=32, width=40)
ALPHA = np.tile(np.linspace(0, 255, 40).astype(np.uint8), (32, 1))


def names(*pixels: Pixels) -> list[str]:
    return [view.name for view in views(Picture(pixels), ())]


def by_name(*pixels: Pixels) -> dict[str, View]:
    return {view.name: view for view in views(Picture(pixels), ())}


def test_an_opaque_picture_has_one_view() -> None:
    (view,) = views(Picture((Pixels(SCENE),)), ())
    assert view.name == "picture"
    assert view.levels is SCENE


def test_a_transparent_picture_has_four() -> None:
    assert names(Pixels(SCENE, ALPHA)) == ["picture", "on white", "on black", "alpha"]


def test_a_view_tells_frame_and_reading() -> None:
    assert names(Pixels(SCENE, None, 2, "raw channels"), Pixels(SCENE, ALPHA, 3)) == [
        "frame 2, raw channels",
        "frame 3",
        "frame 3, on white",
        "frame 3, on black",
        "frame 3, alpha",
    ]


def test_the_colours_under_the_alpha_are_untouched() -> None:
    assert np.array_equal(by_name(Pixels(SCENE, ALPHA * 0))["picture"].levels, SCENE)


def test_the_alpha_is_a_grey_picture() -> None:
    assert by_name(Pixels(SCENE, ALPHA))["alpha"].levels is ALPHA


@pytest.mark.parametrize(("name", "ground"), [("on white", "white"), ("on black", "black")])
@given(seed=st.integers(0, 2**32 - 1))
def test_a_composite_is_pillows_to_within_a_level(name: str, ground: str, seed: int) -> None:
    rgba = np.random.default_rng(seed).integers(0, 256, (16, 16, 4), np.uint8)
    backdrop = Image.new("RGBA", (16, 16), ground)
    expected = np.asarray(Image.alpha_composite(backdrop, Image.fromarray(rgba)).convert("RGB"))
    view = by_name(Pixels(np.ascontiguousarray(rgba[:, :, :3]), rgba[:, :, 3]))[name]
    assert int(np.abs(view.levels.astype(int) - expected.astype(int)).max()) <= 1


@given(seed=st.integers(0, 2**32 - 1))
def test_a_grey_picture_looks_as_in_colours(seed: int) -> None:
    grey, alpha = np.random.default_rng(seed).integers(0, 256, (2, 16, 20), np.uint8)
    in_colours = by_name(Pixels(np.dstack([grey] * 3), alpha))
    for name, view in by_name(Pixels(grey, alpha)).items():
        assert view.levels.shape == (16, 20)
        assert np.array_equal(in_colours[name].levels.reshape(16, 20, -1)[..., 0], view.levels)


def test_a_view_tells_how_far_its_frame_was_shrunk() -> None:
    (view,) = views(Picture((Pixels(SCENE, full=(64, 79), scale=2),)), ())
    assert (view.full, view.scale) == ((64, 79), 2)


@pytest.mark.parametrize("level", [0, 255])
def test_full_and_no_opacity_are_exact(level: int) -> None:
    found = by_name(Pixels(SCENE, np.full((32, 40), level, np.uint8)))
    white = SCENE if level else np.full_like(SCENE, 255)
    black = SCENE if level else np.zeros_like(SCENE)
    assert np.array_equal(found["on white"].levels, white)
    assert np.array_equal(found["on black"].levels, black)
