"""The walls behind the first: models of a gated pipeline do not take what no gated call gave them.

Wall two: autoencoders and other models that take pictures look at the very tensor they are given,
after all resizing, cropping and normalising, which may have made another picture of the input.
Wall three: the denoiser runs only inside a gated call.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import ModelMixin

from initgate.integrations.diffusers.checkpoint import Checkpoint
from initgate.integrations.diffusers.gates import encoder_of, gates, models_of, unwrapped

_DENOISERS = ("unet", "transformer", "prior", "decoder", "dit", "denoiser")
_OUTPUT_SIDE = ("safety_checker",)  # what it is given was made here
_COLOURS = 3
_IMAGES, _VIDEOS = 4, 5  # axes of [N, C, H, W], and of [N, C, F, H, W] or [N, F, C, H, W]


@dataclass(eq=False)
class GatedCall:
    """A call whose arguments were admitted.

    Args:
        checkpoint: The gate that admitted them.
        latent_channels: Of the pipeline; 0 if it denoises pixels.
        seen: Tensors that a model was allowed to take; held, so that no other gets their place.
        entered: Denoisers whose first input was looked at.
    """

    checkpoint: Checkpoint
    latent_channels: int
    seen: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    entered: set[int] = field(default_factory=set)


# New threads do not inherit it: what they run is outside.
active: ContextVar[GatedCall | None] = ContextVar("initgate_gated_call", default=None)


class _Open:
    """Whether any call of the process is inside: all that a traced graph can ask."""

    def __init__(self) -> None:
        self.is_any = False
        self._number = 0
        self._lock = threading.Lock()

    def change(self, by: int) -> None:
        with self._lock:
            self._number += by
            self.is_any = self._number > 0


_open = _Open()


@contextmanager
def inside(call: GatedCall) -> Iterator[None]:
    """Runs a call behind the first wall."""
    token = active.set(call)
    _open.change(1)
    try:
        yield
    finally:
        _open.change(-1)
        active.reset(token)


def look_at(value: Any, checkpoint: Checkpoint, path: str) -> None:
    """Refuses a picture that a model is about to take. Latents and other shapes are no pictures."""
    match value:
        case torch.Tensor():
            if _is_picture(value):
                _look_once(value, checkpoint, path)
        case Mapping():
            look_at(list(value.values()), checkpoint, path)
        case list() | tuple():  # ControlNets take one for each of them
            for one in value:
                look_at(one, checkpoint, path)
        case _:
            return


def _is_picture(tensor: Any) -> bool:
    channels = {_IMAGES: tensor.shape[1:2], _VIDEOS: tensor.shape[1:3]}.get(tensor.ndim, ())
    return tensor.is_floating_point() and _COLOURS in channels


def _look_once(tensor: Any, checkpoint: Checkpoint, path: str) -> None:
    call = active.get()
    if call is None or tensor.is_inference():  # these have no count of changes
        checkpoint.check_pixels(tensor, path)
        return
    key = (tensor.data_ptr(), tensor._version, tensor.shape, tensor.stride())  # noqa: SLF001  # torch's own count of changes
    if key not in call.seen:
        checkpoint.check_pixels(tensor, path)
        call.seen[key] = tensor


def _look_into(model: Any, value: Any, call: GatedCall, path: str) -> None:
    """What a denoiser is given beside latents, once: pixels to enlarge, masks, depth maps."""
    samples = [one for one in value if isinstance(one, torch.Tensor) and one.ndim == _IMAGES]
    if not samples or id(model) in call.entered:
        return
    call.entered.add(id(model))
    sample = samples[0]
    step = 1 if call.latent_channels else _COLOURS
    for start in range(call.latent_channels, sample.shape[1] - step + 1, step):
        call.checkpoint.check_pixels(sample[:, start : start + step], path)


def guarded_encode(original: Callable[..., Any]) -> Callable[..., Any]:
    """An autoencoder's ``encode`` behind wall two."""

    @functools.wraps(original)
    def encode(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not torch.compiler.is_compiling():  # then it is looked at from outside
            checkpoint = _checkpoint(self)
            if checkpoint is not None:
                look_at((args, kwargs), checkpoint, "encode")
        return original(self, *args, **kwargs)

    return encode


class _Encode:
    """An ``encode`` that stands on the model itself: compiled, or of a foreign class."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.original = vars(model).get("encode")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        checkpoint = _checkpoint(self.model)
        if checkpoint is not None:
            look_at((args, kwargs), checkpoint, "encode")
        if self.original is not None:
            return self.original(*args, **kwargs)
        return type(self.model).encode(self.model, *args, **kwargs)

    def remove(self) -> None:
        del self.model.encode
        if self.original is not None:
            self.model.encode = self.original


def _checkpoint(model: Any) -> Checkpoint | None:
    call = active.get()
    if call is not None:
        return call.checkpoint
    gate = gates.of_model(model)
    return None if gate is None else Checkpoint(gate, type(unwrapped(model)).__name__)


class _Hook:
    """A forward pre-hook on a model. It holds no gate, so that it may be copied and pickled.

    A copy of a model carries it along, but no gate stands before the copy: nothing gets in.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, model: Any, args: Any, kwargs: Any) -> None:
        is_denoiser = self.name.startswith(_DENOISERS)
        if is_denoiser and torch.compiler.is_compiling() and _open.is_any:
            return  # traced: the graph is valid while a call is inside
        # Anything else here breaks a graph in two, so that it runs as it stands.
        checkpoint = _checkpoint(model)
        if checkpoint is None:
            raise RuntimeError(
                f"{self.name} is a copy of a model behind initgate's gate: "
                "call protect(pipe, gate) or install(gate) before using it"
            )
        call = active.get()
        if call is None and (is_denoiser or _steers(model)):
            checkpoint.refuse_encoded(f"{self.name}: run outside a gated call", self.name)
        if not is_denoiser:
            look_at((args, kwargs), checkpoint, self.name)
        elif call is not None:
            _look_into(model, (*args, *kwargs.values()), call, self.name)


