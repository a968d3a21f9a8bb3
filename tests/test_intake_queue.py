"""The queue on SQLite and on PostgreSQL: nothing twice, nothing lost, nothing changed once the lease is lost."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from indexer.errors import NotFound
from indexer.metadata import Audience
from service.connectors.contract import Event, EventKind, Note, NoteLink
from service.database import METADATA, Database
from service.intake.audit import REJECTIONS_PER_MINUTE, Action, AuditTrail
from service.intake.jobs import JobState, NewJob
from service.intake.queue import LeaseLost, Queue
from service.stores import StateUnavailable
from tests.postgres import postgres


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('queue') / 'state.sqlite'}"
    else:
        with postgres() as address:
            yield address


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    with database.begin() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(table.delete())
    yield database
    database.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(database: Database, clock: Clock) -> Queue:
    return Queue(database, clock)


def event(delivery: str = "d1", **changes: object) -> Event:
    base = Event(EventKind.TICKET, delivery, "4711", "It fails", "with an error", {"tags": ["a"]}, reply={"at": 1})
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


NOTE = Note("**Text**\n", "text", (NoteLink("Title", "https://kb.example.com/a", "a.md:1"),), tags=("x",))


def test_what_is_added_is_taken_as_it_was(queue: Queue) -> None:
    given = event(audience=Audience.PUBLIC, immediate={"ok": True})
    added = queue.add("zendesk", [NewJob(given, is_public=True)], 1_000_000.0, "req1")
    assert not added.duplicate
    assert queue.due() == ["zendesk"]
    (job,) = queue.claim("zendesk", 5, 60)
    assert job.event == given
    assert (job.id, job.attempts, job.uncertain, job.is_public) == (added.job_ids[0], 1, False, True)
    assert queue.due() == []
    assert queue.claim("zendesk", 5, 60) == []


def test_what_a_newer_version_stored_is_read_as_far_as_it_is_known(queue: Queue, database: Database) -> None:
    (job_id,) = queue.add("zendesk", [NewJob(event())], 1.0).job_ids
    (job,) = queue.claim("zendesk", 1, 60)
    queue.keep_calls(job, {"a"}, NOTE, "v1")
    add_names = "update intake_jobs set event = replace(event, '{', :newer), note = replace(note, '{', :newer)"
    with database.begin() as connection:
        connection.execute(text(add_names), {"newer": '{"newer": 1, '})
    found = queue.find(job_id)
    assert found.event is not None
    assert found.event.title == "It fails"
    assert found.note == NOTE


@pytest.mark.parametrize("stored", ["[]", "{}", "no JSON", '{"kind": "novel", "audience": "internal"}'])
def test_a_row_that_cannot_be_read_hides_no_other(queue: Queue, database: Database, stored: str) -> None:
    queue.add("zendesk", [NewJob(event("d1"))], 1.0)
    queue.add("zendesk", [NewJob(event("d2"))], 1.0)
    with database.begin() as connection:
        connection.execute(
            text("update intake_jobs set event = :stored, note = :stored where delivery_id = 'd1'"), {"stored": stored}
        )
    assert [job.event for job in reversed(queue.jobs())] == [None, event("d2")]
    assert [job.event for job in queue.claim("zendesk", 2, 60)] == [None, event("d2")]
    assert {job.note for job in queue.jobs()} == {None}


def test_a_delivery_is_stored_once_for_each_connector(queue: Queue) -> None:
    first = queue.add("zendesk", [NewJob(event())], 1.0)
    again = queue.add("zendesk", [NewJob(event())], 2.0)
    assert again.duplicate
    assert again.job_ids == first.job_ids
    assert not queue.add("generic", [NewJob(event())], 3.0).duplicate
    assert queue.counts() == {"zendesk": {"waiting": 1}, "generic": {"waiting": 1}}


def test_the_same_signed_content_under_another_id_is_a_replay(queue: Queue) -> None:
    queue.add("github", [NewJob(event(replay_key="k"))], 1.0)
    replayed = queue.add("github", [NewJob(event("d2", replay_key="k"))], 2.0)
    assert replayed.replayed
    assert not replayed.duplicate
    assert queue.add("github", [NewJob(event("d3"))], 3.0).job_ids
    assert queue.add("github", [NewJob(event("d4"))], 3.0).job_ids, "deliveries without a key do not replay each other"


def test_both_jobs_of_a_delivery_are_stored_or_none(queue: Queue) -> None:
    pair = [NewJob(event()), NewJob(event("d1#public"), is_public=True)]
    assert len(queue.add("zendesk", pair, 1.0).job_ids) == 2
    assert queue.add("zendesk", pair, 2.0).duplicate
    assert queue.counts() == {"zendesk": {"waiting": 2}}
    assert queue.add("zendesk", [NewJob(event("d2"))], 1.0).job_ids
    late = queue.add("zendesk", [NewJob(event("d2")), NewJob(event("d2#public"), is_public=True)], 2.0)
    assert late.duplicate, "a second delivery adds nothing, although public replies were turned on in between"


def test_an_expired_lease_makes_a_job_due_and_uncertain(queue: Queue, clock: Clock) -> None:
    queue.add("zendesk", [NewJob(event())], clock.now)
    (first,) = queue.claim("zendesk", 1, 60)
    clock.now += 61
    (second,) = queue.claim("zendesk", 1, 60)
    assert second.uncertain
    assert second.attempts == 2
    changes: list[Callable[[], None]] = [
        lambda: queue.finish(first, Action.DELIVERED),
        lambda: queue.retry(first, 1, "x", uncertain=False),
        lambda: queue.bury(first, "x"),
        lambda: queue.renew(first, 60),
        lambda: queue.keep_calls(first, {"k"}, NOTE, "v1"),
    ]
    for change in changes:
        with pytest.raises(LeaseLost):
            change()
    queue.finish(second, Action.DELIVERED)
    assert queue.find(first.id).state is JobState.DONE


def test_a_renewed_lease_holds(queue: Queue, clock: Clock) -> None:
    queue.add("zendesk", [NewJob(event())], clock.now)
    (job,) = queue.claim("zendesk", 1, 60)
    clock.now += 50
    queue.renew(job, 60)
    clock.now += 50
    assert queue.claim("zendesk", 1, 60) == []


def test_a_retried_job_waits_and_keeps_what_was_done(queue: Queue, clock: Clock) -> None:
    queue.add("zendesk", [NewJob(event())], clock.now)
    (job,) = queue.claim("zendesk", 1, 60)
    queue.keep_calls(job, {"b", "a"}, NOTE, "v1")
    queue.retry(job, 30, "the vendor answered 503", uncertain=True)
    assert queue.due() == []
    clock.now += 31
    (again,) = queue.claim("zendesk", 1, 60)
    assert again.calls_made == {"a", "b"}
    assert again.note == NOTE
    assert (again.index_version, again.uncertain, again.reason) == ("v1", True, "the vendor answered 503")


def test_a_done_job_keeps_no_words(queue: Queue, database: Database) -> None:
    queue.add("zendesk", [NewJob(event(title="secretword"))], 1.0)
    (job,) = queue.claim("zendesk", 1, 60)
    queue.keep_calls(job, {"a"}, dataclasses.replace(NOTE, markdown="secretword"), "v1")
    queue.finish(job, Action.DELIVERED)
    with database.begin() as connection:
        rows = [*connection.execute(text("select * from intake_jobs"))]
        rows += [*connection.execute(text("select * from intake_audit"))]
    assert "secretword" not in str(rows)
    assert queue.add("zendesk", [NewJob(event())], 2.0).duplicate


def test_dead_letters_are_replayed_and_purged(queue: Queue, clock: Clock, database: Database) -> None:
    for delivery in ("d1", "d2", "d3"):
        queue.add("zendesk", [NewJob(event(delivery))], clock.now)
    jobs = queue.claim("zendesk", 3, 60)
    for job in jobs:
        queue.bury(job, "the vendor answered 404", uncertain=job is jobs[0])
    assert [job.state for job in queue.jobs([JobState.DEAD])] == [JobState.DEAD] * 3
    assert queue.replay([jobs[0].id, 999]) == [jobs[0].id]
    (again,) = queue.claim("zendesk", 5, 60)
    assert (again.id, again.attempts, again.uncertain) == (jobs[0].id, 1, True)
    assert again.event == event("d1")
    assert queue.purge(JobState.DEAD, before_s=clock.now - 1) == 0
    assert queue.purge(JobState.DEAD, connector="generic") == 0
    assert queue.purge(JobState.DEAD) == 2
    with pytest.raises(NotFound):
        queue.find(jobs[1].id)
    trail = [entry.action for entry in AuditTrail(database).of_job(jobs[0].id)]
    assert trail == ["accepted", "dead", "replayed"]


def test_no_two_workers_get_the_same_job(url: str, queue: Queue) -> None:
    for number in range(60):
        queue.add("zendesk", [NewJob(event(f"d{number}"))], 1.0)
    taken: list[int] = []
    begin = threading.Barrier(4)

    def take() -> None:
        own = Database(url)
        mine = Queue(own, Clock())
        begin.wait()
        while jobs := mine.claim("zendesk", 3, 600):
            assert len(jobs) <= 3
            taken.extend(job.id for job in jobs)
        own.close()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(taken) == len(set(taken)) == 60


def test_tables_are_made_by_several_processes_at_once(tmp_path: Path) -> None:
    begin = threading.Barrier(6)
    failed: list[Exception] = []

    def start(database: Database) -> None:
        begin.wait()
        try:
            Queue(database).counts()
        except StateUnavailable as error:
            failed.append(error)
        finally:
            database.close()

    url = f"sqlite:///{tmp_path / 'fresh.sqlite'}"
    threads = [threading.Thread(target=start, args=(Database(url),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []


def test_many_threads_delivering_the_same_thing_store_it_once(queue: Queue) -> None:
    begin = threading.Barrier(6)
    outcomes: list[bool] = []

    def deliver() -> None:
        begin.wait()
        outcomes.append(queue.add("zendesk", [NewJob(event())], 1.0).duplicate)

    threads = [threading.Thread(target=deliver) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == [False, *[True] * 5]


def test_a_flood_of_rejections_does_not_fill_the_trail(database: Database, clock: Clock) -> None:
    audit = AuditTrail(database, clock)
    for _ in range(REJECTIONS_PER_MINUTE + 50):
        audit.reject("zendesk", "bad-signature", "r", "it does not match")
    audit.reject("zendesk", "malformed", "r", "no JSON")
    entries = audit.latest(1000)
    assert [entry.action for entry in entries].count("rejected:bad-signature") == REJECTIONS_PER_MINUTE
    assert entries[0].action == "rejected:malformed"
    assert "metrics only" in entries[1].detail
    clock.now += 60
    audit.reject("zendesk", "bad-signature", "r", "it does not match")
    assert audit.latest(1)[0].detail == "it does not match"
    assert audit.purge(clock.now) == REJECTIONS_PER_MINUTE + 1


def test_the_oldest_waiting_job_is_told(queue: Queue, clock: Clock) -> None:
    assert queue.oldest_waiting_s() is None
    queue.add("zendesk", [NewJob(event())], clock.now - 90)
    assert queue.oldest_waiting_s() == pytest.approx(90)


def test_a_question_answered_in_the_response_leaves_only_its_id(queue: Queue, tmp_path: Path) -> None:
    added = queue.add("teams", [NewJob(event(kind=EventKind.QUESTION), is_answered=True)], 1.0)
    job = queue.find(added.job_ids[0])
    assert (job.state, job.event) == (JobState.DONE, None)
    assert queue.due() == []
