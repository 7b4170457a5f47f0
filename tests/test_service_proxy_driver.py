from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from conftest import NOW
from PIL import Image
from requests_made import animation_of, file_of
from samples import CONFIG, ROOT
from structlog.testing import LogCapture

from initgate import Gate
from initgate.audit.sqlite import SqliteAudit
from initgate.config import BackoffSettings
from initgate.model import Decision, Reason, Refused

httpx = pytest.importorskip("httpx")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
websockets = pytest.importorskip("websockets")

from upstreams import Upstream, serving  # noqa: E402  # after what it needs
from websockets.http11 import Response  # noqa: E402
from websockets.sync.client import connect  # noqa: E402
from websockets.typing import Subprotocol  # noqa: E402

from initgate.service.metrics import Metrics  # noqa: E402
from initgate.service.oracle import Backoff  # noqa: E402
from initgate.service.patience import Patient  # noqa: E402
from initgate.service.pool import Busy, Pool  # noqa: E402
from initgate.service.proxy.clients import name_client  # noqa: E402
from initgate.service.proxy.core import Headers  # noqa: E402
from initgate.service.proxy.dialects import DIALECTS  # noqa: E402
from initgate.service.proxy.driver import Proxy, _Connect  # noqa: E402
from initgate.service.proxy.found import Bounds, read, walk  # noqa: E402
from initgate.service.proxy.references import Fetcher, Unfetched  # noqa: E402
from initgate.service.proxy.texts import Carried  # noqa: E402

LISTED = file_of("astronaut", "JPEG")
ONE = hashlib.sha256(b"1").hexdigest()
OTHER = file_of("flower", "PNG", most=128)


@dataclass
class Wall:
    """A proxy before a fake server."""

    url: str
    upstream: Upstream
    gate: Gate

    def last_id(self) -> str:
        (record,) = self.gate.journal.sink.last(1)
        return str(record.event["decision_id"])

    def last_reason(self) -> str:
        (record,) = self.gate.journal.sink.last(1)
        return str(record.event["reason"])


@contextmanager
def walled(
    gate: Gate,
    dialect: str,
    *,
    workers: int = 2,
    waiting: int = 8,
    server: Mapping[str, Any] = MappingProxyType({}),
    **more: Any,
) -> Iterator[Wall]:
    upstream = Upstream()
    with ExitStack() as stack:
        behind = stack.enter_context(serving(upstream.app()))
        pool = Pool(gate, workers=workers, waiting=waiting)
        proxy = Proxy(gate, pool, dialect=DIALECTS[dialect], **{"upstream": behind, **more})
        yield Wall(stack.enter_context(serving(proxy.app(), **server)), upstream, gate)


@pytest.fixture(scope="module")
def walls(quick_gate: Gate) -> Iterator[dict[str, Wall]]:
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(walled(quick_gate, name))
            for name in ("generic", "a1111", "comfyui", "openai")
        }


@pytest.fixture
def wall(walls: dict[str, Wall]) -> Wall:
    walls["generic"].upstream.got.clear()
    return walls["generic"]


def pixels(data: bytes) -> Any:
    with Image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened.convert("RGB"))


def arrived(wall: Wall) -> list[bytes]:
    (got,) = wall.upstream.got
    body = read(got.body, content_type=got.header("content-type") or "", bounds=Bounds())
    return [one.data for _, one in walk(body.root) if isinstance(one, Carried)]


def spelt(data: bytes) -> str:
    return base64.b64encode(data).decode()


# ── Requests ──────────────────────────────────────────────────────────────────────────────────


def test_an_unlisted_picture_arrives_pixel_by_pixel(wall: Wall) -> None:
    answer = httpx.post(f"{wall.url}/a", files={"image": ("a.png", OTHER, "image/png")})
    assert answer.status_code == 200
    (data,) = arrived(wall)
    assert np.array_equal(pixels(data), pixels(OTHER))


