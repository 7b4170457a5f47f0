"""The ASGI application around the core: receives, has checked, forwards or refuses.

It keeps nothing of a request. Answers, event streams and sockets pass through as they come.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import websockets
from starlette.applications import Starlette
from starlette.requests import Request as Incoming
from starlette.responses import Response as Outgoing
from starlette.responses import StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from initgate.config import BackoffSettings
from initgate.errors import InitImageRefused
from initgate.gate import Gate
from initgate.model import Context, Decision, Reason, Refused, Verdict
from initgate.service.limits import Bodies
from initgate.service.metrics import Metrics, Step
from initgate.service.oracle import Backoff, pad
from initgate.service.pool import Busy, Pool
from initgate.service.problems import Problem
from initgate.service.proxy.canonical import Canonical, rewriter
from initgate.service.proxy.clients import name_client
from initgate.service.proxy.core import (
    ANSWER,
    METHODS,
    Dialect,
    Headers,
    Jobs,
    Plan,
    Reference,
    Request,
    Response,
    conclude,
    name_place,
    read_request,
    resolved_as,
)
from initgate.service.proxy.found import Bounds, Where
from initgate.service.proxy.kinds import image_kind
from initgate.service.proxy.references import Fetcher, Unfetched
from initgate.service.proxy.texts import Carried, Unparsable
from initgate.service.proxy.uploads import Uploads

BUSY = "The gate is busy. Nothing was looked at; try again."
WAIT = "Too many refusals. Nothing was looked at; try again in {} seconds."
UNREACHABLE = "The server behind the gate cannot be reached."

# RFC 9110, 7.6.1, and what older peers send: for the next hop alone.
_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-authentication-info",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
}
# By which a proxy before this one names the client.
_OF_PROXIES = {"forwarded", "x-forwarded-for", "x-real-ip"}
_NAME_A_HEADER = (
    "behind another proxy all clients have its address, and one that is refused lets all wait: "
    "set proxy.client_header to a header that it sets"
)
_NOBODY = ("", "")  # is refused: who asks for a job did not choose its pictures
_MAX_LEARNT = 1 << 20  # an answer that gives ids is short
_MAX_REASON = 120  # bytes, of why a socket closes
_POLICY_VIOLATION, _TRY_LATER, _GONE = 1008, 1013, 1001  # RFC 6455 and its registry


@dataclass(frozen=True, slots=True)
class _Passed:
    """What may be forwarded, and what is to be learnt from the answer."""

    request: Request
    plan: Plan


class Proxy:
    """A gate before a server.

    Args:
        gate: What decides.
        pool: Where it does.
        upstream: The server, e.g. ``"http://127.0.0.1:7860"``.
        dialect: The server's.
        bounds: What a request may cost.
        canonical: Which pictures are forwarded as a PNG.
        fetcher: Resolves URLs; None to refuse them.
        uploads: Ids that passed.
        client: Speaks to the server.
        backoff: Counts refusals; None to let nobody wait.
        client_header: Which header tells clients apart; None for their address.
        floor_ms: Refusals take a whole multiple of it.
        receive_s: How long a client may take to send a request.
        max_held_bytes: Of bodies in memory, of all requests; more are turned away.
        max_sockets: Open at the same time; more are turned away.
        metrics: What counts decisions and answers; None to count nothing.
        log: A structlog logger that is warned where clients cannot be told apart; None for none.
    """

    def __init__(
        self,
        gate: Gate,
        pool: Pool,
        *,
        upstream: str,
        dialect: Dialect,
        bounds: Bounds | None = None,
        canonical: Canonical = Canonical.ODD,
        fetcher: Fetcher | None = None,
        uploads: Uploads | None = None,
        client: httpx.AsyncClient | None = None,
        backoff: Backoff | None = None,
        client_header: str | None = None,
        floor_ms: int = 0,
        receive_s: float = 120.0,
        max_held_bytes: int = 512 * 1024 * 1024,
        max_sockets: int = 512,
        metrics: Metrics | None = None,
        log: Any = None,
    ) -> None:
        self._gate = gate
        self._pool = pool
        self._upstream = httpx.URL(upstream)
        self._dialect = dialect
        self._bounds = bounds or Bounds()
        self._rewrite = rewriter(canonical, limits=gate.limits)
        self._fetcher = fetcher
        self._uploads = uploads if uploads is not None else Uploads()
        self._client = client or httpx.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            # Pictures take as long as they take to generate.
            timeout=httpx.Timeout(None, connect=10.0, write=60.0),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
        )
        self._backoff = backoff or Backoff.of(BackoffSettings(backoff_after=0))
        self._client_header = client_header
        self._floor_ms = floor_ms
        self._max_sockets = max_sockets
        self._sockets = 0
        self._metrics = metrics
        self._log = log
        self._bodies = Bodies(
            max_bytes=self._bounds.max_bytes, max_held_bytes=max_held_bytes, seconds=receive_s
        )

    def app(self) -> Starlette:
        """The application."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            yield
            await self.close()

        return Starlette(
            routes=[
                Route("/{path:path}", self.answer, methods=list(METHODS)),
                WebSocketRoute("/{path:path}", self.join),
            ],
            lifespan=lifespan,
        )

    async def close(self) -> None:
        """Finishes what is in flight."""
        await self._pool.close()
        await self._client.aclose()
        if self._fetcher is not None:
            await self._fetcher.close()
        await asyncio.to_thread(self._gate.journal.sink.close)

    # ── Requests ──────────────────────────────────────────────────────────────────────────────

    async def answer(self, incoming: Incoming) -> Outgoing:
        """A request's answer: the server's, or a refusal."""
        outgoing = await self._answer(incoming)
        if self._metrics is not None:
            self._metrics.answered(self._dialect.name, outgoing.status_code)
        return outgoing

    async def _answer(self, incoming: Incoming) -> Outgoing:
        asked = Request(
            incoming.method,
            _raw_path(incoming.scope),
            incoming.scope["query_string"].decode("latin-1"),
            _headers(incoming.scope),
        )
        who = self._name(asked, incoming.scope)
        try:
            arrived, outcome = await self._take(asked, incoming, who)
            if not isinstance(outcome, Decision):
                return outcome
            decision_id = await self._hold_back(who, outcome, arrived)  # its body is held no more
        except Problem as problem:
            return self._turn_away(problem)
        except Busy:
            return self._turn_away(Problem(503, retry_after=2))
        return _to_outgoing(self._dialect.refuse(InitImageRefused.MESSAGE, decision_id))

    async def _take(
        self, asked: Request, incoming: Incoming, who: tuple[str, str]
    ) -> tuple[float, Decision | Outgoing]:
        """When a request was there, and what became of it.

        Raises:
            Problem: It was not received, or the client has to wait.
            Busy: Not everything was looked at.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with self._bodies.received(incoming.headers, incoming.receive) as body:
                arrived = clock()
                if self._metrics is not None:
                    self._metrics.took(Step.RECEIVE, arrived - began)
                outcome = await self._decide(replace(asked, body=body), who)
                if isinstance(outcome, _Passed):
                    return arrived, await self._forward(outcome, incoming)
                return arrived, outcome
        except Problem as problem:
            if problem.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                raise
            arrived = clock()
            return arrived, await self._refuse(f"a body of {problem.detail}", who)

    def _name(self, asked: Request, scope: Any) -> tuple[str, str]:
        address, *_ = scope.get("client") or ("",)
        if self._log is not None and self._client_header is None:
            told = next((name for name, _ in asked.headers if name in _OF_PROXIES), None)
            if told is not None:
                self._log.warning("clients not told apart", header=told, remedy=_NAME_A_HEADER)
                self._log = None  # once
        return name_client(asked.headers, address, told_by=self._client_header)

    async def _hold_back(self, who: tuple[str, str], decision: Decision, arrived: float) -> str:
        """Counts a refusal and lets its time pass; its id.

        Raises:
            Problem: 429, the client has to wait since it asked.
        """
        self._backoff.settle(who, decision)
        await pad(arrived, self._floor_ms)
        return decision.verdict.decision_id

    async def _decide(self, asked: Request, who: tuple[str, str]) -> _Passed | Decision:
        """What passed, or the decision that refuses it.

        Raises:
            Busy: Not everything was looked at.
            Problem: 429, the client has to wait.
        """
        try:
            return await self._look(asked, who)
        except (Busy, Problem):
            raise
        except Unparsable as error:
            return await self._refuse(str(error), who)
        except Exception as error:  # noqa: BLE001  # the broad net: whatever failed, it refuses
            return await self._refuse(f"fault: {type(error).__name__}", who, Reason.FAULT)

    async def _look(self, asked: Request, who: tuple[str, str]) -> _Passed | Decision:
        """Has everything in a request looked at."""
        read = partial(
            read_request,
            asked,
            self._dialect,
            bounds=self._bounds,
            known=self._uploads.__contains__,
        )
        # What has no body is read in a moment; pages load though the pool is full.
        plan = await self._pool.run(read) if asked.body else read()
        if plan.images or plan.references or plan.opaque:  # whoever waits may go on with the rest
            self._backoff.admit(who)
        context = self._context(plan)
        for where, kind in plan.opaque:
            what = f"{name_place(where)}: {kind}"
            verdict = await self._pool.run(partial(self._gate.check_encoded, what, context=context))
            if isinstance(verdict, Refused):
                doubts = self._gate.doubts()
                reason = doubts[0] if doubts else Reason.ENCODED_INPUT
                return self._counted(Decision(verdict, reason))
        resolved: dict[Where, Carried] = {}
        for one in plan.references:
            try:
                resolved[one.where] = await self._resolve(one)
            except Unfetched as error:
                return await self._refuse(f"{name_place(one.where)}: {error}", who)
        verdicts: dict[Where, Verdict] = {}
        for where, carried in {**plan.images, **resolved}.items():
            decision = await self._pool.inspect(carried.data, context=context)
            if isinstance(decision.verdict, Refused):
                return decision
            verdicts[where] = decision.verdict
        if verdicts:
            self._backoff.admit(who)  # again: of many at a time, no more is learnt than in turn
        finish = partial(
            conclude, plan, verdicts=verdicts, resolved=resolved, rewrite=self._rewrite
        )
        return _Passed(await self._pool.run(finish) if asked.body else finish(), plan)

    async def _resolve(self, reference: Reference) -> Carried:
        if self._fetcher is None or not reference.is_url:
            raise Unfetched(
                "a picture that the request only names was refused; "
                "uploads through the gate are known until it restarts"
                + (', URLs can be fetched with references = "resolve"' * reference.is_url)
            )
        data = await self._fetcher.fetch(reference.text)
        return resolved_as(data, image_kind(data) or "no image", self._dialect)

    def _context(self, plan: Plan) -> Context:
        # The pattern, not the path: that may hold names of files.
        return Context(f"proxy {self._dialect.name} {plan.route.path or 'unknown route'}")

    async def _refuse(
        self, why: str, who: tuple[str, str], reason: Reason = Reason.UNREADABLE
    ) -> Decision:
        """The refusal of what could not be shown to the gate."""
        self._backoff.admit(who)  # first: who has to wait does not fill the record
        context = Context(f"proxy {self._dialect.name}")
        refused = await self._pool.run(partial(self._gate.refuse, why, context=context))
        return self._counted(Decision(refused, reason))

    def _counted(self, decision: Decision) -> Decision:
        """A decision that the pool does not count: no image was looked at."""
        if self._metrics is not None:
            self._metrics.decided(decision)
        return decision

    def _turn_away(self, problem: Problem) -> Outgoing:
        """The answer to what was not looked at, as far as possible in the server's words."""
        match problem.status:
            case HTTPStatus.TOO_MANY_REQUESTS:
                # With a refusal's status: after 429, clients send again by themselves.
                return self._say(_to_wait(problem), headers=problem.headers)
            case HTTPStatus.SERVICE_UNAVAILABLE:
                return self._say(BUSY, problem.status, problem.headers)
            case _:
                return Outgoing(status_code=problem.status, headers=problem.headers)

    def _say(
        self, text: str, status: int | None = None, headers: Mapping[str, str] | None = None
    ) -> Outgoing:
        """A sentence in the form of a refusal, which it is not: it has no decision."""
        said = self._dialect.refuse(text, "")
        more = (headers or {}).items()
        return _to_outgoing(
            replace(said, status=status or said.status, headers=(*said.headers, *more))
        )

    async def _forward(self, passed: _Passed, incoming: Incoming) -> Outgoing:
        learn, jobs = passed.plan.route.learn, passed.plan.route.jobs
        request = self._to_server(passed.request, incoming.scope)
        if learn is not None or jobs is not None:
            request.headers["accept-encoding"] = "identity"  # its answer is read here
        try:
            response = await self._client.send(request, stream=True)
        except httpx.TransportError:
            return self._say(UNREACHABLE, 502)
        if jobs is not None and response.is_success:
            return await self._hand_out(jobs, passed.request, response, incoming.scope)
        answer = response.aiter_raw()
        learnt = b""
        if learn is not None and response.is_success:
            learnt = await _begin(answer)
            self._uploads.add(learn(passed.request, learnt))
        outgoing = StreamingResponse(_stream(learnt, answer, response), response.status_code)
        outgoing.raw_headers = _answered_headers(response)
        return outgoing

    async def _hand_out(
        self, jobs: Jobs, asked: Request, response: httpx.Response, scope: Any
    ) -> Outgoing:
        """A job for who asked, if all in it passes; else none, and the server is told."""
        outcome: _Passed | Decision | None = None
        answer = b""
        try:
            async with self._bodies.collected(response.aiter_raw()) as answer:
                headers = _to_headers(_answered_headers(response))
                job = Request(ANSWER, asked.path, headers=headers, body=answer)
                outcome = await self._decide(job, _NOBODY)
        except (Busy, Problem, httpx.TransportError):
            pass  # not all of it was looked at
        finally:
            await response.aclose()
        if isinstance(outcome, _Passed):
            handed = Outgoing(outcome.request.body, response.status_code)
            for name, value in outcome.request.headers:
                if name != "content-length":
                    handed.headers.append(name, value)
            return handed
        is_listed = outcome is not None and outcome.reason is Reason.MATCH
        for one in jobs.give_back(asked, answer, is_listed):
            with suppress(
                httpx.TransportError
            ):  # the server waits for the job no longer than it may
                await self._client.send(self._to_server(one, scope))
        return _to_outgoing(jobs.none(outcome.verdict.decision_id if outcome else ""))

    def _to_server(self, request: Request, scope: Any) -> httpx.Request:
        return httpx.Request(
            request.method,
            self._url(request),
            headers=self._forwarded_headers(request.headers, scope),
            content=request.body or None,
        )

    def _url(self, request: Request) -> httpx.URL:
        path = self._upstream.path.rstrip("/") + request.path
        query = f"?{request.query}" if request.query else ""
        return self._upstream.copy_with(raw_path=f"{path}{query}".encode("latin-1"))

    def _forwarded_headers(self, headers: Headers, scope: Any) -> list[tuple[str, str]]:
        dropped = _hop_by_hop(next((v for k, v in headers if k == "connection"), ""))
        dropped |= {"content-length"}
        if self._upstream.scheme == "https":
            dropped |= {"host"}  # a server by name; one on the same host compares it with Origin
        kept = [(key, value) for key, value in headers if key not in dropped]
        client = scope.get("client")
        return [
            *kept,
            *([("x-forwarded-for", client[0])] if client else []),
            ("x-forwarded-proto", scope.get("scheme", "http").replace("ws", "http")),
            ("via", "1.1 initgate"),
        ]

    # ── Sockets ───────────────────────────────────────────────────────────────────────────────

    async def join(self, incoming: WebSocket) -> None:
        """A socket between client and server. What the client says is looked at."""
        if self._sockets >= self._max_sockets:
            await incoming.close(_TRY_LATER)
            return
        self._sockets += 1
        try:
            await self._join(incoming)
        finally:
            self._sockets -= 1

    async def _join(self, incoming: WebSocket) -> None:
        scope = incoming.scope
        opening = Request(
            "GET", _raw_path(scope), scope["query_string"].decode("latin-1"), _headers(scope)
        )
        who, arrived = self._name(opening, scope), asyncio.get_running_loop().time()
        try:
            outcome = await self._decide(opening, who)
        except Problem:
            await incoming.close(_POLICY_VIOLATION)
            return
        except Busy:
            await incoming.close(_TRY_LATER)
            return
        if isinstance(outcome, Decision):
            with suppress(Problem):  # it is told the same
                await self._hold_back(who, outcome, arrived)
            await incoming.close(_POLICY_VIOLATION)
            return
        url = str(self._url(opening)).replace("http", "ws", 1)
        offered = [Subprotocol(one) for one in scope.get("subprotocols", [])]
        headers = [
            (name, value)
            for name, value in self._forwarded_headers(opening.headers, scope)
            if not name.startswith("sec-websocket-") and name not in {"user-agent", "host"}
        ]
        try:
            upstream = await _Connect(
                url,
                subprotocols=offered or None,
                additional_headers=headers,
                user_agent_header=opening.header("user-agent") or None,
                max_size=None,
                proxy=None,
                compression=None,
                open_timeout=10,
            )
        except (OSError, websockets.WebSocketException):
            await incoming.close(_GONE)
            return
        async with upstream:
            await incoming.accept(upstream.subprotocol)
            await self._pump(incoming, upstream, opening)

    async def _pump(
        self, incoming: WebSocket, upstream: ClientConnection, opening: Request
    ) -> None:
        """Until one of the two leaves."""
        tasks = {
            asyncio.create_task(self._pump_up(incoming, upstream, opening)),
            asyncio.create_task(_pump_down(incoming, upstream)),
        }
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*done, *pending, return_exceptions=True)
        with suppress(RuntimeError):  # it is closed already
            await incoming.close(_GONE)

    async def _pump_up(
        self, incoming: WebSocket, upstream: ClientConnection, opening: Request
    ) -> None:
        who, clock = self._name(opening, incoming.scope), asyncio.get_running_loop().time
        while (message := await incoming.receive())["type"] == "websocket.receive":
            arrived = clock()
            text, data = message.get("text"), message.get("bytes") or b""
            said = data if text is None else text.encode()
            asked, decision_id = Request("WS", opening.path, body=said), ""
            try:
                with self._bodies.held(len(said)):
                    outcome = await self._decide(asked, who)
                if isinstance(outcome, Decision):
                    decision_id = await self._hold_back(who, outcome, arrived)
            except Problem as problem:
                if problem.status == HTTPStatus.TOO_MANY_REQUESTS:
                    await incoming.close(_POLICY_VIOLATION, _to_wait(problem)[:_MAX_REASON])
                else:
                    await incoming.close(_TRY_LATER, BUSY)
                return
            except Busy:
                await incoming.close(_TRY_LATER, BUSY)
                return
            if isinstance(outcome, Decision):
                why = f"Refused. Decision id: {decision_id}"
                await incoming.close(_POLICY_VIOLATION, why[:_MAX_REASON])
                return
            body = outcome.request.body
            await upstream.send(body if text is None else body.decode())


