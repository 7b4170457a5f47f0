"""A list at an address: fetched again only when it has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from typing_extensions import override

from initgate.sources import Batch, Checkpoint, Source
from initgate.sources.bounds import PATIENCE, Bounds, Patience
from initgate.sources.credentials import Credentials
from initgate.sources.spool import Spool
from initgate.sources.web import Content, Secrets, Web, basic, shown_address

LARGE: Final = Bounds(page_bytes=1 << 34, batch_bytes=1 << 34, page_seconds=6 * 3600.0)
"""A whole list is one answer."""

_SIGNATURE_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class HttpsSource(Source):
    """A list that is replaced whole at its address.

    Args:
        address: Of the list. A query that signs it is not shown in messages.
        folder: For temporary files.
        credentials: A token for ``Bearer``, or user and password with a colon between; None for
            none.
        hosts: Others that redirects may lead to.
        allow_http: Whether it may be asked for without encryption.
        signature_suffix: Of the address of a detached signature, such as ``.sig``; empty for none.
        bounds: What is too much.
        patience: With what may pass.
    """

    address: str = field(repr=False)  # its query may sign it
    folder: Path
    credentials: Credentials | None = None
    hosts: tuple[str, ...] = ()
    allow_http: bool = False
    signature_suffix: str = ""
    bounds: Bounds = LARGE
    patience: Patience = PATIENCE

    @override
    def fetch(self, checkpoint: Checkpoint) -> Iterator[Batch]:
        name = shown_address(self.address)
        # The query, which is not shown, may say which list.
        of = f"{name} {hashlib.sha256(self.address.encode()).hexdigest()[:16]}"
        known = checkpoint if checkpoint.get("of") == of else {}
        conditions = {
            "If-None-Match": known.get("etag"),
            "If-Modified-Since": known.get("modified"),
        }
        headers = {
            key: value
            for key, value in conditions.items()
            if isinstance(value, str) and value.isascii() and value.isprintable() and value
        }
        with self._web(name, self.bounds) as web, Spool(self.folder) as spool:
            answer = web.get(self.address, spool, content=Content.LIST, headers=headers)
            if answer.page is None or answer.digest == known.get("sha256"):
                return
            yield Batch(
                name,
                (answer.page,),
                {
                    "of": of,
                    "etag": answer.headers.get("etag"),
                    "modified": answer.headers.get("last-modified"),
                    "sha256": answer.digest,
                },
                is_whole=True,
                signature=self._signature() if self.signature_suffix else None,
            )

    def _signature(self) -> bytes:
        """The signature beside the list. That it is missing is an error like any other."""
        bounds = replace(self.bounds, page_bytes=_SIGNATURE_BYTES)
        parts = urlsplit(self.address)
        address = urlunsplit(parts._replace(path=parts.path + self.signature_suffix))
        with self._web(shown_address(address), bounds) as web, Spool(self.folder) as spool:
            page = web.get(address, spool, content=Content.LIST).page
            return page.read() if page else b""

    def _web(self, name: str, bounds: Bounds) -> Web:
        return Web(
            name,
            self.address,
            secrets=self._secrets(),
            bounds=bounds,
            patience=self.patience,
            hosts=self.hosts,
            allow_http=self.allow_http,
        )

    def _secrets(self) -> Secrets:
        if self.credentials is None:
            return Secrets()
        secret = self.credentials.one("token, or user and password with a colon between")
        user, colon, password = secret.partition(":")
        value = basic(user, password) if colon else f"Bearer {secret}"
        return Secrets(self.credentials.where, {"Authorization": value})
