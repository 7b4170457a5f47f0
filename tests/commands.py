"""Runs the command line, in this process or in one of its own."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from samples import ROOT
from typer.testing import CliRunner

from initgate.cli import app
from initgate.image import encode

Configure: TypeAlias = Callable[..., Path]

PDQ_FILE = ROOT / "hashlists/sample-pdq.csv"
SAMPLE = f'name = "sample-pdq"\npath = "{PDQ_FILE.as_posix()}"'
FLAT = encode(np.full((64, 64, 3), 128, np.uint8), "PNG")
ODD_NAMES = {
    "a newline": "two\nlines.png",
    "an escape sequence": "red\x1b[31m.png",
    "no UTF-8": os.fsdecode(b"latin\xe9.png"),
}


class Result(NamedTuple):
    """What is left of a run."""

    exit_code: int
    stdout: str
    stderr: str


def run(*arguments: object) -> Result:
    """Runs the command in this process. Whatever would be a traceback is raised."""
    given = [str(one) for one in arguments]
    result = CliRunner().invoke(app, given, catch_exceptions=False)
    return Result(result.exit_code, result.stdout, result.stderr)


def run_process(
    *arguments: object, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own, as into a pipe 80 columns wide."""
    clean = {k: v for k, v in os.environ.items() if k not in {"FORCE_COLOR", "GITHUB_ACTIONS"}}
    return subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "initgate.cli", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        env=clean | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "80", **(env or {})},
        cwd=cwd,
        check=False,
        timeout=600,
    )


def plain(text: str) -> str:
    """Without colours, should the environment force them."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def json_lines(result: Result | subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def tamper(config: Path, statement: str) -> None:
    """Does to the log what its triggers would prevent."""
    connection = sqlite3.connect(config.parent / "audit.db")
    try:
        with connection:
            for trigger in ("no_update", "no_delete"):
                connection.execute(f"DROP TRIGGER {trigger}")
            connection.execute(statement)
    finally:
        connection.close()


def old_list(folder: Path) -> str:
    """The sample list, last changed forty days ago."""
    file = folder / "old.csv"
    file.write_bytes(PDQ_FILE.read_bytes())
    then = time.time() - 40 * 86_400
    os.utime(file, (then, then))
    return 'name = "old"\npath = "old.csv"'
