"""Credentials stay where the operator keeps them, and are read when they are needed.

What is configured says only where: ``env:NAME`` or ``file:PATH``. No object here holds a secret for
longer than a fetch, and none shows it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from initgate.errors import ConfigError

Warn = Callable[[str], object]
"""Tells the operator something that does not stop the fetch."""

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_MAX_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where a secret is kept.

    Args:
        where: ``env:NAME`` or ``file:PATH``.
        warn: Told if others than the owner may read the file.

    Raises:
        ConfigError: It is neither.
    """

    where: str
    warn: Warn

    def __post_init__(self) -> None:
        kind, _, name = self.where.partition(":")
        if kind not in {"env", "file"} or not name:
            # What stands there may be the secret itself: it is not repeated.
            raise ConfigError('credentials must be "env:NAME" or "file:PATH"')

    def one(self, what: str) -> str:
        """The secret, without white space at its ends.

        Args:
            what: Its name in the error message, such as ``access token``.

        Raises:
            ConfigError: It is not there.
        """
        secret = self._text().strip()
        if not secret:
            raise ConfigError(f"{self.where} is empty: it must hold the {what}")
        if not secret.isprintable() or not secret.isascii():
            raise ConfigError(f"{self.where} is no {what}: it has characters that none has")
        return secret

    def two(self, first: str, second: str) -> tuple[str, str]:
        """Two secrets with a colon between them; the first has none itself.

        Raises:
            ConfigError: They are not there.
        """
        name, colon, secret = self.one(f"{first} and {second}").partition(":")
        if not (name and colon and secret):
            raise ConfigError(f"{self.where} must hold {first} and {second} with a colon between")
        return name, secret

    def _text(self) -> str:
        kind, _, name = self.where.partition(":")
        if kind == "env":
            try:
                return os.environ[name]
            except KeyError:
                raise ConfigError(
                    f"the variable {name} is not set: credentials are read from it"
                ) from None
        path = Path(name)
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_mode & _OTHERS:
                    self.warn(f"{path}: others can use these credentials; chmod 600 {path}")
                return file.read(_MAX_BYTES).decode("utf-8")
        except OSError as error:
            raise ConfigError(f"{path}: credentials: {error.strerror or error}") from error
        except UnicodeDecodeError:
            raise ConfigError(f"{path}: credentials must be text") from None
