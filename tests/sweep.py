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
from datetime import UTC, datetime
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

from initgate import Gate, InitImageRefused
from initgate.audit import Journal, Provenance
from initgate.canary import load_canary
from initgate.gate import Shelf
from initgate.image import Limits
from initgate.index import Index
from initgate.integrations.diffusers import install
from initgate.integrations.diffusers.families import text_holds_images
from initgate.integrations.diffusers.roles import Role, is_way_in, role_of
from initgate.model import RGB
from initgate.policy import ListPolicy, Policy
from initgate.testing import MemorySink, make_list, scene
from initgate.wiring import make_log

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
        holds_images = text_holds_images(cls)
        for method, function in vars(cls).items():
            if not is_way_in(method, function):
                continue
            for name, parameter in inspect.signature(function).parameters.items():
                role = role_of(name, text_holds_images=holds_images)
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
    return is_way_in("probe", taking) or role_of(name, text_holds_images=True) is Role.ENCODED


def table() -> str:
    """docs/coverage-diffusers.md: each argument, and what became of pictures given to it."""
    listed, unlisted = scene(1, height=96, width=128), scene(2, height=96, width=128)
    lines = [
        "# Coverage of diffusers",
        "",
        "Made by `python tests/sweep.py`; do not edit. Each argument of each way into each",
        "pipeline class that takes a picture was given a listed and an unlisted one: PIL, array,",
        "tensor, list and nested list, by name and by position. `ok`: every listed one was refused",
        "and every unlisted one was let in. Encoded arguments were given latents: `refused`.",
        "",
        f"diffusers {diffusers.__version__}",
        "",
        "| class | way in | argument | kind | outcome |",
        "|---|---|---|---|---|",
    ]
    for entry in entries(roles={Role.PIXELS, Role.MASK, Role.ENCODED}):
        if entry.role is Role.ENCODED:
            outcome = call(entry, torch.zeros(1, 4, 8, 8))
        else:
            refused = [
                call(entry, shape(listed), by_position=by_position) == "refused"
                for shape in SHAPES.values()
                for by_position in (False, True)
            ]
            passed = [call(entry, shape(unlisted)) == "passed" for shape in SHAPES.values()]
            outcome = "ok" if all(refused) and all(passed) else "HOLE"
        kind = entry.role.name.lower()
        lines.append(
            f"| {entry.cls.__name__} | {entry.method} | {entry.parameter} | {kind} | {outcome} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Writes the table, with a gate whose only list holds a drawn scene."""
    hash_list = make_list([scene(1, height=96, width=128)])
    canary = load_canary([hash_list.algorithm])
    policy = Policy({hash_list.name: ListPolicy(hash_list.algorithm.default_threshold)})
    journal = Journal(MemorySink(), provenance=Provenance("", {}), subject_key=b"")
    install(
        Gate(
            shelf=Shelf(Index([hash_list, *canary.lists]), ages={}, digests={}),
            policy=policy,
            canary=canary,
            journal=journal,
            limits=Limits(),
            clock=lambda: datetime.now(UTC),
            stopwatch=lambda: 0.0,
            new_id=lambda: "sweep",
            log=make_log("error"),
        )
    )
    TABLE.write_text(table())


if __name__ == "__main__":
    main()
