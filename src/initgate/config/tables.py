"""What the tables of a configuration have in common."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _parse_age(value: object) -> object:
    if value == "never":
        return None
    if isinstance(value, str) and (found := re.fullmatch(r"([1-9][0-9]{0,5})([smhdw])", value)):
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    raise ValueError('allowed: "never", or a number with a unit: "90m", "36h", "30d", "4w"')


Age: TypeAlias = Annotated[timedelta | None, BeforeValidator(_parse_age)]


class Table(BaseModel):
    """A table: frozen, and without keys that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")
