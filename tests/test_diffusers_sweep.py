"""The wall has no hole: every picture argument of every pipeline class that is installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import MakeGate

pytest.importorskip("diffusers", exc_type=ImportError)

import diffusers  # after the skip
import torch  # the same
from sweep import SHAPES, TABLE, Entry, call, entries, pipelines  # the same

from initgate.integrations.diffusers import install, uninstall  # the same
from initgate.integrations.diffusers.roles import Role  # the same
from initgate.testing import make_list, scene  # the same

pytestmark = pytest.mark.diffusers

LISTED, UNLISTED = scene(1, height=96, width=128), scene(2, height=96, width=128)


@pytest.fixture(autouse=True)
def _installed(make_gate: MakeGate) -> Iterator[None]:
    install(make_gate([make_list([LISTED])]))
    yield
    uninstall()


def pictures() -> list[Entry]:
    return list(entries(roles={Role.PIXELS, Role.MASK}))


def test_the_sweep_sees_what_there_is() -> None:
    found = pictures()
    assert len(pipelines()) >= 220  # diffusers 0.35; the newest has more
    assert len(found) >= 290
    assert len({entry.parameter for entry in found}) >= 25


@pytest.mark.parametrize("by_position", [False, True], ids=["by name", "by position"])
@pytest.mark.parametrize("shape", SHAPES)
def test_refuses_a_listed_picture_in_every_argument(shape: str, by_position: bool) -> None:
    value = SHAPES[shape](LISTED)
    let_in = [str(e) for e in pictures() if call(e, value, by_position=by_position) != "refused"]
    assert let_in == []


@pytest.mark.parametrize("shape", SHAPES)
def test_lets_an_unlisted_picture_into_every_argument(shape: str) -> None:
    value = SHAPES[shape](UNLISTED)
    kept_out = [str(entry) for entry in pictures() if call(entry, value) != "passed"]
    assert kept_out == []


def test_refuses_every_encoded_argument() -> None:
    encoded = list(entries(roles={Role.ENCODED}))
    assert len(encoded) >= 300
    let_in = [str(one) for one in encoded if call(one, torch.randn(1, 4, 8, 8)) != "refused"]
    assert let_in == []


def test_the_table_in_the_docs_is_that_of_its_version() -> None:
    told = TABLE.read_text()
    assert "HOLE" not in told
    assert "| passed |" not in told
    if f"diffusers {diffusers.__version__}\n" in told:
        rows = [line for line in told.splitlines() if line.endswith((" ok |", " refused |"))]
        assert len(rows) == len(list(entries(roles={Role.PIXELS, Role.MASK, Role.ENCODED})))
