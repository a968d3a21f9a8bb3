"""What runs inside each peer's environment: build an index, then serve questions from it, and measure both.

Standard library only, because it is imported by whatever Python the peer lives in:

    python -m eval.peers.run_NAME build JOB.json TIME     index and save
    python -m eval.peers.run_NAME serve JOB.json TIME     load in a fresh process started at TIME, answer everything
    python -m eval.peers.run_NAME edit JOB.json TIME      load, then index one article anew, several times
    python -m eval.peers.run_NAME http JOB.json PORT      load and answer over HTTP until terminated

Building and serving are two processes, so the cold start is a real one: imports, model, index, first answer.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

CHUNK_DEPTH = 200
"""Chunks fetched for one question, so that an article is found however many chunks its neighbours have."""


@dataclass(frozen=True)
class Found:
    """One answer: articles with scores, best first, and how sure the system is (higher is surer)."""

    ranked: Sequence[tuple[str, float]]
    confidence: float


class Peer(Protocol):
    """A retrieval system under comparison. Methods are called in this order; `build` and `load` never both."""

    def prepare(self, job: dict[str, Any]) -> None:
        """Import what it takes and load the model."""

    def build(self, job: dict[str, Any], folder: Path) -> None:
        """Index the job's chunks and leave the index in `folder`."""

    def load(self, folder: Path) -> None:
        """Open the index that `build` left."""

    def search(self, title: str, text: str, limit: int, without: frozenset[str] = frozenset()) -> Found:
        """Answer one question, as if the articles `without` were not there."""

    def replace(self, job: dict[str, Any], folder: Path, article: str, texts: list[str]) -> None:
        """Index `texts` as the article's chunks in place of its former ones, and leave the index in `folder`."""


def best_per_article(chunks: Iterable[tuple[str, float]], limit: int, without: frozenset[str] = frozenset()) -> Found:
    """Articles by their best chunk, those `without` left out; `chunks` are (article, score), best first."""
    best: dict[str, float] = {}
    for article, score in chunks:
        if article not in without:
            best.setdefault(article, float(score))
    ranked = list(best.items())[:limit]
    return Found(ranked, ranked[0][1] if ranked else 0.0)


def question_text(title: str, text: str) -> str:
    """The one string that a system without a notion of titles is asked."""
    return f"{title}\n{text}".strip()


def main(peer: Peer) -> None:
    """Entry point of every `run_NAME` module."""
    mode, job_file = sys.argv[1], Path(sys.argv[2])
    job = json.loads(job_file.read_text(encoding="utf-8"))
    folder = Path(job["folder"])
    if mode == "http":
        answer_over_http(peer, job, folder, int(sys.argv[3]))
        return
    result = MODES[mode](peer, job, folder, float(sys.argv[3]))
    result["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (folder.parent / f"{mode}.json").write_text(json.dumps(result), encoding="utf-8")


def build(peer: Peer, job: dict[str, Any], folder: Path, spawned_at: float) -> dict[str, Any]:
    """Index, and time it without imports and loading the model."""
    peer.prepare(job)
    started, worked = time.perf_counter(), time.process_time()
    peer.build(job, folder)
    return {"index_s": time.perf_counter() - started, "index_cpu_s": time.process_time() - worked}


def serve(peer: Peer, job: dict[str, Any], folder: Path, spawned_at: float) -> dict[str, Any]:
    """Time the first answer from the start of the process, then every answer by itself; processor time beside it.

    Then each question of the job's `left_out` is asked without the articles that it names, untimed.
    """
    queries, limit = job["queries"], job["limit"]
    peer.prepare(job)
    peer.load(folder)
    peer.search(queries[0]["title"], queries[0]["text"], limit)
    cold_start_s, cold_start_cpu_s = time.time() - spawned_at, time.process_time()
    answers = []
    for query in queries:
        started, worked = time.perf_counter(), time.process_time()
        found = peer.search(query["title"], query["text"], limit)
        took_ms, cpu_ms = (time.perf_counter() - started) * 1000, (time.process_time() - worked) * 1000
        ranked = [[article, score] for article, score in found.ranked]
        answer = {"id": query["id"], "ranked": ranked, "confidence": found.confidence}
        answers.append({**answer, "took_ms": took_ms, "cpu_ms": cpu_ms})
    left_out = []
    for query in job.get("left_out", ()):
        found = peer.search(query["title"], query["text"], limit, frozenset(query["without"]))
        left_out.append({"id": query["id"], "confidence": found.confidence})
    times = {"cold_start_s": cold_start_s, "cold_start_cpu_s": cold_start_cpu_s}
    return {**times, "answers": answers, "left_out": left_out}


def edit(peer: Peer, job: dict[str, Any], folder: Path, spawned_at: float) -> dict[str, Any]:
    """Change one article by a sentence, as often as the job says, and time each until the index is saved."""
    article, texts = job["edit"]["article"], job["edit"]["texts"]
    peer.prepare(job)
    peer.load(folder)
    taken = []
    for revision in range(job["edit"]["rounds"]):
        changed = [*texts[:-1], f"{texts[-1]} Revision {revision} of this text."]
        started = time.perf_counter()
        peer.replace(job, folder, article, changed)
        taken.append(time.perf_counter() - started)
    return {"edit_s": taken}


def answer_over_http(peer: Peer, job: dict[str, Any], folder: Path, port: int) -> None:
    """What a first service around the library looks like: one route of FastAPI, which runs it in threads."""
    fastapi, uvicorn = importlib.import_module("fastapi"), importlib.import_module("uvicorn")
    peer.prepare(job)
    peer.load(folder)
    app = fastapi.FastAPI()

    @app.get("/search")  # type: ignore[untyped-decorator, unused-ignore]
    def search(query: str, limit: int = 10) -> list[dict[str, Any]]:
        return [{"id": article, "score": score} for article, score in peer.search("", query, limit).ranked]

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


MODES = {"build": build, "serve": serve, "edit": edit}
