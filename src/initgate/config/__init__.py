"""TOML and environment become frozen Settings. The only reader of either, and the only writer.

The environment overrides the file: ``INITGATE_GATE__UNREADABLE=allow`` sets ``unreadable`` in
``[gate]``. Paths are relative to the file. Whatever is wrong is a :class:`ConfigError` that names
file (or variable), key and what is allowed. The tables are in files of their own, by what they set.
"""

from initgate.config.gate import AuditSettings, ExceptionsSettings, GateSettings, LogSettings
from initgate.config.lists import VIEW_FAMILIES, FeedSettings, ListSettings, StoreSettings
from initgate.config.loading import find_config, load_settings, with_table, with_threshold
from initgate.config.service import (
    BackoffSettings,
    KeySettings,
    ProxySettings,
    Role,
    ServeSettings,
    is_loopback,
)
from initgate.config.settings import Settings
from initgate.config.tables import Age

__all__ = [
    "VIEW_FAMILIES",
    "Age",
    "AuditSettings",
    "BackoffSettings",
    "ExceptionsSettings",
    "FeedSettings",
    "GateSettings",
    "KeySettings",
    "ListSettings",
    "LogSettings",
    "ProxySettings",
    "Role",
    "ServeSettings",
    "Settings",
    "StoreSettings",
    "find_config",
    "is_loopback",
    "load_settings",
    "with_table",
    "with_threshold",
]
