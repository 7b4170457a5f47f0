"""A request's body becomes a tree in which every picture stands open, or :class:`Unparsable`.

Pictures are found by their content, whatever the field and the content type are called: in the
parts of forms, also nested ones; in every text of JSON, also JSON within a text; in urlencoded
forms; in the body as such. The tree is written anew for the server, so that it cannot read
anything in it that was not read here.
"""

from __future__ import annotations

import codecs
import json
import math
import operator
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn, TypeAlias
from urllib.parse import parse_qsl, urlencode

from initgate.service.proxy import multipart
from initgate.service.proxy.kinds import bare_kind, image_kind, opaque_kind
from initgate.service.proxy.multipart import Piece, bar_charset
from initgate.service.proxy.texts import MIN_TEXT, Carried, Spelling, Unparsable, bar_hidden, look

Where: TypeAlias = tuple[str | int, ...]
"""A place in a request: keys of objects, names of fields with their number, indices of arrays."""

_MAX_INT = 2**64  # seeds are as large
_BYTE = 256
_MIN_NUMBERS = 64  # an array of fewer bytes is no picture
_MIN_ROW = 8  # fewer numbers are a place, a size or a colour
_MAX_NUMBERS = 4096  # more numbers in all arrays may be pixels or latents
_JSON_TYPES = re.compile(r"application/(?:[\w.-]+\+)?json|text/json")
_FORM = "application/x-www-form-urlencoded"
# Before JSON: what parsers skip, and the heads of socket.io's messages, as in 42["run",{}].
_LEAD = re.compile(
    r"[\s\x00-\x20\ufeff\u200b,;]*+(?:\d{1,20}-?(?:/[^,\[{\"\s]{0,200},)?\d{0,20})?(?=[\[{\"])"
)
_MAX_LAYERS = 4  # of words encoded again and again
_MORSEL = 256  # four bytes of zstd can become 128 KiB


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a request may cost. More is unparsable.

    Args:
        max_bytes: Of the body, decompressed.
        max_values: Values in a JSON text, or fields of a form.
        max_depth: Nesting of JSON and of forms.
        max_parts: Of a multipart body.
        max_images: In all.
        max_words: Characters of all texts that carry nothing.
    """

    max_bytes: int = 128 * 1024 * 1024
    max_values: int = 100_000
    max_depth: int = 64
    max_parts: int = 256
    max_images: int = 64
    max_words: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Document:
    """JSON.

    Args:
        value: What was read.
        text: How it came, if it came within a text and carries nothing.
        leads: If it is several values one after another, or stands behind something: what stands
            before each. Then ``value`` is the list of them.
    """

    value: Node
    text: str | None = None
    leads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a form."""

    name: str
    value: Node
    filename: str | None = None
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a multipart body, or of an urlencoded one."""

    fields: tuple[Field, ...]
    multipart: bool


Node: TypeAlias = (
    "Document | Form | Carried | str | float | bool | list[Node] | dict[str, Node] | None"
)
"""A part of the tree. A text is words, or it would be :class:`Carried`."""


@dataclass(frozen=True, slots=True)
class Body:
    """A body that was read.

    Args:
        root: The tree.
        content_type: As it was given; the server gets it unless it was wrong.
    """

    root: Node
    content_type: str = ""


# ── Reading ───────────────────────────────────────────────────────────────────────────────────


def read(data: bytes, *, content_type: str = "", encoding: str = "", bounds: Bounds) -> Body:
    """Reads a body.

    Args:
        data: Its bytes, as they came.
        content_type: The header.
        encoding: The header ``Content-Encoding``.
        bounds: What it may cost.

    Raises:
        Unparsable: It could be read in two ways, or not within the bounds.
    """
    data = _decompress(data, encoding, bounds.max_bytes)
    reader = _Reader(bounds)
    media, given = multipart.parameters(content_type)
    if media.startswith("multipart/"):
        return Body(reader.read_multipart(data, media, given), content_type)
    if not data:
        return Body("", content_type)
    if data.startswith(codecs.BOM_UTF8):
        raise Unparsable("text with a byte order mark")
    bar_charset(given)
    if _JSON_TYPES.fullmatch(media) or data.lstrip()[:1] in {b"{", b"["}:
        # Whatever it is called: some servers read JSON without asking for the type.
        is_called_so = bool(_JSON_TYPES.fullmatch(media))
        return Body(
            reader.read_document(_to_text(data)),
            content_type if is_called_so else "application/json",
        )
    if media == _FORM:
        return Body(reader.read_urlencoded(_to_text(data)), content_type)
    return Body(reader.read_bytes(data), content_type)


def read_text(text: str, *, bounds: Bounds) -> Node:
    """Reads a text that stands outside the body, where bytes that are no picture may stand."""
    return _Reader(bounds, is_outside=True).read_text(text)


def read_query(query: str, *, bounds: Bounds) -> Form:
    """Reads what stands after the question mark."""
    return _Reader(bounds, is_outside=True).read_urlencoded(query)


class _Reader:
    def __init__(self, bounds: Bounds, *, is_outside: bool = False) -> None:
        self._bounds = bounds
        self._is_outside = is_outside
        self._depth = 0
        self._images = 0
        self._layers = 0
        self._numbers = 0
        self._words = bounds.max_words

    def read_multipart(self, data: bytes, media: str, given: dict[str, str]) -> Form:
        if media not in {"multipart/form-data", "multipart/mixed"}:
            raise Unparsable("a multipart body that is no form")
        self._descend()
        pieces = multipart.split(data, given.get("boundary", ""), max_parts=self._bounds.max_parts)
        fields = tuple(self._read_piece(piece) for piece in pieces)
        self._depth -= 1
        return Form(fields, multipart=True)

    def _read_piece(self, piece: Piece) -> Field:
        media, given = multipart.parameters(piece.content_type)
        for name in (piece.name, piece.filename or ""):
            self._read_key(name)
        if piece.name == "_charset_":  # by which some parsers read all other fields
            raise Unparsable("a form that names its character set")
        if media.startswith("multipart/"):
            value: Node = self.read_multipart(piece.content, media, given)
        else:
            value = self.read_bytes(piece.content)
            if not isinstance(value, Carried):
                bar_charset(given)
        return Field(piece.name, value, piece.filename, piece.content_type)

    def read_urlencoded(self, text: str) -> Form:
        try:
            pairs = parse_qsl(
                text,
                keep_blank_values=True,
                errors="strict",
                max_num_fields=self._bounds.max_values,
            )
        except ValueError:
            raise Unparsable(
                "an urlencoded form that is not UTF-8, or has too many fields"
            ) from None
        fields = []
        for name, value in pairs:
            self._read_key(name)
            fields.append(Field(name, self.read_text(value)))
        return Form(tuple(fields), multipart=False)

    def read_bytes(self, data: bytes) -> Node:
        if kind := image_kind(data):
            return self._count(Carried(data, kind))
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            if kind := bare_kind(data):
                return self._count(Carried(data, kind))
            return Carried(data, opaque_kind(data), is_image=False)
        return self.read_text(text)

    def read_text(self, text: str) -> Node:
        if _LEAD.match(text):
            return self._read_nested(text)
        carried = self._look(text)
        return text if carried is None else self._count(carried)

    def _look(self, text: str) -> Carried | None:
        carried = look(text, most=self._words, bar=self._bar_carried)
        self._words -= len(text) if carried is None else 0
        return carried

    def _bar_carried(self, text: str) -> None:
        """What a text stands for must be words: it would have to be encoded twice again."""
        self._layers += 1
        inner = walk(self.read_text(text)) if self._layers <= _MAX_LAYERS else ()
        is_barred = any(
            isinstance(one, Carried) and (one.is_image or not self._is_outside) for _, one in inner
        )
        if self._layers > _MAX_LAYERS or is_barred:
            raise Unparsable("something encoded twice")
        self._layers -= 1

    def read_document(self, text: str) -> Document:
        try:
            return Document(self._read_json(text))
        except json.JSONDecodeError:
            raise Unparsable("JSON that is malformed") from None

    def _read_nested(self, text: str) -> Node:
        """JSON in a text: one value or several, also behind the head of a message."""
        leads, values, rest = self._read_values(text)
        opened = [self._open(one) for one in values]
        if rest.strip():  # words that begin with a bracket or quoted, as prompts do
            if _carries(opened):
                raise Unparsable("something encoded in JSON that does not end as it should")
            self._look("\n" + text)
            return text
        read = Document(opened, None, tuple(leads))
        if len(opened) == 1 and not leads[0].strip():
            read = Document(opened[0])
        # All of it is a text as well, for decoders that skip brackets and quotes.
        carried = [where for where, one in walk(read) if isinstance(one, Carried)]
        bar_hidden(_to_text_of(change(read, dict.fromkeys(carried, ""))) if carried else text)
        return read if carried else replace(read, text=text)

    def _read_values(self, text: str) -> tuple[list[str], list[Any], str]:
        """What stands before each value, the values, and what is left of the text."""
        self._bar_many(text)
        leads: list[str] = []
        values: list[Any] = []
        end = 0
        while lead := _LEAD.match(text, end):
            try:
                value, end = _JSON.raw_decode(text, lead.end())
            except json.JSONDecodeError:
                break
            except RecursionError:
                raise Unparsable("JSON nested too deep") from None
            if len(values) >= self._bounds.max_values:
                raise Unparsable(f"JSON with more than {self._bounds.max_values} values")
            leads.append(lead[0])
            values.append(value)
        return leads, values, text[end:]

    def _read_json(self, text: str) -> Node:
        self._bar_many(text)
        try:
            value = _JSON.decode(text)
        except RecursionError:
            raise Unparsable("JSON nested too deep") from None
        return self._open(value)

    def _bar_many(self, text: str) -> None:
        if sum(map(text.count, ",[{")) > self._bounds.max_values:
            raise Unparsable(f"JSON with more than {self._bounds.max_values} values")

    def _open(self, value: Any, *, is_counted: bool = False) -> Node:
        """A value in which every text was looked at.

        Args:
            value: As JSON has it.
            is_counted: Whether its numbers were counted with those of an array around it.
        """
        match value:
            case str():
                _bar_surrogates(value)
                return self.read_text(value)
            case list():
                return self._read_array(value, is_counted=is_counted)
            case dict():
                if carried := self._read_numbered(value):
                    return carried
                self._descend()
                for key in value:
                    self._read_key(key)
                opened = {key: self._open(one) for key, one in value.items()}
                self._depth -= 1
                return opened
            case _:
                return value  # type: ignore[no-any-return]  # numbers, true, false and null

    def _read_array(self, values: list[Any], *, is_counted: bool) -> Node:
        data = _to_bytes_of(values)
        numbers = _count_numbers(values)
        are_many = not is_counted and self._are_many(numbers or 0)
        if kind := image_kind(data) or (bare_kind(data) if are_many else ""):
            if not all(type(one) is int and one >= 0 for one in values):
                raise Unparsable("an image in numbers that are no bytes")
            return self._count(Carried(data, kind, Spelling.NUMBERS))
        if are_many:
            return _to_carried(values)
        self._descend()
        is_counted = numbers is not None
        opened: list[Node] = [self._open(one, is_counted=is_counted) for one in values]
        self._depth -= 1
        return opened

    def _read_numbered(self, values: dict[str, Any]) -> Carried | None:
        """An object of numbers alone, as some languages write arrays of bytes."""
        numbers = [one for one in values.values() if type(one) in {int, float}]
        indices = sorted(filter(str.isdecimal, values), key=lambda key: (len(key), key))
        for order in (numbers, [values[key] for key in indices]):
            if image_kind(_to_bytes_of(order)):
                raise Unparsable("an image in the numbers of an object")
        return _to_carried(values) if self._are_many(len(numbers)) else None

    def _are_many(self, numbers: int) -> bool:
        """Whether the arrays of a request hold too many numbers, with those of one more."""
        self._numbers += numbers if numbers >= _MIN_ROW else 0
        return numbers >= _MIN_ROW and self._numbers > _MAX_NUMBERS

    def _read_key(self, key: str) -> None:
        _bar_surrogates(key)
        if len(key) >= MIN_TEXT and self._look(key) is not None:
            raise Unparsable("something encoded as the name of a field or file")

    def _count(self, carried: Carried) -> Carried:
        self._images += carried.is_image
        if self._images > self._bounds.max_images:
            raise Unparsable(f"more than {self._bounds.max_images} images")
        return carried

    def _descend(self) -> None:
        self._depth += 1
        if self._depth > self._bounds.max_depth:
            raise Unparsable(f"nested deeper than {self._bounds.max_depth}")


def _carries(node: Node) -> bool:
    return any(isinstance(one, Carried) for _, one in walk(node))


def _to_carried(values: list[Any] | dict[str, Any]) -> Carried:
    return Carried(json.dumps(values).encode(), "numbers", Spelling.NUMBERS, is_image=False)


def _to_bytes_of(values: list[Any]) -> bytes:
    """An array's numbers as bytes, with or without a sign; none if it is too short or no such."""
    if len(values) < _MIN_NUMBERS or not all(
        type(one) in {int, float} and -_BYTE // 2 <= one < _BYTE and one == int(one)
        for one in values
    ):
        return b""
    return bytes(int(one) % _BYTE for one in values)


