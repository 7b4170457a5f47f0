"""The gate in front of every diffusers pipeline call.

``protect`` puts it before one pipeline, ``install`` before all of the process. Both patch the ways
in on the pipeline classes in place, present and future, so that ``.to()``, offload, ``components``,
``save_pretrained`` and ``isinstance`` stay what they are. A call binds its arguments to the
signature, looks at every value in them, and hands on copies of what it looked at
(:mod:`admission`). Behind that wall stand two more (:mod:`walls`).
"""

from __future__ import annotations

import functools
import gc
import inspect
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import DiffusionPipeline, ModelMixin, ModularPipeline

from initgate.gate import Gate
from initgate.integrations.diffusers.admission import Admission
from initgate.integrations.diffusers.callbacks import outside_the_call
from initgate.integrations.diffusers.emitted import Emitted
from initgate.integrations.diffusers.roles import is_way_in
from initgate.integrations.diffusers.walls import GatedCall, Hooks, active, look_at

__all__ = ["install", "protect", "uninstall"]

_Pipeline = TypeVar("_Pipeline", bound=DiffusionPipeline | ModularPipeline)
_Method = Callable[..., Any]


def protect(pipe: _Pipeline, gate: Gate) -> _Pipeline:
    """Puts the gate before one pipeline and before every other that shares a model with it.

    Args:
        pipe: Any diffusers pipeline.
        gate: From :func:`initgate.load_gate`.

    Returns:
        The same pipeline. Calling it raises :class:`initgate.InitImageRefused`, a ``ValueError``,
        before any model code runs if an input image is refused.
    """
    _patch_all()
    _protected[pipe] = gate
    for module in _modules(pipe):
        _protected[module] = gate
    _hooks.set_on(pipe, _admission(gate, pipe))
    return pipe


def install(gate: Gate) -> None:
    """Puts the gate before every pipeline of this process, also of classes defined later.

    Args:
        gate: From :func:`initgate.load_gate`. Calling again replaces it.
    """
    _patch_all()
    _process.gate = gate
    for pipe in [one for one in gc.get_objects() if issubclass(type(one), _PIPELINES)]:
        _hook(pipe)


def uninstall() -> None:
    """Takes every gate away again and restores the classes."""
    _process.gate = None
    _protected.clear()
    _saved.clear()
    _hooks.clear()
    _emitted.forget()
    for (cls, name), original in _originals.items():
        setattr(cls, name, original)
    _originals.clear()
    _guards.clear()
    for base in _BASES:
        if "__init_subclass__" in vars(base):
            del base.__init_subclass__


class _Process:
    """The gate that ``install`` set."""

    gate: Gate | None = None


_process = _Process()

# Pipelines and their models. A pipeline made by from_pipe, or from another's components, shares
# the models and with them the gate.
_protected: weakref.WeakKeyDictionary[Any, Gate] = weakref.WeakKeyDictionary()

# Folders that protected pipelines were saved to: what is loaded from there is protected as well.
_saved: dict[Path, Gate] = {}

_hooks = Hooks()
_emitted = Emitted()

_PIPELINES = (DiffusionPipeline, ModularPipeline)
_BASES: tuple[type, ...] = (*_PIPELINES, ModelMixin)
_originals: dict[tuple[type, str], Any] = {}

# Which functions are guards. An attribute would not do: functools.wraps and torch.no_grad copy it
# onto overrides that are none.
_guards: set[_Method] = set()


def _patch_all() -> None:
    for base in _BASES:
        if "__init_subclass__" not in vars(base):
            setattr(base, "__init_subclass__", classmethod(_patcher(base)))  # noqa: B010  # mypy
        for cls in (base, *_subclasses(base)):
            _patch(cls)
    for base in _PIPELINES:
        for name, guard in _FOLLOWED.items():
            original = vars(base).get(name)
            if original is not None and (base, name) not in _originals:
                _originals[base, name] = original
                setattr(base, name, guard(original))


