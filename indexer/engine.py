"""Retrieval over one index version: evidence from meaning, words and exact signatures, article by article.

The searches run inside the scope and only propose candidates. Every candidate is then measured in full, by every
signal, so no score depends on how deep a list happened to be cut. A fixed background sample of the visible articles is
measured along with them: it tells what an ordinary article scores for this very query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from indexer.audience import Audience
from indexer.dense import Mask, Selection
from indexer.embedding import Signs, Vectors
from indexer.geometry import transform
from indexer.scope import Scope
from indexer.snapshot import Snapshot
from indexer.spelling import Spelling
from indexer.tokens import NO_SIGNS, Cosines, TokenTable
from indexer.words import WordIndex

Rows = NDArray[np.int64]
Scores = NDArray[np.float32]

BACKGROUND_ARTICLES = 256
"""Size of the background sample; a smaller corpus is its own background."""

_TOP_PASSAGES = 3
_CHUNKS_AT_A_TIME = 512
"""Stored vectors fetched at a time: 0.8 MB, which stays in the processor's cache."""
_WIDE = 128
"""Chunks from which on an article is looked at by itself, so that a huge one does not make a huge table."""


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
        signs: of the question's tokens (`embedding.Encoded.signs`); no search reads them, what decides does.
    """

    vector: Vectors
    text: str
    signatures: frozenset[str]
    scope: Scope
    limit: int = 60
    excluded: frozenset[str] = frozenset()
    as_of: str = ""
    signs: Signs = field(default_factory=lambda: NO_SIGNS)


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
class ChunkCosines:
    """Cosines of the question with every chunk of some articles, in the corpus' geometry.

    Attributes:
        rows: the articles, ascending; shape (articles,).
        starts: where each article's chunks begin in `values`; shape (articles + 1,).
        values: in reading order within an article; shape (chunks,).
    """

    rows: Rows
    starts: Rows
    values: Scores

    def of(self, row: int) -> Scores:
        """Those of the article at `row`, which must be among `rows`."""
        place = int(self.rows.searchsorted(row))
        return self.values[self.starts[place] : self.starts[place + 1]]


@dataclass(frozen=True, slots=True)
class TokenCosines:
    """The question token by token, to be compared with the articles that `cosines` is of.

    Attributes:
        signs: of the question's tokens; no rows where the embedder gives none.
        table: None in a version that was made before tokens were kept.
        first_chunk: of each article of the index.
    """

    signs: Signs
    table: TokenTable | None
    cosines: ChunkCosines
    first_chunk: Rows

    def of(self, row: int) -> Cosines:
        """As `TokenTable.nearness`, of the article at `row`; no values where tokens are not known."""
        if self.table is None:
            return np.empty(0)
        return self.table.nearness(self.signs, int(self.first_chunk[row]), self.cosines.of(row))


@dataclass(frozen=True, slots=True)
class Evidence:
    """The engine's answer: the same signals of the candidates and of the background, and exact matches.

    Attributes:
        signatures: for a candidate's row, the question's signatures that the article holds.
        similar_tickets: for a candidate's row, how many of the most similar resolved tickets it resolved.
        trust: 0 to 1, how far the history as a whole is to be believed; 0 without one.
        self_similarity: how much alike the corpus' articles are among themselves, as a cosine.
        cosines: chunk by chunk, of every candidate.
        terms: those words of the question that an article of these audiences holds, analysed and put right, with what
            each counts.
        rarities: how telling each signature of the question is among the articles of these audiences: 1 where one has
            it, towards 0 where all do; only those that one has.
        signature_count: how many exact signatures the question has.
        tokens: the question token by token, before any candidate.
    """

    candidates: Signals
    background: Signals
    signatures: dict[int, tuple[str, ...]]
    similar_tickets: dict[int, int]
    trust: float
    self_similarity: float
    cosines: ChunkCosines
    terms: dict[str, float]
    rarities: dict[str, float]
    signature_count: int
    tokens: TokenCosines


@dataclass(frozen=True, slots=True)
class _Audience:
    """What callers of certain audiences may know of the corpus, whatever products they ask about.

    Attributes:
        mask: which articles those audiences open; shape (articles,).
        words: which words these hold, and how rare each is among them.
    """

    mask: Mask
    words: WordIndex


@dataclass(frozen=True, slots=True)
class _View:
    """One scope's share of the snapshot. `sample`: which articles are the background, shape (articles,)."""

    chunks: Selection
    articles: Selection
    mask: Mask
    sample: Mask
    audience: _Audience


