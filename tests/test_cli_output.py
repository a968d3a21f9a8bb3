"""What `kb` ends with when its standard output is closed early, or full: never with 1, which has a meaning."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = """
import sys
from eval.cli import app, main

@app.command()
def talk(times: int) -> None:
    for number in range(times):
        print("a line of some length, so that a buffer is full soon", number)

sys.argv = ["kb", "talk", sys.argv[1]]
main()
"""


@pytest.mark.parametrize("times", [1, 100_000], ids=["at the end", "on the way"])
def test_a_reader_that_has_seen_enough_is_no_error(times: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(times)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    _, told = process.communicate()
    assert (process.returncode, told) == (141, b"")


@pytest.mark.parametrize("times", [1, 100_000], ids=["at the end", "on the way"])
def test_a_full_disk_is_one_line(times: int) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(times)], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert done.stderr == b"kb: standard output cannot be written (No space left on device)\n"


def test_output_that_is_taken_is_whole() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, "2000"], cwd=ROOT, capture_output=True, check=False, text=True)
    assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (0, 2000, "")
