from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from samples import CONFIG, ROOT

from initgate import Action, Algorithm, ConfigError, Settings, load_settings
from initgate.config import FeedSettings, Role, find_config, with_table
from initgate.image import Limits
from initgate.lists import Format
from initgate.lists.formats import FeedFormat
from initgate.policy import Encoded, Fallback, ListPolicy

ONE_LIST = '[[lists]]\nname = "a"\npath = "a.csv"\n'

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_config(text: str) -> Path:
        file = tmp_path / "gate.toml"
        file.write_text(text)
        return file

    return write_config


def problem(file: Path) -> str:
    with pytest.raises(ConfigError) as raised:
        load_settings(file)
    return str(raised.value)


# ── What is read ──────────────────────────────────────────────────────────────────────────────


def test_the_shipped_configuration_loads() -> None:
    settings = load_settings(CONFIG)
    assert [one.name for one in settings.lists] == ["sample-pdq", "sample-phash", "sample-sha256"]
    assert all(one.path.is_file() for one in settings.lists)


def test_what_the_shipped_configuration_comments_out_is_the_default(write: Write) -> None:
    lines = CONFIG.read_text().replace("../hashlists/", f"{ROOT}/hashlists/").splitlines()
    feed = lines[lines.index("# [[feeds]]") : lines.index("[store]")]
    start = lines.index("# [[serve.keys]]")
    examples = feed + lines[start : start + 4]
    explicit = [
        line.removeprefix("# ")
        for line in lines
        if line.startswith("# ")
        and " = " in line
        # which have no default that could be spelt out
        and not any(
            key in line
            for key in (
                "subject_key",
                "# key",
                "flag_threshold",
                "feed =",
                "exceptions.jsonl",
                "upstream",
                "client_header",
                "metrics_port",
            )
        )
        and line not in examples
    ]
    assert len(explicit) == 54
    head = lines.index("[[lists]]")
    mixed = "\n".join(
        line.removeprefix("# ") if line.removeprefix("# ") in explicit else line
        for line in lines[head:]
    )
    spelt_out, shipped = load_settings(write(mixed)), load_settings(CONFIG)
    assert [one.policy for one in spelt_out.lists] == [one.policy for one in shipped.lists]
    assert [one.file_format for one in spelt_out.lists] == [
        one.file_format for one in shipped.lists
    ]
    assert (spelt_out.gate, spelt_out.log) == (shipped.gate, shipped.log)
    assert spelt_out.serve == shipped.serve
    assert spelt_out.proxy == shipped.proxy
    assert spelt_out.audit.record_allowed == shipped.audit.record_allowed


def test_the_feed_that_the_shipped_configuration_comments_out_has_the_defaults(
    write: Write,
) -> None:
    lines = CONFIG.read_text().splitlines()
    feed = lines[lines.index("# [[feeds]]") : lines.index("[store]")]
    lines = [line.removeprefix("# ") for line in feed if " = " in line or "[[" in line]
    table = "\n".join(line for line in lines if '"…"' not in line)  # which have no default
    (spelt_out,) = load_settings(write(ONE_LIST + table)).feeds
    assert spelt_out == FeedSettings(name="partner", source=spelt_out.source, format=FeedFormat.CSV)


FEED = (
    '[[lists]]\nname = "a"\nfeed = "f"\nalgorithm = "md5"\n'
    '[[feeds]]\nname = "f"\nsource = "x.csv"\n'
)


def test_a_list_of_a_feed_is_a_snapshot_in_the_store(write: Write) -> None:
    file = write(FEED)
    (one,) = load_settings(file).lists
    assert one.path == file.parent.resolve() / "initgate-lists/f/md5.igx"
    assert one.file_format is Format.SNAPSHOT


def test_the_file_of_a_feed_is_relative_to_the_configuration(write: Write) -> None:
    file = write(FEED)
    (one,) = load_settings(file).feeds
    assert one.source == str(file.parent.resolve() / "x.csv")


