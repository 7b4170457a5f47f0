"""The versions of a feed on disk. A kill at any instant leaves the old one or the new one.

::

    FEED/versions/DIGEST/  never changed: pdq.igx, md5.igx, …, unmatched.npy, skipped.npy,
                           version.json
    FEED/current           a link to the version that is served, replaced in one step
    FEED/pdq.igx, …        links through it: how lists are opened, and what changes lie beside
    FEED/state.json        what happened last, what waits, what is pinned
    FEED/incoming/         what was fetched and is not yet in a version

A version is named after its content, and read to its end before it is served. One that is damaged
never is: the last one that was served and is whole takes its place.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from filelock import FileLock, Timeout

from initgate import sealed
from initgate.errors import ListRejected, SourceUnavailable
from initgate.index import snapshot
from initgate.lists.merge import Contents, Counted
from initgate.model import Algorithm
from initgate.store import durable

_PARTIAL = "."  # how the name of what is not whole begins
_LOCK_SECONDS = 10.0

_T = TypeVar("_T", "About", "State")


@dataclass(frozen=True, slots=True)
class About:
    """What a version says about itself.

    Args:
        digest: Its name: SHA-256 (hex) of what it holds.
        made_at: When.
        entries: How many, by algorithm.
        unmatched: Identifiers with hashes that nothing here can match, by kind.
        skipped: Identifiers of what was left out, by reason.
        rejected: Records that could not be read, and were left out of the batch that made it.
        repeated: Entries that stood there twice.
        source: Where it came from.
        file_format: How that was written.
        signer: Who vouches for it.
        vouched_at: When they did, as they say.
        evidence: What they showed: :attr:`initgate.trust.Vouched.evidence`.
        checkpoint: Where its source goes on.
        files: SHA-256 (hex) of each, by name.
    """

    digest: str
    made_at: datetime
    entries: Mapping[str, int] = field(default_factory=dict)
    unmatched: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    rejected: int = 0
    repeated: int = 0
    source: str = ""
    file_format: str = ""
    signer: str = ""
    vouched_at: datetime | None = None
    evidence: tuple[str, ...] = ()
    checkpoint: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """What happened to a feed.

    Args:
        succeeded_at: When what is served was last known to be all there is; None for never.
        polled_at: When its source was last asked, or tried to be.
        error: Why the last fetch failed; empty if it did not.
        waiting: The version that was fetched and is not served; empty for none.
        why: Why it waits.
        pinned: The version that is served until it is unpinned; empty for none.
        served: Versions that were served, the newest first.
        checkpoint: Where the source goes on from the version …
        checkpoint_of: … of this digest. For another version, what that says itself holds.
        vouched_at: The latest time at which somebody vouched for what was served.
        rule: By which what is served was fetched, verified and read.
    """

    succeeded_at: datetime | None = None
    polled_at: datetime | None = None
    error: str = ""
    waiting: str = ""
    why: str = ""
    pinned: str = ""
    served: tuple[str, ...] = ()
    checkpoint: Mapping[str, Any] = field(default_factory=dict)
    checkpoint_of: str = ""
    vouched_at: datetime | None = None
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of one feed.

    Args:
        folder: Where they are kept.
        key: What their lists are sealed with (:mod:`initgate.sealed`). None: they are not, or
            nobody opens them.
    """

    folder: Path
    key: bytes | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The feed's."""
        return self.folder.name

    def path(self, algorithm: Algorithm) -> Path:
        """The file of a list, whichever version is served."""
        return self.folder / _file(algorithm)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One writer at a time; readers need no lock.

        Raises:
            SourceUnavailable: Another one is at it, or something cannot be read or written.
        """
        try:
            for one in (self.folder.parent, self.folder, self._versions):
                one.mkdir(durable.FOLDER_MODE, parents=True, exist_ok=True)
            with FileLock(self.folder / ".lock", timeout=_LOCK_SECONDS, mode=durable.FILE_MODE):
                for left in self._versions.glob(f"{_PARTIAL}*"):  # by what was killed
                    shutil.rmtree(left)
                yield
        except Timeout as error:
            raise SourceUnavailable(
                f"feed {self.name!r} is being changed by another process"
            ) from error
        except SourceUnavailable:  # which is an OSError
            raise
        except OSError as error:
            where = error.filename or self.folder
            raise SourceUnavailable(f"{where}: {error.strerror or error}") from error

    # ── What is there ─────────────────────────────────────────────────────────────────────────

    def current(self) -> str:
        """The digest of the version that the link points to; empty if there is none."""
        try:
            return self._current.readlink().name
        except FileNotFoundError:
            return ""

    def stamp(self) -> tuple[int, int] | None:
        """Tells whether another version was served meanwhile, if only for a moment."""
        try:
            link = self._current.lstat()
        except OSError:
            return None
        return link.st_ino, link.st_ctime_ns

    def digests(self) -> list[str]:
        """All versions."""
        if not self._versions.is_dir():
            return []
        return [one.name for one in self._versions.iterdir() if one.name[0] != _PARTIAL]

    def find(self, prefix: str) -> str:
        """The digest of a version of which the first digits are given.

        Raises:
            ListRejected: There is none, or several.
        """
        found = [one for one in self.digests() if one.startswith(prefix)]
        if len(found) != 1:
            kept = ", ".join(one[:12] for one in self.digests())
            raise ListRejected(
                f"{'several versions' if found else 'no version'} {prefix!r}; there are: {kept}",
                source=f"feed {self.name!r}",
            )
        return found[0]

    def about(self, digest: str) -> About:
        """What a version says about itself.

        Raises:
            ListRejected: It is damaged.
            SourceUnavailable: It cannot be read.
        """
        path = self._versions / digest / "version.json"
        made = _from_json(About, durable.unsealed(_read(path), source=path))
        if made.digest != digest:
            raise ListRejected("it is of another version", source=str(path))
        return made

    def verify(self, digest: str, *, only: Algorithm | None = None) -> About:
        """Reads a version to its end, or the list of one algorithm.

        Raises:
            ListRejected: A file is damaged; it is named.
            SourceUnavailable: One cannot be read.
        """
        try:
            about = self.about(digest)
        except SourceUnavailable as error:
            raise ListRejected(str(error)) from error
        for name, told in about.files.items():
            path = self._versions / digest / name
            if only is not None and name != _file(only):
                continue
            try:
                with path.open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise ListRejected(error.strerror or str(error), source=str(path)) from error
            if found != told:
                raise ListRejected("it is not what was written", source=str(path))
            if self.key is not None and not sealed.is_sealed(path):  # made before there was a key
                raise ListRejected("not encrypted, though [store] has a key", source=str(path))
        return about

    def whole(self, *, only: Algorithm | None = None) -> tuple[About | None, str]:
        """The version to serve, read to its end, and what is wrong with later ones.

        Args:
            only: Read the list of this algorithm alone.
        """
        problems: list[str] = []
        for digest in dict.fromkeys([self.current(), *self._served()]):
            if not digest:
                continue
            try:
                return self.verify(digest, only=only), "; ".join(problems)
            except ListRejected as error:
                problems.append(str(error))
        return None, "; ".join(problems)

    def last_known(self) -> Mapping[str, int]:
        """How many entries were served last, by algorithm, as far as that can be read.

        What an update loses is told by numbers, which may be there when the lists are damaged or
        sealed with another key.
        """
        for about in self._abouts([self.current(), *self._served()]):
            return about.entries
        return {}

    def vouched_at(self, state: State) -> datetime | None:
        """The latest time at which somebody vouched for what was served.

        The versions tell it as well: each is swapped in with its own, while the state may be lost,
        or be written too late.
        """
        current = self.current()
        served = [one for one in self.digests() if one == current or one != state.waiting]
        told = [state.vouched_at, *(about.vouched_at for about in self._abouts(served))]
        return max(filter(None, told), default=None)

    def made_at(self, digests: Iterable[str]) -> list[datetime]:
        """When versions were made, as far as that can be read."""
        return [about.made_at for about in self._abouts(digests)]

    def _abouts(self, digests: Iterable[str]) -> Iterator[About]:
        for digest in filter(None, digests):
            with suppress(ListRejected, SourceUnavailable):
                yield self.about(digest)

    def file(self, digest: str, algorithm: Algorithm) -> Path:
        """The file of a list in a version."""
        return self._versions / digest / _file(algorithm)

    def contents(self, about: About) -> Contents:
        """What a version holds.

        Raises:
            ListRejected: It is damaged.
        """
        lists = {
            Algorithm(one): snapshot.open_snapshot(
                self.file(about.digest, Algorithm(one)), name="", key=self.key
            )
            for one in about.entries
        }
        counted = {
            name: Counted(tuple(kinds), self._load(about.digest, f"{name}.npy"))
            for name, kinds in (("unmatched", about.unmatched), ("skipped", about.skipped))
        }
        return Contents(lists, **counted)

    def state(self) -> State:
        """What happened last.

        Raises:
            ListRejected: The file is damaged.
            SourceUnavailable: It cannot be read.
        """
        path = self.folder / "state.json"
        if not path.exists():
            return State()
        try:
            return _from_json(State, durable.unsealed(_read(path), source=path))
        except ListRejected as error:
            raise ListRejected(
                f"{error.reason}; remove it, and fetch: what is pinned and what waits is forgotten",
                source=str(path),
            ) from error

    # ── What changes it; under the lock ───────────────────────────────────────────────────────

    def write(self, contents: Contents, about: About, thresholds: Mapping[Algorithm, int]) -> About:
        """Makes a version, unless it is there already. It is not served yet.

        Args:
            contents: What it holds.
            about: What to say about it, but for digests and numbers.
            thresholds: What lists will mostly be asked with, in bits.

        Raises:
            OSError: It cannot be written.
        """
        digest = contents.digest()
        place, partial = self._versions / digest, self._versions / f"{_PARTIAL}{digest}"
        if place.exists():
            try:
                known = self.verify(digest)
            except ListRejected:
                pass  # it is made anew
            else:
                # The same content, for which somebody else may vouch by now.
                known = replace(
                    known,
                    signer=about.signer,
                    vouched_at=about.vouched_at,
                    evidence=about.evidence,
                    rejected=about.rejected,
                    repeated=about.repeated,
                )
                durable.replace(
                    place / "version.json", durable.sealed(_to_json(known)), mode=durable.FILE_MODE
                )
                return known
        partial.mkdir(durable.FOLDER_MODE)
        for algorithm, one in contents.lists.items():
            path = partial / _file(algorithm)
            snapshot.write(
                replace(one, digest=digest),
                path,
                threshold=thresholds.get(algorithm),
                key=self.key,
            )
        for name, counted in (("unmatched", contents.unmatched), ("skipped", contents.skipped)):
            with (partial / f"{name}.npy").open("wb") as file:
                sealed.write(io.BytesIO(_saved(counted)), file, self.key)
                durable.sync(file)
        files = {}
        for path in sorted(partial.iterdir()):
            path.chmod(durable.FILE_MODE)
            with path.open("rb") as file:
                files[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
        about = replace(
            about,
            digest=digest,
            entries={algorithm.value: len(one) for algorithm, one in contents.lists.items()},
            unmatched=contents.unmatched.counts(),
            skipped=contents.skipped.counts(),
            files=files,
        )
        durable.replace(
            partial / "version.json", durable.sealed(_to_json(about)), mode=durable.FILE_MODE
        )
        if place.exists():
            place.rename(self._versions / f"{_PARTIAL}damaged")
        partial.rename(place)
        durable.sync_folder(self._versions)
        return about

    def serve(self, digest: str, state: State) -> State:
        """Points the link to a version.

        Returns:
            What to save then.
        """
        for algorithm in self.about(digest).entries:
            link = self.path(Algorithm(algorithm))
            if not link.is_symlink():
                _link(link, Path("current", link.name))
        before = self.current()
        _link(self._current, Path("versions", digest))
        durable.sync_folder(self.folder)
        served = tuple(dict.fromkeys(one for one in (digest, before, *state.served) if one))
        return replace(
            state, served=served, waiting="", why="", pinned=digest if state.pinned else ""
        )

    def save(self, state: State) -> None:
        """Writes down what happened."""
        kept = tuple(one for one in state.served if (self._versions / one).is_dir())
        content = durable.sealed(_to_json(replace(state, served=kept)))
        durable.replace(self.folder / "state.json", content, mode=durable.FILE_MODE)

    def prune(self, state: State, *, keep: int) -> None:
        """Removes old versions.

        Args:
            state: What happened; what is served, waits or is pinned stays.
            keep: How many of those that were served stay.
        """
        kept = {self.current(), state.waiting, state.pinned, *state.served[:keep]}
        for digest in self.digests():
            if digest not in kept:
                # First out of sight: what is half removed must not pass for a version.
                gone = self._versions / f"{_PARTIAL}{digest}.old"
                (self._versions / digest).rename(gone)
                shutil.rmtree(gone)

    @property
    def _versions(self) -> Path:
        return self.folder / "versions"

    @property
    def _current(self) -> Path:
        return self.folder / "current"

    def _load(self, digest: str, name: str) -> Any:
        path = self._versions / digest / name
        try:
            with path.open("rb") as file:
                return np.load(sealed.opened(file, self.key, source=str(path)), allow_pickle=False)
        except (EOFError, OSError, ValueError) as error:
            raise ListRejected(f"it is not what was written: {error}", source=str(path)) from error

    def _served(self) -> tuple[str, ...]:
        try:
            return self.state().served
        except (ListRejected, SourceUnavailable):
            return ()  # nobody knows what was served


def _file(algorithm: Algorithm) -> str:
    return f"{algorithm}.igx"


def _link(place: Path, target: Path) -> None:
    """Makes or replaces a link in one step."""
    partial = place.with_name(f"{_PARTIAL}{place.name}.partial")
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    partial.replace(place)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceUnavailable(f"{path}: {error.strerror or error}") from error


def _saved(counted: Counted) -> bytes:
    file = io.BytesIO()
    np.save(file, counted.pairs, allow_pickle=False)
    return file.getvalue()


def _to_json(made: About | State) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(json.dumps(asdict(made), default=datetime.isoformat))
    return told


def _from_json(kind: type[_T], content: dict[str, Any]) -> _T:
    known = {one.name for one in fields(kind)}
    told = {name: value for name, value in content.items() if name in known}
    for name, value in told.items():
        if name.endswith("_at") and value is not None:
            told[name] = datetime.fromisoformat(value)
        elif isinstance(value, list):
            told[name] = tuple(value)
    return kind(**told)
