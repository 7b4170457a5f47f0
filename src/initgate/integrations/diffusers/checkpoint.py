"""Asks the gate, and raises where it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from initgate.errors import InitImageRefused
from initgate.gate import Gate
from initgate.model import Allowed, Context, Refused, Verdict


class Checkpoint:
    """A gate, and what it stands before.

    Args:
        gate: What decides.
        endpoint: The pipeline's or model's class, for the record.
    """

    def __init__(self, gate: Gate, endpoint: str) -> None:
        self.gate = gate
        self._context = Context(endpoint=endpoint)

    def check(self, image: object, path: str) -> None:
        """Refuses unless the gate allows an image.

        Args:
            image: As for :meth:`initgate.Gate.check`. Anything else is unreadable, and refused.
            path: Which argument it is.

        Raises:
            InitImageRefused: Naming the argument.
        """
        self._enforce(self.gate.check(image, context=self._context), path)

    def check_pixels(self, array: Any, path: str) -> None:
        """Refuses unless the gate allows a tensor or array of pictures.

        Raises:
            InitImageRefused: Naming the argument.
        """
        self.check(to_numpy(array), path)

    def refuse_encoded(self, what: str, path: str) -> None:
        """Refuses an input without pixels, unless the gate's settings let such inputs pass.

        Raises:
            InitImageRefused: Naming the argument.
        """
        self._enforce(self.gate.check_encoded(what, context=self._context), path)

    def _enforce(self, verdict: Verdict, path: str) -> None:
        match verdict:
            case Allowed():
                return
            case Refused(decision_id=decision_id):
                raise InitImageRefused(decision_id, argument=path)


def to_numpy(value: Any) -> np.ndarray[Any, Any]:
    """A tensor's or an array's numbers."""
    if not isinstance(value, torch.Tensor):
        return np.asarray(value)
    on_cpu = value.detach().cpu()
    floats = on_cpu.float() if on_cpu.is_floating_point() else on_cpu  # numpy has no bfloat16
    numbers: np.ndarray[Any, Any] = floats.numpy()
    return numbers
