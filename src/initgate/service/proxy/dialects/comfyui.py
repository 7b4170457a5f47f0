"""ComfyUI: uploads, and graphs whose nodes name them. Every route exists under ``/api`` too."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

from initgate.service.proxy.core import Dialect, Hint, Request, Response, Route, Sign
from initgate.service.proxy.dialects.answers import to_message, to_response
from initgate.service.proxy.found import Document, Node, Where, walk
from initgate.service.proxy.names import MEDIA_FILE, PATH, URL

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
# Names of weights, and the inputs of extensions that take them though they are called paths.
_MODEL_FILE = re.compile(
    r"[^\n]{1,400}\.(?:safetensors|ckpt|pth?|bin|gguf|onnx|sft|ya?ml)", re.IGNORECASE
)
_MODEL_INPUT = re.compile(
    r"(?:model|ckpt|checkpoint|lora|vae|unet|clip|control_?net|text_encoder|upscale|config)_\w*",
    re.IGNORECASE,
)
_ANNOTATED_FILE = re.compile(r"[^\n]{1,4095} ?\[(?:input|output|temp)\]")
_ANNOTATED = re.compile(r"(.+) \[(input|output|temp)\]", re.DOTALL)
_ANNOTATIONS = ("[input]", "[output]", "[temp]")
_MAX_KIND = 256  # characters; who calls a node longer hides something
_CACHED = "ETN_LoadImageCache"
_TRIMMED = " \t\r\n\f\v\"'"  # by some loaders


def _refuse(message: str, decision_id: str) -> Response:
    error = {
        "type": "request_refused",
        "code": "request_refused",  # by which the routes of assets call it
        "message": to_message(message, decision_id),
        "details": "",
        "extra_info": {},
    }
    return to_response(400, {"error": error, "node_errors": {}}, decision_id)


def _identify(name: str, folder: str = "input") -> str:
    """What a loader would open; empty if that can be read in two ways."""
    if found := _ANNOTATED.fullmatch(name):
        name, folder = found[1], found[2]
    return _locate(name, "", folder)


def _locate(name: str, subfolder: str, folder: str) -> str:
    """One id for every way to write a file's place.

    Empty for a name that the server or a loader cuts, or that lies outside the folder.
    """
    path = posixpath.normpath(posixpath.join(subfolder, name))
    is_odd = (
        name.endswith(_ANNOTATIONS)  # of which the server cuts off another character
        or path.strip(_TRIMMED) != path
        or "\\" in path  # a letter of a name on one system, a border on the other
        or path.startswith(("/", ".."))
    )
    return "" if is_odd else f"{folder}:{path}"


def _learn_upload(request: Request, answer: bytes) -> Iterable[str]:
    del request
    content = _to_object(answer)
    name, subfolder, folder = (content.get(key) or "" for key in ("name", "subfolder", "type"))
    if isinstance(name, str) and isinstance(subfolder, str) and isinstance(folder, str) and name:
        yield _locate(name, subfolder, folder or "input")


def _learn_asset(request: Request, answer: bytes) -> Iterable[str]:
    """What the server chose itself, and not the name, which the client did."""
    del request
    content = _to_object(answer)
    for key in ("hash", "asset_hash"):
        if isinstance(value := content.get(key), str) and value:
            yield value
            yield _identify(value)
    if isinstance(value := content.get("id"), str):
        yield value


def _learn_cached(request: Request, answer: bytes) -> Iterable[str]:
    """The id is the client's, so it is known in that cache alone."""
    del answer
    yield f"cache:{unquote(request.path).rstrip('/').rsplit('/', 1)[-1]}"


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
            yield Hint((*where, "filename"), Sign.REFERENCE, _identify_original(value))
        elif isinstance(value, str) and len(where) == 2:  # noqa: PLR2004  # the field itself
            yield Hint(where, Sign.REFERENCE)


def _identify_original(value: Mapping[str, Node]) -> str:
    name, subfolder = value.get("filename"), value.get("subfolder") or ""
    folder = value.get("type", "output")  # as the server does
    if not (isinstance(name, str) and isinstance(subfolder, str) and isinstance(folder, str)):
        return ""
    return "" if name.endswith(_ANNOTATIONS) else _locate(name, subfolder, folder)


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
        # All names above count: the server unwraps {"__value__": …}.
        keys = [one.lower() for one in place[len(where) :] if isinstance(one, str)]
        if kind in _FOLDERS:
            yield Hint(place, Sign.REFERENCE)
        elif kind == _CACHED:
            yield Hint(place, Sign.REFERENCE, f"cache:{value}")
        elif _is_file(kind, keys, value.strip()):
            yield Hint(place, Sign.REFERENCE, _identify(value))


def _is_file(kind: str, keys: list[str], value: str) -> bool:
    """Whether an input names something that would be loaded."""
    is_loader = len(kind) > _MAX_KIND or bool(_LOADER.search(kind))
    if is_loader and not _LOADED.isdisjoint(keys):
        return True
    if any(form.fullmatch(value) for form in (MEDIA_FILE, _ANNOTATED_FILE, PATH, URL)):
        return True
    if value.startswith(("blake3:", "..")):
        return True
    is_model = not is_loader and bool(_MODEL_FILE.fullmatch(value))
    return any(
        _FOLDER_INPUT.fullmatch(key) and not (is_model and _MODEL_INPUT.fullmatch(key))
        for key in keys
    )


_ASSET_NAMES = ("hash", "hash.*", "preview_id", "preview_id.*", "file_path", "**.path")

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
            r"/assets(?:/from-hash)?",
            images=("file.*",),
            references=_ASSET_NAMES,
            learn=_learn_asset,
        ),
        # What an asset is called, and the like: it teaches nothing.
        Route(
            r"/assets(?:/[\w-]+)*",
            methods=("POST", "PUT", "PATCH"),
            references=_ASSET_NAMES,
        ),
        Route(r"/etn/image/[^/]+", methods=("PUT", "POST"), images=("",), learn=_learn_cached),
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
