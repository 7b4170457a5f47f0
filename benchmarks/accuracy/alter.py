"""What changes a picture's own pixels: each takes a picture in RGB and returns one.

Shares are parts of a side, 0 to 1; angles are degrees, positive counter-clockwise.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps

Floats = NDArray[np.float32]

_THIRDS = np.full(3, 1 / 3, np.float32)


def _from(values: NDArray[np.floating]) -> Image.Image:
    return Image.fromarray(np.rint(np.clip(values, 0, 255)).astype(np.uint8))


def _floats(picture: Image.Image) -> Floats:
    return np.asarray(picture, np.float32)


# ── size and files ────────────────────────────────────────────────────────────────────────────


def scale(picture: Image.Image, *, by: float, filter_: str = "LANCZOS") -> Image.Image:
    """Both sides multiplied."""
    size = tuple(max(8, round(side * by)) for side in picture.size)
    return picture.resize(size, Image.Resampling[filter_])


def fit(picture: Image.Image, *, longest: int) -> Image.Image:
    """Scaled until the longest side is so many pixels."""
    return scale(picture, by=longest / max(picture.size))


def there_and_back(picture: Image.Image, *, by: float) -> Image.Image:
    """Shrunk and enlarged again, as a thumbnail that somebody took for the picture."""
    return scale(picture, by=by).resize(picture.size, Image.Resampling.BICUBIC)


def jpeg(picture: Image.Image, *, quality: int, times: int = 1) -> Image.Image:
    """Through JPEG and back, several times with a pixel's shift in between."""
    for _ in range(times):
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        with Image.open(file) as opened:
            picture = opened.convert("RGB")
        if times > 1:
            picture = picture.crop((1, 1, *picture.size))
    return picture


def colours(picture: Image.Image, *, count: int) -> Image.Image:
    """A palette of so many colours."""
    return picture.quantize(count)


def grey(picture: Image.Image) -> Image.Image:
    """Luma alone."""
    return picture.convert("L")


# ── filters ───────────────────────────────────────────────────────────────────────────────────


def blur(picture: Image.Image, *, radius: float) -> Image.Image:
    """Gaussian."""
    return picture.filter(ImageFilter.GaussianBlur(radius))


def motion(picture: Image.Image, *, pixels: int) -> Image.Image:
    """Smeared to the right."""
    values = _floats(picture)
    shifted = [np.roll(values, step, axis=1) for step in range(pixels)]
    return _from(np.mean(shifted, axis=0))


def median(picture: Image.Image, *, size: int) -> Image.Image:
    """The middle value of a neighbourhood."""
    return picture.filter(ImageFilter.MedianFilter(size))


def sharpen(picture: Image.Image, *, percent: int, radius: float = 2) -> Image.Image:
    """Unsharp mask."""
    return picture.filter(ImageFilter.UnsharpMask(radius, percent, 0))


def noise(picture: Image.Image, random: np.random.Generator, *, sigma: float) -> Image.Image:
    """Gaussian noise in each channel."""
    values = _floats(picture)
    return _from(values + random.normal(0, sigma, values.shape))


def speckle(picture: Image.Image, random: np.random.Generator, *, share: float) -> Image.Image:
    """Some pixels black, as many white."""
    values = np.asarray(picture).copy()
    drawn = random.uniform(size=values.shape[:2])
    values[drawn < share / 2] = 0
    values[drawn > 1 - share / 2] = 255
    return Image.fromarray(values)


