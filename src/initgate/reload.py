"""Lists that change on disk reach a running gate, whole or not at all.

A thread looks every few seconds whether a list's file, or the changes beside it, are other ones. An
update that cannot be loaded, or with which the self-test fails, is logged and left out: the last
good lists go on being searched, and grow old. Snapshots are read to their ends before they replace
others; the first ones are while they serve already, and a damaged one stops the gate.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from initgate import store
from initgate.errors import ListRejected, SourceUnavailable
from initgate.gate import Gate, Shelf
from initgate.index import snapshot
from initgate.lists import Format
from initgate.model import Algorithm, HashList

Parts = list[HashList]
"""A list, and what was added to it."""


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
        is_damaged: Whether what was loaded must not be searched.
    """

    path: Path
    name: str
    file_format: Format
    algorithm: Algorithm
    allow_empty: bool = False
    fit: Callable[[Parts], Parts] = lambda parts: parts  # a field's default
    is_damaged: bool = False
    _made: HashList | None = None
    _stamps: tuple[store.Stamp | None, ...] = field(default=(None, None))

    def is_other(self) -> bool:
        """Whether its files are other ones than those last looked at."""
        return store.stamps(self.path) != self._stamps

    def load(self) -> list[HashList]:
        """The list, and what was added to it. A file that is still the same is not read again.

        Raises:
            ListRejected: The list or a change is malformed.
            SourceUnavailable: A file cannot be read.
        """
        stamps, before = store.stamps(self.path), self._stamps
        self._stamps = stamps  # also of what is rejected: it is looked at once
        try:
            more = store.read_changes(self.path)
            if self._made is None or self.is_damaged or stamps[0] != before[0]:
                self._made = self._open()
                self.is_damaged = False
        except SourceUnavailable:
            self._stamps = before
            raise
        return self.fit(store.changed(self._made, more, self.path, allow_empty=self.allow_empty))

    def _open(self) -> HashList:
        if self._made is not None:
            self.verify()
        return store.load_made(
            self.path, name=self.name, file_format=self.file_format, algorithm=self.algorithm
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
        log: A structlog logger.
    """

    def __init__(
        self,
        gate: Gate,
        sources: Sequence[Source],
        parts: Sequence[Parts],
        to_shelf: Callable[[Sequence[Parts]], Shelf],
        *,
        log: Any,
    ) -> None:
        self._gate = weakref.ref(gate)
        self._sources = sources
        self._parts = list(parts)
        self._to_shelf = to_shelf
        self._log = log
        self._told: dict[str, str] = {}
        self._every = 0.0

    def verify(self) -> None:
        """Reads the snapshots that serve already to their ends. A damaged one stops the gate."""
        for source in self._sources:
            try:
                source.verify()
            except (ListRejected, SourceUnavailable) as error:
                source.is_damaged = True
                if gate := self._gate():
                    gate.distrust(str(error))

    def look(self) -> bool:
        """Loads what has changed.

        Returns:
            Whether other lists are searched now.
        """
        parts, is_other = list(self._parts), False
        for number, source in enumerate(self._sources):
            if not source.is_other():
                continue
            try:
                parts[number] = source.load()
            except (ListRejected, SourceUnavailable) as error:
                self._tell(source.name, str(error))
            else:
                self._told.pop(source.name, None)
                is_other = True
        gate = self._gate()
        if gate is None or not is_other:
            return False
        self._parts = parts
        if any(one.is_damaged for one in self._sources):
            return False
        is_served = gate.serve(self._to_shelf(parts))
        if is_served:
            self._log.info("lists served", entries={p[0].name: sum(map(len, p)) for p in parts})
        else:
            self._tell("", "the self-test fails with the update: it is left out")
        return is_served

    def start(self, every: float) -> None:
        """Looks every so many seconds, in a thread of its own; also in processes forked later."""
        self._every = every
        _started.add(self)
        threading.Thread(target=self._run, name="initgate lists", daemon=True).start()

    def _run(self) -> None:
        self.verify()
        while self._gate() is not None:
            time.sleep(self._every)
            try:
                self.look()
            except Exception as error:  # noqa: BLE001  # the thread must live on; the lists grow old
                self._tell("", repr(error))

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
