"""The frozen values that travel through the gate. No behaviour beyond what keeps a value valid."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from initgate.columns import Texts

Codes: TypeAlias = NDArray[np.uint8]
"""Hash codes, one a row: uint8 ``[n, bits / 8]``, most significant bit first."""

RGB: TypeAlias = NDArray[np.uint8]
"""A picture in colours: uint8 ``[height, width, 3]``, sRGB."""

Levels: TypeAlias = NDArray[np.uint8]
"""A picture: :data:`RGB`, or one plane of grey, uint8 ``[height, width]``."""


Box: TypeAlias = tuple[int, int, int, int]
"""Part of a picture: top, left, bottom, right, in pixels; the last two are the first outside."""

_ALL = slice(None)


class Algorithm(StrEnum):
    """A hash algorithm that the gate computes, named as in a list's ``algorithm`` column."""

    PDQ = "pdq"
    PHASH64 = "phash64"
    PHASH256 = "phash256"
    DHASH64 = "dhash64"
    DHASH256 = "dhash256"
    AHASH64 = "ahash64"
    AHASH256 = "ahash256"
    WHASH64 = "whash64"
    WHASH256 = "whash256"
    MD5 = "md5"
    SHA1 = "sha1"
    SHA256 = "sha256"

    @property
    def bits(self) -> int:
        """The width of a hash in bits, always a multiple of 8."""
        return _BITS[self]

    @property
    def is_digest(self) -> bool:
        """Whether it identifies exact bytes instead of a picture's looks."""
        return self in _DIGESTS

    @property
    def default_threshold(self) -> int:
        """The largest distance in bits at which two pictures count as the same (inclusive)."""
        return _DEFAULT_THRESHOLDS[self]

    @property
    def max_threshold(self) -> int:
        """The largest threshold that makes sense: unrelated pictures lie near ``bits / 2``."""
        return 0 if self.is_digest else self.bits * 3 // 8


_DIGESTS = frozenset({Algorithm.MD5, Algorithm.SHA1, Algorithm.SHA256})

_BITS = {
    Algorithm.PDQ: 256,
    Algorithm.PHASH64: 64,
    Algorithm.PHASH256: 256,
    Algorithm.DHASH64: 64,
    Algorithm.DHASH256: 256,
    Algorithm.AHASH64: 64,
    Algorithm.AHASH256: 256,
    Algorithm.WHASH64: 64,
    Algorithm.WHASH256: 256,
    Algorithm.MD5: 128,
    Algorithm.SHA1: 160,
    Algorithm.SHA256: 256,
}

# PDQ's 31 is the field's habit. The others are tighter than custom (phash64 at 10 hits 1.4e-4 of
# the pairs of pictures of one kind); docs/list-curator.md tells how to choose one's own.
_DEFAULT_THRESHOLDS = {
    Algorithm.PDQ: 31,
    Algorithm.PHASH64: 6,
    Algorithm.PHASH256: 31,
    Algorithm.DHASH64: 5,
    Algorithm.DHASH256: 31,
    Algorithm.AHASH64: 2,
    Algorithm.AHASH256: 8,
    Algorithm.WHASH64: 2,
    Algorithm.WHASH256: 8,
    Algorithm.MD5: 0,
    Algorithm.SHA1: 0,
    Algorithm.SHA256: 0,
}


class Reason(StrEnum):
    """Why a decision came out as it did. For the operator; a caller never sees it."""

    NO_MATCH = "no_match"
    """Every applicable list was searched and none holds the image."""

    MATCH = "match"
    """A list with the action ``refuse`` holds the image, within its threshold."""

    FLAGGED = "flagged"
    """Every match only flags: logged and allowed."""

    RELEASED = "released"
    """Every match is released by an operator's exception: logged and allowed."""

    UNREADABLE = "unreadable"
    """No pixels could be had within the limits."""

    ENCODED_INPUT = "encoded_input"
    """The input is latents or embeddings: there are no pixels to look at."""

    NO_LIST = "no_list"
    """No list could be searched for this input."""

    LIST_EXPIRED = "list_expired"
    """A list is older than its ``max_age``."""

    CANARY = "canary"
    """The self-test did not find the canary: the gate cannot be trusted."""

    UNRECORDED = "unrecorded"
    """The decision had to be recorded before it is answered, and could not be."""

    FAULT = "fault"
    """A step failed inside the gate. The log has the traceback."""


