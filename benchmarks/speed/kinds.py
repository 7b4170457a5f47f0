"""How long a decision takes by kind of picture, step by step, against threatexchange's own route.

    python benchmarks/speed/kinds.py

The gate is asked as a service would ask it: bytes in, all eight orientations, a snapshot of a
million random codes, the decision counted or recorded. The peer hashes the same bytes
(``PdqSignal.hash_from_bytes``, one orientation) and asks its default index of the same codes. All
take turns. ``pip install threatexchange`` for the peer; without it the gate is measured alone.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import structlog
import uuid_utils
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console
from rich.table import Table
from skimage import data as photos
from sklearn.datasets import load_sample_image

from initgate.audit import Journal, Provenance
from initgate.audit.sqlite import SqliteAudit
from initgate.canary import load_canary
from initgate.gate import Gate, Shelf
from initgate.hashing import hash_orientations
from initgate.image import Limits, decode, encode
from initgate.index import Index
from initgate.index.snapshot import open_snapshot, write
from initgate.model import RGB, Algorithm, Codes, Family, HashList, Reason
from initgate.policy import ListPolicy, Policy
from initgate.views import FAST, STANDARD, THOROUGH, views
from initgate.wiring import now

SEED, SIZE, LIST = 2019, 1_000_000, "random"
PEER = "threatexchange"
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")
STEPS = ("decode", "decode, reduced", "hash", "search")
GATES: dict[str, dict[str, Any]] = {
    "gate": {},
    "gate, recorded": {"record_allowed": True},
    "gate, reduced": {"reduce_jpegs": True},
    "gate, fast": {"families": FAST},
    "gate, standard": {"families": STANDARD},
    "gate, thorough": {"families": THOROUGH},
}


def pictures() -> dict[str, bytes]:
    """A file of each kind, made of freely licensed photos."""
    china, astronaut = load_sample_image("china.jpg"), photos.astronaut()
    return {
        "500×375 JPEG": encode(_resized(china, 500, 375), "JPEG", quality=90),
        "1024² PNG": encode(_grainy(astronaut, 1024, 1024), "PNG"),
        "12-MP JPEG": encode(_grainy(china, 4000, 3000), "JPEG", quality=90),
    }


def _resized(rgb: RGB, width: int, height: int) -> RGB:
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.LANCZOS))


def _grainy(rgb: RGB, width: int, height: int) -> RGB:
    """Enlarged, with the noise of a sensor: else it would be too easy to decode."""
    grain = np.random.default_rng(SEED).normal(0, 3, (height, width, 3))
    grainy: RGB = np.clip(_resized(rgb, width, height) + grain, 0, 255).astype(np.uint8)
    return grainy


def random_list() -> HashList:
    """A million codes, none of which is near a picture's."""
    codes = np.random.default_rng(SEED).integers(0, 256, (SIZE, 32), np.uint8)
    return HashList(
        name=LIST,
        algorithm=Algorithm.PDQ,
        codes=codes,
        entries=[str(row) for row in range(SIZE)],
        qualities=np.full(SIZE, 100, np.int16),
        tags=[()] * SIZE,
    )


def make_gate(
    opened: HashList,
    audit: Path,
    *,
    record_allowed: bool = False,
    reduce_jpegs: bool = False,
    families: Collection[Family] = (),
) -> Gate:
    """A gate with one list, which records in a file; of whole pictures alone, as the peer."""
    policy = Policy({LIST: ListPolicy(Algorithm.PDQ.default_threshold)})
    canary = load_canary([Algorithm.PDQ])
    return Gate(
        shelf=Shelf(Index([opened, *canary.lists]), ages={}, digests={LIST: ""}),
        policy=policy,
        canary=canary,
        journal=Journal(
            SqliteAudit(f"sqlite:///{audit}"),
            provenance=Provenance(policy="", versions={}),
            subject_key=bytes(32),
            record_allowed=record_allowed,
        ),
        limits=Limits(),
        clock=now,
        stopwatch=time.perf_counter,
        new_id=lambda: str(uuid_utils.uuid7()),
        log=structlog.get_logger(),
        reduce_jpegs=reduce_jpegs,
        families=families,
    )


def peer(codes: Codes) -> Callable[[bytes], object] | None:
    """Hash and search as threatexchange does, None if it is not there."""
    try:
        from threatexchange.signal_type.pdq.signal import PdqSignal  # noqa: PLC0415  # a peer
    except ImportError:
        return None
    index = PdqSignal.get_index_cls().build(
        (code.tobytes().hex(), n) for n, code in enumerate(codes)
    )
    return lambda data: index.query(PdqSignal.hash_from_bytes(data))


