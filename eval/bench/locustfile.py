"""The load: users who ask one question after the other. Runs inside Locust's own environment.

Reads the job named by KB_BENCH_JOB: host, path, parameter, questions, out, and `rate` (questions a second and user) or
null for users who ask again as soon as they are answered. Writes every response as [seconds since start, milliseconds,
status, has Retry-After]; status 0 is no answer at all.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path
from urllib.parse import urlencode

from locust import FastHttpUser, constant_throughput, events, task  # type: ignore[import-not-found, unused-ignore]

JOB = json.loads(Path(os.environ["KB_BENCH_JOB"]).read_text(encoding="utf-8"))
ADDRESSES = itertools.cycle([f"{JOB['path']}?{urlencode({JOB['parameter']: text})}" for text in JOB["questions"]])
STARTED = time.perf_counter()
SEEN: list[tuple[float, float, int, bool]] = []


class Asker(FastHttpUser):  # type: ignore[misc, unused-ignore]
    """One user."""

    host = JOB["host"]
    network_timeout = 30.0
    connection_timeout = 10.0
    if JOB["rate"]:
        wait_time = constant_throughput(JOB["rate"])

    @task  # type: ignore[untyped-decorator, unused-ignore]
    def ask(self) -> None:
        started = time.perf_counter()
        with self.client.get(next(ADDRESSES), name="ask", catch_response=True) as response:
            took_ms = (time.perf_counter() - started) * 1000
            status = response.status_code or 0
            told_when = bool(response.headers and response.headers.get("Retry-After"))
            response.success()
        SEEN.append((time.perf_counter() - STARTED, took_ms, status, told_when))


@events.quitting.add_listener  # type: ignore[untyped-decorator, unused-ignore]
def write_down(**_: object) -> None:
    Path(JOB["out"]).write_text(json.dumps(SEEN), encoding="utf-8")
