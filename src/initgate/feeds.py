"""How a feed becomes lists: fetched, vouched for, merged, held against its rails, served whole.

Each step leaves something on disk from which the next run goes on: a kill loses at most the batch
that was being fetched. What is suspicious is kept and waits; what is served stays, and grows old.
"""

from __future__ import annotations

import itertools
import shutil
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from initgate import sealed
from initgate.errors import InitgateError, ListRejected
from initgate.lists.feed import Record, Tally, tolerant
from initgate.lists.formats import Reader
from initgate.lists.merge import Contents, merge
from initgate.model import Algorithm, HashList
from initgate.sources import Batch, Checkpoint, Source
from initgate.store import durable
from initgate.store.versions import About, State, Versions
from initgate.trust import Trust, Vouched

Tell: TypeAlias = Callable[[str, int], None]
"""Is told what is being done, and how much of it is done."""

_OFTEN = 10_000  # records


@dataclass(frozen=True, slots=True)
class Rails:
    """What an update may not do by itself.

    Args:
        max_shrink: The share of its entries, or of one algorithm's, that a feed may lose: 0 to 1.
        allow_empty: Whether it may hold no entry.
        canary: A hash that it must hold.
    """

    max_shrink: float = 0.1
    allow_empty: bool = False
    canary: bytes | None = None

    def objections(self, before: Mapping[str, int], after: Contents) -> list[str]:
        """Why an update must wait.

        Args:
            before: How many entries were served last, by algorithm; none before the first version.
            after: The update.
        """
        found: list[str] = []
        if not len(after) and not self.allow_empty:
            found.append("it holds no entry")
        if self.canary is not None and not _holds(after, self.canary):
            found.append(f"its canary {self.canary.hex()} is missing")
        numbers = {
            f"{one} ": (old, len(after.lists.get(Algorithm(one), ())))
            for one, old in before.items()
        }
        for kind, (old, new) in {"": (sum(before.values()), len(after)), **numbers}.items():
            if old - new > self.max_shrink * old:
                found.append(
                    f"of {old} {kind}entries {new} are left, "
                    f"and max_shrink is {self.max_shrink:.0%}"
                )
                break  # the rest says the same
        return found


