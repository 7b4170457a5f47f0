"""How a feed comes to its versions: merged, held back, rolled back, gone on with."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from feeding import Fed, Scripted, code

from initgate.errors import ConfigError, ListRejected, SourceUnavailable
from initgate.feeds import Rails, accept, pin, roll_back
from initgate.lists.feed import Record, needs
from initgate.model import Algorithm
from initgate.sources import Batch
from initgate.store.versions import Versions
from initgate.trust import Pinned, Vouched

STRICT = Rails()


@pytest.fixture
def fed(tmp_path: Path) -> Fed:
    return Fed(tmp_path / "store" / "f")


# ── Fetching ──────────────────────────────────────────────────────────────────────────────────


def test_a_first_fetch_is_served(fed: Fed) -> None:
    fed.brings(("a", "b"))
    found = fed.fetch()
    assert (found.is_new, found.waits) == (True, "")
    assert fed.held() == {"a", "b"}
    assert fed.versions.path(Algorithm.PDQ).resolve().parent.name == found.about.digest


def test_changes_are_merged_into_what_is_there(fed: Fed) -> None:
    fed.brings(("a", "b", "?c"))
    fed.fetch()
    fed.brings(("-a", "d"), ("e",))
    found = fed.fetch()
    assert fed.held() == {"b", "d", "e"}
    assert (found.about.entries, found.about.unmatched) == ({"pdq": 3}, {"PhotoDNA": 1})


def test_a_whole_batch_replaces_what_is_there(fed: Fed) -> None:
    fed.source.is_whole = True
    fed.brings(("a", "b"))
    fed.fetch()
    fed.brings(("c",))
    fed.fetch()
    assert fed.held() == {"c"}


def test_a_fetch_goes_on_where_the_last_one_ended(fed: Fed) -> None:
    fed.brings(("a",), ("b",))
    fed.fetch()
    fed.fetch()
    assert fed.source.asked == [{}, {"at": 2}]


def test_no_news_is_a_success_and_no_new_version(fed: Fed) -> None:
    fed.brings(("a",))
    first = fed.fetch()
    again = fed.fetch()
    assert (again.is_new, again.about.digest) == (False, first.about.digest)
    state = fed.versions.state()
    assert state.succeeded_at == state.polled_at == fed.clock.now


def test_a_batch_that_changes_nothing_moves_the_checkpoint_on(fed: Fed) -> None:
    fed.brings(("a",))
    fed.fetch()
    fed.brings(("a",))
    assert not fed.fetch().is_new
    fed.fetch()
    assert fed.source.asked[-1] == {"at": 2}


def test_an_algorithm_that_is_wanted_later_gets_a_list_if_an_empty_one(fed: Fed) -> None:
    fed.brings(("a",))
    fed.fetch()
    fed.settings = {"thresholds": {Algorithm.PDQ: 31, Algorithm.MD5: 0}}
    assert fed.fetch().about.entries == {"pdq": 1, "md5": 0}
    assert fed.versions.path(Algorithm.MD5).is_file()


def test_files_are_for_their_owner_alone(fed: Fed) -> None:
    fed.brings(("a",))
    fed.fetch()
    kept = [one for one in fed.folder.parent.rglob("*") if not one.is_symlink()]
    assert {one.stat().st_mode & 0o777 for one in kept if one.is_file()} == {0o600}
    assert {one.stat().st_mode & 0o777 for one in kept if one.is_dir()} == {0o700}


def test_old_versions_are_removed(fed: Fed) -> None:
    fed.settings = {"keep": 2}
    for name in "abcd":
        fed.brings((name,))
        fed.fetch()
    assert sorted(map(len, map(fed.held, fed.versions.digests()))) == [3, 4]


# ── What goes wrong ───────────────────────────────────────────────────────────────────────────


def test_a_source_that_fails_leaves_what_is_served_and_its_age(fed: Fed) -> None:
    fed.brings(("a",))
    fed.fetch()
    before = fed.versions.state().succeeded_at
    fed.brings(SourceUnavailable("no answer"))
    with pytest.raises(SourceUnavailable, match="no answer"):
        fed.fetch()
    state = fed.versions.state()
    assert (fed.held(), state.succeeded_at, state.error) == ({"a"}, before, "no answer")
    assert state.polled_at == fed.clock.now
    fed.source.batches.pop()
    fed.fetch()
    assert fed.versions.state().error == ""


def test_what_came_before_a_failure_is_not_fetched_again(fed: Fed) -> None:
    fed.brings(("a",), SourceUnavailable("cut"))
    with pytest.raises(SourceUnavailable):
        fed.fetch()
    assert fed.versions.current() == ""
    fed.source.batches[1] = ("b",)
    fed.fetch()
    assert fed.source.asked == [{}, {"at": 1}]
    assert fed.held() == {"a", "b"}


def test_a_batch_that_is_rejected_is_not_kept(fed: Fed) -> None:
    fed.brings(("a",), ("b", "!"))
    with pytest.raises(ListRejected, match="batch 2, line 2: malformed"):
        fed.fetch()
    assert fed.versions.digests() == []
    fed.source.batches[1] = ("b",)
    fed.fetch()
    assert fed.source.asked == [{}, {}]
    assert fed.held() == {"a", "b"}


def test_bad_records_are_left_out_and_counted_up_to_a_number(fed: Fed) -> None:
    fed.settings = {"max_bad_records": 1}
    fed.brings(("a", "!"))
    assert fed.fetch().about.rejected == 1
    fed.brings(("b", "!", "!"))
    with pytest.raises(ListRejected, match="line 3"):
        fed.fetch()


def test_a_page_at_fault_is_named(fed: Fed) -> None:
    class Paged(Scripted):
        def fetch(self, checkpoint: object) -> object:  # type: ignore[override]  # one batch
            del checkpoint
            pages = (io.BytesIO(b"a\n"), io.BytesIO(b"!\n"))
            yield Batch("window", pages, {}, is_whole=False)

    fed.source = Paged()
    with pytest.raises(ListRejected, match="window, page 2, line 1"):
        fed.fetch()


def test_what_nobody_vouches_for_is_not_taken(fed: Fed) -> None:
    fed.trust = Pinned(hashlib.sha256(b"a").hexdigest())
    fed.brings(("a",))
    assert fed.fetch().about.signer == "pinned sha256"
    fed.brings(("b",))
    with pytest.raises(ListRejected, match="is pinned"):
        fed.fetch()
    assert fed.held() == {"a"}


def test_another_rule_fetches_and_verifies_all_anew(fed: Fed) -> None:
    fed.source.is_whole = True
    fed.brings(("a",))
    assert fed.fetch().about.signer == "unsigned"
    fed.settings = {"rule": "pinned"}
    fed.trust = Pinned(hashlib.sha256(b"b").hexdigest())
    with pytest.raises(ListRejected, match="is pinned"):
        fed.fetch()
    assert fed.source.asked[-1] == {}
    fed.trust = Pinned(hashlib.sha256(b"a").hexdigest())
    assert fed.fetch().about.signer == "pinned sha256"
    fed.fetch()
    assert fed.source.asked[-1] == {"at": 1}


def test_a_version_without_proof_is_fetched_and_verified_anew(fed: Fed) -> None:
    fed.source.is_whole = True
    fed.brings(("a",))
    fed.fetch()
    fed.trust = Pinned(hashlib.sha256(b"a").hexdigest())
    fed.fetch()
    assert fed.source.asked[-1] == {}
    about, _ = fed.versions.whole()
    assert about is not None
    assert fed.trust.suffices(frozenset(about.evidence))


def test_nothing_of_what_was_taken_under_another_rule_is_kept(fed: Fed) -> None:
    fed.brings(("a", "b"))
    fed.fetch()
    fed.settings = {"rule": "another"}
    fed.source.batches = [("c",)]
    fed.fetch()
    assert fed.held() == {"c"}


def test_batches_that_cannot_be_read_are_fetched_again(fed: Fed) -> None:
    fed.brings(("a",), SourceUnavailable("cut off"))
    with pytest.raises(SourceUnavailable):
        fed.fetch()
    (told,) = (fed.folder / "incoming").glob("*/batch.json")
    told.write_bytes(b"{")
    fed.source.batches[1] = ("b",)
    fed.fetch()
    assert fed.held() == {"a", "b"}


def test_batches_that_change_another_version_are_fetched_anew(fed: Fed) -> None:
    for name in "abc":
        fed.brings((name,))
        fed.fetch()
    fed.brings(("d",), SourceUnavailable("cut"))
    with pytest.raises(SourceUnavailable):
        fed.fetch()
    roll_back(fed.versions)
    pin(fed.versions, is_pinned=False)
    fed.source.batches.pop()
    fed.fetch()
    assert fed.source.asked[-1] == {"at": 2}
    assert fed.held() == {"a", "b", "c", "d"}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (PermissionError(13, "Permission denied", "/store/x"), "/store/x: Permission denied"),
        (KeyError("a secret"), "not foreseen: KeyError in test_feeds.py, line [0-9]+; please"),
    ],
)
def test_whatever_ends_a_fetch_is_written_down(
    fed: Fed, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    fed.brings(("a",))
    fed.fetch()
    fed.brings(("b",))

    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Versions, "write", failing)
    with pytest.raises((OSError, KeyError)):
        fed.fetch()
    state = fed.versions.state()
    assert re.search(told, state.error)
    assert "secret" not in state.error
    assert (state.polled_at, fed.held()) == (fed.clock.now, {"a"})


def test_batches_that_nothing_here_can_read_yet_are_kept(
    fed: Fed, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed.brings(("a",))

    def missing(*_: object, source: str) -> Iterator[Record]:
        raise needs("lxml", source)

    with monkeypatch.context() as patched:
        patched.setattr("feeding.read", missing)
        with pytest.raises(ConfigError, match="needs lxml"):
            fed.fetch()
    fed.fetch()
    assert fed.source.asked == [{}, {"at": 1}]
    assert fed.held() == {"a"}


# ── When somebody vouched ─────────────────────────────────────────────────────────────────────

DAY = datetime(2030, 1, 1, tzinfo=UTC)


class Dated:
    """Vouches for everything, each time a day later, and keeps what was asked."""

    def __init__(self) -> None:
        self.at, self.newest = DAY, list[datetime | None]()

    def verify(self, *_: object, newest: datetime | None = None, **__: object) -> Vouched:
        self.newest.append(newest)
        self.at += timedelta(days=1)
        return Vouched("somebody", self.at)

    def suffices(self, evidence: frozenset[str]) -> bool:
        del evidence
        return True


@pytest.fixture
def dated(fed: Fed) -> Dated:
    """Whoever vouches for a feed of which two versions were served."""
    fed.trust = dated = Dated()
    fed.source.is_whole = True
    for one in "ab":
        fed.source.batches = [(one,)]
        fed.settings = {"rule": one}  # so that all is fetched
        fed.fetch()
    return dated


@pytest.mark.parametrize("is_rolled_back", [False, True])
def test_the_time_at_which_somebody_vouched_outlives_the_state(
    fed: Fed, dated: Dated, is_rolled_back: bool
) -> None:
    if is_rolled_back:
        roll_back(fed.versions)
    (fed.folder / "state.json").unlink()
    fed.fetch()
    assert dated.newest[-1] == dated.at - timedelta(days=1)


def test_the_time_at_which_somebody_vouched_is_swapped_in_with_the_version(
    fed: Fed, dated: Dated, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    fed.source.batches, fed.settings = [("c",)], {"rule": "c"}
    with monkeypatch.context() as patched:
        patched.setattr(Versions, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            fed.fetch()
    assert fed.held() == {"c"}
    fed.fetch()
    assert dated.newest[-1] == dated.at - timedelta(days=1)


def test_what_waits_does_not_keep_out_what_was_vouched_for_before(fed: Fed, dated: Dated) -> None:
    fed.settings = {"rule": "c", "rails": STRICT}
    fed.source.batches = [("-a",)]
    assert fed.fetch().waits
    fed.fetch()
    assert dated.newest[-1] == dated.at - timedelta(days=2)


# ── Rails ─────────────────────────────────────────────────────────────────────────────────────


def shrinking(fed: Fed, left: int) -> str:
    fed.settings, fed.source.is_whole = {"rails": STRICT}, True
    fed.brings(tuple(f"e{n}" for n in range(20)))
    fed.fetch()
    fed.brings(tuple(f"e{n}" for n in range(left)))
    return fed.fetch().waits


def test_an_update_may_lose_a_tenth(fed: Fed) -> None:
    assert shrinking(fed, 18) == ""


def test_an_update_that_loses_more_waits(fed: Fed) -> None:
    assert shrinking(fed, 17) == "of 20 entries 17 are left, and max_shrink is 10%"
    state = fed.versions.state()
    assert (len(fed.held()), len(fed.held(state.waiting))) == (20, 17)
    assert state.why


def test_a_loss_in_one_algorithm_is_no_less_a_loss(fed: Fed) -> None:
    both = {Algorithm.PDQ: 31, Algorithm.MD5: 0}
    assert shrinking(fed, 20) == ""
    fed.settings = {"rails": STRICT, "thresholds": both}
    fed.fetch()
    before, _ = fed.versions.whole()
    assert before is not None
    kept = fed.versions.contents(before)
    assert STRICT.objections({"pdq": 20, "md5": 2}, kept) == [
        "of 2 md5 entries 0 are left, and max_shrink is 10%"
    ]
    assert STRICT.objections({"pdq": 20, "sha1": 0}, kept) == []


def test_a_version_that_waits_makes_no_list_younger(fed: Fed) -> None:
    shrinking(fed, 1)
    before = fed.versions.state().succeeded_at
    fed.fetch()
    assert fed.versions.state().succeeded_at == before


def test_what_waits_is_served_once_it_is_accepted(fed: Fed) -> None:
    shrinking(fed, 1)
    accepted = accept(fed.versions, fed.versions.state().waiting)
    state = fed.versions.state()
    assert (fed.held(), state.waiting, state.why) == ({"e0"}, "", "")
    assert state.succeeded_at == accepted.made_at
    assert not fed.fetch().is_new


def test_what_waited_is_dropped_if_the_source_takes_it_back(fed: Fed) -> None:
    shrinking(fed, 1)
    fed.source.batches[-1] = tuple(f"e{n}" for n in range(19))
    assert fed.fetch().waits == ""
    assert len(fed.held()) == 19
    assert fed.versions.state().waiting == ""


def test_nothing_is_accepted_where_nothing_waits(fed: Fed) -> None:
    fed.brings(("a",))
    fed.fetch()
    with pytest.raises(ListRejected, match="does not wait any more, none does"):
        accept(fed.versions, fed.versions.current())


def test_a_version_that_took_the_place_of_the_one_looked_at_is_not_accepted(fed: Fed) -> None:
    shrinking(fed, 1)
    looked_at = fed.versions.state().waiting
    fed.source.batches[-1] = ("other",)
    fed.fetch()
    waits = fed.versions.state().waiting
    with pytest.raises(ListRejected, match=f"not wait any more, {waits[:12]} does; look at it"):
        accept(fed.versions, looked_at)
    assert len(fed.held()) == 20


def test_an_empty_first_version_waits(fed: Fed) -> None:
    fed.settings = {"rails": STRICT}
    fed.brings(("-a",))
    assert fed.fetch().waits == "it holds no entry"
    assert fed.versions.current() == ""


def test_an_update_without_its_canary_waits(fed: Fed) -> None:
    fed.settings = {"rails": Rails(canary=code("canary"))}
    fed.brings(("canary", *(f"e{n}" for n in range(20))))
    assert fed.fetch().waits == ""
    fed.brings(("-canary",))
    assert fed.fetch().waits == f"its canary {code('canary').hex()} is missing"


# ── Rolled back and pinned ────────────────────────────────────────────────────────────────────


def test_a_feed_is_rolled_back_and_stays_there(fed: Fed) -> None:
    for name in "abc":
        fed.brings((name,))
        fed.fetch()
    roll_back(fed.versions)
    assert fed.held() == {"a", "b"}
    found = fed.fetch()
    assert (found.waits, fed.held()) == ("the feed is pinned", {"a", "b"})
    roll_back(fed.versions)
    assert fed.held() == {"a"}


def test_a_feed_is_rolled_back_to_a_version_by_its_first_digits(fed: Fed) -> None:
    digests = []
    for name in "abc":
        fed.brings((name,))
        digests.append(fed.fetch().about.digest)
    roll_back(fed.versions, digests[0][:12])
    assert fed.held() == {"a"}
    with pytest.raises(ListRejected, match=f"no version 'x'; there are: .*{digests[1][:12]}"):
        roll_back(fed.versions, "x")


def test_a_version_that_is_rolled_back_to_is_as_old_as_what_took_its_place(fed: Fed) -> None:
    abouts = []
    for name in "abc":
        fed.brings((name,))
        abouts.append(fed.fetch().about)
        fed.fetch()  # no news
    roll_back(fed.versions)
    assert fed.versions.state().succeeded_at == abouts[2].made_at
    roll_back(fed.versions, abouts[0].digest)
    assert fed.versions.state().succeeded_at == abouts[1].made_at
    roll_back(fed.versions, abouts[1].digest)
    assert fed.versions.state().succeeded_at == abouts[1].made_at  # nobody knows better


def test_a_version_that_was_left_is_not_fallen_back_to(fed: Fed) -> None:
    for name in "abc":
        fed.brings((name,))
        fed.fetch()
    roll_back(fed.versions)
    path = fed.versions.file(fed.versions.current(), Algorithm.PDQ)
    path.write_bytes(b"")
    assert fed.held() == {"a"}


def test_a_pinned_feed_takes_updates_again_once_it_is_unpinned(fed: Fed) -> None:
    fed.brings(("a",))
    fed.fetch()
    pin(fed.versions)
    fed.brings(("b",))
    assert fed.fetch().waits == "the feed is pinned"
    pin(fed.versions, is_pinned=False)
    assert fed.fetch().is_new
    assert fed.held() == {"a", "b"}


def test_there_is_nothing_to_roll_back_to_or_to_pin_at_first(fed: Fed) -> None:
    with pytest.raises(ListRejected, match="no version yet"):
        pin(fed.versions)
    fed.brings(("a",))
    fed.fetch()
    with pytest.raises(ListRejected, match="no version was served before"):
        roll_back(fed.versions)


# ── Damage ────────────────────────────────────────────────────────────────────────────────────


def damaged(fed: Fed, name: str, *, at: int = -1) -> str:
    """Flips a bit in a file of the version that is served, of two."""
    for one in "ab":
        fed.brings((one,))
        fed.fetch()
    path = fed.folder / "current" / name
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    return str(path.resolve())


@pytest.mark.parametrize("name", ["pdq.igx", "unmatched.npy", "version.json"])
def test_a_damaged_version_is_named_and_the_one_before_is_whole(fed: Fed, name: str) -> None:
    path = damaged(fed, name, at=-10)
    about, problem = fed.versions.whole()
    assert problem == f"{path}: it is not what was written"
    assert about is not None
    assert fed.held() == {"a"}


@pytest.mark.parametrize("name", ["pdq.igx", "version.json"])
def test_a_torn_or_missing_file_is_found(fed: Fed, name: str) -> None:
    path = Path(damaged(fed, name))
    path.write_bytes(path.read_bytes()[:100])
    assert fed.held() == {"a"}
    path.unlink()
    assert fed.held() == {"a"}


def test_a_fetch_mends_a_damaged_version(fed: Fed) -> None:
    path = damaged(fed, "pdq.igx")
    found = fed.fetch()
    assert path in found.mended
    assert fed.versions.whole()[1] == ""
    assert fed.held() == {"a", "b"}


def test_a_damaged_version_that_waits_is_not_accepted(fed: Fed) -> None:
    shrinking(fed, 1)
    path = fed.versions.file(fed.versions.state().waiting, Algorithm.PDQ)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ListRejected, match="not what was written"):
        accept(fed.versions, fed.versions.state().waiting)
    assert len(fed.held()) == 20


@pytest.mark.parametrize("key", [None, bytes(32)])
def test_an_update_is_compared_with_what_cannot_be_opened_any_more(
    fed: Fed, key: bytes | None
) -> None:
    if key is not None:
        pytest.importorskip("cryptography")
    fed.settings, fed.source.is_whole = {"rails": STRICT}, True
    fed.brings(tuple(f"e{n}" for n in range(20)))
    digest = fed.fetch().about.digest
    if key is None:
        fed.versions.file(digest, Algorithm.PDQ).write_bytes(b"")
    else:
        fed.key = key  # what is there is not encrypted
    fed.source.batches = [("e0",)]
    assert fed.fetch().waits == "of 20 entries 1 are left, and max_shrink is 10%"


def test_a_damaged_state_is_named_with_the_way_out(fed: Fed) -> None:
    fed.brings(("a",))
    fed.fetch()
    path = fed.folder / "state.json"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ListRejected, match=r"state\.json: it is not what was written; remove it"):
        fed.fetch()
    assert fed.held() == {"a"}
    path.unlink()
    assert fed.fetch().waits == ""


def test_a_version_in_the_folder_of_another_is_found(fed: Fed) -> None:
    damaged(fed, "pdq.igx")
    one, other = (fed.folder / "versions" / digest for digest in fed.versions.digests())
    for name in ("pdq.igx", "version.json"):
        (one / name).write_bytes((other / name).read_bytes())
    with pytest.raises(ListRejected, match="of another version"):
        fed.versions.verify(one.name)
