"""Parses and prints. Whatever it shows comes from the library.

A module a command; :mod:`console` is what they share.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from initgate import __version__
from initgate.cli.audit import audit_app
from initgate.cli.calibrate import calibrate
from initgate.cli.check import check
from initgate.cli.console import CONFIGURATION, ERR, OTHER, OUT, USAGE
from initgate.cli.demo import demo
from initgate.cli.doctor import doctor
from initgate.cli.lint import lists_lint
from initgate.cli.lists import lists_app
from initgate.cli.proxy import proxy
from initgate.errors import InitgateError

__all__ = ["app", "main"]


class _Group(TyperGroup):
    """Ends with a sentence and an exit code, never with a traceback, on what can be foreseen."""

    def invoke(self, ctx: Any) -> Any:  # click's Context, or the copy inside newer Typers
        try:
            return super().invoke(ctx)
        except InitgateError as error:
            ERR.print(f"[red]error[/]: {escape(str(error))}")
            raise typer.Exit(USAGE if isinstance(error, CONFIGURATION) else OTHER) from error


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A gate in front of the init image: refuse known material before any diffusion step.",
)
lists_app.command("lint")(lists_lint)
app.add_typer(lists_app, name="lists")
app.add_typer(audit_app, name="audit")
app.command()(check)
app.command()(calibrate)
app.command()(proxy)
app.command()(doctor)
app.command()(demo)


def main() -> None:
    """The ``initgate`` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no name of a file ends a run
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        OUT.print(f"initgate {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    del version
