"""What lies on desks: pages, forms, tables, receipts, codes, cards."""

from __future__ import annotations

import random

import numpy as np
from PIL import Image, ImageFilter

from drawn.pen import (
    BLACK,
    WHITE,
    Dice,
    Pen,
    Place,
    canvas,
    colour,
    digits,
    grey,
    grid,
    kind,
    page_size,
    paragraphs,
    wave,
    word,
    words,
)


@kind
def _text_page(dice: Dice) -> Image.Image:
    size = page_size(dice)
    image, pen = canvas(size, dice.choice([WHITE, (250, 246, 235)]))
    margin = size[0] * dice.uniform(0.06, 0.16)
    y = margin
    if dice.random() < 0.6:
        pen.write((margin, y), words(dice, 3), size[0] * dice.uniform(0.03, 0.07), bold=True)
        y += size[0] * 0.12
    columns = dice.choice([1, 1, 2, 3])
    gap = size[0] * 0.04
    width = (size[0] - 2 * margin - gap * (columns - 1)) / columns
    letters = dice.uniform(8, 15)
    for column in range(columns):
        corner = (margin + column * (width + gap), y)
        paragraphs(pen, dice, corner, (width, size[1] - y - margin * dice.uniform(1, 3)), letters)
    return image


@kind
def _letter(dice: Dice) -> Image.Image:
    size = page_size(dice)
    image, pen = canvas(size)
    margin = size[0] * 0.12
    letters = dice.uniform(9, 13)
    pen.box((margin, margin * 0.6), (dice.uniform(40, 120), 36), colour(dice), radius=8)
    for number in range(4):
        corner = (margin, margin * 1.6 + number * letters * 1.5)
        pen.write(corner, words(dice, 2), letters)
        if dice.random() < 0.5:
            pen.write((size[0] * 0.65, corner[1]), words(dice, 2), letters)
    top = margin * 1.9 + letters * 8
    height = size[1] * dice.uniform(0.25, 0.5)
    paragraphs(pen, dice, (margin, top), (size[0] - 2 * margin, height), letters)
    start = (margin, top + height + 50)
    pen.line(wave(dice, start, (margin + 150, start[1]), 14), (20, 30, 120), 2)
    pen.write((margin, start[1] + 24), words(dice, 2), letters)
    return image


def _form_of(dice: Dice, layout: Dice, *, is_filled: bool) -> Image.Image:
    size = page_size(layout)
    image, pen = canvas(size)
    margin = size[0] * layout.uniform(0.05, 0.1)
    accent = colour(layout, 20, 160)
    pen.box((margin, margin), (size[0] - 2 * margin, 46), accent)
    pen.write((margin + 10, margin + 10), words(layout, 3), 20, WHITE, bold=True)
    y = margin + 70
    while y < size[1] - margin - 60:
        columns = layout.choice([1, 1, 2, 3])
        width = (size[0] - 2 * margin) / columns
        height = layout.choice([26, 30, 60])
        for column in range(columns):
            x = margin + column * width
            pen.write((x, y), words(layout, 2), 10, grey(60))
            if layout.random() < 0.25:
                for tick in range(3):
                    pen.box((x + tick * 60, y + 16), (13, 13), outline=BLACK)
                    if is_filled and dice.random() < 0.5:
                        pen.line((x + tick * 60, y + 16, x + tick * 60 + 13, y + 29), BLACK, 2)
            else:
                pen.box((x, y + 15), (width - 14, height), outline=grey(120))
                if is_filled and dice.random() < 0.85:
                    text = dice.choice([words(dice, 2), digits(dice, 9)])
                    pen.write((x + 6, y + 19), text, 15, (20, 20, 110))
        y += height + 30
    return image


@kind
def _form_empty(dice: Dice) -> Image.Image:
    return _form_of(dice, dice, is_filled=False)


@kind
def _form_filled(dice: Dice) -> Image.Image:
    # Of few layouts, so that the same form comes with other words.
    return _form_of(dice, random.Random(f"layout {dice.randrange(12)}"), is_filled=True)


@kind
def _table(dice: Dice) -> Image.Image:
    width, height = dice.choice([(800, 600), (600, 800), (900, 500)])
    image, pen = canvas((width, height))
    rows, columns = dice.randint(5, 26), dice.randint(3, 9)
    top, left = dice.uniform(10, 90), dice.uniform(5, 50)
    w, h = (width - 2 * left) / columns, (height - top - 10) / rows
    accent = colour(dice, 60, 220)
    for row in range(rows):
        for column in range(columns):
            fill = accent if row == 0 else grey(245) if row % 2 else WHITE
            corner = left + column * w, top + row * h
            pen.box(corner, (w, h), fill, outline=grey(190))
            text = word(dice) if row == 0 or column == 0 else digits(dice, dice.randint(1, 5))
            if dice.random() < 0.9:
                pen.write((corner[0] + 4, corner[1] + h * 0.2), text, min(h * 0.5, 14))
    if top > 40:
        pen.write((left, top / 4), words(dice, 3), 22, bold=True)
    return image


