"""Processes that answer beside the serving one, for machines with more cores than one interpreter keeps busy.

What must be one stays in the serving process: sessions, rate limits, the answer cache, metrics, the intake queue. Each
answering process opens the same index version, whose mapped files all of them share in memory.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, TypeVar

from service.opening import warm_up
from service.serving_process import prepare_process, settle_process

if TYPE_CHECKING:
    from service.assistant import Assistant

Result = TypeVar("Result")
Work = Callable[["Assistant"], Result]
"""What to do with an assistant: a function of a module, or a `partial` of one, so that it can be sent."""

logger = logging.getLogger("kb.serve")


class AnsweringProcesses:
    """A fixed number of processes, each with an assistant. Thread-safe.

    Attributes:
        generation: how often they were started.
    """

    def __init__(self, count: int, open_assistant: Callable[[], Assistant]) -> None:
        """
        Args:
            open_assistant: opens the live version, in each process; a function of a module, or a `partial` of one.
        """
        self.count = count
        self._open = open_assistant
        self._lock = threading.Lock()
        self._executor: ProcessPoolExecutor | None = None
        self.generation = 0
        self._warming: list[Future[None]] = []

    @property
    def ready(self) -> bool:
        """Whether they answer: they are started, and as many openings as there are processes have ended."""
        with self._lock:
            return bool(self._warming) and all(one.done() and not one.exception() for one in self._warming)

    def start(self, instead_of: int = 0) -> None:
        """Begin to start them; returns at once.

        Args:
            instead_of: the generation that is to be replaced. Nothing is done if it is replaced already: all that a
                dead process leaves undone fails at once.
        """
        with self._lock:
            if instead_of != self.generation:
                return
            self.generation += 1
            stopped, self._executor = self._executor, self._new_executor()
            self._warming = [self._executor.submit(_nothing) for _ in range(self.count)]
        if stopped:
            logger.error("an answering process has died, most likely for want of memory; all are started anew")
            stopped.shutdown(wait=False, cancel_futures=True)

    def submit(self, version: str, work: Work[Result]) -> Future[Result]:
        """The result of `work` on the index `version`, from the first process that is free.

        Raises:
            BrokenExecutor: a process has died; the future may raise it as well. `start` mends it.
        """
        with self._lock:
            if self._executor is None:
                raise RuntimeError("submit comes after start")
            return self._executor.submit(_do, version, work)

    def close(self) -> None:
        """End them when what runs has ended; drop what waits."""
        with self._lock:
            stopped, self._executor, self._warming = self._executor, None, []
        if stopped:
            stopped.shutdown(wait=True, cancel_futures=True)

    def _new_executor(self) -> ProcessPoolExecutor:
        # Not forked: the serving process has threads, and a lock that one of them holds would stay locked for good.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.count, context, _begin, (self._open,))


_opened: list[Assistant] = []
"""In an answering process, its assistant."""


def _begin(open_assistant: Callable[[], Assistant]) -> None:
    """The first thing that an answering process does."""
    prepare_process()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the serving process ends this one
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    assistant = open_assistant()
    warm_up(assistant)
    _opened.append(assistant)
    settle_process()


def _end_with_parent() -> None:
    """A killed parent cannot end its children, and they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _nothing() -> None:
    """What is done by a process that has begun."""


def _do(version: str, work: Work[Result]) -> Result:
    assistant = _opened[0]
    if assistant.index_version != version:
        assistant.refresh()
    return work(assistant)
