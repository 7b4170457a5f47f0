"""Decisions are recorded before they are answered, in an append-only, hash-chained log.

No pixels, no file names, no hashes of the image and no list entries: an audit log must not become
a copy of what it guards against. Distances are recorded as ranges.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from initgate.audit.chain import Record
from initgate.model import Allowed, Context, Decision, Match, Reason

_BUCKETS = 32  # a distance is recorded to within bits / 32: 8 bits of PDQ's 256


class AuditSink(Protocol):
    """Where records go. Implementations are safe to use from several threads and processes."""

    def append(self, event: Mapping[str, object], *, is_durable: bool = True) -> None:
        """Chains and stores an event.

        Args:
            event: What is recorded.
            is_durable: Whether it must outlast a power failure when this returns. If not, it
                outlasts the process, whatever ends that, and is on the disk with the next one.

        Raises:
            AuditUnavailable: It could not be stored.
        """

    def count(self, reason: Reason) -> None:
        """Counts a decision that is not recorded. Cheap, and written out before long."""

    def records(self) -> Iterator[Record]:
        """Every record from the first on.

        Raises:
            AuditUnavailable: The log cannot be read.
        """

    def last(self, number: int) -> list[Record]:
        """The newest records, oldest of them first.

        Raises:
            AuditUnavailable: The log cannot be read.
        """

    def counts(self) -> dict[str, int]:
        """How many decisions were counted, per reason.

        Raises:
            AuditUnavailable: The log cannot be read.
        """

    def close(self) -> None:
        """Writes out what is only counted so far, and lets go of the file until the next use."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Under what a decision was made.

    Args:
        policy: Digest of the settings.
        versions: Per piece of software, its version.
    """

    policy: str
    versions: Mapping[str, str]


class Journal:
    """Turns decisions into events and hands them to a sink.

    Args:
        sink: Where they go.
        provenance: Recorded with each.
        subject_key: Keys the pseudonym of a subject; who holds it can link a subject's records.
        record_allowed: Whether plainly allowed images are recorded too, instead of counted.
    """

    def __init__(
        self,
        sink: AuditSink,
        *,
        provenance: Provenance,
        subject_key: bytes,
        record_allowed: bool = False,
    ) -> None:
        self.sink = sink
        self._provenance = provenance
        self._subject_key = subject_key
        self._record_allowed = record_allowed

    def record(
        self, decision: Decision, context: Context, time: datetime, *, lists: Mapping[str, str]
    ) -> None:
        """Records a decision, or counts it if it is an allowed image without any finding.

        Args:
            decision: The decision.
            context: Where the image came from.
            time: The present.
            lists: Per list that was searched, its digest.

        Raises:
            AuditUnavailable: It had to be recorded and could not be.
        """
        is_plain = decision.reason is Reason.NO_MATCH
        if is_plain and not self._record_allowed:
            self.sink.count(decision.reason)
        else:
            event = self._to_event(decision, context, time, lists)
            self.sink.append(event, is_durable=not is_plain)

    def _to_event(
        self, decision: Decision, context: Context, time: datetime, lists: Mapping[str, str]
    ) -> dict[str, object]:
        is_match = decision.reason in {Reason.MATCH, Reason.FLAGGED}
        return {
            "decision_id": decision.verdict.decision_id,
            "time": time.isoformat(timespec="milliseconds"),
            "verdict": "allowed" if isinstance(decision.verdict, Allowed) else "refused",
            "reason": decision.reason.value,
            "detail": decision.detail,
            "matches": [_to_finding(match) for match in decision.matches],
            "endpoint": context.endpoint,
            "request_id": context.request_id,
            "subject": self._pseudonym(context.subject),
            "policy": self._provenance.policy,
            "lists": dict(lists),
            "versions": dict(self._provenance.versions),
            # DSA article 17: found and decided by automated means.
            "automated_detection": True,
            "automated_decision": True,
            "review_state": "pending" if is_match else "none",
            "legal_hold": False,
        }

    def _pseudonym(self, subject: str) -> str:
        if not subject:
            return ""
        return hmac.digest(self._subject_key, subject.encode(), "sha256").hex()


def _to_finding(match: Match) -> dict[str, object]:
    width = max(1, match.algorithm.bits // _BUCKETS)
    floor = match.distance // width * width
    bucket = f"{max(1, floor)}-{floor + width - 1}"
    return {
        "list": match.list,
        "algorithm": match.algorithm.value,
        "distance": bucket if match.distance else "0",
        "view": match.view,
        "tags": list(match.tags),
        "exception": match.exception,
    }
