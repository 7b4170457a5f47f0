"""Small servers on loopback, in threads: a fake upstream that keeps what it got, and a proxy."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYGAAAAAEAAH2FzhVAAAAAElFTkSuQmCC"
)


@dataclass
class Got:
    """A request that reached the upstream."""

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)


@dataclass
class Upstream:
    """What reached it, and its application."""

    got: list[Got] = field(default_factory=list)
    said: list[str | bytes] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    """What it answers at some paths, instead of what it answers at all others."""

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/events", self._events),
                Route("/upload/image", self._upload, methods=["POST"]),
                Route("/models/{name}", self._picture, methods=["POST"]),
                WebSocketRoute("/queue/join", self._socket),
                WebSocketRoute("/ws", self._socket),
                Route("/{path:path}", self._any, methods=["GET", "POST", "PUT", "DELETE"]),
            ]
        )

    async def _keep(self, request: Request) -> None:
        self.got.append(
            Got(
                request.method,
                request.scope["raw_path"].decode(),
                request.scope["query_string"].decode(),
                [(k.decode().lower(), v.decode()) for k, v in request.scope["headers"]],
                await request.body(),
            )
        )

    async def _any(self, request: Request) -> Response:
        await self._keep(request)
        answer = {
            "images": [base64.b64encode(PNG).decode()],
            "parameters": {},
            "info": json.dumps({"seed": 1}),
            "created": 1,
            "data": [{"b64_json": base64.b64encode(PNG).decode()}],
            "prompt_id": "1",
            "image_name": "1.png",
            "id": "00000000-0000-0000-0000-000000000001",
            "kudos": 1,
        }
        response = JSONResponse(self.answers.get(request.url.path, answer))
        response.headers.append("set-cookie", "a=1")
        response.headers.append("set-cookie", "b=2")
        response.headers["connection"] = "x-hop"
        response.headers["x-hop"] = "1"
        return response

    async def _upload(self, request: Request) -> Response:
        await self._keep(request)
        return JSONResponse({"name": "up.png", "subfolder": "", "type": "input"})

    async def _picture(self, request: Request) -> Response:
        await self._keep(request)
        return Response(PNG, media_type="image/png")

    async def _events(self, _: Request) -> Response:
        async def events() -> AsyncIterator[str]:
            for number in range(3):
                yield f"data: {time.monotonic()}\n\n"
                if number < 2:
                    await asyncio.sleep(0.2)

        return StreamingResponse(events(), media_type="text/event-stream")

    async def _socket(self, socket: WebSocket) -> None:
        await socket.accept(
            socket.scope["subprotocols"][0] if socket.scope["subprotocols"] else None
        )
        await socket.send_json({"hello": True})
        while (message := await socket.receive())["type"] == "websocket.receive":
            said = message.get("text") or message.get("bytes")
            assert said is not None
            self.said.append(said)
            await socket.send_bytes(b"got it")


@contextmanager
def serving(app: Any, **options: Any) -> Iterator[str]:
    """An application on a free port of loopback; its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, log_level="critical", lifespan="on", server_header=False, date_header=False, **options
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
