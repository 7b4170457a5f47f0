from __future__ import annotations

import numpy as np
import pytest

from initgate.canary import load_canary
from initgate.hashing import hash_bytes, hash_upright
from initgate.image import Limits, decode
from initgate.model import Algorithm


@pytest.mark.parametrize("algorithm", Algorithm)
def test_the_canary_has_one_hash_of_every_algorithm(algorithm: Algorithm) -> None:
    (one,) = load_canary([algorithm]).lists
    assert (one.algorithm, len(one), one.name) == (algorithm, 1, f"initgate.canary.{algorithm}")


@pytest.mark.parametrize("algorithm", Algorithm)
def test_the_hash_is_the_pictures(algorithm: Algorithm) -> None:
    canary = load_canary([algorithm])
    if algorithm.is_digest:
        made = hash_bytes(canary.data, algorithm)
    else:
        made = hash_upright(decode(canary.data, limits=Limits()).pixels[0].levels, algorithm)
    assert canary.lists[0].codes.tobytes() == made.code


def test_an_algorithm_in_use_twice_has_one_canary() -> None:
    canary = load_canary([Algorithm.PDQ, Algorithm.MD5, Algorithm.PDQ])
    assert [one.algorithm for one in canary.lists] == [Algorithm.MD5, Algorithm.PDQ]


def test_the_picture_has_structure() -> None:
    rgb = decode(load_canary([]).data, limits=Limits()).pixels[0].levels
    quality = hash_upright(rgb, Algorithm.PDQ).quality
    assert quality is not None
    assert quality >= 80
    assert np.unique(rgb).size > 10
