"""What fuzz/ asks for hours, for a moment."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import ROOT

pytest.importorskip("brotli")
pytest.importorskip("zstandard")


class Fuzz:
    """The folder's modules, which are in no package, and some of the seeds."""

    def __init__(self) -> None:
        self.target = importlib.import_module("target")
        requests = list(importlib.import_module("seeds").requests())[::29]
        self.seeds = {self.target.to_seed(*one): one for one in requests}


@pytest.fixture(scope="module")
def fuzz() -> Iterator[Fuzz]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "fuzz"))
        yield Fuzz()
    for name in ("target", "seeds"):
        del sys.modules[name]


def test_a_seed_is_the_request_that_it_was_made_of(fuzz: Fuzz) -> None:
    for seed, (dialect, request) in fuzz.seeds.items():
        found, again = fuzz.target.to_request(seed)
        assert (found, again.path, again.body) == (dialect, request.path, request.body)


@settings(max_examples=100)
@given(data=st.data())
def test_any_bytes_are_forwarded_as_they_were_read_or_refused(
    fuzz: Fuzz, data: st.DataObject
) -> None:
    seed = data.draw(st.sampled_from(list(fuzz.seeds)))
    start = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(start, min(len(seed), start + 8)))
    fuzz.target.look(seed[:start] + data.draw(st.binary(max_size=8)) + seed[end:])
