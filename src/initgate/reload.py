"""Lists that change on disk reach a running gate, whole or not at all.

A thread looks every few seconds whether a list's file, or the changes beside it, are other ones. An
update that cannot be loaded, or with which the self-test fails, is logged and left out: the last
good lists go on being searched, and grow old. So is one of which many more entries look as if they
would refuse honest people, until an operator accepts it. Snapshots are read to their ends before
they replace others; the first ones are while they serve already, and a damaged one stops the gate.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from initgate import store
from initgate.errors import ListRejected, SourceUnavailable
from initgate.exceptions.file import Watched
from initgate.gate import Gate, Shelf
from initgate.index import snapshot
from initgate.lists import Format
from initgate.model import Algorithm, HashList
from initgate.store.versions import Versions
from initgate.trust import Anyone, Trust

Parts = list[HashList]
"""A list, and what was added to it."""

Stamps = tuple[store.Stamp | None, store.Stamp | None, store.Stamp | None]
"""Which files a list, the changes to it and what was accepted were."""


@dataclass(slots=True)
class Source:
    """A list's files, and what was last loaded from them.

    Args:
        path: The list's file.
        name: The operator's name for the list.
        file_format: How it is written.
        algorithm: What every entry must be.
        allow_empty: Whether no entry is fine.
        fit: Makes of what was loaded what is searched; may raise ``ListRejected``.
        share: Which share of what is searched is at fault, 0 to 1: :func:`initgate.lint.share`.
        max_lint_rise: By how much an update may raise that share.
        feed: Where versions of the list are kept, if a feed brings them.
        trust: What must have been shown for a version.
        warn_after: The age from which on there is a warning.
        is_damaged: Whether what was loaded must not be searched.
        problem: Why an earlier version than the feed's present one was loaded; empty if none was.
        settled: Which files were loaded and served, or rejected for good.
    """

    path: Path
    name: str
    file_format: Format
    algorithm: Algorithm
    allow_empty: bool = False
    fit: Callable[[Parts], Parts] = lambda parts: parts  # a field's default
    share: Callable[[Parts], float] = lambda _: 0.0
    max_lint_rise: float = 1.0
    feed: Versions | None = None
    trust: Trust = field(default_factory=Anyone)
    warn_after: timedelta | None = None
    is_damaged: bool = False
    problem: str = ""
    settled: Stamps = (None, None, None)
    _opened: tuple[HashList, store.Stamp | None] | None = None
    _rejected: tuple[store.Stamp | None, store.Stamp | None] | None = None
    _parts: Parts | None = None

    def load(self) -> tuple[Parts, Stamps]:
        """The list and what was added to it, and which files that was.

        A list's file that is still the same is not read again.

        Raises:
            ListRejected: The list or a change is malformed, or more entries are at fault.
            SourceUnavailable: A file cannot be read, or changed meanwhile.
        """
        while True:
            swapped = self.feed.stamp() if self.feed else None
            try:
                return self._load()
            except (ListRejected, SourceUnavailable):
                if self.feed is None or self.feed.stamp() == swapped:
                    raise
                # Another version is served by now, and the one that was opened may be removed.

    def _load(self) -> tuple[Parts, Stamps]:
        stamps = store.stamps(self.path)
        more = store.read_changes(self.path)
        made = self._made(stamps)
        if store.stamps(self.path) != stamps:  # a merge: these changes are not those of this list
            raise SourceUnavailable(f"{self.path} was changed while it was read")
        parts = self.fit(store.changed(made, more, self.path, allow_empty=self.allow_empty))
        parts = dated(parts, self._as_of(made))
        if self._opened is None or made is not self._opened[0]:
            self._check_rise(parts, made.digest, stamps)
            self._opened, self.is_damaged = (made, stamps[0]), False
        self._parts = parts
        return parts, stamps

    def _made(self, stamps: Stamps) -> HashList:
        """The list without changes: the one at hand, if its file is the same or was rejected."""
        stamp, _, accepted_as = stamps
        if self._opened is not None and not self.is_damaged and stamp is not None:
            made, opened_as = self._opened
            if stamp == opened_as or (stamp, accepted_as) == self._rejected:
                return made
        try:
            made = self._open()
        except ListRejected:
            # The last good one goes on, with changes to it.
            self._rejected = stamp, accepted_as
            raise
        if store.stamps(self.path)[0] != stamp:
            raise SourceUnavailable(f"{self.path} was replaced while it was read")
        return made

    def _open(self) -> HashList:
        path, key = self.path, None
        if self.feed is not None:
            path, key = self.feed.file(self._version(self.feed), self.algorithm), self.feed.key
        elif self._opened is not None:
            self.verify()
        return store.load_made(
            path, name=self.name, file_format=self.file_format, algorithm=self.algorithm, key=key
        )

    def _version(self, feed: Versions) -> str:
        """Which version of the feed to open, read to its end."""
        if self._opened is not None:
            about = feed.verify(feed.current(), only=self.algorithm)
        else:  # nothing is served yet, so that an earlier version is better than none
            found, damage = feed.whole(only=self.algorithm)
            if found is None:
                raise ListRejected(
                    f"{damage or 'there is no version yet'}; run: initgate lists fetch {feed.name}",
                    source=f"feed {feed.name!r}",
                )
            about = found
            self.problem = damage and (
                f"{damage}; version {about.digest[:12]}, which was served before, is searched "
                f"instead; run: initgate lists fetch {feed.name}"
            )
        if not self.trust.suffices(frozenset(about.evidence)):
            raise ListRejected(
                f"nobody whom its public_keys, sha256 or root ask for vouched for version "
                f"{about.digest[:12]}, which is served; run: initgate lists fetch {feed.name}",
                source=f"feed {feed.name!r}",
            )
        if self.algorithm not in about.entries:
            raise ListRejected(
                f"it has no list of {self.algorithm}; run: initgate lists fetch {feed.name}",
                source=f"feed {feed.name!r}",
            )
        return about.digest

    def _as_of(self, made: HashList) -> datetime | None:
        """When a version of the feed was last known to be all there is."""
        if self.feed is None:
            return made.as_of
        if made.digest == self.feed.current():
            return self.feed.state().succeeded_at
        # Not what is fetched at present: it grows old.
        return self._parts[0].as_of if self._parts else self.feed.about(made.digest).made_at

    def as_of(self) -> datetime | None:
        """When what was loaded was last known to be all there is.

        Raises:
            ListRejected: The feed's state is damaged.
            SourceUnavailable: It cannot be read.
        """
        if self._opened is None or self._parts is None:
            return None
        as_of = self._as_of(self._opened[0])
        self._parts = dated(self._parts, as_of)
        return as_of

    def _check_rise(self, parts: Parts, digest: str, stamps: Stamps) -> None:
        if self._parts is None or self.is_damaged:  # there is nothing to go on with
            return
        before, now = self.share(self._parts), self.share(parts)
        if now - before > self.max_lint_rise and store.accepted(self.path) != digest:
            self._rejected = stamps[0], stamps[2]
            raise ListRejected(
                f"{now:.1%} of its entries look as if they would refuse honest people, of the "
                f"version that is searched {before:.1%}, and max_lint_rise is "
                f"{self.max_lint_rise:.1%}; see initgate lists lint {self.name}. If all is as it "
                f"should be: initgate lists accept {self.name} {digest[:12]}",
                source=str(self.path),
            )

    def verify(self) -> None:
        """Reads a snapshot to its end.

        Raises:
            ListRejected: It is damaged.
            SourceUnavailable: It cannot be read.
        """
        if self.file_format is not Format.SNAPSHOT:
            return
        try:
            snapshot.verify(self.path)
        except OSError as error:
            raise SourceUnavailable(f"{self.path}: {error.strerror or error}") from error


def dated(parts: Parts, as_of: datetime | None) -> Parts:
    """A list and what was added to it, known to be current at a time."""
    return [replace(one, as_of=as_of) for one in parts]


class Reloader:
    """Keeps a gate's lists up to date, for as long as there is the gate.

    Args:
        gate: What searches the lists.
        sources: Of its lists.
        parts: What was loaded from each of them.
        to_shelf: Makes what a gate searches of all parts.
        clock: The present, in UTC.
        exceptions: The file of what was released from the lists.
        log: A structlog logger.
    """

    def __init__(
        self,
        gate: Gate,
        sources: Sequence[Source],
        parts: Sequence[Parts],
        to_shelf: Callable[[Sequence[Parts]], Shelf],
        *,
        clock: Callable[[], datetime],
        exceptions: Watched,
        log: Any,
    ) -> None:
        self._clock = clock
        self._gate = weakref.ref(gate)
        self._sources = sources
        self._parts = list(parts)
        self._to_shelf = to_shelf
        self._exceptions = exceptions
        self._log = log
        self._told: dict[str, str] = {}
        self._old: set[str] = set()
        self._unserved: set[int] = set()
        self._unverified = [one for one in sources if one.feed is None]
        self._every = 0.0
        for source in sources:
            if source.problem:
                self._tell(source.name, source.problem)

    def verify(self) -> None:
        """Reads the snapshots that serve already to their ends. A damaged one stops the gate.

        One that cannot be read is tried again, and keeps no other list from being looked at.
        """
        for source in list(self._unverified):
            try:
                source.verify()
            except ListRejected as error:
                source.is_damaged = True
                if gate := self._gate():
                    gate.distrust(str(error))
            except Exception as error:  # noqa: BLE001  # no finding: neither whole nor damaged
                self._tell(source.name, f"not verified: {error!r}")
                continue
            self._unverified.remove(source)

    def look(self) -> bool:
        """Loads what has changed.

        What is rejected is looked at once. What fails in any other way is tried again.

        Returns:
            Whether other lists are searched now.
        """
        before = self._swaps()
        loaded = dict(self._load())
        self._unserved |= loaded.keys()
        self._look_at_ages()
        if self._swaps() != before:  # else lists of one feed might be of two versions
            return False
        gate = self._gate()
        if gate is None or not loaded or any(one.is_damaged for one in self._sources):
            return False
        parts = [
            loaded[number][0] if number in loaded else one for number, one in enumerate(self._parts)
        ]
        if not gate.serve(self._to_shelf(parts)):
            self._tell("", "the self-test fails with the update: it is left out")
            return False
        self._parts = parts
        for number, (_, stamps) in loaded.items():
            self._sources[number].settled = stamps
        self._unserved -= loaded.keys()
        self._told.clear()
        self._log.info("lists served", entries={one[0].name: sum(map(len, one)) for one in parts})
        return True

    def _swaps(self) -> list[tuple[int, int] | None]:
        """Tells whether a feed was swapped meanwhile."""
        return [source.feed.stamp() for source in self._sources if source.feed is not None]

    def _look_at_ages(self) -> None:
        """Takes up that feeds were fetched, if with no news, and warns of lists that grow old."""
        for number, source in enumerate(self._sources):
            if number in self._unserved:  # its age is that of a version that is not searched
                continue
            try:
                as_of = source.as_of()
            except (ListRejected, SourceUnavailable) as error:
                self._tell(source.name, str(error))
                continue
            self._parts[number] = dated(self._parts[number], as_of)
            age = None if as_of is None else self._clock() - as_of
            is_old = source.warn_after is not None and (age is None or age > source.warn_after)
            if is_old and source.name not in self._old:
                self._log.warning("list old", list=source.name, as_of=as_of and as_of.isoformat())
            (self._old.add if is_old else self._old.discard)(source.name)
        if gate := self._gate():
            gate.date({one[0].name: one[0].as_of for one in self._parts})

    def _load(self) -> Iterator[tuple[int, tuple[Parts, Stamps]]]:
        for number, source in enumerate(self._sources):
            stamps = store.stamps(source.path)
            if stamps == source.settled:
                continue
            try:
                yield number, source.load()
            except ListRejected as error:
                self._tell(source.name, str(error))
                if stamps[1] != source.settled[1]:
                    # What was changed is urgent, and meant for the last good list as well.
                    try:
                        yield number, source.load()
                    except ListRejected as again:
                        self._tell(source.name, str(again))
                    except Exception as again:  # noqa: BLE001  # the same; it is tried again
                        self._tell(source.name, repr(again))
                        continue
                source.settled = stamps
            except Exception as error:  # noqa: BLE001  # one list must not keep the others old
                told = str(error) if isinstance(error, SourceUnavailable) else repr(error)
                self._tell(source.name, told)

    def look_at_exceptions(self) -> bool:
        """Takes up what was released from the lists, or is no more. The last good file counts.

        Returns:
            Whether there were news.
        """
        try:
            news = self._exceptions.news()
        except (ListRejected, SourceUnavailable) as error:
            self._tell("[exceptions]", str(error))
            return False
        gate = self._gate()
        if news is None or gate is None:
            return False
        gate.release(news)
        self._told.pop("[exceptions]", None)
        self._log.info("exceptions served", exceptions=len(news))
        return True

    def start(self, every: float) -> None:
        """Looks every so many seconds, in a thread of its own; also in processes forked later."""
        self._every = every
        _started.add(self)
        threading.Thread(target=self._run, name="initgate lists", daemon=True).start()

    def _run(self) -> None:
        while self._gate() is not None:
            try:
                self.verify()
                self.look_at_exceptions()
                self.look()
            except Exception as error:  # noqa: BLE001  # the thread must live on; the lists grow old
                self._tell("", repr(error))
            time.sleep(self._every)

    def _tell(self, name: str, what: str) -> None:
        """Logs a failure, once."""
        if self._told.get(name) != what:
            self._told[name] = what
            with suppress(Exception):
                self._log.error("list rejected", list=name, detail=what)


_started: weakref.WeakSet[Reloader] = weakref.WeakSet()


def _start_again() -> None:
    """A forked process has no threads but its own."""
    for one in list(_started):
        one.start(one._every)  # noqa: SLF001  # of the same module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_again)
