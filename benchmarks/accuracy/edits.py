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


def do(make: Callable[..., Image.Image], **parameters: Any) -> Step:
    """A step, as the table writes it."""
    return Step(make, parameters)


def _rows(
    group: str, **rows: Step | Mapping[str, Any] | list[Step | Mapping[str, Any]]
) -> list[Edit]:
    """The edits of a group, by name: steps, and at last how to save if not as JPEG 90."""
    made = []
    for name, row in rows.items():
        parts = row if isinstance(row, list) else [row]
        steps = tuple(part for part in parts if isinstance(part, Step))
        saved = next((part for part in parts if not isinstance(part, Step)), _JPEG)
        made.append(Edit(group, f"{group}/{name}", steps, saved))
    return made


EDITS: tuple[Edit, ...] = (
    *_rows(
        "resize",
        half=do(_a.scale, by=0.5),
        three_quarters=do(_a.scale, by=0.75),
        double=do(_a.scale, by=2),
        half_bilinear=do(_a.scale, by=0.5, filter_="BILINEAR"),
        double_nearest=do(_a.scale, by=2, filter_="NEAREST"),
        longest_1024=do(_a.fit, longest=1024),
        longest_512=do(_a.fit, longest=512),
        longest_320=do(_a.fit, longest=320),
        longest_256=do(_a.fit, longest=256),
        there_and_back_third=do(_a.there_and_back, by=1 / 3),
    ),
    *_rows(
        "codec",
        jpeg_95={"format": "JPEG", "quality": 95},
        jpeg_70={"format": "JPEG", "quality": 70},
        jpeg_50={"format": "JPEG", "quality": 50},
        jpeg_30={"format": "JPEG", "quality": 30},
        jpeg_10={"format": "JPEG", "quality": 10},
        jpeg_progressive={"format": "JPEG", "quality": 80, "progressive": True},
        jpeg_four_times=[do(_a.jpeg, quality=70, times=4)],
        jpeg_grey=[do(_a.grey)],
        png=_PNG,
        png_palette=[do(_a.colours, count=64), _PNG],
        gif={"format": "GIF"},
        webp_80={"format": "WEBP", "quality": 80},
        webp_20={"format": "WEBP", "quality": 20},
        avif_50={"format": "AVIF", "quality": 50, "speed": 9},
    ),
    *_rows(
        "filter",
        blur_1=do(_a.blur, radius=1),
        blur_2=do(_a.blur, radius=2),
        blur_4=do(_a.blur, radius=4),
        motion_7=do(_a.motion, pixels=7),
        median_5=do(_a.median, size=5),
        sharpen_100=do(_a.sharpen, percent=100),
        sharpen_300=do(_a.sharpen, percent=300),
        noise_8=do(_a.noise, sigma=8),
        noise_25=do(_a.noise, sigma=25),
        speckle_2=do(_a.speckle, share=0.02),
        mosaic_4=do(_a.mosaic, block=4),
        mosaic_8=do(_a.mosaic, block=8),
        halftone=do(_a.halftone),
        emboss_30=do(_a.emboss, share=0.3),
    ),
    *_rows(
        "photometric",
        brightness_50=do(_a.brightness, factor=0.5),
        brightness_75=do(_a.brightness, factor=0.75),
        brightness_130=do(_a.brightness, factor=1.3),
        brightness_180=do(_a.brightness, factor=1.8),
        contrast_50=do(_a.contrast, factor=0.5),
        contrast_150=do(_a.contrast, factor=1.5),
        contrast_250=do(_a.contrast, factor=2.5),
        gamma_05=do(_a.gamma, exponent=0.5),
        gamma_2=do(_a.gamma, exponent=2),
        saturation_0=do(_a.saturation, factor=0),
        saturation_2=do(_a.saturation, factor=2),
        hue_40=do(_a.hue, degrees=40),
        hue_180=do(_a.hue, degrees=180),
        tint_warm=do(_a.tint, colour="#ff8800", share=0.25),
        washed_out=do(_a.tint, colour="white", share=0.6),
        sepia=do(_a.sepia),
        equalised=do(_a.equalise),
        levels_2=do(_a.stretch_levels, cutoff=2),
        posterised_2=do(_a.posterise, bits=2),
        solarised=do(_a.solarise, above=160),
        black_and_white=do(_a.black_and_white, above=128),
        vignette=do(_a.vignette, strength=0.8),
        light_from_left=do(_a.light_from_left, strength=0.5),
        channel_shift=do(_a.channel_shift, pixels=5),
    ),
    *_rows(
        "overlay",
        text_small=do(_c.text, size=0.05, words=3, y=0.93),
        text_middle=do(_c.text, size=0.12, words=2, y=0.5),
        text_large=do(_c.text, size=0.25, words=1, y=0.8),
        stamp=do(_c.stamp, size=0.05),
        watermark_large=do(_c.watermark, opacity=0.7, tiled=False),
        watermark_tiled=do(_c.watermark, opacity=0.4, tiled=True),
        logo_small=do(_c.logo, size=0.15, corner="bottom right"),
        logo_large=do(_c.logo, size=0.25, corner="top left"),
        smileys=do(_c.smiley, size=0.15, count=3),
        smiley_large=do(_c.smiley, size=0.35, count=1),
        sticker_25=do(_c.sticker, size=0.25),
        sticker_40=do(_c.sticker, size=0.4),
        bar_eyes=do(_c.bar, width=0.3, height=0.07),
        scribble=do(_c.scribble, strokes=3, width=0.02),
        banner=do(_c.banner, height=0.2, opacity=0.8, y=0.7),
        picture_in_it_25=do(_c.inset_other, size=0.25),
    ),
    *_rows(
        "border",
        letterbox_black=do(_c.pad, colour="black", top=0.15, bottom=0.15),
        letterbox_white=do(_c.pad, colour="white", top=0.25, bottom=0.25),
        pillarbox_black=do(_c.pad, colour="black", left=0.2, right=0.2),
        pillarbox_grey=do(_c.pad, colour="#808080", left=0.4, right=0.4),
        one_side=do(_c.pad, colour="white", right=0.3),
        uneven=do(_c.pad, colour="#dfe6ee", left=0.05, top=0.2, right=0.25, bottom=0.1),
        frame_black_thin=do(_c.frame, colour="black", share=0.02),
        frame_white=do(_c.frame, colour="white", share=0.1),
        frame_red=do(_c.frame, colour="#b01020", share=0.15),
        frame_wood=do(_c.frame, colour="#6b4226", share=0.12, inner="#e8c87a"),
        polaroid=do(_c.polaroid, words=0),
        polaroid_words=do(_c.polaroid, words=2),
        caption_bottom=do(_c.caption, where="bottom", height=0.15),
        caption_top=do(_c.caption, where="top", height=0.25, lines=2),
        caption_both=do(_c.caption, where="top bottom", height=0.18, dark=True),
        meme=do(_c.caption, where="top", height=0.4, lines=3),
        blurred_fill_portrait=do(_c.blurred_fill, width=9, height=16),
        blurred_fill_square=do(_c.blurred_fill, width=1, height=1),
        gradient_fill=do(_c.ground_fill, kind="gradient", share=0.15),
        noisy_fill=do(_c.ground_fill, kind="noise", share=0.15),
        rounded_white=do(_c.rounded, radius=0.12, margin=0.08, colour="white"),
    ),
    *_rows(
        "dihedral",
        mirrored=do(_a.turn, how="FLIP_LEFT_RIGHT"),
        flipped=do(_a.turn, how="FLIP_TOP_BOTTOM"),
        rotated_90=do(_a.turn, how="ROTATE_90"),
        rotated_180=do(_a.turn, how="ROTATE_180"),
        rotated_270=do(_a.turn, how="ROTATE_270"),
        transposed=do(_a.turn, how="TRANSPOSE"),
        transverse=do(_a.turn, how="TRANSVERSE"),
        exif_6=[do(_a.turn, how="ROTATE_90"), {**_JPEG, "orientation": 6}],
        negative=do(_a.negative),
    ),
    *_rows(
        "rotation",
        by_1_black=do(_a.rotate, degrees=1, fill="black"),
        by_2_black=do(_a.rotate, degrees=-2, fill="black"),
        by_3_white=do(_a.rotate, degrees=3, fill="white", expand=True),
        by_3_blurred=do(_a.rotate, degrees=-3, fill="blurred"),
        by_5_black=do(_a.rotate, degrees=-5, fill="black", expand=True),
        by_5_blurred=do(_a.rotate, degrees=5, fill="blurred"),
        by_8_white=do(_a.rotate, degrees=8, fill="white"),
        by_10_black=do(_a.rotate, degrees=10, fill="black", expand=True),
        by_10_blurred=do(_a.rotate, degrees=-10, fill="blurred"),
        by_15_black=do(_a.rotate, degrees=-15, fill="black", expand=True),
        cropped_2=do(_a.rotate_and_crop, degrees=2),
        cropped_5=do(_a.rotate_and_crop, degrees=-5),
        cropped_10=do(_a.rotate_and_crop, degrees=10),
    ),
    *_rows(
        "crop",
        centre_3=do(_a.crop_centre, away=0.03),
        centre_5=do(_a.crop_centre, away=0.05),
        centre_10=do(_a.crop_centre, away=0.1),
        centre_15=do(_a.crop_centre, away=0.15),
        centre_20=do(_a.crop_centre, away=0.2),
        centre_30=do(_a.crop_centre, away=0.3),
        centre_50=do(_a.crop_centre, away=0.5),
        left_5=do(_a.crop, left=0.05),
        right_10=do(_a.crop, right=0.1),
        left_20=do(_a.crop, left=0.2),
        top_5=do(_a.crop, top=0.05),
        bottom_10=do(_a.crop, bottom=0.1),
        top_20=do(_a.crop, top=0.2),
        off_centre=do(_a.crop, left=0.12, top=0.04, right=0.03, bottom=0.09),
        quarter=do(_a.crop, left=0.5, bottom=0.5),
        square=do(_a.crop_shape, width=1, height=1),
        wide=do(_a.crop_shape, width=16, height=9),
    ),
    *_rows(
        "geometry",
        wider_25=do(_a.stretch, width=1.25),
        wider_50=do(_a.stretch, width=1.5),
        higher_30=do(_a.stretch, height=1.3),
        higher_50=do(_a.stretch, height=1.5),
        squeezed_512=do(_a.squeeze, side=512),
        shear_5=do(_a.shear, by=0.05),
        shear_10=do(_a.shear, by=0.1),
        perspective_5=do(_a.perspective, by=0.05, side="corner"),
        perspective_10=do(_a.perspective, by=0.1),
        barrel=do(_a.lens, by=0.06),
        pincushion=do(_a.lens, by=-0.06),
        wave_1=do(_a.wave, by=0.01, waves=3),
        seam_8=do(_a.seam, at=0.45, by=0.08),
    ),
    *_rows(
        "screenshot",
        browser_light=do(_c.browser, dark=False),
        browser_dark=do(_c.browser, dark=True, width=0.8),
        browser_noisy=[do(_c.browser, dark=False, width=0.5), do(_a.jpeg, quality=40)],
        phone_light=do(_c.phone, dark=False),
        phone_dark=[do(_c.phone, dark=True), do(_a.jpeg, quality=50)],
        viewer_light=do(_c.viewer, dark=False),
        viewer_dark=do(_c.viewer, dark=True),
        post_light=do(_c.post, dark=False),
        post_dark=[do(_c.post, dark=True), do(_a.jpeg, quality=45)],
        chat_light=do(_c.chat, dark=False),
        chat_dark=do(_c.chat, dark=True),
        beside_text_left=do(_c.beside_text, dark=False, side="left", width=0.5),
        beside_text_right=do(_c.beside_text, dark=True, side="right", width=0.4),
        desktop=do(_c.desktop, dark=True, size=0.55),
    ),
    *_rows(
        "collage",
        beside_one=do(_c.grid, columns=2, rows=1),
        above_one_gutter=do(_c.grid, columns=1, rows=2, gutter=12),
        four=do(_c.grid, columns=2, rows=2),
        four_gutter=do(_c.grid, columns=2, rows=2, gutter=10),
        four_gutter_black=do(_c.grid, columns=2, rows=2, gutter=16, colour="black"),
        nine=do(_c.grid, columns=3, rows=3),
        nine_gutter=do(_c.grid, columns=3, rows=3, gutter=6),
        nine_square=do(_c.grid, columns=3, rows=3, gutter=6, cut=True),
        strip_3=do(_c.strip, count=3, gutter=8),
        uneven_large=do(_c.uneven, gutter=8, large=True),
        uneven_small=do(_c.uneven, gutter=8, large=False),
        inset_40=do(_c.inset, size=0.4, corner="bottom right"),
        inset_30=do(_c.inset, size=0.3, corner="top left"),
        card=do(_c.card, colour="#f4efe6", ink="#222222"),
    ),
    *_rows(
        "img2img",
        loss_100=do(_a.codec_loss, strength=1),
        squeezed_loss_50=[do(_a.squeeze, side=512), do(_a.codec_loss, strength=0.5)],
        square_loss_50=[
            do(_a.crop_shape, width=1, height=1),
            do(_a.fit, longest=512),
            do(_a.codec_loss, strength=0.5),
        ],
        square_repaint_40=[
            do(_a.crop_shape, width=1, height=1),
            do(_a.repaint, strength=0.4),
        ],
        palette_12=[do(_a.colours, count=12)],
        smooth=do(_a.smooth_areas, times=4, near=35),
        drawn=[do(_a.smooth_areas, times=3, near=40), do(_a.outlines, share=0.6)],
        warp_1=do(_a.warp, by=0.01),
        warp_4=do(_a.warp, by=0.04),
        repaint_30=do(_a.repaint, strength=0.3),
        repaint_60=do(_a.repaint, strength=0.6),
        repaint_100=do(_a.repaint, strength=1),
        cropped_loss_50=[do(_a.crop_centre, away=0.04), do(_a.codec_loss, strength=0.5)],
        enlarged_sharpened=[do(_a.scale, by=2), do(_a.sharpen, percent=200), do(_a.noise, sigma=6)],
    ),
    *_rows(
        "stacked",
        resize_text_jpeg=[
            do(_a.scale, by=0.6),
            do(_c.text, size=0.06, words=3, y=0.9),
            do(_a.jpeg, quality=50),
        ],
        blur_brightness_jpeg=[
            do(_a.blur, radius=1),
            do(_a.brightness, factor=1.3),
            do(_a.jpeg, quality=40),
        ],
        grey_noise_stretch=[do(_a.grey), do(_a.noise, sigma=12), do(_a.stretch, width=1.2)],
        mirror_border=[do(_a.turn, how="FLIP_LEFT_RIGHT"), do(_c.frame, colour="white", share=0.1)],
        caption_crop_jpeg=[
            do(_a.crop_centre, away=0.08),
            do(_c.caption, where="bottom", height=0.15),
            do(_a.jpeg, quality=60),
        ],
        screenshot_mirror=[do(_a.turn, how="FLIP_LEFT_RIGHT"), do(_c.browser, dark=False)],
        phone_of_meme=[do(_c.caption, where="top", height=0.2), do(_c.phone, dark=True)],
        border_rotation=[
            do(_c.frame, colour="black", share=0.08),
            do(_a.rotate, degrees=3, fill="white", expand=True),
        ],
        letterbox_text=[
            do(_c.pad, colour="black", top=0.2, bottom=0.2),
            do(_c.text, size=0.06, words=4, y=0.92),
        ],
        collage_quarter_turn=[
            do(_c.grid, columns=2, rows=1, gutter=8),
            do(_a.turn, how="ROTATE_90"),
        ],
        crop_text=[do(_a.crop_centre, away=0.06), do(_c.text, size=0.08, words=2, y=0.85)],
        negative_letterbox=[
            do(_a.negative),
            do(_c.pad, colour="black", top=0.15, bottom=0.15),
        ],
        stretch_border_jpeg=[
            do(_a.stretch, width=1.2),
            do(_c.frame, colour="#224466", share=0.06),
            do(_a.jpeg, quality=40),
        ],
    ),
)  # fmt: skip
"""All of them, in the order of the tables."""

GROUPS = tuple(dict.fromkeys(edit.group for edit in EDITS))
"""The groups' names, in the same order."""
