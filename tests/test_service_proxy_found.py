from __future__ import annotations

import base64
import gzip
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests_made import (
    BOUNDARY,
    COMPRESSIONS,
    DISGUISES,
    SPELLINGS,
    file_of,
    multipart,
    part,
)

from initgate.service.proxy.found import Body, Bounds, Node, Where, change, read, walk, write
from initgate.service.proxy.kinds import image_kind
from initgate.service.proxy.texts import Carried, Unparsable

pytest.importorskip("brotli")
pytest.importorskip("zstandard")

JSON = "application/json"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
URLENCODED = "application/x-www-form-urlencoded"
PICTURE = file_of("astronaut", "PNG", most=64)


def read_body(data: bytes, content_type: str = JSON, **more: Any) -> Body:
    bounds = more.pop("bounds", Bounds())
    return read(data, content_type=content_type, bounds=bounds, **more)


def pictures(body: Body) -> dict[Where, bytes]:
    found = walk(body.root)
    return {at: one.data for at, one in found if isinstance(one, Carried) and one.is_image}


def opaque(body: Body) -> list[str]:
    found = walk(body.root)
    return [one.kind for _, one in found if isinstance(one, Carried) and not one.is_image]


def again(body: Body) -> Body:
    """What a server reads in what is written."""
    data, content_type = write(body)
    return read_body(data, content_type)


# ── Where pictures stand ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_picture_is_found_in_a_json_text_however_it_is_spelt(spelling: str) -> None:
    body = read_body(json.dumps({"a": [{"b": SPELLINGS[spelling](PICTURE)}]}).encode())
    assert pictures(body) == {("a", 0, "b"): PICTURE}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_picture_is_found_in_a_field_of_a_form_however_it_is_spelt(spelling: str) -> None:
    text = SPELLINGS[spelling](PICTURE).encode()
    assert pictures(read_body(multipart(part("a", text)), FORM)) == {("a", 0): PICTURE}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_picture_that_decoders_read_differently_is_not_let_through(disguise: str) -> None:
    data = json.dumps({"a": DISGUISES[disguise](PICTURE)}).encode()
    try:
        body = read_body(data)
    except Unparsable:
        return
    assert opaque(body)


@pytest.mark.parametrize("content_type", ["text/plain", "image/png", ""])
def test_a_form_that_is_not_called_one_is_not_let_through_with_a_picture(content_type: str) -> None:
    text = base64.b64encode(file_of("astronaut", "JPEG", most=64)).decode()
    with pytest.raises(Unparsable, match="among other text"):
        read_body(urlencode({"x": "1", "a": text}).encode(), content_type)


@pytest.mark.parametrize(
    "name", ["", "image", "notes", "image[]"], ids=["no name", "image", "notes", "image[]"]
)
@pytest.mark.parametrize("content_type", ["", "image/png", "text/plain", "audio/wav", "model/x"])
@pytest.mark.parametrize("filename", [None, "a.png", "a.txt", ""])
def test_a_part_is_a_picture_by_its_bytes_alone(
    name: str, content_type: str, filename: str | None
) -> None:
    body = read_body(multipart(part(name, PICTURE, filename, content_type)), FORM)
    assert pictures(body) == {(name, 0): PICTURE}


def test_parts_of_one_name_are_all_found() -> None:
    other = file_of("astronaut", "JPEG", most=64)
    body = read_body(multipart(part("a", PICTURE), part("b", b"x"), part("a", other)), FORM)
    assert pictures(body) == {("a", 0): PICTURE, ("a", 1): other}


def test_a_form_within_a_form_is_read() -> None:
    inner = multipart(part("", PICTURE, "a.png"), boundary="inner")
    outer = multipart(part("files", inner, None, "multipart/mixed; boundary=inner"))
    body = read_body(outer, FORM)
    assert pictures(body) == {("files", 0, "", 0): PICTURE}
    assert list(pictures(again(body)).values()) == [PICTURE]