class RetrievalEngine:
    """FAISS and BM25F over one snapshot. Read-only and thread-safe."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._article_of: Rows = np.asarray(snapshot.chunks["article"], np.int64)
        self._first_chunk = np.array([card.first_chunk for card in snapshot.store.cards], np.int64)
        self._chunk_count = np.array([card.chunk_count for card in snapshot.store.cards], np.int64)
        self._inverse: Vectors = np.linalg.inv(snapshot.geometry.astype(np.float64)).astype(np.float32)
        self._paths = {card.path: card.row for card in snapshot.store.cards}
        self._audience = lru_cache(maxsize=4)(self._make_audience)
        self._view = lru_cache(maxsize=256)(self._make_view)

    def search(self, query: Query) -> Evidence:
        """Evidence about every article of the scope that any search, or a similar resolved ticket, proposes."""
        snapshot, view = self.snapshot, self._view(query.scope)
        vector = transform(query.vector[None, :], snapshot.geometry)[0]
        weights = view.audience.words.query_weights(query.text)
        words, held = view.audience.words.scores(weights)
        tickets = snapshot.history.evidence(vector, weights, query.as_of) if snapshot.history else None
        signatures = self._signatures(query.signatures, view.mask)
        hidden = [self._paths[path] for path in query.excluded if path in self._paths]
        measures = [words] if tickets is None else [words, tickets.votes, tickets.prototype]
        proposed, usual = self._propose(view, vector, measures, query.limit), view.sample.copy()
        proposed[list(signatures)] = True
        proposed[hidden] = usual[hidden] = False
        rows = np.flatnonzero(proposed | usual)
        cosines, *by_chunk = self._compare(vector, self._inverse @ query.vector, rows)
        none = np.zeros(len(rows), np.float32)
        table = np.stack(
            [
                *by_chunk,
                snapshot.openings.vectors(rows) @ vector,
                words[rows],
                held[rows],
                none if tickets is None else tickets.prototype[rows],
                none if tickets is None else tickets.votes[rows],
            ]
        )
        candidates = rows[proposed[rows]]
        counts = [] if tickets is None else candidates[tickets.counts[candidates] > 0].tolist()
        return Evidence(
            candidates=_signals(candidates, table[:, proposed[rows]]),
            background=_signals(rows[usual[rows]], table[:, usual[rows]]),
            signatures={row: found for row, found in signatures.items() if row not in hidden},
            similar_tickets={} if tickets is None else {row: int(tickets.counts[row]) for row in counts},
            trust=0.0 if tickets is None else tickets.trust,
            self_similarity=snapshot.self_similarity,
            cosines=cosines,
            terms=weights,
            rarities=self._rarities(query.signatures, view.audience.mask),
            signature_count=len(query.signatures),
            tokens=TokenCosines(query.signs, snapshot.tokens, cosines, self._first_chunk),
        )

    def declared_errors(self, text: str, scope: Scope) -> frozenset[str]:
        """Signatures of the errors in `text` that an article of the scope's audiences names in its front matter."""
        mask = self._view(scope).audience.mask
        return frozenset(key for key in self.snapshot.declared.find(text) if mask[self.snapshot.signatures[key]].any())

    def spelling(self, scope: Scope) -> Spelling:
        """Puts misspelt words right, to those that articles of the scope's audiences use."""
        return self._view(scope).audience.words.spelling

    def visible(self, scope: Scope) -> Mask:
        """Which article rows the scope admits: shape (articles,)."""
        return self._view(scope).mask

    def _propose(self, view: _View, vector: Vectors, measures: Sequence[Scores], limit: int) -> Mask:
        """Which articles of the view the vector searches find, or one of `measures` (of all articles) puts first."""
        proposed = np.zeros(len(view.mask), np.bool_)
        # An article has several chunks among the best, so the passage search looks deeper.
        passages = self.snapshot.vectors.search(vector[None, :], view.chunks, 4 * limit)[0]
        proposed[self._article_of[passages.rows]] = True
        proposed[self.snapshot.openings.search(vector[None, :], view.articles, limit)[0].rows] = True
        for measure in measures:
            proposed[_best(np.where(view.mask, measure, 0.0), limit)] = True
        return proposed

    def _compare(
        self, vector: Vectors, raw_vector: Vectors, rows: Rows
    ) -> tuple[ChunkCosines, Scores, Scores, Scores, Scores]:
        """Cosines of the question with the articles at `rows`, from all chunks; passages, plain, gist, likeness.

        Args:
            vector: the question in the corpus' geometry.
            raw_vector: the question taken back through it, for cosines as the embedder has them.
        """
        counts = self._chunk_count[rows]
        starts = np.concatenate([[0], np.cumsum(counts)])
        chunks = np.repeat(self._first_chunk[rows] - starts[:-1], counts) + np.arange(starts[-1])
        cosines, raw = products = np.empty((2, len(chunks)), np.float32)
        for start in range(0, len(chunks), _CHUNKS_AT_A_TIME):
            part = slice(start, start + _CHUNKS_AT_A_TIME)
            stored = self.snapshot.vectors.vectors(chunks[part])
            np.matmul(stored, vector, out=cosines[part])
            np.matmul(stored, raw_vector, out=raw[part])
        raw *= self.snapshot.raw_scales[chunks]
        together = ChunkCosines(rows, starts, cosines)
        if len(rows) == 0:
            return together, cosines, cosines, cosines, cosines
        gist = np.add.reduceat(cosines, starts[:-1]) / counts / np.maximum(self.snapshot.mean_norms[rows], 1e-6)
        passages, plain = _mean_of_best(products, starts[:-1], counts)
        return together, passages, plain, gist.astype(np.float32), np.maximum.reduceat(raw, starts[:-1])

    def _signatures(self, wanted: frozenset[str], mask: Mask) -> dict[int, tuple[str, ...]]:
        found: dict[int, list[str]] = {}
        for signature in sorted(wanted):
            for row in self.snapshot.signatures.get(signature, ()):
                if mask[row]:
                    found.setdefault(row, []).append(signature)
        return {row: tuple(names) for row, names in found.items()}

    def _rarities(self, wanted: frozenset[str], mask: Mask) -> dict[str, float]:
        count = max(2, int(mask.sum()))
        held = {name: int(mask[list(self.snapshot.signatures.get(name, ()))].sum()) for name in sorted(wanted)}
        return {name: float(np.log(count / holders) / np.log(count)) for name, holders in held.items() if holders}

    def _make_audience(self, audiences: frozenset[Audience]) -> _Audience:
        mask = np.array([card.audience in audiences for card in self.snapshot.store.cards], np.bool_)
        return _Audience(mask, self.snapshot.words.within(mask))

    def _make_view(self, scope: Scope) -> _View:
        cards = self.snapshot.store.cards
        mask = np.fromiter((scope.admits(card.audience, card.product_set) for card in cards), np.bool_, len(cards))
        rows = np.flatnonzero(mask)
        sample = np.zeros(len(cards), np.bool_)
        # A stride over path order: the same articles every time, from all parts of the corpus.
        sample[rows[np.linspace(0, len(rows) - 1, min(len(rows), BACKGROUND_ARTICLES)).astype(np.int64)]] = True
        chunks, articles = Selection(mask[self._article_of]), Selection(mask)
        return _View(chunks, articles, mask, sample, self._audience(scope.audiences))


