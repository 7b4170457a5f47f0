from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from initgate import Algorithm, ConfigError, ListRejected, SourceUnavailable
from initgate.exceptions import Exceptions, HashException, dump, most_bits, read
from initgate.exceptions.file import Watched, change, load
from initgate.model import Hash

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
CODE = bytes(range(32))
PERCEPTUAL = [one for one in Algorithm if not one.is_digest]
RECORD: dict[str, Any] = {
    "hash": CODE.hex(),
    "algorithm": "pdq",
    "reason": "a drawing that looks alike",
    "author": "reviewer",
    "expires": "2030-02-01",
}


def exception(**fields: Any) -> HashException:
    return HashException.model_validate(RECORD | fields)


def line(**fields: Any) -> bytes:
    return json.dumps({k: v for k, v in (RECORD | fields).items() if v is not ...}).encode()


def flipped(code: bytes, bits: int) -> bytes:
    levels = np.unpackbits(np.frombuffer(code, np.uint8))
    levels[:bits] ^= 1
    return np.packbits(levels).tobytes()


def released(
    made: HashException,
    *,
    code: bytes = CODE,
    algorithm: Algorithm = Algorithm.PDQ,
    data: bytes | None = None,
    now: datetime = NOW,
) -> set[str]:
    """The lists, of two, from which an exception releases a hash."""
    hashes = [Hash(algorithm, code)]
    return set(Exceptions([made]).names(hashes, data, lists=("a", "b"), now=now))


# ── What is released ──────────────────────────────────────────────────────────────────────────


def test_a_hash_is_released_from_all_lists() -> None:
    assert released(exception()) == {"a", "b"}


def test_an_exception_that_names_lists_releases_from_no_others() -> None:
    assert released(exception(lists=["b", "c"])) == {"b"}


@pytest.mark.parametrize("algorithm", PERCEPTUAL)
def test_a_threshold_is_inclusive(algorithm: Algorithm) -> None:
    code, most = bytes(algorithm.bits // 8), most_bits(algorithm)
    made = exception(hash=code.hex(), algorithm=algorithm, threshold=most)
    assert released(made, code=flipped(code, most), algorithm=algorithm)
    assert not released(made, code=flipped(code, most + 1), algorithm=algorithm)


def test_without_a_threshold_the_very_hash_is_released() -> None:
    assert not released(exception(), code=flipped(CODE, 1))


def test_each_exception_has_its_own_threshold() -> None:
    wide = exception(threshold=8, id="wide")
    both = Exceptions([exception(hash="ff" * 32, id="narrow"), wide])
    hashes = [Hash(Algorithm.PDQ, code) for code in (flipped(CODE, 8), flipped(b"\xff" * 32, 1))]
    assert both.names(hashes, None, lists=["a"], now=NOW) == {"a": ["wide", ""]}


def test_a_hash_of_another_algorithm_is_not_released() -> None:
    assert not released(exception(), algorithm=Algorithm.PHASH256)


@pytest.mark.parametrize(
    ("now", "lists"),
    [
        (datetime(2030, 1, 31, 23, 59, 59, tzinfo=UTC), {"a", "b"}),
        (datetime(2030, 2, 1, tzinfo=UTC), set()),
    ],
    ids=["the last moment", "the day itself"],
)
def test_an_exception_releases_nothing_from_its_day_on(now: datetime, lists: set[str]) -> None:
    assert released(exception(), now=now) == lists


def test_a_file_is_released_in_every_view() -> None:
    made = exception(hash=hashlib.sha256(b"file").hexdigest(), algorithm="sha256")
    assert released(made, data=b"file") == {"a", "b"}
    assert released(made, data=b"another") == set()
    assert released(made, data=None) == set()


# ── The file ──────────────────────────────────────────────────────────────────────────────────

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=5)


@st.composite
def exceptions(draw: st.DrawFn) -> HashException:
    algorithm = draw(st.sampled_from([*PERCEPTUAL, Algorithm.SHA256]))
    width = algorithm.bits // 8
    return HashException(
        hash=draw(st.binary(min_size=width, max_size=width)).hex(),
        algorithm=algorithm,
        threshold=draw(st.integers(0, most_bits(algorithm))),
        reason=draw(TEXTS),
        author=draw(TEXTS),
        expires=draw(st.dates()),
        lists=draw(st.none() | st.lists(TEXTS, min_size=1).map(tuple)),
        decision_id=draw(st.none() | TEXTS),
        id=draw(st.none() | TEXTS),
    )


