"""StopNCII's FetchHashes: what has changed since a time, in pages of one set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeVar
from urllib.parse import urlencode

from typing_extensions import override

from initgate.errors import ListRejected
from initgate.lists.feed import shown
from initgate.lists.json_stream import outline
from initgate.sources import Batch, Checkpoint, Source
from initgate.sources.bounds import BOUNDS, PATIENCE, Bounds, Patience
from initgate.sources.credentials import Credentials
from initgate.sources.paging import Page, pages
from initgate.sources.records import Told, told
from initgate.sources.spool import Spool
from initgate.sources.web import Content, Secrets, Web

ADDRESS: Final = "https://api.stopncii.org/v1"

_Kind = TypeVar("_Kind")

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
        records = Told()
        latest = start

        def look(page: BinaryIO) -> Page:
            nonlocal records, latest
            here = told(page, _RECORDS, source=_NAME)
            records += here
            found = outline(page, _RECORDS, source=_NAME)
            latest = max(latest, _checked(found, "nextSetTimestamp", int))
            following = None
            if _checked(found, "hasMoreRecords", bool):
                token = _checked(found, "nextPageToken", str)
                following = f"{first}&{urlencode({'nextPageToken': token})}"
            return Page(here.number, str(here), following)

        with (
            Web(_NAME, base, secrets=secrets, bounds=self.bounds, patience=self.patience) as web,
            Spool(self.folder) as spool,
        ):
            found = tuple(
                pages(web, spool, first, look, content=Content.JSON, at_most=self.bounds.pages)
            )
            # The seconds that overlap bring the last records again, until others come behind them.
            if known and (not records.number or str(records) == known.get("seen")):
                return
            made: Checkpoint = {"of": base, "since": latest, "seen": str(records)}
            yield Batch(_NAME, found, made, is_whole=not known)


def _checked(found: Mapping[str, object], field: str, kind: type[_Kind]) -> _Kind:
    """A field that says how to go on."""
    value = found.get(field)
    if type(value) is not kind or value == "":
        raise ListRejected(f"an answer has the {field} {shown(value)}", source=_NAME)
    return value
