from __future__ import annotations

import hashlib
import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import imagehash
import numpy as np
import pdqhash
import pytest
from disguises import opened, save
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from samples import LISTED, SHARED_DATA, UNLISTED, photo

from initgate.hashing import dct, hash_bytes, hash_orientations, hash_upright, pdq
from initgate.hashing.pdq import ORIENTATIONS
from initgate.model import RGB, Algorithm, View
from initgate.testing import scene

SCENE = scene(1)
PERCEPTUAL = [one for one in Algorithm if not one.is_digest]

# How Pillow makes each orientation, told independently of the code under test.
PILLOW = {
    "upright": None,
    "rotated 90": Image.Transpose.ROTATE_90,
    "rotated 180": Image.Transpose.ROTATE_180,
    "rotated 270": Image.Transpose.ROTATE_270,
    "flipped top to bottom": Image.Transpose.FLIP_TOP_BOTTOM,
    "mirrored": Image.Transpose.FLIP_LEFT_RIGHT,
    "transposed": Image.Transpose.TRANSPOSE,
    "transverse": Image.Transpose.TRANSVERSE,
}


def distance(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def turn(rgb: RGB, how: Image.Transpose | None) -> RGB:
    picture = Image.fromarray(rgb)
    return np.asarray(picture if how is None else picture.transpose(how))


@pytest.mark.parametrize("algorithm", PERCEPTUAL)
def test_a_hash_has_the_width_of_its_algorithm(algorithm: Algorithm) -> None:
    assert len(hash_upright(SCENE, algorithm).code) * 8 == algorithm.bits


@pytest.mark.parametrize("algorithm", PERCEPTUAL)
def test_there_are_eight_orientations_and_the_first_is_upright(algorithm: Algorithm) -> None:
    hashes = list(hash_orientations(View("picture", SCENE), algorithm))
    assert len(hashes) == 8
    assert hashes[0].code == hash_upright(SCENE, algorithm).code
    assert [made.view for made in hashes] == [
        "picture",
        *(f"picture, {name}" for name in ORIENTATIONS[1:]),
    ]


@pytest.mark.parametrize("orientation", PILLOW)
@pytest.mark.parametrize("algorithm", PERCEPTUAL)
def test_one_of_the_eight_undoes_any_turn(algorithm: Algorithm, orientation: str) -> None:
    turned = View("picture", np.ascontiguousarray(turn(SCENE, PILLOW[orientation])))
    wanted = hash_upright(SCENE, algorithm).code
    nearest = min(distance(made.code, wanted) for made in hash_orientations(turned, algorithm))
    assert nearest <= algorithm.bits * 10 // 256


@pytest.mark.parametrize("name", [*LISTED, *UNLISTED])
@pytest.mark.parametrize("orientation", list(PILLOW)[1:])
def test_pdq_undoes_any_turn_of_any_photo(orientation: str, name: str) -> None:
    rgb = np.asarray(photo(name))
    turned = View("picture", np.ascontiguousarray(turn(rgb, PILLOW[orientation])))
    wanted = hash_upright(rgb, Algorithm.PDQ).code
    nearest = min(distance(made.code, wanted) for made in hash_orientations(turned, Algorithm.PDQ))
    assert nearest <= 10


@pytest.mark.parametrize("orientation", PILLOW)
@pytest.mark.parametrize("algorithm", PERCEPTUAL)
def test_an_orientation_is_what_its_name_says(algorithm: Algorithm, orientation: str) -> None:
    hashes = list(hash_orientations(View("picture", SCENE), algorithm))
    turned = np.ascontiguousarray(turn(SCENE, PILLOW[orientation]))
    made = hashes[ORIENTATIONS.index(orientation)]
    assert distance(made.code, hash_upright(turned, algorithm).code) <= algorithm.bits * 10 // 256


@pytest.mark.parametrize(
    ("algorithm", "library", "side"),
    [
        (Algorithm.PHASH64, imagehash.phash, 8),
        (Algorithm.PHASH256, imagehash.phash, 16),
        (Algorithm.DHASH64, imagehash.dhash, 8),
        (Algorithm.DHASH256, imagehash.dhash, 16),
        (Algorithm.AHASH64, imagehash.average_hash, 8),
        (Algorithm.AHASH256, imagehash.average_hash, 16),
        (Algorithm.WHASH64, imagehash.whash, 8),
        (Algorithm.WHASH256, imagehash.whash, 16),
    ],
)
def test_a_hash_is_what_the_imagehash_library_prints(
    algorithm: Algorithm, library: Callable[..., object], side: int
) -> None:
    printed = str(library(Image.fromarray(SCENE), hash_size=side))
    assert hash_upright(SCENE, algorithm).code.hex() == printed


@pytest.mark.parametrize("algorithm", PERCEPTUAL)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 99), width=st.integers(1, 99))
def test_a_grey_picture_has_the_hashes_of_its_repetition_in_three_colours(
    algorithm: Algorithm, *, seed: int, height: int, width: int
) -> None:
    grey = noise(seed, height, width)[..., 0]
    in_colours = np.dstack([grey] * 3)
    made, wanted = (
        list(hash_orientations(View("picture", levels), algorithm)) for levels in (grey, in_colours)
    )
    assert made == wanted
    assert hash_upright(grey, algorithm) == hash_upright(in_colours, algorithm)