def test_json_within_a_field_and_json_within_json_are_read() -> None:
    spelt = base64.b64encode(PICTURE).decode()
    inner = json.dumps({"deep": json.dumps([spelt])})
    body = read_body(multipart(part("a", inner.encode())), FORM)
    assert pictures(body) == {("a", 0, "deep", 0): PICTURE}
    assert pictures(again(body)) == pictures(body)


def test_an_urlencoded_form_is_read() -> None:
    text = base64.b64encode(PICTURE).decode().replace("+", "%2B").replace("=", "%3D")
    body = read_body(f"x=1&a={text}&a=2".encode(), URLENCODED)
    assert pictures(body) == {("a", 0): PICTURE}
    assert pictures(again(body)) == pictures(body)


@pytest.mark.parametrize("content_type", ["image/png", "", "text/plain", "application/x-www"])
def test_a_body_that_is_a_picture_is_one_under_every_type(content_type: str) -> None:
    body = read_body(PICTURE, content_type)
    assert pictures(body) == {(): PICTURE}
    assert write(body) == (PICTURE, content_type)


def test_a_body_that_is_base64_alone_is_a_picture() -> None:
    assert pictures(read_body(base64.b64encode(PICTURE), "text/plain")) == {(): PICTURE}
    assert pictures(read_body(json.dumps(base64.b64encode(PICTURE).decode()).encode())) == {
        (): PICTURE
    }


@pytest.mark.parametrize("content_type", ["", "text/plain", URLENCODED, "image/png", JSON])
def test_json_is_read_under_every_type(content_type: str) -> None:
    body = read_body(json.dumps({"a": base64.b64encode(PICTURE).decode()}).encode(), content_type)
    assert pictures(body) == {("a",): PICTURE}
    assert write(body)[1] == JSON


def test_an_array_of_bytes_is_a_picture() -> None:
    body = read_body(json.dumps({"a": list(PICTURE)}).encode())
    assert pictures(body) == {("a",): PICTURE}
    assert json.loads(write(body)[0]) == {"a": list(PICTURE)}


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_a_compressed_body_is_read_and_written_without(name: str) -> None:
    encoding, compress = COMPRESSIONS[name]
    data = json.dumps({"a": base64.b64encode(PICTURE).decode()}).encode()
    body = read_body(compress(data), encoding=encoding)
    assert pictures(body) == {("a",): PICTURE}
    assert write(body)[0].startswith(b'{"a":"iVBOR')


@pytest.mark.parametrize(
    "text",
    [
        "a cat on a mat, masterpiece, best quality, 8k, (detailed eyes:1.2), <lora:x:0.8>",
        "[cat|dog] in {space}, (((sharp))), " * 20,
        "a photo of an astronaut riding a horse on mars in the style of van gogh " * 12,
        "{masterpiece}, 1girl, solo, looking at viewer",
        "https://example.org/a.png",
        "3f786850e387550fdab836ed7e6dc881de23001b" * 3,
        "Qk is a word that begins like a bitmap, and BM too, and P6 and so on and on and on",
        "Eine Straße im Süden, viel Licht, 雨 の 街, ночь, " * 10,
        "<p>some markup</p>" * 30,
        "the wide valley under the moon, the wide river, the wide sky and so on and on and on",
        "P5 Style photo of a lighthouse, P6 as well, with long grass and a lot of wind in it",
        "GIF of a cat that jumps, riff of a guitar, BM in the corner, icns and icons, II, MM",
    ],
)
def test_words_are_no_picture(text: str) -> None:
    body = read_body(json.dumps({"prompt": text}).encode())
    assert not pictures(body)
    assert not opaque(body)
    assert json.loads(write(body)[0]) == {"prompt": text}
    form = read_body(multipart(part("prompt", text.encode())), FORM)
    assert dict(walk(form.root))["prompt", 0] == text


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x00\x00\x00\x20ftypavif", "iso media"),
        (b"\x00\x00\x00\x20ftypmp42", "iso media"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "riff"),
        (b"\x76\x2f\x31\x01\x02", "exr"),
        (b"8BPS\x00\x01", "psd"),
        (b"%PDF-1.7", "pdf"),
        (b"<svg xmlns='x'>", "svg"),
        (b"<?xml version='1.0'?>\n<!-- drawn --><svg>", "svg"),
        (b"\xff\x0a\xfa", "jpeg xl"),
        (b"P6\n640 480\n255\n", "pnm"),
        (b"\x1a\x45\xdf\xa3", "matroska"),
        (b"DDS \x7c\x00", "dds"),
        (b"\x00\x00\x01\x00\x01\x00\x10\x10", "ico"),
    ],
)
def test_what_door_1_does_not_read_is_a_picture_as_well(head: bytes, kind: str) -> None:
    assert image_kind(head) == kind
    assert pictures(read_body(multipart(part("a", head + b"\x00" * 100)), FORM))


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04" + bytes(600),
        gzip.compress(PICTURE),
        b"\x40\x00\x00\x00\x00\x00\x00\x00{" + bytes(range(256)) * 3,
        b"\x00junk" + PICTURE,
        b"junk" + PICTURE,
    ],
    ids=["zip", "gzip", "safetensors", "a picture after a zero", "a picture after junk"],
)
def test_what_is_neither_picture_nor_text_is_told_apart(data: bytes) -> None:
    assert opaque(read_body(multipart(part("a", data)), FORM))
    spelt = base64.b64encode(data).decode()
    assert opaque(read_body(json.dumps({"a": spelt}).encode()))
    assert opaque(read_body(data, "application/octet-stream"))


