"""Learning from resolved tickets: a history file into a new index version that knows what solved what."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from indexer.embedding import Embedder, Vectors, encode_queries
from indexer.errors import DatasetError
from indexer.history import Belief, ResolvedTickets
from indexer.publishing import Learned, publish_learned, try_history
from indexer.snapshot import Snapshot
from indexer.store import ArticleCard
from indexer.words import WordIndex
from service.answers import Question
from service.believing import measure_belief
from service.json_lines import Record, read_records
from service.queries import QueryViews, read_question

_SAME_TEXT_COSINE = 0.97
"""Two tickets nearer than this say the same in the same words."""

_BATCH = 256
_FEW = 3
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?!\d)", re.ASCII)


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
        used: tickets that were learned from.
        usable: how many of them link an article that the index holds; the rest wait until it does.
        left_out: tickets left out because they repeat one of the excluded texts.
        unknown_articles: linked paths that the index does not hold.
        belief: how far the history is believed, and what it was measured to be worth; None if it was not measured.
    """

    version: str
    used: int
    usable: int
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
        DatasetError: every ticket is excluded, or none links an article that the index holds. Nothing is published.
        IndexNotFound, IndexCorrupt, IndexMismatch: see Snapshot.open and check_embedder.
    """
    barred = list(excluded)
    ids = {ticket.ticket_id for ticket in barred if ticket.ticket_id}
    wanted = list(tickets)
    kept = [ticket for ticket in wanted if ticket.ticket_id not in ids]
    live = Snapshot.open(index_dir)
    cards = {card.path: card for card in live.store.cards}
    _require_known(kept, cards)
    views = [_read(ticket, live.words) for ticket in kept]
    vectors = _embed(views, embedder, progress)
    if barred and kept:
        near = (vectors @ _embed([_read(ticket, live.words) for ticket in barred], embedder).T).max(axis=1)
        fresh = near < _SAME_TEXT_COSINE
        vectors = vectors[fresh]
        kept = [ticket for ticket, is_fresh in zip(kept, fresh, strict=True) if is_fresh]
        views = [seen for seen, is_fresh in zip(views, fresh, strict=True) if is_fresh]
    if not kept:
        raise DatasetError("nothing to learn from: every ticket of the history is among the excluded ones")
    _require_known(kept, cards)
    history = ResolvedTickets(
        vectors,
        links=tuple(ticket.articles for ticket in kept),
        created=tuple(ticket.created for ticket in kept),
        words=tuple(frozenset(live.words.query_weights(seen.words)) for seen in views),
    )
    if measure:
        with try_history(index_dir, embedder, history) as snapshot:
            history = replace(history, belief=measure_belief(snapshot, views, vectors, history.links, progress))
    version, unknown = publish_learned(index_dir, embedder, Learned(tickets=history))
    usable = sum(not cards.keys().isdisjoint(ticket.articles) for ticket in kept)
    return LearningReport(version, len(kept), usable, len(wanted) - len(kept), unknown, history.belief)


def _require_known(tickets: Sequence[PastTicket], cards: Mapping[str, ArticleCard]) -> None:
    """Raises DatasetError if `tickets` link articles, and none of `cards`, which are by path."""
    linked = list(dict.fromkeys(path for ticket in tickets for path in ticket.articles))
    if not linked or not cards.keys().isdisjoint(linked):
        return
    few = ", ".join(linked[:_FEW]) + (f" and {len(linked) - _FEW} more" if len(linked) > _FEW else "")
    by_id = {card.article_id: card.path for card in cards.values()}
    hints = (f"write {right}, not {path}" for path in linked if (right := _meant(path, cards.keys(), by_id)))
    hint = next(hints, "write paths below the folder that was indexed, such as " + next(iter(cards), "api/keys.md"))
    raise DatasetError(f"no article that the history links is in the index ({few}): {hint}")


def _meant(path: str, known: Collection[str], by_id: Mapping[str, str]) -> str | None:
    """The article of the index that `path` names in another way: with folders before it, or by its id."""
    parts = path.replace("\\", "/").split("/")
    tails = ("/".join(parts[start:]) for start in range(1, len(parts)))
    return by_id.get(path) or next((tail for tail in tails if tail in known), None)


def _read(ticket: PastTicket, words: WordIndex) -> QueryViews:
    """The ticket as a question is read, misspelt words put right in what is embedded."""
    views = read_question(Question(ticket.text[:15_000], ticket.title[:1_000]))
    return replace(views, full=words.spelling.put_right(views.full))


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
        out[part] = encode_queries(embedder, [texts[index] for index in part]).vectors
        progress("embedding", start + len(part), len(order))
    return out


def _past_ticket(record: Record) -> PastTicket:
    title, text = record.title_and_text()
    articles = record.values.get("articles")
    if not isinstance(articles, list) or not articles or not all(isinstance(path, str) for path in articles):
        raise DatasetError(f'{record.where}: "articles" must be a non-empty list of article paths')
    linked = tuple(dict.fromkeys(articles))
    return PastTicket(record.name("_id", ""), title, text, linked, _created(record))


def _created(record: Record) -> str:
    """The ticket's day or time as it is written, empty if unknown: compared as text, so its day has to come first."""
    created = record.text("created", "").strip()
    try:
        if created:
            datetime.fromisoformat(created)
    except ValueError:
        pass
    else:
        if not created or _ISO_DAY.match(created):
            return created
    raise DatasetError(f'{record.where}: "created" must be an ISO date or time, such as 2026-01-31, not {created!r}')
