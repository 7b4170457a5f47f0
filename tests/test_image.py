from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from disguises import animation, opened, save
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from initgate.errors import ImageUnreadable
from initgate.image import (
    Limits,
    _array,
    _describe,
    decode,
    encode,
    file_bytes,
    is_pil,
    is_plain,
    snapshot,
    to_pil,
    to_png,
)
from initgate.model import Picture, Pixels
from initgate.testing import scene

LIMITS = Limits()
SMALL = Limits(max_bytes=1_000_000, max_pixels=1_000_000, max_frames=16)
SCENE = scene(7, height=48, width=64)
PICTURE = Image.fromarray(SCENE)
MAGIC = {
    "JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "PNG": b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR",
    "WEBP": b"RIFF\x40\x00\x00\x00WEBPVP8 ",
    "GIF": b"GIF89a",
    "BMP": b"BM",
    "TIFF": b"II*\x00\x08\x00\x00\x00",
    "AVIF": b"\x00\x00\x00\x1cftypavif",
}
FILES = {file_format: save(PICTURE, file_format) for file_format in MAGIC} | {
    "GIF animation": animation(PICTURE, "GIF", at=1),
    "APNG": animation(PICTURE, "PNG", at=1),
    "WebP animation": animation(PICTURE, "WEBP", at=1),
    "TIFF pages": animation(PICTURE, "TIFF", at=1, compression="tiff_lzw"),
    "palette PNG": save(PICTURE.quantize(16), "PNG", transparency=0),
    "CMYK TIFF": save(PICTURE.convert("CMYK"), "TIFF"),
}


def unreadable(source: object, limits: Limits = LIMITS) -> str:
    """The message with which an input is refused."""
    with pytest.raises(ImageUnreadable) as raised:
        decode(source, limits=limits)
    return str(raised.value)


