from __future__ import annotations

import hashlib
import io
import itertools
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import LISTED, ROOT

from initgate.errors import ImageUnreadable, ListRejected
from initgate.hashing import hash_upright
from initgate.image import Limits, encode
from initgate.lists import TEXTS, Format, dump, load
from initgate.lists.build import entries_of, entry_of
from initgate.model import Algorithm, HashList, ListEntry
from initgate.testing import scene

ZEROS = "0" * 64
ENTRY = ListEntry(Algorithm.PDQ, bytes(range(32)), "a", 90, ("x", "y"))
HEX = ENTRY.code.hex()


def read(
    data: str | bytes,
    file_format: Format = Format.CSV,
    algorithm: Algorithm = Algorithm.PDQ,
    *,
    allow_empty: bool = False,
) -> HashList:
    return load(
        io.BytesIO(data.encode() if isinstance(data, str) else data),
        name="a",
        source="lists/a.file",
        file_format=file_format,
        algorithm=algorithm,
        allow_empty=allow_empty,
    )


def outcome(data: bytes, file_format: Format) -> HashList | ListRejected:
    """The list or why it was rejected; no other exception comes out."""
    try:
        return read(data, file_format, allow_empty=True)
    except ListRejected as error:
        return error


def rejection(data: str | bytes, file_format: Format = Format.CSV) -> str:
    with pytest.raises(ListRejected) as raised:
        read(data, file_format)
    return str(raised.value)


# ── Golden files ──────────────────────────────────────────────────────────────────────────────


def test_csv_is_written_like_this() -> None:
    other = ListEntry(Algorithm.PDQ, bytes(32), 'b,"c"')
    assert dump([ENTRY, other], Format.CSV).decode() == (
        f'algorithm,hash,entry,quality,tags\npdq,{HEX},a,90,x;y\npdq,{ZEROS},"b,""c""",,\n'
    )


def test_jsonl_is_written_like_this() -> None:
    other = ListEntry(Algorithm.PDQ, bytes(32), "ä")
    assert dump([ENTRY, other], Format.JSONL).decode() == (
        f'{{"algorithm": "pdq", "hash": "{HEX}", "entry": "a", '
        '"quality": 90, "tags": ["x", "y"]}\n'
        f'{{"algorithm": "pdq", "hash": "{ZEROS}", "entry": "ä"}}\n'
    )


def test_the_columns_of_a_csv_may_stand_in_any_order() -> None:
    assert list(read(f"tags,entry,hash,quality,algorithm\nx;y,a,{HEX},90,pdq\n")) == [ENTRY]


def test_quality_and_tags_of_a_csv_are_optional() -> None:
    assert list(read(f"algorithm,hash,entry\npdq,{HEX},a\n")) == [
        ListEntry(Algorithm.PDQ, ENTRY.code, "a")
    ]


@pytest.mark.parametrize("file_format", TEXTS)
def test_upper_case_hexadecimal_is_accepted(file_format: Format) -> None:
    data = dump([ENTRY], file_format).replace(HEX.encode(), HEX.upper().encode())
    assert list(read(data, file_format)) == [ENTRY]


@pytest.mark.parametrize("file_format", TEXTS)
def test_a_byte_order_mark_is_accepted(file_format: Format) -> None:
    data = b"\xef\xbb\xbf" + dump([ENTRY], file_format)
    assert list(read(data, file_format)) == [ENTRY]


@pytest.mark.parametrize("file_format", TEXTS)
def test_windows_line_ends_are_accepted(file_format: Format) -> None:
    data = dump([ENTRY, ENTRY], file_format).replace(b"\n", b"\r\n")
    assert list(read(data, file_format)) == [ENTRY, ENTRY]


@pytest.mark.parametrize("file_format", TEXTS)
def test_a_last_line_without_its_end_is_accepted(file_format: Format) -> None:
    data = dump([ENTRY, ENTRY], file_format).removesuffix(b"\n")
    assert list(read(data, file_format)) == [ENTRY, ENTRY]


def test_blank_lines_of_jsonl_are_skipped() -> None:
    data = b"\n" + dump([ENTRY], Format.JSONL) + b"  \r\n"
    assert list(read(data, Format.JSONL)) == [ENTRY]


