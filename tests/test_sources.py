from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from initgate.errors import SourceUnavailable
from initgate.sources import Batch, Checkpoint
from initgate.sources.file import FileSource, opened


def test_a_file_comes_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"\xef\xbb\xbfa\r\n\x00")
    with opened(file) as found:
        assert found.file.read() == b"\xef\xbb\xbfa\r\n\x00"


def test_a_file_is_as_current_as_its_modification_time(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.touch()
    os.utime(file, (1_900_000_000, 1_800_000_000))
    with opened(file) as found:
        assert found.as_of == datetime.fromtimestamp(1_800_000_000, UTC)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"none\.csv: No such file or directory"):
        opened(tmp_path / "none.csv").__enter__()


def test_a_folder_is_no_list(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="Is a directory"):
        opened(tmp_path).__enter__()


# ── A feed's file ─────────────────────────────────────────────────────────────────────────────


def brought(file: Path, checkpoint: Checkpoint | None = None) -> list[tuple[bytes, Batch]]:
    return [(one.pages[0].read(), one) for one in FileSource(file).fetch(checkpoint or {})]


def test_a_file_is_brought_whole_and_not_again(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"one")
    ((data, batch),) = brought(file)
    assert (data, batch.is_whole, batch.name, batch.signature) == (b"one", True, str(file), None)
    assert brought(file, batch.checkpoint) == []


def test_a_file_that_was_replaced_is_brought_again(tmp_path: Path) -> None:
    file, other = tmp_path / "a.csv", tmp_path / "b.csv"
    file.write_bytes(b"one")
    ((_, batch),) = brought(file)
    other.write_bytes(b"two")
    os.utime(other, ns=(0, file.stat().st_mtime_ns))
    other.replace(file)
    assert [data for data, _ in brought(file, batch.checkpoint)] == [b"two"]


def test_a_signature_comes_along_and_a_new_one_brings_the_file_again(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"one")
    ((_, batch),) = brought(file)
    (tmp_path / "a.csv.minisig").write_bytes(b"signed")
    ((_, signed),) = brought(file, batch.checkpoint)
    assert signed.signature == b"signed"


def test_a_checkpoint_outlives_json(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"one")
    ((_, batch),) = brought(file)
    assert brought(file, json.loads(json.dumps(batch.checkpoint))) == []


def test_a_file_of_a_feed_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"none\.csv: No such file or directory"):
        brought(tmp_path / "none.csv")