def test_a_listed_picture_does_not_arrive_and_its_decision_can_be_looked_up(wall: Wall) -> None:
    answer = httpx.post(f"{wall.url}/a", json={"x": {"y": spelt(LISTED)}})
    assert answer.status_code == 400
    assert wall.last_reason() == Reason.MATCH
    assert answer.headers["x-request-id"] == wall.last_id()
    assert wall.last_id() in answer.json()["detail"]
    assert wall.upstream.got == []


def test_a_listed_picture_in_a_later_frame_does_not_arrive(wall: Wall) -> None:
    data = animation_of("flower", "astronaut", side=256)
    assert httpx.post(f"{wall.url}/a", content=data).status_code == 400
    assert wall.last_reason() == Reason.MATCH
    assert wall.upstream.got == []


def test_the_second_picture_of_a_request_is_looked_at_too(wall: Wall) -> None:
    answer = httpx.post(f"{wall.url}/a", json=[spelt(OTHER), spelt(LISTED)])
    assert answer.status_code == 400
    assert wall.upstream.got == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"a": 1, "a": 2}', Reason.UNREADABLE),
        (LISTED[:2000], Reason.UNREADABLE),
        (b"%PDF-1.7 and so on", Reason.UNREADABLE),
        (b"PK\x03\x04" + b"\x00" * 100, Reason.ENCODED_INPUT),
        (b'{"a": "https://example.org/a.png"}', Reason.UNREADABLE),
    ],
    ids=["doubled key", "cut off", "unknown format", "archive", "reference"],
)
def test_what_was_not_looked_at_does_not_arrive(wall: Wall, body: bytes, reason: Reason) -> None:
    answer = httpx.post(f"{wall.url}/a", content=body)
    assert answer.status_code == 400
    assert answer.headers["x-request-id"] == wall.last_id()
    assert wall.last_reason() == reason
    assert wall.upstream.got == []


def test_a_record_says_nothing_of_what_was_sent(wall: Wall) -> None:
    httpx.post(f"{wall.url}/secret-path", json={"url": "https://secret.example/a.png"})
    (record,) = wall.gate.journal.sink.last(1)
    assert "secret" not in json.dumps(record.event)


def test_a_chunked_body_is_collected_and_looked_at(wall: Wall) -> None:
    def chunks() -> Iterator[bytes]:
        for start in range(0, len(LISTED), 1000):
            yield LISTED[start : start + 1000]

    assert httpx.post(f"{wall.url}/a", content=chunks()).status_code == 400
    assert wall.upstream.got == []


def test_a_body_that_expects_to_be_asked_for_is_asked_for(wall: Wall) -> None:
    host, port = wall.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(
            b"POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
            b"Content-Type: text/plain\r\nConnection: close\r\n\r\n"
        )
        assert client.recv(1000).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"hi")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
    (got,) = wall.upstream.got
    assert got.body == b"hi"
    assert got.header("expect") is None


def test_a_body_that_is_too_long_is_refused_before_all_of_it_came(quick_gate: Gate) -> None:
    with walled(quick_gate, "generic", bounds=Bounds(max_bytes=1000)) as wall:
        assert httpx.post(f"{wall.url}/a", content=b"a" * 100_000).status_code == 400
        assert wall.upstream.got == []


def test_bodies_beyond_what_may_be_held_are_turned_away(quick_gate: Gate) -> None:
    with walled(quick_gate, "generic", max_held_bytes=5000) as wall:
        assert httpx.post(f"{wall.url}/a", content=b"a" * 10_000).status_code == 503
        for _ in range(3):  # what was held is held no more
            assert httpx.post(f"{wall.url}/a", content=b"a " * 2000).status_code == 200