class Family(StrEnum):
    """A kind of views, beside the whole picture. The first word of what their names add."""

    NEGATIVE = "negative"
    """Light and dark exchanged."""

    SQUEEZED = "squeezed"
    """Brought to 512×512 pixels first, as PDQ's C++ tool does."""

    TONED = "toned"
    """With other tones: as before it was brightened, filtered or equalised."""

    TRIMMED = "trimmed"
    """Without borders and captions."""

    EMBEDDED = "embedded"
    """A picture within the picture: in a screenshot, on a page, an inset."""

    SPLIT = "split"
    """Halves, quarters, cells of a collage."""

    TILTED = "tilted"
    """Turned back by some degrees."""

    UNCROPPED = "uncropped"
    """Continued beyond its edges, to make up for what was cut off."""


class Action(StrEnum):
    """What a match with a list does."""

    REFUSE = "refuse"
    FLAG = "flag"


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """One way in which a consumer may see one frame of an input.

    Args:
        levels: The colours or greys, also those under transparent pixels.
        alpha: The opacity, uint8 ``[height, width]`` with 255 opaque; None if all is opaque.
        frame: The frame's number in an animation or batch, from 0.
        reading: How the stored numbers were read: ``""`` for the ordinary way, else for example
            ``"raw channels"`` or ``"0..1"``.
        full: Height and width of the frame, if its decoder shrank it.
        scale: Each of ``levels`` stands for ``scale × scale`` pixels of the full frame.
    """

    levels: Levels
    alpha: NDArray[np.uint8] | None = None
    frame: int = 0
    reading: str = ""
    full: tuple[int, int] | None = None
    scale: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An input image after door 1.

    Args:
        pixels: Every frame in every reading; at least one.
    """

    pixels: tuple[Pixels, ...]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A picture worth hashing, and the name by which a match tells what it was.

    Args:
        name: Which frame, reading, ground and part.
        levels: Colours or greys; greys if it is a part.
        full: As in :class:`Pixels`.
        scale: The same.
        box: The part, in pixels of the full picture; where it reaches beyond an edge, the picture
            is continued there. None for all of it.
        negative: Whether its negative is a view too.
    """

    name: str
    levels: Levels
    full: tuple[int, int] | None = None
    scale: int = 1
    box: Box | None = None
    negative: bool = False


