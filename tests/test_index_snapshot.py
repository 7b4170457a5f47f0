from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from codes import flipped, random_codes
from hypothesis import given
from hypothesis import strategies as st

from initgate.errors import ListRejected
from initgate.index import Index, cost, snapshot
from initgate.index.banded import Banded, Postings
from initgate.index.digests import Digests
from initgate.index.flat import Flat
from initgate.index.layout import Layout
from initgate.index.snapshot import Section, open_snapshot, verify, write
from initgate.model import Algorithm, Hash, HashList, ListEntry

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LABELS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9)
KINDS = {"flat": Algorithm.PHASH64, "banded": Algorithm.PDQ, "digests": Algorithm.SHA1}

Make = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _bands_for_pdq(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short lists of 256 bits have bands, and are asked by them."""
    monkeypatch.setattr(
        "initgate.index.snapshot.choose",
        lambda _number, bits, _most: Layout(256, 16) if bits > 64 else None,
    )
    monkeypatch.setattr(cost, "scan", lambda *_: float("inf"))


def sample(algorithm: Algorithm, number: int = 100) -> HashList:
    codes = random_codes(1, number, algorithm.bits)
    tags = [(), ("one",), ("one", "zwei → 2")]
    entries = [
        ListEntry(algorithm, code.tobytes(), f"entry {row} ü", row % 102 - 1 % 101, tags[row % 3])
        for row, code in enumerate(codes)
    ]
    return HashList.of(entries, name="source", algorithm=algorithm, digest="d" * 64)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a file of a kind."""

    def write_one(kind: str) -> Path:
        path = tmp_path / "a.igx"
        write(sample(KINDS[kind]), path)
        return path

    return write_one


# ── Round trip ────────────────────────────────────────────────────────────────────────────────


@st.composite
def lists(draw: st.DrawFn) -> HashList:
    algorithm = draw(st.sampled_from(Algorithm))
    entry = st.builds(
        ListEntry,
        st.just(algorithm),
        st.binary(min_size=algorithm.bits // 8, max_size=algorithm.bits // 8),
        LABELS,
        st.none() | st.integers(0, 100),
        st.lists(LABELS, max_size=3).map(tuple),
    )
    entries = draw(st.lists(entry, max_size=12))
    return HashList.of(entries, name="a", algorithm=algorithm, digest="ab" * 32)


@given(lists())
def test_a_list_comes_back_as_it_was(tmp_path: Path, whole: HashList) -> None:
    path = tmp_path / "a.igx"
    header = write(whole, path)
    opened = open_snapshot(path, name="mine", as_of=NOW)
    assert list(opened) == list(whole)
    assert (opened.name, opened.as_of) == ("mine", NOW)
    assert (opened.algorithm, opened.digest) == (whole.algorithm, whole.digest)
    assert verify(path) == header


def test_bands_are_written_as_they_are_made_in_memory(make: Make) -> None:
    opened = open_snapshot(make("banded"), name="a")
    made = Postings.of(opened.codes, Layout(256, 16))
    engine = opened.engine
    assert isinstance(engine, Banded)
    for name in ("bitmap", "ranks", "starts", "rows"):
        assert (getattr(engine.postings, name) == getattr(made, name)).all()


def test_what_is_sealed_waits_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: pytest.fail("on the disk in clear"))
    path = tmp_path / "a.igx"
    write(sample(KINDS["banded"]), path, key=bytes(32))
    assert isinstance(open_snapshot(path, name="a", key=bytes(32)).engine, Banded)


@pytest.mark.parametrize(
    ("kind", "engine"), [("flat", Flat), ("banded", Banded), ("digests", Digests)]
)
def test_a_file_brings_the_engine_that_suits_it(make: Make, kind: str, engine: type) -> None:
    assert isinstance(open_snapshot(make(kind), name="a").engine, engine)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_searched_like_the_list_it_was_made_of(make: Make, kind: str) -> None:
    whole = replace(sample(KINDS[kind]), name="a", min_quality=50)
    opened = replace(open_snapshot(make(kind), name="a"), min_quality=50)
    codes = flipped(whole.codes[:60], np.arange(60) % 35)
    queries = [Hash(whole.algorithm, code.tobytes(), view=str(n)) for n, code in enumerate(codes)]
    thresholds = {"a": whole.algorithm.default_threshold}
    found = Index([opened]).search(queries, thresholds=thresholds)
    assert found == Index([whole]).search(queries, thresholds=thresholds)
    assert found.matches


def test_nothing_of_a_file_is_copied_into_memory(make: Make) -> None:
    opened = open_snapshot(make("banded"), name="a")
    assert isinstance(opened.engine, Banded)
    postings = opened.engine.postings
    columns = (opened.codes, opened.qualities, postings.bitmap, postings.starts, postings.rows)
    assert not any(one.flags.writeable or one.flags.owndata for one in columns)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_list_makes_the_same_bytes(make: Make, kind: str) -> None:
    first = make(kind).read_bytes()
    assert make(kind).read_bytes() == first


def test_a_file_of_a_file_is_the_same_file(make: Make, tmp_path: Path) -> None:
    path = make("banded")
    write(open_snapshot(path, name="a"), tmp_path / "b.igx")
    assert (tmp_path / "b.igx").read_bytes() == path.read_bytes()


def test_columns_of_any_memory_layout_are_written_rightly(tmp_path: Path) -> None:
    whole = sample(Algorithm.PDQ)
    strided = replace(whole, codes=np.asfortranarray(whole.codes))
    write(whole, tmp_path / "a.igx")
    write(strided, tmp_path / "b.igx")
    assert (tmp_path / "a.igx").read_bytes() == (tmp_path / "b.igx").read_bytes()


def test_columns_are_sequences(make: Make) -> None:
    opened = open_snapshot(make("flat"), name="a")
    assert opened.entries[-1] == "entry 99 ü"
    assert list(opened.entries[97:]) == ["entry 97 ü", "entry 98 ü", "entry 99 ü"]
    assert opened.tags[2] == ("one", "zwei → 2")
    assert len(opened.tags) == len(opened.entries) == 100
    with pytest.raises(IndexError):
        opened.entries[100]


def test_many_different_tags_are_told_apart(tmp_path: Path) -> None:
    entries = [ListEntry(Algorithm.MD5, bytes(16), "x", None, (str(n),)) for n in range(300)]
    write(HashList.of(entries, name="a", algorithm=Algorithm.MD5), tmp_path / "a.igx")
    opened = open_snapshot(tmp_path / "a.igx", name="a")
    assert [one for (one,) in opened.tags] == [str(n) for n in range(300)]
    assert verify(tmp_path / "a.igx").sections["tag_index"].dtype == "<u2"


def test_two_processes_share_a_file(make: Make) -> None:
    path = make("banded")
    opened = open_snapshot(path, name="a")
    script = (
        "import sys; from pathlib import Path; from initgate.index.snapshot import open_snapshot\n"
        "print(list(open_snapshot(Path(sys.argv[1]), name='a').entries)[7])"
    )
    other = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", script, path], capture_output=True, encoding="utf-8", check=True
    )
    assert other.stdout.strip() == opened.entries[7]


