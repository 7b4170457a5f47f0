"""``initgate lists accept``: a version is let in by its digest, and no other in its place."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.markup import escape

from initgate import store
from initgate.cli.console import ERR, ConfigOption, JsonOption, tell_changed
from initgate.config import ListSettings, Settings, load_settings
from initgate.errors import ConfigError
from initgate.feeds import accept
from initgate.store.versions import Versions

DIGITS = 12
"""Of a digest, as versions are told."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A version that may be let in.

    Args:
        digest: Its own.
        what: Which one it is, and why it is not searched.
        let_in: Does so, if it is still the one.
    """

    digest: str
    what: str
    let_in: Callable[[], object]


def lists_accept(
    name: Annotated[str, typer.Argument(help="A feed's or a list's name.", show_default=False)],
    digest: Annotated[
        str | None,
        typer.Argument(
            help="First 12 digits of the version, as lists status tells them. At a terminal you "
            "are asked instead.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let gates search a version that was held back: of a feed, or of a list's file.

    A feed's version waits if it lost many entries, is empty, lacks the canary, or the feed is
    pinned; a list's is held back if more of its entries are at fault. What came since you looked
    is not accepted.
    """
    settings = load_settings(config)
    held = _held(settings, name)
    chosen = _asked(name, held) if digest is None else _named(name, held, digest)
    chosen.let_in()
    tell_changed(name, {"accepted": chosen.digest}, as_json=as_json)


def _held(settings: Settings, name: str) -> list[_Held]:
    """What of a feed, and what of a list of that name."""
    feeds = {one.name for one in settings.feeds}
    lists = {one.name: one for one in settings.lists}
    if name not in feeds | lists.keys():
        known = ", ".join(sorted(feeds | lists.keys()))
        raise ConfigError(f"no feed or list {name!r} is configured; there are: {known}")
    held = []
    if name in feeds:
        versions = Versions(settings.store.path / name)
        state = versions.state()
        if waiting := state.waiting:
            what = f"version {waiting[:DIGITS]} of the feed, which waits: {state.why}"
            held.append(_Held(waiting, what, lambda: accept(versions, waiting)))
    if name in lists:
        one = lists[name]
        digest = _digest(settings, one)
        what = f"version {digest[:DIGITS]} of the list, whatever share of its entries is at fault"
        held.append(_Held(digest, what, lambda: store.accept(one.path, digest)))
    if not held:
        raise ConfigError(f"feed {name!r}: no version waits")
    return held


def _digest(settings: Settings, one: ListSettings) -> str:
    if one.feed:
        return Versions(settings.store.path / one.feed).current()
    return store.load_made(
        one.path, name=one.name, file_format=one.file_format, algorithm=one.algorithm
    ).digest


def _named(name: str, held: list[_Held], digest: str) -> _Held:
    chosen = [one for one in held if one.digest.startswith(digest.lower())]
    if len(digest) < DIGITS or not chosen:
        there = "; ".join(one.what for one in held)
        raise ConfigError(
            f"{name}: {digest!r} is not the first {DIGITS} digits of a version that can be "
            f"accepted; look again at what is there: {there}"
        )
    return chosen[0]


def _asked(name: str, held: list[_Held]) -> _Held:
    if not _is_terminal():
        raise ConfigError(
            f"{name}: say which version, as lists status, fetch or diff told it: initgate lists "
            f"accept {name} DIGEST"
        )
    for one in held:
        ERR.print(f"{name}: {escape(one.what)}")
        if typer.confirm("Let gates search it?", err=True):
            return one
    raise typer.Abort


def _is_terminal() -> bool:
    return sys.stdin.isatty()
