"""What the dialects' answers share."""

from __future__ import annotations

import json

from initgate.service.proxy.core import Response


def to_message(message: str, decision_id: str) -> str:
    """The sentence that a client shows."""
    return f"{message} Decision id: {decision_id}" if decision_id else message


def to_response(status: int, content: object, decision_id: str) -> Response:
    """A JSON answer, with the decision id in the header where logs look for it.

    Args:
        status: Of HTTP: 400, 403 or 422. Clients send a picture again after others.
        content: Of the body.
        decision_id: Empty if nothing was decided.
    """
    headers = [("content-type", "application/json")]
    if decision_id:
        headers.append(("x-request-id", decision_id))
    return Response(status, tuple(headers), json.dumps(content).encode())
