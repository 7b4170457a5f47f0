"""Formats by name: each reads its golden file, and says what it must be told."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden_lists import FOLDER

from initgate.errors import ConfigError, ListRejected
from initgate.lists import Format, dump
from initgate.lists.feed import strict
from initgate.lists.formats import FeedFormat, reader
from initgate.model import Algorithm, ListEntry

pytest.importorskip("ijson")
pytest.importorskip("lxml")

MAPPED = {
    "layout": "csv",
    "hashes": {"MD5": "MD5", "SHA-1": "SHA-1", "PhotoDNA": "PhotoDNA"},
    "entry": "Ref",
    "tags": ["Grade"],
    "withdrawn": "Removed",
    "withdrawn_values": ["true"],
}
GOLDEN = {
    FeedFormat.NCMEC: ("ncmec.xml", {"environment": "industry"}),
    FeedFormat.STOPNCII: ("stopncii.json", {}),
    FeedFormat.TAT: ("tat.json", {}),
    FeedFormat.VICS: ("vics-media.json", {"categories": {"1": "severe", "2": "other"}}),
    FeedFormat.THREATEXCHANGE: ("threatexchange.csv", {}),
    FeedFormat.TYPED: ("typed.txt", {}),
    FeedFormat.MAPPED: ("mapped.csv", MAPPED),
}


@pytest.mark.parametrize(("file_format", "golden"), GOLDEN.items())
def test_a_format_reads_its_golden_file(
    file_format: FeedFormat, golden: tuple[str, dict[str, object]]
) -> None:
    name, options = golden
    with (FOLDER / name).open("rb") as file:
        records = list(strict(reader(file_format, options)(file, source=name)))
    assert any(isinstance(one, ListEntry) for one in records)


@pytest.mark.parametrize("file_format", [FeedFormat.CSV, FeedFormat.JSONL])
def test_our_own_formats_read_what_we_write(file_format: FeedFormat, tmp_path: Path) -> None:
    made = [ListEntry(Algorithm.PDQ, b"\x01" * 32, "a", 7, ("t",))]
    path = tmp_path / "a"
    path.write_bytes(dump(made, Format(file_format.value)))
    with path.open("rb") as file:
        assert list(reader(file_format, {})(file, source="a")) == made
    path.write_bytes(b"nonsense")
    with path.open("rb") as file, pytest.raises(ListRejected, match="a, line 1"):
        list(reader(file_format, {})(file, source="a"))


@pytest.mark.parametrize(
    ("file_format", "options", "told"),
    [
        (FeedFormat.CSV, {"a": 1}, "options: a: .*; the format csv knows: none"),
        (FeedFormat.VICS, {}, "options: categories: .* knows: categories, country"),
        (FeedFormat.VICS, {"categories": {"x": "severe"}}, r"options: categories\.x"),
        (FeedFormat.MAPPED, {"layout": "xls"}, "options: layout: .*'csv', 'tsv'"),
        (FeedFormat.MAPPED, {"layout": "csv"}, "give either hashes, or both hash and algorithm"),
        (FeedFormat.TYPED, {"signal_type": 1}, "options: signal_type: .*string"),
    ],
)
def test_an_option_that_does_not_fit_is_named(
    file_format: FeedFormat, options: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        reader(file_format, options)
