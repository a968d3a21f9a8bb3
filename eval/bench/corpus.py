"""What is indexed for a benchmark: the project's articles, made-up corpora of any size, and stand-in vectors."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from indexer.articles import Article, find_articles, read_article
from indexer.chunking import ChunkLimits, chunk_article, strip_markup
from indexer.embedding import (
    DEFAULT_MAX_TOKENS,
    DEFAULT_MODEL,
    DEFAULT_WEIGHTS_SHA256,
    Embedder,
    Encoded,
    Fingerprint,
    Precision,
    Vectors,
    count_with,
    default_model_dir,
    load_tokenizer,
)
from indexer.errors import DatasetError
from indexer.onnx_model import RECIPE
from service.json_lines import read_records

_DIMENSIONS = 384
_SUBJECTS = 2_000
_PARAGRAPHS_PER_ARTICLE = 10
_SPREAD = 0.75
"""Length of the noise around a subject, before normalising: neighbours of one subject have cosines of about 0.64."""


def copy_articles(source: Path, target: Path, passages: int) -> list[dict[str, str]]:
    """Copy articles, from all parts of `source`, until they hold `passages` chunks. Returns the chunks.

    Chunks are cut as the indexer cuts them, and are `{"article": path, "text": what is embedded}`.
    """
    tokenizer = load_tokenizer(default_model_dir())
    files = find_articles(source)
    if not files:
        raise DatasetError(f"there are no articles in {source}; name a folder of Markdown articles with --articles DIR")
    order = sorted(range(len(files)), key=lambda number: (number * 0.618034) % 1.0)
    chunks: list[dict[str, str]] = []
    for number in order:
        if len(chunks) >= passages:
            break
        article = read_article(source, files[number])
        cut = chunk_article(article, ChunkLimits(), lambda texts: count_with(tokenizer, texts))
        chunks += [{"article": article.path, "text": chunk.embedding_text} for chunk in cut]
        copy = target / article.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(files[number], copy)
    return chunks


def read_questions(folder: Path) -> tuple[list[str], list[str]]:
    """Questions of a ticket data set: short ones (subjects, a few words) and long ones (subject and text).

    Raises:
        DatasetError: there is no queries.jsonl, or it is malformed, or empty.
    """
    file = folder / "queries.jsonl"
    asked = [record.title_and_text() for record in read_records(file)]
    if not asked:
        raise DatasetError(f"{file} holds no query")
    long = [f"{title}\n{text}".strip() for title, text in asked]
    return [title for title, _ in asked if title.strip()] or long, long


def write_made_up_articles(source: Path, target: Path, chunk_count: int) -> None:
    """About `chunk_count` chunks in articles that are put together from paragraphs of real ones."""
    rng = random.Random(7)  # noqa: S311 (no secret)
    articles = [read_article(source, file) for file in find_articles(source)]
    titles = [article.title for article in articles]
    paragraphs = list(itertools.chain.from_iterable(_paragraphs(article) for article in articles))
    shutil.rmtree(target, ignore_errors=True)
    for number in range(max(1, chunk_count // _PARAGRAPHS_PER_ARTICLE)):
        title = f"{rng.choice(titles)} ({number})"
        audience = "public" if number % 3 else "internal"
        lines = ["---", f"title: {json.dumps(title)}", f"audience: {audience}", "---", "", f"# {title}", ""]
        for heading in range(_PARAGRAPHS_PER_ARTICLE):
            lines += [f"## {rng.choice(titles)} {heading}", "", rng.choice(paragraphs), ""]
        file = target / f"part-{number // 500:03}" / f"article-{number:06}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines), encoding="utf-8")


def _paragraphs(article: Article) -> Iterator[str]:
    for section in article.sections:
        for block in section.blocks:
            text = strip_markup(article.source.text[block.start : block.end]).replace("\n", " ")
            if 80 < len(text) < 700:
                yield text.replace("#", "").replace("<", "").replace("`", "")


class StandInEmbedder(Embedder):
    """Vectors of made-up subjects in place of the default model's, under its fingerprint: for indexes to be measured.

    What an index costs does not depend on what its vectors mean, and embedding 100,000 passages takes half an hour.
    """

    def __init__(self) -> None:
        self._counter = load_tokenizer(default_model_dir())
        self._subjects = subject_vectors(_SUBJECTS, _DIMENSIONS)

    @property
    def fingerprint(self) -> Fingerprint:
        return Fingerprint(
            DEFAULT_MODEL, DEFAULT_WEIGHTS_SHA256, Precision.INT8, _DIMENSIONS, DEFAULT_MAX_TOKENS, RECIPE
        )

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return count_with(self._counter, texts)

    def encode(self, texts: Sequence[str], max_tokens: int | None = None) -> Encoded:
        seeds = [zlib.crc32(text.encode()) for text in texts]
        subjects = self._subjects[np.array(seeds, np.int64) % _SUBJECTS]
        vectors = around(subjects, np.random.default_rng(seeds[0] if seeds else 0))
        return Encoded(vectors, (np.empty((0, _DIMENSIONS // 8), np.uint8),) * len(texts))


def subject_vectors(count: int, dimensions: int) -> Vectors:
    """Unit vectors in all directions, the same ones each time."""
    vectors: Vectors = np.random.default_rng(11).standard_normal((count, dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def around(subjects: Vectors, rng: np.random.Generator) -> Vectors:
    """A unit vector near each of `subjects`."""
    noise = rng.standard_normal(subjects.shape, np.float32)
    noise *= _SPREAD / subjects.shape[1] ** 0.5
    noise += subjects
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    return noise
