"""Learning from resolved tickets: a history file into a new index version that knows what solved what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from indexer.embedding import Embedder, Vectors, embed_queries
from indexer.errors import DatasetError
from indexer.history import Belief, ResolvedTickets
from indexer.publishing import Learned, publish_learned, try_history
from indexer.snapshot import Snapshot
from service.answers import Question
from service.believing import measure_belief
from service.json_lines import Record, read_records
from service.queries import QueryViews, read_question

_SAME_TEXT_COSINE = 0.97
"""Two tickets nearer than this say the same in the same words."""

_BATCH = 256


@dataclass(frozen=True, slots=True)
class PastTicket:
    """One resolved ticket.

    Attributes:
        ticket_id: its id, empty if it has none.
        articles: paths of the articles that resolved it, as the index names them.
        created: ISO date, empty if unknown.
    """

    ticket_id: str
    title: str
    text: str
    articles: tuple[str, ...]
    created: str


@dataclass(frozen=True, slots=True)
class LearningReport:
    """What was learned.

    Attributes:
        version: the index version that knows it.
        used: tickets that count.
        left_out: tickets left out because they repeat one of the excluded texts.
        unknown_articles: linked paths that the index does not hold; their tickets wait until it does.
        belief: how far the history is believed, and what it was measured to be worth; None if it was not measured.
    """

    version: str
    used: int
    left_out: int
    unknown_articles: tuple[str, ...]
    belief: Belief | None = None


def read_history(file: Path) -> list[PastTicket]:
    """Read `{"_id", "title", "text", "articles": [path, ..], "created"}` a line; all but text and articles optional.

    Raises:
        DatasetError: naming file and line.
    """
    tickets = [_past_ticket(record) for record in read_records(file)]
    if not tickets:
        raise DatasetError(f"history {file} holds no ticket; write one JSON object a line with `text` and `articles`")
    return tickets


def learn(
    tickets: Iterable[PastTicket],
    index_dir: Path,
    embedder: Embedder,
    excluded: Iterable[PastTicket] = (),
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    measure: bool = True,
) -> LearningReport:
    """Embed `tickets` and publish an index version that learned from them, replacing what was learned before.

    How far they are believed is measured on themselves (`service.believing`). A calibrated decision goes: it was made
    for what the index knew then.

    Args:
        excluded: tickets that must not be learned from, such as those of a test: left out by id, and by text where the
            wording is nearly the same.
        measure: False believes the history as far as its size alone earns.

    Raises:
        DatasetError: every ticket is excluded.
        IndexNotFound, IndexCorrupt, IndexMismatch: see Snapshot.open and check_embedder.
    """
    barred = list(excluded)
    ids = {ticket.ticket_id for ticket in barred if ticket.ticket_id}
    wanted = list(tickets)
    kept = [ticket for ticket in wanted if ticket.ticket_id not in ids]
    views = [_read(ticket) for ticket in kept]
    vectors = _embed(views, embedder, progress)
    if barred and kept:
        near = (vectors @ _embed(list(map(_read, barred)), embedder).T).max(axis=1)
        fresh = near < _SAME_TEXT_COSINE
        vectors = vectors[fresh]
        kept = [ticket for ticket, is_fresh in zip(kept, fresh, strict=True) if is_fresh]
        views = [seen for seen, is_fresh in zip(views, fresh, strict=True) if is_fresh]
    if not kept:
        raise DatasetError("nothing to learn from: every ticket of the history is among the excluded ones")
    known = Snapshot.open(index_dir).words
    history = ResolvedTickets(
        vectors,
        links=tuple(ticket.articles for ticket in kept),
        created=tuple(ticket.created for ticket in kept),
        words=tuple(frozenset(known.query_weights(seen.words)) for seen in views),
    )
    if measure:
        with try_history(index_dir, embedder, history) as snapshot:
            history = replace(history, belief=measure_belief(snapshot, views, vectors, history.links, progress))
    version, unknown = publish_learned(index_dir, embedder, Learned(tickets=history))
    return LearningReport(version, len(kept), len(wanted) - len(kept), unknown, history.belief)


def _read(ticket: PastTicket) -> QueryViews:
    return read_question(Question(ticket.text[:15_000], ticket.title[:1_000]))


def _embed(
    views: list[QueryViews],
    embedder: Embedder,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Vectors:
    texts = [seen.full for seen in views]
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    out = np.empty((len(texts), embedder.fingerprint.dimensions), np.float32)
    for start in range(0, len(order), _BATCH):
        part = order[start : start + _BATCH]
        out[part] = embed_queries(embedder, [texts[index] for index in part])
        progress("embedding", start + len(part), len(order))
    return out


def _past_ticket(record: Record) -> PastTicket:
    title, text = record.title_and_text()
    articles = record.values.get("articles")
    if not isinstance(articles, list) or not articles or not all(isinstance(path, str) for path in articles):
        raise DatasetError(f'{record.where}: "articles" must be a non-empty list of article paths')
    linked = tuple(dict.fromkeys(articles))
    return PastTicket(record.name("_id", ""), title, text, linked, record.text("created", ""))
