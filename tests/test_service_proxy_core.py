from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from places import OTHER, PLACES, Hide, spelt
from requests_made import (
    COMPRESSIONS,
    DISGUISES,
    SPELLINGS,
    animation_of,
    file_of,
    form_request,
    json_request,
    part,
    request,
)
from samples import ROOT

from initgate import Allowed, Refused
from initgate.image import Limits
from initgate.service.proxy.canonical import Canonical, rewriter
from initgate.service.proxy.core import (
    Plan,
    Request,
    conclude,
    name_place,
    read_request,
    resolved_as,
)
from initgate.service.proxy.dialects import DIALECTS
from initgate.service.proxy.found import Bounds, read, walk
from initgate.service.proxy.texts import Carried, Unparsable
from initgate.service.proxy.uploads import Uploads

pytest.importorskip("brotli")
pytest.importorskip("zstandard")

LISTED = file_of("astronaut", "PNG", most=32)


def read_by(dialect: str, asked: Request, uploads: Uploads | None = None) -> Plan:
    known = uploads if uploads is not None else Uploads()
    return read_request(asked, DIALECTS[dialect], bounds=Bounds(), known=known.__contains__)


def is_forwarded_unseen(dialect: str, asked: Request) -> bool:
    """Whether a request that holds a picture could be forwarded without a look at it."""
    try:
        plan = read_by(dialect, asked)
    except Unparsable:
        return False
    is_looked_at = any(one.data != OTHER for one in plan.images.values())
    return not (is_looked_at or plan.references or plan.opaque)


def forward(dialect: str, asked: Request, *, canonical: Canonical = Canonical.NONE) -> Request:
    """What is forwarded if everything is allowed."""
    plan = read_by(dialect, asked)
    assert not plan.references
    assert not plan.opaque
    return conclude(
        plan,
        verdicts=dict.fromkeys(plan.images, Allowed("1")),
        resolved={},
        rewrite=rewriter(canonical, limits=Limits()),
    )


def carried(asked: Request) -> list[bytes]:
    body = read(asked.body, content_type=asked.header("content-type"), bounds=Bounds())
    return [one.data for _, one in walk(body.root) if isinstance(one, Carried)]


# ── Where one picture can hide, by dialect ────────────────────────────────────────────────────

CORPUS = [
    pytest.param(dialect, hide, id=f"{dialect}, {place}")
    for dialect, places in PLACES.items()
    for place, hide in places.items()
]
SPELT = {**SPELLINGS, **DISGUISES}


@pytest.mark.parametrize(("dialect", "hide"), CORPUS)
def test_no_picture_is_forwarded_unseen_however_it_is_spelt(dialect: str, hide: Hide) -> None:
    requests = {name: hide(spell(LISTED)) for name, spell in SPELT.items()}
    assert [name for name, one in requests.items() if is_forwarded_unseen(dialect, one)] == []


@pytest.mark.parametrize(("dialect", "hide"), CORPUS)
def test_no_picture_is_forwarded_unseen_in_a_compressed_body(dialect: str, hide: Hide) -> None:
    plain = hide(spelt(LISTED))
    requests = {
        name: replace(
            plain,
            headers=(*plain.headers, ("content-encoding", encoding)),
            body=compress(plain.body),
        )
        for name, (encoding, compress) in COMPRESSIONS.items()
    }
    assert [name for name, one in requests.items() if is_forwarded_unseen(dialect, one)] == []


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("path", ["/upload/image", "/upload", "/v1/images/edits", "/x", "/"])
def test_no_uploaded_picture_is_forwarded_unseen(dialect: str, path: str) -> None:
    for content_type in ("", "image/png", "text/plain", "application/json"):
        file = part("image", LISTED, "a.bin", content_type)
        assert not is_forwarded_unseen(dialect, form_request(path, file))
        assert not is_forwarded_unseen(dialect, form_request(path, part("a", b"1"), file, file))
        assert not is_forwarded_unseen(dialect, request(path, LISTED, content_type))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_no_picture_stands_outside_the_body(dialect: str, method: str) -> None:
    text = base64.urlsafe_b64encode(LISTED).decode()
    for asked in (
        request(f"/a/{text}", method=method),
        request("/a", method=method, query=f"x={text}"),
        request("/a", method=method, headers=(("x-image", text),)),
    ):
        with pytest.raises(Unparsable):
            read_by(dialect, asked)


