"""What the values under a name are: policy, never discovery. Any value is looked at anywhere."""

from __future__ import annotations

import inspect
import re
from enum import Enum, auto
from typing import Any

_OTHER = re.compile(
    r"prompt|text_embeds|attention_mask|text_mask"
    r"|audio|waveform|c2w|intrinsics|extrinsics|noise_level|noise_aug"
)
_SEEN = re.compile(r"image|video|frame|pixel")  # in a name: image_prompt, prompt_image
_ENCODED = re.compile(
    r"latents?(_|$)|embed|hidden|token|context|id_cond|features|rows$"
    r"|noise(?!_(level|aug|scale|strength))"
)
_MASK = re.compile(r"mask")
_PIXELS = re.compile(
    r"image|video|frame|mask|hint|depth_map|condition|reference|pose|face|kps|controls|background"
)
_COUNT = re.compile(r"num_|frame_rate|.*_size$|.*_scale$")
_PLACE = re.compile(r"url|uri|path|base64")
_OUTPUT_SIDE = re.compile(r"decode|unpack|postprocess|set_|get_default")


class Role(Enum):
    """How the arrays under a name are looked at."""

    PIXELS = auto()
    MASK = auto()
    ENCODED = auto()
    OTHER = auto()
    """Text, sound, cameras: what conditions a picture and holds none."""


def role_of(name: str, *, text_holds_images: bool = False) -> Role:
    """What arrays under a name are.

    Text conditioning (``prompt_embeds`` and the like) and sound go through, unless the pipeline
    puts its pictures into the prompt too. Latents and image embeddings hold no pixels, whatever
    their shape. Masks are pictures whose channel axis may be a batch.

    Args:
        name: An argument, dictionary key or field.
        text_holds_images: From :func:`.families.text_holds_images`.
    """
    if _is_other(name):
        return Role.ENCODED if text_holds_images and "embeds" in name else Role.OTHER
    if _ENCODED.search(name):
        return Role.ENCODED
    return Role.MASK if _MASK.search(name) else Role.PIXELS


def names_a_picture(name: str) -> bool:
    """Whether a string under this name is something that a pipeline would open."""
    return not _is_other(name) and bool(_PIXELS.search(name) or _PLACE.search(name))


def is_way_in(name: str, function: Any) -> bool:
    """Whether a method of a pipeline class is a way in: ``__call__``, or public with a picture.

    ``encode_prompt`` is one too, so that what it gives out is known to be the gate's own. Methods
    on the output side (``decode_latents``, ``postprocess…``) are not.
    """
    if name in {"__call__", "encode_prompt"}:
        return True
    if name.startswith("_") or _OUTPUT_SIDE.match(name) or not inspect.isfunction(function):
        return False
    return any(is_picture_name(argument) for argument in inspect.signature(function).parameters)


def is_picture_name(name: str) -> bool:
    """Whether an argument of this name is a picture, and no number, size or text."""
    return bool(_PIXELS.search(name)) and not _COUNT.match(name) and not _is_other(name)


def _is_other(name: str) -> bool:
    return bool(_OTHER.search(name)) and not _SEEN.search(name)
