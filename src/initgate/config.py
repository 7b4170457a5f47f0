"""TOML and environment become frozen Settings. The only reader of either, and the only writer.

The environment overrides the file: ``INITGATE_GATE__UNREADABLE=allow`` sets ``unreadable`` in
``[gate]``. Paths are relative to the file. Whatever is wrong is a :class:`ConfigError` that names
file (or variable), key and what is allowed.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from initgate.errors import ConfigError
from initgate.hashing.pdq import ORIENTATIONS
from initgate.image import Limits
from initgate.lists import Format
from initgate.lists.build import DEFAULT_QUALITY_FLOOR
from initgate.lists.formats import FeedFormat, Reader, reader
from initgate.model import Action, Algorithm, Family
from initgate.policy import Encoded, Fallback, ListPolicy
from initgate.sources.opening import FORMATS, format_of, shown_where
from initgate.sources.tuf import SCHEME
from initgate.store.versions import Versions
from initgate.views import FAST, STANDARD, THOROUGH

_PREFIX = "INITGATE_"
_CONFIG_VARIABLE = "INITGATE_CONFIG"
_PLACES = (Path("initgate.toml"), Path("config/initgate.toml"))
_AUDIT_URL = "allowed: sqlite:///FILE, for a log that lasts"
VIEW_FAMILIES = ("frame", "on white", "on black", "alpha", *Family, *ORIENTATIONS[1:])
"""The views that may have an offset: how a part of a view's name begins."""

# A key may have been put where its digest belongs, or where it is; an address may hold a password.
_SECRET = {"subject_key", "sha256", "key", "credentials", "source", "source_options", "url"}
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _parse_age(value: object) -> object:
    if value == "never":
        return None
    if isinstance(value, str) and (found := re.fullmatch(r"([1-9][0-9]{0,5})([smhdw])", value)):
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    raise ValueError('allowed: "never", or a number with a unit: "90m", "36h", "30d", "4w"')


Age: TypeAlias = Annotated[timedelta | None, BeforeValidator(_parse_age)]


class Role(StrEnum):
    """What a key of the service opens."""

    CHECK = "check"
    """Ask whether an image may be used."""

    OPERATE = "operate"
    """Ask why, and whether the service is well."""

    AUDIT = "audit"
    """Read the record of decisions."""

    METRICS = "metrics"
    """Read the metrics, and nothing else."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ListSettings(_Frozen):
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


class FeedSettings(_Frozen):
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


class StoreSettings(_Frozen):
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


class GateSettings(_Frozen):
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


class ExceptionsSettings(_Frozen):
    """The ``[exceptions]`` table."""

    path: Path | None = None
    """The file of what was released from the lists. Default: nothing is."""


class AuditSettings(_Frozen):
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


class LogSettings(_Frozen):
    """The ``[log]`` table."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe line that goes to standard error."""


class KeySettings(_Frozen):
    """A ``[[serve.keys]]`` table."""

    name: str = Field(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")
    """Whose key it is; how the log names the caller."""

    sha256: str
    """The SHA-256 of the key, in hex. The key itself stands nowhere."""

    roles: frozenset[Role] = Field(default=frozenset({Role.CHECK}), min_length=1)
    """What it opens: ``check``, ``operate``, ``audit``, ``metrics``."""

    @field_validator("sha256")
    @classmethod
    def _check_digest(cls, value: str) -> str:
        if not re.fullmatch("[0-9a-f]{64}", value):
            raise ValueError("allowed: 64 hex digits, as initgate keys new prints them")
        return value


class BackoffSettings(_Frozen):
    """Who is refused again and again has to wait: in the tables ``[serve]`` and ``[proxy]``."""

    backoff_after: int = Field(default=10, ge=0)
    """Refusals of one subject or client after which it has to wait; 0 for never."""

    backoff_seconds: float = Field(default=10.0, gt=0)
    """How long at first; with each further refusal twice as long."""

    backoff_max_seconds: float = Field(default=3600.0, gt=0)
    """The longest wait. After as long without a refusal, all are forgotten."""


class ServeSettings(BackoffSettings):
    """The ``[serve]`` table. Limits hold for each worker."""

    host: str = "127.0.0.1"
    """The address to listen at."""

    port: int = Field(default=8610, ge=1, le=65535)
    """The port to listen at."""

    workers: int = Field(default=1, ge=1, le=64)
    """Processes."""

    threads: int = Field(default=2, ge=1, le=256)
    """Images looked at at the same time."""

    waiting: int = Field(default=32, ge=0)
    """Requests that may wait for a thread; more are turned away."""

    max_connections: int = Field(default=512, ge=1)
    """Open connections; more are turned away."""

    max_body_bytes: int = Field(default=96 * 1024 * 1024, ge=1)
    """Largest body of a request, in bytes."""

    max_held_bytes: int = Field(default=512 * 1024 * 1024, ge=1)
    """Bytes of bodies in memory at the same time, of all requests."""

    max_images: int = Field(default=16, ge=1)
    """Most images in a request."""

    receive_seconds: float = Field(default=30.0, gt=0)
    """Time that a body may take to arrive."""

    stop_seconds: int = Field(default=30, ge=1)
    """Time that requests have to be answered in once the service is to stop."""

    floor_ms: int = Field(default=100, ge=0)
    """Answers take a whole multiple of so many milliseconds; 0 for as long as they take."""

    anonymous: bool = False
    """Whether images may be checked without a key. At a loopback address only."""

    keys: tuple[KeySettings, ...] = ()
    """Who may call: ``[[serve.keys]]`` tables."""

    @field_validator("keys")
    @classmethod
    def _check_keys(cls, value: tuple[KeySettings, ...]) -> tuple[KeySettings, ...]:
        names = [one.name for one in value]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"name: {', '.join(twice)} stands twice; each key needs its own")
        if len({one.sha256 for one in value}) < len(value):
            raise ValueError("sha256: stands twice; a key has one name")
        return value

    @model_validator(mode="after")
    def _check_access(self) -> ServeSettings:
        if self.anonymous and not is_loopback(self.host):
            raise ValueError(
                f"anonymous: true with host {self.host!r}; allowed: false, or true with a "
                "loopback address such as 127.0.0.1"
            )
        return self


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_Named = TypeVar("_Named", ListSettings, FeedSettings)


