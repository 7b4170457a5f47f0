"""What is compared: each method makes an entry of a listed picture, and codes of a query."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib import metadata, util
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pdqhash
from numpy.typing import NDArray
from PIL import Image

import initgate
from initgate.hashing import hash_views, pdq
from initgate.image import Limits, decode
from initgate.lists.build import entries_of
from initgate.model import Algorithm, Family, Picture
from initgate.views import FAST, STANDARD, THOROUGH, views

Codes = NDArray[np.uint8]

BASELINE = "PDQ"
"""The method whose false-match rate the others are held to."""

VIEW_SETS = {"fast": FAST, "standard": STANDARD, "thorough": THOROUGH}
"""initgate's own methods."""

_FAMILIES = "views="

_BITS = {"pdq": 256, "pdq, crops": 256, "phash": 64}


@dataclass(frozen=True, slots=True)
class Method:
    """One way to recognise a picture.

    Args:
        name: In tables.
        space: Which hashes are listed: ``"pdq"``, ``"phash"``, or ``"pdq, crops"``.
        threshold: The customary one, inclusive.
        read: A file's bytes to what ``codes`` takes. Not part of the time that is told.
        codes: What it looks up: uint8 ``[n, bits / 8]``.
        version: Changes when the codes may.
        families: Of views that initgate looks for; None of a peer.
    """

    name: str
    space: str
    threshold: int
    read: Callable[[bytes], Any]
    codes: Callable[[Any], Codes]
    version: str
    families: Collection[Family] | None = None

    @property
    def bits(self) -> int:
        """Of a code."""
        return _BITS[self.space]


def codes(methods: Sequence[Method], data: bytes) -> dict[str, Codes]:
    """What each of several methods looks up of a file; initgate's own share what they do."""
    found = {one.name: one.codes(one.read(data)) for one in methods if one.families is None}
    own = {one.name: one.families for one in methods if one.families is not None}
    if own:
        every = frozenset[Family]().union(*own.values())
        made = hash_views(views(decode(data, limits=Limits()), every), [Algorithm.PDQ])
        for name, families in own.items():
            left_out = tuple(f", {family}" for family in every - set(families))
            found[name] = _stacked(
                one.code for one in made if not any(part in one.view for part in left_out)
            )
    return found


def entries(space: str, data: bytes) -> Codes:
    """The codes that a list holds of a picture, ``[n, bits / 8]``.

    Upright, whole, by the usual library; and of its crops, if its owner lists them with initgate.
    """
    if space == "pdq, crops":
        made = entries_of(data, algorithm=Algorithm.PDQ, entry="listed", min_quality=0)
        return _stacked(one.code for one in made)
    return _ENTRY[space](_rgb(data))


def quality(data: bytes) -> int:
    """The PDQ quality of a picture, 0 to 100."""
    return int(pdqhash.compute(_rgb(data))[1])


def available() -> dict[str, Method]:
    """Every method that can be used here, by name."""
    return {method.name: method for method in (*_peers(), *_initgate())}


def named(name: str) -> Method:
    """A method by its name, or initgate with some families of views: ``views=``, then their names.

    Args:
        name: For instance ``"PDQ"``, ``"standard"``, ``"views=negative,squeezed"``; nothing after
            the equals sign is the picture as it is.
    """
    if name.startswith(_FAMILIES):
        chosen = filter(None, name.removeprefix(_FAMILIES).split(","))
        return _viewed(name, frozenset(map(Family, chosen)))
    known = available()
    if name not in known:
        families = ",".join(Family)
        raise SystemExit(f"{name}: none of {', '.join(known)}, nor {_FAMILIES} and of {families}")
    return known[name]


def missing() -> list[str]:
    """What is left out here, and how to get it."""
    if util.find_spec("threatexchange") is None:
        return ["threatexchange (pip install --group bench)"]
    return []


# ── peers ─────────────────────────────────────────────────────────────────────────────────────


def _peers() -> Iterator[Method]:
    version = metadata.version("pdqhash")
    yield Method(BASELINE, "pdq", 31, _rgb, _pdq, version)
    yield Method("PDQ × 8", "pdq", 31, _rgb, _pdq_turned, version)
    yield Method("pHash", "phash", 10, _rgb, _phash, metadata.version("imagehash"))
    if util.find_spec("threatexchange") is not None:
        version = metadata.version("threatexchange")
        yield Method("threatexchange", "pdq", 31, bytes, _threatexchange, version)


def _rgb(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened.convert("RGB"))


def _pdq(rgb: NDArray[np.uint8]) -> Codes:
    return np.packbits(pdqhash.compute(rgb)[0])[None]


def _pdq_turned(rgb: NDArray[np.uint8]) -> Codes:
    return np.stack([np.frombuffer(code, np.uint8) for _, code, _ in pdq.orientations(rgb)])


def _phash(rgb: NDArray[np.uint8]) -> Codes:
    return np.packbits(imagehash.phash(Image.fromarray(rgb)).hash.flatten())[None]


_ENTRY: dict[str, Callable[[NDArray[np.uint8]], Codes]] = {"pdq": _pdq, "phash": _phash}


def _threatexchange(data: bytes) -> Codes:
    """Its eight rotations of the file and of what its unletterboxing (at 15) leaves."""
    from threatexchange.content_type.photo import PhotoContent  # noqa: PLC0415  # optional
    from threatexchange.signal_type.pdq.signal import PdqSignal  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "query")
        path.write_bytes(data)
        files = [data]
        with suppress(ValueError):  # which it raises where nothing is left
            files.append(PhotoContent.unletterbox(path, 15))
    made = [
        PdqSignal.hash_from_bytes(turned)
        for file in files
        for turned in PhotoContent.all_simple_rotations(file).values()
    ]
    # It gives pictures of a quality below 50 no hash.
    return _stacked(bytes.fromhex(one) for one in made if one)


def _stacked(codes: Iterable[bytes]) -> Codes:
    return np.frombuffer(b"".join(codes), np.uint8).reshape(-1, _BITS["pdq"] // 8)


# ── initgate ──────────────────────────────────────────────────────────────────────────────────


def _initgate() -> Iterator[Method]:
    yield from (_viewed(name, families) for name, families in VIEW_SETS.items())
    yield _viewed("thorough, crops listed", THOROUGH, space="pdq, crops")


def _viewed(name: str, families: Collection[Family], *, space: str = "pdq") -> Method:
    """What the gate looks up with some families of views."""
    return Method(
        name,
        space,
        Algorithm.PDQ.default_threshold,
        partial(decode, limits=Limits()),
        partial(_hash_views, families=families),
        _source_digest(),
        families,
    )


def _hash_views(picture: Picture, *, families: Collection[Family]) -> Codes:
    made = hash_views(views(picture, families), [Algorithm.PDQ])
    return _stacked(one.code for one in made)


@cache
def _source_digest() -> str:
    """Of every module that can change a hash."""
    package = Path(initgate.__file__).parent
    paths = sorted(
        path
        for pattern in ("image.py", "model.py", "views*", "hashing")
        for found in package.glob(pattern)
        for path in ([found] if found.is_file() else found.rglob("*.py"))
    )
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:12]
