"""The assistant being served: loaded in the background, and moved to each newly published index version."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import KBError
from service.http.metrics import Metrics
from service.http.problems import ProblemError
from service.opening import warm_up
from service.refreshing import TROUBLES, Refresher

if TYPE_CHECKING:
    from service.assistant import Assistant

logger = logging.getLogger("kb.serve")


class Library:
    """Holds the assistant. The service listens at once; until the assistant is warm, `assistant` raises `not-ready`."""

    def __init__(
        self,
        index_dir: Path,
        open_assistant: Callable[[], Assistant],
        metrics: Metrics,
        interval_s: float,
        on_failure: Callable[[KBError], None] | None = None,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        """
        Args:
            open_assistant: opens the live version; slow, so it is called in a thread.
            interval_s: how often to look for a new version.
            on_failure: called if the first version cannot be opened; the service will then never be ready.
            on_ready: called in a thread when the first version answers.
        """
        self._open = open_assistant
        self._metrics = metrics
        self._interval_s = interval_s
        self._on_failure = on_failure
        self._on_ready = on_ready
        self._assistant: Assistant | None = None
        self._refresher = Refresher(index_dir)

    @property
    def assistant(self) -> Assistant:
        """The warm assistant. Raises ProblemError `not-ready` before there is one."""
        if self._assistant is None:
            raise ProblemError("not-ready", "the index is being loaded", {"Retry-After": "1"})
        return self._assistant

    @property
    def is_ready(self) -> bool:
        return self._assistant is not None

    async def run(self) -> None:
        """Load, warm up, then look for new versions until cancelled."""
        started = time.monotonic()
        try:
            self._assistant = await asyncio.to_thread(self._load)
        except KBError as error:
            self._give_up(error)
            return
        except TROUBLES as error:
            self._give_up(KBError(f"the index cannot be opened: {type(error).__name__}: {error}"))
            return
        logger.info("serving index %s, warm after %.1f s", self._assistant.index_version, time.monotonic() - started)
        if self._on_ready:
            await asyncio.to_thread(self._on_ready)
        while True:
            await asyncio.sleep(self._interval_s)
            await asyncio.to_thread(self.refresh)

    def refresh(self) -> None:
        """Take up a newly published version, as Refresher does."""
        if result := self._refresher.refresh(self.assistant):
            self._metrics.reloads.labels(result).inc()

    def _give_up(self, error: KBError) -> None:
        logger.error("the index cannot be served: %s", error)
        if self._on_failure:
            self._on_failure(error)

    def _load(self) -> Assistant:
        assistant = self._open()
        warm_up(assistant)
        return assistant
