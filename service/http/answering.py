"""A bounded number of questions at a time, a bounded number waiting, and a clear refusal beyond that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from starlette.types import Receive

from indexer.scope import Scope
from service.answers import Answer, Question
from service.http.caching import AnswerCache
from service.http.metrics import Metrics
from service.http.problems import ProblemError
from service.tracing import Tracing

if TYPE_CHECKING:
    from service.assistant import Assistant
    from service.http.processes import AnsweringProcesses, Work

Result = TypeVar("Result")

CLIENT: ContextVar[Receive | None] = ContextVar("client", default=None)
"""Where the server tells that the caller of this request has hung up; set by the gate."""


class ClientGone(Exception):
    """The caller hung up before the work began, so it was not done: a search that the next keystroke superseded."""


class AnsweringPool:
    """Runs the assistant's blocking work off the event loop."""

    def __init__(
        self,
        workers: int,
        queue: int,
        metrics: Metrics,
        cache: AnswerCache | None = None,
        processes: AnsweringProcesses | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        """
        Args:
            workers: threads, and how many questions are under way at a time, unless there are more processes.
            queue: how many wait beyond that.
            processes: take what can be sent to them, once they are ready.
        """
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="answer")
        self._processes = processes
        self._tracing = tracing or Tracing()
        self._workers = max(workers, processes.count) if processes else workers
        self._room = self._workers + queue
        self._metrics = metrics
        self._cache = AnswerCache(0) if cache is None else cache
        self._in_flight = 0

    async def answer(self, assistant: Assistant, question: Question, scope: Scope) -> Answer:
        """The assistant's answer, or the one it gave before. Raises as `run`, and InputError."""
        with self._tracing.retrieval(question.limit) as finish:
            known = self._cache.find(assistant.index_version, scope, question)
            self._metrics.cached_answers.labels("miss" if known is None else "hit").inc()
            if known is not None:
                finish(known, cached=True)
                return known
            answer = await self.ask(assistant, partial(_answer, question=question, scope=scope))
            self._metrics.answer_seconds.observe(answer.took_ms / 1000)
            self._cache.keep(answer, scope, question)
            finish(answer, cached=False)
            return answer

    async def ask(self, assistant: Assistant, work: Work[Result], *, is_continued: bool = False) -> Result:
        """The result of `work` on `assistant`, or in an answering process on one of the same version.

        Args:
            is_continued: the request has had an answer already. Refusing now would waste it, so there is always room;
                who continues was let in before, so there are at most twice as many as that.

        Raises:
            ProblemError, ClientGone: as `run`; `busy` also for work whose process has died.
        """
        processes = self._processes
        if processes is None or not processes.ready:
            return await self._run(lambda: self._executor.submit(work, assistant), is_continued=is_continued)
        generation = processes.generation
        try:
            submit = partial(processes.submit, assistant.index_version, work)
            return await self._run(submit, is_continued=is_continued)
        except BrokenExecutor:
            processes.start(instead_of=generation)
            raise ProblemError("busy", "try again in a moment", {"Retry-After": "1"}) from None

    async def run(self, work: Callable[[], Result]) -> Result:
        """The result of `work` in a worker thread.

        Raises:
            ProblemError: `busy`, at once, if too many wait already.
            ClientGone: the caller hung up while the work waited for a worker; its place is free again.
        """
        return await self._run(lambda: self._executor.submit(work))

    async def _run(self, submit: Callable[[], Future[Result]], *, is_continued: bool = False) -> Result:
        if self._in_flight >= self._room and not is_continued:
            self._metrics.refused.inc()
            raise ProblemError("busy", "try again in a moment", {"Retry-After": "1"})
        future = submit()
        self._in_flight += 1
        self._metrics.questions_in_flight.set(self._in_flight)
        must_wait = self._in_flight > self._workers
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _call_soon(loop, self._leave))
        receive = CLIENT.get()
        if must_wait and receive is not None:
            return await self._run_unless_gone(future, receive)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Let running work end and drop what waits."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        if self._processes:
            self._processes.close()

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


def _answer(assistant: Assistant, question: Question, scope: Scope) -> Answer:
    return assistant.answer(question, scope)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback)
