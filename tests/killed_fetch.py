"""Fetches that are killed, each in a process of its own: ``python killed_fetch.py``, a line each.

A line of standard input is JSON: folder, number of batches, the step before which to die (0 for
none), and the seconds after which to be killed (none if negative). The answer is the exit code.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from feeding import Fed, Scripted

STEPS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.symlink", "os.chmod"}


def batches(number: int) -> list[tuple[str, ...] | Exception]:
    """So many, each with something new and something withdrawn."""
    return [(f"a{n}", f"b{n}", f"?c{n}", f"-b{n - 1}") for n in range(number)]


def fetch(folder: str, number: int, kill_at: int) -> None:
    """Fetches; dies before a step."""
    steps = iter(range(1, sys.maxsize))

    def count(event: str, arguments: tuple[object, ...]) -> None:
        is_ours = event in STEPS and folder in str(arguments[0])
        if kill_at and is_ours and next(steps) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    Fed(Path(folder), Scripted(batches(number))).fetch()


def main() -> None:
    for line in sys.stdin:
        folder, number, kill_at, seconds = json.loads(line)
        child = os.fork()
        if not child:
            fetch(folder, number, kill_at)
            os._exit(0)
        if seconds >= 0:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
