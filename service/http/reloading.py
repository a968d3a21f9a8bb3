"""The assistant being served: loaded in the background, and moved to each newly published index version."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import KBError
from indexer.snapshot import current_version
from service.http.metrics import Metrics
from service.http.problems import ProblemError
from service.opening import warm_up

if TYPE_CHECKING:
    from service.assistant import Assistant

logger = logging.getLogger("kb.serve")

_RETRY_BROKEN_S = 30.0


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
        self._index_dir = index_dir
        self._open = open_assistant
        self._metrics = metrics
        self._interval_s = interval_s
        self._on_failure = on_failure
        self._on_ready = on_ready
        self._assistant: Assistant | None = None
        self._broken: tuple[str, float] = ("", 0.0)
        """Name of a version that could not be opened, and when it was last tried."""

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
            logger.error("the index cannot be served: %s", error)  # noqa: TRY400 -- a user's mistake, no traceback
            if self._on_failure:
                self._on_failure(error)
            return
        logger.info("serving index %s, warm after %.1f s", self._assistant.index_version, time.monotonic() - started)
        if self._on_ready:
            await asyncio.to_thread(self._on_ready)
        while True:
            await asyncio.sleep(self._interval_s)
            await asyncio.to_thread(self.refresh)

    def refresh(self) -> None:
        """Take up a newly published version. A broken one is logged once, looked at now and then, and not served."""
        assistant = self.assistant
        published = ""
        try:
            published = current_version(self._index_dir)
            name, tried = self._broken
            if published == name and time.monotonic() - tried < _RETRY_BROKEN_S:
                return
            taken = assistant.refresh()
        except KBError as error:
            self._report(published, str(error))
        except (OSError, ValueError, RuntimeError) as error:
            self._report(published, f"{type(error).__name__} while it was opened")
        else:
            self._broken = ("", 0.0)
            if taken:
                self._metrics.reloads.labels("taken").inc()
                logger.info("now serving index %s", assistant.index_version)

    def _report(self, published: str, message: str) -> None:
        name = published or "unnamed"
        if name != self._broken[0]:
            self._metrics.reloads.labels("refused").inc()
            logger.error("a new index is not served, %s goes on: %s", self.assistant.index_version, message)
        self._broken = (name, time.monotonic())

    def _load(self) -> Assistant:
        assistant = self._open()
        warm_up(assistant)
        return assistant
