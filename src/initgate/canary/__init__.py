"""A drawn picture and its known hashes, by which a gate proves that it still recognises.

The hashes were made once and are checked in: a decoder or hash library that starts to answer
differently, or an index that loses entries, no longer finds the picture. Its names hold a dot,
which an operator's list name cannot.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources

from initgate.lists import csv_list
from initgate.model import Algorithm, HashList

_PREFIX = "initgate.canary."


@dataclass(frozen=True, slots=True)
class Canary:
    """What the self-test looks up.

    Args:
        data: The picture's file.
        lists: A list for each algorithm in use, each holding the picture's hash.
    """

    data: bytes
    lists: tuple[HashList, ...]


def load_canary(algorithms: Iterable[Algorithm]) -> Canary:
    """The canary for the algorithms of the loaded lists."""
    folder = resources.files(__name__)
    data = (folder / "hashes.csv").read_bytes()
    known = list(csv_list.read(io.BytesIO(data), source="canary/hashes.csv"))
    lists = tuple(
        HashList.of(
            [entry for entry in known if entry.algorithm is algorithm],
            name=_PREFIX + algorithm,
            algorithm=algorithm,
        )
        for algorithm in sorted(set(algorithms))
    )
    return Canary((folder / "picture.png").read_bytes(), lists)
