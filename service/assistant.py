"""The one class that answers. Free of any web framework: CLI, HTTP, MCP, connectors and evaluation all call it.

question -> views, signatures, spelling -> engine.search(scope) -> rank_articles -> snippets -> confidence -> Answer
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import starmap
from pathlib import Path

from indexer.articles import Article
from indexer.embedding import Embedder, Encoded, Vectors, encode_queries, load_embedder
from indexer.engine import Evidence, Query, RetrievalEngine
from indexer.errors import NotFound
from indexer.publishing import check_embedder
from indexer.scope import Scope
from indexer.snapshot import Snapshot, current_version
from indexer.source import Span
from indexer.store import ArticleCard
from service.answers import Answer, Correction, Question, Reason, Suggestion
from service.clarifying import MOST_OPTIONS, ask_to_separate, leading_rows
from service.decision import NOTHING, RIVALS, DecisionModel, Features, default_decision, read_decision
from service.evidence import Ranked, Weights, rank_articles
from service.excerpts import Excerpts, cut_excerpts
from service.queries import QueryViews, read_question
from service.snippets import choose_snippets

_KEPT_EXCERPTS = 1024
"""Articles kept in pieces ready to be cited."""


@dataclass(frozen=True, slots=True)
class _Live:
    """One index version being served; replaced as a whole when a new one is published."""

    engine: RetrievalEngine
    weights: Weights
    decision: DecisionModel
    excerpts: Callable[[int], Excerpts]


class Assistant:
    """Answers questions from one index directory. Thread-safe; a new index version is taken up by `refresh`.

    Attributes:
        index_dir: where the versions are published.
    """

    def __init__(self, index_dir: Path, embedder: Embedder | None = None, weights: Weights | None = None) -> None:
        """Open the live version.

        Args:
            embedder: the one to use; by default the one that made the index.
            weights: what each signal counts in the ranking; by default as in `Weights`.

        Raises:
            IndexNotFound, IndexCorrupt: see Snapshot.open.
            IndexMismatch: the index was made by another embedder than the one given.
        """
        self.index_dir = index_dir
        snapshot = Snapshot.open(index_dir)
        made_by = snapshot.manifest.fingerprint
        self._embedder = embedder or load_embedder(made_by.model, made_by.precision)
        self._weights = weights or Weights()
        self._live = self._open(snapshot)

    @property
    def index_version(self) -> str:
        """Name of the version that answers now."""
        return self._live.engine.snapshot.name

    @property
    def snapshot(self) -> Snapshot:
        """The version that answers now, for reading."""
        return self._live.engine.snapshot

    @property
    def threshold(self) -> float:
        """Confidence from which a suggestion is trusted."""
        return self._live.decision.threshold

    @property
    def embedder(self) -> Embedder:
        """What made the index' vectors; other vectors that are compared with them must come from it too."""
        return self._embedder

    def refresh(self) -> bool:
        """Take up a newly published version; returns whether there was one. Questions under way end on the old one.

        Raises as the constructor; the old version goes on serving then.
        """
        if current_version(self.index_dir) == self.index_version:
            return False
        self._live = self._open(Snapshot.open(self.index_dir))
        return True

    def answer(
        self, question: Question, scope: Scope, excluded: frozenset[str] = frozenset(), as_of: str = ""
    ) -> Answer:
        """Ranked articles with cited snippets, and whether they are trusted to answer `question`.

        Args:
            excluded: paths of articles to treat as not there.
            as_of: ISO date; only resolved tickets from before that day count. For replaying the past.
        """
        started = time.perf_counter()
        live = self._live
        views, evidence, ranked = self._consider(live, question, scope, excluded, as_of)
        confidence = live.decision.confidence(ranked, evidence)
        cards = live.engine.snapshot.store.cards
        suggestions = tuple(_suggest(live, item, evidence) for item in ranked[: question.limit])
        return Answer(
            answered=bool(suggestions) and confidence >= live.decision.threshold,
            confidence=confidence,
            threshold=live.decision.threshold,
            suggestions=suggestions,
            signatures=tuple(sorted(views.signatures)),
            clarification=ask_to_separate(views.full, [cards[row] for row in leading_rows(ranked, confidence)]),
            index_version=live.engine.snapshot.name,
            took_ms=(time.perf_counter() - started) * 1000,
            corrections=tuple(starmap(Correction, live.engine.spelling(scope).corrections(views.full).items())),
        )

    def rank(self, question: Question, scope: Scope) -> list[tuple[str, float]]:
        """Paths and scores of the articles that `answer` would suggest, best first, without reading any of them."""
        live = self._live
        _, _, ranked = self._consider(live, question, scope, frozenset())
        cards = live.engine.snapshot.store.cards
        return [(cards[item.row].path, item.score) for item in ranked[: question.limit]]

    def judge(
        self, question: Question, scope: Scope, excluded: frozenset[str] = frozenset(), as_of: str = ""
    ) -> tuple[str, Features]:
        """The path of the article that `answer` would put first, empty if none, and what the decision sees of it."""
        live = self._live
        _, evidence, ranked = self._consider(live, question, scope, excluded, as_of)
        if not ranked:
            return "", NOTHING
        return live.engine.snapshot.store.cards[ranked[0].row].path, live.decision.read(ranked, evidence)

    def vectors(self, questions: Sequence[Question], scope: Scope) -> Vectors:
        """Unit vectors of `questions`, as `answer` has them: shape (questions, dimensions). To compare tickets by."""
        return self._encode(self._live, [read_question(question) for question in questions], scope).vectors

    def article(self, name: str, scope: Scope) -> Article:
        """The article with this path or id. Raises NotFound if there is none inside the scope."""
        live = self._live
        row = live.engine.snapshot.store.row_of(name)
        if row is None or not live.engine.visible(scope)[row]:
            raise NotFound(f"no article {name!r}")
        return live.engine.snapshot.article(row)

    def articles(self, scope: Scope) -> Iterator[ArticleCard]:
        """The cards of all articles inside the scope, in path order."""
        live = self._live
        mask = live.engine.visible(scope)
        return (card for card in live.engine.snapshot.store.cards if mask[card.row])

    def _open(self, snapshot: Snapshot) -> _Live:
        check_embedder(snapshot.manifest, self._embedder)
        trust = snapshot.history.trust if snapshot.history else 0.0
        decision = read_decision(snapshot.decision) if snapshot.decision else default_decision(trust)
        engine = RetrievalEngine(snapshot)
        return _Live(engine, self._weights, decision, lru_cache(_KEPT_EXCERPTS)(_excerpts_of(snapshot)))

    def _consider(
        self, live: _Live, question: Question, scope: Scope, excluded: frozenset[str], as_of: str = ""
    ) -> tuple[QueryViews, Evidence, list[Ranked]]:
        views = read_question(question)
        declared = live.engine.declared_errors(views.full, scope)
        views = replace(views, signatures=views.signatures | declared)
        read = self._encode(live, [views], scope)
        evidence = live.engine.search(
            Query(
                read.vectors[0],
                views.words,
                views.signatures,
                scope,
                excluded=excluded,
                as_of=as_of,
                signs=read.signs[0],
            )
        )
        # Whether to answer, and whether to ask back, is told from the first few, however few are wanted.
        limit = max(question.limit, MOST_OPTIONS, RIVALS)
        return views, evidence, rank_articles(evidence, live.weights, limit)

    def _encode(self, live: _Live, views: Sequence[QueryViews], scope: Scope) -> Encoded:
        return encode_queries(self._embedder, [live.engine.spelling(scope).put_right(seen.full) for seen in views])