def tasks(
    gates: Mapping[str, Gate], files: Mapping[str, bytes], theirs: Callable[[bytes], object] | None
) -> dict[tuple[str, str], Callable[[], object]]:
    """Every step, gate and peer for every kind of picture, ready to be called."""
    made: dict[tuple[str, str], Callable[[], object]] = {}
    index = gates["gate"].shelf.index
    thresholds = gates["gate"].policy.thresholds
    for kind, data in files.items():
        picture = decode(data, limits=Limits())
        seen = list(views(picture, ()))
        hashes = [one for view in seen for one in hash_orientations(view, Algorithm.PDQ)]
        made[kind, "decode"] = lambda data=data: decode(data, limits=Limits())
        made[kind, "decode, reduced"] = lambda data=data: decode(
            data, limits=Limits(), reduce_jpegs=True
        )
        made[kind, "hash"] = lambda seen=seen: [
            one for view in seen for one in hash_orientations(view, Algorithm.PDQ)
        ]
        made[kind, "search"] = lambda hashes=hashes: index.search(hashes, thresholds=thresholds)
        for name, gate in gates.items():
            made[kind, name] = lambda gate=gate, data=data: no_match(gate, data)
        if theirs is not None:
            made[kind, PEER] = lambda data=data: theirs(data)
    return made


def no_match(gate: Gate, data: bytes) -> None:
    """Asks the gate, which must have done every step."""
    decision = gate.inspect(data)
    if decision.reason is not Reason.NO_MATCH:
        raise RuntimeError(f"the gate decided {decision.reason}: {decision.detail}")


def two_at_once(gate: Gate, data: bytes, rounds: int) -> float:
    """How many times as many decisions a second two threads make."""
    rates = []
    for workers in (1, 2):
        with ThreadPoolExecutor(workers) as pool:
            started = time.perf_counter()
            list(pool.map(lambda _: no_match(gate, data), range(rounds)))
            rates.append(rounds / (time.perf_counter() - started))
    return rates[1] / rates[0]


def processors(call: Callable[[], object], calls: int = 5) -> float:
    """How much processor time the process spends, as a multiple of the calling thread's."""
    call()
    whole, own = time.process_time(), time.thread_time()
    for _ in range(calls):
        call()
    return (time.process_time() - whole) / (time.thread_time() - own)


def main() -> None:
    """Measures, prints, and writes ``kinds.json`` and ``kinds.svg``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    files, made = pictures(), random_list()
    samples: dict[tuple[str, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.igx"
        write(made, path)
        opened = open_snapshot(path, name=LIST)
        gates = {
            name: make_gate(opened, Path(folder) / f"{name}.db", **how)
            for name, how in GATES.items()
        }
        work = list(tasks(gates, files, peer(made.codes)).items())
        for _, call in work:
            call()
        for _ in range(options.rounds):
            random.Random(SEED).shuffle(work)
            for what, call in work:
                started = time.perf_counter()
                call()
                samples[what].append((time.perf_counter() - started) * 1000)
        two = {
            kind: two_at_once(gates["gate"], data, options.rounds) for kind, data in files.items()
        }
        alone = {f"{kind}: {name}": processors(call) for (kind, name), call in work if name != PEER}
        for file_format in FORMATS:
            data = encode(_resized(photos.astronaut(), 1024, 1024), file_format)
            alone[f"decode {file_format}"] = processors(
                lambda data=data: decode(data, limits=Limits())
            )
        for gate in gates.values():
            gate.journal.sink.close()
    Console().print(*(table(kind, samples) for kind in files))
    for kind, gain in two.items():
        Console().print(f"- {kind}: two threads decide {gain:.1f} times as fast as one")
    for what, times in alone.items():
        if times > 1.05:
            Console().print(f"- {what}: {times:.1f} times the processor time of the calling thread")
    options.out.mkdir(parents=True, exist_ok=True)
    told = {f"{kind}: {name}": values for (kind, name), values in samples.items()}
    (options.out / "kinds.json").write_text(
        json.dumps({"ms": told, "two threads": two, "processors": alone}, indent=1)
    )
    plot(files, samples).savefig(options.out / "kinds.svg")


def table(kind: str, samples: Mapping[tuple[str, str], list[float]]) -> Table:
    """Percentiles, and how many times as long the peer takes in the same round."""
    made = Table("ms", "p50", "p95", "p99", f"{PEER} / this", title=kind, title_justify="left")
    theirs = samples.get((kind, PEER))
    for name in (*STEPS, *GATES, PEER):
        ours = samples.get((kind, name))
        if not ours:
            continue
        marks = (f"{np.percentile(ours, one):.2f}" for one in (50, 95, 99))
        ratio = ""
        if theirs and name in GATES:
            ratio = f"{statistics.median(t / o for t, o in zip(theirs, ours, strict=True)):.1f}"
        made.add_row(name, *marks, ratio, style="bold" if name in GATES else "")
    return made


def plot(files: Mapping[str, bytes], samples: Mapping[tuple[str, str], list[float]]) -> Figure:
    """The medians, a panel a kind."""
    figure = Figure(figsize=(10, 3), layout="constrained")
    names = [name for name in (*STEPS, *GATES, PEER) if (next(iter(files)), name) in samples]
    for kind, axes in zip(files, np.atleast_1d(figure.subplots(1, len(files))), strict=True):
        shown: Any = axes
        shown.barh(names, [statistics.median(samples[kind, name]) for name in names])
        shown.invert_yaxis()
        shown.set(title=kind, xlabel="ms, median", xscale="log")
    return figure


if __name__ == "__main__":
    main()
