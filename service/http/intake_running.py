"""Intake inside the HTTP service: its parts, its metrics, and its background tasks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from indexer.errors import KBError
from service.database import Database
from service.http.metrics import Metrics
from service.http.reloading import Library
from service.intake.audit import Action
from service.intake.queue import Job
from service.intake.runtime import Intake
from service.settings import Settings

if TYPE_CHECKING:
    from service.intake.worker import Worker

logger = logging.getLogger("kb.intake")


class RunningIntake:
    """What the routes need of intake. Without connectors there are no tasks, and every address is unknown."""

    def __init__(self, settings: Settings, database: Database, library: Library, metrics: Metrics) -> None:
        """Raises SettingsError if the connectors file is wrong."""
        self._metrics = metrics
        self.intake = Intake(settings, database, self._count)
        self.receiver = self.intake.receiver
        self.composer = self.intake.composer(lambda: library.assistant if library.is_ready else None)
        self._runs_worker = settings.intake_worker and bool(self.intake.connectors)
        self._worker: Worker | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, version: str) -> None:
        """Begin to write notes and to delete what is old."""
        if not self.intake.connectors:
            return
        self._tasks.append(asyncio.create_task(asyncio.to_thread(self._warm_up)))
        self._tasks.append(asyncio.create_task(self.intake.keep_tidy()))
        if self._runs_worker:
            self._worker = self.intake.worker(self.composer, version, self._record)
            self._tasks.append(asyncio.create_task(self._worker.run()))
        names = ", ".join(sorted(self.intake.connectors))
        logger.info("intake for %s%s", names, "" if self._runs_worker else "; notes are written by `kb intake work`")

    async def stop(self) -> None:
        """End the tasks; notes under way are finished if they take no longer than a few seconds."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks, self._worker = [], None

    def wake(self) -> None:
        """A job was stored."""
        if self._worker:
            self._worker.wake()

    def _warm_up(self) -> None:
        """Load and make what the first delivery would otherwise wait for: triage, and the tables."""
        import service.triage  # noqa: F401

        with contextlib.suppress(KBError):  # the database is away; the worker says so
            self.intake.queue.due()

    def _count(self, connector: str, outcome: str) -> None:
        self._metrics.intake_deliveries.labels(connector, outcome).inc()

    def _record(self, job: Job, action: Action) -> None:
        self._metrics.intake_notes.labels(job.connector, action.value).inc()
        if action is Action.DELIVERED:
            self._metrics.intake_seconds.observe(max(0.0, time.time() - job.received_s))
