"""Pictures in the form in which they are forwarded.

A file that two decoders could show differently goes on as a PNG of what was checked: animations,
of which the first frame is kept, palettes, CMYK, 16 bits, containers such as AVIF and TIFF, and
files that go on where their picture ends.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from initgate.errors import ImageUnreadable
from initgate.image import Limits, is_plain, to_png
from initgate.service.proxy.containers import is_whole
from initgate.service.proxy.texts import Carried


class Canonical(StrEnum):
    """Which pictures are forwarded as a PNG of what was checked."""

    ODD = "odd"
    """Those that decoders may show differently."""

    ALL = "all"
    """All."""

    NONE = "none"
    """None: the bytes that were checked are forwarded."""


def rewriter(which: Canonical, *, limits: Limits) -> Callable[[Carried], Carried]:
    """What :func:`initgate.service.proxy.core.conclude` calls on every picture.

    Args:
        which: Pictures to write anew.
        limits: What they may cost.
    """

    def rewrite(carried: Carried) -> Carried:
        try:
            data = carried.data
            is_kept = which is Canonical.ODD and is_whole(data) and is_plain(data)
            if which is Canonical.NONE or is_kept:
                return carried
            return carried.with_data(to_png(data, limits=limits))
        except ImageUnreadable:
            # It has a verdict: the operator lets pass what cannot be read.
            return carried

    return rewrite
