"""A bounded number of questions at a time, a bounded number waiting, and a clear refusal beyond that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from service.http.metrics import Metrics
from service.http.problems import ProblemError

Result = TypeVar("Result")


class AnsweringPool:
    """Runs the assistant's blocking work off the event loop."""

    def __init__(self, workers: int, queue: int, metrics: Metrics) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="answer")
        self._room = workers + queue
        self._metrics = metrics
        self._in_flight = 0

    async def run(self, work: Callable[[], Result]) -> Result:
        """The result of `work` in a worker thread. Raises ProblemError `busy` at once if too many wait already."""
        if self._in_flight >= self._room:
            self._metrics.refused.inc()
            raise ProblemError("busy", "try again in a moment", {"Retry-After": "1"})
        self._in_flight += 1
        self._metrics.questions_in_flight.set(self._in_flight)
        future = self._executor.submit(work)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _call_soon(loop, self._leave))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Let running work end and drop what waits."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _leave(self) -> None:
        """On the event loop, when the work has really ended: an abandoned request still occupies its thread."""
        self._in_flight -= 1
        self._metrics.questions_in_flight.set(self._in_flight)


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback)
