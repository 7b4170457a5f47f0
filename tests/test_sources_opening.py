"""What is configured becomes a source; credentials; lists in stores of files."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from initgate.errors import ConfigError, ListRejected, SourceUnavailable
from initgate.sources import Checkpoint, Source
from initgate.sources.credentials import Credentials
from initgate.sources.fsspec_source import FsspecSource
from initgate.sources.https import HttpsSource
from initgate.sources.ncmec import NcmecSource
from initgate.sources.opening import FORMATS, format_of, open_source, shown_where
from initgate.sources.stopncii import StopNciiSource
from initgate.sources.tat import TatSource
from initgate.sources.threatexchange import ThreatExchangeSource


def opened(where: str, folder: Path, credentials: str | None = None, **options: object) -> Source:
    return open_source(
        where,
        credentials=credentials,
        options=options,
        temporary_folder=folder,
        warn=pytest.fail,
    )


# ── Opening ───────────────────────────────────────────────────────────────────────────────────

KINDS: Mapping[str, tuple[type[Source], dict[str, Any]]] = {
    "ncmec": (NcmecSource, {"environment": "generative-ai-csam"}),
    "stopncii": (StopNciiSource, {"page_size": 100}),
    "threatexchange": (ThreatExchangeSource, {"privacy_group": 77}),
    "tat": (TatSource, {}),
    "https://a.example/list.csv": (HttpsSource, {"hosts": ["b.example"]}),
    "http://127.0.0.1/list.csv": (HttpsSource, {"allow_http": True}),
}


@pytest.mark.parametrize("where", KINDS)
def test_a_name_or_an_address_is_a_source(where: str, tmp_path: Path) -> None:
    kind, options = KINDS[where]
    assert type(opened(where, tmp_path, "env:SECRET", **options)) is kind


@pytest.mark.parametrize("where", ["s3://bucket/a.csv", "memory://a.csv", "zip://a::s3://b/c.zip"])
def test_any_other_scheme_is_fsspecs(where: str, tmp_path: Path) -> None:
    assert isinstance(opened(where, tmp_path), FsspecSource)


@pytest.mark.parametrize("where", FORMATS)
def test_a_service_needs_credentials(where: str, tmp_path: Path) -> None:
    _, options = KINDS[where]
    with pytest.raises(ConfigError, match=f"the source {where} needs credentials"):
        opened(where, tmp_path, **options)


@pytest.mark.parametrize("where", [*KINDS, "s3://bucket/a.csv"])
def test_an_unknown_option_is_named_with_the_known(where: str, tmp_path: Path) -> None:
    options = {} if where.startswith("s3") else KINDS[where][1]
    with pytest.raises(ConfigError, match=r"options\.colour.*max_bytes, max_seconds"):
        opened(where, tmp_path, "env:SECRET", **options, colour="red")


def test_an_option_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"options\.privacy_group .*Field required"):
        opened("threatexchange", tmp_path, "env:SECRET")


@pytest.mark.parametrize("where", ["", "lists/a.csv", "ncmecs", "/srv/a.csv", "NCMEC"])
def test_what_is_neither_is_an_error_that_names_the_known(where: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ncmec, stopncii, threatexchange, tat, or an address"):
        opened(where, tmp_path)


def test_a_store_of_files_takes_no_credentials_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="takes no credentials"):
        opened("s3://bucket/a.csv", tmp_path, "env:SECRET")


def test_bounds_are_options(tmp_path: Path) -> None:
    source = opened("https://a.example/a.csv", tmp_path, max_bytes=10, max_seconds=5)
    assert isinstance(source, HttpsSource)
    assert (source.bounds.page_bytes, source.bounds.total_bytes) == (10, 10)
    assert (source.bounds.page_seconds, source.bounds.total_seconds) == (5, 5)


@pytest.mark.parametrize(
    ("where", "module"),
    [
        ("ncmec", "httpcore2"),
        ("stopncii", "tenacity"),
        ("threatexchange", "httpcore2"),
        ("tat", "tenacity"),
        ("https://a.example/a.csv", "httpcore2"),
        ("s3://bucket/a.csv", "fsspec"),
    ],
)
def test_without_the_extra_it_is_named(
    where: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [one for one in sys.modules if one.startswith("initgate.sources.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    _, options = KINDS.get(where, (None, {}))
    from initgate.sources.opening import open_source as fresh  # noqa: PLC0415  # as in a new process

    with pytest.raises(ConfigError, match=rf"needs {module}: pip install 'initgate\[sources\]'"):
        fresh(
            where,
            credentials="env:SECRET" if where in FORMATS else None,
            options=options,
            temporary_folder=tmp_path,
            warn=pytest.fail,
        )


@pytest.mark.parametrize(
    ("where", "file_format"),
    [
        ("ncmec", "ncmec"),
        ("threatexchange", "threat_updates"),
        ("https://a.example/list.jsonl?key=a.csv", "jsonl"),
        ("s3://bucket/lists/a.csv", "csv"),
        ("https://a.example/list", ""),
    ],
)
def test_a_source_says_its_format(where: str, file_format: str) -> None:
    assert format_of(where) == file_format


def test_a_source_is_shown_without_what_may_be_secret() -> None:
    assert shown_where("https://me:word@a.example/b?signature=1") == "https://a.example/b"


# ── Credentials ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("where", ["s3cr3t", "env:", "file:", "ENV:A", "", "pass:s3cr3t"])
def test_credentials_are_named_and_never_given(where: str) -> None:
    with pytest.raises(ConfigError, match='must be "env:NAME" or "file:PATH"') as raised:
        Credentials(where, pytest.fail)
    assert "s3cr3t" not in str(raised.value)


def test_credentials_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("  me:pass:word\n")
    file.chmod(0o600)
    kept = Credentials(f"file:{file}", pytest.fail)
    assert kept.two("user", "password") == ("me", "pass:word")
    assert "word" not in repr(kept)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_can_use_is_warned_of(mode: int, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("s3cr3t")
    file.chmod(mode)
    warnings: list[str] = []
    assert Credentials(f"file:{file}", warnings.append).one("token") == "s3cr3t"
    (warning,) = warnings
    assert f"chmod 600 {file}" in warning
    assert "s3cr3t" not in warning


def test_credentials_are_read_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Credentials("env:ROTATED", pytest.fail)
    for secret in ("old", "new"):
        monkeypatch.setenv("ROTATED", secret)
        assert kept.one("token") == secret


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("", "is empty: it must hold the token"),
        (" \n", "is empty"),
        ("s3cr3t\r\nX-More: 1", "characters that none has"),
        ("s3cr3té", "characters that none has"),
    ],
)
def test_a_secret_that_is_none_is_an_error_that_does_not_show_it(
    secret: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", secret)
    with pytest.raises(ConfigError, match=why) as raised:
        Credentials("env:SECRET", pytest.fail).one("token")
    assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize("secret", ["s3cr3t", ":s3cr3t", "s3cr3t:"])
def test_half_of_two_secrets_is_an_error(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", secret)
    with pytest.raises(ConfigError, match="must hold user and password with a colon") as raised:
        Credentials("env:SECRET", pytest.fail).two("user", "password")
    assert "s3cr3t" not in str(raised.value)


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none: credentials: No such file"):
        Credentials(f"file:{tmp_path / 'none'}", pytest.fail).one("token")
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(ConfigError, match="must be text"):
        Credentials(f"file:{tmp_path / 'key'}", pytest.fail).one("token")


# ── Stores of files ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "list.csv").write_bytes(b"one")
    return folder


@pytest.fixture
def source(store: Path, tmp_path: Path) -> FsspecSource:
    return FsspecSource(f"file://{store / 'list.csv'}", tmp_path)


def fetched(source: FsspecSource, checkpoint: Checkpoint | None = None) -> list[Any]:
    return [
        (batch, b"".join(page.read() for page in batch.pages))
        for batch in source.fetch(checkpoint or {})
    ]


def test_a_file_of_a_store_comes_whole(source: FsspecSource) -> None:
    ((batch, data),) = fetched(source)
    assert data == b"one"
    assert batch.is_whole


def test_nothing_comes_while_the_store_says_it_is_the_same(
    source: FsspecSource, store: Path
) -> None:
    ((batch, _),) = fetched(source)
    assert fetched(source, batch.checkpoint) == []
    (store / "list.csv").write_bytes(b"other")
    ((_, data),) = fetched(source, batch.checkpoint)
    assert data == b"other"


def test_any_file_system_will_do(tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe("/lists/a.csv", b"one")
    ((batch, data),) = fetched(FsspecSource("memory://lists/a.csv", tmp_path))
    assert data == b"one"
    assert fetched(FsspecSource("memory://lists/a.csv", tmp_path), batch.checkpoint) == []


def test_a_signature_lies_beside_a_file(source: FsspecSource, store: Path, tmp_path: Path) -> None:
    (store / "list.csv.sig").write_bytes(b"signed")
    signed = FsspecSource(source.address, tmp_path, signature_suffix=".sig")
    ((batch, _),) = fetched(signed)
    assert batch.signature == b"signed"


def test_a_signature_that_is_missing_is_not_the_sources_to_judge(
    source: FsspecSource, tmp_path: Path
) -> None:
    ((batch, _),) = fetched(FsspecSource(source.address, tmp_path, signature_suffix=".sig"))
    assert batch.signature is None


def test_where_a_store_tells_sizes_alone_the_content_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sizes(self: MemoryFileSystem, path: str, **_: object) -> dict[str, object]:
        return {"name": path, "size": self.store[path].size, "type": "file"}

    monkeypatch.setattr(MemoryFileSystem, "info", sizes)
    system, source = fsspec.filesystem("memory"), FsspecSource("memory://lists/s.csv", tmp_path)
    system.pipe("/lists/s.csv", b"one")
    ((batch, _),) = fetched(source)
    assert fetched(source, batch.checkpoint) == []
    system.pipe("/lists/s.csv", b"two")
    ((_, data),) = fetched(source, batch.checkpoint)
    assert data == b"two"


def test_a_file_that_is_missing_is_named(source: FsspecSource, store: Path) -> None:
    (store / "list.csv").unlink()
    with pytest.raises(SourceUnavailable, match=r"list\.csv: no such file"):
        fetched(source)


def test_too_large_a_file_is_rejected(source: FsspecSource, tmp_path: Path) -> None:
    with pytest.raises(ListRejected, match="more than 2 bytes"):
        fetched(FsspecSource(source.address, tmp_path, max_bytes=2))


def test_too_slow_a_file_is_given_up(source: FsspecSource, tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="not read in 0 seconds"):
        fetched(FsspecSource(source.address, tmp_path, max_seconds=0))


def test_a_file_that_is_replaced_while_it_is_read_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = fsspec.filesystem("memory")
    system.pipe("/lists/b.csv", b"one")
    first = MemoryFileSystem.open

    def replaced(self: Any, path: str, *arguments: Any, **options: Any) -> Any:
        opened_file = first(self, path, *arguments, **options)
        monkeypatch.undo()
        system.pipe("/lists/b.csv", b"two")
        return opened_file

    monkeypatch.setattr(MemoryFileSystem, "open", replaced)
    with pytest.raises(SourceUnavailable, match="replaced while it was read"):
        fetched(FsspecSource("memory://lists/b.csv", tmp_path))


def test_whatever_a_store_raises_names_the_source_and_shows_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> object:
        raise RuntimeError("key s3cr3t")

    monkeypatch.setattr(MemoryFileSystem, "info", fails)
    with pytest.raises(SourceUnavailable, match=r"a\.csv: it cannot be read \(RuntimeError\)") as e:
        fetched(FsspecSource("memory://lists/a.csv", tmp_path))
    assert "s3cr3t" not in str(e.value)


def test_an_unknown_scheme_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        fetched(FsspecSource("nowhere://a.csv", tmp_path))


def test_a_store_that_needs_a_package_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> object:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", fails)
    with pytest.raises(ConfigError, match=r"needs a package.*Install s3fs"):
        fetched(FsspecSource("s3://bucket/a.csv", tmp_path))
