"""The commands of feeds, from the outside."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from commands import json_lines, plain, run

from initgate import Algorithm, load_gate, load_settings
from initgate.image import encode
from initgate.lists import Format, dump
from initgate.model import ListEntry
from initgate.store.versions import Versions
from initgate.testing import make_list, scene

KEY = "RWQNp+4VES6V6WMbXCN6Sw6lqzxA04iqbwvZ2xuQ9TazNqVFL9KTEH18"


def entry(name: str, *tags: str) -> ListEntry:
    return ListEntry(Algorithm.PDQ, name.encode().ljust(32, b"."), name, 90, tags)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """What the feed fetches."""
    path = tmp_path / "partner.csv"
    path.write_bytes(dump([entry("a"), entry("b")], Format.CSV))
    return path


@pytest.fixture
def replaced(file: Path) -> Callable[..., None]:
    def replace(*made: ListEntry) -> None:
        partial = file.with_suffix(".new")
        partial.write_bytes(dump(made, Format.CSV))
        partial.replace(file)

    return replace


@pytest.fixture
def config(file: Path, tmp_path: Path) -> Path:
    path = tmp_path / "gate.toml"
    path.write_text(
        f'[[lists]]\nname = "known"\nfeed = "partner"\nmax_age = "1d"\n'
        f'[[feeds]]\nname = "partner"\nsource = "{file.name}"\n[store]\npath = "kept"\n'
        '[audit]\nurl = "sqlite:///audit.db"\n'
    )
    return path


@pytest.fixture
def fetched(config: Path) -> Path:
    assert run("lists", "fetch", "-c", config).exit_code == 0
    return config


def status(config: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of the list and of the feed."""
    one, other = json_lines(run("lists", "status", "--json", "-c", config))
    return one, other


def test_a_fetch_tells_what_came_of_it(config: Path) -> None:
    (line,) = json_lines(run("lists", "fetch", "--json", "-c", config))
    assert (line["feed"], line["entries"], line["new"]) == ("partner", {"pdq": 2}, True)
    assert plain(run("lists", "fetch", "-c", config).stdout).startswith("unchanged  partner: pdq 2")


def test_a_gate_searches_what_was_fetched(config: Path, log: Any) -> None:
    feed = config.parent / "partner.csv"
    feed.write_bytes(dump(make_list([scene(1)]), Format.CSV))
    run("lists", "fetch", "partner", "-c", config)
    gate = load_gate(config, log=log)
    assert [one.entry for one in gate.inspect(scene(1)).matches] == ["0"]


def test_a_fetch_that_fails_says_why_and_ends_with_1(fetched: Path, file: Path) -> None:
    file.write_bytes(b"nonsense")
    result = run("lists", "fetch", "-c", fetched)
    assert result.exit_code == 1
    assert f"not fetched  partner: {file}, line 1: the header" in plain(result.stderr)
    of_list, of_feed = status(fetched)
    assert of_list["entries"] == 2
    assert "the header" in of_feed["error"]
    assert of_feed["polled_at"] > of_feed["succeeded_at"]
    assert "not fetched  partner" in plain(run("lists", "status", "-c", fetched).stderr)


def test_a_list_of_a_feed_that_was_never_fetched_says_what_to_do(config: Path) -> None:
    result = run("lists", "status", "-c", config)
    assert result.exit_code == 2
    assert "there is no version yet; run: initgate lists fetch partner" in plain(result.stderr)


def test_the_status_of_a_feed_is_told_at_a_glance(fetched: Path) -> None:
    of_list, of_feed = status(fetched)
    assert of_list["feed"] == "partner"
    assert of_list["digest"] == of_feed["digest"]
    assert of_list["age_s"] < 600
    assert of_feed["entries"] == {"pdq": 2}
    assert (of_feed["signer"], of_feed["pinned"], of_feed["damaged"]) == ("unsigned", False, None)
    table = plain(run("lists", "status", "-c", fetched).stdout)
    assert of_feed["digest"][:12] in table
    assert "unsigned" in table


def test_hashes_without_a_matcher_are_told(config: Path, tmp_path: Path) -> None:
    (tmp_path / "partner.txt").write_text(f"pdq {'1a' * 32}\nvideo_md5 {'2b' * 16}\n")
    config.write_text(
        config.read_text().replace('"partner.csv"', '"partner.txt"\nformat = "typed"')
    )
    run("lists", "fetch", "-c", config)
    assert status(config)[1]["unmatched"] == {"video_md5": 1}
    assert "video_md5 1" in plain(run("lists", "status", "-c", config).stdout)


