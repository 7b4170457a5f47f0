from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from conftest import NOW, MakeGate
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from services import LISTED, OTHER, PNG, answer, ask, check, key, make_service
from structlog.testing import LogCapture

from initgate import Gate
from initgate.config import BackoffSettings
from initgate.model import Algorithm, Context, Decision, HashList, Reason, Refused
from initgate.policy import ListPolicy
from initgate.service.oracle import Backoff
from initgate.service.pool import Pool
from initgate.testing import MemorySink, make_list, scene
from initgate.views import FAST


@pytest.fixture
def scenes_gate(make_gate: MakeGate) -> Gate:
    """A gate whose list holds the first scene."""
    return make_gate([make_list([scene(1, height=96, width=96)])], families=FAST)


@pytest.fixture
def app(scenes_gate: Gate) -> FastAPI:
    return make_service(scenes_gate)


@pytest.fixture(scope="module")
def patient(sample_gate: Gate) -> FastAPI:
    """A service that lets nobody wait."""
    return make_service(sample_gate, backoff_after=0)


# ── Verdicts ──────────────────────────────────────────────────────────────────────────────────


def as_multipart(*images: bytes) -> dict[str, Any]:
    return {"files": [("image", ("a.png", one, "image/png")) for one in images]}


def as_json(*images: bytes) -> dict[str, Any]:
    return {"json": {"images": [base64.b64encode(one).decode() for one in images]}}


ONE: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "raw": lambda image: {"content": image, "headers": PNG},
    "octets": lambda image: {
        "content": image,
        "headers": {"content-type": "application/octet-stream"},
    },
    "JSON": lambda image: {"json": {"image": base64.b64encode(image).decode()}},
    "a data URL": lambda image: {
        "json": {"image": f"data:image/png;base64,{base64.b64encode(image).decode()}"}
    },
    "multipart": as_multipart,
    "a part of any name": lambda image: {"files": {"whatever": image}},
}


@pytest.mark.parametrize("form", ONE)
def test_a_listed_picture_is_refused_in_every_form(app: FastAPI, form: str) -> None:
    request = ONE[form](LISTED)
    request["headers"] = key() | request.get("headers", {})
    told = answer(ask(app, "POST", "/v1/check", **request))
    assert told == {"verdict": "refused", "decision_id": told["decision_id"]}


@pytest.mark.parametrize("form", ONE)
def test_another_picture_is_allowed_in_every_form(app: FastAPI, form: str) -> None:
    request = ONE[form](OTHER)
    request["headers"] = key() | request.get("headers", {})
    assert answer(ask(app, "POST", "/v1/check", **request))["verdict"] == "allowed"


@pytest.mark.parametrize("form", [as_multipart, as_json])
def test_several_get_results_in_their_order_and_one_verdict(
    app: FastAPI, form: Callable[..., dict[str, Any]]
) -> None:
    request = form(OTHER, LISTED, OTHER)
    told = answer(ask(app, "POST", "/v1/check", headers=key(), **request))
    assert told["verdict"] == "refused"
    assert [one["verdict"] for one in told["results"]] == ["allowed", "refused", "allowed"]


def test_several_that_pass_are_allowed_together(app: FastAPI) -> None:
    told = answer(ask(app, "POST", "/v1/check", headers=key(), **as_json(OTHER, OTHER)))
    assert told["verdict"] == "allowed"


def test_the_decision_id_is_the_recorded_one(app: FastAPI, sink: MemorySink) -> None:
    told = answer(check(app, LISTED))
    assert sink.last(1)[0].event["decision_id"] == told["decision_id"]


def test_subject_and_request_id_are_recorded(app: FastAPI, sink: MemorySink) -> None:
    fields = {"subject": "ann", "request_id": "r-1"}
    ask(app, "POST", "/v1/check", headers=key(), data=fields, files={"image": LISTED})
    check(app, LISTED, **{"x-subject": "ann", "x-request-id": "r-1"})
    check(app, LISTED, **{"x-subject": "bob"})
    form, header, other = (one.event for one in sink.last(3))
    assert form["request_id"] == header["request_id"] == "r-1"
    assert form["subject"] == header["subject"] != other["subject"]
    assert form["endpoint"] == "serve /v1/check"


