"""One call's arguments on their way through the gate."""

from __future__ import annotations

import copy
import dataclasses
import enum
import functools
import inspect
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from numbers import Number
from typing import Any

import numpy as np
import torch

from initgate.errors import ImageUnreadable, InitImageRefused
from initgate.gate import Gate
from initgate.image import is_pil, snapshot
from initgate.integrations.diffusers.emitted import Emitted
from initgate.integrations.diffusers.families import text_holds_images
from initgate.integrations.diffusers.latents import latent_channels, pictures_of
from initgate.integrations.diffusers.roles import Role, names_a_picture, role_of
from initgate.model import Allowed, Context, Refused, Verdict
from initgate.policy import Encoded

# Kinds that hold no pixels. Whatever is neither of these nor walked is refused.
_HARMLESS = (
    type(None),
    Number,
    np.generic,
    enum.Enum,
    type,
    range,
    slice,
    torch.Generator,
    torch.device,
    torch.dtype,
    torch.nn.Module,
)
_CALLABLE = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)

_DEEPEST = 32  # levels of nesting

Wrap = Callable[[Callable[..., Any], "Admission"], Callable[..., Any]]


class Admission:
    """Looks at every value of a call and hands on copies of what it looked at.

    Args:
        gate: What decides.
        pipe: The pipeline that is called.
        emitted: What gated calls gave out.
        wrap_callback: Keeps a callback outside of the gated call.
    """

    def __init__(self, gate: Gate, pipe: Any, *, emitted: Emitted, wrap_callback: Wrap) -> None:
        self.gate = gate
        self.context = Context(endpoint=type(pipe).__name__)
        self._emitted = emitted
        self._wrap_callback = wrap_callback
        self._pipe = pipe
        self._latent_channels = _latent_channels(pipe)
        self._text_holds_images = text_holds_images(pipe)
        self.passed_through: list[Any] = []  # arrays that the call did not make

    def role_of(self, name: str) -> Role:
        """What arrays under a name are, in this pipeline."""
        return role_of(name, text_holds_images=self._text_holds_images)

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

    def check_pixels(self, array: Any, path: str) -> None:
        """Refuses unless the gate allows a tensor or array of pictures."""
        self.enforce(self.gate.check(_to_numpy(array), context=self.context), path)

    def refuse_encoded(self, what: str, path: str) -> None:
        """Refuses an input without pixels, unless the gate's settings let such inputs pass."""
        self.enforce(self.gate.check_encoded(what, context=self.context), path)

    def enforce(self, verdict: Verdict, path: str) -> None:
        """Raises on a refusal.

        Raises:
            InitImageRefused: Naming the argument.
        """
        match verdict:
            case Allowed():
                return
            case Refused(decision_id=decision_id):
                raise InitImageRefused(decision_id, argument=path)

    def _walk(self, value: Any, name: str, path: str, depth: int = 0) -> Any:  # noqa: PLR0911  # a case a kind
        """The value with every picture in it replaced by the copy that was looked at.

        Args:
            value: Anything.
            name: The nearest name: argument, dictionary key or field.
            path: Where it stands, for the refusal.
            depth: How deep that is.
        """
        if is_pil(value):
            return self._admit_pil(value, name, path)
        match value:
            case torch.Tensor() | np.ndarray():
                return self._admit_array(value, name, path)
            case str() if not names_a_picture(name):
                return value
            case str() | bytes() | bytearray() | memoryview():
                # A path, URL or encoded picture, which a pipeline would open a second time.
                taken = value if isinstance(value, str) else bytes(value)
                self.enforce(self.gate.check(taken, context=self.context), path)
                return taken
            case _ if isinstance(value, _HARMLESS):
                return value
            case _ if depth > _DEEPEST:
                return self._refuse_unknown(value, path)
            case Mapping() | list() | tuple() | set() | frozenset() | Iterator():
                return self._walk_many(value, name, path, depth + 1)
            case _ if isinstance(value, _CALLABLE):
                return self._wrap_callback(value, self)
            case _:
                return self._walk_object(value, path, depth + 1)

    def _walk_many(self, values: Iterable[Any], name: str, path: str, depth: int) -> Any:
        kind: Callable[..., Any] = type(values)
        if isinstance(values, Mapping):
            entries = [
                (key, self._walk(value, str(key), f"{path}[{_told(key, n)}]", depth))
                for n, (key, value) in enumerate(values.items())
            ]
            if all(kept is values[key] for key, kept in entries):
                return values
            if not isinstance(values, MutableMapping):
                return dict(entries)
            copied = copy.copy(values)
            copied.update(entries)
            return copied
        given = list(values)
        walked = [self._walk(v, name, f"{path}[{n}]", depth) for n, v in enumerate(given)]
        if isinstance(values, Iterator):
            return walked  # it can be gone through only once
        if all(kept is one for kept, one in zip(walked, given, strict=True)):
            return values
        return kind(*walked) if hasattr(values, "_fields") else kind(walked)

    def _walk_object(self, value: Any, path: str, depth: int) -> Any:
        """Condition objects, pipeline states, callback objects: by their attributes."""
        is_opaque = not hasattr(value, "__dict__") or any(
            hasattr(value, name)
            for name in ("__array__", "__array_interface__", "__dlpack__", "__fspath__", "read")
        )
        if is_opaque:
            return self._refuse_unknown(value, path)
        changes = {
            name: walked
            for name, held in vars(value).items()
            if (walked := self._walk(held, name, f"{path}.{name}", depth)) is not held
        }
        if changes and dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = dataclasses.replace(value, **changes)
        else:
            for name, walked in changes.items():
                object.__setattr__(value, name, walked)
        return self._wrap_callback(value, self) if callable(value) else value

    def _refuse_unknown(self, value: Any, path: str) -> Any:
        """A kind that the walk does not know: the gate says so, and records it."""
        self.enforce(self.gate.check(value, context=self.context), path)
        return value

    def _admit_pil(self, image: Any, name: str, path: str) -> Any:
        try:
            taken = snapshot(image, limits=self.gate.limits)
        except ImageUnreadable:
            taken = image  # the gate says the same, and records it
        bands = len(taken.getbands())
        if bands in self._latent_channels and "ip_adapter" not in name:
            self.refuse_encoded(f"{path}: a PIL image of {bands} channels, taken as latents", path)
        if taken is image or getattr(image, "n_frames", 1) > 1:
            # The pipeline gets the current frame; the others are looked at as well.
            self.enforce(self.gate.check(image, context=self.context), path)
        if taken is not image:
            self.enforce(self.gate.check(taken, context=self.context), path)
        return taken

    def _admit_array(self, value: Any, name: str, path: str) -> Any:
        role = self.role_of(name)
        if isinstance(value, np.ndarray) and value.dtype.kind not in "buifc":
            return self._refuse_unknown(value, path)  # of objects, bytes or records
        if role is Role.TEXT or value.ndim <= 1:  # timesteps, sigmas, scales: no picture
            self.passed_through.append(value)
            return value
        taken = value.clone() if isinstance(value, torch.Tensor) else value.copy()
        channels = _channels(value)
        is_latent = channels not in {1, 3}
        if role is Role.ENCODED or (role is Role.PIXELS and is_latent):
            if not self._emitted.knows(taken):
                self._admit_encoded(taken, path)
            return taken
        self.passed_through.append(taken)  # given, not made: numbers may be latents in disguise
        if not is_latent:
            self.check_pixels(taken, path)
        if role is Role.MASK and channels != 1:
            frames = _mask_frames(_to_numpy(taken), is_tensor=isinstance(value, torch.Tensor))
            self.enforce(self.gate.check(frames, context=self.context), path)
        return taken

    def _admit_encoded(self, array: Any, path: str) -> None:
        """Refuses what holds no pixels, or looks at the pixels that it stands for."""
        pictures = (
            pictures_of(array, self._pipe) if self.gate.policy.encoded is Encoded.DECODE else ()
        )
        for picture in pictures:
            self.check_pixels(picture, path)
        if not pictures:
            self.refuse_encoded(f"{path}: an array of shape {tuple(array.shape)}, no pixels", path)


def _latent_channels(pipe: Any) -> frozenset[int]:
    """The channel counts by which this pipeline may take an array for latents."""
    # VaeImageProcessor takes 4 channels for latents unless it is told otherwise.
    found = latent_channels(pipe) or 4
    packed = found * 4  # 2×2, as in Flux
    return frozenset({4, found, packed} - {1, 3})  # the channels of pictures


def _told(key: object, number: int) -> object:
    """How a path names a dictionary's entry: by its key, unless that may be somebody's file."""
    return key if isinstance(key, str) and key.isidentifier() else number


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
