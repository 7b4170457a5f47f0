"""``initgate lists``: makes lists, changes them, tells what is loaded."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich import filesize
from rich.markup import escape
from rich.table import Table

from initgate import store
from initgate.cli.console import (
    CONFIGURATION,
    ERR,
    OTHER,
    OUT,
    USAGE,
    ConfigOption,
    Files,
    JsonOption,
    print_json,
    printable,
    read_file,
    tell_changed,
    told_age,
    track_many,
    write_file,
)
from initgate.cli.exceptions import told_exceptions
from initgate.cli.feed_status import feed_record, tell_feeds
from initgate.config import ListSettings, Settings, load_settings
from initgate.errors import (
    ConfigError,
    ImageUnreadable,
    ListRejected,
    SourceUnavailable,
)
from initgate.image import Limits
from initgate.index import snapshot
from initgate.lists import TEXTS, Format, changes, dump
from initgate.lists.build import DEFAULT_QUALITY_FLOOR, entries_of, entry_of
from initgate.lists.records import to_entry, to_record
from initgate.model import Algorithm
from initgate.policy import Policy
from initgate.reload import Parts
from initgate.store.versions import Versions
from initgate.wiring import load_list, now, share_at_fault

USE_FLAG = 'if that is meant, set action = "flag"'
_WIDE = 1000  # columns of text

lists_app = typer.Typer(no_args_is_help=True, help="Build hash lists and see what is loaded.")


@lists_app.command("build")
def lists_build(  # noqa: PLR0917  # Typer maps parameters to options by name
    photos: Files,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: .csv or .jsonl.")],
    name: Annotated[str, typer.Option("--name", "-n", help="The list's name in the config.")],
    algorithm: Annotated[
        Algorithm, typer.Option("--algorithm", "-a", help="The hash to take.")
    ] = Algorithm.PDQ,
    min_quality: Annotated[
        int, typer.Option(min=0, max=100, help="Leave out pictures of a lower PDQ quality.")
    ] = DEFAULT_QUALITY_FLOOR,
    views: Annotated[
        bool, typer.Option("--views", help="Hash crops of each picture too, under its name.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a list from your own pictures; each entry is named after its file.

    Exit code 1 if a picture had to be left out, because it is unreadable or below the quality
    floor; the others are written.
    """
    settings = _list_settings(name, out, algorithm)
    if views and algorithm.is_digest:
        raise ConfigError(f"--views: {algorithm} is of exact bytes, which have no crops")
    entries, left_out = [], []
    for photo in track_many(photos, "Hashing"):
        try:
            data = read_file(photo, Limits().max_bytes)
            entry = printable(photo.stem)
            made = (
                entries_of(data, algorithm=algorithm, entry=entry, min_quality=min_quality)
                if views
                else [entry_of(data, algorithm=algorithm, entry=entry, min_quality=min_quality)]
            )
        except OSError as error:
            left_out.append((photo, str(error)))
        except ImageUnreadable as error:
            left_out.append((photo, str(error)))
        else:
            entries += made
    if entries:
        write_file(out, dump(entries, settings.file_format))
    if as_json:
        print_json(
            {
                "name": name,
                "out": str(out) if entries else None,
                "algorithm": algorithm.value,
                "entries": len(entries),
                "left_out": [{"file": str(p), "reason": why} for p, why in left_out],
            }
        )
    else:
        for photo, why in left_out:
            ERR.print(f"[yellow]left out[/]  {escape(printable(photo))}  {escape(why)}")
        _tell_built(settings, len(entries))
    if left_out:
        raise typer.Exit(OTHER)


def _list_settings(name: str, out: Path, algorithm: Algorithm) -> ListSettings:
    """The configuration of a list to be, so that what is wrong shows before any work."""
    try:
        settings = ListSettings(name=name, path=out, algorithm=algorithm)
    except ValueError as error:
        raise ConfigError(
            f"--name {name}: allowed: lower-case letters, digits, '-' and '_'"
        ) from error
    if out.suffix.lower() not in {f".{one}" for one in TEXTS}:
        raise ConfigError(f"--out {out}: the suffix must be one of: {', '.join(TEXTS)}")
    return settings


