"""Readers of others' lists: what golden files hold, what malformed records yield, bounds."""

from __future__ import annotations

import base64
import io
import json
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO, Protocol
from urllib.parse import unquote

import pytest
from golden_lists import EMPTY_MD5, FILES, FOLDER, MAPPED_ROWS, A, B, C
from hypothesis import given
from hypothesis import strategies as st

from initgate.errors import ConfigError, ListRejected
from initgate.lists import (
    mapped_list,
    ncmec_list,
    stopncii_list,
    tat_list,
    threat_updates_list,
    threatexchange_list,
    typed_list,
    vics_list,
)
from initgate.lists.feed import (
    MAX_RECORD_BYTES,
    Held,
    Record,
    Skipped,
    Tally,
    Unmatched,
    Withdrawn,
    label,
    strict,
    tag,
    tolerant,
)
from initgate.lists.json_stream import outline
from initgate.lists.mapped_list import Columns, Encoding, Layout
from initgate.model import Algorithm, ListEntry

pytest.importorskip("ijson")
pytest.importorskip("lxml")

MD5, SHA1, SHA256, PDQ = Algorithm.MD5, Algorithm.SHA1, Algorithm.SHA256, Algorithm.PDQ
CATEGORIES = {1: "severe", 2: "other"}
COLUMNS = Columns(
    hashes={"MD5": "MD5", "SHA-1": "SHA-1", "PhotoDNA": "PhotoDNA"},
    entry="Ref",
    tags=("Grade",),
    withdrawn="Removed",
    withdrawn_values=frozenset({"true"}),
)
LONG = Columns(hash="value", algorithm="kind", quality="quality")


class Reader(Protocol):
    def __call__(self, file: BinaryIO, *, source: str) -> Iterator[Record]: ...


def ncmec(file: BinaryIO, *, source: str) -> Iterator[Record]:
    return ncmec_list.read(file, source=source, environment="Industry")


def vics(country: str) -> Reader:
    def read(file: BinaryIO, *, source: str) -> Iterator[Record]:
        return vics_list.read(file, source=source, categories=CATEGORIES, country=country)

    return read


def mapped(layout: Layout, columns: Columns = COLUMNS) -> Reader:
    def read(file: BinaryIO, *, source: str) -> Iterator[Record]:
        return mapped_list.read(file, source=source, columns=columns, layout=layout)

    return read


READERS: dict[str, Reader] = {
    "ncmec.xml": ncmec,
    "stopncii.json": stopncii_list.read,
    "tat.json": tat_list.read,
    "threat_updates.json": threat_updates_list.read,
    "vics-media.json": vics(""),
    "vics-cases.json": vics("UK"),
    "threatexchange.csv": threatexchange_list.read,
    "typed.txt": typed_list.read,
    **{f"mapped.{layout}": mapped(layout) for layout in Layout},
}


def records(reader: Reader, data: str | bytes) -> list[Record]:
    data = data.encode() if isinstance(data, str) else data
    return list(reader(io.BytesIO(data), source="a.file"))


def outcome(reader: Reader, data: bytes) -> list[Record] | ListRejected:
    """The records or why the file was rejected; no other exception comes out."""
    try:
        return records(reader, data)
    except ListRejected as error:
        return error


def rejected(reader: Reader, data: str | bytes) -> str:
    """Why a file cannot be read to its end."""
    with pytest.raises(ListRejected) as raised:
        records(reader, data)
    return str(raised.value)


def bad(reader: Reader, data: str | bytes) -> list[str]:
    """Why records of a file cannot be read."""
    return [str(one) for one in records(reader, data) if isinstance(one, ListRejected)]


# ── Golden files ──────────────────────────────────────────────────────────────────────────────

