"""A request's body becomes the images in it. No I/O. What is not understood whole is a problem.

Whoever asks here decides on its own what to do with the answer, so nothing is searched for in odd
places: there are three forms, and all else is turned away.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from initgate.service.problems import Problem

MAX_TEXT = 256
"""Characters of a subject or request id."""

_FIELDS = ("subject", "request_id")
_ALPHABET = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller wants to know.

    Args:
        images: The files.
        is_many: Whether they came in a form for several.
        subject: Who sent them to the caller; ``""`` if it does not say.
        request_id: The caller's own id; the same.
    """

    images: Sequence[bytes]
    is_many: bool = False
    subject: str = ""
    request_id: str = ""


class JsonBody(BaseModel):
    """The JSON form. Exactly one of ``image`` and ``images``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    image: str | None = Field(default=None, min_length=1)
    images: list[str] | None = Field(default=None, min_length=1)
    subject: str = ""
    request_id: str = ""

    @model_validator(mode="after")
    def _check_one(self) -> JsonBody:
        if (self.image is None) is (self.images is None):
            raise ValueError("give either image or images")
        return self


def read(body: bytes, headers: Mapping[str, str], *, max_images: int) -> Asked:
    """Takes a body apart.

    Args:
        body: All of it.
        headers: The request's, by their names in lower case.
        max_images: More are a problem.

    Raises:
        Problem: 415 for a form that is not known, 422 for one that is broken, 413 for too many
            images.
    """
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "send the body without a content-encoding")
    kind, options = parse_options_header(headers.get("content-type", ""))
    match kind.lower().partition(b"/"):
        case (b"multipart", _, b"form-data"):
            asked = _read_multipart(body, options.get(b"boundary", b""), max_images)
        case (b"application", _, b"json"):
            asked = _read_json(body)
        case (b"image", _, _) | (b"application", _, b"octet-stream"):
            asked = Asked((body,))
        case _:
            raise Problem(
                415,
                "allowed: image/*, application/octet-stream, application/json, multipart/form-data",
            )
    if len(asked.images) > max_images:
        raise _too_many(max_images)
    if not asked.images or not all(asked.images):
        raise Problem(422, "no image, or an empty one")
    return Asked(
        asked.images,
        asked.is_many,
        asked.subject or _text(headers.get("x-subject", "")),
        asked.request_id or _text(headers.get("x-request-id", "")),
    )


def _too_many(most: int) -> Problem:
    return Problem(413, f"more than {most} images")


def _text(value: str) -> str:
    if len(value) > MAX_TEXT or not value.isprintable():
        raise Problem(422, f"subject and request_id are at most {MAX_TEXT} printable characters")
    return value


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────


def _read_json(body: bytes) -> Asked:
    try:
        parsed = json.loads(body.decode("utf-8"), object_pairs_hook=_unambiguous)
        told = JsonBody.model_validate(parsed)
    except ValidationError as error:
        raise Problem(422, _explain(error)) from None
    except (ValueError, RecursionError):
        raise Problem(422, "no JSON, or a key stands twice") from None
    images = [told.image] if told.images is None else told.images
    return Asked(
        [_from_base64(one) for one in images if one is not None],
        told.images is not None,
        _text(told.subject),
        _text(told.request_id),
    )


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _explain(error: ValidationError) -> str:
    """What is wrong, without what was sent."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"][:1]))  # the rest may be the caller's own words
    known = where if where in JsonBody.model_fields else ""
    return f"{known}: {first['msg']}".removeprefix(": ")


def _from_base64(text: str) -> bytes:
    """The bytes of base64 in either alphabet, also behind the head of a data URL."""
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise Problem(422, "a data URL of an image ends in ;base64, and has its bytes after it")
    try:
        plain = text.encode("ascii").translate(_ALPHABET, b" \t\r\n").rstrip(b"=")
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise Problem(422, "an image is base64 of its file, or a data URL") from None


# ── Multipart ─────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Form:
    """Collects the parts of a form: every one is an image, but for the two fields."""

    max_images: int
    images: list[bytes] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    is_whole: bool = False
    _header: list[bytearray] = field(default_factory=list)
    _headers: dict[bytes, bytes] = field(default_factory=dict)
    _content: list[bytes] = field(default_factory=list)

    def on_part_begin(self) -> None:
        self._headers, self._content = {}, []
        self._header = [bytearray(), bytearray()]

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def on_header_end(self) -> None:
        name, value = map(bytes, self._header)
        self._headers[name.lower()] = value
        self._header = [bytearray(), bytearray()]

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def on_part_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        content = b"".join(self._content)
        if name in _FIELDS and b"filename" not in options:
            if name in self.fields:
                raise Problem(422, f"{name} stands twice")
            self.fields[name] = _text(content.decode("utf-8", "replace"))
        elif len(self.images) == self.max_images:
            raise _too_many(self.max_images)
        else:
            self.images.append(content)

    def on_end(self) -> None:
        self.is_whole = True


def _read_multipart(body: bytes, boundary: bytes, max_images: int) -> Asked:
    form = _Form(max_images)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": form.on_part_begin,
                "on_header_field": form.on_header_field,
                "on_header_value": form.on_header_value,
                "on_header_end": form.on_header_end,
                "on_part_data": form.on_part_data,
                "on_part_end": form.on_part_end,
                "on_end": form.on_end,
            },
        )
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise Problem(422, "no multipart form") from None
    if not form.is_whole:
        raise Problem(422, "a multipart form that is cut off")
    return Asked(form.images, len(form.images) > 1, **form.fields)
