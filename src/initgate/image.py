"""Door 1. Bytes, PIL images and arrays become Pixels only here, within limits, or not at all.

The one import of Pillow. Whatever goes wrong on the way is :class:`ImageUnreadable`: the gate
refuses what it could not look at.

An input rarely has just one meaning. A palette image can be shown or read as indices, a YCbCr
image converted or taken raw, a float array clipped to 0..1 or to -1..1. Each meaning that some
consumer gives it is a *reading*, and each reading is checked.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile, ImageOps, ImageSequence, UnidentifiedImageError
from typing_extensions import TypeIs

from initgate.errors import ImageUnreadable
from initgate.model import Levels, Picture, Pixels

# Pillow knows some forty formats, one of which runs Ghostscript. These are the ones that
# img2img servers take.
_FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"]

# What all decoders agree on.
_PLAIN_FORMATS = {"JPEG", "PNG", "WEBP"}
_PLAIN_MODES = {"L", "RGB", "RGBA"}

_MAX_CHANNELS = 4

# Value ranges that consumers clip to, tightest first.
_RANGES = (
    ("0..1", 0.0, 1.0),
    ("-1..1", -1.0, 1.0),
    ("0..255", 0.0, 255.0),
    ("16 bit", 0.0, 65535.0),
)

# Below this share of its range's span, an array is also stretched: a model sees contrast that
# rounding to 8 bits would lose.
_FAINT = 0.25

# A shrunk JPEG keeps at least so many pixels on its shorter side: then PDQ changes by 4 of 256 bits
# at most (docs/adr/0013-reduced-jpeg-decode.md).
_REDUCED_SIDE = 512
_REDUCED_SCALES = (1, 2, 4, 8)  # what JPEG decoders offer

# Pixels copied out of Pillow at a time.
_STRIP = 1 << 18


@dataclass(frozen=True, slots=True)
class Limits:
    """What an input may cost. More is unreadable.

    Args:
        max_bytes: Encoded size.
        max_pixels: width × height, summed over frames; checked before anything is decoded.
        max_frames: Frames of an animation, or pictures of a batch.
    """

    max_bytes: int = 64 * 1024 * 1024
    max_pixels: int = 100_000_000
    max_frames: int = 256


def decode(source: object, *, limits: Limits, reduce_jpegs: bool = False) -> Picture:
    """Looks at an input in every reading.

    Args:
        source: One of

            - ``bytes`` (or ``bytearray``, ``memoryview``): a JPEG, PNG, APNG, WebP, GIF, BMP, TIFF
              or AVIF file; HEIC if the extra ``heif`` is installed;
            - a ``PIL.Image.Image`` in any mode; all its frames are read and it is left at the
              frame where it was;
            - an ``ndarray`` of bool, integers or floats: ``[H, W]``, ``[H, W, C]``, ``[C, H, W]``,
              and with one or two leading batch axes, C from 1 to 4.
        limits: What it may cost.
        reduce_jpegs: Let the decoder shrink the JPEG files among bytes, as far as PDQ stands it.

    Raises:
        ImageUnreadable: Anything else, and anything broken.
    """
    try:
        return _decode(source, limits, reduce_jpegs=reduce_jpegs)
    except (ImageUnreadable, MemoryError):  # too little memory says nothing of the image
        raise
    except Exception as error:  # decoders fail in every way there is; all of them refuse
        raise ImageUnreadable(_describe(error)) from error


def file_bytes(source: object) -> bytes | None:
    """The exact bytes of an input that is a file, None of another; what digests are made of."""
    return bytes(source) if isinstance(source, bytes | bytearray | memoryview) else None


def is_pil(value: object) -> TypeIs[Image.Image]:
    """Whether a value is a PIL image."""
    return isinstance(value, Image.Image)


def snapshot(image: Image.Image, *, limits: Limits) -> Image.Image:
    """A copy of a PIL image's current frame that no file or other owner can change any more.

    ``Image.open`` is lazy: a file swapped after the check would deliver other pixels.

    Raises:
        ImageUnreadable: It cannot be loaded within the limits.
    """
    _Budget(limits).spend(image.width, image.height)
    try:
        copied = image.copy()
    except Exception as error:
        raise ImageUnreadable(_describe(error)) from error
    return copied


def _describe(error: Exception) -> str:
    """What a decoder said, without the name of any file."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else error
    return f"{type(error).__name__}: {said}"