def test_a_refusal_looks_the_same_for_every_reason(app: FastAPI, make_gate: MakeGate) -> None:
    aged = HashList.of([], name="aged", algorithm=Algorithm.PDQ, as_of=NOW - timedelta(days=2))
    expired = make_gate([aged], policies={"aged": ListPolicy(31, max_age=timedelta(days=1))})
    match, unreadable = check(app, LISTED), check(app, b"no picture")
    late = check(make_service(expired), OTHER)
    assert {answer(one)["verdict"] for one in (match, unreadable, late)} == {"refused"}
    assert answer(match).keys() == answer(unreadable).keys() == answer(late).keys()


def test_both_verdicts_come_with_the_same_headers(app: FastAPI) -> None:
    refused, allowed = check(app, LISTED), check(app, OTHER)
    assert refused.headers.items() == allowed.headers.items()


# ── Operators ─────────────────────────────────────────────────────────────────────────────────


def test_an_operator_is_told_the_grounds(app: FastAPI) -> None:
    told = answer(check(app, LISTED, "/v1/inspect"))
    assert (told["verdict"], told["reason"]) == ("refused", "match")
    assert told["matches"][0]["entry"] == "0"


def test_an_auditor_reads_the_newest_records(app: FastAPI) -> None:
    ids = [answer(check(app, LISTED))["decision_id"] for _ in range(3)]
    check(app, OTHER)
    told = answer(ask(app, "GET", "/v1/audit?number=2", headers=key("audit")))
    assert [one["event"]["decision_id"] for one in told["records"]] == ids[1:]
    assert told["counts"] == {"no_match": 1}


def test_metrics_count_verdicts_reasons_steps_and_lists(app: FastAPI) -> None:
    check(app, LISTED)
    check(app, OTHER)
    text = ask(app, "GET", "/metrics", headers=key("metrics")).text
    lines = text.splitlines()
    assert 'initgate_decisions_total{reason="match",verdict="refused"} 1.0' in lines
    assert 'initgate_decisions_total{reason="no_match",verdict="allowed"} 1.0' in lines
    assert 'initgate_requests_total{route="/v1/check",status="200"} 2.0' in lines
    for step in ("receive", "wait", "decide", "record", "answer"):
        assert f'initgate_step_seconds_count{{step="{step}"}} 2.0' in lines
    assert "initgate_fit 1.0" in lines
    assert "initgate_pool_requests 0.0" in lines


def test_metrics_tell_the_age_and_length_of_lists(gate: Gate) -> None:
    text = ask(make_service(gate), "GET", "/metrics", headers=key("metrics")).text
    assert 'initgate_list_entries{list="sample-pdq"} ' in text
    assert 'initgate_list_age_seconds{list="sample-pdq"} ' in text


# ── Keys ──────────────────────────────────────────────────────────────────────────────────────

ROUTES = {
    ("POST", "/v1/check"): {"check"},
    ("POST", "/v1/inspect"): {"operate"},
    ("GET", "/v1/audit"): {"audit"},
    ("GET", "/metrics"): {"metrics", "operate"},
}


@pytest.mark.parametrize("role", ["check", "operate", "audit", "metrics"])
@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_a_key_opens_what_its_roles_say(
    patient: FastAPI, route: tuple[str, str], role: str
) -> None:
    content = OTHER if route[0] == "POST" else b""
    response = ask(patient, *route, content=content, headers=PNG | key(role))
    assert response.status_code == (200 if role in ROUTES[route] else 403)


@pytest.mark.parametrize("route", ROUTES, ids=str)
@pytest.mark.parametrize(
    "header", [{}, {"authorization": "Bearer other"}, {"authorization": "Basic a key to check"}]
)
def test_without_a_valid_key_nothing_opens(
    patient: FastAPI, route: tuple[str, str], header: dict[str, str]
) -> None:
    response = ask(patient, *route, content=LISTED, headers=PNG | header)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"


def test_without_a_key_the_body_is_not_read(app: FastAPI) -> None:
    read = []

    async def body() -> Any:
        read.append(1)
        yield b"x"

    assert ask(app, "POST", "/v1/check", content=body(), headers=PNG).status_code == 401
    assert read == []


def test_anonymous_callers_may_check_where_it_is_configured(scenes_gate: Gate) -> None:
    app = make_service(scenes_gate, anonymous=True, keys=())
    assert ask(app, "POST", "/v1/check", content=OTHER, headers=PNG).status_code == 200
    assert ask(app, "POST", "/v1/inspect", content=OTHER, headers=PNG).status_code == 403
    assert ask(app, "GET", "/v1/audit").status_code == 403


@pytest.mark.parametrize("host", ["rebound.example", "rebound.example:8765", "192.0.2.1"])
def test_an_anonymous_caller_must_name_the_loopback_address(scenes_gate: Gate, host: str) -> None:
    app = make_service(scenes_gate, anonymous=True, keys=())
    response = ask(app, "POST", "/v1/check", content=OTHER, headers=PNG | {"host": host})
    assert response.status_code == 403


