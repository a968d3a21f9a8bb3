"""What readers said about articles. One table, through SQLAlchemy: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Boolean, Column, DateTime, Engine, Integer, MetaData, String, Table, Text, create_engine, insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from indexer.errors import KBError, SettingsError

_METADATA = MetaData()

FEEDBACK = Table(
    "feedback",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("index_version", String(200), nullable=False),
    Column("article", String(1000), nullable=False, index=True),
    Column("helpful", Boolean, nullable=False),
    Column("comment", Text, nullable=False),
    Column("audience", String(20), nullable=False),
    Column("key_id", String(40)),
)
"""One row a verdict. It never holds the question, nor an address."""


class StateUnavailable(KBError):
    """The database cannot be reached or written just now."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """A reader's verdict on an article.

    Attributes:
        index_version: the version that the reader saw.
        article: path of the article.
        audience: what the reader was allowed to see.
        key_id: the API key that sent it; None for an anonymous reader.
    """

    index_version: str
    article: str
    helpful: bool
    comment: str
    audience: str
    key_id: str | None


class FeedbackStore:
    """Keeps feedback. Connects, and makes its table, when first used. Thread-safe."""

    def __init__(self, url: str) -> None:
        """Raises SettingsError if `url` is no database URL that can be used here."""
        try:
            self._url = make_url(url)
        except ArgumentError as error:
            raise SettingsError("KB_DATABASE_URL is no SQLAlchemy URL; see docs/settings.md") from error
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    def add(self, feedback: Feedback) -> int:
        """Store it and return its number. Raises StateUnavailable, SettingsError."""
        row = {name: getattr(feedback, name) for name in Feedback.__slots__}
        try:
            with self._connected().begin() as connection:
                result = connection.execute(insert(FEEDBACK).values(created=datetime.now(UTC), **row))
                return int((result.inserted_primary_key or [0])[0])
        except SQLAlchemyError as error:
            raise StateUnavailable("feedback cannot be stored just now; try again") from error

    def close(self) -> None:
        """Drop all connections."""
        with self._lock:
            if self._engine:
                self._engine.dispose()
            self._engine = None

    def _connected(self) -> Engine:
        with self._lock:
            if self._engine is None:
                if self._url.get_backend_name() == "sqlite" and self._url.database:
                    Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)
                try:
                    engine = create_engine(self._url, pool_pre_ping=True)
                except ImportError as error:
                    raise SettingsError(f"KB_DATABASE_URL needs a driver that is not installed: {error}") from error
                _METADATA.create_all(engine)
                self._engine = engine
            return self._engine
