"""Kills: whenever a fetch dies, what is on disk is a whole version, and the next fetch succeeds.

``TEST_KILLS=200`` kills before every step, and 200 times at random.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from feeding import Fed, Scripted
from killed_fetch import batches

Killed: TypeAlias = Callable[..., bool]
"""Fetches so many batches into a folder, and tells whether that was killed."""

KILLS = int(os.environ.get("TEST_KILLS", "12"))
STEP = 1 if "TEST_KILLS" in os.environ else 4

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(scope="module")
def killed() -> Iterator[Killed]:
    script = Path(__file__).with_name("killed_fetch.py")
    process = subprocess.Popen(  # noqa: S603  # our own script
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def fetch(folder: Path, number: int, *, step: int = 0, after: float = -1.0) -> bool:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([str(folder), number, step, after]) + "\n")
        process.stdin.flush()
        exit_code = int(process.stdout.readline())
        assert exit_code in {0, -signal.SIGKILL}
        return exit_code != 0

    with process:
        yield fetch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A feed with a first version."""
    Fed(tmp_path / "f", Scripted(batches(1))).fetch()
    return tmp_path / "f"


def expected(number: int) -> set[str]:
    return {f"a{n}" for n in range(number)} | {f"b{number - 1}"}


def check_and_go_on(folder: Path, number: int) -> None:
    """What must hold after a kill of the fetch that followed so many batches."""
    fed = Fed(folder, Scripted(batches(number + 1)))
    about, problem = fed.versions.whole()
    assert about is not None
    assert problem == ""
    assert fed.held() in (expected(number), expected(number + 1))
    assert fed.fetch().waits == ""
    assert fed.held() == expected(number + 1)
    for digest in fed.versions.digests():
        fed.versions.verify(digest)
    assert not [one.name for one in fed.folder.rglob(".*") if one.name != ".lock"]
    assert not (folder / "incoming").exists()


def test_a_fetch_that_is_killed_before_any_step_leaves_a_whole_version(
    folder: Path, killed: Killed
) -> None:
    number, step = 1, secrets.randbelow(STEP) + 1
    while killed(folder, number + 1, step=step):
        check_and_go_on(folder, number)
        number, step = number + 1, step + STEP
    assert step > 40  # else nothing was tried


def test_a_fetch_that_is_killed_at_random_leaves_a_whole_version(
    folder: Path, killed: Killed
) -> None:
    number, kills, longest = 1, 0, 0.08
    while kills < KILLS:
        if killed(folder, number + 1, after=longest * secrets.randbelow(1000) / 1000):
            kills += 1
        else:
            longest *= 0.9
        check_and_go_on(folder, number)
        number += 1


def test_a_first_fetch_that_is_killed_leaves_no_version_or_a_whole_one(
    tmp_path: Path, killed: Killed
) -> None:
    for step in range(1, 60, 6 * STEP):
        fed = Fed(tmp_path / f"f{step}", Scripted(batches(1)))
        killed(fed.folder, 1, step=step)
        about, problem = fed.versions.whole()
        assert problem == ""
        assert about is None or fed.held() == expected(1)
        fed.fetch()
        assert fed.held() == expected(1)
