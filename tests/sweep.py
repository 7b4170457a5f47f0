"""Every pipeline class of the installed diffusers, every way into it, every picture it takes.

python tests/sweep.py    # writes docs/coverage-diffusers.md
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import diffusers
import diffusers.modular_pipelines
import diffusers.pipelines
import numpy as np
import torch
from diffusers import DiffusionPipeline, ModularPipeline
from PIL import Image

from initgate import InitImageRefused
from initgate.integrations.diffusers.roles import Role, role_of, takes_pictures
from initgate.model import RGB

TABLE = Path(__file__).parents[1] / "docs/coverage-diffusers.md"

SHAPES: dict[str, Callable[[RGB], Any]] = {
    "PIL": Image.fromarray,
    "array": lambda rgb: rgb[None].astype(np.float32) / 255,
    "tensor": lambda rgb: torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1,
    "list": lambda rgb: [Image.fromarray(rgb)],
    "nested list": lambda rgb: [[Image.fromarray(rgb)]],
}


@dataclass(frozen=True)
class Entry:
    """One argument of one way into a pipeline."""

    cls: type
    method: str
    parameter: str
    role: Role

    def __str__(self) -> str:
        return f"{self.cls.__name__}.{self.method}({self.parameter})"


@cache
def pipelines() -> tuple[type, ...]:
    """All pipeline classes, the lazily imported ones too; a few need packages that are not here."""
    for package in (diffusers.pipelines, diffusers.modular_pipelines):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            with suppress(ImportError, RuntimeError), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a module's own use of its libraries
                importlib.import_module(module.name)
    found = {*_subclasses(DiffusionPipeline), ModularPipeline, *_subclasses(ModularPipeline)}
    shipped = [cls for cls in found if cls.__module__.startswith("diffusers.")]
    return tuple(sorted(shipped, key=lambda cls: (cls.__name__, cls.__module__)))


def entries(*, roles: set[Role]) -> Iterator[Entry]:
    """The arguments that take something of these roles, by the library's own signatures."""
    for cls in pipelines():
        for method, function in vars(cls).items():
            if not takes_pictures(method, function):
                continue
            for name, parameter in inspect.signature(function).parameters.items():
                role = role_of(name)
                if role in roles and _may_hold_an_array(name, parameter):
                    yield Entry(cls, method, name, role)


def call(entry: Entry, value: Any, *, by_position: bool = False) -> str:
    """What a call with this value came to: ``refused``, or ``passed`` to the pipeline.

    The pipeline is an empty shell: one that is let in fails at once for want of models.
    """
    shell: object = object.__new__(entry.cls)
    method = getattr(entry.cls, entry.method)
    names = list(inspect.signature(method).parameters)
    before = names.index(entry.parameter) if by_position else 0
    arguments: tuple[Any, ...] = (*[None] * (before - 1), value) if by_position else ()
    keywords = {} if by_position else {entry.parameter: value}
    try:
        method(shell, *arguments, **keywords)
    except InitImageRefused:
        return "refused"
    except Exception:  # noqa: BLE001  # whatever an empty shell says, it was let in
        return "passed"
    return "passed"


def _subclasses(cls: type) -> Iterator[type]:
    subs: list[type] = cls.__subclasses__()
    for sub in subs:
        yield sub
        yield from _subclasses(sub)


def _may_hold_an_array(name: str, parameter: inspect.Parameter) -> bool:
    """Whether an argument's annotation leaves room for more than numbers and words."""
    if name == "self" or parameter.kind in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}:
        return False
    if isinstance(parameter.default, bool | int | float | str):
        return False
    told = str(parameter.annotation)
    is_told = parameter.annotation is not parameter.empty
    holds = ("Image", "Tensor", "ndarray", "Any", "dict", "Condition", "Action", "object")
    if is_told and not any(word in told for word in holds):
        return False
    return _is_named_for_pictures(name)


def _is_named_for_pictures(name: str) -> bool:
    def taking(argument: Any) -> None:
        """A method with one argument of this name."""

    taking.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # inspect's protocol
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    )
    return takes_pictures("probe", taking) or role_of(name) is Role.ENCODED
