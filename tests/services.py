"""The service in this process, asked without a network."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import httpx
import structlog
from conftest import NOW
from fastapi import FastAPI
from structlog.testing import LogCapture

from initgate import Gate
from initgate.config import KeySettings, Role, ServeSettings
from initgate.image import encode
from initgate.service.app import make_app
from initgate.service.metrics import Metrics
from initgate.testing import scene

LISTED = encode(scene(1, height=96, width=96), "PNG")
OTHER = encode(scene(2, height=96, width=96), "PNG")

KEYS = {role.value: f"a key to {role}" for role in Role}
PNG = {"content-type": "image/png"}


def key(role: str = "check") -> dict[str, str]:
    """The header of somebody whose key opens one role."""
    return {"authorization": f"Bearer {KEYS[role]}"}


def make_settings(**changes: Any) -> ServeSettings:
    """A key for each role, and no padding."""
    keys = tuple(
        KeySettings(
            name=name,
            sha256=hashlib.sha256(secret.encode()).hexdigest(),
            roles=frozenset({Role(name)}),
        )
        for name, secret in KEYS.items()
    )
    return ServeSettings.model_validate({"keys": keys, "floor_ms": 0, **changes})


def make_service(gate: Gate, *, log: LogCapture | None = None, **changes: Any) -> FastAPI:
    """The application around a gate."""
    return make_app(
        gate,
        make_settings(**changes),
        metrics=Metrics(gate, clock=lambda: NOW),
        log=structlog.wrap_logger(None, processors=[log or LogCapture()]),
    )


def ask(app: FastAPI, method: str, path: str, **more: Any) -> httpx.Response:
    """One request."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **more)

    return asyncio.run(send())


def check(app: FastAPI, image: bytes, path: str = "/v1/check", **headers: str) -> httpx.Response:
    """One picture as a raw body."""
    given = PNG | key("operate" if path == "/v1/inspect" else "check") | headers
    return ask(app, "POST", path, content=image, headers=given)


def answer(response: httpx.Response) -> Any:
    """The JSON of an answer that is well."""
    assert response.status_code == 200, response.text
    return json.loads(response.text)
