"""The worker: takes due jobs, has their notes made, and delivers them. Runs inside `kb serve` or as `kb intake work`.

Any number of workers may run at once, on one machine or several; leases keep them apart (`service.intake.queue`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from indexer.errors import KBError
from service.connectors.contract import ConnectorConfig, Event, EventKind, Note, Outbound, is_public_reply
from service.intake.audit import Action
from service.intake.config import Configured
from service.intake.delivery import Delivered, Refused, Sender, TryLater, backoff_s, call_keys
from service.intake.jobs import Job
from service.intake.queue import LeaseLost, Queue

logger = logging.getLogger("kb.intake")

LEASE_S = 60.0
"""Longer than the longest call, so that a living worker never loses a job, and short enough to wait for a dead one."""

MAX_ATTEMPTS = 20
_STOP_S = 5.0
_DATABASE_PAUSE_S = 2.0

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Composed:
    """What there is to say about an event.

    Attributes:
        note: None where nothing is to be written.
        reason: why nothing is.
    """

    note: Note | None
    index_version: str
    reason: str = ""


class Composer(Protocol):
    """Makes notes; `service.intake.composing.AssistantComposer`, and simpler ones in tests."""

    @property
    def index_version(self) -> str | None:
        """The index that answers now; None while there is none yet."""
        ...

    def compose(self, event: Event, config: ConnectorConfig, *, is_public: bool, connector: str) -> Composed:
        """The note about `event`."""
        ...


@dataclass(slots=True)
class _Lane:
    """One connector's traffic.

    Attributes:
        busy: jobs being worked on.
        paced_s: until when nothing may begin by the configured rate, on the monotonic clock.
        limited_s: until when nothing may begin by the vendor's wish.
    """

    busy: int = 0
    paced_s: float = 0.0
    limited_s: float = 0.0

    @property
    def open_s(self) -> float:
        """When the next job may begin."""
        return max(self.paced_s, self.limited_s)


class Worker:
    """See the module. All methods belong to one event loop; the database and the composer run in threads."""

    def __init__(
        self,
        queue: Queue,
        connectors: Mapping[str, Configured],
        composer: Composer,
        sender: Sender,
        *,
        threads: int = 2,
        poll_s: float = 0.25,
        lease_s: float = LEASE_S,
        max_attempts: int = MAX_ATTEMPTS,
        on_outcome: Callable[[Job, Action], None] = lambda job, action: None,
    ) -> None:
        """
        Args:
            sender: one whose `call_s` is shorter than `lease_s`.
            threads: notes being made at the same time.
            poll_s: how often to look for jobs that other processes stored.
            max_attempts: tries before a job is given up.
            on_outcome: called with a job and what became of it.
        """
        self._queue = queue
        self._connectors = connectors
        self._composer = composer
        self._sender = sender
        self._poll_s = poll_s
        self._lease_s = lease_s
        self._max_attempts = max_attempts
        self._on_outcome = on_outcome
        self._lanes = {name: _Lane() for name in connectors}
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._composing = ThreadPoolExecutor(threads, thread_name_prefix="intake-note")
        self._storing = ThreadPoolExecutor(2, thread_name_prefix="intake-store")

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; then let what is under way end, for a few seconds."""
        try:
            while True:
                await self._take_or_pause()
                with contextlib.suppress(TimeoutError):  # not `wait_for`, which in Python 3.11 can swallow a cancel
                    async with asyncio.timeout(self._pause_s()):
                        await self._wake.wait()
                self._wake.clear()
        finally:
            await self._stop()

    async def drain(self) -> int:
        """Work until nothing is due and nothing under way; returns how many jobs were taken.

        What is due and held back by a configured rate is waited for; what a vendor asked to hold back is left.
        """
        taken = 0
        try:
            while True:
                taken += await self._take()
                if self._tasks:
                    await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                elif (wait_s := await self._paced_s()) is not None:
                    await asyncio.sleep(wait_s)
                else:
                    return taken
        finally:
            await self._stop()

    async def _paced_s(self) -> float | None:
        """Until a configured rate lets a due job begin; None where no job waits for that alone."""
        due = await self._store(self._queue.due)
        now = time.monotonic()
        lanes = [self._lanes[name] for name in due if name in self._lanes]
        return min((lane.paced_s - now for lane in lanes if lane.limited_s <= now < lane.paced_s), default=None)

    def _pause_s(self) -> float:
        """Until the next look: the usual time, or less where a connector's pause ends before that."""
        now = time.monotonic()
        ends = [lane.open_s - now for lane in self._lanes.values() if lane.open_s > now]
        return min([self._poll_s, *ends])

    async def _take_or_pause(self) -> None:
        try:
            await self._take()
        except KBError as error:
            logger.error("intake waits: %s", error)  # noqa: TRY400 -- the database is away; no defect of ours
            await asyncio.sleep(_DATABASE_PAUSE_S)
        except Exception as error:  # noqa: BLE001 -- the worker must outlive a defect; its message is not logged
            _log_defect("intake waits:", error)
            await asyncio.sleep(_DATABASE_PAUSE_S)

    async def _take(self) -> int:
        """Begin what is due and there is room for; returns how many jobs."""
        if self._composer.index_version is None:
            return 0
        taken = 0
        for name in await self._store(self._queue.due):
            configured, lane = self._connectors.get(name), self._lanes.get(name)
            if configured is None or lane is None or time.monotonic() < lane.open_s:
                continue
            room = configured.concurrency - lane.busy
            if configured.rate_per_minute:
                room = min(room, 1)
            if room <= 0:
                continue
            jobs = await self._store(partial(self._queue.claim, name, room, self._lease_s))
            if configured.rate_per_minute and jobs:
                lane.paced_s = time.monotonic() + 60.0 / configured.rate_per_minute
            for job in jobs:
                lane.busy += 1
                task = asyncio.create_task(self._work(job, configured, lane))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            taken += len(jobs)
        return taken

    async def _work(self, job: Job, configured: Configured, lane: _Lane) -> None:
        """One attempt at one job, and what became of it. Raises nothing."""
        try:
            await self._attempt(job, configured, lane)
        except LeaseLost:
            logger.warning("job %d was taken over by another worker", job.id)
        except KBError as error:
            logger.error("job %d is left to its lease: %s", job.id, error)  # noqa: TRY400 -- the database is away
        except Exception as error:  # noqa: BLE001 -- one job's defect must not stop the others; its message is not logged
            _log_defect(f"job {job.id} failed:", error)
            with contextlib.suppress(KBError):
                await self._bury(job, f"a defect of ours: {type(error).__name__}; see the log", uncertain=True)
        finally:
            lane.busy -= 1
            self._wake.set()

    async def _attempt(self, job: Job, configured: Configured, lane: _Lane) -> None:
        if job.event is None:
            await self._bury(job, "the event is gone, or a newer version stored it: upgrade, then replay")
            return
        if job.attempts > self._max_attempts:
            await self._bury(job, f"given up after {self._max_attempts} tries; the last: {job.reason}", job.uncertain)
            return
        begun = time.monotonic() - max(0.0, self._lease_s - (job.due_s - time.time()))
        composed = await self._note_of(job, job.event, configured)
        if composed is None or composed.note is None:
            return
        calls = configured.connector.render(composed.note, job.event, configured.config)
        if not calls:
            await self._finish(job, Action.NOTHING_TO_WRITE, "there is no place for such a note")
            return
        await self._deliver(job, configured, lane, calls, composed, begun)

    async def _note_of(self, job: Job, event: Event, configured: Configured) -> Composed | None:
        """The note to write; None if the job is over.

        A note that is written half is finished as it was begun, unless the index changed: an article may have become
        internal since.
        """
        is_public = is_public_reply(event, configured.config)
        if job.is_public and not is_public:
            await self._finish(job, Action.NOTHING_TO_WRITE, "public replies were turned off")
            return None
        if job.note and job.note.public == job.is_public and job.index_version == self._composer.index_version:
            return Composed(job.note, job.index_version)
        try:
            composed = await asyncio.get_running_loop().run_in_executor(
                self._composing,
                lambda: self._composer.compose(
                    event, configured.config, is_public=job.is_public, connector=configured.name
                ),
            )
        except KBError as error:
            reason = f"no note could be made: {type(error).__name__}"
            await self._later(job, TryLater(reason, uncertain=job.uncertain))
            return None
        if composed.note is None:
            await self._finish(job, Action.NOTHING_TO_WRITE, composed.reason)
        elif await self._is_said(job, event, composed.note):
            await self._finish(job, Action.NOTHING_TO_WRITE, "an earlier note of this ticket says the same")
            return None
        return composed

    async def _is_said(self, job: Job, event: Event, note: Note) -> bool:
        """Whether the notes about this ticket say it all. What is perhaps written half is finished."""
        if event.kind is not EventKind.TICKET or not note.claims or job.calls_made or job.uncertain:
            return False
        return set(note.claims) <= await self._store(lambda: self._queue.claimed(job))

    async def _deliver(
        self,
        job: Job,
        configured: Configured,
        lane: _Lane,
        calls: Sequence[Outbound],
        composed: Composed,
        begun: float,
    ) -> None:
        """Make the calls that were not made yet, in order. The lease has been held since `begun`, monotonic."""
        made = set(job.calls_made)
        uncertain = job.uncertain
        pending = [(key, call) for key, call in zip(call_keys(list(calls)), calls, strict=True) if key not in made]
        for place, (key, call) in enumerate(pending):
            outcome: Delivered | TryLater | Refused
            there: bool | TryLater | Refused = False
            if uncertain and call.lookup_url and call.idempotency_marker:
                begun = await self._hold(job, begun)
                there = await self._sender.is_there(call, configured)
            if isinstance(there, TryLater | Refused):
                outcome = there
            elif there:
                outcome = Delivered()
            else:
                begun = await self._hold(job, begun)
                outcome = await self._sender.send(call, configured)
            uncertain = False
            match outcome:
                case TryLater():
                    if outcome.limited and outcome.after_s is not None:
                        lane.limited_s = max(lane.limited_s, time.monotonic() + outcome.after_s)
                    await self._later(job, outcome)
                    return
                case Refused():
                    await self._bury(job, outcome.reason, outcome.uncertain)
                    return
            made.add(key)
            if place < len(pending) - 1:
                await self._store(lambda: self._queue.keep_calls(job, made, composed.note, composed.index_version))
        await self._finish(job, Action.DELIVERED, claims=composed.note.claims if composed.note else ())

    async def _hold(self, job: Job, begun: float) -> float:
        """Make sure that the lease outlasts one more call; returns since when it is held. Raises LeaseLost."""
        if time.monotonic() - begun + self._sender.call_s < self._lease_s:
            return begun
        now = time.monotonic()
        await self._store(lambda: self._queue.renew(job, self._lease_s))
        return now

    async def _later(self, job: Job, outcome: TryLater) -> None:
        if job.attempts >= self._max_attempts:
            await self._bury(job, f"given up after {job.attempts} tries; the last: {outcome.reason}", outcome.uncertain)
            return
        wait_s = backoff_s(job.attempts, outcome)
        await self._store(lambda: self._queue.retry(job, wait_s, outcome.reason, uncertain=outcome.uncertain))
        self._on_outcome(job, Action.RETRIED)

    async def _bury(self, job: Job, reason: str, uncertain: bool = False) -> None:
        await self._store(lambda: self._queue.bury(job, reason, uncertain=uncertain))
        logger.warning("job %d of %s is a dead letter: %s", job.id, job.connector, reason)
        self._on_outcome(job, Action.DEAD)

    async def _finish(self, job: Job, action: Action, detail: str = "", claims: Sequence[str] = ()) -> None:
        await self._store(lambda: self._queue.finish(job, action, detail, claims))
        self._on_outcome(job, action)

    async def _store(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._storing, work)

    async def _stop(self) -> None:
        """Let what is under way end; what does not is left to its lease, and looked up when it is taken again."""
        if self._tasks:
            _, unfinished = await asyncio.wait(self._tasks, timeout=_STOP_S)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
        await self._sender.close()
        self._composing.shutdown(wait=False, cancel_futures=True)
        self._storing.shutdown(wait=True)


def _log_defect(what: str, error: Exception) -> None:
    """Type and place of an error, never its message: that may hold a ticket's words."""
    frames = "".join(traceback.format_tb(error.__traceback__)[-12:])
    logger.error("%s a defect of ours, %s\n%s", what, type(error).__name__, frames)