def test_the_options_of_a_format_are_checked(write: Write) -> None:
    vics = f'{FEED}format = "vics"\n[feeds.options]\n'
    assert load_settings(write(f'{vics}categories = {{ 1 = "severe" }}\n')).feeds
    mapped = f'{FEED}format = "mapped"\n[feeds.options]\nlayout = "tsv"\n'
    assert load_settings(write(f'{mapped}hashes = {{ MD5 = "MD5" }}\ntags = ["b"]\n')).feeds


def test_defaults_are_strict(write: Write) -> None:
    settings = load_settings(write(ONE_LIST))
    assert (settings.gate.unreadable, settings.gate.encoded) == (Fallback.REFUSE, Encoded.REFUSE)
    assert settings.gate.limits == Limits()
    assert settings.gate.jpeg == "full"
    assert not settings.audit.record_allowed
    (one,) = settings.lists
    assert one.policy == ListPolicy(31, 50, Action.REFUSE, None)
    assert not one.allow_empty


@pytest.mark.parametrize("algorithm", Algorithm)
def test_the_default_threshold_is_the_algorithms(write: Write, algorithm: Algorithm) -> None:
    (one,) = load_settings(write(f'{ONE_LIST}algorithm = "{algorithm}"\n')).lists
    assert one.policy.threshold == algorithm.default_threshold


def test_a_threshold_of_zero_is_not_the_default(write: Write) -> None:
    (one,) = load_settings(write(f"{ONE_LIST}threshold = 0\n")).lists
    assert one.policy.threshold == 0


def test_a_list_may_flag_beyond_its_threshold_and_tighten_it_for_views(write: Write) -> None:
    text = f"{ONE_LIST}flag_threshold = 40\n[lists.view_offsets]\nmirrored = -4\n"
    (one,) = load_settings(write(text)).lists
    assert one.policy == ListPolicy(31, 50, flag_threshold=40, view_offsets={"mirrored": -4})


def test_a_list_may_flag_entries_by_their_tags(write: Write) -> None:
    (one,) = load_settings(write(f'{ONE_LIST}flag_tags = ["feedback:negative=*"]\n')).lists
    assert one.policy == ListPolicy(31, 50, flag_tags=("feedback:negative=*",))
    assert "flag_tags" in problem(write(f'{ONE_LIST}flag_tags = [""]\n'))


def test_the_file_of_exceptions_stands_beside_the_configuration(write: Write) -> None:
    file = write(f'{ONE_LIST}[exceptions]\npath = "exceptions.jsonl"\n')
    assert load_settings(file).exceptions.path == file.parent / "exceptions.jsonl"
    assert load_settings(write(ONE_LIST)).exceptions.path is None


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        ("never", None),
        ("45s", timedelta(seconds=45)),
        ("90m", timedelta(minutes=90)),
        ("36h", timedelta(hours=36)),
        ("30d", timedelta(days=30)),
        ("4w", timedelta(weeks=4)),
    ],
)
def test_an_age_is_a_number_with_a_unit(write: Write, age: str, expected: timedelta | None) -> None:
    (one,) = load_settings(write(f'{ONE_LIST}max_age = "{age}"\n')).lists
    assert one.policy.max_age == expected


def test_paths_are_relative_to_the_file(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(ONE_LIST + '[audit]\nurl = "sqlite:///log/audit.db"\n')
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    settings = load_settings(Path("..") / file.name)
    assert settings.lists[0].path == tmp_path.resolve() / "a.csv"
    assert settings.audit.url == f"sqlite:///{tmp_path.resolve() / 'log/audit.db'}"


def test_an_absolute_path_stays(write: Write, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere/b.csv"
    (one,) = load_settings(write(f'[[lists]]\nname = "a"\npath = "{path}"\n')).lists
    assert one.path == path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.csv", Format.CSV),
        ("a.CSV", Format.CSV),
        ("a.jsonl", Format.JSONL),
        ("a.igx", Format.SNAPSHOT),
    ],
)
def test_the_suffix_tells_the_format(write: Write, path: str, expected: Format) -> None:
    (one,) = load_settings(write(f'[[lists]]\nname = "a"\npath = "{path}"\n')).lists
    assert one.file_format is expected


