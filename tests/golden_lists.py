"""The lists of others, as far as their shapes are public, with hashes of drawn scenes.

``python tests/golden_lists.py`` writes them to ``tests/golden``.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from initgate.hashing import hash_upright
from initgate.model import Algorithm
from initgate.testing import scene

FOLDER = Path(__file__).parent / "golden"
EMPTY_MD5 = hashlib.md5(b"", usedforsecurity=False).hexdigest()
PHOTO_DNA = base64.b64encode(bytes(range(144))).decode()  # the shape of one


@dataclass(frozen=True)
class Drawn:
    """The hashes of a drawn scene; the digests are of its pixels."""

    pdq: bytes
    md5: bytes
    sha1: bytes
    sha256: bytes


def drawn(seed: int) -> Drawn:
    picture = scene(seed)
    data = picture.tobytes()
    return Drawn(
        hash_upright(picture, Algorithm.PDQ).code,
        hashlib.md5(data, usedforsecurity=False).digest(),
        hashlib.sha1(data, usedforsecurity=False).digest(),
        hashlib.sha256(data).digest(),
    )


A, B, C = map(drawn, (1, 2, 3))


def ncmec() -> bytes:
    def feedback(word: str, kind: str, *members: int) -> str:
        said = "".join(f'<member id="{one}">Member {one}</member>' for one in members)
        members_said = f'<members timestamp="2026-01-02T03:04:05Z">{said}</members>'
        if word == "negative":
            reason = f'<reason guid="0-1" name="Not a match" type="{kind}"/>'
            members_said = f"<reasons>{reason}{members_said}</reasons>"
        return f'<{word}Feedback type="{kind}">{members_said}</{word}Feedback>'

    return f"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2">
  <images count="3" maxTimestamp="2026-01-02T03:04:05Z">
    <image>
      <member id="42">Example &amp; Co</member>
      <timestamp>2026-01-02T03:04:05Z</timestamp>
      <id>image1</id>
      <classification>A1</classification>
      <fingerprints>
        <md5>{A.md5.hex()}</md5>
        <sha1>{A.sha1.hex().upper()}</sha1>
        <pdna>{bytes(range(144)).hex()}</pdna>
        <pdq>{A.pdq.hex()}</pdq>
      </fingerprints>
      <feedback lastUpdateTimestamp="2026-01-02T03:04:05Z">
        {feedback("affirmative", "Pdq", 7, 8, 9)}
        {feedback("negative", "Md5", 7, 8)}
      </feedback>
    </image>
    <image>
      <member id="42">Example &amp; Co</member>
      <timestamp>2026-01-02T03:04:05Z</timestamp>
      <id>image2</id>
      <fingerprints><md5>{EMPTY_MD5}</md5></fingerprints>
      <feedback/>
    </image>
    <deletedImage>
      <member id="43">Another</member>
      <id>image4</id>
      <timestamp>2026-01-02T03:04:05Z</timestamp>
    </deletedImage>
  </images>
  <videos count="2" maxTimestamp="2026-01-02T03:04:05Z">
    <video>
      <member id="42">Example &amp; Co</member>
      <timestamp>2026-01-02T03:04:05Z</timestamp>
      <id>video1</id>
      <fingerprints>
        <md5>{B.md5.hex()}</md5>
        <tmk-pdqf rel="self" href="/v2/entries/1/fingerprints/TMK_PDQF"/>
      </fingerprints>
    </video>
    <deletedVideo>
      <member id="42">Example &amp; Co</member>
      <id>video4</id>
      <timestamp>2026-01-02T03:04:05Z</timestamp>
    </deletedVideo>
  </videos>
  <paging><next>/v2/entries?from=2026-01-01&amp;start=2001&amp;size=1000&amp;max=3000</next></paging>
</queryResult>
""".encode()


