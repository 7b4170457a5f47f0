"""Hashes of pictures that honest people send and lists should not hold: forms, pages, windows.

Drawn by ``benign/rebuild.py``. A list whose entries come near to one of these refuses honest
people. The hashes are those of the pictures as they are, not of their mirrored and turned ones.
"""

from __future__ import annotations

import io
from importlib import resources

from initgate.lists import csv_list
from initgate.model import Algorithm, HashList

_NAME = "initgate.benign"  # an operator's list name holds no dot


def load_benign() -> HashList:
    """The reference: PDQ hashes with their quality; each entry's one tag is its family."""
    data = (resources.files(__name__) / "hashes.csv").read_bytes()
    entries = list(csv_list.read(io.BytesIO(data), source="benign/hashes.csv"))
    return HashList.of(entries, name=_NAME, algorithm=Algorithm.PDQ)
