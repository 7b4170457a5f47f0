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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from initgate import store
from initgate.errors import ListRejected, SourceUnavailable
from initgate.exceptions.file import Watched
from initgate.gate import Gate, Shelf
from initgate.index import snapshot
from initgate.lists import Format
from initgate.model import Algorithm, HashList

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
        is_damaged: Whether what was loaded must not be searched.
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
    is_damaged: bool = False
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
        stamps = store.stamps(self.path)
        more = store.read_changes(self.path)
        made = self._made(stamps)
        if store.stamps(self.path) != stamps:  # a merge: these changes are not those of this list
            raise SourceUnavailable(f"{self.path} was changed while it was read")
        parts = self.fit(store.changed(made, more, self.path, allow_empty=self.allow_empty))
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
            if self._opened is not None:
                self.verify()
            made = store.load_made(
                self.path, name=self.name, file_format=self.file_format, algorithm=self.algorithm
            )
        except ListRejected:
            # The last good one goes on, with changes to it.
            self._rejected = stamp, accepted_as
            raise
        if store.stamps(self.path)[0] != stamp:
            raise SourceUnavailable(f"{self.path} was replaced while it was read")
        return made

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
                f"should be: initgate lists accept {self.name}",
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


class Reloader:
    """Keeps a gate's lists up to date, for as long as there is the gate.

    Args:
        gate: What searches the lists.
        sources: Of its lists.
        parts: What was loaded from each of them.
        to_shelf: Makes what a gate searches of all parts.
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
        exceptions: Watched,
        log: Any,
    ) -> None:
        self._gate = weakref.ref(gate)
        self._sources = sources
        self._parts = list(parts)
        self._to_shelf = to_shelf
        self._exceptions = exceptions
        self._log = log
        self._told: dict[str, str] = {}
        self._unverified = list(sources)
        self._every = 0.0

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
        loaded = dict(self._load())
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
        self._told.clear()
        self._log.info("lists served", entries={one[0].name: sum(map(len, one)) for one in parts})
        return True

    def _load(self) -> Iterator[tuple[int, tuple[Parts, Stamps]]]:
        for number, source in enumerate(self._sources):
            stamps = store.stamps(source.path)
            if stamps == source.settled:
                continue
            try:
                yield number, source.load()
            except ListRejected as error:
                source.settled = stamps
                self._tell(source.name, str(error))
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
