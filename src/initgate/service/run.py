"""Starts the service and stops it in order: one process, or several that listen at one socket."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import uvicorn

from initgate.config import Settings
from initgate.errors import ConfigError, InitgateError
from initgate.service.patience import Patient
from initgate.wiring import load_gate, make_log, now

_FAILED = 3  # the exit code of a worker that cannot start, and would fail again
_ACCEPT_SECONDS = 0.05  # from accepting a connection until it is known
_PAUSE_SECONDS = 1.0  # before one that died is replaced


def serve(settings: Settings) -> None:
    """Runs the service until it is told to stop.

    Args:
        settings: All of them, with whatever the command line changed.

    Raises:
        ConfigError: Nobody could call it, the address is taken, or as :func:`initgate.load_gate`.
    """
    own = settings.serve
    if not own.keys and not own.anonymous:
        raise ConfigError(
            "[serve]: no key, so nobody may ask: add what initgate keys new prints, or set "
            "anonymous = true for whoever reaches this machine's loopback address"
        )
    with listen(own.host, own.port, backlog=own.max_connections) as listener:
        if own.workers == 1:
            _answer(settings, listener)
        else:
            with tempfile.TemporaryDirectory(prefix="initgate-metrics-") as folder:
                _Workers(settings, listener, Path(folder)).run()


def listen(host: str, port: int, *, backlog: int) -> socket.socket:
    """A socket for a server.

    Args:
        host: The address or its name.
        port: The port.
        backlog: How many connections may wait to be accepted.

    Raises:
        ConfigError: It is taken, or not this machine's.
    """
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server((host, port), family=family, backlog=backlog)
    except OSError as error:
        raise ConfigError(f"cannot listen at {host}:{port}: {error}") from error
    # Connections inherit it. asyncio sets it only for sockets that were made as TCP's by name, and
    # without it an answer waits 40 ms for the acknowledgement of its own head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _answer(settings: Settings, listener: socket.socket, folder: Path | None = None) -> None:
    """Answers until a signal says to stop.

    Args:
        settings: All of them.
        listener: Where callers come.
        folder: Where several workers add up their metrics.
    """
    if folder is not None:  # prometheus_client looks for it when it is imported
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    from initgate.service.app import make_app  # noqa: PLC0415
    from initgate.service.metrics import Metrics  # noqa: PLC0415

    own = settings.serve
    log = make_log(settings.log.level)
    take_over_logging(log)
    gate = load_gate(settings, log=log)
    metrics = Metrics(gate, clock=now, folder=folder)
    config = uvicorn.Config(
        make_app(gate, own, metrics=metrics, log=log),
        http=Patient,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=own.max_connections,
        timeout_graceful_shutdown=own.stop_seconds,
    )
    log.info("serving", host=own.host, port=own.port, pid=os.getpid())
    Server(config).run(sockets=[listener])


class Server(uvicorn.Server):
    """uvicorn's, which also ends connections that were just being accepted when it was stopped.

    Otherwise whoever asks on over such a connection is served until ``stop_seconds`` are over.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn, which tells those connections to end that it knows of at this moment."""
        for one in self.servers:
            one.close()
        await asyncio.sleep(_ACCEPT_SECONDS)
        await super().shutdown(sockets)


class _Workers:
    """Processes that answer, and are replaced when they die.

    Args:
        settings: Of all.
        listener: The socket that they share.
        folder: Where they add up their metrics.
    """

    def __init__(self, settings: Settings, listener: socket.socket, folder: Path) -> None:
        self._given = (settings, listener, folder)
        self._number = settings.serve.workers
        self._log = make_log(settings.log.level)
        self._running: list[SpawnProcess] = []
        self._is_stopping = False
        self._has_failed = False

    def run(self) -> None:
        """Until all have stopped, which a signal makes them do.

        Raises:
            ConfigError: One could not start. It has logged why.
        """
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, lambda *_: self._stop())
        for _ in range(self._number):
            self._start()
        while self._running:
            gone = set(wait([one.sentinel for one in self._running]))
            for worker in [one for one in self._running if one.sentinel in gone]:
                self._running.remove(worker)
                worker.join()
                self._replace(worker)
        if self._has_failed:
            raise ConfigError("serve: a worker could not start; its log says why")

    def _start(self) -> None:
        worker = multiprocessing.get_context("spawn").Process(target=_work, args=self._given)
        worker.start()
        self._running.append(worker)
        if self._is_stopping:  # told so meanwhile
            worker.terminate()

    def _stop(self) -> None:
        self._is_stopping = True
        for worker in self._running:
            worker.terminate()

    def _replace(self, worker: SpawnProcess) -> None:
        if self._is_stopping:
            return
        if worker.exitcode == _FAILED:
            self._has_failed = True
            self._stop()
            return
        self._log.error("worker died", pid=worker.pid, exit_code=worker.exitcode)
        time.sleep(_PAUSE_SECONDS)
        self._start()


def _work(settings: Settings, listener: socket.socket, folder: Path) -> None:
    """A worker's whole life."""
    threading.Thread(target=_follow, daemon=True).start()
    try:
        _answer(settings, listener, folder)
    except InitgateError as error:
        make_log(settings.log.level).error(
            "not started", detail=str(error)
        )  # a sentence, no traceback
        sys.exit(_FAILED)


def _follow() -> None:
    """Stops when the parent is gone, whatever ended it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


class _Lines(logging.Handler):
    """The server's own lines, in the form of ours."""

    def __init__(self, log: Any) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """See :class:`logging.Handler`."""
        fault = record.exc_info[1] if record.exc_info else None
        self._log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=fault)


def take_over_logging(log: Any) -> None:
    """Gives the server's warnings and errors the form of ours."""
    logger = logging.getLogger("uvicorn")
    logger.handlers = [_Lines(log)]
    logger.propagate = False
    logger.setLevel(logging.WARNING)
