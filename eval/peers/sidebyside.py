"""This project beside other retrieval systems, one after the other: the same articles, questions and weights."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.peers.environments import run_peer
from indexer.errors import ArticleError, DatasetError, InputError

if TYPE_CHECKING:
    from eval.datasets import Dataset

OURS = "ours"

PEERS = {
    OURS: "this project, default settings",
    "txtai": "txtai hybrid, defaults",
    "haystack": "Haystack BM25 + dense, RRF",
    "lancedb": "LanceDB full text + dense, RRF",
    "faiss": "FAISS + sentence-transformers",
}

WORDS_PER_CHUNK = 180
LIMIT = 10

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class SideBySide:
    """What the systems did.

    Attributes:
        results: system to what its `build` and `serve` wrote.
        chunks: finished ones, which the peers index.
        load_before: the machine's load average when the run began. Processor times stand beside all times because
            something else may have run.
    """

    results: Mapping[str, Mapping[str, Any]]
    articles: int
    chunks: int
    load_before: float


def parse_peers(names: str) -> list[str]:
    """Peers of a comma-separated list, ours always first. Raises InputError."""
    chosen = [name.strip() for name in names.split(",") if name.strip() and name.strip() != OURS]
    if unknown := [name for name in chosen if name not in PEERS]:
        known = ", ".join(name for name in PEERS if name != OURS)
        raise InputError(f"no peer {unknown[0]!r}; choose from {known}")
    return [OURS, *dict.fromkeys(chosen)]


def run_side_by_side(
    dataset: Dataset,
    names: Sequence[str],
    work_dir: Path,
    peers_dir: Path,
    progress: Progress = lambda stage, done, total: None,
) -> SideBySide:
    """Run every system after the other, so that none takes the processor from another.

    Raises:
        DatasetError: the data set has no ticket that can be scored.
        PeerError: a peer cannot be installed or fails.
    """
    if not dataset.tickets:
        raise DatasetError(f"{dataset.folder} has no ticket that can be scored; add labels to qrels")
    load_before = os.getloadavg()[0]
    chunks = list(article_chunks(dataset.articles_dir))
    queries = [{"id": ticket.query_id, "title": ticket.title, "text": ticket.text} for ticket in dataset.tickets]
    left_out = [
        {**query, "without": sorted(ticket.relevant)}
        for query, ticket in zip(queries, dataset.tickets, strict=True)
        if ticket.answerable
    ]
    results: dict[str, dict[str, Any]] = {}
    for name in names:
        folder = (work_dir / name).resolve()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        job = {
            "folder": str(folder / "index"),
            "articles_dir": str(dataset.articles_dir.resolve()),
            "chunks": chunks,
            "queries": queries,
            "left_out": left_out,
            "limit": LIMIT,
        }
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        stages = _Stages(name, progress)
        run_peer(name, folder / "job.json", peers_dir, stage=stages.begin)
        stages.end()
        results[name] = {mode: json.loads((folder / f"{mode}.json").read_text()) for mode in ("build", "serve")}
    return SideBySide(results, len({chunk["article"] for chunk in chunks}), len(chunks), load_before)


class _Stages:
    """Turns what begins into steps that begin and end, each a line or a bar of the progress."""

    def __init__(self, name: str, progress: Progress) -> None:
        self._name, self._progress, self._current = name, progress, ""

    def begin(self, what: str) -> None:
        self.end()
        self._current = f"{self._name}: {what}"
        self._progress(self._current, 0, 1)

    def end(self) -> None:
        if self._current:
            self._progress(self._current, 1, 1)


def article_chunks(articles_dir: Path) -> Iterator[dict[str, str]]:
    """Sections cut at 180 words, each under its heading path: what the peers index, ready-made.

    Earlier where the model would not read all of it: what lies behind its limit is dropped without a word.
    """
    from indexer.articles import find_articles, read_article
    from indexer.chunking import strip_markup
    from indexer.embedding import DEFAULT_MAX_TOKENS, count_with, default_model_dir, load_tokenizer

    tokenizer, most = load_tokenizer(default_model_dir()), DEFAULT_MAX_TOKENS - 2  # two are the model's own
    for file in find_articles(articles_dir):
        try:
            article = read_article(articles_dir, file)
        except ArticleError:
            continue
        for section in article.sections:
            blocks = [strip_markup(article.source.text[block.start : block.end]) for block in section.blocks]
            words, heading = "\n".join(blocks).split(), " > ".join(section.heading_path)
            while words:
                size = min(len(words), WORDS_PER_CHUNK)
                while True:
                    text = f"{heading}\n{' '.join(words[:size])}"
                    if size == 1 or count_with(tokenizer, [text])[0] <= most:
                        break
                    size = size * 9 // 10
                yield {"article": article.path, "text": text}
                words = words[size:]
