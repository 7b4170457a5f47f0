"""``initgate demo``: shows the gate at work."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from initgate.audit.chain import verify
from initgate.cli.audit import print_records
from initgate.cli.console import (
    OUT,
    ConfigOption,
    JsonOption,
    print_json,
    quiet_gate,
)
from initgate.config import load_settings
from initgate.errors import (
    ConfigError,
)


def demo(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """See the gate work: a tiny random-weight diffusers pipeline, four pictures, the record."""
    settings = load_settings(config)
    try:
        from initgate.integrations import demo as show  # noqa: PLC0415  # heavy, and an extra
    except ImportError as error:
        raise ConfigError(f"the demo needs {error.name}: pip install 'initgate[demo]'") from error
    gate = quiet_gate(settings)
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("Init image", "Outcome", "Denoise", "Encode", "Decode"):
        table.add_column(heading)
    for step in show.run(gate):
        if as_json:
            print_json(_step_record(step))
        outcome = "[red]refused[/]"
        if step.generated is not None:
            outcome = "[green]generated {} × {}[/]".format(*step.generated)
        calls = (step.calls.denoise, step.calls.encode, step.calls.decode)
        table.add_row(step.what, outcome, *map(str, calls))
    report = verify(gate.journal.sink.records())
    if as_json:
        print_json({"audit": {"whole": report.is_whole, "records": report.records}})
        return
    OUT.print(table)
    OUT.print("\n[bold]The record of the refusals[/] (initgate audit tail)")
    print_records(gate.journal.sink.last(3))
    state = "[green]whole[/]" if report.is_whole else "[red]broken[/]"
    OUT.print("\n[bold]The chain of records[/] (initgate audit verify)")
    OUT.print(f"{state}  {report.records} records, head {report.head}")


def _step_record(step: Any) -> dict[str, object]:
    return {
        "input": step.what,
        "verdict": "refused" if step.generated is None else "allowed",
        "decision_id": step.decision_id,
        "denoise_calls": step.calls.denoise,
        "encode_calls": step.calls.encode,
        "decode_calls": step.calls.decode,
    }
