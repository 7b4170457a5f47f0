"""ComfyUI: uploads, and graphs whose nodes name them. Every route exists under ``/api`` too."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from initgate.service.proxy.core import URL, Dialect, Hint, Request, Response, Route, Sign
from initgate.service.proxy.dialects.answers import to_message, to_response
from initgate.service.proxy.dialects.gradio import PATH
from initgate.service.proxy.found import Document, Node, Where, walk

# Nodes that bring latents in: there are no pixels to look at.
_LATENTS = {"LoadLatent", "LoadTrainingDataset"}

# Nodes that read whole folders of the server.
_FOLDERS = {"LoadImageDataSetFromFolder", "LoadImageTextDataSetFromFolder"}

# Stock loaders, and those of extensions by their name; and the inputs by which they name a file.
_LOADER = re.compile(
    r"load.*(?:image|video|mask|gif|frames|3d|latent)|webcamcapture", re.IGNORECASE
)
_LOADED = {"image", "video", "mask", "file", "filename", "id", "model_file"}

_FOLDER_INPUT = re.compile(r"(?:.*_)?(?:path|folder|directory|dir|url|uri)", re.IGNORECASE)
# A whole text that is the name of a picture, a film or latents.
MEDIA_FILE = re.compile(
    r"[^\n]{1,4095}\.(?:png|apng|jpe?g|jfif|webp|gif|bmp|tiff?|avif|hei[cf]|exr|hdr|psd|svg|ico|tga"
    r"|mp4|webm|mov|mkv|avi|latent|np[yz]|glb|gltf|obj|fbx|stl)(?: \[\w+\])?",
    re.IGNORECASE,
)
_MODEL_FILE = re.compile(
    r"[^\n]{1,400}\.(?:safetensors|ckpt|pth?|bin|gguf|onnx|sft|ya?ml)", re.IGNORECASE
)
_ANNOTATED_FILE = re.compile(r"[^\n]{1,4095} ?\[(?:input|output|temp)\]")
_ANNOTATED = re.compile(r"(.*?)(?: ?\[(input|output|temp)\])?", re.DOTALL)


def _refuse(message: str, decision_id: str) -> Response:
    error = {
        "type": "request_refused",
        "code": "request_refused",  # by which the routes of assets call it
        "message": to_message(message, decision_id),
        "details": "",
        "extra_info": {},
    }
    return to_response(400, {"error": error, "node_errors": {}}, decision_id)


def _identify(name: str, subfolder: str = "", folder: str = "") -> str:
    """One id for every way to write a file's name."""
    found = _ANNOTATED.fullmatch(name.strip())
    bare, annotated = (found[1], found[2]) if found else (name, None)
    path = posixpath.normpath(posixpath.join(subfolder, bare).replace("\\", "/"))
    return f"{annotated or folder or 'input'}:{path}"


def _learn_upload(request: Request, answer: bytes) -> Iterable[str]:
    del request
    content = _to_object(answer)
    name, subfolder, folder = (content.get(key) or "" for key in ("name", "subfolder", "type"))
    if isinstance(name, str) and isinstance(subfolder, str) and isinstance(folder, str) and name:
        yield _identify(name, subfolder, folder)


def _learn_asset(request: Request, answer: bytes) -> Iterable[str]:
    del request
    content = _to_object(answer)
    for key in ("hash", "asset_hash", "id"):
        if isinstance(value := content.get(key), str) and value:
            yield value
            yield _identify(value)
    if isinstance(name := content.get("name"), str) and name:
        yield _identify(name)


def _learn_cached(request: Request, answer: bytes) -> Iterable[str]:
    del answer
    yield _identify(unquote(request.path).rsplit("/", 1)[-1])


def _to_object(answer: bytes) -> dict[str, object]:
    try:
        content = json.loads(answer)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _original_hints(root: Node) -> Iterator[Hint]:
    """A mask is merged into a picture, which must be one that passed."""
    for where, node in walk(root):
        if where[:1] != ("original_ref",):
            continue
        value = node.value if isinstance(node, Document) else node
        if isinstance(value, dict):
            name, *rest = (value.get(key) or "" for key in ("filename", "subfolder", "type"))
            yield Hint((*where, "filename"), Sign.REFERENCE, _identify(str(name), *map(str, rest)))
        elif isinstance(value, str) and len(where) == 2:  # noqa: PLR2004  # the field itself
            yield Hint(where, Sign.REFERENCE, _identify(value))


def _graph_hints(root: Node) -> Iterator[Hint]:
    """What the nodes of a graph read: wherever in the request a graph stands."""
    for where, node in walk(root):
        if isinstance(node, dict) and isinstance(kind := node.get("class_type"), str):
            yield from _node_hints(kind, node.get("inputs"), (*where, "inputs"))


def _node_hints(kind: str, inputs: Node, where: Where) -> Iterator[Hint]:
    if kind in _LATENTS:
        yield Hint(where, Sign.OPAQUE)
        return
    for place, value in walk(inputs, where):
        if not isinstance(value, str) or not value.strip():
            continue
        key = next((str(one) for one in reversed(place) if isinstance(one, str)), "")
        if kind in _FOLDERS:
            yield Hint(place, Sign.REFERENCE)
        elif _is_file(kind, key, value.strip()):
            yield Hint(place, Sign.REFERENCE, _identify(value))


def _is_file(kind: str, key: str, value: str) -> bool:
    """Whether an input names something that would be loaded."""
    if _MODEL_FILE.fullmatch(value) and not PATH.fullmatch(value):
        return False
    if _LOADER.search(kind) and key.lower() in _LOADED:
        return True
    if _FOLDER_INPUT.fullmatch(key) or value.startswith(("blake3:", "..")):
        return True
    return any(form.fullmatch(value) for form in (MEDIA_FILE, _ANNOTATED_FILE, PATH, URL))


COMFYUI = Dialect(
    name="comfyui",
    refuse=_refuse,
    routes=(
        Route(
            r"/upload/(?:image|mask)",
            images=("image.*",),
            rule=_original_hints,
            learn=_learn_upload,
        ),
        Route(
            r"/assets(?:/[\w-]+)*",
            methods=("POST", "PUT", "PATCH"),
            references=(
                "hash",
                "hash.*",
                "preview_id",
                "preview_id.*",
                "path",
                "file_path",
                "**.path",
            ),
            learn=_learn_asset,
        ),
        Route(r"/etn/image/[^/]+", methods=("PUT", "POST"), learn=_learn_cached),
        # The graph's picture for the web page holds links to models, hence the rule instead.
        Route(r"/(?:prompt|jobs)", rule=_graph_hints, may_hold_urls=True),
        Route(
            r"/(?:settings|users|userdata|history|queue|interrupt|free|manager|customnode"
            r"|externalmodel|model|models|internal|global_subgraphs|workflow_templates)(?:/.*)?",
            methods=("POST", "PUT", "PATCH", "DELETE"),
            may_hold_urls=True,
        ),
    ),
)
"""The dialect ``comfyui``."""
