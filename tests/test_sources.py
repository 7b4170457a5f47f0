from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from initgate.errors import SourceUnavailable
from initgate.sources.file import fetch


def test_a_file_comes_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"\xef\xbb\xbfa\r\n\x00")
    assert fetch(file).data == b"\xef\xbb\xbfa\r\n\x00"


def test_a_file_is_as_current_as_its_modification_time(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.touch()
    os.utime(file, (1_900_000_000, 1_800_000_000))
    assert fetch(file).as_of == datetime.fromtimestamp(1_800_000_000, UTC)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"none\.csv: No such file or directory"):
        fetch(tmp_path / "none.csv")


def test_a_folder_is_no_list(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="Is a directory"):
        fetch(tmp_path)
