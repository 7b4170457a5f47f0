"""Lists in a TUF repository (https://theupdateframework.io): signed, current, never back a version.

``reader`` fetches from one, ``publisher`` makes one. Both need the extra ``trust``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from initgate.errors import ConfigError
from initgate.sources import Source
from initgate.sources.folders import open_folder, shown

if TYPE_CHECKING:
    from initgate.sources.tuf import publisher

SCHEME = "tuf+"
"""What stands before the URL of a repository: ``tuf+https://…``, ``tuf+file:///…``, ``tuf+s3://…``."""


def open_source(
    url: str,
    *,
    target: str,
    root: Path,
    metadata: Path,
    max_bytes: int,
    temporary_folder: Path | None = None,
) -> Source:
    """A list in a repository. Its batches arrive verified.

    Args:
        url: ``tuf+`` and the URL of the folder that holds ``metadata`` and ``targets``.
        target: The list's name there.
        root: The file with the keys to trust, as the publisher handed it out.
        metadata: A folder of its own, in which it is remembered what was seen.
        max_bytes: Of the list.
        temporary_folder: Where it lies for as long as it is read. Default: the system's.

    Raises:
        ConfigError: One of them cannot be used, or the extra is missing.
    """
    try:
        from initgate.sources.tuf.reader import TufSource  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as error:
        raise _needs(error) from error
    try:
        trusted = root.read_bytes()
    except OSError as error:
        raise ConfigError(f"{root}: {error.strerror or error}") from error
    folder = open_folder(url.removeprefix(SCHEME))
    return TufSource(
        folder,
        shown(url),
        target=target,
        root=trusted,
        metadata=metadata,
        max_bytes=max_bytes,
        temporary_folder=temporary_folder,
    )


def open_publisher() -> type[publisher.Publisher]:
    """What makes repositories.

    Raises:
        ConfigError: The extra is missing.
    """
    try:
        from initgate.sources.tuf.publisher import Publisher  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as error:
        raise _needs(error) from error
    return Publisher


def _needs(error: ModuleNotFoundError) -> ConfigError:
    return ConfigError(f"TUF repositories need {error.name}: pip install 'initgate[trust]'")
