"""Listed sample photos are refused turned by some degrees and cropped; others pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from conftest import MakeGate
from PIL import Image
from samples import LISTED, UNLISTED, photo

from initgate import Reason
from initgate.testing import make_list
from initgate.views import THOROUGH

Edit = Callable[[Image.Image], Image.Image]

PHOTOS = make_list([np.asarray(photo(name)) for name in LISTED])


def expanded(picture: Image.Image) -> Image.Image:
    """Turned, all of it kept, black in the corners."""
    return picture.rotate(11, Image.Resampling.BICUBIC, expand=True)


def kept(picture: Image.Image) -> Image.Image:
    """Turned, corners cut off, white in the new ones."""
    return picture.rotate(-3.5, Image.Resampling.BICUBIC, fillcolor="white")


def straightened(picture: Image.Image) -> Image.Image:
    """Turned, and cropped until no corner shows."""
    turned = picture.rotate(2.2, Image.Resampling.BICUBIC)
    across, down = (round(side * 0.027) for side in picture.size)
    return turned.crop((across, down, picture.width - across, picture.height - down))


def cropped(picture: Image.Image) -> Image.Image:
    """By a fortieth on each side."""
    across, down = (round(side * 0.025) for side in picture.size)
    return picture.crop((across, down, picture.width - across, picture.height - down))


def cut_right(picture: Image.Image) -> Image.Image:
    """Without a strip of it."""
    return picture.crop((0, 0, round(picture.width * 0.95), picture.height))


EDITS: dict[str, Edit] = {
    made.__name__: made for made in (expanded, kept, straightened, cropped, cut_right)
}


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_refuses_a_listed_photo_tilted_or_cropped(
    make_gate: MakeGate, name: str, edit: Edit
) -> None:
    decision = make_gate([PHOTOS], families=THOROUGH).inspect(edit(photo(name, 700)))
    assert decision.reason is Reason.MATCH
    assert {match.entry for match in decision.matches} == {str(list(LISTED).index(name))}


@pytest.mark.parametrize("name", UNLISTED)
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_passes_other_photos_tilted_or_cropped(make_gate: MakeGate, name: str, edit: Edit) -> None:
    decision = make_gate([PHOTOS], families=THOROUGH).inspect(edit(photo(name, 700)))
    assert decision.reason is Reason.NO_MATCH
