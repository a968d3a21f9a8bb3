"""What readers said about articles. One table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Boolean, Column, DateTime, Integer, String, Table, Text, insert

from service.database import METADATA, Database

FEEDBACK = Table(
    "feedback",
    METADATA,
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
    """Keeps feedback. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, feedback: Feedback) -> int:
        """Store it and return its number. Raises StateUnavailable, SettingsError."""
        row = {name: getattr(feedback, name) for name in Feedback.__slots__}
        with self._database.begin() as connection:
            result = connection.execute(insert(FEEDBACK).values(created=datetime.now(UTC), **row))
            return int((result.inserted_primary_key or [0])[0])
