"""What bytes are, by how they begin. No name and no content type is asked.

Everything that some decoder might open as a picture counts as one here, also what door 1 does not
read: the gate refuses that as unreadable.
"""

from __future__ import annotations

import re

# Enough of the beginning for every signature below.
HEAD = 1024

_SIGNATURES: tuple[tuple[str, bytes], ...] = (
    ("jpeg", rb"\xff\xd8\xff"),
    ("png", rb"\x89PNG"),
    ("mng", rb"\x8aMNG|\x8bJNG"),
    ("gif", rb"GIF8[79]a"),
    # One of the sizes that a bitmap's header has: "BM" alone begins words.
    ("bmp", rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00"),
    ("tiff", rb"II[*+]\x00|MM\x00[*+]|II\x00\*|MM\*\x00"),
    ("jpeg xr", rb"II\xbc[\x00\x01]"),
    # RIFF and the ISO base format hold WebP, AVIF and HEIC, and films.
    ("riff", rb"RIF[FX].{4}(?!WAVE)[A-Z]"),
    ("iso media", rb"\x00.{3}(?:ftyp|moov|mdat|free|skip|wide)"),
    ("jpeg 2000", rb"\x00\x00\x00\x0cjP|\xff\x4f\xff\x51"),
    ("jpeg xl", rb"\xff\x0a|\x00\x00\x00\x0cJXL "),
    ("ico", rb"\x00\x00[\x01\x02]\x00[^\x00]\x00"),
    ("icns", rb"icns[\x00-\x0f]"),
    ("psd", rb"8BPS\x00"),
    ("xcf", rb"gimp xcf"),
    ("exr", rb"\x76\x2f\x31\x01"),
    ("hdr", rb"#\?(?:RADIANCE|RGBE)"),
    ("dds", rb"DDS \x7c"),
    ("qoi", rb"qoif[\x00\x01]"),
    ("pnm", rb"P[1-6Ff][\n\r\t ]+(?:#|-?[0-9.]+[\n\r\t ]+[#0-9])|P7\nWIDTH|P7 332"),
    ("xpm", rb"/\* XPM \*/|! XPM2"),
    ("xbm", rb"\s*#define\s+\w+_width\s"),
    ("postscript", rb"%!PS|\xc5\xd0\xd3\xc6"),
    ("pdf", rb"%PDF-"),
    ("sgi", rb"\x01\xda[\x00\x01][\x01\x02]"),
    ("fli", rb".{4}[\x11\x12]\xaf.{6}\x08\x00[\x00\x03]\x00"),
    ("pcx", rb"\x0a[\x00\x02-\x05][\x00\x01][\x01\x02\x04\x08]"),
    ("sun raster", rb"\x59\xa6\x6a\x95"),
    ("fits", rb"SIMPLE  ="),
    ("windows metafile", rb"\xd7\xcd\xc6\x9a|\x01\x00\x00\x00.{36} EMF"),
    ("flif", rb"FLIF[\x31-\x6f][012]"),
    ("bpg", rb"BPG\xfb"),
    ("ktx", rb"\xabKTX"),
    ("farbfeld", rb"farbfeld"),
    ("djvu", rb"AT&TFORM"),
    ("blp", rb"BLP[12][\x00-\x03]"),
    ("matroska", rb"\x1a\x45\xdf\xa3"),
    ("mpeg", rb"\x00\x00\x01[\xb3\xba]"),
    ("flash video", rb"FLV\x01"),
    ("asf", rb"\x30\x26\xb2\x75"),
    ("ogg", rb"OggS\x00"),
)
_IMAGE = re.compile(
    b"|".join(b"(" + pattern + b")" for _, pattern in _SIGNATURES),
    re.DOTALL,
)
# Behind a declaration and comments, whose length is anything.
_SVG = re.compile(rb"<!DOCTYPE\s+svg|<(?:\w{1,20}:)?svg[\s>/]")
_BEFORE_MARKUP = b" \t\r\n\f\v\x00\xef\xbb\xbf"  # and a byte order mark
_BEFORE_MARKUP_TEXT = " \t\r\n\f\v\x00\ufeff"
# The length of a comment, then kinds of palette and picture; at last bits of a pixel.
_TGA = re.compile(rb".[\x00\x01][\x01-\x03\x09-\x0b].{13}[\x01\x08\x0f\x10\x18\x20]", re.DOTALL)
_NAMES = tuple(name for name, _ in _SIGNATURES)

_OPAQUE: tuple[tuple[str, bytes], ...] = (
    ("zip", rb"PK[\x03\x05]"),
    ("gzip", rb"\x1f\x8b"),
    ("zstd", rb"\x28\xb5\x2f\xfd"),
    ("7z", rb"7z\xbc\xaf"),
    ("rar", rb"Rar!\x1a"),
    ("xz", rb"\xfd7zXZ"),
    ("safetensors", rb"[^\x00].{2}[\x00-\x05]\x00{4}\{"),
    ("npy", rb"\x93NUMPY"),
    ("pickle", rb"\x80[\x02-\x05]"),
)


def image_kind(data: bytes) -> str:
    """The name of the picture format that bytes begin as; empty if they are none.

    Args:
        data: The beginning, or all, which tells more of markup.
    """
    found = _IMAGE.match(data[:HEAD])
    if found and found.lastindex:
        return _NAMES[found.lastindex - 1]
    return "svg" if data.lstrip(_BEFORE_MARKUP)[:1] == b"<" and _SVG.search(data) else ""


def is_svg(text: str) -> bool:
    """Whether a text is a picture as it stands."""
    is_markup = text.lstrip(_BEFORE_MARKUP_TEXT)[:1] == "<"
    return is_markup and bool(_SVG.search(text.encode("utf-8", "replace")))


def bare_kind(data: bytes) -> str:
    """The name of a format that has no signature; empty if bytes cannot be that.

    Random bytes are taken for it once in a hundred thousand times, so words must not be asked.

    Args:
        data: The beginning, or all, of what is not text.
    """
    return "tga" if _TGA.match(data) else ""


def opaque_kind(data: bytes) -> str:
    """A name, for the operator, of bytes that are neither a picture nor text."""
    head = data[:HEAD]
    for name, pattern in _OPAQUE:
        if re.match(pattern, head, re.DOTALL):
            return name
    return "binary"
