"""Ways in which one and the same picture can come: name → function of an RGB picture."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache, partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from initgate.testing import scene

Disguise: TypeAlias = Callable[[Image.Image], object]


def save(picture: Image.Image, file_format: str, **options: Any) -> bytes:
    """The file of a picture."""
    buffer = io.BytesIO()
    picture.copy().save(buffer, file_format, **options)  # saving leaves options on the object
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    """A file as the lazy object that callers pass on."""
    return Image.open(io.BytesIO(data))


def other(picture: Image.Image, seed: int = 1) -> Image.Image:
    """A drawn scene of the same size."""
    return Image.fromarray(_scene(seed, picture.height, picture.width))


@cache
def _scene(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    return scene(seed, height=height, width=width)


def _saved(file_format: str, **options: Any) -> Disguise:
    return lambda picture: save(picture, file_format, **options)


def _saved_as(mode: str, file_format: str, **options: Any) -> Disguise:
    return lambda picture: save(picture.convert(mode), file_format, **options)


# ── Files ─────────────────────────────────────────────────────────────────────────────────────

LOSSLESS: dict[str, Disguise] = {
    "PNG": _saved("PNG"),
    "BMP": _saved("BMP"),
    "TIFF": _saved("TIFF"),
    "TIFF LZW": _saved("TIFF", compression="tiff_lzw"),
    "TIFF deflate": _saved("TIFF", compression="tiff_adobe_deflate"),
    "WebP lossless": _saved("WEBP", lossless=True),
}
LOSSY: dict[str, Disguise] = {
    "JPEG 95": _saved("JPEG", quality=95),
    "JPEG 85": _saved("JPEG", quality=85),
    "JPEG progressive": _saved("JPEG", quality=85, progressive=True),
    "JPEG 4:4:4": _saved("JPEG", quality=85, subsampling=0),
    "WebP 80": _saved("WEBP", quality=80),
    "AVIF 75": _saved("AVIF", quality=75, speed=10),
    "GIF": _saved("GIF"),
    "TIFF JPEG": _saved("TIFF", compression="jpeg"),
}
STRONG: dict[str, Disguise] = {
    **{f"JPEG {quality}": _saved("JPEG", quality=quality) for quality in (20, 30, 50, 70)},
    "WebP 20": _saved("WEBP", quality=20),
    "AVIF 30": _saved("AVIF", quality=30, speed=10),
}


def _resized(longest: int) -> Disguise:
    def resize(picture: Image.Image) -> bytes:
        factor = longest / max(picture.size)
        size = (round(picture.width * factor), round(picture.height * factor))
        return save(picture.resize(size), "PNG", compress_level=1)

    return resize


SIZES = {f"longest side {longest}": _resized(longest) for longest in (256, 384, 512, 768, 1024)}


def _oriented(orientation: int, file_format: str) -> Disguise:
    def orient(picture: Image.Image) -> bytes:
        exif = Image.Exif()
        exif[0x0112] = orientation
        return save(picture, file_format, exif=exif)

    return orient


TURNS: dict[str, Disguise] = {
    "grey": lambda picture: save(ImageOps.grayscale(picture), "PNG"),
    "mirrored": lambda picture: save(ImageOps.mirror(picture), "PNG"),
    "flipped": lambda picture: save(ImageOps.flip(picture), "PNG"),
    **{
        f"rotated {angle}": lambda picture, angle=angle: save(  # type: ignore[misc]  # mypy infers no lambda with defaults
            picture.rotate(angle, expand=True), "PNG"
        )
        for angle in (90, 180, 270)
    },
    **{f"EXIF orientation {one}, JPEG": _oriented(one, "JPEG") for one in range(1, 9)},
    **{f"EXIF orientation 6, {one}": _oriented(6, one) for one in ("PNG", "WEBP", "TIFF")},
    "mirrored JPEG 50": lambda picture: save(ImageOps.mirror(picture), "JPEG", quality=50),
}


# ── Modes ─────────────────────────────────────────────────────────────────────────────────────


def to_lab(picture: Image.Image) -> Image.Image:
    """Colour-managed, as image editors store it."""
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(picture, srgb, lab, outputMode="LAB")
    if converted is None:
        raise ValueError("no LAB")
    return converted


def _sixteen_bit(picture: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * np.uint16(257))


def _with_palette_hole(picture: Image.Image) -> bytes:
    palette = picture.quantize(255)
    return save(palette, "PNG", transparency=0)


def _with_palette_alpha(picture: Image.Image) -> bytes:
    palette = picture.quantize(256)
    return save(palette, "PNG", transparency=bytes([128] * 256))


MODES: dict[str, Disguise] = {
    "L, PNG": _saved_as("L", "PNG"),
    "L, JPEG": _saved_as("L", "JPEG", quality=90),
    "LA, PNG": _saved_as("LA", "PNG"),
    "P adaptive, PNG": lambda picture: save(picture.quantize(256), "PNG"),
    "P web palette, GIF": _saved_as("P", "GIF"),
    "P with a transparent index, PNG": _with_palette_hole,
    "P half transparent, PNG": _with_palette_alpha,
    "RGBA, PNG": _saved_as("RGBA", "PNG"),
    "RGBA, WebP": _saved_as("RGBA", "WEBP", lossless=True),
    "RGBA, TIFF": _saved_as("RGBA", "TIFF"),
    "CMYK, JPEG": _saved_as("CMYK", "JPEG", quality=90),
    "CMYK, TIFF": _saved_as("CMYK", "TIFF"),
    "YCbCr, TIFF": _saved_as("YCbCr", "TIFF"),
    "LAB, TIFF": lambda picture: save(to_lab(picture), "TIFF"),
    "I;16, PNG": lambda picture: save(_sixteen_bit(picture), "PNG"),
    "I;16, TIFF": lambda picture: save(_sixteen_bit(picture), "TIFF"),
    "I, TIFF": lambda picture: save(picture.convert("L").convert("I"), "TIFF"),
    "F, TIFF": lambda picture: save(picture.convert("L").convert("F"), "TIFF"),
    "L object": lambda picture: picture.convert("L"),
    "LA object": lambda picture: picture.convert("LA"),
    "La object": lambda picture: picture.convert("LA").convert("La"),
    "P object": lambda picture: picture.convert("P"),
    "PA object": lambda picture: picture.convert("P").convert("PA"),
    "RGBA object": lambda picture: picture.convert("RGBA"),
    "RGBa object": lambda picture: picture.convert("RGBA").convert("RGBa"),
    "RGBX object": lambda picture: picture.convert("RGBX"),
    "CMYK object": lambda picture: picture.convert("CMYK"),
    "YCbCr object": lambda picture: picture.convert("YCbCr"),
    "LAB object": to_lab,
    "HSV object": lambda picture: picture.convert("HSV"),
    "I;16 object": _sixteen_bit,
    "I object": lambda picture: picture.convert("L").convert("I"),
    "F object": lambda picture: picture.convert("L").convert("F"),
    "F object, 0 to 1": lambda picture: Image.fromarray(
        np.asarray(picture.convert("L"), np.float32) / 255
    ),
}
BLACK_AND_WHITE: dict[str, Disguise] = {
    "1, PNG": _saved_as("1", "PNG"),
    "1, TIFF": _saved_as("1", "TIFF"),
    "1 object": lambda picture: picture.convert("1"),
}


# ── Hidden from the eye, seen by a model ──────────────────────────────────────────────────────


def _raw(mode: str, picture: Image.Image) -> Image.Image:
    return Image.frombytes(mode, picture.size, picture.tobytes())


def _under_alpha(picture: Image.Image, opacity: int = 0) -> Image.Image:
    hidden = picture.convert("RGBA")
    hidden.putalpha(opacity)
    return hidden


def _grey_under_alpha(picture: Image.Image) -> Image.Image:
    hidden = picture.convert("LA")
    hidden.putalpha(0)
    return hidden


def _in_alpha(picture: Image.Image, ground: str = "white") -> Image.Image:
    hidden = Image.new("RGBA", picture.size, ground)
    hidden.putalpha(picture.convert("L"))
    return hidden


def _scene_with_alpha(picture: Image.Image) -> Image.Image:
    hidden = other(picture).convert("RGBA")
    hidden.putalpha(picture.convert("L"))
    return hidden


def _on(ground: int, picture: Image.Image) -> Image.Image:
    """Colours and opacity that are noise apart and the picture on black or white."""
    levels = np.asarray(picture, np.float64)
    if ground:
        levels = 255 - levels
    floor = levels.max(axis=2)
    noise = np.random.default_rng(0).integers(0, 256, floor.shape)
    alpha = np.clip(np.maximum(floor, noise), 1, 255)
    colours = levels * 255 / alpha[:, :, None]
    if ground:
        colours = 255 - colours
    stacked = np.dstack([colours, alpha])
    return Image.fromarray(np.rint(np.clip(stacked, 0, 255)).astype(np.uint8))


def _indices(picture: Image.Image) -> Image.Image:
    """A palette image that shows nothing, its indices the picture."""
    hidden = Image.frombytes("P", picture.size, picture.convert("L").tobytes())
    hidden.putpalette([0, 0, 0] * 256)
    return hidden


def _black_of_cmyk(picture: Image.Image) -> Image.Image:
    empty = Image.new("L", picture.size)
    return Image.merge("CMYK", (empty, empty, empty, picture.convert("L")))


def _padding_of_rgbx(picture: Image.Image) -> Image.Image:
    return Image.merge("RGBX", (*other(picture).split(), picture.convert("L")))


HIDDEN: dict[str, Disguise] = {
    "under alpha 0, PNG": lambda picture: save(_under_alpha(picture), "PNG"),
    "under alpha 0, WebP": lambda picture: save(
        _under_alpha(picture), "WEBP", lossless=True, exact=True
    ),
    "under alpha 0, TIFF": lambda picture: save(_under_alpha(picture), "TIFF"),
    "under alpha 1, PNG": lambda picture: save(_under_alpha(picture, 1), "PNG"),
    "under alpha 0, object": _under_alpha,
    "grey under alpha 0, PNG": lambda picture: save(_grey_under_alpha(picture), "PNG"),
    "under a transparent palette": lambda picture: save(
        picture.quantize(256), "PNG", transparency=bytes(256)
    ),
    "in the alpha plane, white": lambda picture: save(_in_alpha(picture), "PNG"),
    "in the alpha plane, black": lambda picture: save(_in_alpha(picture, "black"), "PNG"),
    "in the alpha plane of a scene": lambda picture: save(_scene_with_alpha(picture), "PNG"),
    "only on black": partial(_on, 0),
    "only on white": partial(_on, 255),
    "raw YCbCr": partial(_raw, "YCbCr"),
    "raw HSV": partial(_raw, "HSV"),
    "raw LAB": partial(_raw, "LAB"),
    "raw CMYK": lambda picture: Image.merge(
        "CMYK", (*picture.split(), Image.new("L", picture.size, 200))
    ),
    "black channel of CMYK": _black_of_cmyk,
    "black channel of a CMYK TIFF": lambda picture: save(_black_of_cmyk(picture), "TIFF"),
    "padding of RGBX": _padding_of_rgbx,
    "raw indices, object": _indices,
    "raw indices, PNG": lambda picture: save(_indices(picture), "PNG"),
    "ZIP after a JPEG": lambda picture: save(picture, "JPEG") + b"PK\x03\x04" + bytes(64),
    "JPEG after a PNG": lambda picture: save(picture, "PNG") + save(other(picture), "JPEG"),
    "text after a GIF": lambda picture: save(picture, "GIF") + b"<script>",
    "HTML after a WebP": lambda picture: save(picture, "WEBP") + b"<html>",
    "bytearray": lambda picture: bytearray(save(picture, "PNG")),
    "memoryview": lambda picture: memoryview(save(picture, "PNG")),
}


# ── Frames ────────────────────────────────────────────────────────────────────────────────────


def animation(
    picture: Image.Image, file_format: str, *, at: int, frames: int = 3, **options: Any
) -> bytes:
    """An animation of drawn scenes with the picture as one frame."""
    pictures = [picture.copy() if at == n else other(picture, seed=n + 1) for n in range(frames)]
    return save(pictures[0], file_format, save_all=True, append_images=pictures[1:], **options)


_ANIMATED: dict[str, dict[str, Any]] = {
    "GIF": {},
    "PNG": {"compress_level": 1},
    "WEBP": {"quality": 80, "method": 0},
    "TIFF": {},
    "AVIF": {"speed": 10},
    "MPO": {"quality": 85},
}
FRAMES: dict[str, Disguise] = {
    **{
        f"{file_format}, frame {at}": partial(animation, file_format=file_format, at=at, **options)
        for file_format, options in _ANIMATED.items()
        for at in range(3)
    },
    "APNG, hidden default image": partial(animation, file_format="PNG", at=0, default_image=True),
    "APNG, shown after a default image": partial(
        animation, file_format="PNG", at=2, default_image=True
    ),
}


# ── Arrays ────────────────────────────────────────────────────────────────────────────────────

Array: TypeAlias = NDArray[Any]


def _unit(picture: Image.Image) -> NDArray[np.float32]:
    return np.asarray(picture, np.float32) / np.float32(255)


def _stray(array: Array, value: float) -> Array:
    array = array.copy()
    array[3, 5, 0] = value
    return array


def clip_normalised(picture: Image.Image) -> NDArray[np.float32]:
    """What CLIP's image processor makes of a picture."""
    mean = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
    deviation = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
    normalised: NDArray[np.float32] = (_unit(picture) - mean) / deviation
    return normalised


