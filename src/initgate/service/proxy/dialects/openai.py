"""Servers that speak OpenAI's image API: edits and variations, chat and responses with pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from initgate.service.proxy.core import Dialect, Hint, Request, Response, Route, Sign
from initgate.service.proxy.dialects.answers import to_message, to_response
from initgate.service.proxy.found import Node, walk
from initgate.service.proxy.texts import Carried


def _refuse(message: str, decision_id: str) -> Response:
    error = {
        "message": to_message(message, decision_id),
        "type": "image_generation_user_error",
        "param": None,
        "code": "moderation_blocked",
    }
    return to_response(400, {"error": error}, decision_id)


def _learn_file(request: Request, answer: bytes) -> Iterable[str]:
    """The id by which later requests name an upload."""
    del request
    try:
        made = json.loads(answer)
    except ValueError:
        return
    if isinstance(made, dict) and isinstance(made.get("id"), str):
        yield made["id"]


def _batch_hints(root: Node) -> Iterator[Hint]:
    """A batch is a file of requests, which were not looked at as such."""
    for where, node in walk(root):
        if isinstance(node, str) and where[-1:] == ("input_file_id",):
            yield Hint(where, Sign.REFERENCE)


def _item_hints(root: Node) -> Iterator[Hint]:
    """Items of a conversation that the server keeps: what they hold is not in the request."""
    for where, node in walk(root):
        if not isinstance(node, dict) or where[-2:-1] not in _ITEMS or "id" not in node:
            continue
        kind, made = node.get("type"), node.get("result")
        if kind == "image_generation_call" and isinstance(made, Carried) and made.is_image:
            yield Hint((*where, "id"), Sign.DROP)
        elif kind in _STORED and "content" not in node:
            yield Hint((*where, "id"), Sign.REFERENCE)


_ITEMS = {("input",), ("items",)}
_STORED = {None, "item_reference", "image_generation_call"}

_IMAGES = tuple(
    f"{name}{below}"
    for name in ("image", "images", "image[]", "mask", "markup", "input_reference")
    for below in ("", ".*", ".*.*")
)
_NAMED = (
    "**.image_url",
    "**.image_url.url",
    "**.imageDataUrl",
    "**.imageDataUrls.*",
    "**.file_id",
    "**.file_ids",
    "**.file_ids.*",
    # What the server keeps of earlier requests, which may not have come this way.
    "previous_response_id",
    "conversation",
    "conversation.id",
    "**.container",
    "**.container_id",
)

OPENAI = Dialect(
    name="openai",
    refuse=_refuse,
    routes=(
        Route(
            r"/images/(?:edits|variations|generations)|/videos",
            images=_IMAGES,
            references=_NAMED,
        ),
        Route(
            r"/(?:chat/completions|(?:responses|conversations|threads)(?:/.*)?)",
            references=_NAMED,
            rule=_item_hints,
        ),
        Route(r"/files", learn=_learn_file),
        Route(r"/batches", rule=_batch_hints),
    ),
)
"""The dialect ``openai``."""
