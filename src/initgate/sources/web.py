"""HTTP for lists: what is asked, of whom, how often, how much and how long, is bounded here.

A thin layer on httpcore2, which follows no redirect, keeps no cookie, logs no address and decodes
no body by itself: each of these is done here, within bounds, or not at all.

Credentials go to the host of the source and to no other, whatever a redirect or a link says. No
message holds a query, a header or a body's text, but for the beginning of what came in place of a
list.
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import ipaddress
import random
import urllib.request
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from types import TracebackType
from typing import BinaryIO, Final, Self
from urllib.parse import SplitResult, unquote, urlencode, urljoin, urlsplit, urlunsplit

import httpcore2
import tenacity
from typing_extensions import override

from initgate.errors import ConfigError, ListRejected, SourceUnavailable
from initgate.lists.feed import shown
from initgate.sources.bounds import Bounds, Patience
from initgate.sources.spool import Spool

_OK: Final = 200
_UNCHANGED: Final = 304
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_DENIED: Final = frozenset({401, 403, 404, 410})
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_MAX_REDIRECTS: Final = 5
_CHUNK_BYTES: Final = 1 << 16
_CONNECT_SECONDS: Final = 10.0
_SHOWN_BYTES: Final = 60


@dataclass(frozen=True, slots=True)
class Secrets:
    """What proves who asks: headers and parameters of the query.

    Args:
        where: What to check if they are denied, such as ``env:NCMEC_LOGIN``.
        headers: Names and values.
        parameters: Of the query, where a service takes them nowhere else.
    """

    where: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)


class Content(Enum):
    """What an answer must be, by its content type."""

    JSON = "JSON"
    XML = "XML"
    LIST = "a list"

    def fits(self, kind: str) -> bool:
        """Whether a content type is one of these; of a list, any but a web page's or media's."""
        main, _, sub = kind.partition("/")
        match self:
            case Content.JSON:
                return sub in {"json", "javascript"} or sub.endswith("+json")
            case Content.XML:
                return sub == "xml" or (sub.endswith("+xml") and sub != "xhtml+xml")
            case Content.LIST:
                is_page = sub in {"html", "xhtml+xml"}
                return kind == "" or (main in {"text", "application", "binary"} and not is_page)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came.

    Args:
        headers: Names in lower case.
        page: The body; None if it is unchanged.
        digest: Its SHA-256.
    """

    headers: Mapping[str, str]
    page: BinaryIO | None
    digest: str