def test_the_digest_is_of_the_bytes() -> None:
    data = dump([ENTRY], Format.CSV)
    assert read(data).digest == hashlib.sha256(data).hexdigest()


def test_a_list_knows_its_age() -> None:
    as_of = datetime(2030, 1, 1, tzinfo=UTC)
    data = dump([ENTRY], Format.CSV)
    loaded = load(
        io.BytesIO(data),
        name="a",
        source="",
        file_format=Format.CSV,
        algorithm=Algorithm.PDQ,
        as_of=as_of,
    )
    assert loaded.as_of == as_of


# ── Empty lists ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("file_format", TEXTS)
def test_an_empty_list_is_rejected(file_format: Format) -> None:
    assert "allow_empty" in rejection(dump([], file_format), file_format)


@pytest.mark.parametrize("file_format", TEXTS)
def test_an_empty_list_is_fine_if_meant(file_format: Format) -> None:
    assert len(read(dump([], file_format), file_format, allow_empty=True)) == 0


def test_an_empty_file_is_no_csv_even_if_empty_lists_are_fine() -> None:
    with pytest.raises(ListRejected, match="header"):
        read(b"", allow_empty=True)


# ── Round trip ────────────────────────────────────────────────────────────────────────────────

LABELS = st.text(
    st.characters(codec="utf-8", exclude_characters=[*map(chr, range(32)), "\x7f"]),
    min_size=1,
    max_size=20,
)


@st.composite
def entry_lists(draw: st.DrawFn) -> list[ListEntry]:
    algorithm = draw(st.sampled_from(Algorithm))
    width = algorithm.bits // 8
    entry = st.builds(
        ListEntry,
        st.just(algorithm),
        st.binary(min_size=width, max_size=width),
        LABELS,
        st.none() | st.integers(0, 100),
        st.lists(LABELS.filter(lambda tag: ";" not in tag), max_size=3).map(tuple),
    )
    return draw(st.lists(entry, min_size=1, max_size=8))


@pytest.mark.parametrize("file_format", TEXTS)
@given(entries=entry_lists())
def test_a_list_comes_back_as_it_was_written(
    file_format: Format, entries: Sequence[ListEntry]
) -> None:
    data = dump(entries, file_format)
    loaded = read(data, file_format, entries[0].algorithm)
    assert list(loaded) == entries
    assert dump(loaded, file_format) == data


@given(entries=entry_lists())
def test_both_formats_hold_the_same(entries: Sequence[ListEntry]) -> None:
    algorithm = entries[0].algorithm
    through_csv = read(dump(entries, Format.CSV), Format.CSV, algorithm)
    assert list(read(dump(through_csv, Format.JSONL), Format.JSONL, algorithm)) == entries


@pytest.mark.parametrize("file_format", TEXTS)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_list_or_rejected(file_format: Format, data: bytes) -> None:
    answer = outcome(data, file_format)
    assert isinstance(answer, HashList) or answer.source == "lists/a.file"


@pytest.mark.parametrize("file_format", TEXTS)
@given(data=st.data(), at=st.integers(0, 400), new=st.binary(max_size=3))
def test_a_damaged_list_is_whole_or_rejected(
    file_format: Format, data: st.DataObject, at: int, new: bytes
) -> None:
    whole = dump([ENTRY] * 3, file_format)
    cut = data.draw(st.integers(at, at + 4))
    damaged = whole[:at] + new + whole[cut:]
    answer = outcome(damaged, file_format)
    if isinstance(answer, HashList):
        assert all(len(entry.code) == 32 for entry in answer)
    else:
        assert answer.source == "lists/a.file"


# ── Malformed records ─────────────────────────────────────────────────────────────────────────

