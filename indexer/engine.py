"""Retrieval over one index version: dense, lexical and exact evidence, gathered article by article.

Both searches run inside the scope and only propose candidates. Every candidate is then measured in full (all of its
chunks against all views of the query), so that no score depends on how deep a list happened to be cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from indexer.dense import Mask, Selection
from indexer.embedding import Vectors
from indexer.scope import Scope
from indexer.snapshot import Snapshot
from indexer.store import ArticleCard

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Query:
    """One question to the engine.

    Attributes:
        vectors: unit vectors of the query's views, shape (views, dimensions).
        text: what BM25 reads.
        signatures: exact error signatures in the query.
        scope: what the caller may see.
        limit: how deep each search proposes candidates.
    """

    vectors: Vectors
    text: str
    signatures: frozenset[str]
    scope: Scope
    limit: int = 60


@dataclass(frozen=True, slots=True)
class Candidate:
    """All evidence about one article.

    Attributes:
        card: the article.
        chunk_scores: cosine of every view with each of the article's chunks, shape (views, chunks).
        title_scores: cosine of every view with the title, shape (views,).
        lexical_chunks: BM25 of each chunk, shape (chunks,); 0 where it was not among the proposed.
        lexical_article: BM25 of the article as a whole; 0 where it was not among the proposed.
        signatures: the query's signatures that the article holds exactly.
    """

    card: ArticleCard
    chunk_scores: Scores
    title_scores: Scores
    lexical_chunks: Scores
    lexical_article: float
    signatures: tuple[str, ...]


class RetrievalEngine:
    """FAISS and tantivy over one snapshot. Read-only and thread-safe."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._article_of: NDArray[np.int64] = np.asarray(snapshot.chunks["article"], np.int64)
        self._select = lru_cache(maxsize=256)(self._make_selections)

    def search(self, query: Query, extra: Sequence[int] = ()) -> list[Candidate]:
        """Candidates inside the scope, with full evidence, in no particular order.

        Args:
            extra: rows of further articles to consider, such as those that resolved similar tickets. Rows outside the
                scope are passed over.
        """
        snapshot = self.snapshot
        chunk_selection, title_selection, mask = self._select(query.scope)
        lexical_chunks = dict(snapshot.lexical_chunks.search(query.text, query.scope, 2 * query.limit))
        lexical_articles = dict(snapshot.lexical_articles.search(query.text, query.scope, query.limit))
        signatures = self._signatures(query.signatures, mask)
        rows: set[int] = {*lexical_articles, *signatures, *(row for row in extra if mask[row])}
        rows.update(int(self._article_of[chunk]) for chunk in lexical_chunks)
        for found in snapshot.vectors.search(query.vectors, chunk_selection, 2 * query.limit):
            rows.update(self._article_of[found.rows].tolist())
        for found in snapshot.titles.search(query.vectors, title_selection, query.limit // 2):
            rows.update(found.rows.tolist())
        return self._measure(query.vectors, sorted(rows), lexical_chunks, lexical_articles, signatures)

    def visible(self, scope: Scope) -> Mask:
        """Which article rows the scope admits: shape (articles,)."""
        return self._select(scope)[2]

    def _measure(
        self,
        vectors: Vectors,
        rows: list[int],
        lexical_chunks: dict[int, float],
        lexical_articles: dict[int, float],
        signatures: dict[int, list[str]],
    ) -> list[Candidate]:
        snapshot = self.snapshot
        cards = [snapshot.store.cards[row] for row in rows]
        spans = [np.arange(card.first_chunk, card.first_chunk + card.chunk_count) for card in cards]
        chunk_rows = np.concatenate(spans) if spans else np.empty(0, np.int64)
        chunk_scores = vectors @ snapshot.vectors.vectors(chunk_rows).T
        title_scores = vectors @ snapshot.titles.vectors(np.asarray(rows, np.int64)).T
        candidates = []
        start = 0
        for position, (card, span) in enumerate(zip(cards, spans, strict=True)):
            stop = start + card.chunk_count
            candidates.append(
                Candidate(
                    card,
                    chunk_scores[:, start:stop],
                    title_scores[:, position],
                    np.array([lexical_chunks.get(int(chunk), 0.0) for chunk in span], np.float32),
                    lexical_articles.get(card.row, 0.0),
                    tuple(signatures.get(card.row, ())),
                )
            )
            start = stop
        return candidates

    def signature_frequency(self, signature: str) -> int:
        """Number of articles, in any scope, that hold the signature."""
        return len(self.snapshot.signatures.get(signature, ()))

    def _signatures(self, wanted: frozenset[str], mask: Mask) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for signature in sorted(wanted):
            for row in self.snapshot.signatures.get(signature, ()):
                if mask[row]:
                    found.setdefault(row, []).append(signature)
        return found

    def _make_selections(self, scope: Scope) -> tuple[Selection, Selection, Mask]:
        cards = self.snapshot.store.cards
        mask = np.fromiter((scope.admits(card.audience, card.product_set) for card in cards), np.bool_, len(cards))
        return Selection(mask[self._article_of]), Selection(mask), mask

