"""``initgate calibrate``: which threshold a list stands, measured with one's own pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from initgate import calibration
from initgate.benign import load_benign
from initgate.calibration import Comparison, Estimate
from initgate.cli import plots
from initgate.cli.console import (
    ERR,
    OTHER,
    OUT,
    ConfigOption,
    JsonOption,
    print_json,
    printable,
    read_file,
    track_many,
    write_file,
)
from initgate.cli.lists import ListName, configured
from initgate.config import ListSettings, find_config, load_settings, with_threshold
from initgate.edits import EDITS
from initgate.errors import ConfigError, ImageUnreadable, ListRejected, SourceUnavailable
from initgate.hashing import hash_upright, hash_views
from initgate.image import Limits, decode
from initgate.model import Algorithm, Codes, Family, Hash, Levels
from initgate.policy import Policy
from initgate.views import views
from initgate.wiring import load_list

DEFAULT_RATE = 1e-6
_MOST_EDITED = 60  # pictures; more would tell little more
_ROWS = 16  # thresholds in the table, besides those with a name
_TOLD = 10  # pictures named one by one
_WIDE = 1000  # columns of text


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """What is searched of a list.

    Args:
        settings: Of the list.
        codes: Of all entries that are searched.
        entries: Their identifiers.
    """

    settings: ListSettings
    codes: Codes
    entries: Sequence[str]

    @property
    def algorithm(self) -> Algorithm:
        """Of all entries."""
        return self.settings.algorithm


@dataclass(frozen=True, slots=True)
class Look:
    """How a gate looks at pictures.

    Args:
        algorithm: The hash of the list.
        limits: What a picture may cost.
        families: The views to look for.
    """

    algorithm: Algorithm
    limits: Limits
    families: frozenset[Family]

    def hashes(self, image: object) -> list[Hash]:
        """The hashes of a picture in all views.

        Raises:
            ImageUnreadable: No pixels could be had.
        """
        picture = decode(image, limits=self.limits)
        return hash_views(views(picture, self.families), [self.algorithm])


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Pictures, hashed and compared.

    Args:
        names: Of each.
        hashes: Of each, one or several.
        compared: The same, compared with the list.
        left_out: Files that could not be read, and why.
    """

    names: Sequence[str]
    hashes: Sequence[Sequence[Hash]]
    compared: Sequence[Comparison]
    left_out: Sequence[tuple[str, str]] = ()

    def within(self, threshold: int) -> int:
        """How many are within a threshold of any entry."""
        return sum(one.distance <= threshold for one in self.compared)


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """All that was measured of a list.

    Args:
        listed: The list.
        own: The operator's pictures.
        drawn: Those of the benign reference; none for hashes other than PDQ.
        pairs: Per threshold, how many pairs of an own picture and an entry are within it.
        edited: By edit, the distances of edited pictures from their originals.
        rate: The wished rate of false refusals.
        estimated: See :func:`initgate.calibration.estimate`.
        supported: See there.
    """

    listed: Listed
    own: Sample
    drawn: Sample
    pairs: Sequence[int]
    edited: dict[str, list[int]]
    rate: float
    estimated: Estimate | None
    supported: int | None

    @property
    def recommended(self) -> int | None:
        """What is supported, but never more than the algorithm's own."""
        if self.supported is None:
            return None
        return min(self.supported, self.listed.algorithm.default_threshold)

    @property
    def matching(self) -> list[tuple[Sample, int]]:
        """Pictures that a gate refuses, now or at the algorithm's own threshold; nearest first."""
        settings = self.listed.settings
        most = max(settings.algorithm.default_threshold, settings.policy.threshold)
        found = [
            (sample, number)
            for sample in (self.own, self.drawn)
            for number, one in enumerate(sample.compared)
            if one.distance <= most
        ]
        return sorted(found, key=lambda one: one[0].compared[one[1]].distance)