PDQ_A, PDQ_B, PDQ_C = (f"pdq:{one.pdq.hex()}" for one in (A, B, C))
VICS_A, VICS_B = (f"md5:{one.md5.hex()}" for one in (A, B))
SHARED = ("member:42", "environment:Industry", "classification:A1")
NEGATIVE = ("feedback:negative=2", "reason:Not a match")
MAPPED: list[Held] = [
    ListEntry(MD5, A.md5, "0017", tags=("Grade:A%3BB",)),
    ListEntry(SHA1, A.sha1, "0017", tags=("Grade:A%3BB",)),
    Unmatched("PhotoDNA", "0017"),
    ListEntry(MD5, B.md5, "0018"),
    Withdrawn("0019"),
    Skipped("no hash", "0020"),
]
GOLDEN: dict[str, list[Held]] = {
    "ncmec.xml": [
        ListEntry(MD5, A.md5, "42/image1", tags=(*SHARED, *NEGATIVE)),
        ListEntry(SHA1, A.sha1, "42/image1", tags=SHARED),
        Unmatched("pdna", "42/image1"),
        ListEntry(PDQ, A.pdq, "42/image1", tags=(*SHARED, "feedback:affirmative=3")),
        Skipped("placeholder", "42/image2"),
        Withdrawn("43/image4"),
        Unmatched("md5 of a video", "42/video1/video"),
        Unmatched("tmk-pdqf of a video", "42/video1/video"),
        Skipped("deleted video", "42/video4/video"),
    ],
    "stopncii.json": [
        ListEntry(
            PDQ,
            A.pdq,
            PDQ_A,
            tags=(
                "status:Active",
                "case:1f-2=Active",
                "feedback:Blocked=2",
                "feedback:NotBlocked=1",
                "feedback-tag:seen%3B twice",
            ),
        ),
        ListEntry(PDQ, B.pdq, PDQ_B, tags=("status:Received",)),
        Withdrawn(PDQ_C),
        Withdrawn("pdq:" + "0" * 64),
        Skipped("placeholder", "pdq:" + "f" * 64),
        Unmatched("VideoMD5", f"VideoMD5:{A.md5.hex()}"),
    ],
    "tat.json": [
        ListEntry(PDQ, A.pdq, "1", tags=("ideology:far-right", "file_type:jpg")),
        ListEntry(MD5, A.md5, "2", tags=("ideology:far-right", "file_type:jpg")),
        ListEntry(SHA256, A.sha256, "3", tags=("ideology:far-right",)),
        Unmatched("SHA512", "4"),
        Unmatched("MD5 of a video", "5"),
        Withdrawn("6"),
    ],
    "threat_updates.json": [
        ListEntry(
            PDQ,
            A.pdq,
            "1",
            tags=(
                "status:MALICIOUS=1",
                "status:NON_MALICIOUS=1",
                "feedback:negative=2",
                "member:1",
                "member:2",
                "tag:one",
                "tag:two%3Bthree",
            ),
        ),
        ListEntry(MD5, B.md5, "2", tags=("status:MALICIOUS=1", "member:1")),
        ListEntry(SHA1, B.sha1, "3", tags=("status:SUSPICIOUS=1", "member:1", "tag:one")),
        ListEntry(SHA256, B.sha256, "4", tags=("status:MALICIOUS=1", "member:1")),
        Unmatched("HASH_VIDEO_MD5", "5"),
        Unmatched("HASH_MD5 of a video", "6"),
        Withdrawn("7"),
        Withdrawn("8"),
        Skipped("status NON_MALICIOUS", "9"),
        Skipped("placeholder", "10"),
    ],
    "vics-media.json": [
        ListEntry(MD5, A.md5, VICS_A, tags=("category:severe",)),
        ListEntry(SHA1, A.sha1, VICS_A, tags=("category:severe",)),
        Skipped("category 0", VICS_B),
        Skipped("placeholder", f"md5:{EMPTY_MD5}"),
    ],
    "vics-cases.json": [
        ListEntry(MD5, A.md5, VICS_A, tags=("category:other",)),
        ListEntry(SHA256, A.sha256, VICS_A, tags=("category:other",)),
        ListEntry(PDQ, A.pdq, VICS_A, tags=("category:other",)),
        Unmatched("PhotoDNA", VICS_A),
        Unmatched("md5 of a video", VICS_B),
        ListEntry(SHA1, C.sha1, f"sha1:{C.sha1.hex()}", tags=("category:severe",)),
        Skipped("category none", f"sha1:{B.sha1.hex()}"),
    ],
    "threatexchange.csv": [
        ListEntry(
            PDQ,
            A.pdq,
            PDQ_A,
            tags=("collab:Sample, Data", "category:POSITIVE_CLASS", "tag:one", "tag:two"),
        ),
        ListEntry(PDQ, B.pdq, PDQ_B, tags=("collab:Other", "category:DISPUTED")),
        Skipped("category NEGATIVE_CLASS", PDQ_C),
        Unmatched("video_md5", f"video_md5:{B.md5.hex()}"),
        Unmatched("raw_text", 'raw_text:some "text"%0Aof two lines'),
        Skipped("placeholder", "pdq:" + "0" * 64),
    ],
    "typed.txt": [
        ListEntry(PDQ, A.pdq, PDQ_A),
        Unmatched("video_md5", f"video_md5:{B.md5.hex()}"),
        ListEntry(MD5, C.md5, f"md5:{C.md5.hex()}"),
    ],
    **{f"mapped.{layout}": MAPPED for layout in Layout},
}


@pytest.mark.parametrize("name", FILES)
def test_a_golden_file_is_what_the_script_makes(name: str) -> None:
    assert (FOLDER / name).read_bytes() == FILES[name]


@pytest.mark.parametrize("name", FILES)
def test_a_golden_file_holds_these_records(name: str) -> None:
    assert records(READERS[name], FILES[name]) == GOLDEN[name]


@pytest.mark.parametrize("name", FILES)
def test_a_byte_order_mark_changes_nothing(name: str) -> None:
    data = b"\xef\xbb\xbf" + FILES[name].removeprefix(b"\xef\xbb\xbf")
    assert records(READERS[name], data) == GOLDEN[name]


@pytest.mark.parametrize("name", [name for name in FILES if "mapped" not in name])
def test_capital_digits_make_the_same_records(name: str) -> None:
    data = FILES[name]
    for drawn in (A, B, C):
        for code in (drawn.pdq, drawn.md5, drawn.sha1, drawn.sha256):
            data = data.replace(code.hex().encode(), code.hex().upper().encode())
    kept = [one for one in records(READERS[name], data) if not isinstance(one, Unmatched)]
    assert kept == [one for one in GOLDEN[name] if not isinstance(one, Unmatched)]


@pytest.mark.parametrize("name", [one for one in FILES if one.endswith((".json", ".xml"))])
@given(data=st.data())
def test_a_file_that_is_cut_is_rejected(name: str, data: st.DataObject) -> None:
    whole = FILES[name].rstrip()
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    assert rejected(READERS[name], cut).startswith("a.file: ")


