"""The files of one index version, written in one pass over the articles: a few of them in memory at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from indexer.arrays import save_array
from indexer.dense import IndexType, build_dense
from indexer.derived import Derived
from indexer.embedding import Vectors
from indexer.geometry import fit_transform, self_similarity, transform, transform_with_scales
from indexer.publishing import Learned, write_learned
from indexer.snapshot import (
    CHUNKS,
    GEOMETRY,
    MEAN_NORMS,
    OPENINGS,
    RAW_SCALES,
    SIGNATURES,
    STATISTICS,
    VECTORS,
    WORDS,
)
from indexer.store import StoreWriter
from indexer.words import WordsWriter

_ROWS_AT_A_TIME = 8192


def write_texts(folder: Path, articles: Iterable[Derived], advance: Callable[[int], None]) -> None:
    """Write store, chunk table, signatures and word index for `articles`, whose order gives their rows.

    Args:
        advance: called with the number of articles done.
    """
    signatures: dict[str, list[int]] = {}
    words = WordsWriter()
    first_chunk = 0
    with StoreWriter(folder) as store, (folder / CHUNKS).open("wb") as chunks:
        for row, article in enumerate(articles):
            store.add({**article.card, "row": row, "first_chunk": first_chunk}, article.record)
            placed = article.chunks.copy()
            placed["article"] = row
            chunks.write(placed.tobytes())
            for signature in article.signatures:
                signatures.setdefault(signature, []).append(row)
            words.add(article.terms)
            first_chunk += len(placed)
            advance(row + 1)
    words.write(folder / WORDS)
    (folder / SIGNATURES).write_text(json.dumps(signatures, sort_keys=True, ensure_ascii=False), encoding="utf-8")


def write_vectors(
    folder: Path,
    chunks: Vectors,
    openings: Vectors,
    paths: Sequence[str],
    chunk_counts: Sequence[int],
    kind: IndexType,
    learned: Learned,
) -> None:
    """Write everything that comes from vectors, and what was learned.

    Args:
        chunks: the embedder's vectors of all chunks, shape (chunks, d); overwritten with what is published.
        openings: those of the articles' openings, shape (articles, d).
        paths: the articles' paths, shape (articles,).
        chunk_counts: how many chunks each article has, none of them 0.
    """
    geometry = fit_transform(chunks)
    scales = np.empty(len(chunks), np.float32)
    for start in range(0, len(chunks), _ROWS_AT_A_TIME):
        rows = slice(start, start + _ROWS_AT_A_TIME)
        chunks[rows], scales[rows] = transform_with_scales(chunks[rows], geometry)
    counts = np.asarray(chunk_counts)
    means = np.add.reduceat(chunks, np.cumsum(counts) - counts)
    means /= counts[:, None].astype(np.float32)
    heads = transform(openings, geometry)
    save_array(folder / GEOMETRY, geometry)
    save_array(folder / MEAN_NORMS, np.linalg.norm(means, axis=1).astype(np.float32))
    save_array(folder / RAW_SCALES, scales)
    (folder / STATISTICS).write_text(json.dumps({"self_similarity": self_similarity(heads, means)}), encoding="utf-8")
    build_dense(folder / VECTORS, chunks, kind)
    build_dense(folder / OPENINGS, heads, IndexType.FLAT)
    write_learned(folder, learned, paths, means, geometry)
