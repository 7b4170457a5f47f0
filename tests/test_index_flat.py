from __future__ import annotations

import numpy as np
import pytest
from codes import as_set, brute_force, random_codes
from hypothesis import given
from hypothesis import strategies as st

from initgate.index.flat import Flat


@given(
    number=st.integers(0, 70),
    queries=st.integers(1, 5),
    bits=st.sampled_from([64, 256]),
    fraction=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_finds_exactly_what_brute_force_finds(
    number: int, queries: int, bits: int, fraction: float, seed: int
) -> None:
    codes = random_codes(seed, number, bits)
    asked = np.concatenate([random_codes(seed + 1, queries, bits), codes[:2]])
    threshold = round(fraction * bits)
    assert as_set(Flat(codes).search(asked, threshold)) == brute_force(codes, asked, threshold)


def test_codes_that_must_not_be_written_are_searched_where_they_lie() -> None:
    codes = random_codes(0, 100, 256)
    codes.flags.writeable = False
    flat = Flat(codes)
    assert flat.codes is codes
    assert as_set(flat.search(codes[7:8], 0)) == {(7, 0, 0)}


def test_memory_that_faiss_would_misread_is_refused() -> None:
    wide = random_codes(0, 10, 512)
    with pytest.raises(ValueError, match="contiguous"):
        Flat(wide[:, ::2])
    with pytest.raises(ValueError, match="queries"):
        Flat(wide).search(wide[:, :32], 3)