@pytest.mark.parametrize(
    "path", ["//sdapi/v1/img2img", "/a/../sdapi/v1/img2img", "/a/%2e%2e/b", "/a%5cb", "/a%00"]
)
def test_a_path_that_servers_read_differently_is_refused(path: str) -> None:
    with pytest.raises(Unparsable):
        read_by("a1111", json_request(path, {}))


@pytest.mark.parametrize(("path", "query"), [("/a#b", ""), ("/a", "b#c"), ("/#", "")])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_fragment_is_refused(method: str, path: str, query: str) -> None:
    with pytest.raises(Unparsable, match="fragment"):
        read_by("generic", request(path, method=method, query=query))


@pytest.mark.parametrize(("dialect", "path"), [("generic", "/x"), ("a1111", "/controlnet/detect")])
def test_a_url_in_the_query_is_refused(dialect: str, path: str) -> None:
    with pytest.raises(Unparsable, match="query"):
        read_by(dialect, request(path, query="image=https%3A%2F%2Fexample.org%2Fa"))


def test_more_references_than_images_may_be_are_refused() -> None:
    asked = json_request("/x", [f"https://example.org/{number}" for number in range(65)])
    with pytest.raises(Unparsable, match="64"):
        read_by("generic", asked)


@pytest.mark.parametrize("name", ["content-type", "content-encoding", "content-length"])
def test_a_header_that_stands_twice_is_refused(name: str) -> None:
    asked = json_request("/a", {}, headers=((name, "1"), (name, "2")))
    with pytest.raises(Unparsable):
        read_by("generic", asked)


def test_a_part_with_endless_headers_is_refused() -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="a"\r\nX: ' + b" " * 10**6
    body = head + b"x\r\n\r\n1\r\n--b--\r\n"
    with pytest.raises(Unparsable, match="endless"):
        read_by("generic", request("/x", body, "multipart/form-data; boundary=b"))


# ── What an unlisted picture finds at the other end ───────────────────────────────────────────


@pytest.mark.parametrize(("dialect", "hide"), CORPUS)
def test_an_allowed_picture_arrives_as_it_was(dialect: str, hide: Hide) -> None:
    asked = hide(spelt(OTHER))
    try:
        forwarded = forward(dialect, asked)
    except Unparsable:
        assert not DIALECTS[dialect].takes_unknown  # on a route that takes none
        return
    assert OTHER in carried(forwarded)
    assert forwarded.path == asked.path


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_allowed_picture_arrives_however_it_was_spelt(spelling: str) -> None:
    asked = json_request("/sdapi/v1/img2img", {"init_images": [SPELLINGS[spelling](OTHER)]})
    (text,) = json.loads(forward("a1111", asked).body)["init_images"]
    data = bytes.fromhex(text) if "hex" in spelling else base64.b64decode(text.split(",")[-1])
    assert data == OTHER


def test_headers_that_describe_the_body_are_made_anew() -> None:
    plain = json_request("/a", {"x": 1}, headers=(("content-length", "7"), ("accept", "*/*")))
    assert forward("generic", plain).headers == (
        ("accept", "*/*"),
        ("content-type", "application/json"),
    )


def test_a_request_without_body_is_forwarded_as_it_came() -> None:
    asked = request("/a%20b/c", method="GET", query="x=%20&y&z=", headers=(("a", "b"),))
    assert forward("comfyui", asked) == asked


