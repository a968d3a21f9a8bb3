"""This project and the others over the same passages: indexing, an edit, cold start, questions, HTTP under load."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from eval.bench.corpus import copy_articles, read_questions
from eval.bench.load import LoadFigures, Server, free_port, run_load, serving
from eval.peers.environments import peer_command, python_of, run_peer
from eval.peers.sidebyside import OURS

Progress = Callable[[str, int, int], None]

_EDIT_ROUNDS = 3
_OVERLOAD = 4
_OVERLOAD_USERS = 400
_RECOVERY_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        passages: what every system indexes.
        clients: users at the same time, one HTTP load each.
        load_s: length of each HTTP load.
        growth: chunk counts of made-up corpora for this project's growth.
    """

    passages: int
    questions: int
    clients: tuple[int, ...]
    load_s: float
    growth: tuple[int, ...]


FULL = Plan(passages=1_000, questions=245, clients=(1, 8, 32), load_s=10.0, growth=(1_000, 10_000, 100_000))
QUICK = Plan(passages=120, questions=60, clients=(1, 8, 32), load_s=3.0, growth=(1_000,))


@dataclass(frozen=True, slots=True)
class Overload:
    """What happened at four times the sustainable load.

    Attributes:
        offered_per_s: questions sent a second.
        recovery_s: from the end of the load to the first of three prompt answers in a row.
    """

    sustainable_per_s: float
    offered_per_s: float
    load: LoadFigures
    recovery_s: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "sustainable_per_s": self.sustainable_per_s,
            "offered_per_s": self.offered_per_s,
            "recovery_s": self.recovery_s,
            **self.load.as_dict(),
        }


@dataclass(slots=True)
class Figures:
    """One system's figures; docs/performance.md says what each means."""

    name: str
    passages_per_s: float = 0.0
    edit_s: float = 0.0
    cold_start_s: float = 0.0
    short_ms: tuple[float, float] = (0.0, 0.0)
    long_ms: tuple[float, float] = (0.0, 0.0)
    index_cpu_ms: float = 0.0
    cold_start_cpu_s: float = 0.0
    short_cpu_ms: float = 0.0
    long_cpu_ms: float = 0.0
    peak_mb: float = 0.0
    http_first_s: float = 0.0
    http_mb: float = 0.0
    loads: list[LoadFigures] = field(default_factory=list)
    cached_loads: list[LoadFigures] = field(default_factory=list)
    overload: Overload | None = None

    def load(self, clients: int) -> LoadFigures | None:
        """The HTTP load with so many clients."""
        return next((load for load in self.loads if load.clients == clients), None)

    def as_dict(self) -> dict[str, Any]:
        return {
            "passages_per_s": self.passages_per_s,
            "edit_s": self.edit_s,
            "cold_start_s": self.cold_start_s,
            "short_question_ms": {"p50": self.short_ms[0], "p95": self.short_ms[1]},
            "ticket_ms": {"p50": self.long_ms[0], "p95": self.long_ms[1]},
            "processor_time": {
                "ms_per_passage": self.index_cpu_ms,
                "start_s": self.cold_start_cpu_s,
                "ms_per_short_question": self.short_cpu_ms,
                "ms_per_ticket": self.long_cpu_ms,
            },
            "peak_resident_mb": self.peak_mb,
            "http_first_answer_s": self.http_first_s,
            "http_resident_mb": self.http_mb,
            "http": [load.as_dict() for load in self.loads],
            "http_cached": [load.as_dict() for load in self.cached_loads],
            "overload": self.overload and self.overload.as_dict(),
        }


def measure_systems(
    names: Sequence[str], plan: Plan, articles: Path, tickets: Path, work_dir: Path, peers_dir: Path, progress: Progress
) -> list[Figures]:
    """Figures of every system, measured one after the other. Raises PeerError, DatasetError."""
    short, long = (questions[: plan.questions] for questions in read_questions(tickets))
    found = []
    steps = len(names)
    for number, name in enumerate(names):
        progress(f"measuring {name}", number, steps)
        folder = (work_dir / name).resolve()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        job_file = _write_job(folder, articles, plan.passages, short, long)
        figures = Figures(name)
        _measure_in_process(figures, job_file, peers_dir, len(short))
        _measure_http(figures, plan, folder, alternating(short, long), peers_dir)
        progress(f"measuring {name}", number + 1, steps)
        found.append(figures)
    return found


def alternating(short: Sequence[str], long: Sequence[str]) -> list[str]:
    """One of each in turn, so that a slow system, which gets through fewer, is not asked the short ones alone."""
    return [text for pair in zip_longest(short, long) for text in pair if text is not None]


