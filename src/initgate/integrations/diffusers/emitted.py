"""Which latents and embeddings came out of gated calls, so that they may go into the next one.

SDXL base → refiner, prior → decoder, ``encode_prompt`` → ``__call__``: what goes in there holds no
pixels, but everything it was made of was looked at. What only passed through a call, as text
conditioning does unseen, was not made by it, and is not remembered.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from initgate.integrations.diffusers.roles import Role

_REMEMBERED = 8192  # arrays; the oldest is forgotten
_PICTURE_CHANNELS = (1, 3)

RoleOf = Callable[[str], Role]


class Emitted:
    """The digests of what gated calls gave out: each array of a batch, whatever its shape."""

    def __init__(self) -> None:
        self._digests: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, result: Any, role_of: RoleOf, *, passed_through: Iterable[Any]) -> None:
        """Notes the arrays in a call's result.

        Args:
            result: What the call returned.
            role_of: What arrays under a name are, in the pipeline that was called.
            passed_through: Arrays that the call was given: those are not its own.
        """
        foreign = {_value_digest(part) for array in passed_through for part in _parts(array)}
        for array in _arrays(result, role_of):
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
            return all(digest in self._digests for digest in digests)

    def forget(self) -> None:
        """Starts anew."""
        with self._lock:
            self._digests.clear()


def _parts(array: Any) -> list[Any]:
    return list(array) if array.ndim > 2 and len(array) else [array]  # noqa: PLR2004  # a batch


def _arrays(result: Any, role_of: RoleOf, name: str = "") -> Iterator[Any]:
    match result:
        case torch.Tensor() | np.ndarray():
            if not _is_picture(result) and (not name or role_of(name) is not Role.TEXT):
                yield result
        case Mapping():
            for key, value in result.items():
                yield from _arrays(value, role_of, str(key))
        case list() | tuple():
            for value in result:
                yield from _arrays(value, role_of, name)
        case _ if dataclasses.is_dataclass(result) and not isinstance(result, type):
            for field in dataclasses.fields(result):
                yield from _arrays(getattr(result, field.name), role_of, field.name)
        case _:
            return


def _is_picture(array: Any) -> bool:
    """Generated pictures are looked at when they come back, as any other."""
    if array.ndim < 4:  # noqa: PLR2004  # no batch of pictures
        return array.ndim == 0 or (isinstance(array, np.ndarray) and array.dtype.kind not in "buif")
    return array.shape[1 if isinstance(array, torch.Tensor) else -1] in _PICTURE_CHANNELS


def _digest(array: Any) -> bytes:
    tensor = torch.as_tensor(array).detach().cpu().contiguous()
    return hashlib.sha256(tensor.flatten().view(torch.uint8).numpy().tobytes()).digest()


def _value_digest(array: Any) -> bytes:
    """Of the numbers, coarsely: a copy in another dtype is the same."""
    return _digest(torch.as_tensor(array).detach().to(torch.bfloat16))
