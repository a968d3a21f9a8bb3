"""Retrieval over one index version: dense, lexical and exact evidence, gathered article by article.

The searches run inside the scope and only propose candidates. Every candidate is then measured in full, by every
signal, so no score depends on how deep a list happened to be cut. A fixed background sample of the visible articles is
measured along with them: it tells what an ordinary article scores for this very query.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from indexer.dense import Mask, Selection
from indexer.embedding import Vectors
from indexer.geometry import transform
from indexer.scope import Scope
from indexer.snapshot import Snapshot

Rows = NDArray[np.int64]
Scores = NDArray[np.float32]

BACKGROUND_ARTICLES = 256
"""Size of the background sample; a smaller corpus is its own background."""

_TOP_PASSAGES = 3


@dataclass(frozen=True, slots=True)
class Query:
    """One question to the engine.

    Attributes:
        vector: unit vector of the question as the embedder made it, shape (dimensions,).
        text: what the word searches read; a title that stands in it twice counts more.
        signatures: exact error signatures in the question.
        scope: what the caller may see.
        limit: how many articles each search proposes.
        excluded: paths of articles that are treated as not there.
        as_of: ISO date; only resolved tickets from before that day count. Empty for all of them.
    """

    vector: Vectors
    text: str
    signatures: frozenset[str]
    scope: Scope
    limit: int = 60
    excluded: frozenset[str] = frozenset()
    as_of: str = ""


@dataclass(frozen=True, slots=True)
class Signals:
    """What was measured of some articles; all arrays of shape (articles,) and in the order of `rows`.

    Attributes:
        passages: mean cosine of the three best chunks.
        plain: the same before the corpus' geometry, as the embedder has it.
        gist: cosine with the article's mean chunk.
        opening: cosine with title and summary.
        words: BM25F.
        held: weight of the question's words that the article holds at all; see `Evidence.terms`.
        likeness: cosine of the best chunk before the corpus' geometry: plain closeness of meaning, comparable between
            corpora.
        prototype, votes: what similar resolved tickets say (`indexer.history`); zeros without a history.
    """

    rows: Rows
    passages: Scores
    plain: Scores
    gist: Scores
    opening: Scores
    words: Scores
    held: Scores
    likeness: Scores
    prototype: Scores
    votes: Scores


@dataclass(frozen=True, slots=True)
class Evidence:
    """The engine's answer: the same signals of the candidates and of the background, and exact matches.

    Attributes:
        signatures: for a candidate's row, the question's signatures that the article holds.
        similar_tickets: for a candidate's row, how many of the most similar resolved tickets it resolved.
        trust: 0 to 1, how far the history as a whole is to be believed; 0 without one.
        self_similarity: how much alike the corpus' articles are among themselves, as a cosine.
        vector: the question in the corpus' geometry, for `chunk_scores`.
        terms: those words of the question that any article holds, analysed and put right, with what each counts.
        signature_count: how many exact signatures the question has.
    """

    candidates: Signals
    background: Signals
    signatures: dict[int, tuple[str, ...]]
    similar_tickets: dict[int, int]
    trust: float
    self_similarity: float
    vector: Vectors
    terms: dict[str, float]
    signature_count: int


@dataclass(frozen=True, slots=True)
class _View:
    """One scope's share of the snapshot."""

    chunks: Selection
    articles: Selection
    mask: Mask
    sample: Rows


