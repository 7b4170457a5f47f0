"""Pictures that a request names by the id of an earlier upload.

An id is good if the server gave it to an upload that came through this process and passed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable


class Uploads:
    """Ids of pictures that were checked. Bounded: the oldest are forgotten, and refused then.

    Args:
        most: How many are remembered.
    """

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._ids: OrderedDict[str, None] = OrderedDict()

    def add(self, ids: Iterable[str]) -> None:
        """Remembers ids."""
        for one in filter(None, ids):
            self._ids[one] = None
            self._ids.move_to_end(one)
        while len(self._ids) > self._most:
            self._ids.popitem(last=False)

    def __contains__(self, one: str) -> bool:
        return one in self._ids
