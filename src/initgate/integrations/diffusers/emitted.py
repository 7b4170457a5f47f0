"""Which latents and embeddings came out of gated calls, so that they may go into the next one.

SDXL base → refiner, prior → decoder, ``encode_prompt`` → ``__call__``: what goes in there holds no
pixels, but everything it was made of was looked at.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

_REMEMBERED = 4096  # tensors; the oldest is forgotten


class Emitted:
    """The digests of what gated calls gave out. Of the bytes alone: a reshape changes nothing."""

    def __init__(self) -> None:
        self._digests: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, result: Any) -> None:
        """Notes every array in a call's result, whole and each of its batch."""
        for array in _arrays(result):
            parts = [array, *array] if array.ndim > 2 and len(array) > 1 else [array]  # noqa: PLR2004
            for part in parts:
                digest = _digest(part)
                with self._lock:
                    self._digests[digest] = None
                    self._digests.move_to_end(digest)
                    if len(self._digests) > _REMEMBERED:
                        self._digests.popitem(last=False)

    def knows(self, array: Any) -> bool:
        """Whether a gated call gave this out."""
        with self._lock:
            return bool(self._digests) and _digest(array) in self._digests

    def forget(self) -> None:
        """Starts anew."""
        with self._lock:
            self._digests.clear()


def _arrays(result: Any) -> Iterator[Any]:
    match result:
        case torch.Tensor() | np.ndarray():
            if not _is_picture(result):
                yield result
        case Mapping():
            for value in result.values():
                yield from _arrays(value)
        case list() | tuple():
            for value in result:
                yield from _arrays(value)
        case _:
            return


def _is_picture(array: Any) -> bool:
    """Generated pictures are looked at when they come back, as any other."""
    channels = {array.shape[-1], array.shape[-3]} if array.ndim > 2 else set()  # noqa: PLR2004
    return bool(channels & {1, 3})


def _digest(array: Any) -> bytes:
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu().contiguous().view(torch.uint8).numpy() if array.ndim else array
    raw = np.ascontiguousarray(array)
    return hashlib.sha256(raw.tobytes()).digest()
