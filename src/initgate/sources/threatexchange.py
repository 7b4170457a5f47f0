"""Meta's ThreatExchange: the ``threat_updates`` of a privacy group.

The service forgets deletions after 90 days. Who did not ask for 85 begins anew, and what then comes
replaces all: otherwise entries that are gone would stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from typing_extensions import override

from initgate.errors import ListRejected
from initgate.lists.feed import shown
from initgate.lists.json_stream import outline
from initgate.lists.threat_updates_list import FIELDS, RECORDS
from initgate.sources import Batch, Checkpoint, Source
from initgate.sources.bounds import BOUNDS, PATIENCE, Bounds, Patience
from initgate.sources.credentials import Credentials
from initgate.sources.paging import Page, pages
from initgate.sources.records import told
from initgate.sources.web import Content, Secrets, Web, shown_address
from initgate.sources.windows import BEGINNING, PAGES, Window, moment, reached, resumed, windows

ADDRESS: Final = "https://graph.facebook.com/v26.0"

_TOKEN: Final = "access_token"  # noqa: S105  # a name
_STALE: Final = timedelta(days=85)


@dataclass(frozen=True, slots=True)
class ThreatExchangeSource(Source):
    """What a privacy group shares.

    Args:
        privacy_group: Its number.
        credentials: An access token, as ``APP|SECRET``.
        folder: For temporary files.
        address: Another one than the service's.
        page_size: Updates in a page.
        window_pages: A window with more pages is halved, if it can be.
        bounds: What is too much.
        patience: With what may pass.
        now: The time.
    """

    privacy_group: int
    credentials: Credentials
    folder: Path
    address: str = ADDRESS
    page_size: int = 500
    window_pages: int = PAGES
    bounds: Bounds = BOUNDS
    patience: Patience = PATIENCE
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @override
    def fetch(self, checkpoint: Checkpoint) -> Iterator[Batch]:
        base = f"{self.address.rstrip('/')}/{self.privacy_group}/threat_updates/"
        name = f"ThreatExchange {self.privacy_group}"
        secrets = Secrets(
            self.credentials.where, parameters={_TOKEN: self.credentials.one("access token")}
        )
        now = self.now()
        start = resumed(checkpoint, base)
        # What was deleted before all was asked for is not there, however old the last window is.
        begun = checkpoint.get("begun")
        known_at = max(start or BEGINNING, moment(begun) or BEGINNING)
        if now - known_at > _STALE:
            start = None
        is_whole = start is None
        if is_whole:
            begun = int(now.timestamp())
        with Web(name, base, secrets=secrets, bounds=self.bounds, patience=self.patience) as web:
            for window in windows(
                lambda window: self._pages(web, base, window),
                start=start or BEGINNING,
                now=now,
                folder=self.folder,
                most=self.window_pages,
            ):
                if window.items or (is_whole and window.is_last):
                    pages = tuple(window.pages)
                    made = {**reached(window, base), "begun": begun}
                    yield Batch(name, pages, made, is_whole=is_whole)
                    is_whole = False

    def _pages(self, web: Web, base: str, window: Window) -> Iterator[BinaryIO]:
        def look(page: BinaryIO) -> Page:
            records = told(page, RECORDS, source=web.name)
            window.items += records.number
            link = outline(page, RECORDS, source=web.name).get("paging.next")
            is_last = not isinstance(link, str) or not link
            following = None if is_last else _next(base, str(link), web.name)
            return Page(records.number, str(records), following)

        query = {
            "fields": FIELDS,
            "limit": self.page_size,
            "start_time": int(window.start.timestamp()),
            "stop_time": int(window.stop.timestamp()),
        }
        return pages(
            web,
            window.spool,
            f"{base}?{urlencode(query)}",
            look,
            content=Content.JSON,
            at_most=self.bounds.pages,
        )


def _next(base: str, link: str, name: str) -> str:
    """The address of the page that an answer names, without the token that it repeats."""
    parts = urlsplit(link)
    if shown_address(link).rstrip("/") != base.rstrip("/"):
        raise ListRejected(
            f"the next page is said to be elsewhere, at {shown(shown_address(link))}", source=name
        )
    query = [(key, value) for key, value in parse_qsl(parts.query) if key != _TOKEN]
    return f"{base}?{urlencode(query)}"