def test_many_numbers_may_be_pixels() -> None:
    assert opaque(read_body(json.dumps({"a": [[[0.5] * 3] * 40] * 40}).encode()))


# ── What is not read in one way only ──────────────────────────────────────────────────────────


AMBIGUOUS = [
    b'{"a": 1, "a": 2}',
    b'{"a": {"b": 1, "b": 1}}',
    b'{"a": NaN}',
    b'{"a": -Infinity}',
    b'{"a": 1e999}',
    b'{"a": 100000000000000000000000000}',
    b'{"a": ' + b"9" * 10_000 + b"}",
    b'{"a": "\\ud800"}',
    b"[" * 100_000 + b"]" * 100_000,
    b"[" * 100 + b"]" * 100,
    b'{"a":' * 5000 + b"1" + b"}" * 5000,
]
MALFORMED = [
    b'\xef\xbb\xbf{"a": 1}',
    '{"a": 1}'.encode("utf-16"),
    '{"a": "\u00fc"}'.encode("latin-1"),
    b'{"a": 1,}',
    b"{'a': 1}",
    b'{"a": 1} x',
    b'{"a": 1}{"a": 2}',
    b'{"a": 1 // comment' + b"\n}",
    b"nothing",
]


@pytest.mark.parametrize("data", AMBIGUOUS + MALFORMED, ids=lambda data: repr(data[:20]))
def test_json_that_parsers_read_differently_is_refused(data: bytes) -> None:
    with pytest.raises(Unparsable):
        read_body(data)


@pytest.mark.parametrize("data", AMBIGUOUS, ids=lambda data: repr(data[:20]))
def test_so_it_is_within_a_text(data: bytes) -> None:
    with pytest.raises(Unparsable):
        read_body(json.dumps({"x": data.decode()}).encode())
    with pytest.raises(Unparsable):
        read_body(multipart(part("x", data)), FORM)


def test_broken_json_is_refused_whatever_type_it_has() -> None:
    with pytest.raises(Unparsable):
        read_body(b'{"a": ', "text/plain")


PLAIN = part("a", b"1")


