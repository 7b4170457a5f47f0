"""Errors as RFC 9457 tells them. An answer of this kind never carries a verdict."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"

SCHEMA = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
    "required": ["type", "title", "status"],
    "additionalProperties": False,
}
"""Of a problem's body, for the OpenAPI document."""


class Problem(Exception):
    """A request that gets no verdict.

    Args:
        status: The HTTP status.
        detail: For the caller: what is wrong with the request, and nothing about images.
        retry_after: Seconds after which to try again.
        is_unread: Whether the body was not read to its end: the connection is of no more use.
    """

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        retry_after: int | None = None,
        is_unread: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = {"cache-control": "no-store"}
        if retry_after is not None:
            self.headers["retry-after"] = str(retry_after)
        if is_unread:
            self.headers["connection"] = "close"
        if status == HTTPStatus.UNAUTHORIZED:
            self.headers["www-authenticate"] = "Bearer"

    def answer(self) -> JSONResponse:
        """The response."""
        content = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
        }
        if self.detail:
            content["detail"] = self.detail
        return JSONResponse(content, self.status, self.headers, MEDIA_TYPE)
