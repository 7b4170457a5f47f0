"""``initgate serve`` and the keys to it."""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated

import typer
from pydantic import ValidationError

from initgate.cli.console import ERR, ConfigOption, JsonOption, print_json
from initgate.config import KeySettings, Role, load_settings, with_table
from initgate.errors import ConfigError

keys_app = typer.Typer(no_args_is_help=True, help="Make keys to the service.")


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen at.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen at.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes.")] = None,
    config: ConfigOption = None,
) -> None:
    """Answer over HTTP whether images may be used.

    The options take the place of what [serve] says in the configuration.
    """
    settings = with_table(load_settings(config), "serve", host=host, port=port, workers=workers)
    try:
        from initgate.service import run  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise ConfigError(
            f"the service needs {error.name}: pip install 'initgate[serve]'"
        ) from error
    run.serve(settings)


@keys_app.callback()
def _keys() -> None:
    """Keeps ``new`` a word of its own: a lone command would swallow its group's name."""


@keys_app.command("new")
def keys_new(
    name: Annotated[str, typer.Argument(help="Whose key it is.", show_default=False)],
    role: Annotated[
        list[Role] | None, typer.Option(help="What it opens; may be given again. Default: check.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key: print it once, and the table that lets it in for the configuration.

    The configuration holds its SHA-256 alone: a key that is lost is made anew.
    """
    key = f"ig_{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(key.encode()).hexdigest()
    roles = sorted({*(role or [Role.CHECK])})
    try:
        KeySettings(name=name, sha256=digest, roles=frozenset(roles))
    except ValidationError as error:
        raise ConfigError(
            f"name: found {name!r}; allowed: lower-case letters, digits, '-' and '_'"
        ) from error
    if as_json:
        print_json({"key": key, "name": name, "sha256": digest, "roles": list(roles)})
        return
    told = ", ".join(f'"{one}"' for one in roles)
    ERR.print(f"The key, which is shown this once: {key}\n\nFor the configuration:\n")
    typer.echo(f'[[serve.keys]]\nname = "{name}"\nsha256 = "{digest}"\nroles = [{told}]')
