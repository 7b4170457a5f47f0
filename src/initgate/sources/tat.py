"""Tech Against Terrorism's hash list, version 2: pages from the oldest change on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import urlencode

from typing_extensions import override

from initgate.errors import ListRejected
from initgate.lists.feed import shown
from initgate.lists.json_stream import outline
from initgate.sources import Batch, Checkpoint, Source
from initgate.sources.bounds import BOUNDS, PATIENCE, Bounds, Patience
from initgate.sources.credentials import Credentials
from initgate.sources.paging import Page, pages
from initgate.sources.records import told
from initgate.sources.spool import Spool
from initgate.sources.web import Content, Secrets, Web

ADDRESS: Final = "https://app.terrorismanalytics.org"

_NAME: Final = "Tech Against Terrorism"
_RECORDS: Final = "results"


@dataclass(frozen=True, slots=True)
class TatSource(Source):
    """Tech Against Terrorism's hashes.

    Args:
        credentials: User and password with a colon between.
        folder: For temporary files.
        address: Another one than the service's.
        batch_pages: Pages in a batch.
        bounds: What is too much.
        patience: With what may pass.
    """

    credentials: Credentials
    folder: Path
    address: str = ADDRESS
    batch_pages: int = 100
    bounds: Bounds = BOUNDS
    patience: Patience = PATIENCE

    @override
    def fetch(self, checkpoint: Checkpoint) -> Iterator[Batch]:
        base = self.address.rstrip("/")
        after = checkpoint.get("after") if checkpoint.get("of") == base else None
        is_whole = not isinstance(after, str)
        reached = _Reached(after if isinstance(after, str) else "")
        secrets = Secrets(self.credentials.where, {"Authorization": f"Bearer {self._token(base)}"})
        with Web(_NAME, base, secrets=secrets, bounds=self.bounds, patience=self.patience) as web:
            while not reached.is_end:
                with Spool(self.folder) as spool:
                    reached.items = 0
                    found = tuple(islice(self._pages(web, spool, base, reached), self.batch_pages))
                    if reached.items or is_whole:
                        made = {"of": base, "after": reached.after}
                        yield Batch(_NAME, found, made, is_whole=is_whole)
                        is_whole = False

    def _token(self, base: str) -> str:
        """What the service gives for user and password."""
        user, password = self.credentials.two("user", "password")
        secrets = Secrets(self.credentials.where)
        with (
            Web(_NAME, base, secrets=secrets, bounds=self.bounds, patience=self.patience) as web,
            Spool(self.folder) as spool,
        ):
            form = {"username": user, "password": password}
            page = web.post(f"{base}/token-auth/tcap/", form, spool).page
            token = outline(page, "", source=_NAME).get("token") if page else None
        if not isinstance(token, str) or not token.isprintable() or not token.isascii():
            raise ListRejected("its login answers without a token", source=_NAME)
        return token

    def _pages(self, web: Web, spool: Spool, base: str, reached: _Reached) -> Iterator[BinaryIO]:
        def address() -> str:
            return f"{base}/api/hash-list/v2/all?" + urlencode(
                {"order": "asc", "after": reached.after}
            )

        def look(page: BinaryIO) -> Page:
            records = told(page, _RECORDS, source=_NAME)
            found = outline(page, _RECORDS, source=_NAME)
            after = found.get("checkpoint")
            if isinstance(after, str) and after:
                reached.after = after
            elif records.number:
                raise ListRejected(f"a page has the checkpoint {shown(after)}", source=_NAME)
            reached.items += records.number
            # Whether there is a next page, it says; the checkpoint leads there.
            reached.is_end = not records.number or not found.get("next")
            following = None if reached.is_end else address()
            return Page(records.number, str(records), following)

        return pages(web, spool, address(), look, content=Content.JSON, at_most=self.bounds.pages)


@dataclass(slots=True)
class _Reached:
    after: str
    items: int = 0
    is_end: bool = False
