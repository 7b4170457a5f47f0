"""Requests as clients make them, and the many ways to write one picture into them."""

from __future__ import annotations

import base64
import gzip
import io
import json
import textwrap
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
from samples import photo

from initgate.image import encode
from initgate.service.proxy.core import Headers, Request

BOUNDARY = "boundary-of-a-test"


@cache
def file_of(name: str, file_format: str = "JPEG", *, most: int = 384) -> bytes:
    """A sample photo, small, as a file."""
    return encode(np.asarray(photo(name, most)), file_format)


def animation_of(*names: str, side: int = 64) -> bytes:
    """Sample photos as the frames of a GIF."""
    frames = [photo(name, side).resize((side, side)) for name in names]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


# ── A picture as a text ───────────────────────────────────────────────────────────────────────


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _without_padding(data: bytes) -> str:
    return _base64(data).rstrip("=")


SPELLINGS: dict[str, Callable[[bytes], str]] = {
    "base64": _base64,
    "base64 without padding": _without_padding,
    "base64 for urls": lambda data: base64.urlsafe_b64encode(data).decode(),
    "base64 in lines": lambda data: "\r\n".join(textwrap.wrap(_base64(data), 76)),
    "base64 with spaces": lambda data: " ".join(textwrap.wrap(_base64(data), 10)),
    "base64 with tabs before it": lambda data: "\t\t" + _base64(data),
    "data url": lambda data: f"data:image/png;base64,{_base64(data)}",
    "data url in capitals": lambda data: f"DATA:IMAGE/PNG;BASE64,{_base64(data)}",
    "data url of text": lambda data: f"data:text/plain;charset=utf-8;base64,{_base64(data)}",
    "data url without type": lambda data: f"data:;base64,{_without_padding(data)}",
    "data url, percent-encoded": lambda data: f"data:image/png,{quote(data)}",
    "data url, base64 percent-encoded": lambda data: (
        "data:image/png;base64," + quote(_base64(data), safe="")
    ),
    "hex": lambda data: data.hex(),
    "hex in capitals": lambda data: "0x" + data.hex().upper(),
    "hex in lines": lambda data: "\n".join(textwrap.wrap(data.hex(), 64)),
}
"""Each is read alike by every decoder that reads it."""

DISGUISES: dict[str, Callable[[bytes], str]] = {
    "characters that decoders skip": lambda data: "!".join(textwrap.wrap(_base64(data), 50)),
    "one such at the start": lambda data: "*" + _base64(data),
    "both alphabets": lambda data: _base64(data).replace("/", "_", 3),
    "a word before": lambda data: "picture: " + _base64(data),
    "a comma before": lambda data: "x," + _base64(data),
    "a data url among words": lambda data: f"see data:image/png;base64,{_base64(data)} there",
    "markup": lambda data: f'<img src="data:image/jpeg;base64,{_base64(data)}">',
    "an unclosed bracket before": lambda data: "[" + _base64(data),
    "two of them": lambda data: f"{_base64(data)},{_base64(data)}",
    "hex among words": lambda data: "hex " + data.hex(),
    "base64 of base64": lambda data: _base64(_base64(data).encode()),
    "base64 of JSON": lambda data: _base64(json.dumps({"image": _base64(data)}).encode()),
    "base64 of gzip": lambda data: _base64(gzip.compress(data)),
    "a data url that is no base64": lambda data: f"data:image/png;base64,#{_base64(data)}",
    "much before it that decoders skip": lambda data: "*" * 500 + _base64(data),
    "escapes": lambda data: "a " + "".join(f"\\u{ord(one):04x}" for one in _base64(data)),
    "percents": lambda data: "".join(f"%{one:02x}" for one in data),
    "characters of markup": lambda data: "".join(f"&#{ord(one)};" for one in _base64(data)),
    "characters for bytes": lambda data: data.decode("latin-1"),
}
"""Each is a picture to some decoders and none, or another, to others."""


# ── Bodies ────────────────────────────────────────────────────────────────────────────────────


def request(
    path: str,
    body: bytes = b"",
    content_type: str = "",
    *,
    method: str = "POST",
    query: str = "",
    headers: Headers = (),
) -> Request:
    typed = (("content-type", content_type),) if content_type else ()
    return Request(method, path, query, (*typed, *headers), body)


def json_request(path: str, value: Any, **more: Any) -> Request:
    return request(path, json.dumps(value).encode(), "application/json", **more)


def part(name: str, content: bytes, filename: str | None = None, content_type: str = "") -> bytes:
    named = "" if filename is None else f'; filename="{filename}"'
    typed = f"Content-Type: {content_type}\r\n" if content_type else ""
    head = f'Content-Disposition: form-data; name="{name}"{named}\r\n{typed}\r\n'
    return head.encode() + content


def multipart(*parts: bytes, boundary: str = BOUNDARY) -> bytes:
    mark = f"--{boundary}".encode()
    return b"".join(mark + b"\r\n" + one + b"\r\n" for one in parts) + mark + b"--\r\n"


def form_request(path: str, *parts: bytes, **more: Any) -> Request:
    return request(path, multipart(*parts), f"multipart/form-data; boundary={BOUNDARY}", **more)


def urlencoded_request(path: str, fields: dict[str, str], **more: Any) -> Request:
    body = urlencode(fields).encode()
    return request(path, body, "application/x-www-form-urlencoded", **more)


def _brotli(data: bytes) -> bytes:
    import brotli  # noqa: PLC0415  # an extra

    return bytes(brotli.compress(data, quality=1))


def _zstd(data: bytes) -> bytes:
    import zstandard  # noqa: PLC0415  # an extra

    return zstandard.compress(data)


def _bare_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


COMPRESSIONS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", _bare_deflate),
    "br": ("br", _brotli),
    "zstd": ("zstd", _zstd),
    "gzip twice": ("gzip, gzip", lambda data: gzip.compress(gzip.compress(data))),
    "br in gzip": ("br, gzip", lambda data: gzip.compress(_brotli(data))),
}
