"""Texts that stand for bytes: base64 in either alphabet, hexadecimal, data URLs.

Decoders differ: some skip what is not in their alphabet, some stop there. So a text that carries
a picture must be one that all read alike, and it is written anew from the bytes that were checked.
A text in which some lenient decoder would find a picture, and ours none, is :class:`Unparsable`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import unquote_to_bytes

from initgate.service.proxy.kinds import HEAD, bare_kind, image_kind, is_svg

# Shorter texts carry no picture that could be recognised.
MIN_TEXT = 64

# From here on, text that decodes to bytes that are no text is taken to carry something.
MIN_OPAQUE = 512

# Base64 is wrapped at 64 or 76 characters. Words are shorter, and a prompt is made of words.
_MIN_LINE = 24

# Characters that show what a text begins as.
_BEGINNING = 400

# After so many commas, only the last may begin something; what is long without a gap is looked at
# wherever it stands.
_MAX_COMMAS = 8

_DATA_URL = re.compile(r"\s*(data:[^,]{0,200},)", re.IGNORECASE)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)={0,2}")
_TO_STANDARD = str.maketrans("-_", "+/")
_NO_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)

_NO_HEX = bytes(set(range(256)) - set(b"0123456789abcdef"))
_BASE64_RUN = re.compile(rb"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{64,}+")
_HEX_RUN = re.compile(rb"(?<![0-9a-f])[0-9a-f]{128,}+")

# How the pictures that door 1 reads begin in base64, six bits a character, wherever it stands;
# and what each of these holds, which is looked for first: it is sooner found not to be there.
_HIDDEN_BASE64 = re.compile(
    rb"(?:/9j/[w-z0-9+/]|iVBORw0KGg|R0lGOD[dl]h|UklGR.{6}XRUJQ|SUkqA|TU0AK"
    rb"|A.{4}[GWm2]Z0eX|Qk.{17}[MQo04As8]AAA).{64}"
)
_IN_BASE64 = (b"/9j/", b"iVBORw0KGg", b"R0lGOD", b"XRUJQ", b"SUkqA", b"TU0AK", b"Z0eX", b"AAA")
_HIDDEN_HEX = re.compile(
    rb"(?:ffd8ff[c-f]|89504e470d0a1a0a|4749463839|4749463837|52494646.{8}57454250)[0-9a-f]{100}"
)
_IN_HEX = (b"ffd8ff", b"89504e47", b"47494638", b"52494646")

# How characters are written in URLs, in JSON and programs, and in markup.
_ESCAPED = re.compile(
    r"%([0-9a-f]{2})|\\x([0-9a-f]{2})|\\u\{?([0-9a-f]{4,6})\}?|&#x([0-9a-f]{1,6});"
    r"|&#([0-9]{1,7});|\\(/)",
    re.IGNORECASE,
)
_MAX_CODE = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)
_MAX_ESCAPED = 500_000  # more of them are no words

# The values of bytes, one after another.
_LISTED = re.compile(r"[\d\s,;\[\](){}-]+")
_BYTE = 256


class Unparsable(ValueError):
    """A request that two parsers could read in two ways. It is refused, not forwarded.

    The message is for the operator and holds nothing of what was sent but names of fields.
    """


class Spelling(StrEnum):
    """How bytes are written as text, or that they are not."""

    RAW = "raw"
    BASE64 = "base64"
    HEX = "hex"
    NUMBERS = "numbers"
    """A JSON array of the bytes' values."""


@dataclass(frozen=True, slots=True)
class Carried:
    """Bytes that stand in a request.

    Args:
        data: The bytes.
        kind: What they begin as, e.g. ``"png"``, for the operator.
        spelling: How they are written.
        is_url: Whether a data URL's header stands before them.
        is_image: Whether they are, or may be, a picture.
    """

    data: bytes
    kind: str
    spelling: Spelling = Spelling.RAW
    is_url: bool = False
    is_image: bool = True

    def with_data(self, data: bytes) -> Carried:
        """The same place with other bytes."""
        return replace(self, data=data, kind=image_kind(data) or self.kind)

    def __str__(self) -> str:
        """As it is written anew. One spelling, which every decoder reads alike."""
        if self.spelling is Spelling.HEX:
            written = self.data.hex()
        else:
            written = base64.b64encode(self.data).decode()
        return f"data:{self.media};base64,{written}" if self.is_url else written

    @property
    def media(self) -> str:
        """The media type of what it is."""
        return _MEDIA.get(self.kind, "application/octet-stream")


