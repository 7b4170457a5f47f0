"""Settings become a Gate. The only place that names concrete classes."""

from __future__ import annotations

import atexit
import functools
import logging
import platform
import secrets
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import structlog
import uuid_utils

from initgate import lint
from initgate.audit import AuditSink, Journal, Provenance
from initgate.audit.sqlite import SqliteAudit
from initgate.benign import load_benign
from initgate.canary import load_canary
from initgate.config import FeedSettings, ListSettings, Settings, load_settings
from initgate.errors import ConfigError, ListRejected
from initgate.exceptions import NONE
from initgate.exceptions.file import Watched
from initgate.feeds import Feed, Rails
from initgate.gate import Gate, Shelf
from initgate.index import Index
from initgate.policy import Policy
from initgate.reload import Parts, Reloader, Source
from initgate.sealed import parse_key
from initgate.sources import Source as FeedSource
from initgate.sources import tuf
from initgate.sources.bounds import BOUNDS
from initgate.sources.credentials import Credentials, Warn
from initgate.sources.file import FileSource
from initgate.sources.opening import open_source, shown_where
from initgate.store.versions import Versions
from initgate.trust import SUFFIX, Trust, choose, needs_cryptography

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
    policy = Policy(
        lists={one.name: one.policy for one in settings.lists},
        unreadable=settings.gate.unreadable,
        encoded=settings.gate.encoded,
        digest=settings.digest,
    )
    sources = [
        _to_source(
            settings,
            one,
            fit=functools.partial(_fit, policy, may_be_empty=one.allow_empty),
            share=functools.partial(share_at_fault, threshold=one.policy.threshold),
            max_lint_rise=one.max_lint_rise,
        )
        for one in settings.lists
    ]
    parts = [_load(one) for one in sources]
    canary = load_canary(one.algorithm for one in settings.lists)

    def to_shelf(parts: Sequence[Parts]) -> Shelf:
        lists = [one for of_one in parts for one in of_one]
        return Shelf(
            index=Index([*lists, *canary.lists], thresholds=policy.thresholds),
            ages={one.name: one.as_of for one in lists},
            digests={one.name: one.digest for one in lists},
            entries={of_one[0].name: sum(map(len, of_one)) for of_one in parts},
        )

    exceptions = Watched(settings.exceptions.path)
    released = exceptions.news() or NONE
    shelf = to_shelf(parts)
    sink = open_audit(settings)
    atexit.register(sink.close)
    key = settings.audit.subject_key
    log = log or make_log(settings.log.level)
    gate = Gate(
        shelf=shelf,
        policy=policy,
        canary=canary,
        journal=Journal(
            sink,
            provenance=Provenance(policy=policy.digest, versions=_versions()),
            subject_key=key.get_secret_value().encode() if key else secrets.token_bytes(32),
            record_allowed=settings.audit.record_allowed,
        ),
        limits=settings.gate.limits,
        clock=now,
        stopwatch=time.perf_counter,
        new_id=lambda: str(uuid_utils.uuid7()),
        log=log,
        reduce_jpegs=settings.gate.jpeg == "reduced",
        families=settings.gate.families,
        exceptions=released,
    )
    reloader = Reloader(gate, sources, parts, to_shelf, clock=now, exceptions=exceptions, log=log)
    if settings.gate.reload_seconds:
        reloader.start(settings.gate.reload_seconds)
    else:
        reloader.verify()
    return gate


def _fit(policy: Policy, parts: Parts, *, may_be_empty: bool) -> Parts:
    """The entries worth searching; a list that has none refuses nothing and is none."""
    fitting = [policy.fit_entries(one) for one in parts]
    if not may_be_empty and not any(one.has_searched() for one in fitting):
        raise ListRejected(
            "every entry is below min_quality, so the list would refuse nothing; "
            "lower min_quality or set allow_empty = true",
            source=parts[0].name,
        )
    return fitting


def _to_source(settings: Settings, one: ListSettings, **more: Any) -> Source:
    if one.feed:
        more["feed"] = open_versions(settings, one.feed)
        more["trust"] = _to_trust(_configured(settings, one.feed))
    return Source(
        path=one.path,
        name=one.name,
        file_format=one.file_format,
        algorithm=one.algorithm,
        allow_empty=one.allow_empty,
        warn_after=one.warn_after,
        **more,
    )


