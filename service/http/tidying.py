"""Old rows of the deflection ledger are deleted while the service runs."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from indexer.errors import KBError
from service.stores import Stores

logger = logging.getLogger("kb.serve")

_FIRST_S = 60.0
"""Not at once: the start has enough to do."""
_EVERY_S = 86_400.0


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


def _purge(stores: Stores, keep_days: int) -> int:
    if not stores.hold_anything:
        return 0
    return stores.ledger.purge(datetime.now(UTC) - timedelta(days=keep_days))