# ── Bytes at random ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", FILES)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_records_or_rejected(name: str, data: bytes) -> None:
    answer = outcome(READERS[name], data)
    assert isinstance(answer, list) or answer.source == "a.file"


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
def test_a_damaged_file_is_records_or_rejected(name: str, data: st.DataObject) -> None:
    whole = FILES[name]
    at = data.draw(st.integers(0, len(whole)))
    new = data.draw(
        st.binary(max_size=4) | st.sampled_from([b'"', b"[", b"{", b"<", b"null", b"9"])
    )
    damaged = whole[:at] + new + whole[data.draw(st.integers(at, at + 8)) :]
    answer = outcome(READERS[name], damaged)
    if isinstance(answer, ListRejected):
        assert answer.source == "a.file"
    else:
        entries = [one for one in answer if isinstance(one, ListEntry)]
        assert all(len(one.code) * 8 == one.algorithm.bits for one in entries)
        assert all(one.entry for one in entries)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=3,
)


@pytest.mark.parametrize(
    "name", ["stopncii.json", "tat.json", "threat_updates.json", "mapped.json", "mapped.jsonl"]
)
@given(data=st.data())
def test_a_field_of_any_value_spoils_at_most_its_record(name: str, data: st.DataObject) -> None:
    good = FIELDS[name]
    key = data.draw(st.sampled_from(sorted(good)))
    value = data.draw(json_values.filter(lambda one: "NaN" not in repr(one)))
    spoilt = good | {key: value}
    lines = [json.dumps(one, allow_nan=True) for one in (good, spoilt, good)]
    data_of = "\n".join(lines) if name.endswith("l") else f"[{','.join(lines)}]"
    if "NaN" in data_of or "Infinity" in data_of:
        return
    found = records(READERS[name], data_of)
    assert found[0] == found[-1]
    assert isinstance(found[0], ListEntry)


# ── Malformed records ─────────────────────────────────────────────────────────────────────────

HEX = A.pdq.hex()
STOPNCII = {
    "lastModtimestamp": 1,
    "signalType": "ImagePDQ",
    "hashValue": HEX,
    "hashStatus": "Active",
    "caseNumbers": {},
    "CSPFeedbacks": [],
}
TAT = {
    "hash_digest": HEX,
    "algorithm": "PDQ",
    "ideology": "all",
    "file_type": "png",
    "deleted": False,
    "id": 5,
}
UPDATE = {
    "id": "5",
    "indicator": HEX,
    "type": "HASH_PDQ",
    "should_delete": False,
    "descriptors": [{"owner": {"id": "1"}, "status": "MALICIOUS", "tags": ["one"]}],
}
MAPPED_ROW = MAPPED_ROWS[1]
FIELDS: dict[str, dict[str, object]] = {
    "stopncii.json": dict(STOPNCII),
    "tat.json": dict(TAT),
    "threat_updates.json": dict(UPDATE),
    "mapped.json": dict(MAPPED_ROW),
    "mapped.jsonl": dict(MAPPED_ROW),
}


def without(record: dict[str, object], key: str) -> dict[str, object]:
    return {name: value for name, value in record.items() if name != key}


BAD_STOPNCII: dict[str, tuple[object, str]] = {
    "a number": (1, "not a JSON object: 1"),
    "null": (None, "not a JSON object: None"),
    "an array": ([STOPNCII], "not a JSON object"),
    "no status": (without(STOPNCII, "hashStatus"), "field 'hashStatus' is missing"),
    "an unknown status": (STOPNCII | {"hashStatus": "Gone"}, "hashStatus: Input should be"),
    "a status in capitals": (STOPNCII | {"hashStatus": "WITHDRAWN"}, "hashStatus"),
    "no value": (without(STOPNCII, "hashValue"), "field 'hashValue' is missing"),
    "a short hash": (STOPNCII | {"hashValue": HEX[1:]}, "pdq needs 64 hexadecimal digits"),
    "a short hash withdrawn": (
        STOPNCII | {"hashValue": HEX[1:], "hashStatus": "Deleted"},
        "pdq needs 64 hexadecimal digits",
    ),
    "a hash with a line end": (STOPNCII | {"hashValue": HEX + "\n"}, "64 hexadecimal digits"),
    "a hash of a number": (STOPNCII | {"hashValue": 7}, "hashValue: Input should be a valid str"),
    "no kind": (STOPNCII | {"signalType": ""}, "signalType"),
    "a kind of 100 characters": (STOPNCII | {"signalType": "k" * 100}, "1 to 64 characters"),
    "cases of numbers": (STOPNCII | {"caseNumbers": [1]}, "caseNumbers"),
    "feedback of texts": (STOPNCII | {"CSPFeedbacks": ["Blocked"]}, "CSPFeedbacks.0"),
    "nested too deep": (
        STOPNCII | {"x": json.loads("[" * 30 + "]" * 30)},
        "nested deeper than 16 levels",
    ),
}


@pytest.mark.parametrize(("record", "reason"), BAD_STOPNCII.values(), ids=BAD_STOPNCII)
def test_a_malformed_record_of_stopncii_is_named(record: object, reason: str) -> None:
    data = json.dumps({"hashRecords": [STOPNCII, record, STOPNCII]})
    assert len(records(stopncii_list.read, data)) == 3
    (message,) = bad(stopncii_list.read, data)
    assert message.startswith("a.file, record 2: ")
    assert reason in message


