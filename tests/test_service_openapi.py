"""Requests made of the OpenAPI document: what it says is what the routes do."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from services import key, make_service

from initgate import Gate

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]
ROLES = {
    "POST /v1/check": "check",
    "POST /v1/inspect": "operate",
    "GET /v1/audit": "audit",
    "GET /metrics": "metrics",
    "GET /healthz": "check",
    "GET /readyz": "operate",
}


Operation: TypeAlias = APIOperation[Any, Any, Any, Any]


@pytest.fixture
def operations(sample_gate: Gate) -> dict[str, Operation]:
    """Of a service of its own: whoever asks it here also stops it."""
    app = make_service(sample_gate, backoff_after=0)
    described = schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations()
    return {one.ok().label: one.ok() for one in described if isinstance(one, Ok)}


def test_every_route_is_described(operations: dict[str, Operation]) -> None:
    assert operations.keys() == ROLES.keys()


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("route", ROLES)
def test_a_route_answers_as_it_is_described(
    operations: dict[str, Operation], route: str, mode: GenerationMode
) -> None:
    @settings(max_examples=15)
    @given(operations[route].as_strategy(generation_mode=mode))
    def ask(case: Case[Any]) -> None:
        response = case.call(headers=key(ROLES[route]))
        case.validate_response(response, checks=CHECKS)

    ask()