def _patcher(base: type) -> Callable[..., None]:
    def patch_new(cls: type, /, **kwargs: Any) -> None:
        super(base, cls).__init_subclass__(**kwargs)  # type: ignore[arg-type]  # a class, to mypy no type
        _patch(cls)

    return patch_new


def _subclasses(cls: type) -> Iterator[type]:
    subs: list[type] = cls.__subclasses__()
    for sub in subs:
        yield sub
        yield from _subclasses(sub)


def _patch(cls: type) -> None:
    is_model = issubclass(cls, ModelMixin)
    for name, original in list(vars(cls).items()):
        if not inspect.isfunction(original) or original in _guards or cls is DiffusionPipeline:
            continue
        if name == "encode" if is_model else is_way_in(name, original):
            guard = (_guard_encode if is_model else _guard)(original)
            _originals[cls, name] = original
            _guards.add(guard)
            setattr(cls, name, guard)


def _guard(original: _Method) -> _Method:
    """A way into a pipeline behind the gate, with its name, signature and docstring."""
    signature = inspect.signature(original)

    @functools.wraps(original)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        gate = None if active.get() else _gate_of(self)
        if gate is None:  # none, or inside a call that was let in
            return original(self, *args, **kwargs)
        # What is missing is for the pipeline itself to say.
        bound = signature.bind_partial(self, *args, **kwargs)
        admission = _admission(gate, self)
        _hooks.set_on(self, admission)
        admission.admit(bound)
        token = active.set(GatedCall(admission))
        try:
            result = original(*bound.args, **bound.kwargs)
        finally:
            active.reset(token)
        _emitted.remember(result, admission.role_of, passed_through=admission.passed_through)
        return result

    return guarded


def _guard_encode(original: _Method) -> _Method:
    """An autoencoder's ``encode`` behind wall two."""

    @functools.wraps(original)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        gate = _protected.get(self) or _process.gate
        if gate is not None:
            admission = _admission(gate, self)
            for value in (*args, *kwargs.values()):
                look_at(value, admission, "encode")
        return original(self, *args, **kwargs)

    return guarded


def _after_registering(original: _Method) -> _Method:
    """What gives a pipeline its models, with the hooks of the other walls set on them."""

    @functools.wraps(original)
    def registered(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        _hook(self)
        return result

    return registered


def _after_saving(original: _Method) -> _Method:
    @functools.wraps(original)
    def saved(self: Any, save_directory: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, save_directory, *args, **kwargs)
        gate = _gate_of(self)
        if gate is not None:
            _saved[Path(save_directory).resolve()] = gate
        return result

    return saved


def _after_loading(original: Any) -> Any:
    @functools.wraps(original.__func__)
    def loaded(cls: type, name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        pipe = original.__func__(cls, name_or_path, *args, **kwargs)
        gate = _saved.get(Path(name_or_path).resolve())
        return pipe if gate is None else protect(pipe, gate)

    return classmethod(loaded)


# How pipelines come by their models, on the base classes: no way in, but the walls follow them.
_FOLLOWED: dict[str, Callable[[Any], Any]] = {
    "register_modules": _after_registering,
    "register_components": _after_registering,
    "save_pretrained": _after_saving,
    "from_pretrained": _after_loading,
}


def _hook(pipe: Any) -> None:
    gate = _gate_of(pipe)
    if gate is not None:
        _hooks.set_on(pipe, _admission(gate, pipe))


def _admission(gate: Gate, pipe: Any) -> Admission:
    return Admission(gate, pipe, emitted=_emitted, wrap_callback=outside_the_call)


def _gate_of(pipe: Any) -> Gate | None:
    if pipe in _protected:
        return _protected[pipe]
    for module in _modules(pipe):
        if module in _protected:
            return _protected[module]
    return _process.gate


def _modules(pipe: Any) -> list[torch.nn.Module]:
    return [value for value in vars(pipe).values() if isinstance(value, torch.nn.Module)]