@pytest.mark.parametrize(
    "data",
    [
        b"preamble\r\n" + multipart(PLAIN),
        multipart(PLAIN) + b"epilogue",
        multipart(PLAIN).replace(b"\r\n", b"\n"),
        multipart(PLAIN).removesuffix(b"--\r\n"),
        multipart(PLAIN).replace(BOUNDARY.encode() + b"\r\n", BOUNDARY.encode() + b" \r\n"),
        multipart(PLAIN + f"\r\n--{BOUNDARY}x\r\nb".encode()),
        multipart(b"no headers"),
        multipart(b"\r\nno disposition"),
        multipart(
            PLAIN.replace(b"\r\n\r\n", b'\r\nContent-Disposition: form-data; name="b"\r\n\r\n')
        ),
        multipart(b'Content-Disposition: form-data; name="a"; name="b"\r\n\r\n1'),
        multipart(b'Content-Disposition: form-data; name="a\\"; x="b"\r\n\r\n1'),
        multipart(b"Content-Disposition: form-data; name=\"a\"; filename*=latin1''x\r\n\r\n1"),
        multipart(
            b'Content-Disposition: form-data; name="a"; filename="b"; filename*=utf-8\'\'c\r\n\r\n1'
        ),
        multipart(b"Content-Disposition: form-data; name=\"a\"; filename*=utf-8''x%00y\r\n\r\n1"),
        multipart(b'Content-Disposition: form-data; name="a"\r\n folded: x\r\n\r\n1'),
        multipart(
            b'Content-Disposition: form-data; name="a"\r\n'
            b"Content-Transfer-Encoding: base64\r\n\r\nYQ"
        ),
        multipart(b'Content-Disposition: form-data; name="a"\r\nContent-Encoding: gzip\r\n\r\nYQ'),
        multipart(part("_charset_", b"utf-16")),
        multipart(part("a", b"1", None, "text/plain; charset=utf-16")),
        b"",
    ],
)
def test_a_form_that_parsers_read_differently_is_refused(data: bytes) -> None:
    with pytest.raises(Unparsable):
        read_body(data, FORM)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary="a b\\"c"',
        f"multipart/form-data; boundary={BOUNDARY}; boundary=x",
        f"multipart/related; boundary={BOUNDARY}",
    ],
)
def test_a_form_without_one_good_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(Unparsable):
        read_body(multipart(PLAIN), content_type)


@pytest.mark.parametrize("content_type", [JSON, URLENCODED, "text/plain"])
def test_a_charset_other_than_utf_8_is_refused(content_type: str) -> None:
    with pytest.raises(Unparsable):
        read_body(b"1", f"{content_type}; charset=utf-7")


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_compressed_body_that_is_broken_cut_off_or_too_large_is_refused(name: str) -> None:
    encoding, compress = COMPRESSIONS[name]
    data = compress(b'"' + b"a" * 100_000 + b'"')
    assert read_body(data, encoding=encoding).root
    for broken in (b"x" + data, data[:-3]):
        with pytest.raises(Unparsable):
            read_body(broken, encoding=encoding)
    with pytest.raises(Unparsable):
        read_body(data, encoding=encoding, bounds=Bounds(max_bytes=50_000))


def test_an_unknown_compression_is_refused() -> None:
    with pytest.raises(Unparsable):
        read_body(b"x", encoding="compress")


@pytest.mark.parametrize(
    ("bounds", "data", "content_type"),
    [
        (Bounds(max_bytes=10), b'"' + b"a" * 20 + b'"', JSON),
        (Bounds(max_values=10), json.dumps([1] * 20).encode(), JSON),
        (Bounds(max_values=10), b"a=1&" * 20, URLENCODED),
        (Bounds(max_depth=3), b"[[[[1]]]]", JSON),
        (Bounds(max_parts=2), multipart(PLAIN, PLAIN, PLAIN), FORM),
        (
            Bounds(max_images=1),
            json.dumps([base64.b64encode(PICTURE).decode()] * 2).encode(),
            JSON,
        ),
    ],
)
def test_a_request_has_bounds(bounds: Bounds, data: bytes, content_type: str) -> None:
    assert read_body(data, content_type).root is not None
    with pytest.raises(Unparsable):
        read_body(data, content_type, bounds=bounds)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({base64.b64encode(PICTURE).decode(): 1}).encode(),
        json.dumps({"a": json.dumps({base64.b64encode(PICTURE).decode(): 1})}).encode(),
    ],
)
def test_a_picture_for_a_name_is_refused(body: bytes) -> None:
    with pytest.raises(Unparsable):
        read_body(body)


