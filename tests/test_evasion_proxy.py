"""Tricks by which a picture, or the name of one, could pass the proxy without a look at it."""

from __future__ import annotations

import json
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

from initgate import Allowed
from initgate.service.proxy.core import Plan, Request, conclude, name_place, read_request
from initgate.service.proxy.dialects import DIALECTS
from initgate.service.proxy.found import Bounds
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
