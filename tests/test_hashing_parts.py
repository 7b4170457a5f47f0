from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import LISTED, photo

from initgate.hashing import hash_orientations, hash_views, pdq
from initgate.hashing.parts import continued, hash_parts
from initgate.image import to_grey
from initgate.model import Algorithm, Box, Levels, View
from initgate.testing import scene

GREY = to_grey(scene(1, height=240, width=300))


def distance(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def codes(view: View) -> dict[str, bytes]:
    return {name: code for _, name, code in hash_parts([view])}


def codes_of(levels: Levels) -> dict[str, bytes]:
    return {name: code for name, code, _ in pdq.orientations(np.ascontiguousarray(levels))}


def worst(found: dict[str, bytes], wanted: dict[str, bytes]) -> int:
    assert found.keys() == wanted.keys()
    return max(distance(code, wanted[name]) for name, code in found.items())


@given(
    st.tuples(
        st.integers(0, 100), st.integers(0, 140), st.integers(140, 240), st.integers(180, 300)
    )
)
def test_a_part_has_the_hashes_of_its_pixels_cut_out(box: Box) -> None:
    top, left, bottom, right = box
    cut_out = GREY[top:bottom, left:right]
    assert worst(codes(View("", GREY, box=box)), codes_of(cut_out)) <= 2


@given(st.integers(0, 90), st.integers(0, 90), st.integers(0, 90), st.integers(0, 90))
def test_beyond_its_edges_a_picture_is_continued(
    above: int, before: int, below: int, after: int
) -> None:
    box = (-above, -before, 240 + below, 300 + after)
    padded = continued(continued(GREY, above, below).T, before, after).T
    assert worst(codes(View("", GREY, box=box)), codes_of(padded.astype(np.float32))) <= 2


def test_what_a_picture_is_continued_by_fades_from_its_edge_to_its_middle() -> None:
    ramp = np.arange(100.0)[:, None]
    rows = continued(ramp, 300, 40)[:, 0]
    assert np.array_equal(rows[300:400], ramp[:, 0])
    assert rows[299] == pytest.approx(49.5 * (1 - np.exp(-1 / 20)))
    assert rows[0] == pytest.approx(49.5, abs=0.01)
    assert (np.diff(rows[400:]) < 0).all()


@pytest.mark.parametrize("scale", [2, 4])
def test_a_part_of_a_shrunk_plane_is_nearly_that_of_the_full_one(scale: int) -> None:
    full = to_grey(np.asarray(photo(next(iter(LISTED)))))
    height, width = full.shape
    box = (21, 30, height - 15, width - 33)
    shrunk = View("", to_grey(full, scale), (height, width), scale, box)
    assert worst(codes(shrunk), codes(View("", full, box=box))) <= 12


def test_a_flat_part_has_no_hash() -> None:
    plane = np.full((100, 100), 200, np.uint8)
    plane[60:] = GREY[:40, :100]
    assert not codes(View("", plane, box=(0, 0, 60, 100)))


def test_parts_are_hashed_together_and_told_apart() -> None:
    views = [View("one", GREY, box=(0, 0, 120, 300)), View("two", GREY, box=(120, 0, 240, 300))]
    alone = [made for view in views for made in hash_views([view], [Algorithm.PDQ])]
    assert hash_views(views, [Algorithm.PDQ]) == alone
    assert {made.view.split(",")[0] for made in alone} == {"one", "two"}


def test_other_algorithms_hash_the_pixels_of_a_part() -> None:
    cut_out = View("", GREY[10:200, 20:250])
    assert list(
        hash_orientations(View("", GREY, box=(10, 20, 200, 250)), Algorithm.PHASH64)
    ) == list(hash_orientations(cut_out, Algorithm.PHASH64))


def test_other_algorithms_hash_what_a_part_is_continued_by() -> None:
    padded = np.rint(continued(continued(GREY, 10, 0).T, 20, 30).T).astype(np.uint8)
    view = View("", GREY, box=(-10, -20, 240, 330))
    assert list(hash_orientations(view, Algorithm.PHASH64)) == list(
        hash_orientations(View("", padded), Algorithm.PHASH64)
    )


def test_digests_are_not_made_of_views() -> None:
    assert hash_views([View("", GREY)], [Algorithm.SHA256]) == []


def test_a_view_may_have_its_negative_hashed_too() -> None:
    made = hash_views([View("picture", GREY, negative=True)], [Algorithm.PDQ])
    by_name = {one.view: one.code for one in made}
    negative = {one.code for one in hash_views([View("", 255 - GREY)], [Algorithm.PDQ])}
    assert len(made) == 16
    assert {code for name, code in by_name.items() if name.endswith("negative")} == negative


def test_a_flat_picture_has_no_negative() -> None:
    flat = np.zeros((64, 64), np.uint8)
    assert len(hash_views([View("picture", flat, negative=True)], [Algorithm.PDQ])) == 8
