"""Starts the service: one process, or several that listen at one socket, and stops it in order."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from initgate.config import ServeSettings, Settings, load_settings
from initgate.errors import ConfigError, InitgateError
from initgate.service.patience import Patient
from initgate.wiring import load_gate, make_log, now

_FAILED = 3  # uvicorn's code of a worker that could not start: it is not started again
_CONFIG = "INITGATE_CONFIG"
_METRICS = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's


def serve(settings: Settings, config: Path) -> None:
    """Runs the service until it is told to stop.

    Args:
        settings: All of them, with whatever the command line changed.
        config: Their file: workers read it anew.

    Raises:
        ConfigError: Nobody could call it, or as :func:`initgate.load_gate`.
    """
    own = settings.serve
    if not own.keys and not own.anonymous:
        raise ConfigError(
            "[serve]: no key, so nobody may ask: add what initgate keys new prints, or set "
            "anonymous = true for whoever reaches this machine's loopback address"
        )
    _take_over_logging(make_log(settings.log.level))
    if own.workers == 1:
        _run(_make_app(settings), settings)
        return
    with _environment(config):
        _run("initgate.service.run:worker", settings)


def worker() -> FastAPI:
    """A worker's application. What it needs to know comes from the environment."""
    settings = load_settings()
    log = make_log(settings.log.level)
    _take_over_logging(log)
    try:
        return _make_app(settings, folder=Path(os.environ[_METRICS]))
    except InitgateError as error:
        log.error("not started", detail=str(error))  # noqa: TRY400  # a sentence, no traceback
        sys.exit(_FAILED)


def _make_app(settings: Settings, folder: Path | None = None) -> FastAPI:
    # prometheus_client looks for its folder when it is imported.
    from initgate.service.app import make_app  # noqa: PLC0415
    from initgate.service.metrics import Metrics  # noqa: PLC0415

    log = make_log(settings.log.level)
    gate = load_gate(settings, log=log)
    return make_app(gate, settings.serve, metrics=Metrics(gate, clock=now, folder=folder), log=log)


def _run(app: FastAPI | str, settings: Settings) -> None:
    own: ServeSettings = settings.serve
    uvicorn.run(
        app,
        factory=isinstance(app, str),
        host=own.host,
        port=own.port,
        workers=own.workers,
        http=Patient,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=own.max_connections,
        timeout_graceful_shutdown=own.stop_seconds,
        timeout_worker_healthcheck=60,  # lists of millions are read meanwhile
    )


@contextmanager
def _environment(config: Path) -> Iterator[None]:
    """What workers find in their environment."""
    with tempfile.TemporaryDirectory(prefix="initgate-metrics-") as folder:
        told = {_CONFIG: str(config.resolve()), _METRICS: folder}
        before = {name: os.environ.get(name) for name in told}
        os.environ.update(told)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


class _Lines(logging.Handler):
    """The server's own lines, in the form of ours."""

    def __init__(self, log: Any) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """See :class:`logging.Handler`."""
        fault = record.exc_info[1] if record.exc_info else None
        self._log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=fault)


def _take_over_logging(log: Any) -> None:
    logger = logging.getLogger("uvicorn")
    logger.handlers = [_Lines(log)]
    logger.propagate = False
    logger.setLevel(logging.INFO)