GOOD_CSV = f"algorithm,hash,entry,quality,tags\npdq,{HEX},a,90,x\n"
BAD_ROWS = {
    "too few fields": (f"pdq,{HEX}", "2 fields"),
    "too many fields": (f"pdq,{HEX},a,90,x,more", "6 fields"),
    "unknown algorithm": (f"pdqf,{HEX},a,90,x", "unknown algorithm 'pdqf'"),
    "algorithm in capitals": (f"PDQ,{HEX},a,90,x", "unknown algorithm 'PDQ'"),
    "no algorithm": (f",{HEX},a,90,x", "unknown algorithm ''"),
    "hash too short": (f"pdq,{HEX[1:]},a,90,x", "64 hexadecimal digits"),
    "hash too long": (f"pdq,{HEX}0,a,90,x", "64 hexadecimal digits"),
    "no hash": ("pdq,,a,90,x", "64 hexadecimal digits"),
    "hash with a letter": (f"pdq,g{HEX[1:]},a,90,x", "64 hexadecimal digits"),
    "hash with a space": (f"pdq, {HEX[1:]},a,90,x", "64 hexadecimal digits"),
    "hash with a prefix": (f"pdq,0x{HEX[2:]},a,90,x", "64 hexadecimal digits"),
    "hash with other digits": (f"pdq,٣{HEX[1:]},a,90,x", "64 hexadecimal digits"),
    "hash with a line end": (f'pdq,"{HEX}\n",a,90,x', "64 hexadecimal digits"),
    "no entry": (f"pdq,{HEX},,90,x", "entry"),
    "entry with a tab": (f"pdq,{HEX},a\tb,90,x", "entry"),
    "entry with NUL": (f"pdq,{HEX},a\x00b,90,x", ""),
    "quality too large": (f"pdq,{HEX},a,101,x", "quality"),
    "quality negative": (f"pdq,{HEX},a,-1,x", "quality"),
    "quality a fraction": (f"pdq,{HEX},a,9.5,x", "quality"),
    "quality a word": (f"pdq,{HEX},a,good,x", "quality"),
    "quality with a space": (f"pdq,{HEX},a, 90,x", "quality"),
    "quality in other digits": (f"pdq,{HEX},a,٩,x", "quality"),
    "quality of 5000 digits": (f"pdq,{HEX},a,{'9' * 5000},x", "quality"),
    "an empty tag": (f"pdq,{HEX},a,90,x;", "tags"),
    "an open quote": (f'pdq,{HEX},"a,90,x', ""),
    "text after a quote": (f'pdq,{HEX},"a"b,90,x', ""),
    "a comment": ("# checked", "1 fields"),
}


