"""What is recognised, what by mistake, and what it costs: methods against a table of edits.

    python benchmarks/accuracy/run.py                                  # everything, held-out photos
    python benchmarks/accuracy/run.py --split dev --photos 30 --group collage --method standard
    python benchmarks/accuracy/run.py --list-edits

Edited files and what the methods made of them are kept, so that a second run measures only what
changed: a method of initgate is measured anew when a module that makes its hashes changed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import edits
import libraries
import measure
import methods
import negatives
import numpy as np
import rates
from matplotlib.figure import Figure
from measure import Bench, Outcome, Plan
from numpy.typing import NDArray
from photos import Split
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("INITGATE_SHARED_DATA") or ROOT.parent / "shared/data")
LIST_SIZES = (10**6, 10**7)
_CUSTOMARY = "Recall at the customary threshold"
_EQUAL = "Recall at the false-match rate of PDQ at its customary threshold"
COLOURS = ("#bbbbbb", "#66ccee", "#ccbb44", "#aa3377", "#4477aa", "#228833", "#ee6677")


@dataclass(frozen=True, slots=True)
class Result:
    """One method over many edits.

    Args:
        method: What was measured.
        own: Distance to the photo's own entry, ``[edits, photos]``.
        counts: Unrelated pairs at each distance, all edits together, ``[bits + 1]``.
        alike: Per edit, pairs of different photos edited alike, ``[edits, bits + 1]``.
        views: Mean codes a query.
    """

    method: methods.Method
    own: NDArray[np.int16]
    counts: NDArray[np.int64]
    alike: NDArray[np.int64]
    views: float

    @classmethod
    def of(cls, method: methods.Method, outcomes: Sequence[Outcome]) -> Result:
        """All edits together."""
        return cls(
            method,
            np.stack([outcome.own for outcome in outcomes]),
            np.sum([outcome.pairs.sum(axis=0, dtype=np.int64) for outcome in outcomes], axis=0),
            np.stack([outcome.alike for outcome in outcomes]),
            float(np.mean([outcome.views.mean() for outcome in outcomes])),
        )

    def found(self, threshold: float) -> NDArray[np.bool_]:
        """What is recognised at a threshold: ``[edits, photos]``."""
        return self.own <= threshold


@dataclass(frozen=True, slots=True)
class Errors:
    """How often a method takes unrelated pictures for one another.

    Args:
        pairs: That were compared.
        nearest: The smallest distance of them.
        observed: Of them, those within the customary threshold.
        tail: Fitted below what was seen, if there was enough.
        times: How many times as often as the baseline, at the distances of its tail.
        equal: The threshold at which it errs as often as the baseline at its customary one.
    """

    pairs: int
    nearest: int
    observed: int
    tail: rates.Tail | None
    times: float | None
    equal: int | None

    @classmethod
    def of(cls, result: Result, baseline: Result | None) -> Errors:
        """A method's, against the baseline's if that was measured on the same pairs."""
        counts, threshold = result.counts, result.method.threshold
        tail = rates.Tail.fit(counts)
        times = equal = None
        if baseline is not None:
            times = rates.times_as_often(counts, baseline.counts)
            equal = rates.equal_threshold(counts, baseline.counts, baseline.method.threshold)
        return cls(
            int(counts.sum()),
            int(np.flatnonzero(counts)[0]),
            int(counts[: threshold + 1].sum()),
            tail,
            times,
            equal,
        )


def main() -> None:
    """Measures, prints tables, and writes ``results.json`` and the plots."""
    arguments = _parse()
    sys.path.extend(arguments.peers)
    console = Console(width=arguments.width)
    if arguments.list_edits:
        console.print(edit_table(measure.by_name().values()))
        return
    for needed in ("photos", "distractors.npz"):
        if not (arguments.data / needed).exists():
            raise SystemExit(f"{arguments.data / needed}: not there; give its folder with --data")
    own, others = _chosen(arguments)
    names = [methods.named(name).name for name in arguments.method or methods.available()]
    plan = Plan(
        arguments.data,
        Split(arguments.split),
        arguments.photos,
        tuple(names),
        arguments.cache,
        tuple(arguments.peers),
    )
    for line in [*methods.missing(), *libraries.missing()]:
        console.print(f"left out: {line}", highlight=False)
    arguments.out.mkdir(parents=True, exist_ok=True)
    paths = _drawn(arguments)
    bench = Bench(plan)
    with _pool(plan, arguments.jobs) as pool, Progress(console=console, transient=True) as progress:
        outcomes = measure_all(pool, [*own, *others], progress)
        drawn = negatives.run(pool, bench, paths, progress) if paths else {}
    report = _report(bench, outcomes, (own, others), arguments, console)
    if drawn:
        report["drawn"] = drawn
        console.print(*negatives.tables(drawn))
    (arguments.out / "results.json").write_text(json.dumps(report, indent=1) + "\n")
    console.print(f"written: {arguments.out}", highlight=False)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--list-edits", action="store_true", help="print every edit and its parameters")
    add("--data", type=Path, default=DATA, help="folder with photos/ and distractors.npz")
    add("--split", choices=[Split.DEV, Split.HELD_OUT], default=Split.HELD_OUT, help="whose photos")
    add("--photos", type=int, default=10_000, help="at most so many of them")
    add("--group", action="append", help="only these edits; may be given several times")
    add("--edit", action="append", help="only this edit; may be given several times")
    add(
        "--method",
        action="append",
        help="only this method; may be given several times; views=FAMILY,FAMILY for some views",
    )
    add("--no-libraries", action="store_true", help="leave the libraries' edits out")
    add("--no-drawn", action="store_true", help="leave the drawn negatives out")
    add("--drawn", type=Path, help="a folder of them, named FAMILY-NUMBER.SUFFIX")
    add("--each", type=int, default=20, help="how many of each family are drawn")
    add("--no-times", action="store_true", help="leave the timing out")
    add("--quick", action="store_true", help="12 photos, every fourth edit")
    add("--jobs", type=int, default=2, help="processes")
    add("--cache", type=Path, default=ROOT / "build/accuracy", help="what was done once")
    add("--peers", action="append", default=[], help="a folder to import optional libraries from")
    add("--out", type=Path, default=Path(__file__).parent / "results", help="folder for results")
    add("--width", type=int, default=None, help="columns of the tables")
    arguments = parser.parse_args()
    arguments.peers = [str(Path(folder).resolve()) for folder in arguments.peers]
    arguments.is_part = bool(arguments.group or arguments.edit)  # somebody works at a detector
    if arguments.is_part:
        arguments.no_times = arguments.no_drawn = True
    if arguments.quick:
        arguments.photos = min(arguments.photos, 12)
    return arguments


def _chosen(arguments: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The names of one's own edits and of the libraries', as asked for."""
    chosen = list(measure.by_name().values())
    if arguments.group:
        chosen = [edit for edit in chosen if edit.group in arguments.group]
    if arguments.edit:
        chosen = [edit for edit in chosen if edit.name in arguments.edit]
    if arguments.no_libraries:
        chosen = [edit for edit in chosen if edit.group not in libraries.GROUPS]
    if arguments.quick:
        chosen = chosen[::4]
    if not chosen:
        raise SystemExit(f"no such edit; groups: {', '.join((*edits.GROUPS, *libraries.GROUPS))}")
    own = [edit.name for edit in chosen if edit.group not in libraries.GROUPS]
    return own, [edit.name for edit in chosen if edit.group in libraries.GROUPS]


