"""A folder of files somewhere: on a disk, behind HTTPS, or in any store that fsspec knows."""

from __future__ import annotations

import http.client
import io
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass, url2pathname

from typing_extensions import Buffer, override

from initgate.errors import ConfigError

_AT_ONCE = 1 << 18  # bytes
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_GAP_SECONDS = 30.0  # between two pieces of a file
_HEAD_SECONDS = 60.0  # until an answer's headers are there
_OK = 200
_NOT_FOUND = (403, 404)  # object stores say 403 of what is not there
_PASSING = (429, 500, 502, 503, 504)
_RETRIES = 3


class Folder(Protocol):
    """Reads files."""

    def read(self, name: str) -> Iterator[bytes]:
        """The content of a file, in pieces.

        Raises:
            FileNotFoundError: While iterating: there is none.
            OSError: While iterating: it cannot be read.
        """


class WritableFolder(Folder, Protocol):
    """Reads files, and makes and removes them."""

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Makes or replaces a file, whole or not at all.

        Raises:
            OSError: It cannot be written.
        """

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder within; none if there is no such folder."""

    def remove(self, name: str) -> None:
        """Removes a file if it is there."""


def open_folder(url: str) -> Folder:
    """The folder at a URL or path.

    Args:
        url: ``https://…``, ``file:///…``, a path, or a URL of fsspec such as ``s3://bucket/lists``.

    Raises:
        ConfigError: It cannot be one, or needs an extra.
    """
    if urlsplit(url).scheme in {"https", "http"}:
        return _Web(url)
    return open_writable(url)


def open_writable(url: str) -> WritableFolder:
    """The folder at a URL or path that files can be written to.

    Args:
        url: As for :func:`open_folder`, but no web server's.

    Raises:
        ConfigError: It cannot be one, or needs an extra.
    """
    scheme = urlsplit(url).scheme
    if scheme in {"https", "http"}:
        raise ConfigError(f"{shown(url)}: a web server takes no files; name its folder or bucket")
    if scheme == "file":
        return _Disk(Path(url2pathname(urlsplit(url).path)))
    if len(scheme) <= 1:  # none, or the letter of a drive
        return _Disk(Path(url))
    return _Store(url)


class _Disk:
    """A folder on a disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> Iterator[bytes]:
        with (self._folder / _within(name)).open("rb") as file:
            while piece := file.read(_AT_ONCE):
                yield piece

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        path = self._folder / _within(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        try:
            with partial.open("wb") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        with suppress(OSError):  # not every system can
            descriptor = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def names(self, folder: str) -> list[str]:
        with suppress(FileNotFoundError):
            return sorted(one.name for one in (self._folder / _within(folder)).iterdir())
        return []

    def remove(self, name: str) -> None:
        (self._folder / _within(name)).unlink(missing_ok=True)


class _Web:
    """A folder behind HTTPS. Nothing is followed elsewhere."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ConfigError(f"{shown(url)}: lists are confidential; allowed: https")
        try:
            import urllib3  # noqa: PLC0415  # an extra; python-tuf needs it, too
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"{shown(url)} needs urllib3: pip install 'initgate[trust]'"
            ) from error
        self._url = url.rstrip("/")
        self._error = urllib3.exceptions.HTTPError
        proxy = getproxies().get(parts.scheme)
        is_direct = proxy is None or proxy_bypass(parts.hostname or "")
        self._pool = urllib3.PoolManager() if is_direct else urllib3.ProxyManager(str(proxy))
        self._pool.pool_classes_by_scheme = {
            scheme: _bounded(pool) for scheme, pool in self._pool.pool_classes_by_scheme.items()
        }
        self._options: dict[str, Any] = {
            "redirect": False,
            "preload_content": False,
            "decode_content": False,  # what was signed is what lies there
            "timeout": urllib3.Timeout(_GAP_SECONDS),
            "retries": urllib3.Retry(
                _RETRIES,
                redirect=0,
                status_forcelist=_PASSING,
                backoff_factor=1,
                backoff_jitter=1,
                respect_retry_after_header=False,  # it may ask for hours
            ),
        }

    def read(self, name: str) -> Iterator[bytes]:
        url = f"{self._url}/{_within(name)}"
        try:
            response = self._pool.request("GET", url, **self._options)
            try:
                if response.status in _NOT_FOUND:
                    raise FileNotFoundError(f"{shown(url)}: HTTP status {response.status}")
                if response.status != _OK:
                    raise OSError(f"{shown(url)}: HTTP status {response.status}")
                # As it comes, so that whoever counts the time can end a trickle.
                while piece := response.read1(_AT_ONCE):
                    yield piece
            finally:
                response.close()
        except self._error as error:
            raise OSError(shown(f"{url}: {error}")) from error


def _bounded(pool: Any) -> Any:
    """A kind of pool of connections, on which no server sends headers for ever."""
    connection = type("Connection", (pool.ConnectionCls,), {"response_class": _Answer})
    return type("Pool", (pool,), {"ConnectionCls": connection})


class _Answer(http.client.HTTPResponse):
    """An answer whose headers come within a time. Its body is for whoever reads it to bound."""

    @override
    def begin(self) -> None:
        bounded = _Bounded(self.fp.detach(), time.monotonic() + _HEAD_SECONDS)
        self.fp = io.BufferedReader(bounded)
        super().begin()
        bounded.end = float("inf")


class _Bounded(io.RawIOBase):
    """What a server sends, up to a time: each piece waits for as long as its socket does."""

    def __init__(self, raw: io.RawIOBase, end: float) -> None:
        super().__init__()
        self._raw = raw
        self.end = end

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer, /) -> int | None:
        if time.monotonic() > self.end:
            raise OSError(f"its headers did not come within {_HEAD_SECONDS:.0f} s")
        return self._raw.readinto(buffer)

    @override
    def close(self) -> None:
        self._raw.close()
        super().close()


class _Store:
    """A folder in a store that fsspec knows: objects appear whole."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec  # noqa: PLC0415  # an extra
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"{shown(url)} needs fsspec: pip install 'initgate[sources]'"
            ) from error
        try:
            self._files, root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:  # no such store; its package is not installed
            raise ConfigError(shown(f"{url}: {error}")) from error
        self._root = root.rstrip("/")

    def read(self, name: str) -> Iterator[bytes]:
        with self._files.open(f"{self._root}/{_within(name)}", "rb") as file:
            while piece := file.read(_AT_ONCE):
                yield piece

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        path = f"{self._root}/{_within(name)}"
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        with self._files.transaction, self._files.open(path, "wb") as file:
            for piece in pieces:
                file.write(piece)

    def names(self, folder: str) -> list[str]:
        self._files.invalidate_cache()
        with suppress(FileNotFoundError):
            found = self._files.ls(f"{self._root}/{_within(folder)}", detail=False)
            return sorted(str(one).rstrip("/").rpartition("/")[2] for one in found)
        return []

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._files.rm_file(f"{self._root}/{_within(name)}")


def shown(text: str) -> str:
    """A URL, or a text with some, as it may be shown: without users and their passwords."""
    return re.sub(r"//[^/\s]*@", "//", text)


def _within(name: str) -> str:
    """A name that leads nowhere else."""
    if not re.fullmatch(r"[\w%@+.-]+(/[\w%@+.-]+)*", name) or ".." in PurePosixPath(name).parts:
        raise FileNotFoundError(f"{name!r}: no name of a file within the folder")
    return name