RANGES: dict[str, Callable[[Image.Image], Array]] = {
    "uint8": np.asarray,
    "float32 0..1": _unit,
    "float16 0..1": lambda picture: _unit(picture).astype(np.float16),
    "float64 0..1": lambda picture: _unit(picture).astype(np.float64),
    "float32 -1..1": lambda picture: _unit(picture) * 2 - 1,
    "float32 0..255": lambda picture: np.asarray(picture, np.float32),
    "int16 0..255": lambda picture: np.asarray(picture, np.int16),
    "int64 0..255": lambda picture: np.asarray(picture, np.int64),
    "uint16": lambda picture: np.asarray(picture).astype(np.uint16) * np.uint16(257),
    "uint16 big-endian": lambda picture: (np.asarray(picture).astype(np.uint16) * 257).astype(
        ">u2"
    ),
    "int8 -128..127": lambda picture: (np.asarray(picture).astype(np.int16) - 128).astype(np.int8),
    "float32 0..65535": lambda picture: np.asarray(picture, np.float32) * 257,
    "CLIP-normalised": clip_normalised,
    "faint": lambda picture: 0.5 + _unit(picture) * np.float32(1e-3),
    "0..1, a stray 1e6": lambda picture: _stray(_unit(picture), 1e6),
    "0..1, a stray -1e6": lambda picture: _stray(_unit(picture), -1e6),
    "0..1, a stray -1e-6": lambda picture: _stray(_unit(picture), -1e-6),
    "0..1, a stray 1.000001": lambda picture: _stray(_unit(picture), 1.000001),
    "-1..1, a stray 1e6": lambda picture: _stray(_unit(picture) * 2 - 1, 1e6),
    "-1..1, a stray -1e6": lambda picture: _stray(_unit(picture) * 2 - 1, -1e6),
    "0..255, a stray 1e6": lambda picture: _stray(np.asarray(picture, np.float32), 1e6),
    "0..255, a stray -1e-6": lambda picture: _stray(np.asarray(picture, np.float32), -1e-6),
    "0..255, a stray 256": lambda picture: _stray(np.asarray(picture, np.int32), 256),
}

