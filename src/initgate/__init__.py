"""A gate in front of the init image: known material is refused before any diffusion step runs.

from initgate import Allowed, Refused, load_gate

gate = load_gate("config/initgate.toml")
match gate.check(photo):
    case Allowed(): ...
    case Refused(decision_id=decision_id): ...
"""

from __future__ import annotations

from initgate.config import Settings, load_settings
from initgate.errors import (
    AuditUnavailable,
    ConfigError,
    ImageUnreadable,
    InitgateError,
    InitImageRefused,
    ListRejected,
    SourceUnavailable,
)
from initgate.gate import Gate
from initgate.model import (
    Action,
    Algorithm,
    Allowed,
    Context,
    Decision,
    Match,
    Reason,
    Refused,
    Verdict,
)
from initgate.wiring import load_gate

__version__ = "0.1.0"

__all__ = [
    "Action",
    "Algorithm",
    "Allowed",
    "AuditUnavailable",
    "ConfigError",
    "Context",
    "Decision",
    "Gate",
    "ImageUnreadable",
    "InitImageRefused",
    "InitgateError",
    "ListRejected",
    "Match",
    "Reason",
    "Refused",
    "Settings",
    "SourceUnavailable",
    "Verdict",
    "load_gate",
    "load_settings",
]
