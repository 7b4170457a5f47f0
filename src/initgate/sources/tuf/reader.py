"""Fetches a list from a TUF repository. Nothing is yielded that its pinned keys did not sign.

python-tuf does what TUF's client must: signatures and thresholds, versions that never fall, dates
of expiry, lengths and digests. Here it is told where to read, and its answers become sentences.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tuf.api import exceptions as tuf_errors
from tuf.api.metadata import Metadata, Root, TargetFile
from tuf.ngclient import Updater, UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface

from initgate.errors import ConfigError, ListRejected, SourceUnavailable
from initgate.sources import Batch, Checkpoint
from initgate.sources.folders import Folder

_MAX_SECONDS = 900.0  # for a file
_MAX_TOTAL_SECONDS = 3600.0  # for all: a server could name hundreds of roots
_MISSING = 404
_ENTRANCE = "metadata/timestamp.json"

_REASONS: Mapping[type[Exception], str] = {
    tuf_errors.ExpiredMetadataError: "out of date: nobody renewed it, or somebody holds newer "
    "states back; its publisher renews it by initgate lists publish --refresh",
    tuf_errors.UnsignedMetadataError: "too few of the keys that root trusts signed it",
    tuf_errors.BadVersionNumberError: "older than what was seen before, or parts of several states",
    tuf_errors.LengthOrHashMismatchError: "a file is not the one that was signed",
    tuf_errors.RepositoryError: "no sound TUF repository",
    tuf_errors.DownloadLengthMismatchError: "a file is longer than it may be",
    tuf_errors.DownloadHTTPError: "a file that was signed is missing",
}
"""What went wrong, the particular before the general. All else is for want of a connection."""


class TufSource:
    """A list in a repository.

    Args:
        folder: That holds ``metadata`` and ``targets``.
        name: For error messages.
        target: The list's name in the repository.
        root: The keys to trust: the content of the publisher's root.json.
        metadata: A folder of its own, in which it is remembered what was seen: without it,
            an older state could not be told from the present one.
        max_bytes: Of the list.
        temporary_folder: Where it lies for as long as it is read. Default: the system's.
        max_seconds: For each file.

    Raises:
        ConfigError: The root is none.
    """

    def __init__(
        self,
        folder: Folder,
        name: str,
        *,
        target: str,
        root: bytes,
        metadata: Path,
        max_bytes: int,
        temporary_folder: Path | None = None,
        max_seconds: float = _MAX_SECONDS,
    ) -> None:
        try:
            trusted = Metadata[Root].from_bytes(root)
            trusted.signed.verify_delegate(Root.type, trusted.signed_bytes, trusted.signatures)
        except (tuf_errors.RepositoryError, ValueError, AttributeError) as error:
            raise ConfigError(
                f"{name}: root: no root.json of a TUF repository: take the one that its publisher "
                "hands out"
            ) from error
        self._name = name
        self._target = target
        self._root = root
        self._metadata = metadata
        self._max_bytes = max_bytes
        self._temporary_folder = temporary_folder
        self._fetcher = _Fetcher(folder, max_seconds=max_seconds)

    def fetch(self, checkpoint: Checkpoint) -> Iterator[Batch]:
        """Yields the list, verified, if it is another one: a :class:`initgate.sources.Source`.

        Raises:
            ListRejected: What is there is not signed, out of date, older than what was seen,
                incomplete or too large.
            SourceUnavailable: The repository cannot be read.
        """
        self._fetcher.begin()
        with self._plain_errors():
            self._metadata.mkdir(mode=0o700, parents=True, exist_ok=True)
            updater = Updater(
                str(self._metadata),
                "metadata/",
                target_base_url="targets/",
                fetcher=self._fetcher,
                config=UpdaterConfig(),
                bootstrap=self._root,
            )
            updater.refresh()
            found = self._check(updater.get_targetinfo(self._target))
        digest = found.hashes["sha256"]
        if digest == checkpoint.get("sha256"):
            return
        with tempfile.TemporaryDirectory(dir=self._temporary_folder) as folder:
            path = Path(folder, "list")
            with self._plain_errors():
                updater.download_target(found, str(path))
            with path.open("rb") as page:
                path.unlink()  # a process that is killed leaves no list behind
                yield Batch(self._name, (page,), {"sha256": digest}, is_whole=True)

    def _check(self, found: TargetFile | None) -> TargetFile:
        if found is None:
            raise self._rejected(f"it publishes no list named {self._target!r}: set target")
        if "sha256" not in found.hashes:
            raise self._rejected(f"it tells no SHA-256 of {self._target!r}")
        if found.length > self._max_bytes:
            raise self._rejected(
                f"{self._target!r} has {found.length} bytes; allowed are {self._max_bytes}"
            )
        return found

    def _rejected(self, reason: str) -> ListRejected:
        return ListRejected(reason, source=self._name)

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except (tuf_errors.RepositoryError, tuf_errors.DownloadError) as error:
            for kind, reason in _REASONS.items():
                if isinstance(error, kind) and _ENTRANCE not in str(error):
                    raise self._rejected(f"{reason} ({error})") from error
            raise SourceUnavailable(
                f"{self._name}: no TUF repository there, or none to be read ({error})"
            ) from error
        except OSError as error:
            raise SourceUnavailable(
                f"{error.filename or self._metadata}: {error.strerror or error}"
            ) from error


class _Fetcher(FetcherInterface):
    """Lets python-tuf read from a folder; it bounds the bytes itself."""

    def __init__(self, folder: Folder, *, max_seconds: float) -> None:
        self._folder = folder
        self._max_seconds = max_seconds
        self.begin()

    def begin(self) -> None:
        """Counts the time of a whole fetch from now on."""
        self._end = time.monotonic() + _MAX_TOTAL_SECONDS

    def _fetch(self, url: str) -> Iterator[bytes]:
        end = min(time.monotonic() + self._max_seconds, self._end)
        try:
            for piece in itertools.chain([b""], self._folder.read(url)):
                if time.monotonic() > end:
                    raise tuf_errors.SlowRetrievalError(
                        f"{url}: it took over {self._max_seconds:.0f} s, or all files over "
                        f"{_MAX_TOTAL_SECONDS:.0f} s"
                    )
                yield piece
        except FileNotFoundError as error:
            raise tuf_errors.DownloadHTTPError(url, _MISSING) from error
        except OSError as error:
            raise tuf_errors.DownloadError(f"{url}: {error.strerror or error}") from error
