"""Intake put together: what the HTTP service and the `kb intake` commands share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.errors import KBError
from service.database import Database
from service.intake.audit import Action, AuditTrail
from service.intake.config import Configured, load_connectors
from service.intake.jobs import Job, JobState
from service.intake.queue import Queue
from service.intake.receiving import Receiver
from service.intake.recent import RecentTickets
from service.settings import Settings

if TYPE_CHECKING:
    from service.assistant import Assistant
    from service.intake.composing import AssistantComposer
    from service.intake.worker import Worker

logger = logging.getLogger("kb.intake")

_DAY_S = 86_400.0
_HOUR_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Purged:
    """How much was deleted for its age."""

    done: int
    dead: int
    audit: int
    recent: int


class IntakeStores:
    """What intake keeps. Knows no connector, so whoever only looks needs none of their secrets."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.queue = Queue(database)
        self.audit = AuditTrail(database)
        self.recent = RecentTickets(database, settings.intake_recent_days * _DAY_S)

    def purge(self, now_s: float | None = None) -> Purged:
        """Delete what is older than the settings say. Raises StateUnavailable."""
        now_s = time.time() if now_s is None else now_s
        kept_from_s = now_s - self.settings.intake_keep_days * _DAY_S
        return Purged(
            self.queue.purge(JobState.DONE, kept_from_s),
            self.queue.purge(JobState.DEAD, kept_from_s),
            self.audit.purge(kept_from_s),
            self.recent.purge(now_s - self.recent.keep_s),
        )

    async def keep_tidy(self) -> None:
        """Purge now and every hour, until cancelled."""
        while True:
            with contextlib.suppress(KBError):  # the database is away; the worker says so
                await asyncio.to_thread(self.purge)
            await asyncio.sleep(_HOUR_S)


class Intake(IntakeStores):
    """The stores and the receiver of one service."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        environment: Mapping[str, str],
        count: Callable[[str, str], None] = lambda connector, outcome: None,
    ) -> None:
        """
        Args:
            environment: where the connectors' secrets are looked up.
            count: called with a connector's name and what became of a delivery.

        Raises:
            SettingsError: see load_connectors.
        """
        super().__init__(settings, database)
        self.connectors: dict[str, Configured] = load_connectors(settings.connectors_file, environment)
        self.receiver = Receiver(self.connectors, self.queue, self.audit, self.recent, count)

    def composer(self, assistant: Callable[[], Assistant | None]) -> AssistantComposer:
        """Makes notes with the assistant that is given then."""
        from service.intake.composing import AssistantComposer

        address = self.settings.public_address
        if self.connectors and self.settings.links_stay_here:
            logger.warning("links in notes begin with %s, which opens on this machine only: set KB_PUBLIC_URL", address)
        return AssistantComposer(assistant, self.recent, address)

    def worker(
        self,
        composer: AssistantComposer,
        version: str,
        on_outcome: Callable[[Job, Action], None] = lambda job, action: None,
    ) -> Worker:
        """A worker of this process."""
        from service.intake.delivery import CALL_S, Sender
        from service.intake.worker import Worker

        return Worker(
            self.queue,
            self.connectors,
            composer,
            Sender(version=version, call_s=min(CALL_S, self.settings.intake_lease_s / 2)),
            threads=self.settings.intake_threads,
            lease_s=self.settings.intake_lease_s,
            max_attempts=self.settings.intake_max_attempts,
            on_outcome=on_outcome,
        )
