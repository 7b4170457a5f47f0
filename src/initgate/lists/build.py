"""A list from one's own pictures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from initgate.errors import ImageUnreadable
from initgate.hashing import hash_bytes, hash_upright
from initgate.image import Limits, decode
from initgate.model import Algorithm, Levels, ListEntry

DEFAULT_QUALITY_FLOOR = 50
"""Below this PDQ quality a picture has too little structure to be told from others.

The custom of PDQ's own tools."""

_SAME = 16  # crops whose hashes differ by less than one of so many bits find the same copies
_ASPECTS = {"square": 1.0, "4:3": 4 / 3, "3:4": 3 / 4}
_SIDES = ("left", "top", "right", "bottom")


def entry_of(
    data: bytes,
    *,
    algorithm: Algorithm,
    entry: str,
    min_quality: int = DEFAULT_QUALITY_FLOOR,
    limits: Limits | None = None,
) -> ListEntry:
    """The entry of one picture file.

    Args:
        data: The file's bytes.
        algorithm: Which hash to store. Digests are of the bytes as they are.
        entry: Its identifier.
        min_quality: The quality floor, 0 to 100. No floor applies to digests.
        limits: What reading it may cost.

    Raises:
        ImageUnreadable: No picture, or one below the floor.
    """
    levels = _levels(data, limits)
    if algorithm.is_digest:
        return ListEntry(algorithm, hash_bytes(data, algorithm).code, entry)
    return _whole(levels, algorithm, entry, min_quality)


def entries_of(
    data: bytes,
    *,
    algorithm: Algorithm,
    entry: str,
    min_quality: int = DEFAULT_QUALITY_FLOOR,
    limits: Limits | None = None,
) -> list[ListEntry]:
    """The entry of one picture file, and those of crops of it under the same identifier.

    A crop's one tag says which it is: ``view:square``. Crops below the floor are left out, and
    those that find nothing which another one does not.

    Args:
        data: See :func:`entry_of`, as all.
        algorithm: A perceptual one.
        entry: See there.
        min_quality: See there.
        limits: See there.

    Raises:
        ImageUnreadable: No picture, or one that is below the floor as a whole.
    """
    levels = _levels(data, limits)
    made = [_whole(levels, algorithm, entry, min_quality)]
    for name, crop in _crops(levels):
        more = hash_upright(np.ascontiguousarray(crop), algorithm)
        is_fit = more.quality is None or more.quality >= min_quality
        least = min(_distance(more.code, one.code) for one in made)
        if is_fit and least * _SAME >= algorithm.bits:
            tags = (f"view:{name}",)
            made.append(ListEntry(algorithm, more.code, entry, more.quality, tags))
    return made


def _levels(data: bytes, limits: Limits | None) -> Levels:
    return decode(data, limits=limits or Limits()).pixels[0].levels


def _whole(levels: Levels, algorithm: Algorithm, entry: str, min_quality: int) -> ListEntry:
    made = hash_upright(levels, algorithm)
    if made.quality is not None and made.quality < min_quality:
        raise ImageUnreadable(
            f"quality {made.quality} is below the floor {min_quality}: so little structure "
            "would match unrelated pictures"
        )
    return ListEntry(algorithm, made.code, entry, made.quality)


def _crops(levels: Levels) -> Iterator[tuple[str, Levels]]:
    """The crops that services and people make most, each with its name."""
    for name, aspect in _ASPECTS.items():
        yield name, _to_aspect(levels, aspect)
    for percent in (90, 80, 70):
        yield f"centre {percent}", _without(levels, dict.fromkeys(_SIDES, (100 - percent) // 2))
    for side in _SIDES:
        yield f"without {side}", _without(levels, {side: 10})


def _to_aspect(levels: Levels, aspect: float) -> Levels:
    """The largest part in the middle whose width is so many times its height."""
    height, width = levels.shape[:2]
    tall, wide = min(height, round(width / aspect)) or 1, min(width, round(height * aspect)) or 1
    top, left = (height - tall) // 2, (width - wide) // 2
    return levels[top : top + tall, left : left + wide]


def _without(levels: Levels, percents: dict[str, int]) -> Levels:
    """What is left when percents of the height or width, fewer than 50, are cut off at sides."""
    height, width = levels.shape[:2]
    left, top, right, bottom = (percents.get(side, 0) for side in _SIDES)
    rows = slice(height * top // 100, height - height * bottom // 100)
    return levels[rows, width * left // 100 : width - width * right // 100]


def _distance(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()
