"""``initgate audit``: reads the record of decisions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from initgate.audit import AuditSink
from initgate.audit.chain import Record, verify
from initgate.cli.console import (
    ERR,
    OTHER,
    OUT,
    ConfigOption,
    JsonOption,
    print_json,
    write_file,
)
from initgate.config import load_settings
from initgate.errors import (
    AuditUnavailable,
)
from initgate.wiring import open_audit

audit_app = typer.Typer(no_args_is_help=True, help="Read and verify the record of decisions.")


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
            print_json(record.fields)
        return
    print_records(records)
    allowed = counts.get("no_match", 0)
    OUT.print(f"[dim]{allowed} images were allowed without a match and only counted[/]")


def print_records(records: Iterable[Record]) -> None:
    """Two lines a record: what was decided, and what was found."""
    for record in records:
        try:
            lines = _record_lines(record)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            lines = (f"{record.sequence}  [red]no event: changed after it was written[/]",)
        for line in lines:
            OUT.print(line)


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
        print_json(
            {
                "whole": report.is_whole,
                "records": report.records,
                "head": report.head,
                "problems": list(report.problems),
            }
        )
    else:
        for problem in report.problems:
            ERR.print(f"[red]broken[/]  {escape(problem)}")
        state = "[green]whole[/]" if report.is_whole else "[red]broken[/]"
        OUT.print(f"{state}  {report.records} records, head {report.head}")
    if not report.is_whole:
        raise typer.Exit(OTHER)


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
            lines.append(json.dumps(record.fields) + "\n")
    if out is None:
        typer.echo("".join(lines), nl=False)
    else:
        write_file(out, "".join(lines).encode())
    ERR.print(f"[dim]{len(lines)} records, head {head or '-'}[/]")
