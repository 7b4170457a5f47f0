"""Lists at an address: when they are fetched, what is tried again, what is too much."""

from __future__ import annotations

import gzip
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from list_server import ListServer, body, cut, drip, redirect, status, zipped

from initgate.errors import ConfigError, ListRejected, SourceUnavailable
from initgate.sources import Batch, Checkpoint
from initgate.sources.bounds import Bounds, Patience
from initgate.sources.credentials import Credentials
from initgate.sources.https import HttpsSource
from initgate.sources.web import Content, shown_address

SECRET = "s3cr3t-token"  # noqa: S105  # of nobody


@pytest.fixture
def waits() -> list[float]:
    """How long was waited between attempts; nobody waited."""
    return []


@pytest.fixture
def source(list_server: ListServer, tmp_path: Path, waits: list[float]) -> HttpsSource:
    return HttpsSource(
        f"{list_server.address}/list.csv", tmp_path, patience=Patience(sleep=waits.append)
    )


@pytest.fixture
def keyed(source: HttpsSource, monkeypatch: pytest.MonkeyPatch) -> HttpsSource:
    """The same with a token."""
    monkeypatch.setenv("LIST_TOKEN", SECRET)
    return replace(source, credentials=Credentials("env:LIST_TOKEN", pytest.fail))


def fetched(source: HttpsSource, checkpoint: Checkpoint | None = None) -> list[tuple[Batch, bytes]]:
    """The batches and the bytes of each."""
    return [
        (batch, b"".join(page.read() for page in batch.pages))
        for batch in source.fetch(checkpoint or {})
    ]


def unavailable(source: HttpsSource) -> str:
    with pytest.raises(SourceUnavailable) as raised:
        fetched(source)
    return str(raised.value)


# ── What is fetched ───────────────────────────────────────────────────────────────────────────


def test_a_list_comes_whole_and_as_it_is(source: HttpsSource, list_server: ListServer) -> None:
    list_server.file = b"\x00\xff,a\r\n" * 100_000
    ((batch, data),) = fetched(source)
    assert data == list_server.file
    assert batch.is_whole
    assert batch.signature is None


def test_pages_can_be_read_again_and_from_anywhere(
    source: HttpsSource, list_server: ListServer
) -> None:
    list_server.file = b"one\ntwo\nthree\n"
    with closing(source.fetch({})) as batches:  # type: ignore[type-var]
        (page,) = next(batches).pages
        assert page.readlines() == [b"one\n", b"two\n", b"three\n"]
        page.seek(4)
        assert page.read(3) == b"two"
        assert page.tell() == 7
        page.seek(-6, 2)
        assert page.read() == b"three\n"


def test_nothing_comes_while_the_etag_is_the_same(
    source: HttpsSource, list_server: ListServer
) -> None:
    ((batch, _),) = fetched(source)
    assert fetched(source, batch.checkpoint) == []
    assert list_server.asked[-1].headers["if-none-match"] == list_server.etag
    assert list_server.asked[-1].headers["if-modified-since"] == "Fri, 02 Jan 2026 03:04:05 GMT"


def test_nothing_comes_if_the_bytes_are_the_same_under_another_etag(
    source: HttpsSource, list_server: ListServer
) -> None:
    ((batch, _),) = fetched(source)
    list_server.etag = '"2"'
    assert fetched(source, batch.checkpoint) == []


@pytest.mark.parametrize("etag", ["", '"\xe9"', '"' + "a" * 5000 + '"'])
def test_an_etag_of_any_kind_does_no_harm(
    etag: str, source: HttpsSource, list_server: ListServer
) -> None:
    list_server.etag = etag
    ((batch, _),) = fetched(source)
    assert fetched(source, batch.checkpoint) == []


def test_another_list_comes(source: HttpsSource, list_server: ListServer) -> None:
    ((batch, _),) = fetched(source)
    list_server.etag, list_server.file = '"2"', b"other"
    ((_, data),) = fetched(source, batch.checkpoint)
    assert data == b"other"


def test_a_checkpoint_of_another_address_is_not_used(
    source: HttpsSource, list_server: ListServer
) -> None:
    ((batch, _),) = fetched(source)
    other = dict(batch.checkpoint) | {"of": "https://elsewhere.example/list.csv"}
    assert len(fetched(source, other)) == 1
    assert "if-none-match" not in list_server.asked[-1].headers


def test_a_signature_is_fetched_from_beside_it(source: HttpsSource) -> None:
    ((batch, _),) = fetched(replace(source, signature_suffix=".sig"))
    assert batch.signature == b"signed"


