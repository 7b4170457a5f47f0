"""The ordinary edits that recognition is measured with: one table, every parameter in it.

An edit is a row: a group, a name, steps, and how the result is saved. It was composed by what plain
PDQ makes of it on the development photos, before any other method was measured, and is frozen.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import alter
import compose
import numpy as np
from PIL import Image

_JPEG: Mapping[str, Any] = {"format": "JPEG", "quality": 90}
_PNG: Mapping[str, Any] = {"format": "PNG", "compress_level": 1}

# What these need beside the picture: random numbers. All of compose takes a lot.
_RANDOM = {alter.noise, alter.speckle, alter.warp, alter.codec_loss, alter.repaint}


@dataclass(frozen=True, slots=True)
class Step:
    """A function of :mod:`alter` or :mod:`compose`, and its parameters."""

    make: Callable[..., Image.Image]
    parameters: Mapping[str, Any]

    def __str__(self) -> str:
        told = ", ".join(f"{key}={value!r}" for key, value in self.parameters.items())
        return f"{self.make.__name__}({told})"

    def take(self, picture: Image.Image, lot: compose.Lot) -> Image.Image:
        """The picture after this step."""
        if self.make in _RANDOM:
            return self.make(picture, lot.random, **self.parameters)
        if self.make.__module__ == compose.__name__:
            return self.make(picture, lot, **self.parameters)
        return self.make(picture, **self.parameters)


@dataclass(frozen=True, slots=True)
class Edit:
    """A row of the table.

    Args:
        group: What kind of edit.
        name: Of its own.
        steps: One after the other.
        saved: For Pillow: format and options.
    """

    group: str
    name: str
    steps: tuple[Step, ...]
    saved: Mapping[str, Any] = field(default_factory=lambda: _JPEG)

    def __str__(self) -> str:
        return " → ".join([*map(str, self.steps), f"save({_told(self.saved)})"])

    def apply(self, picture: Image.Image, *, photo: str, fillers: Sequence[Image.Image]) -> bytes:
        """The edited file; the same bytes for the same picture and names.

        Args:
            picture: RGB.
            photo: The picture's name, of which and the edit's random numbers are made.
            fillers: The other photos of collages.
        """
        seed = hashlib.sha256(f"{self.name}/{photo}".encode()).digest()
        random = np.random.default_rng(int.from_bytes(seed[:8], "big"))
        order = random.permutation(len(fillers))
        lot = compose.Lot(random, lambda number: fillers[order[number % len(fillers)]])
        for step in self.steps:
            picture = step.take(picture.convert("RGB"), lot)
        return save(picture, self.saved)


def save(picture: Image.Image, saved: Mapping[str, Any]) -> bytes:
    """The picture as a file."""
    file = io.BytesIO()
    options = dict(saved)
    if options["format"] == "JPEG" and picture.mode == "P":
        picture = picture.convert("RGB")
    if orientation := options.pop("orientation", None):
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    picture.save(file, **options)
    return file.getvalue()


def _told(saved: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in saved.items())


# ── the table ─────────────────────────────────────────────────────────────────────────────────

_a, _c = alter, compose


def _rows(group: str, **made: Any) -> list[Edit]:
    """Rows of a group: a name, and steps ``(function, parameters)`` with ``save`` as a last one."""
    rows = []
    for name, row in made.items():
        steps = row if isinstance(row, list) else [row]
        saved = next((step for step in steps if isinstance(step, dict)), _JPEG)
        taken = tuple(
            Step(make, given) for make, given in (s for s in steps if isinstance(s, tuple))
        )
        rows.append(Edit(group, f"{group}/{name}", taken, saved))
    return rows


def _(
    make: Callable[..., Image.Image], **parameters: Any
) -> tuple[Callable[..., Image.Image], Any]:
    return make, parameters


EDITS: tuple[Edit, ...] = (
    *_rows(
        "resize",
        half=_(_a.scale, by=0.5),
        three_quarters=_(_a.scale, by=0.75),
        double=_(_a.scale, by=2),
        half_bilinear=_(_a.scale, by=0.5, filter_="BILINEAR"),
        double_nearest=_(_a.scale, by=2, filter_="NEAREST"),
        longest_1024=_(_a.fit, longest=1024),
        longest_512=_(_a.fit, longest=512),
        longest_320=_(_a.fit, longest=320),
        longest_256=_(_a.fit, longest=256),
        there_and_back_third=_(_a.there_and_back, by=1 / 3),
    ),
    *_rows(
        "codec",
        jpeg_95={"format": "JPEG", "quality": 95},
        jpeg_70={"format": "JPEG", "quality": 70},
        jpeg_50={"format": "JPEG", "quality": 50},
        jpeg_30={"format": "JPEG", "quality": 30},
        jpeg_10={"format": "JPEG", "quality": 10},
        jpeg_progressive={"format": "JPEG", "quality": 80, "progressive": True},
        jpeg_four_times=[_(_a.jpeg, quality=70, times=4)],
        jpeg_grey=[_(_a.grey)],
        png=_PNG,
        png_palette=[_(_a.colours, count=64), _PNG],
        gif={"format": "GIF"},
        webp_80={"format": "WEBP", "quality": 80},
        webp_20={"format": "WEBP", "quality": 20},
        avif_50={"format": "AVIF", "quality": 50, "speed": 9},
    ),
    *_rows(
        "filter",
        blur_1=_(_a.blur, radius=1),
        blur_2=_(_a.blur, radius=2),
        blur_4=_(_a.blur, radius=4),
        motion_7=_(_a.motion, pixels=7),
        median_5=_(_a.median, size=5),
        sharpen_100=_(_a.sharpen, percent=100),
        sharpen_300=_(_a.sharpen, percent=300),
        noise_8=_(_a.noise, sigma=8),
        noise_25=_(_a.noise, sigma=25),
        speckle_2=_(_a.speckle, share=0.02),
        mosaic_4=_(_a.mosaic, block=4),
        mosaic_8=_(_a.mosaic, block=8),
        halftone=_(_a.halftone),
        emboss_30=_(_a.emboss, share=0.3),
    ),
    *_rows(
        "photometric",
        brightness_50=_(_a.brightness, factor=0.5),
        brightness_75=_(_a.brightness, factor=0.75),
        brightness_130=_(_a.brightness, factor=1.3),
        brightness_180=_(_a.brightness, factor=1.8),
        contrast_50=_(_a.contrast, factor=0.5),
        contrast_150=_(_a.contrast, factor=1.5),
        contrast_250=_(_a.contrast, factor=2.5),
        gamma_05=_(_a.gamma, exponent=0.5),
        gamma_2=_(_a.gamma, exponent=2),
        saturation_0=_(_a.saturation, factor=0),
        saturation_2=_(_a.saturation, factor=2),
        hue_40=_(_a.hue, degrees=40),
        hue_180=_(_a.hue, degrees=180),
        tint_warm=_(_a.tint, colour="#ff8800", share=0.25),
        washed_out=_(_a.tint, colour="white", share=0.6),
        sepia=_(_a.sepia),
        equalised=_(_a.equalise),
        levels_2=_(_a.stretch_levels, cutoff=2),
        posterised_2=_(_a.posterise, bits=2),
        solarised=_(_a.solarise, above=160),
        black_and_white=_(_a.black_and_white, above=128),
        vignette=_(_a.vignette, strength=0.8),
        light_from_left=_(_a.light_from_left, strength=0.5),
        channel_shift=_(_a.channel_shift, pixels=5),
    ),
    *_rows(
        "overlay",
        text_small=_(_c.text, size=0.05, words=3, y=0.93),
        text_middle=_(_c.text, size=0.12, words=2, y=0.5),
        text_large=_(_c.text, size=0.25, words=1, y=0.8),
        stamp=_(_c.stamp, size=0.05),
        watermark_large=_(_c.watermark, opacity=0.7, tiled=False),
        watermark_tiled=_(_c.watermark, opacity=0.4, tiled=True),
        logo_small=_(_c.logo, size=0.15, corner="bottom right"),
        logo_large=_(_c.logo, size=0.25, corner="top left"),
        smileys=_(_c.smiley, size=0.15, count=3),
        smiley_large=_(_c.smiley, size=0.35, count=1),
        sticker_25=_(_c.sticker, size=0.25),
        sticker_40=_(_c.sticker, size=0.4),
        bar_eyes=_(_c.bar, width=0.3, height=0.07),
        scribble=_(_c.scribble, strokes=3, width=0.02),
        banner=_(_c.banner, height=0.2, opacity=0.8, y=0.7),
        picture_in_it_25=_(_c.inset_other, size=0.25),
    ),
    *_rows(
        "border",
        letterbox_black=_(_c.pad, colour="black", top=0.15, bottom=0.15),
        letterbox_white=_(_c.pad, colour="white", top=0.25, bottom=0.25),
        pillarbox_black=_(_c.pad, colour="black", left=0.2, right=0.2),
        pillarbox_grey=_(_c.pad, colour="#808080", left=0.4, right=0.4),
        one_side=_(_c.pad, colour="white", right=0.3),
        uneven=_(_c.pad, colour="#dfe6ee", left=0.05, top=0.2, right=0.25, bottom=0.1),
        frame_black_thin=_(_c.frame, colour="black", share=0.02),
        frame_white=_(_c.frame, colour="white", share=0.1),
        frame_red=_(_c.frame, colour="#b01020", share=0.15),
        frame_wood=_(_c.frame, colour="#6b4226", share=0.12, inner="#e8c87a"),
        polaroid=_(_c.polaroid, words=0),
        polaroid_words=_(_c.polaroid, words=2),
        caption_bottom=_(_c.caption, where="bottom", height=0.15),
        caption_top=_(_c.caption, where="top", height=0.25, lines=2),
        caption_both=_(_c.caption, where="top bottom", height=0.18, dark=True),
        meme=_(_c.caption, where="top", height=0.4, lines=3),
        blurred_fill_portrait=_(_c.blurred_fill, width=9, height=16),
        blurred_fill_square=_(_c.blurred_fill, width=1, height=1),
        gradient_fill=_(_c.ground_fill, kind="gradient", share=0.15),
        noisy_fill=_(_c.ground_fill, kind="noise", share=0.15),
        rounded_white=_(_c.rounded, radius=0.12, margin=0.08, colour="white"),
    ),
    *_rows(
        "dihedral",
        mirrored=_(_a.turn, how="FLIP_LEFT_RIGHT"),
        flipped=_(_a.turn, how="FLIP_TOP_BOTTOM"),
        rotated_90=_(_a.turn, how="ROTATE_90"),
        rotated_180=_(_a.turn, how="ROTATE_180"),
        rotated_270=_(_a.turn, how="ROTATE_270"),
        transposed=_(_a.turn, how="TRANSPOSE"),
        transverse=_(_a.turn, how="TRANSVERSE"),
        exif_6=[_(_a.turn, how="ROTATE_90"), {**_JPEG, "orientation": 6}],
        negative=_(_a.negative),
    ),
    *_rows(
        "rotation",
        by_1_black=_(_a.rotate, degrees=1, fill="black"),
        by_2_black=_(_a.rotate, degrees=-2, fill="black"),
        by_3_white=_(_a.rotate, degrees=3, fill="white", expand=True),
        by_3_blurred=_(_a.rotate, degrees=-3, fill="blurred"),
        by_5_black=_(_a.rotate, degrees=-5, fill="black", expand=True),
        by_5_blurred=_(_a.rotate, degrees=5, fill="blurred"),
        by_8_white=_(_a.rotate, degrees=8, fill="white"),
        by_10_black=_(_a.rotate, degrees=10, fill="black", expand=True),
        by_10_blurred=_(_a.rotate, degrees=-10, fill="blurred"),
        by_15_black=_(_a.rotate, degrees=-15, fill="black", expand=True),
        cropped_2=_(_a.rotate_and_crop, degrees=2),
        cropped_5=_(_a.rotate_and_crop, degrees=-5),
        cropped_10=_(_a.rotate_and_crop, degrees=10),
    ),
    *_rows(
        "crop",
        centre_3=_(_a.crop_centre, away=0.03),
        centre_5=_(_a.crop_centre, away=0.05),
        centre_10=_(_a.crop_centre, away=0.1),
        centre_15=_(_a.crop_centre, away=0.15),
        centre_20=_(_a.crop_centre, away=0.2),
        centre_30=_(_a.crop_centre, away=0.3),
        centre_50=_(_a.crop_centre, away=0.5),
        left_5=_(_a.crop, left=0.05),
        right_10=_(_a.crop, right=0.1),
        left_20=_(_a.crop, left=0.2),
        top_5=_(_a.crop, top=0.05),
        bottom_10=_(_a.crop, bottom=0.1),
        top_20=_(_a.crop, top=0.2),
        off_centre=_(_a.crop, left=0.12, top=0.04, right=0.03, bottom=0.09),
        quarter=_(_a.crop, left=0.5, bottom=0.5),
        square=_(_a.crop_shape, width=1, height=1),
        wide=_(_a.crop_shape, width=16, height=9),
    ),
    *_rows(
        "geometry",
        wider_25=_(_a.stretch, width=1.25),
        wider_50=_(_a.stretch, width=1.5),
        higher_30=_(_a.stretch, height=1.3),
        higher_50=_(_a.stretch, height=1.5),
        squeezed_512=_(_a.squeeze, side=512),
        shear_5=_(_a.shear, by=0.05),
        shear_10=_(_a.shear, by=0.1),
        perspective_5=_(_a.perspective, by=0.05, side="corner"),
        perspective_10=_(_a.perspective, by=0.1),
        barrel=_(_a.lens, by=0.06),
        pincushion=_(_a.lens, by=-0.06),
        wave_1=_(_a.wave, by=0.01, waves=3),
        seam_8=_(_a.seam, at=0.45, by=0.08),
    ),
    *_rows(
        "screenshot",
        browser_light=_(_c.browser, dark=False),
        browser_dark=_(_c.browser, dark=True, width=0.8),
        browser_noisy=[_(_c.browser, dark=False, width=0.5), _(_a.jpeg, quality=40)],
        phone_light=_(_c.phone, dark=False),
        phone_dark=[_(_c.phone, dark=True), _(_a.jpeg, quality=50)],
        viewer_light=_(_c.viewer, dark=False),
        viewer_dark=_(_c.viewer, dark=True),
        post_light=_(_c.post, dark=False),
        post_dark=[_(_c.post, dark=True), _(_a.jpeg, quality=45)],
        chat_light=_(_c.chat, dark=False),
        chat_dark=_(_c.chat, dark=True),
        beside_text_left=_(_c.beside_text, dark=False, side="left", width=0.5),
        beside_text_right=_(_c.beside_text, dark=True, side="right", width=0.4),
        desktop=_(_c.desktop, dark=True, size=0.55),
    ),
    *_rows(
        "collage",
        beside_one=_(_c.grid, columns=2, rows=1),
        above_one_gutter=_(_c.grid, columns=1, rows=2, gutter=12),
        four=_(_c.grid, columns=2, rows=2),
        four_gutter=_(_c.grid, columns=2, rows=2, gutter=10),
        four_gutter_black=_(_c.grid, columns=2, rows=2, gutter=16, colour="black"),
        nine=_(_c.grid, columns=3, rows=3),
        nine_gutter=_(_c.grid, columns=3, rows=3, gutter=6),
        nine_square=_(_c.grid, columns=3, rows=3, gutter=6, cut=True),
        strip_3=_(_c.strip, count=3, gutter=8),
        uneven_large=_(_c.uneven, gutter=8, large=True),
        uneven_small=_(_c.uneven, gutter=8, large=False),
        inset_40=_(_c.inset, size=0.4, corner="bottom right"),
        inset_30=_(_c.inset, size=0.3, corner="top left"),
        card=_(_c.card, colour="#f4efe6", ink="#222222"),
    ),
    *_rows(
        "img2img",
        loss_100=_(_a.codec_loss, strength=1),
        squeezed_loss_50=[_(_a.squeeze, side=512), _(_a.codec_loss, strength=0.5)],
        square_loss_50=[
            _(_a.crop_shape, width=1, height=1),
            _(_a.fit, longest=512),
            _(_a.codec_loss, strength=0.5),
        ],
        square_repaint_40=[
            _(_a.crop_shape, width=1, height=1),
            _(_a.repaint, strength=0.4),
        ],
        palette_12=[_(_a.colours, count=12)],
        smooth=_(_a.smooth_areas, times=4, near=35),
        drawn=[_(_a.smooth_areas, times=3, near=40), _(_a.outlines, share=0.6)],
        warp_1=_(_a.warp, by=0.01),
        warp_4=_(_a.warp, by=0.04),
        repaint_30=_(_a.repaint, strength=0.3),
        repaint_60=_(_a.repaint, strength=0.6),
        repaint_100=_(_a.repaint, strength=1),
        cropped_loss_50=[_(_a.crop_centre, away=0.04), _(_a.codec_loss, strength=0.5)],
        enlarged_sharpened=[_(_a.scale, by=2), _(_a.sharpen, percent=200), _(_a.noise, sigma=6)],
    ),
    *_rows(
        "stacked",
        resize_text_jpeg=[
            _(_a.scale, by=0.6),
            _(_c.text, size=0.06, words=3, y=0.9),
            _(_a.jpeg, quality=50),
        ],
        blur_brightness_jpeg=[
            _(_a.blur, radius=1),
            _(_a.brightness, factor=1.3),
            _(_a.jpeg, quality=40),
        ],
        grey_noise_stretch=[_(_a.grey), _(_a.noise, sigma=12), _(_a.stretch, width=1.2)],
        mirror_border=[_(_a.turn, how="FLIP_LEFT_RIGHT"), _(_c.frame, colour="white", share=0.1)],
        caption_crop_jpeg=[
            _(_a.crop_centre, away=0.08),
            _(_c.caption, where="bottom", height=0.15),
            _(_a.jpeg, quality=60),
        ],
        screenshot_mirror=[_(_a.turn, how="FLIP_LEFT_RIGHT"), _(_c.browser, dark=False)],
        phone_of_meme=[_(_c.caption, where="top", height=0.2), _(_c.phone, dark=True)],
        border_rotation=[
            _(_c.frame, colour="black", share=0.08),
            _(_a.rotate, degrees=3, fill="white", expand=True),
        ],
        letterbox_text=[
            _(_c.pad, colour="black", top=0.2, bottom=0.2),
            _(_c.text, size=0.06, words=4, y=0.92),
        ],
        collage_quarter_turn=[
            _(_c.grid, columns=2, rows=1, gutter=8),
            _(_a.turn, how="ROTATE_90"),
        ],
        crop_text=[_(_a.crop_centre, away=0.06), _(_c.text, size=0.08, words=2, y=0.85)],
        negative_letterbox=[
            _(_a.negative),
            _(_c.pad, colour="black", top=0.15, bottom=0.15),
        ],
        stretch_border_jpeg=[
            _(_a.stretch, width=1.2),
            _(_c.frame, colour="#224466", share=0.06),
            _(_a.jpeg, quality=40),
        ],
    ),
)  # fmt: skip
"""All of them, in the order of the tables."""

GROUPS = tuple(dict.fromkeys(edit.group for edit in EDITS))
"""The groups' names, in the same order."""