def _suggest(live: _Live, item: Ranked, evidence: Evidence) -> Suggestion:
    card = live.engine.snapshot.store.cards[item.row]
    return Suggestion(
        article_id=card.article_id,
        path=card.path,
        title=card.title,
        summary=card.summary,
        audience=card.audience,
        type=card.type,
        confidence=card.confidence,
        products=card.products,
        score=item.score,
        reasons=_reasons(item, evidence),
        snippets=choose_snippets(live.excerpts(item.row), evidence.cosines.of(item.row), evidence.terms),
    )


def _excerpts_of(snapshot: Snapshot) -> Callable[[int], Excerpts]:
    """Cuts the article at a row."""

    def cut(row: int) -> Excerpts:
        card = snapshot.store.cards[row]
        chunks = snapshot.chunks[card.first_chunk : card.first_chunk + card.chunk_count].tolist()
        return cut_excerpts(snapshot.article(row), [(section, Span(*span)) for _, section, *span in chunks])

    return cut


def _reasons(item: Ranked, evidence: Evidence) -> tuple[Reason, ...]:
    count = evidence.similar_tickets.get(item.row, 0)
    details = {
        "passages": "passages of it mean much the same",
        "gist": "it is about the same subject",
        "opening": "its title and summary fit",
        "words": "it shares telling words",
        "signature": ", ".join(evidence.signatures.get(item.row, ())),
        "tickets": f"{count} similar {'ticket was' if count == 1 else 'tickets were'} solved by this"
        if count
        else "tickets that it solved are about the same subject",
    }
    found = [Reason(signal, value, details[signal]) for signal, value in item.parts.items() if value > 0]
    return tuple(sorted(found, key=lambda reason: -reason.contribution))