def _count_numbers(values: list[Any]) -> int | None:
    """How many numbers an array holds, at any depth; None if anything else stands among them."""
    total = 0
    for one in values:
        if isinstance(one, int | float):
            total += 1
        elif isinstance(one, list) and (inner := _count_numbers(one)) is not None:
            total += inner
        else:
            return None
    return total


def _decompress(data: bytes, encoding: str, most: int) -> bytes:
    for coding in reversed([one.strip().lower() for one in encoding.split(",") if one.strip()]):
        match coding:
            case "identity":
                continue
            case "gzip" | "x-gzip":
                data = _inflate(data, 16 + zlib.MAX_WBITS, most)
            case "deflate":
                # With zlib's header, as it should be, or bare.
                is_wrapped = data[:1] == b"\x78" and int.from_bytes(data[:2]) % 31 == 0
                data = _inflate(data, zlib.MAX_WBITS if is_wrapped else -zlib.MAX_WBITS, most)
            case "br":
                data = _unbrotli(data, most)
            case "zstd":
                data = _unzstd(data, most)
            case _:
                raise Unparsable("an unknown Content-Encoding")
    if len(data) > most:
        raise Unparsable(f"a body of more than {most} bytes")
    return data


def _inflate(data: bytes, bits: int, most: int) -> bytes:
    inflater = zlib.decompressobj(bits)
    try:
        inflated = inflater.decompress(data, most + 1)
    except zlib.error:
        raise Unparsable("a broken compressed body") from None
    if len(inflated) > most:
        raise Unparsable(f"a body of more than {most} bytes")
    if not inflater.eof or inflater.unused_data:  # some read on behind the end, some do not
        raise Unparsable("a compressed body that is cut off or goes on")
    return inflated


