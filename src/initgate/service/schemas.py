"""What the OpenAPI document says of bodies that the routes read and write by themselves."""

from __future__ import annotations

from typing import Any

from initgate.service import problems
from initgate.service.asked import MAX_TEXT, JsonBody

_FILE = {"schema": {"type": "string", "format": "binary", "minLength": 1}}
_TEXT = {"type": "string", "maxLength": MAX_TEXT}
_VERDICT = {"type": "string", "enum": ["allowed", "refused"]}


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _one_or_many(result: dict[str, Any]) -> dict[str, Any]:
    return {
        "oneOf": [result, _object(verdict=_VERDICT, results={"type": "array", "items": result})]
    }


VERDICTS = _one_or_many(_object(verdict=_VERDICT, decision_id={"type": "string"}))
"""The answer of ``/v1/check``."""

DECISIONS = _one_or_many(
    _object(
        verdict=_VERDICT,
        reason={"type": "string"},
        decision_id={"type": "string"},
        matches={"type": "array", "items": {"type": "object"}},
        detail={"type": "string"},
        took_ms={"type": "number"},
    )
)
"""The answer of ``/v1/inspect``."""

RECORDS = _object(
    records={
        "type": "array",
        "items": _object(
            sequence={"type": "integer"},
            previous={"type": "string"},
            digest={"type": "string"},
            event={},
        ),
    },
    counts={"type": "object", "additionalProperties": {"type": "integer"}},
)
"""The answer of ``/v1/audit``."""

STATE = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["live", "ready", "not ready"]},
        "reasons": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["status"],
    "additionalProperties": False,
}
"""The answer of ``/healthz`` and ``/readyz``."""

TEXT = {"type": "string"}
"""The answer of ``/metrics``."""

IMAGES: dict[str, Any] = {
    "parameters": [
        {"name": f"X-{name}", "in": "header", "schema": _TEXT, "description": what}
        for name, what in (
            ("Subject", "Who sent the image to you. Recorded as a keyed pseudonym."),
            ("Request-Id", "Your own id of the request, for the record."),
        )
    ],
    "requestBody": {
        "required": True,
        "content": {
            "image/*": _FILE,
            "application/octet-stream": _FILE,
            "application/json": {"schema": JsonBody.model_json_schema()},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "image": {"type": "string", "format": "binary"},
                        "subject": _TEXT,
                        "request_id": _TEXT,
                    },
                    "required": ["image"],
                }
            },
        },
    },
}
"""What ``/v1/check`` and ``/v1/inspect`` take."""


def answers(schema: dict[str, Any], *failures: int, also: int = 200) -> dict[int | str, Any]:
    """A route's responses.

    Args:
        schema: Of the body when all is well.
        failures: The statuses of problems.
        also: Another status with the same body.
    """
    media_type = "text/plain" if schema is TEXT else "application/json"
    well = {"description": "An answer.", "content": {media_type: {"schema": schema}}}
    problem = {
        "description": "No verdict.",
        "content": {problems.MEDIA_TYPE: {"schema": problems.SCHEMA}},
    }
    return {200: well, also: well, **dict.fromkeys(failures, problem)}
