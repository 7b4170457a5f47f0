from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from samples import ROOT

from initgate.benign import load_benign
from initgate.hashing import hash_upright
from initgate.model import Algorithm, HashList


@pytest.fixture(scope="module")
def reference() -> HashList:
    return load_benign()


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The script's module, which is in no package."""
    monkeypatch.syspath_prepend(str(ROOT / "benign"))
    yield importlib.import_module("drawn")
    for name in [one for one in sys.modules if one.partition(".")[0] == "drawn"]:
        del sys.modules[name]


def test_the_reference_is_of_pdq_with_a_quality_for_each_hash(reference: HashList) -> None:
    assert reference.algorithm is Algorithm.PDQ
    assert ((reference.qualities >= 0) & (reference.qualities <= 100)).all()


def test_every_entry_names_its_family(reference: HashList) -> None:
    assert all(re.fullmatch(re.escape(one.tags[0]) + r"-[0-9]+", one.entry) for one in reference)


def test_no_hash_is_there_twice(reference: HashList) -> None:
    assert len(np.unique(reference.codes, axis=0)) == len(reference)


def test_the_reference_has_many_of_every_family(reference: HashList, drawn: Any) -> None:
    families = [tags[0] for tags in reference.tags]
    assert set(families) == set(drawn.FAMILIES)
    assert min(map(families.count, drawn.FAMILIES)) >= 30


def test_its_name_is_none_that_an_operator_can_give(reference: HashList) -> None:
    assert "." in reference.name


def test_the_pictures_drawn_are_those_of_the_reference(reference: HashList, drawn: Any) -> None:
    shipped = {one.entry: one.code for one in reference}
    for name, picture in drawn.pictures(each=1):
        made = hash_upright(np.asarray(picture), Algorithm.PDQ).code
        pair = np.frombuffer(made + shipped[name], np.uint8).reshape(2, -1)
        assert np.bitwise_count(pair[0] ^ pair[1]).sum() <= 10, name


def test_another_seed_draws_other_pictures(drawn: Any) -> None:
    pairs = zip(drawn.pictures(0, each=1), drawn.pictures(1, each=1), strict=True)
    assert all(one[1].tobytes() != other[1].tobytes() for one, other in pairs)
