"""What other processes do to an audit log. A module of its own: they import little else."""

from __future__ import annotations

import os

from initgate.audit.sqlite import SqliteAudit
from initgate.model import Reason


def append_and_die(database: str, *, is_durable: bool) -> None:
    SqliteAudit(f"sqlite:///{database}").append({"n": 1}, is_durable=is_durable)
    os._exit(9)


def write(database: str, writer: int) -> None:
    audit = SqliteAudit(f"sqlite:///{database}", busy_timeout_s=60)
    for number in range(25):
        audit.append({"writer": writer, "n": number})
        audit.count(Reason.NO_MATCH)
    audit.close()