# ── Damage ────────────────────────────────────────────────────────────────────────────────────


def edges(path: Path) -> list[int]:
    """Where sections begin and end, and the header's parts."""
    sections = verify(path).sections.values()
    return sorted({0, 8, 16, 48, 100, 4096, *(one.offset for one in sections)})


def rejection(path: Path) -> str:
    with pytest.raises(ListRejected) as raised:
        open_snapshot(path, name="a")
    assert str(path) in str(raised.value)
    assert "initgate lists compile" in str(raised.value)
    return raised.value.reason


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_off_anywhere_is_rejected(make: Make, kind: str) -> None:
    path = make(kind)
    whole = path.read_bytes()
    for edge in [*edges(path), len(whole)]:
        for length in {max(0, edge - 1), min(edge, len(whole) - 1), min(edge + 1, len(whole) - 1)}:
            path.write_bytes(whole[:length])
            rejection(path)
            with pytest.raises(ListRejected):
                verify(path)


def test_a_file_with_more_at_its_end_is_rejected(make: Make) -> None:
    path = make("flat")
    path.write_bytes(path.read_bytes() + bytes(64))
    assert "were written" in rejection(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_is_found(make: Make, kind: str) -> None:
    path = make(kind)
    whole = path.read_bytes()
    starts = edges(path)
    ends = [one - 1 for one in starts if one]
    anywhere = np.random.default_rng(0).integers(0, len(whole), 30).tolist()
    for place in [*starts, *ends, len(whole) - 1, *anywhere]:
        damaged = bytearray(whole)
        damaged[min(place, len(whole) - 1)] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(ListRejected):
            verify(path)
        if place < 4096:
            rejection(path)


def test_a_damaged_section_is_named(make: Make) -> None:
    path = make("banded")
    damaged = bytearray(path.read_bytes())
    damaged[verify(path).sections["bitmap"].offset] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ListRejected, match="'bitmap'"):
        verify(path)


@pytest.mark.parametrize(
    "content", [b"", b"algorithm,hash,entry\n", b"\x80\x04K\x01.", bytes(5000)]
)
def test_another_file_is_rejected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.igx"
    path.write_bytes(content)
    assert "not a snapshot" in rejection(path)


def test_a_file_of_another_version_is_rejected(make: Make) -> None:
    path = make("flat")
    path.write_bytes(path.read_bytes()[:8] + b"\x02" + path.read_bytes()[9:])
    assert "another version" in rejection(path)