def _drawn(arguments: argparse.Namespace) -> list[Path]:
    """The drawn negatives, unless they are not asked for."""
    if arguments.no_drawn:
        return []
    each = 2 if arguments.quick else arguments.each
    return negatives.files(arguments.drawn, ROOT, arguments.cache, each=each)


def _pool(plan: Plan, jobs: int) -> ProcessPoolExecutor:
    # Two processes want two threads, not as many as each finds processors.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(jobs, context, measure.open_bench, (plan,))


def measure_all(
    pool: Executor, names: Sequence[str], progress: Progress
) -> dict[str, dict[str, Outcome]]:
    """Every edit by every method, in processes of their own: per edit, per method."""
    made = {}
    task = progress.add_task("Edits", total=len(names))
    for done in as_completed([pool.submit(measure.measure_edit, name) for name in names]):
        name, outcome = done.result()
        made[name] = outcome
        progress.update(task, advance=1, description=name)
    return {name: made[name] for name in names}


# ── what it says ──────────────────────────────────────────────────────────────────────────────


def _report(
    bench: Bench,
    outcomes: Mapping[str, Mapping[str, Outcome]],
    names: tuple[Sequence[str], Sequence[str]],
    arguments: argparse.Namespace,
    console: Console,
) -> dict[str, Any]:
    """Prints the tables, draws the plots, and gives the same as JSON."""
    own, others = names
    results = {
        m.name: Result.of(m, [outcomes[n][m.name] for n in own]) for m in bench.methods if own
    }
    errors = {
        name: Errors.of(result, results.get(methods.BASELINE)) for name, result in results.items()
    }
    report: dict[str, Any] = {
        "split": bench.plan.split.value,
        "photos": [path.name for path in bench.files],
        "listed": {space: len(one.starts) for space, one in bench.listed.items()},
        "edits": {name: str(measure.by_name()[name]) for name in (*own, *others)},
    }
    times: dict[str, dict[str, float]] = {}
    if not arguments.no_times:
        times = time_methods(bench)
        report["times"] = times
    if own:
        groups = _grouped(own)
        told = [recall_table(_CUSTOMARY, results, errors, groups, times, equal=False)]
        if any(error.equal is not None for error in errors.values()):
            told.append(recall_table(_EQUAL, results, errors, groups, times, equal=True))
        console.print(*told, error_table(results, errors))
        if alike(results, own):
            console.print(alike_table(results, own))
        report["recall"] = {
            name: recalls(result, errors[name], groups) for name, result in results.items()
        }
        report["per edit"] = per_edit(results, own)
        report["false matches"] = {name: asdict(error) for name, error in errors.items()}
        report["alike"] = alike(results, own)
        report["lost"] = lost(results, own, [path.name for path in bench.files])
        report["operating curve"] = {n: curve(r, errors[n]) for n, r in results.items()}
        for name, rows in report["lost"].items():
            told = ", ".join(f"{edit} ({len(photos)})" for edit, photos in rows.items())
            console.print(
                f"[bold]{name}[/] loses what PDQ recognises: {told or 'nothing'}", highlight=False
            )
        if not arguments.is_part:
            for suffix in ("svg", "png"):
                plot_recall(report["recall"], groups).savefig(arguments.out / f"recall.{suffix}")
                drawn = plot_curve(report["operating curve"])
                drawn.savefig(arguments.out / f"operating-curve.{suffix}")
    if others:
        results_of_others = {
            m.name: Result.of(m, [outcomes[n][m.name] for n in others]) for m in bench.methods
        }
        groups = _grouped(others)
        console.print(
            recall_table(
                "Edits by independent libraries, customary threshold",
                results_of_others, errors, groups, times, equal=False,
            )
        )  # fmt: skip
        report["libraries"] = {
            name: recalls(result, errors.get(name), groups)
            for name, result in results_of_others.items()
        }
        report["libraries, per edit"] = per_edit(results_of_others, others)
        console.print(per_edit_table(report["libraries, per edit"]))
    if arguments.is_part and own:
        console.print(per_edit_table(report["per edit"]))
    return report


