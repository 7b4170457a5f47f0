"""Texts that stand for bytes: base64 in either alphabet, hexadecimal, data URLs.

Decoders differ: some skip what is not in their alphabet, some stop there. So a text that carries
a picture must be one that all read alike, and it is written anew from the bytes that were checked.
A text in which some lenient decoder would find a picture, and ours none, is :class:`Unparsable`.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from urllib.parse import unquote, unquote_to_bytes

from initgate.service.proxy.kinds import HEAD, image_kind

# Shorter texts carry no picture that could be recognised.
MIN_TEXT = 64

# From here on, text that decodes to bytes that are no text is taken to carry something.
MIN_OPAQUE = 512

# Base64 is wrapped at 64 or 76 characters. Words are shorter, and a prompt is made of words.
_MIN_LINE = 24

# Characters that show what a text begins as, a few of them skipped.
_BEGINNING = 400

# After so many commas, only the last may begin something.
_MAX_COMMAS = 8

_DATA_URL = re.compile(r"\s*(data:[^,]{0,200},)", re.IGNORECASE)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)={0,2}")
_TO_STANDARD = str.maketrans("-_", "+/")
_NO_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)

# How the pictures that door 1 reads begin in base64, six bits a character, wherever it stands;
# and what each of these holds, which is looked for first: it is sooner found not to be there.
_HIDDEN_BASE64 = re.compile(
    rb"(?:/9j/[2w4567/]|iVBORw0KGg|R0lGOD[dl]h|UklGR.{6}XRUJQ|SUkqA|TU0AK"
    rb"|A.{4}[GWm2]Z0eX|Qk.{17}[MQo04As8]AAA).{64}"
)
_IN_BASE64 = (b"/9j/", b"iVBORw0KGg", b"R0lGOD", b"XRUJQ", b"SUkqA", b"TU0AK", b"Z0eX", b"AAA")
_HIDDEN_HEX = re.compile(
    rb"(?:ffd8ff[def]|89504e470d0a1a0a|4749463839|4749463837|52494646.{8}57454250)[0-9a-f]{100}"
)
_IN_HEX = (b"ffd8ff", b"89504e47", b"47494638", b"52494646")


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


def look(text: str, *, most: int) -> Carried | None:
    """The bytes that a text stands for; None if it is just words.

    Args:
        text: All of it.
        most: How many characters words may have.

    Raises:
        Unparsable: It holds what may be a picture in no spelling that all decoders read alike, or
            has too many words.
    """
    if len(text) < MIN_TEXT:
        return None
    if image_kind(text[:HEAD].encode("utf-8", "replace")) == "svg":  # which is text
        return Carried(text.encode("utf-8", "replace"), "svg")
    if header := _DATA_URL.match(text):
        return _look_in_url(header[1], text[header.end() :], most)
    if carried := _look_in_hex(text) or _look_in_base64(text, most):
        return carried
    if len(text) > most:
        raise Unparsable("more words than max_words")
    _bar_hidden(text)
    return None


def _look_in_url(header: str, rest: str, most: int) -> Carried | None:
    """What a data URL holds, whatever media type it claims."""
    if "%" in rest:
        if len(rest) > most:
            raise Unparsable("a percent-encoded data URL longer than max_words")
        unquoted = unquote_to_bytes(rest)
        if not re.search(r";\s*base64\s*,$", header, re.IGNORECASE):
            return _as_carried(unquoted, Spelling.BASE64, is_url=True)
        rest = unquoted.decode("ascii", "replace")
    if not re.search(r";\s*base64\s*,$", header, re.IGNORECASE):
        inner = look(rest, most=most)
        return None if inner is None else replace(inner, spelling=Spelling.BASE64, is_url=True)
    data = _from_base64("".join(rest.split()))
    if data is None:
        raise Unparsable("a data URL that is not base64 as it says")
    return _as_carried(data, Spelling.BASE64, is_url=True)


def _as_carried(data: bytes, spelling: Spelling, *, is_url: bool = False) -> Carried:
    if kind := image_kind(data):
        return Carried(data, kind, spelling, is_url)
    return Carried(data, "no image", spelling, is_url, is_image=False)


def _look_in_hex(text: str) -> Carried | None:
    if not _is_picture_in_hex(text[:_BEGINNING]):
        return None
    try:
        data = _from_hex(text)
    except ValueError:
        return None
    return Carried(data, image_kind(data), Spelling.HEX)


def _is_picture_in_hex(beginning: str) -> bool:
    compact = "".join(beginning.split())
    try:
        return bool(image_kind(_from_hex(compact[: len(compact) // 2 * 2])))
    except ValueError:
        return False


def _from_hex(text: str) -> bytes:
    return bytes.fromhex(text.strip().removeprefix("0x").removeprefix("0X"))


def _look_in_base64(text: str, most: int) -> Carried | None:
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
        return Carried(data, "no image", Spelling.BASE64, is_image=False)
    _bar_nested(data.decode(), most)
    return None


def _bar_nested(text: str, most: int) -> None:
    """Text that stands for text must not stand for a picture in the end."""
    if text[:1] in {"{", "["} and len(text) <= most:
        _bar_hidden(text)
    elif look(text, most=most) is not None:
        raise Unparsable("encoded twice")


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


def _bar_hidden(text: str) -> None:
    """Finds what a decoder that skips characters, or begins after a comma, would find.

    Also in a form that is not called one, whose slashes are percent-encoded.
    """
    _bar_hidden_in(text)
    if "%" in text and (unquoted := unquote(text)) != text:
        _bar_hidden_in(unquoted)


def _bar_hidden_in(text: str) -> None:
    commas = [found.end() for found in islice(re.finditer(",", text), _MAX_COMMAS)]
    for start in {0, *commas, text.rfind(",") + 1}:
        beginning = text[start : start + _BEGINNING]
        if any(map(_begins_image, _skipping(beginning))):
            raise Unparsable("an image in text that decoders read in different ways")
    if any(_holds(one, _IN_BASE64, _HIDDEN_BASE64) for one in _skipping(text)):
        raise Unparsable("an image among other text")
    compact = "".join(text.split()).encode("ascii", "replace").lower()
    if _holds(compact, _IN_HEX, _HIDDEN_HEX):
        raise Unparsable("an image in hexadecimal among other text")


def _holds(text: bytes, parts: tuple[bytes, ...], whole: re.Pattern[bytes]) -> bool:
    return any(part in text for part in parts) and bool(whole.search(text))


def _skipping(text: str) -> list[bytes]:
    """What is left of a text for a decoder of either alphabet that skips all else."""
    readings = [text, text.translate(_TO_STANDARD)] if "-" in text or "_" in text else [text]
    return [one.encode("ascii", "ignore").translate(None, _NO_BASE64) for one in readings]


def _begins_image(digits: bytes) -> bool:
    head = digits[: len(digits) // 4 * 4]
    return len(head) >= MIN_TEXT and bool(image_kind(base64.b64decode(head)))
