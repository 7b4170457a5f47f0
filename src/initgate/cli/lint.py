"""``initgate lists lint``: looks for entries that would refuse honest people."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from initgate import store
from initgate.benign import load_benign
from initgate.cli.console import ERR, OTHER, OUT, ConfigOption, JsonOption, print_json, printable
from initgate.cli.lists import USE_FLAG, configured, told_share
from initgate.config import ListSettings, Settings, load_settings
from initgate.errors import ConfigError
from initgate.lint import Flaw, Report, lint
from initgate.lists import changes
from initgate.model import HashList
from initgate.policy import Policy
from initgate.wiring import load_list

_EXAMPLES = 3  # entries that a line names

_WHY = {
    Flaw.PLACEHOLDER: "nothing but zeros or ones, or the digest of a file that everybody has",
    Flaw.LOW_QUALITY: "too little structure to be told from other pictures",
    Flaw.UNEVEN: "far fewer or more ones than pictures have",
    Flaw.PATTERN: "bits that repeat, as those of stripes and flat pictures",
    Flaw.BENIGN: "near to a form, page, window or the like",
    Flaw.HUB: "near to many entries that are far from one another",
    Flaw.UNKNOWN_QUALITY: "noted: the list tells no quality",
    Flaw.DUPLICATE: "noted: the same hash stands earlier in the list",
}


class Fix(StrEnum):
    """What to do with entries at fault."""

    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class _Linted:
    """A list, and what is wrong with it."""

    settings: ListSettings
    hash_list: HashList
    report: Report
    flagged: int = 0

    @property
    def is_clean(self) -> bool:
        return self.flagged == len(self.report.faulty)


def lists_lint(
    name: Annotated[
        str | None, typer.Argument(help="A configured list's name. Default: all lists.")
    ] = None,
    *,
    only: Annotated[
        list[Flaw] | None, typer.Option("--only", help="Look for this alone; may be repeated.")
    ] = None,
    fix: Annotated[
        Fix | None, typer.Option(help="Set entries at fault to flag: log and allow.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find entries that would refuse honest people: say how many there are, which and why.

    Exit code 1 if any is found and not set to flag. What is noted does not count.
    """
    everything = load_settings(config)
    lists = everything.lists if name is None else [configured(name, config)[1]]
    found = []
    for settings in lists:
        with ERR.status(f"Looking at {settings.name}"):
            one = _lint(everything, settings, only)
        if fix is Fix.FLAG:
            one = _flag(one)
        found.append(one)
    if as_json:
        for one in found:
            print_json(_to_record(one))
    else:
        _tell(found)
    if not all(one.is_clean for one in found):
        raise typer.Exit(OTHER)


def _lint(everything: Settings, settings: ListSettings, only: list[Flaw] | None) -> _Linted:
    whole = store.merged(load_list(everything, settings))
    whole = Policy({whole.name: settings.policy}).fit_entries(whole)
    report = lint(whole, threshold=settings.policy.threshold, benign=load_benign())
    if only:
        rows = {flaw: rows for flaw, rows in report.rows.items() if flaw in only}
        report = replace(report, rows=rows)
    return _Linted(settings, whole, report)


def _flag(one: _Linted) -> _Linted:
    faulty = one.report.faulty
    if not len(faulty):
        return one
    if len(faulty) == len(one.report.live):
        raise ConfigError(
            f"list {one.settings.name!r} would refuse nothing, since every entry is at fault; "
            f"{USE_FLAG}. Nothing was changed"
        )
    codes = {one.hash_list.codes[row].tobytes() for row in faulty}
    store.change(one.settings.path, map(changes.flag, sorted(codes)))
    return replace(one, flagged=len(faulty))


def _to_record(one: _Linted) -> dict[str, object]:
    report, entries = one.report, one.hash_list.entries
    return {
        "name": one.settings.name,
        "entries": len(one.hash_list),
        "looked_at": len(report.live),
        "neighbours_of": report.asked,
        "flaws": {flaw.value: len(rows) for flaw, rows in report.rows.items()},
        "faulty": len(report.faulty),
        "share": round(report.share, 6),
        "flagged": one.flagged,
        "found": [
            {
                "entry": entries[row],
                "flaw": flaw.value,
                "like": report.like.get(row, "") if flaw is Flaw.BENIGN else "",
            }
            for flaw, rows in report.rows.items()
            if flaw.is_fault
            for row in rows.tolist()
        ],
    }


def _tell(found: list[_Linted]) -> None:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("List", "What"):
        table.add_column(heading, no_wrap=True)
    table.add_column("Entries", justify="right", no_wrap=True)
    for heading in ("Why", "For example"):
        table.add_column(heading)
    for one in found:
        for flaw, rows in one.report.rows.items():
            if len(rows):
                table.add_row(
                    one.settings.name,
                    flaw.value,
                    str(len(rows)),
                    _WHY[flaw],
                    escape(_examples(one, flaw)),
                    style="" if flaw.is_fault else "dim",
                )
    if table.row_count:
        OUT.print(table)
    for one in found:
        OUT.print(_summary(one))


def _examples(one: _Linted, flaw: Flaw) -> str:
    told = []
    for row in one.report.rows[flaw][:_EXAMPLES].tolist():
        like = one.report.like.get(row) if flaw is Flaw.BENIGN else None
        told.append(
            printable(one.hash_list.entries[row]) + (f" (like {printable(like)})" if like else "")
        )
    return ", ".join(told)


def _summary(one: _Linted) -> str:
    report = one.report
    number, total = len(report.faulty), len(report.live)
    if not number:
        return f"[green]none at fault[/]  {one.settings.name}: {total} entries looked at"
    colour, did = ("green", "set to flag") if one.flagged else ("yellow", "at fault")
    return (
        f"[{colour}]{did}[/]  {one.settings.name}: {number} of {total} entries, "
        f"{told_share(report.share)}"
    )
