"""AUTOMATIC1111's web UI, Forge and SD.Next: their API, and the routes of their own web page."""

from __future__ import annotations

from collections.abc import Iterator

from initgate.service.proxy.core import Dialect, Hint, Response, Route, Sign
from initgate.service.proxy.dialects import gradio
from initgate.service.proxy.dialects.answers import to_message, to_response
from initgate.service.proxy.found import Node, walk
from initgate.service.proxy.names import PATH


def _refuse(message: str, decision_id: str) -> Response:
    # As modules/api puts an HTTPException, whose detail clients show.
    content = {
        "error": "HTTPException",
        "detail": to_message(message, decision_id),
        "body": "",
        "errors": "",
    }
    return to_response(403, content, decision_id)


def _script_hints(root: Node) -> Iterator[Hint]:
    """Arguments of scripts have no names: what looks like a path may be a folder of pictures."""
    for where, node in walk(root):
        is_argument = where[:1] == ("script_args",) or "args" in where
        if is_argument and isinstance(node, str) and PATH.fullmatch(node):
            yield Hint(where, Sign.REFERENCE)


# A ControlNet unit's, under all the names that it has had.
_UNIT = (
    "image",
    "image.image",
    "image.mask",
    "mask",
    "mask_image",
    "input_image",
    "effective_region_mask",
    "ipadapter_input",
    "ipadapter_input.*",
    "batch_image_files.*",
)
_FOLDERS = ("batch_images", "batch_image_dir", "batch_mask_dir", "batch_input_gallery")

A1111 = Dialect(
    name="a1111",
    refuse=_refuse,
    routes=(
        Route(
            r"/sdapi/v1/(?:img2img|txt2img)",
            images=(
                "init_images",
                "init_images.*",
                "mask",
                "firstpass_image",
                *(f"alwayson_scripts.**.{name}" for name in _UNIT),
                *(f"script_args.**.{name}" for name in _UNIT),
                *(f"controlnet_units.*.{name}" for name in _UNIT),
            ),
            references=tuple(f"**.{name}" for name in _FOLDERS),
            rule=_script_hints,
        ),
        Route(r"/sdapi/v1/(?:extra-single-image|png-info|interrogate)", images=("image",)),
        Route(r"/sdapi/v1/extra-batch-images", images=("imageList.*.data", "imageList.*")),
        Route(r"/sdapi/v1/(?:preprocess|train/\w+)", references=("process_src", "data_root")),
        Route(
            r"/controlnet/\w+",
            images=("controlnet_input_images.*", "controlnet_masks.*", "image", "mask"),
        ),
        *gradio.ROUTES,
    ),
)
"""The dialect ``a1111``."""