def _unbrotli(data: bytes, most: int) -> bytes:
    import brotli  # noqa: PLC0415  # for few clients

    unpacker = brotli.Decompressor()
    try:
        unpacked = unpacker.process(data, output_buffer_limit=most)
    except brotli.error:
        raise Unparsable("a broken compressed body") from None
    if not unpacker.is_finished():
        raise Unparsable(f"a compressed body that is cut off, or of more than {most} bytes")
    return bytes(unpacked)


def _unzstd(data: bytes, most: int) -> bytes:
    import zstandard  # noqa: PLC0415  # for few clients

    unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
    unpacked = bytearray()
    try:
        for start in range(0, len(data), _MORSEL):
            if unpacker.eof:
                raise Unparsable("a compressed body that goes on")
            unpacked += unpacker.decompress(data[start : start + _MORSEL])
            if len(unpacked) > most:
                raise Unparsable(f"a body of more than {most} bytes")
    except zstandard.ZstdError:
        raise Unparsable("a broken compressed body") from None
    if not unpacker.eof or unpacker.unused_data:
        raise Unparsable("a compressed body that is cut off or goes on")
    return bytes(unpacked)


def _to_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Unparsable("text that is not UTF-8") from None


def _bar_surrogates(text: str) -> None:
    """Half of a pair of surrogates: parsers drop it, replace it or fail."""
    if not text.isascii() and re.search("[\ud800-\udfff]", text):
        raise Unparsable("JSON with half a surrogate pair")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise Unparsable("JSON in which a key stands twice")
    return made