def test_a_client_that_is_too_slow_is_cut_off(quick_gate: Gate) -> None:
    with walled(quick_gate, "generic", receive_s=0.2) as wall:
        host, port = wall.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=10) as client:
            client.sendall(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
            assert client.recv(1000).startswith(b"HTTP/1.1 408 ")
        assert wall.upstream.got == []


def test_a_fault_is_a_refusal(wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("initgate.service.proxy.driver.read_request", fail)
    answer = httpx.post(f"{wall.url}/a", content=b"words")
    assert answer.status_code == 400
    assert answer.headers["x-request-id"] == wall.last_id()
    assert wall.upstream.got == []


# ── What a client learns ──────────────────────────────────────────────────────────────────────


def waiting_after(refusals: int) -> Backoff:
    return Backoff.of(BackoffSettings(backoff_after=refusals, backoff_seconds=30))


def test_who_is_refused_again_and_again_waits_and_is_told_so_like_a_refusal(
    quick_gate: Gate,
) -> None:
    with walled(quick_gate, "openai", backoff=waiting_after(2)) as wall:
        edits = f"{wall.url}/v1/images/edits"
        for body in (LISTED, LISTED[:2000]):  # for whatever reason
            assert httpx.post(edits, files={"image": body}).headers["x-request-id"]
        recorded = wall.last_id()
        for answer in (httpx.post(edits, files={"image": OTHER}), httpx.post(edits, content="{")):
            assert answer.status_code == 400  # which its SDK does not send again
            assert answer.json()["error"]["message"].endswith("try again in 30 seconds.")
            assert answer.headers["retry-after"] == "30"
            assert "x-request-id" not in answer.headers
        assert wall.last_id() == recorded
        assert wall.upstream.got == []
        assert httpx.post(edits, json={"prompt": "no picture"}).status_code == 200


def test_who_asks_many_times_at_once_learns_no_more_than_in_turn(quick_gate: Gate) -> None:
    with walled(quick_gate, "generic", workers=1, waiting=30, backoff=waiting_after(2)) as wall:
        with ThreadPoolExecutor(8) as many:
            answers = list(many.map(lambda _: httpx.post(f"{wall.url}/a", content=LISTED), "a" * 8))
        assert {one.status_code for one in answers} == {400}
        assert sum("x-request-id" in one.headers for one in answers) == 2


def test_who_has_to_wait_since_they_asked_is_not_forwarded_either(
    quick_gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    backoff, inspect = waiting_after(1), Pool.inspect
    who = ("address", "127.0.0.1")

    async def inspect_while_refused(*given: Any, **more: Any) -> Any:
        backoff.note(who, Decision(Refused("1"), Reason.MATCH))
        return await inspect(*given, **more)

    monkeypatch.setattr(Pool, "inspect", inspect_while_refused)
    with walled(quick_gate, "generic", backoff=backoff) as wall:
        assert "try again" in httpx.post(f"{wall.url}/a", content=OTHER).json()["detail"]
        assert wall.upstream.got == []


def test_more_sockets_than_may_be_open_are_turned_away(quick_gate: Gate) -> None:
    with walled(quick_gate, "a1111", max_sockets=1) as wall:
        with connect(ws(wall, "/queue/join"), proxy=None) as client:
            client.recv()
            with pytest.raises(websockets.InvalidStatus):
                connect(ws(wall, "/queue/join"), proxy=None)
        for _ in range(100):  # until the first is known to be gone
            with suppress(websockets.InvalidStatus), connect(ws(wall, "/ws"), proxy=None) as client:
                assert json.loads(client.recv()) == {"hello": True}
                return
        pytest.fail("the place of a socket that was closed is not free")


@pytest.mark.parametrize("name", ["forwarded", "x-forwarded-for", "x-real-ip"])
def test_of_a_proxy_that_hides_the_clients_is_warned_once(
    quick_gate: Gate, log: Any, log_capture: LogCapture, name: str
) -> None:
    with walled(quick_gate, "generic", log=log) as wall:
        httpx.get(wall.url)
        assert log_capture.entries == []
        for _ in range(2):
            httpx.get(wall.url, headers={name: "192.0.2.1"})
    (entry,) = log_capture.entries
    assert (entry["log_level"], entry["header"]) == ("warning", name)
    assert "proxy.client_header" in entry["remedy"]


def test_of_a_proxy_that_names_the_clients_is_not_warned(
    quick_gate: Gate, log: Any, log_capture: LogCapture
) -> None:
    with walled(quick_gate, "generic", log=log, client_header="x-real-ip") as wall:
        httpx.get(wall.url, headers={"x-real-ip": "192.0.2.1"})
    assert log_capture.entries == []


def test_what_could_not_be_looked_at_is_counted_too(quick_gate: Gate) -> None:
    metrics = Metrics(quick_gate, clock=lambda: NOW)
    with walled(quick_gate, "generic", metrics=metrics) as wall:
        httpx.post(f"{wall.url}/a", content=b'{"a": 1, "a": 2}')
        httpx.post(f"{wall.url}/a", content=b"PK\x03\x04" + b"\x00" * 100)
    text = metrics.text().decode()
    assert 'initgate_decisions_total{reason="unreadable",verdict="refused"} 1.0' in text
    assert 'initgate_decisions_total{reason="encoded_input",verdict="refused"} 1.0' in text
    assert 'initgate_requests_total{route="generic",status="400"} 2.0' in text


def test_messages_of_sockets_count_to_what_may_be_held(quick_gate: Gate) -> None:
    with (
        walled(quick_gate, "a1111", max_held_bytes=1000) as wall,
        connect(ws(wall, "/queue/join"), proxy=None) as client,
    ):
        client.recv()
        client.send(json.dumps({"data": ["a " * 400]}))
        assert client.recv() == b"got it"
        client.send(json.dumps({"data": ["a " * 600]}))
        with pytest.raises(websockets.ConnectionClosed) as closed:
            client.recv()
        assert closed.value.rcvd.code == 1013
        assert len(wall.upstream.said) == 1


def test_who_waits_is_told_so_on_a_socket(quick_gate: Gate) -> None:
    with walled(quick_gate, "a1111", backoff=waiting_after(1)) as wall:
        httpx.post(f"{wall.url}/sdapi/v1/img2img", json={"init_images": [spelt(LISTED)]})
        with connect(ws(wall, "/queue/join"), proxy=None) as client:
            client.recv()
            client.send(json.dumps({"data": [spelt(OTHER)]}))
            with pytest.raises(websockets.ConnectionClosed) as closed:
                client.recv()
        assert closed.value.rcvd.reason.endswith("try again in 30 seconds.")
        assert wall.upstream.said == []


def test_one_client_waits_and_another_does_not(quick_gate: Gate) -> None:
    with walled(quick_gate, "generic", backoff=waiting_after(1), client_header="X-Real-IP") as wall:
        ann, bob = ({"x-real-ip": f"192.0.2.{number}"} for number in (1, 2))
        httpx.post(f"{wall.url}/a", content=LISTED, headers=ann)
        assert httpx.post(f"{wall.url}/a", content=OTHER, headers=ann).status_code == 400
        assert httpx.post(f"{wall.url}/a", content=OTHER, headers=bob).status_code == 200


def test_refusals_take_a_whole_multiple_of_the_floor_and_nothing_else_does(
    quick_gate: Gate,
) -> None:
    with walled(quick_gate, "generic", floor_ms=2000) as wall, httpx.Client(timeout=30) as client:
        for body in (b'{"a": 1, "a": 2}', LISTED):
            started = time.monotonic()
            assert client.post(f"{wall.url}/a", content=body).status_code == 400
            assert time.monotonic() - started >= 2
        started = time.monotonic()
        assert client.post(f"{wall.url}/a", content=OTHER).status_code == 200
        assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("headers", "address", "same"),
    [
        ((), "192.0.2.1", ("address", "192.0.2.1")),
        ((), "::ffff:192.0.2.1", ("address", "192.0.2.1")),
        ((), "2001:db8::1:2:3:4", ("address", "2001:db8::/64")),
        ((), "", ("address", "")),
        ((("x-ip", " "),), "192.0.2.1", ("address", "192.0.2.1")),
        ((("x-ip", "made up"), ("x-ip", "made up, 1")), "192.0.2.1", ("header", ONE)),
    ],
)
def test_clients_are_told_apart_by_their_network_or_by_a_header(
    headers: Headers, address: str, same: tuple[str, str]
) -> None:
    assert name_client(headers, address, told_by="X-IP") == same


def test_a_socket_outlives_the_patience_with_requests(quick_gate: Gate) -> None:
    class Impatient(Patient):
        seconds = 0.3

    with (
        walled(quick_gate, "a1111", server={"http": Impatient}) as wall,
        connect(ws(wall, "/queue/join"), proxy=None) as client,
    ):
        client.recv()
        time.sleep(0.6)
        client.send("{}")
        assert client.recv() == b"got it"


# ── What passes through ───────────────────────────────────────────────────────────────────────


def test_path_query_and_headers_pass_and_those_of_a_hop_do_not(wall: Wall) -> None:
    headers = {
        "X-Mine": "1",
        "Connection": "keep-alive, X-Hop",
        "X-Hop": "1",
        "TE": "trailers",
        "Authorization": "Bearer x",
    }
    answer = httpx.get(f"{wall.url}/a%20b/c%2Fd?x=1&y=%20&z", headers=headers)
    (got,) = wall.upstream.got
    assert (got.path, got.query) == ("/a%20b/c%2Fd", "x=1&y=%20&z")
    assert (got.header("x-mine"), got.header("authorization")) == ("1", "Bearer x")
    assert (got.header("x-hop"), got.header("te")) == (None, None)
    assert got.header("host") == wall.url.removeprefix("http://")
    assert got.header("via") == "1.1 initgate"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert "x-hop" not in answer.headers


def test_events_pass_as_they_come(wall: Wall) -> None:
    with httpx.stream("GET", f"{wall.url}/events") as answer:
        ages = [time.monotonic() - float(x[6:]) for x in answer.iter_lines() if x]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert len(ages) == 3
    assert max(ages) < 0.15


def test_a_server_that_is_down_is_no_refusal(quick_gate: Gate) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        gone = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with walled(quick_gate, "openai", upstream=gone) as wall:
        recorded = len(list(wall.gate.journal.sink.records()))
        answer = httpx.post(f"{wall.url}/v1/images/edits", json={"prompt": "a"})
        assert answer.status_code == 502
        assert "Decision id" not in answer.text
        assert len(list(wall.gate.journal.sink.records())) == recorded


def test_a_full_gate_refuses_for_now_and_lets_nothing_pass(quick_gate: Gate) -> None:
    with walled(quick_gate, "generic", workers=1, waiting=0) as wall:
        statuses: list[int] = []

        def ask() -> None:
            answer = httpx.post(f"{wall.url}/a", content=LISTED, timeout=60)
            statuses.append(answer.status_code)
            if answer.status_code == 503:
                assert answer.headers["retry-after"]

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(statuses) <= {400, 503}
        assert 503 in statuses
        assert wall.upstream.got == []


# ── Uploads that are named later ──────────────────────────────────────────────────────────────


def test_a_graph_may_name_an_upload_that_passed(walls: dict[str, Wall]) -> None:
    wall = walls["comfyui"]
    graph = {"prompt": {"1": {"class_type": "LoadImage", "inputs": {"image": "up.png"}}}}
    refused = httpx.post(f"{wall.url}/prompt", json=graph)
    assert refused.status_code == 400
    assert wall.last_id() in refused.json()["error"]["message"]
    files = {"image": ("a.png", OTHER, "image/png")}
    answer = httpx.post(f"{wall.url}/upload/image", files=files, data={"type": "input"})
    assert answer.json()["name"] == "up.png"
    assert httpx.post(f"{wall.url}/api/prompt", json=graph).status_code == 200


# ── Sockets ───────────────────────────────────────────────────────────────────────────────────


def ws(wall: Wall, path: str) -> str:
    return wall.url.replace("http", "ws") + path


def test_a_socket_passes_both_ways(walls: dict[str, Wall]) -> None:
    wall = walls["comfyui"]
    with connect(ws(wall, "/ws?clientId=1"), subprotocols=[Subprotocol("a")], proxy=None) as client:
        assert client.subprotocol == "a"
        assert json.loads(client.recv()) == {"hello": True}
        client.send('{"type": "feature_flags"}')
        assert client.recv() == b"got it"
    assert wall.upstream.said[-1] == '{"type":"feature_flags"}'


def test_a_socket_goes_to_the_server_alone_wherever_that_sends_it() -> None:
    answer = Response(302, "Found", websockets.Headers(Location="ws://other/ws"))
    moved = websockets.InvalidStatus(answer)
    assert _Connect("ws://server/ws").process_redirect(moved) is moved


@pytest.mark.parametrize("message", [json.dumps({"data": [spelt(LISTED)]}), LISTED])
def test_a_listed_picture_does_not_pass_a_socket(
    walls: dict[str, Wall], message: str | bytes
) -> None:
    wall = walls["a1111"]
    wall.upstream.said.clear()
    with connect(ws(wall, "/queue/join"), proxy=None) as client:
        client.recv()
        client.send(message)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            client.recv()
    assert wall.last_id() in closed.value.rcvd.reason
    assert wall.upstream.said == []


def test_an_unlisted_picture_passes_a_socket_that_takes_pictures(walls: dict[str, Wall]) -> None:
    wall = walls["a1111"]
    with connect(ws(wall, "/queue/join"), proxy=None) as client:
        client.recv()
        client.send(json.dumps({"data": [spelt(OTHER)]}))
        assert client.recv() == b"got it"
    assert json.loads(wall.upstream.said[-1]) == {"data": [spelt(OTHER)]}


# ── References ────────────────────────────────────────────────────────────────────────────────


def fetcher(
    handler: Any, *, addresses: tuple[str, ...] = ("93.184.216.34",), max_bytes: int = 10**6
) -> Fetcher:
    async def resolve(host: str) -> list[str]:
        del host
        return list(addresses)

    client = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    return Fetcher(["img.example.org"], max_bytes=max_bytes, client=client, resolve=resolve)


def answer_with(data: bytes) -> Any:
    async def chunks() -> AsyncIterator[bytes]:
        yield data

    return httpx.Response(200, content=chunks())


def serve_other(request: Any) -> Any:
    assert request.url.host == "93.184.216.34"
    assert request.headers["host"] == "img.example.org"
    assert request.extensions["sni_hostname"] == "img.example.org"
    return answer_with(OTHER)


def test_a_url_can_be_resolved_and_its_bytes_are_forwarded(quick_gate: Gate) -> None:
    body = {"init_images": ["https://img.example.org/a.png"]}
    with walled(quick_gate, "a1111", fetcher=fetcher(serve_other)) as wall:
        assert httpx.post(f"{wall.url}/sdapi/v1/img2img", json=body).status_code == 200
        assert arrived(wall) == [OTHER]


def test_a_listed_picture_behind_a_url_does_not_arrive(quick_gate: Gate) -> None:
    body = {"init_images": ["https://img.example.org/a.png"]}
    listed = fetcher(lambda _: answer_with(LISTED))
    with walled(quick_gate, "a1111", fetcher=listed) as wall:
        assert httpx.post(f"{wall.url}/sdapi/v1/img2img", json=body).status_code == 403
        assert wall.last_reason() == Reason.MATCH
        assert wall.upstream.got == []


@pytest.mark.parametrize(
    "url",
    [
        "http://img.example.org/a.png",
        "https://img.example.org:8443/a.png",
        "https://user@img.example.org/a.png",
        "https://other.example.org/a.png",
        "https://img.example.org.evil.example/a.png",
        "https://127.0.0.1/a.png",
        "https://[::1]/a.png",
        "ftp://img.example.org/a.png",
    ],
)
@pytest.mark.anyio
async def test_only_allowed_hosts_are_asked(url: str) -> None:
    with pytest.raises(Unfetched):
        await fetcher(serve_other).fetch(url)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "192.168.0.1",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104  # nothing is bound
        "::1",
        "fe80::1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "::127.0.0.1",
        "fec0::1",
        "2002:a00:1::",
        "224.0.0.1",
    ],
)
@pytest.mark.anyio
async def test_a_private_address_is_not_asked(address: str) -> None:
    made = fetcher(serve_other, addresses=("93.184.216.34", address))
    with pytest.raises(Unfetched):
        await made.fetch("https://img.example.org/a.png")


