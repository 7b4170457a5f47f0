"""Drawn pictures that nobody may be refused for: forms, pages, windows, codes, charts.

They are drawn by ``benign/drawn``, other instances than the shipped reference's, or read from a
folder. Of each, all codes are compared with the list of photos, and with the entries that the
other pictures would make. The name up to its last hyphen is the picture's family.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import measure
import numpy as np
from rich.progress import Progress
from rich.table import Table

_SEED = 2019
_CHUNK = 25  # files a task
_WORST = 12  # pairs of families that are told


def files(folder: Path | None, root: Path, cache: Path, *, each: int) -> list[Path]:
    """The pictures as files; none if they can neither be drawn nor read.

    Args:
        folder: To read from.
        root: The repository, whose ``benign`` draws them if no folder is given.
        cache: Where drawn ones are kept.
        each: How many of a family are drawn.
    """
    if folder is not None:
        return sorted(path for path in folder.iterdir() if path.is_file())
    source = root / "benign"
    if not (source / "drawn").is_dir():
        return []
    code = [path.read_bytes() for path in sorted((source / "drawn").rglob("*.py"))]
    drawn = cache / "drawn" / measure.digest(*code, each)
    if not drawn.is_dir():
        sys.path.append(str(source))
        from drawn import pictures  # noqa: PLC0415  # benign/drawn

        drawn.mkdir(parents=True)
        for name, picture in pictures(_SEED, each=each):
            picture.save(drawn / f"{name}.png", compress_level=1)
    return sorted(drawn.iterdir())


def run(
    pool: Executor, bench: measure.Bench, paths: Sequence[Path], progress: Progress
) -> dict[str, Any]:
    """What every method takes for what, at its customary threshold."""
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    task = progress.add_task("Drawn negatives", total=len(chunks))
    looked: list[measure.Looked] = []
    for chunk in pool.map(measure.look_at, chunks):
        looked += chunk
        progress.update(task, advance=1)
    told = {}
    for method in bench.methods:
        listed = bench.listed[method.space]
        # A list is to hold no picture of a low quality: it is one of many that look alike.
        fit = [number for number, one in enumerate(looked) if one.is_fit]
        entries = measure.Listed.of(looked[number].entries[method.space] for number in fit)
        pairs: Counter[str] = Counter()
        refused = 0
        least = method.bits
        for number, one in enumerate(looked):
            codes = one.codes[method.name]
            least = min(least, int(measure.nearest(codes, listed).min()))
            near = np.flatnonzero(measure.nearest(codes, entries) <= method.threshold)
            hit = [fit[at] for at in near if fit[at] != number]
            refused += bool(hit)
            families = (_family(paths[number]), *(_family(paths[at]) for at in hit))
            pairs.update(f"{families[0]} → {listed}" for listed in families[1:])
        told[method.name] = {
            "pictures": len(looked),
            "entries": len(fit),
            "nearest photo": least,
            "pictures that match another": refused,
            "pairs": pairs.total(),
            "of families": dict(pairs.most_common()),
        }
    return told


def _family(path: Path) -> str:
    return path.stem.rpartition("-")[0]


def tables(told: Mapping[str, Mapping[str, Any]]) -> Iterator[Table]:
    """How many match, and of which families."""
    table = Table("method", title="Drawn negatives, customary threshold")
    for name in ("pictures", "nearest photo", "pictures that match another", "pairs"):
        table.add_column(name, justify="right")
    worst: Counter[str] = Counter()
    for name, row in told.items():
        table.add_row(name, *(f"{row[column.header]:,}" for column in table.columns[1:]))
        worst.update(row["of families"])
    yield table
    table = Table("picture → entry", title="Families that match one another most: pairs")
    for name in told:
        table.add_column(name, justify="right")
    for pair, _ in worst.most_common(_WORST):
        table.add_row(pair, *(str(row["of families"].get(pair, 0)) for row in told.values()))
    yield table