def _write_job(folder: Path, articles: Path, passages: int, short: Sequence[str], long: Sequence[str]) -> Path:
    chunks = copy_articles(articles, folder / "articles", passages)
    edited = chunks[0]["article"]
    job = {
        "folder": str(folder / "index"),
        "articles_dir": str(folder / "articles"),
        "chunks": chunks,
        "queries": [{"id": str(number), "title": "", "text": text} for number, text in enumerate([*short, *long])],
        "limit": 10,
        "edit": {
            "article": edited,
            "texts": [chunk["text"] for chunk in chunks if chunk["article"] == edited],
            "rounds": _EDIT_ROUNDS,
        },
    }
    job_file = folder / "job.json"
    job_file.write_text(json.dumps(job), encoding="utf-8")
    return job_file


def _measure_in_process(figures: Figures, job_file: Path, peers_dir: Path, short_count: int) -> None:
    run_peer(figures.name, job_file, peers_dir, ("build", "serve", "edit"))
    results = {mode: json.loads((job_file.parent / f"{mode}.json").read_text()) for mode in ("build", "serve", "edit")}
    passages = len(json.loads(job_file.read_text())["chunks"])
    took = [answer["took_ms"] for answer in results["serve"]["answers"]]
    figures.passages_per_s = passages / results["build"]["index_s"]
    figures.edit_s = median(results["edit"]["edit_s"])
    figures.cold_start_s = results["serve"]["cold_start_s"]
    figures.short_ms = _percentiles(took[:short_count])
    figures.long_ms = _percentiles(took[short_count:])
    worked = [answer["cpu_ms"] for answer in results["serve"]["answers"]]
    figures.index_cpu_ms = 1000 * results["build"]["index_cpu_s"] / passages
    figures.cold_start_cpu_s = results["serve"]["cold_start_cpu_s"]
    figures.short_cpu_ms, figures.long_cpu_ms = median(worked[:short_count]), median(worked[short_count:])
    figures.peak_mb = results["serve"]["peak_rss_mb"]


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    p50, p95 = np.percentile(values, [50, 95])
    return float(p50), float(p95)


def _measure_http(figures: Figures, plan: Plan, folder: Path, questions: list[str], peers_dir: Path) -> None:
    with server_of(figures.name, folder, peers_dir) as server:
        figures.http_first_s = server.first_answer_s
        for clients in plan.clients:
            figures.loads.append(run_load(server, questions, clients, plan.load_s, folder, peers_dir))
        figures.http_mb = server.resident_mb()
        if figures.name == OURS:
            sustainable = max(load.answers_per_s for load in figures.loads)
            figures.overload = _overload(server, sustainable, plan, folder, questions, peers_dir)
    if figures.name == OURS:
        with server_of(OURS, folder, peers_dir, answer_cache=512) as server:
            for clients in plan.clients:
                figures.cached_loads.append(run_load(server, questions, clients, plan.load_s, folder, peers_dir))


def _overload(
    server: Server, sustainable: float, plan: Plan, folder: Path, questions: list[str], peers_dir: Path
) -> Overload:
    rate = _OVERLOAD * sustainable
    seconds = max(5.0, plan.load_s)
    load = run_load(server, questions, _OVERLOAD_USERS, seconds, folder, peers_dir, rate)
    ended = time.monotonic()
    prompt = 0
    while prompt < 3 and time.monotonic() - ended < _RECOVERY_LIMIT_S:
        prompt = prompt + 1 if server.ask("after the load", 5.0) == 200 else 0
    offered = load.asked / (seconds + 1.0)
    return Overload(sustainable, offered, load, time.monotonic() - ended)


@contextlib.contextmanager
def server_of(name: str, folder: Path, peers_dir: Path, answer_cache: int = 0) -> Iterator[Server]:
    """The system's server over the index in `folder`/index: `kb serve`, txtai's own API, a plain route for the rest."""
    port = free_port()
    log = folder / "server.log"
    if name == OURS:
        limits = {"KB_RATE_LIMIT_PER_MINUTE": "100000000", "KB_ANSWER_CACHE": str(answer_cache)}
        environment = {**os.environ, **limits}
        command = [sys.executable, "-c", "from eval.cli import main; main()", "serve"]
        command += ["--index", str(folder / "index"), "--port", str(port), "--anonymous-audience", "internal"]
        with serving(command, environment, "/v1/search", "q", log, port) as server:
            yield server
    elif name == "txtai":
        config = folder / "txtai.yml"
        # The index brings its own settings; without this section txtai adds no route for it.
        config.write_text(f"path: {folder / 'index'}\nwritable: false\nembeddings: {{}}\n", encoding="utf-8")
        _, environment = peer_command(name, peers_dir)
        command = [str(python_of(name, peers_dir)), "-m", "uvicorn", "txtai.api:app", "--host", "127.0.0.1"]
        command += ["--port", str(port), "--log-level", "warning"]
        with serving(command, {**environment, "CONFIG": str(config)}, "/search", "query", log, port) as server:
            yield server
    else:
        command, environment = peer_command(name, peers_dir)
        command = [*command, "http", str(folder / "job.json"), str(port)]
        with serving(command, environment, "/search", "query", log, port) as server:
            yield server
