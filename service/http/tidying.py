"""What is tidied while the service runs: old events and feedback, and memory that a busy time left."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from indexer.errors import KBError
from service.serving_process import release_memory
from service.stores import Stores

logger = logging.getLogger("kb.serve")

_FIRST_S = 60.0
"""Not at once: the start has enough to do."""
_EVERY_S = 86_400.0
_MEMORY_EVERY_S = 30.0


async def keep_ledger_tidy(
    stores: Stores, keep_days: int, first_s: float = _FIRST_S, every_s: float = _EVERY_S
) -> None:
    """Delete what is older than `keep_days`, soon after the start and every day, until cancelled."""
    await asyncio.sleep(first_s)
    while True:
        try:
            events, verdicts = await asyncio.to_thread(_purge, stores, keep_days)
        except KBError as error:
            logger.warning("old events of the deflection ledger and old feedback were not deleted: %s", error)
        else:
            if events:
                logger.info("events of the deflection ledger older than %d days, deleted: %d", keep_days, events)
            if verdicts:
                logger.info("feedback older than %d days, deleted: %d", keep_days, verdicts)
        await asyncio.sleep(every_s)


async def keep_memory_tidy(every_s: float = _MEMORY_EVERY_S) -> None:
    """Give back what questions answered side by side have left, until cancelled."""
    while True:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(release_memory)


def _purge(stores: Stores, keep_days: int) -> tuple[int, int]:
    """How many events and how many verdicts it deleted."""
    if not stores.hold_anything:
        return 0, 0
    before = datetime.now(UTC) - timedelta(days=keep_days)
    return stores.ledger.purge(before), stores.feedback.purge(before)