@pytest.mark.parametrize("verdicts", [{}, {("a",): Refused("1")}], ids=["none", "refused"])
def test_nothing_is_forwarded_without_a_verdict(verdicts: Any) -> None:
    plan = read_by("generic", json_request("/", {"a": spelt(OTHER)}))
    with pytest.raises(ValueError, match="not everything"):
        conclude(plan, verdicts=verdicts, resolved={}, rewrite=lambda one: one)


def test_nothing_is_forwarded_with_a_reference() -> None:
    plan = read_by("generic", json_request("/", {"a": "https://example.org/a.png"}))
    with pytest.raises(ValueError, match="not everything"):
        conclude(plan, verdicts={}, resolved={}, rewrite=lambda one: one)


# ── Canonical pictures ────────────────────────────────────────────────────────────────────────


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def upload(data: bytes, canonical: Canonical) -> bytes:
    asked = form_request("/upload/image", part("image", data, "a.gif", "image/gif"))
    (arrived,) = carried(forward("comfyui", asked, canonical=canonical))
    return arrived


def test_an_animation_is_forwarded_as_its_first_frame() -> None:
    arrived = opened(upload(animation_of("flower", "astronaut"), Canonical.ODD))
    assert (arrived.format, getattr(arrived, "n_frames", 1)) == ("PNG", 1)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_of_two_pictures_in_one_file_the_one_that_was_checked_is_forwarded(
    file_format: str,
) -> None:
    files = []
    for data in (OTHER, LISTED):
        buffer = io.BytesIO()
        opened(data).convert("RGB").save(buffer, file_format)
        files.append(buffer.getvalue())
    arrived = upload(b"".join(files), Canonical.ODD)
    assert opened(arrived).format == "PNG"
    assert len(opened(arrived).tobytes()) == len(opened(files[0]).tobytes())
    assert files[1] not in arrived


@pytest.mark.parametrize("mode", ["P", "CMYK", "LA", "1", "I;16"])
def test_an_odd_mode_is_forwarded_as_png(mode: str) -> None:
    buffer = io.BytesIO()
    opened(OTHER).convert("L" if mode == "I;16" else mode).convert(mode).save(buffer, "TIFF")
    assert opened(upload(buffer.getvalue(), Canonical.ODD)).mode in {"L", "LA", "RGB", "RGBA"}


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_an_everyday_file_is_forwarded_as_it_is(file_format: str) -> None:
    data = file_of("flower", file_format, most=64)
    assert upload(data, Canonical.ODD) == data


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "AVIF", "GIF"])
def test_all_files_can_be_forwarded_as_the_pixels_that_were_checked(file_format: str) -> None:
    data = file_of("flower", file_format, most=64)
    arrived = opened(upload(data, Canonical.ALL))
    assert arrived.format == "PNG"
    assert np.array_equal(np.asarray(arrived), np.asarray(opened(data).convert("RGB")))


def test_a_picture_in_a_data_url_is_called_png_when_it_is_one() -> None:
    gif = base64.b64encode(animation_of("flower")).decode()
    asked = json_request("/v1/images/edits", {"image": f"data:image/gif;base64,{gif}"})
    forwarded = json.loads(forward("openai", asked, canonical=Canonical.ALL).body)
    assert forwarded["image"].startswith("data:image/png;base64,iVBOR")


# ── References ────────────────────────────────────────────────────────────────────────────────


def references(dialect: str, asked: Request, uploads: Uploads | None = None) -> list[str]:
    return [name_place(one.where) for one in read_by(dialect, asked, uploads).references]


