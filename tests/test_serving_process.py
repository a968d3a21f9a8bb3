from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys

import pytest

from service.http.tidying import keep_memory_tidy

SCRIPT = """
import gc, os, sys
from service.serving_process import prepare_process, settle_process
assert "numpy" not in sys.modules
prepare_process()
assert not gc.isenabled()
settle_process()
assert gc.isenabled()
assert gc.get_freeze_count()
print(os.environ["OMP_NUM_THREADS"], os.environ["TOKENIZERS_PARALLELISM"])
"""


def printed(**given: str) -> str:
    names = ("OMP_NUM_THREADS", "TOKENIZERS_PARALLELISM")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    command = [sys.executable, "-c", SCRIPT]
    return subprocess.run(command, env={**environment, **given}, capture_output=True, text=True, check=True).stdout


def test_one_core_a_question_unless_the_operator_says_otherwise() -> None:
    assert printed().split() == ["1", "false"]
    assert printed(OMP_NUM_THREADS="3", MALLOC_ARENA_MAX="1").split() == ["3", "false"]


def test_the_command_prepares_before_anything_native_is_imported() -> None:
    script = (
        "import sys, service.serving_process\n"
        "def stop():\n"
        "    print(sorted({'numpy', 'faiss', 'onnxruntime', 'tokenizers'} & set(sys.modules)))\n"
        "    raise SystemExit(0)\n"
        "service.serving_process.prepare_process = stop\n"
        "sys.argv = ['kb', 'serve']\n"
        "from eval.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_memory_is_given_back_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[None] = []
    monkeypatch.setattr("service.http.tidying.release_memory", lambda: calls.append(None))

    async def serve() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(keep_memory_tidy(0.01), 0.5)

    asyncio.run(serve())
    assert len(calls) > 1
