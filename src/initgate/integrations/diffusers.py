"""The gate in front of every diffusers pipeline call.

``protect`` puts it before one pipeline, ``install`` before all of the process. Both patch
``__call__`` in place on the pipeline classes, present and future, so that ``.to()``, offload,
``components``, ``save_pretrained`` and ``isinstance`` stay what they are. A call then binds its
arguments to the signature, looks at every value in them, and hands on copies of what it looked at.

Values decide what is looked at, names only how: see :func:`_role`.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum, auto
from typing import Any, TypeVar

import numpy as np
import torch
from diffusers import DiffusionPipeline

from initgate.errors import ImageUnreadable, InitImageRefused
from initgate.gate import Gate
from initgate.image import is_pil, snapshot
from initgate.model import Allowed, Context, Refused, Verdict

__all__ = ["install", "protect", "uninstall"]

_Pipeline = TypeVar("_Pipeline", bound=DiffusionPipeline)
_Call = Callable[..., Any]


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
    return pipe


def install(gate: Gate) -> None:
    """Puts the gate before every pipeline of this process, also of classes defined later.

    Args:
        gate: From :func:`initgate.load_gate`. Calling again replaces it.
    """
    _patch_all()
    _process.gate = gate


def uninstall() -> None:
    """Takes every gate away again and restores the pipeline classes."""
    _process.gate = None
    _protected.clear()
    for cls, original in list(_originals.items()):
        _set(cls, "__call__", original)
    _originals.clear()
    _guards.clear()
    if "__init_subclass__" in DiffusionPipeline.__dict__:
        del DiffusionPipeline.__init_subclass__


class _Process:
    """The gate that ``install`` set."""

    gate: Gate | None = None


_process = _Process()

# Pipelines and their models. A pipeline made by from_pipe, or from another's components, shares
# the models and with them the gate.
_protected: weakref.WeakKeyDictionary[Any, Gate] = weakref.WeakKeyDictionary()

_originals: dict[type, _Call] = {}

# Which functions are guards. An attribute would not do: functools.wraps and torch.no_grad copy it
# onto overrides that are none.
_guards: set[_Call] = set()


def _patch_all() -> None:
    if "__init_subclass__" not in DiffusionPipeline.__dict__:
        _set(DiffusionPipeline, "__init_subclass__", classmethod(_patch_new))
    for cls in _subclasses(DiffusionPipeline):
        _patch(cls)


def _patch_new(cls: type, /, **kwargs: Any) -> None:
    super(DiffusionPipeline, cls).__init_subclass__(**kwargs)
    _patch(cls)


def _subclasses(cls: type) -> Iterator[type]:
    subs: list[type] = cls.__subclasses__()
    for sub in subs:
        yield sub
        yield from _subclasses(sub)


def _patch(cls: type) -> None:
    original = cls.__dict__.get("__call__")
    if callable(original) and original not in _guards:
        _originals[cls] = original
        _set(cls, "__call__", _guard(original))


def _set(cls: type, name: str, value: object) -> None:
    """Patching, which type checkers rightly dislike, in one place."""
    setattr(cls, name, value)


def _guard(original: _Call) -> _Call:
    """The pipeline's ``__call__`` behind the gate, with its name, signature and docstring."""
    signature = inspect.signature(original)

    @functools.wraps(original)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        gate = _gate_of(self)
        if gate is None:
            return original(self, *args, **kwargs)
        bound = signature.bind(self, *args, **kwargs)
        _Admission(gate, self).admit(bound)
        return original(*bound.args, **bound.kwargs)

    _guards.add(guarded)
    return guarded


def _gate_of(pipe: Any) -> Gate | None:
    if pipe in _protected:
        return _protected[pipe]
    for module in _modules(pipe):
        if module in _protected:
            return _protected[module]
    return _process.gate


def _modules(pipe: Any) -> list[torch.nn.Module]:
    return [value for value in vars(pipe).values() if isinstance(value, torch.nn.Module)]


class _Role(Enum):
    """How the values of an argument are looked at."""

    PIXELS = auto()
    MASK = auto()
    ENCODED = auto()
    TEXT = auto()


_TEXT_NAME = re.compile(r"prompt|text_embeds|attention_mask|text_mask")
_ENCODED_NAME = re.compile(r"latents?(_|$)|embed|hidden")
_MASK_NAME = re.compile(r"mask")
_PIXEL_NAME = re.compile(
    r"image|video|frame|mask|hint|depth_map|condition|reference|pose|face|kps|controls|background"
)


def _role(name: str) -> _Role:
    """What arrays under a name are: a policy, for any value is looked at under any name.

    Text conditioning (``prompt_embeds`` and the like) goes through. Latents and image embeddings
    hold no pixels, whatever their shape. Masks are pictures whose channel axis may be a batch.
    """
    if _TEXT_NAME.search(name):
        return _Role.TEXT
    if _ENCODED_NAME.search(name):
        return _Role.ENCODED
    return _Role.MASK if _MASK_NAME.search(name) else _Role.PIXELS