@kind
def _receipt(dice: Dice) -> Image.Image:
    width = dice.choice([300, 360, 420])
    items = dice.randint(4, 22)
    height = 320 + items * 22
    image, pen = canvas((width, height), grey(dice.randint(240, 255)))
    pen.write((width / 2, 20), word(dice).upper(), 26, bold=True, centred=True)
    for number in range(3):
        pen.write((width / 2, 56 + 18 * number), words(dice, 3), 12, mono=True, centred=True)
    y = 125.0
    for _ in range(items):
        pen.write((14, y), words(dice, 2)[:20], 13, mono=True)
        pen.write((width - 76, y), f"{digits(dice, 2)}.{digits(dice, 2)}", 13, mono=True)
        y += 22
    pen.line((14, y + 4, width - 14, y + 4), BLACK, 1)
    pen.write((14, y + 10), "TOTAL", 18, mono=True, bold=True)
    pen.write((width - 106, y + 10), f"{digits(dice, 3)}.{digits(dice, 2)}", 18, mono=True)
    _bars(pen, dice, (40, y + 60), (width - 80, 60))
    pen.write((width / 2, y + 140), words(dice, 4), 12, mono=True, centred=True)
    return image


def _bars(pen: Pen, dice: Dice, corner: Place, size: Place) -> None:
    x, end = corner[0], corner[0] + size[0]
    unit = dice.choice([2, 3])
    while x < end:
        bar = unit * dice.randint(1, 4)
        pen.box((x, corner[1]), (min(bar, end - x), size[1]), BLACK)
        x += bar + unit * dice.randint(1, 4)


@kind
def _barcode(dice: Dice) -> Image.Image:
    image, pen = canvas(dice.choice([(500, 300), (400, 400), (600, 200)]))
    width, height = image.size
    inset = dice.uniform(0.03, 0.25)
    y = height * inset
    _bars(pen, dice, (width * inset, y), (width * (1 - 2 * inset), height * dice.uniform(0.4, 0.7)))
    pen.write((width / 2, height * 0.85), digits(dice, 13), height * 0.08, mono=True, centred=True)
    return image


@kind
def _qr(dice: Dice) -> Image.Image:
    modules = 17 + 4 * dice.randint(1, 8)
    cells = np.array([[dice.random() < 0.5 for _ in range(modules)] for _ in range(modules)])
    finder = np.zeros((8, 8), bool)
    finder[:7, :7] = True
    finder[1:6, 1:6] = False
    finder[2:5, 2:5] = True
    cells[:8, :8] = finder
    cells[:8, -8:] = finder[:, ::-1]
    cells[-8:, :8] = finder[::-1]
    cells[6, 8:-8] = cells[8:-8, 6] = np.arange(modules - 16) % 2 == 0
    if modules > 21:
        cells[-9:-4, -9:-4] = True
        cells[-8:-5, -8:-5] = False
        cells[-7, -7] = True
    ink = dice.choice([BLACK, BLACK, colour(dice, 0, 100)])
    code = Image.fromarray(np.where(cells[..., None], ink, WHITE).astype(np.uint8))
    side = dice.choice([300, 420, 512])
    image, pen = canvas((side + 60, side + dice.choice([60, 140])))
    image.paste(code.resize((side, side), Image.Resampling.NEAREST), (30, 30))
    pen.write((side / 2 + 30, side + 60), words(dice, 2), 24, centred=True)
    return image


@kind
def _calendar(dice: Dice) -> Image.Image:
    width, height = dice.choice([(800, 600), (600, 600), (600, 800)])
    image, pen = canvas((width, height))
    accent = colour(dice, 30, 200)
    top = height * dice.uniform(0.12, 0.35)
    pen.box((0, 0), (width, top * 0.8), accent)
    pen.write((width / 2, top * 0.2), word(dice).upper(), top * 0.35, WHITE, centred=True)
    w, h = width / 7, (height - top - 30) / 6
    first, days = dice.randrange(7), dice.randint(28, 31)
    for number in range(42):
        corner = number % 7 * w, top + 24 + number // 7 * h
        pen.box(corner, (w, h), outline=grey(200))
        if first <= number < first + days:
            red = number % 7 == 6
            pen.write(
                (corner[0] + 6, corner[1] + 4),
                str(number - first + 1),
                h * 0.3,
                (200, 30, 30) if red else BLACK,
            )
            if dice.random() < 0.12:
                pen.box((corner[0] + 4, corner[1] + h * 0.55), (w - 8, h * 0.3), colour(dice, 120))
    for day in range(7):
        pen.write((day * w + 8, top), word(dice)[:3], 14, grey(90))
    return image


