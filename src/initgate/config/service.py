"""The tables of the service and the proxy."""

from __future__ import annotations

import ipaddress
import re
from enum import StrEnum
from typing import Literal

from pydantic import Field, field_validator, model_validator

from initgate.config.tables import Table


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


class KeySettings(Table):
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


class BackoffSettings(Table):
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

    max_connections: int = Field(default=512, ge=1)
    """Open connections, sockets among them; more are turned away."""

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

    metrics_host: str = "127.0.0.1"
    """The address at which metrics are told."""

    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """The port at which they are told, as ``/metrics``; by default none."""

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
