"""A callback runs between the steps of a gated call, and could put another picture in its place."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping
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
        given = {key: value for one in (*args, kwargs) for key, value in self._watched(one)}
        before = {key: value.clone() for key, value in given.items()}
        token = active.set(None)
        try:
            result = self._callback(*args, **kwargs)
        finally:
            active.reset(token)
        after = {**given, **dict(self._watched(result))}
        for key, value in after.items():
            if key not in before or not _equal(value, before[key]):
                self._admission.refuse_encoded(f"callback changed {key}", "callback_on_step_end")
        return result

    def _watched(self, held: Any) -> list[tuple[str, Any]]:
        """What a callback may not change, by name."""
        if not isinstance(held, Mapping):
            return []
        return [
            (key, value)
            for key, value in held.items()
            if isinstance(value, torch.Tensor)
            and self._admission.role_of(str(key)) is not Role.TEXT
        ]


def _equal(one: Any, other: Any) -> bool:
    return one.shape == other.shape and torch.equal(one, other)
