"""A list from one's own pictures."""

from __future__ import annotations

from initgate.errors import ImageUnreadable
from initgate.hashing import hash_bytes, hash_upright
from initgate.image import Limits, decode
from initgate.model import Algorithm, ListEntry

DEFAULT_QUALITY_FLOOR = 50
"""Below this PDQ quality a picture has too little structure to be told from others.

The custom of PDQ's own tools."""


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
    picture = decode(data, limits=limits or Limits())
    if algorithm.is_digest:
        return ListEntry(algorithm, hash_bytes(data, algorithm).code, entry)
    made = hash_upright(picture.pixels[0].levels, algorithm)
    if made.quality is not None and made.quality < min_quality:
        raise ImageUnreadable(
            f"quality {made.quality} is below the floor {min_quality}: so little structure "
            "would match unrelated pictures"
        )
    return ListEntry(algorithm, made.code, entry, made.quality)