_MEDIA = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "tiff": "image/tiff",
    "riff": "image/webp",
    "iso media": "image/avif",
}


def look(text: str, *, most: int, bar: Callable[[str], None]) -> Carried | None:
    """The bytes that a text stands for; None if it is just words.

    Args:
        text: All of it.
        most: How many characters words may have.
        bar: Is called on every text that this one may stand for, and raises if that carries
            something: what is encoded twice would have to be written so again.

    Raises:
        Unparsable: It holds what may be a picture in no spelling that all decoders read alike, or
            has too many words.
    """
    if is_svg(text):  # which is text
        return Carried(text.encode("utf-8", "replace"), "svg")
    if len(text) < MIN_TEXT:
        return None
    if header := _DATA_URL.match(text):
        return _look_in_url(header[1], text[header.end() :], most, bar)
    if carried := _look_in_hex(text) or _look_in_base64(text, bar):
        return carried
    if len(text) > most:
        raise Unparsable("more words than max_words")
    characters = text[:HEAD].encode("latin-1", "replace")
    if _begins_file(characters) or image_kind(_to_numbers(text)):
        raise Unparsable("an image whose bytes are written as characters or numbers")
    bar_hidden(text)
    if sum(map(text.count, ("%", "\\", "&#"))) > _MAX_ESCAPED:
        raise Unparsable(f"more than {_MAX_ESCAPED} characters that are escaped")
    unescaped = _ESCAPED.sub(_unescape, text)
    if unescaped != text:
        bar(unescaped)
    return None


def _unescape(found: re.Match[str]) -> str:
    number = found.lastindex or 0
    match number:
        case 6:
            return "/"
        case 5:
            code = int(found[number])
        case _:
            code = int(found[number], 16)
    return chr(code) if code <= _MAX_CODE and code not in _SURROGATES else "\ufffd"