@pytest.mark.parametrize(
    ("dialect", "asked", "place"),
    [
        (
            "a1111",
            json_request("/sdapi/v1/img2img", {"init_images": ["https://example.org/a.png"]}),
            "init_images.0",
        ),
        ("a1111", json_request("/sdapi/v1/img2img", {"init_images": ["a.png"]}), "init_images.0"),
        (
            "a1111",
            json_request(
                "/sdapi/v1/txt2img",
                {"alwayson_scripts": {"ControlNet": {"args": [{"batch_images": "in"}]}}},
            ),
            "alwayson_scripts.ControlNet.args.0.batch_images",
        ),
        (
            "a1111",
            json_request("/sdapi/v1/img2img", {"script_args": ["", "/srv/pictures"]}),
            "script_args.1",
        ),
        (
            "a1111",
            json_request("/queue/join", {"data": [{"path": "/srv/gradio/a.png", "url": "x"}]}),
            "data.0.path",
        ),
        (
            "a1111",
            json_request("/run/predict", {"data": [{"name": "/srv/a.png", "is_file": True}]}),
            "data.0.name",
        ),
        (
            "gradio",
            json_request("/call/run", {"data": [{"path": "", "url": "/file=/srv/a.png"}]}),
            "data.0.url",
        ),
        (
            "gradio",
            json_request(
                "/run/run", {"data": [{"path": "x", "name": "/srv/b.png", "is_file": True}]}
            ),
            "data.0.name",
        ),
        ("openai", json_request("/v1/images/edits", {"image": "file-1"}), "image"),
        (
            "openai",
            json_request("/v1/responses", {"input": [{"content": [{"file_id": "file-1"}]}]}),
            "input.0.content.0.file_id",
        ),
        (
            "openai",
            json_request("/v1/batches", {"input_file_id": "file-1"}),
            "input_file_id",
        ),
        (
            "stability",
            form_request("/v2beta/stable-image/edit/erase", part("mask", b"a stored one")),
            "mask.0",
        ),
        (
            "huggingface",
            json_request("/models/a", {"inputs": "https://example.org/a.png"}),
            "inputs",
        ),
        ("huggingface", json_request("/", {"inputs": "/srv/pictures/a"}), "inputs"),
        ("huggingface", json_request("/", {"inputs": "pictures/a.png"}), "inputs"),
        ("huggingface", json_request("/", {"inputs": {"image": "a"}}), "inputs.image"),
        (
            "huggingface",
            json_request("/", {"inputs": "a", "parameters": {"mask_image": "a"}}),
            "parameters.mask_image",
        ),
        ("huggingface", request("/models/a", b"https://example.org/a", "text/plain"), "body"),
        (
            "invokeai",
            json_request("/api/v1/utilities/image-to-prompt", {"image_name": "a.png"}),
            "image_name",
        ),
        (
            "invokeai",
            json_request("/api/v1/recall/default", {"control_layers": [{"image_name": "a"}]}),
            "control_layers.0.image_name",
        ),
        (
            "invokeai",
            json_request("/api/v1/sessions/", {"nodes": {"1": {"image": {"image_name": "a"}}}}),
            "nodes.1.image.image_name",
        ),
        (
            "invokeai",
            json_request("/api/v1/download_queue/i/", {"source": "https://example.org/a"}),
            "source",
        ),
        (
            "horde",
            json_request("/api/v2/generate/async", {"source_image": "https://example.org/a"}),
            "source_image",
        ),
        (
            "horde",
            json_request("/api/v2/generate/async", {"extra_source_images": [{"image": "a"}]}),
            "extra_source_images.0.image",
        ),
        ("generic", json_request("/x", {"a": "http://example.org/a"}), "a"),
        ("generic", json_request("/x", {"a": " FILE:///etc/a.png "}), "a"),
        ("generic", json_request("/x", {"a": "//example.org/a.png"}), "a"),
        ("generic", form_request("/x", part("url", b"https://example.org/a")), "url.0"),
        ("comfyui", json_request("/api/assets", {"hash": "blake3:00"}), "hash"),
    ],
)
def test_what_only_names_a_picture_is_a_reference(dialect: str, asked: Request, place: str) -> None:
    assert place in references(dialect, asked)


