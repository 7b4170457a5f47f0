"""The tables of the gate itself: what it looks at, releases, records and logs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from initgate.config.tables import Table
from initgate.image import Limits
from initgate.model import Family
from initgate.policy import Encoded, Fallback
from initgate.views import FAST, STANDARD, THOROUGH

_AUDIT_URL = "allowed: sqlite:///FILE, for a log that lasts"


class GateSettings(Table):
    """The ``[gate]`` table."""

    unreadable: Fallback = Fallback.REFUSE
    """What an image means that cannot be read: ``refuse``, or ``allow`` (each pass is logged)."""

    encoded: Encoded = Encoded.REFUSE
    """What latents and embeddings mean, which hold no pixels to look at: ``refuse``, ``allow``
    (each pass is logged), or ``decode``: latents are decoded and looked at."""

    views: Literal["fast", "standard", "thorough"] | tuple[Family, ...] = "standard"
    """What is looked for in a picture beside the whole of it: ``fast``, ``standard``, ``thorough``,
    or the names of the views."""

    max_bytes: int = Field(default=Limits().max_bytes, ge=1)
    """Largest encoded image, in bytes."""

    max_pixels: int = Field(default=Limits().max_pixels, ge=1)
    """Largest image, width × height, summed over frames."""

    max_frames: int = Field(default=Limits().max_frames, ge=1)
    """Most frames of an animation or pictures of a batch."""

    reload_seconds: float = Field(default=2.0, ge=0)
    """How often to look whether a list has changed on disk; 0 for never."""

    jpeg: Literal["full", "reduced"] = "full"
    """How JPEG files are decoded: ``full``, or ``reduced``: large ones smaller and sooner, where
    all lists are of PDQ or digests. It lets pass what a JPEG made for the purpose hides."""

    @property
    def families(self) -> frozenset[Family]:
        """The views to look for."""
        match self.views:
            case "fast":
                return FAST
            case "standard":
                return STANDARD
            case "thorough":
                return THOROUGH
            case names:
                return frozenset(names)

    @property
    def limits(self) -> Limits:
        """What an input may cost."""
        return Limits(self.max_bytes, self.max_pixels, self.max_frames)


class ExceptionsSettings(Table):
    """The ``[exceptions]`` table."""

    path: Path | None = None
    """The file of what was released from the lists. Default: nothing is."""


class AuditSettings(Table):
    """The ``[audit]`` table."""

    url: str = "sqlite:///initgate-audit.db"
    """Where decisions are recorded, as an SQLAlchemy URL. SQLite, for now."""

    record_allowed: bool = False
    """Record plainly allowed images too, instead of counting them."""

    subject_key: SecretStr | None = None
    """Keys the pseudonyms of subjects. Default: a fresh one per process, so that none can be
    linked across restarts."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        try:
            url = make_url(value)
        except ArgumentError:
            raise ValueError(_AUDIT_URL) from None
        is_file = url.database and ":memory:" not in url.database and not url.query
        if url.drivername not in {"sqlite", "sqlite+pysqlite"} or not is_file:
            raise ValueError(_AUDIT_URL)
        return value


class LogSettings(Table):
    """The ``[log]`` table."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe line that goes to standard error."""
