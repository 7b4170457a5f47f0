"""Servers that speak Stability's REST API: v1 and v2beta, whose pictures come in forms."""

from __future__ import annotations

from initgate.service.proxy.core import Dialect, Response, Route
from initgate.service.proxy.dialects.answers import to_message, to_response


def _refuse(message: str, decision_id: str) -> Response:
    said = to_message(message, decision_id)
    content = {
        "id": decision_id,
        "name": "content_moderation" if decision_id else "unavailable",
        "message": said,  # v1 has one sentence, v2beta a list of them
        "errors": [said],
    }
    return to_response(403, content, decision_id)


_NAMES = (
    "image",
    "mask",
    "init_image",
    "mask_image",
    "style_image",
    "subject_image",
    "background_reference",
    "light_reference",
)

STABILITY = Dialect(
    name="stability",
    refuse=_refuse,
    routes=(
        Route(
            r"/v1/generation/[^/]+/(?:image|text)-to-image(?:/[\w-]+)?"
            r"|/v2(?:alpha|beta)/(?:stable-image|stable-video|image-to-video|3d)(?:/[\w-]+)*",
            # In a form, and in the JSON of servers that take it too.
            images=tuple(f"{name}{below}" for name in _NAMES for below in ("", ".*")),
        ),
    ),
)
"""The dialect ``stability``."""
