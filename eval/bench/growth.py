"""How this project's cost grows with the corpus: made-up articles, stand-in vectors, the real model for questions.

python -m eval.bench.growth JOB.json       build in a process of its own, so that its memory can be read off
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.bench.corpus import StandInEmbedder, read_questions, write_made_up_articles
from eval.bench.systems import server_of
from eval.peers.environments import PeerError, run_peer
from eval.peers.sidebyside import OURS
from indexer.building import build_index


@dataclass(frozen=True, slots=True)
class Growth:
    """Figures at one size.

    Attributes:
        build_s: everything but embedding.
        edit_s: one article of the corpus changed and published.
        disk_mb: the live version, without the cache of embeddings.
        build_peak_mb: of the building process.
        service_mb: resident memory of `kb serve` after the questions.
        first_answer_s: start of `kb serve` to its first answer.
    """

    chunks: int
    articles: int
    build_s: float
    edit_s: float
    disk_mb: float
    build_peak_mb: float
    cold_start_s: float
    short_p50_ms: float
    short_p95_ms: float
    long_p50_ms: float
    long_p95_ms: float
    first_answer_s: float
    service_mb: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure_growth(
    sizes: tuple[int, ...],
    articles: Path,
    tickets: Path,
    work_dir: Path,
    peers_dir: Path,
    progress: Callable[[str, int, int], None],
) -> list[Growth]:
    """Figures at each of `sizes`, in chunks. Raises PeerError."""
    found = []
    for number, size in enumerate(sizes):
        progress("growing", number, len(sizes))
        found.append(_measure(size, articles, tickets, (work_dir / f"growth-{size}").resolve(), peers_dir))
        progress("growing", number + 1, len(sizes))
    return found


def _measure(size: int, articles: Path, tickets: Path, folder: Path, peers_dir: Path) -> Growth:
    write_made_up_articles(articles, folder / "articles", size)
    short, long = (questions[:100] for questions in read_questions(tickets))
    job = {
        "folder": str(folder / "index"),
        "articles_dir": str(folder / "articles"),
        "queries": [{"id": str(place), "title": "", "text": text} for place, text in enumerate([*short, *long])],
        "limit": 10,
    }
    job_file = folder / "job.json"
    job_file.write_text(json.dumps(job), encoding="utf-8")
    command = [sys.executable, "-m", "eval.bench.growth", str(job_file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))  # noqa: S603
    if done.returncode:
        raise PeerError(f"the build of {size} chunks failed:\n{done.stderr[-1500:]}")
    built = json.loads((folder / "built.json").read_text())
    run_peer(OURS, job_file, peers_dir, ("serve",))
    served = json.loads((folder / "serve.json").read_text())
    took = [answer["took_ms"] for answer in served["answers"]]
    with server_of(OURS, folder, peers_dir) as server:
        for text in [*short, *long]:
            server.ask(text)
        first_answer_s, service_mb = server.first_answer_s, server.resident_mb()
    short_p50, short_p95 = np.percentile(took[: len(short)], [50, 95])
    long_p50, long_p95 = np.percentile(took[len(short) :], [50, 95])
    return Growth(
        chunks=built["chunks"],
        articles=built["articles"],
        build_s=built["build_s"],
        edit_s=built["edit_s"],
        disk_mb=built["disk_mb"],
        build_peak_mb=built["peak_mb"],
        cold_start_s=served["cold_start_s"],
        short_p50_ms=float(short_p50),
        short_p95_ms=float(short_p95),
        long_p50_ms=float(long_p50),
        long_p95_ms=float(long_p95),
        first_answer_s=first_answer_s,
        service_mb=service_mb,
    )


def build_for(job_file: Path) -> None:
    """Build, change one article, build again; the figures go to built.json beside the job."""
    job = json.loads(job_file.read_text(encoding="utf-8"))
    source, index = Path(job["articles_dir"]), Path(job["folder"])
    embedder = StandInEmbedder()
    started = time.perf_counter()
    report = build_index(source, index, embedder)
    build_s = time.perf_counter() - started
    file = next(source.rglob("*.md"))
    file.write_text(f"{file.read_text(encoding='utf-8')}\nOne more sentence.\n", encoding="utf-8")
    started = time.perf_counter()
    report = build_index(source, index, embedder)
    edit_s = time.perf_counter() - started
    sizes = [path.stat().st_size for path in (index / report.version).rglob("*") if path.is_file()]
    figures = {
        "chunks": report.chunk_count,
        "articles": report.article_count,
        "build_s": build_s,
        "edit_s": edit_s,
        "disk_mb": sum(sizes) / 2**20,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    (job_file.parent / "built.json").write_text(json.dumps(figures), encoding="utf-8")


if __name__ == "__main__":
    build_for(Path(sys.argv[1]))
