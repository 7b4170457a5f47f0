"""What screens show: windows, phones, chats, templates, posts."""

from __future__ import annotations

import numpy as np
from PIL import Image

from drawn.pen import (
    BLACK,
    WHITE,
    Colour,
    Dice,
    Pen,
    canvas,
    colour,
    digits,
    font,
    grey,
    kind,
    mixed,
    paragraphs,
    phone_size,
    screen_size,
    theme,
    word,
    words,
)
from drawn.surfaces import gradient


def _browser_bar(pen: Pen, dice: Dice, width: float) -> float:
    """The upper part of a browser's window; returns where the page begins."""
    ground, ink, _ = theme(dice)
    bar = mixed(ground, ink, 0.12)
    pen.box((0, 0), (width, 76), bar)
    for number in range(dice.randint(1, 4)):
        pen.box((90 + number * 170, 8), (164, 32), bar if number else ground, radius=8)
        pen.write((104 + number * 170, 16), words(dice, 2)[:16], 13, ink)
    for number in range(3):
        pen.disc((18 + number * 22, 22), 7, [(237, 106, 94), (245, 191, 79), (98, 197, 84)][number])
    pen.box((0, 38), (width, 38), ground)
    pen.box((120, 43), (width - 240, 27), bar, radius=13)
    pen.write((136, 48), f"{word(dice)}.example/{word(dice)}", 14, ink)
    for number in range(3):
        x = 20 + number * 32
        pen.line([(x + 10, 48), (x, 57), (x + 10, 66)], ink, 2)
    return 76


