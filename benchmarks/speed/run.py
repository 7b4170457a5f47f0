"""How long the gate takes, step by step, and against the hash libraries with numpy.

    python benchmarks/speed/run.py

Gate and peers take turns, in a new order each round. Times are medians over the rounds; a ratio
is the median of the ratios within a round, so that a busy machine disturbs it little.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import peers
import structlog
import uuid_utils
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track
from rich.table import Table
from skimage import data as photos

from initgate.audit import Journal, Provenance
from initgate.audit.sqlite import SqliteAudit
from initgate.canary import load_canary
from initgate.gate import Gate, Shelf
from initgate.hashing import hash_orientations
from initgate.image import Limits, decode, encode
from initgate.index import Index
from initgate.model import Algorithm, Codes, Context, Decision, Hash, HashList, Reason, View
from initgate.policy import ListPolicy, Policy
from initgate.views import views
from initgate.wiring import now

SEED = 2019  # the year of PDQ
LIST = "random"
THRESHOLD = Algorithm.PDQ.default_threshold

STEPS = ("decode", "views", "hash", "search", "record")
RECORDED = "inspect, recorded"
COUNTED = "inspect, counted"
NUMPY_SEARCH = "numpy search"
LIKE_FOR_LIKE = "pdqhash turned"
PEERS: dict[str, Callable[[bytes, peers.BruteForce], object]] = {
    "pdqhash upright": peers.pdq_upright,
    "pdqhash dihedral": peers.pdq_dihedral,
    LIKE_FOR_LIKE: peers.pdq_turned,
    "phash upright": peers.phash_upright,
}
COLOURS = dict(zip(STEPS, ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677"), strict=True))
RATIOS = (
    *((RECORDED, peer) for peer in PEERS),
    (COUNTED, LIKE_FOR_LIKE),
    ("search", NUMPY_SEARCH),
)

Seconds = dict[str, list[float]]
"""Per step or route, a sample a round; rounds in the same order for all."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One list size: the gate, its index, and the same list for numpy.

    Args:
        codes: The list's PDQ codes, uint8 ``[n, 32]``.
        index: What the gate searches.
        recording: Writes every decision down, also that an image is allowed.
        counting: Counts allowed images, as configured by default.
        pdq: ``codes`` for the peers.
        phash: As many random codes of 64 bits.
    """

    codes: Codes
    index: Index
    recording: Gate
    counting: Gate
    pdq: peers.BruteForce
    phash: peers.BruteForce


@dataclass(frozen=True, slots=True)
class Recall:
    """What searches with planted queries found, against brute force.

    Args:
        expected: Entries within the threshold.
        found: Those of them that the index returned, with the right distance.
        extra: What else it returned.
    """

    expected: int
    found: int
    extra: int


def main() -> None:
    """Measures, prints, and writes ``results.json`` and ``speed.svg``."""
    arguments = _parse()
    photo = arguments.photo.read_bytes() if arguments.photo else astronaut()
    hashes = hash_all(views(decode(photo, limits=Limits()), ()))
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        subjects = {
            size: build(size, hashes, audit=Path(folder) / f"{size}.db")
            for size in track(arguments.sizes, "Building lists", console=console)
        }
        recalls = {size: check_recall(subject) for size, subject in subjects.items()}
        samples = measure(subjects, photo, rounds=arguments.rounds, console=console)
        for subject in subjects.values():
            subject.recording.journal.sink.close()
    console.print(times_table(samples), ratios_table(samples))
    for line in remarks(hashes, photo, recalls):
        console.print(f"- {line}", highlight=False)
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = to_json(samples, recalls, photo=photo, rounds=arguments.rounds)
    (arguments.out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    plot(samples).savefig(arguments.out / "speed.svg")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="list lengths"
    )
    parser.add_argument("--rounds", type=int, default=60, help="samples of each step and route")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results", help="folder for results"
    )
    parser.add_argument("--photo", type=Path, help="an image file instead of the astronaut")
    return parser.parse_args()


def astronaut() -> bytes:
    """scikit-image's sample photo, public domain, as a 512×512 JPEG."""
    return encode(photos.astronaut(), "JPEG", quality=90)


def hash_all(seen: Iterable[View]) -> list[Hash]:
    """The PDQ hashes of all views in all orientations, as the gate makes them."""
    return [one for view in seen for one in hash_orientations(view, Algorithm.PDQ)]


# --- what is measured


