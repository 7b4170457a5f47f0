"""``initgate serve``: asks the gate about the images in a request.

A caller gets a verdict and a decision id, the same for every reason. A request that could not be
understood, or for which there was no room, gets a problem and no verdict.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.exceptions import HTTPException

from initgate import __version__
from initgate.config import Role, ServeSettings, is_loopback
from initgate.errors import AuditUnavailable
from initgate.gate import Gate
from initgate.model import Allowed, Context, Decision
from initgate.service import schemas
from initgate.service.access import AccessLog
from initgate.service.asked import Asked, read
from initgate.service.health import Health
from initgate.service.keys import Caller, Keys
from initgate.service.limits import Bodies
from initgate.service.metrics import Metrics, Step
from initgate.service.oracle import Backoff, pad
from initgate.service.pool import Busy, Pool
from initgate.service.problems import Problem

_NOT_KEPT = {"cache-control": "no-store"}


def make_app(gate: Gate, settings: ServeSettings, *, metrics: Metrics, log: Any) -> FastAPI:
    """The application. When it stops, it closes the gate's audit log.

    Args:
        gate: Decides.
        settings: The ``[serve]`` table.
        metrics: Of the same gate.
        log: A structlog logger.
    """
    service = _Service(gate, settings, metrics)
    app = FastAPI(
        title="initgate",
        summary="May an image-to-image model be given this image?",
        version=__version__,
        docs_url=None,  # the page would load scripts from elsewhere
        redoc_url=None,
        lifespan=service.lifespan,
    )
    key = Security(HTTPBearer(auto_error=False, description="A key of [[serve.keys]]"))
    for endpoint, route in service.routes.items():
        app.add_api_route(**route, endpoint=endpoint, response_model=None, dependencies=[key])
    for kind in _PROBLEMS:
        app.add_exception_handler(kind, _answer_problem)
    app.add_middleware(AccessLog, log=log, metrics=metrics)
    return app


class _Service:
    """The routes and what they share."""

    def __init__(self, gate: Gate, settings: ServeSettings, metrics: Metrics) -> None:
        self._gate = gate
        self._settings = settings
        self._metrics = metrics
        self._health = Health(gate)
        self._keys = Keys(settings.keys, anonymous=settings.anonymous)
        self._pool = Pool(gate, workers=settings.threads, waiting=settings.waiting, metrics=metrics)
        self._bodies = Bodies(
            max_bytes=settings.max_body_bytes,
            max_held_bytes=settings.max_held_bytes,
            seconds=settings.receive_seconds,
        )
        self._backoff = Backoff.of(settings)

    @property
    def routes(self) -> dict[Callable[..., Any], dict[str, Any]]:
        """Per endpoint, what FastAPI is to know of it."""
        images = {"methods": ["POST"], "openapi_extra": schemas.IMAGES}
        failures = (400, 401, 403, 408, 413, 415, 422, 429, 503)
        return {
            self.check: images
            | {"path": "/v1/check", "responses": schemas.answers(schemas.VERDICTS, *failures)},
            self.inspect: images
            | {"path": "/v1/inspect", "responses": schemas.answers(schemas.DECISIONS, *failures)},
            self.audit: {
                "path": "/v1/audit",
                "responses": schemas.answers(schemas.RECORDS, 401, 403, 422, 503),
            },
            self.metrics: {
                "path": "/metrics",
                "responses": schemas.answers(schemas.TEXT, 401, 403),
            },
            self.live: {"path": "/healthz", "responses": schemas.answers(schemas.STATE)},
            self.ready: {"path": "/readyz", "responses": schemas.answers(schemas.STATE, also=503)},
        }

    @asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """Until the last decision that was begun is recorded."""
        yield
        await self._pool.close()
        await asyncio.to_thread(self._gate.journal.sink.close)

    async def check(self, request: Request) -> Response:
        """Whether one or several images may be used. Results have the order of the images."""
        caller = self._admit(request, Role.CHECK)
        arrived, answer = await self._look_at(request, caller, _told, self._backoff)
        await pad(arrived, self._settings.floor_ms)
        return answer

    async def inspect(self, request: Request) -> Response:
        """The same with the grounds, for operators. Do not show them to whoever sent the image."""
        caller = self._admit(request, Role.OPERATE)
        _, answer = await self._look_at(request, caller, self._gate.policy.explain, None)
        return answer

    async def audit(
        self, request: Request, number: Annotated[int, Query(ge=1, le=1000)] = 20
    ) -> Response:
        """The newest records, oldest of them first, and how many decisions were only counted."""
        self._admit(request, Role.AUDIT)
        sink = self._gate.journal.sink
        records, counts = await self._pool.run(lambda: (sink.last(number), sink.counts()))
        return _json({"records": [one.fields for one in records], "counts": counts})

    async def metrics(self, request: Request) -> Response:
        """What Prometheus reads."""
        self._admit(request, Role.METRICS, Role.OPERATE)
        text = await asyncio.to_thread(self._metrics.text)
        return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)

    async def live(self) -> Response:
        """Whether the process answers."""
        return _json({"status": "live"})

    async def ready(self, request: Request) -> Response:
        """Whether images are decided about. With a key for ``operate``: why they are not."""
        reasons = await self._health.reasons()
        told: dict[str, object] = {"status": "not ready" if reasons else "ready"}
        caller = self._keys.find(request.headers.get("authorization"))
        if caller is not None and Role.OPERATE in caller.roles:
            told["reasons"] = reasons
        return _json(told, 503 if reasons else 200)

    def _admit(self, request: Request, *roles: Role) -> Caller:
        caller = self._keys.admit(request.headers.get("authorization"), *roles)
        # Another site's page reaches a loopback address by a name of its own (DNS rebinding).
        if "authorization" not in request.headers and not is_loopback(request.url.hostname or ""):
            raise Problem(403, "without a key, ask this machine by its loopback address")
        request.state.caller = caller.name
        return caller

    async def _look_at(
        self,
        request: Request,
        caller: Caller,
        tell: Callable[[Decision], dict[str, object]],
        backoff: Backoff | None,
    ) -> tuple[float, Response]:
        """When a request's body was there, and the answer."""
        if self._pool.is_full:  # before a byte of the body is read
            raise Busy
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with self._bodies.received(request.headers, request.receive) as body:
            arrived = loop.time()
            self._metrics.took(Step.RECEIVE, arrived - began)
            look = partial(self._look, body, request, caller, backoff)
            asked, decisions = await self._pool.run(look)
        request.state.decisions = [one.verdict.decision_id for one in decisions]
        return arrived, _json(_answer(asked, decisions, tell))

    def _look(
        self, body: bytes, request: Request, caller: Caller, backoff: Backoff | None
    ) -> tuple[Asked, list[Decision]]:
        """In a thread of the pool, one image after the other."""
        asked = read(body, request.headers, max_images=self._settings.max_images)
        who = (caller.name, asked.subject)
        if backoff is not None:
            backoff.admit(who)
        context = Context(f"serve {request.url.path}", asked.subject, asked.request_id)
        decisions = [self._pool.look(image, context) for image in asked.images]
        if backoff is not None:
            backoff.settle(who, *decisions)
        return asked, decisions