@pytest.mark.parametrize("algorithm", [one for one in PERCEPTUAL if one is not Algorithm.PDQ])
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 99), width=st.integers(1, 99))
def test_an_orientation_of_the_imagehash_library_is_that_of_the_turned_colours(
    algorithm: Algorithm, *, seed: int, height: int, width: int
) -> None:
    rgb = noise(seed, height, width)
    for made, how in zip(
        hash_orientations(View("picture", rgb), algorithm),
        (PILLOW[name] for name in ORIENTATIONS),
        strict=True,
    ):
        wanted = hash_upright(turn(rgb, how), algorithm).code
        # A turned square of pHash's is the square of the turned picture to within a level.
        most = algorithm.bits // 16 if algorithm in dct.SHRUNK and how is not None else 0
        assert distance(made.code, wanted) <= most


@pytest.mark.parametrize("algorithm", dct.SHRUNK)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 99), width=st.integers(1, 99))
def test_a_phash_of_a_query_is_that_of_an_entry(
    algorithm: Algorithm, *, seed: int, height: int, width: int
) -> None:
    rgb = noise(seed, height, width)
    made = next(hash_orientations(View("picture", rgb), algorithm))
    assert made.code == hash_upright(rgb, algorithm).code


def test_a_view_of_a_shrunk_picture_has_the_hash_of_the_full_one() -> None:
    full = scene(1, height=64, width=80).repeat(8, axis=0).repeat(8, axis=1)[:509, :635]
    shrunk = View("picture", scene(1, height=64, width=80), (509, 635), 8)
    assert list(hash_orientations(shrunk, Algorithm.PDQ)) == list(
        hash_orientations(View("picture", full), Algorithm.PDQ)
    )


def test_a_query_of_pdq_knows_its_quality() -> None:
    for made in hash_orientations(View("picture", SCENE), Algorithm.PDQ):
        assert made.quality == hash_upright(SCENE, Algorithm.PDQ).quality


def test_a_query_of_another_algorithm_has_no_quality() -> None:
    for made in hash_orientations(View("picture", SCENE), Algorithm.PHASH64):
        assert made.quality is None


def test_a_blank_picture_has_no_quality() -> None:
    assert hash_upright(np.full((64, 64, 3), 99, np.uint8), Algorithm.PHASH64).quality == 0


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (Algorithm.MD5, "900150983cd24fb0d6963f7d28e17f72"),
        (Algorithm.SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (Algorithm.SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ],
)
def test_a_digest_is_the_standards(algorithm: Algorithm, expected: str) -> None:
    assert hash_bytes(b"abc", algorithm).code.hex() == expected