def graph(kind: str, **inputs: Any) -> Request:
    return json_request("/prompt", {"prompt": {"7": {"class_type": kind, "inputs": inputs}}})


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("LoadImage", {"image": "a.png"}),
        ("LoadImage", {"image": "without suffix"}),
        ("LoadImage", {"image": "a.png [output]"}),
        ("LoadImageMask", {"image": "sub/a.webp", "channel": "alpha"}),
        ("LoadImageOutput", {"image": "a.png [output]"}),
        ("LoadImageDataSetFromFolder", {"folder": "pictures"}),
        ("LoadVideo", {"file": "a.mp4"}),
        ("WebcamCapture", {"image": "webcam/1.png [temp]"}),
        ("ETN_LoadImageCache", {"id": "abc"}),
        ("SomebodysLoader", {"source": "x/y.JPG"}),
        ("SomebodysLoader", {"directory": "x"}),
        ("SomebodysLoader", {"source": "/srv/x"}),
        ("SomebodysLoader", {"source": "https://example.org/x"}),
        ("SomebodysLoader", {"source": "blake3:00"}),
        ("SomebodysLoader", {"source": "../x"}),
        ("SomebodysLoader", {"source": "/" + "./" * 1000 + "srv/x"}),
        ("SomebodysLoader", {"source": "a/../" * 300 + "x.png"}),
        ("SomebodysLoader", {"source": "a/../" * 300 + "x [temp]"}),
    ],
)
def test_a_graph_that_loads_what_was_not_uploaded_is_refused(kind: str, inputs: Any) -> None:
    assert references("comfyui", graph(kind, **inputs))


@pytest.mark.parametrize("kind", ["LoadLatent", "LoadTrainingDataset"])
def test_a_graph_that_loads_latents_is_refused(kind: str) -> None:
    assert read_by("comfyui", graph(kind, latent="a.latent")).opaque


def test_an_ordinary_graph_is_forwarded() -> None:
    prompt = {
        "3": {
            "class_type": "KSampler",
            "inputs": {"seed": 2**63, "cfg": 8, "sampler_name": "euler", "model": ["4", 0]},
        },
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd/a.safetensors"}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat, 4k", "clip": ["4", 1]}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "a/b", "images": ["8", 0]}},
    }
    workflow = {"models": [{"url": "https://example.org/a.safetensors"}]}
    value = {"prompt": prompt, "client_id": "x", "extra_data": {"workflow": workflow}}
    assert json.loads(forward("comfyui", json_request("/prompt", value)).body) == value


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ({"name": "a.png", "subfolder": "", "type": "input"}, "a.png"),
        ({"name": "a.png", "subfolder": "", "type": "input"}, "a.png [input]"),
        ({"name": "a (1).png", "subfolder": "sub", "type": "input"}, "sub/a (1).png"),
        ({"name": "1.png", "subfolder": "webcam", "type": "temp"}, "webcam/1.png [temp]"),
    ],
)
def test_a_graph_may_load_what_was_uploaded(answer: dict[str, str], named: str) -> None:
    uploads = Uploads()
    asked = form_request("/upload/image", part("image", OTHER, "a.png"))
    learn = read_by("comfyui", asked).route.learn
    assert learn is not None
    uploads.add(learn(asked, json.dumps(answer).encode()))
    assert references("comfyui", graph("LoadImage", image=named)) == ["prompt.7.inputs.image"]
    assert references("comfyui", graph("LoadImage", image=named), uploads) == []
    assert references("comfyui", graph("LoadImage", image="b.png"), uploads)
    assert references("comfyui", graph("LoadImage", image="a.png [output]"), uploads)


def test_a_mask_is_merged_only_into_what_was_uploaded() -> None:
    original = json.dumps({"filename": "a.png", "subfolder": "", "type": "input"}).encode()
    asked = form_request(
        "/upload/mask", part("image", OTHER, "m.png"), part("original_ref", original)
    )
    assert references("comfyui", asked) == ["original_ref.0.filename"]
    uploads = Uploads()
    uploads.add(["input:a.png"])
    assert references("comfyui", asked, uploads) == []


