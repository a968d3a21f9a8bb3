"""What readers said about articles. One table."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Boolean, Column, DateTime, Integer, String, Table, Text, insert, select

from service.database import METADATA, Database, delete_before, in_utc

_COMMENTS = 3
"""Shown of one article."""

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


@dataclass(frozen=True, slots=True)
class Comment:
    """What a reader wrote with a verdict."""

    created: datetime
    helpful: bool
    text: str


@dataclass(frozen=True, slots=True)
class Verdicts:
    """All verdicts on one article.

    Attributes:
        comments: the latest few, newest first.
    """

    article: str
    helpful: int
    unhelpful: int
    comments: tuple[Comment, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values; the contract of `kb feedback --json`."""
        comments = [
            {"created": comment.created.isoformat(timespec="seconds"), "helpful": comment.helpful, "text": comment.text}
            for comment in self.comments
        ]
        return {**asdict(self), "comments": comments}


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

    def report(self, days: int, now: datetime | None = None) -> list[Verdicts]:
        """The verdicts of the last `days` days by article, those that helped least first.

        Raises:
            StateUnavailable, SettingsError: as all of the database.
        """
        since = (now or datetime.now(UTC)) - timedelta(days=days)
        wanted = select(FEEDBACK).where(FEEDBACK.c.created >= since).order_by(FEEDBACK.c.created.desc())
        counts: dict[str, Counter[bool]] = defaultdict(Counter)
        comments: dict[str, list[Comment]] = defaultdict(list)
        with self._database.begin() as connection:
            for row in connection.execution_options(yield_per=1000).execute(wanted):
                counts[row.article][row.helpful] += 1
                if row.comment.strip() and len(comments[row.article]) < _COMMENTS:
                    comments[row.article].append(Comment(in_utc(row.created), row.helpful, row.comment))
        found = [
            Verdicts(article, count[True], count[False], tuple(comments[article])) for article, count in counts.items()
        ]
        return sorted(found, key=lambda verdicts: (verdicts.helpful - verdicts.unhelpful, verdicts.article))

    def purge(self, before: datetime) -> int:
        """Delete the feedback from before then; returns how much. Raises StateUnavailable, SettingsError."""
        return delete_before(self._database, FEEDBACK, before)
