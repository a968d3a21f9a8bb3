"""A bounded number of questions at a time, a bounded number waiting, and a clear refusal beyond that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from starlette.types import Receive

from indexer.scope import Scope
from service.answers import Answer, Question
from service.http.caching import AnswerCache
from service.http.metrics import Metrics
from service.http.problems import ProblemError

if TYPE_CHECKING:
    from service.assistant import Assistant

Result = TypeVar("Result")

CLIENT: ContextVar[Receive | None] = ContextVar("client", default=None)
"""Where the server tells that the caller of this request has hung up; set by the gate."""


class ClientGone(Exception):
    """The caller hung up before the work began, so it was not done: a search that the next keystroke superseded."""


class AnsweringPool:
    """Runs the assistant's blocking work off the event loop."""

    def __init__(self, workers: int, queue: int, metrics: Metrics, cache: AnswerCache | None = None) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="answer")
        self._workers = workers
        self._room = workers + queue
        self._metrics = metrics
        self._cache = AnswerCache(0) if cache is None else cache
        self._in_flight = 0

    async def answer(self, assistant: Assistant, question: Question, scope: Scope) -> Answer:
        """The assistant's answer, or the one it gave before. Raises as `run`, and InputError."""
        known = self._cache.find(assistant.index_version, scope, question)
        self._metrics.cached_answers.labels("miss" if known is None else "hit").inc()
        if known is not None:
            return known
        answer = await self.run(lambda: assistant.answer(question, scope))
        self._metrics.answer_seconds.observe(answer.took_ms / 1000)
        self._cache.keep(answer, scope, question)
        return answer

    async def run(self, work: Callable[[], Result]) -> Result:
        """The result of `work` in a worker thread.

        Raises:
            ProblemError: `busy`, at once, if too many wait already.
            ClientGone: the caller hung up while the work waited for a worker; its place is free again.
        """
        if self._in_flight >= self._room:
            self._metrics.refused.inc()
            raise ProblemError("busy", "try again in a moment", {"Retry-After": "1"})
        self._in_flight += 1
        self._metrics.questions_in_flight.set(self._in_flight)
        must_wait = self._in_flight > self._workers
        future = self._executor.submit(work)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _call_soon(loop, self._leave))
        receive = CLIENT.get()
        if must_wait and receive is not None:
            return await self._run_unless_gone(future, receive)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Let running work end and drop what waits."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    async def _run_unless_gone(self, future: Future[Result], receive: Receive) -> Result:
        result = asyncio.wrap_future(future)
        gone: asyncio.Future[None] = asyncio.ensure_future(_hung_up(receive))
        try:
            await asyncio.wait((result, gone), return_when=asyncio.FIRST_COMPLETED)
            if not result.done() and future.cancel():
                self._metrics.abandoned.inc()
                raise ClientGone
            return await result
        finally:
            gone.cancel()

    def _leave(self) -> None:
        """On the event loop, when the work has really ended: an abandoned request still occupies its thread."""
        self._in_flight -= 1
        self._metrics.questions_in_flight.set(self._in_flight)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback)
