from __future__ import annotations

import functools
import gc
import hashlib
import importlib
import json
import multiprocessing
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from initgate import Allowed, Gate, Refused, feeds, load_gate, load_settings, store
from initgate.errors import ListRejected
from initgate.image import encode
from initgate.index import snapshot
from initgate.lists import Format, changes, dump
from initgate.model import Algorithm, Decision, ListEntry, Reason
from initgate.store.versions import Versions
from initgate.testing import make_list, scene
from initgate.wiring import now, open_feed

A, B = scene(1), scene(2)
SOON = 5.0  # seconds

Start = Callable[..., Gate]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A list that holds A."""
    path = tmp_path / "known.csv"
    path.write_bytes(dump(make_list([A]), Format.CSV))
    return path


@pytest.fixture
def log() -> Any:
    return structlog.wrap_logger(None, processors=[LogCapture()])


@pytest.fixture
def start(file: Path, log: Any, tmp_path: Path) -> Start:
    """Starts a gate that looks often at a list's file."""

    def started(path: Path = file, exceptions: Path | None = None, **settings: object) -> Gate:
        more = "\n".join(f"{key} = {value}" for key, value in settings.items())
        config = tmp_path / "gate.toml"
        config.write_text(
            f'[[lists]]\nname = "known"\npath = "{path}"\n{more}\n'
            f'[gate]\nreload_seconds = 0.05\n[audit]\nurl = "sqlite:///{tmp_path}/audit.db"\n'
            + (f'[exceptions]\npath = "{exceptions}"\n' if exceptions else "")
        )
        return load_gate(config, log=log)

    return started


def entries(log: Any) -> list[dict[str, Any]]:
    (capture,) = log._processors
    found: list[dict[str, Any]] = capture.entries
    return found


