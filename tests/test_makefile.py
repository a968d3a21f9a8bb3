"""`make`: each target is listed with what it does, and no page names one that does not exist."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_make_alone_lists_every_target() -> None:
    done = make()
    assert done.returncode == 0
    assert set(re.findall(r"^  make ([a-z]+) +\S", done.stdout, re.MULTILINE)) == TARGETS


def test_targets_that_pages_name_exist() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / ".ci" / "run"]
    text = "\n".join(page.read_text("utf-8") for page in pages)
    named = set(re.findall(r"(?:`|\$ |^\s*)make ([a-z]+)", text, re.MULTILINE))
    assert {"run", "test"} <= named
    assert named - TARGETS == set()


def test_a_taken_port_is_said_before_anything_is_indexed(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        # As if installed: the target would otherwise make an environment first.
        done = make("run", f"PORT={port}", f"INDEX={tmp_path / 'index'}", "--assume-old=install")
    assert done.returncode != 0
    assert f"port {port} is taken: make run PORT={port + 10}" in done.stderr
    assert not (tmp_path / "index").exists()
