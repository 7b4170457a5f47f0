"""What it takes to read a list of a million lines, until it can be searched.

    python benchmarks/speed/reading.py

Each format is read in a process of its own, from a file with random PDQ codes; *feed* is the CSV
file as a feed, whose first fetch makes the snapshot that is then served. threatexchange, if
installed, gets the same codes and identifiers in memory and builds its default index of them.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from initgate import feeds, store
from initgate.config import load_settings
from initgate.index import Index
from initgate.lists import TEXTS, Format, dump
from initgate.model import Algorithm, ListEntry
from initgate.wiring import load_list, now, open_feed

SEED = 2019
PEER = "threatexchange"
FEED = "feed"
SETTINGS = """
[[feeds]]
name = "bench"
source = "{source}"

[[lists]]
name = "bench"
feed = "bench"
algorithm = "pdq"

[store]
path = "store"
"""
TAGS: tuple[tuple[str, ...], ...] = ((), ("hotline",), ("hotline", "a1"), ("press",))


def random_entry(row: int, code: bytes) -> ListEntry:
    """An entry as lists have them: 13 letters of identifier, up to two tags."""
    return ListEntry(Algorithm.PDQ, code, f"case-{row:08}", 50 + row % 51, TAGS[row % len(TAGS)])


def memory_mb(which: str) -> float:
    """``VmRSS`` or ``VmHWM``, the highest so far, of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(one.split()[1]) / 1e3 for one in lines if one.startswith(which))


def measure(load: Callable[[], Any], serve: Callable[[Any], object]) -> dict[str, float]:
    """Seconds of processor time and MB beyond those before: to load, and until it is served."""
    gc.collect()
    before, started = memory_mb("VmRSS"), time.process_time()
    loaded = load()
    read_s, read_mb = time.process_time() - started, memory_mb("VmHWM") - before
    served = serve(loaded)
    row = {
        "load s": read_s,
        "load MB at most": read_mb,
        "to served s": time.process_time() - started,
        "to served MB at most": memory_mb("VmHWM") - before,
        "served MB": memory_mb("VmRSS") - before,
    }
    del served
    return row


def work(path: Path) -> None:
    """Prints the figures of one file; of the peer, if it has the peer's suffix."""
    Index([])
    if path.suffix == f".{PEER}":
        from threatexchange.signal_type.pdq.pdq_index import PDQIndex  # noqa: PLC0415  # a peer

        codes = np.random.default_rng(SEED).integers(0, 256, (int(path.stem), 32), np.uint8)
        row = measure(
            lambda: [(one.tobytes().hex(), f"case-{row:08}") for row, one in enumerate(codes)],
            PDQIndex,
        )
    elif path.suffix == f".{FEED}":
        path.write_text(SETTINGS.format(source=path.with_suffix(f".{Format.CSV}").name))
        settings = load_settings(path)
        row = measure(
            lambda: feeds.fetch(open_feed(settings, "bench"), clock=now),
            lambda _: Index(load_list(settings, settings.lists[0])),
        )
    else:
        file_format = Format(path.suffix.removeprefix("."))
        row = measure(
            lambda: store.load(
                path, name="bench", file_format=file_format, algorithm=Algorithm.PDQ
            ),
            Index,
        )
    print(json.dumps(row))


def main() -> None:
    """Measures, prints, and writes ``reading.json``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work)
        return
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in (*TEXTS, FEED, PEER):
            path = Path(folder) / f"{options.entries}.{kind}"
            if kind in TEXTS:
                codes = np.random.default_rng(SEED).integers(
                    0, 256, (options.entries, 32), np.uint8
                )
                entries = (random_entry(row, one.tobytes()) for row, one in enumerate(codes))
                path.write_bytes(dump(entries, Format(kind)))
            command = [sys.executable, __file__, "--work", str(path)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=False)  # noqa: S603
            if not done.returncode:  # the peer may not be there
                rows[str(kind)] = json.loads(done.stdout)
    table = Table("", *next(iter(rows.values())), title=f"{options.entries:,} entries")
    for kind, row in rows.items():
        table.add_row(kind, *(f"{one:.3g}" for one in row.values()))
    Console().print(table)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "reading.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
