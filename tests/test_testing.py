from __future__ import annotations

import numpy as np
import pytest

from initgate.audit.chain import verify
from initgate.hashing import hash_orientations, hash_upright
from initgate.lists.build import DEFAULT_QUALITY_FLOOR
from initgate.model import Algorithm, Reason, View
from initgate.testing import MemorySink, make_list, scene

PERCEPTUAL = [one for one in Algorithm if not one.is_digest]


def distance(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def test_a_scene_is_the_same_for_a_seed() -> None:
    assert np.array_equal(scene(3), scene(3))


def test_a_scene_has_the_size_that_was_asked_for() -> None:
    drawn = scene(3, height=50, width=70)
    assert drawn.shape == (50, 70, 3)
    assert drawn.dtype == np.uint8


@pytest.mark.parametrize("algorithm", PERCEPTUAL)
def test_no_scene_is_taken_for_another(algorithm: Algorithm) -> None:
    scenes = [scene(seed) for seed in range(8)]
    wanted = [hash_upright(one, algorithm).code for one in scenes]
    for number, one in enumerate(scenes):
        for made in hash_orientations(View("", one), algorithm):
            others = [code for other, code in enumerate(wanted) if other != number]
            assert min(distance(made.code, code) for code in others) > algorithm.default_threshold


@pytest.mark.parametrize("seed", range(20))
def test_a_scene_is_good_enough_for_a_list(seed: int) -> None:
    quality = hash_upright(scene(seed), Algorithm.PDQ).quality
    assert quality is not None
    assert quality >= DEFAULT_QUALITY_FLOOR


@pytest.mark.parametrize("algorithm", PERCEPTUAL)
def test_a_list_is_made_of_pictures(algorithm: Algorithm) -> None:
    made = make_list([scene(0), scene(1)], name="mine", algorithm=algorithm)
    assert (made.name, made.algorithm, list(made.entries)) == ("mine", algorithm, ["0", "1"])
    assert made.codes[1].tobytes() == hash_upright(scene(1), algorithm).code


def test_the_memory_sink_chains_its_records() -> None:
    sink = MemorySink()
    for number in range(3):
        sink.append({"n": number})
    report = verify(sink.records())
    assert (report.problems, report.records) == ((), 3)
    assert [record.event["n"] for record in sink.last(2)] == [1, 2]


def test_the_last_of_no_records_are_none() -> None:
    sink = MemorySink()
    sink.append({"n": 0})
    assert sink.last(0) == []


def test_the_memory_sink_counts() -> None:
    sink = MemorySink()
    sink.count(Reason.NO_MATCH)
    sink.count(Reason.NO_MATCH)
    sink.close()
    assert sink.counts() == {"no_match": 2}