def mosaic(picture: Image.Image, *, block: int) -> Image.Image:
    """Squares of one colour each."""
    small = picture.resize(
        tuple(max(1, side // block) for side in picture.size), Image.Resampling.BOX
    )
    return small.resize(picture.size, Image.Resampling.NEAREST)


def halftone(picture: Image.Image) -> Image.Image:
    """Black and white dots, as a newspaper prints."""
    return picture.convert("1").convert("L")


def emboss(picture: Image.Image, *, share: float) -> Image.Image:
    """Edges raised, laid over the picture."""
    return Image.blend(picture, picture.filter(ImageFilter.EMBOSS), share)


# ── light and colour ──────────────────────────────────────────────────────────────────────────


def brightness(picture: Image.Image, *, factor: float) -> Image.Image:
    """All values multiplied."""
    return ImageEnhance.Brightness(picture).enhance(factor)


def contrast(picture: Image.Image, *, factor: float) -> Image.Image:
    """Distances from the mean multiplied."""
    return ImageEnhance.Contrast(picture).enhance(factor)


def saturation(picture: Image.Image, *, factor: float) -> Image.Image:
    """Distances from grey multiplied."""
    return ImageEnhance.Color(picture).enhance(factor)


def gamma(picture: Image.Image, *, exponent: float) -> Image.Image:
    """A power law."""
    return _from(255 * (_floats(picture) / 255) ** exponent)


def hue(picture: Image.Image, *, degrees: float) -> Image.Image:
    """Turned round the colour circle."""
    h, s, v = picture.convert("HSV").split()
    h = h.point([(value + round(degrees / 360 * 256)) % 256 for value in range(256)])
    return Image.merge("HSV", (h, s, v)).convert("RGB")


def tint(picture: Image.Image, *, colour: str, share: float) -> Image.Image:
    """Mixed with one colour."""
    return Image.blend(picture, Image.new("RGB", picture.size, colour), share)


def sepia(picture: Image.Image) -> Image.Image:
    """Brown and cream."""
    return ImageOps.colorize(picture.convert("L"), "#2b1a0c", "#fdf0d5", mid="#a98256")


def equalise(picture: Image.Image) -> Image.Image:
    """Every grey as frequent as every other."""
    return ImageOps.equalize(picture)


def stretch_levels(picture: Image.Image, *, cutoff: float) -> Image.Image:
    """Contrast stretched, some percent cut at both ends."""
    return ImageOps.autocontrast(picture, cutoff=cutoff)


def posterise(picture: Image.Image, *, bits: int) -> Image.Image:
    """So many bits a channel."""
    return ImageOps.posterize(picture, bits)


def solarise(picture: Image.Image, *, above: int) -> Image.Image:
    """Values from ``above`` on inverted."""
    return ImageOps.solarize(picture, above)


def negative(picture: Image.Image) -> Image.Image:
    """Every value inverted."""
    return ImageOps.invert(picture)


def black_and_white(picture: Image.Image, *, above: int) -> Image.Image:
    """One threshold."""
    return picture.convert("L").point([255 * (value > above) for value in range(256)])


def vignette(picture: Image.Image, *, strength: float) -> Image.Image:
    """Darker towards the corners."""
    width, height = picture.size
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return _from(_floats(picture) * (1 - strength * (x**2 + y**2)[..., None] / 2))


def light_from_left(picture: Image.Image, *, strength: float) -> Image.Image:
    """Brighter at the left edge, darker at the right."""
    ramp = np.linspace(1 + strength, 1 - strength, picture.width, dtype=np.float32)
    return _from(_floats(picture) * ramp[None, :, None])


def channel_shift(picture: Image.Image, *, pixels: int) -> Image.Image:
    """Red and blue printed beside one another."""
    r, g, b = picture.split()
    return Image.merge(
        "RGB", (ImageChops.offset(r, pixels, 0), g, ImageChops.offset(b, -pixels, 0))
    )


# ── turned ────────────────────────────────────────────────────────────────────────────────────


def turn(picture: Image.Image, *, how: str) -> Image.Image:
    """One of Pillow's seven transpositions."""
    return picture.transpose(Image.Transpose[how])


def rotate(picture: Image.Image, *, degrees: float, fill: str, expand: bool = False) -> Image.Image:
    """Turned about the middle.

    Args:
        picture: RGB.
        degrees: How far.
        fill: What shows in the corners: a colour, or ``"blurred"`` for the picture itself.
        expand: Keep the whole picture; else keep the size.
    """
    options = {"resample": Image.Resampling.BICUBIC, "expand": expand}
    if fill != "blurred":
        return picture.rotate(degrees, fillcolor=fill, **options)
    turned = picture.rotate(degrees, **options)
    mask = Image.new("L", picture.size, 255).rotate(degrees, **options)
    behind = blur(scale(picture, by=1.25).resize(turned.size), radius=max(picture.size) / 25)
    return Image.composite(turned, behind, mask)


def rotate_and_crop(picture: Image.Image, *, degrees: float) -> Image.Image:
    """Turned, and cut to the largest upright rectangle of the same shape without corners."""
    width, height = picture.size
    angle = np.radians(abs(degrees))
    shrink = 1 / (np.cos(angle) + np.sin(angle) * max(width / height, height / width))
    return crop(rotate(picture, degrees=degrees, fill="black"), **_centre((1 - shrink) / 2))


# ── cut ───────────────────────────────────────────────────────────────────────────────────────


def crop(
    picture: Image.Image, *, left: float = 0, top: float = 0, right: float = 0, bottom: float = 0
) -> Image.Image:
    """A share cut off each side."""
    width, height = picture.size
    box = left * width, top * height, (1 - right) * width, (1 - bottom) * height
    return picture.crop(tuple(round(edge) for edge in box))


def _centre(each: float) -> dict[str, float]:
    return dict.fromkeys(("left", "top", "right", "bottom"), each)


def crop_centre(picture: Image.Image, *, away: float) -> Image.Image:
    """The middle, ``away`` of width and height gone."""
    return crop(picture, **_centre(away / 2))


def crop_shape(picture: Image.Image, *, width: int, height: int) -> Image.Image:
    """The largest middle rectangle of a shape."""
    by = min(picture.width / width, picture.height / height)
    return ImageOps.fit(picture, (round(width * by), round(height * by)))


# ── bent ──────────────────────────────────────────────────────────────────────────────────────


def stretch(picture: Image.Image, *, width: float = 1, height: float = 1) -> Image.Image:
    """Sides multiplied unequally."""
    size = round(picture.width * width), round(picture.height * height)
    return picture.resize(size, Image.Resampling.LANCZOS)


def squeeze(picture: Image.Image, *, side: int) -> Image.Image:
    """Forced into a square."""
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def shear(picture: Image.Image, *, by: float, fill: str = "black") -> Image.Image:
    """Upper edge to the left, lower edge to the right, by a share of the height in all."""
    matrix = (1, by, -by * picture.height / 2, 0, 1, 0)
    return picture.transform(
        picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=fill
    )


def perspective(picture: Image.Image, *, by: float, side: str = "top") -> Image.Image:
    """Seen from one side, cut so that no corner shows: ``by`` of that side is lost at each end."""
    width, height = picture.size
    corners = {  # upper left, lower left, lower right, upper right, as Pillow's QUAD wants them
        "top": ((by, 0), (0, 1), (1, 1), (1 - by, 0)),
        "left": ((0, by), (0, 1 - by), (1, 1), (1, 0)),
        "corner": ((by, by), (0, 1), (1, 1), (1, 0)),
    }[side]
    quad = tuple(
        part * full
        for corner in corners
        for part, full in zip(corner, (width, height), strict=True)
    )
    return picture.transform(picture.size, Image.Transform.QUAD, quad, Image.Resampling.BICUBIC)


def _bend(
    picture: Image.Image, where: Callable[[Floats, Floats], tuple[Floats, Floats]]
) -> Image.Image:
    """Fetches each point from elsewhere, by a mesh. Coordinates are -1 to 1."""
    cells = 24
    width, height = picture.size
    edge = np.linspace(0, 1, cells + 1, dtype=np.float32)
    x, y = np.meshgrid(edge * 2 - 1, edge * 2 - 1)
    x, y = where(x, y)
    x = np.clip((x + 1) / 2 * width, 0, width - 1)
    y = np.clip((y + 1) / 2 * height, 0, height - 1)
    xs, ys = np.rint(edge * width).astype(int), np.rint(edge * height).astype(int)
    mesh = []
    for row in range(cells):
        for column in range(cells):
            box = tuple(map(int, (xs[column], ys[row], xs[column + 1], ys[row + 1])))
            corners = ((row, column), (row + 1, column), (row + 1, column + 1), (row, column + 1))
            mesh.append((box, tuple(float(v) for at in corners for v in (x[at], y[at]))))
    return picture.transform(picture.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)


def lens(picture: Image.Image, *, by: float) -> Image.Image:
    """A lens' distortion: barrel above 0, pincushion below; the edges stay filled."""

    def where(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        far = x**2 + y**2
        reach = 1 + by * 2 if by > 0 else 1
        factor = (1 + by * far) / reach
        return x * factor, y * factor

    return _bend(picture, where)


def wave(picture: Image.Image, *, by: float, waves: float) -> Image.Image:
    """A wavy surface, ``by`` of a side up and down."""
    return _bend(
        picture,
        lambda x, y: (
            x + 2 * by * np.sin(np.pi * waves * y),
            y + 2 * by * np.sin(np.pi * waves * x),
        ),
    )


def warp(
    picture: Image.Image, random: np.random.Generator, *, by: float, knots: int = 5
) -> Image.Image:
    """Details moved by random amounts, up to ``by`` of a side; the edges stay."""
    moves = [
        _floats(
            Image.fromarray(random.uniform(-1, 1, (knots, knots)).astype(np.float32)).resize(
                (25, 25), Image.Resampling.BICUBIC
            )
        )
        for _ in range(2)
    ]

    def where(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        fade = (1 - x**2) * (1 - y**2)
        return x + 2 * by * moves[0] * fade, y + 2 * by * moves[1] * fade

    return _bend(picture, where)


def seam(picture: Image.Image, *, at: float, by: float) -> Image.Image:
    """A strip of the width taken out in the middle of the picture, and the parts joined."""
    width, height = picture.size
    cut, gone = round(at * width), round(by * width)
    joined = Image.new("RGB", (width - gone, height))
    joined.paste(picture.crop((0, 0, cut, height)), (0, 0))
    joined.paste(picture.crop((cut + gone, 0, width, height)), (cut, 0))
    return joined


# ── like image-to-image ───────────────────────────────────────────────────────────────────────


def codec_loss(
    picture: Image.Image, random: np.random.Generator, *, strength: float
) -> Image.Image:
    """What an autoencoder of eight-pixel patches loses: detail, a little colour, a little noise."""
    values = _floats(picture)
    small = _floats(scale(picture, by=0.5).resize(picture.size, Image.Resampling.BICUBIC))
    grain = random.normal(0, 1, (picture.height // 8 + 1, picture.width // 8 + 1, 3))
    planes = [Image.fromarray(plane) for plane in np.moveaxis(grain, 2, 0).astype(np.float32)]
    smooth = [plane.resize(picture.size, Image.Resampling.BICUBIC) for plane in planes]
    patches = np.stack([_floats(plane) for plane in smooth], axis=2)
    mixed = values + (small - values) * min(1, strength) + 12 * strength * patches
    return _from(np.rint(mixed / 6) * 6)


def smooth_areas(picture: Image.Image, *, times: int, near: float) -> Image.Image:
    """A bilateral filter's work, by few passes: neighbours of like value are averaged."""
    values = _floats(picture)
    for _ in range(times):
        total, weights = values.copy(), np.ones((*values.shape[:2], 1), np.float32)
        for down, right in ((0, 2), (2, 0), (0, -2), (-2, 0)):
            moved = np.roll(values, (down, right), (0, 1))
            apart = (moved - values) @ _THIRDS
            alike = np.exp(-((apart / near) ** 2))[..., None]
            total += alike * moved
            weights += alike
        values = total / weights
    return _from(values)


def outlines(picture: Image.Image, *, share: float) -> Image.Image:
    """Dark lines where the picture has edges, as a drawing style."""
    edges = ImageOps.invert(picture.convert("L").filter(ImageFilter.FIND_EDGES)).convert("RGB")
    return Image.blend(picture, ImageChops.multiply(picture, edges), share)


def repaint(
    picture: Image.Image, random: np.random.Generator, *, strength: float, side: int = 512
) -> Image.Image:
    """A stand-in for a weak denoising pass: squeezed, warped, smoothed, recoloured, degraded.

    Args:
        picture: RGB.
        random: Draws the warp and the loss.
        strength: 0 to 1.
        side: The longest side, in pixels, that the model works at.
    """
    drawn = fit(picture, longest=side)
    drawn = warp(drawn, random, by=0.03 * strength, knots=7)
    drawn = smooth_areas(drawn, times=1 + round(3 * strength), near=30)
    drawn = contrast(saturation(drawn, factor=1 + strength / 2), factor=1 + strength / 3)
    return codec_loss(drawn, random, strength=strength)
