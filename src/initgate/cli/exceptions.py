"""``initgate exceptions``: releases false matches, for a time, in somebody's name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from rich.markup import escape
from rich.table import Table

from initgate.cli.console import (
    ERR,
    OUT,
    ConfigOption,
    JsonOption,
    print_json,
    printable,
    quiet_gate,
    read_file,
)
from initgate.config import Age, Settings, load_settings
from initgate.errors import ConfigError, ImageUnreadable
from initgate.exceptions import HashException, explain
from initgate.exceptions.file import change, load
from initgate.model import Algorithm, Match
from initgate.wiring import now

_WIDE = 1000  # columns of text

exceptions_app = typer.Typer(
    no_args_is_help=True, help="Release false matches from the lists, for a time."
)


@exceptions_app.command("add")
def exceptions_add(
    *,
    file: Annotated[
        Path | None,
        typer.Option("--file", exists=True, dir_okay=False, help="The picture to release."),
    ] = None,
    code: Annotated[
        str | None, typer.Option("--hash", help="Or its hash, in hexadecimal digits.")
    ] = None,
    algorithm: Annotated[
        Algorithm | None,
        typer.Option(
            "--algorithm",
            "-a",
            help="Of the hash. With --file, default: sha256, which releases the very file.",
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why.")],
    author: Annotated[str, typer.Option(help="Who answers for it.")],
    expires: Annotated[str, typer.Option(help="A time from now, as 90d, or a day: 2030-01-31.")],
    threshold: Annotated[
        int, typer.Option(min=0, help="How many bits a view may differ from the hash.")
    ] = 0,
    lists: Annotated[
        list[str] | None,
        typer.Option("--list", help="Release from this list alone; may be repeated."),
    ] = None,
    decision_id: Annotated[
        str | None, typer.Option(help="The decision that was looked into.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Release a picture that lists hold by mistake. Running gates take it up within seconds.

    With --file and a perceptual --algorithm, each hash by which a list holds the picture is
    released. What else stands in a picture, or beside it in a file, is looked at as ever.
    """
    settings = load_settings(config)
    path = _path(settings)
    known = [one.name for one in settings.lists]
    if unknown := sorted(set(lists or ()) - set(known)):
        raise ConfigError(f"--list {', '.join(unknown)}; there are: {', '.join(known)}")
    matches: Sequence[Match] = ()
    if (file is None) == (code is None):
        raise ConfigError("give --file or --hash")
    if file is not None:
        algorithm = algorithm or Algorithm.SHA256
        hashes, matches = _look(settings, file, algorithm, lists or known, threshold)
    elif code is not None and algorithm is not None:
        hashes = [code]
    else:
        raise ConfigError("--hash needs --algorithm")
    try:
        made = [
            HashException(
                hash=one,
                algorithm=algorithm,
                threshold=threshold,
                reason=reason,
                author=author,
                expires=_day(expires),
                lists=tuple(lists) if lists else None,
                decision_id=decision_id,
            )
            for one in hashes
        ]
    except ValidationError as error:
        raise ConfigError(f"--{explain(error)}") from error
    change(path, lambda old: _with(old, made))
    for one in made:
        if as_json:
            print_json(_to_record(one))
        else:
            until = f"until {one.expires}"
            OUT.print(
                f"[green]added[/]  {one.name}  {one.algorithm}, {until}, to {escape(str(path))}"
            )
    _warn(made, matches)


def _look(
    settings: Settings, file: Path, algorithm: Algorithm, lists: Sequence[str], threshold: int
) -> tuple[list[str], list[Match]]:
    """The hashes to release, and the matches that are released with them."""
    gate = quiet_gate(settings)
    data = read_file(file, gate.limits.max_bytes)
    if algorithm.is_digest:
        return [hashlib.new(algorithm.value, data, usedforsecurity=False).hexdigest()], []
    try:
        matches = [one for one in gate.recognise(data) if one.algorithm is algorithm]
    except ImageUnreadable as error:
        raise ConfigError(f"--file {file}: {error}") from error
    matches = [one for one in matches if one.list in lists]
    if not matches:
        raise ConfigError(
            f"--file {file}: no {algorithm} list holds it; there is nothing to release"
        )
    codes: list[bytes] = []
    for one in matches:
        if all(_distance(one.code, code) > threshold for code in codes):
            codes.append(one.code)
    return [code.hex() for code in codes], matches


