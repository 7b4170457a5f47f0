"""One listed photo in every place of every server's requests, sent in many ways: none arrives."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from places import PLACES, spelt
from requests_made import animation_of, file_of

from initgate import Gate
from initgate.service.proxy.core import ANSWER, Request

httpx = pytest.importorskip("httpx")
pytest.importorskip("starlette")
pytest.importorskip("websockets")
pytest.importorskip("brotli")

from initgate.service.pool import Pool  # noqa: E402
from initgate.service.proxy.dialects import DIALECTS  # noqa: E402
from initgate.service.proxy.driver import Proxy  # noqa: E402

FILE = file_of("astronaut", "JPEG", most=128)
LISTED = spelt(FILE)
IN_A_LATER_FRAME = spelt(animation_of("flower", "astronaut", side=128))


@dataclass(frozen=True, slots=True)
class Way:
    """How a request is sent."""

    picture: str = LISTED
    change: Callable[[Request], Request] = lambda asked: asked
    chunk: int = 0


def compressed(asked: Request) -> Request:
    headers = (*asked.headers, ("content-encoding", "gzip"))
    return replace(asked, headers=headers, body=gzip.compress(asked.body, 1))


def filed(asked: Request) -> Request:
    """A form's fields hold bytes; what is no form stays."""
    is_form = asked.header("content-type").startswith("multipart/")
    return replace(asked, body=asked.body.replace(LISTED.encode(), FILE)) if is_form else asked


def called(content_type: str) -> Callable[[Request], Request]:
    def change(asked: Request) -> Request:
        kept = tuple(one for one in asked.headers if one[0] != "content-type")
        return replace(asked, headers=(*kept, ("content-type", content_type)))

    return change


WAYS = {
    "as clients do": Way(),
    "in a later frame": Way(picture=IN_A_LATER_FRAME),
    "as a file": Way(change=filed),
    "compressed": Way(change=compressed),
    "in chunks": Way(chunk=1000),
    "called text": Way(change=called("text/plain")),
    "called a picture": Way(change=called("image/png")),
    "called a form": Way(change=called("application/x-www-form-urlencoded")),
}


async def chunks(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dialect", PLACES)
def test_a_listed_picture_does_not_arrive(quick_gate: Gate, dialect: str, way: str) -> None:
    arrived: list[str] = []
    statuses: dict[str, int] = {}

    def take(request: Any) -> Any:
        arrived.append(request.url.path)
        return httpx.Response(200, stream=httpx.ByteStream(b""))

    async def send_all() -> None:
        upstream = httpx.AsyncClient(transport=httpx.MockTransport(take))
        pool = Pool(quick_gate, workers=1, waiting=8)
        proxy = Proxy(
            quick_gate, pool, upstream="http://s", dialect=DIALECTS[dialect], client=upstream
        )
        transport = httpx.ASGITransport(proxy.app())
        async with httpx.AsyncClient(transport=transport, base_url="http://gate") as client:
            for place, hide in PLACES[dialect].items():
                asked = WAYS[way].change(hide(WAYS[way].picture))
                if asked.method in {"WS", ANSWER}:  # which are tests of their own
                    continue
                size = WAYS[way].chunk
                answer = await client.request(
                    asked.method,
                    f"{asked.path}?{asked.query}",
                    headers=list(asked.headers),
                    content=chunks(asked.body, size) if size else asked.body,
                )
                statuses[place] = answer.status_code
        await proxy.close()

    asyncio.run(send_all())
    assert {place: one for place, one in statuses.items() if one not in {400, 403, 422}} == {}
    assert arrived == []


def test_every_dialect_is_in_the_corpus() -> None:
    assert set(PLACES) == set(DIALECTS)
