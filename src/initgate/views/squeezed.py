"""The picture at the size to which PDQ's C++ tool brings large ones before it hashes them.

Lists that come of that tool differ from others by some 8 bits, and so do small copies of large
pictures: PDQ rounds its windows to whole pixels, which shifts them by up to half a sample.
"""

from __future__ import annotations

from collections.abc import Iterator

from initgate.image import to_size
from initgate.model import View
from initgate.views.looks import Look

_SIDE = 512  # pixels, of the reference's ``hashHelper``


def squeezed(look: Look) -> Iterator[View]:
    """One view, unless the picture has that size already."""
    if look.full == (_SIDE, _SIDE):
        return
    grey, _ = look.grey(_SIDE)
    yield View(f"{look.name}, squeezed", to_size(grey, (_SIDE, _SIDE)), box=(0, 0, _SIDE, _SIDE))