def within_time(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + SOON
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def refuses(gate: Gate, picture: Any) -> bool:
    return isinstance(gate.check(picture), Refused)


def replace_by(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(data)
    partial.replace(path)


def addition(picture: Any, name: str = "b") -> bytes:
    (made,) = make_list([picture])
    return changes.addition(type(made)(made.algorithm, made.code, name, made.quality))


def test_an_urgent_addition_is_searched_soon(start: Start, file: Path) -> None:
    gate = start()
    assert isinstance(gate.check(B), Allowed)
    store.change(file, [addition(B)])
    assert within_time(lambda: refuses(gate, B))
    assert refuses(gate, A)


def test_an_entry_that_is_set_to_flag_soon_refuses_no_more(start: Start, file: Path) -> None:
    gate = start()
    assert refuses(gate, A)
    (made,) = make_list([A])
    store.change(file, [changes.flag(made.code)])
    assert within_time(lambda: not refuses(gate, A))
    assert gate.inspect(A).reason is Reason.FLAGGED
    store.change(file, [changes.unflag(made.code)])
    assert within_time(lambda: refuses(gate, A))


@pytest.fixture
def exceptions(tmp_path: Path) -> Path:
    return tmp_path / "exceptions.jsonl"


A_FILE, B_FILE = encode(A, "PNG"), encode(B, "PNG")


def exception_of(data: bytes, *, expires: str = "9000-01-01") -> bytes:
    record = {"hash": hashlib.sha256(data).hexdigest(), "algorithm": "sha256", "expires": expires}
    return json.dumps(record | {"reason": "a drawing", "author": "reviewer"}).encode() + b"\n"


def test_an_exception_counts_soon_and_no_longer_soon_after(start: Start, exceptions: Path) -> None:
    gate = start(exceptions=exceptions)
    assert refuses(gate, A_FILE)
    replace_by(exceptions, exception_of(A_FILE))
    assert within_time(lambda: not refuses(gate, A_FILE))
    exceptions.unlink()
    assert within_time(lambda: refuses(gate, A_FILE))


def test_a_list_that_changes_leaves_the_exceptions(
    start: Start, file: Path, exceptions: Path
) -> None:
    replace_by(exceptions, exception_of(A_FILE))
    gate = start(exceptions=exceptions)
    store.change(file, [addition(B)])
    assert within_time(lambda: refuses(gate, B))
    assert not refuses(gate, A_FILE)


def test_of_a_malformed_file_of_exceptions_the_last_good_one_counts(
    start: Start, exceptions: Path, log: Any
) -> None:
    replace_by(exceptions, exception_of(A_FILE))
    gate = start(exceptions=exceptions)
    replace_by(exceptions, exception_of(B_FILE) + b'{"hash": "00"}\n')
    assert within_time(lambda: any(one["event"] == "list rejected" for one in entries(log)))
    (told,) = [one for one in entries(log) if one["event"] == "list rejected"]
    assert f"{exceptions}, line 2: " in told["detail"]
    assert not refuses(gate, A_FILE)


def test_with_a_malformed_file_of_exceptions_no_gate_starts(start: Start, exceptions: Path) -> None:
    exceptions.write_bytes(exception_of(A_FILE, expires="never"))
    with pytest.raises(ListRejected, match="line 1: expires"):
        start(exceptions=exceptions)


def placeholders(number: int) -> list[ListEntry]:
    return [ListEntry(Algorithm.PDQ, b"\xff" * 32, f"p{n}", 90) for n in range(number)]


def test_an_update_with_many_more_faulty_entries_waits_until_it_is_accepted(
    start: Start, file: Path, log: Any
) -> None:
    gate = start()
    update = dump([*make_list([B]), *placeholders(1)], Format.CSV)
    replace_by(file, update)
    assert within_time(lambda: any(one["event"] == "list rejected" for one in entries(log)))
    (told,) = [one for one in entries(log) if one["event"] == "list rejected"]
    assert "50.0% of its entries" in told["detail"]
    digest = hashlib.sha256(update).hexdigest()
    assert f"initgate lists accept known {digest[:12]}" in told["detail"]
    store.change(file, [addition(scene(3), "c")])  # the list that is searched goes on with changes
    assert within_time(lambda: refuses(gate, scene(3)))
    assert refuses(gate, A)
    assert not refuses(gate, B)
    store.accept(file, digest)
    assert within_time(lambda: refuses(gate, B))
    assert not refuses(gate, A)
    assert refuses(gate, scene(3))


def test_what_is_added_beside_a_rejected_version_is_searched(start: Start, file: Path) -> None:
    gate = start()
    replace_by(file, b"no list")
    store.change(file, [addition(B)])
    assert within_time(lambda: refuses(gate, B))
    assert refuses(gate, A)


def test_an_accepted_version_is_no_licence_for_another(start: Start, file: Path, log: Any) -> None:
    gate = start()
    store.accept(file, hashlib.sha256(dump(make_list([A]), Format.CSV)).hexdigest())
    replace_by(file, dump([*make_list([B]), *placeholders(1)], Format.CSV))
    assert within_time(lambda: any(one["event"] == "list rejected" for one in entries(log)))
    assert not refuses(gate, B)


def test_a_rise_up_to_the_setting_is_searched_at_once(start: Start, file: Path) -> None:
    gate = start(max_lint_rise=0.5)
    replace_by(file, dump([*make_list([B]), *placeholders(1)], Format.CSV))
    assert within_time(lambda: refuses(gate, B))


def test_a_merge_of_faulty_additions_loses_nothing(start: Start, file: Path) -> None:
    gate = start()
    flat = placeholders(1)[0]
    store.change(file, [addition(B), changes.addition(flat)])
    assert within_time(lambda: refuses(gate, B))
    store.merge(file, file_format=Format.CSV, algorithm=Algorithm.PDQ)
    merged = hashlib.sha256(file.read_bytes()).hexdigest()
    assert within_time(lambda: gate.shelf.digests["known"] == merged)
    assert refuses(gate, B)


def test_what_is_withdrawn_is_searched_no_more(start: Start, file: Path) -> None:
    gate = start()
    assert refuses(gate, A)
    store.change(file, [changes.removal("0"), addition(B)])
    assert within_time(lambda: not refuses(gate, A))
    assert refuses(gate, B)


def test_a_file_that_is_replaced_is_searched_soon(start: Start, file: Path) -> None:
    gate = start()
    before = gate.shelf.digests["known"]
    replace_by(file, dump(make_list([B]), Format.CSV))
    assert within_time(lambda: refuses(gate, B))
    assert not refuses(gate, A)
    assert gate.shelf.digests["known"] != before


def test_a_decision_is_recorded_with_the_version_it_was_made_under(
    start: Start, file: Path
) -> None:
    gate = start()
    store.change(file, [addition(B)])
    assert within_time(lambda: refuses(gate, B))
    (record,) = gate.journal.sink.last(1)
    assert record.event["lists"] == dict(gate.shelf.digests)


@pytest.mark.parametrize("data", [b"", b"no list", dump([], Format.CSV)], ids=len)
def test_a_bad_update_is_left_out_and_told_once(
    data: bytes, start: Start, file: Path, log: Any
) -> None:
    gate = start()
    replace_by(file, data)

    def told() -> list[dict[str, Any]]:
        return [one for one in entries(log) if one["event"] == "list rejected"]

    assert within_time(lambda: bool(told()))
    time.sleep(0.3)
    assert len(told()) == 1
    assert "known.csv" in told()[0]["detail"]
    assert refuses(gate, A)
    replace_by(file, dump(make_list([B]), Format.CSV))
    assert within_time(lambda: refuses(gate, B))


def test_a_change_is_taken_up_though_the_file_is_bad_meanwhile(start: Start, file: Path) -> None:
    gate = start()
    replace_by(file, b"no list")
    store.change(file, [addition(B)])
    time.sleep(0.3)
    store.change(file, [addition(scene(3), "c")])
    assert within_time(lambda: refuses(gate, B) and refuses(gate, scene(3)))
    assert refuses(gate, A)


def test_a_list_replaced_while_its_changes_are_malformed_is_taken_up_when_they_are_mended(
    start: Start, file: Path, log: Any
) -> None:
    gate = start()
    changes.beside(file).write_bytes(b"{oops}\n")
    replace_by(file, dump(make_list([B]), Format.CSV))
    assert within_time(lambda: any(one["event"] == "list rejected" for one in entries(log)))
    changes.beside(file).unlink()
    assert within_time(lambda: refuses(gate, B))


@pytest.mark.parametrize("where", ["store.load_made", "wiring.Index"])
def test_a_failure_of_any_other_kind_is_tried_again(
    where: str, start: Start, file: Path, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = start()
    module, _, name = where.rpartition(".")
    whole = getattr(importlib.import_module(f"initgate.{module}"), name)
    failures = iter([MemoryError("once")])

    def failing(*args: Any, **kwargs: Any) -> Any:
        for failure in failures:
            raise failure
        return whole(*args, **kwargs)

    monkeypatch.setattr(f"initgate.{where}", failing)
    replace_by(file, dump(make_list([B]), Format.CSV))
    assert within_time(lambda: refuses(gate, B))
    assert any("once" in one.get("detail", "") for one in entries(log))


def test_a_list_of_which_all_is_withdrawn_goes_on_being_searched(
    start: Start, file: Path, log: Any
) -> None:
    gate = start()
    store.change(file, [changes.removal("0")])
    assert within_time(lambda: any("empty" in one.get("detail", "") for one in entries(log)))
    assert refuses(gate, A)


def test_a_file_that_vanishes_is_missed_and_taken_up_when_it_is_back(
    start: Start, file: Path, log: Any
) -> None:
    gate = start()
    data = file.read_bytes()
    file.unlink()
    assert within_time(lambda: any(one["event"] == "list rejected" for one in entries(log)))
    assert refuses(gate, A)
    file.write_bytes(data)
    store.change(file, [addition(B)])
    assert within_time(lambda: refuses(gate, B))


def test_an_update_of_which_no_entry_is_fit_is_left_out(start: Start, file: Path, log: Any) -> None:
    gate = start()
    poor = dump(make_list([B]), Format.JSONL).replace(b'"quality": 100', b'"quality": 1')
    replace_by(file, dump([next(iter(make_list([B])))], Format.CSV).replace(b",100", b",1"))
    assert poor
    assert within_time(lambda: any("min_quality" in one.get("detail", "") for one in entries(log)))
    assert refuses(gate, A)


# ── Snapshots ─────────────────────────────────────────────────────────────────────────────────


def damage(path: Path) -> bytes:
    data = bytearray(path.read_bytes())
    data[snapshot._HEADER + 3] ^= 1
    return bytes(data)


def test_a_damaged_snapshot_stops_the_gate_that_started_with_it(
    start: Start, tmp_path: Path
) -> None:
    path = tmp_path / "known.igx"
    snapshot.write(make_list([A]), path)
    path.write_bytes(damage(path))
    gate = start(path)
    assert within_time(lambda: refuses(gate, B))
    assert "known.igx" in gate.inspect(B).detail


def test_a_damaged_snapshot_is_found_at_once_where_nothing_is_reloaded(
    start: Start, tmp_path: Path, log: Any
) -> None:
    path = tmp_path / "known.igx"
    snapshot.write(make_list([A]), path)
    start(path)
    path.write_bytes(damage(path))
    config = tmp_path / "gate.toml"
    config.write_text(config.read_text().replace("0.05", "0"))
    assert refuses(load_gate(config, log=log), B)


def test_a_snapshot_that_cannot_be_verified_does_not_keep_other_updates_back(
    start: Start, tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    def failing(_path: Path) -> None:
        raise OSError("no disk")

    monkeypatch.setattr(snapshot, "verify", failing)
    path = tmp_path / "other.igx"
    snapshot.write(make_list([scene(3)]), path)
    start()
    config = tmp_path / "gate.toml"
    config.write_text(f'[[lists]]\nname = "other"\npath = "{path}"\n' + config.read_text())
    gate = load_gate(config, log=log)
    store.change(file, [addition(B)])
    assert within_time(lambda: refuses(gate, B))
    assert any("no disk" in one.get("detail", "") for one in entries(log))


def test_other_updates_do_not_make_a_damaged_snapshot_trusted(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "known.igx"
    snapshot.write(make_list([A]), path)
    whole = path.read_bytes()
    path.write_bytes(damage(path))
    gate = start(path)
    assert within_time(lambda: refuses(gate, scene(3)))
    store.change(path, [addition(B)])
    time.sleep(0.3)
    assert refuses(gate, scene(3))
    replace_by(path, whole)
    assert within_time(lambda: not refuses(gate, scene(3)))
    assert refuses(gate, B)


def test_a_damaged_snapshot_does_not_take_the_place_of_a_good_one(
    start: Start, tmp_path: Path, log: Any
) -> None:
    path = tmp_path / "known.igx"
    snapshot.write(make_list([A]), path)
    gate = start(path)
    other = tmp_path / "other.igx"
    snapshot.write(make_list([B]), other)
    replace_by(path, damage(other))
    assert within_time(lambda: any("not what was written" in str(one) for one in entries(log)))
    assert refuses(gate, A)
    assert not refuses(gate, B)
    replace_by(path, other.read_bytes())
    assert within_time(lambda: refuses(gate, B))


def test_a_merge_meanwhile_loses_nothing(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "known.igx"
    snapshot.write(make_list([A]), path)
    gate = start(path)
    store.change(path, [addition(B)])
    assert within_time(lambda: refuses(gate, B))
    store.merge(path, file_format=Format.SNAPSHOT, algorithm=Algorithm.PDQ)
    for _ in range(20):
        assert refuses(gate, A)
        assert refuses(gate, B)
        time.sleep(0.02)


# ── Threads and processes ─────────────────────────────────────────────────────────────────────


def watchers() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "initgate lists"]


def test_the_thread_ends_with_its_gate(start: Start) -> None:
    gate = start()
    before, gone = len(watchers()), weakref.ref(gate)
    del gate
    gc.collect()
    assert gone() is None
    assert within_time(lambda: len(watchers()) < before)


def test_no_thread_runs_where_none_is_wanted(start: Start, tmp_path: Path, log: Any) -> None:
    before = len(watchers())
    start()
    config = tmp_path / "gate.toml"
    config.write_text(config.read_text().replace("0.05", "0"))
    kept = load_gate(config, log=log)
    assert len(watchers()) <= before + 1
    assert isinstance(kept.check(B), Allowed)


def _wait_for_b(gate: Gate, answers: Any) -> None:
    answers.put(within_time(lambda: refuses(gate, B)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_process_takes_up_changes_too(start: Start, file: Path) -> None:
    gate = start()
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()
    child = fork.Process(target=_wait_for_b, args=(gate, answers))
    child.start()
    store.change(file, [addition(B)])
    assert answers.get(timeout=2 * SOON)
    child.join()


# ── Feeds ─────────────────────────────────────────────────────────────────────────────────────


def csv_of(*pictures: Any) -> bytes:
    return dump(make_list(pictures), Format.CSV)


@pytest.fixture
def feed(file: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes the configuration of a gate whose list comes from a feed of the file, and fetches."""

    def written(*, fetched: bool = True, more: str = "", algorithms: str = "pdq") -> Path:
        lists = "\n".join(
            f'[[lists]]\nname = "{one}"\nfeed = "f"\nalgorithm = "{one}"\n'
            f"allow_empty = true\n{more}\n"
            for one in algorithms.split()
        )
        config = tmp_path / "gate.toml"
        config.write_text(
            f'{lists}\n[[feeds]]\nname = "f"\nsource = "{file}"\nmax_shrink = 1\n'
            f'[store]\npath = "{tmp_path}/store"\n'
            f"[gate]\nreload_seconds = 0.02\nviews = []\n"
            f'[audit]\nurl = "sqlite:///{tmp_path}/audit.db"\nrecord_allowed = true\n'
        )
        if fetched:
            fetch_again(config)
        return config

    return written


def fetch_again(config: Path) -> feeds.Fetched:
    return feeds.fetch(open_feed(load_settings(config), "f"), clock=now)


def of_feed(config: Path) -> Versions:
    return open_feed(load_settings(config), "f").versions


def test_what_a_feed_brings_is_searched_soon(
    feed: Callable[..., Path], file: Path, log: Any
) -> None:
    config = feed()
    gate = load_gate(config, log=log)
    assert refuses(gate, A)
    assert not refuses(gate, B)
    replace_by(file, csv_of(A, B))
    digest = fetch_again(config).about.digest
    assert within_time(lambda: refuses(gate, B))
    assert gate.shelf.digests["pdq"] == digest


def test_additions_to_a_feeds_list_outlive_its_versions(
    feed: Callable[..., Path], file: Path, log: Any
) -> None:
    config = feed()
    gate = load_gate(config, log=log)
    store.change(load_settings(config).lists[0].path, [addition(B)])
    assert within_time(lambda: refuses(gate, B))
    replace_by(file, csv_of(scene(3)))
    fetch_again(config)
    assert within_time(lambda: not refuses(gate, A))
    assert refuses(gate, B)


def test_a_fetch_without_news_makes_a_list_younger_and_builds_no_index(
    feed: Callable[..., Path], log: Any
) -> None:
    config = feed()
    gate = load_gate(config, log=log)
    index, before = gate.shelf.index, gate.shelf.ages["pdq"]
    assert before is not None
    assert not fetch_again(config).is_new
    assert within_time(lambda: gate.shelf.ages["pdq"] != before)
    assert gate.shelf.ages["pdq"] == of_feed(config).state().succeeded_at
    assert gate.shelf.index is index


def test_a_list_whose_update_is_held_back_grows_old_though_it_is_fetched(
    feed: Callable[..., Path], file: Path, log: Any
) -> None:
    config = feed(more="max_lint_rise = 0")
    gate = load_gate(config, log=log)
    before = gate.shelf.ages["pdq"]
    replace_by(file, dump([*make_list([A]), *placeholders(9)], Format.CSV))
    fetch_again(config)
    fetch_again(config)
    assert within_time(lambda: any(one["event"] == "list rejected" for one in entries(log)))
    time.sleep(0.1)
    assert gate.shelf.ages["pdq"] == before


def test_a_list_that_grows_old_is_warned_of_once(feed: Callable[..., Path], log: Any) -> None:
    config = feed(more='warn_after = "1s"')
    load_gate_kept = load_gate(config, log=log)
    assert within_time(lambda: any(one["event"] == "list old" for one in entries(log)))
    time.sleep(0.1)
    assert [one["event"] for one in entries(log)].count("list old") == 1
    fetch_again(config)
    assert within_time(lambda: [one["event"] for one in entries(log)].count("list old") == 2)
    assert not refuses(load_gate_kept, B)


def test_a_gate_never_starts_with_a_damaged_version_and_says_which_it_took(
    feed: Callable[..., Path], file: Path, log: Any
) -> None:
    config = feed()
    replace_by(file, csv_of(B))
    fetch_again(config)
    versions = of_feed(config)
    path = versions.file(versions.current(), Algorithm.PDQ)
    flipped = bytearray(path.read_bytes())
    flipped[-1] ^= 1
    path.write_bytes(flipped)
    gate = load_gate(config, log=log)
    assert refuses(gate, A)
    assert not refuses(gate, B)
    (told,) = [one for one in entries(log) if one["event"] == "list rejected"]
    assert str(path) in told["detail"]
    assert "which was served before, is searched instead" in told["detail"]
    fetch_again(config)
    assert within_time(lambda: refuses(gate, B))


def test_a_version_that_is_removed_while_a_gate_opens_it_gives_way_to_the_next(
    feed: Callable[..., Path], file: Path, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = feed()
    config.write_text(config.read_text().replace("max_shrink", "keep = 1\nmax_shrink"))
    load_made = store.load_made

    def late(path: Path, **more: Any) -> Any:
        monkeypatch.undo()
        replace_by(file, csv_of(B))
        fetch_again(config)
        assert not path.exists()
        return load_made(path, **more)

    monkeypatch.setattr(store, "load_made", late)
    assert refuses(load_gate(config, log=log), B)


def test_no_gate_starts_with_a_version_for_which_nobody_vouched_who_must(
    feed: Callable[..., Path], file: Path, log: Any
) -> None:
    config = feed()
    plain, source = config.read_text(), f'source = "{file}"'
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    config.write_text(plain.replace(source, f'{source}\nsha256 = "{digest}"'))
    with pytest.raises(ListRejected, match=r"ask for vouched for version.*initgate lists fetch f"):
        load_gate(config, log=log)
    fetch_again(config)
    assert refuses(load_gate(config, log=log), A)
    config.write_text(plain)  # what is asked for no more does no harm
    assert refuses(load_gate(config, log=log), A)


def test_a_version_for_which_nobody_vouched_who_must_does_not_take_the_place_of_a_good_one(
    feed: Callable[..., Path], file: Path, log: Any
) -> None:
    config = feed()
    plain, source = config.read_text(), f'source = "{file}"'
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    config.write_text(plain.replace(source, f'{source}\nsha256 = "{digest}"'))
    fetch_again(config)
    gate = load_gate(config, log=log)
    config.write_text(plain)
    replace_by(file, csv_of(B))
    fetch_again(config)
    assert within_time(lambda: any("vouched" in one.get("detail", "") for one in entries(log)))
    assert refuses(gate, A)


def test_a_damaged_version_does_not_take_the_place_of_a_good_one_in_a_running_gate(
    feed: Callable[..., Path], file: Path, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = feed()
    gate = load_gate(config, log=log)
    replace_by(file, csv_of(B))
    serve = Versions.serve

    def damaging(self: Versions, digest: str, state: Any) -> Any:
        path = self.file(digest, Algorithm.PDQ)
        path.write_bytes(path.read_bytes()[:-1])
        return serve(self, digest, state)

    monkeypatch.setattr(Versions, "serve", damaging)
    fetch_again(config)
    assert within_time(lambda: any(one["event"] == "list rejected" for one in entries(log)))
    assert refuses(gate, A)


@pytest.mark.parametrize(
    ("fetched", "algorithms", "told"),
    [(False, "pdq", "there is no version yet"), (True, "pdq md5", "no list of md5")],
)
def test_a_list_that_a_feed_does_not_have_yet_makes_no_gate_and_tells_the_way_out(
    feed: Callable[..., Path], log: Any, fetched: bool, algorithms: str, told: str
) -> None:
    if fetched:
        feed()
    config = feed(fetched=False, algorithms=algorithms)
    with pytest.raises(ListRejected, match=f"{told}.*initgate lists fetch f"):
        load_gate(config, log=log)


def serves(gate: Gate, digest: str) -> bool:
    """Whether all lists are of one version."""
    return {*gate.shelf.digests.values()} == {digest}


def test_images_are_checked_through_fifty_swaps_against_whole_versions(
    feed: Callable[..., Path], file: Path, log: Any
) -> None:
    config = feed(algorithms="pdq md5")
    gate = load_gate(config, log=log)
    versions, known = of_feed(config), []
    for number in range(4):
        made = ListEntry(Algorithm.PDQ, secrets.token_bytes(32), f"n{number}", 90)
        replace_by(file, dump([*make_list([A]), made], Format.CSV))
        known.append(fetch_again(config).about.digest)
    picture, stop, faults = scene(1, height=64, width=64), threading.Event(), list[Decision]()

    def check() -> None:
        while not stop.wait(0.05):
            decision = gate.inspect(picture)
            if decision.reason not in {Reason.NO_MATCH, Reason.MATCH}:
                faults.append(decision)

    threads = [threading.Thread(target=check) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for number in range(50):
            digest = known[number % 4]
            with versions.locked():
                versions.save(versions.serve(digest, versions.state()))
            if number % 7 == 6:  # else several swaps may come to one
                assert within_time(functools.partial(serves, gate, digest))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert faults == []
    recorded: list[Any] = [one.event["lists"] for one in gate.journal.sink.records()]
    assert len({*map(str, recorded)}) >= 4
    assert all(len({*lists.values()}) == 1 for lists in recorded)
