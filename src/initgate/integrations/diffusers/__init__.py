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

from diffusers import DiffusionPipeline, ModelMixin, ModularPipeline

from initgate.gate import Gate
from initgate.integrations.diffusers.admission import Admission
from initgate.integrations.diffusers.callbacks import outside_the_call
from initgate.integrations.diffusers.emitted import Emitted
from initgate.integrations.diffusers.gates import gates
from initgate.integrations.diffusers.latents import latent_channels
from initgate.integrations.diffusers.roles import is_way_in
from initgate.integrations.diffusers.walls import (
    GatedCall,
    Hooks,
    active,
    guarded_encode,
    inside,
)

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
    gates.protect(pipe, gate)
    _hooks.set_on(pipe)
    return pipe


def install(gate: Gate) -> None:
    """Puts the gate before every pipeline of this process, also of classes defined later.

    Args:
        gate: From :func:`initgate.load_gate`. Calling again replaces it.
    """
    _patch_all()
    gates.process = gate
    for pipe in [one for one in gc.get_objects() if issubclass(type(one), _PIPELINES)]:
        _follow(pipe)


def uninstall() -> None:
    """Takes every gate away again and restores the classes."""
    gates.clear()
    _saved.clear()
    _hooks.clear()
    _emitted.clear()
    for (cls, name), original in _originals.items():
        setattr(cls, name, original)
    _originals.clear()
    _guards.clear()
    for base in _BASES:
        if "__init_subclass__" in vars(base):
            del base.__init_subclass__


# Folders that protected pipelines were saved to: what is loaded from there is protected as well.
_saved: dict[Path, Gate] = {}

_hooks = Hooks()

# Per gate: what one with other lists let in is foreign.
_emitted: weakref.WeakKeyDictionary[Gate, Emitted] = weakref.WeakKeyDictionary()

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
            guard = (guarded_encode if is_model else _guard)(original)
            _originals[cls, name] = original
            _guards.add(guard)
            setattr(cls, name, guard)


def _guard(original: _Method) -> _Method:
    """A way into a pipeline behind the gate, with its name, signature and docstring."""
    signature = inspect.signature(original)

    @functools.wraps(original)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        gate = None if active.get() else gates.of(self)
        if gate is None:  # none, or inside a call that was let in
            return original(self, *args, **kwargs)
        _follow(self)
        # What is missing is for the pipeline itself to say.
        bound = signature.bind_partial(self, *args, **kwargs)
        emitted = _emitted.setdefault(gate, Emitted())
        admission = Admission(gate, self, emitted=emitted, wrap_callback=outside_the_call)
        admission.admit(bound)
        with inside(GatedCall(admission, latent_channels(self) or 0)):
            result = original(*bound.args, **bound.kwargs)
        # A step may only lay out anew what it was given; a whole pipeline makes something.
        is_step = original.__name__ != "__call__" or isinstance(self, ModularPipeline)
        if not (is_step and admission.has_unseen):
            emitted.remember(result, given=admission.given)
        return result

    return guarded


def _after_registering(original: _Method) -> _Method:
    """What gives a pipeline its models, with the hooks of the other walls set on them."""

    @functools.wraps(original)
    def registered(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        _follow(self)
        return result

    return registered


def _after_saving(original: _Method) -> _Method:
    @functools.wraps(original)
    def saved(self: Any, save_directory: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, save_directory, *args, **kwargs)
        if gate := gates.own(self):
            _saved[Path(save_directory).resolve()] = gate
        return result

    return saved


def _after_loading(original: Any) -> Any:
    @functools.wraps(original.__func__)
    def loaded(cls: type, *args: Any, **kwargs: Any) -> Any:
        pipe = original.__func__(cls, *args, **kwargs)
        place = args[0] if args else kwargs.get("pretrained_model_name_or_path")
        gate = _saved.get(Path(place).resolve()) if place else None
        return pipe if gate is None else protect(pipe, gate)

    return classmethod(loaded)


# How pipelines come by their models, on the base classes: no way in, but the walls follow them.
_FOLLOWED: dict[str, Callable[[Any], Any]] = {
    "register_modules": _after_registering,
    "register_components": _after_registering,
    "save_pretrained": _after_saving,
    "from_pretrained": _after_loading,
}


def _follow(pipe: Any) -> None:
    """Sets the walls on the models that a pipeline has by now."""
    if gate := gates.own(pipe):
        gates.protect(pipe, gate)
    if gates.of(pipe):
        _hooks.set_on(pipe)
