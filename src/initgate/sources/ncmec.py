"""NCMEC's Hash Sharing, version 2.

Its entries come in pages without order. Until all pages of a window of time were read, nothing is
known of what is missing, so a window is a batch. What an answer says of its next page holds within
its window only, and is never kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import urlencode

from typing_extensions import override

from initgate.errors import ConfigError, ListRejected
from initgate.lists.feed import shown
from initgate.lists.ncmec_list import paging
from initgate.sources import Batch, Checkpoint, Source
from initgate.sources.bounds import BOUNDS, PATIENCE, Bounds, Patience
from initgate.sources.credentials import Credentials
from initgate.sources.paging import Page, pages
from initgate.sources.web import Content, Secrets, Web, basic, joined, shown_address
from initgate.sources.windows import BEGINNING, PAGES, Window, reached, resumed, windows

ENVIRONMENTS: Final = {
    "Industry": "https://report.cybertip.org/hashsharing",
    "Industry_Exploitative": "https://report.cybertip.org/exploitative-hashsharing",
    "LawEnforcement": "https://lesp.ncmec.org/csam-hashsharing",
    "NGO": "https://hashsharing.ncmec.org/npo",
    "Exploitative": "https://hashsharing.ncmec.org/exploitative",
    "generative-ai-csam": "https://hashsharing.ncmec.org/generative-ai-csam",
    "generative-ai-exploitative": "https://hashsharing.ncmec.org/generative-ai-exploitative",
    "test_Industry": "https://exttest.cybertip.org/hashsharing",
    "test_Industry_Exploitative": "https://exttest.cybertip.org/exploitative-hashsharing",
    "test_LawEnforcement": "https://betalesp.ncmec.org/csam-hashsharing",
    "test_NGO": "https://hashsharing-test.ncmec.org/npo",
    "test_Exploitative": "https://hashsharing-test.ncmec.org/exploitative",
    "test_generative-ai-csam": "https://hashsharing-test.ncmec.org/generative-ai-csam",
    "test_generative-ai-exploitative": (
        "https://hashsharing-test.ncmec.org/generative-ai-exploitative"
    ),
}
"""NCMEC's databases, by the names that its members use."""


@dataclass(frozen=True, slots=True)
class NcmecSource(Source):
    """One of NCMEC's databases.

    Args:
        environment: One of ``ENVIRONMENTS``.
        credentials: User and password with a colon between.
        folder: For temporary files.
        address: Another one than the environment's.
        window_pages: A window with more pages is halved, if it can be.
        bounds: What is too much.
        patience: With what may pass.
        now: The time.

    Raises:
        ConfigError: There is no such environment.
    """

    environment: str
    credentials: Credentials
    folder: Path
    address: str = ""
    window_pages: int = PAGES
    bounds: Bounds = BOUNDS
    patience: Patience = PATIENCE
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __post_init__(self) -> None:
        if not self.address and self.environment not in ENVIRONMENTS:
            raise ConfigError(
                f"NCMEC has no environment {self.environment!r}; known are "
                + ", ".join(ENVIRONMENTS)
            )

    @override
    def fetch(self, checkpoint: Checkpoint) -> Iterator[Batch]:
        base = (self.address or ENVIRONMENTS[self.environment]).rstrip("/")
        name = f"NCMEC {self.environment}".rstrip()
        login = basic(*self.credentials.two("user", "password"))
        secrets = Secrets(self.credentials.where, {"Authorization": login})
        start = resumed(checkpoint, base)
        is_whole = start is None
        with Web(name, base, secrets=secrets, bounds=self.bounds, patience=self.patience) as web:
            for window in windows(
                lambda window: self._pages(web, base, window),
                start=start or BEGINNING,
                now=self.now(),
                folder=self.folder,
                most=self.window_pages,
            ):
                # That nothing is there is told only of a list that begins.
                if window.items or (is_whole and window.is_last):
                    pages = tuple(window.pages)
                    yield Batch(name, pages, reached(window, base), is_whole=is_whole)
                    is_whole = False

    def _pages(self, web: Web, base: str, window: Window) -> Iterator[BinaryIO]:
        def look(page: BinaryIO) -> Page:
            items, link = paging(page, source=web.name)
            window.items += len(items)
            digest = hashlib.sha256("\n".join(items).encode("utf-8", "replace")).hexdigest()
            following = None if link is None else _next(base, link, web.name)
            return Page(len(items), digest, following)

        query = urlencode({"from": _written(window.start), "to": _written(window.stop)})
        return pages(
            web,
            window.spool,
            f"{base}/v2/entries?{query}",
            look,
            content=Content.XML,
            at_most=self.bounds.pages,
        )


def _next(base: str, link: str, name: str) -> str:
    """The address of the page that an answer names, by its path below the base or on the host."""
    for address in (base + link, joined(base, link)):
        if address.startswith(f"{base}/v2/entries?"):
            return address
    there = shown_address(joined(base, link))
    raise ListRejected(f"the next page is said to be elsewhere, at {shown(there)}", source=name)


def _written(moment: datetime) -> str:
    """A time as NCMEC writes it: in UTC, and said to be."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