def _to_numbers(text: str) -> bytes:
    """The bytes that a text begins to list in decimals; none if it does not."""
    head = text[: HEAD * 4]
    if not _LISTED.fullmatch(head):
        return b""
    numbers = [int(one) for one in re.findall(r"-?\d{1,3}", head)]
    if not all(-_BYTE // 2 <= one < _BYTE for one in numbers):
        return b""
    return bytes(one % _BYTE for one in numbers)


def _look_in_url(header: str, rest: str, most: int, bar: Callable[[str], None]) -> Carried | None:
    """What a data URL holds, whatever media type it claims."""
    if "%" in rest:
        if len(rest) > most:
            raise Unparsable("a percent-encoded data URL longer than max_words")
        unquoted = unquote_to_bytes(rest)
        if not re.search(r";\s*base64\s*,$", header, re.IGNORECASE):
            return _as_carried(unquoted, Spelling.BASE64, is_url=True)
        rest = unquoted.decode("ascii", "replace")
    if not re.search(r";\s*base64\s*,$", header, re.IGNORECASE):
        inner = look(rest, most=most, bar=bar)
        return None if inner is None else replace(inner, spelling=Spelling.BASE64, is_url=True)
    data = _from_base64("".join(rest.split()))
    if data is None:
        raise Unparsable("a data URL that is not base64 as it says")
    return _as_carried(data, Spelling.BASE64, is_url=True)


def _as_carried(data: bytes, spelling: Spelling, *, is_url: bool = False) -> Carried:
    if kind := image_kind(data) or bare_kind(data):
        return Carried(data, kind, spelling, is_url)
    return Carried(data, "no image", spelling, is_url, is_image=False)


def _look_in_hex(text: str) -> Carried | None:
    if not _is_picture_in_hex(text.lstrip()[:_BEGINNING]):
        return None
    try:
        data = _from_hex(text)
    except ValueError:
        return None
    return _as_carried(data, Spelling.HEX)


def _is_picture_in_hex(beginning: str) -> bool:
    compact = "".join(beginning.split())
    try:
        head = _from_hex(compact[: len(compact) // 2 * 2])
    except ValueError:
        return False
    return _begins_file(head)


def _from_hex(text: str) -> bytes:
    return bytes.fromhex(text.strip().removeprefix("0x").removeprefix("0X"))


def _look_in_base64(text: str, bar: Callable[[str], None]) -> Carried | None:
    lines = text.split()
    compact = "".join(lines)
    begins = _from_base64(compact[: HEAD * 4 // 3 // 4 * 4], is_part=True)
    if begins is None:
        return None
    kind = image_kind(begins)
    is_wrapped = all(len(line) >= _MIN_LINE for line in lines[:-1])
    if not kind and not (is_wrapped and len(compact) >= MIN_OPAQUE):
        return None
    data = _from_base64(compact)
    if data is None:
        return None
    if kind:
        return Carried(data, kind, Spelling.BASE64)
    if not _is_text(data):
        return _as_carried(data, Spelling.BASE64)
    bar(data.decode())
    return None


def _from_base64(compact: str, *, is_part: bool = False) -> bytes | None:
    """The bytes, if the text is base64 in one alphabet throughout."""
    if not _BASE64.fullmatch(compact):
        return None
    digits = compact.rstrip("=").translate(_TO_STANDARD)
    if len(digits) % 4 == 1:
        if not is_part:
            return None
        digits = digits[:-1]
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except binascii.Error:
        return None


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


def bar_hidden(text: str) -> None:
    """Finds what a decoder that skips characters, or begins after some, would find.

    Raises:
        Unparsable: It would find a picture.
    """
    for reading in _read_base64(text):
        kept, starts = _skip(reading)
        runs = (run[0] for run in _BASE64_RUN.finditer(reading))
        if any(map(_begins_image, [kept[start : start + _BEGINNING] for start in starts])):
            raise Unparsable("an image in text that decoders read in different ways")
        if _holds(kept, _IN_BASE64, _HIDDEN_BASE64) or any(map(_begins_image, runs)):
            raise Unparsable("an image among other text")
    lowered = text.lower().encode("ascii", "ignore")
    kept = lowered.replace(b"0x", b"").translate(None, _NO_HEX)
    runs = (run[0] for run in _HEX_RUN.finditer(lowered))
    if _holds(kept, _IN_HEX, _HIDDEN_HEX) or any(map(_begins_in_hex, (kept, *runs))):
        raise Unparsable("an image in hexadecimal among other text")


def _holds(text: bytes, parts: tuple[bytes, ...], whole: re.Pattern[bytes]) -> bool:
    return any(part in text for part in parts) and bool(whole.search(text))


def _read_base64(text: str) -> list[bytes]:
    """A text for decoders of either alphabet."""
    readings = [text, text.translate(_TO_STANDARD)] if "-" in text or "_" in text else [text]
    return [one.encode("ascii", "ignore") for one in readings]


def _skip(reading: bytes) -> tuple[bytes, list[int]]:
    """What is left for a decoder that skips all else, and where in it the text or a comma ends."""
    *pieces, last = reading.split(b",", _MAX_COMMAS)
    kept, starts = b"", []
    for piece in (*pieces, *last.rsplit(b",", 1)):
        starts.append(len(kept))
        kept += piece.translate(None, _NO_BASE64)
    return kept, starts


def _begins_image(digits: bytes) -> bool:
    head = digits[: min(len(digits), _BEGINNING) // 4 * 4]
    return len(head) >= MIN_TEXT and _begins_file(base64.b64decode(head))


def _begins_in_hex(digits: bytes) -> bool:
    head = digits[: min(len(digits), _BEGINNING) // 2 * 2]
    return len(head) >= 2 * MIN_TEXT and _begins_file(bytes.fromhex(head.decode()))


def _begins_file(data: bytes) -> bool:
    return bool(image_kind(data) or bare_kind(data))
