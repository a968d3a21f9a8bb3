"""The audit trail of intake: one row for everything that was decided about a delivery.

A row never holds the body, a title, a question or a credential. Details are sentences of our own code.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Column, Connection, Float, Integer, String, Table, delete, desc, insert, select

from service.database import METADATA, Database

AUDIT = Table(
    "intake_audit",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at_s", Float, nullable=False, index=True),
    Column("connector", String(40), nullable=False),
    Column("action", String(40), nullable=False),
    Column("job_id", Integer, index=True),
    Column("request_id", String(80), nullable=False),
    Column("detail", String(300), nullable=False),
    Column("subject_id", String(300)),
)

REJECTIONS_PER_MINUTE = 60
"""Rejections of one kind beyond this are counted in the metrics and not written: a flood must not fill the disk."""


REJECTED = "rejected"
"""Begins the action of a delivery that was not taken; a colon and the reason follow."""


class Action(StrEnum):
    """What was decided. A rejection is REJECTED, a colon and its reason."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"
    ANSWERED = "answered"
    DELIVERED = "delivered"
    NOTHING_TO_WRITE = "nothing-to-write"
    RETRIED = "retried"
    DEAD = "dead"
    REPLAYED = "replayed"
    PURGED = "purged"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the trail.

    Attributes:
        at_s: Unix time in seconds.
        action: an Action, or `rejected:` and why.
        job_id: None where nothing was queued.
        subject_id: the ticket's, alert's or conversation's id at the vendor; empty where it is not known.
    """

    at_s: float
    connector: str
    action: str
    job_id: int | None
    request_id: str
    detail: str
    subject_id: str = ""


class AuditTrail:
    """Writes and reads the trail. Thread-safe."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._minute = -1
        self._written: dict[tuple[str, str], int] = {}

    def reject(self, connector: str, reason: str, request_id: str, detail: str) -> None:
        """Write that a delivery was not taken. Beyond REJECTIONS_PER_MINUTE of a kind, nothing is written."""
        now = self._clock()
        minute = int(now // 60)
        if minute != self._minute:
            self._minute, self._written = minute, {}
        count = self._written[connector, reason] = self._written.get((connector, reason), 0) + 1
        if count > REJECTIONS_PER_MINUTE:
            return
        if count == REJECTIONS_PER_MINUTE:
            detail = "more of these in this minute are counted in the metrics only"
        with self._database.begin() as connection:
            write_entry(connection, Entry(now, connector, f"{REJECTED}:{reason}", None, request_id, detail))

    def write(
        self, connector: str, action: Action, request_id: str = "", detail: str = "", subject_id: str = ""
    ) -> None:
        """Write an entry that belongs to no job."""
        with self._database.begin() as connection:
            write_entry(connection, Entry(self._clock(), connector, action, None, request_id, detail, subject_id))

    def of_job(self, job_id: int, since_s: float = 0.0) -> list[Entry]:
        """A job's entries, oldest first.

        Args:
            since_s: when the job was received; tables of an earlier version give the number of a purged job anew.
        """
        query = select(AUDIT).where(AUDIT.c.job_id == job_id, AUDIT.c.at_s >= since_s).order_by(AUDIT.c.id)
        with self._database.begin() as connection:
            rows = connection.execute(query)
            return [_entry(row._mapping) for row in rows]

    def latest(
        self,
        limit: int = 50,
        connector: str | None = None,
        action: str | None = None,
        subject_id: str | None = None,
    ) -> list[Entry]:
        """The newest entries, newest first.

        Args:
            action: an Action; REJECTED for all rejections, or a single one's whole name.
            subject_id: only of this ticket, alert or conversation.
        """
        query = select(AUDIT).order_by(desc(AUDIT.c.id)).limit(limit)
        if connector:
            query = query.where(AUDIT.c.connector == connector)
        if action == REJECTED:
            query = query.where(AUDIT.c.action.startswith(f"{REJECTED}:"))
        elif action:
            query = query.where(AUDIT.c.action == action)
        if subject_id:
            query = query.where(AUDIT.c.subject_id == subject_id)
        with self._database.begin() as connection:
            return [_entry(row._mapping) for row in connection.execute(query)]

    def purge(self, before_s: float) -> int:
        """Delete what is older; returns how many."""
        with self._database.begin() as connection:
            return connection.execute(delete(AUDIT).where(AUDIT.c.at_s < before_s)).rowcount


def write_entry(connection: Connection, entry: Entry) -> None:
    """Write `entry` within a transaction of the caller's."""
    connection.execute(
        insert(AUDIT).values(
            at_s=entry.at_s,
            connector=entry.connector,
            action=str(entry.action),
            job_id=entry.job_id,
            request_id=entry.request_id[:80],
            detail=entry.detail[:300],
            subject_id=entry.subject_id[:300] or None,
        )
    )


def _entry(values: object) -> Entry:
    row = dict(values)  # type: ignore[call-overload]
    del row["id"]
    return Entry(**{**row, "subject_id": row["subject_id"] or ""})
