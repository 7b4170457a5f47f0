"""What puts a picture into something else: overlays, borders, screenshots, collages.

Each takes a picture in RGB and a :class:`Lot`, from which come random numbers and other photos.
All of it is drawn here; the letters are Pillow's own font. Shares are parts of a side, 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

WORDS = (
    "about",
    "after",
    "again",
    "autumn",
    "bakery",
    "before",
    "bicycle",
    "bridge",
    "castle",
    "coffee",
    "corner",
    "every",
    "evening",
    "friend",
    "garden",
    "harbour",
    "holiday",
    "island",
    "kitchen",
    "lantern",
    "letter",
    "market",
    "meadow",
    "morning",
    "mountain",
    "museum",
    "never",
    "orchard",
    "paper",
    "picnic",
    "quiet",
    "railway",
    "river",
    "saturday",
    "school",
    "season",
    "station",
    "street",
    "summer",
    "sunday",
    "theatre",
    "together",
    "tomorrow",
    "train",
    "valley",
    "village",
    "walking",
    "water",
    "weather",
    "window",
    "winter",
    "yellow",
)


@dataclass(frozen=True, slots=True)
class Lot:
    """What an edit may draw from, the same for each pair of edit and photo.

    Args:
        random: Numbers.
        others: Photos that are neither queries nor entries, in an order of this lot's own.
    """

    random: np.random.Generator
    others: Callable[[int], Image.Image]

    def words(self, count: int) -> str:
        """So many words, the first with a capital."""
        return " ".join(self.random.choice(WORDS, count)).capitalize()


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(8, size))


def _write(
    canvas: Image.Image,
    at: tuple[float, float],
    text: str,
    *,
    size: float,
    colour: str,
    anchor: str = "la",
    outline: int = 0,
) -> None:
    ImageDraw.Draw(canvas).text(
        at,
        text,
        font=_font(round(size)),
        fill=colour,
        anchor=anchor,
        stroke_width=outline,
        stroke_fill="black" if outline else None,
    )


def _lines(
    canvas: Image.Image,
    box: tuple[float, float, float, float],
    lot: Lot,
    *,
    size: float,
    colour: str,
) -> None:
    """Fills a box with lines of words."""
    left, top, right, bottom = box
    words = max(1, int((right - left) / size / 3.4))
    y = top
    while y + size <= bottom:
        last = y + 2.6 * size > bottom
        text = lot.words(max(1, words // 2 if last else words))
        _write(canvas, (left, y), text, size=size, colour=colour)
        y += size * 1.45


def _into(picture: Image.Image, width: float, height: float) -> Image.Image:
    """As large as fits."""
    return ImageOps.contain(
        picture, (max(8, round(width)), max(8, round(height))), Image.Resampling.LANCZOS
    )


def _fill(picture: Image.Image, width: float, height: float) -> Image.Image:
    """Cut to fill."""
    return ImageOps.fit(
        picture, (max(8, round(width)), max(8, round(height))), Image.Resampling.LANCZOS
    )


def _middle(
    canvas: Image.Image, picture: Image.Image, box: tuple[float, float, float, float]
) -> None:
    left, top, right, bottom = box
    placed = _into(picture, right - left, bottom - top)
    canvas.paste(
        placed,
        (round((left + right - placed.width) / 2), round((top + bottom - placed.height) / 2)),
    )


# ── overlays ──────────────────────────────────────────────────────────────────────────────────


def text(
    picture: Image.Image, lot: Lot, *, size: float, words: int, y: float, colour: str = "white"
) -> Image.Image:
    """A line of outlined letters across the picture, ``size`` of the height, at height ``y``."""
    made = picture.copy()
    at = picture.width / 2, y * picture.height
    _write(
        made,
        at,
        lot.words(words),
        size=size * picture.height,
        colour=colour,
        anchor="mm",
        outline=1,
    )
    return made


def stamp(picture: Image.Image, lot: Lot, *, size: float) -> Image.Image:
    """A camera's date, in a corner."""
    made = picture.copy()
    day, month = lot.random.integers(1, 28), lot.random.integers(1, 12)
    at = 0.96 * picture.width, 0.95 * picture.height
    _write(
        made,
        at,
        f"{day:02} {month:02} 2009",
        size=size * picture.height,
        colour="orange",
        anchor="rs",
    )
    return made


