"""What a job of intake is: its row in the database, and the same as data. `service.intake.queue` moves it along."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import Boolean, Column, Float, Index, Integer, String, Table, Text, UniqueConstraint

from service.connectors.contract import Event, Note
from service.database import METADATA
from service.intake.codec import decode_event, decode_note

JOBS = Table(
    "intake_jobs",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("connector", String(40), nullable=False),
    Column("delivery_id", String(300), nullable=False),
    Column("replay_key", String(100)),
    Column("subject_id", String(300), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("is_public", Boolean, nullable=False),
    Column("state", String(10), nullable=False),
    Column("received_s", Float, nullable=False),
    Column("due_s", Float, nullable=False),
    Column("finished_s", Float),
    Column("attempts", Integer, nullable=False),
    Column("lease", String(40)),
    Column("uncertain", Boolean, nullable=False),
    Column("event", Text),
    Column("note", Text),
    Column("index_version", String(200), nullable=False),
    Column("calls_made", Text, nullable=False),
    Column("reason", String(300), nullable=False),
    Column("claims", Text),
    UniqueConstraint("connector", "delivery_id"),
    UniqueConstraint("connector", "replay_key"),
    Index("intake_jobs_due", "state", "connector", "due_s"),
    Index("intake_jobs_finished", "state", "finished_s"),
    Index("intake_jobs_subject", "connector", "subject_id"),
    sqlite_autoincrement=True,
)
"""`due_s`: when it may be taken; of a job in work, when its lease ends. `event` and `note` hold the ticket's words,
`claims` what the note that was written came down to."""

Words = TypeVar("Words", Event, Note)

PUBLIC_SUFFIX = "#public"
"""Ends the delivery id of the job that answers the customer, where there is an internal note too."""


class JobState(StrEnum):
    """Where a job is in its life; `service.intake.queue` draws it."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Job:
    """One note to be written.

    Attributes:
        event: None once it is done, or where this version cannot read it.
        note: what is being written, where some of its calls are made and it can be read; else None.
        is_public: whether it is a reply to the customer.
        index_version: the index that the note was made from.
        calls_made: keys of the vendor calls that have succeeded.
        uncertain: whether the last call may have reached the vendor without our knowing.
        attempts: how often it was taken, this time included.
        due_s: see JOBS.
        reason: why it was retried last, or is dead, or nothing was written.
    """

    id: int
    connector: str
    delivery_id: str
    subject_id: str
    kind: str
    is_public: bool
    state: JobState
    received_s: float
    due_s: float
    finished_s: float | None
    attempts: int
    lease: str | None
    uncertain: bool
    event: Event | None
    note: Note | None
    index_version: str
    calls_made: frozenset[str]
    reason: str


@dataclass(frozen=True, slots=True)
class NewJob:
    """What `Queue.add` stores."""

    event: Event
    is_public: bool = False
    is_answered: bool = False
    """Answered in the HTTP response: only remembered, so that the delivery is not answered twice."""


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a delivery.

    Attributes:
        job_ids: the jobs it made, or for a duplicate, the ones it made the first time.
        duplicate: it was here before.
        replayed: what it was signed over was here before, under another id.
    """

    job_ids: tuple[int, ...]
    duplicate: bool = False
    replayed: bool = False


def read_job(row: Any) -> Job:
    """The job of a row of JOBS."""
    return Job(
        id=row["id"],
        connector=row["connector"],
        delivery_id=row["delivery_id"],
        subject_id=row["subject_id"],
        kind=row["kind"],
        is_public=row["is_public"],
        state=JobState(row["state"]),
        received_s=row["received_s"],
        due_s=row["due_s"],
        finished_s=row["finished_s"],
        attempts=row["attempts"],
        lease=row["lease"],
        uncertain=row["uncertain"],
        event=_read(row["event"], decode_event),
        note=_read(row["note"], decode_note),
        index_version=row["index_version"],
        calls_made=frozenset(json.loads(row["calls_made"])),
        reason=row["reason"],
    )


def _read(text: str | None, decode: Callable[[str], Words]) -> Words | None:
    """What was stored; None if nothing was, or nothing that can be read: one bad row must not stop the others."""
    if not text:
        return None
    try:
        return decode(text)
    except (TypeError, ValueError, KeyError):
        return None
