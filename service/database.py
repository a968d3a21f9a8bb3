"""The SQL database of what changes while serving: SQLite by default, PostgreSQL by URL. One engine, many tables.

Every store (feedback, the deflection ledger, intake) declares its tables in `METADATA` and is given one `Database`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, MetaData, Table, create_engine, delete, event, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError

from indexer.errors import SettingsError
from indexer.snapshot import current_version
from service.stores import StateUnavailable

if TYPE_CHECKING:
    from service.settings import Settings

METADATA = MetaData()

_SQLITE_BUSY_MS = 5000
_MAKING_ATTEMPTS = 10
_DELETED_AT_A_TIME = 500


class Database:
    """Connects, and makes missing tables, when first used. Thread-safe."""

    def __init__(self, url: str) -> None:
        """Raises SettingsError if `url` is no database URL that can be used here."""
        try:
            self._url = make_url(url)
        except ArgumentError as error:
            raise SettingsError("KB_DATABASE_URL is no SQLAlchemy URL; see docs/settings.md") from error
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction: committed at the end of the block, rolled back if it raises.

        Raises:
            StateUnavailable: the database does not answer, or refuses.
            SettingsError: its driver is not installed.
        """
        try:
            with self._connected().begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StateUnavailable("the database cannot be used just now; try again") from error

    def close(self) -> None:
        """Drop all connections."""
        with self._lock:
            if self._engine:
                self._engine.dispose()
            self._engine = None

    def _connected(self) -> Engine:
        with self._lock:
            if self._engine is None:
                is_sqlite = self._url.get_backend_name() == "sqlite"
                if is_sqlite and self._url.database:
                    Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)
                try:
                    engine = create_engine(self._url, pool_pre_ping=True)
                except ImportError as error:
                    raise SettingsError(f"KB_DATABASE_URL needs a driver that is not installed: {error}") from error
                if is_sqlite:
                    event.listen(engine, "connect", _prepare_sqlite)
                _make_tables(engine)
                self._engine = engine
            return self._engine


def holds_nothing(url: str) -> bool:
    """Whether the database at `url` is a SQLite file that does not exist yet. Makes nothing.

    Raises:
        SettingsError: `url` is no database URL.
    """
    made = Database(url)._url
    return made.get_backend_name() == "sqlite" and bool(made.database) and not Path(str(made.database)).exists()


@contextmanager
def opened_state(settings: Settings) -> Iterator[Database]:
    """What the service has stored, for reading; where it has stored nothing yet, an empty database in memory.

    Raises:
        SettingsError, IndexNotFound: there is no such database, and no index beside which one could come to be.
    """
    is_new = holds_nothing(settings.state_url)
    if is_new and settings.database_url is None:
        current_version(settings.index)  # a mistyped --index must not look like a quiet month
    database = Database("sqlite://" if is_new else settings.state_url)
    try:
        yield database
    finally:
        database.close()


def delete_before(database: Database, table: Table, before: datetime) -> int:
    """Delete the rows of `table` that were `created` before then; returns how many.

    A few at a time, each in a transaction of its own, so that nobody who writes waits long.

    Raises:
        StateUnavailable, SettingsError: as Database.begin.
    """
    oldest = select(table.c.id).where(table.c.created < before).order_by(table.c.id).limit(_DELETED_AT_A_TIME)
    total = 0
    while True:
        with database.begin() as connection:
            ids = connection.execute(oldest).scalars().all()
            connection.execute(delete(table).where(table.c.id.in_(ids)))
        total += len(ids)
        if len(ids) < _DELETED_AT_A_TIME:
            return total


def in_utc(moment: datetime) -> datetime:
    """A time as it was stored: SQLite keeps no zone."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _make_tables(engine: Engine) -> None:
    """Make missing tables and columns. Another process may make them at the same moment, and then they are there."""
    for attempt in range(_MAKING_ATTEMPTS):
        try:
            METADATA.create_all(engine)
            _add_columns(engine)
        except (OperationalError, ProgrammingError, IntegrityError):
            if attempt == _MAKING_ATTEMPTS - 1:
                raise
            time.sleep(0.05)
        else:
            return


def _add_columns(engine: Engine) -> None:
    """Add to an earlier version's tables the columns that they lack. All take null, so it can go on writing."""
    inspector = inspect(engine)
    for table in METADATA.sorted_tables:
        there = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                kind = column.type.compile(engine.dialect)
                with engine.begin() as connection:
                    connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}"))


def _prepare_sqlite(connection: object, _record: object) -> None:
    """Readers never wait for the writer, and writers wait for each other instead of failing."""
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute(f"PRAGMA busy_timeout={_SQLITE_BUSY_MS}")
    cursor.close()