def test_a_digest_is_of_the_whole_input() -> None:
    data = bytes(1_000_000)
    assert hash_bytes(data, Algorithm.SHA256).code == hashlib.sha256(data).digest()


@pytest.mark.parametrize("algorithm", PERCEPTUAL)
@pytest.mark.parametrize("name", LISTED)
def test_a_photo_saved_as_jpeg_stays_within_the_default_threshold(
    algorithm: Algorithm, name: str
) -> None:
    with opened(save(photo(name), "JPEG", quality=90)) as again:
        saved = hash_upright(np.asarray(again), algorithm)
    wanted = hash_upright(np.asarray(photo(name)), algorithm)
    assert distance(saved.code, wanted.code) <= algorithm.default_threshold


def test_no_two_sample_photos_are_near_in_pdq() -> None:
    codes = [
        hash_upright(np.asarray(photo(name, 400)), Algorithm.PDQ).code
        for name in (*LISTED, *UNLISTED)
    ]
    for number, one in enumerate(codes):
        assert all(distance(one, other) > 60 for other in codes[:number])


# ── PDQ against the reference ─────────────────────────────────────────────────────────────────

TIE = 1e-3  # terms go to thousands


def assert_all_as_the_reference(rgb: RGB) -> None:
    """Each orientation has the quality and the bits that the reference gives the turned pixels.

    A bit may differ only where the reference's term is its median but for single precision.
    """
    for name, code, quality in pdq.orientations(rgb):
        turned = np.ascontiguousarray(turn(rgb, PILLOW[name]))
        wanted, of_quality = pdqhash.compute(turned)
        terms, _ = pdqhash.compute_float(turned)
        differs = np.unpackbits(np.frombuffer(code, np.uint8)) != wanted
        assert np.abs(terms - np.sort(terms)[127])[differs].max(initial=0) < TIE, name
        assert quality == of_quality, name


def noise(seed: int, height: int, width: int) -> RGB:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def _shared_photos() -> list[Path]:
    return sorted((SHARED_DATA / "photos").glob("*.*")) + sorted(
        (SHARED_DATA / "pdq").glob("*.jpg")
    )


@pytest.mark.parametrize("name", [*LISTED, *UNLISTED])
@pytest.mark.parametrize("most", [2048, 400])
def test_pdq_of_a_photo_is_what_the_reference_gives(name: str, most: int) -> None:
    assert_all_as_the_reference(np.asarray(photo(name, most)))


@pytest.mark.parametrize("seed", range(5))
def test_pdq_of_a_drawn_scene_is_what_the_reference_gives(seed: int) -> None:
    assert_all_as_the_reference(scene(seed))


@pytest.mark.skipif(not _shared_photos(), reason="no shared data")
def test_pdq_of_the_shared_photos_is_what_the_reference_gives() -> None:
    for file in _shared_photos():
        with Image.open(file) as opened_file:
            rgb = np.asarray(opened_file.convert("RGB"))
        vector, quality = pdqhash.compute(rgb)
        assert pdq.upright(rgb) == (np.packbits(vector).tobytes(), quality), file


@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 400), width=st.integers(1, 400))
def test_pdq_of_a_picture_of_any_size_is_what_the_reference_gives(
    seed: int, height: int, width: int
) -> None:
    assert_all_as_the_reference(noise(seed, height, width))


@pytest.mark.parametrize(
    ("height", "width"),
    [(5, 5), (5, 1000), (64, 64), (63, 65), (127, 129), (640, 641), (70_000, 6), (6, 70_000)],
)
def test_pdq_at_the_borders_of_its_sizes_is_what_the_reference_gives(
    height: int, width: int
) -> None:
    assert_all_as_the_reference(noise(1, height, width))


