"""A list wherever fsspec reaches: ``s3://``, ``gs://``, ``abfs://`` and others.

The store's own means say who asks (profiles, roles, variables); fsspec reads them.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import fsspec
from typing_extensions import override

from initgate.errors import ConfigError, InitgateError, ListRejected, SourceUnavailable
from initgate.sources import Batch, Checkpoint, Source
from initgate.sources.spool import Spool
from initgate.sources.web import shown_address

_TELLING: Final = re.compile(
    "etag|time|modif|creat|updat|version|generation|md5|sha|crc|checksum", re.IGNORECASE
)
"""What keys that change with the content have in their names, in one store or another."""

_CHUNK_BYTES: Final = 1 << 20
_SIGNATURE_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class FsspecSource(Source):
    """A list that is replaced whole in a store of files.

    Args:
        address: As ``s3://bucket/list.csv``.
        folder: For temporary files.
        options: What fsspec's file system is made with.
        signature_suffix: Of the name of a detached signature, such as ``.sig``; empty for none.
        max_bytes: Of the list.
        max_seconds: Between two pieces of it, from the first on.
    """

    address: str = field(repr=False)  # it may hold a user
    folder: Path
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    signature_suffix: str = ""
    max_bytes: int = 1 << 32
    max_seconds: float = 3600.0

    @override
    def fetch(self, checkpoint: Checkpoint) -> Iterator[Batch]:
        name = shown_address(self.address)
        with Spool(self.folder) as spool:
            with _told(name):
                system, path = fsspec.core.url_to_fs(
                    self.address, use_listings_cache=False, skip_instance_cache=True, **self.options
                )
                before = _state(system, path)
                known = checkpoint if checkpoint.get("of") == name else {}
                if before and known.get("state") == before:
                    return
                digest = self._copy(system, path, spool, name)
                if _state(system, path) != before:
                    raise SourceUnavailable(f"{name}: it was replaced while it was read")
                if not before and known.get("sha256") == digest:
                    return
                signature = self._signature(system, path)
            yield Batch(
                name,
                (spool.page(0),),
                {"of": name, "state": before, "sha256": digest},
                is_whole=True,
                signature=signature,
            )

    def _signature(self, system: Any, path: str) -> bytes | None:
        """What lies beside the list. Whether there must be something is not decided here."""
        if not self.signature_suffix:
            return None
        try:
            with system.open(path + self.signature_suffix, "rb") as file:
                read: bytes = file.read(_SIGNATURE_BYTES)
        except FileNotFoundError:
            return None
        return read

    def _copy(self, system: Any, path: str, spool: Spool, name: str) -> str:
        """Returns the SHA-256 (hex) of what was copied."""
        made = hashlib.sha256()
        given_up_at = time.monotonic() + self.max_seconds
        with system.open(path, "rb") as file:
            while data := file.read(_CHUNK_BYTES):
                spool.write(data)
                made.update(data)
                if spool.size > self.max_bytes:
                    raise ListRejected(f"more than {self.max_bytes:,} bytes", source=name)
                if time.monotonic() > given_up_at:
                    raise SourceUnavailable(f"{name}: not read in {self.max_seconds:,.0f} seconds")
        size = system.size(path)
        if size is not None and size != spool.size:
            raise SourceUnavailable(f"{name}: {spool.size:,} bytes came of {size:,}")
        return made.hexdigest()


def _state(system: Any, path: str) -> str:
    """What the file system itself says to tell one content from another of the same size.

    Empty if it does not: then only the content tells.
    """
    system.invalidate_cache()
    if not any(_TELLING.search(str(one)) for one, value in system.info(path).items() if value):
        return ""
    return hashlib.sha256(str(system.checksum(path)).encode()).hexdigest()


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Whatever a file system raises becomes an error that names the source.

    Each has exceptions of its own; their texts may hold more than should be shown.
    """
    try:
        yield
    except InitgateError:
        raise
    except ImportError as error:
        raise ConfigError(f"{name} needs a package that fsspec does not bring: {error}") from error
    except FileNotFoundError as error:
        raise SourceUnavailable(f"{name}: no such file") from error
    except PermissionError as error:
        raise SourceUnavailable(
            f"{name}: permission denied; check the credentials of the store"
        ) from error
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from error
    except Exception as error:
        reason = type(error).__name__
        raise SourceUnavailable(f"{name}: it cannot be read ({reason})") from error
