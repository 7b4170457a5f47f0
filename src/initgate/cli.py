"""Parses and prints. Whatever it shows comes from the library.

Exit codes: 0 allowed or done, 1 anything else, 2 usage or configuration, 3 an image was refused.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import metadata, util
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

import typer
from rich import filesize
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table
from typer.core import TyperGroup

from initgate import __version__, store
from initgate.audit import AuditSink
from initgate.audit.chain import Record, verify
from initgate.config import ListSettings, Settings, find_config, load_settings
from initgate.errors import (
    AuditUnavailable,
    ConfigError,
    ImageUnreadable,
    InitgateError,
    ListRejected,
    SourceUnavailable,
)
from initgate.gate import Gate
from initgate.image import Limits
from initgate.index import snapshot
from initgate.lists import TEXTS, Format, changes, dump
from initgate.lists.build import DEFAULT_QUALITY_FLOOR, entry_of
from initgate.lists.records import to_entry
from initgate.model import Action, Algorithm, Allowed, Context, Decision
from initgate.policy import Policy
from initgate.reload import Parts
from initgate.wiring import load_gate, load_list, make_log, now, open_audit

_OTHER, _USAGE, _REFUSED = 1, 2, 3
_CONFIGURATION = (ConfigError, ListRejected, SourceUnavailable)
_MANY = 8  # files from which on a progress bar helps
_WIDE = 1000  # columns of text
_STALE = timedelta(days=30)  # doctor's advice for lists without max_age

_out = Console(highlight=False, soft_wrap=True, emoji=False)
_err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

_T = TypeVar("_T")


class _Group(TyperGroup):
    """Ends with a sentence and an exit code, never with a traceback, on what can be foreseen."""

    def invoke(self, ctx: Any) -> Any:  # click's Context, or the copy inside newer Typers
        try:
            return super().invoke(ctx)
        except InitgateError as error:
            _err.print(f"[red]error[/]: {escape(str(error))}")
            raise typer.Exit(_USAGE if isinstance(error, _CONFIGURATION) else _OTHER) from error


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A gate in front of the init image: refuse known material before any diffusion step.",
)
lists_app = typer.Typer(no_args_is_help=True, help="Build hash lists and see what is loaded.")
audit_app = typer.Typer(no_args_is_help=True, help="Read and verify the record of decisions.")
app.add_typer(lists_app, name="lists")
app.add_typer(audit_app, name="audit")

ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="INITGATE_CONFIG",
        help="Configuration file. Default: initgate.toml or config/initgate.toml here.",
    ),
]
JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print a JSON object a line, for machines.")
]
Files: TypeAlias = Annotated[
    list[Path], typer.Argument(exists=True, dir_okay=False, readable=True, show_default=False)
]


def main() -> None:
    """The ``initgate`` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no name of a file ends a run
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        _out.print(f"initgate {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    del version


def _print_json(record: dict[str, object]) -> None:
    typer.echo(json.dumps(record))


def _printable(name: object) -> str:
    """A name with what moves the cursor or is no character escaped: a file is a line."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(name))


def _track(items: list[_T], what: str) -> Iterable[_T]:
    """The items, behind a progress bar if they are many and a person looks."""
    is_hidden = len(items) < _MANY or not _err.is_terminal
    return track(items, description=what, console=_err, transient=True, disable=is_hidden)


def _quiet_gate(config: Path | Settings | None) -> Gate:
    """A gate whose log is errors only: the command itself prints what was decided."""
    return load_gate(config, log=make_log("error"))


# ── check ────────────────────────────────────────────────────────────────────────────────────


@app.command()
def check(files: Files, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check image files against the lists. Shows what a caller never sees: for operators.

    Exit code 3 if any is refused.
    """
    gate = _quiet_gate(config)
    refused = 0
    for file in _track(files, "Checking"):
        decision = gate.inspect(_read(file, gate.limits.max_bytes), context=Context("cli check"))
        is_refused = not isinstance(decision.verdict, Allowed)
        refused += is_refused
        if as_json:
            _print_json(_to_record(file, decision))
        else:
            _out.print(_to_line(file, decision))
    if len(files) > 1 and not as_json:
        _out.print(f"{len(files)} checked, {refused} refused")
    if refused:
        raise typer.Exit(_REFUSED)


def _read(file: Path, max_bytes: int) -> bytes:
    """As much of a file as the gate needs to see that it is too large."""
    try:
        with file.open("rb") as opened:
            return opened.read(max_bytes + 1)
    except OSError as error:
        raise SourceUnavailable(f"{file}: {error.strerror or error}") from error


def _to_record(file: Path, decision: Decision) -> dict[str, object]:
    return {
        "file": str(file),
        "verdict": "allowed" if isinstance(decision.verdict, Allowed) else "refused",
        "reason": decision.reason.value,
        "decision_id": decision.verdict.decision_id,
        "matches": [
            {
                "list": match.list,
                "entry": match.entry,
                "algorithm": match.algorithm.value,
                "distance": match.distance,
                "view": match.view,
            }
            for match in decision.matches
        ],
        "detail": decision.detail,
        "took_ms": round(decision.took_ms, 3),
    }


def _to_line(file: Path, decision: Decision) -> str:
    is_allowed = isinstance(decision.verdict, Allowed)
    verdict = "[green]allowed[/]" if is_allowed else "[red]refused[/]"
    grounds = decision.detail
    if decision.matches:
        nearest, *others = decision.matches
        grounds = (
            f"{nearest.list}/{nearest.entry}, {nearest.algorithm} distance {nearest.distance}, "
            f"{nearest.view}" + (f" (+{len(others)} more)" if others else "")
        )
    parts = [verdict, escape(_printable(file)), f"[dim]{decision.reason.value}[/]"]
    if grounds:
        parts.append(escape(grounds))
    parts.append(f"[dim]{decision.took_ms:.0f} ms, {decision.verdict.decision_id}[/]")
    return "  ".join(parts)


# ── lists ────────────────────────────────────────────────────────────────────────────────────


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
    as_json: JsonOption = False,
) -> None:
    """Make a list from your own pictures; each entry is named after its file.

    Exit code 1 if a picture had to be left out, because it is unreadable or below the quality
    floor; the others are written.
    """
    settings = _list_settings(name, out, algorithm)
    entries, left_out = [], []
    for photo in _track(photos, "Hashing"):
        try:
            data = _read(photo, Limits().max_bytes)
            entry = entry_of(
                data, algorithm=algorithm, entry=_printable(photo.stem), min_quality=min_quality
            )
        except OSError as error:
            left_out.append((photo, str(error)))
        except ImageUnreadable as error:
            left_out.append((photo, str(error)))
        else:
            entries.append(entry)
    if entries:
        _write(out, dump(entries, settings.file_format))
    if as_json:
        _print_json(
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
            _err.print(f"[yellow]left out[/]  {escape(_printable(photo))}  {escape(why)}")
        _tell_built(settings, len(entries))
    if left_out:
        raise typer.Exit(_OTHER)


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


def _write(out: Path, data: bytes) -> None:
    """Writes a file whole or not at all."""
    partial = out.with_name(out.name + ".partial")
    try:
        partial.write_bytes(data)
        partial.replace(out)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise SourceUnavailable(f"{out}: {error.strerror or error}") from error


def _tell_built(settings: ListSettings, entries: int) -> None:
    if not entries:
        _err.print("[red]nothing written[/]: no picture could be hashed")
        return
    _out.print(f"[green]written[/]  {entries} entries to {escape(str(settings.path))}")
    _out.print("Add it to your configuration:\n")
    path = json.dumps(str(settings.path.resolve()), ensure_ascii=False)  # a TOML string as well
    _out.print(
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
    with _err.status("Compiling"):
        hash_list = store.merged(load_list(settings))
        try:
            header = snapshot.write(hash_list, out, threshold=threshold)
            if hash_list.as_of is not None:
                os.utime(out, (hash_list.as_of.timestamp(),) * 2)
            size = out.stat().st_size
        except OSError as error:
            raise SourceUnavailable(f"{out}: {error.strerror or error}") from error
    if as_json:
        _print_json({"out": str(out), **_header_record(header), "bytes": size})
    else:
        bands = f" in {header.bands} bands" if header.bands else ""
        _out.print(
            f"[green]written[/]  {header.entries} entries{bands} to {escape(_printable(out))}, "
            f"{filesize.decimal(size)}"
        )


def _header_record(header: snapshot.Header) -> dict[str, object]:
    return {
        "algorithm": header.algorithm.value,
        "entries": header.entries,
        "bands": header.bands,
        "digest": header.digest,
    }


@lists_app.command("verify")
def lists_verify(files: Files, as_json: JsonOption = False) -> None:
    """Read snapshots to their ends and compare every checksum.

    Exit code 1 if any is damaged.
    """
    damaged = 0
    for file in _track(files, "Verifying"):
        try:
            record, problem = _header_record(snapshot.verify(file)), ""
        except ListRejected as error:
            record, problem = {}, error.reason
            damaged += 1
        if as_json:
            _print_json({"file": str(file), "whole": not problem, **record, "problem": problem})
        elif problem:
            _out.print(f"[red]damaged[/]  {escape(_printable(file))}  {escape(problem)}")
        else:
            _out.print(f"[green]whole[/]  {escape(_printable(file))}  {record['entries']} entries")
    if damaged:
        raise typer.Exit(_OTHER)


ListName: TypeAlias = Annotated[
    str, typer.Argument(help="A configured list's name.", show_default=False)
]


@lists_app.command("add")
def lists_add(
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
    settings = _configured(name, config)
    record = {
        "algorithm": settings.algorithm.value,
        "hash": code,
        "entry": entry,
        "quality": quality,
        "tags": tags or (),
    }
    made = to_entry(record, source="lists add", line=1)
    store.change(settings.path, [changes.addition(made)])
    _tell_changed(name, {"added": entry}, as_json=as_json)


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
    settings = _configured(name, config)
    parts = load_list(settings)
    known = {entry for part in parts for entry in part.entries if entry not in part.removed}
    if unknown := sorted(set(entries) - known):
        raise ConfigError(f"list {name!r} has no entry {', '.join(unknown)}; nothing was changed")
    if known == set(entries) and not settings.allow_empty:
        raise ConfigError(
            f"list {name!r} would be empty; if that is meant, set allow_empty = true. "
            "Nothing was changed"
        )
    store.change(settings.path, [changes.removal(entry) for entry in entries])
    _tell_changed(name, {"removed": entries}, as_json=as_json)


@lists_app.command("merge")
def lists_merge(name: ListName, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Put what was added and withdrawn into the list's own file. Gates may run meanwhile."""
    settings = _configured(name, config)
    with _err.status("Merging"):
        entries = store.merge(
            settings.path,
            file_format=settings.file_format,
            algorithm=settings.algorithm,
            threshold=settings.threshold,
        )
    _tell_changed(name, {"entries": entries}, as_json=as_json)


def _configured(name: str, config: Path | None) -> ListSettings:
    lists = load_settings(config).lists
    found = next((one for one in lists if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in lists)
        raise ConfigError(f"no list {name!r} is configured; there are: {names}")
    return found


def _tell_changed(name: str, what: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        _print_json({"name": name, **what})
        return
    for did, value in what.items():
        told = ", ".join(value) if isinstance(value, list) else value
        _out.print(f"[green]{did}[/]  {escape(_printable(told))}  {name}")


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A configured list, or why it cannot be loaded."""

    settings: ListSettings
    parts: Parts = field(default_factory=list)
    searched: int = 0
    error: str = ""

    @property
    def as_of(self) -> datetime | None:
        return self.parts[0].as_of if self.parts else None

    @property
    def age(self) -> timedelta | None:
        return None if self.as_of is None else now() - self.as_of

    @property
    def is_expired(self) -> bool:
        policy = Policy({self.settings.name: self.settings.policy})
        return bool(policy.expired({self.settings.name: self.as_of}, now()))


def _load_lists(settings: Settings) -> Iterator[_Loaded]:
    policy = Policy({one.name: one.policy for one in settings.lists})
    for one in settings.lists:
        try:
            parts = load_list(one)
        except _CONFIGURATION as error:
            yield _Loaded(one, error=str(error))
        else:
            searched = sum(int(policy.fit_entries(part).is_fit().sum()) for part in parts)
            yield _Loaded(one, parts, searched=searched)


@lists_app.command("status")
def lists_status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show every configured list: entries, age, version, threshold, action.

    Exit code 2 if one cannot be loaded.
    """
    loaded = list(_load_lists(load_settings(config)))
    if as_json:
        for one in loaded:
            _print_json(_list_record(one))
    else:
        _out.print(_lists_table(loaded))
        for one in loaded:
            if one.error:
                _err.print(f"[red]not loaded[/]  {one.settings.name}: {escape(one.error)}")
    if any(one.error for one in loaded):
        raise typer.Exit(_USAGE)


def _list_record(one: _Loaded) -> dict[str, object]:
    return {
        "name": one.settings.name,
        "path": str(one.settings.path),
        "algorithm": one.settings.algorithm.value,
        "entries": sum(map(len, one.parts)) if one.parts else None,
        "added": sum(map(len, one.parts[1:])),
        "withdrawn": len(one.parts[0].removed) if one.parts else 0,
        "searched": one.searched,
        "threshold": one.settings.policy.threshold,
        "min_quality": one.settings.min_quality,
        "action": one.settings.action.value,
        "age_s": None if one.age is None else round(one.age.total_seconds()),
        "max_age_s": one.settings.max_age and one.settings.max_age.total_seconds(),
        "expired": one.is_expired,
        "digest": one.parts[0].digest if one.parts else None,
        "error": one.error or None,
    }


def _lists_table(loaded: Iterable[_Loaded]) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("List", no_wrap=True)
    table.add_column("Algorithm", no_wrap=True)
    table.add_column("Entries", justify="right")
    table.add_column("Bits", justify="right")
    for heading in ("Action", "Age", "Version"):
        table.add_column(heading, no_wrap=True)
    for one in loaded:
        settings = one.settings
        style = "red" if one.is_expired or one.error else ""
        table.add_row(
            settings.name,
            settings.algorithm.value,
            _entries(one),
            str(settings.policy.threshold),
            settings.action.value,
            _age(one.age) + (f" of {_age(settings.max_age)}" if settings.max_age else ""),
            one.parts[0].digest[:12] if one.parts else "not loaded",
            style=style,
        )
    wide = _out.measure(table, options=_out.options.update(width=_WIDE))
    table.width = wide.maximum  # a narrow terminal wraps lines, rather than lose columns
    return table


def _entries(one: _Loaded) -> str:
    if not one.parts:
        return "-"
    total = sum(map(len, one.parts))
    return str(total) if one.searched == total else f"{one.searched} of {total}"


def _age(age: timedelta | None) -> str:
    """A duration to its two largest units."""
    if age is None:
        return "-"
    minutes = max(0, int(age.total_seconds() // 60))
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


# ── audit ────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _audit(config: Path | None) -> Iterator[AuditSink]:
    """The audit log, which must be there: a typing error must not pass for an empty one."""
    settings = load_settings(config)
    file = Path(settings.audit.url.removeprefix("sqlite:///"))
    if not file.exists():
        raise AuditUnavailable(f"{settings.audit.url}: no such log; a gate makes it at its start")
    with closing(open_audit(settings)) as sink:
        yield sink


@audit_app.command("tail")
def audit_tail(
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="How many records.")] = 10,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the newest recorded decisions and how many images were plainly allowed."""
    with _audit(config) as sink:
        records, counts = sink.last(number), sink.counts()
    if as_json:
        for record in records:
            _print_json(_record_fields(record))
        return
    _print_records(records)
    allowed = counts.get("no_match", 0)
    _out.print(f"[dim]{allowed} images were allowed without a match and only counted[/]")


def _print_records(records: Iterable[Record]) -> None:
    """Two lines a record: what was decided, and what was found."""
    for record in records:
        try:
            lines = _record_lines(record)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            lines = (f"{record.sequence}  [red]no event: changed after it was written[/]",)
        for line in lines:
            _out.print(line)


def _record_lines(record: Record) -> tuple[str, ...]:
    event: dict[str, Any] = record.event
    colour = "green" if event["verdict"] == "allowed" else "red"
    time = escape(event["time"][:19].replace("T", " "))
    found = "; ".join(
        f"{match['list']}: {match['distance']} bits, {match['view']}" for match in event["matches"]
    )
    decided = (
        f"{record.sequence}  {time}  [{colour}]{escape(event['verdict'])}[/]  "
        f"{escape(event['reason'])}  {escape(event['decision_id'])}  "
        f"[dim]{escape(event['endpoint'])}[/]"
    )
    return decided, f"    [dim]{escape(found or event['detail'])}[/]"


def _record_fields(record: Record) -> dict[str, object]:
    try:
        event: object = record.event
    except (ValueError, RecursionError):  # changed by somebody: evidence all the same
        event = record.body
    return {
        "sequence": record.sequence,
        "previous": record.previous,
        "digest": record.digest,
        "event": event,
    }


@audit_app.command("verify")
def audit_verify(
    head: Annotated[
        str | None,
        typer.Option(help="A head digest printed earlier: shows whether records were cut off."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recompute the chain: find an edited, dropped, swapped or (with --head) truncated record.

    Exit code 1 if the chain is broken.
    """
    with _audit(config) as sink:
        report = verify(sink.records(), expected_head=head)
    if as_json:
        _print_json(
            {
                "whole": report.is_whole,
                "records": report.records,
                "head": report.head,
                "problems": list(report.problems),
            }
        )
    else:
        for problem in report.problems:
            _err.print(f"[red]broken[/]  {escape(problem)}")
        state = "[green]whole[/]" if report.is_whole else "[red]broken[/]"
        _out.print(f"{state}  {report.records} records, head {report.head}")
    if not report.is_whole:
        raise typer.Exit(_OTHER)


@audit_app.command("export")
def audit_export(
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write every record as JSON Lines, and tell the head digest to keep elsewhere."""
    del as_json  # the export is JSON either way
    head, lines = "", []
    with _audit(config) as sink:
        for record in sink.records():
            head = record.digest
            lines.append(json.dumps(_record_fields(record)) + "\n")
    if out is None:
        typer.echo("".join(lines), nl=False)
    else:
        _write(out, "".join(lines).encode())
    _err.print(f"[dim]{len(lines)} records, head {head or '-'}[/]")


# ── doctor ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Finding:
    """One line of the doctor's report."""

    what: str
    state: str  # ok, warning or failure
    says: str
    exit_code: int = 0


_EXTRAS = {"diffusers": ("torch", "diffusers", "transformers"), "heif": ("pillow_heif",)}
_COLOURS = {"ok": "green", "warning": "yellow", "failure": "red"}


@app.command()
def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check configuration, lists, index, audit log and extras; say how to mend what is wrong.

    Exit code 2 if the configuration or a list is wrong, 1 for any other failure.
    """
    findings = list(_diagnose(config))
    for one in findings:
        if as_json:
            _print_json({"check": one.what, "state": one.state, "says": one.says})
        else:
            colour = _COLOURS[one.state]
            _out.print(f"[{colour}]{one.state:8}[/] {escape(one.what)}: {escape(one.says)}")
    if code := max(one.exit_code for one in findings):
        raise typer.Exit(code)


def _diagnose(config: Path | None) -> Iterator[_Finding]:
    try:
        settings = load_settings(config)
    except ConfigError as error:
        yield _Finding("configuration", "failure", str(error), _USAGE)
        yield from _diagnose_extras()
        return
    yield _Finding("configuration", "ok", str(find_config(config)))
    yield from _diagnose_policy(settings)
    loaded = list(_load_lists(settings))
    for one in loaded:
        yield from _diagnose_list(one)
    if not any(one.error for one in loaded):
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


def _diagnose_list(one: _Loaded) -> Iterator[_Finding]:
    what = f"list {one.settings.name}"
    if not one.parts:
        yield _Finding(what, "failure", one.error, _USAGE)
        return
    if one.settings.file_format is Format.SNAPSHOT:
        try:
            snapshot.verify(one.settings.path)
        except ListRejected as error:
            yield _Finding(what, "failure", str(error), _USAGE)
            return
    if one.is_expired:
        says = f"older than max_age, everything is refused: replace {one.settings.path}"
        yield _Finding(what, "failure", says, _OTHER)
    elif not one.searched:
        yield _Finding(what, "warning", "no entry is searched: it refuses nothing")
    elif one.settings.max_age is None and one.age is not None and one.age > _STALE:
        says = f"{_age(one.age)} old; set max_age so that a feed that broke is noticed"
        yield _Finding(what, "warning", says)
    else:
        left_out = sum(map(len, one.parts)) - one.searched
        says = f"{one.searched} entries" + (
            f", {left_out} left out below min_quality" if left_out else ""
        )
        yield _Finding(what, "ok", says)


def _diagnose_gate(settings: Settings) -> Iterator[_Finding]:
    try:
        gate = _quiet_gate(settings)
    except AuditUnavailable:
        return  # the audit's own check says so
    except ListRejected as error:  # every entry below min_quality
        yield _Finding("index", "failure", str(error), _USAGE)
        return
    if gate.prove():
        yield _Finding("index", "ok", "the canary is found by the full path")
    else:
        says = (
            "the canary is not found, everything is refused: a hash library or decoder answers "
            "differently than it did; reinstall initgate in a fresh environment"
        )
        yield _Finding("index", "failure", says, _OTHER)


def _diagnose_audit(settings: Settings) -> Iterator[_Finding]:
    try:
        with closing(open_audit(settings)) as sink:
            report = verify(sink.records())
    except AuditUnavailable as error:
        says = f"{error}; make the file readable and writable, or point [audit] url elsewhere"
        yield _Finding("audit", "failure", says, _OTHER)
        return
    if report.is_whole:
        says = f"{report.records} records, chain whole, head {report.head[:12]}"
        yield _Finding("audit", "ok", says)
    else:
        says = f"{report.problems[0]}; keep the file as evidence, point [audit] url elsewhere"
        yield _Finding("audit", "failure", says, _OTHER)


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


# ── demo ─────────────────────────────────────────────────────────────────────────────────────


@app.command()
def demo(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """See the gate work: a tiny random-weight diffusers pipeline, four pictures, the record."""
    settings = load_settings(config)
    try:
        from initgate.integrations import demo as show  # noqa: PLC0415  # heavy, and an extra
    except ImportError as error:
        raise ConfigError(f"the demo needs {error.name}: pip install 'initgate[demo]'") from error
    gate = _quiet_gate(settings)
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("Init image", "Outcome", "Denoise", "Encode", "Decode"):
        table.add_column(heading)
    for step in show.run(gate):
        if as_json:
            _print_json(_step_record(step))
        outcome = "[red]refused[/]"
        if step.generated is not None:
            outcome = "[green]generated {} × {}[/]".format(*step.generated)
        calls = (step.calls.denoise, step.calls.encode, step.calls.decode)
        table.add_row(step.what, outcome, *map(str, calls))
    report = verify(gate.journal.sink.records())
    if as_json:
        _print_json({"audit": {"whole": report.is_whole, "records": report.records}})
        return
    _out.print(table)
    _out.print("\n[bold]The record of the refusals[/] (initgate audit tail)")
    _print_records(gate.journal.sink.last(3))
    state = "[green]whole[/]" if report.is_whole else "[red]broken[/]"
    _out.print("\n[bold]The chain of records[/] (initgate audit verify)")
    _out.print(f"{state}  {report.records} records, head {report.head}")


def _step_record(step: Any) -> dict[str, object]:
    return {
        "input": step.what,
        "verdict": "refused" if step.generated is None else "allowed",
        "decision_id": step.decision_id,
        "denoise_calls": step.calls.denoise,
        "encode_calls": step.calls.encode,
        "decode_calls": step.calls.decode,
    }


if __name__ == "__main__":
    main()