def test_a_gradio_call_may_name_what_was_uploaded_and_no_url_beside_it() -> None:
    uploads = Uploads()
    learn = read_by("a1111", form_request("/gradio_api/upload", part("files", OTHER))).route.learn
    assert learn is not None
    uploads.add(learn(request("/upload"), b'["/srv/gradio/x/a.png"]'))
    file = {"path": "/srv/gradio/x/a.png", "url": "http://127.0.0.1/file=/srv/other.png"}
    asked = json_request("/gradio_api/queue/join", {"data": [file, "words"]})
    plan = read_by("a1111", asked, uploads)
    assert not plan.references
    forwarded = conclude(plan, verdicts={}, resolved={}, rewrite=lambda one: one)
    assert json.loads(forwarded.body)["data"] == [{**file, "url": None}, "words"]


def test_a_chat_may_name_a_file_that_was_uploaded_and_a_batch_may_not() -> None:
    uploads = Uploads()
    upload = form_request("/v1/files", part("file", OTHER, "a.png"))
    learn = read_by("openai", upload).route.learn
    assert learn is not None
    uploads.add(learn(upload, b'{"id": "file-1", "object": "file"}'))
    content = [{"type": "input_image", "file_id": "file-1"}]
    asked = json_request("/v1/responses", {"input": [{"content": content}]})
    assert references("openai", asked)
    assert references("openai", asked, uploads) == []
    assert references("openai", json_request("/v1/batches", {"input_file_id": "file-1"}), uploads)


def test_stability_is_told_the_decision_in_the_fields_of_both_versions() -> None:
    told = json.loads(DIALECTS["stability"].refuse("Refused.", "decision-1").body)
    assert told["id"] == "decision-1"
    assert told["name"] == "content_moderation"
    assert told["errors"] == [told["message"]]


@pytest.mark.parametrize("prompt", ["a cat, 4k", "a/b", "", "A path. C is a letter", "[a] {b}"])
def test_a_prompt_in_inputs_is_no_reference(prompt: str) -> None:
    value = {"inputs": prompt, "parameters": {"negative_prompt": "a dog", "seed": 1}}
    assert json.loads(forward("huggingface", json_request("/models/a", value)).body) == value


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        (request("/models/a", b"\x00\x00\x02" + bytes(900), "image/x-tga"), ()),
        (json_request("/", {"inputs": spelt(b"\x00\x00\x02" + bytes(900))}), ("inputs",)),
    ],
    ids=["body", "inputs"],
)
def test_bytes_where_a_picture_belongs_are_taken_for_one(asked: Request, place: Any) -> None:
    plan = read_by("huggingface", asked)
    assert (list(plan.images), plan.opaque) == ([place], ())


def invoke(node: Any, **batch: Any) -> Request:
    value = {"batch": {"graph": {"nodes": {"7": node}}, "runs": 1, **batch}}
    return json_request("/api/v1/queue/default/enqueue_batch", value)


def test_an_invoke_graph_may_name_what_was_uploaded_and_nothing_else() -> None:
    uploads = Uploads()
    upload = form_request("/api/v1/images/upload", part("file", OTHER, "a.png"))
    learn = read_by("invokeai", upload).route.learn
    assert learn is not None
    uploads.add(learn(upload, b'{"image_name": "1-2.png", "image_url": "api/v1/images/i/1-2.png"}'))
    asked = invoke({"type": "image", "image": {"image_name": "1-2.png"}})
    assert references("invokeai", asked) == ["batch.graph.nodes.7.image.image_name"]
    assert references("invokeai", asked, uploads) == []
    items = [{"image_name": "1-2.png"}, {"image_name": "3-4.png"}]
    batch = invoke({}, data=[[{"node_path": "7", "field_name": "image", "items": items}]])
    assert references("invokeai", batch, uploads) == ["batch.data.0.0.items.1.image_name"]


