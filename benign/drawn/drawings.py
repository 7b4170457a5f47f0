"""What is drawn: logos, icons, maps, plans, charts, boards."""

from __future__ import annotations

import math

from PIL import Image

from drawn.pen import (
    BLACK,
    WHITE,
    Colour,
    Dice,
    Pen,
    Place,
    canvas,
    colour,
    digits,
    grey,
    kind,
    mixed,
    polygon,
    theme,
    wave,
    word,
    words,
)


def _mark(pen: Pen, dice: Dice, centre: Place, radius: float) -> None:
    """An abstract sign of few shapes."""
    x, y = centre
    one, other = colour(dice, 0, 200), colour(dice, 60, 255)
    kind = dice.randrange(7)
    if kind == 0:
        pen.disc(centre, radius, one)
        pen.disc((x + radius * dice.uniform(-0.4, 0.4), y), radius * dice.uniform(0.3, 0.8), other)
    elif kind == 1:
        pen.polygon(polygon(dice, centre, radius, dice.randint(3, 8), 0), one)
        pen.polygon(polygon(dice, centre, radius * 0.5, dice.randint(3, 6), 0), other)
    elif kind == 2:
        number = dice.randint(3, 8)
        for petal in range(number):
            angle = math.tau * petal / number
            place = x + radius * 0.6 * math.cos(angle), y + radius * 0.6 * math.sin(angle)
            pen.disc(place, radius * 0.4, one if petal % 2 else other)
    elif kind == 3:
        for ring in range(dice.randint(2, 5)):
            pen.disc(centre, radius * (1 - ring * 0.2), one if ring % 2 else other)
    elif kind == 4:
        pen.box((x - radius, y - radius), (2 * radius, 2 * radius), one, radius=radius * 0.4)
        letter = dice.choice("ABCDEFGHKMNPRSTUWXZ")
        pen.write((x, y - radius * 0.75), letter, radius * 1.3, WHITE, bold=True, centred=True)
    elif kind == 5:
        for bar in range(dice.randint(2, 5)):
            pen.box(
                (x - radius + bar * radius * 0.45, y - radius * dice.uniform(0, 1)),
                (radius * 0.3, radius * dice.uniform(0.5, 1.5)),
                one if bar % 2 else other,
            )
    else:
        begin = dice.uniform(0, 360)
        box = (x - radius, y - radius, x + radius, y + radius)
        pen.pieslice(box, begin, begin + dice.uniform(90, 300), one)
        pen.arc(box, begin - 60, begin, other, int(radius * 0.2))


@kind
def _logo(dice: Dice) -> Image.Image:
    image, pen = canvas(
        dice.choice([(512, 512), (640, 320), (600, 400)]),
        dice.choice([WHITE, WHITE, BLACK, colour(dice)]),
    )
    width, height = image.size
    ink = BLACK if sum(image.getpixel((0, 0))) > 380 else WHITE  # type: ignore[arg-type]  # a colour
    if dice.random() < 0.6:
        _mark(pen, dice, (width / 2, height * 0.4), height * 0.26)
        pen.write((width / 2, height * 0.74), word(dice), height * 0.13, ink, centred=True)
    else:
        _mark(pen, dice, (width * 0.22, height / 2), width * 0.14)
        pen.write((width * 0.42, height * 0.42), word(dice), width * 0.1, ink, bold=True)
    return image


@kind
def _icon(dice: Dice) -> Image.Image:
    image, pen = canvas((512, 512), dice.choice([WHITE, grey(30)]))
    if dice.random() < 0.6:
        inset = dice.uniform(0, 70)
        pen.box((inset, inset), (512 - 2 * inset,) * 2, colour(dice), radius=dice.uniform(0, 250))
    _mark(pen, dice, (256, 256), dice.uniform(90, 190))
    return image


