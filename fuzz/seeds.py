"""Requests to begin with: those of the tests, in every spelling of a picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from places import PLACES
from requests_made import COMPRESSIONS, DISGUISES, SPELLINGS, file_of

from initgate.service.proxy.core import Request


def requests() -> Iterator[tuple[str, Request]]:
    """Dialects and requests."""
    picture = file_of("flower", "PNG", most=8)
    for dialect, places in PLACES.items():
        for hide in places.values():
            for spell in (SPELLINGS | DISGUISES).values():
                yield dialect, hide(spell(picture))
    plain = PLACES["a1111"]["mask"](SPELLINGS["base64"](picture))
    for encoding, compress in COMPRESSIONS.values():
        headers = (*plain.headers, ("content-encoding", encoding))
        yield "a1111", replace(plain, headers=headers, body=compress(plain.body))
