"""The durable queue of intake: one table, taken from by leases. SQLite and PostgreSQL.

Why not a library: nothing well kept does what is needed on SQLite *and* PostgreSQL. procrastinate, pgqueuer and
postgres-tq need PostgreSQL; huey has no leases, so a killed worker loses its task; persist-queue and litequeue are for
SQLite; DBOS runs on both, but keeps a database of its own, so an enqueue would not be one transaction with the
deduplication and the audit entry, and without its paid service a dead process' work is taken up only when that very
executor starts again. What is needed is small: one statement that takes what is due.

A job's life:

    waiting -> working -> done        the note is written; event and note are deleted with the same commit
       ^          |
       +- retry --+-> dead            refused, or tried too often; kept until it is replayed or purged

- Added in one transaction with its audit entry; the connector and delivery id are unique, and so is the replay key.
- Taken with a lease. Whoever holds it alone may change the job: every change names the lease, and a change that finds
  another one raises LeaseLost. A worker that dies lets its lease run out, and then the job is due again.
- A job taken over from a dead worker is `uncertain`: its last call may have reached the vendor, so delivery looks there
  first (`service.intake.delivery`).
- Calls that were made are recorded one by one, so a note of several calls goes on where it stopped.

Times are Unix seconds of the machine; workers on several machines need clocks that agree to within a few seconds.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, desc, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from indexer.errors import KBError, NotFound
from service.connectors.contract import Note
from service.database import Database
from service.intake.audit import Action, Entry, write_entry
from service.intake.codec import encode_event, encode_note
from service.intake.jobs import JOBS, Added, Job, JobState, NewJob, read_job


class LeaseLost(KBError):
    """Another worker has taken the job over."""


class Queue:
    """See the module. Thread-safe."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def add(self, connector: str, jobs: Sequence[NewJob], received_s: float, request_id: str = "") -> Added:
        """Store the jobs of one delivery, the first of which carries its ids, all or none.

        Raises:
            StateUnavailable: nothing was stored.
        """
        first, *others = jobs
        kind = first.event.kind.value
        with self._database.begin() as connection:
            job_id = self._insert(connection, connector, first, received_s)
            if job_id is not None:
                action = Action.ANSWERED if first.is_answered else Action.ACCEPTED
                self._audit(connection, connector, action, job_id, first.event.subject_id, kind, request_id)
                made = [self._insert(connection, connector, job, received_s) for job in others]
                return Added((job_id, *(other for other in made if other is not None)))
            ids = [job.event.delivery_id for job in jobs]
            known = connection.execute(
                select(JOBS.c.id).where(JOBS.c.connector == connector, JOBS.c.delivery_id.in_(ids)).order_by(JOBS.c.id)
            )
            job_ids = tuple(row.id for row in known)
            if job_ids:
                subject_id = first.event.subject_id
                self._audit(connection, connector, Action.DUPLICATE, job_ids[0], subject_id, kind, request_id)
            return Added(job_ids, duplicate=bool(job_ids), replayed=not job_ids)

    def due(self) -> list[str]:
        """Names of the connectors that have something due, the longest waiting first."""
        now = self._clock()
        query = select(JOBS.c.connector).where(_is_due(now)).group_by(JOBS.c.connector).order_by(func.min(JOBS.c.due_s))
        with self._database.begin() as connection:
            return [row.connector for row in connection.execute(query)]

    def claim(self, connector: str, limit: int, lease_s: float) -> list[Job]:
        """Take up to `limit` jobs that are due, for `lease_s` seconds."""
        now = self._clock()
        lease = secrets.token_hex(16)
        chosen = (
            select(JOBS.c.id)
            .where(JOBS.c.connector == connector, _is_due(now))
            .order_by(JOBS.c.due_s, JOBS.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("chosen")
        )
        taken = (
            update(JOBS)
            .where(JOBS.c.id.in_(select(chosen.c.id)))
            .values(
                state=JobState.WORKING.value,
                lease=lease,
                due_s=now + lease_s,
                attempts=JOBS.c.attempts + 1,
                uncertain=or_(JOBS.c.uncertain, JOBS.c.state == JobState.WORKING.value),
            )
            .returning(JOBS)
        )
        with self._database.begin() as connection:
            rows = connection.execute(taken).all()
        return sorted((read_job(row._mapping) for row in rows), key=lambda job: job.id)

    def renew(self, job: Job, lease_s: float) -> None:
        """Hold the job for `lease_s` seconds from now. Raises LeaseLost."""
        self._change(job, due_s=self._clock() + lease_s)

    def keep_calls(self, job: Job, calls_made: Iterable[str], note: Note | None, index_version: str) -> None:
        """Remember which calls have succeeded, and the note, so that the rest of it is written. Raises LeaseLost."""
        self._change(
            job,
            calls_made=json.dumps(sorted(calls_made)),
            note=encode_note(note) if note else None,
            index_version=index_version,
            uncertain=False,
        )

    def claimed(self, job: Job) -> frozenset[str]:
        """What the notes written about the job's ticket came down to; replies and notes each by themselves."""
        query = select(JOBS.c.claims).where(
            JOBS.c.connector == job.connector,
            JOBS.c.subject_id == job.subject_id,
            JOBS.c.is_public == job.is_public,
            JOBS.c.claims.is_not(None),
        )
        with self._database.begin() as connection:
            return frozenset(claim for row in connection.execute(query) for claim in json.loads(row.claims))

    def finish(self, job: Job, action: Action, detail: str = "", claims: Sequence[str] = ()) -> None:
        """The job is done; the ticket's words are deleted. Raises LeaseLost.

        Args:
            claims: of the note that was written.
        """
        self._change(
            job,
            (action, detail),
            state=JobState.DONE.value,
            finished_s=self._clock(),
            lease=None,
            uncertain=False,
            event=None,
            note=None,
            reason=detail,
            claims=json.dumps(list(claims)) if claims else None,
        )

    def retry(self, job: Job, after_s: float, reason: str, *, uncertain: bool) -> None:
        """Let the job be taken again in `after_s` seconds. Raises LeaseLost."""
        self._change(
            job,
            (Action.RETRIED, reason),
            state=JobState.WAITING.value,
            lease=None,
            due_s=self._clock() + after_s,
            uncertain=uncertain,
            reason=reason[:300],
        )

    def bury(self, job: Job, reason: str, *, uncertain: bool = False) -> None:
        """Give the job up, to be looked at by a person. Raises LeaseLost."""
        self._change(
            job,
            (Action.DEAD, reason),
            state=JobState.DEAD.value,
            lease=None,
            finished_s=self._clock(),
            uncertain=uncertain,
            reason=reason[:300],
        )

    def find(self, job_id: int) -> Job:
        """One job. Raises NotFound."""
        with self._database.begin() as connection:
            row = connection.execute(select(JOBS).where(JOBS.c.id == job_id)).first()
        if row is None:
            raise NotFound(f"there is no job {job_id}; `kb intake list` shows them")
        return read_job(row._mapping)

    def jobs(
        self, states: Iterable[JobState] = (), connector: str | None = None, limit: int | None = None
    ) -> list[Job]:
        """Jobs, newest first."""
        query = select(JOBS).order_by(desc(JOBS.c.id))
        wanted = [state.value for state in states]
        if wanted:
            query = query.where(JOBS.c.state.in_(wanted))
        if connector:
            query = query.where(JOBS.c.connector == connector)
        with self._database.begin() as connection:
            return [read_job(row._mapping) for row in connection.execute(query.limit(limit))]

    def counts(self) -> dict[str, dict[str, int]]:
        """Jobs by connector and state."""
        query = select(JOBS.c.connector, JOBS.c.state, func.count()).group_by(JOBS.c.connector, JOBS.c.state)
        counts: dict[str, dict[str, int]] = {}
        with self._database.begin() as connection:
            for connector, state, count in connection.execute(query):
                counts.setdefault(connector, {})[state] = count
        return counts

    def oldest_waiting_s(self) -> float | None:
        """For how long the oldest job that is neither done nor dead has been here, in seconds; None without one."""
        open_states = (JobState.WAITING.value, JobState.WORKING.value)
        query = select(func.min(JOBS.c.received_s)).where(JOBS.c.state.in_(open_states))
        with self._database.begin() as connection:
            oldest = connection.execute(query).scalar()
        return None if oldest is None else max(0.0, self._clock() - oldest)

    def replay(self, job_ids: Iterable[int] = (), connector: str | None = None) -> list[int]:
        """Let dead jobs be tried anew, all of them or those named; returns which. What they wrote stays written."""
        query = (
            update(JOBS)
            .where(JOBS.c.state == JobState.DEAD.value, JOBS.c.event.is_not(None))
            .values(state=JobState.WAITING.value, due_s=self._clock(), attempts=0, finished_s=None, note=None)
            .returning(JOBS.c.id, JOBS.c.connector, JOBS.c.subject_id)
        )
        wanted = list(job_ids)
        if wanted:
            query = query.where(JOBS.c.id.in_(wanted))
        if connector:
            query = query.where(JOBS.c.connector == connector)
        with self._database.begin() as connection:
            rows = connection.execute(query).all()
            for row in rows:
                self._audit(connection, row.connector, Action.REPLAYED, row.id, row.subject_id, "by the operator")
        return sorted(row.id for row in rows)

    def purge(self, state: JobState, before_s: float | None = None, connector: str | None = None) -> int:
        """Delete jobs that are done or dead, and finished before `before_s`; returns how many."""
        gone = JOBS.c.id, JOBS.c.connector, JOBS.c.subject_id
        query = delete(JOBS).where(JOBS.c.state == state.value).returning(*gone)
        if before_s is not None:
            query = query.where(JOBS.c.finished_s < before_s)
        if connector:
            query = query.where(JOBS.c.connector == connector)
        with self._database.begin() as connection:
            rows = connection.execute(query).all()
            if state is JobState.DEAD:
                for row in rows:
                    self._audit(connection, row.connector, Action.PURGED, row.id, row.subject_id, "never delivered")
        return len(rows)

    def _insert(self, connection: Connection, connector: str, job: NewJob, received_s: float) -> int | None:
        """The new row's id; None if the delivery is known."""
        make: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[connection.dialect.name]
        event = job.event
        done = job.is_answered
        statement = (
            make(JOBS)
            .values(
                connector=connector,
                delivery_id=event.delivery_id,
                replay_key=event.replay_key or None,
                subject_id=event.subject_id[:300],
                kind=event.kind.value,
                is_public=job.is_public,
                state=(JobState.DONE if done else JobState.WAITING).value,
                received_s=received_s,
                due_s=received_s,
                finished_s=received_s if done else None,
                attempts=0,
                uncertain=False,
                event=None if done else encode_event(event),
                index_version="",
                calls_made="[]",
                reason="",
            )
            .on_conflict_do_nothing()
            .returning(JOBS.c.id)
        )
        return connection.execute(statement).scalar()

    def _change(self, job: Job, audit: tuple[Action, str] | None = None, **values: Any) -> None:
        mine = and_(JOBS.c.id == job.id, JOBS.c.lease == job.lease, JOBS.c.state == JobState.WORKING.value)
        with self._database.begin() as connection:
            if connection.execute(update(JOBS).where(mine).values(**values)).rowcount != 1:
                raise LeaseLost(f"job {job.id} was taken over by another worker")
            if audit:
                self._audit(connection, job.connector, audit[0], job.id, job.subject_id, audit[1])

    def _audit(
        self,
        connection: Connection,
        connector: str,
        action: Action,
        job_id: int,
        subject_id: str,
        detail: str,
        request_id: str = "",
    ) -> None:
        write_entry(connection, Entry(self._clock(), connector, action, job_id, request_id, detail, subject_id))


def _is_due(now_s: float) -> Any:
    return and_(JOBS.c.state.in_((JobState.WAITING.value, JobState.WORKING.value)), JOBS.c.due_s <= now_s)
