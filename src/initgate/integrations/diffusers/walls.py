"""The walls behind the first: models of a gated pipeline do not take what no gated call gave them.

Wall two: autoencoders and other models that take pictures look at the very tensor they are given,
after all resizing, cropping and normalising, which may have made another picture of the input.
Wall three: the denoiser runs only inside a gated call.
"""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import ModelMixin

from initgate.integrations.diffusers.admission import Admission

_DENOISERS = ("unet", "transformer", "prior", "decoder", "dit", "denoiser")
_COLOURS = 3


@dataclass(eq=False)
class GatedCall:
    """A call whose arguments were admitted.

    Args:
        admission: What admitted them.
        seen: Tensors that a model was allowed to take; held, so that no other gets their place.
    """

    admission: Admission
    seen: dict[tuple[int, int], Any] = field(default_factory=dict)


# New threads do not inherit it: what they run is outside.
active: ContextVar[GatedCall | None] = ContextVar("initgate_gated_call", default=None)


def look_at(tensor: Any, admission: Admission, path: str) -> None:
    """Refuses a picture that a model is about to take. Latents and other shapes are no pictures."""
    call = active.get()
    if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
        return
    # Three colours: first of three axes, second of four, second or third of a video's five.
    if _COLOURS not in {3: tensor.shape[:1], 4: tensor.shape[1:2], 5: tensor.shape[1:3]}.get(
        tensor.ndim, ()
    ):
        return
    key = (tensor.data_ptr(), tensor._version)  # noqa: SLF001  # torch's own count of changes
    if call is not None and key in call.seen:
        return
    admission.check_pixels(tensor, path)
    if call is not None:
        call.seen[key] = tensor


class _Hook:
    """A forward pre-hook on a model. A copy of the model carries a sealed one: nothing gets in.

    A gate cannot be pickled or copied along: it holds lists and an open log.
    """

    def __init__(self, name: str, admission: Admission | None = None) -> None:
        self.name = name
        self.admission = admission

    def __call__(self, module: Any, args: Any, kwargs: Any) -> None:
        if self.admission is None:
            raise RuntimeError(
                f"{self.name} is a copy of a model behind initgate's gate: "
                "call protect(pipe, gate) or install(gate) before using it"
            )
        is_denoiser = self.name.startswith(_DENOISERS)
        if active.get() is None and (is_denoiser or _steers(module)):
            self.admission.refuse_encoded(f"{self.name}: run outside a gated call", self.name)
        if not is_denoiser:
            for value in (*args, *kwargs.values()):
                look_at(value, self.admission, self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_Hook, (self.name,))


def _steers(module: Any) -> bool:
    """A model of diffusers that is no autoencoder: denoisers of any name, ControlNets, adapters."""
    inner = getattr(module, "_orig_mod", module)  # as torch.compile wraps it
    return isinstance(inner, ModelMixin) and not hasattr(inner, "encode")


class Hooks:
    """The pre-hooks on the models of gated pipelines, each set once."""

    def __init__(self) -> None:
        self._handles: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    def set_on(self, pipe: Any, admission: Admission) -> None:
        """Hooks a pipeline's models, if they are not yet."""
        for name, module in vars(pipe).items():
            if isinstance(module, torch.nn.Module) and module not in self._handles:
                _unseal(module)
                self._handles[module] = module.register_forward_pre_hook(
                    _Hook(name, admission), with_kwargs=True
                )

    def clear(self) -> None:
        """Takes every hook away."""
        for handle in self._handles.values():
            handle.remove()
        self._handles.clear()


def _unseal(module: torch.nn.Module) -> None:
    hooks = module._forward_pre_hooks  # noqa: SLF001  # torch has no other way to find them
    for key in [key for key, hook in hooks.items() if isinstance(hook, _Hook)]:
        del hooks[key]