@pytest.mark.parametrize(
    "value", ["https://example.org/a", "/srv/pictures", "pictures/a.png", "C:\\a"]
)
def test_an_invoke_graph_reads_no_file_in_another_way(value: str) -> None:
    assert references("invokeai", invoke({"type": "somebodys", "source": value}))


@pytest.mark.parametrize(
    "node",
    [
        {"type": "call_saved_workflow", "workflow_id": "1"},
        {"generator": {"type": "image_generator_images_from_board", "board_id": "1"}},
    ],
)
def test_an_invoke_graph_reads_nothing_that_the_request_does_not_name(node: Any) -> None:
    assert references("invokeai", invoke(node))


@pytest.mark.parametrize("name", ["latents_name", "tensor_name"])
def test_an_invoke_graph_that_takes_up_latents_is_refused(name: str) -> None:
    assert read_by("invokeai", invoke({"type": "l2i", "latents": {name: "a"}})).opaque


def test_an_ordinary_invoke_graph_is_forwarded() -> None:
    node = {
        "type": "denoise_latents",
        "board": {"board_id": "1"},
        "model": {"key": "1", "hash": "blake3:00", "name": "a.b", "base": "sdxl"},
        "value": "a cat, 4k / a dog",
    }
    workflow = {"contact": "https://example.org/me", "nodes": [{"image_name": "old.png"}]}
    asked = invoke(node, workflow=workflow)
    assert json.loads(forward("invokeai", asked).body) == json.loads(asked.body)


def test_a_model_of_invoke_may_come_from_a_url() -> None:
    source = {"source": "https://example.org/a.safetensors"}
    asked = json_request("/api/v2/models/install", source, query="source=https://example.org/a")
    assert json.loads(forward("invokeai", asked).body) == source


@pytest.mark.parametrize("route", ["generate/pop_multi", "generate/text/pop", "interrogate/pop"])
def test_a_worker_of_the_horde_is_given_no_jobs_that_were_not_looked_at(route: str) -> None:
    with pytest.raises(Unparsable, match="worker"):
        read_by("horde", json_request(f"/api/v2/{route}", {"name": "a", "models": ["b"]}))


def given_back(answer: bytes, *, is_listed: bool = True) -> list[Request]:
    headers = (("apikey", "0"), ("x-other", "1"), ("accept", "*/*"))
    asked = json_request("/api/v2/generate/pop", {"name": "a"}, headers=headers)
    jobs = read_by("horde", asked).route.jobs
    assert jobs is not None
    return list(jobs.give_back(asked, answer, is_listed))


@pytest.mark.parametrize(("is_listed", "state"), [(True, "csam"), (False, "faulted")])
def test_a_job_is_given_back_to_the_horde_for_each_image_that_it_asks_for(
    is_listed: bool, state: str
) -> None:
    first, second = given_back(b'{"id": "1", "ids": ["1", "2"]}', is_listed=is_listed)
    assert [json.loads(one.body)["id"] for one in (first, second)] == ["1", "2"]
    assert json.loads(first.body)["state"] == state
    assert first.path == "/api/v2/generate/submit"
    assert first.headers == (("apikey", "0"), ("content-type", "application/json"))


@pytest.mark.parametrize(
    "answer",
    [b"", b"{", b"[]", b'{"id": null}', b'{"ids": [1, ""]}', b"[" * 100_000],
    ids=lambda answer: repr(answer[:20]),
)
def test_of_an_odd_job_nothing_is_given_back(answer: bytes) -> None:
    assert given_back(answer) == []


def test_a_webhook_of_the_horde_may_be_a_url() -> None:
    value = {"prompt": "a", "webhook": "https://example.org/done", "source_image": spelt(OTHER)}
    asked = json_request("/api/v2/generate/async", value)
    assert json.loads(forward("horde", asked).body) == value