def test_a_wrong_key_is_none_also_where_anonymous_callers_may_check(scenes_gate: Gate) -> None:
    app = make_service(scenes_gate, anonymous=True)
    response = check(app, OTHER, authorization="Bearer wrong")
    assert response.status_code == 401


# ── Health ────────────────────────────────────────────────────────────────────────────────────


def test_it_is_live_and_ready(app: FastAPI) -> None:
    assert answer(ask(app, "GET", "/healthz")) == {"status": "live"}
    assert answer(ask(app, "GET", "/readyz")) == {"status": "ready"}


def test_a_distrusted_gate_is_not_ready_and_only_operators_learn_why(scenes_gate: Gate) -> None:
    scenes_gate.distrust("a snapshot is damaged")
    app = make_service(scenes_gate)
    for headers in ({}, key("check")):
        response = ask(app, "GET", "/readyz", headers=headers)
        assert (response.status_code, response.json()) == (503, {"status": "not ready"})
    told = ask(app, "GET", "/readyz", headers=key("operate")).json()
    assert told["reasons"] == ["canary: a snapshot is damaged"]
    assert ask(app, "GET", "/healthz").status_code == 200


def test_a_gate_with_an_aged_list_is_not_ready(make_gate: MakeGate) -> None:
    aged = HashList.of([], name="aged", algorithm=Algorithm.PDQ, as_of=NOW - timedelta(days=2))
    gate = make_gate([aged], policies={"aged": ListPolicy(31, max_age=timedelta(days=1))})
    response = ask(make_service(gate), "GET", "/readyz", headers=key("operate"))
    assert response.status_code == 503
    assert response.json()["reasons"] == ["list_expired: past max_age: aged"]


def test_a_gate_that_loses_its_canary_is_not_ready(
    scenes_gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenes_gate, "prove", lambda: False)
    assert ask(make_service(scenes_gate), "GET", "/readyz").status_code == 503


