"""Pages that follow one another, each asked for once, and not for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from initgate.errors import ListRejected
from initgate.sources.spool import Spool
from initgate.sources.web import Content, Web

Next = Callable[[BinaryIO], str | None]
"""Reads a page, and returns the address of the one behind it; None if it is the last."""


def pages(
    web: Web, spool: Spool, first: str, following: Next, *, content: Content, at_most: int
) -> Iterator[BinaryIO]:
    """Yields the pages of a batch, each at its start.

    Args:
        web: To ask.
        spool: Where they are kept.
        first: The address of the first.
        following: Where the next one is.
        content: What they are.
        at_most: How many there may be.

    Raises:
        SourceUnavailable: A page cannot be had.
        ListRejected: The pages go in circles, or there are too many.
    """
    asked = {first}
    seen: dict[str, int] = {}
    address: str | None = first
    while address is not None:
        if len(seen) == at_most:
            raise ListRejected(f"more than {at_most:,} pages in one batch", source=web.name)
        answer = web.get(address, spool, content=content)
        number = len(seen) + 1
        if (before := seen.setdefault(answer.digest, number)) != number:
            raise ListRejected(f"page {number} is page {before} again", source=web.name)
        if answer.page is None:
            return
        address = following(answer.page)
        answer.page.seek(0)
        yield answer.page
        if address in asked:
            raise ListRejected(
                f"page {number} names a page that was asked for already as the next: the cursor "
                "is stuck",
                source=web.name,
            )
        if address is not None:
            asked.add(address)
