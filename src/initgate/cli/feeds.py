"""``initgate lists fetch``, ``rollback``, ``pin``, ``diff`` and ``export``."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from initgate import feeds, store
from initgate.cli.console import (
    CONFIGURATION,
    ERR,
    OTHER,
    OUT,
    ConfigOption,
    JsonOption,
    print_json,
    printable,
    write_file,
)
from initgate.cli.feed_status import told_counts
from initgate.cli.lists import ListName, configured
from initgate.config import ListSettings, Settings, load_settings
from initgate.errors import ConfigError
from initgate.lists import TEXTS, Format, dump
from initgate.lists.diff import Diff, diff
from initgate.model import Algorithm, HashList
from initgate.store.versions import Versions
from initgate.wiring import load_list, now, open_feed, open_versions

_JITTER = (0.9, 1.1)  # so that not all gates of the world ask at the full hour
_SHOWN = 10  # identifiers
_WAITING = "@waiting"  # after the name of a feed

FeedName = Annotated[str, typer.Argument(help="A configured feed's name.", show_default=False)]


def lists_fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="Feeds. Default: all.", show_default=False)
    ] = None,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on, as each feed's poll says.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring feeds up to date: running gates search what is new within seconds.

    Exit code 1 if one could not be fetched, or has a version that waits to be accepted.
    """
    settings = load_settings(config)
    if not settings.feeds:
        raise ConfigError("no feed is configured: add a [[feeds]] table with name and source")
    known = [one.name for one in settings.feeds]
    if unknown := [name for name in names or () if name not in known]:
        raise ConfigError(
            f"no feed {unknown[0]!r} is configured; there are: {', '.join(known)}",
        )
    chosen = dict.fromkeys(names or known)
    outcomes = [_fetch(name, settings, as_json=as_json) for name in chosen]
    if watch:
        _watch(chosen, settings, as_json=as_json)
    if not all(outcomes):
        raise typer.Exit(OTHER)


def _warn(what: str) -> None:
    ERR.print(f"[yellow]warning[/]  {escape(what)}")


def _fetch(name: str, settings: Settings, *, as_json: bool) -> bool:
    """Whether it is up to date now. Whatever is wrong with one feed stops no other."""
    with ERR.status(f"Fetching {name}") as status:

        def tell(what: str, number: int) -> None:
            status.update(f"Fetching {name}: {what}" + (f" {number:,}" if number else ""))

        try:
            found = feeds.fetch(_open(name, settings), clock=now, tell=tell)
        except Exception as error:  # noqa: BLE001  # it is told, here and in the feed's state
            found, problem = None, feeds.told(error)
        else:
            problem = ""
    if as_json:
        print_json(
            {
                "feed": name,
                "digest": found and found.about.digest,
                "entries": dict(found.about.entries) if found else {},
                "new": bool(found and found.is_new),
                "waits": (found and found.waits) or None,
                "mended": (found and found.mended) or None,
                "error": problem or None,
            }
        )
    elif found is None:
        ERR.print(f"[red]not fetched[/]  {name}: {escape(problem)}")
    elif found.waits:
        ERR.print(
            f"[yellow]waiting[/]  {name}: {escape(found.waits)}; it is not served; look at it: "
            f"initgate lists diff {name}; if all is as it should be: initgate lists accept {name} "
            f"{found.about.digest[:12]}"
        )
    else:
        word = "new" if found.is_new else "unchanged"
        OUT.print(
            f"[green]{word}[/]  {name}: {told_counts(found.about.entries)}  "
            f"{found.about.digest[:12]}"
        )
    if found and found.mended and not as_json:
        ERR.print(f"[red]damaged[/]  {name}: {escape(found.mended)}")
    return bool(found and not found.waits)


def _open(name: str, settings: Settings) -> feeds.Feed:
    try:
        return open_feed(settings, name, warn=_warn)
    except Exception as error:
        with suppress(*CONFIGURATION):
            feeds.note(Versions(settings.store.path / name), error, clock=now)
        raise


def _watch(chosen: Iterable[str], settings: Settings, *, as_json: bool) -> None:
    """Fetches each feed again and again; returns only if none is to be polled."""
    every = {one.name: one.poll.total_seconds() for one in settings.feeds if one.poll}
    due = {name: time.monotonic() + _varied(every[name]) for name in chosen if name in every}
    if not due:
        raise ConfigError("--watch: no feed says poll = …")
    while True:
        name = min(due, key=due.__getitem__)
        time.sleep(max(0.0, due[name] - time.monotonic()))
        _fetch(name, settings, as_json=as_json)
        due[name] = time.monotonic() + _varied(every[name])