def test_a_version_that_waits_is_looked_at_and_accepted(
    fetched: Path, replaced: Callable[..., None]
) -> None:
    replaced(entry("a", "new"))
    result = run("lists", "fetch", "-c", fetched)
    assert result.exit_code == 1
    assert "of 2 entries 1 are left" in plain(result.stderr)
    digest = status(fetched)[1]["waiting"]
    assert f"initgate lists accept partner {digest[:12]}" in plain(result.stderr)
    text = plain(run("lists", "diff", "partner", "-c", fetched).stderr)
    assert text == f"To let it in: initgate lists accept partner {digest[:12]}\n"
    (found,) = json_lines(run("lists", "diff", "partner", "--json", "-c", fetched))
    assert (found["removed"], found["changed"], found["added"]) == (["b"], ["a"], [])
    assert found["digest"] == digest
    of_list, of_feed = status(fetched)
    assert (of_list["entries"], bool(of_feed["waiting"])) == (2, True)
    assert "waiting" in plain(run("lists", "status", "-c", fetched).stderr)
    assert run("lists", "accept", "partner", digest[:12], "-c", fetched).exit_code == 0
    assert status(fetched)[0]["entries"] == 1


@pytest.fixture
def waiting(fetched: Path, replaced: Callable[..., None]) -> str:
    """The version that waits in the feed of a configuration."""
    replaced(entry("a"))
    run("lists", "fetch", "-c", fetched)
    digest: str = status(fetched)[1]["waiting"]
    return digest


@pytest.mark.parametrize("digits", [0, 11])
def test_a_version_is_accepted_by_its_digest_only(fetched: Path, waiting: str, digits: int) -> None:
    for named in ((), (waiting[:digits],), ("0" * 12,)):
        result = run("lists", "accept", "partner", *named, "-c", fetched)
        assert (result.exit_code, "accept" in plain(result.stderr)) == (2, True)
    assert status(fetched)[1]["waiting"] == waiting


def test_whoever_accepts_a_list_accepts_nothing_that_waits_in_its_feed(
    fetched: Path, waiting: str
) -> None:
    assert run("lists", "accept", "known", waiting[:12], "-c", fetched).exit_code == 2
    served = status(fetched)[0]["digest"]
    assert run("lists", "accept", "known", served[:12], "-c", fetched).exit_code == 0
    of_list, of_feed = status(fetched)
    assert (of_list["accepted"], of_feed["waiting"]) == (served, waiting)


@pytest.mark.parametrize(("answer", "entries"), [("y", 1), ("n", 2)])
def test_at_a_terminal_somebody_is_asked(
    fetched: Path, waiting: str, monkeypatch: pytest.MonkeyPatch, answer: str, entries: int
) -> None:
    asked = list[str]()

    def confirm(question: str, **_: object) -> bool:
        asked.append(question)
        return answer == "y"

    monkeypatch.setattr("initgate.cli.accept.typer.confirm", confirm)
    monkeypatch.setattr("initgate.cli.accept._is_terminal", lambda: True)
    result = run("lists", "accept", "partner", "-c", fetched)
    assert f"version {waiting[:12]} of the feed, which waits: of 2" in plain(result.stderr)
    assert (len(asked), status(fetched)[0]["entries"]) == (1, entries)


def test_nothing_is_accepted_where_nothing_waits(fetched: Path) -> None:
    result = run("lists", "accept", "partner", "-c", fetched)
    assert (result.exit_code, "no version waits" in plain(result.stderr)) == (2, True)
    result = run("lists", "diff", "partner", "-c", fetched)
    assert (result.exit_code, "no version waits" in plain(result.stderr)) == (2, True)


def test_a_feed_is_rolled_back_and_unpinned(fetched: Path, replaced: Callable[..., None]) -> None:
    first = status(fetched)[1]["digest"]
    replaced(entry("a"), entry("b"), entry("c"))
    run("lists", "fetch", "-c", fetched)
    second = status(fetched)[1]["digest"]
    result = run("lists", "rollback", "partner", "-c", fetched)
    assert plain(result.stdout) == f"done  partner: served {first}, pinned\n"
    assert (status(fetched)[1]["digest"], status(fetched)[1]["pinned"]) == (first, True)
    result = run("lists", "pin", "partner", "--undo", "-c", fetched)
    assert plain(result.stdout) == f"done  partner: served {first}, not pinned\n"
    assert run("lists", "rollback", "partner", "--to", second[:8], "-c", fetched).exit_code == 0
    assert status(fetched)[1]["digest"] == second
    text = plain(run("lists", "diff", f"partner@{first[:9]}", "partner", "-c", fetched).stdout)
    assert text == "added  pdq: 1  c\n"