def _tell_built(settings: ListSettings, entries: int) -> None:
    if not entries:
        ERR.print("[red]nothing written[/]: no picture could be hashed")
        return
    OUT.print(f"[green]written[/]  {entries} entries to {escape(str(settings.path))}")
    OUT.print("Add it to your configuration:\n")
    path = json.dumps(str(settings.path.resolve()), ensure_ascii=False)  # a TOML string as well
    OUT.print(
        escape(
            f'[[lists]]\nname = "{settings.name}"\npath = {path}\n'
            f'algorithm = "{settings.algorithm}"'
        )
    )


@lists_app.command("compile")
def lists_compile(
    source: Annotated[Path, typer.Argument(help="A list: .csv or .jsonl.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: .igx.")],
    algorithm: Annotated[
        Algorithm, typer.Option("--algorithm", "-a", help="The hash of the list's entries.")
    ] = Algorithm.PDQ,
    threshold: Annotated[
        int | None,
        typer.Option(
            min=0, help="The bits it will be asked with, for speed alone. Default: the algorithm's."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a snapshot of a list: it opens at once, and all workers share its memory.

    It is as old as its source. Exit code 2 if that cannot be loaded.
    """
    if out.suffix.lower() != f".{Format.SNAPSHOT}":
        raise ConfigError(f"--out {out}: the suffix must be .{Format.SNAPSHOT}")
    settings = ListSettings(name="source", path=source, algorithm=algorithm)
    if settings.file_format is Format.SNAPSHOT:
        raise ConfigError(f"{source}: the source must be one of: {', '.join(TEXTS)}")
    with ERR.status("Compiling"):
        parts = store.load(
            source, name="source", file_format=settings.file_format, algorithm=algorithm
        )
        hash_list = store.merged(parts)
        try:
            header = snapshot.write(hash_list, out, threshold=threshold)
            if hash_list.as_of is not None:
                os.utime(out, (hash_list.as_of.timestamp(),) * 2)
            size = out.stat().st_size
            if new := hash_list.flagged - store.read_changes(out).flagged:
                store.change(out, map(changes.flag, sorted(new)))
        except OSError as error:
            raise SourceUnavailable(f"{out}: {error.strerror or error}") from error
    if as_json:
        print_json({"out": str(out), **_header_record(header), "bytes": size})
    else:
        bands = f" in {header.bands} bands" if header.bands else ""
        OUT.print(
            f"[green]written[/]  {header.entries} entries{bands} to {escape(printable(out))}, "
            f"{filesize.decimal(size)}"
        )


def _verified(
    names: list[str], config: Path | None
) -> Iterator[tuple[str, Callable[[], dict[str, object]]]]:
    """What the names stand for, and what verifies it and tells about it."""
    for name in names:
        if Path(name).is_file():
            yield name, functools.partial(_verify_file, Path(name))
            continue
        settings = load_settings(config)
        if name not in {one.name for one in settings.feeds}:
            raise ConfigError(f"{name}: there is no such file, and no feed is called so")
        versions = Versions(settings.store.path / name)
        for digest in versions.digests():
            told = f"{name}@{digest[:12]}"
            yield told, functools.partial(_verify_version, versions, digest)


def _verify_file(path: Path) -> dict[str, object]:
    return _header_record(snapshot.verify(path))


def _verify_version(versions: Versions, digest: str) -> dict[str, object]:
    about = versions.verify(digest)
    return {"entries": sum(about.entries.values()), "digest": about.digest}


def _header_record(header: snapshot.Header) -> dict[str, object]:
    return {
        "algorithm": header.algorithm.value,
        "entries": header.entries,
        "bands": header.bands,
        "digest": header.digest,
    }


@lists_app.command("verify")
def lists_verify(
    files: Annotated[
        list[str], typer.Argument(help="Snapshots, or names of feeds.", show_default=False)
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read snapshots, or all versions of feeds, to their ends and compare every checksum.

    Exit code 1 if any is damaged.
    """
    damaged = 0
    for file, verify in track_many(list(_verified(files, config)), "Verifying"):
        try:
            record, problem = verify(), ""
        except ListRejected as error:
            record, problem = {}, str(error) if error.source != file else error.reason
            damaged += 1
        if as_json:
            print_json({"file": file, "whole": not problem, **record, "problem": problem})
        elif problem:
            OUT.print(f"[red]damaged[/]  {escape(printable(file))}  {escape(problem)}")
        else:
            OUT.print(f"[green]whole[/]  {escape(printable(file))}  {record['entries']} entries")
    if damaged:
        raise typer.Exit(OTHER)


ListName: TypeAlias = Annotated[
    str, typer.Argument(help="A configured list's name.", show_default=False)
]


@lists_app.command("add-hash")
def lists_add_hash(
    name: ListName,
    *,
    code: Annotated[str, typer.Option("--hash", help="The hash, in hexadecimal digits.")],
    entry: Annotated[str, typer.Option(help="Your identifier for it.")],
    quality: Annotated[int | None, typer.Option(min=0, max=100, help="Its PDQ quality.")] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", help="A label; may be repeated.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add an entry to a list at once: running gates search it within seconds.

    It is written to the file of changes beside the list; lists merge puts it into the list.
    """
    _, settings = configured(name, config)
    record = {
        "algorithm": settings.algorithm.value,
        "hash": code,
        "entry": entry,
        "quality": quality,
        "tags": tags or (),
    }
    made = to_entry(record, source="lists add-hash", line=1)
    store.change(settings.path, [changes.addition(made)])
    tell_changed(name, {"added": entry}, as_json=as_json)


@lists_app.command("add-photo")
def lists_add_photo(  # noqa: PLR0917  # Typer maps parameters to options by name
    name: ListName,
    photo: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, show_default=False)
    ],
    entry: Annotated[str, typer.Option(help="Your identifier for it.")],
    views: Annotated[
        bool, typer.Option("--views", help="Add the hashes of crops of it too.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hash a picture and add it to a list at once, as add-hash does. The picture is not kept."""
    _, settings = configured(name, config)
    if views and settings.algorithm.is_digest:
        raise ConfigError(f"--views: {settings.algorithm} is of exact bytes, which have no crops")
    data = read_file(photo, Limits().max_bytes)
    floor = settings.min_quality
    made = (
        entries_of(data, algorithm=settings.algorithm, entry=entry, min_quality=floor)
        if views
        else [entry_of(data, algorithm=settings.algorithm, entry=entry, min_quality=floor)]
    )
    to_entry(to_record(made[0]), source="lists add-photo", line=1)  # whether --entry is fine
    store.change(settings.path, map(changes.addition, made))
    tell_changed(name, {"added": entry, "hashes": len(made)}, as_json=as_json)


@lists_app.command("remove")
def lists_remove(
    name: ListName,
    entries: Annotated[
        list[str], typer.Argument(help="Identifiers of entries.", show_default=False)
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Withdraw entries from a list at once: running gates search them no more within seconds."""
    everything, settings = configured(name, config)
    parts = load_list(everything, settings)
    known = {entry for part in parts for entry in part.entries if entry not in part.removed}
    if unknown := sorted(set(entries) - known):
        raise ConfigError(f"list {name!r} has no entry {', '.join(unknown)}; nothing was changed")
    if known == set(entries) and not settings.allow_empty:
        raise ConfigError(
            f"list {name!r} would be empty; if that is meant, set allow_empty = true. "
            "Nothing was changed"
        )
    store.change(settings.path, [changes.removal(entry) for entry in entries])
    tell_changed(name, {"removed": entries}, as_json=as_json)


@lists_app.command("flag")
def lists_flag(
    name: ListName,
    entries: Annotated[
        list[str], typer.Argument(help="Identifiers of entries.", show_default=False)
    ],
    undo: Annotated[
        bool, typer.Option("--undo", help="Let them do again what their list does.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set entries to flag at once: a match is logged and allowed, whatever the list does.

    It is their hashes that flag, also where another entry or a later list has them.
    """
    everything, settings = configured(name, config)
    parts = load_list(everything, settings)
    rows = [
        (entry, part.codes[row].tobytes())
        for part in parts
        for row, entry in enumerate(part.entries)
        if entry not in part.removed
    ]
    if unknown := sorted(set(entries) - {entry for entry, _ in rows}):
        raise ConfigError(f"list {name!r} has no entry {', '.join(unknown)}; nothing was changed")
    codes = {code for entry, code in rows if entry in entries}
    if not undo and {code for _, code in rows} <= codes | parts[0].flagged:
        raise ConfigError(f"list {name!r} would refuse nothing; {USE_FLAG}. Nothing was changed")
    line = changes.unflag if undo else changes.flag
    store.change(settings.path, map(line, sorted(codes)))
    tell_changed(name, {"unflagged" if undo else "flagged": entries}, as_json=as_json)


@lists_app.command("merge")
def lists_merge(name: ListName, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Put what was added and withdrawn into the list's own file. Gates may run meanwhile."""
    _, settings = configured(name, config)
    if settings.feed:
        raise ConfigError(
            f"list {name!r} is made by feed {settings.feed!r}: its versions are never changed, and "
            "what was added and withdrawn outlives them"
        )
    with ERR.status("Merging"):
        entries = store.merge(
            settings.path,
            file_format=settings.file_format,
            algorithm=settings.algorithm,
            threshold=settings.policy.reach,
        )
    tell_changed(name, {"entries": entries}, as_json=as_json)


def configured(name: str, config: Path | None) -> tuple[Settings, ListSettings]:
    """All settings, and those of one list.

    Raises:
        ConfigError: None is called so.
    """
    settings = load_settings(config)
    found = next((one for one in settings.lists if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in settings.lists)
        raise ConfigError(f"no list {name!r} is configured; there are: {names}")
    return settings, found


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configured list, or why it cannot be loaded."""

    settings: ListSettings
    parts: Parts = field(default_factory=list)
    searched: int = 0
    faulty_share: float = 0.0
    accepted: str = ""
    error: str = ""

    @property
    def as_of(self) -> datetime | None:
        """When it was last known to be current."""
        return self.parts[0].as_of if self.parts else None

    @property
    def age(self) -> timedelta | None:
        """How long ago that is."""
        return None if self.as_of is None else now() - self.as_of

    @property
    def is_old(self) -> bool:
        """Whether it is past the age from which on there is a warning."""
        most = self.settings.warn_after
        return most is not None and (self.age is None or self.age > most)

    @property
    def is_expired(self) -> bool:
        """Whether it is past its maximum age."""
        policy = Policy({self.settings.name: self.settings.policy})
        return bool(policy.expired({self.settings.name: self.as_of}, now()))


def load_lists(settings: Settings) -> Iterator[Loaded]:
    """Loads every configured list, or tells why not."""
    policy = Policy({one.name: one.policy for one in settings.lists})
    for one in settings.lists:
        try:
            parts = load_list(settings, one)
            accepted = store.accepted(one.path)
        except CONFIGURATION as error:
            yield Loaded(one, error=str(error))
        else:
            fitting = [policy.fit_entries(part) for part in parts]
            searched = sum(int(part.is_fit().sum()) for part in fitting)
            faulty = share_at_fault(fitting, threshold=one.policy.threshold)
            yield Loaded(one, parts, searched, faulty, accepted)


@lists_app.command("status")
def lists_status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show every configured list and feed: entries, age, version, what is wrong, what waits.

    Exit code 2 if a list cannot be loaded.
    """
    settings = load_settings(config)
    loaded = list(load_lists(settings))
    if as_json:
        for one in loaded:
            print_json(_list_record(one))
        for feed in settings.feeds:
            print_json(feed_record(feed, settings))
    else:
        OUT.print(_lists_table(loaded))
        tell_feeds(settings)
        if told := told_exceptions(settings):
            OUT.print(f"[{'yellow' if 'expired' in told else 'dim'}]{told}[/]")
        for one in loaded:
            if one.error:
                ERR.print(f"[red]not loaded[/]  {one.settings.name}: {escape(one.error)}")
    if any(one.error for one in loaded):
        raise typer.Exit(USAGE)


def _list_record(one: Loaded) -> dict[str, object]:
    return {
        "name": one.settings.name,
        "path": str(one.settings.path),
        "feed": one.settings.feed or None,
        "algorithm": one.settings.algorithm.value,
        "entries": sum(map(len, one.parts)) if one.parts else None,
        "added": sum(map(len, one.parts[1:])),
        "withdrawn": len(one.parts[0].removed) if one.parts else 0,
        "searched": one.searched,
        "flagged": len(one.parts[0].flagged) if one.parts else 0,
        "faulty_share": round(one.faulty_share, 4),
        "threshold": one.settings.policy.threshold,
        "flag_threshold": one.settings.flag_threshold,
        "view_offsets": dict(one.settings.view_offsets),
        "min_quality": one.settings.min_quality,
        "action": one.settings.action.value,
        "flag_tags": list(one.settings.flag_tags),
        "age_s": None if one.age is None else round(one.age.total_seconds()),
        "max_age_s": one.settings.max_age and one.settings.max_age.total_seconds(),
        "expired": one.is_expired,
        "warn_after_s": one.settings.warn_after and one.settings.warn_after.total_seconds(),
        "old": one.is_old,
        "max_lint_rise": one.settings.max_lint_rise,
        "digest": one.parts[0].digest if one.parts else None,
        "accepted": one.accepted or None,
        "error": one.error or None,
    }


def _lists_table(loaded: Iterable[Loaded]) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("List", no_wrap=True)
    table.add_column("Algorithm", no_wrap=True)
    table.add_column("Entries", justify="right")
    table.add_column("At fault", justify="right", no_wrap=True)
    table.add_column("Bits", justify="right")
    for heading in ("Action", "Age", "Version"):
        table.add_column(heading, no_wrap=True)
    for one in loaded:
        settings = one.settings
        style = "red" if one.is_expired or one.error else "yellow" if one.is_old else ""
        table.add_row(
            settings.name,
            settings.algorithm.value,
            _entries(one),
            told_share(one.faulty_share) if one.parts else "-",
            _bits(settings),
            settings.action.value,
            told_age(one.age) + (f" of {told_age(settings.max_age)}" if settings.max_age else ""),
            one.parts[0].digest[:12] if one.parts else "not loaded",
            style=style,
        )
    wide = OUT.measure(table, options=OUT.options.update(width=_WIDE))
    table.width = wide.maximum  # a narrow terminal wraps lines, rather than lose columns
    return table


def told_share(share: float) -> str:
    """A share in percent; a small one does not become none."""
    return f"{share:.1%}" if share >= 0.001 or not share else "< 0.1%"  # noqa: PLR2004  # as told


def _bits(settings: ListSettings) -> str:
    more = "" if settings.flag_threshold is None else f", flag {settings.flag_threshold}"
    return f"{settings.policy.threshold}{more}"


def _entries(one: Loaded) -> str:
    if not one.parts:
        return "-"
    total = sum(map(len, one.parts))
    return str(total) if one.searched == total else f"{one.searched} of {total}"