def test_a_signature_that_is_missing_is_named(source: HttpsSource) -> None:
    assert "/list.csv.none: it answers 404" in unavailable(
        replace(source, signature_suffix=".none")
    )


def test_a_compressed_list_comes_decompressed(source: HttpsSource, list_server: ListServer) -> None:
    list_server.faults = [zipped(200_000, "text/csv")]
    ((_, data),) = fetched(source)
    assert data == b" " * 200_000


# ── What is tried again ───────────────────────────────────────────────────────────────────────


def test_a_cut_connection_is_tried_again_and_leaves_nothing(
    source: HttpsSource, list_server: ListServer, waits: list[float]
) -> None:
    list_server.faults = [cut("text/csv")]
    ((_, data),) = fetched(source)
    assert data == list_server.file
    assert len(waits) == 1


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(
    code: int, source: HttpsSource, list_server: ListServer, waits: list[float]
) -> None:
    list_server.faults = [status(code)]
    assert len(fetched(source)) == 1
    assert len(waits) == 1


def test_attempts_end(source: HttpsSource, list_server: ListServer, waits: list[float]) -> None:
    list_server.faults = [status(500)] * 9
    assert "it answers 500" in unavailable(source)
    assert len(list_server.asked) == 5
    assert len(waits) == 4


def test_waits_are_drawn_from_a_range_that_doubles(
    source: HttpsSource, list_server: ListServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, high: high)
    waits: list[float] = []
    patience = Patience(
        attempts=6, first_wait_seconds=1, longest_wait_seconds=5, sleep=waits.append
    )
    list_server.faults = [status(500)] * 5
    fetched(replace(source, patience=patience))
    assert waits == [1, 2, 4, 5, 5]


def test_as_long_as_the_server_asks_is_waited(
    source: HttpsSource, list_server: ListServer, waits: list[float]
) -> None:
    list_server.faults = [status(429, retry_after="30")]
    fetched(source)
    (wait,) = waits
    assert 30 <= wait <= 32


def test_a_server_may_ask_to_wait_until_a_date(
    source: HttpsSource, list_server: ListServer, waits: list[float]
) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=40)
    list_server.faults = [status(503, retry_after=format_datetime(moment, usegmt=True))]
    fetched(source)
    (wait,) = waits
    assert 30 < wait < 45


def test_a_server_that_asks_to_wait_too_long_is_not_waited_for(
    source: HttpsSource, list_server: ListServer, waits: list[float]
) -> None:
    list_server.faults = [status(429, retry_after="3600")]
    assert "asks to come back in 3,600 seconds" in unavailable(source)
    assert waits == []


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_what_is_denied_is_not_tried_again_and_the_credentials_are_named(
    code: int, keyed: HttpsSource, list_server: ListServer
) -> None:
    list_server.faults = [status(code)]
    assert f"it answers {code}; check the address and the credentials (env:LIST_TOKEN)" in (
        unavailable(keyed)
    )
    assert len(list_server.asked) == 1


def test_without_credentials_a_denial_says_so(source: HttpsSource, list_server: ListServer) -> None:
    list_server.faults = [status(401)]
    assert "whether it needs credentials" in unavailable(source)


@pytest.mark.parametrize("code", [204, 206, 304, 400])
def test_any_other_answer_is_an_error(
    code: int, source: HttpsSource, list_server: ListServer
) -> None:
    list_server.faults = [status(code)]
    assert f"it answers {code}" in unavailable(source)


def test_a_host_that_does_not_answer_is_tried_again_and_named(
    tmp_path: Path, waits: list[float]
) -> None:
    patience = Patience(attempts=2, sleep=waits.append)
    message = unavailable(HttpsSource("http://127.0.0.1:9/a.csv", tmp_path, patience=patience))
    assert message.startswith("http://127.0.0.1:9/a.csv: ")
    assert len(waits) == 1


# ── Bounds ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("bounds", "where"),
    [
        (Bounds(page_bytes=1_000), "1,000 bytes in one answer"),
        (Bounds(batch_bytes=1_000), "1,000 bytes in one batch"),
        (Bounds(total_bytes=1_000), "1,000 bytes in one fetch"),
    ],
)
def test_too_much_is_rejected(
    bounds: Bounds, where: str, source: HttpsSource, list_server: ListServer
) -> None:
    list_server.file = b" " * 1_001
    with pytest.raises(ListRejected, match=where):
        fetched(replace(source, bounds=bounds))
    assert len(list_server.asked) == 1


def test_what_attempts_bring_counts_together(source: HttpsSource, list_server: ListServer) -> None:
    list_server.faults = [cut("text/csv")] * 3
    with pytest.raises(ListRejected, match="in one fetch"):
        fetched(replace(source, bounds=Bounds(total_bytes=40)))


