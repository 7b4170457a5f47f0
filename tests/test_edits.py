from __future__ import annotations

import numpy as np
import pytest

from initgate.edits import EDITS
from initgate.testing import scene


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_a_picture_and_leaves_the_original(edit: str) -> None:
    original = scene(1)
    made = EDITS[edit](original)
    assert (original == scene(1)).all()
    assert made.shape != original.shape or (made != original).any()


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_takes_greys_too(edit: str) -> None:
    made = EDITS[edit](np.ascontiguousarray(scene(1)[:, :, 0]))
    assert made.dtype == np.uint8
    assert made.ndim == 2


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_takes_the_smallest_picture(edit: str) -> None:
    assert EDITS[edit](np.zeros((1, 1, 3), np.uint8)).size > 0
