"""FAISS layouts and text postings at sizes that no corpus of articles here has: made-up vectors, real words.

The vectors are clustered: each lies near one of many subjects, as passages do, and so do the questions. Vectors without
clusters would make every approximate layout look hopeless, and well separated ones would flatter it.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.bench.corpus import around, subject_vectors
from eval.peers.environments import PeerError
from indexer.dense import DenseIndex, IndexType, Selection, build_dense
from indexer.embedding import Vectors
from indexer.words import ArticleText, WordIndex, build_words

_DIMENSIONS = 384
_QUESTIONS = 200
_DEPTH = 10
_WORDS_PER_PASSAGE = 60


@dataclass(frozen=True, slots=True)
class LayoutFigures:
    """One layout at one size.

    Attributes:
        build_peak_mb: of the building process, the vectors themselves included.
        resident_mb: what the searching process holds more than before it opened the index, after the questions.
        p50_ms, p95_ms: one question, one thread, everything in scope.
        half_p95_ms: the same with a filter that admits every second passage.
        recall: share of the exact ten nearest that are among the ten found.
    """

    layout: str
    count: int
    build_s: float
    build_peak_mb: float
    disk_mb: float
    resident_mb: float
    p50_ms: float
    p95_ms: float
    half_p95_ms: float
    recall: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class PostingFigures:
    """The word index over so many short articles: words of the project's articles in their own proportions."""

    count: int
    build_s: float
    disk_mb: float
    p50_ms: float
    p95_ms: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure_scale(
    count: int,
    layouts: Sequence[IndexType],
    texts: Sequence[str],
    questions: Sequence[str],
    work_dir: Path,
    progress: Callable[[str, int, int], None],
) -> tuple[list[LayoutFigures], PostingFigures]:
    """Every layout over the same `count` vectors, flat first as the yardstick, and word postings of `count` passages.

    Raises:
        PeerError: a measuring process fails, for want of memory for instance.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    wanted = [IndexType.FLAT, *(layout for layout in layouts if layout is not IndexType.FLAT)]
    found = []
    for number, layout in enumerate(wanted):
        progress("layouts", number, len(wanted))
        for step in ("build", "search"):
            _in_process(step, layout, count, work_dir)
        found.append(_read_figures(layout, count, work_dir))
        progress("layouts", number + 1, len(wanted))
    for layout in wanted:
        (work_dir / f"{layout}.faiss").unlink()
    progress("postings", 0, 1)
    postings = measure_postings(count, texts, questions, work_dir / "postings")
    progress("postings", 1, 1)
    return found, postings


def made_up_vectors(count: int) -> Vectors:
    """`count` unit vectors around count/200 subjects of unequal size (Zipf), the same ones each time."""
    rng = np.random.default_rng(5)
    subjects = subject_vectors(max(8, count // 200), _DIMENSIONS)
    weights = 1.0 / np.arange(10, len(subjects) + 10)
    out = np.empty((count, _DIMENSIONS), np.float32)
    for start in range(0, count, 65_536):
        end = min(count, start + 65_536)
        out[start:end] = around(subjects[rng.choice(len(subjects), end - start, p=weights / weights.sum())], rng)
    return out


def made_up_questions(count: int) -> Vectors:
    """Questions about passages of `made_up_vectors(count)`: each near one of its subjects."""
    rng = np.random.default_rng(6)
    subjects = subject_vectors(max(8, count // 200), _DIMENSIONS)
    return around(subjects[rng.integers(0, len(subjects), _QUESTIONS)], rng)


def measure_postings(count: int, texts: Sequence[str], questions: Sequence[str], folder: Path) -> PostingFigures:
    """Index `count` short articles of words drawn from `texts`, and ask `questions`."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    build_words(folder, _short_articles(count, texts))
    build_s = time.perf_counter() - started
    index = WordIndex(folder, count)
    took = []
    for text in questions[:_QUESTIONS]:
        started = time.perf_counter()
        index.scores(index.query_weights(text))
        took.append((time.perf_counter() - started) * 1000)
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
    p50, p95 = np.percentile(took, [50, 95])
    shutil.rmtree(folder)
    return PostingFigures(count, build_s, disk, float(p50), float(p95))


def _short_articles(count: int, texts: Sequence[str]) -> Iterator[ArticleText]:
    """Runs of words from random places of the texts, so that words come as often and as near together as they do."""
    rng = random.Random(3)  # noqa: S311 (no secret)
    words = " ".join(texts).split()
    for row in range(count):
        start = rng.randrange(max(1, len(words) - _WORDS_PER_PASSAGE))
        body = " ".join(words[start : start + _WORDS_PER_PASSAGE])
        yield ArticleText(body[:60], "", "", f"{body} item{row}")


def build_step(layout: IndexType, count: int, folder: Path) -> dict[str, float]:
    """Build one layout and write it."""
    file = folder / f"{layout}.faiss"
    vectors = made_up_vectors(count)
    started = time.perf_counter()
    build_dense(file, vectors, layout)
    return {
        "build_s": time.perf_counter() - started,
        "build_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "disk_mb": file.stat().st_size / 2**20,
    }


def search_step(layout: IndexType, count: int, folder: Path) -> dict[str, float]:
    """Ask one layout, keep what it found, and compare it with what the flat one found."""
    import faiss  # noqa: F401 (its own memory is not the index's)

    questions = made_up_questions(count)
    everything, half = Selection(np.ones(count, np.bool_)), Selection(np.arange(count) % 2 == 0)
    before = _resident_mb()
    index = DenseIndex(folder / f"{layout}.faiss")
    rows, took = _ask(index, questions, everything)
    _, took_half = _ask(index, questions, half)
    resident = _resident_mb() - before
    exact_file = folder / "exact.json"
    if layout is IndexType.FLAT:
        exact_file.write_text(json.dumps(rows))
    exact = json.loads(exact_file.read_text())
    shared = sum(len(set(one) & set(other)) for one, other in zip(rows, exact, strict=True))
    p50, p95 = np.percentile(took, [50, 95])
    return {
        "resident_mb": resident,
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        "half_p95_ms": float(np.percentile(took_half, 95)),
        "recall": shared / sum(len(other) for other in exact),
    }


def _ask(index: DenseIndex, questions: Vectors, selection: Selection) -> tuple[list[list[int]], list[float]]:
    index.search(questions[:1], selection, _DEPTH)
    rows, took = [], []
    for question in questions:
        started = time.perf_counter()
        found = index.search(question[None, :], selection, _DEPTH)[0]
        took.append((time.perf_counter() - started) * 1000)
        rows.append(found.rows.tolist())
    return rows, took


def _resident_mb() -> float:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _in_process(step: str, layout: IndexType, count: int, folder: Path) -> None:
    command = [sys.executable, "-m", "eval.bench.scale", step, layout.value, str(count), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise PeerError(f"{step} of {layout} with {count} vectors failed:\n{done.stderr[-1500:]}")


def _read_figures(layout: IndexType, count: int, folder: Path) -> LayoutFigures:
    figures: dict[str, float] = {}
    for step in ("build", "search"):
        figures |= json.loads((folder / f"{layout}-{step}.json").read_text())
    return LayoutFigures(layout=layout.value, count=count, **figures)


def main(step: str, layout: IndexType, count: int, folder: Path) -> None:
    """Entry point of a measuring process."""
    figures = (build_step if step == "build" else search_step)(layout, count, folder)
    (folder / f"{layout}-{step}.json").write_text(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], IndexType(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
