from __future__ import annotations

import hashlib
from collections.abc import Callable

import imagehash
import numpy as np
import pdqhash
import pytest
from disguises import opened, save
from PIL import Image
from samples import LISTED, UNLISTED, photo

from initgate.hashing import hash_bytes, hash_orientations, hash_upright
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


def test_pdq_is_what_the_reference_gives() -> None:
    vector, quality = pdqhash.compute(SCENE)
    made = hash_upright(SCENE, Algorithm.PDQ)
    assert made.code.hex() == f"{int(''.join(str(bit) for bit in vector), 2):064x}"
    assert made.quality == quality


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