@pytest.mark.parametrize(("row", "reason"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_malformed_row_rejects_the_list_and_is_named(row: str, reason: str) -> None:
    message = rejection(GOOD_CSV + row + "\n")
    assert message.startswith(("lists/a.file, line 3: ", "lists/a.file, line 4: "))
    assert reason in message


BAD_HEADERS = [
    "",
    f"pdq,{HEX},a",
    "algorithm,hash",
    "hash,entry",
    "algorithm,hash,entry,entry",
    "algorithm,hash,entry,note",
    "Algorithm,hash,entry",
    "algorithm, hash, entry",
    "algorithm;hash;entry",
]


@pytest.mark.parametrize("header", BAD_HEADERS)
def test_a_malformed_header_rejects_the_list(header: str) -> None:
    message = rejection(f"{header}\npdq,{HEX},a\n")
    assert message.startswith("lists/a.file, line 1: the header must hold algorithm, hash, entry")


def record(**changes: object) -> str:
    return json.dumps({"algorithm": "pdq", "hash": HEX, "entry": "a"} | changes)


BAD_RECORDS = {
    "no JSON": ("pdq", "no JSON object"),
    "cut off": (record()[:-1], "no JSON object"),
    "two in a line": (record() + record(), "no JSON object"),
    "an array": ("[]", "not a JSON object"),
    "a number": ("1", "not a JSON object"),
    "null": ("null", "not a JSON object"),
    "deeply nested": ("[" * 100_000, "no JSON object"),
    "a field twice": (record()[:-1] + ', "entry": "b"}', "twice"),
    "a nested field twice": (record()[:-1] + ', "tags": {"a": 1, "a": 2}}', "twice"),
    "unknown field": (record(note="x"), "unknown field 'note'"),
    "no hash": ('{"algorithm": "pdq", "entry": "a"}', "field 'hash' is missing"),
    "no algorithm": (f'{{"hash": "{HEX}", "entry": "a"}}', "field 'algorithm' is missing"),
    "no entry": (f'{{"algorithm": "pdq", "hash": "{HEX}"}}', "field 'entry' is missing"),
    "algorithm null": (record(algorithm=None), "unknown algorithm"),
    "algorithm an array": (record(algorithm=["pdq"]), "unknown algorithm"),
    "hash a number": (record(hash=1), "64 hexadecimal digits"),
    "hash too short": (record(hash=HEX[2:]), "64 hexadecimal digits"),
    "hash with a line end": (record(hash=HEX + "\n"), "64 hexadecimal digits"),
    "entry a number": (record(entry=1), "entry"),
    "entry empty": (record(entry=""), "entry"),
    "entry with a line end": (record(entry="a\n"), "entry"),
    "entry with half a character": (record(entry="\ud800"), "entry"),
    "quality true": (record(quality=True), "quality"),
    "quality a float": (record(quality=90.0), "quality"),
    "quality a text": (record(quality="90"), "quality"),
    "quality NaN": (record(quality=float("nan")), "quality"),
    "quality too large": (record(quality=101), "quality"),
    "quality of 5000 digits": (record(quality=0)[:-1] + "9" * 5000 + "}", ""),
    "tags a text": (record(tags="x"), "tags"),
    "tags an object": (record(tags={"x": 1}), "tags"),
    "a tag a number": (record(tags=[1]), "tags"),
    "a tag empty": (record(tags=[""]), "tags"),
    "a tag with a semicolon": (record(tags=["x;y"]), "tags"),
    "a tag with half a character": (record(tags=["\udfff"]), "tags"),
}


@pytest.mark.parametrize(("line", "reason"), BAD_RECORDS.values(), ids=BAD_RECORDS)
def test_a_malformed_record_rejects_the_list_and_is_named(line: str, reason: str) -> None:
    message = rejection(f"{record()}\n\n{line}\n{record()}\n", Format.JSONL)
    assert message.startswith("lists/a.file, line 3: ")
    assert reason in message


@pytest.mark.parametrize("file_format", TEXTS)
def test_bytes_that_are_no_utf_8_reject_the_list(file_format: Format) -> None:
    data = dump([ENTRY], file_format).replace(b"a", b"\xff")
    assert rejection(data, file_format).startswith("lists/a.file")


@pytest.mark.parametrize("file_format", TEXTS)
def test_an_entry_of_another_algorithm_rejects_the_list(file_format: Format) -> None:
    other = ListEntry(Algorithm.PHASH256, bytes(32), "b")
    message = rejection(dump([ENTRY, other], file_format), file_format)
    assert "lists/a.file" in message
    assert "entry 2 (b) is phash256" in message


# ── A list from one's own pictures ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("algorithm", [one for one in Algorithm if not one.is_digest])
def test_an_entry_holds_the_hash_and_pdq_quality_of_a_picture(algorithm: Algorithm) -> None:
    made = entry_of(encode(scene(1), "PNG"), algorithm=algorithm, entry="x")
    hashed = hash_upright(scene(1), algorithm)
    assert made == ListEntry(algorithm, hashed.code, "x", hashed.quality)


@pytest.mark.parametrize("algorithm", [Algorithm.PDQ, Algorithm.DHASH64])
def test_crops_are_entries_of_the_pictures_own_identifier(algorithm: Algorithm) -> None:
    data = encode(scene(1), "PNG")
    own, *crops = entries_of(data, algorithm=algorithm, entry="x")
    assert own == entry_of(data, algorithm=algorithm, entry="x")
    assert {one.entry for one in crops} == {"x"}
    assert ("view:square",) in [one.tags for one in crops]
    assert all(len(one.tags) == 1 and one.tags[0].startswith("view:") for one in crops)


def test_a_listed_crop_is_the_hash_of_the_cropped_picture() -> None:
    picture = scene(1, height=200, width=320)
    made = entries_of(encode(picture, "PNG"), algorithm=Algorithm.PDQ, entry="x")
    codes = {one.tags: one.code for one in made}
    for tag, crop in {
        "square": picture[:, 60:260],
        "3:4": picture[:, 85:235],
        "centre 80": picture[20:180, 32:288],
        "without left": picture[:, 32:],
        "without bottom": picture[:180],
    }.items():
        assert codes[(f"view:{tag}",)] == hash_upright(crop, Algorithm.PDQ).code, tag


@given(seed=st.integers(0, 9), height=st.integers(40, 300), width=st.integers(40, 300))
def test_no_crop_is_near_another_or_below_the_floor(seed: int, height: int, width: int) -> None:
    data = encode(scene(seed, height=height, width=width), "PNG")
    made = entries_of(data, algorithm=Algorithm.PDQ, entry="x", min_quality=30)
    numbers = [int.from_bytes(one.code) for one in made]
    pairs = itertools.combinations(numbers, 2)
    assert all((one ^ other).bit_count() >= 16 for one, other in pairs)
    assert all(one.quality is not None and one.quality >= 30 for one in made)


def test_the_square_crop_of_a_square_picture_is_no_entry() -> None:
    made = entries_of(
        encode(scene(1, height=200, width=200), "PNG"), algorithm=Algorithm.PDQ, entry="x"
    )
    assert ("view:square",) not in [one.tags for one in made]


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (90, 1), (7, 3)])
def test_crops_of_tiny_pictures_add_nothing(size: tuple[int, int]) -> None:
    data = encode(np.full((*size, 3), 7, np.uint8), "PNG")
    assert len(entries_of(data, algorithm=Algorithm.PDQ, entry="x", min_quality=0)) == 1