@pytest.mark.anyio
async def test_redirects_and_long_answers_are_not_taken() -> None:
    away = fetcher(lambda _: httpx.Response(302, headers={"location": "https://img.example.org/b"}))
    for made in (away, fetcher(serve_other, max_bytes=10)):
        with pytest.raises(Unfetched):
            await made.fetch("https://img.example.org/a.png")


# ── Jobs that a server hands out ──────────────────────────────────────────────────────────────


@contextmanager
def horde_of(gate: Gate, job: bytes, **more: Any) -> Iterator[tuple[str, list[Any], Gate]]:
    """A horde behind a proxy that hands out one job: where it is, and what was submitted."""
    submitted: list[Any] = []

    def answer(request: Any) -> Any:
        if request.url.path.endswith("/submit"):
            submitted.append(json.loads(request.content) | {"by": request.headers["apikey"]})
            return httpx.Response(200, json={"reward": 1})
        handed = answer_with(job)
        handed.headers.update({"content-type": "application/json", "x-kept": "1"})
        return handed

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    with walled(gate, "horde", client=client, **more) as wall:
        yield f"{wall.url}/api/v2/generate/pop", submitted, gate


def job_with(**pictures: Any) -> bytes:
    job = {"id": "1", "ids": ["1"], "model": "a", "payload": {"seed": "7"}}
    return json.dumps(job | {"r2_upload": "https://r2.example.org/put", **pictures}).encode()


