"""What changed from one version of a list to another, by identifier."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from initgate.model import ListEntry


@dataclass(frozen=True, slots=True)
class Diff:
    """Identifiers, sorted.

    Args:
        added: That were not there.
        removed: That are not there any more.
        changed: Of which a hash, a quality or a tag is another one.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


def diff(before: Iterable[ListEntry], after: Iterable[ListEntry]) -> Diff:
    """Compares two versions of a list; the order of entries says nothing."""
    old, new = _by_name(before), _by_name(after)
    return Diff(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        changed=tuple(sorted(one for one in old.keys() & new.keys() if old[one] != new[one])),
    )


def _by_name(entries: Iterable[ListEntry]) -> dict[str, set[ListEntry]]:
    found: dict[str, set[ListEntry]] = defaultdict(set)
    for entry in entries:
        found[entry.entry].add(entry)
    return found