@pytest.mark.parametrize("file_format", TEXTS)
def test_a_list_with_crops_comes_back_as_it_was_written(file_format: Format) -> None:
    made = entries_of(encode(scene(1), "PNG"), algorithm=Algorithm.PDQ, entry="x")
    loaded = load(
        io.BytesIO(dump(made, file_format)),
        name="a",
        source="a",
        file_format=file_format,
        algorithm=Algorithm.PDQ,
    )
    assert list(loaded) == made


def test_an_entry_of_a_digest_algorithm_holds_the_digest() -> None:
    data = encode(scene(1), "PNG")
    made = entry_of(data, algorithm=Algorithm.MD5, entry="x")
    assert made.code.hex() == hashlib.md5(data, usedforsecurity=False).hexdigest()


def test_a_blank_picture_makes_no_entry() -> None:
    blank = encode(scene(1)[:1, :1].repeat(64, axis=0).repeat(64, axis=1), "PNG")
    with pytest.raises(ImageUnreadable, match="quality 0 is below the floor 50"):
        entry_of(blank, algorithm=Algorithm.PDQ, entry="x")


def test_a_blank_picture_makes_an_entry_without_a_floor() -> None:
    blank = encode(scene(1)[:1, :1].repeat(64, axis=0).repeat(64, axis=1), "PNG")
    assert entry_of(blank, algorithm=Algorithm.PDQ, entry="x", min_quality=0).quality == 0


@pytest.mark.parametrize("algorithm", [Algorithm.PDQ, Algorithm.SHA256])
def test_what_is_no_picture_makes_no_entry(algorithm: Algorithm) -> None:
    with pytest.raises(ImageUnreadable):
        entry_of(b"no picture", algorithm=algorithm, entry="x")


def test_limits_hold_for_entries() -> None:
    with pytest.raises(ImageUnreadable, match="max_bytes"):
        entry_of(
            encode(scene(1), "PNG"), algorithm=Algorithm.PDQ, entry="x", limits=Limits(max_bytes=10)
        )


# ── The sample lists ──────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_the_sample_lists_are_what_the_script_makes() -> None:
    done = subprocess.run(  # noqa: S603  # our own script
        [sys.executable, str(ROOT / "hashlists/rebuild.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "0 changed\n")


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        ("sample-pdq.csv", Algorithm.PDQ),
        ("sample-phash.jsonl", Algorithm.PHASH256),
        ("sample-sha256.csv", Algorithm.SHA256),
    ],
)
def test_a_sample_list_holds_the_listed_photos(name: str, algorithm: Algorithm) -> None:
    file_format = Format(name.rpartition(".")[2])
    loaded = read((ROOT / "hashlists" / name).read_bytes(), file_format, algorithm)
    assert list(loaded.entries) == list(LISTED)
