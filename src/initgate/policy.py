"""What matches, unreadable inputs, empty and aged lists mean. Pure: everything is an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from initgate.model import Action, HashList, Match, Reason


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
    """

    threshold: int
    min_quality: int = 0
    action: Action = Action.REFUSE
    max_age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """How the gate decides.

    Args:
        lists: Per list name.
        unreadable: What an input without pixels to be had means.
        encoded: What latents and embeddings mean.
        digest: Which settings these are, for the record.
    """

    lists: Mapping[str, ListPolicy]
    unreadable: Fallback = Fallback.REFUSE
    encoded: Encoded = Encoded.REFUSE
    digest: str = ""
    thresholds: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        thresholds = {name: one.threshold for name, one in self.lists.items()}
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

    def judge(self, matches: Sequence[Match]) -> Reason:
        """MATCH if a refusing list matched, FLAGGED if only flagging ones did, else NO_MATCH."""
        actions = {self.lists[match.list].action for match in matches}
        if Action.REFUSE in actions:
            return Reason.MATCH
        return Reason.FLAGGED if actions else Reason.NO_MATCH

    def allows(self, reason: Reason) -> bool:
        """Whether a decision with this reason lets the image through."""
        match reason:
            case Reason.NO_MATCH | Reason.FLAGGED:
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
