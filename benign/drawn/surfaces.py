"""What has no meaning: blanks, gradients, noise, patterns, silhouettes."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from drawn.pen import BLACK, WHITE, Dice, Shares, canvas, colour, grid, kind, polygon, shaded


@kind
def _blank(dice: Dice) -> Image.Image:
    size = dice.choice([(512, 512), (640, 480), (480, 640)])
    image, pen = canvas(size, dice.choice([WHITE, BLACK, colour(dice)]))
    if dice.random() < 0.7:  # nearly blank: a line or a dot
        x, y = dice.uniform(0.1, 0.8) * size[0], dice.uniform(0.1, 0.8) * size[1]
        if dice.random() < 0.5:
            pen.disc((x, y), dice.uniform(2, 30), colour(dice))
        else:
            pen.box((x, y), (dice.uniform(10, 200), dice.uniform(2, 40)), colour(dice))
    return image


@kind
def gradient(dice: Dice) -> Image.Image:
    """A smooth passage between some colours: in a line, round a point, or bent."""
    size = dice.choice([(512, 512), (640, 480), (480, 640)])
    y, x = grid(size)
    a, b = dice.uniform(0, 1), dice.uniform(0, 1)
    kind = dice.randrange(5)
    angle = dice.uniform(0, math.tau)
    if kind == 0:
        shares: Shares = x * math.cos(angle) + y * math.sin(angle)
    elif kind == 1:
        shares = np.hypot(x - a, y - b)
    elif kind == 2:
        shares = np.arctan2(y - b, x - a)
    elif kind == 3:
        shares = np.abs(x - a) + np.abs(y - b)
    else:
        shares = (x - a) * (y - b)
    shares = (shares - shares.min()) / np.ptp(shares)
    return shaded(shares ** dice.uniform(0.5, 2), [colour(dice) for _ in range(dice.randint(2, 4))])


@kind
def _noise(dice: Dice) -> Image.Image:
    random_ = np.random.default_rng(dice.getrandbits(32))
    cells = dice.choice([512, 256, 64, 24, 12, 6])
    shape = (cells, cells) if dice.random() < 0.5 else (cells, cells, 3)
    kind = dice.randrange(3)
    if kind == 0:
        made: Shares = random_.uniform(0, 255, shape)
    elif kind == 1:
        made = random_.normal(dice.uniform(60, 190), dice.uniform(10, 60), shape)
    else:
        made = (random_.uniform(0, 1, shape) < dice.uniform(0.05, 0.5)) * 255.0
    image = Image.fromarray(np.clip(made, 0, 255).astype(np.uint8))
    return image.resize((512, 512), dice.choice([Image.Resampling.BICUBIC, Image.Resampling.BOX]))


@kind
def _checker(dice: Dice) -> Image.Image:
    size = 512
    y, x = np.mgrid[0:size, 0:size]
    cell = size / dice.choice([2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 32, 50])
    kind = dice.randrange(6)
    if kind == 0:
        shares = (x // cell + y // cell) % 2
    elif kind == 1:
        shares = ((x + y * dice.choice([-1, 0, 1])) // cell) % 2
    elif kind == 2:
        shares = np.minimum(x % cell, y % cell) < cell * dice.uniform(0.05, 0.3)
    elif kind == 3:
        shares = np.hypot(x % cell - cell / 2, y % cell - cell / 2) < cell * dice.uniform(0.1, 0.5)
    elif kind == 4:
        shares = (np.hypot(x - size / 2, y - size / 2) // cell) % 2
    else:
        shares = ((x + (y // cell) % 2 * cell) // (2 * cell) + y // cell) % 2
    return shaded(shares.astype(float), [colour(dice, 0, 110), colour(dice, 140)])


@kind
def _silhouette(dice: Dice) -> Image.Image:
    image, pen = canvas((512, 512), dice.choice([WHITE, colour(dice, 150)]))
    ink = dice.choice([BLACK, colour(dice, 0, 110)])
    x, y, r = dice.uniform(180, 330), dice.uniform(180, 330), dice.uniform(90, 170)
    kind = dice.randrange(6)
    if kind == 0:  # a head and shoulders, as where a portrait is missing
        pen.disc((256, 190), r * 0.6, ink)
        pen.pieslice((256 - r * 1.3, 300, 256 + r * 1.3, 300 + r * 2.4), 180, 360, ink)
    elif kind == 1:  # mountains and a sun
        for _ in range(3):
            peak = dice.uniform(60, 450)
            height = dice.uniform(150, 330)
            pen.polygon([(peak - height, 512), (peak, 512 - height), (peak + height, 512)], ink)
        pen.disc((dice.uniform(80, 430), dice.uniform(60, 150)), dice.uniform(20, 50), ink)
    elif kind == 2:  # a tree
        pen.box((x - 15, y), (30, 512 - y), ink)
        for _ in range(8):
            pen.disc((x + dice.uniform(-80, 80), y + dice.uniform(-90, 40)), r * 0.5, ink)
    elif kind == 3:  # houses
        left = 0.0
        while left < 512:
            width, height = dice.uniform(40, 110), dice.uniform(80, 380)
            pen.box((left, 512 - height), (width, height), ink)
            left += width
    elif kind == 4:
        pen.polygon(polygon(dice, (x, y), r * 1.4, dice.randint(3, 14), 0.6), ink)
    else:
        for _ in range(dice.randint(2, 6)):
            pen.disc((x + dice.uniform(-120, 120), y + dice.uniform(-120, 120)), r * 0.5, ink)
    return image