_U8: Callable[[Image.Image], Array] = np.asarray


def _batch(picture: Image.Image) -> Array:
    return np.stack([np.asarray(other(picture)), np.asarray(picture)])


def _with_alpha(picture: Image.Image) -> Array:
    return np.dstack([np.asarray(picture), np.zeros(picture.size[::-1], np.uint8)])


LAYOUTS: dict[str, Callable[[Image.Image], Array]] = {
    "HW": lambda picture: np.asarray(picture.convert("L")),
    "HW1": lambda picture: np.asarray(picture.convert("L"))[:, :, None],
    "1HW": lambda picture: np.asarray(picture.convert("L"))[None],
    "HW2, alpha 0": lambda picture: np.asarray(_grey_under_alpha(picture)),
    "HW4, alpha 0": _with_alpha,
    "4HW, alpha 0": lambda picture: _with_alpha(picture).transpose(2, 0, 1),
    "HW4, in the alpha": lambda picture: np.asarray(_in_alpha(picture)),
    "HWC reversed": lambda picture: np.asarray(picture)[::-1, ::-1],
    "CHW": lambda picture: np.asarray(picture).transpose(2, 0, 1),
    "CHW float32": lambda picture: _unit(picture).transpose(2, 0, 1),
    "NHWC, second of two": _batch,
    "NHWC float32, second of two": lambda picture: _batch(picture).astype(np.float32) / 255,
    "NCHW, second of two": lambda picture: _batch(picture).transpose(0, 3, 1, 2),
    "NCHW float32 -1..1": lambda picture: (_unit(picture) * 2 - 1).transpose(2, 0, 1)[None],
    "FHWC": lambda picture: _batch(picture)[None],
    "FCHW": lambda picture: _batch(picture)[None].transpose(0, 1, 4, 2, 3),
    "CFHW": lambda picture: _batch(picture)[None].transpose(0, 4, 1, 2, 3),
}
