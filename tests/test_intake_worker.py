"""The worker's own rules: leases, calls in order, rates, defects, and stopping. Two workers never write one note."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from eval.intake_vendor import Answer, Call, Vendor, vendor, write_connectors
from indexer.errors import IndexCorrupt
from indexer.metadata import Audience
from service.connectors.contract import ConnectorConfig, Event, EventKind, Note
from service.database import Database
from service.intake import delivery
from service.intake.config import Configured, load_connectors
from service.intake.delivery import Sender
from service.intake.jobs import JobState, NewJob
from service.intake.queue import Queue
from service.intake.worker import Composed, Worker

EVENT = Event(EventKind.TICKET, "d1", "42", "It fails", "401")
NOTE = Note("**Text**\n", "text", tags=("oauth",))


class FixedComposer:
    """Says the same about everything, or fails.

    Attributes:
        made: the events that it was asked about.
    """

    def __init__(self, note: Note | None = NOTE) -> None:
        self.note = note
        self.index_version: str | None = "v1"
        self.error: Exception | None = None
        self.made: list[Event] = []

    def compose(self, event: Event, config: ConnectorConfig, *, is_public: bool, connector: str) -> Composed:
        self.made.append(event)
        if self.error:
            raise self.error
        return Composed(self.note, self.index_version or "", "" if self.note else "nothing to say")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "BACKOFF_FIRST_S", 0.02)
    monkeypatch.setattr(delivery, "SETTLE_S", 0.02)


@pytest.fixture
def state() -> Iterator[Vendor]:
    with vendor() as made:
        yield made


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    database = Database(f"sqlite:///{tmp_path / 'state.sqlite'}")
    yield Queue(database)
    database.close()


def connectors(state: Vendor, folder: Path, **changes: Any) -> dict[str, Configured]:
    file = write_connectors(folder / "c.yaml", state.url, zendesk={"options": {"add_tags": True}, **changes})
    return load_connectors(file, {})


def add(queue: Queue, *deliveries: str, connector: str = "zendesk") -> list[int]:
    return [
        queue.add(
            connector, [NewJob(dataclasses.replace(EVENT, delivery_id=name, subject_id=name.strip("d")))], time.time()
        ).job_ids[0]
        for name in deliveries
    ]


def work(
    queue: Queue,
    configured: dict[str, Configured],
    composer: FixedComposer,
    until: Sequence[JobState] = (JobState.DONE, JobState.DEAD),
    **options: Any,
) -> None:
    """Run a worker until every job is in one of these states."""

    async def run() -> None:
        worker = Worker(queue, configured, composer, Sender(), **{"poll_s": 0.02, **options})
        task = asyncio.create_task(worker.run())
        ends = time.monotonic() + 20
        while any(job.state not in until for job in queue.jobs()):
            assert time.monotonic() < ends, [(job.id, job.state, job.reason) for job in queue.jobs()]
            await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_a_ticket_is_told_nothing_twice(queue: Queue, state: Vendor, tmp_path: Path) -> None:
    """A comment that says thank you, or asks for news, leads to the article that the first note named."""
    configured = connectors(state, tmp_path)
    composer = FixedComposer()

    def deliver(name: str, *claims: str, kind: EventKind = EventKind.TICKET, is_public: bool = False) -> str:
        event = dataclasses.replace(EVENT, kind=kind, delivery_id=name, audience=Audience.PUBLIC)
        composer.note = dataclasses.replace(NOTE, claims=claims, public=is_public)
        (job_id,) = queue.add("zendesk", [NewJob(event, is_public=is_public)], time.time()).job_ids
        work(queue, configured, composer)
        return queue.find(job_id).reason

    said = "an earlier note of this ticket says the same"
    assert [deliver("1", "a.md", "high"), deliver("2", "a.md"), deliver("3", "a.md", "incident")] == ["", said, ""]
    assert [deliver("4", "incident", "high"), deliver("5", "b.md"), deliver("6", "b.md")] == [said, "", said]
    assert [deliver("7"), deliver("8")] == ["", ""], "what claims nothing is always written"
    assert deliver("9", "a.md", kind=EventKind.ALERT) == "", "an alert that fires anew wants its runbook anew"
    configured = connectors(state, tmp_path, public_replies=True)
    assert [deliver(f"p{n}", "a.md", is_public=True) for n in range(2)] == ["", said], "replies are counted apart"
    assert len(state.comments["42"]) == 7


def test_a_note_that_is_perhaps_written_half_is_finished(queue: Queue, state: Vendor, tmp_path: Path) -> None:
    configured, composer = connectors(state, tmp_path), FixedComposer(dataclasses.replace(NOTE, claims=("a.md",)))
    queue.add("zendesk", [NewJob(EVENT)], time.time())
    work(queue, configured, composer)
    queue.add("zendesk", [NewJob(dataclasses.replace(EVENT, delivery_id="d2"))], time.time())
    with queue._database.begin() as connection:
        connection.execute(text("update intake_jobs set uncertain = true where id = 2"))
    work(queue, configured, composer)
    assert (queue.find(2).reason, len(state.comments["42"])) == ("", 2)


def test_calls_are_made_in_order_and_none_twice(queue: Queue, state: Vendor, tmp_path: Path) -> None:
    add(queue, "d42")
    state.script = [Answer(200, body=b"{}", does_it=True), Answer(503), Answer(429)]
    composer = FixedComposer()
    work(queue, connectors(state, tmp_path), composer)
    assert [call.path.rpartition("/")[2] for call in state.writes()] == [
        "42.json",
        "tags.json",
        "tags.json",
        "tags.json",
    ]
    assert len(state.comments["42"]) == 1
    assert state.tags["42"] == ["oauth"]
    assert len(composer.made) == 1, "a note that is written half is finished as it was begun"


def test_a_note_is_made_anew_when_the_index_changed(queue: Queue, state: Vendor, tmp_path: Path) -> None:
    add(queue, "d42")
    composer = FixedComposer()

    def choose(call: Call) -> Answer | None:
        if call.path.endswith("tags.json") and composer.index_version == "v1":
            composer.index_version = "v2"
            return Answer(503)
        return None

    state.choose = choose
    work(queue, connectors(state, tmp_path), composer)
    assert len(composer.made) == 2
    assert len(state.comments["42"]) == 1


def test_a_dead_workers_note_is_looked_up_before_it_is_written(queue: Queue, state: Vendor, tmp_path: Path) -> None:
    configured = connectors(state, tmp_path)
    for written_before in (True, False):
        name = "d1" if written_before else "d2"
        add(queue, name)
        (job,) = queue.claim("zendesk", 1, lease_s=0.1)
        if written_before:
            assert job.event
            (first, _) = configured["zendesk"].connector.render(NOTE, job.event, configured["zendesk"].config)
            state.comments["1"] = [dict(first.json["ticket"]["comment"])]
        time.sleep(0.15)
    work(queue, configured, FixedComposer())
    assert [len(state.comments[ticket]) for ticket in ("1", "2")] == [1, 1]
    assert [call.path for call in state.calls if call.method == "PUT" and not call.path.endswith("tags.json")] == [
        "/api/v2/tickets/2.json"
    ]


def test_two_workers_share_the_work(tmp_path: Path, state: Vendor) -> None:
    url = f"sqlite:///{tmp_path / 'state.sqlite'}"
    databases = [Database(url), Database(url)]
    queues = [Queue(database) for database in databases]
    configured = connectors(state, tmp_path, options={})
    add(queues[0], *(f"d{number}" for number in range(40)))

    async def run() -> None:
        workers = [Worker(queue, configured, FixedComposer(), Sender(), poll_s=0.02) for queue in queues]
        await asyncio.gather(*(worker.drain() for worker in workers))

    asyncio.run(run())
    assert queues[0].counts() == {"zendesk": {"done": 40}}
    assert sorted(len(comments) for comments in state.comments.values()) == [1] * 40
    for database in databases:
        database.close()


def test_no_more_at_a_time_than_configured(queue: Queue, state: Vendor, tmp_path: Path) -> None:
    add(queue, *(f"d{number}" for number in range(6)))
    state.choose = lambda call: Answer(200, does_it=True, delay_s=0.1)
    begun = time.monotonic()
    work(queue, connectors(state, tmp_path, options={}, concurrency=2), FixedComposer())
    assert time.monotonic() - begun >= 0.3, "six calls of 0.1 s, two at a time"
    assert len(state.comments) == 6


def test_a_rate_is_kept(queue: Queue, state: Vendor, tmp_path: Path) -> None:
    add(queue, "d1", "d2", "d3")
    begun = time.monotonic()
    work(queue, connectors(state, tmp_path, options={}, rate_per_minute=120), FixedComposer())
    assert time.monotonic() - begun >= 1.0, "one at once, the next after half a second each"
    assert len(state.comments) == 3


def drain(queue: Queue, configured: dict[str, Configured]) -> int:
    async def run() -> int:
        return await Worker(queue, configured, FixedComposer(), Sender()).drain()

    return asyncio.run(run())


def test_draining_writes_all_that_is_due_however_low_the_rate(queue: Queue, state: Vendor, tmp_path: Path) -> None:
    add(queue, "d1", "d2", "d3")
    begun = time.monotonic()
    assert drain(queue, connectors(state, tmp_path, options={}, rate_per_minute=240)) == 3
    assert time.monotonic() - begun >= 0.5, "a quarter of a second between two"
    assert queue.counts() == {"zendesk": {"done": 3}}


def test_draining_leaves_what_the_vendor_asked_to_hold_back(queue: Queue, state: Vendor, tmp_path: Path) -> None:
    add(queue, "d1", "d2")
    state.script = [Answer(429, {"Retry-After": "3600"})]
    assert drain(queue, connectors(state, tmp_path, options={}, rate_per_minute=600)) == 1
    assert queue.counts() == {"zendesk": {"waiting": 2}}


def test_nothing_to_say_is_not_written(queue: Queue, state: Vendor, tmp_path: Path) -> None:
    (job_id,) = add(queue, "d42")
    work(queue, connectors(state, tmp_path), FixedComposer(None))
    assert state.calls == []
    assert (queue.find(job_id).state, queue.find(job_id).reason) == (JobState.DONE, "nothing to say")


def test_a_defect_stops_one_job_and_no_other(
    queue: Queue, state: Vendor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (bad,) = add(queue, "d1")
    composer = FixedComposer()
    composer.error = ZeroDivisionError("secretword")
    work(queue, connectors(state, tmp_path), composer)
    assert queue.find(bad).reason == "a defect of ours: ZeroDivisionError; see the log"
    assert "ZeroDivisionError" in caplog.text
    assert "secretword" not in caplog.text
    composer.error = None
    add(queue, "d2")
    work(queue, connectors(state, tmp_path), composer)
    assert list(state.comments) == ["2"]


def test_a_ticket_that_cannot_be_read_is_a_dead_letter_and_stops_no_other(
    queue: Queue, state: Vendor, tmp_path: Path
) -> None:
    bad, good = add(queue, "d1", "d2")
    with queue._database.begin() as connection:
        connection.execute(text("update intake_jobs set event = '[]' where id = 1"))
    work(queue, connectors(state, tmp_path), FixedComposer())
    assert queue.find(bad).state is JobState.DEAD
    assert queue.find(bad).reason.endswith("upgrade, then replay")
    assert queue.find(good).state is JobState.DONE
    assert queue.replay([bad]) == [bad], "its words are kept for a version that can read them"


def test_the_worker_outlives_a_defect_and_logs_its_place_alone(
    queue: Queue, state: Vendor, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(queue, "d1")
    monkeypatch.setattr("service.intake.worker._DATABASE_PAUSE_S", 0.02)
    failures = [TypeError("secretword")]
    due = queue.due

    def fail_once() -> list[str]:
        if failures:
            raise failures.pop()
        return due()

    monkeypatch.setattr(queue, "due", fail_once)
    work(queue, connectors(state, tmp_path), FixedComposer())
    assert list(state.comments) == ["1"]
    assert "TypeError" in caplog.text
    assert "fail_once" in caplog.text
    assert "secretword" not in caplog.text


def test_trouble_with_the_index_passes(queue: Queue, state: Vendor, tmp_path: Path) -> None:
    (job_id,) = add(queue, "d1")
    composer = FixedComposer()
    composer.error = IndexCorrupt("x")
    work(queue, connectors(state, tmp_path), composer, max_attempts=2)
    job = queue.find(job_id)
    assert (job.state, job.attempts) == (JobState.DEAD, 2)
    assert job.reason == "given up after 2 tries; the last: no note could be made: IndexCorrupt"


def test_nothing_is_taken_while_there_is_no_index(queue: Queue, state: Vendor, tmp_path: Path) -> None:
    add(queue, "d1")
    composer = FixedComposer()
    composer.index_version = None

    async def run() -> int:
        return await Worker(queue, connectors(state, tmp_path), composer, Sender()).drain()

    assert asyncio.run(run()) == 0
    assert queue.jobs()[0].state is JobState.WAITING


def test_notes_of_a_connector_that_is_gone_wait(queue: Queue, state: Vendor, tmp_path: Path) -> None:
    add(queue, "d1", connector="jira")
    add(queue, "d2")
    work(queue, connectors(state, tmp_path), FixedComposer(), until=(JobState.DONE, JobState.WAITING))

    drain(queue, connectors(state, tmp_path))
    assert queue.counts() == {"jira": {"waiting": 1}, "zendesk": {"done": 1}}


def test_a_job_that_kills_its_workers_is_given_up(queue: Queue, state: Vendor, tmp_path: Path) -> None:
    (job_id,) = add(queue, "d1")
    for _ in range(3):
        assert queue.claim("zendesk", 1, lease_s=0.01)
        time.sleep(0.02)
    work(queue, connectors(state, tmp_path), FixedComposer(), max_attempts=3)
    assert queue.find(job_id).state is JobState.DEAD
    assert queue.find(job_id).reason.startswith("given up after 3 tries")


def test_a_vendor_slower_than_the_lease_gets_one_note(queue: Queue, state: Vendor, tmp_path: Path) -> None:
    (job_id,) = add(queue, "d42")
    slow = [Answer(200, does_it=True, delay_s=2.0)]
    state.choose = lambda call: slow.pop() if call.method == "PUT" and slow else None
    configured = connectors(state, tmp_path, options={})

    async def run() -> None:
        worker = Worker(queue, configured, FixedComposer(), Sender(call_s=0.8), poll_s=0.02, lease_s=1.6)
        task = asyncio.create_task(worker.run())
        while queue.find(job_id).state is not JobState.DONE:
            await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(run(), 30))
    assert len(state.comments["42"]) == 1
    assert "GET" in [call.method for call in state.calls]


def test_a_lease_is_renewed_for_a_slow_note(queue: Queue, state: Vendor, tmp_path: Path) -> None:
    (job_id,) = add(queue, "d42")
    (job,) = queue.claim("zendesk", 1, lease_s=60)
    begun = time.monotonic() - 50
    worker = Worker(queue, connectors(state, tmp_path), FixedComposer(), Sender(call_s=25), lease_s=60)
    assert asyncio.run(worker._hold(job, begun)) > begun
    assert queue.find(job_id).due_s > job.due_s
    early = time.monotonic() - 10
    assert asyncio.run(worker._hold(job, early)) == early


def test_stopping_lets_a_note_be_finished(queue: Queue, state: Vendor, tmp_path: Path) -> None:
    (job_id,) = add(queue, "d42")
    state.choose = lambda call: Answer(200, does_it=True, delay_s=0.4)

    async def run() -> None:
        task = asyncio.create_task(
            Worker(queue, connectors(state, tmp_path), FixedComposer(), Sender(), poll_s=0.02).run()
        )
        while not state.calls:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert queue.find(job_id).state is JobState.DONE
    assert len(state.comments["42"]) == 1
