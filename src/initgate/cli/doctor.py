"""``initgate doctor``: looks for what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from importlib import metadata, util
from pathlib import Path

import typer
from rich.markup import escape

from initgate.audit.chain import verify
from initgate.cli.console import (
    CONFIGURATION,
    OTHER,
    OUT,
    USAGE,
    ConfigOption,
    JsonOption,
    print_json,
    quiet_gate,
    told_age,
)
from initgate.cli.exceptions import told_exceptions
from initgate.cli.lists import Loaded, load_lists, told_share
from initgate.config import FeedSettings, ListSettings, Settings, find_config, load_settings
from initgate.errors import (
    AuditUnavailable,
    ConfigError,
    ListRejected,
)
from initgate.index import snapshot
from initgate.lists import Format
from initgate.model import Action
from initgate.wiring import now, open_audit, open_feed, open_versions

_STALE = timedelta(days=30)  # advice for lists without max_age


@dataclass(frozen=True, slots=True)
class _Finding:
    """One line of the doctor's report."""

    what: str
    state: str  # ok, warning or failure
    says: str
    exit_code: int = 0


_EXTRAS = {
    "diffusers": ("torch", "diffusers", "transformers"),
    "heif": ("pillow_heif",),
    "lists": ("ijson", "lxml"),
    "sources": ("fsspec", "httpcore2", "tenacity"),
    "trust": ("cryptography", "tuf"),
    "serve": ("fastapi", "uvicorn", "python_multipart", "prometheus_client"),
    "proxy": ("starlette", "uvicorn", "httpx", "websockets", "brotli", "zstandard"),
}
_COLOURS = {"ok": "green", "warning": "yellow", "failure": "red"}


