"""What checks feel of a feed's versions being swapped under them.

    python benchmarks/speed/swaps.py --entries 100000

Four threads check pictures without a pause, first alone, then while versions of a list are swapped
and taken up. The figures are the same checks' latencies; the ratio of the two 99th percentiles is
what a swap costs.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from initgate import load_gate, load_settings
from initgate.feeds import fetch
from initgate.lists import Format, dump
from initgate.model import Algorithm, ListEntry
from initgate.testing import scene
from initgate.wiring import make_log, now, open_feed

THREADS = 4
VERSIONS = 4


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--swaps", type=int, default=50)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), given.entries, given.swaps)


def measure(folder: Path, entries: int, swaps: int) -> None:
    """The same, in a folder, with lists of so many entries and so many swaps."""
    config = folder / "gate.toml"
    config.write_text(
        '[[lists]]\nname = "a"\nfeed = "f"\n[[feeds]]\nname = "f"\nsource = "a.csv"\n'
        "[gate]\nreload_seconds = 0.1\n"
    )
    feed = open_feed(load_settings(config), "f")
    digests = []
    for version in range(VERSIONS):
        codes = np.random.default_rng(version).integers(0, 256, (entries, 32), np.uint8)
        made = (
            ListEntry(Algorithm.PDQ, code.tobytes(), f"e{n}", 90) for n, code in enumerate(codes)
        )
        partial = folder / "new.csv"
        partial.write_bytes(dump(made, Format.CSV))
        partial.replace(folder / "a.csv")
        digests.append(fetch(feed, clock=now).about.digest)
    gate = load_gate(config, log=make_log("error"))
    picture, stop = scene(1), threading.Event()
    took: list[tuple[float, float]] = []  # when a check began, and how long it took

    def check() -> None:
        while not stop.is_set():
            begun = time.perf_counter()
            gate.check(picture)
            took.append((begun, time.perf_counter() - begun))

    threads = [threading.Thread(target=check) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    time.sleep(1)  # caches
    begun = time.perf_counter()
    time.sleep(swaps / 5)
    swapped = time.perf_counter()
    for number in range(swaps):
        digest = digests[number % VERSIONS]
        with feed.versions.locked():
            feed.versions.save(feed.versions.serve(digest, feed.versions.state()))
        while gate.shelf.digests["a"] != digest:
            time.sleep(0.01)
    ended = time.perf_counter()
    stop.set()
    for thread in threads:
        thread.join()
    alone = np.array([each for at, each in took if begun <= at < swapped]) * 1000
    during = np.array([each for at, each in took if swapped <= at < ended]) * 1000
    for name, each in (("alone", alone), (f"{swaps} swaps", during)):
        median, late = np.percentile(each, [50, 99])
        print(f"{name:10}  {len(each):6} checks  median {median:7.1f} ms  p99 {late:7.1f} ms")
    print(f"p99, ratio  {np.percentile(during, 99) / np.percentile(alone, 99):.2f}")


if __name__ == "__main__":
    main()