def _distance(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def _warn(made: Sequence[HashException], matches: Sequence[Match]) -> None:
    """An exception so near to an entry also releases copies of what is listed."""
    most = max(one.threshold for one in made)
    for match in {(one.list, one.entry): one for one in matches if one.distance <= most}.values():
        ERR.print(
            f"[yellow]warning[/]: entry {escape(printable(match.entry))} of list {match.list} lies "
            f"{match.distance} bits from it: copies of what is listed are released, too"
        )


def _day(text: str) -> date:
    """``90d`` from today, or the day itself."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    try:
        age: timedelta | None = TypeAdapter(Age).validate_python(text)
    except ValidationError:
        age = None
    if age is None:
        raise ConfigError(
            f'--expires {text}; allowed: a time from now, as "90d", or a day, as "2030-01-31"'
        )
    return (now() + age).date()


def _with(old: Sequence[HashException], new: Sequence[HashException]) -> list[HashException]:
    names = {one.name for one in old}
    if twice := [one.name for one in new if one.name in names]:
        raise ConfigError(
            f"{', '.join(twice)} is there already; first: initgate exceptions remove "
            f"{' '.join(twice)}. Nothing was changed"
        )
    return [*old, *new]


@exceptions_app.command("list")
def exceptions_list(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show all exceptions: what, from which lists, until when, who and why. Expired ones in red."""
    path = _path(load_settings(config))
    records = load(path).records
    if as_json:
        for one in records:
            print_json(_to_record(one))
        return
    if not records:
        OUT.print(f"there are none in {escape(printable(path))}")
        return
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("Exception", "Algorithm", "Bits", "Lists", "Expires", "Author", "Reason"):
        table.add_column(heading, no_wrap=True)
    for one in records:
        cells = (
            one.name,
            one.algorithm.value,
            str(one.threshold),
            ", ".join(one.lists or ("all",)),
            f"{one.expires}" if one.is_live(now()) else f"{one.expires}, expired",
            one.author,
            one.reason,
        )
        table.add_row(*map(escape, cells), style="" if one.is_live(now()) else "red")
    wide = OUT.measure(table, options=OUT.options.update(width=_WIDE))
    table.width = wide.maximum  # a narrow terminal wraps lines, rather than lose columns
    OUT.print(table)


@exceptions_app.command("remove")
def exceptions_remove(
    names: Annotated[list[str], typer.Argument(help="As the list names them.", show_default=False)],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take exceptions back. Running gates no longer heed them within seconds."""

    def without(old: Sequence[HashException]) -> list[HashException]:
        if unknown := sorted(set(names) - {one.name for one in old}):
            raise ConfigError(f"there is no exception {', '.join(unknown)}; nothing was changed")
        return [one for one in old if one.name not in names]

    change(_path(load_settings(config)), without)
    if as_json:
        print_json({"removed": names})
    else:
        OUT.print(f"[green]removed[/]  {escape(printable(', '.join(names)))}")


def told_exceptions(settings: Settings) -> str:
    """How many exceptions there are, and how many of them are expired; empty if there are none.

    Raises:
        ListRejected: The file is malformed.
        SourceUnavailable: It cannot be read.
    """
    path = settings.exceptions.path
    records = () if path is None else load(path).records
    expired = sum(not one.is_live(now()) for one in records)
    told = f"{len(records)} exceptions" if records else ""
    return f"{told}, {expired} expired: initgate exceptions list" if expired else told


def _path(settings: Settings) -> Path:
    if settings.exceptions.path is None:
        raise ConfigError("no file for exceptions is configured; set path in [exceptions]")
    return settings.exceptions.path


def _to_record(one: HashException) -> dict[str, object]:
    return {
        **one.model_dump(mode="json", exclude_none=True),
        "id": one.name,
        "expired": not one.is_live(now()),
    }