def pop(url: str) -> Any:
    return httpx.post(url, json={"name": "w", "models": ["a"]}, headers={"apikey": "key"})


@pytest.mark.parametrize(
    "pictures",
    [
        {"source_image": spelt(LISTED)},
        {"source_image": spelt(OTHER), "source_mask": spelt(LISTED)},
        {"extra_source_images": [{"image": spelt(OTHER)}, {"image": spelt(LISTED)}]},
    ],
    ids=["source_image", "source_mask", "extra_source_images"],
)
def test_a_job_with_a_listed_picture_is_given_back_and_the_worker_gets_none(
    quick_gate: Gate, pictures: dict[str, Any]
) -> None:
    with horde_of(quick_gate, job_with(**pictures), backoff=waiting_after(1)) as horde:
        url, submitted, _ = horde
        for _ in range(2):  # a worker is not blamed for what it is handed
            answer = pop(url)
            assert (answer.status_code, answer.json()["id"]) == (200, None)
            (record,) = quick_gate.journal.sink.last(1)
            assert answer.headers["x-request-id"] == record.event["decision_id"]
            assert record.event["reason"] == Reason.MATCH
            assert spelt(LISTED)[:100] not in answer.text
    told = {"id": "1", "state": "csam", "generation": "csam", "seed": 0, "by": "key"}
    told |= {"gen_metadata": [{"type": "censorship", "value": "csam"}]}
    assert submitted == [told, told]