class ProxySettings(BackoffSettings):
    """The ``[proxy]`` table."""

    upstream: str | None = None
    """The server behind the gate, e.g. ``http://127.0.0.1:7860``."""

    dialect: Literal[
        "generic",
        "a1111",
        "comfyui",
        "openai",
        "gradio",
        "stability",
        "huggingface",
        "invokeai",
        "horde",
    ] = "generic"
    """How that server takes pictures, and how its clients are told no."""

    host: str = "127.0.0.1"
    """The address to listen at."""

    port: int = Field(default=8611, ge=1, le=65535)
    """The port to listen at."""

    threads: int = Field(default=2, ge=1, le=256)
    """Images looked at at the same time."""

    waiting: int = Field(default=32, ge=0)
    """Steps of requests that may wait for a thread; more are turned away."""

    canonical: Literal["odd", "all", "none"] = "odd"
    """Pictures forwarded as a PNG of what was checked: ``odd`` ones, which decoders may show
    differently (animations become their first frame), ``all``, or ``none``."""

    references: Literal["refuse", "resolve"] = "refuse"
    """Pictures that a request names by a URL: ``refuse``, or ``resolve``: fetched and checked."""

    fetch_from: tuple[str, ...] = ()
    """The hosts from which URLs are resolved."""

    max_body_bytes: int = Field(default=128 * 1024 * 1024, ge=1)
    """Largest body of a request, decompressed, in bytes."""

    max_held_bytes: int = Field(default=512 * 1024 * 1024, ge=1)
    """Bytes of bodies in memory at the same time, of all requests; more are turned away."""

    max_images: int = Field(default=64, ge=1)
    """Most images in a request."""

    receive_seconds: float = Field(default=120.0, gt=0)
    """Time that a body may take to arrive."""

    stop_seconds: int = Field(default=30, ge=1)
    """Time that requests have to be answered in once the proxy is to stop."""

    floor_ms: int = Field(default=250, ge=0)
    """Refusals take a whole multiple of so many milliseconds; 0 for as long as they take."""

    client_header: str | None = None
    """The header that tells clients apart, whose refusals are counted; by default their address."""

    @field_validator("upstream")
    @classmethod
    def _check_upstream(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^/?#@\s]+(?:/[^?#\s]*)?", value):
            raise ValueError("allowed: http://HOST:PORT or https://HOST, without query")
        return value

    @field_validator("client_header")
    @classmethod
    def _check_header(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9-]{1,64}", value):
            raise ValueError('allowed: the name of a header, e.g. "x-real-ip"')
        return value

    @model_validator(mode="after")
    def _check_references(self) -> ProxySettings:
        if self.references == "resolve" and not self.fetch_from:
            raise ValueError('references: "resolve" needs fetch_from; allowed: ["HOST", …]')
        return self


class Settings(BaseSettings):
    """A whole configuration."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=_PREFIX, env_nested_delimiter="__"
    )
    default_config: ClassVar[tuple[Path, ...]] = _PLACES

    lists: tuple[ListSettings, ...] = Field(min_length=1)
    feeds: tuple[FeedSettings, ...] = ()
    store: StoreSettings = StoreSettings()
    gate: GateSettings = GateSettings()
    exceptions: ExceptionsSettings = ExceptionsSettings()
    audit: AuditSettings = AuditSettings()
    log: LogSettings = LogSettings()
    serve: ServeSettings = ServeSettings()
    proxy: ProxySettings = ProxySettings()

    @field_validator("lists", "feeds")
    @classmethod
    def _check_names(cls, value: tuple[_Named, ...]) -> tuple[_Named, ...]:
        names = [one.name for one in value]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"name: {', '.join(twice)} stands twice; each needs its own")
        return value

    @model_validator(mode="after")
    def _check_feeds(self) -> Settings:
        known = {one.name for one in self.feeds}
        for one in self.lists:
            if one.feed and one.feed not in known:
                told = f"there are: {', '.join(sorted(known))}" if known else "there is none"
                raise ValueError(f"list {one.name!r}: no feed {one.feed!r}; {told}")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment before the file, whose content comes as arguments."""
        return env_settings, init_settings

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of what decides: lists and gate, without places and secrets."""
        deciding = {
            "gate": self.gate.model_dump(mode="json"),
            "lists": [
                one.model_dump(mode="json", exclude={"path", "feed", "warn_after"})
                | {"threshold": one.policy.threshold}
                for one in self.lists
            ],
        }
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def load_settings(path: str | Path | None = None) -> Settings:
    """Reads a configuration.

    Args:
        path: The file. Default: the one that ``INITGATE_CONFIG`` names, else ``initgate.toml`` or
            ``config/initgate.toml`` here.

    Raises:
        ConfigError: It is missing or wrong.
    """
    file = find_config(path)
    try:
        with file.open("rb") as opened:
            content = tomllib.load(opened)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not TOML: {error}") from error
    _check_environment(os.environ)
    try:
        settings = Settings(**content)
    except ValidationError as error:
        errors = error.errors()
        if any(len(one["loc"]) > 1 and one["loc"][0] == "lists" for one in errors):
            # With a bad list, pydantic also finds too few lists.
            errors = [one for one in errors if one["type"] != "too_short"]
        problems = [_explain(one, file) for one in errors]
        raise ConfigError("\n".join(problems)) from error
    except ValueError as error:  # a variable that pydantic-settings could not parse as JSON
        raise ConfigError(f"environment: {error}") from error
    return _resolve(settings, file.resolve().parent)


def with_table(settings: Settings, table: Literal["serve", "proxy"], **changes: object) -> Settings:
    """Settings with other values in a table: what the command line says.

    Args:
        settings: All settings.
        table: Its name.
        changes: Values by their keys; None changes nothing.

    Raises:
        ConfigError: A value is not allowed.
    """
    given = {key: value for key, value in changes.items() if value is not None}
    before: ServeSettings | ProxySettings = getattr(settings, table)
    try:
        own = type(before).model_validate({**before.model_dump(), **given})
    except ValidationError as error:
        problems = [_explain(one, Path(table)) for one in error.errors()]
        raise ConfigError("\n".join(problems)) from error
    return settings.model_copy(update={table: own})


def with_threshold(content: str, name: str, threshold: int) -> str:
    """A configuration with another threshold for one list. All else stays as it is written.

    Args:
        content: The file's text, which loads.
        name: The list's.
        threshold: In bits.

    Raises:
        ConfigError: The list does not stand in the file, but came from the environment; or would
            not load then.
    """
    import tomlkit  # noqa: PLC0415  # needed to write, and gates do not

    document = tomlkit.parse(content)
    for table in document.get("lists", ()):
        if table.get("name") != name:
            continue
        # A new key goes before the comments at the end, which may belong to the next table.
        body, trailing = table.value.body, []
        while "threshold" not in table and body[-1][0] is None:
            trailing.append(body.pop())
        table["threshold"] = threshold
        body.extend(reversed(trailing))
        try:
            ListSettings(**table.unwrap())
        except ValidationError as error:
            told = "; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors())
            raise ConfigError(
                f"list {name!r} would not load with threshold = {threshold}: {told}. "
                "Nothing was changed"
            ) from error
        return tomlkit.dumps(document)
    raise ConfigError(f"list {name!r} does not stand in the file; set its threshold where it does")


def find_config(path: str | Path | None = None) -> Path:
    """The configuration file to use.

    Raises:
        ConfigError: None was given and none is in the usual places.
    """
    if path is not None:
        return Path(path)
    if named := os.environ.get(_CONFIG_VARIABLE):
        return Path(named)
    for place in _PLACES:
        if place.is_file():
            return place
    raise ConfigError(
        f"no configuration: looked for {' and '.join(map(str, _PLACES))} in {Path.cwd()}; "
        f"name one with --config or {_CONFIG_VARIABLE}"
    )


def _resolve(settings: Settings, folder: Path) -> Settings:
    """Makes paths absolute: they are relative to the file, wherever the process runs."""

    def absolute(path: Path | str) -> Path:
        return (folder / Path(path).expanduser()).resolve()

    key = settings.store.key and _absolute_secret(settings.store.key, absolute)
    store = settings.store.model_copy(update={"path": absolute(settings.store.path), "key": key})
    lists = tuple(
        one.model_copy(
            update={
                # Not resolved further: it is a link through which versions are swapped.
                "path": Versions(store.path / one.feed).path(one.algorithm)
                if one.feed
                else absolute(one.path)
            }
        )
        for one in settings.lists
    )
    feeds = tuple(
        one.model_copy(
            update={
                "source": str(absolute(one.source)) if one.is_file else one.source,
                "root": one.root and absolute(one.root),
                "credentials": one.credentials and _absolute_secret(one.credentials, absolute),
            }
        )
        for one in settings.feeds
    )
    url = make_url(settings.audit.url)
    database = (folder / Path(url.database or "").expanduser()).resolve()
    url = url.set(database=str(database))
    audit = settings.audit.model_copy(update={"url": url.render_as_string(hide_password=False)})
    exceptions = settings.exceptions
    if exceptions.path is not None:
        place = (folder / exceptions.path.expanduser()).resolve()
        exceptions = exceptions.model_copy(update={"path": place})
    return settings.model_copy(
        update={
            "lists": lists,
            "feeds": feeds,
            "store": store,
            "audit": audit,
            "exceptions": exceptions,
        }
    )


def _absolute_secret(where: str, absolute: Callable[[str], Path]) -> str:
    """Where a secret is, with the path of a file made absolute."""
    kind, _, path = where.partition(":")
    return f"file:{absolute(path)}" if kind == "file" and path else where


def _check_environment(environ: Mapping[str, str]) -> None:
    """A variable that sets nothing is a typing error, and must not pass for a setting."""
    for variable in environ:
        name = variable.upper()
        if not name.startswith(_PREFIX) or variable == _CONFIG_VARIABLE:
            continue
        allowed = _known_variables()
        if name not in allowed or name == _CONFIG_VARIABLE:  # which is read as it is written
            raise ConfigError(f"{variable}: unknown variable; allowed: {', '.join(allowed)}")


def _known_variables() -> list[str]:
    known = [_CONFIG_VARIABLE]
    for table, field in Settings.model_fields.items():
        known.append(f"{_PREFIX}{table}".upper())
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys = field.annotation.model_fields
            known.extend(f"{_PREFIX}{table}__{key}".upper() for key in keys)
    return known


def _explain(error: ErrorDetails, file: Path) -> str:
    loc = error["loc"]
    variable = _PREFIX + "__".join(str(part) for part in loc).upper()
    where = variable if variable in {name.upper() for name in os.environ} else str(file)
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    match error["type"]:
        case "extra_forbidden":
            return f"{where}: {key}: unknown key; allowed: {', '.join(_siblings(loc))}"
        case "missing" if loc == ("lists",):
            return f"{where}: no list: add a [[lists]] table with name and path, or feed"
        case "missing":
            return f"{where}: {key}: is missing"
        case "string_pattern_mismatch":
            return (
                f"{where}: {key}: found {error['input']!r}; "
                "allowed: lower-case letters, digits, '-' and '_'"
            )
        case _:
            message = error["msg"].removeprefix("Value error, ")
            is_told = isinstance(error["input"], str | int | float) and not _SECRET & {*loc}
            found = f" (found {error['input']!r})" if is_told else ""
            return f"{where}: {key}: {message}{found}"


def _siblings(loc: tuple[int | str, ...]) -> list[str]:
    """The keys that a table has."""
    tables: dict[Any, type[BaseModel]] = {
        "lists": ListSettings,
        "feeds": FeedSettings,
        "store": StoreSettings,
        "gate": GateSettings,
        "exceptions": ExceptionsSettings,
        "audit": AuditSettings,
        "log": LogSettings,
        "serve": ServeSettings,
        "proxy": ProxySettings,
    }
    if loc[:2] == ("serve", "keys"):
        return list(KeySettings.model_fields)
    table = Settings if len(loc) == 1 else tables.get(loc[0], Settings)
    return list(table.model_fields)