@dataclass(frozen=True, slots=True)
class Feed:
    """Where lists come from, and what must hold of them.

    Args:
        versions: Where they are kept.
        source: What brings batches.
        trust: Decides whether they may be taken.
        read: Reads them.
        told: What source and format are called.
        rule: Changes when all must be fetched, verified and read anew.
        rails: What an update may not do by itself.
        max_bad_records: How many records of a batch may be unreadable, and are left out.
        thresholds: What the lists made of it are asked with, in bits. There is a list of each of
            these algorithms, if only an empty one.
        keep: How many versions stay.
    """

    versions: Versions
    source: Source
    trust: Trust
    read: Reader
    told: tuple[str, str] = ("", "")
    rule: str = ""
    rails: Rails = field(default_factory=Rails)
    max_bad_records: int = 0
    thresholds: Mapping[Algorithm, int] = field(default_factory=dict)
    keep: int = 5


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of a fetch.

    Args:
        about: The version that it led to.
        is_new: Whether another version than before is served.
        waits: Why it is not served; empty if it is.
        mended: What was damaged, and is not served any more.
    """

    about: About
    is_new: bool = False
    waits: str = ""
    mended: str = ""


def fetch(feed: Feed, *, clock: Callable[[], datetime], tell: Tell = lambda *_: None) -> Fetched:
    """Brings a feed up to date.

    Args:
        feed: The feed.
        clock: The present, in UTC.
        tell: For progress bars.

    Raises:
        ListRejected: What came is malformed or nobody vouches for it. Nothing of it is kept.
        SourceUnavailable: The source cannot be reached, or the store not be written. Batches that
            came whole are kept for the next time.
        ConfigError: A credential or a package is missing.
    """
    versions = feed.versions
    with versions.locked():
        begun = clock()
        state = replace(versions.state(), polled_at=begun, error="")
        incoming = _Incoming(versions.folder / "incoming", versions.key)
        try:
            found, state = _update(feed, state, incoming, begun, tell)
            versions.save(state)
            incoming.clear()
            versions.prune(state, keep=feed.keep)
        except Exception as error:
            with suppress(OSError):  # where the disk is full, that cannot be written down either
                versions.save(replace(state, error=told(error)))
            raise
    return found


def note(versions: Versions, error: Exception, *, clock: Callable[[], datetime]) -> None:
    """Writes down why a fetch could not begin.

    Args:
        versions: Of the feed.
        error: What is wrong with its settings.
        clock: The present, in UTC.

    Raises:
        ListRejected: What happened before is damaged.
        SourceUnavailable: It cannot be written down.
    """
    with versions.locked():
        versions.save(replace(versions.state(), polled_at=clock(), error=told(error)))


def told(error: Exception) -> str:
    """An error as it may be shown: of one that nobody foresaw, only what and where."""
    if isinstance(error, InitgateError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    places = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(places[-1].filename).name}, line {places[-1].lineno}" if places else ""
    return f"an error that was not foreseen: {type(error).__name__}{where}; please report it"


def accept(versions: Versions, digest: str) -> About:
    """Serves the version that waits, if it is the one that was looked at.

    Args:
        versions: Of the feed.
        digest: Of the version.

    Raises:
        ListRejected: It does not wait, or it is damaged.
        SourceUnavailable: Something cannot be read or written.
    """
    with versions.locked():
        state = versions.state()
        if state.waiting != digest:
            now = f"{state.waiting[:12]} does" if state.waiting else "none does"
            raise ListRejected(
                f"version {digest[:12]} does not wait any more, {now}; look at it: initgate lists "
                f"diff {versions.name}",
                source=f"feed {versions.name!r}",
            )
        about = versions.verify(digest)
        versions.save(versions.serve(about.digest, _younger(state, about)))
    return about


def roll_back(versions: Versions, to: str = "") -> About:
    """Serves an earlier version, and pins it: the next fetch would bring the later one again.

    Args:
        versions: Of the feed.
        to: The first digits of its digest. Default: the one that was served before.

    Raises:
        ListRejected: There is none, or it is damaged.
        SourceUnavailable: Something cannot be read or written.
    """
    with versions.locked():
        state, current = versions.state(), versions.current()
        earlier = [one for one in state.served if one != current]
        if not to and not earlier:
            raise ListRejected("no version was served before", source=f"feed {versions.name!r}")
        about = versions.verify(versions.find(to) if to else earlier[0])
        # It was all there was until another one was made, and grows old from then on.
        later = [one for one in versions.made_at(state.served) if one > about.made_at]
        known = min(filter(None, (state.succeeded_at, *later)), default=None)
        state = replace(versions.serve(about.digest, state), succeeded_at=known)
        # The one that is left is no good one to fall back to.
        served = tuple(one for one in state.served if one in {about.digest, *earlier})
        versions.save(replace(state, served=served, pinned=about.digest))
    return about


def pin(versions: Versions, *, is_pinned: bool = True) -> None:
    """Goes on serving the present version whatever is fetched, or no longer.

    Raises:
        ListRejected: There is none.
        SourceUnavailable: It cannot be written down.
    """
    with versions.locked():
        current = versions.current()
        if not current:
            raise ListRejected("there is no version yet", source=f"feed {versions.name!r}")
        versions.save(replace(versions.state(), pinned=current if is_pinned else ""))


def _update(
    feed: Feed, state: State, incoming: _Incoming, begun: datetime, tell: Tell
) -> tuple[Fetched, State]:
    versions = feed.versions
    base, damaged = versions.whole()
    last = versions.last_known()
    checkpoint: Checkpoint = {}
    evidence = frozenset(base.evidence if base else ())
    is_same = state.rule == feed.rule and (base is None or feed.trust.suffices(evidence))
    if not is_same:
        incoming.clear()
    elif base is not None:
        is_later = state.checkpoint_of == base.digest
        checkpoint = state.checkpoint if is_later else base.checkpoint
    incoming.open(base.digest if base else "", checkpoint)
    for number, batch in enumerate(feed.source.fetch(incoming.checkpoint), start=1):
        incoming.add(batch)
        tell("batches", number)
    batches = incoming.batches()
    wanted = {one.value for one in feed.thresholds}
    has_all = base is not None and wanted <= base.entries.keys() and not damaged
    if base is not None and has_all and is_same and not batches:
        return Fetched(base), replace(state, succeeded_at=begun, waiting="", why="")

    # Nothing is kept of what was taken under another rule.
    before = versions.contents(base) if base and is_same else Contents()
    vouched = Vouched("", versions.vouched_at(state), evidence if is_same else frozenset())
    try:
        made = _merged(feed, before, vouched, batches, begun, tell)
    except ListRejected:  # what the source itself rejected leaves the batches before it as good
        incoming.clear()
        raise
    about = About(
        digest="",
        made_at=begun,
        rejected=made.rejected,
        repeated=made.repeated,
        source=feed.told[0],
        file_format=feed.told[1],
        signer=made.vouched.by or (base.signer if base and is_same else ""),
        vouched_at=made.vouched.at,
        evidence=tuple(sorted(made.vouched.evidence)),
        checkpoint=dict(incoming.checkpoint),
    )
    tell("writing", 0)
    about = versions.write(made.contents, about, feed.thresholds)
    is_new = about.digest != versions.current()
    if is_new:
        reasons = ["the feed is pinned"] if state.pinned else []
        if waits := "; ".join([*reasons, *feed.rails.objections(last, made.contents)]):
            state = replace(state, waiting=about.digest, why=waits)
            return Fetched(about, waits=waits, mended=damaged), state
        state = versions.serve(about.digest, state)
    state = replace(
        state,
        succeeded_at=begun,
        waiting="",
        why="",
        checkpoint=dict(incoming.checkpoint),
        checkpoint_of=about.digest,
        rule=feed.rule,
        vouched_at=made.vouched.at or state.vouched_at,
    )
    return Fetched(about, is_new=is_new, mended=damaged), state


@dataclass(frozen=True, slots=True)
class _Merged:
    """What batches made of a feed."""

    contents: Contents
    rejected: int
    repeated: int
    vouched: Vouched


def _merged(  # noqa: PLR0917  # one caller
    feed: Feed,
    contents: Contents,
    vouched: Vouched,
    batches: Sequence[_Spooled],
    begun: datetime,
    tell: Tell,
) -> _Merged:
    tally, repeated = Tally(), 0
    for batch in batches:
        with ExitStack() as stack:
            files = [stack.enter_context(page.open("rb")) for page in batch.pages]
            pages = [
                stack.enter_context(sealed.opened(file, feed.versions.key, source=str(page)))
                for file, page in zip(files, batch.pages, strict=True)
            ]
            found = feed.trust.verify(
                pages, batch.signature, source=batch.name, newest=vouched.at, now=begun
            )
            # What somebody else vouched for is in what a batch only changes.
            known = found.evidence if batch.is_whole else found.evidence & vouched.evidence
            vouched = replace(found, evidence=known)
            records = tally.following(_read(feed, batch, pages, tell))
            held = tolerant(records, at_most=feed.max_bad_records)
            contents, more = merge(contents, held, is_whole=batch.is_whole)
            repeated += more
    return _Merged(_with_empty(contents, feed.thresholds), tally.rejected, repeated, vouched)


def _read(feed: Feed, batch: _Spooled, pages: Sequence[BinaryIO], tell: Tell) -> Iterator[Record]:
    numbers = itertools.count(1)
    for number, page in enumerate(pages, start=1):
        name = batch.name if len(pages) == 1 else f"{batch.name}, page {number}"
        for record in feed.read(page, source=name):
            if (read := next(numbers)) % _OFTEN == 0:
                tell("records", read)
            yield record


def _with_empty(contents: Contents, algorithms: Mapping[Algorithm, int]) -> Contents:
    """The same, and an empty list of each algorithm that is wanted and that it has nothing of."""
    none = {one: HashList.of((), name="", algorithm=one) for one in algorithms}
    return replace(contents, lists={**none, **contents.lists})


def _holds(contents: Contents, code: bytes) -> bool:
    return any(
        bool((one.codes == list(code)).all(axis=1).any())
        for one in contents.lists.values()
        if one.codes.shape[1] == len(code)
    )


def _younger(state: State, about: About) -> State:
    """The state once a version is served that waited: it was all there was when it was made."""

    def later(one: datetime | None, other: datetime | None) -> datetime | None:
        return max(filter(None, (one, other)), default=None)

    return replace(
        state,
        succeeded_at=later(state.succeeded_at, about.made_at),
        vouched_at=later(state.vouched_at, about.vouched_at),
    )


@dataclass(frozen=True, slots=True)
class _Spooled:
    """A batch on disk."""

    name: str
    pages: tuple[Path, ...]
    checkpoint: Checkpoint
    is_whole: bool
    signature: bytes | None


class _Incoming:
    """Batches that came whole and are in no version yet.

    Args:
        folder: Where they are kept.
        key: What their pages are sealed with; None if they are not.
    """

    def __init__(self, folder: Path, key: bytes | None) -> None:
        self._folder = folder
        self._key = key
        self.checkpoint: Checkpoint = {}
        self._base = ""

    def open(self, base: str, checkpoint: Checkpoint) -> None:
        """Goes on after those that are there, unless they change another version.

        Args:
            base: The digest of the version that is to be changed.
            checkpoint: Where its source goes on.
        """
        self.checkpoint, self._base = checkpoint, base
        try:
            is_other = any(self._told(one)["base"] != base for one in self._places())
        except (ListRejected, OSError):  # it is fetched again
            is_other = True
        if is_other:
            self.clear()
        for one in self.batches():
            self.checkpoint = one.checkpoint

    def add(self, batch: Batch) -> None:
        """Keeps a batch; it is on disk when this returns."""
        self._folder.mkdir(durable.FOLDER_MODE, exist_ok=True)
        place = self._folder / f"{len(self._places()):06}"
        partial = self._folder / f".{place.name}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(durable.FOLDER_MODE)
        for number, page in enumerate(batch.pages):
            with (partial / f"page-{number:06}").open("wb") as file:
                sealed.write(page, file, self._key)
                durable.sync(file)
        told = {
            "base": self._base,
            "name": batch.name,
            "checkpoint": dict(batch.checkpoint),
            "is_whole": batch.is_whole,
            "signature": None if batch.signature is None else batch.signature.hex(),
        }
        durable.write(partial / "batch.json", durable.sealed(told))
        durable.sync_folder(partial)
        partial.rename(place)
        durable.sync_folder(self._folder)
        self.checkpoint = batch.checkpoint

    def batches(self) -> list[_Spooled]:
        """All, in the order in which they came."""
        found = []
        for place in self._places():
            told = self._told(place)
            signature = told["signature"]
            found.append(
                _Spooled(
                    told["name"],
                    tuple(sorted(place.glob("page-*"))),
                    told["checkpoint"],
                    told["is_whole"],
                    None if signature is None else bytes.fromhex(signature),
                )
            )
        return found

    def clear(self) -> None:
        """Removes all, first out of sight: a batch that is half removed must not pass for one."""
        gone = self._folder.with_name(f".{self._folder.name}.old")
        shutil.rmtree(gone, ignore_errors=True)
        if self._folder.exists():
            self._folder.rename(gone)
            shutil.rmtree(gone)

    def _places(self) -> list[Path]:
        return sorted(self._folder.glob("[0-9]*"))

    @staticmethod
    def _told(place: Path) -> dict[str, Any]:
        path = place / "batch.json"
        return durable.unsealed(path.read_bytes(), source=path)
