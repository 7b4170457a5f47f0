"""Multipart bodies, read strictly and written anew.

What RFC 7578 leaves to taste, parsers do differently: line ends, padding, doubled headers,
backslashes in names. Here a body has one reading or none.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from initgate.service.proxy.texts import Unparsable

_CRLF = b"\r\n"
_BOUNDARY = re.compile(r"[A-Za-z0-9'()+_,./:=?-]{1,70}")  # RFC 2046, without the space
_HEADER = re.compile(r"([A-Za-z0-9-]{1,64}):([^\r\n\0]*)")
_PARAMETER = re.compile(
    r";[ \t]*([A-Za-z0-9*-]{1,32})=(?:\"([^\"\\\r\n\0]*)\"|([A-Za-z0-9!#$&+.^_`|~'%:@/-]+))[ \t]*"
)
_LONGEST_HEAD = 16_384  # bytes
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PLAIN_TRANSFER = {"binary", "8bit", "7bit"}
_CHARSETS = {"utf-8", "utf8", "us-ascii", "ascii"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a multipart body.

    Args:
        name: The field's.
        content: Its bytes.
        filename: None if the part is no file.
        content_type: As it was given; empty if it was not.
    """

    name: str
    content: bytes
    filename: str | None = None
    content_type: str = ""


def parameters(value: str) -> tuple[str, dict[str, str]]:
    """A header's value and its parameters, names in lower case.

    Raises:
        Unparsable: It is not of that form, or a parameter stands twice.
    """
    first, semicolon, rest = value.partition(";")
    found: dict[str, str] = {}
    position, rest = 0, (semicolon + rest).rstrip()
    while position < len(rest):
        one = _PARAMETER.match(rest, position)
        if one is None or one[1].lower() in found:
            raise Unparsable("a header with malformed or doubled parameters")
        found[one[1].lower()] = one[2] if one[2] is not None else one[3]
        position = one.end()
    return first.strip().lower(), found


def bar_charset(given: dict[str, str]) -> None:
    """Refuses texts in anything but UTF-8.

    Raises:
        Unparsable: A content type's parameters name another character set.
    """
    if given.get("charset", "utf-8").lower() not in _CHARSETS:
        raise Unparsable("a character set other than UTF-8")


def split(data: bytes, boundary: str, *, max_parts: int) -> Iterator[Piece]:
    """The parts of a body.

    Args:
        data: The body.
        boundary: As the content type gives it.
        max_parts: More are unparsable.

    Raises:
        Unparsable: It is not well-formed in every detail.
    """
    if not _BOUNDARY.fullmatch(boundary):
        raise Unparsable("a multipart body with no or a malformed boundary")
    mark = b"--" + boundary.encode()
    lead, *raw = (_CRLF + data.removeprefix(_CRLF)).split(_CRLF + mark, max_parts + 2)
    if lead or not raw or len(raw) > max_parts + 1:
        raise Unparsable(f"a multipart body with text before it, no or more than {max_parts} parts")
    *pieces, end = raw
    if end not in {b"--", b"--" + _CRLF}:
        raise Unparsable("a multipart body that does not end as it should")
    for piece in pieces:
        if not piece.startswith(_CRLF):
            raise Unparsable("a multipart body with a malformed boundary line")
        yield _read_piece(piece)


def _read_piece(piece: bytes) -> Piece:
    head, separator, content = piece.partition(_CRLF + _CRLF)
    if not separator or len(head) > _LONGEST_HEAD:
        raise Unparsable("a part with no or endless headers")
    headers = _read_headers(head)
    transfer = headers.get("content-transfer-encoding", "binary").lower()
    if transfer not in _PLAIN_TRANSFER or "content-encoding" in headers:
        raise Unparsable("an encoded part")
    disposition, given = parameters(headers.get("content-disposition", ""))
    if disposition not in {"form-data", "attachment", "file"}:  # the latter two are nested ones
        raise Unparsable("a part without a disposition")
    return Piece(
        name=given.get("name", ""),
        content=content,
        filename=_filename(given),
        content_type=headers.get("content-type", ""),
    )


def _read_headers(head: bytes) -> dict[str, str]:
    try:
        lines = head.decode().split("\r\n")[1:]
    except UnicodeDecodeError:
        raise Unparsable("a part whose headers are not UTF-8") from None
    headers: dict[str, str] = {}
    for line in lines:
        found = _HEADER.fullmatch(line)
        if found is None or found[1].lower() in headers:
            raise Unparsable("a part with malformed or doubled headers")
        headers[found[1].lower()] = found[2].strip(" \t")
    return headers


def _filename(given: dict[str, str]) -> str | None:
    extended = given.get("filename*")
    if extended is None:
        return given.get("filename")
    charset, _, encoded = extended.partition("''")
    if charset.lower() != "utf-8":
        raise Unparsable("a file name in a character set other than UTF-8")
    name = unquote(encoded, errors="replace")
    if _CONTROL.search(name):  # a server may read no further than to a zero
        raise Unparsable("a file name with control characters")
    if given.get("filename", name) != name:
        raise Unparsable("a part with two file names")
    return name


def join(pieces: Iterable[Piece]) -> tuple[str, bytes]:
    """A body of parts, with a boundary that none of them holds.

    Returns:
        The boundary, and the body.
    """
    boundary = f"initgate-{secrets.token_hex(16)}"  # unforeseeable, so no part can hold it
    lines: list[bytes] = []
    for piece in pieces:
        disposition = f'form-data; name="{_quote(piece.name)}"'
        if piece.filename is not None:
            disposition += f'; filename="{_quote(piece.filename)}"'
        lines += [f"--{boundary}".encode(), f"Content-Disposition: {disposition}".encode()]
        if piece.content_type:
            lines.append(f"Content-Type: {piece.content_type}".encode())
        lines += [b"", piece.content]
    return boundary, _CRLF.join([*lines, f"--{boundary}--".encode(), b""])


def _quote(name: str) -> str:
    """As browsers write names."""
    for character, written in (('"', "%22"), ("\r", "%0D"), ("\n", "%0A"), ("\\", "%5C")):
        name = name.replace(character, written)
    return name