def _bar_constant(name: str) -> NoReturn:
    raise Unparsable(f"JSON with {name}")


def _to_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise Unparsable("JSON with a number too large")
    return number


def _to_int(digits: str) -> int:
    if len(digits) > 20 or abs(number := int(digits)) >= _MAX_INT:  # noqa: PLR2004  # 2^64 has 20
        raise Unparsable("JSON with a number too large")
    return number


_JSON = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_constant=_bar_constant,
    parse_float=_to_float,
    parse_int=_to_int,
)


# ── Walking and changing ──────────────────────────────────────────────────────────────────────


def walk(node: Node, where: Where = ()) -> Iterator[tuple[Where, Node]]:
    """Every node below and with this one, outer ones first."""
    yield where, node
    match node:
        case Document(value=value):
            # A document stands at the place of its value, which counts if both are asked for.
            yield from walk(value, where)
        case Form(fields=fields):
            for steps, field in _numbered(fields):
                yield from walk(field.value, (*where, *steps))
        case dict():
            for name, one in node.items():
                yield from walk(one, (*where, name))
        case list():
            for number, one in enumerate(node):
                yield from walk(one, (*where, number))
        case _:
            pass


def _numbered(fields: tuple[Field, ...]) -> Iterator[tuple[tuple[str, int], Field]]:
    """Fields of one name are told apart by their number."""
    seen: dict[str, int] = {}
    for field in fields:
        number = seen[field.name] = seen.get(field.name, -1) + 1
        yield (field.name, number), field