@kind
def _sheet_music(dice: Dice) -> Image.Image:
    size = page_size(dice)
    image, pen = canvas(size)
    margin, gap = size[0] * 0.08, dice.uniform(5, 9)
    pen.write((size[0] / 2, margin * 0.6), words(dice, 2), 24, centred=True)
    y = margin + 60
    while y < size[1] - margin - 4 * gap:
        for line in range(5):
            pen.line((margin, y + line * gap, size[0] - margin, y + line * gap), BLACK, 1)
        pen.arc((margin + 4, y - gap, margin + 4 + 2 * gap, y + 5 * gap), 0, 300, BLACK, 2)
        x = margin + 40.0
        while x < size[0] - margin - 10:
            at = y + dice.randint(-2, 10) * gap / 2
            pen.ellipse((x, at - gap / 2, x + gap * 1.3, at + gap / 2), BLACK)
            stem = gap * 3.5 * (1 if at < y + 2 * gap else -1)
            pen.line((x + gap, at, x + gap, at + stem), BLACK, 1)
            x += dice.choice([20, 28, 44])
            if dice.random() < 0.2:
                pen.line((x - 8, y, x - 8, y + 4 * gap), BLACK, 1)
        y += gap * dice.choice([10, 11, 13])
    return image


@kind
def _document_scan(dice: Dice) -> Image.Image:
    page = dice.choice([_text_page, _letter, _form_filled, _table, _receipt])(dice)
    turned = page.rotate(
        dice.uniform(-4, 4), Image.Resampling.BICUBIC, expand=True, fillcolor=grey(235)
    )
    y, x = grid(turned.size)
    shade = 1 - dice.uniform(0, 0.35) * np.hypot(x - dice.random(), y - dice.random())
    grain = np.random.default_rng(dice.getrandbits(32)).normal(0, 6, shade.shape)
    levels = np.asarray(turned, float) * shade[..., None] + grain[..., None]
    scan = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
    return scan.filter(ImageFilter.GaussianBlur(dice.uniform(0, 1.2)))


@kind
def _certificate(dice: Dice) -> Image.Image:
    image, pen = canvas((800, 566), (252, 249, 238))
    accent = colour(dice, 40, 160)
    for inset in range(dice.randint(1, 4)):
        step = 14 + inset * dice.choice([6, 9, 12])
        pen.box((step, step), (800 - 2 * step, 566 - 2 * step), outline=accent, width=3)
    pen.write((400, 80), words(dice, 2), dice.uniform(36, 54), accent, bold=True, centred=True)
    for line in range(dice.randint(2, 4)):
        pen.write((400, 190 + 44 * line), words(dice, 4), 20, centred=True)
    pen.disc((dice.choice([160, 400, 640]), 450), 44, accent)
    for x in (140, 560):
        pen.line((x, 480, x + 160, 480), BLACK, 1)
    return image


@kind
def _card(dice: Dice) -> Image.Image:
    image, pen = canvas((640, 404), colour(dice, 170))
    accent = colour(dice, 30, 160)
    pen.box((0, 0), (640, dice.uniform(50, 110)), accent)
    pen.write((30, 20), words(dice, 2).upper(), 28, WHITE, bold=True)
    left = dice.random() < 0.7
    pen.box((30 if left else 440, 140), (170, 220), grey(205))
    pen.disc((115 if left else 525, 220), 44, grey(150))
    pen.pieslice((45 if left else 455, 280, 185 if left else 595, 440), 180, 360, grey(150))
    pen.box((30 if left else 440, 361), (170, 30), image.getpixel((5, 380)))  # type: ignore[arg-type]  # a colour
    for line in range(dice.randint(3, 6)):
        y = 140 + 38 * line
        pen.write((230 if left else 30, y), word(dice), 11, grey(80))
        pen.write((230 if left else 30, y + 13), words(dice, 2), 18)
    return image


@kind
def _handwriting(dice: Dice) -> Image.Image:
    image, pen = canvas(page_size(dice), (252, 252, 246))
    width, height = image.size
    gap = dice.uniform(24, 44)
    y = gap * 2
    while y < height - gap:
        if y // gap % 2 == 0 or dice.random() < 0.9:
            pen.line((0, y, width, y), (190, 205, 230), 1)
        x = width * 0.1
        while x < width * dice.uniform(0.6, 0.95):
            length = dice.uniform(20, 90)
            points = [
                (x + step * 3, y - dice.uniform(0, gap * 0.7)) for step in range(int(length / 3))
            ]
            pen.line(points, (25, 35, 110), 2)
            x += length + gap * 0.5
        y += gap
    return image