class _Passing(SourceUnavailable):
    """A failure that may be gone in a while."""

    def __init__(self, message: str, *, after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class Web:
    """One fetch from one source.

    Args:
        name: Of the source, for error messages.
        base: An address on its host. Only this host gets the secrets.
        secrets: What proves who asks.
        bounds: For the whole fetch.
        patience: With what may pass.
        hosts: Others that redirects may lead to.
        allow_http: Whether it may be asked without encryption; this machine may in any case.

    Raises:
        ConfigError: The address is none that can be asked.
    """

    def __init__(
        self,
        name: str,
        base: str,
        *,
        secrets: Secrets,
        bounds: Bounds,
        patience: Patience,
        hosts: Collection[str] = (),
        allow_http: bool = False,
    ) -> None:
        self.name = name
        self._secrets = secrets
        self._bounds = bounds
        self._patience = patience
        self._hosts = frozenset(hosts)
        self._allow_http = allow_http
        parts = _split(base)
        if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(f"{name}: the source must be an address such as https://host/path")
        if parts.username is not None or parts.password is not None:
            raise ConfigError(f"{name}: credentials belong in `credentials`, not in the address")
        if not self._is_safe(parts):
            raise ConfigError(
                f"{name}: http is readable and changeable on its way; use https, or set "
                "allow_http = true"
            )
        self._origin = _origin(parts)
        self._given_up_at = patience.clock() + bounds.total_seconds
        self._page_given_up_at = self._given_up_at
        self._bytes_left = bounds.total_bytes
        self._pool = httpcore2.ConnectionPool(
            proxy=_proxy_for(parts),
            network_backend=_Backend(self._remaining),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.close()

    def get(
        self,
        address: str,
        spool: Spool,
        *,
        content: Content,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Asks for a page.

        Args:
            address: Absolute, on the source's host.
            spool: The page is appended to it.
            content: What it must be.
            headers: More of them; with a condition, the answer may be without a page.

        Raises:
            SourceUnavailable: It cannot be had.
            ListRejected: What came is something else, or too much.
        """
        return self._asked(_Question("GET", address, content, headers or {}, None), spool)

    def post(self, address: str, form: Mapping[str, str], spool: Spool) -> Answer:
        """Sends a form; the answer is JSON. Redirects are not followed.

        Raises:
            SourceUnavailable: It cannot be had.
            ListRejected: What came is something else, or too much.
        """
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(form).encode("ascii")
        return self._asked(_Question("POST", address, Content.JSON, headers, body), spool)

    def _asked(self, question: _Question, spool: Spool) -> Answer:
        start = spool.size
        patience = self._patience

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            most = min(
                patience.first_wait_seconds * 2.0 ** (state.attempt_number - 1),
                patience.longest_wait_seconds,
            )
            drawn = random.uniform(0, most)  # noqa: S311  # spreads a fleet, no secret
            told = error.after_seconds if isinstance(error, _Passing) else None
            return drawn if told is None else told + drawn

        def is_over(state: tenacity.RetryCallState) -> bool:
            over = patience.clock() + state.upcoming_sleep >= self._given_up_at
            return over or state.attempt_number >= patience.attempts

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Passing),
            wait=wait,
            stop=is_over,
            sleep=patience.sleep,
            reraise=True,
        )
        try:
            return retrying(self._attempt, question, spool, start)
        except _Passing as error:
            raise SourceUnavailable(str(error)) from error.__cause__

    def _attempt(self, question: _Question, spool: Spool, start: int) -> Answer:
        spool.begin(start)
        address = question.address
        self._page_given_up_at = self._patience.clock() + self._bounds.page_seconds
        try:
            for _ in range(_MAX_REDIRECTS + 1):
                with self._sent(question, address) as response:
                    headers = _headers(response)
                    if response.status not in _REDIRECTS:
                        return self._answer(question, response, headers, spool, start)
                    address = self._redirected(question, address, headers)
        except (httpcore2.TimeoutException, httpcore2.NetworkError) as error:
            raise _Passing(self._says(_reason(error))) from error
        except (httpcore2.ProtocolError, httpcore2.ProxyError) as error:
            raise _Passing(self._says(f"the connection was cut: {_reason(error)}")) from error
        raise SourceUnavailable(self._says(f"redirected more than {_MAX_REDIRECTS} times"))

    @contextmanager
    def _sent(self, question: _Question, address: str) -> Iterator[httpcore2.Response]:
        parts = _split(address)
        if parts is None:
            raise ListRejected("the next page has an address that is none", source=self.name)
        headers = {"Accept-Encoding": "gzip", "User-Agent": "initgate", **question.headers}
        if _origin(parts) == self._origin:
            headers |= self._secrets.headers
            if self._secrets.parameters:
                query = "&".join(filter(None, [parts.query, urlencode(self._secrets.parameters)]))
                parts = parts._replace(query=query)
        timeout = {
            "connect": _CONNECT_SECONDS,
            "read": self._bounds.gap_seconds,
            "write": self._bounds.gap_seconds,
            "pool": _CONNECT_SECONDS,
        }
        with self._pool.stream(
            question.method,
            urlunsplit(parts._replace(path=parts.path or "/", fragment="")),
            headers=list(headers.items()),
            content=question.body,
            extensions={"timeout": timeout},
        ) as response:
            yield response

    def _redirected(self, question: _Question, address: str, headers: Mapping[str, str]) -> str:
        target = joined(address, headers.get("location", ""))
        parts = _split(target)
        if question.method != "GET" or parts is None or not parts.hostname:
            raise SourceUnavailable(self._says("redirected to nowhere"))
        if not self._is_safe(parts):
            raise SourceUnavailable(self._says("redirected to an address without encryption"))
        if _origin(parts) != self._origin and parts.hostname not in self._hosts:
            raise SourceUnavailable(
                self._says(
                    f"redirected to another host, {shown(parts.hostname)}; if that is right, name "
                    "it in `hosts`"
                )
            )
        return target

    def _answer(
        self,
        question: _Question,
        response: httpcore2.Response,
        headers: Mapping[str, str],
        spool: Spool,
        start: int,
    ) -> Answer:
        status = response.status
        if status == _UNCHANGED and question.is_conditional:
            return Answer(headers, None, "")
        if status in _DENIED:
            advice = f"check the address and the credentials ({self._secrets.where})"
            if not self._secrets.where:
                advice = "check the address, and whether it needs credentials"
            raise SourceUnavailable(self._says(f"it answers {status}; {advice}"))
        if status in _PASSING:
            raise self._passing(status, headers)
        if status != _OK:
            raise SourceUnavailable(self._says(f"it answers {status}"))
        if "content-length" not in headers and "transfer-encoding" not in headers:
            raise SourceUnavailable(self._says("it does not say how long its answer is"))
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        body = self._decoded(response, headers)
        if not question.content.fits(kind):
            first = next(body, b"")[:_SHOWN_BYTES]
            raise ListRejected(
                f"{question.content.value} was asked for, but {shown(kind)} came, which begins "
                f"{shown(first)}",
                source=self.name,
            )
        digest = hashlib.sha256()
        for data in body:
            spool.write(data)
            digest.update(data)
            self._check_size(spool, start, len(data))
        return Answer(headers, spool.page(start), digest.hexdigest())

    def _decoded(self, response: httpcore2.Response, headers: Mapping[str, str]) -> Iterator[bytes]:
        """The body in pieces of bounded size, whatever it is compressed with."""
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding == "identity":
            yield from response.iter_stream()
        elif encoding in {"gzip", "x-gzip"}:
            yield from self._unzipped(response.iter_stream())
        else:
            raise SourceUnavailable(self._says(f"its answer is encoded as {shown(encoding)}"))

    def _unzipped(self, packed: Iterator[bytes]) -> Iterator[bytes]:
        unzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        try:
            for data in packed:
                if unzip.eof:
                    raise _Passing(self._says("its compressed answer has something behind it"))
                waiting = data
                while waiting and not unzip.eof:
                    yield unzip.decompress(waiting, _CHUNK_BYTES)
                    waiting = unzip.unconsumed_tail
            while not unzip.eof and (rest := unzip.decompress(unzip.unconsumed_tail, _CHUNK_BYTES)):
                yield rest
        except zlib.error as error:
            raise _Passing(self._says(f"its answer cannot be decompressed: {error}")) from error
        if not unzip.eof or unzip.unused_data:
            raise _Passing(self._says("its compressed answer is cut, or has something behind it"))

    def _check_size(self, spool: Spool, start: int, added: int) -> None:
        bounds = self._bounds
        self._bytes_left -= added
        for is_over, most, what in (
            (spool.size - start > bounds.page_bytes, bounds.page_bytes, "in one answer"),
            (spool.size > bounds.batch_bytes, bounds.batch_bytes, "in one batch"),
            (self._bytes_left < 0, bounds.total_bytes, "in one fetch"),
        ):
            if is_over:
                raise ListRejected(f"more than {most:,} bytes {what}", source=self.name)
        self._remaining()

    def _passing(self, status: int, headers: Mapping[str, str]) -> SourceUnavailable:
        after = _retry_after(headers.get("retry-after", ""))
        message = self._says(f"it answers {status}")
        if after is None:
            return _Passing(message)
        if after > self._patience.longest_wait_seconds:
            return SourceUnavailable(f"{message} and asks to come back in {after:,.0f} seconds")
        return _Passing(message, after_seconds=after)

    def _remaining(self) -> float:
        """Seconds until this page, or the whole fetch, is given up.

        Raises:
            SourceUnavailable: None are left.
        """
        now = self._patience.clock()
        if now >= self._given_up_at:
            raise SourceUnavailable(
                self._says(f"not done after {self._bounds.total_seconds:,.0f} seconds")
            )
        if now >= self._page_given_up_at:
            raise _Passing(
                self._says(f"an answer took more than {self._bounds.page_seconds:,.0f} seconds")
            )
        return min(self._given_up_at, self._page_given_up_at) - now

    def _is_safe(self, parts: SplitResult) -> bool:
        if parts.scheme == "https":
            return True
        return parts.scheme == "http" and (self._allow_http or _is_here(parts.hostname or ""))

    def _says(self, what: str) -> str:
        return f"{self.name}: {what}"


def basic(user: str, password: str) -> str:
    """The header of HTTP Basic for a user."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def joined(address: str, link: str) -> str:
    """The address that a link leads to from another; empty if it is none."""
    try:
        return urljoin(address, link)
    except ValueError:
        return ""


def shown_address(address: str) -> str:
    """An address without what may prove who asks: its query, and a user."""
    parts = _split(address)
    if parts is None:
        return "an address that is none"
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=netloc, query="", fragment=""))


@dataclass(frozen=True, slots=True)
class _Question:
    method: str
    address: str = field(repr=False)
    content: Content
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)

    @property
    def is_conditional(self) -> bool:
        return not self.headers.keys().isdisjoint({"If-None-Match", "If-Modified-Since"})


