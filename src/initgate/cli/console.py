"""What all commands share: options, exit codes, how to print.

Exit codes: 0 allowed or done, 1 anything else, 2 usage or configuration, 3 an image was refused.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from initgate.config import Settings
from initgate.errors import (
    ConfigError,
    ListRejected,
    SourceUnavailable,
)
from initgate.gate import Gate
from initgate.wiring import load_gate, make_log

OTHER, USAGE, REFUSED = 1, 2, 3
CONFIGURATION = (ConfigError, ListRejected, SourceUnavailable)
_MANY = 8  # files from which on a progress bar helps

OUT = Console(highlight=False, soft_wrap=True, emoji=False)
ERR = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

_T = TypeVar("_T")


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


def print_json(record: dict[str, object]) -> None:
    """An object on a line of its own."""
    typer.echo(json.dumps(record))


def tell_changed(name: str, what: dict[str, object], *, as_json: bool) -> None:
    """What a command did to something of a name."""
    if as_json:
        print_json({"name": name, **what})
        return
    for did, value in what.items():
        told = ", ".join(value) if isinstance(value, list) else value
        OUT.print(f"[green]{did}[/]  {escape(printable(told))}  {name}")


def printable(name: object) -> str:
    """A name with what moves the cursor or is no character escaped: a file is a line."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(name))


def track_many(items: list[_T], what: str) -> Iterable[_T]:
    """The items, behind a progress bar if they are many and a person looks."""
    is_hidden = len(items) < _MANY or not ERR.is_terminal
    return track(items, description=what, console=ERR, transient=True, disable=is_hidden)


def quiet_gate(config: Path | Settings | None) -> Gate:
    """A gate whose log is errors only: the command itself prints what was decided."""
    return load_gate(config, log=make_log("error"))


def read_file(file: Path, max_bytes: int) -> bytes:
    """As much of a file as the gate needs to see that it is too large."""
    try:
        with file.open("rb") as opened:
            return opened.read(max_bytes + 1)
    except OSError as error:
        raise SourceUnavailable(f"{file}: {error.strerror or error}") from error


def write_file(out: Path, data: bytes, *, like: Path | None = None) -> None:
    """Writes a file whole or not at all.

    Args:
        out: The file.
        data: Its content.
        like: A file whose permissions it gets; they may keep a secret.
    """
    partial = out.with_name(out.name + ".partial")
    try:
        if like is not None:
            partial.touch()
            shutil.copymode(like, partial)
        partial.write_bytes(data)
        partial.replace(out)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise SourceUnavailable(f"{out}: {error.strerror or error}") from error


def told_age(age: timedelta | None) -> str:
    """A duration to its two largest units."""
    if age is None:
        return "-"
    minutes = max(0, int(age.total_seconds() // 60))
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
