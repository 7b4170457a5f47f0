"""Where the container of a picture ends: what lies behind it, some decoder takes for a second one.

PNG: W3C, "Portable Network Graphics (Third Edition)", 5. JPEG: ITU-T T.81, annex B. WebP: RFC 9649.
"""

from __future__ import annotations

import re

_PNG, _JPEG, _RIFF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"RIFF"
_MOVING = {b"acTL", b"fcTL", b"fdAT"}
_DEPTH, _DEEPEST = 24, 8  # where a PNG says how many bits a sample has, and how many are kept

# What may follow in a JPEG's scan: a marker that neither stuffs a byte nor restarts the decoder.
_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA

_PICTURES = {b"VP8 ", b"VP8L"}
_BESIDE = {b"VP8X", b"ALPH", b"ICCP", b"EXIF", b"XMP "}


def is_whole(data: bytes) -> bool:
    """Whether a file is one still picture, of at most 8 bits a sample, to its last byte.

    Args:
        data: A file that a decoder could read. Only of JPEG, PNG and WebP it is known.
    """
    if data.startswith(_PNG):
        return _is_whole_png(data)
    if data.startswith(_JPEG):
        return _is_whole_jpeg(data)
    return data.startswith(_RIFF) and _is_whole_webp(data)


def _is_whole_png(data: bytes) -> bool:
    place = len(_PNG)
    while kind := data[place + 4 : place + 8]:
        place += 12 + int.from_bytes(data[place : place + 4], "big")
        if kind == b"IEND":
            return place == len(data) and data[_DEPTH] <= _DEEPEST
        if kind in _MOVING:
            return False
    return False


def _is_whole_jpeg(data: bytes) -> bool:
    place = len(_JPEG)
    while found := _MARKER.match(data, place):
        marker, place = found[1][0], found.end()
        if marker in {_START, _END}:
            return marker == _END and place == len(data)
        place += int.from_bytes(data[place : place + 2], "big")
        if marker == _SCAN:
            after = _MARKER.search(data, place)
            place = after.start() if after else len(data)
    return False


def _is_whole_webp(data: bytes) -> bool:
    kinds, place = [], 12
    while place < len(data):
        kinds.append(data[place : place + 4])
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        place += 8 + size + size % 2
    size = int.from_bytes(data[4:8], "little")
    pictures = [one for one in kinds if one in _PICTURES]
    return (
        place == len(data) == 8 + size
        and len(pictures) == 1
        and _BESIDE.union(_PICTURES).issuperset(kinds)
    )