BAD_TAT: dict[str, tuple[object, str]] = {
    "no id": (without(TAT, "id"), "field 'id' is missing"),
    "an id of null": (TAT | {"id": None}, "id"),
    "an id of true": (TAT | {"id": True}, "id"),
    "an empty id": (TAT | {"id": ""}, "id"),
    "no deleted": (without(TAT, "deleted"), "field 'deleted' is missing"),
    "deleted as a text": (TAT | {"deleted": "true"}, "deleted: Input should be a valid bool"),
    "a short hash": (TAT | {"algorithm": "MD5"}, "md5 needs 32 hexadecimal digits"),
    "no algorithm": (TAT | {"algorithm": ""}, "1 to 64 characters"),
}


@pytest.mark.parametrize(("record", "reason"), BAD_TAT.values(), ids=BAD_TAT)
def test_a_malformed_record_of_tech_against_terrorism_is_named(record: object, reason: str) -> None:
    data = json.dumps([TAT, record, TAT])
    (message,) = bad(tat_list.read, data)
    assert message.startswith("a.file, record 2: ")
    assert reason in message


BAD_UPDATE: dict[str, tuple[object, str]] = {
    "no id": (without(UPDATE, "id"), "field 'id' is missing"),
    "an empty id": (UPDATE | {"id": ""}, "id"),
    "no should_delete": (without(UPDATE, "should_delete"), "field 'should_delete' is missing"),
    "should_delete as a number": (UPDATE | {"should_delete": 1}, "should_delete: Input should be"),
    "no type": (without(UPDATE, "type"), "needs a type and an indicator"),
    "no indicator": (UPDATE | {"indicator": ""}, "needs a type and an indicator"),
    "a long type": (UPDATE | {"type": "k" * 65}, "type: String should have at most 64"),
    "a short hash": (UPDATE | {"indicator": HEX[1:]}, "pdq needs 64 hexadecimal digits"),
    "descriptors of texts": (UPDATE | {"descriptors": ["a"]}, "descriptors.0"),
    "descriptors of a text": (UPDATE | {"descriptors": "a"}, "descriptors"),
    "tags of numbers": (UPDATE | {"descriptors": [{"tags": [1]}]}, "descriptors.0.tags.0"),
    "tags of a number": (UPDATE | {"descriptors": [{"tags": 1}]}, "descriptors.0.tags"),
    "reactions of numbers": (UPDATE | {"descriptors": [{"reactions": 1}]}, "reactions"),
    "an owner of a text": (UPDATE | {"descriptors": [{"owner": "1"}]}, "descriptors.0.owner"),
}


@pytest.mark.parametrize(("record", "reason"), BAD_UPDATE.values(), ids=BAD_UPDATE)
def test_a_malformed_update_of_threatexchange_is_named(record: object, reason: str) -> None:
    data = json.dumps({"data": [UPDATE, record, UPDATE]})
    assert len(records(threat_updates_list.read, data)) == 3
    (message,) = bad(threat_updates_list.read, data)
    assert message.startswith("a.file, record 2: ")
    assert reason in message


@pytest.mark.parametrize(
    "reactions",
    [["DISAGREE_WITH_TAGS"], [{"DISAGREE_WITH_TAGS": ["1"]}], {"DISAGREE_WITH_TAGS": ["1"]}],
)
def test_a_reaction_is_known_in_each_of_its_shapes(reactions: object) -> None:
    said = {"status": "MALICIOUS", "reactions": reactions}
    (entry,) = records(threat_updates_list.read, json.dumps([UPDATE | {"descriptors": [said]}]))
    assert isinstance(entry, ListEntry)
    assert "feedback:negative=1" in entry.tags


# ── What sources ask of an answer ─────────────────────────────────────────────────────────────


def test_an_outline_is_what_stands_outside_of_the_array() -> None:
    found = outline(io.BytesIO(FILES["threat_updates.json"]), "data", source="")
    assert found == {
        "paging.cursors.before": "MTA=",
        "paging.cursors.after": "MTk=",
        "paging.next": "https://graph.facebook.com/v26.0/77/threat_updates/?after=MTk%3D",
    }


@pytest.mark.parametrize("data", [b"[]", b"7", b"{", b'{"a": [1, 2', b"", b'{"a": 1} x'])
def test_an_outline_is_of_an_object_that_is_whole(data: bytes) -> None:
    with pytest.raises(ListRejected):
        outline(io.BytesIO(data), "a", source="")


@given(data=st.dictionaries(st.sampled_from("abc"), json_values, max_size=3))
def test_an_outline_of_any_object_has_its_values(data: dict[str, Any]) -> None:
    written = json.dumps(data)
    if "NaN" in written or "Infinity" in written:
        return
    found = outline(io.BytesIO(written.encode()), "a", source="")
    plain = {k: v for k, v in data.items() if not isinstance(v, dict | list)}
    assert plain.keys() == {key for key in found if "." not in key}


def test_an_answer_of_ncmec_names_its_items_and_the_next() -> None:
    items, following = ncmec_list.paging(io.BytesIO(FILES["ncmec.xml"]), source="")
    assert len(items) == 5
    assert len(set(items)) == 5
    assert following == "/v2/entries?from=2026-01-01&start=2001&size=1000&max=3000"


MEDIA = {"MediaID": 1, "Category": 1, "MD5": A.md5.hex()}
CONTEXT = "http://x/ProjectVic/DataModels/2.0.xml/US/$metadata#Media"


def vics_file(*media: object, context: object = CONTEXT, key: str = "@odata.context") -> str:
    return json.dumps({key: context, "value": media})


def alternative(name: object, value: object) -> object:
    return MEDIA | {"AlternativeHashes": [{"HashName": name, "HashValue": value}]}