def fields(node: Node, where: Where = ()) -> Iterator[tuple[Where, Field]]:
    """The fields of a form, also of one within it, with their places."""
    if isinstance(node, Form):
        for steps, field in _numbered(node.fields):
            yield (*where, *steps), field
            yield from fields(field.value, (*where, *steps))


def change(node: Node, changes: Mapping[Where, Node], where: Where = ()) -> Node:
    """The tree with other nodes in some places."""
    if where in changes and not isinstance(node, Document):
        return changes[where]
    match node:
        case Document(value=value):
            changed = change(value, changes, where)
            return node if changed is value else replace(node, value=changed, text=None)
        case Form(fields=fields):
            made = tuple(
                replace(field, value=change(field.value, changes, (*where, *key)))
                for key, field in _numbered(fields)
            )
            return replace(node, fields=made)
        case dict():
            changed_keys = {key: change(one, changes, (*where, key)) for key, one in node.items()}
            return node if all(changed_keys[key] is node[key] for key in node) else changed_keys
        case list():
            items = [change(one, changes, (*where, key)) for key, one in enumerate(node)]
            return node if all(map(operator.is_, items, node)) else items
        case _:
            return node


# ── Writing ───────────────────────────────────────────────────────────────────────────────────


def write(body: Body) -> tuple[bytes, str]:
    """The bytes of a body, and their content type."""
    if isinstance(body.root, Form) and body.root.multipart:
        boundary, data = multipart.join(map(_to_piece, body.root.fields))
        return data, f"multipart/form-data; boundary={boundary}"
    return _to_bytes(body.root), body.content_type


def _to_piece(field: Field) -> Piece:
    value, content_type = field.value, field.content_type
    if isinstance(value, Form):
        boundary, content = multipart.join(map(_to_piece, value.fields))
        content_type = f"multipart/mixed; boundary={boundary}"
    else:
        content = _to_bytes(value)
        if isinstance(value, Carried) and content_type.startswith("image/"):
            content_type = value.media  # what it is, which may not be what it was called
    return Piece(field.name, content, field.filename, content_type)


def _to_bytes(node: Node) -> bytes:
    if isinstance(node, Carried) and node.spelling is Spelling.RAW:
        return node.data
    return _to_text_of(node).encode()


def _to_text_of(node: Node) -> str:
    match node:
        case str(text) | Document(text=str(text)):
            return text
        case Carried(spelling=Spelling.RAW):
            return node.data.decode()
        case Carried():
            return str(node)
        case Document(value=list(values), leads=leads) if leads:
            return "".join(lead + _dump(one) for lead, one in zip(leads, values, strict=True))
        case Document(value=value):
            return _dump(value)
        case Form(fields=fields):
            return urlencode([(one.name, _to_text_of(one.value)) for one in fields])
        case _:
            raise TypeError(type(node).__name__)


def _dump(node: Node) -> str:
    return json.dumps(_to_json(node), allow_nan=False, separators=(",", ":"))


def _to_json(node: Node) -> Any:
    match node:
        case Carried(spelling=Spelling.NUMBERS, is_image=False):
            return json.loads(node.data)
        case Carried(spelling=Spelling.NUMBERS):
            return list(node.data)
        case Carried() | Document():
            return _to_text_of(node)
        case dict():
            return {key: _to_json(one) for key, one in node.items()}
        case list():
            return [_to_json(one) for one in node]
        case _:
            return node
