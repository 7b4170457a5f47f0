"""How long a search takes as a list grows, what it costs in memory, and against which peers.

    python benchmarks/speed/search.py

All methods answer the same queries in turns, in a new order each round. The first query of a turn
finds the processor's caches full of what others left, as in service after a picture was hashed; the
next find them warm. Queries are random, so that next to none of them matches. Figures are medians.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import pickle
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from initgate.index import Index, cost
from initgate.index.banded import Banded, Postings
from initgate.index.digests import Digests
from initgate.index.flat import Flat
from initgate.index.hits import Engine, Hits
from initgate.index.layout import Layout
from initgate.index.snapshot import open_snapshot, write
from initgate.model import Algorithm, Codes, Hash, HashList

SEED = 2019  # the year of PDQ
BITS = Algorithm.PDQ.bits
THRESHOLD = Algorithm.PDQ.default_threshold
BATCH = 8  # the orientations of one picture
TURN = 5  # queries, and batches, before another method has its turn
SLOW = 1_000_000  # entries up to which peers are built that take minutes beyond

OURS, FLAT, MULTI, PEER, MEMORY = (
    "initgate",
    "FAISS flat",
    "FAISS multi-hash",
    "threatexchange",
    "reading the codes once",
)

Search = Callable[[Codes], object]
"""Asks a method with uint8 ``[q, 32]``."""


@dataclass(frozen=True, slots=True)
class Method:
    """A way to search, ready to be asked.

    Args:
        search: Asks it.
        build_s: From codes in memory to an index.
        load_s: From its file to the first answer.
        file_mb: What it takes on disk.
        memory_mb: What building it added to the memory of the process; for a mapped file, what
            opening and asking it did.
    """

    search: Search
    build_s: float = 0.0
    load_s: float = 0.0
    file_mb: float = 0.0
    memory_mb: float = 0.0


def main() -> None:
    """Measures, prints, and writes ``search.json`` and ``search.svg``."""
    arguments = _parse()
    if arguments.worker:
        work(arguments.worker)
        return
    faiss.omp_set_num_threads(1)
    console = Console()
    results: dict[str, object] = {"machine": _machine()}
    if arguments.constants:
        console.print(constants())
        return
    sizes = [*arguments.sizes, *([50_000_000] if arguments.huge else [])]
    samples: dict[int, Mapping[str, Mapping[str, float]]] = {}
    with tempfile.TemporaryDirectory(dir=arguments.temp) as folder:
        for size in sizes:
            samples[size] = measure(size, Path(folder), arguments, console)
        console.print(*tables(samples))
        results["search"] = samples
        if arguments.workers:
            path = Path(folder) / f"{sizes[-1]}.igx"
            results["workers"] = shared = [workers(path, n) for n in (0, 1, 2, 4)]
            console.print(_table(f"Memory of workers in MB, {sizes[-1]:,} entries", shared))
    results["lists"] = many = list(many_lists(arguments.most))
    console.print(_table(f"Many lists: {BATCH} queries at once, ms", many))
    results["hard"] = hard = list(hard_lists(min(1_000_000, max(sizes))))
    console.print(_table("Lists made to be hard: time over FAISS flat's", hard))
    results["digests"] = digested = [
        digests(n) for n in (1_000_000, *([60_000_000] if arguments.huge else []))
    ]
    console.print(_table("Exact digests (SHA-256)", digested))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "search.json").write_text(json.dumps(results, indent=2) + "\n")
    plot(samples, many).savefig(arguments.out / "search.svg")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=[10_000, 100_000, 1_000_000, 10_000_000],
        help="list lengths",
    )
    parser.add_argument("--huge", action="store_true", help="5·10⁷ codes and 6·10⁷ digests too")
    parser.add_argument("--rounds", type=int, default=60, help="samples of each method")
    parser.add_argument(
        "--most", type=int, default=6_400_000, help="entries of many lists together"
    )
    parser.add_argument("--planted", type=int, default=2000, help="queries that check recall")
    parser.add_argument("--no-workers", dest="workers", action="store_false", help="skip memory")
    parser.add_argument("--constants", action="store_true", help="measure those of the cost model")
    parser.add_argument("--temp", type=Path, help="folder for lists of up to 6 GB")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results", help="folder for results"
    )
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


# --- the methods


def random_codes(number: int, *seed: int) -> Codes:
    """uint8 ``[number, 32]``."""
    return np.random.default_rng([SEED, *seed]).integers(0, 256, (number, BITS // 8), np.uint8)


def methods(codes: Codes, folder: Path) -> dict[str, Method]:
    """Builds, stores and loads each."""
    made = {OURS: ours(codes, folder), FLAT: in_faiss(codes, folder, _flat())}
    if len(codes) <= SLOW:
        made[MULTI] = in_faiss(codes, folder, faiss.IndexBinaryMultiHash(BITS, 16, 16))
        with suppress(ImportError):
            made[PEER] = in_threatexchange(codes)
    words = codes.view(np.uint64)
    made[MEMORY] = Method(lambda queries: [words.max() for _ in queries])
    return made


def _flat() -> faiss.IndexBinaryFlat:
    return faiss.IndexBinaryFlat(BITS)


def ours(codes: Codes, folder: Path) -> Method:
    """A snapshot, written and opened. Its entries' names count towards the file."""
    number = len(codes)
    layout = cost.choose(number, BITS, THRESHOLD)
    with _clock() as build_s:
        engine = Flat(codes) if layout is None else Banded(codes, Postings.of(codes, layout))
    whole = _in_memory(codes, "bench", engine=engine)
    path = folder / f"{number}.igx"
    write(whole, path)
    del engine, whole
    before = _anonymous_mb()
    with _clock() as load_s:
        opened = open_snapshot(path, name="bench")
        index = Index([opened])
        ask(index, codes[:1])
    memory_mb = _anonymous_mb() - before
    touch(opened)
    return Method(
        lambda queries: ask(index, queries),
        build_s=build_s[0],
        load_s=load_s[0],
        file_mb=path.stat().st_size / 1e6,
        memory_mb=memory_mb,
    )


