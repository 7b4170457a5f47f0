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

from initgate.errors import ImageUnreadable
from initgate.gate import Gate
from initgate.image import is_pil, snapshot
from initgate.integrations.diffusers.checkpoint import Checkpoint, to_numpy
from initgate.integrations.diffusers.emitted import Emitted
from initgate.integrations.diffusers.families import text_holds_images
from initgate.integrations.diffusers.latents import latent_channels, pictures_of
from initgate.integrations.diffusers.roles import Role, names_a_picture, role_of
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
_VIDEO = 5  # axes of a tensor [N, C, F, H, W] or [N, F, C, H, W]
_COLOURS = 3
_PICTURE_CHANNELS = (1, _COLOURS)
_MOST_CHANNELS = 4  # of a mask's array

Wrap = Callable[[Callable[..., Any], "Admission"], Callable[..., Any]]


class Admission(Checkpoint):
    """Looks at every value of a call and hands on copies of what it looked at.

    Args:
        gate: What decides.
        pipe: The pipeline that is called.
        emitted: What calls behind this gate gave out.
        wrap_callback: Keeps a callback outside of the gated call.
    """

    def __init__(self, gate: Gate, pipe: Any, *, emitted: Emitted, wrap_callback: Wrap) -> None:
        super().__init__(gate, type(pipe).__name__)
        self._pipe = pipe
        self._emitted = emitted
        self._wrap_callback = wrap_callback
        self._own_channels = latent_channels(pipe)
        self._latent_channels = _latent_channels(self._own_channels)
        self._text_holds_images = text_holds_images(pipe)
        self.given: list[Any] = []
        """Arrays that the call did not make."""
        self.has_unseen = False
        """Whether some of them were neither looked at nor given out by a gated call."""

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
                self.check(taken, path)
                return taken
            case _ if isinstance(value, _HARMLESS):
                return value
            case _ if depth > _DEEPEST:
                return self._refuse_unknown(value, path)
            case Mapping() | list() | tuple() | set() | frozenset() | Iterator():
                return self._walk_many(value, name, path, depth + 1)
            case _ if isinstance(value, _CALLABLE) or (callable(value) and "callback" in name):
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
        elif changes:
            value = copy.copy(value)
            for name, walked in changes.items():
                object.__setattr__(value, name, walked)
        return self._wrap_callback(value, self) if callable(value) else value

    def _refuse_unknown(self, value: Any, path: str) -> Any:
        """A kind that the walk does not know: the gate says so, and records it."""
        self.check(value, path)
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
            self.check(image, path)
        if taken is not image:
            self.check(taken, path)
        return taken

    def _admit_array(self, value: Any, name: str, path: str) -> Any:
        if isinstance(value, np.ndarray) and value.dtype.kind not in "buifc":
            return self._refuse_unknown(value, path)  # of objects, bytes or records
        if value.ndim == 0:
            return value
        taken = value.clone() if isinstance(value, torch.Tensor) else value.copy()
        role = self.role_of(name)
        is_encoded = role is Role.ENCODED or (role is Role.PIXELS and self._is_latent(taken))
        if (is_encoded or role is Role.OTHER) and self._emitted.knows(taken):
            return taken
        if is_encoded:
            self._admit_encoded(taken, path)
            return taken
        # Numbers may be latents in disguise, whatever is seen in them: the call did not make these.
        self.given.append(taken)
        if role is Role.OTHER or taken.ndim == 1:  # text; timesteps, sigmas, scales
            self.has_unseen = self.has_unseen or taken.ndim > 1
            return taken
        channels = _channels(taken)
        if channels in _PICTURE_CHANNELS:
            self.check_pixels(taken, path)
        if role is Role.MASK:
            self.has_unseen = True  # a model is given its numbers as they are
            if channels != 1:
                self.check(_mask_frames(taken), path)
        return taken

    def _is_latent(self, array: Any) -> bool:
        """Whether an array may be taken for latents: it has their channels, or no picture's."""
        is_video = isinstance(array, torch.Tensor) and array.ndim == _VIDEO
        if is_video and array.shape[1] == self._own_channels not in _PICTURE_CHANNELS:
            return True  # also where the next axis has three
        return array.ndim > 1 and _channels(array) not in _PICTURE_CHANNELS

    def _admit_encoded(self, array: Any, path: str) -> None:
        """Refuses what holds no pixels, or looks at the pixels that it stands for."""
        is_decoded = self.gate.policy.encoded is Encoded.DECODE
        pictures = pictures_of(array, self._pipe) if is_decoded else ()
        for picture in pictures:
            self.check_pixels(picture, path)
        if not pictures:
            self.refuse_encoded(f"{path}: an array of shape {tuple(array.shape)}, no pixels", path)


def _latent_channels(own: int | None) -> frozenset[int]:
    """The channel counts by which a pipeline may take a PIL image for latents."""
    # VaeImageProcessor takes 4 channels for latents unless it is told otherwise.
    found = own or 4
    packed = found * 4  # 2×2, as in Flux
    return frozenset({4, found, packed} - set(_PICTURE_CHANNELS))


def _told(key: object, number: int) -> object:
    """How a path names a dictionary's entry: by its key, unless that may be somebody's file."""
    return key if isinstance(key, str) and key.isidentifier() else number


def _channels(value: Any) -> int:
    """How many channels: diffusers lays tensors out ``[…, C, H, W]``, arrays ``[…, H, W, C]``."""
    if value.ndim == 2:  # noqa: PLR2004  # height and width
        return 1
    if not isinstance(value, torch.Tensor):
        return int(value.shape[-1])
    if value.ndim < _VIDEO or value.shape[-3] == _COLOURS:
        return int(value.shape[-3])
    return int(value.shape[-4])  # [N, C, F, H, W]


def _mask_frames(mask: Any) -> np.ndarray[Any, Any]:
    """A mask of any batch and channel axes as grey pictures ``[N, H, W, 1]``."""
    numbers = to_numpy(mask)
    # Arrays have their channels last, or none: [N, H, W].
    is_last = not isinstance(mask, torch.Tensor) and mask.shape[-1] <= _MOST_CHANNELS
    first = np.moveaxis(numbers, -1, -3) if is_last else numbers
    height, width = first.shape[-2:]
    return first.reshape(-1, height, width, 1)
