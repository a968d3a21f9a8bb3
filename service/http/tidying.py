"""What is tidied while the service runs: old rows of the deflection ledger, and memory that a busy time left."""

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
            deleted = await asyncio.to_thread(_purge, stores, keep_days)
        except KBError as error:
            logger.warning("old events of the deflection ledger were not deleted: %s", error)
        else:
            if deleted:
                logger.info("events of the deflection ledger older than %d days, deleted: %d", keep_days, deleted)
        await asyncio.sleep(every_s)


async def keep_memory_tidy(every_s: float = _MEMORY_EVERY_S) -> None:
    """Give back what questions answered side by side have left, until cancelled."""
    while True:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(release_memory)


def _purge(stores: Stores, keep_days: int) -> int:
    if not stores.hold_anything:
        return 0
    return stores.ledger.purge(datetime.now(UTC) - timedelta(days=keep_days))