def _in_memory(codes: Codes, name: str, *, engine: Engine | None) -> HashList:
    return HashList(
        name=name,
        algorithm=Algorithm.PDQ,
        codes=codes,
        entries=range_of_names(len(codes)),
        qualities=np.full(len(codes), 100, np.int16),
        tags=[()] * len(codes),
        engine=engine,
    )


def touch(opened: HashList) -> None:
    """Maps every page, as the searches of a worker do in time."""
    opened.codes.max()
    if isinstance(opened.engine, Banded):
        postings = opened.engine.postings
        for column in (postings.bitmap, postings.ranks, postings.starts, postings.rows):
            column.max()


def range_of_names(number: int) -> list[str]:
    """Names of eight letters, as few objects as possible."""
    names = [f"entry{n:03}" for n in range(1000)]
    return (names * (number // 1000 + 1))[:number]


def ask(index: Index, queries: Codes) -> object:
    """The question that the gate puts."""
    hashes = [Hash(Algorithm.PDQ, code.tobytes()) for code in queries]
    return index.search(hashes, thresholds={"bench": THRESHOLD}).matches


def in_faiss(codes: Codes, folder: Path, index: faiss.IndexBinary) -> Method:
    """One of FAISS's own."""
    if isinstance(index, faiss.IndexBinaryMultiHash):
        index.nflip = THRESHOLD // index.nhash
    before = _anonymous_mb()
    with _clock() as build_s:
        index.add(codes)
    memory_mb = _anonymous_mb() - before
    path = folder / "faiss"
    faiss.write_index_binary(index, str(path))
    with _clock() as load_s:
        faiss.read_index_binary(str(path)).range_search(codes[:1], THRESHOLD + 1)
    return Method(
        lambda queries: index.range_search(queries, THRESHOLD + 1),
        build_s=build_s[0],
        load_s=load_s[0],
        file_mb=path.stat().st_size / 1e6,
        memory_mb=memory_mb,
    )


def in_threatexchange(codes: Codes) -> Method:
    """The default PDQ index of Meta's threatexchange, stored as it stores it."""
    from threatexchange.signal_type.pdq.pdq_index import (  # noqa: PLC0415  # a peer, if there
        PDQIndex,
    )

    named = [(code.tobytes().hex(), "entry") for code in codes]
    before = _anonymous_mb()
    with _clock() as build_s:
        index = PDQIndex(named)
    memory_mb = _anonymous_mb() - before
    data = pickle.dumps(index)
    with _clock() as load_s:
        pickle.loads(data).query(named[0][0])  # noqa: S301  # our own, a moment ago
    return Method(
        lambda queries: [index.query(code.tobytes().hex()) for code in queries],
        build_s=build_s[0],
        load_s=load_s[0],
        file_mb=len(data) / 1e6,
        memory_mb=memory_mb,
    )


# --- what is measured


def measure(
    size: int, folder: Path, arguments: argparse.Namespace, console: Console
) -> dict[str, dict[str, float]]:
    """Every figure of every method at one size."""
    codes = random_codes(size, size)
    with console.status(f"Building at {size:,}"):
        made = methods(codes, folder)
    check_recall(codes, folder / f"{size}.igx", arguments.planted)
    console.print(f"{size:,}: recall 1.0 of {arguments.planted} planted queries")
    rounds = arguments.rounds if size <= SLOW else max(8, arguments.rounds // 3)
    times: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in made}
    order = list(made)
    for number in range(rounds + 2):
        random.Random(number).shuffle(order)
        queries = random_codes(TURN * (1 + BATCH), size, number)
        for name in order:
            for turn in range(TURN):
                with _clock() as single_s:
                    made[name].search(queries[turn : turn + 1])
                times[name]["warm" if turn else "cold"].append(single_s[0] * 1000)
            for start in range(TURN, len(queries), BATCH):
                with _clock() as batch_s:
                    made[name].search(queries[start : start + BATCH])
                times[name]["batch"].append(batch_s[0] * 1000)
    return {
        name: {
            "cold_ms": statistics.median(times[name]["cold"]),
            "query_ms": statistics.median(times[name]["warm"]),
            "p95_ms": float(np.quantile(times[name]["warm"], 0.95)),
            "batch_ms": statistics.median(times[name]["batch"]),
            "build_s": one.build_s,
            "load_s": one.load_s,
            "file_mb": one.file_mb,
            "memory_mb": one.memory_mb,
        }
        for name, one in made.items()
    }


def check_recall(codes: Codes, path: Path, number: int) -> None:
    """Asks with planted codes at distances 0 to threshold + 2, some against brute force as well.

    Raises:
        RuntimeError: A match is missing, or one too many.
    """
    engine = open_snapshot(path, name="bench").engine
    if not isinstance(engine, Flat | Banded):
        raise TypeError(type(engine).__name__)
    rng = np.random.default_rng(SEED)
    rows = rng.integers(0, len(codes), number)
    distances = np.arange(number) % (THRESHOLD + 3)
    bits = np.unpackbits(codes[rows], axis=1)
    order = rng.random(bits.shape).argsort(axis=1).argsort(axis=1)
    queries = np.packbits(bits ^ (order < distances[:, None]), axis=1)
    for start in range(0, number, 100):
        part = slice(start, start + 100)
        found = _triples(engine.search(queries[part], THRESHOLD))
        planted = set(zip(rows[part].tolist(), range(100), distances[part].tolist(), strict=False))
        within = {one for one in planted if one[2] <= THRESHOLD}
        if within - found or (planted - within) & found:
            raise RuntimeError("a planted code was not found, or one beyond the threshold was")
    some = queries[: 2 * (THRESHOLD + 3)]
    brute = Flat(codes).search(some, THRESHOLD)
    if _triples(engine.search(some, THRESHOLD)) != _triples(brute):
        raise RuntimeError("search and brute force differ")


def _triples(hits: Hits) -> set[tuple[int, int, int]]:
    columns = (hits.rows.tolist(), hits.queries.tolist(), hits.distances.tolist())
    return set(zip(*columns, strict=True))


def many_lists(most: int) -> Iterator[dict[str, object]]:
    """The gate's question to several lists, and to one that is as long as all of them."""
    queries = [random_codes(BATCH, 8, number) for number in range(20)]
    hashes = [[Hash(Algorithm.PDQ, code.tobytes()) for code in one] for one in queries]
    for each, number in itertools.product((10_000, 100_000), (1, 4, 16, 64)):
        if each * number > most:
            continue
        lists = [
            _in_memory(random_codes(each, 9, one), f"list {one}", engine=None)
            for one in range(number)
        ]
        with _clock() as build_s:
            several = Index(lists)
        whole = np.concatenate([one.codes for one in lists])
        indexes = {
            "all lists": several,
            "one as long": Index([_in_memory(whole, "list 0", engine=None)]),
        }
        times: dict[str, list[float]] = defaultdict(list)
        thresholds = {one.name: THRESHOLD for one in lists}
        for one in hashes:
            for name, index in indexes.items():
                with _clock() as taken:
                    index.search(one, thresholds=thresholds)
                times[name].append(taken[0] * 1000)
        row = {"lists": number, "entries each": each}
        yield (
            row
            | {name: statistics.median(one) for name, one in times.items()}
            | {"build s": build_s[0]}
        )


def hard_lists(number: int) -> Iterator[dict[str, object]]:
    """Lists that fill a few buckets, asked with one of theirs and with a random code."""
    rng = np.random.default_rng(SEED)
    base = random_codes(1, 0)[0]
    bits = np.eye(BITS, dtype=np.uint8)
    one_apart = np.packbits(bits, axis=1)[rng.integers(0, BITS, number)] ^ base
    layout = cost.choose(number, BITS, THRESHOLD) or Layout(BITS, 11)
    bucket = np.unpackbits(random_codes(number, 1), axis=1)
    bucket[:, 159 * np.arange(layout.widths[0]) % BITS] = 0  # the first band
    near = np.packbits(
        np.unpackbits(np.tile(base, (number, 1)), axis=1) ^ (rng.random((number, BITS)) < 0.25),
        axis=1,
    )
    lists = {
        "all equal": np.tile(base, (number, 1)),
        "one bit apart": one_apart,
        "powers of two": np.packbits(bits, axis=1)[np.arange(number) % BITS],
        "one bucket of a band": np.packbits(bucket, axis=1),
        "a quarter of the bits apart": near,
    }
    for name, codes in lists.items():
        banded, flat = Banded(codes, Postings.of(codes, layout)), Flat(codes)
        row: dict[str, object] = {"list": name}
        for what, query in (("member", codes[:1]), ("stranger", random_codes(1, 2))):
            times: dict[str, list[float]] = defaultdict(list)
            for _ in range(7):
                for engine in (banded, flat):
                    with _clock() as taken:
                        found = engine.search(query, THRESHOLD)
                    times[type(engine).__name__].append(taken[0])
            row[what] = statistics.median(times["Banded"]) / statistics.median(times["Flat"])
            row[f"{what} matches"] = len(set(found.rows.tolist()))
        yield row


def digests(number: int) -> dict[str, object]:
    """Exact look-ups."""
    codes = random_codes(number, 7)
    with _clock() as build_s:
        engine = Digests.of(codes)
    rows = np.random.default_rng(SEED).integers(0, number, 2000)
    times = []
    for row in rows:
        with _clock() as taken:
            found = engine.search(codes[row : row + 1], 0)
        times.append(taken[0] * 1e6)
        if int(row) not in found.rows:
            raise RuntimeError("a digest was not found")
    size = sum(one.nbytes for one in (codes, engine.starts, engine.rows))
    return {
        "entries": number,
        "build s": build_s[0],
        "look-up µs": statistics.median(times),
        "p95 µs": float(np.quantile(times, 0.95)),
        "bytes an entry": size / number,
    }


def constants() -> dict[str, float]:
    """Those of the cost model, in rows of a scan, fitted to random lists."""
    scan_s, shapes, times = 0.0, [], []
    for number in (100_000, 1_000_000, 4_000_000):
        codes = random_codes(number, 3)
        scan_s = _median_s(Flat(codes)) / number  # that of the longest list stays
        for bands in (10, 11, 12, 13, 14, 16):
            layout = Layout(BITS, bands)
            probes = layout.probes(THRESHOLD)
            shapes.append([1.0, probes, probes * number / 2 ** (BITS / bands)])
            times.append(_median_s(Banded(codes, Postings.of(codes, layout))))
    relative = np.array(shapes) / np.array(times)[:, None]  # every time counts alike
    fitted = np.linalg.lstsq(relative, np.ones(len(times)))[0] / scan_s
    return dict(zip(("FIXED", "PROBE", "CANDIDATE"), fitted.round(1).tolist(), strict=True))


def _median_s(engine: Flat | Banded) -> float:
    times = []
    for number in range(25):
        query = random_codes(1, 4, number)
        with _clock() as taken:
            engine.search(query, THRESHOLD)
        times.append(taken[0])
    return statistics.median(times)


# --- memory


def workers(path: Path, number: int) -> dict[str, object]:
    """What each of several processes that search one file has to itself.

    With number 0, a worker that has only imported everything.
    """
    command = [sys.executable, __file__, "--worker", str(path if number else os.devnull)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
        for _ in range(max(1, number))
    ]
    try:
        for one in started:
            if one.stdout is not None:
                one.stdout.readline()
        memory = [_memory(one.pid) for one in started]
    finally:
        for one in started:
            one.communicate(b"\n")
    return {
        "workers": number or "none, only imports",
        "private and written": statistics.mean(one["Private_Dirty"] for one in memory),
        "private": statistics.mean(one["Private_Dirty"] + one["Private_Clean"] for one in memory),
        "shared": statistics.mean(one["Shared_Clean"] + one["Shared_Dirty"] for one in memory),
        "all together": sum(one["Pss"] for one in memory),
    }


def work(path: Path) -> None:
    """A worker: opens, answers, waits to be looked at."""
    if path.suffix == ".igx":
        index = Index([open_snapshot(path, name="bench")])
        for number in range(200):
            ask(index, random_codes(BATCH, number))
    print("ready", flush=True)
    sys.stdin.readline()


def _memory(process: int | str) -> dict[str, float]:
    """The kernel's account, in MB."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) / 1e3 for line in lines}


def _anonymous_mb() -> float:
    gc.collect()
    return _memory("self")["Anonymous"]


@contextmanager
def _clock() -> Iterator[list[float]]:
    """Seconds, told when it is left."""
    taken: list[float] = []
    started = time.perf_counter()
    yield taken
    taken.append(time.perf_counter() - started)


# --- what is told


def tables(samples: Mapping[int, Mapping[str, Mapping[str, float]]]) -> Iterable[Table]:
    """A table for each figure."""
    figures = {
        "query_ms": "One query, caches warm, ms",
        "cold_ms": "One query after other work, ms",
        "batch_ms": f"{BATCH} queries at once, ms",
        "build_s": "Build, s",
        "load_s": "Load, to the first answer, s",
        "file_mb": "File, MB",
        "memory_mb": "Memory of its own, MB",
    }
    for key, title in figures.items():
        rows = []
        for name in (OURS, FLAT, MULTI, PEER, MEMORY):
            if name != MEMORY or key.endswith("_ms"):
                cells = {f"{size:,}": _cell(one, name, key) for size, one in samples.items()}
                rows.append({"": name} | cells)
        yield _table(title, rows)


def _cell(one: Mapping[str, Mapping[str, float]], name: str, key: str) -> str:
    """A figure, and how many times ours it is."""
    if name not in one:
        return "-"
    figure, own = one[name][key], one[OURS][key]
    told = f" ({figure / own:.3g}×)" if name != OURS and own else ""
    return f"{figure:.3g}{told}"


def _table(title: str, rows: Iterable[Mapping[str, object]]) -> Table:
    table = Table(title=title, title_justify="left")
    for number, row in enumerate(rows):
        if not number:
            for heading in row:
                table.add_column(heading, justify="right" if table.columns else "left")
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()))
    return table


def plot(
    samples: Mapping[int, Mapping[str, Mapping[str, float]]], many: Iterable[Mapping[str, Any]]
) -> Figure:
    """Time against size, and against the number of lists, all logarithmic."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for panel, key, title in (
        (panels[0], "query_ms", "one query"),
        (panels[1], "batch_ms", f"{BATCH} queries at once"),
    ):
        for name in (OURS, FLAT, MULTI, PEER, MEMORY):
            sizes = [size for size, one in samples.items() if name in one]
            times = [samples[size][name][key] for size in sizes]
            panel.loglog(
                sizes,
                times,
                marker="o",
                label=name,
                linewidth=2.5 if name == OURS else 1.2,
                linestyle=":" if name == MEMORY else "-",
            )
        panel.set_title(title, loc="left")
        panel.set_xlabel("entries")
        panel.grid(alpha=0.3)
    for each, rows in itertools.groupby(many, key=lambda row: row["entries each"]):
        numbers, times = zip(*((row["lists"], row["all lists"]) for row in rows), strict=True)
        panels[2].loglog(numbers, times, marker="o", label=f"lists of {each:,} entries")
    panels[2].set_title(f"{BATCH} queries, several lists", loc="left")
    panels[2].set_xlabel("lists")
    panels[2].grid(alpha=0.3)
    panels[2].legend(frameon=False)
    panels[0].set_ylabel("median time in ms")
    panels[0].legend(frameon=False)
    return figure


def _machine() -> dict[str, str]:
    named = ("initgate", "faiss-cpu", "numpy", "threatexchange")
    versions = {}
    for name in named:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    about = {"cores": str(os.cpu_count()), "machine": platform.machine()}
    return versions | about | {"python": platform.python_version()}


if __name__ == "__main__":
    main()
