"""kill -9 at any moment: every note is written exactly once. `kb intake bench` does the same with 1,000 deliveries."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from eval.intake_load import Load, run_load
from tests.http_world import make_world

TICKETS = (
    ("Requests fail with 401 invalid_token", "Every request answers 401 invalid_token."),
    ("Mail bounces", "Messages bounce with 550 5.7.26."),
    ("The quokka alert fires", "Since this morning."),
)


def test_a_killed_server_neither_loses_nor_doubles_a_note(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    load = Load(webhooks=40, kills=2, rate_per_s=20.0, failures=0.15, seed=7, tickets=TICKETS)

    def command(port: int) -> list[str]:
        return [sys.executable, "-m", "tests.intake_child", str(port), str(world.index)]

    report = run_load(load, command, os.environ)
    assert (report.exactly_once, report.missing, report.doubled) == (40, 0, 0)
    assert report.states == {"done": 40}
    assert report.failures_injected > 0
    assert report.looks > 0, "uncertain attempts were looked up"
