"""A callback runs between the steps of a gated call, and could put another picture in its place."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch

from initgate.integrations.diffusers.roles import Role
from initgate.integrations.diffusers.walls import active

if TYPE_CHECKING:
    from initgate.integrations.diffusers.admission import Admission


def outside_the_call(callback: Callable[..., Any], admission: Admission) -> Any:
    """The callback, outside of the gated call and without power over what is being denoised.

    What it calls is gated like any other call. Text conditioning it may change, as diffusers' own
    callbacks do; latents or pictures that it returns changed, or changed in place, are refused.
    """
    watched = _Watched(callback, admission)
    if inspect.isroutine(callback) or isinstance(callback, functools.partial):

        def watched_call(*args: Any, **kwargs: Any) -> Any:
            return watched.call(*args, **kwargs)

        return functools.update_wrapper(watched_call, callback)
    # Pipelines ask for diffusers' own callbacks by isinstance, and for what these want to see.
    twin = copy.copy(callback)
    kind = type(callback)
    calls = {"__call__": lambda _self, *args, **more: watched.call(*args, **more)}
    twin.__class__ = type(kind.__name__, (kind,), calls)
    return twin


class _Watched:
    def __init__(self, callback: Callable[..., Any], admission: Admission) -> None:
        self._callback = callback
        self._admission = admission

    def call(self, *args: Any, **kwargs: Any) -> Any:
        given = [(name, value, value.clone()) for name, value in self._watched((args, kwargs))]
        token = active.set(None)
        try:
            result = self._callback(*args, **kwargs)
        finally:
            active.reset(token)
        if not (result is None or isinstance(result, Mapping)):
            self._refuse("returned no mapping")
        for name, value, before in given:
            if not _equal(value, before):
                self._refuse(f"changed {name}")
        for name, value in self._watched(result):
            if not any(name == one and _equal(value, before) for one, _, before in given):
                self._refuse(f"changed {name}")
        return result

    def _refuse(self, what: str) -> None:
        self._admission.refuse_encoded(f"callback {what}", "callback_on_step_end")

    def _watched(self, held: Any, name: str = "") -> Iterator[tuple[str, Any]]:
        """What a callback may not change, at any depth, and by what name it stands there."""
        match held:
            case torch.Tensor():
                if self._admission.role_of(name) is not Role.OTHER:
                    yield name, held
            case Mapping():
                for key, value in held.items():
                    yield from self._watched(value, str(key))
            case list() | tuple():
                for value in held:
                    yield from self._watched(value)
            case _:
                return


def _equal(one: Any, other: Any) -> bool:
    if one.shape != other.shape:
        return False
    return bool(((one == other) | (one.isnan() & other.isnan())).all())