def _steers(model: Any) -> bool:
    """A model of diffusers that is no autoencoder: denoisers of any name, ControlNets, adapters."""
    return isinstance(unwrapped(model), ModelMixin) and not hasattr(model, "encode")


class Hooks:
    """The walls on the models of gated pipelines, each set once."""

    def __init__(self) -> None:
        self._handles: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        self._encodes: weakref.WeakSet[Any] = weakref.WeakSet()

    def set_on(self, pipe: Any) -> None:
        """Hooks a pipeline's models, if they are not yet."""
        for name, model in models_of(pipe):
            if name in _OUTPUT_SIDE:
                continue
            self._hook(name, model)
            if hasattr(model, "encode"):
                self._guard_encode(model)

    def clear(self) -> None:
        """Takes every hook away."""
        for handle in self._handles.values():
            handle.remove()
        self._handles.clear()
        for model in self._encodes:
            if isinstance(model.encode, _Encode):
                model.encode.remove()
        self._encodes.clear()

    def _hook(self, name: str, model: Any) -> None:
        if model not in self._handles:
            _unseal(model)
            self._handles[model] = model.register_forward_pre_hook(_Hook(name), with_kwargs=True)

    def _guard_encode(self, model: Any) -> None:
        """Also where it is called by other names: the network inside sees what goes in."""
        if inner := encoder_of(model):
            self._hook("encode", inner)
        own = vars(model).get("encode")
        is_foreign = not isinstance(unwrapped(model), ModelMixin)
        if not isinstance(own, _Encode) and (own is not None or is_foreign):
            model.encode = _Encode(model)
            self._encodes.add(model)


def _unseal(model: torch.nn.Module) -> None:
    hooks = model._forward_pre_hooks  # noqa: SLF001  # torch has no other way to find them
    for key in [key for key, hook in hooks.items() if isinstance(hook, _Hook)]:
        del hooks[key]
