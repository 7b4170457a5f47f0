"""StopNCII's FetchHashes: what has changed since a time, in pages of one set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
from initgate.sources.paging import pages
from initgate.sources.records import Told
from initgate.sources.spool import Spool
from initgate.sources.web import Content, Secrets, Web

ADDRESS: Final = "https://api.stopncii.org/v1"

_NAME: Final = "StopNCII"
_RECORDS: Final = "hashRecords"
_BEGINNING: Final = 10  # seconds since 1970; what the service takes for the beginning
_OVERLAP_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class StopNciiSource(Source):
    """StopNCII's hashes.

    Args:
        credentials: Subscription key and function key with a colon between.
        folder: For temporary files.
        address: Another one than the service's.
        page_size: Hashes in a page.
        bounds: What is too much.
        patience: With what may pass.
    """

    credentials: Credentials
    folder: Path
    address: str = ADDRESS
    page_size: int = 800
    bounds: Bounds = BOUNDS
    patience: Patience = PATIENCE

    @override
    def fetch(self, checkpoint: Checkpoint) -> Iterator[Batch]:
        base = self.address.rstrip("/")
        known = checkpoint if checkpoint.get("of") == base else {}
        since = known.get("since")
        start = _BEGINNING
        if isinstance(since, int):
            start = max(_BEGINNING, since - _OVERLAP_SECONDS)
        subscription, function = self.credentials.two("subscription key", "function key")
        secrets = Secrets(
            self.credentials.where,
            {"x-functions-key": function, "Ocp-Apim-Subscription-Key": subscription},
        )
        query = {"startTimestamp": start, "pageSize": self.page_size}
        first = f"{base}/FetchHashes?{urlencode(query)}"
        told = Told(_RECORDS, _NAME)
        latest = start

        def following(page: BinaryIO) -> str | None:
            nonlocal latest
            told.add(page)
            page.seek(0)
            found = outline(page, _RECORDS, source=_NAME)
            moment = found.get("nextSetTimestamp")
            if type(moment) is not int:
                raise ListRejected(f"nextSetTimestamp is {shown(moment)}", source=_NAME)
            latest = max(latest, moment)
            has_more, token = found.get("hasMoreRecords"), found.get("nextPageToken")
            if type(has_more) is not bool:
                raise ListRejected(f"hasMoreRecords is {shown(has_more)}", source=_NAME)
            if not has_more:
                return None
            if not isinstance(token, str) or not token:
                raise ListRejected("it has more records, but names no next page", source=_NAME)
            return f"{first}&{urlencode({'nextPageToken': token})}"

        with (
            Web(_NAME, base, secrets=secrets, bounds=self.bounds, patience=self.patience) as web,
            Spool(self.folder) as spool,
        ):
            found = tuple(
                pages(web, spool, first, following, content=Content.JSON, at_most=self.bounds.pages)
            )
            if known and told.is_nothing_since(known):
                return
            made: Checkpoint = {"of": base, "since": latest, **told.checkpoint()}
            yield Batch(_NAME, found, made, is_whole=not known)
