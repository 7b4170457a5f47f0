from __future__ import annotations

import hashlib

import numpy as np
import pytest
from codes import as_set, brute_force, random_codes
from hypothesis import given
from hypothesis import strategies as st

from initgate.index.digests import Digests, bucket_bits


@given(
    number=st.integers(0, 300),
    bits=st.sampled_from([128, 160, 256]),
    spread=st.sampled_from([1, 2, 255]),
    seed=st.integers(0, 2**32 - 1),
)
def test_finds_exactly_what_brute_force_finds(
    number: int, bits: int, spread: int, seed: int
) -> None:
    codes = random_codes(seed, number, bits) % np.uint8(
        spread
    )  # few values: equal ones, and full buckets
    queries = np.concatenate([codes[:5], codes[-3:], random_codes(seed + 1, 2, bits)])
    found = Digests.of(codes).search(queries, 0)
    assert as_set(found) == brute_force(codes, queries, 0)
    assert len(found.rows) == len(as_set(found))


@pytest.mark.parametrize("number", [1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 1000, 4096])
def test_every_digest_of_a_list_is_found(number: int) -> None:
    made = [hashlib.md5(str(one).encode(), usedforsecurity=False).digest() for one in range(number)]
    codes = np.frombuffer(b"".join(made), np.uint8).reshape(-1, 16)
    found = Digests.of(codes).search(codes, 0)
    assert as_set(found) == {(row, row, 0) for row in range(number)}


def test_one_changed_bit_is_another_digest() -> None:
    codes = random_codes(0, 100, 256)
    bits = np.unpackbits(codes[42])
    queries = np.packbits(bits ^ np.eye(256, dtype=np.uint8), axis=1)
    assert as_set(Digests.of(codes).search(queries, 0)) == set()


@pytest.mark.parametrize("head", [0, 255])
def test_the_first_and_the_last_bucket_are_looked_into(head: int) -> None:
    codes = random_codes(0, 1000, 128)
    codes[500, :4] = head
    assert as_set(Digests.of(codes).search(codes[500:501], 0)) == {(500, 0, 0)}


def test_buckets_hold_a_few_each() -> None:
    for number in (100, 10**4, 6 * 10**7):
        assert 4 <= number / 2 ** bucket_bits(number) < 8


def test_a_bucket_out_of_range_is_a_fault_and_no_miss() -> None:
    codes = random_codes(0, 100, 128)
    good = Digests.of(codes)
    with pytest.raises(IndexError):
        Digests(codes, good.starts + np.uint32(200), good.rows).search(codes[:1], 0)
    with pytest.raises(IndexError):
        Digests(codes, good.starts, good.rows + np.uint32(200)).search(codes[:1], 0)
