"""What matches, unreadable inputs, empty and aged lists mean. Pure: everything is an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from initgate.model import Action, Allowed, Decision, Hash, HashList, Match, Reason


class Fallback(StrEnum):
    """What an input means that could not be looked at."""

    REFUSE = "refuse"
    ALLOW = "allow"


class Encoded(StrEnum):
    """What latents and embeddings mean, which hold no pixels."""

    REFUSE = "refuse"
    ALLOW = "allow"
    DECODE = "decode"
    """An integration has the model's own autoencoder make pictures of latents, and these are
    looked at. What cannot be decoded is refused."""


@dataclass(frozen=True, slots=True)
class ListPolicy:
    """How one list is used.

    Args:
        threshold: Largest distance in bits that matches, inclusive.
        min_quality: Entries of a lower quality are left out; those of unknown quality stay.
        action: What a match does.
        max_age: A list older than this refuses everything; None for no limit.
        flag_threshold: Up to this distance in bits, beyond ``threshold``, a match flags.
        view_offsets: Per family of views, the bits, 0 or less, that are added to both thresholds
            where a hash is of such a view.
        flag_tags: Patterns of tags, ``*`` for anything; an entry that has such a tag at most flags.
    """

    threshold: int
    min_quality: int = 0
    action: Action = Action.REFUSE
    max_age: timedelta | None = None
    flag_threshold: int = 0
    view_offsets: Mapping[str, int] = field(default_factory=dict)
    flag_tags: tuple[str, ...] = ()

    @property
    def reach(self) -> int:
        """The largest distance at which an entry is worth finding."""
        return max(self.threshold, self.flag_threshold)

    def offset(self, view: str) -> int:
        """The bits added to the thresholds for a view: of several families' the lowest.

        Args:
            view: Its name, as ``"frame 2, on black, mirrored"``.
        """
        if not self.view_offsets:
            return 0
        # "frame 2" is of the family "frame".
        parts = [f"{part} " for part in view.split(", ")]
        return min(
            (
                bits
                for family, bits in self.view_offsets.items()
                if any(part.startswith(f"{family} ") for part in parts)
            ),
            default=0,
        )

    def action_of(self, match: Match) -> Action:
        """What a match with this list does, which is within reach."""
        if match.distance > self.threshold + self.offset(match.view):
            return Action.FLAG
        if Action.FLAG in {self.action, match.action} or self._flags(match.tags):
            return Action.FLAG
        return Action.REFUSE

    def _flags(self, tags: Sequence[str]) -> bool:
        """Whether the patterns name one of an entry's tags."""
        return any(fnmatchcase(tag, pattern) for pattern in self.flag_tags for tag in tags)


@dataclass(frozen=True, slots=True)
class Policy:
    """How the gate decides.

    Args:
        lists: Per list name.
        unreadable: What an input without pixels to be had means.
        encoded: What latents and embeddings mean.
        digest: Which settings these are, for the record.
        thresholds: Per list, what its search is asked with: the larger of its two, in bits.
    """

    lists: Mapping[str, ListPolicy]
    unreadable: Fallback = Fallback.REFUSE
    encoded: Encoded = Encoded.REFUSE
    digest: str = ""
    thresholds: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        thresholds = {name: one.reach for name, one in self.lists.items()}
        object.__setattr__(self, "thresholds", thresholds)

    def fit_entries(self, hash_list: HashList) -> HashList:
        """The list with its quality floor, below which no entry is searched. Nothing is copied."""
        return replace(hash_list, min_quality=self.lists[hash_list.name].min_quality)

    def expired(self, ages: Mapping[str, datetime | None], now: datetime) -> tuple[str, ...]:
        """The names of lists past their maximum age.

        Args:
            ages: Per list, when it was last known to be current; None counts as never.
            now: The present.
        """
        return tuple(
            name
            for name, one in self.lists.items()
            if one.max_age is not None and _is_past(ages.get(name), now, one.max_age)
        )

    def offsets(self, hashes: Sequence[Hash]) -> dict[str, list[int]]:
        """What views change: per list that has offsets, the bits added for each of the hashes."""
        return {
            name: [one.offset(query.view) for query in hashes]
            for name, one in self.lists.items()
            if one.view_offsets
        }

    def action_of(self, match: Match) -> Action:
        """What a match does, as its list, its distance and its entry say."""
        return self.lists[match.list].action_of(match)

    def explain(self, decision: Decision) -> dict[str, object]:
        """A decision with its grounds, in JSON's types. For the operator alone."""
        return {
            "verdict": "allowed" if isinstance(decision.verdict, Allowed) else "refused",
            "reason": decision.reason.value,
            "decision_id": decision.verdict.decision_id,
            "matches": [
                {
                    "list": match.list,
                    "entry": match.entry,
                    "algorithm": match.algorithm.value,
                    "distance": match.distance,
                    "view": match.view,
                    "action": self.action_of(match).value,
                    "exception": match.exception or None,
                }
                for match in decision.matches
            ],
            "detail": decision.detail,
            "took_ms": round(decision.took_ms, 3),
        }

    def judge(self, matches: Sequence[Match]) -> Reason:
        """What matches come to; those that an exception releases count only if there are no others.

        Returns:
            MATCH if any refuses, FLAGGED if all only flag, RELEASED if all are released, NO_MATCH
            if there are none.
        """
        actions = {self.action_of(match) for match in matches if not match.exception}
        if Action.REFUSE in actions:
            return Reason.MATCH
        if actions:
            return Reason.FLAGGED
        return Reason.RELEASED if matches else Reason.NO_MATCH

    def allows(self, reason: Reason) -> bool:
        """Whether a decision with this reason lets the image through."""
        match reason:
            case Reason.NO_MATCH | Reason.FLAGGED | Reason.RELEASED:
                return True
            case Reason.UNREADABLE:
                return self.unreadable is Fallback.ALLOW
            case Reason.ENCODED_INPUT:
                return self.encoded is Encoded.ALLOW
            case (
                Reason.MATCH
                | Reason.NO_LIST
                | Reason.LIST_EXPIRED
                | Reason.CANARY
                | Reason.UNRECORDED
                | Reason.FAULT
            ):
                return False


def _is_past(as_of: datetime | None, now: datetime, max_age: timedelta) -> bool:
    # A time ahead of the present by more than that is a broken clock, and no sign of freshness.
    return as_of is None or abs(now - as_of) > max_age