def _grouped(names: Sequence[str]) -> dict[str, list[int]]:
    """Which rows of a result are of which group."""
    groups: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        groups.setdefault(measure.by_name()[name].group, []).append(number)
    return groups


def recalls(
    result: Result, error: Errors | None, groups: Mapping[str, list[int]]
) -> dict[str, Any]:
    """Per threshold (customary, equal): the mean of each group and of all, with its interval."""
    thresholds = {"customary": result.method.threshold}
    if error is not None and error.equal is not None:
        thresholds["equal"] = error.equal
    told = {}
    for kind, threshold in thresholds.items():
        found = result.found(threshold)
        told[kind] = {
            "threshold": threshold,
            "groups": {name: float(found[rows].mean()) for name, rows in groups.items()},
            "all": float(found.mean()),
            "interval": rates.interval(found),
        }
    return {**told, "views": result.views}


def per_edit(results: Mapping[str, Result], names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Recall of each edit by each method, at the customary threshold."""
    return {
        edit: {n: float(r.found(r.method.threshold)[row].mean()) for n, r in results.items()}
        for row, edit in enumerate(names)
    }


def alike(results: Mapping[str, Result], names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Per edit that makes different photos match one another: the share of their pairs."""
    told: dict[str, dict[str, float]] = {}
    for row, edit in enumerate(names):
        if measure.by_name()[edit].group == "collage":
            continue  # whose photos are alike in all cells but one, and rightly so
        for name, result in results.items():
            counts = result.alike[row]
            if within := int(counts[: result.method.threshold + 1].sum()):
                told.setdefault(edit, {})[name] = within / int(counts.sum())
    return told


def lost(
    results: Mapping[str, Result], names: Sequence[str], photos: Sequence[str]
) -> dict[str, dict[str, list[str]]]:
    """What PDQ at its threshold recognises and initgate does not: per method, edit, photos."""
    if methods.BASELINE not in results:
        return {}
    baseline = results[methods.BASELINE]
    seen = baseline.found(baseline.method.threshold)
    told = {}
    for name, result in results.items():
        if name in methods.VIEW_SETS or name.startswith("views="):
            gone = seen & ~result.found(result.method.threshold)
            told[name] = {
                names[row]: [photos[at] for at in np.flatnonzero(gone[row])]
                for row in np.flatnonzero(gone.any(axis=1))
            }
    return told


def curve(result: Result, error: Errors) -> list[dict[str, float]]:
    """Per threshold: recall and expected false refusals per million queries."""
    points = []
    for threshold in range(result.method.bits // 4):
        point = {"threshold": threshold, "recall": float(result.found(threshold).mean())}
        for size in LIST_SIZES:
            if error.tail and threshold <= error.tail.limit:
                rate = error.tail.rate(threshold)
                point[f"photos, {size:.0e}"] = rates.false_refusals(rate, size)
            if error.times is not None:
                rate = rates.narrow_rate(threshold, error.times)
                point[f"narrow, {size:.0e}"] = rates.false_refusals(rate, size)
        points.append(point)
    return points


def time_methods(bench: Bench, rounds: int = 40) -> dict[str, dict[str, float]]:
    """Per method: milliseconds of a 512² picture, and the ratio to ``pdqhash.compute`` of it.

    All take turns on each picture, so that a busy machine disturbs the ratio little.
    """
    import alter  # noqa: PLC0415
    from photos import load  # noqa: PLC0415

    baseline = methods.available()[methods.BASELINE]
    samples: dict[str, list[tuple[float, float]]] = {}
    for number in range(rounds):
        picture = alter.squeeze(load(bench.files[number % len(bench.files)]), side=512)
        data = edits.save(picture, {"format": "JPEG", "quality": 90})
        for method in bench.methods:
            ms, unit = (
                min(measure.timed(m, data)[1] for _ in range(2)) for m in (method, baseline)
            )
            samples.setdefault(method.name, []).append((ms, ms / unit))
    return {
        name: {
            "ms": statistics.median(ms for ms, _ in pairs),
            "times pdqhash": statistics.median(ratio for _, ratio in pairs),
        }
        for name, pairs in samples.items()
    }


# ── tables ────────────────────────────────────────────────────────────────────────────────────


def edit_table(rows: Iterable[Any]) -> Table:
    """Every edit with its steps and parameters."""
    table = Table("edit", "steps", title="Edits")
    for row in rows:
        table.add_row(row.name, str(row))
    table.caption = f"{table.row_count} edits"
    return table


def recall_table(
    title: str,
    results: Mapping[str, Result],
    errors: Mapping[str, Errors],
    groups: Mapping[str, list[int]],
    times: Mapping[str, Mapping[str, float]],
    *,
    equal: bool,
) -> Table:
    """Methods down, groups across."""
    table = Table("method @ threshold", title=title)
    for name in groups:
        table.add_column(name, justify="right")
    for name in ("all", "95 %", "codes", "ms", "× pdqhash"):
        table.add_column(name, justify="right")
    for name, result in results.items():
        threshold = result.method.threshold
        if equal:
            error = errors.get(name)
            if error is None or error.equal is None:
                table.add_row(f"{name}: none, or too few pairs to tell")
                continue
            threshold = error.equal
        found = result.found(threshold)
        low, high = rates.interval(found)
        time = times.get(name, {})
        table.add_row(
            f"{name} @ {threshold}",
            *(f"{found[rows].mean():.2f}" for rows in groups.values()),
            f"[bold]{found.mean():.3f}[/]",
            f"{low:.3f}–{high:.3f}",
            f"{result.views:.1f}",
            f"{time['ms']:.1f}" if time else "",
            f"{time['times pdqhash']:.1f}" if time else "",
        )
    return table


def error_table(results: Mapping[str, Result], errors: Mapping[str, Errors]) -> Table:
    """False matches, seen and expected."""
    table = Table("method", title="False matches: edited photos against unrelated entries")
    columns = ("pairs", "nearest", "seen", "fitted, a pair", "slope a bit", "× PDQ", "equal")
    for name in columns:
        table.add_column(name, justify="right")
    for name, error in errors.items():
        tail, threshold = error.tail, results[name].method.threshold
        table.add_row(
            f"{name} @ {threshold}",
            f"{error.pairs:,}",
            str(error.nearest),
            str(error.observed),
            f"{tail.rate(threshold):.0e}" if tail else "too few",
            f"{tail.slope:.3f}" if tail else "",
            f"{error.times:.1f}" if error.times is not None else "",
            str(error.equal) if error.equal is not None else "",
        )
    return table


def alike_table(results: Mapping[str, Result], names: Sequence[str]) -> Table:
    """Edits that make different photos match."""
    table = Table(
        "edit", title="Different photos, edited alike, one of them listed: pairs that match"
    )
    for name in results:
        table.add_column(name, justify="right")
    for edit, shares in alike(results, names).items():
        table.add_row(edit, *(f"{shares.get(name, 0):.2%}" for name in results))
    return table


def per_edit_table(rows: Mapping[str, Mapping[str, float]]) -> Table:
    """Recall of each edit."""
    table = Table("edit", title="Recall of each edit, customary threshold")
    for name in next(iter(rows.values())):
        table.add_column(name, justify="right")
    for edit, shares in rows.items():
        table.add_row(edit, *(f"{share:.2f}" for share in shares.values()))
    return table


# ── plots ─────────────────────────────────────────────────────────────────────────────────────


def plot_recall(recall: Mapping[str, Any], groups: Mapping[str, list[int]]) -> Figure:
    """Recall of each group, at the threshold of the equal rate where there is one."""
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    axes = figure.subplots()
    labels = [*groups, "all"]
    width = 0.85 / len(recall)
    for number, (name, told) in enumerate(recall.items()):
        kind = "equal" if "equal" in told else "customary"
        row = told[kind]
        heights = [*row["groups"].values(), row["all"]]
        at = np.arange(len(labels)) + width * (number - (len(recall) - 1) / 2)
        colour = COLOURS[number % len(COLOURS)]
        axes.bar(at, heights, width, color=colour, label=f"{name} @ {row['threshold']} ({kind})")
    axes.set_xticks(range(len(labels)), labels, rotation=25, ha="right")
    axes.set_ylabel("recall")
    axes.set_ylim(0, 1)
    axes.legend(
        fontsize="small", ncols=min(4, len(recall)), loc="lower center", bbox_to_anchor=(0.5, 1)
    )
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def plot_curve(curves: Mapping[str, list[dict[str, float]]]) -> Figure:
    """Recall over false refusals per million queries, for two kinds of traffic and list sizes."""
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    for axes, (key, title) in zip(
        figure.subplots(1, 2, sharey=True),
        (("photos", "photos of all kinds"), ("narrow", "one subject, one composition")),
        strict=True,
    ):
        for number, (name, points) in enumerate(curves.items()):
            for size, style in zip(LIST_SIZES, ("-", "--"), strict=True):
                column = f"{key}, {size:.0e}"
                line = [(p[column], p["recall"]) for p in points if p.get(column, 0) > 0]
                if line:
                    label = name if style == "-" else None
                    axes.plot(
                        *zip(*line, strict=True),
                        style,
                        color=COLOURS[number % len(COLOURS)],
                        label=label,
                    )
        axes.set_xscale("log")
        axes.set_xlim(1e-6 if key == "narrow" else 1e-12, 1e6)
        axes.set_title(f"{title}; list of 10⁶ (solid), 10⁷ (dashed)", fontsize="medium")
        axes.set_xlabel("expected false refusals per million queries")
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("recall, all edits")
    figure.axes[0].legend(fontsize="small")
    return figure


if __name__ == "__main__":
    main()