def looks(source: object) -> bool:
    """Whether pixels could be had; any answer but ImageUnreadable is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in production, where a decoder's warnings stop nothing
        try:
            picture = decode(source, limits=SMALL)
        except ImageUnreadable:
            return False
    assert isinstance(picture, Picture)
    assert picture.pixels
    for pixels in picture.pixels:
        assert pixels.levels.dtype == np.uint8
        assert pixels.levels.shape[2:] in {(), (3,)}
        assert pixels.alpha is None or pixels.alpha.shape == pixels.levels.shape[:2]
    return True


# ── What is read ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("file_format", MAGIC)
def test_reads_every_format(file_format: str) -> None:
    assert looks(FILES[file_format])


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
def test_reads_the_pixels_as_they_are(file_format: str) -> None:
    (pixels,) = decode(FILES[file_format], limits=LIMITS).pixels
    assert np.array_equal(pixels.levels, SCENE)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_file_is_its_bytes(kind: Any) -> None:
    assert file_bytes(kind(FILES["PNG"])) == FILES["PNG"]


@pytest.mark.parametrize("source", [PICTURE, SCENE, "a.png"], ids=["object", "array", "path"])
def test_an_input_that_is_no_file_has_no_bytes(source: object) -> None:
    assert file_bytes(source) is None


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La"])
def test_a_grey_object_is_one_plane(mode: str) -> None:
    picture = PICTURE.convert("L").convert("LA").convert(mode)
    wanted = np.asarray(picture.convert("L") if mode == "1" else PICTURE.convert("L"))
    assert np.array_equal(decode(picture, limits=LIMITS).pixels[0].levels, wanted)


@pytest.mark.parametrize("shape", [(48, 64), (48, 64, 1), (1, 48, 64), (48, 64, 2)])
def test_a_grey_array_is_one_plane(shape: tuple[int, ...]) -> None:
    (pixels,) = decode(np.full(shape, 99, np.uint8), limits=LIMITS).pixels
    assert pixels.levels.shape == (48, 64)


def test_a_grey_object_with_a_transparent_level_has_an_alpha() -> None:
    picture = PICTURE.convert("L")
    picture.info["transparency"] = int(SCENE[0, 0].mean())
    (pixels,) = decode(picture, limits=LIMITS).pixels
    opaque = np.asarray(picture) != picture.info["transparency"]
    assert pixels.alpha is not None
    assert np.array_equal(pixels.alpha > 0, opaque)


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16"])
@pytest.mark.parametrize("size", [(700, 800), (300_000, 2)])
def test_a_large_object_is_read_as_it_is(mode: str, size: tuple[int, int]) -> None:
    colours = np.random.default_rng(1).integers(0, 256, (*size[::-1], 4), np.uint8)
    picture = Image.fromarray(colours).convert("L" if mode == "I;16" else "RGB").convert(mode)
    assert np.array_equal(_array(picture), np.asarray(picture))


def test_an_opaque_picture_has_no_alpha() -> None:
    (pixels,) = decode(PICTURE.convert("RGBA"), limits=LIMITS).pixels
    assert pixels.alpha is None


def test_one_transparent_pixel_gives_the_picture_an_alpha() -> None:
    picture = PICTURE.convert("RGBA")
    picture.putpixel((5, 3), (0, 0, 0, 254))
    (pixels,) = decode(picture, limits=LIMITS).pixels
    assert pixels.alpha is not None
    assert pixels.alpha[3, 5] == 254


@pytest.mark.parametrize("name", ["GIF animation", "APNG", "WebP animation", "TIFF pages"])
def test_numbers_the_frames(name: str) -> None:
    assert {pixels.frame for pixels in decode(FILES[name], limits=LIMITS).pixels} == {0, 1, 2}


def test_does_not_change_an_object() -> None:
    picture = PICTURE.convert("P")
    before = (picture.mode, picture.tobytes(), picture.getpalette())
    decode(picture, limits=LIMITS)
    assert (picture.mode, picture.tobytes(), picture.getpalette()) == before


def test_does_not_change_an_array() -> None:
    array = SCENE.astype(np.float32) / 255
    before = array.copy()
    decode(array, limits=LIMITS)
    assert np.array_equal(array, before)


def test_reads_booleans_as_black_and_white() -> None:
    (pixels,) = decode(SCENE[:, :, 0] > 99, limits=LIMITS).pixels
    assert set(np.unique(pixels.levels)) == {0, 255}


@pytest.mark.parametrize("side", [1, 2, 3, 4, 5])
def test_reads_a_tiny_picture(side: int) -> None:
    assert looks(np.zeros((side, side, 3), np.uint8))
    assert looks(save(Image.new("RGB", (side, side)), "PNG"))


# ── JPEG files decoded smaller ────────────────────────────────────────────────────────────────


def reduced(size: tuple[int, int], mode: str = "RGB", **options: Any) -> list[Pixels]:
    """What is left of a JPEG file of a size."""
    data = save(PICTURE.resize(size).convert(mode), "JPEG", **options)
    return list(decode(data, limits=LIMITS, reduce_jpegs=True).pixels)


@pytest.mark.parametrize(
    ("size", "scale", "left"),
    [
        ((1023, 2000), 1, (2000, 1023)),
        ((1024, 1024), 2, (512, 512)),
        ((1025, 1100), 2, (550, 513)),
        ((2047, 2055), 2, (1028, 1024)),
        ((2049, 2048), 4, (512, 513)),
        ((4097, 4103), 8, (513, 513)),
        ((9, 9000), 1, (9000, 9)),
    ],
)
def test_a_reduced_jpeg_keeps_512_pixels_of_its_shorter_side(
    size: tuple[int, int], scale: int, left: tuple[int, int]
) -> None:
    (pixels,) = reduced(size)
    assert pixels.levels.shape[:2] == left
    assert (pixels.full, pixels.scale) == (size[::-1], scale)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_reduced_jpeg_may_have_any_colours(mode: str, progressive: bool) -> None:
    for pixels in reduced((1100, 1200), mode, progressive=progressive):
        assert pixels.levels.shape[:2] == (600, 550)
        assert (pixels.full, pixels.scale) == ((1200, 1100), 2)


def test_a_jpeg_is_not_reduced_unless_asked() -> None:
    data = save(PICTURE.resize((1100, 1200)), "JPEG")
    (pixels,) = decode(data, limits=LIMITS).pixels
    assert (pixels.levels.shape, pixels.full, pixels.scale) == ((1200, 1100, 3), None, 1)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "MPO"])
def test_another_file_is_not_reduced(file_format: str) -> None:
    large = PICTURE.resize((1100, 1200))
    more = {"save_all": True, "append_images": [large]} if file_format == "MPO" else {}
    data = save(large, file_format, **more)
    for pixels in decode(data, limits=LIMITS, reduce_jpegs=True).pixels:
        assert (pixels.levels.shape, pixels.full) == ((1200, 1100, 3), None)


def test_an_object_is_not_reduced() -> None:
    lazy = opened(save(PICTURE.resize((1100, 1200)), "JPEG"))
    for pixels in decode(lazy, limits=LIMITS, reduce_jpegs=True).pixels:
        assert pixels.levels.shape == (1200, 1100, 3)
    assert lazy.size == (1100, 1200)


def test_a_reduced_jpeg_counts_with_all_its_pixels() -> None:
    data = save(PICTURE.resize((1100, 1200)), "JPEG")
    assert decode(data, limits=Limits(max_pixels=1100 * 1200), reduce_jpegs=True).pixels
    with pytest.raises(ImageUnreadable, match="max_pixels"):
        decode(data, limits=Limits(max_pixels=1100 * 1200 - 1), reduce_jpegs=True)


def test_a_reduced_jpeg_that_is_cut_is_unreadable() -> None:
    data = save(PICTURE.resize((1100, 1200)), "JPEG")
    with pytest.raises(ImageUnreadable):
        decode(data[: len(data) // 2], limits=LIMITS, reduce_jpegs=True)


# ── What is not ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "source",
    [None, 1, "photo.png", Path("photo.png"), [SCENE], {"image": SCENE}, io.BytesIO(b"x")],
    ids=lambda source: type(source).__name__,
)
def test_a_value_of_another_type_is_unreadable(source: object) -> None:
    assert type(source).__name__ in unreadable(source)


def test_a_path_is_answered_with_what_to_do() -> None:
    assert "open the file or URL first" in unreadable("photo.png")


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0,)),
        np.zeros((0, 0)),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((8, 0, 3), np.uint8),
        np.zeros((8, 8, 0), np.uint8),
        np.zeros((0, 8, 8, 3), np.float32),
        np.zeros(()),
        np.zeros(9),
        np.zeros((5, 6, 7), np.uint8),
        np.zeros((8, 8, 8, 8), np.uint8),
        np.zeros((1, 1, 1, 8, 8, 3), np.uint8),
        np.zeros((8, 8, 3), np.complex64),
        np.zeros((8, 8, 3), object),
        np.full((8, 8, 3), "x"),
        np.zeros((8, 8), "datetime64[s]"),
        np.zeros((8, 8), [("r", "u1")]),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_an_array_without_a_picture_is_unreadable(array: NDArray[Any]) -> None:
    assert "array" in unreadable(array)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_one_value_that_is_not_finite_makes_an_array_unreadable(value: float, dtype: Any) -> None:
    array = np.ones((8, 8, 3), dtype)
    array[2, 3, 1] = value
    assert "NaN" in unreadable(array)


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_an_object_without_pixels_is_unreadable(size: tuple[int, int]) -> None:
    assert unreadable(Image.new("RGB", size)) == f"{size[0]} × {size[1]} pixels"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"P6 2 2 255\n" + bytes(12),
        b"P5 2 2 255\n" + bytes(4),
        save(PICTURE.resize((16, 16)), "ICO"),
        save(PICTURE, "PDF"),
        save(PICTURE, "EPS"),
        save(PICTURE, "TGA"),
        save(PICTURE, "JPEG2000"),
        save(PICTURE, "PPM"),
        save(PICTURE, "PCX"),
        save(PICTURE, "DDS"),
        save(PICTURE, "SGI"),
        b"8BPS\x00\x01" + bytes(6) + struct.pack(">HIIHH", 3, 8, 8, 8, 3) + bytes(200),
        b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>',
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n",
        b"\x93NUMPY\x01\x00",
        b"\x80\x04\x95",
        b"PK\x03\x04" + bytes(60),
    ],
    ids=lambda data: repr(data[:8]),
)
def test_another_format_is_unreadable(data: bytes) -> None:
    assert "in none of the formats" in unreadable(data)


@pytest.mark.parametrize("file_format", MAGIC)
def test_a_head_alone_is_unreadable(file_format: str) -> None:
    unreadable(FILES[file_format][: len(FILES[file_format]) // 8])


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_anywhere_is_read_or_unreadable(name: str) -> None:
    data = FILES[name]
    answers = [looks(data[:cut]) for cut in range(0, len(data), max(1, len(data) // 60))]
    assert not all(answers)


def test_a_lazy_object_whose_file_is_broken_is_unreadable() -> None:
    picture = opened(FILES["PNG"][:-200])
    assert "OSError" in unreadable(picture)


def test_an_object_whose_file_is_closed_before_it_was_loaded_is_unreadable() -> None:
    with opened(FILES["PNG"]) as picture:
        pass
    unreadable(picture)


def test_a_message_names_no_file() -> None:
    assert _describe(FileNotFoundError(2, "No such file", "holiday.png")) == (
        "FileNotFoundError: No such file"
    )


# ── What an input may cost ────────────────────────────────────────────────────────────────────


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 9) + b"IDAT" + bytes(13)


def bmp_header(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info + bytes(64)


def gif_header(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + b"," + bytes(9)


@pytest.mark.parametrize(
    "size", [(100_000, 100_000), (2**31 - 1, 1), (1, 2**31 - 1), (12_000, 9_000)]
)
@pytest.mark.parametrize("header", [png_header, bmp_header])
def test_a_header_that_claims_too_much_is_unreadable(header: Any, size: tuple[int, int]) -> None:
    unreadable(header(*size))


def test_a_gif_header_that_claims_too_much_is_unreadable() -> None:
    unreadable(gif_header(65_535, 65_535))


@pytest.mark.parametrize("size", [(0, 0), (0, 9), (9, 0)])
@pytest.mark.parametrize("header", [png_header, bmp_header, gif_header])
def test_a_header_without_pixels_is_unreadable(header: Any, size: tuple[int, int]) -> None:
    unreadable(header(*size))


def test_as_many_bytes_as_allowed_are_read() -> None:
    data = FILES["PNG"]
    assert decode(data, limits=Limits(max_bytes=len(data))).pixels


def test_a_byte_more_is_unreadable() -> None:
    data = FILES["PNG"]
    assert "max_bytes" in unreadable(data, Limits(max_bytes=len(data) - 1))


@pytest.mark.parametrize("source", [FILES["PNG"], PICTURE, SCENE], ids=["file", "object", "array"])
def test_as_many_pixels_as_allowed_are_read(source: object) -> None:
    assert decode(source, limits=Limits(max_pixels=48 * 64)).pixels


@pytest.mark.parametrize("source", [FILES["PNG"], PICTURE, SCENE], ids=["file", "object", "array"])
def test_a_pixel_more_is_unreadable(source: object) -> None:
    assert "max_pixels" in unreadable(source, Limits(max_pixels=48 * 64 - 1))


FRAMED = ["GIF animation", "APNG", "WebP animation", "TIFF pages"]


@pytest.mark.parametrize("name", FRAMED)
def test_as_many_frames_as_allowed_are_read(name: str) -> None:
    assert decode(FILES[name], limits=Limits(max_frames=3)).pixels


@pytest.mark.parametrize("name", FRAMED)
def test_a_frame_more_is_unreadable(name: str) -> None:
    assert "max_frames" in unreadable(FILES[name], Limits(max_frames=2))


@pytest.mark.parametrize("name", FRAMED)
def test_the_pixels_of_all_frames_are_summed(name: str) -> None:
    assert "max_pixels" in unreadable(FILES[name], Limits(max_pixels=3 * 48 * 64 - 1))
    assert decode(FILES[name], limits=Limits(max_pixels=3 * 48 * 64)).pixels


def test_a_gif_of_257_frames_is_unreadable() -> None:
    frames = [Image.new("L", (4, 4), number % 256) for number in range(257)]
    data = save(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert getattr(opened(data), "n_frames", 1) == 257
    assert "max_frames = 256" in unreadable(data)


def test_a_batch_of_257_pictures_is_unreadable() -> None:
    assert "max_frames = 256" in unreadable(np.zeros((257, 8, 8, 3), np.uint8))


def test_pictures_of_a_batch_are_summed() -> None:
    batch = np.stack([SCENE, SCENE])
    assert "max_pixels" in unreadable(batch, Limits(max_pixels=2 * 48 * 64 - 1))


# ── Any input ─────────────────────────────────────────────────────────────────────────────────


@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_picture_or_unreadable(data: bytes) -> None:
    looks(data)


@settings(max_examples=200)
@given(magic=st.sampled_from(sorted(MAGIC.values())), data=st.binary(max_size=300))
def test_any_bytes_after_a_magic_number_are_a_picture_or_unreadable(
    magic: bytes, data: bytes
) -> None:
    looks(magic + data)


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
def test_a_mutated_file_is_a_picture_or_unreadable(name: str, data: st.DataObject) -> None:
    mutated = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 8))):
        # Most structure stands in the first bytes.
        most = data.draw(st.sampled_from([40, 400, len(mutated)]))
        at = data.draw(st.integers(0, min(most, len(mutated)) - 1))
        mutated[at] = data.draw(st.sampled_from([0, 1, 127, 128, 255, mutated[at] ^ 1]))
    looks(bytes(mutated))


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
def test_a_file_with_a_piece_cut_out_or_doubled_is_a_picture_or_unreadable(
    name: str, data: st.DataObject
) -> None:
    whole = FILES[name]
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(0, len(whole)))
    looks(whole[:start] + whole[end:])


@settings(max_examples=150)
@given(
    array=arrays.arrays(
        dtype=st.one_of(
            arrays.integer_dtypes(),
            arrays.unsigned_integer_dtypes(),
            arrays.floating_dtypes(sizes=(16, 32)),
            arrays.boolean_dtypes(),
            arrays.complex_number_dtypes(),
        ),
        shape=arrays.array_shapes(min_dims=0, max_dims=6, min_side=0, max_side=5),
    )
)
def test_any_array_is_a_picture_or_unreadable(array: NDArray[Any]) -> None:
    looks(array)


@given(
    mode=st.sampled_from(
        [
            "1",
            "L",
            "LA",
            "La",
            "P",
            "PA",
            "RGB",
            "RGBA",
            "RGBa",
            "RGBX",
            "CMYK",
            "YCbCr",
            "LAB",
            "HSV",
            "I",
            "I;16",
            "I;16B",
            "I;16L",
            "F",
        ]
    ),
    width=st.integers(1, 9),
    height=st.integers(1, 9),
)
def test_an_object_of_any_mode_and_size_is_read(mode: str, width: int, height: int) -> None:
    assert looks(Image.new(mode, (width, height)))


# ── Small doors ───────────────────────────────────────────────────────────────────────────────


def test_png_and_back_is_the_same_picture() -> None:
    assert np.array_equal(decode(encode(SCENE, "PNG"), limits=LIMITS).pixels[0].levels, SCENE)


def test_an_array_becomes_an_object() -> None:
    assert np.array_equal(np.asarray(to_pil(SCENE)), SCENE)


def test_tells_an_object_from_others() -> None:
    assert is_pil(PICTURE)
    assert not is_pil(SCENE)


def test_a_snapshot_outlives_its_file(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(FILES["PNG"])
    with Image.open(file) as lazy:
        kept = snapshot(lazy, limits=LIMITS)
        file.write_bytes(encode(scene(2, height=48, width=64), "PNG"))
    assert np.array_equal(np.asarray(kept), SCENE)


def test_a_snapshot_is_not_mapped_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "a.bmp"
    file.write_bytes(save(PICTURE.convert("L"), "BMP"))  # of a kind that Pillow maps into memory
    with Image.open(file) as lazy:
        kept = snapshot(lazy, limits=LIMITS)
    with file.open("r+b") as opened_again:
        opened_again.seek(-1000, 2)
        opened_again.write(bytes(1000))
    assert kept.tobytes() == PICTURE.convert("L").tobytes()


def test_a_snapshot_is_of_the_current_frame() -> None:
    picture = opened(FILES["TIFF pages"])
    picture.seek(1)
    assert np.array_equal(np.asarray(snapshot(picture, limits=LIMITS)), SCENE)


def test_a_snapshot_does_not_follow_later_edits() -> None:
    picture = PICTURE.copy()
    kept = snapshot(picture, limits=LIMITS)
    picture.paste((0, 0, 0), (0, 0, 64, 48))
    assert np.array_equal(np.asarray(kept), SCENE)


def test_a_snapshot_of_a_broken_file_is_unreadable() -> None:
    with pytest.raises(ImageUnreadable):
        snapshot(opened(FILES["PNG"][:-200]), limits=LIMITS)


def test_a_snapshot_keeps_to_the_limits() -> None:
    with pytest.raises(ImageUnreadable, match="max_pixels"):
        snapshot(PICTURE, limits=Limits(max_pixels=48 * 64 - 1))


# ── A file as a PNG of its pixels ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
def test_an_everyday_file_is_plain(name: str) -> None:
    assert is_plain(FILES[name])


def test_what_decoders_may_show_differently_is_not_plain() -> None:
    odd = [
        *(
            FILES[name]
            for name in ("GIF", "TIFF", "AVIF", "BMP", "GIF animation", "APNG", "WebP animation")
        ),
        *(FILES[name] for name in ("palette PNG", "CMYK TIFF")),
        save(PICTURE.convert("CMYK"), "JPEG"),
        save(PICTURE.convert("I;16"), "PNG"),
    ]
    assert [is_plain(data) for data in odd] == [False] * len(odd)


def test_a_png_of_a_file_has_its_pixels_and_nothing_else() -> None:
    data = save(PICTURE, "PNG", icc_profile=b"x" * 200)
    again = opened(to_png(data, limits=LIMITS))
    assert np.array_equal(np.asarray(again), SCENE)
    assert not again.info


def test_a_png_of_a_file_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    again = opened(to_png(save(PICTURE, "PNG", exif=exif), limits=LIMITS))
    assert np.array_equal(np.asarray(again), SCENE[::-1, ::-1])


def test_a_png_keeps_the_opacity() -> None:
    picture = PICTURE.convert("RGBA")
    picture.putalpha(77)
    again = opened(to_png(save(picture, "WEBP", lossless=True), limits=LIMITS))
    assert np.array_equal(np.asarray(again), np.asarray(picture))


@pytest.mark.parametrize("data", [b"", b"no image", FILES["PNG"][:-200]])
def test_no_png_is_made_of_what_cannot_be_read(data: bytes) -> None:
    with pytest.raises(ImageUnreadable):
        to_png(data, limits=LIMITS)


def test_a_png_keeps_to_the_limits() -> None:
    with pytest.raises(ImageUnreadable, match="max_pixels"):
        to_png(FILES["PNG"], limits=Limits(max_pixels=48 * 64 - 1))