def to_pil(levels: Levels) -> Image.Image:
    """A PIL image for libraries that take nothing else."""
    return Image.fromarray(levels)


def to_grey(levels: Levels, shrink: int = 1) -> Levels:
    """The luma of a picture, shrunk: uint8 ``[⌈height / shrink⌉, ⌈width / shrink⌉]``.

    Args:
        levels: Its colours or greys.
        shrink: How many pixels on each axis become one, by their mean.
    """
    grey = _as(to_pil(levels), "L")
    return np.asarray(grey if shrink == 1 else grey.reduce(shrink))


def to_mean(levels: Levels, shrink: int = 1) -> Levels:
    """The mean of a picture's colours, shrunk as by :func:`to_grey`."""
    if levels.ndim == 2:  # noqa: PLR2004  # a plane
        return to_grey(levels, shrink)
    coloured = to_pil(levels)
    small = np.asarray(coloured if shrink == 1 else coloured.reduce(shrink))
    mean: Levels = (small.sum(axis=2, dtype=np.uint16) // 3).astype(np.uint8)
    return mean


def to_size(levels: Levels, size: tuple[int, int], *, sharp: bool = False) -> Levels:
    """A picture stretched or squeezed to a height and width.

    Args:
        levels: Its colours or greys.
        size: Height and width.
        sharp: By Lanczos' filter, not bilinearly.
    """
    how = Image.Resampling.LANCZOS if sharp else Image.Resampling.BILINEAR
    return np.asarray(to_pil(levels).resize(size[::-1], how))


def to_turned(
    levels: Levels, degrees: float, *, size: tuple[int, int], middle: tuple[float, float]
) -> Levels:
    """The picture that stands turned in another: turned back and cut out, bilinearly.

    Args:
        levels: The other picture. What lies beyond its edges is black.
        degrees: How far it is turned, counter-clockwise.
        size: Height and width to cut out.
        middle: Where its middle is, from the top and from the left.
    """
    (height, width), (y, x) = size, middle
    across, down = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    left = x - (across * width + down * height) / 2
    top = y - (across * height - down * width) / 2
    turned = to_pil(levels).transform(
        (width, height),
        Image.Transform.AFFINE,
        (across, down, left, -down, across, top),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(turned)


def encode(levels: Levels, file_format: str, **options: Any) -> bytes:
    """The file of a picture.

    Args:
        levels: Its colours or greys.
        file_format: Pillow's name for it, e.g. ``"PNG"``.
        options: Pillow's for the format, e.g. ``quality=40``.
    """
    buffer = io.BytesIO()
    to_pil(levels).save(buffer, file_format, **options)
    return buffer.getvalue()


def is_plain(data: bytes) -> bool:
    """Whether every decoder sees the same in a file: one frame, of an everyday format and mode.

    Raises:
        ImageUnreadable: It is in none of the formats.
    """
    with _open(data) as opened:
        return (
            opened.format in _PLAIN_FORMATS
            and opened.mode in _PLAIN_MODES
            and not _has_frames(opened)
        )


def to_png(data: bytes, *, limits: Limits) -> bytes:
    """A file's first frame, upright as its EXIF says, as a PNG without anything else in it.

    Raises:
        ImageUnreadable: It cannot be read within the limits.
    """
    try:
        with _open(data) as opened:
            _Budget(limits).spend(opened.width, opened.height)
            upright = ImageOps.exif_transpose(opened)
            if upright.mode in {"I", "F"} or upright.mode.startswith("I;16"):
                levels, alpha = (
                    next(iter(_read_numbers(_array(upright)[:, :, None], 0))).levels,
                    None,
                )
            else:
                levels, alpha = _converted(upright)
    except Exception as error:
        raise ImageUnreadable(_describe(error)) from error
    picture = to_pil(levels)
    if alpha is not None:
        picture.putalpha(to_pil(alpha))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


@cache
def _formats() -> list[str]:
    """The formats to try. HEIC joins if its plug-in is there."""
    try:
        from pillow_heif import register_heif_opener  # noqa: PLC0415  # an extra
    except ImportError:
        return _FORMATS
    register_heif_opener()
    return [*_FORMATS, "HEIF"]


def _decode(source: object, limits: Limits, *, reduce_jpegs: bool) -> Picture:
    if (data := file_bytes(source)) is not None:
        return Picture(tuple(_read_file(data, limits, reduce_jpegs=reduce_jpegs)))
    match source:
        case Image.Image():
            return Picture(tuple(_read_object(source, limits)))
        case np.ndarray():
            return Picture(tuple(_read_array(source, limits)))
        case _:
            raise ImageUnreadable(
                f"{type(source).__name__} is no image: pass bytes, a PIL image or a numpy array"
                + (" (open the file or URL first)" if isinstance(source, str) else "")
            )


def _read_file(data: bytes, limits: Limits, *, reduce_jpegs: bool) -> Iterator[Pixels]:
    if len(data) > limits.max_bytes:
        raise ImageUnreadable(f"{len(data)} bytes, more than max_bytes = {limits.max_bytes}")
    with _open(data) as opened:
        if reduce_jpegs and opened.format == "JPEG":  # with more than one frame it is "MPO"
            yield from _read_reduced(opened, limits)
        else:
            yield from _read_frames(opened, limits)


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=_formats())
    except UnidentifiedImageError as error:
        raise ImageUnreadable(f"{len(data)} bytes in none of the formats {_formats()}") from error


def _read_reduced(image: Image.Image, limits: Limits) -> Iterator[Pixels]:
    """A JPEG, of which the decoder makes a smaller picture at once: it drops high frequencies."""
    _Budget(limits).spend(image.width, image.height)
    width, height = image.size
    wanted = max(s for s in _REDUCED_SCALES if s == 1 or min(width, height) >= s * _REDUCED_SIDE)
    # Not "L": the luma that is stored is not the luma of what is shown, where colours are clipped.
    image.draft("RGB", (width // wanted, height // wanted))
    scale = round(max(width, height) / max(image.size))
    for pixels in _read_frames(image, limits):
        yield replace(pixels, full=(height, width), scale=scale)


def _read_object(image: Image.Image, limits: Limits) -> Iterator[Pixels]:
    """A caller's PIL image: what it holds in memory, then every frame of its file.

    The caller may have drawn on the frame in memory. It is put back as it was.
    """
    _Budget(limits).spend(image.width, image.height)
    if not isinstance(image, ImageFile.ImageFile):
        yield from _read_mode(image, 0)
        return
    position, held = image.tell(), image.copy()
    yield from _read_mode(held, position)
    try:
        if _has_frames(image):
            _seek(image, 0)
            yield from _read_frames(image, limits)
    finally:
        _seek(image, position)
        image.load()
        image.im, image.palette = held.im, held.palette
        image._mode, image._size = held.mode, held.size  # noqa: SLF001  # as Pillow's own edits do


def _seek(image: Image.Image, frame: int) -> None:
    # Pillow rewinds an APNG but keeps the chunk that it had read ahead, and trips over it later.
    ahead = getattr(getattr(image, "png", None), "queue", None)
    if ahead and frame < image.tell():
        ahead.clear()
    image.seek(frame)


def _has_frames(image: Image.Image) -> bool:
    """Whether there are other frames to be had; a closed file's are gone."""
    try:
        return bool(getattr(image, "is_animated", False))
    except ValueError:  # Pillow's word for a closed file
        return False


def _read_frames(image: Image.Image, limits: Limits) -> Iterator[Pixels]:
    """Every frame of a file, in every reading."""
    budget = _Budget(limits)
    for number, frame in enumerate(ImageSequence.Iterator(image)):
        budget.spend(frame.width, frame.height)
        frame.load()
        yield from _read_mode(frame, number)


class _Budget:
    """Counts frames and pixels before they are decoded."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._frames = 0
        self._pixels = 0

    def spend(self, width: int, height: int) -> None:
        self._frames += 1
        self._pixels += width * height
        if width < 1 or height < 1:
            raise ImageUnreadable(f"{width} × {height} pixels")
        if self._frames > self._limits.max_frames:
            raise ImageUnreadable(f"more frames than max_frames = {self._limits.max_frames}")
        if self._pixels > self._limits.max_pixels:
            raise ImageUnreadable(
                f"{width} × {height} pixels in frame {self._frames - 1} make more than "
                f"max_pixels = {self._limits.max_pixels} in all"
            )


def _read_mode(image: Image.Image, frame: int) -> Iterator[Pixels]:
    """A PIL frame as converting consumers see it, then as consumers of the raw numbers do."""
    mode = image.mode
    if mode in {"I", "F"} or mode.startswith("I;16"):
        yield from _read_numbers(_array(image)[:, :, None], frame)
        return
    yield _pixels(*_converted(image), frame=frame)
    if mode not in {"RGB", "RGBA", "L", "LA", "1"}:
        yield from _read_raw(_array(image), frame)


def _converted(image: Image.Image) -> tuple[Levels, NDArray[np.uint8] | None]:
    """Colours or greys, and the alpha if there is one."""
    mode = image.mode
    plain = "L" if mode in {"1", "L", "LA", "La"} else "RGB"
    if mode == "LAB":
        return _array(_lab_as_rgb(image)), None
    if mode in {"LA", "La", "PA", "RGBA", "RGBa"} or "transparency" in image.info:
        # Premultiplied modes convert only to their straight twin.
        straight = _as(image, {"La": "LA", "RGBa": "RGBA"}.get(mode, mode))
        opaque = _as(straight, f"{plain}A")
        return _array(_as(opaque, plain)), _array(opaque.getchannel("A"))
    return _array(_as(image, plain)), None


def _as(image: Image.Image, mode: str) -> Image.Image:
    """Converted, and not copied if it is so already."""
    return image if image.mode == mode else image.convert(mode)


def _array(image: Image.Image) -> NDArray[Any]:
    """The numbers of an image.

    In strips: of a large image Pillow would gather the bytes twice, in half the speed.
    """
    width, height = image.size
    rows = max(1, _STRIP // width)
    if rows >= height:
        return np.asarray(image)
    pixel = np.asarray(image.crop((0, 0, 1, 1)))
    array = np.empty((height, width, *pixel.shape[2:]), pixel.dtype)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        array[top : top + rows] = np.asarray(strip)
    return array


def _lab_as_rgb(image: Image.Image) -> Image.Image:
    converted = ImageCms.applyTransform(image, _lab_to_rgb())
    if converted is None:
        raise ImageUnreadable("LAB could not be converted")
    return converted


@cache
def _lab_to_rgb() -> ImageCms.ImageCmsTransform:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, srgb, "LAB", "RGB")


def _read_raw(stored: NDArray[np.uint8], frame: int) -> Iterator[Pixels]:
    """The stored numbers as if they were grey or RGB: what a pipeline that skips conversion sees.

    A fourth channel (CMYK's black, RGBX's padding) can hold a picture of its own.
    """
    if stored.ndim == 2:  # noqa: PLR2004  # palette indices
        stored = stored[:, :, None]
    channels = stored.shape[2]
    if channels in {1, 2}:
        yield _pixels(stored[:, :, 0], frame=frame, reading="raw indices")
        return
    yield _pixels(stored[:, :, :3], frame=frame, reading="raw channels")
    if channels == _MAX_CHANNELS and not _is_flat(stored[:, :, 3]):
        yield _pixels(stored[:, :, 3], frame=frame, reading="fourth channel")


def _read_array(array: NDArray[Any], limits: Limits) -> Iterator[Pixels]:
    """Every picture of an array, in every layout that its shape allows."""
    if array.dtype.kind not in "buif":
        raise ImageUnreadable(f"an array of {array.dtype}: pass bool, integers or floats")
    if array.size == 0:
        raise ImageUnreadable(f"an empty array of shape {array.shape}")
    layouts = list(_layouts(array))
    if not layouts:
        raise ImageUnreadable(
            f"no picture in an array of shape {array.shape}: "
            "pass [H, W], [H, W, C] or [C, H, W] with 1 to 4 channels, or a batch of them"
        )
    for layout, batch in layouts:
        budget = _Budget(limits)
        for number, picture in enumerate(batch):
            budget.spend(picture.shape[1], picture.shape[0])
            yield from _read_numbers(picture, number, layout if len(layouts) > 1 else "")


def _layouts(array: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """The array as batches ``[N, H, W, C]``, once for each axis that may be the channels'."""
    if array.ndim == 2:  # noqa: PLR2004
        yield "grey", array[None, :, :, None]
        return
    names = {
        3: {-1: "HWC", -3: "CHW"},
        4: {-1: "NHWC", -3: "NCHW"},
        5: {-1: "FHWC", -3: "FCHW", -4: "CFHW"},
    }.get(array.ndim, {})
    batches = [
        (name, np.moveaxis(array, axis, -1))
        for axis, name in names.items()
        if array.shape[axis] <= _MAX_CHANNELS
    ]
    # Where one axis may be the channels', another layout would make pictures a few pixels high.
    plausible = [one for one in batches if min(one[1].shape[-3:-1]) > _MAX_CHANNELS]
    for name, batch in plausible or batches:
        yield name, batch.reshape(-1, *batch.shape[-3:])


def _read_numbers(picture: NDArray[Any], frame: int, layout: str = "") -> Iterator[Pixels]:
    """``[H, W, C]`` of any numbers, in every value range that keeps something to see."""
    for name, levels in _value_readings(picture):
        reading = ", ".join(part for part in (layout, name) if part)
        channels = levels.shape[2]
        shown = levels[:, :, :3] if channels >= 3 else levels[:, :, 0]  # noqa: PLR2004  # colours
        alpha = levels[:, :, -1] if channels in {2, 4} else None
        yield _pixels(shown, alpha, frame=frame, reading=reading)


def _value_readings(picture: NDArray[Any]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Numbers as 8-bit levels, once for each range to which some consumer clips them.

    Ranges that clip nothing differ only by scale and offset, which no hash here notices: of
    those, the tightest is taken. A range that clips is another picture, however few pixels lie
    outside: one stray value must not hide the rest.
    """
    if picture.dtype == np.uint8:
        yield "", picture
        return
    if picture.dtype == np.bool_:
        yield "", picture.astype(np.uint8) * np.uint8(255)
        return
    with np.errstate(over="ignore"):
        numbers = picture.astype(np.float32)
    if not np.isfinite(numbers).all():
        raise ImageUnreadable("an array with NaN or infinite values (as float32)")
    low, high = float(numbers.min()), float(numbers.max())
    enclosed = False
    seen = False
    for name, floor, ceiling in _RANGES:
        encloses = floor <= low and high <= ceiling
        if encloses and enclosed:
            continue
        enclosed = enclosed or encloses
        levels = _to_levels(numbers, floor, ceiling)
        if not _is_flat(levels):
            seen = True
            yield name, levels
        if encloses and high - low < (ceiling - floor) * _FAINT and high > low:
            seen = True
            yield "stretched", _to_levels(numbers, low, high)
    if not enclosed and high > low:
        seen = True
        yield "stretched", _to_levels(numbers, low, high)
    if not seen:
        yield "flat", _to_levels(numbers, min(low, 0.0), max(high, 1.0))


def _to_levels(numbers: NDArray[np.float32], floor: float, ceiling: float) -> NDArray[np.uint8]:
    scaled = (np.clip(numbers, floor, ceiling) - floor) * np.float32(255.0 / (ceiling - floor))
    levels: NDArray[np.uint8] = np.rint(scaled).astype(np.uint8)
    return levels


def _is_flat(levels: NDArray[np.uint8]) -> bool:
    return bool(levels.min() == levels.max())


def _pixels(
    levels: Levels,
    alpha: NDArray[np.uint8] | None = None,
    *,
    frame: int,
    reading: str = "",
) -> Pixels:
    if alpha is not None and int(alpha.min()) == 255:  # noqa: PLR2004  # opaque throughout
        alpha = None
    return Pixels(levels, alpha, frame, reading)
