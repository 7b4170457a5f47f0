from __future__ import annotations

import itertools

import numpy as np
import pytest
from codes import random_codes
from hypothesis import given
from hypothesis import strategies as st

from initgate.index.layout import STEP, Layout, masks

LAYOUTS = [Layout(bits, bands) for bits in (64, 256) for bands in range(-(-bits // 26), bits // 6)]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_bands_hold_every_bit_once(layout: Layout) -> None:
    assert sum(layout.widths) == layout.bits
    assert len(layout.widths) == layout.bands
    assert max(layout.widths) - min(layout.widths) <= 1


@given(st.sampled_from(LAYOUTS), st.integers(0, 255))
def test_flips_are_as_few_as_the_pigeonhole_principle_allows(
    layout: Layout, threshold: int
) -> None:
    flips = layout.flips(threshold)
    assert len(flips) == layout.bands
    assert sum(most + 1 for most in flips) == threshold + 1
    assert max(flips) - min(flips) <= 1


@pytest.mark.parametrize("threshold", [0, 1, 5, 10, 11, 21, 31])
def test_masks_are_all_ways_to_flip_so_many_bits(threshold: int) -> None:
    layout = Layout(256, 22)
    bands, flipped = masks(layout, threshold)
    assert len(flipped) == layout.probes(threshold)
    for band, (width, most) in enumerate(zip(layout.widths, layout.flips(threshold), strict=True)):
        expected = {value for value in range(1 << width) if value.bit_count() <= most}
        chosen = flipped[bands == band]
        assert set(chosen.tolist()) == expected
        assert len(chosen) == len(expected)


@given(st.sampled_from(LAYOUTS), st.integers(0, 2**32 - 1))
def test_a_bucket_is_the_shuffled_bits_of_a_band(layout: Layout, seed: int) -> None:
    (code,) = random_codes(seed, 1, layout.bits)
    bits = np.unpackbits(code)
    shuffled = "".join(str(bits[STEP * place % layout.bits]) for place in range(layout.bits))
    places = itertools.accumulate(layout.widths, initial=0)
    expected = [
        first + int(shuffled[place : place + width], 2)
        for first, place, width in zip(layout.first_buckets, places, layout.widths, strict=False)
    ]
    assert layout.buckets(code[None]).tolist() == [expected]


@pytest.mark.parametrize("layout", [Layout(256, 11), Layout(64, 3)], ids=str)
@pytest.mark.parametrize("number", [0, 1, 2**15, 2**15 + 1])
def test_many_codes_get_the_buckets_of_few(layout: Layout, number: int) -> None:
    codes = random_codes(1, number, layout.bits)
    columns = [layout.column(codes, band) for band in range(layout.bands)]
    assert (layout.buckets(codes) == np.transpose(columns)).all()
