"""What ``initgate lists status`` tells of feeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from rich.markup import escape
from rich.table import Table

from initgate.cli.console import ERR, OUT, printable, told_age
from initgate.config import FeedSettings, Settings
from initgate.errors import ListRejected
from initgate.sources.opening import shown_where
from initgate.store.versions import About, State, Versions
from initgate.wiring import now

_WIDE = 1000  # columns of text


@dataclass(frozen=True, slots=True)
class _Status:
    """A feed on disk: what is served, what happened last, what is damaged."""

    about: About | None
    state: State
    problem: str


def _status(feed: FeedSettings, settings: Settings) -> _Status:
    versions = Versions(settings.store.path / feed.name)
    about, problem = versions.whole()
    try:
        state = versions.state()
    except ListRejected as error:
        state, problem = State(), str(error)
    return _Status(about, state, problem)


def feed_record(feed: FeedSettings, settings: Settings) -> dict[str, object]:
    """A feed as a JSON object."""
    one = _status(feed, settings)
    about, state = one.about, one.state
    return {
        "feed": feed.name,
        "source": shown_where(feed.source),
        "format": feed.file_format.value,
        "digest": about and about.digest,
        "made_at": about and about.made_at.isoformat(),
        "entries": dict(about.entries) if about else {},
        "unmatched": dict(about.unmatched) if about else {},
        "skipped": dict(about.skipped) if about else {},
        "rejected": about.rejected if about else 0,
        "repeated": about.repeated if about else 0,
        "signer": about and about.signer,
        "succeeded_at": state.succeeded_at and state.succeeded_at.isoformat(),
        "polled_at": state.polled_at and state.polled_at.isoformat(),
        "error": state.error or None,
        "waiting": state.waiting or None,
        "why": state.why or None,
        "pinned": bool(state.pinned),
        "damaged": one.problem or None,
    }


def tell_feeds(settings: Settings) -> None:
    """Prints a table of all feeds, and below it what needs somebody."""
    if not settings.feeds:
        return
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("Feed", "Entries", "No matcher", "Left out"):
        table.add_column(heading)
    for heading in ("Version", "Signer", "Success", "Poll", "State"):
        table.add_column(heading, no_wrap=True)
    needs = []
    for feed in settings.feeds:
        one = _status(feed, settings)
        about, state = one.about, one.state
        bad = bool(one.problem or state.error or about is None)
        said = (
            ["pinned"] * bool(state.pinned)
            + ["waiting"] * bool(state.waiting)
            + ["error"] * bool(state.error)
            + ["damaged"] * bool(one.problem)
        )
        table.add_row(
            feed.name,
            told_counts(about.entries) if about else "-",
            told_counts(about.unmatched) if about else "-",
            told_counts(_left_out(about)) if about else "-",
            about.digest[:12] if about else "no version",
            escape(about.signer) if about else "-",
            _ago(state.succeeded_at),
            _ago(state.polled_at),
            ", ".join(said) or "served",
            style="red" if bad else "yellow" if said else "",
        )
        needs += [
            f"[{colour}]{what}[/]  {feed.name}: {escape(printable(why))}"
            for colour, what, why in (
                ("red", "damaged", one.problem),
                ("red", "not fetched", state.error),
                ("yellow", "waiting", state.why and f"{state.waiting[:12]}: {state.why}"),
            )
            if why
        ]
    wide = OUT.measure(table, options=OUT.options.update(width=_WIDE))
    table.width = wide.maximum
    OUT.print()
    OUT.print(table)
    for line in needs:
        ERR.print(line)


def told_counts(counts: Mapping[str, int]) -> str:
    """Numbers by kind on a line."""
    return ", ".join(f"{escape(kind)} {number}" for kind, number in counts.items()) or "none"


def _left_out(about: About) -> dict[str, int]:
    more = {"unreadable": about.rejected, "twice": about.repeated}
    return {**about.skipped, **{kind: number for kind, number in more.items() if number}}


def _ago(at: datetime | None) -> str:
    return "never" if at is None else told_age(now() - at)
