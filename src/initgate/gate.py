"""The decision. :meth:`Gate.inspect` is the whole of it, in numbered steps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from initgate.audit import Journal
from initgate.canary import Canary
from initgate.errors import AuditUnavailable, ImageUnreadable
from initgate.exceptions import NONE, Exceptions
from initgate.hashing import hash_bytes, hash_views
from initgate.image import Limits, decode, file_bytes
from initgate.index import Found, Index
from initgate.model import (
    Algorithm,
    Allowed,
    Context,
    Decision,
    Family,
    Hash,
    Match,
    Picture,
    Reason,
    Refused,
    Verdict,
)
from initgate.policy import Policy
from initgate.views import STANDARD, views

_NOWHERE = Context()
_DOCTOR = "run: initgate doctor"
_NEVER = -(1 << 16)  # bits added to a threshold, so that nothing is within it


@dataclass(frozen=True, slots=True)
class Shelf:
    """The lists that a gate searches, as they were at one time.

    Args:
        index: The lists of the policy and those of the canary.
        ages: Per list, when it was last known to be current.
        digests: Per list, which version it is. For the record.
        entries: Per list, how many it has. For the operator.
    """

    index: Index
    ages: Mapping[str, datetime | None]
    digests: Mapping[str, str]
    entries: Mapping[str, int] = field(default_factory=dict)


class Gate:
    """Refuses images that a list of known material holds, and whatever it could not look at.

    Safe to call from several threads. Make one with :func:`initgate.load_gate`.

    Args:
        shelf: The lists.
        policy: What a finding means.
        canary: What the self-test looks up.
        journal: Where decisions are recorded.
        limits: What an input may cost.
        clock: The present, in UTC.
        stopwatch: Seconds of a monotonic clock.
        new_id: A fresh decision id.
        log: A structlog logger.
        reduce_jpegs: Look at JPEG files as small as PDQ stands it. No effect with other perceptual
            algorithms, which do not stand it.
        families: The views to look for beside whole pictures.
        exceptions: What an operator released from the lists.
    """

    def __init__(
        self,
        *,
        shelf: Shelf,
        policy: Policy,
        canary: Canary,
        journal: Journal,
        limits: Limits,
        clock: Callable[[], datetime],
        stopwatch: Callable[[], float],
        new_id: Callable[[], str],
        log: Any,
        reduce_jpegs: bool = False,
        families: Collection[Family] = STANDARD,
        exceptions: Exceptions = NONE,
    ) -> None:
        self.limits = limits
        self.policy = policy
        self.journal = journal
        self._shelf = shelf
        self._canary = canary
        self._clock = clock
        self._stopwatch = stopwatch
        self._new_id = new_id
        self._log = log
        self._reduce_jpegs = reduce_jpegs
        self._families = families
        self._exceptions = exceptions
        self._doubt = "" if self.prove() else _DOCTOR

    @property
    def shelf(self) -> Shelf:
        """The lists that are searched at present."""
        return self._shelf

    def serve(self, shelf: Shelf) -> bool:
        """Searches other lists from now on, if the self-test finds its canary with them.

        Args:
            shelf: They take the place of the present ones at once; an image that is being looked
                at is still compared with those.

        Returns:
            Whether they were taken.
        """
        if not self._finds_canary(shelf):
            return False
        self._shelf = shelf
        self._doubt = ""
        return True

    def date(self, ages: Mapping[str, datetime | None]) -> None:
        """Takes up when lists were last known to be current. What is searched stays the same.

        Args:
            ages: Per list.
        """
        if ages != self._shelf.ages:
            self._shelf = replace(self._shelf, ages=ages)

    def release(self, exceptions: Exceptions) -> None:
        """Takes up other exceptions in place of the present ones.

        Args:
            exceptions: What an operator released from the lists.
        """
        self._exceptions = exceptions

    def distrust(self, why: str) -> None:
        """Refuses everything from now on, until other lists are served.

        Args:
            why: For the operator.
        """
        self._say("error", "distrusted", detail=why)
        self._doubt = why

    def check(self, image: object, *, context: Context = _NOWHERE) -> Verdict:
        """Decides about one image. The answer tells a caller nothing but the decision's id.

        Args:
            image: ``bytes`` of an image file, a ``PIL.Image.Image`` or a numpy array, as
                :func:`initgate.image.decode` takes them.
            context: Where it came from, for the record.

        Returns:
            Allowed or Refused. No exception comes out of the gate: a fault is a refusal.
        """
        return self.inspect(image, context=context).verdict

    def check_encoded(self, what: str, *, context: Context = _NOWHERE) -> Verdict:
        """Decides about an input without pixels: latents, embeddings.

        Args:
            what: The operator's description, e.g. ``"image: tensor with 4 channels"``.
            context: Where it came from, for the record.
        """
        started, shelf = self._stopwatch(), self._shelf
        decision = self._unfit(shelf, started) or self._decide(
            Reason.ENCODED_INPUT, started, detail=what
        )
        return self._record(decision, context, shelf).verdict

    def refuse(self, why: str, *, context: Context = _NOWHERE) -> Refused:
        """Records that a host refuses what it could not show to the gate.

        No setting turns this into a pass.

        Args:
            why: For the operator: what it was, without anything of its content.
            context: Where it came from, for the record.
        """
        refused = Refused(self._new_id())
        decision = Decision(refused, Reason.UNREADABLE, detail=why)
        self._record(decision, context, self._shelf)
        return refused

    def inspect(self, image: object, *, context: Context = _NOWHERE) -> Decision:
        """Decides about one image and gives the grounds, for the operator's eyes alone.

        Args:
            image: As for :meth:`check`.
            context: Where it came from, for the record.
        """
        started, shelf = self._stopwatch(), self._shelf
        try:
            decision = self._unfit(shelf, started) or self._look(image, shelf, started)
        except Exception as error:  # noqa: BLE001  # the one broad net: whatever failed, it refuses
            self._say("error", "fault", exc_info=error)
            decision = self._decide(Reason.FAULT, started, detail=type(error).__name__)
        # (6) record, (7) answer
        return self._record(decision, context, shelf)

    def doubts(self) -> tuple[Reason, str] | None:
        """Why everything is refused at present, and what the operator should know of it.

        Returns:
            None if the gate is in a state to decide.
        """
        return self._doubts(self._shelf)

    def _doubts(self, shelf: Shelf) -> tuple[Reason, str] | None:
        if self._doubt:
            return Reason.CANARY, self._doubt
        if expired := self.policy.expired(shelf.ages, self._clock()):
            return Reason.LIST_EXPIRED, f"past max_age: {', '.join(expired)}"
        return None

    def _unfit(self, shelf: Shelf, started: float) -> Decision | None:
        """The refusal of everything, if the gate itself is in no state to decide."""
        if (doubts := self._doubts(shelf)) is None:
            return None
        reason, detail = doubts
        return self._decide(reason, started, detail=detail)

    def _look(self, image: object, shelf: Shelf, started: float) -> Decision:
        algorithms = shelf.index.algorithms
        # A digest needs no pixels: a listed file is refused though none can be had of it.
        data = file_bytes(image)
        hashes = _hash_file(data, algorithms)
        try:
            # (1) decode
            picture = self._decode(image if data is None else data, algorithms)
        except ImageUnreadable as error:
            return self._judge_unread(hashes, data, shelf, str(error), started)
        # (2) views, (3) hash
        hashes += hash_views(views(picture, self._families), algorithms)
        # (4) search: once, also if a digest is listed, so that no list answers before another
        found = self._search(hashes, data, shelf)
        # (5) decide
        reason = self.policy.judge(found.matches) if found.searched else Reason.NO_LIST
        return self._decide(reason, started, matches=found.matches)

    def _decode(self, image: object, algorithms: Collection[Algorithm]) -> Picture:
        return decode(
            image,
            limits=self.limits,
            reduce_jpegs=self._reduce_jpegs and _perceptual(algorithms) == [Algorithm.PDQ],
        )

    def _judge_unread(
        self, digests: list[Hash], data: bytes | None, shelf: Shelf, why: str, started: float
    ) -> Decision:
        found = self._search(digests, data, shelf)
        is_listed = self.policy.judge(found.matches) is Reason.MATCH
        reason = Reason.MATCH if is_listed else Reason.UNREADABLE
        return self._decide(reason, started, matches=found.matches, detail=why)

    def _search(self, hashes: list[Hash], data: bytes | None, shelf: Shelf) -> Found:
        thresholds, offsets = self.policy.thresholds, self.policy.offsets(hashes)
        found = shelf.index.search(hashes, thresholds=thresholds, offsets=offsets)
        if not found.matches:
            return found
        released = self._exceptions.names(hashes, data, lists=thresholds, now=self._clock())
        if not released:
            return found
        # An entry was told at its nearest view alone. Behind one that is released, another view may
        # hide that is not: search again without those that are.
        barred = {
            name: [_NEVER if by else bits for by, bits in zip(each, offsets[name], strict=True)]
            if name in offsets
            else [_NEVER if by else 0 for by in each]
            for name, each in released.items()
        }
        kept = shelf.index.search(hashes, thresholds=thresholds, offsets={**offsets, **barred})
        return Found((*kept.matches, *_excepted(found.matches, hashes, released)), found.searched)

    def recognise(self, image: object) -> list[Match]:
        """Every view of an image that a list holds, exceptions or not, for the operator's eyes.

        Nothing is decided, and nothing recorded.

        Args:
            image: As for :meth:`check`.

        Raises:
            ImageUnreadable: No pixels could be had within the limits.
        """
        index, data = self._shelf.index, file_bytes(image)
        picture = self._decode(image if data is None else data, index.algorithms)
        hashes = _hash_file(data, index.algorithms)
        hashes += hash_views(views(picture, self._families), index.algorithms)
        thresholds = self.policy.thresholds
        return [
            match
            for one in hashes
            for match in index.search(
                [one], thresholds=thresholds, offsets=self.policy.offsets([one])
            ).matches
        ]

    def prove(self) -> bool:
        """Looks the canary up by the full path.

        Returns:
            Whether it was found in every algorithm that the lists use.
        """
        return self._finds_canary(self._shelf)

    def _finds_canary(self, shelf: Shelf) -> bool:
        thresholds = {one.name: one.algorithm.default_threshold for one in self._canary.lists}
        try:
            picture = decode(self._canary.data, limits=Limits())
            algorithms = shelf.index.algorithms
            hashes = _hash_file(self._canary.data, algorithms)
            hashes += hash_views(views(picture, self._families), algorithms)
            found = shelf.index.search(hashes, thresholds=thresholds)
        except Exception as error:  # noqa: BLE001  # a self-test that fails has failed
            self._say("error", "canary fault", exc_info=error)
            return False
        lost = sorted(thresholds.keys() - {match.list for match in found.matches})
        if lost:
            names = [name.rpartition(".")[2] for name in lost]
            self._say("error", "canary lost", algorithms=names)
        return not lost

    def _decide(
        self,
        reason: Reason,
        started: float,
        *,
        matches: tuple[Match, ...] = (),
        detail: str = "",
    ) -> Decision:
        decision_id = self._new_id()
        allowed = self.policy.allows(reason)
        return Decision(
            verdict=Allowed(decision_id) if allowed else Refused(decision_id),
            reason=reason,
            matches=matches,
            detail=detail,
            took_ms=(self._stopwatch() - started) * 1000,
        )

    def _record(self, decision: Decision, context: Context, shelf: Shelf) -> Decision:
        """Records, logs, and only then lets the decision out."""
        try:
            self.journal.record(decision, context, self._clock(), lists=shelf.digests)
        except Exception as error:  # noqa: BLE001  # a record that failed in any way was not made
            self._say(
                "error",
                "unrecorded",
                decision_id=decision.verdict.decision_id,
                reason=decision.reason.value,
                error=str(error) if isinstance(error, AuditUnavailable) else type(error).__name__,
            )
            return self._unrecorded(decision)
        self._tell(decision, context)
        return decision

    def _unrecorded(self, decision: Decision) -> Decision:
        """A refusal stays what it is. An image that was to pass on the record does not pass."""
        match decision.verdict:
            case Refused():
                return decision
            case Allowed(decision_id=decision_id):
                return Decision(
                    verdict=Refused(decision_id),
                    reason=Reason.UNRECORDED,
                    matches=decision.matches,
                    detail="the audit log could not be written",
                    took_ms=decision.took_ms,
                )

    def _tell(self, decision: Decision, context: Context) -> None:
        """A line for operations, if anything was found."""
        if decision.reason is Reason.NO_MATCH:
            return
        is_pass = isinstance(decision.verdict, Allowed)
        for name in sorted({match.exception for match in decision.matches} - {""}):
            self._say(
                "warning",
                "exception used",
                exception=name,
                decision_id=decision.verdict.decision_id,
            )
        self._say(
            "warning" if is_pass else "info",
            "passed" if is_pass else "refused",
            decision_id=decision.verdict.decision_id,
            reason=decision.reason.value,
            detail=decision.detail,
            lists=sorted({match.list for match in decision.matches}),
            endpoint=context.endpoint,
            took_ms=round(decision.took_ms, 1),
        )

    def _say(self, level: str, event: str, **fields: object) -> None:
        """Logs. A log that cannot be written must not keep a decision from being made."""
        with suppress(Exception):
            getattr(self._log, level)(event, **fields)


def _excepted(
    matches: Iterable[Match], hashes: Iterable[Hash], released: Mapping[str, list[str]]
) -> Iterator[Match]:
    """The matches at views that are released, with the names of the exceptions."""
    numbers = {(one.algorithm, one.code): number for number, one in enumerate(hashes)}
    for match in matches:
        number = numbers[match.algorithm, match.code]
        if match.list in released and (name := released[match.list][number]):
            yield replace(match, exception=name)


def _perceptual(algorithms: Iterable[Algorithm]) -> list[Algorithm]:
    return [one for one in algorithms if not one.is_digest]


def _hash_file(data: bytes | None, algorithms: Iterable[Algorithm]) -> list[Hash]:
    if data is None:
        return []
    return [hash_bytes(data, one) for one in algorithms if one.is_digest]