BAD_MEDIA: dict[str, tuple[object, str]] = {
    "nothing": ({"Category": 1}, "neither a hash that can be matched nor a MediaID"),
    "a short MD5": (MEDIA | {"MD5": A.md5.hex()[1:]}, "md5 needs 32 hexadecimal digits"),
    "MD5 in base64": (MEDIA | {"MD5": base64.b64encode(A.md5).decode()}, "32 hexadecimal digits"),
    "a category of a text": (MEDIA | {"Category": "one"}, "Category"),
    "a category of a fraction": (MEDIA | {"Category": 1.5}, "Category"),
    "a category of true": (MEDIA | {"Category": True}, "Category"),
    "a hash of no kind": (alternative("", "x"), "1 to 64 characters"),
    "a hash of null": (alternative("PDQ", None), "AlternativeHashes.0.HashValue"),
    "a short alternative": (alternative("PDQ", HEX[1:]), "pdq needs 64 hexadecimal digits"),
    "no base64": (alternative("SHA1", "*" * 28), "sha1 needs 20 bytes in base64"),
    "a field twice": ('{"MD5": "", "MD5": ""}', "field 'MD5' stands twice"),
}


@pytest.mark.parametrize(("media", "reason"), BAD_MEDIA.values(), ids=BAD_MEDIA)
def test_a_malformed_media_of_vics_is_named(media: object, reason: str) -> None:
    data = vics_file(MEDIA, "HERE", MEDIA).replace(
        '"HERE"', media if isinstance(media, str) else json.dumps(media)
    )
    (message,) = bad(vics("US"), data)
    assert message.startswith("a.file, record 2: ")
    assert reason in message


@pytest.mark.parametrize(
    "context",
    ["", None, 7, "http://x/ProjectVic/DataModels/3.0.xml/US/$metadata#Media", CONTEXT + "Files"],
)
def test_a_file_of_no_known_version_of_vics_is_rejected(context: object) -> None:
    assert "no VICS 1.x or 2.0" in rejected(vics(""), vics_file(MEDIA, context=context))


def test_vics_that_does_not_begin_with_its_context_is_rejected() -> None:
    assert "no VICS" in rejected(vics(""), json.dumps({"value": [], "@odata.context": CONTEXT}))


def test_categories_of_another_country_reject_the_file() -> None:
    assert "have the numbers of US" in rejected(vics("UK"), vics_file(MEDIA))


def test_a_file_of_a_version_that_names_no_country_is_rejected_where_one_is_asked() -> None:
    data = vics_file(
        MEDIA, context="http://x/ProjectVic/DataModels/1.3.xml#Media", key="odata.metadata"
    )
    assert "have the numbers of no country" in rejected(vics("UK"), data)


def test_media_of_the_same_placeholder_have_identifiers_of_their_own() -> None:
    media = [{"Category": 1, "MD5": "0" * 32, "SHA1": one.sha1.hex()} for one in (A, B)]
    found = [one for one in records(vics(""), vics_file(*media)) if isinstance(one, ListEntry)]
    assert [one.entry for one in found] == [f"sha1:{one.sha1.hex()}" for one in (A, B)]


def test_media_with_nothing_but_another_kind_of_hash_have_their_number() -> None:
    media = {
        "MediaID": 8,
        "Category": 1,
        "AlternativeHashes": [{"HashName": "X", "HashValue": "y"}],
    }
    assert records(vics(""), vics_file(media)) == [Unmatched("X", "media:8")]


def item(inner: str, kind: str = "image") -> str:
    return f"<{kind}>{inner}</{kind}>"


WHOSE = '<member id="4">M</member><id>i</id>'
GOOD_ITEM = item(f"{WHOSE}<fingerprints><md5>{A.md5.hex()}</md5></fingerprints>")


def ncmec_file(*items: str, space: str = "https://hashsharing.ncmec.org/hashsharing/v2") -> str:
    return f'<queryResult xmlns="{space}"><images>{"".join(items)}</images></queryResult>'


BAD_ITEMS = {
    "no member": (item("<id>i</id>"), "one member, found 0"),
    "a member without an id": (item("<member>M</member><id>i</id>"), "its member too"),
    "two members": (item(WHOSE + '<member id="5"/>'), "one member, found 2"),
    "no id": (item('<member id="4"/>'), "one id, found 0"),
    "an empty id": (item('<member id="4"/><id> </id>'), "needs an id"),
    "a deleted one without an id": (item('<member id="4"/>', "deletedImage"), "one id, found 0"),
    "a short hash": (item(WHOSE + "<fingerprints><md5>ab</md5></fingerprints>"), "32 hexadecimal"),
    "hashes twice": (
        item(WHOSE + "<fingerprints><pdna>1</pdna><pdna>2</pdna></fingerprints>"),
        "'pdna' stands twice",
    ),
    "another kind": (item(WHOSE, "audio"), "unknown item 'audio' in images"),
    "a video among images": (item(WHOSE, "video"), "unknown item 'video' in images"),
}


@pytest.mark.parametrize(("bad_item", "reason"), BAD_ITEMS.values(), ids=BAD_ITEMS)
def test_a_malformed_item_of_ncmec_is_named(bad_item: str, reason: str) -> None:
    data = ncmec_file(GOOD_ITEM, bad_item, GOOD_ITEM)
    assert len(records(ncmec, data)) == 3
    (message,) = bad(ncmec, data)
    assert message.startswith("a.file, record 2: ")
    assert reason in message


