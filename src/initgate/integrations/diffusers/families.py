"""Which pipelines' prompt embeddings may hold pictures: for those, foreign ones are no mere text.

A family is a package of diffusers, such as ``flux`` or ``qwenimage``. What one of its pipelines
puts into a prompt, the others take as one: Qwen-Edit's text encoder reads the input picture, Flux
Redux turns one into prompt embeddings for every Flux pipeline.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from diffusers.modular_pipelines import ModularPipelineBlocks

from initgate.integrations.diffusers.gates import models_of, unwrapped
from initgate.integrations.diffusers.roles import Role, is_picture_name, role_of

_FAMILY = re.compile(r"diffusers\.(?:modular_)?pipelines\.(.+)\.[^.]+")
_MODEL = re.compile(r"diffusers\.models\.transformers\.transformer_(.+)")
_MAKES_EMBEDDINGS = re.compile(r"encode_(.*_)?prompt|prompt_embeds")


def text_holds_images(pipe: Any) -> bool:
    """Whether a pipeline's prompt embeddings may carry pictures.

    The rule: somewhere in its family a picture goes into a prompt's encoding. A family that cannot
    be read whole may do so.

    Args:
        pipe: A pipeline or a pipeline class.
    """
    cls = pipe if isinstance(pipe, type) else type(pipe)
    return _encodes_pictures(cls) or any(_any_encodes(family) for family in _families(pipe, cls))


def _families(pipe: Any, cls: type) -> frozenset[str]:
    """Those of a pipeline's classes and blocks, and those that its models are named for."""
    kinds = {cls}
    if not isinstance(pipe, type):
        kinds |= {*_blocks(getattr(pipe, "_blocks", None))}
        kinds |= {type(unwrapped(model)) for _, model in models_of(pipe)}
    modules = {one.__module__ for kind in kinds for one in kind.__mro__}
    found = (one.fullmatch(module) for module in modules for one in (_FAMILY, _MODEL))
    return frozenset(one[1] for one in found if one)


def _blocks(block: Any) -> Iterator[type]:
    if block is not None:
        yield type(block)
        for inner in getattr(block, "sub_blocks", {}).values():
            yield from _blocks(inner)


@cache
def _any_encodes(family: str) -> bool:
    for room in ("pipelines", "modular_pipelines"):
        try:
            classes = list(_classes(f"diffusers.{room}.{family}"))
        except (ImportError, RuntimeError):  # something in it needs a package that is not here
            return True
        if any(_encodes_pictures(cls) for cls in classes):
            return True
    return False


def _classes(package: str) -> Iterator[type]:
    try:
        folder = importlib.import_module(package)
    except ModuleNotFoundError as error:
        # A family may have no modular, or no classic pipelines.
        if error.name and f"{package}.".startswith(f"{error.name}."):
            return
        raise
    for found in pkgutil.iter_modules(folder.__path__, f"{package}."):
        is_tool = ".pipelines." in package and ".pipeline_" not in found.name
        if is_tool or "_flax_" in found.name:
            continue  # these need packages of their own; diffusers has given up Flax
        module = importlib.import_module(found.name)
        for _, value in inspect.getmembers(module, inspect.isclass):
            if value.__module__ == found.name:
                yield value


@cache
def _encodes_pictures(cls: type) -> bool:
    if issubclass(cls, ModularPipelineBlocks):
        return _block_encodes(cls)
    if any(
        _MAKES_EMBEDDINGS.search(name) and _takes_picture(function)
        for name, function in inspect.getmembers(cls, inspect.isfunction)
    ):
        return True
    call = vars(cls).get("__call__")
    return call is not None and _takes_picture(call) and _gives_embeddings(cls)


def _gives_embeddings(cls: type) -> bool:
    """Whether a pipeline's module has an output with prompt embeddings in it, as a prior's has."""
    return any(
        dataclasses.is_dataclass(value) and "prompt_embeds" in value.__dataclass_fields__
        for value in vars(importlib.import_module(cls.__module__)).values()
    )


def _block_encodes(cls: Any) -> bool:
    """A block that is none of others, and tells what it takes and makes. Else it may do so."""
    if hasattr(cls, "block_classes"):
        return False
    try:
        block = cls()
        inputs, outputs = block.inputs, block.intermediate_outputs
    except (TypeError, NotImplementedError, AttributeError):
        return True
    makes = any(one.name == "prompt_embeds" for one in outputs)
    return makes and any(one.name and _is_picture(one.name) for one in inputs)


def _takes_picture(function: Any) -> bool:
    return any(_is_picture(name) for name in inspect.signature(function).parameters)


def _is_picture(name: str) -> bool:
    return is_picture_name(name) and role_of(name) is Role.PIXELS