def calibrate(  # noqa: PLR0917  # Typer maps parameters to options by name
    name: ListName,
    photos: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder of your own ordinary pictures."),
    ] = None,
    hashes: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Or an .npz file of their hashes."),
    ] = None,
    rate: Annotated[
        float, typer.Option(min=1e-12, max=0.5, help="Wished false refusals a query.")
    ] = DEFAULT_RATE,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Plot to draw: .svg or .png.")
    ] = None,
    excepted: Annotated[
        list[str] | None,
        typer.Option("--except", help="A picture that is on the list: leave it out."),
    ] = None,
    distinct: Annotated[
        bool,
        typer.Option("--distinct", help="You looked: no picture that matches is on the list."),
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Write the threshold into the configuration.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how near your own ordinary pictures come to a list, and recommend a threshold.

    Exit code 1 if pictures match that you should look at, or nothing can be recommended.
    """
    if (photos is None) == (hashes is None):
        raise ConfigError("give either --photos DIR or --hashes NPZ")
    if out is not None:
        plots.check(out)
    gate = load_settings(config).gate
    listed = load_listed(name, config)
    look = Look(listed.algorithm, gate.limits, gate.families)
    if photos is not None:
        files, own = _hash_photos(photos, set(excepted or ()), look)
        edited = _edited(files, listed, look)
    else:
        own, edited = _read_hashes(hashes, set(excepted or ()), listed.algorithm), {}
    findings = measure(listed, own, edited, rate)
    if out is not None:
        plots.draw(_curves(findings), out)
    unseen = [] if distinct else findings.matching
    written = False
    if write and findings.recommended is not None and not unseen:
        _write(name, findings.recommended, config)
        written = True
    _tell(findings, as_json=as_json, unseen=unseen, written=written, wanted=write)
    if unseen or findings.recommended is None:
        raise typer.Exit(OTHER)


# ── Measuring ─────────────────────────────────────────────────────────────────────────────────


def load_listed(name: str, config: Path | None) -> Listed:
    """Loads what a gate would search of a configured list.

    Raises:
        ConfigError: There is no such list, or one of digests.
        ListRejected: It is malformed, or nothing of it is searched.
        SourceUnavailable: It cannot be read.
    """
    everything, settings = configured(name, config)
    if settings.algorithm.is_digest:
        raise ConfigError(f"list {name!r}: {settings.algorithm} matches exactly, at 0 bits alone")
    policy = Policy({name: settings.policy})
    codes, entries = [], []
    for part in map(policy.fit_entries, load_list(everything, settings)):
        rows: list[int] = np.flatnonzero(part.is_fit()).tolist()
        if part.removed:
            rows = [row for row in rows if part.entries[row] not in part.removed]
        codes.append(part.codes[rows])
        entries += [part.entries[row] for row in rows]
    if not entries:
        raise ListRejected("nothing of it is searched", source=name)
    return Listed(settings, np.concatenate(codes), entries)


def measure(listed: Listed, own: Sample, edited: dict[str, list[int]], rate: float) -> Findings:
    """Compares the operator's pictures and the drawn ones with a list.

    Args:
        listed: The list.
        own: Pictures with their hashes, not yet compared.
        edited: See :class:`Findings`.
        rate: See there.

    Raises:
        ConfigError: There is no picture.
    """
    if not own.names:
        raise ConfigError("no picture could be read, so there is nothing to measure")
    drawn = _drawn() if listed.algorithm is Algorithm.PDQ else Sample((), (), ())
    columns = calibration.words(listed.codes)
    own = _compared(own, columns, "Comparing")
    drawn = _compared(drawn, columns, "Comparing drawn pictures")
    estimated = calibration.estimate(own.compared)
    supported = calibration.supported(
        own.compared, drawn.compared, estimated, entries=len(listed.entries), rate=rate
    )
    pairs = np.sum([one.counts for one in own.compared], axis=0).cumsum().tolist()
    return Findings(listed, own, drawn, pairs, edited, rate, estimated, supported)


def _compared(sample: Sample, columns: Any, what: str) -> Sample:
    compared = [
        calibration.compare(columns, _codes(hashes))
        for hashes in track_many(list(sample.hashes), what)
    ]
    return Sample(sample.names, sample.hashes, compared, sample.left_out)


def _codes(hashes: Sequence[Hash]) -> Codes:
    joined = b"".join(one.code for one in hashes)
    return np.frombuffer(joined, np.uint8).reshape(len(hashes), -1)


def _drawn() -> Sample:
    reference = load_benign()
    hashes = [[Hash(one.algorithm, one.code, one.quality, "drawn")] for one in reference]
    return Sample(reference.entries, hashes, ())


def _hash_photos(folder: Path, excepted: set[str], look: Look) -> tuple[list[Path], Sample]:
    """Every picture below a folder, and its hashes in all views, as a gate takes them."""
    files = sorted(one for one in folder.rglob("*") if one.is_file())
    named = {one: str(one.relative_to(folder)) for one in files}
    if unknown := sorted(excepted - set(named.values())):
        raise ConfigError(f"--except {unknown[0]}: there is no such file in {folder}")
    kept, hashes, left_out = [], [], []
    for file in track_many([one for one in files if named[one] not in excepted], "Hashing"):
        try:
            made = look.hashes(read_file(file, look.limits.max_bytes))
        except (ImageUnreadable, SourceUnavailable) as error:
            left_out.append((named[file], str(error)))
        else:
            kept.append(file)
            hashes.append(made)
    return kept, Sample([named[one] for one in kept], hashes, (), left_out)


def _read_hashes(file: Path | None, excepted: set[str], algorithm: Algorithm) -> Sample:
    """A hash for each picture, from an array named like the algorithm."""
    try:
        with np.load(str(file), allow_pickle=False) as arrays:
            codes = arrays[algorithm.value]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ConfigError(f"--hashes {file}: no .npz with an array {algorithm.value!r}") from error
    if codes.dtype != np.uint8 or codes.ndim != 2 or codes.shape[1] * 8 != algorithm.bits:  # noqa: PLR2004  # rows and columns
        raise ConfigError(
            f"--hashes {file}: {algorithm.value!r} must be uint8 [n, {algorithm.bits // 8}], "
            f"found {codes.dtype} {list(codes.shape)}"
        )
    names = {f"row {row}": row for row in range(len(codes))}
    if unknown := sorted(excepted - set(names)):
        raise ConfigError(f"--except {unknown[0]}: allowed: row 0 to row {len(codes) - 1}")
    kept = [name for name in names if name not in excepted]
    hashes = [[Hash(algorithm, codes[names[name]].tobytes(), view="picture")] for name in kept]
    return Sample(kept, hashes, ())


def _edited(files: Sequence[Path], listed: Listed, look: Look) -> dict[str, list[int]]:
    """How far edited pictures come from the entries that their originals would be."""
    chosen = list(files[:: -(-len(files) // _MOST_EDITED)]) if files else []
    found: dict[str, list[int]] = {name: [] for name in EDITS}
    for file in track_many(chosen, "Editing"):
        data = read_file(file, look.limits.max_bytes)
        levels = decode(data, limits=look.limits).pixels[0].levels
        entry = hash_upright(levels, listed.algorithm)
        if (entry.quality or 0) < listed.settings.min_quality:
            continue  # it would be no entry
        columns = calibration.words(_codes([entry]))
        for name, distance in _distances(levels, columns, look):
            found[name].append(distance)
    return {name: distances for name, distances in found.items() if distances}


def _distances(levels: Levels, columns: Any, look: Look) -> Iterator[tuple[str, int]]:
    for name, edit in EDITS.items():
        codes = _codes(look.hashes(edit(levels)))
        yield name, calibration.compare(columns, codes).distance


# ── Telling ───────────────────────────────────────────────────────────────────────────────────


def _tell(
    findings: Findings,
    *,
    as_json: bool,
    unseen: Sequence[tuple[Sample, int]],
    written: bool,
    wanted: bool,
) -> None:
    if as_json:
        print_json(_record(findings, written=written))
        return
    own, listed = findings.own, findings.listed
    for name, why in own.left_out[:_TOLD]:
        ERR.print(f"[yellow]left out[/]  {escape(printable(name))}  {escape(why)}")
    if len(own.left_out) > _TOLD:
        ERR.print(f"[yellow]left out[/]  {len(own.left_out) - _TOLD} more")
    views = sum(map(len, own.hashes))
    OUT.print(
        f"{len(own.names)} pictures with {views} hashes, {len(findings.drawn.names)} drawn ones; "
        f"{len(listed.entries)} entries of {listed.settings.name}\n"
    )
    _show(_thresholds_table(findings))
    if findings.edited:
        _show(_edits_table(findings))
    _show(_views_table(findings))
    _tell_certainty(findings)
    for sample, number in unseen[:_TOLD]:
        OUT.print(_match_line(findings, sample, number))
    if unseen:
        _tell_unseen(findings, unseen)
    _tell_recommended(findings)
    if written:
        OUT.print("[green]written[/]  gates take it up when they are started anew")
    elif wanted:
        OUT.print("[red]nothing written[/]")


def _tell_certainty(findings: Findings) -> None:
    if findings.estimated is None:
        OUT.print(
            f"Nothing is estimated from so few pictures (at least {calibration.MIN_PICTURES}) or "
            "pairs: only what was counted is told."
        )
        return
    OUT.print(
        f"No pair nearer than {findings.estimated.nearest} bits was seen; what is told of smaller "
        "thresholds is estimated. It holds if the number of pairs goes on falling there as it does "
        "among the nearest ones, and if your sample is like your traffic. Pictures of one subject "
        "and one layout come nearest: a sample without such tells nothing of them."
    )


def _tell_unseen(findings: Findings, unseen: Sequence[tuple[Sample, int]]) -> None:
    if len(unseen) > _TOLD:
        OUT.print(f"… and {len(unseen) - _TOLD} more")
    if any(sample is findings.own for sample, _ in unseen):
        OUT.print(
            "Look at these pictures. Leave out those that truly are on the list, with --except; "
            "the others count as false matches."
        )
    if any(sample is findings.drawn for sample, _ in unseen):
        OUT.print(
            "Entries near drawn pictures are pages, windows or blanks and refuse honest people "
            "at any threshold: withdraw them."
        )
    OUT.print("When you have looked at all: --distinct.")


def _match_line(findings: Findings, sample: Sample, number: int) -> str:
    one = sample.compared[number]
    entry = printable(findings.listed.entries[one.row])
    kind = "matches" if sample is findings.own else "drawn"
    return (
        f"[yellow]{kind}[/]  {escape(printable(sample.names[number]))}  {one.distance} bits from "
        f"{escape(entry)}, {escape(_view(sample, number))}"
    )


def _view(sample: Sample, number: int) -> str:
    """The view that came nearest."""
    one = sample.compared[number]
    return sample.hashes[number][one.nearest.index(one.distance)].view


def _tell_recommended(findings: Findings) -> None:
    settings = findings.listed.settings
    now = settings.policy.threshold
    wished = f"{findings.rate:.0e} false refusals a query"
    if findings.recommended is None:
        OUT.print(f"[red]recommended[/]  none: at no threshold do these pictures support {wished}")
        return
    OUT.print(f"[green]recommended[/]  threshold = {findings.recommended} for {wished}; now {now}")
    default = settings.algorithm.default_threshold
    if findings.supported is not None and findings.supported > default:
        OUT.print(
            f"[dim]The pictures would support {findings.supported}; more than "
            f"{settings.algorithm}'s {default} is never recommended[/]"
        )


def _table(*headings: str) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for number, heading in enumerate(headings):
        table.add_column(heading, no_wrap=True, justify="right" if number else "left")
    return table


def _show(table: Table) -> None:
    wide = OUT.measure(table, options=OUT.options.update(width=_WIDE))
    table.width = wide.maximum  # a narrow terminal wraps lines, rather than lose columns
    OUT.print(table)
    OUT.print()


def _thresholds_table(findings: Findings) -> Table:
    table = _table(
        "Bits", "Pictures", "of all, 95 %", "Drawn", "Pairs", "Refused of a million, 95 %", "Recall"
    )
    named = _marks(findings)
    most = findings.listed.algorithm.max_threshold
    shown = {*range(0, most + 1, max(1, most // _ROWS)), *named.values()}
    for threshold in sorted(shown):
        row = _threshold_record(findings, threshold)
        names = " ".join(name for name, bits in named.items() if bits == threshold)
        counted, guessed = row["counted"], row["estimated"]
        table.add_row(
            f"{threshold} {names}",
            str(row["pictures"]),
            f"{counted['low']:.2%} to {counted['high']:.2%}",
            str(row["drawn"]),
            str(row["pairs"]),
            _of_a_million(guessed) if guessed else "-",
            "-" if row["recall"] is None else f"{row['recall']:.2f}",
            style="bold" if names else "",
        )
    return table


def _of_a_million(rate: dict[str, float]) -> str:
    value, low, high = (_rounded(rate[end] * 1e6) for end in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _rounded(number: float) -> str:
    if number < 0.001:  # noqa: PLR2004  # less is none
        return "0"
    return f"{number:.1g}" if number < 10 else f"{number:,.0f}"  # noqa: PLR2004  # two digits


def _edits_table(findings: Findings) -> Table:
    named = _marks(findings)
    table = _table("Edit", *(f"{name}: {bits}" for name, bits in named.items()))
    for edit, distances in findings.edited.items():
        table.add_row(
            edit, *(f"{one:.2f}" for one in calibration.recall(distances, [*named.values()]))
        )
    return table


def _views_table(findings: Findings) -> Table:
    table = _table("View", "Hashes", "Nearest", "Expected", "Median bits")
    for one in _views(findings):
        table.add_row(
            escape(one.view),
            str(one.hashes),
            f"{one.nearest:.1f}",
            f"{one.expected:.1f}",
            f"{one.median:g}",
        )
    return table


def _views(findings: Findings) -> list[calibration.ViewStatistics]:
    return calibration.views(findings.own.hashes, findings.own.compared)


def _marks(findings: Findings) -> dict[str, int]:
    """The thresholds with a name."""
    settings = findings.listed.settings
    marks = {"default": settings.algorithm.default_threshold, "now": settings.policy.threshold}
    if findings.recommended is not None:
        marks["recommended"] = findings.recommended
    return marks


def _threshold_record(findings: Findings, threshold: int) -> dict[str, Any]:
    own, entries = findings.own, len(findings.listed.entries)
    matched = own.within(threshold)
    counted = calibration.observed(matched, len(own.names))
    pairs = findings.pairs[threshold]
    of_pairs = calibration.observed(pairs, len(own.names) * entries)
    estimated = findings.estimated
    distances = [one for of_edit in findings.edited.values() for one in of_edit]
    return {
        "threshold": threshold,
        "pictures": matched,
        "counted": _rate(counted),
        "drawn": findings.drawn.within(threshold),
        "pairs": pairs,
        "counted_a_pair": _rate(of_pairs),
        "estimated_a_pair": estimated and _rate(estimated.rates[threshold]),
        "estimated": estimated and _rate(estimated.rates[threshold].times(entries)),
        "recall": next(calibration.recall(distances, [threshold])) if distances else None,
    }


def _rate(rate: calibration.Rate) -> dict[str, float]:
    return {"value": rate.value, "low": rate.low, "high": rate.high}


def _record(findings: Findings, *, written: bool) -> dict[str, object]:
    own, settings = findings.own, findings.listed.settings
    named = list(_marks(findings).values())
    return {
        "list": settings.name,
        "algorithm": settings.algorithm.value,
        "entries": len(findings.listed.entries),
        "pictures": len(own.names),
        "hashes": sum(map(len, own.hashes)),
        "drawn": len(findings.drawn.names),
        "left_out": [{"file": name, "reason": why} for name, why in own.left_out],
        "rate": findings.rate,
        "threshold": settings.policy.threshold,
        "supported": findings.supported,
        "recommended": findings.recommended,
        "written": written,
        "nearest": min(one.distance for one in own.compared),
        "matching": [_match_record(findings, *one) for one in findings.matching],
        "thresholds": [
            _threshold_record(findings, threshold)
            for threshold in range(settings.algorithm.max_threshold + 1)
        ],
        "edits": [
            {
                "edit": edit,
                "recall": dict(
                    zip(map(str, named), calibration.recall(distances, named), strict=True)
                ),
            }
            for edit, distances in findings.edited.items()
        ],
        "views": [
            {
                "view": one.view,
                "hashes": one.hashes,
                "nearest": one.nearest,
                "expected": one.expected,
                "median": one.median,
            }
            for one in _views(findings)
        ],
    }


def _match_record(findings: Findings, sample: Sample, number: int) -> dict[str, object]:
    one = sample.compared[number]
    return {
        "picture": sample.names[number],
        "drawn": sample is findings.drawn,
        "entry": findings.listed.entries[one.row],
        "distance": one.distance,
        "view": _view(sample, number),
    }


def _curves(findings: Findings) -> plots.Curves:
    most = findings.listed.algorithm.max_threshold + 1
    entries = len(findings.listed.entries)
    return plots.Curves(
        title=f"{findings.listed.settings.name}: {len(findings.own.names)} pictures, "
        f"{entries} entries",
        counted=_counted(findings.own.compared, most),
        drawn=_counted(findings.drawn.compared, most),
        estimated=findings.estimated,
        recall={
            edit: list(calibration.recall(distances, range(most)))
            for edit, distances in findings.edited.items()
        },
        wished=findings.rate / entries,
        marks=_marks(findings),
    )


def _counted(compared: Iterable[Comparison], most: int) -> list[float]:
    counts = [one.counts for one in compared]
    if not counts:
        return []
    total = np.sum(counts, axis=0)
    return list((total.cumsum() / total.sum())[:most])


def _write(name: str, threshold: int, config: Path | None) -> None:
    """Replaces the configuration by one with the threshold; nothing else in it changes."""
    file = find_config(config).resolve()  # of a link, what it leads to
    content = file.read_bytes().decode()
    write_file(file, with_threshold(content, name, threshold).encode(), like=file)
