"""Texts that name a picture which stands elsewhere, by what they look like."""

from __future__ import annotations

import re

# Spaces, controls and format characters, which parsers of URLs skip at the start.
_SKIPPED = r"[\s\x00-\x20\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]*+"
_GAPS = r"[\t\r\n]*"  # which they skip everywhere
_FETCHED = "|".join(_GAPS.join(name) for name in ("http", "https", "ftp", "file"))
_COLON, _SLASH = "(?::|%3a)", r"(?:[/\\]|%2f|%5c)"

URL = re.compile(
    rf"{_SKIPPED}(?:"
    rf"(?:[a-z][a-z0-9+.-]{{1,20}}{_COLON}){{1,4}}{_SLASH}"
    rf"|(?:{_FETCHED}){_GAPS}:{_GAPS}[/\\]"
    r"|(?:https?|ftp):\S|file:\S+\s*\Z"
    r"|//[\w.-]+/\S"
    r").*",
    re.IGNORECASE | re.DOTALL,
)
"""A text that begins like a URL, whatever follows: what fetches it may quote spaces or cut it."""

PATH = re.compile(r"\s*+(?:/|~/|\\\\|[A-Za-z]:[\\/])[^\n]{1,4095}")
"""A whole text that is an absolute path on a server, as long as a system takes them."""

MEDIA_FILE = re.compile(
    r"[^\n]{1,4095}\.(?:png|apng|mng|jpe?g|jpe|jfif|jxl|jp2|j2[ck]|jp[fmx]|jxr|mpo|webp|gif|bmp|dib"
    r"|tiff?|avifs?|hei[cf]s?|exr|hdr|psd|xcf|svgz?|ico|cur|icns|tga|p[bgpn]m|pam|pfm|pcx|dds|ktx2?"
    r"|sgi|rgba?|bw|ras|xbm|xpm|qoi|fits?|eps|pdf|[ew]mf|dng|cr[23]|nef|arw|raf|orf|rw2"
    r"|mp4|m4v|webm|mov|mkv|avi|flv|wmv|mpe?g|ogv|3gp|m2ts|y4m|latent|np[yz]|glb|gltf|obj|fbx|stl"
    r"|ply|usdz)(?: ?\[\w+\])?\s*",
    re.IGNORECASE,
)
"""A whole text that is the name of a picture, a film or latents."""

# A prompt may begin with a slash, but is more than one word.
_ONE_WORD = re.compile(r"\s*+\S+\s*")


def is_path(text: str) -> bool:
    """Whether a text that may be a prompt is an absolute path all the same."""
    if not PATH.fullmatch(text):
        return False
    return bool(_ONE_WORD.fullmatch(text) or MEDIA_FILE.fullmatch(text))