def build(size: int, hashes: Sequence[Hash], *, audit: Path) -> Subject:
    """Makes a list of random codes that does not hold the photo, and all that searches it.

    Args:
        size: Entries.
        hashes: The photo's. The last entry is the first of them with all bits inverted.
        audit: The SQLite file to record in.
    """
    rng = np.random.default_rng([SEED, size])
    codes = rng.integers(0, 256, (size, Algorithm.PDQ.bits // 8), np.uint8)
    codes[-1] = ~np.frombuffer(hashes[0].code, np.uint8)
    hash_list = HashList(
        name=LIST,
        algorithm=Algorithm.PDQ,
        codes=codes,
        entries=[str(row) for row in range(size)],
        qualities=np.full(size, 100, np.int16),
        tags=[()] * size,
    )
    policy = Policy({LIST: ListPolicy(THRESHOLD)})
    canary = load_canary([Algorithm.PDQ])
    index = Index([policy.fit_entries(hash_list), *canary.lists])
    sink = SqliteAudit(f"sqlite:///{audit}")

    def make_gate(*, record_allowed: bool) -> Gate:
        return Gate(
            shelf=Shelf(index, ages={}, digests={LIST: ""}),
            policy=policy,
            canary=canary,
            journal=Journal(
                sink,
                provenance=Provenance(policy="", versions=_versions()),
                subject_key=bytes(32),
                record_allowed=record_allowed,
            ),
            limits=Limits(),
            clock=now,
            stopwatch=time.perf_counter,
            new_id=lambda: str(uuid_utils.uuid7()),
            log=structlog.get_logger(),
            families=(),  # as the peers: whole pictures
        )

    phash_codes = rng.integers(0, 256, (size, Algorithm.PHASH64.bits // 8), np.uint8)
    return Subject(
        codes=codes,
        index=index,
        recording=make_gate(record_allowed=True),
        counting=make_gate(record_allowed=False),
        pdq=peers.BruteForce(codes),
        phash=peers.BruteForce(phash_codes),
    )


def tasks(subject: Subject, photo: bytes) -> dict[str, Callable[[], object]]:
    """Every step, the whole gate and every peer, ready to be called."""
    gate = subject.recording
    picture = decode(photo, limits=gate.limits)
    seen = list(views(picture, ()))
    hashes = hash_all(seen)
    queries = [np.frombuffer(one.code, np.uint8) for one in hashes]
    decision = no_match(gate, photo)

    def peer(route: Callable[[bytes, peers.BruteForce], object]) -> Callable[[], object]:
        codes = subject.phash if route is peers.phash_upright else subject.pdq
        return lambda: route(photo, codes)

    return {
        "decode": lambda: decode(photo, limits=gate.limits),
        "views": lambda: list(views(picture, ())),
        "hash": lambda: hash_all(seen),
        "search": lambda: subject.index.search(hashes, thresholds=gate.policy.thresholds),
        "record": lambda: gate.journal.record(decision, Context(), now(), lists={LIST: ""}),
        RECORDED: lambda: no_match(gate, photo),
        COUNTED: lambda: no_match(subject.counting, photo),
        NUMPY_SEARCH: lambda: subject.pdq.search(queries, THRESHOLD),
        **{name: peer(route) for name, route in PEERS.items()},
    }


def no_match(gate: Gate, photo: bytes) -> Decision:
    """The gate's decision, which must be that no list holds the photo: it then did every step."""
    decision = gate.inspect(photo)
    if decision.reason is not Reason.NO_MATCH:
        raise RuntimeError(f"the gate decided {decision.reason}: {decision.detail}")
    return decision


def measure(
    subjects: Mapping[int, Subject], photo: bytes, *, rounds: int, console: Console
) -> dict[int, Seconds]:
    """Times everything once a round, in a new order each time, after a round that is thrown away.

    Returns:
        Per list size.
    """
    work = [
        (size, name, call)
        for size, subject in subjects.items()
        for name, call in tasks(subject, photo).items()
    ]
    samples: dict[int, Seconds] = {size: defaultdict(list) for size in subjects}
    shuffle = random.Random(SEED).shuffle
    for _, _, call in work:
        call()
    for _ in track(range(rounds), "Measuring", console=console):
        shuffle(work)
        for size, name, call in work:
            started = time.perf_counter()
            call()
            samples[size][name].append(time.perf_counter() - started)
    return samples


def check_recall(subject: Subject) -> Recall:
    """Compares the index with brute force: the same entries at the same distances.

    Queries are entries with some bits flipped, to both sides of the threshold, eight at a time as
    for a photo.

    Raises:
        RuntimeError: They differ.
    """
    rng = np.random.default_rng(SEED)
    expected: set[tuple[str, int]] = set()
    found: set[tuple[str, int]] = set()
    for _ in range(8):
        queries = [
            _flip(subject.codes[rng.integers(len(subject.codes))], bits, rng)
            for bits in (0, 1, 8, THRESHOLD - 1, THRESHOLD, THRESHOLD + 1, THRESHOLD + 2, 64)
        ]
        nearest = np.min([subject.pdq.distances(query) for query in queries], axis=0)
        rows = np.flatnonzero(nearest <= THRESHOLD)
        expected |= {(str(row), int(nearest[row])) for row in rows}
        hashes = [Hash(Algorithm.PDQ, query.tobytes()) for query in queries]
        matches = subject.index.search(hashes, thresholds={LIST: THRESHOLD}).matches
        found |= {(match.entry, match.distance) for match in matches}
    if found != expected or not expected:
        raise RuntimeError(f"search and brute force differ: {sorted(found ^ expected)}")
    return Recall(len(expected), len(found & expected), len(found - expected))


def _flip(code: Codes, bits: int, rng: np.random.Generator) -> Codes:
    unpacked = np.unpackbits(code)
    unpacked[rng.choice(len(unpacked), bits, replace=False)] ^= 1
    return np.packbits(unpacked)


# --- what is told


def median_ms(samples: Seconds, name: str) -> float:
    """The median, in milliseconds."""
    return statistics.median(samples[name]) * 1000


def ratio(samples: Seconds, ours: str, theirs: str) -> float:
    """How many times as long ours took: the median over the rounds."""
    pairs = zip(samples[ours], samples[theirs], strict=True)
    return statistics.median(one / other for one, other in pairs)


def times_table(samples: Mapping[int, Seconds]) -> Table:
    """Medians of every step and route."""
    table = _table("Median time in ms, by entries in the list", samples)
    for name in (*STEPS, RECORDED, COUNTED, NUMPY_SEARCH, *PEERS):
        table.add_row(
            name,
            *(f"{median_ms(one, name):.2f}" for one in samples.values()),
            style="bold" if name == RECORDED else "",
            end_section=name in {STEPS[-1], COUNTED},
        )
    return table


def ratios_table(samples: Mapping[int, Seconds]) -> Table:
    """The gate's time over each peer's; below 1 the gate is faster."""
    table = _table("Ratio gate / peer, by entries in the list", samples)
    for ours, theirs in RATIOS:
        table.add_row(
            f"{ours} / {theirs}",
            *(f"{ratio(one, ours, theirs):.2f}" for one in samples.values()),
            style="bold" if theirs == LIKE_FOR_LIKE else "",
        )
    return table


def _table(title: str, sizes: Iterable[int]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for size in sizes:
        table.add_column(f"{size:,}", justify="right")
    return table


def remarks(hashes: Sequence[Hash], photo: bytes, recalls: Mapping[int, Recall]) -> list[str]:
    """What the numbers mean, as far as it follows from the run."""
    rgb = decode(photo, limits=Limits()).pixels[0].levels
    turned = farthest(hashes, peers.turned_hashes(rgb))
    dihedral = farthest(hashes, peers.dihedral_hashes(rgb))
    expected = sum(one.expected for one in recalls.values())
    found = sum(one.found for one in recalls.values())
    extra = sum(one.extra for one in recalls.values())
    recall = (
        f"Recall {found / expected:.3f}: brute force finds {expected} entries within {THRESHOLD} "
        f"bits of planted queries; search found {found} of them, and {extra} others."
    )
    alike = (
        f"Like for like: '{LIKE_FOR_LIKE}'. Its 8 hashes lie within {turned} bits of the gate's, "
        f"those of 'pdqhash dihedral' within {dihedral}."
    )
    return [
        recall,
        alike,
        "The 'upright' peers see 1 orientation of 8: they do less than the gate.",
        "No peer records. An allowed image is 'counted' by default; 'recorded' is logged.",
        f"'numpy search' is 'search' by brute force: the same {len(hashes)} queries.",
    ]


def farthest(hashes: Sequence[Hash], others: Sequence[Codes]) -> int:
    """How far, in bits, the farthest of the hashes is from the nearest of the others."""
    nearest = peers.BruteForce(np.array(others))
    ours = [np.frombuffer(one.code, np.uint8) for one in hashes]
    return max(int(nearest.distances(code).min()) for code in ours)


def to_json(
    samples: Mapping[int, Seconds], recalls: Mapping[int, Recall], *, photo: bytes, rounds: int
) -> dict[str, object]:
    """The run, for comparison with another one."""
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "versions": _versions(),
        "rounds": rounds,
        "photo_bytes": len(photo),
        "lists": [
            {
                "entries": size,
                "median_ms": {name: round(median_ms(one, name), 4) for name in one},
                "quartiles_ms": {
                    name: [round(q * 1000, 4) for q in statistics.quantiles(one[name])]
                    for name in one
                },
                "ratios": {f"{a} / {b}": round(ratio(one, a, b), 3) for a, b in RATIOS},
                "recall": recalls[size].found / recalls[size].expected,
            }
            for size, one in samples.items()
        ],
    }


def plot(samples: Mapping[int, Seconds]) -> Figure:
    """A panel per list size: the gate's steps stacked, above the peers."""
    figure = Figure(figsize=(9, 2.2 * len(samples)), layout="constrained")
    panels = figure.subplots(len(samples), squeeze=False)[:, 0]
    for panel, (size, one) in zip(panels, samples.items(), strict=True):
        start = 0.0
        for step in STEPS:
            width = median_ms(one, step)
            panel.barh("gate", width, left=start, color=COLOURS[step], label=step)
            start += width
        for peer in PEERS:
            panel.barh(peer, median_ms(one, peer), color="#bbbbbb")
        panel.invert_yaxis()
        panel.set_title(f"{size:,} entries", loc="left")
    panels[-1].set_xlabel("median time in ms (each panel has its own scale)")
    panels[0].legend(ncols=len(STEPS), loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def _versions() -> dict[str, str]:
    named = ("initgate", "faiss-cpu", "pdqhash", "imagehash", "numpy", "pillow")
    return {name: metadata.version(name) for name in named} | {"python": platform.python_version()}


if __name__ == "__main__":
    main()
