"""A small app as Gradio 6 serves it: one function, from picture to picture."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from upstreams import PNG

_FILE = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "meta": {"type": "object", "properties": {"_type": {"const": "gradio.FileData"}}},
    },
}
_NAMED = {"label": "Image", "parameter_name": "picture", "type": _FILE, "component": "Image"}
_CONFIG: dict[str, Any] = {
    "version": "6.31.0",
    "api_prefix": "/gradio_api",
    "protocol": "sse_v3",
    "connect_heartbeat": False,
    "components": [{"id": one, "type": "image", "props": {}, "api_info": _FILE} for one in (1, 2)],
    "dependencies": [{"id": 0, "inputs": [1], "outputs": [2], "api_name": "paint", "cancels": []}],
}
_INFO = {
    "named_endpoints": {
        "/paint": {
            "parameters": [_NAMED | {"parameter_has_default": False}],
            "returns": [_NAMED],
            "api_visibility": "public",
        }
    },
    "unnamed_endpoints": {},
}


class GradioApp:
    """The app, what was uploaded to it, and what it was asked."""

    def __init__(self) -> None:
        self.uploaded: list[bytes] = []
        self.asked: list[dict[str, Any]] = []

    def app(self) -> Starlette:
        async def config(_: Request) -> Response:
            return JSONResponse(_CONFIG)

        async def info(_: Request) -> Response:
            return JSONResponse(_INFO)

        async def file(_: Request) -> Response:
            return Response(PNG, media_type="image/png")

        return Starlette(
            routes=[
                Route("/config", config),
                Route("/gradio_api/info", info),
                Route("/gradio_api/upload", self._upload, methods=["POST"]),
                Route("/gradio_api/queue/join", self._join, methods=["POST"]),
                Route("/gradio_api/queue/data", self._data),
                Route("/gradio_api/file={path:path}", file),
            ]
        )

    async def _upload(self, request: Request) -> Response:
        async with request.form() as form:
            files = [await one.read() for one in form.getlist("files") if not isinstance(one, str)]
        self.uploaded += files
        first = len(self.uploaded) - len(files)
        return JSONResponse([_path(first + number) for number in range(len(files))])

    async def _join(self, request: Request) -> Response:
        self.asked.append(await request.json())
        return JSONResponse({"event_id": str(len(self.asked))})

    async def _data(self, _: Request) -> Response:
        made = {"path": "/srv/gradio/made.png", "meta": {"_type": "gradio.FileData"}}

        async def events() -> AsyncIterator[str]:
            mine = {"event_id": str(len(self.asked))}
            yield _event(mine | {"msg": "process_starts"})
            output = {"data": [made], "is_generating": False}
            yield _event(mine | {"msg": "process_completed", "output": output, "success": True})
            yield _event({"msg": "close_stream", "event_id": None})

        return StreamingResponse(events(), media_type="text/event-stream")


def _path(number: int) -> str:
    return f"/srv/gradio/{number}/a.png"


def _event(message: dict[str, Any]) -> str:
    return f"data: {json.dumps(message)}\n\n"
