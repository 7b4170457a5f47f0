"""Pages that follow one another, each asked for once, and not for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from initgate.errors import ListRejected
from initgate.sources.spool import Spool
from initgate.sources.web import Content, Web


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says.

    Args:
        items: How many changes it holds.
        digest: Of these changes.
        following: The address of the page behind it; None if it is the last.
    """

    items: int
    digest: str
    following: str | None


def pages(
    web: Web,
    spool: Spool,
    first: str,
    look: Callable[[BinaryIO], Page],
    *,
    content: Content,
    at_most: int,
) -> Iterator[BinaryIO]:
    """Yields the pages of a batch, each at its start.

    Args:
        web: To ask.
        spool: Where they are kept.
        first: The address of the first.
        look: Reads a page.
        content: What they are.
        at_most: How many there may be.

    Raises:
        SourceUnavailable: A page cannot be had.
        ListRejected: The pages go in circles, or there are too many.
    """
    asked: set[str] = set()
    seen: dict[str, int] = {}
    address: str | None = first
    while address is not None:
        number = len(asked) + 1
        if address in asked:
            raise ListRejected(
                f"page {number - 1} names a page as the next that was there already: the cursor "
                "is stuck",
                source=web.name,
            )
        if number > at_most:
            raise ListRejected(f"more than {at_most:,} pages in one batch", source=web.name)
        asked.add(address)
        file = web.get(address, spool, content=content).page
        if file is None:  # only an answer to a condition has none
            return
        page = look(file)
        if page.items and (before := seen.setdefault(page.digest, number)) != number:
            raise ListRejected(f"page {number} is page {before} again", source=web.name)
        file.seek(0)
        yield file
        address = page.following
