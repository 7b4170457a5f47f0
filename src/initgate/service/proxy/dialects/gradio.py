"""The routes that every Gradio app has: uploads, and calls that name them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from initgate.service.proxy.core import Dialect, Hint, Request, Response, Route, Sign
from initgate.service.proxy.dialects.answers import to_message, to_response
from initgate.service.proxy.found import Node, Where, walk
from initgate.service.proxy.names import PATH, URL


def _learn(request: Request, answer: bytes) -> Iterable[str]:
    """The paths at which uploads were put."""
    del request
    try:
        paths = json.loads(answer)
    except ValueError:
        return []
    return [one for one in paths if isinstance(one, str)] if isinstance(paths, list) else []


def file_hints(root: Node) -> Iterator[Hint]:
    """What a call says of files: each must be an upload that passed."""
    for where, node in walk(root):
        if isinstance(node, dict):
            yield from _file_hints(node, where)
        elif isinstance(node, str) and PATH.fullmatch(node) and where[-1:] not in _FILE_KEYS:
            yield Hint(where, Sign.REFERENCE, node)


_FILE_KEYS = {("path",), ("name",), ("url",), ("orig_name",)}


def _file_hints(node: dict[str, Node], where: Where) -> Iterator[Hint]:
    path, name, url = (node.get(key) for key in ("path", "name", "url"))
    if isinstance(path, str) and path:
        yield Hint((*where, "path"), Sign.REFERENCE, path)
        if url is not None:  # where the browser shows it from; the path is what counts
            yield Hint((*where, "url"), Sign.DROP)
    elif isinstance(url, str) and (PATH.fullmatch(url) or URL.fullmatch(url)):
        yield Hint((*where, "url"), Sign.REFERENCE)
    if isinstance(name, str) and (node.get("is_file") or PATH.fullmatch(name)):  # Gradio 3
        yield Hint((*where, "name"), Sign.REFERENCE, name)


_CALL = (
    r"/(?:queue/(?:join|data|push)|run/[^/]+|api/[^/]+|call/(?:v2/)?[^/]+|component_server"
    r"|mcp(?:/.*)?)"
)

ROUTES = (
    Route(r"/upload", images=(), learn=_learn),
    Route(_CALL, methods=("POST", "WS"), rule=file_hints),
)
"""They end so under any prefix: ``/gradio_api`` since Gradio 5."""


def _refuse(message: str, decision_id: str) -> Response:
    said = to_message(message, decision_id)
    return to_response(400, {"detail": said, "error": said}, decision_id)


GRADIO = Dialect(name="gradio", refuse=_refuse, routes=ROUTES)
"""The dialect ``gradio``."""
