"""Sends the proxy's parser what libFuzzer makes of the requests in the tests.

python fuzz/run.py [OPTION …]    libFuzzer's, e.g. -max_total_time=300, or a file to try again
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[1]
FOUND = ROOT / "var/fuzz/proxy"  # inputs that reached new code, for the next run
LIMITS = ("-timeout=10", "-rss_limit_mb=2048", "-max_len=65536")  # seconds, of one input

sys.path += [str(ROOT / "tests"), str(ROOT / "fuzz")]
with atheris.instrument_imports(include=["initgate.service.proxy"]):
    import target


def main() -> None:
    """Runs until something fails, or as long as libFuzzer is told to."""
    files = [one for one in sys.argv[1:] if not one.startswith("-")]
    if not files:
        FOUND.mkdir(parents=True, exist_ok=True)
        write_seeds(FOUND)
    given = [sys.argv[0], *LIMITS, *sys.argv[1:], *([] if files else [str(FOUND)])]
    atheris.Setup(given, target.look)
    atheris.Fuzz()


def write_seeds(folder: Path) -> None:
    """Every request that a test makes, in some spellings."""
    from seeds import requests  # noqa: PLC0415  # only where the tests are

    for dialect, request in requests():
        seed = target.to_seed(dialect, request)
        (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)


if __name__ == "__main__":
    main()
