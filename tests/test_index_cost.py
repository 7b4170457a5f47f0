from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initgate.index import cost
from initgate.index.layout import MAX_WIDTH, Layout


@pytest.mark.parametrize("number", [0, 1, 1000, 10**4, 30_000])
@pytest.mark.parametrize(("bits", "threshold"), [(256, 31), (64, 6), (256, 0)])
def test_short_lists_are_compared_code_by_code(number: int, bits: int, threshold: int) -> None:
    assert cost.choose(number, bits, threshold) is None


@pytest.mark.parametrize(
    ("number", "bands"), [(300_000, 12), (10**6, 11), (10**7, 11), (10**8, 10)]
)
def test_longer_lists_have_fewer_and_wider_bands(number: int, bands: int) -> None:
    assert cost.choose(number, 256, 31) == Layout(256, bands)


@pytest.mark.parametrize(("number", "bits", "threshold"), [(10**6, 256, 96), (10**6, 64, 24)])
def test_a_threshold_so_large_that_bands_do_not_help_is_scanned(
    number: int, bits: int, threshold: int
) -> None:
    assert cost.choose(number, bits, threshold) is None


def test_short_codes_are_scanned_unless_bands_win_clearly() -> None:
    assert cost.choose(100_000, 64, 6) is None
    chosen = cost.choose(10**7, 64, 6)
    assert chosen is not None
    assert cost.banded(chosen, 10**7, 6) * 2 <= cost.scan(10**7, 64)


@given(st.integers(0, 2 * 10**9), st.sampled_from([(256, 96), (64, 24)]), st.floats(0, 1))
def test_a_choice_can_be_built(number: int, kind: tuple[int, int], fraction: float) -> None:
    bits, most = kind
    chosen = cost.choose(number, bits, round(most * fraction))
    if chosen is not None:
        assert max(chosen.widths) <= MAX_WIDTH
        assert min(chosen.widths) >= 6
        assert number * chosen.bands < 2**32
        assert chosen.first_buckets[-1] < 2**32


@given(st.integers(1, 10**9), st.integers(0, 40))
def test_no_other_number_of_bands_is_expected_to_be_better(number: int, threshold: int) -> None:
    chosen = cost.choose(number, 256, threshold)
    costs = [
        cost.banded(Layout(256, bands), number, threshold)
        for bands in range(10, 43)
        if number * bands < 2**32
    ]
    if chosen is not None:
        assert cost.banded(chosen, number, threshold) == min(costs)