def _mean_of_best(values: Scores, starts: Rows, counts: Rows) -> Scores:
    """The mean of each article's `_TOP_PASSAGES` largest values.

    Args:
        values: shape (kinds, chunks).
        starts, counts: the chunks of each article, none without; shape (articles,).
    """
    width = min(_WIDE, max(_TOP_PASSAGES, int(counts.max())))
    shown = np.minimum(counts, width)
    places = np.arange(int(shown.sum())) - np.repeat(np.cumsum(shown) - shown, shown)
    table = np.full((len(values), len(counts), width), -np.inf, np.float32)
    table[:, np.repeat(np.arange(len(counts)), shown), places] = values[:, np.repeat(starts, shown) + places]
    best = np.partition(table, -_TOP_PASSAGES, axis=2)[:, :, -_TOP_PASSAGES:]
    for article in np.flatnonzero(counts > width).tolist():
        whole = values[:, starts[article] : starts[article] + counts[article]]
        best[:, article] = np.partition(whole, -_TOP_PASSAGES, axis=1)[:, -_TOP_PASSAGES:]
    best[np.isinf(best)] = 0.0
    mean: Scores = best.sum(axis=2) / np.minimum(counts, _TOP_PASSAGES).astype(np.float32)
    return mean


def _best(scores: Scores, limit: int) -> Rows:
    """Rows of the `limit` largest of the positive `scores`, in no order."""
    if limit >= len(scores):
        return np.flatnonzero(scores > 0)
    top = np.argpartition(scores, -limit)[-limit:]
    return top[scores[top] > 0]


def _signals(rows: Rows, table: Scores) -> Signals:
    passages, plain, gist, likeness, opening, words, held, prototype, votes = table
    return Signals(rows, passages, plain, gist, opening, words, held, likeness, prototype, votes)
