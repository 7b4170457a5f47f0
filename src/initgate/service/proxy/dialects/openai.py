"""Servers that speak OpenAI's image API: edits and variations, chat and responses with pictures."""

from __future__ import annotations

from initgate.service.proxy.core import Dialect, Response, Route
from initgate.service.proxy.dialects.answers import to_message, to_response


def _refuse(message: str, decision_id: str) -> Response:
    error = {
        "message": to_message(message, decision_id),
        "type": "image_generation_user_error",
        "param": None,
        "code": "moderation_blocked",
    }
    return to_response(400, {"error": error}, decision_id)


_IMAGES = tuple(
    f"{name}{below}"
    for name in ("image", "images", "image[]", "mask", "markup", "input_reference")
    for below in ("", ".*", ".*.*")
)
_NAMED = ("**.image_url", "**.image_url.url", "**.file_id", "**.imageDataUrl", "**.imageDataUrls.*")

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
            r"/(?:chat/completions|responses)",
            references=(*_NAMED, "**.previous_response_id", "conversation"),
        ),
        # A file's id stands for it later. Nothing says that it is a picture, so none is learnt.
        Route(r"/files|/uploads/[^/]+/parts"),
    ),
)
"""The dialect ``openai``."""
