"""Texts without an object for each: their UTF-8 in one array, decoded when asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T")


class Lazy(Sequence[_T]):
    """A column whose items are decoded when they are asked for.

    Args:
        length: How many.
        decode: Makes the item of a row.
    """

    def __init__(self, length: int, decode: Callable[[int], _T]) -> None:
        self._range = range(length)
        self._decode = decode

    def __len__(self) -> int:
        return len(self._range)

    @overload
    def __getitem__(self, which: int) -> _T: ...
    @overload
    def __getitem__(self, which: slice) -> Sequence[_T]: ...
    def __getitem__(self, which: int | slice) -> _T | Sequence[_T]:
        if isinstance(which, slice):
            return [self._decode(row) for row in self._range[which]]
        return self._decode(self._range[which])


class Texts(Lazy[str]):
    """Texts.

    Args:
        text: UTF-8 of all, uint8.
        ends: Where each begins, and at last where all end: unsigned ``[n + 1]``.
    """

    def __init__(self, text: NDArray[np.uint8], ends: NDArray[Any]) -> None:
        super().__init__(len(ends) - 1, self._at)
        self.text = text
        self.ends = ends

    def _at(self, row: int) -> str:
        begin, end = int(self.ends[row]), int(self.ends[row + 1])
        if not begin <= end <= len(self.text):  # a slice would hide it
            # No IndexError: whoever goes through the sequence would take it for its end.
            raise ValueError(f"text {begin} to {end} of {len(self.text)}")
        return self.text[begin:end].tobytes().decode()
