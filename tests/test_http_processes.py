"""Processes that answer beside the serving one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from indexer.scope import INTERNAL
from service.answers import Question
from service.assistant import Assistant
from service.http.answering import AnsweringPool
from service.http.metrics import Metrics
from service.http.problems import ProblemError
from service.http.processes import AnsweringProcesses
from tests.conftest import FakeEmbedder, build, write_article

_QUESTION = Question("401 invalid_token")


def open_small(index_dir: Path) -> Assistant:
    return Assistant(index_dir, FakeEmbedder())


def pid_of(_: Assistant) -> int:
    return os.getpid()


def version_of(assistant: Assistant) -> str:
    return assistant.index_version


def die(_: Assistant) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


@pytest.fixture
def assistant(small_world: Path, index_dir: Path) -> Assistant:
    build(small_world, index_dir)
    return open_small(index_dir)


@pytest.fixture
def processes(assistant: Assistant, index_dir: Path) -> Iterator[AnsweringProcesses]:
    made = AnsweringProcesses(1, partial(open_small, index_dir))
    yield made
    made.close()


@pytest.fixture
def pool(processes: AnsweringProcesses) -> Iterator[AnsweringPool]:
    made = AnsweringPool(2, 2, Metrics(), processes=processes)
    yield made
    made.close()


def _until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_another_process_gives_the_same_answer(
    pool: AnsweringPool, processes: AnsweringProcesses, assistant: Assistant
) -> None:
    here = asyncio.run(pool.answer(assistant, _QUESTION, INTERNAL))
    assert asyncio.run(pool.ask(assistant, pid_of)) == os.getpid(), "nobody else is ready"
    processes.start()
    _until(lambda: processes.ready)
    assert asyncio.run(pool.ask(assistant, pid_of)) != os.getpid()
    there = asyncio.run(pool.answer(assistant, _QUESTION, INTERNAL))
    assert here.suggestions
    assert there.suggestions == here.suggestions
    assert (there.answered, there.confidence) == (here.answered, here.confidence)


def test_a_new_version_is_taken_up_with_the_serving_process(
    pool: AnsweringPool, processes: AnsweringProcesses, assistant: Assistant, small_world: Path, index_dir: Path
) -> None:
    processes.start()
    _until(lambda: processes.ready)
    write_article(small_world, "new.md", "Something new.\n", title="New")
    build(small_world, index_dir)
    assert asyncio.run(pool.ask(assistant, version_of)) == assistant.index_version, "the serving process is behind yet"
    assert assistant.refresh()
    assert asyncio.run(pool.ask(assistant, version_of)) == assistant.index_version


def test_a_process_that_dies_costs_its_questions_and_is_replaced_once(
    pool: AnsweringPool, processes: AnsweringProcesses, assistant: Assistant
) -> None:
    processes.start()
    _until(lambda: processes.ready)

    async def ask_thrice() -> list[object]:
        asked = [pool.ask(assistant, work) for work in (die, pid_of, pid_of)]
        return list(await asyncio.gather(*asked, return_exceptions=True))

    for error in asyncio.run(ask_thrice()):
        assert isinstance(error, ProblemError)
        assert (error.kind.status, error.headers["Retry-After"]) == (503, "1")
    assert processes.generation == 2
    _until(lambda: processes.ready)
    assert asyncio.run(pool.ask(assistant, pid_of)) != os.getpid()


def test_they_end_with_a_serving_process_that_is_killed(index_dir: Path, assistant: Assistant) -> None:
    script = (
        "import sys, time; from functools import partial; from pathlib import Path\n"
        "from service.http.processes import AnsweringProcesses\n"
        "from tests.test_http_processes import open_small, pid_of\n"
        "if __name__ == '__main__':\n"
        "    made = AnsweringProcesses(1, partial(open_small, Path(sys.argv[1])))\n"
        "    made.start()\n"
        f"    print(made.submit({assistant.index_version!r}, pid_of).result(), flush=True)\n"
        "    time.sleep(600)\n"
    )
    command = [sys.executable, "-c", script, str(index_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]) as parent:
        try:
            assert parent.stdout is not None
            child = int(parent.stdout.readline())
        finally:
            parent.kill()
    _until(lambda: not Path(f"/proc/{child}").exists())