async def _pump_down(incoming: WebSocket, upstream: ClientConnection) -> None:
    with suppress(websockets.ConnectionClosed, WebSocketDisconnect):
        async for message in upstream:
            if isinstance(message, str):
                await incoming.send_text(message)
            else:
                await incoming.send_bytes(message)


async def _begin(answer: AsyncIterator[bytes]) -> bytes:
    """The beginning of an answer, if it is short all of it."""
    begun = bytearray()
    with suppress(httpx.TransportError):  # then what is forwarded is cut off as well
        async for chunk in answer:
            begun += chunk
            if len(begun) > _MAX_LEARNT:
                break
    return bytes(begun)


async def _stream(
    begun: bytes, rest: AsyncIterator[bytes], response: httpx.Response
) -> AsyncIterator[bytes]:
    try:
        if begun:
            yield begun
        async for chunk in rest:
            yield chunk
    finally:
        with anyio.CancelScope(shield=True):  # also when the client left
            await response.aclose()


def _to_wait(problem: Problem) -> str:
    """What somebody is told who has to wait."""
    return WAIT.format(problem.headers["retry-after"])


def _to_outgoing(response: Response) -> Outgoing:
    outgoing = Outgoing(response.body, response.status)
    for name, value in response.headers:
        outgoing.headers[name] = value
    return outgoing


def _hop_by_hop(connection: str) -> set[str]:
    return _HOP_BY_HOP | {one.strip().lower() for one in connection.split(",")}


class _Connect(connect):
    """A connection to the server that was named, wherever it would send the client."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _raw_path(scope: Any) -> str:
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw.partition(b"?")[0].decode("latin-1")


def _headers(scope: Any) -> Headers:
    return _to_headers(scope["headers"])


def _answered_headers(response: httpx.Response) -> list[tuple[bytes, bytes]]:
    """Those of an answer that are for the client."""
    dropped = _hop_by_hop(response.headers.get("connection", ""))
    return [
        (name.lower(), value)
        for name, value in response.headers.raw
        if name.decode("latin-1").lower() not in dropped
    ]


def _to_headers(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    return tuple((k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in raw)
