"""Which latents and embeddings came out of gated calls, so that they may go into the next one.

SDXL base → refiner, prior → decoder, ``encode_prompt`` → ``__call__``: what goes in there holds no
pixels, but everything it was made of was looked at. What only passed through a call was not made by
it, and is not remembered.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

_REMEMBERED = 8192  # arrays; the one longest unused is forgotten
_PICTURE_CHANNELS = (1, 3)
_MOST_ROWS = 64  # a batch of vectors; more are a table, such as image ids


class Emitted:
    """The digests of what gated calls gave out: each array of a batch."""

    def __init__(self) -> None:
        self._digests: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, result: Any, *, given: Sequence[Any]) -> None:
        """Notes the arrays in a call's result.

        Args:
            result: What the call returned.
            given: Arrays that the call was given: those are not its own.
        """
        made = list(_arrays(result))
        if not made:
            return
        foreign = {_value_digest(part) for array in given for part in _parts(array)}
        for array in made:
            parts = _parts(array)
            if foreign and not foreign.isdisjoint(_value_digest(part) for part in parts):
                continue
            digests = [_digest(part) for part in parts]
            with self._lock:
                self._digests |= dict.fromkeys(digests)
                while len(self._digests) > _REMEMBERED:
                    self._digests.popitem(last=False)

    def knows(self, array: Any) -> bool:
        """Whether gated calls gave out every array of this batch."""
        with self._lock:
            if not self._digests:
                return False
        digests = [_digest(part) for part in _parts(array)]
        with self._lock:
            known = all(digest in self._digests for digest in digests)
            for digest in digests if known else ():
                self._digests.move_to_end(digest)
        return known


def _parts(array: Any) -> list[Any]:
    """The arrays of a batch, which may be split and put together anew on the way."""
    is_batch = array.ndim > 2 or (array.ndim == 2 and len(array) <= _MOST_ROWS)  # noqa: PLR2004  # axes
    return list(array) if is_batch and len(array) else [array]


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
        case _ if dataclasses.is_dataclass(result) and not isinstance(result, type):
            for field in dataclasses.fields(result):
                yield from _arrays(getattr(result, field.name))
        case _:
            return


def _is_picture(array: Any) -> bool:
    """Generated pictures are looked at when they come back, as any other."""
    if array.ndim < 4:  # noqa: PLR2004  # no batch of pictures
        return array.ndim == 0 or (isinstance(array, np.ndarray) and array.dtype.kind not in "buif")
    return array.shape[1 if isinstance(array, torch.Tensor) else -1] in _PICTURE_CHANNELS


def _digest(array: Any) -> bytes:
    tensor = torch.as_tensor(array).detach().cpu().contiguous()
    made = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    made.update(tensor.flatten().view(torch.uint8).numpy().data)
    return made.digest()


def _value_digest(array: Any) -> bytes:
    """Of the numbers, coarsely: a copy in another dtype or shape is the same."""
    return _digest(torch.as_tensor(array).detach().to(torch.bfloat16).flatten())
