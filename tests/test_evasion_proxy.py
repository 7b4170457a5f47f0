"""Tricks by which a picture, or the name of one, could pass the proxy without a look at it."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from requests_made import (
    file_of,
    form_request,
    json_request,
    part,
    request,
    urlencoded_request,
)
from samples import photo

from initgate import Allowed
from initgate.service.proxy.core import Plan, Request, conclude, name_place, read_request
from initgate.service.proxy.dialects import DIALECTS
from initgate.service.proxy.found import Bounds
from initgate.service.proxy.texts import Unparsable
from initgate.service.proxy.uploads import Uploads

PICTURE = file_of("flower", "PNG", most=32)


def read_by(dialect: str, asked: Request, uploads: Uploads | None = None) -> Plan:
    known = uploads if uploads is not None else Uploads()
    return read_request(asked, DIALECTS[dialect], bounds=Bounds(), known=known.__contains__)


def named(dialect: str, asked: Request, uploads: Uploads | None = None) -> list[str]:
    """The places at which a request only names a picture."""
    return [name_place(one.where) for one in read_by(dialect, asked, uploads).references]


def learnt(dialect: str, asked: Request, answer: object, uploads: Uploads) -> Uploads:
    """What is known after a request that passed."""
    plan = read_by(dialect, asked, uploads)
    assert not plan.references
    if plan.route.learn is not None:
        uploads.add(plan.route.learn(asked, json.dumps(answer).encode()))
    return uploads


def graph(kind: str, **inputs: Any) -> Request:
    return json_request("/prompt", {"prompt": {"1": {"class_type": kind, "inputs": inputs}}})


def is_loaded(uploads: Uploads, name: str) -> bool:
    """Whether a graph of ComfyUI may load a file."""
    return not named("comfyui", graph("LoadImage", image=name), uploads)


# ── Ids that the client chooses ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("value", [{"user_metadata": {}}, {"name": "old.png"}])
def test_a_change_to_an_asset_that_was_there_before_makes_nothing_known(value: Any) -> None:
    asked = json_request("/api/assets/0b1c", value, method="PUT")
    answer = {"id": "0b1c", "name": "old.png", "asset_hash": "blake3:00"}
    uploads = learnt("comfyui", asked, answer, Uploads())
    assert [one for one in ("old.png", "blake3:00", "0b1c") if is_loaded(uploads, one)] == []


def test_an_asset_is_known_by_its_hash_and_not_by_the_name_that_its_client_chose() -> None:
    asked = form_request("/api/assets", part("file", PICTURE, "a.png"), part("name", b"old.png"))
    answer = {"id": "0b1c", "name": "old.png", "asset_hash": "blake3:00"}
    uploads = learnt("comfyui", asked, answer, Uploads())
    assert is_loaded(uploads, "blake3:00")
    assert not is_loaded(uploads, "old.png")


def test_a_known_hash_makes_its_copy_known() -> None:
    uploads = Uploads()
    uploads.add(["blake3:00"])
    asked = json_request("/api/assets/from-hash", {"hash": "blake3:00", "name": "b.png"})
    learnt("comfyui", asked, {"id": "0b1d", "name": "b.png", "asset_hash": "blake3:00"}, uploads)
    assert "0b1d" in uploads


def test_a_text_is_no_asset() -> None:
    script = part("file", b"ffconcat version 1.0\nfile old.png\n", "a.png")
    assert named("comfyui", form_request("/api/assets", script)) == ["file.0"]


def test_an_asset_that_is_json_is_not_known() -> None:
    asked = form_request(
        "/api/assets", part("file", b'{"a": 1}', "a.png"), part("b", PICTURE, "b.png")
    )
    assert not is_loaded(learnt("comfyui", asked, {"hash": "blake3:00"}, Uploads()), "blake3:00")


@pytest.mark.parametrize("name", ["old.png", "old.png%20%5Boutput%5D"])
def test_a_cached_picture_is_known_in_the_cache_alone(name: str) -> None:
    asked = request(f"/api/etn/image/{name}", PICTURE, method="PUT")
    uploads = learnt("comfyui", asked, {}, Uploads())
    plain = name.replace("%20%5Boutput%5D", " [output]")
    assert not is_loaded(uploads, plain)
    assert named("comfyui", graph("ETN_LoadImageCache", id=plain), uploads) == []
    assert named("comfyui", graph("ETN_LoadImageCache", id="other"), uploads)


def test_a_text_is_not_cached() -> None:
    assert named("comfyui", request("/api/etn/image/old.png", b"hello", method="PUT")) == ["body"]


@pytest.mark.parametrize(
    ("dialect", "path", "field", "answer"),
    [
        ("gradio", "/gradio_api/upload", "files", ["/srv/a.txt"]),
        ("openai", "/v1/files", "file", {"id": "/srv/a.txt"}),
    ],
)
def test_a_file_that_is_no_picture_is_not_known(
    dialect: str, path: str, field: str, answer: Any
) -> None:
    text, picture = part(field, b"file old.png", "a.txt"), part(field, PICTURE, "a.png")
    for parts in ((text,), (picture, text)):
        uploads = learnt(dialect, form_request(path, *parts), answer, Uploads())
        assert "/srv/a.txt" not in uploads
    assert "/srv/a.txt" in learnt(dialect, form_request(path, picture), answer, Uploads())


# ── Names that two parsers read differently ───────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("uploaded", "folder", "loaded"),
    [
        ("old.pngX", "output", "old.pngX[output]"),  # of which one character more is cut off
        ("old.png [output]", "input", "old.png [output]"),
        (" old.png", "input", " old.png"),  # some loaders cut off spaces
        (' "old.png', "input", '"old.png'),
        ("sub\\old.png", "input", "sub/old.png"),
        (" old.png", "input", "old.png"),
        ("../output/old.png", "input", "../output/old.png"),
    ],
)
def test_an_odd_name_of_an_upload_is_not_known(uploaded: str, folder: str, loaded: str) -> None:
    asked = form_request("/upload/image", part("image", PICTURE, "a.png"))
    answer = {"name": uploaded, "subfolder": "", "type": folder}
    assert not is_loaded(learnt("comfyui", asked, answer, Uploads()), loaded)


def test_a_mask_is_merged_into_an_output_unless_it_says_otherwise() -> None:
    uploads = Uploads()
    uploads.add(["input:old.png"])
    for original, expected in (
        ({"filename": "old.png", "type": "input"}, []),
        ({"filename": "old.png"}, ["original_ref.0.filename"]),
        ({"filename": "old.png [input]"}, ["original_ref.0.filename"]),
    ):
        asked = form_request(
            "/upload/mask",
            part("image", PICTURE, "m.png"),
            part("original_ref", json.dumps(original).encode()),
        )
        assert named("comfyui", asked, uploads) == expected


# ── URLs that are fetched though they are none ────────────────────────────────────────────────

URLS = [
    "https://example.org/a b.png",
    "https://example.org/a?x=1 2",
    "https://example.org/a.png https://example.org/b.png",
    "https:/example.org/a.png",
    "https:example.org/a.png",
    "https:\\\\example.org\\a.png",
    "file:/srv/a.png",
    "file:a.png",
    "\x01https://example.org/a.png",
    "\u200bhttps://example.org/a.png",
    "\ufeff https://example.org/a.png",
    "ht\ntps://example.org/a.png",
    "https:\n//example.org/a.png",
    "https%3A%2F%2Fexample.org%2Fa.png",
    "cache:https://example.org/a.png",
]


@pytest.mark.parametrize("url", URLS, ids=ascii)
def test_a_text_that_begins_like_a_url_is_one(url: str) -> None:
    assert named("generic", json_request("/x", {"a": url})) == ["a"]
    assert named("generic", urlencoded_request("/x", {"a": url})) == ["a.0"]
    assert named("huggingface", json_request("/x", {"inputs": url})) == ["inputs"]
    assert named("comfyui", graph("SomebodysLoader", link=url)) == ["prompt.1.inputs.link"]
    assert named("gradio", json_request("/gradio_api/queue/join", {"data": [url]})) == ["data.0"]


@pytest.mark.parametrize(
    "prompt",
    [
        "a cat: 4k / 8k",
        "style: watercolour, https everywhere",
        "1girl:solo, (cat:1.2)",
        "/imagine a cat on a mat",
        "File: a.png is the name",
        "see https://example.org/a.png",
    ],
)
def test_a_prompt_with_colons_and_slashes_is_no_url(prompt: str) -> None:
    assert named("generic", json_request("/x", {"prompt": prompt})) == []


# ── Nodes of ComfyUI ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("LoadImageFromUrl", {"url": "https://example.org/a.png?x=.bin"}),
        ("LoadImagesFromFolder", {"directory": "sub/x.bin"}),
        ("LoadImagesFromFolder", {"model_path": "sub/x.bin"}),
        ("Somebodys", {"folder": "sub/x.safetensors"}),
        ("LoadImage", {"image": "photo.bin"}),
    ],
)
def test_the_suffix_of_a_model_hides_no_picture(kind: str, inputs: Any) -> None:
    assert named("comfyui", graph(kind, **inputs))


def test_the_path_of_a_model_is_no_picture() -> None:
    inputs = {"model_path": "sd/a.safetensors", "ckpt_name": "b.ckpt", "lora_path": "c.pt"}
    assert named("comfyui", graph("SomebodysSampler", **inputs)) == []


@pytest.mark.parametrize(
    "value", [{"__value__": "photo"}, [{"__value__": ["photo"]}], {"a": {"b": "photo"}}]
)
def test_an_input_is_known_by_its_name_however_deep_its_value_stands(value: Any) -> None:
    assert named("comfyui", graph("LoadImage", image=value))
    assert named("comfyui", graph("Somebodys", folder=value))


@pytest.mark.parametrize("name", ["a.jxl", "a.jp2", "a.ppm", "a.PCX", "a.dds", "a.m4v", "a.jxl "])
def test_the_name_of_a_picture_in_any_format_is_one(name: str) -> None:
    assert named("comfyui", graph("Somebodys", source=name))


def test_a_node_with_an_endless_name_is_a_loader() -> None:
    assert named("comfyui", graph("load " * 20_000, image="photo"))


# ── Headers ───────────────────────────────────────────────────────────────────────────────────


def test_a_client_cannot_have_the_type_of_the_body_dropped() -> None:
    headers = (("connection", "close"), ("connection", "Content-Type, x-a"), ("x-a", "1"))
    plan = read_by("generic", json_request("/x", {"a": 1}, headers=headers))
    forwarded = conclude(plan, verdicts={}, resolved={}, rewrite=lambda one: one)
    assert forwarded.headers == (("content-type", "application/json"),)


def test_what_passed_is_still_forwarded() -> None:
    plan = read_by("comfyui", form_request("/api/assets", part("file", PICTURE, "a.png")))
    verdicts = dict.fromkeys(plan.images, Allowed("1"))
    assert PICTURE in conclude(plan, verdicts=verdicts, resolved={}, rewrite=lambda one: one).body


# ── Pictures in a spelling that some decoders read ────────────────────────────────────────────


def in_format(file_format: str) -> bytes:
    buffer = io.BytesIO()
    photo("flower", 32).convert("RGB").save(buffer, file_format)
    return buffer.getvalue()


def with_tables_first(jpeg: bytes) -> bytes:
    """A JPEG whose first segment is a table, as some encoders write it."""
    segments, at = [], 2
    while jpeg[at + 1] != 0xDA:
        length = 2 + int.from_bytes(jpeg[at + 2 : at + 4])
        segments.append(jpeg[at : at + length])
        at += length
    tables = [one for one in segments if one[1] == 0xC4]
    others = [one for one in segments if one[1] not in {0xC4, 0xE0}]
    return jpeg[:2] + b"".join([*tables, *others]) + jpeg[at:]


FORMATS = {
    **{name: in_format(name) for name in ("PNG", "GIF", "WEBP", "BMP", "TIFF", "ICO", "PPM")},
    **{name: in_format(name) for name in ("PCX", "SGI", "DDS", "JPEG2000", "TGA")},
    "JPEG": with_tables_first(in_format("JPEG")),
}


def spelt(data: bytes) -> str:
    return base64.b64encode(data).decode()


def is_forwarded_unseen(text: Any) -> bool:
    """Whether a text could be forwarded, in any place, without a look at what it stands for."""
    asked = [json_request("/x", {"a": text}), json_request("/x", text)]
    if isinstance(text, str):
        asked += [
            urlencoded_request("/x", {"a": text}),
            form_request("/x", part("a", text.encode())),
            request("/x", text.encode(), "text/plain"),
        ]
    return any(map(passes_unseen, asked))


def passes_unseen(asked: Request) -> bool:
    try:
        plan = read_by("generic", asked)
    except Unparsable:
        return False
    return not (plan.images or plan.opaque or plan.references)


JUNK: dict[str, Callable[[bytes], str]] = {
    "junk before it": lambda data: "*" * 500 + spelt(data),
    "junk after a comma": lambda data: "a b,c," + "*" * 500 + spelt(data),
    "junk after many commas": lambda data: "a," * 20 + "*" * 500 + spelt(data),
    "junk throughout": lambda data: "*" * 500 + "!".join(spelt(data)),
    "padding before it": lambda data: "=" * 500 + spelt(data),
    "words before it": lambda data: "a prompt: " + spelt(data),
    "markup": lambda data: f'look <img src="{spelt(data)}">',
    "hexadecimal behind a mark": lambda data: "\\x" + data.hex(),
    "hexadecimal behind words": lambda data: "ab cd - " + data.hex(),
    "hexadecimal with marks": lambda data: "".join(f"\\x{one:02x}" for one in data),
    "hexadecimal in a list": lambda data: ", ".join(f"0x{one:02X}" for one in data),
    "hexadecimal with colons": lambda data: data.hex(":"),
}


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("trick", JUNK)
def test_a_picture_behind_junk_is_not_words(trick: str, file_format: str) -> None:
    assert not is_forwarded_unseen(JUNK[trick](FORMATS[file_format]))


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(one):04x}" for one in text)


def percent_encoded(data: bytes) -> str:
    return "".join(f"%{one:02x}" for one in data)


ESCAPES: dict[str, Callable[[bytes], Any]] = {
    "a JSON text in a text": lambda data: f'"{escaped(spelt(data))}"',
    "lines of JSON": lambda data: f'{{"a": "{escaped(spelt(data))}"}}\n{{}}',
    "JSON with words behind it": lambda data: f'{{"a": "{escaped(spelt(data))}"}} and so on',
    "JSON behind a mark": lambda data: f'\ufeff{{"a": "{escaped(spelt(data))}"}}',
    "a message of a socket": lambda data: f'42/a,7["run", {{"a": "{escaped(spelt(data))}"}}]',
    "base64 of JSON": lambda data: spelt(f'{{"a": "{escaped(spelt(data))}"}}'.encode()),
    "base64 of an array": lambda data: spelt(json.dumps({"a": [*data]}).encode()),
    "escapes among words": lambda data: f"a {escaped(spelt(data))}",
    "escaped slashes": lambda data: "a " + spelt(data).replace("/", "\\/"),
    "characters for bytes": lambda data: data.decode("latin-1"),
    "bytes in percents": percent_encoded,
    "bytes in percents in words": lambda data: f"url({percent_encoded(data)})",
    "base64 in percents": lambda data: percent_encoded(spelt(data).encode()),
    "base64 in percents of percents": lambda data: percent_encoded(spelt(data).encode()).replace(
        "%", "%25"
    ),
    "characters of markup": lambda data: "".join(f"&#{ord(one)};" for one in spelt(data)),
    "characters of markup in hex": lambda data: "".join(f"&#x{ord(one):x};" for one in spelt(data)),
    "numbers in a text": lambda data: ",".join(map(str, data)),
    "signed numbers": lambda data: [one - 256 * (one > 127) for one in data],
    "numbers with a point": lambda data: [float(one) for one in data],
    "an object of numbers": lambda data: {str(at): one for at, one in enumerate(data)},
    "an object in disorder": lambda data: {
        **{str(at): data[at] for at in reversed(range(len(data)))},
        "length": "x",
    },
}


@pytest.mark.parametrize("trick", ESCAPES)
def test_a_picture_that_is_encoded_twice_is_not_words(trick: str) -> None:
    assert not is_forwarded_unseen(ESCAPES[trick](PICTURE))


@pytest.mark.parametrize("row", [[0.5] * 300, [[0.1, 0.2, 0.3]] * 100], ids=["grey", "colours"])
def test_rows_under_names_of_their_own_are_pixels_too(row: Any) -> None:
    assert not is_forwarded_unseen({f"row {number}": row for number in range(100)})


def test_the_many_places_and_sizes_of_a_workflow_are_no_pixels() -> None:
    nodes = [
        {"id": at, "pos": [at, 2.5], "size": [300, 100], "color": [1, 2, 3, 4]}
        for at in range(1000)
    ]
    links = [[at, at, 0, at + 1, 0, "IMAGE"] for at in range(1000)]
    assert passes_unseen(json_request("/x", {"nodes": nodes, "links": links, "on": [1] * 100}))


@pytest.mark.parametrize(
    "text",
    [
        '<?xml version="1.0"?><!--' + "x " * 5000 + '--><svg xmlns="x"></svg>',
        '\ufeff\n<svg><image href="//a.example/b"/></svg>',
    ],
    ids=["behind a comment", "short"],
)
def test_a_drawing_is_found_however_late_it_begins(text: str) -> None:
    assert not is_forwarded_unseen(text)
    assert not is_forwarded_unseen(spelt(text.encode() + b" " * 500))


def test_a_picture_without_a_signature_is_looked_at_even_if_other_bytes_may_pass() -> None:
    data = in_format("TGA")
    for asked in (
        request("/x", data),
        json_request("/x", {"a": spelt(data)}),
        json_request("/x", {"a": f"data:a/b;base64,{spelt(data)}"}),
        json_request("/x", {"a": data.hex()}),
    ):
        assert [one.data for one in read_by("generic", asked).images.values()] == [data]


@pytest.mark.parametrize(
    "text",
    [
        '"a quoted prompt" is words, "and so is this"',
        '"all of it is quoted, and it is longer than a picture in base64 would have to be"',
        "[1] a cat [2] a dog, (detailed:1.2), 50% grey, C:\\new\\x, 100%25 &amp; more &#38; more",
        '{"pose": "standing"} is the pose that I want, and the background should be blue, please',
        "42 cats and 17 dogs [in a garden], <lora:style:0.8>, RIFF of a guitar, BREAK, P5 Style",
        "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4ifQ.x-_y",
        "caf%C3%A9, %F0%9F%90%88 and \\u732b, said in three ways: " + "na\u00efve fa\u00e7ade " * 9,
    ],
)
def test_words_with_brackets_quotes_numbers_and_escapes_stay_words(text: str) -> None:
    asked = json_request("/x", {"prompt": text})
    plan = read_by("generic", asked)
    assert passes_unseen(asked)
    forwarded = conclude(plan, verdicts={}, resolved={}, rewrite=lambda one: one)
    assert json.loads(forwarded.body) == {"prompt": text}


def test_words_that_are_encoded_again_and_again_are_refused() -> None:
    with pytest.raises(Unparsable, match="twice"):
        read_by("generic", json_request("/x", {"a": "%" + "25" * 100_000}))


@pytest.mark.parametrize("text", ["%41" * 500_001, '"a"' * 100_001], ids=["escapes", "values"])
def test_words_may_cost_so_much_and_no_more(text: str) -> None:
    with pytest.raises(Unparsable, match="more than"):
        read_by("generic", json_request("/x", {"a": text}))


def test_lines_of_json_and_messages_of_sockets_are_written_as_they_came() -> None:
    url = f"data:image/png;base64,{spelt(PICTURE)}"
    for text in (f'{{"a":"{url}"}}\n{{"b":1}}', f'42/a,7["run",{{"a":"{url}"}}]'):
        plan = read_by("generic", json_request("/x", [text]))
        (where,) = plan.images
        forwarded = conclude(
            plan, verdicts={where: Allowed("1")}, resolved={}, rewrite=lambda one: one
        )
        assert json.loads(forwarded.body) == [text]


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "https://example.org/a.png"}\n{}',
        '\ufeff{"a": "https://example.org/a.png"}',
        '"https:\\/\\/example.org\\/a.png"',
        '{"a": 1},{"a": "https://example.org/a.png"}',
    ],
)
def test_a_url_is_found_in_every_value_of_a_text(text: str) -> None:
    assert named("generic", json_request("/x", {"p": text}))


def test_a_url_is_found_in_a_message_of_a_socket() -> None:
    said = b'42["run",{"a":"https://example.org/a.png"}]'
    assert named("generic", request("/x", said, method="WS")) == ["0.1.a"]


# ── Names in places that a route did not list ─────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (
            "/v1/threads/t/messages",
            {"content": [{"type": "image_file", "image_file": {"file_id": "f"}}]},
        ),
        ("/v1/responses", {"tools": [{"container": {"type": "auto", "file_ids": ["f"]}}]}),
        ("/v1/responses", {"tools": [{"container": "c"}]}),
        ("/v1/responses", {"input": [{"type": "item_reference", "id": "m"}]}),
        ("/v1/responses", {"input": [{"id": "m"}]}),
        ("/v1/responses", {"input": [{"type": "image_generation_call", "id": "i"}]}),
        ("/v1/responses", {"input": "a", "previous_response_id": "r"}),
        ("/v1/responses", {"input": "a", "conversation": {"id": "c"}}),
        ("/v1/conversations/c/items", {"items": [{"type": "item_reference", "id": "m"}]}),
        ("/v1/assistants", {"tool_resources": {"code_interpreter": {"file_ids": ["f"]}}}),
        ("/v1/images/edits", {"Image": "/srv/a.png"}),
        ("/v1/images/edits", {"IMAGES": [{"Image_URL": "a"}]}),
    ],
)
def test_what_a_server_with_openais_api_keeps_is_a_reference(path: str, value: Any) -> None:
    assert named("openai", json_request(path, value))


def test_an_ordinary_chat_is_forwarded() -> None:
    items = [
        {"role": "user", "content": "/imagine a cat"},
        {"type": "message", "id": "m", "role": "assistant", "content": [{"text": "no"}]},
        {"type": "function_call", "id": "f", "call_id": "c", "arguments": '{"a": "b"}'},
        {"role": "user", "content": '"https" is what?'},
    ]
    value = {"model": "/models/a", "input": items, "stream": True}
    assert named("openai", json_request("/v1/responses", value)) == []
    assert named("huggingface", json_request("/v1/chat/completions", value)) == []


def test_a_picture_that_the_server_made_stands_beside_its_id_which_is_left_out() -> None:
    item = {"type": "image_generation_call", "id": "i", "result": spelt(PICTURE)}
    plan = read_by("openai", json_request("/v1/responses", {"input": [item]}))
    verdicts = dict.fromkeys(plan.images, Allowed("1"))
    forwarded = conclude(plan, verdicts=verdicts, resolved={}, rewrite=lambda one: one)
    assert json.loads(forwarded.body) == {"input": [{**item, "id": None}]}


@pytest.mark.parametrize(
    "value",
    [
        {"inputs": ["a", "/srv/a.png"]},
        {"inputs": {"src": "/srv/a.png"}},
        {"inputs": {"question": "a", "src": "pictures/a.png"}},
        {"messages": [{"content": [{"type": "image_url", "image_url": {"url": "/srv/a"}}]}]},
        {"messages": [{"content": [{"type": "image_url", "image_url": {"url": "a.png"}}]}]},
        {"parameters": {"deep": {"er": "/srv/my pictures/a.png"}}},
    ],
)
def test_a_path_is_a_reference_wherever_it_stands_for_hugging_face(value: Any) -> None:
    assert named("huggingface", json_request("/models/a", value))


@pytest.mark.parametrize("path", ["/gradio_api/mcp/", "/gradio_api/mcp/http", "/mcp"])
def test_a_tool_of_gradio_is_called_with_no_path(path: str) -> None:
    value = {"method": "tools/call", "params": {"name": "f", "arguments": {"image": "/srv/a b"}}}
    assert named("gradio", json_request(path, value))


@pytest.mark.parametrize("dialect", ["generic", "a1111", "comfyui", "gradio", "openai"])
@pytest.mark.parametrize(
    "value",
    [{"a": ["/srv/a"]}, {"a": "C:\\pictures\\a b.png"}, {"x": {"file_id": "f"}}],
    ids=["path", "path with a space", "id"],
)
def test_a_route_of_nobody_takes_no_path_and_no_id_of_a_file(dialect: str, value: Any) -> None:
    assert named(dialect, json_request("/other/run", value))


@pytest.mark.parametrize("size", [4, 60])
def test_a_picture_in_pieces_of_one_text_is_found(size: int) -> None:
    text = spelt(PICTURE)
    pieces = [json.dumps(text[at : at + size]) for at in range(0, len(text), size)]
    for said in (" ".join(pieces), f"[{','.join(pieces)}]", "\n".join(pieces)):
        assert not passes_unseen(json_request("/x", {"a": said}))
        assert not passes_unseen(form_request("/x", part("a", said.encode())))
    beside = json.dumps(spelt(file_of("astronaut", "PNG", most=32)))
    with pytest.raises(Unparsable):  # though another picture makes it to be written anew
        read_by("generic", json_request("/x", {"a": " ".join([*pieces, beside])}))


def test_several_values_in_one_text_are_no_picture_but_a_name() -> None:
    asked = json_request("/sdapi/v1/img2img", {"init_images": ['"a.png" "b.png"']})
    assert named("a1111", asked) == ["init_images.0"]


def test_a_token_in_a_header_or_the_query_may_be_escaped() -> None:
    token = base64.b64encode(bytes(range(1, 256)) * 3).decode().replace("+", "%2B")
    assert "%2B" in token
    asked = request(
        "/x",
        method="GET",
        query=f"state={token.replace('%', '%25')}",
        headers=(("x-token", token), ("sec-ch-ua", '"Chromium";v="120", "Not a brand";v="8"' * 3)),
    )
    assert passes_unseen(asked)
    assert not passes_unseen(json_request("/x", {"a": token}))