# ── What is written ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_text_that_carries_a_picture_is_written_in_one_way(spelling: str) -> None:
    body = read_body(json.dumps([SPELLINGS[spelling](PICTURE)]).encode())
    (text,) = json.loads(write(body)[0])
    plain = base64.b64encode(PICTURE).decode()
    assert text in {plain, f"data:image/png;base64,{plain}", PICTURE.hex()}


def test_a_part_is_called_what_it_is() -> None:
    body = read_body(multipart(part("a", PICTURE, "a.gif", "image/gif")), FORM)
    assert b'name="a"; filename="a.gif"\r\nContent-Type: image/png\r\n' in write(body)[0]


def test_a_form_is_written_with_another_boundary() -> None:
    data, content_type = write(read_body(multipart(part("a", b"1")), FORM))
    assert BOUNDARY.encode() not in data
    assert content_type.removeprefix("multipart/form-data; boundary=").encode() in data


@pytest.mark.parametrize(
    "name", ["plain.png", "sp ace.png", "a;b.png", "\u00fc\u96e8.png", "100%25.png"]
)
def test_names_of_files_stay(name: str) -> None:
    body = read_body(multipart(part("a", PICTURE, name)), FORM)
    assert f'filename="{name}"'.encode() in write(body)[0]


def test_an_extended_file_name_is_written_plainly() -> None:
    data = (
        b"Content-Disposition: form-data; name=\"a\"; filename*=utf-8''%C3%BC.png\r\n\r\n" + PICTURE
    )
    assert 'filename="\u00fc.png"'.encode() in write(read_body(multipart(data), FORM))[0]


def test_seeds_of_64_bits_and_fractions_stay() -> None:
    value = {"seed": 2**64 - 1, "cfg": 7.5, "on": True, "none": None, "text": "\u96e8 \U0001f30a"}
    assert json.loads(write(read_body(json.dumps(value).encode()))[0]) == value


def test_a_place_can_be_changed_and_the_rest_stays() -> None:
    inner = json.dumps({"image": base64.b64encode(PICTURE).decode(), "other": 1})
    body = read_body(multipart(part("a", inner.encode()), part("b", b"2")), FORM)
    other = file_of("astronaut", "JPEG", most=64)
    (found,) = [one for _, one in walk(body.root) if isinstance(one, Carried)]
    root = change(body.root, {("a", 0, "image"): found.with_data(other)})
    changed = again(Body(root, FORM))
    assert pictures(changed) == {("a", 0, "image"): other}
    assert dict(walk(changed.root))["b", 0] == "2"
    assert dict(walk(changed.root))["a", 0, "other"] == 1


# ── Laws ──────────────────────────────────────────────────────────────────────────────────────

TEXTS = st.one_of(
    st.text(max_size=80),
    st.sampled_from([spell(PICTURE) for spell in SPELLINGS.values()]),
    st.sampled_from([spell(PICTURE) for spell in DISGUISES.values()]),
    st.binary(max_size=900).map(lambda data: base64.b64encode(data).decode()),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(TEXTS, inner, max_size=4),
        inner.map(json.dumps),
    ),
    max_leaves=8,
)
PARTS = st.lists(
    st.builds(
        part,
        st.sampled_from(["a", "b", "image[]"]),
        st.one_of(st.binary(max_size=200), TEXTS.map(lambda text: text.encode("utf-8", "replace"))),
    ),
    max_size=4,
)
BODIES = st.one_of(
    st.tuples(st.binary(max_size=400), st.sampled_from(["", JSON, FORM, URLENCODED, "text/plain"])),
    st.tuples(VALUES.map(lambda value: json.dumps(value).encode()), st.just(JSON)),
    st.tuples(PARTS.map(lambda parts: multipart(*parts)), st.just(FORM)),
)


def seen(node: Node) -> list[bytes]:
    return [one.data for _, one in walk(node) if isinstance(one, Carried)]


@given(BODIES)
def test_whatever_is_written_is_read_again_as_the_same(body: tuple[bytes, str]) -> None:
    try:
        first = read_body(*body)
    except Unparsable:
        return
    data, content_type = write(first)
    second = read_body(data, content_type)
    assert seen(second.root) == seen(first.root)
    third = write(second)[0]
    if not content_type.startswith("multipart/"):
        assert third == data
