"""What holds for any bytes that reach the proxy: read in bounds and written anew, or refused."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from initgate.model import Allowed
from initgate.service.proxy.core import ANSWER, Plan, Request, conclude, read_request
from initgate.service.proxy.dialects import DIALECTS
from initgate.service.proxy.found import Bounds, walk
from initgate.service.proxy.texts import MIN_TEXT, Carried, Unparsable

BOUNDS = Bounds(
    max_bytes=1 << 18, max_values=500, max_depth=16, max_parts=16, max_images=8, max_words=1 << 16
)
# What is written anew may be longer: base64, where bytes were percent-encoded.
_WIDE = Bounds(
    max_bytes=1 << 21, max_values=1000, max_depth=17, max_parts=17, max_images=9, max_words=1 << 20
)
_SHORTEST = MIN_TEXT * 3 // 4  # bytes that a text can carry which is looked at
_METHODS = ("POST", "WS", "GET", "PUT", ANSWER)
_ENCODINGS = ("", "gzip", "deflate", "br", "zstd", "gzip, br", "identity, x-gzip", "compress")
_NAMES = tuple(DIALECTS)


def to_seed(dialect: str, request: Request) -> bytes:
    """The input that stands for a request."""
    encoding = request.header("content-encoding")
    choice = [
        _NAMES.index(dialect),
        _METHODS.index(request.method) if request.method in _METHODS else 0,
        _ENCODINGS.index(encoding) if encoding in _ENCODINGS else 0,
    ]
    lines = [f"{request.path}?{request.query}", request.header("content-type")]
    return bytes(choice) + "".join(f"{one}\n" for one in lines).encode("latin-1") + request.body


def to_request(data: bytes) -> tuple[str, Request]:
    """A dialect and a request, for any input."""
    dialect, method, encoding = [*data[:3], 0, 0, 0][:3]
    target, _, rest = data[3:].decode("latin-1").partition("\n")
    content_type, _, body = rest.partition("\n")
    path, _, query = target.partition("?")
    headers = (
        ("content-type", content_type),
        ("content-encoding", _ENCODINGS[encoding % len(_ENCODINGS)]),
    )
    request = Request(
        _METHODS[method % len(_METHODS)],
        quote(path, safe="/%", encoding="latin-1"),
        query,
        tuple(one for one in headers if one[1]),
        body.encode("latin-1"),
    )
    return _NAMES[dialect % len(_NAMES)], request


def look(data: bytes) -> None:
    """Reads an input, and what is forwarded of it once more.

    Args:
        data: Any bytes.

    Raises:
        AssertionError: A bound was passed, or the server may read something else than was read.
    """
    dialect, request = to_request(data)
    try:
        plan = _read(dialect, request, BOUNDS)
    except Unparsable:
        return
    _hold(len(plan.images) + len(plan.references) <= BOUNDS.max_images, "too many images")
    if plan.references or plan.opaque:
        return
    if any(len(one.data) < _SHORTEST for one in plan.images.values()):
        return  # written without the spaces that made them long enough, they are words
    verdicts = dict.fromkeys(plan.images, Allowed(""))
    forwarded = conclude(plan, verdicts=verdicts, resolved={}, rewrite=lambda one: one)
    again = _read(dialect, forwarded, _WIDE)  # it must not be unparsable
    _hold(_seen(again) == _seen(plan), "another picture is read in what is forwarded")
    _hold(not again.references and not again.opaque, "something new is read in it")


def _read(dialect: str, request: Request, bounds: Bounds) -> Plan:
    return read_request(request, DIALECTS[dialect], bounds=bounds, known=lambda _: False)


def _seen(plan: Plan) -> list[bytes]:
    found: Iterable[object] = (node for _, node in walk(plan.body.root))
    return [one.data for one in found if isinstance(one, Carried) and one.is_image]


def _hold(law: bool, otherwise: str) -> None:  # an assert would vanish under -O
    if not law:
        raise AssertionError(otherwise)
