"""A whole configuration."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from initgate.config.gate import AuditSettings, ExceptionsSettings, GateSettings, LogSettings
from initgate.config.lists import FeedSettings, ListSettings, StoreSettings
from initgate.config.service import ProxySettings, ServeSettings

_Named = TypeVar("_Named", ListSettings, FeedSettings)

PREFIX = "INITGATE_"
PLACES = (Path("initgate.toml"), Path("config/initgate.toml"))


class Settings(BaseSettings):
    """A whole configuration."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__"
    )
    default_config: ClassVar[tuple[Path, ...]] = PLACES

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