def stopncii() -> bytes:
    def record(value: str, status: str, kind: str = "ImagePDQ", **more: object) -> object:
        cases: object = {"1f-2": status}
        fixed = {"lastModtimestamp": 1767323045, "signalType": kind, "hashValue": value}
        return fixed | {"hashStatus": status, "caseNumbers": cases} | more

    feedback = [
        {"source": "one", "feedbackValue": "Blocked", "tags": ["seen; twice"]},
        {"source": "two", "feedbackValue": "Blocked", "tags": []},
        {"source": "three", "feedbackValue": "NotBlocked"},
    ]
    return _json(
        {
            "count": 6,
            "nextPageToken": None,
            "nextSetTimestamp": 1767323045,
            "hasMoreRecords": False,
            "hashRecords": [
                record(A.pdq.hex(), "Active", CSPFeedbacks=feedback),
                record(B.pdq.hex().upper(), "Received", caseNumbers=[]),
                record(C.pdq.hex(), "Withdrawn"),
                record("0" * 64, "Deleted"),
                record("f" * 64, "Active"),
                record(A.md5.hex(), "Active", "VideoMD5"),
            ],
        }
    )


def tat() -> bytes:
    def record(number: int, algorithm: str, digest: str, **more: object) -> object:
        fixed = {"hash_digest": digest, "algorithm": algorithm, "ideology": "far-right"}
        fixed |= {"file_type": "jpg", "updated_on": "1767323045.5", "id": str(number)}
        return fixed | {"deleted": False, "id": number} | more

    return _json(
        {
            "count": 6,
            "next": None,
            "previous": None,
            "checkpoint": "1767323045,6",
            "results": [
                record(1, "PDQ", A.pdq.hex()),
                record(2, "MD5", A.md5.hex()),
                record(3, "SHA256", A.sha256.hex(), file_type=None),
                record(4, "SHA512", "0" * 128),
                record(5, "MD5", B.md5.hex(), file_type="mp4"),
                record(6, "PDQ", C.pdq.hex(), deleted=True),
            ],
        }
    )


def threat_updates() -> bytes:
    def said(owner: int, status: str, *tags: str, reactions: Sequence[str] = ()) -> object:
        made: dict[str, object] = {"id": str(owner * 10), "owner": {"id": str(owner)}}
        made["status"] = status
        if tags:
            made["tags"] = {"data": [{"id": "9", "text": one} for one in tags]}
        if reactions:
            made["reactions"] = [{"key": one, "value": "3"} for one in reactions]
        return made

    def update(number: int, kind: str, indicator: str, *descriptors: object) -> object:
        fixed: dict[str, object] = {"id": str(number), "indicator": indicator, "type": kind}
        fixed |= {"creation_time": 1767323000, "last_updated": 1767323045}
        return fixed | {"should_delete": False, "descriptors": {"data": list(descriptors)}}

    gone = {"id": "7", "indicator": C.pdq.hex(), "type": "HASH_PDQ", "last_updated": 1767323045}
    disputed = said(2, "NON_MALICIOUS")
    doubted = said(1, "MALICIOUS", "one", "two;three", reactions=["DISAGREE_WITH_TAGS"])
    bad = said(1, "MALICIOUS")
    return _json(
        {
            "data": [
                update(1, "HASH_PDQ", A.pdq.hex(), doubted, disputed),
                update(2, "HASH_MD5", B.md5.hex().upper(), bad),
                update(3, "HASH_SHA1", B.sha1.hex(), said(1, "SUSPICIOUS", "one")),
                update(4, "HASH_SHA256", B.sha256.hex(), bad),
                update(5, "HASH_VIDEO_MD5", B.md5.hex(), bad),
                update(6, "HASH_MD5", C.md5.hex(), said(1, "MALICIOUS", "media_type_video")),
                gone | {"should_delete": True},
                gone | {"id": "8", "should_delete": False},
                update(9, "HASH_PDQ", B.pdq.hex(), disputed),
                update(10, "HASH_PDQ", "0" * 64, bad),
            ],
            "paging": {
                "cursors": {"before": "MTA=", "after": "MTk="},
                "next": "https://graph.facebook.com/v26.0/77/threat_updates/?after=MTk%3D",
            },
        }
    )


def vics_media() -> bytes:
    """A file of version 1.3: a byte order mark, capital digits, numbers as texts."""
    value = [
        {
            "odata.id": f'Media("{A.md5.hex()}")',
            "MediaFiles": [{"MD5": A.md5.hex(), "FileName": "a.jpg", "FilePath": "photos"}],
            "MediaID": 0,
            "MD5": A.md5.hex().upper(),
            "SHA1": A.sha1.hex(),
            "Category": "1",
            "MediaSize": "488",
        },
        {"MediaID": 0, "MD5": B.md5.hex(), "SHA1": None, "Category": 0},
        {"MediaID": 0, "MD5": EMPTY_MD5, "Category": 1},
    ]
    metadata = "http://github.com/ICMEC/ProjectVic/DataModels/1.3.xml#Media"
    return b"\xef\xbb\xbf" + _json({"odata.metadata": metadata, "value": value})