def test_the_canary_is_not_looked_up_at_every_question(
    scenes_gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    prove = scenes_gate.prove

    def count() -> bool:
        looks.append(1)
        return prove()

    monkeypatch.setattr(scenes_gate, "prove", count)
    app = make_service(scenes_gate)
    for _ in range(3):
        ask(app, "GET", "/readyz")
    assert looks == [1]


# ── Problems ──────────────────────────────────────────────────────────────────────────────────

BROKEN: dict[str, tuple[int, dict[str, Any]]] = {
    "no content type": (415, {"content": LISTED}),
    "text": (415, {"content": LISTED, "headers": {"content-type": "text/plain"}}),
    "a web form": (415, {"data": {"image": "abc"}}),
    "a compressed body": (415, {"content": LISTED, "headers": PNG | {"content-encoding": "gzip"}}),
    "no body": (422, {"content": b"", "headers": PNG}),
    "no JSON": (422, {"content": b"{", "headers": {"content-type": "application/json"}}),
    "JSON of another shape": (422, {"json": ["image"]}),
    "an unknown key": (422, {"json": {"image": "aaaa", "threshold": 0}}),
    "a key that stands twice": (
        422,
        {
            "content": b'{"image": "aaaa", "image": "aaaa"}',
            "headers": {"content-type": "application/json"},
        },
    ),
    "deep JSON": (
        422,
        {"content": b"[" * 100_000, "headers": {"content-type": "application/json"}},
    ),
    "both image and images": (422, {"json": {"image": "aaaa", "images": ["aaaa"]}}),
    "no images": (422, {"json": {"images": []}}),
    "no base64": (422, {"json": {"image": "§"}}),
    "a URL": (422, {"json": {"image": "https://example.org/a.png"}}),
    "a data URL without base64": (422, {"json": {"image": "data:image/png,abc"}}),
    "a subject of control characters": (422, {"json": {"image": "aaaa", "subject": "a\nb"}}),
    "half a character as subject": (
        422,
        {
            "content": b'{"image": "aaaa", "subject": "\\ud800"}',
            "headers": {"content-type": "application/json"},
        },
    ),
    "a long subject": (422, {"json": {"image": "aaaa", "subject": "a" * 257}}),
    "a form without boundary": (
        422,
        {"content": b"--a\r\n", "headers": {"content-type": "multipart/form-data"}},
    ),
    "a form that is cut off": (
        422,
        {
            "content": b'--a\r\nContent-Disposition: form-data; name="image"\r\n\r\nabc',
            "headers": {"content-type": "multipart/form-data; boundary=a"},
        },
    ),
    "a form without an image": (422, {"files": {"subject": (None, "ann")}}),
    "an empty file among others": (422, as_multipart(LISTED, b"")),
    "too many images in JSON": (413, as_json(*[LISTED] * 17)),
    "too many images in a form": (413, as_multipart(*[LISTED] * 17)),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_not_understood_gets_a_problem_and_no_verdict(patient: FastAPI, what: str) -> None:
    status, request = BROKEN[what]
    headers = key() | request.get("headers", {})
    response = ask(patient, "POST", "/v1/check", **(request | {"headers": headers}))
    assert response.status_code == status
    assert is_problem(response)


def is_problem(response: Any) -> bool:
    told = response.json()
    return bool(
        response.headers["content-type"] == "application/problem+json"
        and told.keys() <= {"type", "title", "status", "detail"}
        and told["status"] == response.status_code
    )


def test_unknown_paths_and_methods_are_problems_too(app: FastAPI) -> None:
    assert is_problem(ask(app, "GET", "/nowhere"))
    response = ask(app, "GET", "/v1/check")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert is_problem(response)


def test_a_number_of_records_out_of_range_is_a_problem(app: FastAPI) -> None:
    response = ask(app, "GET", "/v1/audit?number=0", headers=key("audit"))
    assert response.status_code == 422
    assert is_problem(response)


def test_a_fault_is_a_problem_that_tells_nothing(
    scenes_gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise OSError("/srv/lists/secret")

    monkeypatch.setattr(scenes_gate, "inspect", fail)
    response = check(make_service(scenes_gate), OTHER)
    assert response.status_code == 500
    assert is_problem(response)
    assert "secret" not in response.text


def test_a_body_may_be_as_large_as_the_limit_and_no_larger(scenes_gate: Gate) -> None:
    app = make_service(scenes_gate, max_body_bytes=len(OTHER))
    assert check(app, OTHER).status_code == 200
    assert check(app, OTHER + b"\0").status_code == 413


def test_a_body_that_does_not_tell_its_length_is_bounded_too(scenes_gate: Gate) -> None:
    app = make_service(scenes_gate, max_body_bytes=1000)
    sent = []

    async def body() -> Any:
        for _ in range(100):
            sent.append(1)
            yield b"x" * 100

    response = ask(app, "POST", "/v1/check", content=body(), headers=PNG | key())
    assert response.status_code == 413
    assert len(sent) == 11


# ── Room ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def stuck(scenes_gate: Gate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A gate that looks at nothing before the test is over."""
    go = threading.Event()
    inspect = scenes_gate.inspect

    def wait(*given: Any, **more: Any) -> Any:
        go.wait(10)
        return inspect(*given, **more)

    monkeypatch.setattr(scenes_gate, "inspect", wait)
    yield scenes_gate
    go.set()


def test_when_there_is_no_room_callers_are_told_to_come_again(stuck: Gate) -> None:
    app = make_service(stuck, threads=1, waiting=1)

    async def crowd() -> tuple[int, httpx.Response, httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            held = [
                asyncio.create_task(client.post("/v1/check", content=OTHER, headers=PNG | key()))
                for _ in range(2)
            ]
            await asyncio.sleep(0.1)
            turned_away = await client.post("/v1/check", content=OTHER, headers=PNG | key())
            alive = await client.get("/healthz")
            done = sum(one.done() for one in held)
            for one in held:
                one.cancel()
            return done, turned_away, alive

    done, turned_away, alive = asyncio.run(crowd())
    assert done == 0
    assert (turned_away.status_code, turned_away.headers["retry-after"]) == (503, "1")
    assert is_problem(turned_away)
    assert alive.status_code == 200


def test_bodies_that_are_held_together_are_bounded(stuck: Gate) -> None:
    app = make_service(stuck, max_held_bytes=len(OTHER) + 10)

    async def crowd() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            first = asyncio.create_task(
                client.post("/v1/check", content=OTHER, headers=PNG | key())
            )
            await asyncio.sleep(0.1)
            second = await client.post("/v1/check", content=OTHER, headers=PNG | key())
            first.cancel()
            await asyncio.sleep(0.1)
            third = await client.post("/v1/check", content=b"", headers=PNG | key())
            return [second.status_code, third.status_code]

    assert asyncio.run(crowd()) == [503, 422]


# ── The oracle ────────────────────────────────────────────────────────────────────────────────


def test_who_is_refused_again_and_again_has_to_wait(scenes_gate: Gate) -> None:
    app = make_service(scenes_gate, backoff_after=2, backoff_seconds=30)
    assert [check(app, LISTED).status_code for _ in range(3)] == [200, 200, 429]
    response = check(app, OTHER)
    assert (response.status_code, response.headers["retry-after"]) == (429, "30")
    assert is_problem(response)


def test_who_has_to_wait_since_they_asked_gets_no_verdict(
    scenes_gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    backoff = Backoff.of(BackoffSettings(backoff_after=1))
    look = Pool.look

    def look_while_refused(pool: Pool, image: object, context: Context) -> Decision:
        backoff.note(("check", ""), Decision(Refused("1"), Reason.MATCH))
        return look(pool, image, context)

    monkeypatch.setattr(Backoff, "of", lambda _: backoff)
    monkeypatch.setattr(Pool, "look", look_while_refused)
    response = check(make_service(scenes_gate), OTHER)
    assert response.status_code == 429
    assert is_problem(response)


def test_one_subject_waits_and_another_does_not(scenes_gate: Gate) -> None:
    app = make_service(scenes_gate, backoff_after=1)
    check(app, LISTED, **{"x-subject": "ann"})
    assert check(app, OTHER, **{"x-subject": "ann"}).status_code == 429
    assert check(app, OTHER, **{"x-subject": "bob"}).status_code == 200


def test_an_operator_never_has_to_wait(scenes_gate: Gate) -> None:
    app = make_service(scenes_gate, backoff_after=1)
    assert [check(app, LISTED, "/v1/inspect").status_code for _ in range(3)] == [200] * 3


def test_answers_take_a_whole_multiple_of_the_floor(scenes_gate: Gate) -> None:
    log = LogCapture()
    app = make_service(scenes_gate, log=log, floor_ms=300)
    check(app, b"no picture")
    check(app, OTHER)
    took = [one["took_ms"] for one in log.entries if one["event"] == "request"]
    assert min(took) >= 300
    assert max(one % 300 for one in took) < 100


# ── The access log ────────────────────────────────────────────────────────────────────────────


def test_the_access_log_tells_who_and_what_and_nothing_of_what_was_sent(
    scenes_gate: Gate,
) -> None:
    log = LogCapture()
    app = make_service(scenes_gate, log=log)
    told = answer(
        ask(
            app,
            "POST",
            "/v1/check?who=mallory",
            files={"image": ("holiday.png", LISTED)},
            headers=key() | {"x-subject": "ann"},
        )
    )
    (line,) = log.entries
    assert line["route"] == "/v1/check"
    assert line["caller"] == "check"
    assert line["decisions"] == [told["decision_id"]]
    assert line.keys() == {
        *("event", "log_level", "method", "route", "status", "caller", "decisions", "took_ms")
    }
    assert not [one for one in ("mallory", "holiday", "ann", "Bearer") if one in json.dumps(line)]


def test_a_path_that_somebody_made_up_is_not_logged(scenes_gate: Gate) -> None:
    log = LogCapture()
    ask(make_service(scenes_gate, log=log), "GET", "/some/secret")
    assert log.entries[0]["route"] == "-"


# ── Laws ──────────────────────────────────────────────────────────────────────────────────────

TYPES = st.sampled_from(
    ["image/png", "application/json", "multipart/form-data; boundary=a", "text/plain", "", "ä/;=,"]
)
PIECES = st.sampled_from(
    [
        b"--a\r\n",
        b"--a--\r\n",
        b"\r\n",
        b'Content-Disposition: form-data; name="image"; filename="f"\r\n',
        b'Content-Disposition: form-data; name="subject"\r\n',
        b'{"image": "',
        b'{"images": ["',
        b'"]}',
        b'"}',
        b"data:image/png;base64,",
        base64.b64encode(OTHER[:60]),
        OTHER[:100],
        b"\x00\xff",
    ]
)


@given(body=st.lists(st.one_of(PIECES, st.binary(max_size=20))).map(b"".join), kind=TYPES)
def test_any_body_gets_a_verdict_or_a_problem_and_never_a_fault(
    patient: FastAPI, body: bytes, kind: str
) -> None:
    headers = [("authorization", key()["authorization"].encode()), ("content-type", kind.encode())]
    response = ask(patient, "POST", "/v1/check", content=body, headers=headers)
    assert response.status_code in {200, 413, 415, 422}
    if response.status_code != 200:
        assert is_problem(response)
