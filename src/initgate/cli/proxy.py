"""``initgate proxy``: a wall before an img2img server."""

from __future__ import annotations

from typing import Annotated

import typer

from initgate.cli.console import ConfigOption
from initgate.config import load_settings, with_table
from initgate.errors import ConfigError


def proxy(
    upstream: Annotated[
        str | None, typer.Option(help="The server, e.g. http://127.0.0.1:7860.", metavar="URL")
    ] = None,
    dialect: Annotated[
        str | None,
        typer.Option(
            help="Its dialect: generic, a1111, comfyui, openai, gradio, stability, "
            "huggingface, invokeai, horde.",
            metavar="NAME",
        ),
    ] = None,
    host: Annotated[str | None, typer.Option(help="The address to listen at.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen at.")] = None,
    config: ConfigOption = None,
) -> None:
    """Stand before a server: forward what was checked, refuse the rest in the server's own words.

    What an option does not say is in the table [proxy] of the configuration.
    """
    settings = with_table(
        load_settings(config), "proxy", upstream=upstream, dialect=dialect, host=host, port=port
    )
    try:
        from initgate.service.proxy.run import run  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise ConfigError(f"the proxy needs {error.name}: pip install 'initgate[proxy]'") from error
    run(settings)