def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check configuration, lists, index, audit log and extras; say how to mend what is wrong.

    Exit code 2 if the configuration or a list is wrong, 1 for any other failure.
    """
    findings = list(_diagnose(config))
    for one in findings:
        if as_json:
            print_json({"check": one.what, "state": one.state, "says": one.says})
        else:
            colour = _COLOURS[one.state]
            OUT.print(f"[{colour}]{one.state:8}[/] {escape(one.what)}: {escape(one.says)}")
    if code := max(one.exit_code for one in findings):
        raise typer.Exit(code)


def _diagnose(config: Path | None) -> Iterator[_Finding]:
    try:
        settings = load_settings(config)
    except ConfigError as error:
        yield _Finding("configuration", "failure", str(error), USAGE)
        yield from _diagnose_extras()
        return
    yield _Finding("configuration", "ok", str(find_config(config)))
    yield from _diagnose_policy(settings)
    loaded = list(load_lists(settings))
    for one in loaded:
        yield from _diagnose_list(one, settings)
    for feed in settings.feeds:
        yield _diagnose_feed(feed, settings)
    exceptions = list(_diagnose_exceptions(settings))
    yield from exceptions
    if not any(one.error for one in loaded) and not any(one.exit_code for one in exceptions):
        yield from _diagnose_gate(settings)
    yield from _diagnose_audit(settings)
    yield from _diagnose_extras()


def _diagnose_policy(settings: Settings) -> Iterator[_Finding]:
    for key in ("unreadable", "encoded"):
        if getattr(settings.gate, key) == "allow":
            says = f'{key} = "allow" lets images pass that nobody looked at; remove it'
            yield _Finding("configuration", "warning", says)
    if settings.gate.jpeg == "reduced":
        says = 'jpeg = "reduced" lets a JPEG made for the purpose hide a listed picture'
        yield _Finding("configuration", "warning", says)
    if all(one.algorithm.is_digest for one in settings.lists):
        says = (
            "every list holds exact digests, so PIL images and arrays, which have no bytes to "
            "digest, are all refused; add a perceptual list (pdq)"
        )
        yield _Finding("configuration", "warning", says)
    if all(one.action is Action.FLAG for one in settings.lists):
        yield _Finding(
            "configuration", "warning", 'every list has action = "flag": no match is refused'
        )


def _diagnose_list(one: Loaded, settings: Settings) -> Iterator[_Finding]:
    what = f"list {one.settings.name}"
    if not one.parts:
        yield _Finding(what, "failure", one.error, USAGE)
        return
    if one.settings.file_format is Format.SNAPSHOT:
        try:
            _verify(one.settings, settings)
        except ListRejected as error:
            yield _Finding(what, "failure", str(error), USAGE)
            return
    if one.is_expired:
        mend = (
            f"initgate lists fetch {one.settings.feed}"
            if one.settings.feed
            else (f"replace {one.settings.path}")
        )
        says = f"older than max_age, everything is refused: {mend}"
        yield _Finding(what, "failure", says, OTHER)
    elif not one.searched:
        yield _Finding(what, "warning", "no entry is searched: it refuses nothing")
    elif one.is_old:
        yield _Finding(what, "warning", f"{told_age(one.age)} old, which is past warn_after")
    elif one.faulty_share:
        says = (
            f"{told_share(one.faulty_share)} of the entries look as if they would refuse honest "
            f"people: initgate lists lint {one.settings.name}"
        )
        yield _Finding(what, "warning", says)
    elif one.settings.max_age is None and one.age is not None and one.age > _STALE:
        says = f"{told_age(one.age)} old; set max_age so that a feed that broke is noticed"
        yield _Finding(what, "warning", says)
    else:
        left_out = sum(map(len, one.parts)) - one.searched
        says = f"{one.searched} entries" + (
            f", {left_out} left out below min_quality" if left_out else ""
        )
        if flagged := one.parts[0].flagged:
            says += f", {len(flagged)} hashes set to flag"
        yield _Finding(what, "ok", says)


def _verify(one: ListSettings, settings: Settings) -> None:
    if one.feed:
        versions = open_versions(settings, one.feed)
        versions.verify(versions.current(), only=one.algorithm)
    else:
        snapshot.verify(one.path)


def _diagnose_feed(feed: FeedSettings, settings: Settings) -> _Finding:
    what = f"feed {feed.name}"
    try:
        state = open_feed(settings, feed.name).versions.state()
    except CONFIGURATION as error:  # an extra that its source or trust needs, among others
        return _Finding(what, "failure", str(error), USAGE)
    if state.error:
        return _Finding(what, "warning", f"not fetched: {state.error}")
    if state.waiting:
        says = f"a version waits: {state.why}; look at it: initgate lists diff {feed.name}"
        return _Finding(what, "warning", says)
    if state.succeeded_at is None:
        says = f"was never fetched: initgate lists fetch {feed.name}"
        return _Finding(what, "warning", says)
    if state.rule != feed.rule:
        says = (
            "its source, format or trust was changed, and what is served is from before: "
            f"initgate lists fetch {feed.name}"
        )
        return _Finding(what, "warning", says)
    return _Finding(what, "ok", f"fetched {told_age(now() - state.succeeded_at)} ago")


def _diagnose_exceptions(settings: Settings) -> Iterator[_Finding]:
    try:
        told = told_exceptions(settings)
    except CONFIGURATION as error:
        yield _Finding("exceptions", "failure", str(error), USAGE)
        return
    if told:
        yield _Finding("exceptions", "warning" if "expired" in told else "ok", told)


def _diagnose_gate(settings: Settings) -> Iterator[_Finding]:
    try:
        gate = quiet_gate(settings)
    except AuditUnavailable:
        return  # the audit's own check says so
    except ListRejected as error:  # every entry below min_quality
        yield _Finding("index", "failure", str(error), USAGE)
        return
    if gate.prove():
        yield _Finding("index", "ok", "the canary is found by the full path")
    else:
        says = (
            "the canary is not found, everything is refused: a hash library or decoder answers "
            "differently than it did; reinstall initgate in a fresh environment"
        )
        yield _Finding("index", "failure", says, OTHER)


def _diagnose_audit(settings: Settings) -> Iterator[_Finding]:
    try:
        with closing(open_audit(settings)) as sink:
            report = verify(sink.records())
    except AuditUnavailable as error:
        says = f"{error}; make the file readable and writable, or point [audit] url elsewhere"
        yield _Finding("audit", "failure", says, OTHER)
        return
    if report.is_whole:
        says = f"{report.records} records, chain whole, head {report.head[:12]}"
        yield _Finding("audit", "ok", says)
    else:
        says = f"{report.problems[0]}; keep the file as evidence, point [audit] url elsewhere"
        yield _Finding("audit", "failure", says, OTHER)


def _diagnose_extras() -> Iterator[_Finding]:
    for extra, modules in _EXTRAS.items():
        missing = [name for name in modules if util.find_spec(name) is None]
        if missing:
            says = f"not installed ({', '.join(missing)}); pip install 'initgate[{extra}]'"
            yield _Finding(f"extra {extra}", "ok", says)
        else:
            names = (name.replace("_", "-") for name in modules)
            says = ", ".join(f"{name} {metadata.version(name)}" for name in names)
            yield _Finding(f"extra {extra}", "ok", says)
