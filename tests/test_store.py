from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from initgate import store
from initgate.errors import ListRejected, SourceUnavailable
from initgate.index import snapshot
from initgate.lists import Format, changes, dump
from initgate.model import Algorithm, HashList, ListEntry

OLD = 1_700_000_000  # seconds since 1970


def entry(name: str, level: int = 0) -> ListEntry:
    return ListEntry(Algorithm.PDQ, bytes([level]) * 32, name, 90)


@pytest.fixture(params=[Format.CSV, Format.JSONL, Format.SNAPSHOT])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A list of the entries a and b."""
    path = tmp_path / f"x.{request.param}"
    made = [entry("a", 1), entry("b", 2)]
    if request.param is Format.SNAPSHOT:
        snapshot.write(HashList.of(made, name="x", algorithm=Algorithm.PDQ), path)
    else:
        path.write_bytes(dump(made, request.param))
    os.utime(path, (OLD, OLD))
    return path


def load(path: Path, *, allow_empty: bool = False) -> list[HashList]:
    return store.load(
        path,
        name="x",
        file_format=Format(path.suffix[1:]),
        algorithm=Algorithm.PDQ,
        allow_empty=allow_empty,
    )


def merge(path: Path) -> int:
    return store.merge(path, file_format=Format(path.suffix[1:]), algorithm=Algorithm.PDQ)


def searched(path: Path) -> list[ListEntry]:
    parts = load(path)
    return [one for part in parts for one in part if one.entry not in part.removed]


def test_a_list_without_changes_is_itself(file: Path) -> None:
    (whole,) = load(file)
    assert [one.entry for one in whole] == ["a", "b"]


def test_changes_are_seen_at_once(file: Path) -> None:
    before = store.stamps(file)
    store.change(file, [changes.addition(entry("c", 3)), changes.removal("a")])
    assert store.stamps(file) != before
    assert searched(file) == [entry("b", 2), entry("c", 3)]


def test_a_merged_list_holds_the_changes_and_is_as_old_as_before(file: Path) -> None:
    store.change(file, [changes.addition(entry("c", 3)), changes.removal("a")])
    expected = searched(file)
    assert merge(file) == 2
    assert searched(file) == expected
    assert len(load(file)) == 1
    assert file.stat().st_mtime == OLD


def test_changes_that_outlive_their_merging_change_nothing(file: Path) -> None:
    store.change(file, [changes.addition(entry("c", 3)), changes.removal("a")])
    expected = searched(file)
    kept = changes.beside(file).read_bytes()
    merge(file)
    changes.beside(file).write_bytes(kept)  # as if it had been killed in between
    assert set(searched(file)) == set(expected)
    assert merge(file) == 2


def test_a_line_cut_off_by_a_crash_does_not_spoil_the_next(file: Path) -> None:
    store.change(file, [changes.removal("a")])
    with changes.beside(file).open("ab") as journal:
        journal.write(b'{"change": "rem')
    store.change(file, [changes.removal("b")])
    assert load(file, allow_empty=True)[0].removed == {"a", "b"}


def test_several_writers_lose_nothing(file: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.change(file, [changes.addition(entry(f"n{n}"))]), range(40)))
    assert len(searched(file)) == 42


def test_a_malformed_change_rejects_the_list_and_a_merge_leaves_it(file: Path) -> None:
    before = file.read_bytes()
    changes.beside(file).write_bytes(b"{}\n")
    for act in (load, merge):
        with pytest.raises(ListRejected, match=r"changes"):
            act(file)
    assert file.read_bytes() == before


def test_a_list_that_cannot_be_changed_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable):
        store.change(tmp_path / "nowhere" / "x.csv", [changes.removal("a")])


def test_an_entry_added_again_with_another_quality_is_kept_by_a_merge(file: Path) -> None:
    again = ListEntry(Algorithm.PDQ, entry("a", 1).code, "a")
    store.change(file, [changes.addition(again)])
    merge(file)
    assert again in searched(file)


def test_a_damaged_snapshot_is_not_merged(tmp_path: Path) -> None:
    path = tmp_path / "x.igx"
    snapshot.write(HashList.of([entry("a", 1)], name="x", algorithm=Algorithm.PDQ), path)
    data = bytearray(path.read_bytes())
    data[snapshot._HEADER + 3] ^= 1
    path.write_bytes(data)
    store.change(path, [changes.addition(entry("b", 2))])
    with pytest.raises(ListRejected, match="not what was written"):
        merge(path)
    assert path.read_bytes() == data
    assert changes.beside(path).exists()


def test_a_list_that_is_replaced_during_a_merge_is_not_overwritten(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.change(file, [changes.removal("a")])
    other = file.with_suffix(".other")
    other.write_bytes(file.read_bytes())
    load_first = store.load

    def loading(*args: Any, **kwargs: Any) -> list[HashList]:
        parts = load_first(*args, **kwargs)
        other.replace(file)
        return parts

    monkeypatch.setattr(store, "load", loading)
    with pytest.raises(SourceUnavailable, match="merge again"):
        merge(file)
    assert changes.beside(file).exists()
    assert sorted(one.name for one in file.parent.iterdir()) == sorted(
        [file.name, f"{file.name}.changes", f"{file.name}.changes.lock"]
    )


def test_a_list_of_which_all_is_withdrawn_is_empty(file: Path) -> None:
    store.change(file, [changes.removal("a"), changes.removal("b")])
    with pytest.raises(ListRejected, match="empty"):
        load(file)


def test_a_line_written_by_hand_without_its_end_counts_and_is_kept(file: Path) -> None:
    changes.beside(file).write_bytes(changes.removal("a").rstrip())
    assert load(file)[0].removed == {"a"}
    store.change(file, [changes.addition(entry("c", 3))])
    assert searched(file) == [entry("b", 2), entry("c", 3)]


def test_a_merge_keeps_who_may_read_the_list(file: Path) -> None:
    file.chmod(0o600)
    store.change(file, [changes.removal("a")])
    merge(file)
    assert file.stat().st_mode & 0o777 == 0o600


def test_no_entry_is_an_error_unless_it_is_meant(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(dump([], Format.CSV))
    with pytest.raises(ListRejected, match="allow_empty"):
        load(path)
    assert [len(one) for one in load(path, allow_empty=True)] == [0]
    store.change(path, [changes.addition(entry("a"))])
    assert searched(path) == [entry("a")]


def test_what_is_set_to_flag_outlives_a_merge_and_the_next_file(file: Path) -> None:
    code = bytes([1]) * 32
    store.change(file, [changes.addition(entry("c", 3)), changes.flag(code)])
    merge(file)
    (whole,) = load(file)
    assert [one.entry for one in whole] == ["a", "b", "c"]
    assert whole.flagged == {code}
    merge(file)
    if file.suffix == ".csv":
        file.write_bytes(dump([entry("other", 1)], Format.CSV))
    assert load(file)[0].flagged == {code}


def test_the_version_that_was_accepted_last_is_known(file: Path) -> None:
    assert store.accepted(file) == ""
    before = store.stamps(file)
    store.accept(file, "aa")
    store.accept(file, "bb")
    assert store.accepted(file) == "bb"
    assert store.stamps(file) != before


def test_nothing_is_accepted_of_no_list(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="there is no such list"):
        store.accept(tmp_path / "none.csv", "aa")
