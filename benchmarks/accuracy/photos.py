"""The photos, split once and for all, and the negatives."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Codes = NDArray[np.uint8]

_FILLERS = 24  # of 256: the share of photos that fill collages


class Split(StrEnum):
    """What a photo is for, told by its file's name alone."""

    DEV = "dev"
    HELD_OUT = "held-out"
    FILLER = "filler"


def split_of(name: str) -> Split:
    """The split of a photo, from the SHA-256 of its file's name."""
    first = hashlib.sha256(name.encode()).digest()[0]
    if first < _FILLERS:
        return Split.FILLER
    return Split.HELD_OUT if first % 2 else Split.DEV


def photo_files(folder: Path, split: Split) -> list[Path]:
    """The photos of a split, by name."""
    return sorted(path for path in folder.iterdir() if split_of(path.name) is split)


def load(path: Path) -> Image.Image:
    """A photo as RGB, as it is stored."""
    with Image.open(path) as opened:
        return opened.convert("RGB")


def read_distractors(path: Path) -> dict[str, Codes]:
    """Hashes of other photos, which no query may match: per space, uint8 ``[n, bits / 8]``."""
    with np.load(path) as arrays:
        return {space: arrays[space] for space in ("pdq", "phash")}
