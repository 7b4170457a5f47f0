"""A request's body arrives whole, in time and within bounds, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from starlette.types import Receive

from initgate.service.problems import Problem


class Bodies:
    """Receives bodies, and bounds what all of them hold together.

    Args:
        max_bytes: Of one.
        max_held_bytes: Of all that were begun and are not done with.
        seconds: Within which one must have arrived.
    """

    def __init__(self, *, max_bytes: int, max_held_bytes: int, seconds: float) -> None:
        self._max_bytes = max_bytes
        self._max_held = max_held_bytes
        self._seconds = seconds
        self._held = 0

    @asynccontextmanager
    async def received(self, headers: Mapping[str, str], receive: Receive) -> AsyncIterator[bytes]:
        """A body, which counts as held until the block is left.

        Args:
            headers: The request's, by their names in lower case.
            receive: ASGI's.

        Raises:
            Problem: It is too large (413), too slow (408) or cut off (400), or there is no room for
                it (503).
        """
        self._check_length(headers.get("content-length", ""))
        async with self.collected(_chunks(receive)) as body:
            yield body

    @asynccontextmanager
    async def collected(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same for a body that comes from elsewhere.

        Args:
            chunks: Its parts.

        Raises:
            Problem: As above.
        """
        parts: list[bytes] = []
        try:
            try:
                async with asyncio.timeout(self._seconds):
                    await self._collect(chunks, parts)
            except TimeoutError:
                detail = f"the body did not arrive within {self._seconds:g} seconds"
                raise Problem(408, detail, is_unread=True) from None
            yield b"".join(parts)
        finally:
            self._held -= sum(map(len, parts))

    @contextmanager
    def held(self, length: int) -> Iterator[None]:
        """Room for a body that is there already, until the block is left.

        Args:
            length: In bytes.

        Raises:
            Problem: 503, there is none.
        """
        self._take(length)
        try:
            yield
        finally:
            self._held -= length

    def _take(self, length: int) -> None:
        if self._held + length > self._max_held:
            raise Problem(503, "busy", retry_after=1, is_unread=True)
        self._held += length

    def _check_length(self, told: str) -> None:
        """Turns away what says itself that it is too large, before a byte is read."""
        if told.isdecimal() and int(told[:20]) > self._max_bytes:
            raise self._too_large()

    async def _collect(self, chunks: AsyncIterator[bytes], parts: list[bytes]) -> None:
        length = 0
        async for chunk in chunks:
            length += len(chunk)
            if length > self._max_bytes:
                raise self._too_large()
            self._take(len(chunk))
            parts.append(chunk)

    def _too_large(self) -> Problem:
        return Problem(413, f"more than {self._max_bytes} bytes", is_unread=True)


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "the body ended early", is_unread=True)
        more = message.get("more_body", False)
        yield message.get("body", b"")
