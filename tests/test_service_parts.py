"""The service's parts, each alone."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Callable

import pytest
from conftest import MakeGate
from hypothesis import given
from hypothesis import strategies as st

from initgate.model import Allowed, Context, Decision, Reason, Refused
from initgate.service.asked import read
from initgate.service.limits import Bodies
from initgate.service.oracle import Backoff, pad
from initgate.service.pool import Busy, Pool
from initgate.service.problems import Problem
from initgate.testing import MemorySink, make_list, scene
from initgate.views import FAST

MATCH = Decision(Refused("1"), Reason.MATCH)
PASS = Decision(Allowed("1"), Reason.NO_MATCH)
ANN, BOB = ("backend", "ann"), ("backend", "bob")


class Clock:
    """A stopwatch that somebody turns."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backoff(clock: Clock) -> Backoff:
    return Backoff(after=3, seconds=10, max_seconds=100, stopwatch=clock)


def wait_of(backoff: Backoff, who: tuple[str, str]) -> int:
    try:
        backoff.admit(who)
    except Problem as problem:
        return int(problem.headers["retry-after"])
    return 0


# ── Waiting after refusals ────────────────────────────────────────────────────────────────────


def test_each_further_refusal_doubles_the_wait_up_to_the_longest(backoff: Backoff) -> None:
    waits = []
    for _ in range(8):
        backoff.note(ANN, MATCH)
        waits.append(wait_of(backoff, ANN))
    assert waits == [0, 0, 10, 20, 40, 80, 100, 100]


def test_who_asked_many_times_at_once_learns_no_more_than_in_turn(backoff: Backoff) -> None:
    for _ in range(9):
        backoff.admit(ANN)
    for _ in range(3):
        backoff.settle(ANN, MATCH)
    for late in (MATCH, PASS):
        with pytest.raises(Problem):
            backoff.settle(ANN, late)
    assert wait_of(backoff, ANN) == 20  # what came late was counted


def test_a_wait_ends(backoff: Backoff, clock: Clock) -> None:
    for _ in range(3):
        backoff.note(ANN, MATCH)
    clock.time += 9.5
    assert wait_of(backoff, ANN) == 1
    clock.time += 0.5
    assert wait_of(backoff, ANN) == 0


def test_refusals_are_forgotten_after_as_long_as_the_longest_wait(
    backoff: Backoff, clock: Clock
) -> None:
    for _ in range(3):
        backoff.note(ANN, MATCH)
    clock.time += 10 + 100.5
    backoff.note(ANN, MATCH)
    assert wait_of(backoff, ANN) == 0


def test_pictures_that_pass_do_not_make_refusals_forgotten(backoff: Backoff) -> None:
    for _ in range(3):
        backoff.note(ANN, MATCH)
        backoff.note(ANN, PASS)
    assert wait_of(backoff, ANN) == 10


@pytest.mark.parametrize(
    "reason",
    [Reason.CANARY, Reason.LIST_EXPIRED, Reason.FAULT, Reason.UNRECORDED, Reason.NO_LIST],
)
def test_a_gate_that_refuses_everything_lets_nobody_wait(backoff: Backoff, reason: Reason) -> None:
    for _ in range(9):
        backoff.note(ANN, Decision(Refused("1"), reason))
    assert wait_of(backoff, ANN) == 0


def test_with_after_zero_nobody_waits(clock: Clock) -> None:
    backoff = Backoff(after=0, seconds=10, max_seconds=100, stopwatch=clock)
    for _ in range(9):
        backoff.note(ANN, MATCH)
    assert wait_of(backoff, ANN) == 0