def test_items_of_a_group_of_no_known_kind_are_not_passed_over() -> None:
    assert bad(ncmec, f"<queryResult><audios>{GOOD_ITEM}</audios></queryResult>") == [
        "a.file, record 1: neither images nor videos: 'audios'"
    ]


def test_an_image_without_hashes_is_counted() -> None:
    assert records(ncmec, ncmec_file(item(WHOSE))) == [Skipped("no hash", "4/i")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "no XML"),
        ("<queryResult>", "no XML"),
        ("<queryResult><images></queryResult>", "no XML"),
        ("<other/>", "no queryResult of Hash Sharing version 2: 'other'"),
        (ncmec_file(space="https://hashsharing.ncmec.org/hashsharing/v3"), "version 2"),
        ("<!DOCTYPE queryResult><queryResult/>", "a document type is not allowed"),
        (
            '<!DOCTYPE q SYSTEM "file:///etc/hostname"><queryResult/>',
            "a document type is not allowed",
        ),
        (
            '<!DOCTYPE q [<!ENTITY e "4">]><queryResult>&e;</queryResult>',
            "a document type is not allowed",
        ),
        ("<queryResult>&e;</queryResult>", "no XML"),
        ("<queryResult>" + "<a>" * 300, "no XML"),
    ],
)
def test_a_file_that_is_not_ncmec_s_is_rejected(data: str, reason: str) -> None:
    assert reason in rejected(ncmec, data)


THREAT_HEADER = "signal_type,signal_str,collab,category,tags\n"
BAD_ROWS = {
    "too few fields": ("pdq", "1 fields, the header has 5"),
    "a short hash": ("pdq,ab,c,POSITIVE_CLASS,", "pdq needs 64 hexadecimal digits"),
    "no category": (f"pdq,{HEX},c,,", "unknown category ''"),
    "an unknown category": (f"pdq,{HEX},c,GOOD,", "unknown category 'GOOD'"),
    "no kind": (f",{HEX},c,POSITIVE_CLASS,", "1 to 64 characters"),
    "no value": ("tmk,,c,POSITIVE_CLASS,", "'tmk' without a value"),
    "text after a quote": ('"pdq"x,ab,c,POSITIVE_CLASS,', "expected after"),
}