@pytest.mark.parametrize(
    "forged",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 3000,
        b'{"sections":[]}',
        b'{"sections":{"codes":{"dtype":"|O","count":1,"offset":4096,"blake2b":""}}}',
        b'{"sections":{"codes":{"dtype":"|u1","count":-1,"offset":4096,"blake2b":""}}}',
        b'{"sections":{"codes":{"dtype":"|u1","count":1,"offset":0,"blake2b":""}}}',
        b'{"sections":{"codes":{"dtype":"|u1","count":"1","offset":4096,"blake2b":""}}}',
        b'{"sections":{"__class__":{"dtype":"|u1","count":1,"offset":4096,"blake2b":""}}}',
        b'{"sections":{},"algorithm":"crc32","entries":1,"digest":"","bands":0}',
        b'{"sections":{},"algorithm":"pdq","entries":1,"digest":"","bands":0}',
    ],
)
def test_a_forged_header_is_rejected(tmp_path: Path, forged: bytes) -> None:
    path = tmp_path / "a.igx"
    path.write_bytes(pack(forged))
    rejection(path)


def pack(content: bytes) -> bytes:
    """A header with a good checksum."""
    start = b"\x89IGX\r\n\x1a\n\x01\0\0\0" + len(content).to_bytes(4, "little")
    rest = content.ljust(4048, b"\0")
    return start + hashlib.blake2b(start + rest, digest_size=32).digest() + rest


@pytest.mark.parametrize(
    "name", sorted(snapshot._TYPES.keys() - {"entry_text", "tag_table", "starts"})
)
@pytest.mark.parametrize("more", [-1, 1])
def test_sections_that_do_not_fit_each_other_are_rejected(make: Make, name: str, more: int) -> None:
    path = make("banded")
    content = json.loads(path.read_bytes()[48:4096].rstrip(b"\0"))
    section = content["sections"][name]
    end = Section(**section).end
    section["count"] += more
    shift = Section(**section).end - end
    for one in content["sections"].values():
        one["offset"] += shift if one["offset"] >= end else 0
    whole = path.read_bytes()[4096:]
    path.write_bytes(
        pack(json.dumps(content).encode())
        + whole[: len(whole) + shift].ljust(len(whole) + shift, b"\0")
    )
    rejection(path)


@pytest.mark.parametrize(("name", "column"), [("entry_ends", "entries"), ("tag_index", "tags")])
def test_a_wrong_reference_is_a_fault_and_no_other_entry(
    make: Make, name: str, column: str
) -> None:
    path = make("flat")
    damaged = bytearray(path.read_bytes())
    place = verify(path).sections[name].offset + (4 if name == "entry_ends" else 0)
    damaged[place] = 255
    damaged[place + 1] = 255
    path.write_bytes(damaged)
    opened = open_snapshot(path, name="a")
    with pytest.raises((IndexError, ValueError)):
        getattr(opened, column)[0]


# ── Writing ───────────────────────────────────────────────────────────────────────────────────


def test_a_file_that_cannot_be_written_leaves_the_old_one(make: Make) -> None:
    path = make("flat")
    before = path.read_bytes()
    whole = sample(Algorithm.PDQ)
    with pytest.raises(UnicodeEncodeError):
        write(replace(whole, entries=["\ud800"] * len(whole)), path)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["a.igx"]


def test_an_open_file_may_be_replaced(make: Make) -> None:
    path = make("banded")
    opened = open_snapshot(path, name="a")
    write(sample(Algorithm.PDQ, 3), path)
    assert len(list(opened)) == 100
    assert len(open_snapshot(path, name="a")) == 3


# ── Encrypted ─────────────────────────────────────────────────────────────────────────────────

KEY = bytes(range(32))


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A file that was written with a key."""
    pytest.importorskip("cryptography")
    path = tmp_path / "a.igx"
    write(sample(Algorithm.PDQ), path, key=KEY)
    return path


def test_an_encrypted_file_opens_with_its_key(sealed: Path) -> None:
    whole, opened = sample(Algorithm.PDQ), open_snapshot(sealed, name="a", key=KEY)
    assert list(opened) == list(whole)
    assert isinstance(opened.engine, Banded)
    assert verify(sealed, key=KEY).digest == whole.digest


def test_nothing_of_an_encrypted_file_can_be_read(sealed: Path) -> None:
    whole, content = sample(Algorithm.PDQ), sealed.read_bytes()
    assert not [code for code in whole.codes if code.tobytes() in content]
    assert b"entry" not in content


def test_an_encrypted_file_opens_with_no_other_key_nor_without(sealed: Path) -> None:
    with pytest.raises(ListRejected, match=r"a\.igx.*another key"):
        open_snapshot(sealed, name="a", key=bytes(32))
    with pytest.raises(ListRejected, match=r"a\.igx: it is encrypted: set key"):
        open_snapshot(sealed, name="a")


def test_a_file_in_the_clear_is_not_opened_where_files_are_encrypted(make: Make) -> None:
    with pytest.raises(ListRejected, match="not encrypted"):
        open_snapshot(make("banded"), name="a", key=KEY)


def test_an_encrypted_file_that_was_changed_is_named(sealed: Path) -> None:
    content = bytearray(sealed.read_bytes())
    content[-1] ^= 1
    sealed.write_bytes(content)
    with pytest.raises(ListRejected, match=r"a\.igx.*changed"):
        open_snapshot(sealed, name="a", key=KEY)
