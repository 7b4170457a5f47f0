"""AI Horde, as its clients ask it. What workers get is not looked at, so they are turned away."""

from __future__ import annotations

from typing import NoReturn

from initgate.service.proxy.core import Dialect, Response, Route
from initgate.service.proxy.dialects.answers import to_message, to_response
from initgate.service.proxy.found import Node
from initgate.service.proxy.texts import Unparsable


def _refuse(message: str, decision_id: str) -> Response:
    said = to_message(message, decision_id)
    if not decision_id:
        return to_response(400, {"message": said}, decision_id)
    # By these words its SDK knows the error for pictures. Without a key "errors", which is for
    # fields of the wrong type.
    content = {"message": f"Image validation failed: {said}", "rc": "ImageValidationFailed"}
    return to_response(400, content, decision_id)


def _bar_jobs(root: Node) -> NoReturn:
    """The pictures of a job are in the answer."""
    del root
    raise Unparsable("a worker asks for jobs, whose pictures this dialect does not look at")


HORDE = Dialect(
    name="horde",
    refuse=_refuse,
    takes_data_urls=False,
    routes=(
        Route(
            r"/v\d/(?:generate|generate/text|interrogate)/a?sync",
            images=("source_image", "source_mask", "extra_source_images.*.image"),
            may_hold_urls=True,  # of a webhook
        ),
        Route(
            r"/v\d/(?:generate|generate/text|interrogate)/pop\w*",
            methods=("GET", "POST", "PUT"),
            rule=_bar_jobs,
        ),
    ),
)
"""The dialect ``horde``."""
