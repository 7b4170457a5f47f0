"""The audit log in SQLite, by SQLAlchemy Core. Several processes may write to one file."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    create_engine,
    event,
    select,
    text,
)
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from initgate.audit.chain import Record, link
from initgate.errors import AuditUnavailable
from initgate.model import Reason

_METADATA = MetaData()

_DECISIONS = Table(
    "decisions",
    _METADATA,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
    Column("previous", String(64), nullable=False, unique=True),
    Column("digest", String(64), nullable=False, unique=True),
)

_COUNTS = Table(
    "counts",
    _METADATA,
    Column("reason", String(32), primary_key=True),
    Column("number", Integer, nullable=False),
)

# Not a defence against whoever owns the file, but against a slip of the hand.
_APPEND_ONLY = (
    """CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON decisions
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON decisions
       BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
)

# Every recorded decision waits for these two: as text they take half the time.
_HEAD = "SELECT sequence, body, previous, digest FROM decisions ORDER BY sequence DESC LIMIT 1"
_INSERT = "INSERT INTO decisions (sequence, body, previous, digest) VALUES (?, ?, ?, ?)"

_PAGE = 1000  # records read at a time
_FLUSH_EVERY = 256  # counted decisions that may be lost in a crash


class SqliteAudit:
    """A sink in an SQLite file, made on first use, readable by its owner only.

    Args:
        url: ``sqlite:///path``.
        busy_timeout_s: How long to wait for another writer.

    Raises:
        AuditUnavailable: The file cannot be opened or written.
    """

    def __init__(self, url: str | URL, *, busy_timeout_s: float = 10.0) -> None:
        self._url = make_url(url)
        self._lock = threading.Lock()
        self._counted: Counter[Reason] = Counter()
        self._pid = os.getpid()
        # Connections stay open in a pool: SQLite writes its log back whenever the last one closes.
        self._engine = create_engine(self._url, connect_args={"timeout": busy_timeout_s})
        _own_transactions(self._engine)
        self._quick = self._engine.execution_options(synchronous="NORMAL")  # of the same pool
        with self._guard():
            self._create_file()
            with self._transaction() as connection:
                _METADATA.create_all(connection)
                for statement in _APPEND_ONLY:
                    connection.execute(text(statement))

    def append(self, event: Mapping[str, object], *, is_durable: bool = True) -> None:
        """See :class:`initgate.audit.AuditSink`."""
        with self._guard(), self._transaction(is_durable=is_durable) as connection:
            # The transaction holds the write lock from its start: the head read here stays it.
            row = connection.exec_driver_sql(_HEAD).first()
            record = link(event, after=None if row is None else _to_record(row))
            values = (record.sequence, record.body, record.previous, record.digest)
            connection.exec_driver_sql(_INSERT, values)

    def count(self, reason: Reason) -> None:
        """See :class:`initgate.audit.AuditSink`."""
        with self._lock:
            self._notice_fork()
            self._counted[reason] += 1
            is_due = self._counted.total() % _FLUSH_EVERY == 0
        if is_due:
            # A count holds nobody up: what cannot be written now stays counted until it can.
            with suppress(AuditUnavailable):
                self._write_counts()

    def close(self) -> None:
        """See :class:`initgate.audit.AuditSink`."""
        self._write_counts()
        self._engine.dispose()

    def _write_counts(self) -> None:
        with self._lock:
            self._notice_fork()
            if not self._counted:
                return
            with self._guard(), self._engine.begin() as connection:
                for reason, number in self._counted.items():
                    row = upsert(_COUNTS).values(reason=reason.value, number=number)
                    connection.execute(
                        row.on_conflict_do_update(
                            index_elements=["reason"],
                            set_={"number": _COUNTS.c.number + row.excluded.number},
                        )
                    )
            self._counted.clear()

    def records(self) -> Iterator[Record]:
        """See :class:`initgate.audit.AuditSink`."""
        seen = None
        while True:
            query = select(_DECISIONS).order_by(_DECISIONS.c.sequence).limit(_PAGE)
            if seen is not None:
                query = query.where(_DECISIONS.c.sequence > seen)
            page = self._read(query)
            if not page:
                return
            yield from page
            seen = page[-1].sequence

    def last(self, number: int) -> list[Record]:
        """See :class:`initgate.audit.AuditSink`."""
        query = select(_DECISIONS).order_by(_DECISIONS.c.sequence.desc()).limit(number)
        return self._read(query)[::-1]

    def counts(self) -> dict[str, int]:
        """See :class:`initgate.audit.AuditSink`."""
        self._write_counts()
        with self._guard(), self._transaction() as connection:
            rows = connection.execute(select(_COUNTS.c.reason, _COUNTS.c.number)).all()
            return {str(row.reason): int(row.number) for row in rows}

    def _read(self, query: Select[Any]) -> list[Record]:
        with self._guard(), self._transaction() as connection:
            return [_to_record(row) for row in connection.execute(query)]

    @contextmanager
    def _transaction(self, *, is_durable: bool = True) -> Iterator[Connection]:
        with self._lock:
            self._notice_fork()
        with (self._engine if is_durable else self._quick).begin() as connection:
            yield connection

    def _notice_fork(self) -> None:
        """After a fork, counts and connections are the parent's: it writes and closes them."""
        if self._pid != os.getpid():
            self._counted.clear()
            self._engine.dispose(close=False)
            self._pid = os.getpid()

    def _create_file(self) -> None:
        database = self._url.database
        if database and database != ":memory:":
            path = Path(database)
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            cause = getattr(error, "orig", None) or error
            raise AuditUnavailable(f"{self._url}: {cause}") from error


def _own_transactions(engine: Engine) -> None:
    """Takes transactions out of the driver's hands: each locks for writing at its start."""

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # FULL: durable when the commit returns. A connection keeps what its last user set.
        level = connection.get_execution_options().get("synchronous", "FULL")
        connection.exec_driver_sql(f"PRAGMA synchronous={level}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _to_record(row: Any) -> Record:
    return Record(int(row.sequence), str(row.body), str(row.previous), str(row.digest))
