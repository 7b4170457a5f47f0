"""Where one picture can hide in each server's requests."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

from requests_made import file_of, form_request, json_request, part, request, urlencoded_request

from initgate.service.proxy.core import ANSWER, Request

OTHER = file_of("flower", "PNG", most=32)
"""A picture that may stand beside the one that hides."""

Hide = Callable[[str], Request]
"""A picture, as a text → a request that holds it."""


def spelt(data: bytes) -> str:
    """A picture as most clients write it."""
    return base64.b64encode(data).decode()


A1111: dict[str, Hide] = {
    "init_images": lambda x: json_request("/sdapi/v1/img2img", {"init_images": [x]}),
    "second of init_images": lambda x: json_request(
        "/sdapi/v1/img2img", {"init_images": [spelt(OTHER), x]}
    ),
    "mask": lambda x: json_request("/sdapi/v1/img2img", {"init_images": [], "mask": x}),
    "ControlNet in txt2img": lambda x: json_request(
        "/sdapi/v1/txt2img", {"alwayson_scripts": {"ControlNet": {"args": [{"image": x}]}}}
    ),
    "ControlNet, image within image": lambda x: json_request(
        "/sdapi/v1/img2img",
        {"alwayson_scripts": {"controlnet": {"args": [{"image": {"image": x, "mask": x}}]}}},
    ),
    "script_args": lambda x: json_request("/sdapi/v1/img2img", {"script_args": [1, None, [x]]}),
    "an unknown extension": lambda x: json_request(
        "/sdapi/v1/txt2img", {"alwayson_scripts": {"Swap": {"args": [True, x]}}}
    ),
    "extras": lambda x: json_request("/sdapi/v1/extra-single-image", {"image": x}),
    "batch of extras": lambda x: json_request(
        "/sdapi/v1/extra-batch-images", {"imageList": [{"data": x, "name": "a.png"}]}
    ),
    "interrogate": lambda x: json_request("/sdapi/v1/interrogate", {"image": x}),
    "detect": lambda x: json_request("/controlnet/detect", {"controlnet_input_images": [x]}),
    "Gradio 3's page": lambda x: json_request("/run/predict", {"fn_index": 3, "data": [x]}),
    "Gradio 3's socket": lambda x: request(
        "/queue/join", json.dumps({"data": [{"image": x}]}).encode(), method="WS"
    ),
    "Gradio's page": lambda x: json_request("/gradio_api/queue/join", {"data": [{"a": x}]}),
    "behind a prefix": lambda x: json_request("/sd/sdapi/v1/img2img/", {"init_images": [x]}),
    "a route of nobody": lambda x: json_request("/other/v1/run", {"deep": {"er": [x]}}),
    "the options": lambda x: json_request("/sdapi/v1/options", {"a": x}),
}
COMFYUI: dict[str, Hide] = {
    "a node": lambda x: json_request(
        "/prompt",
        {"prompt": {"1": {"class_type": "ETN_LoadImageBase64", "inputs": {"image": x}}}},
    ),
    "a node, other route": lambda x: json_request(
        "/api/prompt", {"prompt": {"1": {"class_type": "X", "inputs": {"y": {"z": [x]}}}}}
    ),
    "extra data": lambda x: json_request("/prompt", {"prompt": {}, "extra_data": {"a": x}}),
    "a field of an upload": lambda x: form_request("/upload/image", part("image", x.encode())),
    "user data": lambda x: json_request("/api/userdata/a%2Fb.json", {"nodes": [x]}),
    "a setting": lambda x: json_request("/settings/x", x),
}
OPENAI: dict[str, Hide] = {
    "a JSON edit": lambda x: json_request("/v1/images/edits", {"image": x, "prompt": "a"}),
    "JSON images": lambda x: json_request("/v1/images/edits", {"images": [{"image_url": x}]}),
    "chat": lambda x: json_request(
        "/v1/chat/completions",
        {"messages": [{"content": [{"type": "image_url", "image_url": {"url": x}}]}]},
    ),
    "responses": lambda x: json_request(
        "/v1/responses", {"input": [{"content": [{"type": "input_image", "image_url": x}]}]}
    ),
    "a form": lambda x: form_request("/v1/images/edits", part("image", x.encode())),
}
GRADIO: dict[str, Hide] = {
    "a call's data": lambda x: json_request("/gradio_api/call/paint", {"data": ["a cat", x]}),
    "a call in version 2": lambda x: json_request("/gradio_api/call/v2/paint", {"picture": x}),
    "the queue": lambda x: json_request(
        "/gradio_api/queue/join", {"data": [{"url": x, "meta": {"_type": "gradio.FileData"}}]}
    ),
    "beside an editor's layers": lambda x: json_request(
        "/queue/join", {"data": [{"background": None, "layers": [x], "composite": x}]}
    ),
    "a mask, as Gradio 3 sent it": lambda x: json_request(
        "/run/predict", {"data": [{"image": spelt(OTHER), "mask": x}]}
    ),
    "the second of a gallery": lambda x: json_request(
        "/api/predict", {"data": [[[spelt(OTHER), None], [x, "words"]]]}
    ),
    "a socket": lambda x: request("/queue/join", json.dumps({"data": [x]}).encode(), method="WS"),
    "a field of an upload": lambda x: form_request("/gradio_api/upload", part("files", x.encode())),
    "a component's own function": lambda x: json_request(
        "/gradio_api/component_server", {"component_id": 1, "fn_name": "a", "data": {"b": x}}
    ),
    "a route of the app's own": lambda x: json_request("/custom", {"a": x}),
}
GENERIC: dict[str, Hide] = {
    "JSON": lambda x: json_request("/any/thing", {"inputs": x}),
    "an urlencoded form": lambda x: urlencoded_request("/any/thing", {"a": x}),
    "a text": lambda x: request("/any/thing", x.encode(), "text/plain"),
    "a PUT": lambda x: request("/any/thing", x.encode(), method="PUT"),
    "a GET with a body": lambda x: request("/any/thing", x.encode(), method="GET"),
    "JSON in a field": lambda x: form_request("/a", part("b", json.dumps([x]).encode())),
}
STABILITY: dict[str, Hide] = {
    "v1": lambda x: form_request(
        "/v1/generation/a-1/image-to-image", part("init_image", x.encode()), part("seed", b"1")
    ),
    "the mask of v1": lambda x: form_request(
        "/v1/generation/a-1/image-to-image/masking",
        part("init_image", OTHER, "a.png"),
        part("mask_image", x.encode()),
    ),
    "v2beta": lambda x: form_request(
        "/v2beta/stable-image/generate/sd3", part("image", x.encode())
    ),
    "the style": lambda x: form_request(
        "/v2beta/stable-image/control/style-transfer", part("style_image", x.encode())
    ),
    "a film's beginning": lambda x: form_request(
        "/v2beta/image-to-video", part("image", x.encode())
    ),
    "a field of tomorrow": lambda x: form_request(
        "/v2beta/stable-image/edit/tomorrow", part("other", x.encode())
    ),
    "JSON": lambda x: json_request("/v1/generation/a-1/image-to-image", {"init_image": x}),
}
HUGGINGFACE: dict[str, Hide] = {
    "inputs": lambda x: json_request("/models/a/b", {"inputs": x, "parameters": {"prompt": "a"}}),
    "inputs at the root": lambda x: json_request("/", {"inputs": x}),
    "within inputs": lambda x: json_request("/", {"inputs": {"image": x, "question": "a"}}),
    "a list of inputs": lambda x: json_request("/models/a", {"inputs": ["a", x]}),
    "parameters": lambda x: json_request(
        "/models/a", {"inputs": spelt(OTHER), "parameters": {"mask_image": x}}
    ),
    "an unknown parameter": lambda x: json_request(
        "/models/a", {"inputs": "a", "parameters": {"deep": {"er": [x]}}}
    ),
    "another provider's field": lambda x: json_request("/a/b", {"prompt": "a", "image_url": x}),
    "another provider's list": lambda x: json_request("/a/b", {"input": {"input_images": [x]}}),
    "chat": lambda x: json_request(
        "/v1/chat/completions",
        {"messages": [{"content": [{"type": "image_url", "image_url": {"url": x}}]}]},
    ),
    "the body": lambda x: request("/models/a", x.encode(), "image/png"),
    "a JSON text": lambda x: json_request("/models/a", x),
    "a form": lambda x: form_request("/models/a", part("inputs", x.encode())),
}
INVOKEAI: dict[str, Hide] = {
    "a field of an upload": lambda x: form_request(
        "/api/v1/images/upload", part("file", x.encode()), query="image_category=user"
    ),
    "the metadata of an upload": lambda x: form_request(
        "/api/v1/images/upload",
        part("file", OTHER, "a.png"),
        part("metadata", json.dumps({"a": x}).encode()),
    ),
    "a node": lambda x: json_request(
        "/api/v1/queue/default/enqueue_batch",
        {"batch": {"graph": {"nodes": {"1": {"type": "a", "b": {"c": [x]}}}}}},
    ),
    "a batch's data": lambda x: json_request(
        "/api/v1/queue/default/enqueue_batch",
        {"batch": {"data": [[{"node_path": "1", "field_name": "a", "items": [x]}]]}},
    ),
    "a workflow": lambda x: json_request(
        "/api/v1/queue/default/enqueue_batch", {"batch": {"workflow": {"a": x}}}
    ),
    "a session": lambda x: json_request("/api/v1/sessions/", {"nodes": {"1": {"a": x}}}),
    "a recall": lambda x: json_request("/api/v1/recall/default", {"ip_adapters": [{"a": x}]}),
    "a style's cover": lambda x: form_request("/api/v1/style_presets/", part("image", x.encode())),
    "a model's cover": lambda x: form_request(
        "/api/v2/models/i/1/image", part("image", x.encode()), method="PATCH"
    ),
    "what the page keeps": lambda x: json_request(
        "/api/v1/client_state/default/set_by_key", json.dumps({"objects": [{"dataURL": x}]})
    ),
    "a board": lambda x: json_request("/api/v1/board_images/", {"image_name": x}),
}
HORDE: dict[str, Hide] = {
    "source_image": lambda x: json_request(
        "/api/v2/generate/async", {"prompt": "a", "source_image": x}
    ),
    "source_mask": lambda x: json_request(
        "/api/v2/generate/async", {"source_image": spelt(OTHER), "source_mask": x}
    ),
    "extra_source_images": lambda x: json_request(
        "/api/v2/generate/async",
        {"extra_source_images": [{"image": spelt(OTHER)}, {"image": x, "strength": 1}]},
    ),
    "parameters": lambda x: json_request("/api/v2/generate/async", {"params": {"a": [x]}}),
    "a text's picture": lambda x: json_request(
        "/api/v2/generate/text/async", {"extra_source_images": [{"image": x}]}
    ),
    "interrogate": lambda x: json_request(
        "/api/v2/interrogate/async", {"forms": [{"name": "caption"}], "source_image": x}
    ),
    "a worker's job": lambda x: json_request(
        "/api/v2/generate/pop", {"id": "1", "source_image": x}, method=ANSWER
    ),
    "a mask in it": lambda x: json_request(
        "/api/v2/generate/pop",
        {"id": "1", "source_image": spelt(OTHER), "source_mask": x},
        method=ANSWER,
    ),
    "a result": lambda x: json_request("/api/v2/generate/submit", {"id": "1", "generation": x}),
}

PLACES: dict[str, dict[str, Hide]] = {
    "a1111": A1111,
    "comfyui": COMFYUI,
    "openai": OPENAI,
    "gradio": GRADIO,
    "generic": GENERIC,
    "stability": STABILITY,
    "huggingface": HUGGINGFACE,
    "invokeai": INVOKEAI,
    "horde": HORDE,
}
"""By dialect, and by what it is called there."""
