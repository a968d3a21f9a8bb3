"""Component, product and tags for a ticket, from the article that answers it and from tickets like it. Pure.

A value is suggested only on evidence: the trusted first article has it, or most of the nearest resolved tickets were
solved by articles that have it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from indexer.articles import Article
from indexer.embedding import Vectors
from indexer.history import ResolvedTickets
from service.answers import Answer

NEAR_COSINE = 0.5
"""A resolved ticket below this is about something else."""
NEIGHBOURS = 10
MAX_TAGS = 5
_MIN_TICKETS = 2
_MIN_SHARE = 0.5
_POWER = 4.0

ArticleOf = Callable[[str], Article | None]
"""The visible article with this path; None if there is none in the caller's scope."""


@dataclass(frozen=True, slots=True)
class ResolvedNeighbour:
    """A resolved ticket near this one.

    Attributes:
        cosine: likeness of meaning, -1 to 1.
        articles: paths of the articles that resolved it.
    """

    cosine: float
    articles: tuple[str, ...]
    ticket_id: str = ""


@dataclass(frozen=True, slots=True)
class SuggestedLabel:
    """One suggested value.

    Attributes:
        share: 0 to 1, the part of the evidence that speaks for it.
        articles: paths of the articles that have it, the best first.
        tickets: how many of the nearest resolved tickets speak for it.
        reason: for a person.
    """

    value: str
    share: float
    articles: tuple[str, ...]
    tickets: int
    reason: str


@dataclass(frozen=True, slots=True)
class Labels:
    """Suggested values, the best founded first."""

    components: tuple[SuggestedLabel, ...] = ()
    products: tuple[SuggestedLabel, ...] = ()
    tags: tuple[SuggestedLabel, ...] = ()


def nearest_resolved(history: ResolvedTickets, vector: Vectors, limit: int = NEIGHBOURS) -> list[ResolvedNeighbour]:
    """The resolved tickets nearest to `vector` (d,), at least NEAR_COSINE near, nearest first."""
    cosines = history.vectors @ vector
    order = np.argsort(-cosines, kind="stable")[:limit].tolist()
    return [ResolvedNeighbour(float(cosines[row]), history.links[row]) for row in order if cosines[row] >= NEAR_COSINE]


def suggest_labels(answer: Answer, article_of: ArticleOf, neighbours: Sequence[ResolvedNeighbour]) -> Labels:
    """Labels for the ticket that `answer` answers."""
    top = article_of(answer.suggestions[0].path) if answer.answered and answer.suggestions else None
    solved = [
        (neighbour, [article for path in neighbour.articles if (article := article_of(path)) is not None])
        for neighbour in neighbours[:NEIGHBOURS]
    ]
    return Labels(
        _suggest(answer, top, solved, lambda article: article.meta.components),
        _suggest(answer, top, solved, lambda article: article.meta.products),
        _suggest(answer, top, solved, lambda article: article.meta.tags)[:MAX_TAGS],
    )


def _suggest(
    answer: Answer,
    top: Article | None,
    solved: Sequence[tuple[ResolvedNeighbour, list[Article]]],
    values_of: Callable[[Article], tuple[str, ...]],
) -> tuple[SuggestedLabel, ...]:
    own = list(dict.fromkeys(values_of(top))) if top else []
    voters = [(neighbour, articles) for neighbour, articles in solved if any(map(values_of, articles))]
    whole = sum(neighbour.cosine**_POWER for neighbour, _ in voters)
    votes: dict[str, tuple[float, list[str], int]] = {}
    for neighbour, articles in voters:
        for value in dict.fromkeys(value for article in articles for value in values_of(article)):
            weight, paths, count = votes.get(value, (0.0, [], 0))
            paths += [article.path for article in articles if value in values_of(article)]
            votes[value] = (weight + neighbour.cosine**_POWER / whole, paths, count + 1)
    trust = answer.confidence if own else 0.0
    tickets_trust = 1.0 - trust if voters else 0.0
    found: list[SuggestedLabel] = []
    for value in dict.fromkeys([*own, *votes]):
        weight, paths, count = votes.get(value, (0.0, [], 0))
        by_article = value in own
        if not by_article and (count < _MIN_TICKETS or weight < _MIN_SHARE):
            continue
        share = (trust * by_article + tickets_trust * weight) / (trust + tickets_trust)
        evidence = tuple(dict.fromkeys([*([top.path] if by_article and top else []), *paths]))
        found.append(
            SuggestedLabel(value, round(share, 3), evidence, count, _reason(by_article, answer, count, len(voters)))
        )
    place = {value: index for index, value in enumerate(own)}
    return tuple(sorted(found, key=lambda label: (-label.share, place.get(label.value, len(place)), label.value)))


def _reason(by_article: bool, answer: Answer, tickets: int, voters: int) -> str:
    parts = []
    if by_article:
        parts.append(f"the first article is about it ({answer.sure_percent}% sure)")
    if tickets:
        verb = "was" if tickets == 1 else "were"
        parts.append(f"{tickets} of the {voters} nearest resolved tickets {verb} solved by an article about it")
    return "; ".join(parts)
