"""A long time is read in windows, each whole, so that what was read once stays read.

Windows grow while little is in them and are halved where there is much, so that a first fetch of
many years comes in pieces. Each begins some seconds before the end of the one before, so that
nothing falls between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final

from initgate.sources import Checkpoint
from initgate.sources.spool import Spool

BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""No list is older."""

PAGES: Final = 100
"""A window with more pages is halved, if it is not the shortest."""

_OVERLAP: Final = timedelta(seconds=60)
_LOOK_BACK: Final = timedelta(hours=1)  # clocks differ, and some changes show late
_DELAY: Final = timedelta(seconds=5)  # until a change shows
_SHORTEST: Final = timedelta(seconds=120)
_FIRST: Final = timedelta(days=30)


@dataclass(slots=True)
class Window:
    """A stretch of time, with the pages of it.

    Args:
        start: Its first moment, in UTC.
        stop: Its last.
        spool: Where its pages are kept.
        pages: All of them, in order.
        items: How many changes they hold.
        is_last: Whether it reaches to now.
    """

    start: datetime
    stop: datetime
    spool: Spool
    pages: list[BinaryIO] = field(default_factory=list)
    items: int = 0
    is_last: bool = False


def windows(
    ask: Callable[[Window], Iterator[BinaryIO]],
    *,
    start: datetime,
    now: datetime,
    folder: Path,
    most: int = PAGES,
) -> Iterator[Window]:
    """Yields windows that were read to their ends, the empty ones too.

    Args:
        ask: Yields the pages of a window, and counts its items.
        start: From where on.
        now: The time.
        folder: For temporary files. A window's are closed when the next is asked for.
        most: Pages in a window that is longer than the shortest.
    """
    end = now.astimezone(UTC) - _DELAY
    if start > end + _LOOK_BACK:  # a clock that was ahead: all is asked again, and nothing missed
        start = BEGINNING
    length = _FIRST
    while start <= end:
        stop = min(end, start + length)
        with Spool(folder) as spool:
            window = Window(start, stop, spool, is_last=stop == end)
            for page in ask(window):
                window.pages.append(page)
                if len(window.pages) > most and stop - start > _SHORTEST:
                    break
            else:
                yield window
                if window.is_last:
                    return
                start = stop - _OVERLAP
                if len(window.pages) <= max(most // 4, 1):
                    length = min(length * 2, end - BEGINNING)
                continue
        length = max((stop - start) / 2, _SHORTEST)


def resumed(checkpoint: Checkpoint, of: str) -> datetime | None:
    """Where to go on after a checkpoint of :func:`reached`; None to begin anew.

    Args:
        checkpoint: The last one.
        of: What it must be a checkpoint of: with another address, all begins anew.
    """
    until = moment(checkpoint.get("until"))
    return until - _LOOK_BACK if until and checkpoint.get("of") == of else None


def moment(seconds: object) -> datetime | None:
    """The time of a number of seconds since 1970; None if it is none."""
    try:
        return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) else None
    except (ValueError, OverflowError, OSError):
        return None


def reached(window: Window, of: str) -> Checkpoint:
    """The checkpoint behind a window."""
    return {"of": of, "until": int(window.stop.timestamp())}
