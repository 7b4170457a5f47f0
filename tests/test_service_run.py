"""The service as a process of its own, asked over loopback."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import uvicorn
from services import LISTED, OTHER, PNG, key, make_settings

from initgate import ConfigError
from initgate.audit.chain import verify
from initgate.audit.sqlite import SqliteAudit
from initgate.image import encode
from initgate.lists import Format, dump
from initgate.service.patience import Patient
from initgate.service.run import listen
from initgate.testing import make_list, scene

LARGE = encode(scene(3, height=1500, width=1500), "PNG")


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with a list of the first scene, a key for each role, and every decision
    recorded."""
    listed = make_list([scene(1, height=96, width=96)])
    (tmp_path / "a.csv").write_bytes(dump(listed, Format.CSV))
    tables = "".join(
        f'[[serve.keys]]\nname = "{one.name}"\nsha256 = "{one.sha256}"\nroles = ["{one.name}"]\n'
        for one in make_settings().keys
    )
    file = tmp_path / "initgate.toml"
    file.write_text(
        '[[lists]]\nname = "a"\npath = "a.csv"\n'
        '[audit]\nurl = "sqlite:///audit.db"\nrecord_allowed = true\n'
        f"[serve]\nfloor_ms = 0\nbackoff_after = 0\nport = {free_port()}\n{tables}"
    )
    return file


def command(config: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "initgate.cli", "serve", "--config", str(config), *more]