def test_subjects_that_are_remembered_are_bounded(
    backoff: Backoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("initgate.service.oracle._MOST_SUBJECTS", 2)
    for _ in range(3):
        backoff.note(ANN, MATCH)
    for name in "ab":
        backoff.note(("backend", name), MATCH)
    assert wait_of(backoff, ANN) == 0


@given(st.lists(st.tuples(st.sampled_from([ANN, BOB]), st.floats(0, 50)), max_size=40))
def test_a_wait_is_never_longer_than_the_longest(
    asked: list[tuple[tuple[str, str], float]],
) -> None:
    clock = Clock()
    backoff = Backoff(after=2, seconds=10, max_seconds=100, stopwatch=clock)
    for who, passes in asked:
        backoff.note(who, MATCH)
        clock.time += passes
        assert wait_of(backoff, who) <= 100


# ── Padding ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("took", "takes"), [(0.01, 0.1), (0.12, 0.2)])
def test_an_answer_is_padded_to_a_whole_multiple(took: float, takes: float) -> None:
    async def answer() -> float:
        loop = asyncio.get_running_loop()
        started = loop.time() - took
        await pad(started, 100)
        return loop.time() - started

    assert takes <= asyncio.run(answer()) + 0.002 < takes + 0.1


# ── The pool ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def make_pool(make_gate: MakeGate) -> Callable[[int, int], Pool]:
    gate = make_gate([make_list([scene(1)])], families=FAST, record_allowed=True)
    return lambda workers, waiting: Pool(gate, workers=workers, waiting=waiting)


def test_the_event_loop_goes_on_while_a_thread_works(
    make_pool: Callable[[int, int], Pool],
) -> None:
    async def both() -> str:
        pool, go = make_pool(1, 0), threading.Event()
        task = asyncio.create_task(pool.run(lambda: go.wait(10)))
        await asyncio.sleep(0)
        go.set()  # nobody else would
        return "went on" if await task else "stood"

    assert asyncio.run(both()) == "went on"


def test_a_full_pool_turns_away_and_has_room_again(make_pool: Callable[[int, int], Pool]) -> None:
    async def crowd() -> None:
        pool, go = make_pool(1, 1), threading.Event()
        held = [asyncio.create_task(pool.run(go.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        assert pool.is_full
        with pytest.raises(Busy):
            await pool.run(go.wait)
        go.set()
        await asyncio.gather(*held)
        await asyncio.sleep(0.05)
        assert not pool.is_full
        assert await pool.run(lambda: 1) == 1

    asyncio.run(crowd())


def test_one_that_was_given_up_takes_room_until_its_thread_is_done(
    make_pool: Callable[[int, int], Pool],
) -> None:
    async def give_up() -> None:
        pool, go, begun = make_pool(1, 0), threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            go.wait(10)

        task = asyncio.create_task(pool.run(work))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        await asyncio.sleep(0)
        assert pool.is_full
        go.set()
        await pool.close()
        await asyncio.sleep(0)
        assert not pool.is_full

    asyncio.run(give_up())


def test_closing_finishes_and_records_what_was_begun_and_what_waits(
    make_pool: Callable[[int, int], Pool], sink: MemorySink
) -> None:
    async def stop() -> list[Decision]:
        pool = make_pool(1, 9)
        tasks = [
            asyncio.create_task(pool.inspect(scene(2), context=Context("test"))) for _ in range(3)
        ]
        await asyncio.sleep(0)
        await pool.close()
        return await asyncio.gather(*tasks)

    decisions = asyncio.run(stop())
    recorded = [one.event["decision_id"] for one in sink.records()]
    assert [one.verdict.decision_id for one in decisions] == recorded


# ── Bodies ────────────────────────────────────────────────────────────────────────────────────


def test_a_body_that_trickles_is_cut_off() -> None:
    async def trickle() -> dict[str, object]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def receive() -> Problem:
        bodies = Bodies(max_bytes=100, max_held_bytes=100, seconds=0.1)
        with pytest.raises(Problem) as raised:
            async with bodies.received({}, trickle):
                pass
        return raised.value

    started = time.monotonic()
    problem = asyncio.run(receive())
    assert (problem.status, problem.headers["connection"]) == (408, "close")
    assert time.monotonic() - started < 2


def test_a_caller_who_goes_away_leaves_no_body() -> None:
    async def gone() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def receive() -> None:
        async with Bodies(max_bytes=9, max_held_bytes=9, seconds=9).received({}, gone):
            pass

    with pytest.raises(Problem, match="early"):
        asyncio.run(receive())


# ── Forms ─────────────────────────────────────────────────────────────────────────────────────


@given(
    data=st.binary(min_size=1),
    is_url_safe=st.booleans(),
    is_padded=st.booleans(),
    broken_every=st.sampled_from([0, 4, 76]),
    head=st.sampled_from(["", "data:image/png;base64,", "DATA:;BASE64,"]),
)
def test_base64_in_any_customary_spelling_is_read(
    data: bytes, is_url_safe: bool, is_padded: bool, broken_every: int, head: str
) -> None:
    text = (base64.urlsafe_b64encode if is_url_safe else base64.b64encode)(data).decode()
    text = text if is_padded else text.rstrip("=")
    if broken_every:
        text = "\\n".join(
            text[start : start + broken_every] for start in range(0, len(text), broken_every)
        )
    body = f'{{"image": "{head}{text}"}}'.encode()
    asked = read(body, {"content-type": "application/json"}, max_images=1)
    assert list(asked.images) == [data]


@given(st.lists(st.binary(min_size=1), min_size=1, max_size=4))
def test_parts_of_a_form_arrive_as_they_were_sent(contents: list[bytes]) -> None:
    parts = [
        b'--XyZ\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n' + one + b"\r\n"
        for one in contents
        if b"--XyZ" not in one
    ]
    body = b"".join(parts) + b"--XyZ--\r\n"
    asked = read(body, {"content-type": "multipart/form-data; boundary=XyZ"}, max_images=4)
    assert list(asked.images) == [one for one in contents if b"--XyZ" not in one]
