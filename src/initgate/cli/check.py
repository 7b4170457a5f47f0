"""``initgate check``: asks the gate about files."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.markup import escape

from initgate.cli.console import (
    OUT,
    REFUSED,
    ConfigOption,
    Files,
    JsonOption,
    print_json,
    printable,
    quiet_gate,
    read_file,
    track_many,
)
from initgate.model import Allowed, Context, Decision


def check(files: Files, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check image files against the lists. Shows what a caller never sees: for operators.

    Exit code 3 if any is refused.
    """
    gate = quiet_gate(config)
    refused = 0
    for file in track_many(files, "Checking"):
        decision = gate.inspect(
            read_file(file, gate.limits.max_bytes), context=Context("cli check")
        )
        is_refused = not isinstance(decision.verdict, Allowed)
        refused += is_refused
        if as_json:
            print_json({"file": str(file)} | gate.policy.explain(decision))
        else:
            OUT.print(_to_line(file, decision))
    if len(files) > 1 and not as_json:
        OUT.print(f"{len(files)} checked, {refused} refused")
    if refused:
        raise typer.Exit(REFUSED)


def _to_line(file: Path, decision: Decision) -> str:
    is_allowed = isinstance(decision.verdict, Allowed)
    verdict = "[green]allowed[/]" if is_allowed else "[red]refused[/]"
    grounds = decision.detail
    if decision.matches:
        nearest, *others = decision.matches
        grounds = (
            f"{nearest.list}/{nearest.entry}, {nearest.algorithm} distance {nearest.distance}, "
            f"{nearest.view}"
            + (f", released by {nearest.exception}" if nearest.exception else "")
            + (f" (+{len(others)} more)" if others else "")
        )
    parts = [verdict, escape(printable(file)), f"[dim]{decision.reason.value}[/]"]
    if grounds:
        parts.append(escape(grounds))
    parts.append(f"[dim]{decision.took_ms:.0f} ms, {decision.verdict.decision_id}[/]")
    return "  ".join(parts)
