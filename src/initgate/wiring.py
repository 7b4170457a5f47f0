"""Settings become a Gate. The only place that names concrete classes."""

from __future__ import annotations

import atexit
import logging
import platform
import secrets
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import structlog
import uuid_utils

from initgate.audit import AuditSink, Journal, Provenance
from initgate.audit.sqlite import SqliteAudit
from initgate.canary import load_canary
from initgate.config import ListSettings, Settings, load_settings
from initgate.errors import ListRejected
from initgate.gate import Gate
from initgate.index import Index
from initgate.lists import load
from initgate.model import HashList
from initgate.policy import Policy
from initgate.sources.file import fetch

# What may change a hash or a decision.
_RECORDED_SOFTWARE = (
    "initgate",
    "pillow",
    "pillow-heif",
    "imagehash",
    "numpy",
    "faiss-cpu",
)


def load_gate(config: str | Path | Settings | None = None, *, log: Any = None) -> Gate:
    """Makes a gate from a configuration.

    Args:
        config: The file, or settings already read. Default: as
            :func:`initgate.config.load_settings` finds one.
        log: A structlog logger. Default: JSON lines on standard error.

    Raises:
        ConfigError: The configuration is missing or wrong.
        ListRejected: A list is malformed.
        SourceUnavailable: A list cannot be read.
        AuditUnavailable: The audit log cannot be opened.
    """
    settings = config if isinstance(config, Settings) else load_settings(config)
    lists = [load_list(one) for one in settings.lists]
    policy = Policy(
        lists={one.name: one.policy for one in settings.lists},
        unreadable=settings.gate.unreadable,
        encoded=settings.gate.encoded,
        digest=settings.digest,
    )
    searched = [
        _fit(one, policy, allow_empty=of.allow_empty)
        for one, of in zip(lists, settings.lists, strict=True)
    ]
    canary = load_canary(one.algorithm for one in lists)
    sink = open_audit(settings)
    atexit.register(sink.close)
    key = settings.audit.subject_key
    return Gate(
        index=Index([*searched, *canary.lists]),
        policy=policy,
        canary=canary,
        ages={one.name: one.as_of for one in lists},
        journal=Journal(
            sink,
            provenance=Provenance(
                policy=policy.digest,
                lists={one.name: one.digest for one in lists},
                versions=_versions(),
            ),
            subject_key=key.get_secret_value().encode() if key else secrets.token_bytes(32),
            record_allowed=settings.audit.record_allowed,
        ),
        limits=settings.gate.limits,
        clock=now,
        stopwatch=time.perf_counter,
        new_id=lambda: str(uuid_utils.uuid7()),
        log=log or make_log(settings.log.level),
        reduce_jpegs=settings.gate.jpeg == "reduced",
    )


def _fit(hash_list: HashList, policy: Policy, *, allow_empty: bool) -> HashList:
    """The entries worth searching; a list that has none refuses nothing and is none."""
    fitting = policy.fit_entries(hash_list)
    if not len(fitting) and not allow_empty:
        raise ListRejected(
            "every entry is below min_quality, so the list would refuse nothing; "
            "lower min_quality or set allow_empty = true",
            source=hash_list.name,
        )
    return fitting


def load_list(settings: ListSettings) -> HashList:
    """Reads one configured list.

    Raises:
        ConfigError: Its format cannot be told.
        ListRejected: It is malformed.
        SourceUnavailable: It cannot be read.
    """
    fetched = fetch(settings.path)
    return load(
        fetched.data,
        name=settings.name,
        source=str(settings.path),
        file_format=settings.file_format,
        algorithm=settings.algorithm,
        allow_empty=settings.allow_empty,
        as_of=fetched.as_of,
    )


def open_audit(settings: Settings) -> AuditSink:
    """Opens the configured audit log, making it if it is not there.

    Raises:
        AuditUnavailable: It cannot be opened or written.
    """
    return SqliteAudit(settings.audit.url)


def make_log(level: str) -> Any:
    """A logger of JSON lines on standard error, of its own: the host's logging stays as it is."""
    return structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Without the locals: they hold what the caller sent.
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
    )


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _RECORDED_SOFTWARE:
        with suppress(metadata.PackageNotFoundError):  # an extra
            versions[name] = metadata.version(name)
    return versions