def test_the_horde_gets_bare_base64_in_the_place_of_a_url() -> None:
    assert str(resolved_as(OTHER, "png", DIALECTS["horde"])) == spelt(OTHER)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda one: one.name)
@pytest.mark.parametrize("answer", [b"", b"no JSON", b"[]", b"{}", b"1", b'{"id": 1}', b"\xff"])
def test_an_odd_answer_teaches_nothing(dialect: Any, answer: bytes) -> None:
    for route in dialect.routes:
        if route.learn is not None and "etn" not in route.path:
            assert list(route.learn(request("/x"), answer)) == []


def test_a_resolved_reference_stands_in_the_place_of_the_url() -> None:
    value = {"init_images": ["https://example.org/a.png"], "prompt": "a"}
    plan = read_by("a1111", json_request("/sdapi/v1/img2img", value))
    (one,) = plan.references
    assert one.is_url
    forwarded = conclude(
        plan,
        verdicts={one.where: Allowed("1")},
        resolved={one.where: resolved_as(OTHER, "png", DIALECTS["a1111"])},
        rewrite=lambda carried: carried,
    )
    assert json.loads(forwarded.body)["init_images"] == [f"data:image/png;base64,{spelt(OTHER)}"]


def test_old_ids_are_forgotten() -> None:
    uploads = Uploads(most=2)
    uploads.add(["a", "b", "", "a", "c"])
    assert [one for one in ("a", "b", "", "c") if one in uploads] == ["a", "c"]


def test_a_place_is_named_without_what_was_sent() -> None:
    assert name_place(("a", 0, "x" * 100, "/srv/name")) == "a.0.….…"


# ── Refusals ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda one: one.name)
def test_a_refusal_has_a_status_after_which_nobody_sends_again(dialect: Any) -> None:
    refusal = dialect.refuse("Refused.", "decision-1")
    assert refusal.status in {400, 403, 422}
    assert b"decision-1" in refusal.body
    assert ("x-request-id", "decision-1") in refusal.headers


# ── Laws ──────────────────────────────────────────────────────────────────────────────────────


def test_what_decides_does_no_io() -> None:
    folder = ROOT / "src/initgate/service/proxy"
    names = ("core", "found", "kinds", "texts", "multipart", "canonical", "uploads", "names")
    files = [folder / f"{name}.py" for name in names] + sorted((folder / "dialects").glob("*.py"))
    imported = {
        name
        for file in files
        for found in re.finditer(r"^\s*(?:from|import) ([\w.]+)", file.read_text(), re.MULTILINE)
        for name in [found[1].partition(".")[0]]
    }
    assert not imported & {"httpx", "starlette", "websockets", "anyio", "asyncio", "socket", "os"}


@given(
    st.sampled_from(sorted(DIALECTS)),
    st.sampled_from(["/prompt", "/sdapi/v1/img2img", "/upload/image", "/queue/join", "/x"]),
    st.sampled_from(["", "application/json", "multipart/form-data; boundary=b", "text/plain"]),
    st.one_of(
        st.binary(max_size=300),
        st.recursive(
            st.one_of(st.none(), st.text(max_size=80), st.just(spelt(OTHER)), st.just("/a/b.png")),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.sampled_from(
                        ["data", "path", "url", "prompt", "inputs", "class_type", "image", "mask"]
                    ),
                    inner,
                    max_size=4,
                ),
            ),
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
def test_any_request_is_planned_or_unparsable(
    dialect: str, path: str, content_type: str, body: bytes
) -> None:
    try:
        plan = read_by(dialect, request(path, body, content_type))
    except Unparsable:
        return
    if plan.references or plan.opaque:
        return
    forwarded = conclude(
        plan,
        verdicts=dict.fromkeys(plan.images, Allowed("1")),
        resolved={},
        rewrite=lambda one: one,
    )
    assert carried(forwarded) == [one.data for one in plan.images.values()]
