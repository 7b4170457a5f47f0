"""What ``/v1/check`` answers a second, how soon, and what it does with ten times as much.

    python benchmarks/speed/serve.py

The service runs as a process of its own with a snapshot of random PDQ codes, and is asked over
loopback about a listed and an unlisted 512×512 JPEG by turns, over connections that stay open.
threatexchange, if installed, answers beside it: its PDQ hash and its default index of the same
codes behind the same server, in as many threads.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from importlib import util
from pathlib import Path
from urllib.request import urlopen

import numpy as np
from rich.console import Console
from rich.table import Table
from skimage import data as photos

from initgate.hashing import hash_upright
from initgate.image import encode
from initgate.index import snapshot
from initgate.model import Algorithm, HashList

SEED = 2019
PEER = "threatexchange"
HOST = "127.0.0.1"
VIEWS = {"whole pictures": "[]", "standard views": '"standard"'}


@dataclass(slots=True)
class Load:
    """What some seconds of asking showed.

    Args:
        seconds: Of each answer with a verdict.
        statuses: How many answers had which status.
        wrong: Verdicts other than the right one.
        lasted: Seconds in all.
        memory_mb: The most that the service's processes held, together.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: int = 0
    lasted: float = 0.0
    memory_mb: float = 0.0

    @property
    def row(self) -> dict[str, float]:
        """The figures."""
        p50, p99 = np.percentile(self.seconds, [50, 99]) * 1000
        return {
            "per s": len(self.seconds) / self.lasted,
            "p50 ms": p50,
            "p99 ms": p99,
            "503": self.statuses[503],
            "other": sum(self.statuses.values()) - self.statuses[200] - self.statuses[503],
            "wrong": self.wrong,
            "MB": self.memory_mb,
        }


async def ask(port: int, pictures: list[tuple[bytes, bytes]], until: float, load: Load) -> None:
    """One caller: the next request as soon as the last is answered.

    Args:
        port: Of the service.
        pictures: Bodies, and a word that the right answer to each holds.
        until: When to stop, by the monotonic clock.
        load: What it adds to.
    """
    reader, writer = await asyncio.open_connection(HOST, port)
    turn = 0
    while (started := time.monotonic()) < until:
        body, right = pictures[turn % len(pictures)]
        turn += 1
        head = f"POST /v1/check HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Content-Type: image/jpeg\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length: ")[2].split(b"\r")[0])
        told = await reader.readexactly(length)
        status = int(answer.split(b" ", 2)[1])
        load.statuses[status] += 1
        if status == 200:
            load.seconds.append(time.monotonic() - started)
            load.wrong += right not in told
    writer.close()


async def ask_all(
    port: int, pictures: list[tuple[bytes, bytes]], load: Load, *, callers: int, seconds: float
) -> None:
    """Many callers at the same time."""
    started = time.monotonic()
    until = started + seconds
    await asyncio.gather(*(ask(port, pictures, until, load) for _ in range(callers)))
    load.lasted += time.monotonic() - started


def memory_mb(pid: int) -> float:
    """The most that a process and its children held so far: their ``VmHWM``."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    own = next(int(one.split()[1]) / 1e3 for one in lines if one.startswith("VmHWM"))
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(memory_mb(int(one)) for one in children)


def free_port() -> int:
    """A port that nobody listens at."""
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], port: int) -> Iterator[int]:
    """A server; its process's id, once it answers."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603  # our own
    try:
        for _ in range(1200):
            try:
                urlopen(f"http://{HOST}:{port}/healthz")  # loopback
                break
            except OSError:
                if process.poll() is not None:
                    raise
                time.sleep(0.1)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def make_list(folder: Path, entries: int, listed: np.ndarray) -> None:
    """A snapshot of random codes and that of a picture, and the same codes for the peer."""
    codes = np.random.default_rng(SEED).integers(0, 256, (entries, 32), np.uint8)
    made = hash_upright(listed, Algorithm.PDQ)
    codes[-1] = np.frombuffer(made.code, np.uint8)
    np.save(folder / "codes.npy", codes)
    hash_list = HashList(
        name="bench",
        algorithm=Algorithm.PDQ,
        codes=codes,
        entries=[str(row) for row in range(entries)],
        qualities=np.full(entries, 100, np.int16),
        tags=[()] * entries,
    )
    snapshot.write(hash_list, folder / "bench.igx")


def configure(folder: Path, port: int, *, views: str, threads: int, waiting: int) -> Path:
    """A configuration of the service."""
    file = folder / f"{port}.toml"
    file.write_text(
        f'[[lists]]\nname = "bench"\npath = "bench.igx"\n'
        f"[gate]\nviews = {views}\n"
        f'[audit]\nurl = "sqlite:///{port}.db"\n'
        f'[log]\nlevel = "error"\n'
        f"[serve]\nanonymous = true\nport = {port}\nthreads = {threads}\nwaiting = {waiting}\n"
        "floor_ms = 0\nbackoff_after = 0\nmax_connections = 2000\n"
    )
    return file


