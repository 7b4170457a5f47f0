"""Files encrypted at rest: what is opened is what was sealed, or nothing."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initgate import sealed
from initgate.errors import ConfigError, ListRejected
from initgate.sealed import MAGIC, parse_key, seal, unseal

pytest.importorskip("cryptography")

KEY = bytes(range(32))
HEADER = len(MAGIC) + 32
CHUNK = 64
SEALED_CHUNK = CHUNK + 16


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "_CHUNK_BYTES", CHUNK)


def _seal(content: bytes, key: bytes = KEY) -> bytes:
    out = io.BytesIO()
    seal(io.BytesIO(content), out, key)
    return out.getvalue()


def _unseal(data: bytes, key: bytes = KEY) -> bytes:
    with unseal(io.BytesIO(data), key, source="pdq.igx") as opened:
        return opened[:]


CONTENT = bytes(range(200)) + bytes(56)  # four whole chunks


@given(st.binary(min_size=1, max_size=4 * CHUNK + 1))
def test_what_is_opened_is_what_was_sealed(content: bytes) -> None:
    assert _unseal(_seal(content)) == content


@pytest.mark.parametrize("length", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_lengths_around_a_chunk_are_kept(length: int) -> None:
    assert len(_unseal(_seal(bytes(length)))) == length


@given(st.binary(max_size=4 * CHUNK + 1), st.data())
def test_a_sealed_file_is_read_as_the_one_before_it(content: bytes, data: st.DataObject) -> None:
    opened = sealed.opened(io.BytesIO(_seal(content)), KEY, source="a")
    before = io.BytesIO(content)
    place = st.integers(0, len(content) + 9)
    for at, number in data.draw(st.lists(st.tuples(place, st.integers(0, 3 * CHUNK)), max_size=5)):
        assert (opened.seek(at), opened.read(number)) == (before.seek(at), before.read(number))
    assert (opened.seek(0, io.SEEK_END), opened.seek(0)) == (len(content), 0)
    assert opened.read() == content


def test_of_a_file_that_was_cut_off_no_last_piece_is_read() -> None:
    cut = io.BytesIO(_seal(CONTENT)[: HEADER + 2 * SEALED_CHUNK])
    opened = sealed.opened(cut, KEY, source="a")
    with pytest.raises(ListRejected, match=r"a: it was sealed with another key.*\[store\] key"):
        opened.read()


@pytest.mark.parametrize("key", [KEY, None])
def test_what_is_copied_is_opened_with_the_same_key_or_none(key: bytes | None) -> None:
    out = io.BytesIO()
    sealed.write(io.BytesIO(CONTENT), out, key)
    out.seek(0)
    assert sealed.opened(out, key, source="a").read() == CONTENT


def test_nothing_of_the_content_can_be_read() -> None:
    content = b"case-4711 " * 40
    assert b"case-4711" not in _seal(content)


def test_the_same_content_never_looks_the_same() -> None:
    assert _seal(CONTENT)[HEADER:] != _seal(CONTENT)[HEADER:]


@given(st.data())
def test_a_flipped_bit_is_found_and_the_file_named(data: st.DataObject) -> None:
    changed = bytearray(_seal(CONTENT))
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ListRejected, match=r"pdq\.igx"):
        _unseal(bytes(changed))


@given(st.data())
def test_a_file_that_was_cut_off_is_found(data: st.DataObject) -> None:
    whole = _seal(CONTENT)
    left = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(ListRejected, match=r"pdq\.igx"):
        _unseal(whole[:left])


def test_a_file_cut_off_between_chunks_is_found() -> None:
    with pytest.raises(ListRejected, match="cut off"):
        _unseal(_seal(CONTENT)[: HEADER + 2 * SEALED_CHUNK])


def test_swapped_chunks_are_found() -> None:
    whole = _seal(CONTENT)
    first, second = (whole[HEADER + n * SEALED_CHUNK :][:SEALED_CHUNK] for n in range(2))
    swapped = whole[:HEADER] + second + first + whole[HEADER + 2 * SEALED_CHUNK :]
    with pytest.raises(ListRejected, match="changed"):
        _unseal(swapped)


def test_a_chunk_left_out_is_found() -> None:
    whole = _seal(CONTENT)
    with pytest.raises(ListRejected, match="changed"):
        _unseal(whole[:HEADER] + whole[HEADER + SEALED_CHUNK :])


def test_a_chunk_of_another_file_of_the_same_key_is_found() -> None:
    one, other = _seal(CONTENT), _seal(CONTENT)
    with pytest.raises(ListRejected, match="changed"):
        _unseal(one[: HEADER + SEALED_CHUNK] + other[HEADER + SEALED_CHUNK :])


def test_what_was_appended_is_found() -> None:
    with pytest.raises(ListRejected, match="changed"):
        _unseal(_seal(CONTENT) + bytes(SEALED_CHUNK))


def test_another_key_opens_nothing() -> None:
    with pytest.raises(ListRejected, match=r"pdq\.igx.*another key"):
        _unseal(_seal(CONTENT), bytes(32))


def test_a_file_in_the_clear_is_not_taken_for_a_sealed_one() -> None:
    with pytest.raises(ListRejected, match="not encrypted"):
        _unseal(b"algorithm,hash,entry\n")


def test_a_key_is_what_openssl_prints() -> None:
    assert parse_key(f"{KEY.hex()}\n", source="env:KEY") == KEY


@pytest.mark.parametrize("text", ["", "abc", "00" * 31, "00" * 33, "g" * 64])
def test_what_is_no_key_is_an_error_that_does_not_tell_it(text: str) -> None:
    with pytest.raises(ConfigError, match="env:KEY: no key") as caught:
        parse_key(text, source="env:KEY")
    assert not text or text not in str(caught.value)
