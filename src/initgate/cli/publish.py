"""``initgate lists keygen``, ``sign`` and ``publish``: what those do who hand lists out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from filelock import FileLock
from pydantic import TypeAdapter, ValidationError
from rich.markup import escape
from rich.table import Table

from initgate import trust
from initgate.cli.console import ERR, OUT, JsonOption, print_json, write_file
from initgate.config import Age
from initgate.errors import ConfigError, SourceUnavailable
from initgate.sources.credentials import Credentials
from initgate.sources.folders import open_writable, shown
from initgate.sources.tuf import open_publisher
from initgate.wiring import now

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from initgate.sources.tuf.publisher import Publisher

_ROOT = "root.json"
_SOON = timedelta(days=30)  # before a role expires that only a person can renew
_OTHERS = 0o077  # permissions


class Role(StrEnum):
    """What keys of a repository are for."""

    ROOT = "root"
    TARGETS = "targets"
    SNAPSHOT = "snapshot"
    TIMESTAMP = "timestamp"


PassphraseOption: TypeAlias = Annotated[
    str | None,
    typer.Option(help="Where the passphrase of the keys is: env:NAME or file:PATH."),
]


def lists_keygen(
    out: Annotated[Path, typer.Argument(help="File to write: the secret key, in PEM.")],
    *,
    passphrase: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key to sign lists with, and print its public half."""
    secret = _secret(passphrase)
    _warn_of_plain(out, secret)
    key = _new_key(out, secret)
    public = trust.PublicKey.of(key)
    # What minisign reads with -p.
    comment = f"untrusted comment: minisign public key {public.name}"
    write_file(out.with_suffix(".pub"), f"{comment}\n{public}\n".encode())
    if as_json:
        print_json({"key": str(out), "key_id": public.name, "public_key": str(public)})
        return
    OUT.print(f"[green]written[/]  {escape(str(out))}: keep it, tell it nobody")
    OUT.print("Those who fetch your lists add to the feed's table:\n")
    OUT.print(escape(f'public_keys = ["{public}"]'))


