"""How far a history of resolved tickets is to be believed, measured on the history itself.

Its size alone does not tell. Where customers come back with the same few problems, earlier tickets say more than the
articles; where hardly a ticket resembles another, they pull answers towards whatever was asked before. So tickets are
held out, tenth by tenth, asked as production would ask them, and ranked with the history counting in full, in part and
not at all. The share that ranks best is kept.

Of all the weights in `service.evidence` this one number is fitted to the history, not the rest: links that somebody
once gave are no clean labels, and weights fitted to them learn which articles are linked often (docs/retrieval.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from indexer.embedding import Vectors
from indexer.engine import Query, RetrievalEngine
from indexer.history import Belief
from indexer.scope import INTERNAL
from indexer.snapshot import Snapshot
from service.evidence import Weights, rank_articles
from service.queries import QueryViews

FEWEST_TICKETS = 20
"""With fewer nothing can be told, and by their number they hardly count anyway."""

_FACTORS = (0.0, 0.25, 0.5, 0.75, 1.0)
_FOLDS = 10
_MOST_TICKETS = 2_000
"""More would hardly move the choice, and each takes as long as a question."""

_DOUBT = 0.5
"""Standard errors by which less belief has to be better, or what the size of the history earns stands."""

_DEPTH = 10


def measure_belief(
    snapshot: Snapshot,
    questions: Sequence[QueryViews],
    vectors: Vectors,
    links: Sequence[Sequence[str]],
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Belief | None:
    """The share of its trust with which the history ranks its own held-out tickets best.

    Quality is nDCG@10 against the linked articles, averaged article by article: articles that are linked to everything
    ("how to send us your logs") would decide alone otherwise, and could be guessed without reading a ticket.

    Args:
        snapshot: an index version with the history of these very tickets, in the same order.
        vectors: of the questions, as the embedder made them; shape (tickets, dimensions).
        links: for each ticket the paths of the articles that resolved it.

    Returns:
        None where fewer than `FEWEST_TICKETS` tickets link an article of the index.
    """
    history = snapshot.history
    assert history is not None, "there is no history to measure"
    rows = {card.path: card.row for card in snapshot.store.cards}
    linked = [frozenset(rows[path] for path in paths if path in rows) for paths in links]
    usable = np.array([ticket for ticket, found in enumerate(linked) if found], np.int64)
    if len(usable) < FEWEST_TICKETS:
        return None
    asked = np.random.default_rng(0).permutation(usable)[:_MOST_TICKETS]
    quality: dict[int, NDArray[np.float64]] = {}
    for fold in range(_FOLDS):
        held_out = asked[fold::_FOLDS]
        engine = RetrievalEngine(snapshot.with_history(history.without(held_out)))
        for ticket in held_out.tolist():
            quality[ticket] = _try_factors(engine, questions[ticket], vectors[ticket], linked[ticket])
        progress("asking", len(quality), len(asked))
    means = average_by_article(quality, linked)
    return Belief(
        factor=_FACTORS[choose_factor(means)],
        tickets=len(asked),
        articles=len(means),
        tried=tuple((factor, round(float(mean), 4)) for factor, mean in zip(_FACTORS, means.mean(axis=0), strict=True)),
        measured_on=datetime.now(UTC).date().isoformat(),
    )


def average_by_article(
    quality: Mapping[int, NDArray[np.float64]], linked: Sequence[frozenset[int]]
) -> NDArray[np.float64]:
    """The mean over the tickets of each article: shape (articles, variants).

    Args:
        quality: for each ticket one number a variant; shape (variants,).
        linked: for every ticket the rows of its articles.
    """
    by_article: dict[int, list[NDArray[np.float64]]] = {}
    for ticket, values in quality.items():
        for row in linked[ticket]:
            by_article.setdefault(row, []).append(values)
    return np.array([np.mean(by_article[row], axis=0) for row in sorted(by_article)])


def choose_factor(means: NDArray[np.float64]) -> int:
    """The last column of `means` (articles, variants) that is not worse than the best one by more than `_DOUBT`."""
    best = int(np.argmax(means.mean(axis=0)))
    behind = means[:, [best]] - means
    error = behind.std(axis=0, ddof=1) / np.sqrt(len(means)) if len(means) > 1 else np.zeros(means.shape[1])
    return int(np.flatnonzero(behind.mean(axis=0) <= _DOUBT * error)[-1])


def _try_factors(
    engine: RetrievalEngine, views: QueryViews, vector: Vectors, right: frozenset[int]
) -> NDArray[np.float64]:
    """nDCG@10 of one ticket for each factor."""
    evidence = engine.search(Query(vector, views.words, views.signatures, INTERNAL))
    gains = 1.0 / np.log2(np.arange(2, 2 + _DEPTH))
    found: list[float] = []
    for factor in _FACTORS:
        ranked = rank_articles(replace(evidence, trust=evidence.trust * factor), Weights(), _DEPTH)
        found.append(sum(float(gains[place]) for place, item in enumerate(ranked) if item.row in right))
    return np.array(found, np.float64) / float(gains[: len(right)].sum())
