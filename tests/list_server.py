"""A server on this machine that speaks the protocols by which lists are shared, and breaks.

It serves changes that a test gives it, of harmless entries, in the shapes that the services' public
clients expect. What it was asked is in ``asked``; ``faults`` are what it answers instead, one for
each request.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

USER, PASSWORD = "reader", "pass-word"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
TOKEN = "1234|app-secret"  # noqa: S105  # of nobody
JWT = "made.of.parts"
KEYS = {"x-functions-key": "function-key", "ocp-apim-subscription-key": "subscription-key"}
GROUP = 77


@dataclass(frozen=True)
class Change:
    """An entry that was added or withdrawn, and when, in seconds since 1970."""

    number: int
    at: int
    is_gone: bool = False
    code: str = ""

    @property
    def pdq(self) -> str:
        return self.code or hashlib.sha256(str(self.number).encode()).hexdigest()


@dataclass(frozen=True)
class Asked:
    """What a request was."""

    path: str
    query: dict[str, str]
    headers: dict[str, str] = field(repr=False)


Fault = Callable[[Request], Response]


class Cut(Response):
    """Says that more will come than does."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers["content-length"] = "1000"
        await super().__call__(scope, receive, send)


def cut(kind: str) -> Fault:
    return lambda _: Cut(b"algorithm,hash", media_type=kind)


def status(code: int, **headers: str) -> Fault:
    return lambda _: Response(
        "no", code, {name.replace("_", "-"): headers[name] for name in headers}
    )


def body(data: bytes, kind: str, **headers: str) -> Fault:
    more = {name.replace("_", "-"): headers[name] for name in headers}
    return lambda _: Response(data, media_type=kind, headers=more)


def zipped(size: int, kind: str) -> Fault:
    data = gzip.compress(b" " * size)
    return lambda _: Response(data, media_type=kind, headers={"content-encoding": "gzip"})


def redirect(to: str) -> Fault:
    return lambda _: RedirectResponse(to)


def drip(kind: str, pause_seconds: float) -> Fault:
    """A byte now and then, without end."""

    async def bytes_of_it() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(pause_seconds)

    return lambda _: StreamingResponse(bytes_of_it(), media_type=kind)