def test_a_small_answer_may_not_become_a_huge_list(
    source: HttpsSource, list_server: ListServer
) -> None:
    list_server.faults = [zipped(50_000_000, "text/csv")]  # of 50 kB
    with pytest.raises(ListRejected, match="1,000,000 bytes in one answer"):
        fetched(replace(source, bounds=Bounds(page_bytes=1_000_000)))


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-4], lambda data: data + b"more", lambda _: b"no"]
)
def test_a_damaged_compressed_answer_is_never_taken(
    damage: Any, source: HttpsSource, list_server: ListServer
) -> None:
    packed = damage(gzip.compress(b"a" * 1000))
    list_server.faults = [body(packed, "text/csv", content_encoding="gzip")] * 9
    assert "compress" in unavailable(source)


def test_an_unknown_compression_is_named(source: HttpsSource, list_server: ListServer) -> None:
    list_server.faults = [body(b"a", "text/csv", content_encoding="br")]
    assert "encoded as 'br'" in unavailable(source)


def test_a_slow_drip_is_given_up(source: HttpsSource, list_server: ListServer) -> None:
    list_server.faults = [drip("text/csv", 0.02)]
    bounds = Bounds(page_seconds=0.3)
    began = time.monotonic()
    message = unavailable(replace(source, bounds=bounds, patience=Patience(attempts=1)))
    assert "took more than" in message or "in time" in message
    assert time.monotonic() - began < 5


