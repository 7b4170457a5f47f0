"""A line of log for each request: who, which route, how it ended. Nothing of what was sent."""

from __future__ import annotations

import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from initgate.service.metrics import Metrics, Step

UNKNOWN = "-"
"""Stands for a path or method that somebody made up."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class AccessLog:
    """ASGI middleware.

    Args:
        app: The application.
        log: A structlog logger.
        metrics: What counts answers.
    """

    def __init__(self, app: ASGIApp, *, log: Any, metrics: Metrics) -> None:
        self._app = app
        self._log = log
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            took = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", UNKNOWN)
            self._metrics.answered(route, status)
            self._metrics.took(Step.ANSWER, took)
            told = scope.get("state", {})
            self._log.info(
                "request",
                method=scope["method"] if scope["method"] in _METHODS else UNKNOWN,
                route=route,
                status=status,
                caller=told.get("caller", ""),
                decisions=told.get("decisions", []),
                took_ms=round(took * 1000, 1),
            )
