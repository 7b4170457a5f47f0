"""Hugging Face's Inference API: a server for any model, on any path, also the root.

A picture is the body as such, or base64 in ``inputs``, where prompts stand too. What a text is
there that is no picture: a URL, a path or a file's name is a reference, as the loaders of such
servers open it; all else is words. Elsewhere, paths are references as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from initgate.service.proxy.core import Dialect, Hint, Response, Route, Sign
from initgate.service.proxy.dialects.answers import to_message, to_response
from initgate.service.proxy.found import Node, Where, walk
from initgate.service.proxy.names import MEDIA_FILE, PATH, URL, is_path


def _refuse(message: str, decision_id: str) -> Response:
    # Not 403, to which the client adds that the token lacks permissions.
    return to_response(400, {"error": to_message(message, decision_id)}, decision_id)


_BODY: Where = ()
_INPUTS: Where = ("inputs",)
_MODEL: Where = ("model",)


def _prompt_hints(root: Node) -> Iterator[Hint]:
    for where, node in walk(root):
        if not isinstance(node, str):
            continue
        if where in {_BODY, _INPUTS}:
            if not _names_file(node):
                yield Hint(where, Sign.WORDS)
        elif where[-1:] == _MODEL:  # which servers call by the path of its folder
            continue
        elif is_path(node) or (where[:1] == _INPUTS and _names_file(node)):
            yield Hint(where, Sign.REFERENCE)


def _names_file(text: str) -> bool:
    return any(form.fullmatch(text) for form in (URL, PATH, MEDIA_FILE))


_NAMES = (
    "image",
    "image_url",
    "init_image",
    "input_image",
    "mask",
    "mask_image",
    "control_image",
    "conditioning_image",
    "ip_adapter_image",
    "images.*",
    "image_urls.*",
    "input_images.*",
    "reference_images.*",
)

HUGGINGFACE = Dialect(
    name="huggingface",
    refuse=_refuse,
    routes=(
        Route(
            r"/.*",
            methods=("POST", "PUT"),
            images=(
                "",
                "inputs",
                # A pipeline's own fields, and those of other providers behind the same client.
                *(f"{above}{name}" for name in _NAMES for above in ("", "inputs.", "parameters.")),
            ),
            references=("**.image_url", "**.image_url.url", "**.file_id", "**.file_ids.*"),
            rule=_prompt_hints,
        ),
    ),
)
"""The dialect ``huggingface``."""