def share_at_fault(parts: Parts, *, threshold: int) -> float:
    """The share of a list's entries that look as if they would refuse honest people, 0 to 1.

    Args:
        parts: A list and what was added to it, with their quality floor.
        threshold: Within which it refuses, in bits.
    """
    return lint.share(parts, threshold=threshold, benign=load_benign())


def load_list(settings: Settings, one: ListSettings) -> Parts:
    """Reads one configured list, and what was added to it.

    Args:
        settings: The configuration.
        one: The list's.

    Raises:
        ConfigError: Its format cannot be told, or the key of the store is missing.
        ListRejected: It is malformed.
        SourceUnavailable: It cannot be read.
    """
    return _load(_to_source(settings, one))


def _load(source: Source) -> Parts:
    parts, source.settled = source.load()
    return parts


def open_versions(settings: Settings, feed: str) -> Versions:
    """The versions of a configured feed, with the key that opens them.

    Raises:
        ConfigError: None is called so, or there is no such key.
    """
    _configured(settings, feed)
    key = None
    if (where := settings.store.key) is not None:
        try:
            kept = Credentials(where, lambda _: None)
            key = parse_key(kept.one("key of the store"), source=where)
        except ConfigError as error:
            raise ConfigError(f"[store] key: {error}") from error
    return Versions(settings.store.path / feed, key)


def _configured(settings: Settings, feed: str) -> FeedSettings:
    found = next((one for one in settings.feeds if one.name == feed), None)
    if found is None:
        names = ", ".join(one.name for one in settings.feeds) or "none"
        raise ConfigError(f"no feed {feed!r} is configured; there are: {names}")
    return found


def open_feed(settings: Settings, name: str, *, warn: Warn = lambda _: None) -> Feed:
    """A configured feed.

    Args:
        settings: The configuration.
        name: The feed's.
        warn: Told what does not stop a fetch but should be mended.

    Raises:
        ConfigError: None is called so, or a setting of it is wrong.
    """
    one = _configured(settings, name)
    used = [each for each in settings.lists if each.feed == name]
    if one.public_keys is not None:
        needs_cryptography()
    return Feed(
        versions=open_versions(settings, name),
        source=_to_feed_source(one, settings.store.path / name, warn=warn),
        trust=_to_trust(one),
        read=one.reader,
        told=(shown_where(one.source), one.file_format),
        rule=one.rule,
        rails=Rails(one.max_shrink, one.allow_empty, bytes.fromhex(one.canary) or None),
        max_bad_records=one.max_bad_records if one.on_bad_record == "skip" else 0,
        thresholds={
            algorithm: max(each.policy.reach for each in used if each.algorithm is algorithm)
            for algorithm in {each.algorithm for each in used}
        },
        keep=one.keep,
    )


def _to_feed_source(settings: FeedSettings, folder: Path, *, warn: Warn) -> FeedSource:
    if settings.is_file:
        return FileSource(Path(settings.source))
    try:
        if settings.root is not None:
            return tuf.open_source(
                settings.source,
                target=settings.target,
                root=settings.root,
                metadata=folder / "tuf",
                max_bytes=BOUNDS.total_bytes,
                temporary_folder=folder,
            )
        return open_source(
            settings.source,
            credentials=settings.credentials,
            options=settings.source_options,
            temporary_folder=folder,
            warn=warn,
            signature_suffix="" if settings.public_keys is None else SUFFIX,
        )
    except ConfigError as error:
        raise ConfigError(f"feed {settings.name!r}: {error}") from error


def _to_trust(settings: FeedSettings) -> Trust:
    try:
        return choose(
            sha256=settings.sha256,
            public_keys=settings.public_keys,
            at_least=settings.at_least,
            name=settings.list_name,
            root=None if settings.root is None else settings.root.read_bytes(),
        )
    except ConfigError as error:
        raise ConfigError(f"feed {settings.name!r}: {error}") from error
    except OSError as error:
        raise ConfigError(f"{settings.root}: {error.strerror or error}") from error


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