def vics_cases() -> bytes:
    """A file of version 2.0: media in cases, with hashes of other kinds."""
    alternatives = [
        {"HashName": "PhotoDNA", "HashValue": PHOTO_DNA},
        {"HashName": "SHA-256", "HashValue": base64.b64encode(A.sha256).decode()},
        {"HashName": "PDQ", "HashValue": A.pdq.hex()},
    ]
    first = {"MediaID": 7, "Category": 2, "MD5": A.md5.hex(), "AlternativeHashes": alternatives}
    film = {"MediaID": 8, "Category": 1, "MD5": B.md5.hex(), "MimeType": "video/mp4"}
    bare = {"MediaID": 9, "Category": 1, "MD5": "", "SHA1": C.sha1.hex().upper()}
    unknown = {"MediaID": 10, "Category": None, "SHA1": B.sha1.hex()}
    return _json(
        {
            "@odata.context": "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/UK/"
            "$metadata#Cases",
            "value": [
                {"CaseID": "one", "TotalMediaFiles": 2, "Media": [first, film]},
                {"CaseID": "two", "Media": None},
                {"CaseID": "three", "Media": [bare, unknown]},
            ],
        }
    )


def threatexchange() -> bytes:
    return _csv(
        [
            ("signal_type", "signal_str", "collab", "category", "tags"),
            ("pdq", A.pdq.hex(), "Sample, Data", "POSITIVE_CLASS", "one two"),
            ("pdq", B.pdq.hex().upper(), "Other", "DISPUTED", ""),
            ("pdq", C.pdq.hex(), "Other", "NEGATIVE_CLASS", ""),
            ("video_md5", B.md5.hex(), "Other", "POSITIVE_CLASS", ""),
            ("raw_text", 'some "text"\nof two lines', "Other", "INVESTIGATION_SEED", ""),
            ("pdq", "0" * 64, "Other", "POSITIVE_CLASS", ""),
        ]
    )


def typed() -> bytes:
    lines = f"pdq {A.pdq.hex()}\n\nvideo_md5 {B.md5.hex()}\r\nmd5 {C.md5.hex().upper()}\n"
    return lines.encode()


MAPPED_ROWS = [
    {
        "Ref": "0017",
        "MD5": A.md5.hex(),
        "SHA-1": A.sha1.hex().upper(),
        "PhotoDNA": PHOTO_DNA,
        "Grade": "A;B",
        "Removed": "false",
    },
    {"Ref": "0018", "MD5": B.md5.hex(), "SHA-1": "", "PhotoDNA": "", "Grade": "", "Removed": ""},
    {"Ref": "0019", "MD5": "", "SHA-1": "", "PhotoDNA": "", "Grade": "", "Removed": "true"},
    {"Ref": "0020", "MD5": "", "SHA-1": "", "PhotoDNA": "", "Grade": "C", "Removed": "false"},
]


def mapped(delimiter: str) -> bytes:
    rows = [tuple(MAPPED_ROWS[0]), *(tuple(row.values()) for row in MAPPED_ROWS)]
    return _csv(rows, delimiter)


def mapped_jsonl() -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in MAPPED_ROWS)


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


def _csv(rows: Sequence[Sequence[str]], delimiter: str = ",") -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode()


FILES = {
    "ncmec.xml": ncmec(),
    "stopncii.json": stopncii(),
    "tat.json": tat(),
    "threat_updates.json": threat_updates(),
    "vics-media.json": vics_media(),
    "vics-cases.json": vics_cases(),
    "threatexchange.csv": threatexchange(),
    "typed.txt": typed(),
    "mapped.csv": mapped(","),
    "mapped.tsv": mapped("\t"),
    "mapped.json": _json(MAPPED_ROWS),
    "mapped.jsonl": mapped_jsonl(),
}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, data in FILES.items():
        (FOLDER / name).write_bytes(data)
