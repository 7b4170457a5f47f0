"""Files and environment become :class:`Settings`: the only reader of either, and only writer."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from sqlalchemy.engine import make_url

from initgate.config.gate import AuditSettings, ExceptionsSettings, GateSettings, LogSettings
from initgate.config.lists import FeedSettings, ListSettings, StoreSettings
from initgate.config.service import KeySettings, ProxySettings, ServeSettings
from initgate.config.settings import PLACES, PREFIX, Settings
from initgate.errors import ConfigError
from initgate.store.versions import Versions

_CONFIG_VARIABLE = "INITGATE_CONFIG"

# A key may have been put where its digest belongs, or where it is; an address may hold a password.
_SECRET = {"subject_key", "sha256", "key", "credentials", "source", "source_options", "url"}


def load_settings(path: str | Path | None = None) -> Settings:
    """Reads a configuration.

    Args:
        path: The file. Default: the one that ``INITGATE_CONFIG`` names, else ``initgate.toml`` or
            ``config/initgate.toml`` here.

    Raises:
        ConfigError: It is missing or wrong.
    """
    file = find_config(path)
    try:
        with file.open("rb") as opened:
            content = tomllib.load(opened)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not TOML: {error}") from error
    _check_environment(os.environ)
    try:
        settings = Settings(**content)
    except ValidationError as error:
        errors = error.errors()
        if any(len(one["loc"]) > 1 and one["loc"][0] == "lists" for one in errors):
            # With a bad list, pydantic also finds too few lists.
            errors = [one for one in errors if one["type"] != "too_short"]
        problems = [_explain(one, file) for one in errors]
        raise ConfigError("\n".join(problems)) from error
    except ValueError as error:  # a variable that pydantic-settings could not parse as JSON
        raise ConfigError(f"environment: {error}") from error
    return _resolve(settings, file.resolve().parent)


def with_table(settings: Settings, table: Literal["serve", "proxy"], **changes: object) -> Settings:
    """Settings with other values in a table: what the command line says.

    Args:
        settings: All settings.
        table: Its name.
        changes: Values by their keys; None changes nothing.

    Raises:
        ConfigError: A value is not allowed.
    """
    given = {key: value for key, value in changes.items() if value is not None}
    before: ServeSettings | ProxySettings = getattr(settings, table)
    try:
        own = type(before).model_validate({**before.model_dump(), **given})
    except ValidationError as error:
        problems = [_explain(one, Path(table)) for one in error.errors()]
        raise ConfigError("\n".join(problems)) from error
    return settings.model_copy(update={table: own})


def with_threshold(content: str, name: str, threshold: int) -> str:
    """A configuration with another threshold for one list. All else stays as it is written.

    Args:
        content: The file's text, which loads.
        name: The list's.
        threshold: In bits.

    Raises:
        ConfigError: The list does not stand in the file, but came from the environment; or would
            not load then.
    """
    import tomlkit  # noqa: PLC0415  # needed to write, and gates do not

    document = tomlkit.parse(content)
    for table in document.get("lists", ()):
        if table.get("name") != name:
            continue
        # A new key goes before the comments at the end, which may belong to the next table.
        body, trailing = table.value.body, []
        while "threshold" not in table and body[-1][0] is None:
            trailing.append(body.pop())
        table["threshold"] = threshold
        body.extend(reversed(trailing))
        try:
            ListSettings(**table.unwrap())
        except ValidationError as error:
            told = "; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors())
            raise ConfigError(
                f"list {name!r} would not load with threshold = {threshold}: {told}. "
                "Nothing was changed"
            ) from error
        return tomlkit.dumps(document)
    raise ConfigError(f"list {name!r} does not stand in the file; set its threshold where it does")


def find_config(path: str | Path | None = None) -> Path:
    """The configuration file to use.

    Raises:
        ConfigError: None was given and none is in the usual places.
    """
    if path is not None:
        return Path(path)
    if named := os.environ.get(_CONFIG_VARIABLE):
        return Path(named)
    for place in PLACES:
        if place.is_file():
            return place
    raise ConfigError(
        f"no configuration: looked for {' and '.join(map(str, PLACES))} in {Path.cwd()}; "
        f"name one with --config or {_CONFIG_VARIABLE}"
    )


def _resolve(settings: Settings, folder: Path) -> Settings:
    """Makes paths absolute: they are relative to the file, wherever the process runs."""

    def absolute(path: Path | str) -> Path:
        return (folder / Path(path).expanduser()).resolve()

    key = settings.store.key and _absolute_secret(settings.store.key, absolute)
    store = settings.store.model_copy(update={"path": absolute(settings.store.path), "key": key})
    lists = tuple(
        one.model_copy(
            update={
                # Not resolved further: it is a link through which versions are swapped.
                "path": Versions(store.path / one.feed).path(one.algorithm)
                if one.feed
                else absolute(one.path)
            }
        )
        for one in settings.lists
    )
    feeds = tuple(
        one.model_copy(
            update={
                "source": str(absolute(one.source)) if one.is_file else one.source,
                "root": one.root and absolute(one.root),
                "credentials": one.credentials and _absolute_secret(one.credentials, absolute),
            }
        )
        for one in settings.feeds
    )
    url = make_url(settings.audit.url)
    database = (folder / Path(url.database or "").expanduser()).resolve()
    url = url.set(database=str(database))
    audit = settings.audit.model_copy(update={"url": url.render_as_string(hide_password=False)})
    exceptions = settings.exceptions
    if exceptions.path is not None:
        place = (folder / exceptions.path.expanduser()).resolve()
        exceptions = exceptions.model_copy(update={"path": place})
    return settings.model_copy(
        update={
            "lists": lists,
            "feeds": feeds,
            "store": store,
            "audit": audit,
            "exceptions": exceptions,
        }
    )


def _absolute_secret(where: str, absolute: Callable[[str], Path]) -> str:
    """Where a secret is, with the path of a file made absolute."""
    kind, _, path = where.partition(":")
    return f"file:{absolute(path)}" if kind == "file" and path else where


def _check_environment(environ: Mapping[str, str]) -> None:
    """A variable that sets nothing is a typing error, and must not pass for a setting."""
    for variable in environ:
        name = variable.upper()
        if not name.startswith(PREFIX) or variable == _CONFIG_VARIABLE:
            continue
        allowed = _known_variables()
        if name not in allowed or name == _CONFIG_VARIABLE:  # which is read as it is written
            raise ConfigError(f"{variable}: unknown variable; allowed: {', '.join(allowed)}")


def _known_variables() -> list[str]:
    known = [_CONFIG_VARIABLE]
    for table, field in Settings.model_fields.items():
        known.append(f"{PREFIX}{table}".upper())
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys = field.annotation.model_fields
            known.extend(f"{PREFIX}{table}__{key}".upper() for key in keys)
    return known


def _explain(error: ErrorDetails, file: Path) -> str:
    loc = error["loc"]
    variable = PREFIX + "__".join(str(part) for part in loc).upper()
    where = variable if variable in {name.upper() for name in os.environ} else str(file)
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    match error["type"]:
        case "extra_forbidden":
            return f"{where}: {key}: unknown key; allowed: {', '.join(_siblings(loc))}"
        case "missing" if loc == ("lists",):
            return f"{where}: no list: add a [[lists]] table with name and path, or feed"
        case "missing":
            return f"{where}: {key}: is missing"
        case "string_pattern_mismatch":
            return (
                f"{where}: {key}: found {error['input']!r}; "
                "allowed: lower-case letters, digits, '-' and '_'"
            )
        case _:
            message = error["msg"].removeprefix("Value error, ")
            is_told = isinstance(error["input"], str | int | float) and not _SECRET & {*loc}
            found = f" (found {error['input']!r})" if is_told else ""
            return f"{where}: {key}: {message}{found}"


def _siblings(loc: tuple[int | str, ...]) -> list[str]:
    """The keys that a table has."""
    tables: dict[Any, type[BaseModel]] = {
        "lists": ListSettings,
        "feeds": FeedSettings,
        "store": StoreSettings,
        "gate": GateSettings,
        "exceptions": ExceptionsSettings,
        "audit": AuditSettings,
        "log": LogSettings,
        "serve": ServeSettings,
        "proxy": ProxySettings,
    }
    if loc[:2] == ("serve", "keys"):
        return list(KeySettings.model_fields)
    table = Settings if len(loc) == 1 else tables.get(loc[0], Settings)
    return list(table.model_fields)