def test_two_files_are_compared(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_bytes(dump([entry("b"), entry("c")], Format.JSONL))
    text = plain(run("lists", "diff", file, other).stdout)
    assert text == "added  pdq: 1  c\nremoved  pdq: 1  a\n"
    assert plain(run("lists", "diff", file, file).stdout) == "the same  pdq\n"


def test_additions_are_in_the_list_and_in_what_is_exported(fetched: Path, tmp_path: Path) -> None:
    run("lists", "add-hash", "known", "--hash", "3c" * 32, "--entry", "mine", "-c", fetched)
    run("lists", "remove", "known", "a", "-c", fetched)
    out = tmp_path / "all.jsonl"
    assert run("lists", "export", "known", out, "-c", fetched).exit_code == 0
    text = out.read_text()
    assert ('"mine"' in text, '"b"' in text, '"a"' in text) == (True, True, False)
    assert run("lists", "export", "known", tmp_path / "all.xml", "-c", fetched).exit_code == 2


def test_a_photo_is_added_by_its_hash(fetched: Path, tmp_path: Path, log: Any) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(encode(scene(1), "PNG"))
    run("lists", "add-photo", "known", photo, "--entry", "mine", "-c", fetched)
    gate = load_gate(fetched, log=log)
    assert [one.entry for one in gate.inspect(scene(1)).matches] == ["mine"]
    (line,) = json_lines(
        run(
            "lists", "add-photo", "known", photo, "--entry", "x", "--views", "--json", "-c", fetched
        )
    )
    assert line["hashes"] > 3


def test_a_photo_without_structure_or_name_is_not_added(fetched: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(encode(scene(1)[:1, :1], "PNG"))
    for arguments in ((photo, "--entry", "x"), (photo, "--entry", "x", "--views")):
        assert run("lists", "add-photo", "known", *arguments, "-c", fetched).exit_code == 1
    photo.write_bytes(encode(scene(1), "PNG"))
    assert run("lists", "add-photo", "known", photo, "--entry", "", "-c", fetched).exit_code == 2
    assert status(fetched)[0]["added"] == 0


def test_a_feeds_list_is_not_merged(fetched: Path) -> None:
    result = run("lists", "merge", "known", "-c", fetched)
    assert (result.exit_code, "is made by feed 'partner'" in plain(result.stderr)) == (2, True)


def test_all_versions_of_a_feed_are_verified(fetched: Path, replaced: Callable[..., None]) -> None:
    replaced(entry("a"), entry("b"), entry("c"))
    run("lists", "fetch", "-c", fetched)
    lines = json_lines(run("lists", "verify", "partner", "--json", "-c", fetched))
    assert [one["whole"] for one in lines] == [True, True]
    path = load_settings(fetched).lists[0].path
    path.write_bytes(path.read_bytes()[:-1])
    result = run("lists", "verify", "partner", "-c", fetched)
    assert result.exit_code == 1
    assert f"{path.resolve()}: it is not what was written" in plain(result.stdout)
    damaged = status(fetched)[1]["damaged"]
    assert str(path.resolve()) in damaged
    assert run("lists", "verify", "nothing", "-c", fetched).exit_code == 2


def test_an_old_feed_is_warned_of(fetched: Path) -> None:
    fetched.write_text(fetched.read_text().replace('"1d"', '"1d"\nwarn_after = "1s"'))
    versions = Versions(load_settings(fetched).store.path / "partner")
    at = versions.state().succeeded_at
    assert at is not None
    versions.save(replace(versions.state(), succeeded_at=at - timedelta(minutes=1)))
    assert status(fetched)[0]["old"]
    assert "past warn_after" in plain(run("doctor", "-c", fetched).stdout)


def _doctor(config: Path) -> dict[str, tuple[str, str]]:
    """By what was looked at, the state and what was said."""
    lines = json_lines(run("doctor", "--json", "-c", config))
    return {one["check"]: (one["state"], one["says"]) for one in lines}


def test_the_doctor_tells_how_a_feed_is(config: Path, replaced: Callable[..., None]) -> None:
    state, told = _doctor(config)["feed partner"]
    assert (state, "initgate lists fetch partner" in told) == ("warning", True)
    run("lists", "fetch", "-c", config)
    state, told = _doctor(config)["feed partner"]
    assert (state, told.startswith("fetched ")) == ("ok", True)
    replaced(entry("a"))
    run("lists", "fetch", "-c", config)
    state, told = _doctor(config)["feed partner"]
    assert (state, "initgate lists diff partner" in told) == ("warning", True)
    (config.parent / "partner.csv").write_text("nonsense")
    run("lists", "fetch", "-c", config)
    state, told = _doctor(config)["feed partner"]
    assert (state, told.startswith("not fetched: ")) == ("warning", True)


def test_the_doctor_tells_that_what_is_served_is_from_before_a_change(config: Path) -> None:
    run("lists", "fetch", "-c", config)
    digest = hashlib.sha256((config.parent / "partner.csv").read_bytes()).hexdigest()
    source = 'source = "partner.csv"'
    config.write_text(config.read_text().replace(source, f'{source}\nsha256 = "{digest}"'))
    state, told = _doctor(config)["feed partner"]
    assert (state, "from before: initgate lists fetch partner" in told) == ("warning", True)
    result = run("lists", "status", "-c", config)
    assert (result.exit_code, "lists fetch partner" in plain(result.stderr)) == (2, True)
    run("lists", "fetch", "-c", config)
    assert _doctor(config)["feed partner"][0] == "ok"


@pytest.mark.parametrize(
    ("extra", "source", "missing"),
    [
        ("sources", 'source = "https://example.org/a.csv"', "initgate.sources.https"),
        ("sources", 'source = "tat"\ncredentials = "env:TAT"', "initgate.sources.tat"),
        ("trust", f'source = "a.csv"\npublic_keys = ["{KEY}"]', "cryptography"),
        (
            "trust",
            'source = "tuf+file:///a"\nroot = "root.json"\ntarget = "a.csv"',
            "initgate.sources.tuf.reader",
        ),
    ],
)
def test_the_doctor_names_the_extra_that_a_feed_needs(
    config: Path, monkeypatch: pytest.MonkeyPatch, extra: str, source: str, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    config.write_text(config.read_text().replace('source = "partner.csv"', source))
    state, told = _doctor(config)["feed partner"]
    assert (state, f"pip install 'initgate[{extra}]'" in told) == ("failure", True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("fetch", "other"), "no feed 'other' is configured; there are: partner"),
        (("rollback", "other"), "no feed 'other'"),
        (("rollback", "partner"), "no version was served before"),
        (("fetch", "--watch"), "no feed says poll"),
    ],
)
def test_what_cannot_be_done_is_told(fetched: Path, arguments: tuple[str, ...], told: str) -> None:
    result = run("lists", *arguments, "-c", fetched)
    assert (result.exit_code, told in plain(result.stderr)) == (2, True)


@pytest.mark.parametrize(
    "wrong",
    ['source = "https://example.org/a.csv"\nsource_options = { hots = 1 }', 'source = "tat"'],
)
def test_a_feed_that_cannot_be_opened_keeps_no_other_from_being_fetched(
    config: Path, wrong: str
) -> None:
    pytest.importorskip("httpcore2")
    text = config.read_text()
    config.write_text(text.replace("[[feeds]]", f'[[feeds]]\nname = "wrong"\n{wrong}\n[[feeds]]'))
    result = run("lists", "fetch", "-c", config)
    assert (result.exit_code, "not fetched  wrong" in plain(result.stderr)) == (1, True)
    of_list, of_wrong, _ = json_lines(run("lists", "status", "--json", "-c", config))
    assert of_list["entries"] == 2
    assert of_wrong["error"]
    assert of_wrong["polled_at"]


def test_without_feeds_nothing_is_fetched(tmp_path: Path) -> None:
    config = tmp_path / "plain.toml"
    config.write_text('[[lists]]\nname = "a"\npath = "a.csv"\n')
    result = run("lists", "fetch", "-c", config)
    assert (result.exit_code, "no feed is configured" in plain(result.stderr)) == (2, True)


def test_an_error_that_nobody_foresaw_ends_no_watch(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(config.read_text().replace("partner.csv", 'partner.csv"\npoll = "1h'))
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt

    def failing(*_: object) -> None:
        raise LookupError("a secret")

    monkeypatch.setattr("initgate.cli.feeds.time.sleep", wait)
    monkeypatch.setattr("initgate.feeds._update", failing)
    result = run("lists", "fetch", "--watch", "-c", config)
    assert plain(result.stderr).count("not fetched  partner: an error that was not foreseen") == 3
    assert "a secret" not in result.stderr


def test_a_watched_feed_is_fetched_again_and_again_about_as_often_as_it_says(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(config.read_text().replace("partner.csv", 'partner.csv"\npoll = "1h'))
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("initgate.cli.feeds.time.sleep", wait)
    result = run("lists", "fetch", "--watch", "-c", config)
    assert result.exit_code != 0
    assert plain(result.stdout).count("partner: pdq 2") == 3
    assert all(3200 < seconds < 4000 for seconds in waits)