class _Admission:
    """One call's arguments on their way through the gate."""

    def __init__(self, gate: Gate, pipe: Any) -> None:
        self._gate = gate
        self._context = Context(endpoint=type(pipe).__name__)
        self._latent_channels = _latent_channels(pipe)

    def admit(self, bound: inspect.BoundArguments) -> None:
        """Looks at every argument and puts what was looked at in its place.

        Raises:
            InitImageRefused: One is refused.
        """
        _self, *parameters = bound.signature.parameters.values()
        for parameter in parameters:
            name = parameter.name
            if name not in bound.arguments:
                continue
            value = bound.arguments[name]
            if parameter.kind is parameter.VAR_KEYWORD:
                bound.arguments[name] = {key: self._walk(v, key, key) for key, v in value.items()}
            else:
                bound.arguments[name] = self._walk(value, name, name)

    def _walk(self, value: Any, name: str, path: str) -> Any:  # noqa: PLR0911  # a case a kind
        """The value with every picture in it replaced by the copy that was looked at.

        Args:
            value: Anything.
            name: The nearest name: argument, dictionary key or field.
            path: Where it stands, for the refusal.
        """
        if is_pil(value):
            return self._admit_pil(value, name, path)
        match value:
            case torch.Tensor() | np.ndarray():
                return self._admit_array(value, name, path)
            case str() | bytes() | bytearray():
                self._admit_text(value, name, path)
                return value
            case Mapping():
                walked = {k: self._walk(v, str(k), f"{path}[{k!r}]") for k, v in value.items()}
                return type(value)(walked)  # type: ignore[call-arg]  # mappings copy mappings
            case list() | tuple() | set() | frozenset() | Iterator():
                return self._walk_many(value, name, path)
            case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
                changes = {
                    field.name: self._walk(
                        getattr(value, field.name), field.name, f"{path}.{field.name}"
                    )
                    for field in dataclasses.fields(value)
                    if field.init
                }
                return dataclasses.replace(value, **changes)
            case _:
                return value

    def _walk_many(self, values: Iterable[Any], name: str, path: str) -> Any:
        walked = [self._walk(value, name, f"{path}[{n}]") for n, value in enumerate(values)]
        if isinstance(values, Iterator):
            return walked  # it can be gone through only once
        is_named = isinstance(values, tuple) and hasattr(values, "_fields")
        kind: Callable[..., Any] = type(values)
        return kind(*walked) if is_named else kind(walked)

    def _admit_text(self, value: str | bytes | bytearray, name: str, path: str) -> None:
        """A path, URL or encoded picture under a picture's name: the gate cannot look at it.

        A pipeline would open it itself, a second time and unseen.
        """
        if _PIXEL_NAME.search(name) and not _TEXT_NAME.search(name):
            self._enforce(self._gate.check(value, context=self._context), path)

    def _admit_pil(self, image: Any, name: str, path: str) -> Any:
        try:
            taken = snapshot(image, limits=self._gate.limits)
        except ImageUnreadable:
            taken = image  # the gate says the same, and records it
        bands = len(taken.getbands())
        if bands in self._latent_channels and "ip_adapter" not in name:
            self._refuse_encoded(f"{path}: a PIL image of {bands} channels, taken as latents", path)
        if taken is image or getattr(image, "n_frames", 1) > 1:
            # The pipeline gets the current frame; the others are looked at as well.
            self._enforce(self._gate.check(image, context=self._context), path)
        if taken is not image:
            self._enforce(self._gate.check(taken, context=self._context), path)
        return taken

    def _admit_array(self, value: Any, name: str, path: str) -> Any:
        role = _role(name)
        if role is _Role.TEXT or value.ndim <= 1:  # timesteps, sigmas, scales: no picture
            return value
        taken = value.clone() if isinstance(value, torch.Tensor) else value.copy()
        shape = tuple(value.shape)
        if role is _Role.ENCODED:
            self._refuse_encoded(f"{path}: an array of shape {shape}", path)
            return taken
        pixels = _to_numpy(taken)
        if role is _Role.MASK and value.ndim > 2:  # noqa: PLR2004  # height and width
            pixels = _mask_frames(pixels, is_tensor=isinstance(value, torch.Tensor))
        else:
            channels = _channels(value)
            if channels not in {1, 3} or channels in self._latent_channels:
                self._refuse_encoded(f"{path}: an array of shape {shape}, taken as latents", path)
        self._enforce(self._gate.check(pixels, context=self._context), path)
        return taken

    def _refuse_encoded(self, what: str, path: str) -> None:
        self._enforce(self._gate.check_encoded(what, context=self._context), path)

    def _enforce(self, verdict: Verdict, path: str) -> None:
        match verdict:
            case Allowed():
                return
            case Refused(decision_id=decision_id):
                raise InitImageRefused(decision_id, argument=path)


def _latent_channels(pipe: Any) -> frozenset[int]:
    """The channel counts by which this pipeline may take an array for latents."""
    # VaeImageProcessor takes 4 channels for latents unless it is told otherwise.
    counts = {4}
    for name in ("vae", "vqvae", "movq", "vqgan"):
        config = getattr(getattr(pipe, name, None), "config", None)
        found = getattr(config, "latent_channels", None)
        if isinstance(found, int):
            counts |= {found, found * 4}  # packed 2×2, as in Flux
    return frozenset(counts)


def _channels(value: Any) -> int:
    """How many channels: diffusers lays tensors out ``[…, C, H, W]``, arrays ``[…, H, W, C]``."""
    if value.ndim == 2:  # noqa: PLR2004  # height and width
        return 1
    return int(value.shape[-3] if isinstance(value, torch.Tensor) else value.shape[-1])


def _to_numpy(value: Any) -> np.ndarray[Any, Any]:
    if not isinstance(value, torch.Tensor):
        return np.asarray(value)
    on_cpu = value.detach().cpu()
    floats = on_cpu.float() if on_cpu.is_floating_point() else on_cpu  # numpy has no bfloat16
    numbers: np.ndarray[Any, Any] = floats.numpy()
    return numbers


def _mask_frames(pixels: np.ndarray[Any, Any], *, is_tensor: bool) -> np.ndarray[Any, Any]:
    """A mask of any batch and channel axes as grey pictures ``[N, H, W, 1]``."""
    first = pixels if is_tensor else np.moveaxis(pixels, -1, -3)
    height, width = first.shape[-2:]
    return first.reshape(-1, height, width, 1)
