"""The main job, shown: one photo is generated from, three disguises of a listed one are refused.

It does what a user does: ``load_gate``, ``protect``, and calls of the pipeline.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage
import sklearn
from transformers.utils import logging

from initgate.errors import InitImageRefused
from initgate.gate import Gate
from initgate.image import decode, encode, to_pil
from initgate.model import Levels

logging.set_verbosity_error()  # its advice about torchvision is no part of the show

from initgate.integrations.diffusers import protect  # noqa: E402  # after the silence
from initgate.integrations.tiny import CallCounter, tiny_img2img  # noqa: E402  # the same

_UNLISTED = Path(sklearn.__file__).parent / "datasets/images/flower.jpg"
_LISTED = Path(skimage.__file__).parent / "data/astronaut.png"


@dataclass(frozen=True, slots=True)
class Step:
    """One call of the pipeline.

    Args:
        what: The picture that was given to it.
        decision_id: Of the refusal; empty if it generated.
        generated: Width and height of the result in pixels, None if refused.
        calls: What its models were asked to do.
    """

    what: str
    decision_id: str
    generated: tuple[int, int] | None
    calls: CallCounter


def run(gate: Gate) -> Iterator[Step]:
    """Calls a protected tiny pipeline with four pictures.

    Args:
        gate: One whose lists hold the astronaut photo of scikit-image, as the sample lists do.
    """
    pipe = protect(tiny_img2img(), gate)
    unlisted, listed = _photo(_UNLISTED.read_bytes(), gate), _photo(_LISTED.read_bytes(), gate)
    # Smaller, since it is generated from: attention takes the square of the number of pixels.
    unlisted = np.ascontiguousarray(unlisted[::4, ::4])
    half = np.ascontiguousarray(listed[::2, ::2])
    reencoded = _photo(encode(half, "JPEG", quality=40), gate)
    mirrored = np.ascontiguousarray(listed[:, ::-1])
    for what, picture in (
        ("a photo on no list", unlisted),
        ("a listed photo", listed),
        ("the same at half size, JPEG quality 40", reencoded),
        ("the same mirrored", mirrored),
    ):
        counter = CallCounter.on(pipe)
        try:
            result = pipe(
                prompt="a photo", image=to_pil(picture), strength=0.6, num_inference_steps=4
            )
            yield Step(what, "", result.images[0].size, counter)
        except InitImageRefused as refusal:
            yield Step(what, refusal.decision_id, None, counter)


def _photo(data: bytes, gate: Gate) -> Levels:
    return decode(data, limits=gate.limits).pixels[0].levels