@kind
def _browser_empty(dice: Dice) -> Image.Image:
    image, pen = canvas(screen_size(dice), dice.choice([WHITE, grey(28), grey(245)]))
    width, height = image.size
    top = _browser_bar(pen, dice, width)
    if dice.random() < 0.6:  # a page to begin with
        pen.box(
            (width * 0.25, top + height * 0.25), (width * 0.5, 44), outline=grey(150), radius=22
        )
        for number in range(dice.choice([0, 4, 8])):
            centre = width * (0.3 + number % 4 * 0.13), top + height * (0.45 + number // 4 * 0.2)
            pen.disc(centre, 26, grey(200))
    return image


@kind
def _error_page(dice: Dice) -> Image.Image:
    ground, ink, accent = theme(dice)
    image, pen = canvas(screen_size(dice), ground)
    width, height = image.size
    top = _browser_bar(pen, dice, width) if dice.random() < 0.6 else 0
    x = width * dice.uniform(0.3, 0.6)
    y = top + (height - top) * dice.uniform(0.1, 0.3)
    code = dice.choice(["404", "500", "403", "502", "Oops", ":("])
    pen.write((x, y), code, height * dice.uniform(0.1, 0.22), accent, bold=True, centred=True)
    for line in range(dice.randint(1, 4)):
        pen.write((x, y + height * 0.3 + 28 * line), words(dice, 5), 17, ink, centred=True)
    if dice.random() < 0.6:
        pen.box((x - 80, y + height * 0.5), (160, 40), accent, radius=6)
    return image


def _status_bar(pen: Pen, dice: Dice, width: float, ink: Colour) -> None:
    pen.write((16, 8), f"{dice.randint(0, 23)}:{dice.randint(0, 59):02}", 14, ink)
    pen.box((width - 42, 10), (26, 12), outline=ink)
    pen.box((width - 41, 11), (dice.uniform(4, 24), 10), ink)


@kind
def _phone_home(dice: Dice) -> Image.Image:
    size = phone_size(dice)
    image = gradient(dice).resize(size)
    pen = Pen(image)
    width, height = size
    rows, columns = dice.randint(3, 6), 4
    for number in range(rows * columns):
        if dice.random() < 0.85:
            x = width * (0.06 + number % columns * 0.235)
            y = 60 + number // columns * height * 0.13
            pen.box((x, y), (width * 0.17,) * 2, colour(dice), radius=14)
    _status_bar(pen, dice, width, dice.choice([BLACK, WHITE]))
    return image


@kind
def _phone_settings(dice: Dice) -> Image.Image:
    ground, ink, accent = theme(dice)
    image, pen = canvas(phone_size(dice), ground)
    width, height = image.size
    y = 100.0
    pen.write((18, 50), words(dice, 1), 26, ink, bold=True)
    while y < height - 50:
        pen.disc((34, y + 20), 13, colour(dice))
        pen.write((62, y + 10), words(dice, 2), 15, ink)
        if dice.random() < 0.4:
            pen.box((width - 64, y + 8), (44, 24), accent, radius=12)
        pen.line((62, y + 46, width, y + 46), mixed(ground, ink, 0.15), 1)
        y += 47
    _status_bar(pen, dice, width, ink)
    return image


@kind
def _phone_empty(dice: Dice) -> Image.Image:
    ground, ink, accent = theme(dice)
    image, pen = canvas(phone_size(dice), ground)
    width, height = image.size
    pen.box((0, 0), (width, 90), accent)
    pen.write((18, 46), words(dice, 2), 22, WHITE, bold=True)
    pen.box((0, height - 60), (width, 60), mixed(ground, ink, 0.08))
    for number in range(4):
        pen.disc((width * (number + 0.5) / 4, height - 30), 11, mixed(ground, ink, 0.5))
    if dice.random() < 0.5:
        pen.write((width / 2, height / 2), words(dice, 3), 15, ink, centred=True)
    _status_bar(pen, dice, width, ink)
    return image


@kind
def _phone_locked(dice: Dice) -> Image.Image:
    ground, ink, _ = theme(dice)
    image, pen = canvas(phone_size(dice), ground)
    width, height = image.size
    clock = f"{dice.randint(0, 23)}:{dice.randint(0, 59):02}"
    pen.write((width / 2, height * 0.15), clock, width * 0.2, ink, centred=True)
    for number in range(dice.randint(0, 4)):
        corner = (16, height * 0.4 + number * 84)
        pen.box(corner, (width - 32, 74), mixed(ground, ink, 0.12), radius=16)
        pen.write((32, corner[1] + 14), words(dice, 3), 14, ink)
    _status_bar(pen, dice, width, ink)
    return image


@kind
def _chat(dice: Dice) -> Image.Image:
    ground, ink, accent = theme(dice)
    image, pen = canvas(phone_size(dice), ground)
    width, height = image.size
    pen.box((0, 0), (width, 84), mixed(ground, ink, 0.08))
    _status_bar(pen, dice, width, ink)
    pen.disc((56, 56), 18, colour(dice))
    pen.write((84, 46), words(dice, 2), 17, ink, bold=True)
    y = 100.0
    while y < height - 90:
        lines = dice.randint(1, 4)
        mine = dice.random() < 0.5
        texts = [words(dice, dice.randint(1, 3)) for _ in range(lines)]
        wide = max(font("", 14, bold=False).getlength(text) for text in texts) + 24
        wide = min(wide, width * 0.8)
        corner = (width - wide - 12 if mine else 12, y)
        fill = accent if mine else mixed(ground, ink, 0.14)
        pen.box(corner, (wide, lines * 20 + 14), fill, radius=15)
        for number, text in enumerate(texts):
            at = (corner[0] + 12, y + 7 + number * 20)
            pen.write(at, text, 14, WHITE if mine else ink)
        y += lines * 20 + dice.choice([20, 26, 44])
    pen.box((12, height - 52), (width - 24, 40), outline=mixed(ground, ink, 0.4), radius=20)
    return image


@kind
def _desktop(dice: Dice) -> Image.Image:
    size = screen_size(dice)
    width, height = size
    image = gradient(dice).resize(size) if dice.random() < 0.7 else Image.new("RGB", size, BLACK)
    pen = Pen(image)
    for number in range(dice.randint(0, 9)):
        pen.box((20, 20 + number * 74), (42, 42), colour(dice), radius=6)
        pen.write((16, 66 + number * 74), word(dice)[:8], 11, WHITE)
    for _ in range(dice.randint(0, 3)):
        ground, ink, accent = theme(dice)
        x, y = dice.uniform(60, width * 0.5), dice.uniform(20, height * 0.4)
        w, h = dice.uniform(220, width * 0.6), dice.uniform(160, height * 0.6)
        pen.box((x, y), (w, h), ground, outline=grey(120))
        pen.box((x, y), (w, 30), mixed(ground, accent, 0.6))
        pen.write((x + 10, y + 7), words(dice, 2), 13, ink)
        if dice.random() < 0.5:
            paragraphs(pen, dice, (x + 14, y + 44), (w - 28, h - 60), 12, ink)
    pen.box((0, height - 40), (width, 40), grey(dice.choice([24, 40, 235])))
    for number in range(dice.randint(3, 9)):
        pen.box((14 + number * 46, height - 34), (28, 28), colour(dice), radius=5)
    return image


@kind
def _template(dice: Dice) -> Image.Image:
    ground, ink, accent = theme(dice)
    image, pen = canvas(screen_size(dice), ground)
    width, height = image.size
    panel = mixed(ground, ink, 0.08)
    top = dice.choice([0, 48, 64])
    side = dice.choice([0, 160, 220])
    pen.box((0, 0), (width, top), accent)
    pen.box((0, top), (side, height), panel)
    for number in range(8 if side else 0):
        pen.box(
            (18, top + 24 + number * 38),
            (side * dice.uniform(0.4, 0.75), 12),
            mixed(panel, ink, 0.3),
            radius=6,
        )
    columns, rows = dice.randint(1, 4), dice.randint(1, 4)
    w, h = (width - side - 20) / columns, (height - top - 20) / rows
    for row in range(rows):
        for column in range(columns):
            corner = side + 20 + column * w, top + 20 + row * h
            pen.box(corner, (w - 20, h - 20), panel, radius=10)
            if dice.random() < 0.7:
                pen.box(
                    (corner[0] + 14, corner[1] + 14),
                    (w * 0.4, 12),
                    mixed(panel, ink, 0.4),
                    radius=6,
                )
            if dice.random() < 0.5:
                pen.box(
                    (corner[0] + 14, corner[1] + 40),
                    (w - 48, h - 78),
                    mixed(panel, accent, 0.4),
                    radius=6,
                )
    return image


@kind
def _dialog(dice: Dice) -> Image.Image:
    ground, ink, accent = theme(dice)
    image, pen = canvas(screen_size(dice), mixed(ground, BLACK, dice.uniform(0.1, 0.5)))
    width, height = image.size
    w, h = width * dice.uniform(0.3, 0.6), height * dice.uniform(0.3, 0.6)
    x, y = (width - w) / 2, (height - h) / 2
    pen.box((x, y), (w, h), ground, radius=dice.choice([0, 8, 18]))
    pen.write((x + 24, y + 20), words(dice, 3), 20, ink, bold=True)
    paragraphs(pen, dice, (x + 24, y + 60), (w - 48, h - 130), 14, ink)
    for number in range(dice.randint(1, 3)):
        fill = accent if number == 0 else mixed(ground, ink, 0.15)
        pen.box((x + w - 110 - number * 100, y + h - 52), (88, 34), fill, radius=6)
    return image


@kind
def _social_post(dice: Dice) -> Image.Image:
    ground, ink, accent = theme(dice)
    image, pen = canvas(dice.choice([(600, 600), (600, 340), (540, 680)]), ground)
    width, height = image.size
    pen.disc((56, 56), 30, colour(dice))
    pen.write((100, 32), words(dice, 2), 20, ink, bold=True)
    pen.write((100, 58), f"@{word(dice)}", 16, mixed(ground, ink, 0.5))
    letters = dice.choice([18, 22, 28])
    paragraphs(pen, dice, (32, 110), (width - 64, height - 190), letters, ink)
    pen.line((32, height - 66, width - 32, height - 66), mixed(ground, ink, 0.2), 1)
    for number in range(4):
        x = 50 + number * (width - 80) / 4
        pen.disc((x, height - 36), 10, outline=accent, width=2)
        pen.write((x + 18, height - 45), digits(dice, dice.randint(1, 4)), 15, ink)
    return image


@kind
def _meme(dice: Dice) -> Image.Image:
    image, pen = canvas(dice.choice([(600, 600), (600, 450), (500, 700)]), colour(dice))
    width, height = image.size
    ink = dice.choice([WHITE, BLACK])
    if dice.random() < 0.4:
        side = dice.uniform(0.15, 0.3) * height
        pen.box((0, 0), (width, side), WHITE)
        ink = BLACK
    size = width * dice.uniform(0.05, 0.08)
    for line in range(dice.randint(1, 3)):
        at = (width / 2, 16 + line * size * 1.2)
        pen.write(at, words(dice, 2).upper(), size, ink, bold=True, centred=True)
    if dice.random() < 0.7:
        size = width * dice.uniform(0.06, 0.1)
        at = (width / 2, height - size * 1.6)
        pen.write(at, words(dice, 2).upper(), size, ink, bold=True, centred=True)
    return image


@kind
def _quote(dice: Dice) -> Image.Image:
    image = (
        gradient(dice).resize((600, 600))
        if dice.random() < 0.5
        else Image.new("RGB", (600, 600), colour(dice))
    )
    pen = Pen(image)
    ink = WHITE if np.asarray(image).mean() < 140 else BLACK
    lines = dice.randint(2, 7)
    size = dice.uniform(24, 44)
    top = 300 - lines * size * 0.7
    for line in range(lines):
        pen.write((300, top + line * size * 1.4), words(dice, 3), size, ink, centred=True)
    pen.write((300, top + lines * size * 1.4 + 20), f"– {words(dice, 2)}", 20, ink, centred=True)
    return image


@kind
def _code(dice: Dice) -> Image.Image:
    ground, ink, _ = theme(dice)
    image, pen = canvas(screen_size(dice), ground)
    height = image.size[1]
    letters = dice.uniform(11, 18)
    inks = [ink, ink, *(mixed(ink, colour(dice), 0.6) for _ in range(4))]
    left = dice.choice([10, 46, 200])
    if left > 100:
        pen.box((0, 0), (left - 20, height), mixed(ground, ink, 0.07))
    depth, y = 0, 10.0
    while y < height - letters:
        if left > 20:
            pen.write(
                (left - 36, y), str(int(y / letters)), letters, mixed(ground, ink, 0.4), mono=True
            )
        x = left + depth * letters * 2
        for _ in range(dice.randint(0, 6)):
            x += pen.write(
                (x, y), word(dice) + dice.choice(" (.=:"), letters, dice.choice(inks), mono=True
            )
        depth = min(6, max(0, depth + dice.choice([-2, -1, 0, 0, 0, 1, 1])))
        y += letters * 1.4
    return image


@kind
def _slide(dice: Dice) -> Image.Image:
    ground, ink, accent = theme(dice)
    image, pen = canvas(dice.choice([(960, 540), (800, 600)]), ground)
    width, height = image.size
    kind = dice.randrange(3)
    if kind == 0:
        pen.box((0, height * 0.35), (width, height * 0.3), accent)
        pen.write((width / 2, height * 0.43), words(dice, 3), 44, WHITE, bold=True, centred=True)
        pen.write((width / 2, height * 0.75), words(dice, 3), 22, ink, centred=True)
        return image
    pen.write((50, 36), words(dice, 3), 38, accent, bold=True)
    for line in range(dice.randint(3, 7)):
        y = 130 + line * 56
        pen.disc((66, y + 14), 6, accent)
        pen.write((90, y), words(dice, dice.randint(2, 4) if kind == 1 else 2), 24, ink)
    if kind == 2:
        pen.box((width * 0.58, 130), (width * 0.36, height * 0.6), mixed(ground, accent, 0.3))
    return image


@kind
def _placeholder(dice: Dice) -> Image.Image:
    image, pen = canvas(
        dice.choice([(512, 512), (640, 480), (480, 640), (800, 450)]), grey(dice.randint(190, 245))
    )
    width, height = image.size
    ink = grey(dice.randint(110, 185))
    kind = dice.randrange(4)
    if kind == 0:
        pen.line((0, 0, width, height), ink, 3)
        pen.line((0, height, width, 0), ink, 3)
        pen.box((0, 0), (width - 1, height - 1), outline=ink, width=3)
    elif kind == 1:  # a picture's sign
        x, y, w = width * 0.3, height * 0.3, width * 0.4
        pen.box((x, y), (w, w * 0.7), outline=ink, width=8, radius=12)
        pen.disc((x + w * 0.28, y + w * 0.2), w * 0.07, ink)
        hill = [(x + w * 0.1, y + w * 0.6), (x + w * 0.4, y + w * 0.3), (x + w * 0.6, y + w * 0.5)]
        pen.polygon([*hill, (x + w * 0.75, y + w * 0.35), (x + w * 0.92, y + w * 0.6)], ink)
    elif kind == 2:
        text = f"{width} × {height}"
        pen.write(
            (width / 2, height * 0.43), text, width * dice.uniform(0.05, 0.12), ink, centred=True
        )
    if kind == 3 or dice.random() < 0.5:
        pen.write((width / 2, height * 0.8), words(dice, 3), width * 0.05, ink, centred=True)
    if kind == 3:
        radius = dice.uniform(30, 90)
        box = (width / 2 - radius, height / 2 - radius, width / 2 + radius, height / 2 + radius)
        begin = dice.uniform(0, 360)
        pen.arc(box, begin, begin + dice.uniform(60, 300), ink, 10)
    return image
