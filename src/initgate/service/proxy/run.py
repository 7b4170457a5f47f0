"""Starts the proxy, and stops it in order.

One process: the ids of uploads that passed are in its memory, and another would not know them.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import uvicorn
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from initgate.config import ProxySettings, Settings
from initgate.errors import ConfigError
from initgate.gate import Gate
from initgate.service.metrics import Metrics
from initgate.service.oracle import Backoff
from initgate.service.patience import Patient
from initgate.service.pool import Pool
from initgate.service.proxy.canonical import Canonical
from initgate.service.proxy.dialects import DIALECTS
from initgate.service.proxy.driver import Proxy
from initgate.service.proxy.found import Bounds
from initgate.service.proxy.references import Fetcher
from initgate.service.run import Server, listen, take_over_logging
from initgate.wiring import load_gate, make_log, now

_SCRAPERS = 16  # connections of who asks for metrics


def run(settings: Settings) -> None:
    """Runs the proxy until it is told to stop.

    Raises:
        ConfigError: No server is named, the address is taken, or as :func:`initgate.load_gate`.
    """
    own = settings.proxy
    if own.upstream is None:
        raise ConfigError("[proxy]: upstream: is missing: say --upstream http://HOST:PORT")
    log = make_log(settings.log.level)
    take_over_logging(log)
    with ExitStack() as opened:
        listener = opened.enter_context(listen(own.host, own.port, backlog=own.max_connections))
        told_at = None
        if own.metrics_port is not None:
            told_at = listen(own.metrics_host, own.metrics_port, backlog=_SCRAPERS)
            opened.enter_context(told_at)
        gate = load_gate(settings, log=log)
        metrics = Metrics(gate, clock=now)
        if told_at is not None:
            opened.enter_context(telling(metrics, told_at))
        config = uvicorn.Config(
            make_proxy(gate, own, metrics=metrics, log=log).app(),
            http=Patient,
            lifespan="on",
            log_config=None,
            ws_max_size=own.max_body_bytes,
            ws_max_queue=1,  # of messages that are not yet counted among what is held
            limit_concurrency=own.max_connections,
            access_log=False,  # paths and queries may hold names of files
            proxy_headers=False,
            server_header=False,
            date_header=False,  # those of the server pass through
            timeout_graceful_shutdown=own.stop_seconds,
        )
        log.info("proxying", host=own.host, port=own.port, dialect=own.dialect)
        Server(config).run(sockets=[listener])


@contextmanager
def telling(metrics: Metrics, listener: socket.socket) -> Iterator[None]:
    """Answers Prometheus, in a thread and at a port of its own: all paths here are the server's.

    Args:
        metrics: What is told.
        listener: Where.
    """

    async def tell(_: Request) -> Response:
        text = await asyncio.to_thread(metrics.text)
        return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)

    config = uvicorn.Config(
        Starlette(routes=[Route("/metrics", tell)]),
        http=Patient,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_SCRAPERS,
        timeout_graceful_shutdown=1,
    )
    server = Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def make_proxy(
    gate: Gate, own: ProxySettings, *, metrics: Metrics | None = None, log: Any = None
) -> Proxy:
    """A proxy of settings.

    Args:
        gate: What decides.
        own: The table ``[proxy]``, with an upstream.
        metrics: Of the same gate; None to count nothing.
        log: A structlog logger; None to log nothing.
    """
    fetcher = None
    if own.references == "resolve":
        fetcher = Fetcher(own.fetch_from, max_bytes=gate.limits.max_bytes)
    return Proxy(
        gate,
        Pool(gate, workers=own.threads, waiting=own.waiting, metrics=metrics),
        upstream=own.upstream or "",
        dialect=DIALECTS[own.dialect],
        bounds=Bounds(max_bytes=own.max_body_bytes, max_images=own.max_images),
        canonical=Canonical(own.canonical),
        fetcher=fetcher,
        backoff=Backoff.of(own),
        client_header=own.client_header,
        floor_ms=own.floor_ms,
        receive_s=own.receive_seconds,
        max_held_bytes=own.max_held_bytes,
        max_sockets=own.max_connections,
        metrics=metrics,
        log=log if own.backoff_after else None,  # else nothing depends on who asks
    )
