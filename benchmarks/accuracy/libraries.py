"""Edits by two independent libraries, so that edits and detectors do not share an author.

Both are optional. Their parameters are fixed where they allow it, else drawn from a fixed seed.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata, util
from typing import Any

import numpy as np
from PIL import Image

ALBUMENTATIONS = "albumentations"
AUGLY = "AugLy"
GROUPS = (ALBUMENTATIONS, AUGLY)

_JPEG_QUALITY = 90

# A transformation of albumentations, and its parameters.
_ALBUMENTATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "advanced_blur": ("AdvancedBlur", {}),
    "affine": ("Affine", {"scale": (0.95, 1.05), "rotate": (-3, 3), "shear": (-3, 3)}),
    "centre_crop_pad": ("CropAndPad", {"percent": -0.05}),
    "pad_10": ("CropAndPad", {"percent": 0.1}),
    "channel_shuffle": ("ChannelShuffle", {}),
    "clahe": ("CLAHE", {}),
    "coarse_dropout": ("CoarseDropout", {}),
    "colour_jitter": ("ColorJitter", {}),
    "compression": ("ImageCompression", {"quality_range": (20, 40)}),
    "defocus": ("Defocus", {"radius": (3, 5)}),
    "downscale": ("Downscale", {"scale_range": (0.3, 0.3)}),
    "elastic": ("ElasticTransform", {"alpha": 60, "sigma": 10}),
    "equalise": ("Equalize", {}),
    "fog": ("RandomFog", {}),
    "gamma": ("RandomGamma", {"gamma_limit": (50, 160)}),
    "gauss_noise": ("GaussNoise", {}),
    "glass_blur": ("GlassBlur", {}),
    "grid_distortion": ("GridDistortion", {}),
    "hue_saturation": ("HueSaturationValue", {}),
    "invert": ("InvertImg", {}),
    "mirror": ("HorizontalFlip", {}),
    "motion_blur": ("MotionBlur", {}),
    "optical_distortion": ("OpticalDistortion", {}),
    "perspective": ("Perspective", {"scale": (0.05, 0.05)}),
    "pixel_dropout": ("PixelDropout", {}),
    "rain": ("RandomRain", {}),
    "resized_crop": ("RandomResizedCrop", {"size": (400, 400), "scale": (0.7, 0.9)}),
    "rotate_5": ("SafeRotate", {"limit": (5, 5)}),
    "shadow": ("RandomShadow", {}),
    "snow": ("RandomSnow", {}),
    "sun_flare": ("RandomSunFlare", {}),
    "thin_plate": ("ThinPlateSpline", {"scale_range": (0.05, 0.05)}),
    "to_sepia": ("ToSepia", {}),
    "tone_curve": ("RandomToneCurve", {}),
    "transpose": ("Transpose", {}),
    "zoom_blur": ("ZoomBlur", {"max_factor": (1.05, 1.05)}),
}

# A function of augly.image, and its parameters. Its text, meme and perspective no longer work with
# current releases of Pillow and numpy.
_AUGLY: dict[str, tuple[str, dict[str, Any]]] = {
    "aspect_ratio": ("change_aspect_ratio", {"ratio": 1.0}),
    "blur": ("blur", {"radius": 3.0}),
    "brightness": ("brightness", {"factor": 1.6}),
    "colour_jitter": ("color_jitter", {"brightness_factor": 1.2, "contrast_factor": 1.3}),
    "crop_10": ("crop", {"x1": 0.05, "x2": 0.95, "y1": 0.05, "y2": 0.95}),
    "emoji": ("overlay_emoji", {"emoji_size": 0.2}),
    "encoding_20": ("encoding_quality", {"quality": 20}),
    "greyscale": ("grayscale", {}),
    "mirror": ("hflip", {}),
    "flip": ("vflip", {}),
    "on_background": ("overlay_onto_background_image", {"overlay_size": 0.7}),
    "opacity": ("opacity", {"level": 0.6}),
    "pad": ("pad", {"w_factor": 0.1, "h_factor": 0.15}),
    "pad_square": ("pad_square", {}),
    "pixelation": ("pixelization", {"ratio": 0.3}),
    "rotate_4": ("rotate", {"degrees": 4.0}),
    "saturation": ("saturation", {"factor": 2.0}),
    "screenshot": ("overlay_onto_screenshot", {}),
    "screenshot_phone": (
        "overlay_onto_screenshot",
        {"template_filepath": "mobile.png"},
    ),
    "shuffled_pixels": ("shuffle_pixels", {"factor": 0.1}),
    "sharpen": ("sharpen", {"factor": 3.0}),
    "skew": ("skew", {"skew_factor": 0.1}),
    "stripes": ("overlay_stripes", {"line_opacity": 0.5}),
}


@dataclass(frozen=True, slots=True)
class LibraryEdit:
    """One transformation of a library.

    Args:
        group: The library.
        name: Of its own.
        function: The library's name of it.
        parameters: Its.
    """

    group: str
    name: str
    function: str
    parameters: dict[str, Any]

    def __str__(self) -> str:
        told = ", ".join(f"{key}={value!r}" for key, value in self.parameters.items())
        return f"{self.group} {metadata.version(self.group)} {self.function}({told})"

    def apply(self, picture: Image.Image, *, photo: str, fillers: Sequence[Image.Image]) -> bytes:
        """The edited file, as :meth:`edits.Edit.apply` makes it."""
        drawn = hashlib.sha256(f"{self.name}/{photo}".encode()).digest()
        seed = int.from_bytes(drawn[:4], "big")
        make = _by_albumentations if self.group == ALBUMENTATIONS else _by_augly
        made = make(self, picture, seed, fillers)
        file = io.BytesIO()
        made.convert("RGB").save(file, "JPEG", quality=_JPEG_QUALITY)
        return file.getvalue()


def edits() -> Iterator[LibraryEdit]:
    """Those of the libraries that are installed."""
    tables = {ALBUMENTATIONS: _ALBUMENTATIONS, AUGLY: _AUGLY}
    for group, table in tables.items():
        if util.find_spec(group.lower()) is not None:
            for name, (function, parameters) in table.items():
                yield LibraryEdit(group, f"{group.lower()}/{name}", function, parameters)


def missing() -> list[str]:
    """The libraries that are not installed."""
    return [group for group in GROUPS if util.find_spec(group.lower()) is None]


def _by_albumentations(
    edit: LibraryEdit, picture: Image.Image, seed: int, _: Sequence[Image.Image]
) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.environ["NO_ALBUMENTATIONS_UPDATE"] = (
            "1"  # else it asks the network for its newest version
        )
        import albumentations  # noqa: PLC0415  # optional

        change = getattr(albumentations, edit.function)(**edit.parameters, p=1)
        made = albumentations.Compose([change], seed=seed)(image=np.asarray(picture))
    return Image.fromarray(made["image"])


def _by_augly(
    edit: LibraryEdit, picture: Image.Image, seed: int, fillers: Sequence[Image.Image]
) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from augly import image  # noqa: PLC0415  # optional
        from augly.utils import SCREENSHOT_TEMPLATES_DIR  # noqa: PLC0415

        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002  # it draws from numpy's global generator
        parameters = dict(edit.parameters)
        if template := parameters.get("template_filepath"):
            parameters["template_filepath"] = f"{SCREENSHOT_TEMPLATES_DIR}/{template}"
        if edit.function == "overlay_onto_background_image":
            parameters["background_image"] = fillers[seed % len(fillers)]
        change: Callable[..., Image.Image] = getattr(image, edit.function)
        return change(picture, **parameters)