@pytest.mark.parametrize("size", [(1, 1), (1, 70_000), (4, 300), (300, 4)])
def test_pdq_of_less_than_five_pixels_is_all_zeros(size: tuple[int, int]) -> None:
    assert_all_as_the_reference(noise(1, *size))
    assert pdq.upright(noise(1, *size)) == (bytes(32), 0)


@pytest.mark.parametrize("grey", [0, 1, 99, 128, 255])
@pytest.mark.parametrize("size", [(64, 64), (100, 333), (777, 512)])
def test_pdq_of_a_flat_picture_is_all_zeros(grey: int, size: tuple[int, int]) -> None:
    flat = np.full((*size, 3), grey, np.uint8) // np.array([1, 2, 3], np.uint8)
    assert list(pdq.orientations(flat)) == [(name, bytes(32), 0) for name in ORIENTATIONS]


def test_pdq_of_a_striped_picture_is_all_zeros() -> None:
    striped = np.repeat(noise(1, 1, 500), 333, axis=0)
    assert list(pdq.orientations(striped)) == [(name, bytes(32), 0) for name in ORIENTATIONS]


def test_pdq_of_a_symmetric_picture_does_not_hang_on_rounding() -> None:
    corner = noise(1, 300, 300) // 2
    symmetric = corner + corner.transpose(1, 0, 2)
    hashes = {name: code for name, code, _ in pdq.orientations(symmetric)}
    assert hashes["upright"] == hashes["transposed"]


def test_pdq_of_a_large_picture_takes_little_memory() -> None:
    rgb = np.zeros((3000, 4000, 3), np.uint8)
    tracemalloc.start()
    pdq.upright(rgb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rgb.nbytes


# ── PDQ of luma, also shrunk ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", LISTED)
def test_pdq_of_the_luma_is_that_of_the_colours(name: str) -> None:
    rgb = np.asarray(photo(name))
    luma = (rgb @ np.array([0.299, 0.587, 0.114])).astype(np.float32)
    assert list(pdq.orientations(luma)) == list(pdq.orientations(rgb))


@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(5, 300),
    width=st.integers(5, 300),
    scale=st.sampled_from([1, 2, 3, 4, 8]),
)
def test_a_shrunk_picture_has_the_hash_of_the_full_one_that_it_stands_for(
    seed: int, height: int, width: int, scale: int
) -> None:
    shrunk = noise(seed, -(-height // scale), -(-width // scale))[..., 0]
    full = shrunk.repeat(scale, axis=0).repeat(scale, axis=1)[:height, :width]
    assert list(pdq.orientations(shrunk, full=(height, width), scale=scale)) == list(
        pdq.orientations(full)
    )


@pytest.mark.parametrize("name", [*LISTED, *UNLISTED])
@pytest.mark.parametrize(("shortest", "most"), [(512, 4), (256, 10)])
def test_a_jpeg_decoded_small_has_nearly_the_hash_of_the_full_one(
    name: str, shortest: int, most: int
) -> None:
    data = save(photo(name), "JPEG", quality=90)
    with Image.open(io.BytesIO(data)) as small, opened(data) as full:
        scale = max(s for s in (1, 2, 4, 8) if s == 1 or min(full.size) >= s * shortest)
        small.draft("L", (full.width // scale, full.height // scale))
        made = pdq.orientations(np.asarray(small), full=full.size[::-1], scale=scale)
        wanted = pdq.orientations(np.asarray(full))
        assert all(
            distance(one[1], other[1]) <= most for one, other in zip(made, wanted, strict=True)
        )


@pytest.mark.parametrize(("full", "scale"), [((101, 100), 1), ((300, 200), 2), ((100, 100), 2)])
def test_a_shrunk_picture_of_another_size_is_an_error(full: tuple[int, int], scale: int) -> None:
    with pytest.raises(ValueError, match="is not"):
        next(pdq.orientations(noise(1, 100, 100), full=full, scale=scale))
