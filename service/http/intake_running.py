"""Intake inside the HTTP service: its parts, its metrics, and its background tasks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING

from indexer.errors import KBError
from service.connectors.contract import UnknownConnector
from service.http.metrics import Metrics
from service.http.reloading import Library
from service.settings import Settings
from service.stores import Stores

if TYPE_CHECKING:
    from service.intake.audit import Action
    from service.intake.composing import AssistantComposer
    from service.intake.config import Configured
    from service.intake.jobs import Job
    from service.intake.receiving import Receiver
    from service.intake.runtime import Intake
    from service.intake.worker import Worker

logger = logging.getLogger("kb.intake")


class RunningIntake:
    """What the routes need of intake. Without a connectors file nothing is loaded, and every address is unknown."""

    def __init__(self, settings: Settings, stores: Stores, library: Library, metrics: Metrics) -> None:
        """Raises SettingsError if the connectors file is wrong."""
        self._metrics = metrics
        self._intake: Intake | None = None
        self._composer: AssistantComposer | None = None
        if settings.connectors_file is not None:
            from service.intake.runtime import Intake

            self._intake = Intake(settings, stores.database, os.environ, self._count)
            self._composer = self._intake.composer(lambda: library.assistant if library.is_ready else None)
        self._writes_notes = settings.intake_worker
        self._worker: Worker | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def find(self, name: str) -> Configured:
        """The connector with this name. Raises UnknownConnector."""
        if self._intake is None:
            raise UnknownConnector
        return self._intake.receiver.find(name)

    @property
    def receiver(self) -> Receiver:
        """Takes deliveries of the connectors that `find` finds."""
        assert self._intake is not None, "no connector is configured"
        return self._intake.receiver

    @property
    def composer(self) -> AssistantComposer:
        """Writes notes for the connectors that `find` finds."""
        assert self._composer is not None, "no connector is configured"
        return self._composer

    async def start(self, version: str) -> None:
        """Begin to write notes and to delete what is old."""
        intake = self._intake
        if intake is None or not intake.connectors:
            return
        self._tasks.append(asyncio.create_task(asyncio.to_thread(_warm_up, intake)))
        self._tasks.append(asyncio.create_task(intake.keep_tidy()))
        if self._writes_notes:
            self._worker = intake.worker(self.composer, version, self._record)
            self._tasks.append(asyncio.create_task(self._worker.run()))
        names = ", ".join(sorted(intake.connectors))
        logger.info("intake for %s%s", names, "" if self._writes_notes else "; notes are written by `kb intake work`")

    async def stop(self) -> None:
        """End the tasks; notes under way are finished if they take no longer than a few seconds.

        A task that had failed is logged, by the error's type, and not raised: what is closed after this must be.
        """
        for task in self._tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                logger.error("a task of intake had ended with %s", type(outcome).__name__)
        self._tasks, self._worker = [], None

    def wake(self) -> None:
        """A job was stored."""
        if self._worker:
            self._worker.wake()

    def _count(self, connector: str, outcome: str) -> None:
        self._metrics.intake_deliveries.labels(connector, outcome).inc()

    def _record(self, job: Job, action: Action) -> None:
        from service.intake.audit import Action

        self._metrics.intake_notes.labels(job.connector, action.value).inc()
        if action is Action.DELIVERED:
            self._metrics.intake_seconds.observe(max(0.0, time.time() - job.received_s))


def _warm_up(intake: Intake) -> None:
    """Load and make what the first delivery would otherwise wait for: triage, and the tables."""
    import service.triage  # noqa: F401

    with contextlib.suppress(KBError):  # the database is away; the worker says so
        intake.queue.due()