@pytest.mark.parametrize(
    "job",
    [
        job_with(source_image=spelt(LISTED[:2000])),
        job_with(source_image="https://r2.example.org/get"),
        job_with(other=spelt(b"PK\x03\x04" + bytes(600))),
        job_with().replace(b'"model"', b'"id": "1", "model"'),
    ],
    ids=["unreadable", "only named", "archive", "read in two ways"],
)
def test_a_job_that_was_not_looked_at_is_given_back_as_faulted(
    quick_gate: Gate, job: bytes
) -> None:
    with horde_of(quick_gate, job) as (url, submitted, _):
        assert pop(url).json()["id"] is None
    assert [(one["id"], one["state"]) for one in submitted] == [("1", "faulted")]


def test_a_job_is_given_back_while_the_gate_is_busy(
    quick_gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def inspect(*_: object, **__: object) -> None:
        raise Busy

    monkeypatch.setattr(Pool, "inspect", inspect)
    with horde_of(quick_gate, job_with(source_image=spelt(OTHER))) as (url, submitted, _):
        answer = pop(url)
    assert (answer.status_code, answer.json()["id"]) == (200, None)
    assert [one["state"] for one in submitted] == ["faulted"]


def test_a_job_without_a_listed_picture_arrives_as_it_was(quick_gate: Gate) -> None:
    job = job_with(source_image=spelt(OTHER), source_processing="img2img")
    with horde_of(quick_gate, job) as (url, submitted, _):
        answer = pop(url)
    assert answer.json() == json.loads(job)
    assert answer.headers["x-kept"] == "1"
    assert submitted == []


def test_pictures_of_a_job_that_are_named_by_a_url_arrive_as_bytes(quick_gate: Gate) -> None:
    job = job_with(source_image="https://img.example.org/a.png")
    with horde_of(quick_gate, job, fetcher=fetcher(serve_other)) as (url, _, _):
        assert pop(url).json()["source_image"] == spelt(OTHER)
    listed = fetcher(lambda _: answer_with(LISTED))
    with horde_of(quick_gate, job, fetcher=listed) as (url, submitted, _):
        assert pop(url).json()["id"] is None
    assert [one["state"] for one in submitted] == ["csam"]


# ── The pool ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_a_full_pool_says_so(quick_gate: Gate) -> None:
    pool = Pool(quick_gate, workers=1, waiting=0)
    release = threading.Event()
    first = asyncio.create_task(pool.run(release.wait))
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await pool.run(lambda: None)
    release.set()
    assert await first
    await pool.close()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# ── The command ───────────────────────────────────────────────────────────────────────────────


def test_the_command_stands_before_a_server_until_it_is_told_to_stop_and_tells_metrics(
    tmp_path: Path,
) -> None:
    upstream = Upstream()
    with (
        socket.create_server(("127.0.0.1", 0)) as free,
        socket.create_server(("127.0.0.1", 0)) as b,
    ):
        port, metrics_port = free.getsockname()[1], b.getsockname()[1]
    text = CONFIG.read_text().replace("../hashlists", f"{ROOT.as_posix()}/hashlists")
    file = tmp_path / "gate.toml"
    text = text.replace("# metrics_port = 8612", f"metrics_port = {metrics_port}")
    file.write_text(text.replace("../var/audit.db", "audit.db"))
    with serving(upstream.app()) as behind:
        command = [sys.executable, "-m", "initgate.cli", "proxy", "--dialect", "a1111"]
        options = ["--upstream", behind, "--port", str(port), "--config", str(file)]
        process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE)  # noqa: S603
        try:
            client = httpx.Client(
                base_url=f"http://127.0.0.1:{port}",
                transport=httpx.HTTPTransport(retries=8),  # until it listens
                timeout=60,
            )
            with client:
                answer = client.post("/sdapi/v1/img2img", json={"init_images": [spelt(LISTED)]})
                passed = client.post("/sdapi/v1/img2img", json={"init_images": [spelt(OTHER)]})
                metrics = client.get(f"http://127.0.0.1:{metrics_port}/metrics").text
                assert client.get("/metrics").json()["prompt_id"]  # that path is the server's
        finally:
            process.send_signal(signal.SIGTERM)
            log = process.communicate(timeout=30)[1].decode()
    assert answer.status_code == 403
    assert answer.headers["x-request-id"] in log
    assert 'initgate_requests_total{route="a1111",status="403"} 1.0' in metrics
    assert 'initgate_decisions_total{reason="match",verdict="refused"} 1.0' in metrics
    assert passed.status_code == 200
    assert [one.path for one in upstream.got] == ["/sdapi/v1/img2img", "/metrics"]
    assert "Traceback" not in log
    # What passed was counted in memory, and written when it stopped.
    assert SqliteAudit(f"sqlite:///{tmp_path / 'audit.db'}").counts() == {"no_match": 1}