class _Backend(httpcore2.SyncBackend):
    """Connections of which each read and write ends when the page is given up.

    A server that sends a byte now and then is stopped by it, in the midst of headers too.
    """

    def __init__(self, remaining: Callable[[], float]) -> None:
        super().__init__()
        self._remaining = remaining

    @override
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: object = None,
    ) -> httpcore2.NetworkStream:
        within = _within(timeout, self._remaining())
        return _Stream(super().connect_tcp(host, port, within, local_address), self._remaining)


class _Stream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream, remaining: Callable[[], float]) -> None:
        self._stream = stream
        self._remaining = remaining

    @override
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _within(timeout, self._remaining()))

    @override
    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _within(timeout, self._remaining()))

    @override
    def close(self) -> None:
        self._stream.close()

    @override
    def start_tls(
        self,
        ssl_context: object,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        within = _within(timeout, self._remaining())
        stream = self._stream.start_tls(ssl_context, server_hostname, within)  # type: ignore[arg-type]
        return _Stream(stream, self._remaining)

    @override
    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _within(timeout: float | None, remaining: float) -> float:
    return remaining if timeout is None else min(timeout, remaining)


def _headers(response: httpcore2.Response) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
    }


def _split(address: str) -> SplitResult | None:
    """An address in parts; None if it is none: of other characters, or with a port of letters."""
    if not address.isascii() or not address.isprintable() or " " in address:
        return None
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018  # raises as well
    except ValueError:
        return None
    return parts


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname, port


def _is_here(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _proxy_for(parts: SplitResult) -> httpcore2.Proxy | None:
    """The proxy that the environment names for a host, as for other programs."""
    host = parts.hostname or ""
    if _is_here(host) or urllib.request.proxy_bypass(host):
        return None
    found = _split(urllib.request.getproxies().get(parts.scheme, ""))
    if found is None or not found.hostname:
        return None
    bare = urlunsplit(found._replace(netloc=found.netloc.rpartition("@")[2]))
    login = (unquote(found.username), unquote(found.password or "")) if found.username else None
    return httpcore2.Proxy(bare, auth=login)


def _retry_after(text: str) -> float | None:
    """Seconds that a server asks to wait: a number, or a date."""
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _reason(error: Exception) -> str:
    if isinstance(error, httpcore2.TimeoutException):
        return "no answer in time"
    return str(error) or type(error).__name__