@contextmanager
def plain_server(head: bytes, then: Iterator[bytes]) -> Iterator[str]:
    """A server that sends just these bytes to the first who asks; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.recv(1 << 16)
                connection.sendall(head)
                for data in then:
                    connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/list.csv"
        thread.join()


def test_a_slow_drip_of_headers_is_given_up(tmp_path: Path) -> None:
    def slowly() -> Iterator[bytes]:
        for _ in range(500):
            time.sleep(0.02)
            yield b"a"

    with plain_server(b"HTTP/1.1 200 OK\r\nX: ", slowly()) as address:
        patience, bounds = Patience(attempts=1), Bounds(page_seconds=0.3)
        began = time.monotonic()
        message = unavailable(HttpsSource(address, tmp_path, patience=patience, bounds=bounds))
    assert "took more than" in message or "in time" in message
    assert time.monotonic() - began < 5


def test_an_answer_without_a_length_is_not_taken(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\n\r\n"
    with plain_server(head, iter([b"algorithm,hash,entry\n"])) as address:
        assert "does not say how long" in unavailable(HttpsSource(address, tmp_path))


def test_a_silent_server_is_given_up(source: HttpsSource, list_server: ListServer) -> None:
    list_server.faults = [drip("text/csv", 5)]
    bounds = Bounds(gap_seconds=0.2)
    message = unavailable(replace(source, bounds=bounds, patience=Patience(attempts=1)))
    assert "no answer in time" in message


def test_a_fetch_ends_in_time_whatever_the_server_does(
    source: HttpsSource, list_server: ListServer
) -> None:
    ticks = iter(range(10_000))
    patience = Patience(sleep=lambda _: None, clock=lambda: float(next(ticks)), attempts=10_000)
    list_server.faults = [status(500)] * 200
    unavailable(replace(source, bounds=Bounds(total_seconds=60.0), patience=patience))
    assert len(list_server.asked) < 60


@pytest.mark.parametrize("kind", ["text/html", "application/xhtml+xml", "image/png", "video/mp4"])
def test_what_is_no_list_is_rejected_and_its_beginning_shown(
    kind: str, source: HttpsSource, list_server: ListServer
) -> None:
    list_server.faults = [body(b"<!DOCTYPE html><title>Sign in", kind)]
    with pytest.raises(ListRejected) as raised:
        fetched(source)
    assert f"but {kind!r} came" in str(raised.value)
    assert "Sign in" in str(raised.value)


@pytest.mark.parametrize(
    ("content", "kind", "fits"),
    [
        (Content.JSON, "application/json", True),
        (Content.JSON, "text/javascript", True),
        (Content.JSON, "application/problem+json", True),
        (Content.JSON, "text/plain", False),
        (Content.JSON, "", False),
        (Content.XML, "text/xml", True),
        (Content.XML, "application/xhtml+xml", False),
        (Content.XML, "application/json", False),
        (Content.LIST, "text/csv", True),
        (Content.LIST, "application/octet-stream", True),
        (Content.LIST, "binary/octet-stream", True),
        (Content.LIST, "", True),
    ],
)
def test_content_types(content: Content, kind: str, fits: bool) -> None:
    assert content.fits(kind) == fits


# ── Where the way leads ───────────────────────────────────────────────────────────────────────


def test_a_redirect_on_the_same_host_is_followed(
    keyed: HttpsSource, list_server: ListServer
) -> None:
    list_server.faults = [redirect("/list.csv?moved")]
    assert len(fetched(keyed)) == 1
    assert list_server.asked[-1].headers["authorization"] == f"Bearer {SECRET}"


def test_a_redirect_to_another_host_is_not_followed(
    source: HttpsSource, list_server: ListServer
) -> None:
    list_server.faults = [redirect("https://elsewhere.example/list.csv")]
    message = unavailable(source)
    assert "redirected to another host, 'elsewhere.example'" in message
    assert "`hosts`" in message


def test_another_host_that_is_allowed_gets_no_credentials(
    keyed: HttpsSource, list_server: ListServer
) -> None:
    there = list_server.address.replace("127.0.0.1", "localhost")
    list_server.faults = [redirect(f"{there}/list.csv")]
    assert len(fetched(replace(keyed, hosts=("localhost",)))) == 1
    first, second = list_server.asked
    assert "authorization" in first.headers
    assert "authorization" not in second.headers


def test_a_redirect_to_plain_http_is_not_followed(
    source: HttpsSource, list_server: ListServer
) -> None:
    list_server.faults = [redirect("http://192.0.2.1/list.csv")]
    assert "without encryption" in unavailable(replace(source, hosts=("192.0.2.1",)))


@pytest.mark.parametrize(
    "target", ["file:///etc/hostname", "ftp://a.example/", "http://[", "https://", "/é", "/a b"]
)
def test_a_redirect_to_nowhere_is_not_followed(
    target: str, source: HttpsSource, list_server: ListServer
) -> None:
    list_server.faults = [status(302, location=target)]
    assert "redirected to" in unavailable(source)
    assert len(list_server.asked) == 1


def test_redirects_end(source: HttpsSource, list_server: ListServer) -> None:
    list_server.faults = [redirect("/list.csv")] * 20
    assert "redirected more than 5 times" in unavailable(source)


def test_plain_http_is_for_this_machine_unless_it_is_allowed(tmp_path: Path) -> None:
    source = HttpsSource("http://192.0.2.1/list.csv", tmp_path)
    with pytest.raises(ConfigError, match="allow_http = true"):
        fetched(source)


@pytest.mark.parametrize(
    "address",
    ["https://", "https:///list.csv", "ftp://a.example/", "https://a:b/", "https://é.example/"],
)
def test_an_address_that_is_none_is_an_error(address: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be an address"):
        fetched(HttpsSource(address, tmp_path))


def test_credentials_in_an_address_are_an_error_that_does_not_show_them(tmp_path: Path) -> None:
    source = HttpsSource(f"https://me:{SECRET}@a.example/list.csv", tmp_path)
    with pytest.raises(ConfigError, match="belong in `credentials`") as raised:
        fetched(source)
    assert SECRET not in str(raised.value)


# ── Secrets ───────────────────────────────────────────────────────────────────────────────────


def test_a_token_is_sent_as_bearer(keyed: HttpsSource, list_server: ListServer) -> None:
    fetched(keyed)
    assert list_server.asked[-1].headers["authorization"] == f"Bearer {SECRET}"


def test_user_and_password_are_sent_as_basic(
    keyed: HttpsSource, list_server: ListServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIST_TOKEN", "me:word")
    fetched(keyed)
    assert list_server.asked[-1].headers["authorization"] == "Basic bWU6d29yZA=="


@pytest.mark.parametrize("code", [401, 429, 500])
def test_no_error_log_or_representation_shows_a_secret(
    code: int, keyed: HttpsSource, list_server: ListServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    signed = replace(keyed, address=f"{keyed.address}?signature=qu3ry")
    list_server.faults = [status(code)] * 9
    with pytest.raises(SourceUnavailable) as raised:
        fetched(signed)
    error: BaseException | None = raised.value
    ours = [one.getMessage() for one in caplog.records if not one.name.startswith("uvicorn")]
    told = [repr(signed), *ours]
    while error is not None:
        told += [str(error), repr(error)]
        error = error.__cause__ or error.__context__
    assert not [one for one in told if SECRET in one or "qu3ry" in one]
    assert list_server.asked[0].query == {"signature": "qu3ry"}


def test_the_name_of_a_batch_has_no_query_and_no_user() -> None:
    shown = shown_address("https://me:word@a.example:8443/list.csv?signature=1#part")
    assert shown == "https://a.example:8443/list.csv"