def _varied(seconds: float) -> float:
    return seconds * random.uniform(*_JITTER)  # noqa: S311  # no secret


def lists_rollback(
    name: FeedName,
    *,
    to: Annotated[
        str, typer.Option(help="First digits of a version. Default: the one served before.")
    ] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve an earlier version of a feed, and pin it until pin --undo lets updates in again."""
    about = feeds.roll_back(open_versions(load_settings(config), name), to)
    _tell(name, {"served": about.digest, "pinned": True}, as_json=as_json)


def lists_pin(
    name: FeedName,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Let updates in again.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go on serving the present version of a feed; what is fetched waits."""
    versions = open_versions(load_settings(config), name)
    feeds.pin(versions, is_pinned=not undo)
    _tell(name, {"served": versions.current(), "pinned": not undo}, as_json=as_json)


def lists_diff(
    before: Annotated[
        str,
        typer.Argument(
            help="A list's file, a feed, or a version of it: FEED@DIGEST, FEED@waiting.",
            show_default=False,
        ),
    ],
    after: Annotated[
        str | None,
        typer.Argument(help="The same. Default: what waits in the feed.", show_default=False),
    ] = None,
    *,
    algorithm: Annotated[
        Algorithm, typer.Option("--algorithm", "-a", help="The hash of the entries of files.")
    ] = Algorithm.PDQ,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell which entries were added, removed and changed from one version to another."""
    whole = f"{before.partition('@')[0]}{_WAITING}" if after is None else after
    (_, old), (digest, new) = (_lists_of(one, algorithm, config) for one in (before, whole))
    for one in sorted(old.keys() | new.keys()):
        found = diff(old.get(one, ()), new.get(one, ()))
        if as_json:
            print_json(
                {
                    "algorithm": one.value,
                    "digest": digest,
                    "before": len(old.get(one, ())),
                    "after": len(new.get(one, ())),
                    "added": list(found.added),
                    "removed": list(found.removed),
                    "changed": list(found.changed),
                }
            )
        else:
            for line in _told_diff(one, found):
                OUT.print(line)
    if whole.endswith(_WAITING) and not as_json:
        feed = whole.removesuffix(_WAITING)
        ERR.print(f"To let it in: initgate lists accept {feed} {digest[:12]}")


def _told_diff(algorithm: Algorithm, found: Diff) -> Iterator[str]:
    if not (found.added or found.removed or found.changed):
        yield f"[dim]the same[/]  {algorithm}"
    for colour, what, names in (
        ("green", "added", found.added),
        ("red", "removed", found.removed),
        ("yellow", "changed", found.changed),
    ):
        if names:
            told = ", ".join(map(printable, names[:_SHOWN])) + (", …" if names[_SHOWN:] else "")
            yield f"[{colour}]{what}[/]  {algorithm}: {len(names)}  [dim]{escape(told)}[/]"


def _lists_of(
    name: str, algorithm: Algorithm, config: Path | None
) -> tuple[str, Mapping[Algorithm, HashList]]:
    """The digest and the lists of a file or of a feed's version."""
    if Path(name).is_file():
        one = ListSettings(name="file", path=Path(name), algorithm=algorithm)
        parts = store.load(
            one.path, name=one.name, file_format=one.file_format, algorithm=algorithm
        )
        return parts[0].digest, {algorithm: store.merged(parts)}
    feed, _, version = name.partition("@")
    versions = open_versions(load_settings(config), feed)
    match version:
        case "":
            digest = versions.current()
        case "waiting":
            digest = versions.state().waiting
        case _:
            digest = versions.find(version)
    if not digest:
        raise ConfigError(f"feed {feed!r}: {'no version waits' if version else 'has no version'}")
    return digest, versions.contents(versions.verify(digest)).lists


def lists_export(
    name: ListName,
    out: Annotated[Path, typer.Argument(help="File to write: .csv or .jsonl.", dir_okay=False)],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a list as it is searched, changes included, to a file that other tools read."""
    suffix = out.suffix.lower().removeprefix(".")
    if suffix not in TEXTS:
        raise ConfigError(f"{out}: the suffix must be one of: {', '.join(TEXTS)}")
    whole = store.merged(load_list(*configured(name, config)))
    write_file(out, dump(whole, Format(suffix)))
    _tell(name, {"written": str(out), "entries": len(whole)}, as_json=as_json)


def _tell(name: str, what: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, **what})
        return
    told = ", ".join(
        f"{key} {value}" if not isinstance(value, bool) else key if value else f"not {key}"
        for key, value in what.items()
    )
    OUT.print(f"[green]done[/]  {name}: {escape(printable(told))}")