@kind
def _line_art(dice: Dice) -> Image.Image:
    image, pen = canvas((600, 600))
    ink, width = grey(dice.randint(0, 90)), dice.randint(1, 5)
    kind = dice.randrange(4)
    if kind == 0:  # houses
        for _ in range(dice.randint(1, 4)):
            x, y, w, h = (dice.uniform(40, 330) for _ in range(4))
            pen.box((x, y + 60), (w, h), outline=ink, width=width)
            pen.line([(x, y + 60), (x + w / 2, y), (x + w, y + 60)], ink, width)
            pen.box((x + w / 3, y + 60 + h / 2), (w / 4, h / 2), outline=ink, width=width)
    elif kind == 1:  # curves
        for _ in range(dice.randint(4, 16)):
            start, end = ((dice.uniform(0, 600), dice.uniform(0, 600)) for _ in range(2))
            pen.line(wave(dice, start, end, dice.uniform(5, 90)), ink, width)
    elif kind == 2:  # a plant
        pen.line([(300, 590), (300, 120)], ink, width)
        for leaf in range(dice.randint(4, 12)):
            y = 140 + leaf * 36
            reach = dice.uniform(50, 200) * (1 if leaf % 2 else -1)
            pen.line(wave(dice, (300, y), (300 + reach, y - 40), 12), ink, width)
            pen.disc((300 + reach, y - 40), dice.uniform(8, 30), outline=ink, width=width)
    else:  # figures
        for _ in range(dice.randint(5, 18)):
            centre = dice.uniform(60, 540), dice.uniform(60, 540)
            corners = polygon(dice, centre, dice.uniform(20, 150), dice.randint(3, 7), 0.3)
            pen.polygon(corners, outline=ink, width=width)
    return image


@kind
def _map(dice: Dice) -> Image.Image:
    image, pen = canvas((700, 600), (242, 239, 233))
    for _ in range(dice.randint(2, 7)):
        place = dice.uniform(0, 700), dice.uniform(0, 600)
        pen.polygon(polygon(dice, place, dice.uniform(40, 150), 7, 0.5), (200, 226, 184))
    if dice.random() < 0.8:
        river = wave(dice, (0, dice.uniform(0, 600)), (700, dice.uniform(0, 600)), 40)
        pen.line(river, (170, 205, 235), dice.randint(14, 60))
    for _ in range(dice.randint(8, 40)):
        across = dice.random() < 0.5
        start: Place = (0, dice.uniform(0, 600)) if across else (dice.uniform(0, 700), 0)
        end: Place = (700, dice.uniform(0, 600)) if across else (dice.uniform(0, 700), 600)
        wide = dice.choice([3, 3, 5, 9])
        way = wave(dice, start, end, dice.choice([0, 6, 20]))
        pen.line(way, grey(205), wide + 2)
        pen.line(way, dice.choice([WHITE, (253, 226, 140)]), wide)
    for _ in range(dice.randint(3, 10)):
        pen.write((dice.uniform(0, 600), dice.uniform(0, 570)), words(dice, 1), 14, grey(70))
    return image


@kind
def _floor_plan(dice: Dice) -> Image.Image:
    image, pen = canvas((640, 560))

    def split(x: float, y: float, w: float, h: float, depth: int) -> None:
        if depth == 0 or min(w, h) < 90:
            pen.box((x, y), (w, h), outline=BLACK, width=4)
            pen.write((x + w / 2, y + h / 2), word(dice), 13, grey(90), centred=True)
            pen.line((x + 12, y + h, x + 44, y + h), WHITE, 6)
            pen.arc((x - 20, y + h - 32, x + 44, y + h + 32), 270, 360, grey(120), 1)
            return
        share = dice.uniform(0.35, 0.65)
        if w > h:
            split(x, y, w * share, h, depth - 1)
            split(x + w * share, y, w * (1 - share), h, depth - 1)
        else:
            split(x, y, w, h * share, depth - 1)
            split(x, y + h * share, w, h * (1 - share), depth - 1)

    split(30, 30, 580, 500, dice.randint(2, 4))
    return image


