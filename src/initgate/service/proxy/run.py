"""Starts the proxy, and stops it in order.

One process: the ids of uploads that passed are in its memory, and another would not know them.
"""

from __future__ import annotations

import uvicorn

from initgate.config import ProxySettings, Settings
from initgate.errors import ConfigError
from initgate.gate import Gate
from initgate.service.oracle import Backoff
from initgate.service.patience import Patient
from initgate.service.pool import Pool
from initgate.service.proxy.canonical import Canonical
from initgate.service.proxy.dialects import DIALECTS
from initgate.service.proxy.driver import Proxy
from initgate.service.proxy.found import Bounds
from initgate.service.proxy.references import Fetcher
from initgate.service.run import Server, listen, take_over_logging
from initgate.wiring import load_gate, make_log

_BACKLOG = 512


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
    with listen(own.host, own.port, backlog=_BACKLOG) as listener:
        gate = load_gate(settings, log=log)
        config = uvicorn.Config(
            make_proxy(gate, own).app(),
            http=Patient,
            lifespan="on",
            log_config=None,
            ws_max_size=own.max_body_bytes,
            access_log=False,  # paths and queries may hold names of files
            proxy_headers=False,
            server_header=False,
            date_header=False,  # those of the server pass through
            timeout_graceful_shutdown=own.stop_seconds,
        )
        log.info("proxying", host=own.host, port=own.port, dialect=own.dialect)
        Server(config).run(sockets=[listener])


def make_proxy(gate: Gate, own: ProxySettings) -> Proxy:
    """A proxy of settings.

    Args:
        gate: What decides.
        own: The table ``[proxy]``, with an upstream.
    """
    fetcher = None
    if own.references == "resolve":
        fetcher = Fetcher(own.fetch_from, max_bytes=gate.limits.max_bytes)
    return Proxy(
        gate,
        Pool(gate, workers=own.threads, waiting=own.waiting),
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
    )