def _answer(
    asked: Asked, decisions: Sequence[Decision], tell: Callable[[Decision], dict[str, object]]
) -> dict[str, object]:
    results = [tell(one) for one in decisions]
    if not asked.is_many:
        return results[0]
    return {"verdict": _word(*decisions), "results": results}


def _told(decision: Decision) -> dict[str, object]:
    """What a caller learns."""
    return {"verdict": _word(decision), "decision_id": decision.verdict.decision_id}


def _word(*decisions: Decision) -> str:
    is_allowed = all(isinstance(one.verdict, Allowed) for one in decisions)
    return "allowed" if is_allowed else "refused"


def _json(content: dict[str, object], status: int = 200) -> Response:
    return JSONResponse(content, status, _NOT_KEPT)


# ── Problems ──────────────────────────────────────────────────────────────────────────────────


def _answer_problem(_request: Request, error: Exception) -> Response:
    match error:
        case Problem():
            return error.answer()
        case Busy():
            return Problem(503, "busy", retry_after=1).answer()
        case AuditUnavailable():
            return Problem(503, "the audit log cannot be read").answer()
        case RequestValidationError():
            return Problem(422, "a parameter is out of its range").answer()
        case HTTPException(status_code=status, headers=headers):  # no such path, another method
            problem = Problem(status)
            problem.headers.update(headers or {})
            return problem.answer()
        case _:  # the server logs it
            return Problem(500).answer()


_PROBLEMS = (Problem, Busy, AuditUnavailable, RequestValidationError, HTTPException, Exception)