@dataclass
class ListServer:
    """What is served, and how."""

    address: str = ""
    changes: list[Change] = field(default_factory=list)
    page_size: int = 2
    asked: list[Asked] = field(default_factory=list)
    faults: list[Fault | None] = field(default_factory=list)
    file: bytes = b"algorithm,hash,entry\n"
    signature: bytes = b"signed"
    etag: str = '"1"'
    next_is: Callable[[str], str] = lambda link: link
    shuffles: bool = False
    repeats: bool = False

    def reset(self) -> None:
        fresh = ListServer(self.address)
        self.__dict__.update(fresh.__dict__)

    @property
    def paths(self) -> list[str]:
        return [one.path for one in self.asked]

    # ── What the routes answer ────────────────────────────────────────────────────────────────

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        request.state.form = await request.body()
        query, headers = dict(request.query_params), dict(request.headers)
        self.asked.append(Asked(request.url.path, query, headers))
        fault = self.faults.pop(0) if self.faults else None
        if fault is None:
            route = self.routes.get(request.url.path)
            answer = Response(status_code=404) if route is None else route(request)
        else:
            answer = fault(request)
        await answer(scope, receive, send)

    @property
    def routes(self) -> dict[str, Callable[[Request], Response]]:
        return {
            "/list.csv": self.list_file,
            "/list.csv.sig": self.list_file,
            "/list.csv.minisig": self.list_file,
            "/hashsharing/v2/entries": self.ncmec,
            "/v1/FetchHashes": self.stopncii,
            f"/graph/{GROUP}/threat_updates/": self.threat_updates,
            "/token-auth/tcap/": self.login,
            "/api/hash-list/v2/all": self.tat,
        }

    def between(self, start: float, stop: float) -> list[Change]:
        found = [one for one in self.changes if start <= one.at <= stop]
        if self.shuffles:
            return found[::2][::-1] + found[1::2]
        return sorted(found, key=lambda one: (one.at, one.number))

    def page(self, found: list[Change], start: int) -> tuple[list[Change], int | None]:
        """A page from a place on, and where the next one begins."""
        stop = start + self.page_size
        shown = found[: self.page_size] if self.repeats else found[start:stop]
        return shown, stop if stop < len(found) else None

    def list_file(self, request: Request) -> Response:
        if request.headers.get("if-none-match") == self.etag:
            return Response(status_code=304)
        data = self.file if request.url.path.endswith(".csv") else self.signature
        headers = {"etag": self.etag, "last-modified": "Fri, 02 Jan 2026 03:04:05 GMT"}
        return Response(data, media_type="text/csv", headers=headers)

    def ncmec(self, request: Request) -> Response:
        if request.headers.get("authorization") != BASIC:
            return Response(status_code=401)
        query = request.query_params
        start, stop = (_moment(query[name]) for name in ("from", "to"))
        at = int(query.get("start", "0"))
        shown, following = self.page(self.between(start, stop), at)
        items = "".join(_ncmec_item(one) for one in shown)
        paging = ""
        if following is not None:
            link = (
                f"/v2/entries?from={query['from']}&to={query['to']}&start={following}"
                f"&size={self.page_size}&max=9"
            )
            paging = f"<paging><next>{self.next_is(link).replace('&', '&amp;')}</next></paging>"
        text = (
            '<queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2">'
            f'<images count="{len(shown)}">{items}</images>{paging}</queryResult>'
        )
        return Response(text, media_type="application/xml")

    def stopncii(self, request: Request) -> Response:
        if any(request.headers.get(name) != key for name, key in KEYS.items()):
            return Response(status_code=403)
        query = request.query_params
        found = self.between(int(query["startTimestamp"]), float("inf"))
        shown, following = self.page(found, int(query.get("nextPageToken", "0")))
        last = max((one.at for one in found), default=int(query["startTimestamp"]))
        return JSONResponse(
            {
                "count": len(shown),
                "nextPageToken": None if following is None else self.next_is(str(following)),
                "nextSetTimestamp": last,
                "hasMoreRecords": following is not None,
                "hashRecords": [
                    {
                        "lastModtimestamp": one.at,
                        "signalType": "ImagePDQ",
                        "hashValue": one.pdq,
                        "hashStatus": "Withdrawn" if one.is_gone else "Active",
                        "caseNumbers": [],
                    }
                    for one in shown
                ],
            }
        )

    def threat_updates(self, request: Request) -> Response:
        query = dict(request.query_params)
        if query.pop("access_token", "") != TOKEN:
            return Response(status_code=401)
        found = self.between(int(query["start_time"]), int(query["stop_time"]))
        shown, following = self.page(found, int(query.get("after", "0")))
        paging = {}
        if following is not None:
            query |= {"after": str(following), "access_token": TOKEN}
            link = str(request.url.replace_query_params(**query))
            paging = {"paging": {"cursors": {"after": "x"}, "next": self.next_is(link)}}
        return JSONResponse({"data": [_update(one) for one in shown], **paging})

    def login(self, request: Request) -> Response:
        is_known = request.state.form == f"username={USER}&password={PASSWORD}".encode()
        return JSONResponse({"token": JWT, "user": {}}, 200 if is_known else 401)

    def tat(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {JWT}":
            return Response(status_code=401)
        after = request.query_params["after"] or "0,0"
        at, number = map(int, after.split(","))
        found = [
            one for one in self.between(0, float("inf")) if (one.at, one.number) > (at, number)
        ]
        shown, following = self.page(found, 0)
        reached = f"{shown[-1].at},{shown[-1].number}" if shown else None
        return JSONResponse(
            {
                "count": len(found),
                "next": None if following is None else "limit=2&offset=2",
                "previous": None,
                "checkpoint": reached and self.next_is(reached),
                "results": [
                    {
                        "hash_digest": one.pdq,
                        "algorithm": "PDQ",
                        "ideology": "all",
                        "file_type": "png",
                        "deleted": one.is_gone,
                        "updated_on": float(one.at),
                        "id": one.number,
                    }
                    for one in shown
                ],
            }
        )


def _moment(text: str) -> float:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()


def _ncmec_item(one: Change) -> str:
    moment = datetime.fromtimestamp(one.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    common = f'<member id="42">M</member><timestamp>{moment}</timestamp><id>{one.number}</id>'
    if one.is_gone:
        return f"<deletedImage>{common}</deletedImage>"
    return f"<image>{common}<fingerprints><pdq>{one.pdq}</pdq></fingerprints></image>"


def _update(one: Change) -> dict[str, object]:
    said = {"owner": {"id": "1"}, "status": "MALICIOUS", "tags": [], "reactions": []}
    update: dict[str, object] = {
        "id": str(one.number),
        "indicator": one.pdq,
        "type": "HASH_PDQ",
        "last_updated": one.at,
        "should_delete": one.is_gone,
    }
    return update if one.is_gone else update | {"descriptors": [said]}


@contextmanager
def running() -> Iterator[ListServer]:
    """The server, as long as it runs."""
    made = ListServer()
    config = uvicorn.Config(
        made,
        host="127.0.0.1",
        port=0,
        lifespan="off",
        ws="none",
        http="h11",
        log_config=None,
        access_log=False,
    )
    server = uvicorn.Server(config)
    # With a protocol, asyncio sends at once what is written; without, 40 ms later.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    made.address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield made
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join()
        listening.close()