@pytest.mark.parametrize(("row", "reason"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_malformed_row_of_threatexchange_is_named(row: str, reason: str) -> None:
    good = f"pdq,{HEX},c,POSITIVE_CLASS,\n"
    data = f"{THREAT_HEADER}{good}{row}\n{good}"
    assert len(records(threatexchange_list.read, data)) == 3
    (message,) = bad(threatexchange_list.read, data)
    assert message.startswith("a.file, line 3: ")
    assert reason in message


@pytest.mark.parametrize(
    "header", ["", "signal_type,signal_str", THREAT_HEADER.strip() + ",tags", '"a"b', "\xff"]
)
def test_a_header_that_lacks_or_repeats_a_column_rejects_the_file(header: str) -> None:
    assert "header" in rejected(threatexchange_list.read, header + "\n")


BAD_LINES = {
    "a hash of no type": (HEX, "neither TYPE HASH nor a hash of a type that is known"),
    "a short hash": ("pdq ab", "pdq needs 64 hexadecimal digits"),
    "two hashes": (f"pdq {HEX} {HEX}", "pdq needs 64 hexadecimal digits"),
}


@pytest.mark.parametrize(("line", "reason"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_malformed_line_of_a_typed_file_is_named(line: str, reason: str) -> None:
    (message,) = bad(typed_list.read, f"pdq {HEX}\n{line}\n")
    assert message.startswith("a.file, line 2: ")
    assert reason in message


def test_lines_of_a_type_that_is_known_are_hashes_alone() -> None:
    found = typed_list.read(io.BytesIO(f"{HEX}\n".encode()), source="", signal_type="pdq")
    assert list(found) == [ListEntry(PDQ, A.pdq, PDQ_A)]


def row(**changes: object) -> dict[str, object]:
    return dict(MAPPED_ROW) | changes


BAD_MAPPED: dict[str, tuple[object, str]] = {
    "no identifier": (row(Ref=""), "Ref is empty"),
    "an identifier of a fraction": (row(Ref=1.5), "Ref must be a text or a whole number"),
    "an identifier of an array": (row(Ref=["1"]), "Ref must be a text or a whole number"),
    "a short hash": (row(MD5="ab"), "md5 needs 32 hexadecimal digits"),
    "an array": ([], "not a JSON object"),
}


@pytest.mark.parametrize("layout", [Layout.JSON, Layout.JSONL])
@pytest.mark.parametrize(("record", "reason"), BAD_MAPPED.values(), ids=BAD_MAPPED)
def test_a_malformed_record_of_a_mapped_list_is_named(
    record: object, reason: str, layout: Layout
) -> None:
    lines = [json.dumps(one) for one in (MAPPED_ROW, record, MAPPED_ROW)]
    data = "\n".join(lines) if layout is Layout.JSONL else f"[{','.join(lines)}]"
    (message,) = bad(mapped(layout), data)
    assert message.startswith(f"a.file, {'line' if layout is Layout.JSONL else 'record'} 2: ")
    assert reason in message


BAD_JSON_LINES = {
    "no JSON": "MD5",
    "cut off": '{"Ref": "1"',
    "a field twice": '{"Ref": "1", "Ref": "2"}',
    "NaN": '{"Ref": NaN}',
    "a number of 5000 digits": '{"Ref": ' + "9" * 5000 + "}",
    "deeply nested": "[" * 100_000,
}


@pytest.mark.parametrize("line", BAD_JSON_LINES.values(), ids=BAD_JSON_LINES)
def test_a_malformed_line_of_json_is_named(line: str) -> None:
    good = json.dumps(MAPPED_ROW)
    (message,) = bad(mapped(Layout.JSONL), f"{good}\n\n{line}\n{good}")
    assert message.startswith("a.file, line 3: no JSON object: ")


@pytest.mark.parametrize("layout", [Layout.CSV, Layout.TSV])
def test_a_mapped_list_without_a_column_is_rejected_and_told_which(layout: Layout) -> None:
    assert "lacks Grade, MD5, PhotoDNA, Removed, SHA-1" in rejected(mapped(layout), "Ref\n1\n")


# ── The map of columns ────────────────────────────────────────────────────────────────────────


def long(kind: str, value: str, quality: str = "") -> list[Record]:
    data = f"kind,value,quality\n{kind},{value},{quality}\n"
    return records(mapped(Layout.CSV, LONG), data)


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [
        ("SHA-256", SHA256),
        ("sha_1", SHA1),
        ("Md5", MD5),
        ("PDQ", PDQ),
        ("pHash64", Algorithm.PHASH64),
    ],
)
def test_an_algorithm_is_known_by_its_usual_spellings(kind: str, algorithm: Algorithm) -> None:
    code = bytes(range(1, 1 + algorithm.bits // 8))
    assert long(kind, code.hex()) == [ListEntry(algorithm, code, f"{algorithm}:{code.hex()}")]


def test_a_list_without_identifiers_has_its_hashes_for_them() -> None:
    assert long("PDQ", HEX.upper(), "77") == [ListEntry(PDQ, A.pdq, PDQ_A, 77)]


def test_a_withdrawal_without_an_identifier_is_of_the_hash() -> None:
    columns = Columns(
        hashes={"value": "PDQ"}, withdrawn="state", withdrawn_values=frozenset({"gone"})
    )
    data = f"value,state\n{HEX.upper()},gone\n"
    assert records(mapped(Layout.CSV, columns), data) == [Withdrawn(PDQ_A, PDQ)]


@pytest.mark.parametrize("quality", ["101", "-1", "9.5", "good", "٩"])
def test_a_quality_that_is_none_is_named(quality: str) -> None:
    (one,) = long("PDQ", HEX, quality)
    assert "quality must be a whole number from 0 to 100" in str(one)


def test_half_a_pair_is_named() -> None:
    (one,) = long("", HEX)
    assert "value or kind is empty" in str(one)


def test_hashes_may_be_in_base64() -> None:
    columns = Columns(hashes={"value": "PDQ"}, encoding=Encoding.BASE64)
    data = f"value\n{base64.b64encode(A.pdq).decode()}\n{HEX}\n"
    entry, other = records(mapped(Layout.CSV, columns), data)
    assert entry == ListEntry(PDQ, A.pdq, PDQ_A)
    assert "pdq needs 32 bytes in base64" in str(other)


def test_columns_that_are_not_read_may_hold_anything() -> None:
    columns = Columns(hashes={"value": "PDQ"})
    data = b"value,note\n" + HEX.encode() + b",caf\xe9\n"
    assert records(mapped(Layout.CSV, columns), data) == [ListEntry(PDQ, A.pdq, PDQ_A)]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"hash": "value"},
        {"algorithm": "kind"},
        {"hashes": {"a": "PDQ"}, "hash": "value", "algorithm": "kind"},
        {"hashes": {"a": "PDQ"}, "withdrawn": "state"},
        {"hashes": {"a": "PDQ"}, "withdrawn_values": frozenset({"gone"})},
    ],
)
def test_a_map_that_is_half_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Columns(**settings)


# ── Bounds ────────────────────────────────────────────────────────────────────────────────────

MORE = MAX_RECORD_BYTES + 200_000
HOSTILE = {
    "nested arrays": ("stopncii.json", b"[" * MORE),
    "nested objects": ("stopncii.json", b'{"a":' * (MORE // 5)),
    "a long text": ("stopncii.json", b'["' + b"a" * MORE),
    "a long number": ("stopncii.json", b"[" + b"1" * 2000),
    "spaces": ("stopncii.json", b" " * MORE),
    "a long field that is not read": ("tat.json", b'{"next":"' + b"a" * MORE + b'","results":[]}'),
    "an item of many elements": (
        "ncmec.xml",
        b"<queryResult><images><image>"
        + b"<a>%s</a>" % (b"<abcdefghijklmnopqrstuvwxyz/>" * (MORE // 20)),
    ),
    "a long element": ("ncmec.xml", b"<queryResult><images><image><md5>" + b"a" * MORE),
    "a long attribute": ("ncmec.xml", b'<queryResult><images><image a="' + b"a" * MORE),
    "a long comment": ("ncmec.xml", b"<queryResult><images><!--" + b"a" * MORE),
    "many entities": ("ncmec.xml", b"<!DOCTYPE q [" + b'<!ENTITY a "b">' * (MORE // 15)),
    "a long line": ("typed.txt", b"pdq " + b"a" * MORE),
    "a row of commas": ("threatexchange.csv", THREAT_HEADER.encode() + b"," * MORE),
    "a row of many lines": ("threatexchange.csv", THREAT_HEADER.encode() + b'"a\n",' * MORE),
    "a long line of JSON": ("mapped.jsonl", b'{"a":"' + b"a" * MORE),
}


@pytest.mark.parametrize(("name", "data"), HOSTILE.values(), ids=HOSTILE)
def test_what_grows_without_a_record_is_rejected(name: str, data: bytes) -> None:
    file = io.BytesIO(data)
    with pytest.raises(ListRejected, match=r"bytes|digits"):
        list(READERS[name](file, source=name))
    assert file.tell() <= MORE


def test_entities_that_multiply_are_rejected() -> None:
    entities = '<!ENTITY a0 "ha">' + "".join(
        f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12)
    )
    rejected(ncmec, f"<!DOCTYPE q [{entities}]><queryResult>&a11;</queryResult>")


def test_a_number_of_many_digits_is_found_across_reads() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(100, 100 if size is None else size))

    data = json.dumps([STOPNCII])[:-2] + ', "x": ' + "1" * 5000 + "}]"
    with pytest.raises(ListRejected, match="640 digits"):
        list(stopncii_list.read(Slow(data.encode()), source=""))


@pytest.mark.parametrize("name", ["stopncii.json", "ncmec.xml"])
def test_records_are_read_one_after_another(name: str) -> None:
    many = {
        "stopncii.json": json.dumps([STOPNCII] * 10_000),
        "ncmec.xml": ncmec_file(*[GOOD_ITEM] * 10_000),
    }
    file = io.BytesIO(many[name].encode())
    next(READERS[name](file, source=""))
    assert file.tell() < 200_000


@pytest.mark.parametrize(("name", "module"), [("tat.json", "ijson"), ("ncmec.xml", "lxml")])
def test_without_the_extra_it_is_named_and_nothing_is_said_against_the_file(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=r"pip install 'initgate\[lists\]'"):
        records(READERS[name], FILES[name])


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("stopncii.json", "{}"),
        ("stopncii.json", '{"results": []}'),
        ("stopncii.json", '{"hashRecords": null}'),
        ("tat.json", "7"),
        ("vics-cases.json", FILES["vics-cases.json"].decode().replace('"Media"', '"Medium"')),
    ],
)
def test_a_file_without_the_array_of_its_format_is_rejected(name: str, data: str) -> None:
    assert "there is no array" in rejected(READERS[name], data)


# ── What the readers share ────────────────────────────────────────────────────────────────────

GOOD = ListEntry(PDQ, A.pdq, "a")
BAD = ListRejected("bad", source="a.file", record=2, unit="record")


def test_a_record_is_named_where_there_are_no_lines() -> None:
    assert str(BAD) == "a.file, record 2: bad"


def test_a_strict_list_is_rejected_at_its_first_bad_record() -> None:
    found = strict([GOOD, BAD, GOOD])
    assert next(found) == GOOD
    with pytest.raises(ListRejected, match="record 2: bad"):
        next(found)


def test_a_tolerant_list_goes_without_so_many_bad_records() -> None:
    assert list(tolerant([GOOD, BAD, GOOD, BAD], at_most=2)) == [GOOD, GOOD]


def test_a_tolerant_list_is_rejected_at_one_too_many() -> None:
    with pytest.raises(ListRejected, match="record 2: bad"):
        list(tolerant([BAD, GOOD, BAD], at_most=1))


def test_a_tally_counts_what_passes() -> None:
    tally = Tally()
    everything: list[Record] = [*GOLDEN["tat.json"], BAD, Skipped("placeholder", "x")]
    assert list(tally.following(everything)) == everything
    assert tally == Tally(
        entries=Counter({PDQ: 1, MD5: 1, SHA256: 1}),
        withdrawn=1,
        unmatched=Counter({"SHA512": 1, "MD5 of a video": 1}),
        skipped=Counter({"placeholder": 1}),
        rejected=1,
    )


@given(text=st.text())
def test_tags_and_identifiers_lose_nothing(text: str) -> None:
    made = tag("key", text)
    assert ";" not in made
    assert made.isprintable() or not any(ord(one) < 32 or ord(one) == 127 for one in made)
    assert unquote(made) == f"key:{text}"
    assert unquote(label(text)) == text


@given(first=st.text(), second=st.text())
def test_different_texts_make_different_identifiers(first: str, second: str) -> None:
    assert (label(first) == label(second)) == (first == second)


@pytest.mark.parametrize(
    "placeholder", ["0" * 32, "f" * 32, EMPTY_MD5], ids=["zeros", "ones", "of no bytes"]
)
def test_a_placeholder_is_no_entry(placeholder: str) -> None:
    assert long("MD5", placeholder) == [Skipped("placeholder", f"md5:{placeholder}")]


@pytest.mark.parametrize("name", ["stopncii.json", "tat.json", "typed.txt"])
def test_a_withdrawal_names_the_identifier_of_the_entry(name: str) -> None:
    added = {
        "stopncii.json": json.dumps([STOPNCII]),
        "tat.json": json.dumps([TAT]),
        "typed.txt": f"pdq {HEX}",
    }[name]
    withdrawn = {
        "stopncii.json": json.dumps(
            [STOPNCII | {"hashStatus": "Deleted", "hashValue": HEX.upper()}]
        ),
        "tat.json": json.dumps([TAT | {"deleted": True, "hash_digest": ""}]),
        "typed.txt": f"pdq {HEX.upper()}",
    }[name]
    (entry,) = records(READERS[name], added)
    (gone,) = records(READERS[name], withdrawn)
    assert isinstance(entry, ListEntry)
    assert isinstance(gone, Withdrawn | ListEntry)
    assert gone.entry == entry.entry
