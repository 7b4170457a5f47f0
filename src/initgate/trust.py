"""Door 2. What was fetched becomes a list only if somebody vouches for it. No I/O, no clock."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol

from initgate.errors import ConfigError, ListRejected


@dataclass(frozen=True, slots=True)
class Vouched:
    """Who vouches for a list.

    Args:
        by: For status and audit, such as ``pinned sha256`` or ``unsigned``.
        at: When they did, as they say. The next version must not be older.
    """

    by: str
    at: datetime | None = None


class Trust(Protocol):
    """Decides whether what was fetched may become a list."""

    def verify(
        self,
        pages: Sequence[BinaryIO],
        signature: bytes | None,
        *,
        source: str,
        newest: datetime | None = None,
    ) -> Vouched:
        """Reads all pages and rewinds them.

        Args:
            pages: What was fetched.
            signature: What lay beside it.
            source: For error messages.
            newest: :attr:`Vouched.at` of the version that was taken last.

        Raises:
            ListRejected: Nobody vouches for it, or it is older than what was taken last.
        """


@dataclass(frozen=True, slots=True)
class Anyone:
    """Nothing is configured: whoever can write to the source decides what the list holds."""

    by: str = "unsigned"

    def verify(
        self,
        pages: Sequence[BinaryIO],
        signature: bytes | None,
        *,
        source: str,
        newest: datetime | None = None,
    ) -> Vouched:
        """Takes it. See :meth:`Trust.verify`."""
        del pages, signature, source, newest
        return Vouched(self.by)


class Pinned:
    """One version and no other.

    Args:
        sha256: Of the file, 64 hexadecimal digits in either case.

    Raises:
        ConfigError: It is no such digest.
    """

    def __init__(self, sha256: str) -> None:
        try:
            self._sha256 = bytes.fromhex(sha256)
        except ValueError:
            self._sha256 = b""
        if len(self._sha256) != hashlib.sha256().digest_size:
            raise ConfigError(f"sha256: {sha256!r}; allowed: 64 hexadecimal digits")

    def verify(
        self,
        pages: Sequence[BinaryIO],
        signature: bytes | None,
        *,
        source: str,
        newest: datetime | None = None,
    ) -> Vouched:
        """Compares the digest. See :meth:`Trust.verify`."""
        del signature, newest
        if len(pages) != 1:
            raise ListRejected(
                f"it comes in {len(pages)} pieces; a digest is of one file", source=source
            )
        made = hashlib.sha256()
        while read := pages[0].read(1 << 20):
            made.update(read)
        pages[0].seek(0)
        if made.digest() != self._sha256:
            raise ListRejected(
                f"its SHA-256 is {made.hexdigest()}, but {self._sha256.hex()} is pinned; "
                "if the new version is meant, change sha256 in the configuration",
                source=source,
            )
        return Vouched("pinned sha256")