@contextmanager
def running(
    client: httpx.Client, config: Path, *more: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The service, and where it answers."""
    port = next(line for line in config.read_text().splitlines() if line.startswith("port"))
    url = f"http://127.0.0.1:{port.rpartition(' ')[2]}"
    with (config.parent / "log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603  # our own command
            command(config, *more), stderr=log, text=True
        )
        try:
            for _ in range(300):
                try:
                    client.get(f"{url}/healthz")
                    break
                except httpx.TransportError:
                    assert process.poll() is None, (config.parent / "log").read_text()
                    time.sleep(0.1)
            yield process, url
        finally:
            process.terminate()
            process.wait(30)


def wait_for_work(client: httpx.Client, url: str) -> None:
    """Until some request is looked at or waits."""
    for _ in range(300):
        text = client.get(f"{url}/metrics", headers=key("metrics")).text
        if "initgate_pool_requests 0.0" not in text:
            return
        time.sleep(0.02)
    raise TimeoutError


@pytest.mark.slow
def test_workers_add_up_what_they_count_and_a_stop_loses_no_record(config: Path) -> None:
    with httpx.Client(timeout=30) as client, ThreadPoolExecutor(8) as many:

        def post(image: bytes) -> httpx.Response | None:
            """An answer; None if the service was gone."""
            with suppress(httpx.TransportError):
                return client.post(f"{url}/v1/check", content=image, headers=PNG | key())
            return None

        with running(client, config, "--workers", "2") as (process, url):
            told = list(many.map(post, [LISTED, OTHER] * 20))
            assert [one and one.json()["verdict"] for one in told] == ["refused", "allowed"] * 20
            text = client.get(f"{url}/metrics", headers=key("metrics")).text
            assert 'initgate_decisions_total{reason="match",verdict="refused"} 20.0' in text
            assert 'initgate_requests_total{route="/v1/check",status="200"} 40.0' in text
            assert 'initgate_list_entries{list="a"} 1.0' in text

            begun = [many.submit(post, LARGE) for _ in range(6)]
            wait_for_work(client, url)
            process.send_signal(signal.SIGTERM)
            finished = [one for one in (each.result() for each in begun) if one is not None]
            assert process.wait(30) == 0
    answered = {one.json()["decision_id"] for one in [*told, *finished] if one is not None}
    assert len(answered) > 40
    with closing(SqliteAudit(f"sqlite:///{config.parent / 'audit.db'}")) as sink:
        records = list(sink.records())
    assert verify(records).is_whole
    assert answered <= {str(one.event["decision_id"]) for one in records}
    lines = [json.loads(line) for line in (config.parent / "log").read_text().splitlines()]
    assert {one["level"] for one in lines} == {"info"}


@pytest.mark.slow
def test_ten_times_too_many_get_the_right_answer_or_none_and_a_stop_amid_them_loses_no_record(
    config: Path,
) -> None:
    config.write_text(
        config.read_text().replace("[serve]\n", "[serve]\nthreads = 1\nwaiting = 3\n")
    )
    answers: list[tuple[str, str, httpx.Response]] = []
    is_much = threading.Event()

    def ask_on(number: int) -> None:
        """One picture after the other, until the service is gone."""
        image, verdict = [(LISTED, "refused"), (OTHER, "allowed")][number % 2]
        with suppress(httpx.TransportError):
            for turn in range(1000):
                asked = f"{number}-{turn}"
                headers = PNG | key() | {"x-request-id": asked}
                answer = client.post(f"{url}/v1/check", content=image, headers=headers)
                answers.append((asked, verdict, answer))
                if len(answers) > 300:
                    is_much.set()

    with httpx.Client(timeout=10) as client, running(client, config) as (process, url):
        callers = [threading.Thread(target=ask_on, args=[number]) for number in range(40)]
        for caller in callers:
            caller.start()
        assert is_much.wait(20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == -signal.SIGTERM  # raised again when all is done
        for caller in callers:
            caller.join(20)

    told = {}
    for asked, verdict, answer in answers:
        if answer.status_code == 200:
            assert answer.json()["verdict"] == verdict
            told[answer.json()["decision_id"]] = (asked, verdict)
        else:
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert "verdict" not in answer.json()
    assert {verdict for _, verdict in told.values()} == {"refused", "allowed"}
    assert len(told) < len(answers)  # it was too much
    with closing(SqliteAudit(f"sqlite:///{config.parent / 'audit.db'}")) as sink:
        records = list(sink.records())
    assert verify(records).is_whole
    recorded = {one.event["decision_id"]: one.event for one in records}
    for decision_id, (asked, verdict) in told.items():
        event = recorded[decision_id]
        assert (event["request_id"], event["verdict"]) == (asked, verdict)
    assert '"level": "error"' not in (config.parent / "log").read_text()


@pytest.mark.slow
def test_workers_that_cannot_start_end_the_service(config: Path) -> None:
    (config.parent / "a.csv").write_text("no list")
    run = subprocess.run(  # noqa: S603  # our own command
        command(config, "--workers", "2"), capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode != 0
    assert "a.csv" in run.stderr


# ── Slow clients ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def impatient() -> Iterator[int]:
    """A server in this process that waits half a second for a request; its port."""

    class Impatient(Patient):
        seconds = 0.5

    async def answer(_scope: object, _receive: object, send: object) -> None:
        assert callable(send)
        await send({"type": "http.response.start", "status": 413, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(
            answer, port=port, http=Impatient, ws="none", lifespan="off", log_config=None
        )
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield port
    server.should_exit = True
    thread.join()


def seconds_until_cut(port: int, first: bytes, then: bytes) -> float:
    """How long a connection lives that sends a byte now and then."""
    started = time.monotonic()
    with closing(socket.create_connection(("127.0.0.1", port))) as client:
        client.sendall(first)
        client.settimeout(0.1)
        while time.monotonic() - started < 5:
            try:
                client.sendall(then)
                if client.recv(1000) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    return time.monotonic() - started


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", b""),
        (b"POST / HTTP/1.1\r\n", b"a"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n", b"a"),
    ],
    ids=["says nothing", "headers that do not end", "a body that nobody reads"],
)
def test_a_client_that_does_not_get_on_is_cut_off(
    impatient: int, first: bytes, then: bytes
) -> None:
    assert 0.4 < seconds_until_cut(impatient, first, then) < 3


def test_small_answers_are_sent_at_once() -> None:
    port = free_port()
    with (
        listen("127.0.0.1", port, backlog=1) as listener,
        closing(socket.create_connection(("127.0.0.1", port))),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_address_that_is_taken_is_told() -> None:
    port = free_port()
    with (
        listen("127.0.0.1", port, backlog=1),
        pytest.raises(ConfigError, match=f"cannot listen at 127.0.0.1:{port}"),
    ):
        listen("127.0.0.1", port, backlog=1)
