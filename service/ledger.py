"""The deflection ledger: events of `service.deflection` in one table, and the report on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, Column, DateTime, Index, Integer, String, Table, insert, select

from service.database import METADATA, Database, delete_before, in_utc
from service.deflection import Event, EventKind, Report, Surface, count_visits

EVENTS = Table(
    "deflection_events",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("session", String(64), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("surface", String(20), nullable=False),
    Column("articles", JSON, nullable=False),
    Column("index_version", String(200), nullable=False),
    Column("key_id", String(40)),
    Index("deflection_events_by_session", "session", "created"),
)
"""One row an event. There is no column for what was typed, nor for an address."""


class Ledger:
    """Keeps events. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, event: Event) -> None:
        """Store it. Raises StateUnavailable, SettingsError."""
        row = {**asdict(event), "kind": event.kind.value, "surface": event.surface.value}
        with self._database.begin() as connection:
            connection.execute(insert(EVENTS).values(row | {"articles": list(event.articles)}))

    def report(self, days: int, durable_days: int, now: datetime | None = None) -> Report:
        """What the last `days` days came to. Raises StateUnavailable, SettingsError."""
        until = now or datetime.now(UTC)
        since = until - timedelta(days=days)
        with self._events_since(since) as events:
            return Report(since, until, durable_days, count_visits(events, until, timedelta(days=durable_days)))

    def purge(self, before: datetime) -> int:
        """Delete the events from before then; returns how many. Raises StateUnavailable, SettingsError."""
        return delete_before(self._database, EVENTS, before)

    @contextmanager
    def _events_since(self, since: datetime) -> Iterator[Iterator[Event]]:
        """Events from `since` on, by session and time, read as they are needed."""
        wanted = select(EVENTS).where(EVENTS.c.created >= since).order_by(EVENTS.c.session, EVENTS.c.created)
        with self._database.begin() as connection:
            rows = connection.execution_options(yield_per=1000).execute(wanted)
            yield (_event_of(row._mapping) for row in rows)


def _event_of(row: Any) -> Event:
    return Event(
        in_utc(row["created"]),
        row["session"],
        EventKind(row["kind"]),
        Surface(row["surface"]),
        tuple(row["articles"]),
        row["index_version"],
        row["key_id"],
    )
