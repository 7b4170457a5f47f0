"""TOML and environment become frozen Settings. The only reader of either, and the only writer.

The environment overrides the file: ``INITGATE_GATE__UNREADABLE=allow`` sets ``unreadable`` in
``[gate]``. Paths are relative to the file. Whatever is wrong is a :class:`ConfigError` that names
file (or variable), key and what is allowed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

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
from initgate.model import Action, Algorithm, Family
from initgate.policy import Encoded, Fallback, ListPolicy
from initgate.views import FAST, STANDARD, THOROUGH

_PREFIX = "INITGATE_"
_CONFIG_VARIABLE = "INITGATE_CONFIG"
_PLACES = (Path("initgate.toml"), Path("config/initgate.toml"))
_AUDIT_URL = "allowed: sqlite:///FILE, for a log that lasts"
VIEW_FAMILIES = ("frame", "on white", "on black", "alpha", *Family, *ORIENTATIONS[1:])
"""The views that may have an offset: how a part of a view's name begins."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _parse_age(value: object) -> object:
    if value == "never":
        return None
    if isinstance(value, str) and (found := re.fullmatch(r"([1-9][0-9]{0,5})([smhdw])", value)):
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    raise ValueError('allowed: "never", or a number with a unit: "90m", "36h", "30d", "4w"')


Age: TypeAlias = Annotated[timedelta | None, BeforeValidator(_parse_age)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ListSettings(_Frozen):
    """A ``[[lists]]`` table."""

    name: str = Field(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")  # Rust's $: the very end
    """Lower-case letters, digits, ``-`` and ``_``; how decisions name the list."""

    path: Path
    """The list's file."""

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

    max_age: Age = None
    """Refuse everything once the file is older than this. ``never``, ``36h``, ``30d`` …"""

    max_lint_rise: float = Field(default=0.05, ge=0, le=1)
    """An update that raises the share of faulty entries by more waits until it is accepted."""

    allow_empty: bool = False
    """Whether a list without entries is fine."""

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
        )


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


class ProxySettings(_Frozen):
    """The ``[proxy]`` table."""

    upstream: str | None = None
    """The server behind the gate, e.g. ``http://127.0.0.1:7860``."""

    dialect: Literal["generic", "a1111", "comfyui", "openai", "gradio"] = "generic"
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

    @field_validator("upstream")
    @classmethod
    def _check_upstream(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^/?#@\s]+(?:/[^?#\s]*)?", value):
            raise ValueError("allowed: http://HOST:PORT or https://HOST, without query")
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
    gate: GateSettings = GateSettings()
    audit: AuditSettings = AuditSettings()
    log: LogSettings = LogSettings()
    proxy: ProxySettings = ProxySettings()

    @field_validator("lists")
    @classmethod
    def _check_names(cls, value: tuple[ListSettings, ...]) -> tuple[ListSettings, ...]:
        names = [one.name for one in value]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"name: {', '.join(twice)} stands twice; each list needs its own")
        return value

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
                one.model_dump(mode="json", exclude={"path"}) | {"threshold": one.policy.threshold}
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


def with_proxy(settings: Settings, **changes: object) -> Settings:
    """Settings with other values in ``[proxy]``: what the command line says.

    Args:
        settings: All settings.
        changes: Values by their keys; None changes nothing.

    Raises:
        ConfigError: A value is not allowed.
    """
    given = {key: value for key, value in changes.items() if value is not None}
    try:
        own = ProxySettings.model_validate({**settings.proxy.model_dump(), **given})
    except ValidationError as error:
        problems = [_explain(one, Path("proxy")) for one in error.errors()]
        raise ConfigError("\n".join(problems)) from error
    return settings.model_copy(update={"proxy": own})


def with_threshold(content: str, name: str, threshold: int) -> str:
    """A configuration with another threshold for one list. All else stays as it is written.

    Args:
        content: The file's text, which loads.
        name: The list's.
        threshold: In bits.

    Raises:
        ConfigError: The list does not stand in the file, but came from the environment.
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
    lists = tuple(
        one.model_copy(update={"path": (folder / one.path.expanduser()).resolve()})
        for one in settings.lists
    )
    url = make_url(settings.audit.url)
    database = (folder / Path(url.database or "").expanduser()).resolve()
    url = url.set(database=str(database))
    audit = settings.audit.model_copy(update={"url": url.render_as_string(hide_password=False)})
    return settings.model_copy(update={"lists": lists, "audit": audit})


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
            return f"{where}: no list: add a [[lists]] table with name and path"
        case "missing":
            return f"{where}: {key}: is missing"
        case "string_pattern_mismatch":
            return (
                f"{where}: {key}: found {error['input']!r}; "
                "allowed: lower-case letters, digits, '-' and '_'"
            )
        case _:
            message = error["msg"].removeprefix("Value error, ")
            is_told = not isinstance(error["input"], BaseModel) and "subject_key" not in loc
            found = f" (found {error['input']!r})" if is_told else ""
            return f"{where}: {key}: {message}{found}"


def _siblings(loc: tuple[int | str, ...]) -> list[str]:
    """The keys that a table has."""
    tables: dict[Any, type[BaseModel]] = {
        "lists": ListSettings,
        "gate": GateSettings,
        "audit": AuditSettings,
        "log": LogSettings,
        "proxy": ProxySettings,
    }
    table = Settings if len(loc) == 1 else tables.get(loc[0], Settings)
    return list(table.model_fields)
