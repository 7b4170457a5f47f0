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
from initgate.cli.accept import lists_accept
from initgate.cli.audit import audit_app
from initgate.cli.calibrate import calibrate
from initgate.cli.check import check
from initgate.cli.console import CONFIGURATION, ERR, OTHER, OUT, USAGE
from initgate.cli.demo import demo
from initgate.cli.doctor import doctor
from initgate.cli.exceptions import exceptions_app
from initgate.cli.feeds import lists_diff, lists_export, lists_fetch, lists_pin, lists_rollback
from initgate.cli.lint import lists_lint
from initgate.cli.lists import lists_app
from initgate.cli.proxy import proxy
from initgate.cli.publish import lists_keygen, lists_publish, lists_sign
from initgate.cli.serve import keys_app, serve
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
lists_app.command("accept")(lists_accept)
lists_app.command("keygen")(lists_keygen)
lists_app.command("sign")(lists_sign)
lists_app.command("publish")(lists_publish)
lists_app.command("fetch")(lists_fetch)
lists_app.command("rollback")(lists_rollback)
lists_app.command("pin")(lists_pin)
lists_app.command("diff")(lists_diff)
lists_app.command("export")(lists_export)
app.add_typer(lists_app, name="lists")
app.add_typer(exceptions_app, name="exceptions")
app.add_typer(audit_app, name="audit")
app.add_typer(keys_app, name="keys")
app.command()(check)
app.command()(calibrate)
app.command()(serve)
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
