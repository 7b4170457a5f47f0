"""One still picture to the last byte, or a file in which a decoder may find another."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from samples import photo

from initgate.service.proxy.containers import is_whole

PICTURE = photo("astronaut", 128)


def save(file_format: str, picture: Image.Image = PICTURE, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I4s", len(content), kind) + content + struct.pack(">I", checksum)


def riff(*chunks: bytes) -> bytes:
    content = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(content)) + content


WHOLE = {
    "PNG": save("PNG"),
    "PNG with a profile": save("PNG", icc_profile=b"x" * 200),
    "grey PNG": save("PNG", PICTURE.convert("L")),
    "JPEG": save("JPEG"),
    "progressive JPEG": save("JPEG", progressive=True),
    "JPEG with EXIF": save("JPEG", exif=b"Exif\0\0" + save("JPEG")[:2000]),
    "JPEG with restarts": save("JPEG", restart_marker_rows=1),
    "WebP": save("WEBP"),
    "lossless WebP": save("WEBP", lossless=True),
    "transparent WebP": save("WEBP", PICTURE.convert("RGBA"), exif=b"x" * 101),
}
MOVING = WHOLE["PNG"][:33] + chunk(b"acTL", bytes(8)) + WHOLE["PNG"][33:]
TWO = WHOLE["WebP"][12:]


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_as_it_is_saved_is_whole(name: str) -> None:
    assert is_whole(WHOLE[name])


@pytest.mark.parametrize("name", WHOLE)
@given(tail=st.binary(min_size=1, max_size=8))
def test_a_file_that_goes_on_behind_its_picture_is_not(name: str, tail: bytes) -> None:
    assert not is_whole(WHOLE[name] + tail)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("second", WHOLE)
def test_two_files_in_one_are_not(name: str, second: str) -> None:
    assert not is_whole(WHOLE[name] + WHOLE[second])


@pytest.mark.parametrize("name", WHOLE)
@given(data=st.data())
def test_a_file_that_was_cut_off_is_not(name: str, data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, len(WHOLE[name]) - 1))
    assert not is_whole(WHOLE[name][:kept])


@pytest.mark.parametrize(
    "data",
    [
        MOVING,
        save("PNG", Image.fromarray(np.zeros((8, 8), np.uint16))),
        riff(TWO, TWO),
        riff(TWO, b"ANMF" + struct.pack("<I", 0)),
        save("BMP"),
        save("GIF"),
        save("TIFF"),
        save("JPEG")[:-2] + save("JPEG"),
        b"",
    ],
    ids=["moving PNG", "16 bits", "two in a WebP", "a frame", "BMP", "GIF", "TIFF", "joined", "no"],
)
def test_what_holds_more_or_is_another_format_is_not(data: bytes) -> None:
    assert not is_whole(data)


@given(st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"RIFF"]), st.binary())
def test_any_bytes_have_an_answer(start: bytes, rest: bytes) -> None:
    assert is_whole(start + rest) in {True, False}
