"""Articles next to an article: those close in meaning, and those that say the same in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.articles import Article
from indexer.errors import NotFound
from indexer.near_duplicates import find_near_duplicates
from indexer.scope import Scope
from service.answers import MAX_QUERY_CHARS, Question

if TYPE_CHECKING:
    from service.assistant import Assistant

_LOOKED_AT = 8
_CLOSE = 0.25
"""Share of the nearest article's score from which on another one is close in meaning too."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """That an article of a list says the same as an earlier one.

    Attributes:
        of: position of the earlier one.
        share: the part of the shorter text that stands in the other too, 0 to 1.
    """

    of: int
    share: float


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An article near another one; `shared` is the part of the shorter text that both hold, 0 if it is small."""

    path: str
    title: str
    shared: float


def find_repeats(articles: Sequence[Article]) -> dict[int, Repeat]:
    """For each article that nearly repeats an earlier one of the list: which. Keys are positions."""
    repeats: dict[int, Repeat] = {}
    for pair in find_near_duplicates([article_text(article) for article in articles]):
        repeats.setdefault(pair.second, Repeat(pair.first, pair.containment))
    return repeats


def find_neighbours(article: Article, assistant: Assistant, scope: Scope, limit: int = 4) -> list[Neighbour]:
    """The articles of the scope nearest to this one: those that repeat it first, then the closest in meaning."""
    text = f"{article.title}. {article.summary}"[:MAX_QUERY_CHARS]
    answer = assistant.answer(Question(text, limit=_LOOKED_AT), scope, frozenset({article.path}))
    read = [(s.score, other) for s in answer.suggestions if (other := _read(assistant, s.path, scope)) is not None]
    pairs = find_near_duplicates([article_text(article), *(article_text(other) for _, other in read)])
    shared = {pair.second - 1: pair.containment for pair in pairs if pair.first == 0}
    enough = _CLOSE * max((score for score, _ in read), default=0.0)
    near = [
        Neighbour(other.path, other.title, shared.get(place, 0.0))
        for place, (score, other) in enumerate(read)
        if place in shared or score >= enough
    ]
    return sorted(near, key=lambda neighbour: -neighbour.shared)[: max(limit, len(shared))]


def article_text(article: Article) -> str:
    """What the article says, without front matter and headings: a template's headings are no likeness."""
    text = article.source.text
    return "\n".join(text[block.start : block.end] for section in article.sections for block in section.blocks)


def _read(assistant: Assistant, path: str, scope: Scope) -> Article | None:
    try:
        return assistant.article(path, scope)
    except NotFound:
        return None