def watermark(picture: Image.Image, lot: Lot, *, opacity: float, tiled: bool) -> Image.Image:
    """A word laid over the picture, aslant: once, large, or many times, small."""
    word = lot.words(1 if tiled else 2).upper()
    reach = max(picture.size) * 2
    layer = Image.new("L", (reach, reach))
    size = picture.height * (0.08 if tiled else 0.2)
    if tiled:
        for row in range(0, reach, round(size * 2.5)):
            for column in range(0, reach, round(size * len(word))):
                _write(layer, (column, row), word, size=size, colour="white")
    else:
        _write(layer, (reach / 2, reach / 2), word, size=size, colour="white", anchor="mm")
    layer = layer.rotate(30, resample=Image.Resampling.BICUBIC)
    left, top = (reach - picture.width) // 2, (reach - picture.height) // 2
    mask = layer.crop((left, top, left + picture.width, top + picture.height))
    mask = mask.point([round(value * opacity) for value in range(256)])
    made = picture.copy()
    made.paste(Image.new("RGB", picture.size, "white"), (0, 0), mask)
    return made


def logo(picture: Image.Image, lot: Lot, *, size: float, corner: str) -> Image.Image:
    """A round emblem with a letter, ``size`` of the shorter side, in a corner."""
    made = picture.copy()
    side = round(size * min(picture.size))
    gap = round(side * 0.2)
    left = gap if "left" in corner else picture.width - side - gap
    top = gap if "top" in corner else picture.height - side - gap
    draw = ImageDraw.Draw(made)
    hue = int(lot.random.integers(360))
    draw.ellipse(
        (left, top, left + side, top + side), f"hsl({hue},80%,45%)", "white", max(1, side // 14)
    )
    _write(
        made,
        (left + side / 2, top + side / 2),
        lot.words(1)[0],
        size=side * 0.6,
        colour="white",
        anchor="mm",
    )
    return made


def smiley(picture: Image.Image, lot: Lot, *, size: float, count: int) -> Image.Image:
    """Round yellow faces here and there, ``size`` of the shorter side."""
    made = picture.copy()
    draw = ImageDraw.Draw(made)
    side = size * min(picture.size)
    for _ in range(count):
        x, y = (lot.random.uniform(0, full - side) for full in picture.size)
        draw.ellipse((x, y, x + side, y + side), "#ffcc33", "#aa7700", max(1, round(side / 30)))
        for eye in (0.3, 0.58):
            draw.ellipse(
                (x + eye * side, y + 0.28 * side, x + (eye + 0.12) * side, y + 0.46 * side),
                "#553300",
            )
        draw.arc(
            (x + 0.2 * side, y + 0.3 * side, x + 0.8 * side, y + 0.82 * side),
            20,
            160,
            "#553300",
            max(1, round(side / 15)),
        )
    return made


def sticker(picture: Image.Image, lot: Lot, *, size: float) -> Image.Image:
    """A white label with words, aslant, near the middle, ``size`` of the width."""
    width = round(size * picture.width)
    label = Image.new("RGBA", (width, width // 2), "white")
    draw = ImageDraw.Draw(label)
    draw.rectangle((3, 3, width - 4, width // 2 - 4), outline="red", width=max(2, width // 40))
    _write(
        label,
        (width / 2, width / 4),
        lot.words(1).upper(),
        size=width / 7,
        colour="red",
        anchor="mm",
    )
    label = label.rotate(
        float(lot.random.uniform(-20, 20)), expand=True, resample=Image.Resampling.BICUBIC
    )
    made = picture.copy()
    at = (
        round((picture.width - label.width) * lot.random.uniform(0.3, 0.7)),
        round((picture.height - label.height) * lot.random.uniform(0.3, 0.7)),
    )
    made.paste(label, at, label)
    return made


def bar(picture: Image.Image, lot: Lot, *, width: float, height: float) -> Image.Image:
    """A black bar over some part near the middle."""
    made = picture.copy()
    w, h = width * picture.width, height * picture.height
    x = (picture.width - w) * lot.random.uniform(0.3, 0.7)
    y = (picture.height - h) * lot.random.uniform(0.2, 0.5)
    ImageDraw.Draw(made).rectangle((x, y, x + w, y + h), "black")
    return made


def scribble(picture: Image.Image, lot: Lot, *, strokes: int, width: float) -> Image.Image:
    """Freehand lines in one colour."""
    made = picture.copy()
    draw = ImageDraw.Draw(made)
    for _ in range(strokes):
        points = lot.random.uniform(0.1, 0.9, (6, 2)) * picture.size
        draw.line(
            [tuple(point) for point in points],
            "red",
            max(1, round(width * min(picture.size))),
            "curve",
        )
    return made


def banner(
    picture: Image.Image, lot: Lot, *, height: float, opacity: float, y: float
) -> Image.Image:
    """A dark band with words over the picture, as a caption of a story."""
    made = picture.convert("RGBA")
    high = height * picture.height
    top = y * picture.height - high / 2
    layer = Image.new("RGBA", picture.size)
    ImageDraw.Draw(layer).rectangle(
        (0, top, picture.width, top + high), (0, 0, 0, round(255 * opacity))
    )
    made = Image.alpha_composite(made, layer).convert("RGB")
    _write(
        made,
        (picture.width / 2, top + high / 2),
        lot.words(3),
        size=high * 0.5,
        colour="white",
        anchor="mm",
    )
    return made


# ── borders ───────────────────────────────────────────────────────────────────────────────────


def pad(
    picture: Image.Image,
    _: Lot,
    *,
    colour: str,
    left: float = 0,
    top: float = 0,
    right: float = 0,
    bottom: float = 0,
) -> Image.Image:
    """Bands of a colour, each a share of the picture's side."""
    width, height = picture.size
    size = round(width * (1 + left + right)), round(height * (1 + top + bottom))
    made = Image.new("RGB", size, colour)
    made.paste(picture, (round(left * width), round(top * height)))
    return made


def frame(
    picture: Image.Image, _: Lot, *, colour: str, share: float, inner: str = ""
) -> Image.Image:
    """A frame as wide on all sides, with a thin line inside if ``inner`` names its colour."""
    wide = round(share * min(picture.size))
    thin = max(2, wide // 6)
    if inner:
        picture = ImageOps.expand(picture, thin, inner)
    return ImageOps.expand(picture, wide, colour)


def polaroid(picture: Image.Image, lot: Lot, *, words: int) -> Image.Image:
    """An instant photo's white frame, with handwriting's place below."""
    edge = round(0.06 * min(picture.size))
    made = Image.new("RGB", (picture.width + 2 * edge, picture.height + 6 * edge), "#f8f6f0")
    made.paste(picture, (edge, edge))
    if words:
        at = made.width / 2, made.height - 2.5 * edge
        _write(made, at, lot.words(words), size=1.6 * edge, colour="#333355", anchor="mm")
    return made


def caption(
    picture: Image.Image, lot: Lot, *, where: str, height: float, dark: bool = False, lines: int = 1
) -> Image.Image:
    """A bar with words above, below or both, ``height`` of the picture's."""
    ground, ink = ("black", "white") if dark else ("white", "black")
    high = round(height * picture.height)
    above, below = "top" in where, "bottom" in where
    made = Image.new("RGB", (picture.width, picture.height + high * (above + below)), ground)
    made.paste(picture, (0, high * above))
    size = min(high / (lines + 0.6) * 0.8, picture.width / 14)
    for top in [0] * above + [made.height - high] * below:
        for line in range(lines):
            at = picture.width / 2, top + high * (line + 1) / (lines + 1)
            _write(made, at, lot.words(4), size=size, colour=ink, anchor="mm")
    return made


def blurred_fill(picture: Image.Image, _: Lot, *, width: int, height: int) -> Image.Image:
    """On a canvas of another shape, over itself enlarged and blurred."""
    by = max(picture.width / width, picture.height / height)
    size = round(width * by), round(height * by)
    made = _fill(picture, *size).filter(ImageFilter.GaussianBlur(max(size) / 30))
    _middle(made, picture, (0, 0, *size))
    return made


def ground_fill(picture: Image.Image, lot: Lot, *, kind: str, share: float) -> Image.Image:
    """On a larger ground that is a gradient or noise."""
    width, height = (round(side * (1 + 2 * share)) for side in picture.size)
    first, last = lot.random.uniform(0, 255, (2, 3))
    slope = (np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].sum(axis=0) / 2)[..., None]
    ground = first + (last - first) * slope
    if kind == "noise":
        ground = first + lot.random.normal(0, 25, (height, width, 3))
    made = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
    made.paste(picture, (round(share * picture.width), round(share * picture.height)))
    return made


def rounded(
    picture: Image.Image, _: Lot, *, radius: float, margin: float, colour: str
) -> Image.Image:
    """Round corners on a ground."""
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).rounded_rectangle(
        (0, 0, picture.width - 1, picture.height - 1), radius * min(picture.size), 255
    )
    edge = round(margin * min(picture.size))
    made = Image.new("RGB", (picture.width + 2 * edge, picture.height + 2 * edge), colour)
    made.paste(picture, (edge, edge), mask)
    return made


# ── screenshots ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Look:
    ground: str
    panel: str
    line: str
    ink: str
    faint: str


_LIGHT = _Look("#ffffff", "#eceef1", "#d4d7dc", "#1c1e21", "#8a8d93")
_DARK = _Look("#16181c", "#26292f", "#3a3e46", "#e4e6ea", "#7d828b")


def _look(*, dark: bool) -> _Look:
    return _DARK if dark else _LIGHT


def browser(picture: Image.Image, lot: Lot, *, dark: bool, width: float = 0.62) -> Image.Image:
    """A browser's window of 1280×800 with the photo in a page, below a heading and above text."""
    look = _look(dark=dark)
    made = Image.new("RGB", (1280, 800), look.ground)
    _chrome(made, lot, look, (0, 0, 1280, 84))
    left = (1 - width) / 2 * 1280
    _write(made, (left, 104), lot.words(4), size=30, colour=look.ink)
    _write(made, (left, 146), lot.words(6), size=15, colour=look.faint)
    placed = _into(picture, width * 1280, 560)
    made.paste(placed, (round(left), 178))
    _lines(
        made,
        (left, 178 + placed.height + 16, left + width * 1280, 790),
        lot,
        size=17,
        colour=look.ink,
    )
    return made


def _chrome(canvas: Image.Image, lot: Lot, look: _Look, box: tuple[int, int, int, int]) -> None:
    """A browser's tabs and address."""
    left, top, right, bottom = box
    draw = ImageDraw.Draw(canvas)
    draw.rectangle(box, look.panel)
    for number, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")):
        x = left + 16 + 22 * number
        draw.ellipse((x, top + 12, x + 12, top + 24), colour)
    draw.rounded_rectangle((left + 100, top + 6, left + 330, top + 40), 8, look.ground)
    _write(canvas, (left + 112, top + 15), lot.words(2), size=14, colour=look.ink)
    draw.rounded_rectangle((left + 90, top + 46, right - 90, bottom - 8), 14, look.ground)
    _write(
        canvas,
        (left + 108, top + 52),
        f"{lot.words(1).lower()}.example/{lot.words(1).lower()}",
        size=15,
        colour=look.faint,
    )
    draw.line((left, bottom, right, bottom), look.line, 1)


def phone(picture: Image.Image, lot: Lot, *, dark: bool) -> Image.Image:
    """A phone's gallery, 540×1140: bars above and below, the photo over the whole width."""
    look = _look(dark=dark)
    made = Image.new("RGB", (540, 1140), look.ground)
    draw = ImageDraw.Draw(made)
    _write(
        made,
        (24, 14),
        f"{lot.random.integers(8, 21)}:{lot.random.integers(10, 59)}",
        size=20,
        colour=look.ink,
    )
    draw.rounded_rectangle((470, 16, 514, 34), 5, outline=look.ink, width=2)
    draw.rectangle((474, 20, 500, 30), look.ink)
    _write(made, (270, 74), lot.words(2), size=24, colour=look.ink, anchor="mm")
    _middle(made, picture, (0, 120, 540, 1000))
    for number in range(4):
        x = 70 + 133 * number
        draw.ellipse((x - 16, 1040, x + 16, 1072), outline=look.ink, width=3)
    draw.rounded_rectangle((180, 1118, 360, 1124), 3, look.ink)
    return made


def viewer(picture: Image.Image, lot: Lot, *, dark: bool) -> Image.Image:
    """An image viewer's window: title and tool bar, the photo fitted to the ground."""
    look = _look(dark=dark)
    made = Image.new("RGB", (1100, 760), "#0c0c0c" if dark else "#f2f2f2")
    draw = ImageDraw.Draw(made)
    draw.rectangle((0, 0, 1100, 40), look.panel)
    _write(made, (16, 11), f"{lot.words(1)}.jpg", size=16, colour=look.ink)
    for number in range(3):
        x = 980 + 40 * number
        draw.rectangle((x, 14, x + 12, 26), outline=look.ink, width=2)
    draw.rectangle((0, 712, 1100, 760), look.panel)
    for number in range(7):
        x = 400 + 46 * number
        draw.ellipse((x, 724, x + 22, 746), outline=look.faint, width=2)
    _middle(made, picture, (30, 60, 1070, 692))
    return made


def post(picture: Image.Image, lot: Lot, *, dark: bool) -> Image.Image:
    """A social network's post, 600 wide: name, words, the photo, counts, a comment."""
    look = _look(dark=dark)
    placed = picture.resize(
        (600, round(600 * picture.height / picture.width)), Image.Resampling.LANCZOS
    )
    made = Image.new("RGB", (600, placed.height + 310), look.ground)
    draw = ImageDraw.Draw(made)
    draw.ellipse((18, 18, 66, 66), f"hsl({lot.random.integers(360)},55%,55%)")
    _write(made, (80, 22), lot.words(2), size=20, colour=look.ink)
    _write(made, (80, 48), lot.words(2), size=14, colour=look.faint)
    _lines(made, (18, 84, 582, 140), lot, size=17, colour=look.ink)
    made.paste(placed, (0, 146))
    below = 146 + placed.height
    for number in range(3):
        x = 24 + 110 * number
        draw.ellipse((x, below + 16, x + 26, below + 42), outline=look.ink, width=2)
        _write(
            made, (x + 36, below + 20), str(lot.random.integers(2, 900)), size=17, colour=look.faint
        )
    draw.line((0, below + 58, 600, below + 58), look.line, 1)
    draw.ellipse((18, below + 74, 54, below + 110), f"hsl({lot.random.integers(360)},45%,50%)")
    _lines(made, (66, below + 74, 570, below + 130), lot, size=16, colour=look.ink)
    return made


def chat(picture: Image.Image, lot: Lot, *, dark: bool) -> Image.Image:
    """A messenger, 560×1000: bubbles with words, and one with the photo."""
    look = _look(dark=dark)
    made = Image.new("RGB", (560, 1000), "#0b141a" if dark else "#efe7dd")
    draw = ImageDraw.Draw(made)
    draw.rectangle((0, 0, 560, 70), "#1f2c33" if dark else "#075e54")
    draw.ellipse((16, 14, 58, 56), "#9aa7ad")
    _write(made, (74, 22), lot.words(2), size=22, colour="white")
    theirs, mine = ("#202c33", "#005c4b") if dark else ("#ffffff", "#dcf8c6")
    draw.rounded_rectangle((14, 90, 370, 150), 12, theirs)
    _lines(made, (28, 100, 360, 146), lot, size=17, colour=look.ink)
    placed = _into(picture, 380, 420)
    left = 560 - 24 - placed.width
    draw.rounded_rectangle((left - 8, 166, 544, 166 + placed.height + 44), 12, mine)
    made.paste(placed, (left, 174))
    _write(made, (528, placed.height + 188), "12:41", size=14, colour=look.faint, anchor="ra")
    y = 166 + placed.height + 60
    draw.rounded_rectangle((14, y, 420, y + 90), 12, theirs)
    _lines(made, (28, y + 10, 406, y + 84), lot, size=17, colour=look.ink)
    draw.rounded_rectangle((12, 936, 480, 986), 24, theirs)
    draw.ellipse((496, 936, 546, 986), "#00a884")
    return made


def beside_text(
    picture: Image.Image, lot: Lot, *, dark: bool, side: str, width: float
) -> Image.Image:
    """An article, 1200×780: the photo on one side, text beside and below it."""
    look = _look(dark=dark)
    made = Image.new("RGB", (1200, 780), look.ground)
    _write(made, (60, 36), lot.words(5), size=38, colour=look.ink)
    placed = _into(picture, width * 1080, 520)
    left = 60 if side == "left" else 1140 - placed.width
    made.paste(placed, (left, 110))
    column = (90 + placed.width, 1140) if side == "left" else (60, left - 30)
    _lines(made, (column[0], 110, column[1], 110 + placed.height), lot, size=18, colour=look.ink)
    _lines(made, (60, 134 + placed.height, 1140, 770), lot, size=18, colour=look.ink)
    return made


def desktop(picture: Image.Image, lot: Lot, *, dark: bool, size: float) -> Image.Image:
    """A desktop of 1440×900: ground, icons, task bar, and a window that shows the photo."""
    look = _look(dark=dark)
    base = np.array([30, 60, 110] if dark else [120, 160, 200], float)
    slope = np.linspace(0.7, 1.3, 900)[:, None, None] * np.ones((1, 1440, 1))
    made = Image.fromarray(np.clip(base * slope, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(made)
    for number in range(6):
        y = 30 + 110 * number
        draw.rounded_rectangle((34, y, 90, y + 56), 8, f"hsl({lot.random.integers(360)},50%,60%)")
        _write(made, (62, y + 74), lot.words(1), size=14, colour="white", anchor="mm")
    draw.rectangle((0, 856, 1440, 900), look.panel)
    for number in range(9):
        draw.rounded_rectangle((420 + 66 * number, 864, 456 + 66 * number, 894), 6, look.faint)
    placed = _into(picture, size * 1440, size * 860)
    x = round(160 + lot.random.uniform(0.1, 0.9) * (1240 - placed.width))
    y = round(30 + lot.random.uniform(0.1, 0.9) * (770 - placed.height))
    draw.rectangle(
        (x - 2, y - 34, x + placed.width + 1, y + placed.height + 1), look.panel, look.line
    )
    _write(made, (x + 12, y - 26), f"{lot.words(1)}.png", size=15, colour=look.ink)
    made.paste(placed, (x, y))
    return made


# ── collages ──────────────────────────────────────────────────────────────────────────────────


def grid(
    picture: Image.Image,
    lot: Lot,
    *,
    columns: int,
    rows: int,
    gutter: int = 0,
    colour: str = "white",
    cut: bool = False,
) -> Image.Image:
    """The photo in one cell, other photos in the rest; which cell is the lot's choice.

    Args:
        picture: RGB.
        lot: Other photos.
        columns: Cells side by side.
        rows: Cells one above the other.
        gutter: Pixels between and around them.
        colour: The gutter's.
        cut: Cells are square and the photo is cut to fill one; else cells have its shape.
    """
    longest = 960 / max(columns, rows)
    cell = _fill(picture, longest, longest) if cut else _into(picture, longest, longest)
    width, height = cell.size
    size = columns * (width + gutter) + gutter, rows * (height + gutter) + gutter
    made = Image.new("RGB", size, colour)
    mine = int(lot.random.integers(columns * rows))
    for number in range(columns * rows):
        row, column = divmod(number, columns)
        shown = cell if number == mine else _fill(lot.others(number), width, height)
        made.paste(shown, (gutter + column * (width + gutter), gutter + row * (height + gutter)))
    return made


def inset(
    picture: Image.Image, lot: Lot, *, size: float, corner: str, edge: int = 3
) -> Image.Image:
    """The photo small, in a corner of another one; ``size`` of that one's width."""
    made = _fill(lot.others(0), 900, 620)
    small = ImageOps.expand(_into(picture, size * 900, size * 900), edge, "white")
    x = 24 if "left" in corner else 900 - small.width - 24
    y = 24 if "top" in corner else 620 - small.height - 24
    made.paste(small, (x, y))
    return made


def inset_other(picture: Image.Image, lot: Lot, *, size: float) -> Image.Image:
    """Another photo small, in a corner of the photo; ``size`` of its width."""
    made = picture.copy()
    small = ImageOps.expand(
        _into(lot.others(0), size * picture.width, size * picture.height), 2, "white"
    )
    made.paste(small, (picture.width - small.width - 8, picture.height - small.height - 8))
    return made


def uneven(picture: Image.Image, lot: Lot, *, gutter: int, large: bool) -> Image.Image:
    """One large cell and two small ones beside it; the photo is the large one, or a small one."""
    shape = picture.height / picture.width
    width = 620 if large else 310
    mine = picture.resize((width, round(width * shape)), Image.Resampling.LANCZOS)
    tall = mine.height if large else 2 * mine.height + gutter
    small = (tall - gutter) // 2
    made = Image.new("RGB", (930 + 3 * gutter, tall + 2 * gutter), "white")
    beside = 620 + 2 * gutter
    cells = (
        (gutter, gutter, 620, tall),
        (beside, gutter, 310, small),
        (beside, small + 2 * gutter, 310, tall - gutter - small),
    )
    at = 0 if large else 1
    for number, (x, y, wide, high) in enumerate(cells):
        shown = mine if number == at else _fill(lot.others(number), wide, high)
        made.paste(shown, (x, y))
    return made


def strip(picture: Image.Image, lot: Lot, *, count: int, gutter: int) -> Image.Image:
    """Photos in one row, all as high, each as wide as its own shape asks."""
    shown = [lot.others(number) for number in range(count)]
    shown[int(lot.random.integers(count))] = picture
    sized = [
        one.resize((round(360 * one.width / one.height), 360), Image.Resampling.LANCZOS)
        for one in shown
    ]
    made = Image.new(
        "RGB", (sum(one.width for one in sized) + gutter * (count + 1), 360 + 2 * gutter), "white"
    )
    x = gutter
    for one in sized:
        made.paste(one, (x, gutter))
        x += one.width + gutter
    return made


def card(picture: Image.Image, lot: Lot, *, colour: str, ink: str) -> Image.Image:
    """Beside a card of words, as high as itself and two thirds as wide."""
    shown = _into(picture, 600, 600)
    wide = round(shown.width * 2 / 3)
    made = Image.new("RGB", (shown.width + wide, shown.height), colour)
    made.paste(shown, (0, 0))
    size = wide / 12
    _write(made, (shown.width + size, size), lot.words(2), size=1.6 * size, colour=ink)
    _lines(
        made,
        (shown.width + size, 4 * size, made.width - size, made.height - size),
        lot,
        size=size,
        colour=ink,
    )
    return made
