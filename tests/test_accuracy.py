"""The accuracy benchmark's edits, split and arithmetic; the benchmark itself is not run here."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from samples import ROOT

from initgate.testing import scene

PHOTO = Image.fromarray(scene(1, height=75, width=100))
FILLERS = [Image.fromarray(scene(seed, height=60, width=80)) for seed in range(2, 5)]
GROUPS = {
    "resize",
    "codec",
    "filter",
    "photometric",
    "overlay",
    "border",
    "dihedral",
    "rotation",
    "crop",
    "geometry",
    "screenshot",
    "collage",
    "img2img",
    "stacked",
}


def _modules() -> Iterator[ModuleType]:
    """Scripts beside one another, no package."""
    sys.path.append(str(ROOT / "benchmarks/accuracy"))
    for name in ("edits", "photos", "rates"):
        yield importlib.import_module(name)


edits, photos, rates = _modules()


def edited(edit: Any, photo: str = "a photo") -> bytes:
    data: bytes = edit.apply(PHOTO, photo=photo, fillers=FILLERS)
    return data


def counts_of(slope: float, *, limit: int = 90, total: float = 1e9) -> Any:
    """Pairs at even distances: a millionth within the limit, exponentially less below it."""
    distances = np.arange(0, 257, 2)
    within = np.minimum(total, total * 1e-6 * np.exp(slope * (distances - limit)))
    counts = np.zeros(257, np.int64)
    counts[::2] = np.rint(np.diff(within, prepend=0))
    return counts


def test_there_are_more_than_150_edits_of_every_group_each_with_a_name_of_its_own() -> None:
    names = [edit.name for edit in edits.EDITS]
    assert len(names) == len(set(names)) > 150
    assert set(edits.GROUPS) == GROUPS


@pytest.mark.slow
def test_every_edit_makes_another_file_that_can_be_read() -> None:
    untouched = edits.save(PHOTO, {"format": "JPEG", "quality": 90})
    for edit in edits.EDITS:
        data = edited(edit)
        assert data != untouched, edit.name
        with Image.open(io.BytesIO(data)) as opened:
            opened.load()


@pytest.mark.parametrize("edit", edits.EDITS[::9], ids=lambda edit: edit.name)
def test_an_edit_of_a_photo_is_always_the_same_file(edit: Any) -> None:
    assert edited(edit) == edited(edit)


def test_edits_that_draw_draw_something_else_for_another_photo() -> None:
    sticker = next(edit for edit in edits.EDITS if edit.name == "overlay/sticker_25")
    assert edited(sticker) != edited(sticker, "another photo")


def test_each_photo_belongs_to_one_split_by_its_name_and_stays_there() -> None:
    names = {"a.jpg": "dev", "d.jpg": "held-out", "h.jpg": "filler"}
    assert {name: photos.split_of(name).value for name in names} == names


@given(st.floats(0.1, 1))
def test_the_slope_of_an_exponential_tail_is_found(slope: float) -> None:
    tail = rates.Tail.fit(counts_of(slope))
    assert tail.slope == pytest.approx(slope, rel=0.05)
    assert tail.rate(tail.threshold(1e-15)) == pytest.approx(1e-15)


def test_few_pairs_give_no_tail() -> None:
    assert rates.Tail.fit(counts_of(0.4, total=1e5)) is None


@given(st.integers(1, 50))
def test_a_method_that_errs_more_often_has_a_lower_threshold_at_the_same_rate(times: int) -> None:
    baseline = counts_of(0.4)
    more = baseline.copy()
    more[:110] *= times
    equal = rates.equal_threshold(more, baseline, 31)
    assert equal == pytest.approx(31 - np.log(times) / 0.4, abs=1.2)
    assert equal <= 31
