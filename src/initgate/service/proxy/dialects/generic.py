"""Any server: pictures may come on every route, and nothing that is a URL may name one."""

from __future__ import annotations

from initgate.service.proxy.core import Dialect, Response
from initgate.service.proxy.dialects.answers import to_message, to_response


def _refuse(message: str, decision_id: str) -> Response:
    said = to_message(message, decision_id)
    # FastAPI's and many others' key, and Hugging Face's.
    return to_response(400, {"detail": said, "error": said}, decision_id)


GENERIC = Dialect(name="generic", refuse=_refuse, takes_unknown=True)
"""The dialect ``generic``."""
