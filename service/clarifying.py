"""The one question whose answer would separate articles that fit a ticket about equally well."""

from __future__ import annotations

from collections.abc import Sequence

from indexer.analysis import analyze
from indexer.store import ArticleCard
from service.evidence import Ranked

_CLOSE = 0.75
"""Articles within this score of the first fit about equally well."""

_LEAST_CONFIDENCE = 0.2
"""Below it nothing fits, and a question would only pretend otherwise."""

MOST_OPTIONS = 3
"""Articles between which a question may decide."""

_QUESTIONS = (
    ("products", "Which product is this about"),
    ("versions", "Which version is in use"),
    ("components", "Which part is affected"),
)


def leading_rows(ranked: Sequence[Ranked], confidence: float) -> list[int]:
    """Rows of the articles between which the ranking is unsure; empty where it is sure, or where nothing fits."""
    if confidence < _LEAST_CONFIDENCE or len(ranked) < 2:
        return []
    close = [item.row for item in ranked[:MOST_OPTIONS] if ranked[0].score - item.score <= _CLOSE]
    return close if len(close) > 1 else []


def ask_to_separate(text: str, leading: Sequence[ArticleCard]) -> str | None:
    """A question such as "Which part is affected: mysql or postgresql?"; None where no one question separates them.

    Products are asked for first, then versions, then components. What the ticket's `text` already says is not asked.
    """
    if len(leading) < 2:
        return None
    said = set(analyze(text))
    for attribute, question in _QUESTIONS:
        values = [set(getattr(card, attribute)) for card in leading]
        own = [sorted(mine - set().union(*(other for other in values if other is not mine))) for mine in values]
        if not all(own):
            continue
        if any(said.issuperset(terms) for each in own for value in each if (terms := set(analyze(value)))):
            continue
        options = [each[0] for each in own]
        return f"{question}: {', '.join(options[:-1])} or {options[-1]}?"
    return None
