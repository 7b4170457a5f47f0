"""The tables of lists, of the feeds that they come from, and of the store of these."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from initgate.config.tables import Age, Table
from initgate.errors import ConfigError
from initgate.hashing.pdq import ORIENTATIONS
from initgate.lists import Format
from initgate.lists.build import DEFAULT_QUALITY_FLOOR
from initgate.lists.formats import FeedFormat, Reader, reader
from initgate.model import Action, Algorithm, Family
from initgate.policy import ListPolicy
from initgate.sources.opening import FORMATS, format_of, shown_where
from initgate.sources.tuf import SCHEME

VIEW_FAMILIES = ("frame", "on white", "on black", "alpha", *Family, *ORIENTATIONS[1:])
"""The views that may have an offset: how a part of a view's name begins."""


class ListSettings(Table):
    """A ``[[lists]]`` table."""

    name: str = Field(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")  # Rust's $: the very end
    """Lower-case letters, digits, ``-`` and ``_``; how decisions name the list."""

    path: Path = Field(default_factory=Path)
    """The list's file …"""

    feed: str = ""
    """… or the feed whose entries of the list's ``algorithm`` it has."""

    format: Format | None = None
    """``csv``, ``jsonl``, or ``igx`` for a snapshot. Default: by the file's suffix."""

    algorithm: Algorithm = Algorithm.PDQ
    """The hash algorithm of every entry."""

    threshold: int | None = None
    """Largest distance in bits that matches, inclusive. Default: the algorithm's."""

    flag_threshold: int | None = None
    """Beyond ``threshold``, up to this distance in bits, a match is logged and allowed."""

    view_offsets: Mapping[str, int] = {}
    """Per family of views, bits that both thresholds are lower by for its hashes: 0 or less."""

    min_quality: int = Field(default=DEFAULT_QUALITY_FLOOR, ge=0, le=100)
    """Entries of a lower PDQ quality are left out; those of unknown quality stay."""

    action: Action = Action.REFUSE
    """``refuse``, or ``flag``: log and allow."""

    flag_tags: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Patterns of tags (``*`` for anything): entries that have such a tag at most flag."""

    max_age: Age = None
    """Refuse everything once the file, or a feed's last successful fetch, is older than this.
    ``never``, ``36h``, ``30d`` …"""

    warn_after: Age = None
    """Log a warning once it is older than this."""

    max_lint_rise: float = Field(default=0.05, ge=0, le=1)
    """An update that raises the share of faulty entries by more waits until it is accepted."""

    allow_empty: bool = False
    """Whether a list without entries is fine."""

    @model_validator(mode="after")
    def _check_place(self) -> ListSettings:
        if bool(self.feed) == (self.path != Path()):
            raise ValueError("path, feed: give one of the two")
        if self.feed and self.format is not None:
            raise ValueError("format: that of a feed stands in its own table")
        return self

    @model_validator(mode="after")
    def _check_thresholds(self) -> ListSettings:
        most = self.algorithm.max_threshold
        exactly = "a digest matches exactly"
        if self.threshold is not None and not 0 <= self.threshold <= most:
            allowed = f"0 to {most}" if most else f"0 ({exactly})"
            raise ValueError(
                f"threshold: {self.threshold} for {self.algorithm}; allowed: {allowed}"
            )
        least = self.policy.threshold
        if self.flag_threshold is not None and not least < self.flag_threshold <= most:
            allowed = f"{least + 1} to {most}" if least < most else f"none ({exactly})"
            raise ValueError(
                f"flag_threshold: {self.flag_threshold} for {self.algorithm} "
                f"at threshold {least}; allowed: {allowed}"
            )
        for family, bits in self.view_offsets.items():
            if family not in VIEW_FAMILIES:
                raise ValueError(
                    f"view_offsets: unknown view {family!r}; allowed: {', '.join(VIEW_FAMILIES)}"
                )
            if not -least <= bits <= 0:  # below, not even an equal hash would match
                raise ValueError(
                    f"view_offsets: {family}: {bits} at threshold {least}; allowed: {-least} to 0"
                )
        return self

    @property
    def file_format(self) -> Format:
        """The format to read the file in.

        Raises:
            ConfigError: Neither the key nor the suffix says.
        """
        if self.feed:
            return Format.SNAPSHOT
        if self.format is not None:
            return self.format
        try:
            return Format(self.path.suffix.removeprefix(".").lower())
        except ValueError:
            raise ConfigError(
                f"list {self.name!r}: the suffix of {self.path} names no format; "
                f"set format to one of: {', '.join(Format)}"
            ) from None

    @property
    def policy(self) -> ListPolicy:
        """How the list is used."""
        threshold = self.algorithm.default_threshold if self.threshold is None else self.threshold
        return ListPolicy(
            threshold,
            self.min_quality,
            self.action,
            self.max_age,
            flag_threshold=self.flag_threshold or 0,
            view_offsets=self.view_offsets,
            flag_tags=self.flag_tags,
        )


class FeedSettings(Table):
    """A ``[[feeds]]`` table."""

    name: str = Field(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")
    """How lists and commands name the feed; its folder in the store."""

    source: str = Field(min_length=1)
    """Where it comes from: a file, an address (``https://…``, ``s3://…``, ``tuf+https://…``), or a
    service: ``ncmec``, ``stopncii``, ``threatexchange``, ``tat``."""

    source_options: Mapping[str, Any] = {}
    """What the source must be told: NCMEC's environment, ThreatExchange's privacy group."""

    credentials: str | None = None
    """Where the source's credentials are: ``env:NAME`` or ``file:PATH``."""

    format: FeedFormat | None = None
    """How that is written. Default: the service's, or by the suffix."""

    options: Mapping[str, Any] = {}
    """What the format must be told: the categories of VICS, the columns of ``mapped``."""

    on_bad_record: Literal["reject", "skip"] = "reject"
    """What a record that cannot be read does to a fetch: ``reject`` it, or be left out."""

    max_bad_records: int = Field(default=100, ge=1)
    """How many may be left out of a batch with ``skip``."""

    max_shrink: float = Field(default=0.1, ge=0, le=1)
    """An update that loses a larger share of the entries waits until it is accepted."""

    allow_empty: bool = False
    """Whether a feed without entries is fine."""

    canary: str = ""
    """A hash that the feed must hold, else an update waits."""

    keep: int = Field(default=5, ge=1)
    """How many versions stay on disk."""

    sha256: str | None = None
    """The SHA-256 of the one file that may be taken …"""

    public_keys: tuple[str, ...] | None = None
    """… or whose signatures count …"""

    at_least: int = Field(default=1, ge=1)
    """How many of ``public_keys`` must have signed it."""

    target: str = ""
    """The list's name in a TUF repository, or the one that it is signed under."""

    poll: Age = None
    """How often ``initgate lists fetch --watch`` fetches it. ``never``, ``15m``, ``1h`` …"""

    root: Path | None = None
    """… or the first root metadata of a TUF repository."""

    @field_validator("canary")
    @classmethod
    def _check_canary(cls, value: str) -> str:
        widths = sorted({one.bits // 4 for one in Algorithm})
        if value and not (re.fullmatch("[0-9a-fA-F]*", value) and len(value) in widths):
            allowed = ", ".join(map(str, widths))
            raise ValueError(f"allowed: a hash in {allowed} hexadecimal digits")
        return value

    @model_validator(mode="after")
    def _check_format(self) -> FeedSettings:
        _ = self.reader
        rules = (self.sha256, self.public_keys, self.root)
        if len([one for one in rules if one is not None]) > 1:
            raise ValueError("sha256, public_keys, root: give one of them at most")
        if self.is_repository and (self.root is None or not self.target):
            raise ValueError("a TUF repository needs root and target")
        if self.at_least > 1 and self.public_keys is None:
            raise ValueError("at_least: it counts public_keys, and there are none")
        if self.is_file and (self.credentials or self.source_options):
            raise ValueError("credentials, source_options: the source is a file, which has none")
        if self.root is not None and not self.is_repository:
            raise ValueError("root: the source is no TUF repository (tuf+https://…)")
        return self

    @property
    def is_file(self) -> bool:
        """Whether the source is a path."""
        return "://" not in self.source and self.source not in FORMATS

    @property
    def is_repository(self) -> bool:
        """Whether the source is a TUF repository."""
        return self.source.startswith(SCHEME)

    @property
    def rule(self) -> str:
        """Changes when what was fetched before must be fetched, verified and read anew."""
        told = self.model_dump(
            mode="json",
            include={
                *("source", "source_options", "format", "options", "on_bad_record"),
                *("sha256", "public_keys", "at_least", "target", "root"),
            },
        )
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    @property
    def list_name(self) -> str:
        """The name of the file that it takes."""
        return self.target or PurePosixPath(shown_where(self.source)).name

    @property
    def file_format(self) -> FeedFormat:
        """How its files are written.

        Raises:
            ValueError: Neither the key nor the suffix says.
        """
        if self.format is not None:
            return self.format
        try:
            return FeedFormat(format_of(self.target or self.source).lower())
        except ValueError:
            raise ValueError(f"format: set it to one of: {', '.join(FeedFormat)}") from None

    @property
    def reader(self) -> Reader:
        """What reads its files.

        Raises:
            ConfigError: The options do not fit the format.
        """
        options = dict(self.options)
        if self.source == FeedFormat.NCMEC and "environment" in self.source_options:
            options.setdefault("environment", self.source_options["environment"])
        return reader(self.file_format, options)


class StoreSettings(Table):
    """The ``[store]`` table."""

    path: Path = Path("initgate-lists")
    """The folder in which feeds are kept, version by version."""

    key: str | None = None
    """Where the key is that encrypts them: ``env:NAME`` or ``file:PATH``. Default: none does."""

    @field_validator("key")
    @classmethod
    def _check_key(cls, value: str | None) -> str | None:
        if value is not None and not re.match("(env|file):.", value):
            raise ValueError('allowed: "env:NAME" or "file:PATH", where the key is')
        return value