@kind
def _chart(dice: Dice) -> Image.Image:
    width, height = dice.choice([(800, 500), (640, 480), (600, 600)])
    ground, ink, accent = theme(dice)
    image, pen = canvas((width, height), ground)
    pen.write((width / 2, 12), words(dice, 3), 20, ink, centred=True)
    left, top, w, h = 70.0, 60.0, width - 100.0, height - 120.0
    kind = dice.randrange(5)
    if kind == 4:
        begin = dice.uniform(0, 360)
        radius = min(w, h) / 2
        box = (width / 2 - radius, top, width / 2 + radius, top + 2 * radius)
        while begin < 720:
            end = begin + dice.uniform(15, 150)
            pen.pieslice(box, begin, end, colour(dice, 40, 230))
            begin = end
        return image
    pen.line([(left, top), (left, top + h), (left + w, top + h)], ink, 2)
    for tick in range(5):
        y = top + h * tick / 5
        pen.line((left, y, left + w, y), mixed(ground, ink, 0.2), 1)
        pen.write((20, y), digits(dice, 2), 13, ink)
    series = (_bar_series, _line_series, _dot_series, _heat_series)[kind]
    series(pen, dice, (left, top), (w, h), (ground, accent))
    return image


def _bar_series(
    pen: Pen, dice: Dice, corner: Place, size: Place, colours: tuple[Colour, Colour]
) -> None:
    (left, top), (w, h) = corner, size
    number = dice.randint(3, 16)
    for bar in range(number):
        high = h * dice.random()
        at = left + w * (bar + 0.15) / number, top + h - high
        pen.box(at, (w / number * 0.7, high), colours[1])


def _line_series(
    pen: Pen, dice: Dice, corner: Place, size: Place, colours: tuple[Colour, Colour]
) -> None:
    del colours  # each line has its own
    (left, top), (w, h) = corner, size
    for _ in range(dice.randint(1, 5)):
        level, points = dice.uniform(0.2, 0.8), []
        for step in range(31):
            level = min(1, max(0, level + dice.gauss(0, 0.06)))
            points.append((left + w * step / 30, top + h * (1 - level)))
        pen.line(points, colour(dice, 40, 230), 3)


def _dot_series(
    pen: Pen, dice: Dice, corner: Place, size: Place, colours: tuple[Colour, Colour]
) -> None:
    (left, top), (w, h) = corner, size
    slope = dice.uniform(-0.6, 0.6)
    for _ in range(dice.randint(20, 200)):
        x = dice.random()
        y = min(1, max(0, 0.5 + slope * (x - 0.5) + dice.gauss(0, 0.15)))
        pen.disc((left + w * x, top + h * (1 - y)), 4, colours[1])


def _heat_series(
    pen: Pen, dice: Dice, corner: Place, size: Place, colours: tuple[Colour, Colour]
) -> None:
    (left, top), (w, h) = corner, size
    cells = dice.randint(4, 14)
    for row in range(cells):
        for column in range(cells):
            at = left + w * column / cells, top + h * row / cells
            pen.box(at, (w / cells, h / cells), mixed(*colours, dice.random()))


@kind
def _board(dice: Dice) -> Image.Image:
    cells = dice.choice([8, 9, 11, 13, 15])
    side = 560 / cells
    image, pen = canvas((600, 600))
    kind = dice.randrange(3)
    light, dark = colour(dice, 190), colour(dice, 60, 150)
    for row in range(cells):
        for column in range(cells):
            corner = 20 + column * side, 20 + row * side
            if kind == 0:
                pen.box(corner, (side, side), dark if (row + column) % 2 else light)
                if dice.random() < 0.3:
                    centre = corner[0] + side / 2, corner[1] + side / 2
                    pen.disc(centre, side * 0.35, dice.choice([WHITE, BLACK]), outline=BLACK)
            elif kind == 1:
                filled = dice.random() < 0.25
                pen.box(corner, (side, side), BLACK if filled else WHITE, outline=BLACK)
            else:
                pen.box(corner, (side, side), WHITE, outline=grey(150))
                if dice.random() < 0.35:
                    middle = (corner[0] + side / 2, corner[1] + side * 0.1)
                    pen.write(middle, digits(dice, 1), side * 0.6, centred=True)
    return image


@kind
def _palette(dice: Dice) -> Image.Image:
    image, pen = canvas((640, 480), grey(dice.choice([128, 255, 30])))
    rows, columns = dice.choice([(1, 5), (1, 8), (2, 4), (4, 6), (6, 8), (10, 10)])
    gap = dice.choice([0, 6, 16])
    w, h = 640 / columns, 480 / rows
    for row in range(rows):
        for column in range(columns):
            corner = column * w + gap / 2, row * h + gap / 2
            pen.box(corner, (w - gap, h - gap), colour(dice))
    return image
