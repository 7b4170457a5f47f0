"""What a configuration says of a source becomes the source.

The packages that it needs are loaded here, and not before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from initgate.errors import ConfigError
from initgate.sources import Source
from initgate.sources.bounds import BOUNDS, Bounds
from initgate.sources.credentials import Credentials, Warn

FORMATS: Final = {
    "ncmec": "ncmec",
    "stopncii": "stopncii",
    "threatexchange": "threat_updates",
    "tat": "tat",
}
"""The services by the names that a configuration gives them, and the format of each."""


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    max_bytes: int | None = Field(default=None, gt=0)
    """Of a whole fetch."""
    max_seconds: float | None = Field(default=None, gt=0)
    """For a whole fetch."""

    def bounds(self, *, is_one_page: bool = False) -> Bounds:
        """The bounds that these options ask for; those of a list that comes in one page."""
        made = BOUNDS
        total = self.max_bytes or made.total_bytes
        seconds = self.max_seconds or made.total_seconds
        made = replace(made, total_bytes=total, total_seconds=seconds)
        if is_one_page:
            made = replace(made, page_bytes=total, batch_bytes=total, page_seconds=seconds)
        return made


class _Service(_Options):
    address: str = ""


class _Ncmec(_Service):
    environment: str = "Industry"


class _StopNcii(_Service):
    page_size: int = Field(default=800, gt=0)


class _ThreatExchange(_Service):
    privacy_group: int = Field(gt=0)
    page_size: int = Field(default=500, gt=0)


class _Https(_Options):
    hosts: tuple[str, ...] = ()
    allow_http: bool = False


class _Fsspec(_Options):
    storage: dict[str, Any] = {}


_Model = TypeVar("_Model", bound=_Options)


def open_source(
    where: str,
    *,
    credentials: str | None,
    options: Mapping[str, object],
    temporary_folder: Path,
    warn: Warn,
    signature_suffix: str = "",
) -> Source:
    """A source by its name or address.

    Args:
        where: ``ncmec``, ``stopncii``, ``threatexchange``, ``tat``, or an address: ``https://…``,
            or any that fsspec knows, such as ``s3://…``.
        credentials: ``env:NAME`` or ``file:PATH``; None for none.
        options: Of this kind of source.
        temporary_folder: Where fetched pages are kept for as long as they are needed.
        warn: Told what does not stop a fetch but should be mended.
        signature_suffix: Of the address of a detached signature, for addresses.

    Raises:
        ConfigError: An option is unknown or wrong, a credential is missing, or a package is.
    """
    scheme = re.match(r"([a-z][a-z0-9+.-]*)::?", where)
    kind = where if where in FORMATS else scheme[1] if scheme else ""
    if not kind:
        raise ConfigError(
            f"there is no source {where!r}; it is one of {', '.join(FORMATS)}, or an address such "
            "as https://host/list.csv or s3://bucket/list.csv"
        )
    opener = _OPENERS.get(kind, _fsspec)
    try:
        return opener(
            _Given(
                where,
                None if credentials is None else Credentials(credentials, warn),
                options,
                temporary_folder,
                signature_suffix,
            )
        )
    except ImportError as error:
        raise ConfigError(
            f"the source {kind} needs {error.name}: pip install 'initgate[sources]'"
        ) from error


def format_of(where: str) -> str:
    """The name of the format in which a source gives its list: the service's, or the suffix.

    Empty if neither says one.
    """
    return FORMATS.get(where) or PurePosixPath(shown_where(where)).suffix.removeprefix(".")


@dataclass(frozen=True, slots=True)
class _Given:
    where: str = field(repr=False)
    credentials: Credentials | None
    options: Mapping[str, object] = field(repr=False)
    folder: Path
    signature_suffix: str

    def checked(self, model: type[_Model]) -> _Model:
        try:
            return model.model_validate(dict(self.options))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            key = ".".join(map(str, first["loc"]))
            known = ", ".join(model.model_fields)
            raise ConfigError(
                f"options.{key} of the source {shown_where(self.where)}: {first['msg']}; "
                f"the options are {known}"
            ) from None

    def needed(self, what: str) -> Credentials:
        if self.credentials is None:
            raise ConfigError(
                f'the source {self.where} needs credentials = "env:NAME" or "file:PATH", which '
                f"hold {what}"
            )
        return self.credentials


def _ncmec(given: _Given) -> Source:
    from initgate.sources.ncmec import NcmecSource  # noqa: PLC0415  # of an extra

    options = given.checked(_Ncmec)
    return NcmecSource(
        environment=options.environment,
        credentials=given.needed("user and password with a colon between"),
        folder=given.folder,
        address=options.address,
        bounds=options.bounds(),
    )


def _stopncii(given: _Given) -> Source:
    from initgate.sources.stopncii import ADDRESS, StopNciiSource  # noqa: PLC0415  # of an extra

    options = given.checked(_StopNcii)
    return StopNciiSource(
        credentials=given.needed("subscription key and function key with a colon between"),
        folder=given.folder,
        address=options.address or ADDRESS,
        page_size=options.page_size,
        bounds=options.bounds(),
    )


def _threatexchange(given: _Given) -> Source:
    from initgate.sources.threatexchange import (  # noqa: PLC0415  # of an extra
        ADDRESS,
        ThreatExchangeSource,
    )

    options = given.checked(_ThreatExchange)
    return ThreatExchangeSource(
        privacy_group=options.privacy_group,
        credentials=given.needed("an access token"),
        folder=given.folder,
        address=options.address or ADDRESS,
        page_size=options.page_size,
        bounds=options.bounds(),
    )


def _tat(given: _Given) -> Source:
    from initgate.sources.tat import ADDRESS, TatSource  # noqa: PLC0415  # of an extra

    options = given.checked(_Service)
    return TatSource(
        credentials=given.needed("user and password with a colon between"),
        folder=given.folder,
        address=options.address or ADDRESS,
        bounds=options.bounds(),
    )


def _https(given: _Given) -> Source:
    from initgate.sources.https import HttpsSource  # noqa: PLC0415  # of an extra

    options = given.checked(_Https)
    return HttpsSource(
        address=given.where,
        folder=given.folder,
        credentials=given.credentials,
        hosts=options.hosts,
        allow_http=options.allow_http,
        signature_suffix=given.signature_suffix,
        bounds=options.bounds(is_one_page=True),
    )


def _fsspec(given: _Given) -> Source:
    from initgate.sources.fsspec_source import FsspecSource  # noqa: PLC0415  # of an extra

    options = given.checked(_Fsspec)
    if given.credentials is not None:
        raise ConfigError(
            f"the source {shown_where(given.where)} takes no credentials: fsspec reads those of "
            "the store from where its own tools do"
        )
    limits = options.bounds(is_one_page=True)
    return FsspecSource(
        address=given.where,
        folder=given.folder,
        options=options.storage,
        signature_suffix=given.signature_suffix,
        max_bytes=limits.total_bytes,
        max_seconds=limits.total_seconds,
    )


def shown_where(where: str) -> str:
    """A source as it may be shown: an address without query and user."""
    return re.sub(r"//[^/?#]*@", "//", where).partition("?")[0]


_OPENERS: Final[Mapping[str, Callable[[_Given], Source]]] = {
    "ncmec": _ncmec,
    "stopncii": _stopncii,
    "threatexchange": _threatexchange,
    "tat": _tat,
    "https": _https,
    "http": _https,
}