class RetrievalEngine:
    """FAISS, tantivy and BM25F over one snapshot. Read-only and thread-safe."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._article_of: Rows = np.asarray(snapshot.chunks["article"], np.int64)
        self._first_chunk = np.array([card.first_chunk for card in snapshot.store.cards], np.int64)
        self._chunk_count = np.array([card.chunk_count for card in snapshot.store.cards], np.int64)
        self._inverse: Vectors = np.linalg.inv(snapshot.geometry.astype(np.float64)).astype(np.float32)
        self._paths = {card.path: card.row for card in snapshot.store.cards}
        self._view = lru_cache(maxsize=256)(self._make_view)

    def search(self, query: Query) -> Evidence:
        """Evidence about every article of the scope that any search, or a similar resolved ticket, proposes."""
        snapshot, view = self.snapshot, self._view(query.scope)
        vector = transform(query.vector[None, :], snapshot.geometry)[0]
        weights = snapshot.words.query_weights(query.text)
        words, held = snapshot.words.scores(weights)
        tickets = snapshot.history.evidence(vector, query.as_of) if snapshot.history else None
        signatures = self._signatures(query.signatures, view.mask)
        rows: set[int] = {*signatures, *_best(words * view.mask, query.limit)}
        if tickets is not None:
            rows.update(_best(tickets.votes * view.mask, query.limit))
            rows.update(_best(np.maximum(tickets.prototype, 0.0) * view.mask, query.limit))
        # An article has several chunks among the best, so the passage searches look deeper.
        chunks = [row for row, _ in snapshot.lexical.search(query.text, query.scope, 2 * query.limit)]
        chunks.extend(snapshot.vectors.search(vector[None, :], view.chunks, 4 * query.limit)[0].rows.tolist())
        rows.update(self._article_of[chunks].tolist() if chunks else ())
        rows.update(snapshot.openings.search(vector[None, :], view.articles, query.limit)[0].rows.tolist())
        hidden = {self._paths[path] for path in query.excluded if path in self._paths}
        candidates = np.array(sorted(rows - hidden), np.int64)
        background = view.sample[~np.isin(view.sample, list(hidden))] if hidden else view.sample
        measured = np.union1d(candidates, background)
        passages, plain, gist, likeness = self._compare(vector, self._inverse @ query.vector, measured)
        none = np.zeros(len(measured), np.float32)
        both = Signals(
            rows=measured,
            passages=passages,
            plain=plain,
            gist=gist,
            opening=snapshot.openings.vectors(measured) @ vector,
            words=words[measured],
            held=held[measured],
            likeness=likeness,
            prototype=none if tickets is None else tickets.prototype[measured],
            votes=none if tickets is None else tickets.votes[measured],
        )
        counts = [] if tickets is None else candidates[tickets.counts[candidates] > 0].tolist()
        return Evidence(
            candidates=_take(both, np.searchsorted(measured, candidates)),
            background=_take(both, np.searchsorted(measured, background)),
            signatures={row: found for row, found in signatures.items() if row not in hidden},
            similar_tickets={} if tickets is None else {row: int(tickets.counts[row]) for row in counts},
            trust=0.0 if tickets is None else tickets.trust,
            self_similarity=snapshot.self_similarity,
            vector=vector,
            terms=weights,
            signature_count=len(query.signatures),
        )

    def chunk_scores(self, vector: Vectors, row: int) -> Scores:
        """Cosine of `vector`, in the corpus' geometry, with each chunk of the article at `row`, in reading order."""
        first, count = int(self._first_chunk[row]), int(self._chunk_count[row])
        scores: Scores = self.snapshot.vectors.vectors(np.arange(first, first + count)) @ vector
        return scores

    def visible(self, scope: Scope) -> Mask:
        """Which article rows the scope admits: shape (articles,)."""
        return self._view(scope).mask

    def rarity(self, signature: str) -> float:
        """How telling a signature is: 1 where one article has it, towards 0 where all do; 0 if none has it."""
        held = len(self.snapshot.signatures.get(signature, ()))
        count = max(2, len(self.snapshot.store.cards))
        return float(np.log(count / held) / np.log(count)) if held else 0.0

    def _compare(self, vector: Vectors, raw_vector: Vectors, rows: Rows) -> tuple[Scores, Scores, Scores, Scores]:
        """Cosines of the question with the articles at `rows`, from all chunks: passages, plain, gist, likeness.

        Args:
            vector: the question in the corpus' geometry.
            raw_vector: the question taken back through it, for cosines as the embedder has them.
        """
        if len(rows) == 0:
            none: Scores = np.empty(0, np.float32)
            return none, none, none, none
        counts = self._chunk_count[rows]
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        chunks = np.repeat(self._first_chunk[rows] - starts, counts) + np.arange(int(counts.sum()))
        cosines, raw = (self.snapshot.vectors.vectors(chunks) @ np.stack([vector, raw_vector], axis=1)).T
        raw = raw * self.snapshot.raw_scales[chunks]
        cells = np.repeat(np.arange(len(rows)), counts), np.arange(len(cosines)) - np.repeat(starts, counts)
        gist = np.add.reduceat(cosines, starts) / counts / np.maximum(self.snapshot.mean_norms[rows], 1e-6)
        return (
            _mean_of_best(cosines, cells, (len(rows), int(counts.max()))),
            _mean_of_best(raw, cells, (len(rows), int(counts.max()))),
            gist.astype(np.float32),
            np.maximum.reduceat(raw, starts).astype(np.float32),
        )

    def _signatures(self, wanted: frozenset[str], mask: Mask) -> dict[int, tuple[str, ...]]:
        found: dict[int, list[str]] = {}
        for signature in sorted(wanted):
            for row in self.snapshot.signatures.get(signature, ()):
                if mask[row]:
                    found.setdefault(row, []).append(signature)
        return {row: tuple(names) for row, names in found.items()}

    def _make_view(self, scope: Scope) -> _View:
        cards = self.snapshot.store.cards
        mask = np.fromiter((scope.admits(card.audience, card.product_set) for card in cards), np.bool_, len(cards))
        rows = np.flatnonzero(mask)
        # A stride over path order: the same articles every time, from all parts of the corpus.
        sample = rows[np.linspace(0, len(rows) - 1, min(len(rows), BACKGROUND_ARTICLES)).astype(np.int64)]
        return _View(Selection(mask[self._article_of]), Selection(mask), mask, sample)


def _mean_of_best(values: Scores, cells: tuple[Rows, Rows], shape: tuple[int, int]) -> Scores:
    """The mean of the `_TOP_PASSAGES` largest values of each row, `cells` being where each value belongs."""
    table = np.full(shape, -np.inf, np.float32)
    table[cells] = values
    top = min(_TOP_PASSAGES, shape[1])
    best = -np.partition(-table, top - 1, axis=1)[:, :top]
    kept = np.isfinite(best)
    mean: Scores = (np.where(kept, best, 0.0).sum(axis=1) / kept.sum(axis=1)).astype(np.float32)
    return mean


def _best(scores: Scores, limit: int) -> list[int]:
    if limit >= len(scores):
        every: list[int] = np.flatnonzero(scores > 0).tolist()
        return every
    top = np.argpartition(-scores, limit)[:limit]
    found: list[int] = top[scores[top] > 0].tolist()
    return found


def _take(signals: Signals, part: Rows) -> Signals:
    return Signals(*(getattr(signals, field.name)[part] for field in fields(Signals)))
