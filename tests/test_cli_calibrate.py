from __future__ import annotations

import json
import re
import stat
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from initgate.benign import load_benign
from initgate.calibration import MIN_PICTURES
from initgate.cli import app
from initgate.config import load_settings, with_threshold
from initgate.errors import ConfigError
from initgate.image import encode
from initgate.lists import Format, dump
from initgate.model import Algorithm, ListEntry
from initgate.testing import scene

CONFIG = """\
# The gate of a test.
[[lists]]
name = "mine"     # scenes
path = "mine.csv"
algorithm = "{algorithm}"
threshold = 31    # too much?

# Other things.
[audit]
url = "sqlite:///audit.db"
"""


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)


def record(*arguments: object) -> dict[str, Any]:
    result = run("calibrate", "mine", *arguments, "--json")
    loaded: dict[str, Any] = json.loads(result.stdout)
    return loaded | {"exit_code": result.exit_code}


def entry(code: bytes, name: str, algorithm: Algorithm = Algorithm.PDQ) -> ListEntry:
    return ListEntry(algorithm, code, name, 100)


def random_codes(seed: int, number: int, bits: int = 256) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (number, bits // 8), dtype=np.uint8)


@pytest.fixture
def setting(tmp_path: Path) -> Callable[..., Path]:
    """Writes a list of some entries and its configuration."""

    def write(*entries: ListEntry, algorithm: Algorithm = Algorithm.PDQ) -> Path:
        entries = entries or tuple(
            entry(code.tobytes(), f"entry {row}") for row, code in enumerate(random_codes(0, 300))
        )
        (tmp_path / "mine.csv").write_bytes(dump(entries, Format.CSV))
        config = tmp_path / "gate.toml"
        config.write_text(CONFIG.format(algorithm=algorithm), encoding="utf-8")
        return config

    return write


@pytest.fixture
def config(setting: Callable[..., Path]) -> Path:
    return setting()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of three pictures, one in a folder of its own, and a file that is none."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for seed, name in enumerate(["a.png", "b.png", "more/c.png"]):
        (folder / name).write_bytes(encode(scene(seed, height=120, width=160), "PNG"))
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def hashes(tmp_path: Path) -> Path:
    """Hashes of more pictures than it takes to estimate."""
    file = tmp_path / "hashes.npz"
    np.savez(file, pdq=random_codes(1, 2 * MIN_PICTURES))
    return file


# ── What is measured ──────────────────────────────────────────────────────────────────────────


def test_every_picture_of_a_folder_is_compared_in_all_views(config: Path, photos: Path) -> None:
    found = record("--photos", photos, "-c", config)
    assert (found["pictures"], found["entries"]) == (3, 300)
    assert found["hashes"] >= 3 * 8
    assert sum(one["hashes"] for one in found["views"]) == found["hashes"]


def test_files_that_are_no_pictures_are_named(config: Path, photos: Path) -> None:
    assert [one["file"] for one in record("--photos", photos, "-c", config)["left_out"]] == [
        "notes.txt"
    ]
    assert "notes.txt" in run("calibrate", "mine", "--photos", photos, "-c", config).stderr


def test_hashes_are_compared_like_pictures(config: Path, hashes: Path) -> None:
    found = record("--hashes", hashes, "-c", config)
    listed, asked = random_codes(0, 300), random_codes(1, 2 * MIN_PICTURES)
    differing = np.bitwise_count(listed[:, None] ^ asked).sum(axis=2)
    assert found["nearest"] == differing.min()
    assert found["pictures"] == len(asked)
    assert found["exit_code"] == 0


def test_drawn_pictures_always_take_part(config: Path, hashes: Path) -> None:
    assert record("--hashes", hashes, "-c", config)["drawn"] == len(load_benign())


def test_drawn_pictures_have_no_other_hash_than_pdq(
    setting: Callable[..., Path], photos: Path
) -> None:
    codes = random_codes(0, 20, 64)
    entries = [entry(one.tobytes(), str(row), Algorithm.PHASH64) for row, one in enumerate(codes)]
    config = setting(*entries, algorithm=Algorithm.PHASH64)
    config.write_text(config.read_text().replace("threshold = 31", "threshold = 6"))
    assert record("--photos", photos, "-c", config)["drawn"] == 0


def test_every_threshold_is_told_with_intervals(config: Path, hashes: Path) -> None:
    rows = record("--hashes", hashes, "-c", config)["thresholds"]
    assert [one["threshold"] for one in rows] == list(range(97))
    for row in rows:
        for rate in (row["counted"], row["counted_a_pair"], row["estimated"]):
            assert rate["low"] <= rate["value"] <= rate["high"]


def test_edits_are_tried_where_pictures_are_at_hand(
    config: Path, photos: Path, hashes: Path
) -> None:
    edits = record("--photos", photos, "-c", config)["edits"]
    assert {one["edit"]: one["recall"]["31"] for one in edits}["mirrored"] == 1.0
    assert record("--hashes", hashes, "-c", config)["edits"] == []


def test_entries_that_no_gate_searches_are_left_out(
    setting: Callable[..., Path], hashes: Path
) -> None:
    poor = ListEntry(Algorithm.PDQ, bytes(range(32)), "poor", 10)
    config = setting(entry(random_codes(0, 1)[0].tobytes(), "kept"), poor)
    assert record("--hashes", hashes, "-c", config)["entries"] == 1


# ── What is recommended ───────────────────────────────────────────────────────────────────────


def test_more_than_the_algorithms_own_threshold_is_never_recommended(
    config: Path, hashes: Path
) -> None:
    found = record("--hashes", hashes, "-c", config)
    assert found["supported"] > 31
    assert found["recommended"] == 31


def test_few_pictures_support_nothing(config: Path, photos: Path) -> None:
    found = record("--photos", photos, "-c", config)
    assert (found["recommended"], found["exit_code"]) == (None, 1)


def test_a_high_rate_is_supported_by_counting(config: Path, hashes: Path) -> None:
    low = record("--hashes", hashes, "-c", config)["supported"]
    high = record("--hashes", hashes, "--rate", "0.1", "-c", config)["supported"]
    assert low < high


@pytest.fixture
def listed_row(setting: Callable[..., Path]) -> Path:
    """A list that holds row 7 of the hashes, 6 bits changed."""
    code = random_codes(1, 8)[7].copy()
    code[0] ^= 0b111111
    others = [entry(one.tobytes(), str(row)) for row, one in enumerate(random_codes(0, 300))]
    return setting(*others, entry(code.tobytes(), "the seventh"))


def test_a_picture_that_is_on_the_list_is_named_and_ends_with_1(
    listed_row: Path, hashes: Path
) -> None:
    found = record("--hashes", hashes, "-c", listed_row)
    assert found["matching"] == [
        {
            "picture": "row 7",
            "drawn": False,
            "entry": "the seventh",
            "distance": 6,
            "view": "picture",
        }
    ]
    assert (found["recommended"], found["exit_code"]) == (5, 1)
    told = run("calibrate", "mine", "--hashes", hashes, "-c", listed_row).stdout
    assert re.search(r"row 7 .* 6 bits from the seventh", told)
    assert "--except" in told


def test_a_picture_that_is_on_the_list_can_be_left_out(listed_row: Path, hashes: Path) -> None:
    found = record("--hashes", hashes, "--except", "row 7", "-c", listed_row)
    assert (found["matching"], found["recommended"], found["exit_code"]) == ([], 31, 0)


def test_a_file_that_is_on_the_list_can_be_left_out(config: Path, photos: Path) -> None:
    assert record("--photos", photos, "--except", "more/c.png", "-c", config)["pictures"] == 2


def test_an_entry_near_a_drawn_picture_is_named(setting: Callable[..., Path], hashes: Path) -> None:
    drawn = load_benign().at(500)
    others = [entry(one.tobytes(), str(row)) for row, one in enumerate(random_codes(0, 300))]
    config = setting(*others, entry(drawn.code, "a page"))
    nearest = record("--hashes", hashes, "-c", config)["matching"][0]
    assert (nearest["drawn"], nearest["picture"], nearest["entry"]) == (True, drawn.entry, "a page")


# ── Writing ───────────────────────────────────────────────────────────────────────────────────


def test_the_threshold_is_written_and_all_else_kept(config: Path, hashes: Path) -> None:
    before = config.read_text().replace("threshold = 31 ", "threshold = 20 ")
    config.write_text(before)
    assert record("--hashes", hashes, "--write", "-c", config)["written"] is True
    assert config.read_text() == before.replace("threshold = 20 ", "threshold = 31 ")
    assert load_settings(config).lists[0].threshold == 31


def test_the_files_permissions_stay(config: Path, hashes: Path) -> None:
    config.chmod(0o600)
    run("calibrate", "mine", "--hashes", hashes, "--write", "-c", config)
    assert stat.S_IMODE(config.stat().st_mode) == 0o600


def test_a_link_to_the_configuration_stays_one(config: Path, hashes: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(config)
    run("calibrate", "mine", "--hashes", hashes, "--write", "-c", link)
    assert link.is_symlink()


def test_nothing_is_written_without_being_asked(config: Path, hashes: Path) -> None:
    before = config.stat().st_mtime_ns
    run("calibrate", "mine", "--hashes", hashes, "-c", config)
    assert config.stat().st_mtime_ns == before


def test_nothing_is_written_before_somebody_looked_at_what_matches(
    listed_row: Path, hashes: Path
) -> None:
    before = listed_row.read_text()
    result = run("calibrate", "mine", "--hashes", hashes, "--write", "-c", listed_row)
    assert (result.exit_code, listed_row.read_text()) == (1, before)
    assert "nothing written" in result.stdout


def test_what_matches_and_was_looked_at_counts_as_a_false_match(
    listed_row: Path, hashes: Path
) -> None:
    found = record("--hashes", hashes, "--write", "--distinct", "-c", listed_row)
    assert (found["written"], found["exit_code"]) == (True, 0)
    assert load_settings(listed_row).lists[0].threshold == 5


def test_nothing_is_written_if_nothing_can_be_recommended(config: Path, photos: Path) -> None:
    before = config.read_text()
    result = run("calibrate", "mine", "--photos", photos, "--write", "-c", config)
    assert (result.exit_code, config.read_text()) == (1, before)


def test_a_new_key_stands_with_the_lists_others() -> None:
    content = '[[lists]]\nname = "a"\npath = "b"\n\n# Next.\n[gate]\n'
    assert with_threshold(content, "a", 7) == content.replace('"b"\n', '"b"\nthreshold = 7\n')


@given(
    threshold=st.integers(0, 96),
    comments=st.lists(st.text("#[]=\"'é…x", max_size=9), min_size=3, max_size=4),
    has_one=st.booleans(),
)
def test_writing_a_threshold_changes_no_other_value_and_no_comment(
    threshold: int, comments: list[str], *, has_one: bool
) -> None:
    tables = [
        f'# {comment}\n[[lists]]\nname = "list-{number}"  # {comment}\npath = "x"\n'
        + ("threshold = 9 # bits\n" if has_one else "")
        for number, comment in enumerate(comments)
    ]
    content = "\n".join([*tables, "# end\n[gate]\nmax_frames = 3\n"])
    made = with_threshold(content, "list-1", threshold)
    expected = tomllib.loads(content)
    expected["lists"][1]["threshold"] = threshold
    assert tomllib.loads(made) == expected
    assert re.findall("#.*", made) == re.findall("#.*", content)


def test_inline_tables_can_be_written_too() -> None:
    content = 'lists = [{ name = "a", path = "b" }, { name = "c", path = "d" }]\n'
    assert tomllib.loads(with_threshold(content, "c", 7))["lists"][1]["threshold"] == 7


def test_a_list_that_does_not_stand_in_the_file_cannot_be_written() -> None:
    with pytest.raises(ConfigError, match="does not stand in the file"):
        with_threshold('[[lists]]\nname = "a"\npath = "b"\n', "c", 7)


# ── The plot ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("suffix", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_the_plot_is_of_the_kind_that_its_suffix_says(
    config: Path, hashes: Path, tmp_path: Path, suffix: str, start: bytes
) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / f"plot.{suffix}"
    run("calibrate", "mine", "--hashes", hashes, "--out", out, "-c", config)
    assert out.read_bytes().startswith(start)


def test_a_plot_without_an_estimate_is_drawn(config: Path, photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run("calibrate", "mine", "--photos", photos, "--out", tmp_path / "plot.svg", "-c", config)
    assert b"mirrored" in (tmp_path / "plot.svg").read_bytes()


def test_another_suffix_is_refused(config: Path, hashes: Path) -> None:
    result = run("calibrate", "mine", "--hashes", hashes, "--out", "plot.gif", "-c", config)
    assert result.exit_code == 2
    assert ".svg, .png" in result.stderr


def test_without_matplotlib_it_says_how_to_get_it(
    config: Path, hashes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = run("calibrate", "mine", "--hashes", hashes, "--out", "plot.svg", "-c", config)
    assert result.exit_code == 2
    assert "pip install 'initgate[plot]'" in result.stderr


# ── What is wrong ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "--photos DIR or --hashes NPZ"),
        (["--photos", "{photos}", "--hashes", "{hashes}"], "--photos DIR or --hashes NPZ"),
        (["--photos", "{photos}", "--except", "z.png"], "z.png: there is no such file"),
        (["--hashes", "{hashes}", "--except", "row 100"], "row 0 to row 99"),
        (["--hashes", "{config}"], "no .npz with an array 'pdq'"),
        (["--photos", "{empty}"], "no picture could be read"),
    ],
)
def test_what_is_wrong_is_named(  # noqa: PLR0917  # fixtures
    config: Path, photos: Path, hashes: Path, tmp_path: Path, arguments: list[str], named: str
) -> None:
    (tmp_path / "empty").mkdir()
    paths = {"photos": photos, "hashes": hashes, "config": config, "empty": tmp_path / "empty"}
    given_ = [one.format(**paths) for one in arguments]
    result = run("calibrate", "mine", *given_, "-c", config)
    assert result.exit_code == 2
    assert named in result.stderr


def test_hashes_of_another_width_are_refused(config: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "wrong.npz", pdq=random_codes(0, 3, 64))
    result = run("calibrate", "mine", "--hashes", tmp_path / "wrong.npz", "-c", config)
    assert result.exit_code == 2
    assert "uint8 [n, 32], found uint8 [3, 8]" in result.stderr


def test_a_list_of_digests_has_nothing_to_calibrate(
    setting: Callable[..., Path], photos: Path
) -> None:
    digest = ListEntry(Algorithm.MD5, bytes(16), "digest")
    config = setting(digest, algorithm=Algorithm.MD5)
    config.write_text(config.read_text().replace("threshold = 31", "threshold = 0"))
    result = run("calibrate", "mine", "--photos", photos, "-c", config)
    assert result.exit_code == 2
    assert "matches exactly" in result.stderr


def test_an_unknown_list_is_named(config: Path, photos: Path) -> None:
    result = run("calibrate", "theirs", "--photos", photos, "-c", config)
    assert result.exit_code == 2
    assert "there are: mine" in result.stderr


def test_a_threshold_that_would_not_load_is_not_written() -> None:
    content = '[[lists]]\nname = "a"\npath = "b"\nflag_threshold = 33\n'
    with pytest.raises(ConfigError, match=r"would not load .* allowed: 37 to 96.* was changed"):
        with_threshold(content, "a", 36)
