"""InvokeAI: uploads, and graphs whose nodes name what is stored."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from initgate.service.proxy.core import Dialect, Hint, Request, Response, Route, Sign
from initgate.service.proxy.dialects.answers import to_message, to_response
from initgate.service.proxy.found import Node, Where, walk
from initgate.service.proxy.names import MEDIA_FILE, PATH, URL

_NAMES = {"image_name", "video_name"}

# Nodes that run a graph which is already on the server, or take all of a board.
_STORED = {"call_saved_workflow", "call_saved_workflows", "image_generator_images_from_board"}

# What earlier runs left on the server: there are no pixels to look at.
_LATENTS = {"latents_name", "tensor_name"}

# The page's drawing of a graph is kept beside the pictures, and not run.
_WORKFLOW: Where = ("batch", "workflow")


def _refuse(message: str, decision_id: str) -> Response:
    # FastAPI's shape; the web page shows the detail of a 403.
    return to_response(403, {"detail": to_message(message, decision_id)}, decision_id)


def _learn(request: Request, answer: bytes) -> Iterable[str]:
    """The names under which uploads were stored."""
    del request
    try:
        content = json.loads(answer)
    except ValueError:
        return
    for one in content if isinstance(content, list) else [content]:
        if isinstance(one, dict) and isinstance(name := one.get("image_name"), str):
            yield name


def _name_hints(root: Node) -> Iterator[Hint]:
    """What a graph, a batch's data or a recall reads: each must be an upload that passed."""
    for where, node in walk(root):
        if not isinstance(node, str) or not node.strip() or where[:2] == _WORKFLOW:
            continue
        key = where[-1] if where else ""
        if key in _LATENTS:
            yield Hint(where, Sign.OPAQUE)
        elif key == "type" and node in _STORED:
            yield Hint(where, Sign.REFERENCE)
        elif key in _NAMES or any(form.fullmatch(node) for form in (URL, PATH, MEDIA_FILE)):
            yield Hint(where, Sign.REFERENCE, node)


INVOKEAI = Dialect(
    name="invokeai",
    refuse=_refuse,
    routes=(
        Route(
            r"/api/v1/images/(?:bulk-)?upload",
            images=("file.*", "files.*", "files[].*"),
            learn=_learn,
        ),
        Route(
            r"/api/v1/(?:queue|sessions|recall|utilities)(?:/.*)?",
            methods=("POST", "PUT", "PATCH"),
            rule=_name_hints,
            may_hold_urls=True,  # the rule finds those that are read
        ),
        # Covers of styles, models and workflows; and links to models, which are none.
        Route(
            r"/api/v[12]/(?:workflows|style_presets|models|model_relationships|custom_nodes"
            r"|client_state|app)(?:/.*)?",
            methods=("POST", "PUT", "PATCH", "DELETE"),
            images=("image.*",),
            may_hold_urls=True,
        ),
    ),
)
"""The dialect ``invokeai``."""