def test_the_key_tells_the_format_before_the_suffix(write: Write) -> None:
    (one,) = load_settings(write(f'{ONE_LIST}format = "jsonl"\n')).lists
    assert one.file_format is Format.JSONL


@pytest.mark.parametrize("path", ["a", "a.txt", "a.json", "a.csv.gz"])
def test_a_suffix_that_tells_no_format_is_named(write: Write, path: str) -> None:
    (one,) = load_settings(write(f'[[lists]]\nname = "a"\npath = "{path}"\n')).lists
    with pytest.raises(ConfigError, match="csv, jsonl") as raised:
        _ = one.file_format
    assert "'a'" in str(raised.value)


def test_settings_are_frozen(write: Write) -> None:
    settings = load_settings(write(ONE_LIST))
    with pytest.raises(ValueError, match="frozen"):
        settings.gate.max_frames = 1  # type: ignore[misc]  # that it fails is the point


def test_a_secret_is_not_shown(write: Write) -> None:
    settings = load_settings(write(ONE_LIST + '[audit]\nsubject_key = "hush"\n'))
    assert settings.audit.subject_key is not None
    assert settings.audit.subject_key.get_secret_value() == "hush"
    assert "hush" not in repr(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    "wrong",
    [
        'credentials = ["hush"]\nsource = "tat"',
        'source = ["https://me:hush@example.org/a.csv"]',
        'source = "s3://b/a.csv"\nsource_options = "hush"',
        'source = "a.csv"\npoll = [{ a = "hush" }]',
    ],
)
def test_what_may_be_a_secret_is_not_shown_where_it_is_wrong(write: Write, wrong: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_settings(write(f'{ONE_LIST}[[feeds]]\nname = "f"\n{wrong}\n'))
    assert "hush" not in str(raised.value)


# ── What is wrong ─────────────────────────────────────────────────────────────────────────────

WRONG = {
    "unknown table": (
        f"{ONE_LIST}[gates]\n",
        ["gates: unknown key", "lists, feeds, store, gate, exceptions, audit, log"],
    ),
    "unknown key in gate": (
        f'{ONE_LIST}[gate]\nunreadible = "allow"\n',
        [
            "gate.unreadible: unknown key",
            "unreadable, encoded, views, max_bytes, max_pixels, max_frames",
        ],
    ),
    "unknown key in a list": (
        f"{ONE_LIST}treshold = 3\n",
        ["lists[0].treshold: unknown key", "threshold", "min_quality"],
    ),
    "unknown key in audit": (f"{ONE_LIST}[audit]\nurls = 1\n", ["audit.urls: unknown key", "url"]),
    "unknown key in log": (f"{ONE_LIST}[log]\nlevels = 1\n", ["log.levels: unknown key", "level"]),
    "no list": ("", ["[[lists]]", "name and path"]),
    "an empty array of lists": ("lists = []\n", ["lists"]),
    "no path": ('[[lists]]\nname = "a"\n', ["lists[0]: path, feed: give one of the two"]),
    "no name": ('[[lists]]\npath = "a.csv"\n', ["lists[0].name: is missing"]),
    "name with a capital": (
        ONE_LIST.replace('"a"', '"A"'),
        ["lists[0].name: found 'A'", "lower-case letters, digits, '-' and '_'"],
    ),
    "name with a dot": (
        ONE_LIST.replace('"a"', '"initgate.canary.pdq"'),
        ["lists[0].name: found 'initgate.canary.pdq'"],
    ),
    "name with a line end": (ONE_LIST.replace('"a"', '"a\\n"'), ["lists[0].name: found 'a\\n'"]),
    "empty name": (ONE_LIST.replace('"a"', '""'), ["lists[0].name: found ''"]),
    "a name twice": (ONE_LIST + ONE_LIST, ["lists", "a stands twice"]),
    "threshold too large": (
        f"{ONE_LIST}threshold = 97\n",
        ["lists[0]: threshold: 97 for pdq; allowed: 0 to 96"],
    ),
    "threshold negative": (f"{ONE_LIST}threshold = -1\n", ["threshold: -1", "0 to 96"]),
    "threshold too large for 64 bits": (
        f'{ONE_LIST}algorithm = "phash64"\nthreshold = 31\n',
        ["threshold: 31 for phash64; allowed: 0 to 24"],
    ),
    "threshold of a digest": (
        f'{ONE_LIST}algorithm = "sha256"\nthreshold = 1\n',
        ["threshold: 1 for sha256", "0 (a digest matches exactly)"],
    ),
    "flagging within the threshold": (
        f"{ONE_LIST}flag_threshold = 31\n",
        ["lists[0]: flag_threshold: 31 for pdq at threshold 31; allowed: 32 to 96"],
    ),
    "flagging too far": (
        f"{ONE_LIST}threshold = 40\nflag_threshold = 97\n",
        ["flag_threshold: 97 for pdq at threshold 40; allowed: 41 to 96"],
    ),
    "flagging near a digest": (
        f'{ONE_LIST}algorithm = "md5"\nflag_threshold = 1\n',
        ["flag_threshold: 1 for md5", "none (a digest matches exactly)"],
    ),
    "offset of no view": (
        f"{ONE_LIST}view_offsets = {{ mirored = -1 }}\n",
        ["view_offsets: unknown view 'mirored'; allowed: frame, on white", "tilted", "mirrored"],
    ),
    "offset that widens": (
        f"{ONE_LIST}view_offsets = {{ frame = 1 }}\n",
        ["view_offsets: frame: 1 at threshold 31; allowed: -31 to 0"],
    ),
    "offset that leaves nothing": (
        f"{ONE_LIST}threshold = 7\nview_offsets = {{ frame = -8 }}\n",
        ["view_offsets: frame: -8 at threshold 7; allowed: -7 to 0"],
    ),
    "threshold a word": (f'{ONE_LIST}threshold = "many"\n', ["lists[0].threshold", "'many'"]),
    "unknown algorithm": (
        f'{ONE_LIST}algorithm = "pdqf"\n',
        ["lists[0].algorithm", "'pdq'", "'sha256'", "found 'pdqf'"],
    ),
    "unknown action": (
        f'{ONE_LIST}action = "warn"\n',
        ["lists[0].action", "'refuse' or 'flag'", "found 'warn'"],
    ),
    "unknown format": (
        f'{ONE_LIST}format = "xml"\n',
        ["lists[0].format", "'csv', 'jsonl' or 'igx'"],
    ),
    "quality too large": (f"{ONE_LIST}min_quality = 101\n", ["lists[0].min_quality", "100"]),
    "unknown fallback": (
        f'{ONE_LIST}[gate]\nunreadable = "pass"\n',
        ["gate.unreadable", "'refuse' or 'allow'", "found 'pass'"],
    ),
    "no pixels": (f"{ONE_LIST}[gate]\nmax_pixels = 0\n", ["gate.max_pixels", "found 0"]),
    "log level": (f'{ONE_LIST}[log]\nlevel = "loud"\n', ["log.level", "'debug'", "'error'"]),
    "another database": (
        f'{ONE_LIST}[audit]\nurl = "postgresql://host/x"\n',
        ["audit.url", "sqlite:///FILE"],
    ),
    "no URL": (f'{ONE_LIST}[audit]\nurl = "audit.db"\n', ["audit.url", "sqlite:///FILE"]),
    "a URL without a file": (f'{ONE_LIST}[audit]\nurl = "sqlite://"\n', ["sqlite:///FILE"]),
    "a URL of memory": (f'{ONE_LIST}[audit]\nurl = "sqlite:///:memory:"\n', ["sqlite:///FILE"]),
    "path and feed": (f'{ONE_LIST}feed = "f"\n', ["lists[0]: path, feed: give one of the two"]),
    "a format beside a feed": (
        FEED.replace('feed = "f"', 'feed = "f"\nformat = "csv"'),
        ["lists[0]: format: that of a feed stands in its own table"],
    ),
    "a feed that is none": (
        FEED.replace('feed = "f"', 'feed = "g"'),
        ["list 'a': no feed 'g'; there are: f"],
    ),
    "a feed twice": (FEED + FEED[FEED.index("[[feeds]]") :], ["feeds", "f stands twice"]),
    "unknown key in a feed": (f"{FEED}url = 1\n", ["feeds[0].url: unknown key", "max_shrink"]),
    "a feed of no format": (FEED.replace("x.csv", "x.txt"), ["feeds[0]: format: set it to one"]),
    "a canary that is no hash": (f'{FEED}canary = "12"\n', ["feeds[0].canary", "16, 32, 40, 64"]),
    "a share above all": (f"{FEED}max_shrink = 2\n", ["feeds[0].max_shrink", "found 2"]),
    "two ways to trust": (
        f'{FEED}sha256 = "a"\nroot = "b"\n',
        ["feeds[0]: sha256, public_keys, root: give one of them at most"],
    ),
    "more signatures than nobody": (f"{FEED}at_least = 2\n", ["at_least: it counts public_keys"]),
    "credentials of a file": (
        f'{FEED}credentials = "env:A"\n',
        ["credentials, source_options: the source is a file"],
    ),
    "an option that is missing": (
        f'{FEED}format = "vics"\n',
        ["feeds[0]: options: categories", "the format vics knows: categories, country"],
    ),
    "an option too many": (
        f"{FEED}options = {{ a = 1 }}\n",
        ["feeds[0]: options: a", "the format csv knows: none"],
    ),
    "no TOML": ("lists = [\n", ["not TOML"]),
    "a key twice": (f'{ONE_LIST}name = "b"\n', ["not TOML"]),
}


@pytest.mark.parametrize(("text", "told"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_named_with_what_is_allowed(
    write: Write, text: str, told: list[str]
) -> None:
    file = write(text)
    message = problem(file)
    assert message.startswith(f"{file}: ")
    for part in told:
        assert part in message


@pytest.mark.parametrize(
    "age", ["30", "d", "0d", "-1d", "1.5d", "30 d", "30D", "1d12h", "", "1d\n"]
)
def test_a_wrong_age_is_named_with_examples(write: Write, age: str) -> None:
    message = problem(write(f"{ONE_LIST}max_age = {age!r}\n".replace("'", '"')))
    assert "lists[0].max_age" in message
    assert '"never"' in message
    assert '"36h"' in message


def test_an_age_must_be_a_text(write: Write) -> None:
    assert "lists[0].max_age" in problem(write(f"{ONE_LIST}max_age = 30\n"))


def test_every_wrong_setting_is_named_at_once(write: Write) -> None:
    message = problem(write(f'{ONE_LIST}action = "warn"\n[gate]\nmax_frames = 0\n'))
    assert "lists[0].action" in message
    assert "gate.max_frames" in message


def test_a_secret_is_not_told_when_it_is_wrong(write: Write) -> None:
    assert "hush" not in problem(write(f'{ONE_LIST}[audit]\nsubject_key = ["hush"]\n'))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert problem(tmp_path / "none.toml") == f"{tmp_path / 'none.toml'}: No such file or directory"


def test_a_folder_is_named(tmp_path: Path) -> None:
    assert problem(tmp_path).startswith(f"{tmp_path}: ")


def test_bytes_that_are_no_utf_8_are_named(tmp_path: Path) -> None:
    file = tmp_path / "gate.toml"
    file.write_bytes(b"\xff\xfe")
    assert problem(file).startswith(f"{file}: not TOML")


# ── The environment ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("variable", ["INITGATE_GATE__UNREADABLE", "initgate_gate__unreadable"])
def test_the_environment_overrides_the_file(
    write: Write, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "allow")
    settings = load_settings(write(ONE_LIST + '[gate]\nunreadable = "refuse"\nmax_frames = 9\n'))
    assert (settings.gate.unreadable, settings.gate.max_frames) == (Fallback.ALLOW, 9)


def test_the_environment_keeps_secrets_out_of_the_file(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INITGATE_AUDIT__SUBJECT_KEY", "hush")
    key = load_settings(write(ONE_LIST)).audit.subject_key
    assert key is not None
    assert key.get_secret_value() == "hush"


def test_a_wrong_variable_is_named(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INITGATE_GATE__UNREADABLE", "pass")
    message = problem(write(ONE_LIST))
    assert message.startswith("INITGATE_GATE__UNREADABLE: gate.unreadable: ")
    assert "'refuse' or 'allow'" in message


@pytest.mark.parametrize(
    "variable", ["INITGATE_UNREADABLE", "INITGATE_GATE_UNREADABLE", "INITGATE_GATE__UNREADIBLE"]
)
def test_an_unknown_variable_is_an_error(
    write: Write, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "allow")
    message = problem(write(ONE_LIST))
    assert message.startswith(f"{variable}: unknown variable; allowed: INITGATE_CONFIG, ")
    assert "INITGATE_GATE__UNREADABLE" in message


def test_a_variable_that_is_no_json_is_an_error(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INITGATE_GATE", "allow")
    assert problem(write(ONE_LIST)).startswith("environment: ")


def test_a_variable_of_another_program_is_none_of_ours(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOT_INITGATE_AT_ALL", "x")
    assert load_settings(write(ONE_LIST)).lists


# ── Finding the file ──────────────────────────────────────────────────────────────────────────


def test_a_given_file_goes_before_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INITGATE_CONFIG", "b.toml")
    assert find_config("a.toml") == Path("a.toml")


def test_the_variable_names_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "initgate.toml").write_text(ONE_LIST)
    monkeypatch.setenv("INITGATE_CONFIG", "b.toml")
    assert find_config() == Path("b.toml")


@pytest.mark.parametrize("place", ["initgate.toml", "config/initgate.toml"])
def test_the_usual_places_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / place).write_text(ONE_LIST)
    monkeypatch.chdir(tmp_path)
    assert find_config() == Path(place)


def test_no_file_anywhere_tells_where_it_looked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"config/initgate\.toml") as raised:
        load_settings()
    assert str(tmp_path) in str(raised.value)
    assert "INITGATE_CONFIG" in str(raised.value)


# ── The digest ────────────────────────────────────────────────────────────────────────────────

DECIDING = [
    "threshold = 30\n",
    'action = "flag"\n',
    "min_quality = 49\n",
    "flag_threshold = 40\n",
    "view_offsets = { frame = -1 }\n",
    'max_age = "30d"\n',
    '[gate]\nunreadable = "allow"\n',
    "[gate]\nmax_frames = 9\n",
    '[gate]\njpeg = "reduced"\n',
]


def digest(write: Write, text: str) -> str:
    settings: Settings = load_settings(write(text))
    return settings.digest


@pytest.mark.parametrize("more", DECIDING)
def test_what_decides_changes_the_digest(write: Write, more: str) -> None:
    assert digest(write, ONE_LIST + more) != digest(write, ONE_LIST)


@pytest.mark.parametrize(
    "more",
    [
        'warn_after = "1h"\n',
        '[store]\npath = "x"\n',
        '[audit]\nsubject_key = "x"\n',
        '[audit]\nurl = "sqlite:///x.db"\n',
        '[log]\nlevel = "error"\n',
    ],
)
def test_places_and_secrets_do_not_change_the_digest(write: Write, more: str) -> None:
    assert digest(write, ONE_LIST + more) == digest(write, ONE_LIST)


# ── The service ───────────────────────────────────────────────────────────────────────────────

DIGEST, OTHER_DIGEST = "0a" * 32, "0b" * 32
KEY = f'[[serve.keys]]\nname = "app"\nsha256 = "{DIGEST}"\n'
OTHER_KEY = f'[[serve.keys]]\nname = "other"\nsha256 = "{OTHER_DIGEST}"\n'


def test_a_key_opens_checks_and_nothing_else_by_default(write: Write) -> None:
    (key,) = load_settings(write(f"{ONE_LIST}{KEY}")).serve.keys
    assert key.roles == {Role.CHECK}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_anonymous_callers_are_accepted_at_loopback_addresses(write: Write, host: str) -> None:
    text = f'{ONE_LIST}[serve]\nanonymous = true\nhost = "{host}"\n'
    assert load_settings(write(text)).serve.anonymous


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gate.example", ""])  # noqa: S104  # no socket is bound
def test_anonymous_callers_are_accepted_nowhere_else(write: Write, host: str) -> None:
    text = f'{ONE_LIST}[serve]\nanonymous = true\nhost = "{host}"\n'
    assert "anonymous: true with host" in problem(write(text))


def test_what_the_command_line_says_is_held_to_the_same(write: Write) -> None:
    settings = load_settings(write(f"{ONE_LIST}[serve]\nanonymous = true\n"))
    assert with_table(settings, "serve", port=9000, workers=None).serve.port == 9000
    with pytest.raises(ConfigError, match="anonymous"):
        with_table(settings, "serve", host="192.0.2.1")


def test_a_key_that_stands_in_place_of_its_digest_is_not_repeated(write: Write) -> None:
    told = problem(write(f"{ONE_LIST}{KEY.replace(DIGEST, 'ig_secret')}"))
    assert "64 hex digits" in told
    assert "ig_secret" not in told


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (KEY.replace(DIGEST, OTHER_DIGEST), "name: app stands twice"),
        (KEY.replace("app", "other"), "sha256: stands twice"),
        (f"{OTHER_KEY}roles = []\n", "roles"),
        (f'{OTHER_KEY}role = "check"\n', "allowed: name, sha256, roles"),
    ],
)
def test_keys_that_cannot_be_told_apart_or_open_nothing_are_wrong(
    write: Write, more: str, told: str
) -> None:
    assert told in problem(write(f"{ONE_LIST}{KEY}{more}"))


# ── The proxy ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "line",
    [
        'upstream = "127.0.0.1:7860"',
        'upstream = "ftp://127.0.0.1"',
        'upstream = "http://127.0.0.1/?a=1"',
        'client_header = "two words"',
        'dialect = "klingon"',
        'references = "resolve"',
        'canonical = "some"',
        "port = 0",
    ],
)
def test_a_proxy_setting_that_cannot_be_is_named(write: Write, line: str) -> None:
    said = problem(write(f"{ONE_LIST}\n[proxy]\n{line}\n"))
    assert line.partition(" ")[0] in said


def test_the_command_line_changes_the_proxy(write: Write) -> None:
    settings = load_settings(write(ONE_LIST + '\n[proxy]\ndialect = "a1111"\n'))
    changed = with_table(settings, "proxy", upstream="http://127.0.0.1:1", dialect=None, port=9)
    assert (changed.proxy.upstream, changed.proxy.dialect, changed.proxy.port) == (
        "http://127.0.0.1:1",
        "a1111",
        9,
    )
    with pytest.raises(ConfigError, match="upstream"):
        with_table(settings, "proxy", upstream="nowhere")