def lists_sign(
    file: Annotated[Path, typer.Argument(help="The list.", exists=True, dir_okay=False)],
    key: Annotated[list[Path], typer.Option("--key", "-k", help="A secret key; may be repeated.")],
    *,
    name: Annotated[
        str | None, typer.Option(help="The name to sign it under. Default: the file's.")
    ] = None,
    add: Annotated[
        bool, typer.Option("--add", help="Keep the signatures that are there, of other keys.")
    ] = False,
    passphrase: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a list: write its signatures beside it, as minisign does."""
    secret = _secret(passphrase)
    keys = [_load_key(one, secret) for one in key]
    out = file.with_name(file.name + trust.SUFFIX)
    with _told_errors():
        signatures = out.read_bytes() if add and out.exists() else b""
        with file.open("rb") as opened:
            for one in keys:
                signatures += trust.sign(opened, one, name=name or file.name, at=now())
        write_file(out, signatures)
    by = [trust.PublicKey.of(one).name for one in keys]
    if as_json:
        print_json({"file": str(file), "signature": str(out), "keys": by})
    else:
        OUT.print(f"[green]signed[/]  {escape(str(out))} by key {', '.join(by)}")


def lists_publish(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Lists to publish.", exists=True, dir_okay=False)
    ] = None,
    *,
    repo: Annotated[str, typer.Option(help="The repository: a folder, or a URL of fsspec.")],
    keys: Annotated[Path, typer.Option(help="The folder of its keys.", file_okay=False)],
    name: Annotated[
        str | None, typer.Option(help="The name to publish one list under. Default: the file's.")
    ] = None,
    expires: Annotated[
        str, typer.Option(help="How long readers take this state, unless it is renewed.")
    ] = "7d",
    keep: Annotated[int, typer.Option(min=1, help="How many states to keep the files of.")] = 5,
    init: Annotated[bool, typer.Option("--init", help="Make the keys and the repository.")] = False,
    root_keys: Annotated[
        int, typer.Option(min=1, help="With --init: how many keys the root has.")
    ] = 1,
    root_threshold: Annotated[
        int, typer.Option(min=1, help="With --init: how many of them must sign.")
    ] = 1,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Renew what is there; needs timestamp's key only.")
    ] = False,
    rotate: Annotated[
        Role | None, typer.Option(help="Make new keys for this, in place of the ones before.")
    ] = None,
    withdraw: Annotated[
        list[str] | None, typer.Option(help="Publish this list no more; may be repeated.")
    ] = None,
    passphrase: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish lists in a TUF repository, which gates fetch from: signed, current, never older."""
    if name is not None and len(files or []) != 1:
        raise ConfigError("--name names one list; give exactly one file with it")
    lifetime = _lifetime(expires)
    secret = _secret(passphrase)
    with _told_errors(), _locked(keys):
        if init or rotate:
            _warn_of_plain(keys, secret)
        if init:
            published = _create(repo, keys, secret, lifetime, root_keys, root_threshold)
        else:
            published = _open(repo, keys, secret, lifetime)
        if rotate is not None:
            number = len(published.roles[rotate].keys)
            published.rotate(rotate, [_new_role_key(keys, rotate, secret) for _ in range(number)])
            write_file(keys / _ROOT, published.root)
        for one in withdraw or []:
            published.withdraw(one)
        for file in files or []:
            with file.open("rb") as opened, ERR.status(f"Publishing {escape(file.name)}"):
                published.add(opened, name or file.name)
        if files or withdraw:
            published.commit()
        elif refresh:
            published.refresh()
        published.prune(keep)
    _tell(published, repo, keys, as_json=as_json)


def _create(  # noqa: PLR0917  # one caller
    repo: str,
    keys: Path,
    secret: bytes | None,
    lifetime: timedelta,
    root_keys: int,
    root_threshold: int,
) -> Publisher:
    publisher = open_publisher()
    if (keys / _ROOT).exists():
        raise ConfigError(f"{keys} holds the keys of a repository; publish without --init")
    if list(keys.glob("*.pem")):
        raise ConfigError(
            f"{keys} holds keys of no repository; remove them, or name another folder"
        )
    if root_threshold > root_keys:
        raise ConfigError(f"--root-threshold {root_threshold}: allowed: 1 to {root_keys}")
    folder = open_writable(repo)
    if folder.names("metadata"):
        raise ConfigError(f"{shown(repo)}: there is a repository already; publish without --init")
    made = {
        role.value: [
            _new_role_key(keys, role, secret) for _ in range(root_keys if role is Role.ROOT else 1)
        ]
        for role in Role
    }
    published = publisher.create(
        folder, made, thresholds={Role.ROOT: root_threshold}, now=now(), lifetime=lifetime
    )
    write_file(keys / _ROOT, published.root)
    return published


def _open(repo: str, keys: Path, secret: bytes | None, lifetime: timedelta) -> Publisher:
    publisher = open_publisher()
    try:
        root = (keys / _ROOT).read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(f"{keys} holds no {_ROOT}; make the repository with --init") from error
    known = [_load_key(one, secret) for one in sorted(keys.glob("*.pem"))]
    try:
        return publisher.open(open_writable(repo), known, root=root, now=now(), lifetime=lifetime)
    except FileNotFoundError as error:
        raise ConfigError(f"{shown(repo)}: no repository is there; make it with --init") from error


def _tell(published: Publisher, repo: str, keys: Path, *, as_json: bool) -> None:
    roles = published.roles
    if as_json:
        print_json(
            {
                "repo": shown(repo),
                "lists": dict(published.lists),
                "roles": {
                    name: {
                        "version": role.version,
                        "expires": role.expires.isoformat(),
                        "keys": list(role.keys),
                        "threshold": role.threshold,
                    }
                    for name, role in roles.items()
                },
            }
        )
        return
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("Role", "Version", "Expires", "Keys"):
        table.add_column(heading, no_wrap=True)
    for name, role in roles.items():
        is_soon = name != Role.TIMESTAMP and role.expires - now() < _SOON
        table.add_row(
            name,
            str(role.version),
            f"{role.expires:%Y-%m-%d %H:%M}",
            f"{role.threshold} of {len(role.keys)}: {', '.join(role.keys)}",
            style="yellow" if is_soon else "",
        )
    OUT.print(table)
    for name, digest in published.lists.items():
        OUT.print(f"[green]published[/]  {escape(name)}  {digest[:12]}")
    OUT.print(f"Give {escape(str(keys / _ROOT))} to those who fetch it, by a way they trust.")


# ── Keys ─────────────────────────────────────────────────────────────────────────────────────


def _secret(passphrase: str | None) -> bytes | None:
    if passphrase is None:
        return None
    return Credentials(passphrase, _warn).one("passphrase").encode()


def _new_role_key(keys: Path, role: Role, secret: bytes | None) -> Ed25519PrivateKey:
    """Another key of a role: ``root-2.pem``."""
    numbers = (one.stem.rpartition("-")[2] for one in keys.glob(f"{role}-*.pem"))
    number = 1 + max((int(one) for one in numbers if one.isdecimal()), default=0)
    return _new_key(keys / f"{role}-{number}.pem", secret)


def _new_key(out: Path, secret: bytes | None) -> Ed25519PrivateKey:
    data = trust.make_key(secret)
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise ConfigError(f"{out}: there is such a file; a key is never overwritten") from error
    except OSError as error:
        raise SourceUnavailable(f"{out}: {error.strerror or error}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return trust.load_key(data, source=str(out), passphrase=secret)


def _load_key(file: Path, secret: bytes | None) -> Ed25519PrivateKey:
    try:
        data = file.read_bytes()
        if os.name == "posix" and file.stat().st_mode & _OTHERS:
            _warn(f"others can read {file}: chmod 600 {file}")
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror or error}") from error
    return trust.load_key(data, source=str(file), passphrase=secret)


def _warn_of_plain(where: Path, secret: bytes | None) -> None:
    if secret is None:
        _warn(f"not encrypted: whoever reads {where} can sign; give --passphrase")


def _warn(what: str) -> None:
    ERR.print(f"[yellow]warning[/]: {escape(what)}")


# ── What can be foreseen ─────────────────────────────────────────────────────────────────────


def _lifetime(expires: str) -> timedelta:
    try:
        lifetime = TypeAdapter[timedelta | None](Age).validate_python(expires)
    except ValidationError:
        lifetime = None
    if lifetime is None:
        raise ConfigError(f'--expires {expires}: allowed: a number with a unit: "36h", "7d", "4w"')
    return lifetime


@contextmanager
def _locked(keys: Path) -> Iterator[None]:
    """One publisher at a time, of those who share the keys."""
    keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileLock(keys / ".lock"):
        yield


@contextmanager
def _told_errors() -> Iterator[None]:
    try:
        yield
    except SourceUnavailable:  # which is an OSError
        raise
    except OSError as error:
        raise SourceUnavailable(
            f"{error.filename}: {error.strerror}" if error.filename else str(error)
        ) from error
