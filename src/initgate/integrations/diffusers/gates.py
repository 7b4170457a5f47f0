"""Which gate stands before which pipeline and model of this process."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import torch

from initgate.gate import Gate


class Gates:
    """The gate of the process, and those of single pipelines and their models.

    A pipeline made by ``from_pipe``, or from another's components, shares the models and with them
    the gate.
    """

    def __init__(self) -> None:
        self.process: Gate | None = None
        self._protected: weakref.WeakKeyDictionary[Any, Gate] = weakref.WeakKeyDictionary()

    def protect(self, pipe: Any, gate: Gate) -> None:
        """Puts a gate before a pipeline and its models."""
        self._protected[pipe] = gate
        for _, model in models_of(pipe):
            self._protected[unwrapped(model)] = gate
            if inner := encoder_of(model):
                self._protected[inner] = gate

    def of(self, pipe: Any) -> Gate | None:
        """The gate before a pipeline: its own, or that of one of its models, or the process's."""
        candidates = (pipe, *(unwrapped(model) for _, model in models_of(pipe)))
        own = (self._protected[one] for one in candidates if one in self._protected)
        return next(own, self.process)

    def of_model(self, model: Any) -> Gate | None:
        """The gate before a model."""
        return self._protected.get(unwrapped(model), self.process)

    def own(self, pipe: Any) -> Gate | None:
        """The gate before a pipeline, unless it is only the process's."""
        gate = self.of(pipe)
        return None if gate is self.process else gate

    def clear(self) -> None:
        """Takes all away."""
        self.process = None
        self._protected.clear()


gates = Gates()


def models_of(pipe: Any) -> Iterator[tuple[str, torch.nn.Module]]:
    """A pipeline's models by name."""
    for name, value in vars(pipe).items():
        if isinstance(value, torch.nn.Module):
            yield name, value


def encoder_of(model: Any) -> torch.nn.Module | None:
    """The network in an autoencoder that takes the picture, whatever method is called."""
    inner = getattr(model, "encoder", None) if hasattr(model, "encode") else None
    return inner if isinstance(inner, torch.nn.Module) else None


def unwrapped(model: Any) -> Any:
    """The model that ``torch.compile`` has wrapped, else the model."""
    return getattr(model, "_orig_mod", model)