def serve_peer(codes: Path, port: int, threads: int) -> None:
    """Hash and look-up as the peer's own matching service does them, behind uvicorn."""
    import anyio.to_thread  # noqa: PLC0415  # of the peer's process alone
    import uvicorn  # noqa: PLC0415
    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.requests import Request  # noqa: PLC0415
    from starlette.responses import JSONResponse  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415
    from threatexchange.signal_type.pdq.signal import PdqSignal  # noqa: PLC0415

    index = PdqSignal.get_index_cls().build(
        (one.tobytes().hex(), row) for row, one in enumerate(np.load(codes))
    )
    limiter = anyio.CapacityLimiter(threads)

    def look(body: bytes) -> bool:
        return bool(index.query(PdqSignal.hash_from_bytes(body)))

    async def check(request: Request) -> JSONResponse:
        found = await anyio.to_thread.run_sync(look, await request.body(), limiter=limiter)
        return JSONResponse({"verdict": "refused" if found else "allowed"})

    async def live(_request: Request) -> JSONResponse:
        return JSONResponse({})

    routes = [Route("/v1/check", check, methods=["POST"]), Route("/healthz", live)]
    uvicorn.run(Starlette(routes=routes), host=HOST, port=port, access_log=False, log_level="error")


@dataclass(frozen=True, slots=True)
class Way:
    """A server, and how it is asked."""

    pid: int
    port: int
    pictures: list[tuple[bytes, bytes]]
    callers: int = 4


def start_all(stack: ExitStack, folder: Path, entries: int) -> dict[str, Way]:
    """All servers, which stay until the stack is left."""
    listed, other = photos.astronaut(), photos.cat()[:300, :300].repeat(2, 0).repeat(2, 1)
    pictures = [
        (encode(listed, "JPEG", quality=90), b"refused"),
        (encode(np.ascontiguousarray(other[:512, :512]), "JPEG", quality=90), b"allowed"),
    ]
    make_list(folder, entries, listed)
    ways = {}

    def ours(name: str, *, workers: int, callers: int = 4, waiting: int = 1000, views: str) -> None:
        port = free_port()
        file = configure(folder, port, views=views, threads=max(1, 2 // workers), waiting=waiting)
        command = [sys.executable, "-m", "initgate.cli", "serve", "--config", str(file)]
        pid = stack.enter_context(running([*command, "--workers", str(workers)], port))
        ways[name] = Way(pid, port, pictures, callers)
        if callers == 4:  # refusals are written to disk one after the other
            ways[f"{name}, all allowed"] = Way(pid, port, pictures[1:])

    for name, views in VIEWS.items():
        for workers in (1, 2):
            ours(f"{name}, workers: {workers}", workers=workers, views=views)
    # Two are looked at and two wait: ten times as many ask.
    ours("overload, workers: 1", workers=1, callers=40, waiting=2, views=VIEWS["standard views"])
    if util.find_spec(PEER):
        port = free_port()
        command = [sys.executable, __file__, "--peer", str(folder / "codes.npy")]
        pid = stack.enter_context(running([*command, "--port", str(port)], port))
        ways[PEER] = Way(pid, port, pictures)
    return ways


def measure(ways: dict[str, Way], rounds: int) -> dict[str, Load]:
    """Asks all by turns, a second each: what else the machine does meets all of them alike."""
    loads = {name: Load() for name in ways}
    for turn in range(-1, rounds):
        for name, way in ways.items():
            load = loads[name] if turn >= 0 else Load()  # the first turn warms up
            asking = ask_all(way.port, way.pictures, load, callers=way.callers, seconds=1)
            asyncio.run(asking)
    for name, way in ways.items():
        loads[name].memory_mb = memory_mb(way.pid)
    return loads


def main() -> None:
    """Measures, prints, and writes ``serve.json``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=10, help="seconds of each way")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--peer", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        serve_peer(options.peer, options.port, threads=2)
        return
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        loads = measure(start_all(stack, Path(folder), options.entries), options.rounds)
    rows = {name: load.row for name, load in loads.items()}
    peer = rows.get(PEER)
    table = Table("", *next(iter(rows.values())), "× peer", title=f"{options.entries:,} entries")
    for name, row in rows.items():
        ratio = f"{row['per s'] / peer['per s']:.2f}" if peer else ""
        table.add_row(name, *(f"{one:.4g}" for one in row.values()), ratio)
    Console(width=110).print(table)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "serve.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
