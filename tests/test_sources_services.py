"""The services that share lists: what each is asked, and that only what is whole is taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from list_server import (
    GROUP,
    JWT,
    PASSWORD,
    TOKEN,
    USER,
    Change,
    ListServer,
    body,
    cut,
    drip,
    redirect,
    status,
    zipped,
)

from initgate.errors import ConfigError, InitgateError, ListRejected, SourceUnavailable
from initgate.lists import ncmec_list, stopncii_list, tat_list, threat_updates_list
from initgate.lists.feed import Record, Withdrawn
from initgate.model import ListEntry
from initgate.sources import Checkpoint
from initgate.sources.bounds import Bounds, Patience
from initgate.sources.credentials import Credentials
from initgate.sources.ncmec import ENVIRONMENTS, NcmecSource
from initgate.sources.stopncii import StopNciiSource
from initgate.sources.tat import TatSource
from initgate.sources.threatexchange import ThreatExchangeSource
from initgate.sources.windows import Window, windows

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECOND = int(NOW.timestamp())
DAY = 86_400
SECRETS = {
    "LOGIN": f"{USER}:{PASSWORD}",
    "KEYS": "subscription-key:function-key",
    "TOKEN": TOKEN,
}

Read = Callable[..., Iterator[Record]]


@dataclass
class Service:
    """A service of the server, and how its pages are read."""

    source: Any
    read: Read
    path: str

    @property
    def kind(self) -> str:
        """The content type of its pages."""
        return "application/xml" if self.read is ncmec_list.read else "application/json"

    def fetched(self, checkpoint: Checkpoint | None = None) -> tuple[dict[str, bool], Checkpoint]:
        """Which hashes come or go, and the last checkpoint."""
        found: dict[str, bool] = {}
        checkpoint = checkpoint or {}
        for batch in self.source.fetch(checkpoint):
            if batch.is_whole:
                found.clear()
            for page in batch.pages:
                for record in self.read(page, source=batch.name):
                    assert isinstance(record, ListEntry | Withdrawn)
                    found[record.entry] = isinstance(record, ListEntry)
            checkpoint = batch.checkpoint
        return found, checkpoint

    def with_bounds(self, **changed: float) -> Service:
        return replace(self, source=replace(self.source, bounds=Bounds(**changed)))  # type: ignore[arg-type]

    def failed(self, kind: type[InitgateError] = ListRejected) -> str:
        """Why nothing was fetched."""
        with pytest.raises(kind) as raised:
            self.fetched()
        return str(raised.value)

    def entry(self, change: Change) -> str:
        """The identifier of a change in the format."""
        match self.read:
            case ncmec_list.read:
                return f"42/{change.number}"
            case stopncii_list.read:
                return f"pdq:{change.pdq}"
            case _:
                return str(change.number)

    def of(self, *changes: Change) -> dict[str, bool]:
        return {self.entry(one): not one.is_gone for one in changes}


NAMES = ("ncmec", "stopncii", "threatexchange", "tat")


@pytest.fixture
def make(
    list_server: ListServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Service]:
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    address = list_server.address
    patience = Patience(sleep=lambda _: None)

    def kept(name: str) -> Credentials:
        return Credentials(f"env:{name}", pytest.fail)

    def made(name: str) -> Service:
        match name:
            case "ncmec":
                ncmec = NcmecSource(
                    environment="Industry",
                    credentials=kept("LOGIN"),
                    folder=tmp_path,
                    address=f"{address}/hashsharing",
                    patience=patience,
                    now=lambda: NOW,
                )
                return Service(ncmec, ncmec_list.read, "/hashsharing/v2/entries")
            case "stopncii":
                stopncii = StopNciiSource(
                    kept("KEYS"), tmp_path, address=f"{address}/v1", patience=patience
                )
                return Service(stopncii, stopncii_list.read, "/v1/FetchHashes")
            case "threatexchange":
                threatexchange = ThreatExchangeSource(
                    privacy_group=GROUP,
                    credentials=kept("TOKEN"),
                    folder=tmp_path,
                    address=f"{address}/graph",
                    patience=patience,
                    now=lambda: NOW,
                )
                path = f"/graph/{GROUP}/threat_updates/"
                return Service(threatexchange, threat_updates_list.read, path)
            case _:
                tat = TatSource(kept("LOGIN"), tmp_path, address=address, patience=patience)
                return Service(tat, tat_list.read, "/api/hash-list/v2/all")

    return made


@pytest.fixture(params=NAMES)
def service(request: pytest.FixtureRequest, make: Callable[[str], Service]) -> Service:
    return make(request.param)


@pytest.fixture
def ncmec(make: Callable[[str], Service]) -> Service:
    return make("ncmec")


@pytest.fixture
def threatexchange(make: Callable[[str], Service]) -> Service:
    return make("threatexchange")


CHANGES = [Change(n, SECOND - DAY * (8 - n), is_gone=n == 3) for n in range(1, 8)]


# ── What each brings ──────────────────────────────────────────────────────────────────────────


def test_everything_comes_at_first(service: Service, list_server: ListServer) -> None:
    list_server.changes = CHANGES
    assert service.fetched()[0] == service.of(*CHANGES)


def test_the_first_batch_is_whole_and_those_behind_it_are_changes(
    service: Service, list_server: ListServer
) -> None:
    list_server.changes = [Change(n, SECOND - n * 400 * DAY) for n in range(1, 8)]
    batches = [batch.is_whole for batch in service.source.fetch({})]
    assert batches == [True] + [False] * (len(batches) - 1)


def test_what_is_new_comes_after_a_checkpoint(service: Service, list_server: ListServer) -> None:
    list_server.changes = CHANGES[:4]
    _, checkpoint = service.fetched()
    later = Change(9, SECOND + 3600)
    service.source = at(service.source, SECOND + 2 * 3600)
    list_server.changes = [*CHANGES[:4], later]
    found, _ = service.fetched(checkpoint)
    assert service.of(later).items() <= found.items()
    assert service.of(CHANGES[0]).items().isdisjoint(found.items())


def at(source: Any, second: int) -> Any:
    """A source whose clock shows another time, if it has one."""
    has_clock = "now" in source.__dataclass_fields__
    return replace(source, now=lambda: datetime.fromtimestamp(second, UTC)) if has_clock else source


def test_nothing_comes_if_nothing_is_new(service: Service, list_server: ListServer) -> None:
    list_server.changes = CHANGES
    _, checkpoint = service.fetched()
    service.source = at(service.source, SECOND + 3600)
    _, checkpoint = service.fetched(checkpoint)  # the seconds that overlap may come once more
    service.source = at(service.source, SECOND + 7200)
    assert list(service.source.fetch(checkpoint)) == []


def test_a_list_that_begins_empty_is_told_once(service: Service) -> None:
    (batch,) = [(batch.is_whole, batch.checkpoint) for batch in service.source.fetch({})]
    assert batch[0]
    assert list(at(service.source, SECOND + 60).fetch(batch[1])) == []


def test_a_withdrawal_goes_through(service: Service, list_server: ListServer) -> None:
    list_server.changes = CHANGES[:2]
    _, checkpoint = service.fetched()
    gone = replace(CHANGES[0], at=SECOND + 60, is_gone=True)
    list_server.changes = [CHANGES[1], gone]
    service.source = at(service.source, SECOND + 3600)
    found, _ = service.fetched(checkpoint)
    assert found[service.entry(gone)] is False


def test_a_checkpoint_of_another_address_is_not_used(
    service: Service, list_server: ListServer
) -> None:
    list_server.changes = CHANGES
    _, checkpoint = service.fetched()
    other = {**checkpoint, "of": "https://elsewhere.example"}
    assert next(service.source.fetch(other)).is_whole


@pytest.mark.parametrize("until", [None, 1.5, True, -1, 10**30])
def test_a_checkpoint_that_means_nothing_does_no_harm(
    until: Any, service: Service, list_server: ListServer
) -> None:
    list_server.changes = CHANGES
    _, checkpoint = service.fetched()
    spoilt = {key: until if key != "of" else value for key, value in checkpoint.items()}
    assert list(service.fetched(spoilt)[0].items()) is not None


def test_a_checkpoint_of_a_clock_that_was_ahead_begins_anew(
    service: Service, list_server: ListServer
) -> None:
    list_server.changes = CHANGES
    found, checkpoint = service.fetched()
    if "until" in checkpoint:
        ahead = {**checkpoint, "until": SECOND + 10 * 365 * 86400}
        assert service.fetched(ahead)[0] == found


def test_pages_out_of_order_lose_nothing(service: Service, list_server: ListServer) -> None:
    list_server.changes = CHANGES
    list_server.shuffles = service.read is not tat_list.read
    found, checkpoint = service.fetched()
    assert found == service.of(*CHANGES)
    service.source = at(service.source, SECOND + 3600)
    assert service.of(*CHANGES[:5]).keys().isdisjoint(service.fetched(checkpoint)[0])


# ── What breaks ───────────────────────────────────────────────────────────────────────────────


def test_a_page_that_fails_for_a_while_is_asked_for_again(
    service: Service, list_server: ListServer
) -> None:
    list_server.changes = CHANGES
    list_server.faults = [
        None,
        None,
        status(429, retry_after="1"),
        status(500),
        cut(service.kind),
        None,
    ]
    assert service.fetched()[0] == service.of(*CHANGES)


def test_a_page_that_goes_on_failing_leaves_nothing_of_its_batch(
    service: Service, list_server: ListServer
) -> None:
    list_server.changes = CHANGES
    list_server.faults = [None, None, *[status(500)] * 20]
    list_server.page_size = 1
    assert "it answers 500" in service.failed(SourceUnavailable)


def test_a_fetch_goes_on_behind_the_last_batch_that_came(
    make: Callable[[str], Service], list_server: ListServer
) -> None:
    for name in ("ncmec", "threatexchange", "tat"):
        service = make(name)
        list_server.changes = [Change(n, SECOND - (9 - n) * 400 * DAY) for n in range(1, 9)]
        small = {"batch_pages": 1} if name == "tat" else {"window_pages": 1}
        source = replace(service.source, **small)
        list_server.faults = []
        with closing(source.fetch({})) as batches:
            first = next(batches)
            kept = {one.entry for page in first.pages for one in service.read(page, source="")}  # type: ignore[union-attr]
            checkpoint = first.checkpoint
            list_server.faults = [status(403)]
            with pytest.raises(SourceUnavailable):
                list(batches)
        found, _ = replace(service, source=source).fetched(checkpoint)
        assert kept | found.keys() == service.of(*list_server.changes).keys()
        assert len(found) < len(list_server.changes)


@pytest.mark.parametrize("name", ["ncmec", "stopncii", "threatexchange"])
def test_a_repeated_page_is_an_error(
    name: str, make: Callable[[str], Service], list_server: ListServer
) -> None:
    list_server.changes = CHANGES
    list_server.repeats = True
    assert "page 2 is page 1 again" in make(name).failed()


def test_a_stuck_cursor_is_an_error(service: Service, list_server: ListServer) -> None:
    list_server.changes = CHANGES
    stuck: list[str] = []

    def first(link: str) -> str:
        stuck.append(link)
        return stuck[0]

    list_server.next_is = first
    assert "the cursor is stuck" in (message := service.failed()) or "again" in message
    assert len(list_server.asked) < 30


def test_pages_without_end_are_an_error(service: Service, list_server: ListServer) -> None:
    list_server.changes = [Change(n, SECOND - DAY) for n in range(1, 50)]
    assert "more than 5 pages in one batch" in service.with_bounds(pages=5).failed()


@pytest.mark.parametrize(
    ("bounds", "where"),
    [
        ({"page_bytes": 300}, "in one answer"),
        ({"batch_bytes": 700}, "in one batch"),
        ({"total_bytes": 700}, "in one fetch"),
    ],
)
def test_too_much_is_an_error(
    bounds: dict[str, float], where: str, service: Service, list_server: ListServer
) -> None:
    list_server.changes = [Change(n, SECOND - DAY) for n in range(1, 30)]
    assert where in service.with_bounds(**bounds).failed()


def test_a_huge_page_is_an_error(service: Service, list_server: ListServer) -> None:
    list_server.faults = [zipped(3_000_000, service.kind)]
    assert "1,000,000 bytes in one answer" in service.with_bounds(page_bytes=1_000_000).failed()


def test_a_page_that_drips_is_an_error(service: Service, list_server: ListServer) -> None:
    list_server.faults = [drip(service.kind, 0.02)]
    slow = service.with_bounds(page_seconds=0.2)
    slow.source = replace(slow.source, patience=Patience(attempts=1))
    began = time.monotonic()
    slow.failed(SourceUnavailable)
    assert time.monotonic() - began < 5


def test_a_web_page_instead_is_an_error_that_shows_it(
    service: Service, list_server: ListServer
) -> None:
    list_server.faults = [body(b"<html>Sign in", "text/html")]
    message = service.failed()
    assert "was asked for, but 'text/html' came" in message
    assert "Sign in" in message


def test_a_damaged_page_is_an_error(service: Service, list_server: ListServer) -> None:
    list_server.faults = [body(b"{<", service.kind)]
    assert "no JSON" in (message := service.failed()) or "no XML" in message


def test_denied_credentials_are_named_and_not_shown(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = service.source.credentials.where
    monkeypatch.setenv(where.removeprefix("env:"), "wr0ng:wr0ng")
    message = service.failed(SourceUnavailable)
    assert f"check the address and the credentials ({where})" in message
    assert "wr0ng" not in message


def test_credentials_that_are_missing_are_named(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = service.source.credentials.where.removeprefix("env:")
    monkeypatch.delenv(name)
    assert f"the variable {name} is not set" in service.failed(ConfigError)


def test_a_redirect_to_another_host_is_an_error(service: Service, list_server: ListServer) -> None:
    list_server.faults = [redirect("https://elsewhere.example/")]
    assert "redirected to" in service.failed(SourceUnavailable)


def test_no_representation_shows_a_secret(service: Service) -> None:
    service.fetched()
    assert not [secret for secret in (PASSWORD, TOKEN, JWT, "-key") if secret in repr(service)]


# ── NCMEC ─────────────────────────────────────────────────────────────────────────────────────


def test_times_are_in_utc_wherever_the_machine_is(
    ncmec: Service, list_server: ListServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        there = NOW.astimezone(timezone(timedelta(hours=9)))
        ncmec.source = replace(ncmec.source, now=lambda: there)
        ncmec.fetched()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert list_server.asked[-1].query["to"] == "2026-01-02T03:04:00Z"


def test_windows_overlap_so_that_nothing_falls_between(
    ncmec: Service, list_server: ListServer
) -> None:
    ncmec.fetched()
    asked = [(one.query["from"], one.query["to"]) for one in list_server.asked]
    moments = [tuple(map(datetime.fromisoformat, pair)) for pair in asked]
    overlaps = [stop - start for (_, stop), (start, _) in pairwise(moments)]
    assert overlaps
    assert {one.total_seconds() for one in overlaps} == {60.0}


def test_a_next_page_is_of_its_window(ncmec: Service, list_server: ListServer) -> None:
    list_server.changes = CHANGES
    ncmec.fetched()
    paged = [one.query for one in list_server.asked if "start" in one.query]
    assert paged
    assert all((one["from"], one["to"]) == (paged[0]["from"], paged[0]["to"]) for one in paged)


def test_crowded_windows_are_halved_and_lose_nothing(
    ncmec: Service, list_server: ListServer
) -> None:
    list_server.changes = [Change(n, SECOND - n * DAY) for n in range(1, 40)]
    ncmec.source = replace(ncmec.source, window_pages=3)
    found, _ = ncmec.fetched()
    assert found == ncmec.of(*list_server.changes)


def test_a_second_with_many_pages_is_read_whole(ncmec: Service, list_server: ListServer) -> None:
    list_server.changes = [Change(n, SECOND - DAY) for n in range(1, 20)]
    ncmec.source = replace(ncmec.source, window_pages=4)
    assert ncmec.fetched()[0] == ncmec.of(*list_server.changes)


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.example/v2/entries?from=1",
        "//elsewhere.example/v2/entries?from=1",
        "@elsewhere.example/v2/entries?from=1",
        ".elsewhere.example/v2/entries?from=1",
        "/v2/members?from=1",
        "/../v2/entries?from=1",
        "http://[",
    ],
)
def test_a_next_page_elsewhere_is_an_error(
    link: str, ncmec: Service, list_server: ListServer
) -> None:
    list_server.changes = CHANGES
    list_server.next_is = lambda _: link
    assert "the next page is said to be elsewhere" in ncmec.failed()
    assert set(list_server.paths) == {"/hashsharing/v2/entries"}


def test_a_next_page_with_other_characters_is_an_error(
    ncmec: Service, list_server: ListServer
) -> None:
    list_server.changes = CHANGES
    list_server.next_is = lambda link: f"{link}&é=1"
    assert "an address that is none" in ncmec.failed()


def test_a_next_page_may_be_named_in_full(ncmec: Service, list_server: ListServer) -> None:
    list_server.changes = CHANGES
    list_server.next_is = lambda link: f"{list_server.address}/hashsharing{link}"
    assert ncmec.fetched()[0] == ncmec.of(*CHANGES)


def test_an_unknown_environment_is_an_error_that_names_the_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="generative-ai-csam"):
        NcmecSource("Industri", Credentials("env:LOGIN", pytest.fail), tmp_path)


@pytest.mark.parametrize("address", ENVIRONMENTS.values())
def test_environments_are_asked_with_encryption(address: str) -> None:
    assert address.startswith("https://")


# ── ThreatExchange ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("days", "is_whole"), [(84, False), (86, True)])
def test_who_did_not_ask_for_85_days_begins_anew(
    days: int, is_whole: bool, threatexchange: Service, list_server: ListServer
) -> None:
    list_server.changes = CHANGES
    _, checkpoint = threatexchange.fetched()
    later = SECOND + days * DAY
    list_server.changes = [*CHANGES, Change(9, later - 3600)]
    batches = [batch.is_whole for batch in at(threatexchange.source, later).fetch(checkpoint)]
    assert batches[0] == is_whole


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.example/graph/77/threat_updates/?after=1",
        "/graph/77/threat_updates/?after=1",
        "http://127.0.0.1:1/graph/77/threat_updates/?after=1",
    ],
)
def test_a_next_page_of_another_host_is_an_error(
    link: str, threatexchange: Service, list_server: ListServer
) -> None:
    list_server.changes = CHANGES
    list_server.next_is = lambda _: link
    assert "the next page is said to be elsewhere" in threatexchange.failed()


def test_a_next_page_of_another_group_is_an_error(
    threatexchange: Service, list_server: ListServer
) -> None:
    list_server.changes = CHANGES
    list_server.next_is = lambda link: link.replace(f"/{GROUP}/", "/78/")
    assert "elsewhere" in (message := threatexchange.failed())
    assert TOKEN not in message


def test_the_token_in_the_link_to_the_next_page_is_not_kept(
    threatexchange: Service, list_server: ListServer
) -> None:
    list_server.changes = CHANGES
    list_server.next_is = lambda link: link.replace("app-secret", "another")
    assert threatexchange.fetched()[0] == threatexchange.of(*CHANGES)
    assert {one.query["access_token"] for one in list_server.asked} == {TOKEN}


# ── StopNCII ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b'{"hashRecords": [], "hasMoreRecords": false}', "the nextSetTimestamp None"),
        (b'{"hashRecords": [], "nextSetTimestamp": 1}', "the hasMoreRecords None"),
        (
            b'{"hashRecords": [], "nextSetTimestamp": 1, "hasMoreRecords": true}',
            "the nextPageToken None",
        ),
        (b"[]", "no JSON object"),
    ],
)
def test_an_answer_that_does_not_say_how_to_go_on_is_an_error(
    answer: bytes, why: str, make: Callable[[str], Service], list_server: ListServer
) -> None:
    list_server.faults = [body(answer, "application/json")]
    assert why in make("stopncii").failed()


# ── Tech Against Terrorism ────────────────────────────────────────────────────────────────────


def test_the_password_goes_to_the_login_and_the_token_to_the_list(
    make: Callable[[str], Service], list_server: ListServer
) -> None:
    make("tat").fetched()
    login, first = list_server.asked[:2]
    assert (login.path, "authorization" in login.headers) == ("/token-auth/tcap/", False)
    assert first.headers["authorization"] == f"Bearer {JWT}"


@pytest.mark.parametrize("answer", [b"{}", b'{"token": 1}', b'{"token": "a\\r\\nb"}', b"[]"])
def test_a_login_without_a_token_is_an_error(
    answer: bytes, make: Callable[[str], Service], list_server: ListServer
) -> None:
    list_server.faults = [body(answer, "application/json")]
    assert "token" in (message := make("tat").failed()) or "no JSON object" in message


def test_pages_without_a_checkpoint_are_an_error(
    make: Callable[[str], Service], list_server: ListServer
) -> None:
    list_server.changes = CHANGES
    list_server.next_is = lambda _: ""
    assert "a page has the checkpoint ''" in make("tat").failed()


# ── Windows ───────────────────────────────────────────────────────────────────────────────────


@given(
    offsets=st.lists(st.integers(0, 20 * 365 * DAY), max_size=60),
    most=st.integers(1, 5),
    start=st.integers(0, 20 * 365 * DAY),
)
@example(offsets=[5], most=1, start=5)  # begins where it ends
def test_windows_miss_no_moment_whatever_happens_in_them(
    offsets: list[int], most: int, start: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    moments = [NOW - timedelta(seconds=one) for one in offsets]
    asked = 0

    def ask(window: Window) -> Iterator[BinaryIO]:
        nonlocal asked
        asked += 1
        inside = [one for one in moments if window.start <= one <= window.stop]
        found[window.start, window.stop] = inside
        for _ in range(len(inside) // 2 + 1):
            yield window.spool.page(0)

    found: dict[tuple[datetime, datetime], list[datetime]] = {}
    begin = NOW - timedelta(seconds=start)
    read = [
        (one.start, one.stop)
        for one in windows(ask, start=begin, now=NOW, folder=folder, most=most)
    ]
    seen = {moment for pair in read for moment in found[pair]}
    last = NOW - timedelta(seconds=5)
    assert seen == {one for one in moments if begin <= one <= last}
    assert asked < 40 * (len(moments) + 3)