@given(st.lists(exceptions(), unique_by=lambda one: one.name, max_size=4))
def test_what_is_written_is_read(made: list[HashException]) -> None:
    assert list(read(dump(made), source="x").records) == made


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (line(reason=...), "reason: "),
        (line(reason=" "), "reason: "),
        (line(reason="two\nlines"), "reason: "),
        (line(author=...), "author: "),
        (line(author=""), "author: "),
        (line(expires=...), "expires: "),
        (line(expires=1_900_000_000), "expires: "),
        (line(expires="2030-02-30"), "expires: "),
        (line(expires="2030-02-01T00:00:00"), "expires: "),
        (line(expires="never"), "expires: "),
        (line(hash=...), "hash: "),
        (line(hash="abc"), "hash: pdq needs 64 hexadecimal digits"),
        (line(algorithm="phash64"), "hash: phash64 needs 16 hexadecimal digits"),
        (line(algorithm="md5", hash="0" * 32), "algorithm: two files can be made to have one"),
        (line(algorithm="photodna"), "algorithm: "),
        (line(threshold=9), "threshold: 9; for pdq at most 8"),
        (line(threshold=-1), "threshold: "),
        (line(threshold="3"), "threshold: "),
        (line(threshold=True), "threshold: "),
        (line(algorithm="sha256", threshold=1), "threshold: 1; for sha256 at most 0"),
        (line(lists=[]), "lists: "),
        (line(lists="a"), "lists: "),
        (line(list="a"), "list: "),
        (b"[]", "not a JSON object"),
        (line()[:-9], "no JSON object"),
        (line(), "stands twice"),
    ],
)
def test_a_malformed_line_is_rejected_by_its_number_and_field(bad: bytes, told: str) -> None:
    with pytest.raises(ListRejected) as raised:
        read(line() + b"\n" + bad + b"\n", source="exceptions.jsonl")
    assert str(raised.value).startswith(f"exceptions.jsonl, line 2: {told}") or (
        told == "stands twice" and told in str(raised.value)
    )


def test_a_name_tells_nothing_of_the_hash() -> None:
    name = exception().name
    assert name not in CODE.hex()
    assert name == exception(hash=CODE.hex().upper()).name != exception(hash="0" * 64).name
    assert exception(id="meme").name == "meme"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "exceptions.jsonl"


def test_a_file_that_is_not_there_releases_nothing(path: Path) -> None:
    assert load(path).records == ()


def test_what_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="directory"):
        load(tmp_path)


def test_a_change_keeps_what_it_does_not_change(path: Path) -> None:
    change(path, lambda old: [*old, exception()])
    path.chmod(0o640)
    change(path, lambda old: [*old, exception(id="b")])
    assert load(path).records == (exception(), exception(id="b"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_change_that_fails_leaves_the_file_as_it_is(path: Path) -> None:
    def failing(_: object) -> list[HashException]:
        raise ConfigError("no")

    change(path, lambda _: [exception()])
    before = path.read_bytes()
    edits: list[Callable[[object], list[HashException]]] = [failing, lambda _: [exception()] * 2]
    for edit in edits:
        with pytest.raises((ConfigError, ListRejected)):
            change(path, edit)
    assert path.read_bytes() == before


def test_a_malformed_file_is_not_changed(path: Path) -> None:
    path.write_bytes(b"{}\n")
    with pytest.raises(ListRejected):
        change(path, lambda old: [*old, exception()])
    assert path.read_bytes() == b"{}\n"


def test_news_come_once(path: Path) -> None:
    watched = Watched(path)
    assert watched.news() is None
    change(path, lambda _: [exception()])
    made = watched.news()
    assert made is not None
    assert made.records == (exception(),)
    assert watched.news() is None
    path.unlink()
    gone = watched.news()
    assert gone is not None
    assert gone.records == ()


def test_a_malformed_file_is_told_once(path: Path) -> None:
    watched = Watched(path)
    path.write_bytes(b"{}\n")
    with pytest.raises(ListRejected):
        watched.news()
    assert watched.news() is None


def test_no_file_has_no_news() -> None:
    assert Watched(None).news() is None


def test_a_day_is_a_day(path: Path) -> None:
    change(path, lambda _: [exception(expires=date(2031, 1, 1) + timedelta(days=1))])
    assert b'"expires":"2031-01-02"' in path.read_bytes()