@dataclass(frozen=True, slots=True)
class Hash:
    """A hash of one view.

    Args:
        algorithm: What made it.
        code: ``algorithm.bits / 8`` bytes, most significant bit first.
        quality: PDQ's 0 (featureless) to 100; None for algorithms without one.
        view: The view it was made from.
    """

    algorithm: Algorithm
    code: bytes
    quality: int | None = None
    view: str = ""


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One record of a hash list. Field names are the columns of the file formats.

    Args:
        algorithm: The hash algorithm.
        code: The hash, ``algorithm.bits / 8`` bytes.
        entry: The curator's identifier. Need not be unique.
        quality: 0 to 100, None if unknown.
        tags: The curator's labels.
    """

    algorithm: Algorithm
    code: bytes
    entry: str
    quality: int | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class HashList:
    """A whole list, in columns, so that a million entries stay small.

    Args:
        name: The operator's name for it.
        algorithm: Of all entries.
        codes: uint8 ``[n, algorithm.bits / 8]``.
        entries: n identifiers.
        qualities: int16 ``[n]``, -1 where unknown.
        tags: n tuples of labels.
        digest: SHA-256 (hex) of the bytes it was read from: which version this is.
        as_of: When those bytes were last known to be current; None if always.
        min_quality: Entries of a lower quality are not searched; those of unknown quality are.
        removed: Identifiers whose entries are withdrawn, and not searched.
        flagged: Codes of entries that at most flag, whatever the list does.
        engine: What searches these codes, if it came with them: an ``initgate.index.hits.Engine``.
    """

    name: str
    algorithm: Algorithm
    codes: Codes
    entries: Sequence[str]
    qualities: NDArray[np.int16]
    tags: Sequence[tuple[str, ...]] = field(repr=False)
    digest: str = ""
    as_of: datetime | None = None
    min_quality: int = 0
    removed: frozenset[str] = frozenset()
    flagged: frozenset[bytes] = frozenset()
    engine: object = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        entries: Iterable[ListEntry],
        *,
        name: str,
        algorithm: Algorithm,
        digest: str = "",
        as_of: datetime | None = None,
    ) -> HashList:
        """Packs entries, all of ``algorithm``, into columns, one by one."""
        codes, text = bytearray(), bytearray()
        ends, qualities = array("Q", [0]), array("h")
        tags: list[tuple[str, ...]] = []
        known: dict[tuple[str, ...], tuple[str, ...]] = {}  # lists have few different ones
        for one in entries:
            codes += one.code
            text += one.entry.encode()
            ends.append(len(text))
            qualities.append(-1 if one.quality is None else one.quality)
            tags.append(known.setdefault(one.tags, one.tags))
        return cls(
            name=name,
            algorithm=algorithm,
            codes=np.frombuffer(codes, np.uint8).reshape(-1, algorithm.bits // 8),
            entries=Texts(np.frombuffer(text, np.uint8), np.frombuffer(ends, np.uint64)),
            qualities=np.frombuffer(qualities, np.int16),
            tags=tags,
            digest=digest,
            as_of=as_of,
        )

    def is_fit(self, rows: NDArray[np.int64] | slice = _ALL) -> NDArray[np.bool_]:
        """Which entries are searched, of all or of some rows.

        A PDQ hash of all zeros is that of every picture without structure, or a placeholder: its
        quality is 0, also where the list does not tell.
        """
        qualities = self.qualities[rows]
        fit: NDArray[np.bool_] = (qualities >= self.min_quality) | (qualities < 0)
        unknown = np.flatnonzero(qualities < 0)
        if self.algorithm is Algorithm.PDQ and self.min_quality > 0 and len(unknown):
            fit[unknown] = self.codes[rows][unknown].any(axis=1)
        return fit

    def has_searched(self) -> bool:
        """Whether any entry is searched."""
        rows = np.flatnonzero(self.is_fit())
        return any(self.entries[int(row)] not in self.removed for row in rows)

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[ListEntry]:
        for row in range(len(self)):
            yield self.at(row)

    def at(self, row: int) -> ListEntry:
        """The entry of a row."""
        quality = int(self.qualities[row])
        return ListEntry(
            self.algorithm,
            self.codes[row].tobytes(),
            self.entries[row],
            None if quality < 0 else quality,
            self.tags[row],
        )


@dataclass(frozen=True, slots=True)
class Match:
    """A list entry within reach of a view. For the operator alone.

    Args:
        list: The list's name.
        entry: The curator's identifier.
        algorithm: The hash algorithm.
        distance: Differing bits, 0 to the larger of the list's thresholds.
        view: The view of the input that matched.
        tags: The entry's labels.
        action: The most that the entry may do.
        code: The hash of that view. Never recorded.
        exception: The name of the operator's exception that releases the match; it does nothing
            then.
    """

    list: str
    entry: str
    algorithm: Algorithm
    distance: int
    view: str
    tags: tuple[str, ...] = ()
    action: Action = Action.REFUSE
    code: bytes = field(default=b"", repr=False)
    exception: str = ""


@dataclass(frozen=True, slots=True)
class _Verdict:
    decision_id: str

    def __bool__(self) -> NoReturn:
        # `if gate.check(image):` would let every refusal pass: both verdicts would be true.
        raise TypeError(
            "a verdict is a type, not a truth value: use match … case Allowed() / case Refused()"
        )


@dataclass(frozen=True, slots=True)
class Allowed(_Verdict):
    """The image may be used."""


@dataclass(frozen=True, slots=True)
class Refused(_Verdict):
    """The image must not be used."""


Verdict: TypeAlias = Allowed | Refused


@dataclass(frozen=True, slots=True)
class Context:
    """Where an image came from, as far as the caller of the gate wants it recorded.

    Args:
        endpoint: The pipeline class, route or command.
        subject: Who sent it. Recorded only as a keyed pseudonym.
        request_id: The host's own id of the request.
    """

    endpoint: str = ""
    subject: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict and its grounds. For the operator alone: a caller gets the verdict.

    Args:
        verdict: Allowed or Refused.
        reason: Why.
        matches: Entries within their list's reach, nearest first; those that only flag too, and
            at last those that an exception releases.
        detail: A sentence for the operator: what was unreadable, which list is too old.
        took_ms: From input to decision, without the record, in milliseconds.
    """

    verdict: Verdict
    reason: Reason
    matches: tuple[Match, ...] = ()
    detail: str = ""
    took_ms: float = 0.0
