"""The runbook that fits a ticket, and which articles ask for what is missing: one rule for every surface. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from indexer.articles import Article
from service.answers import Answer
from service.triage_labels import ArticleOf

PLAYBOOK_TYPES = frozenset({"runbook", "triage", "incident"})
_NO_FAILURE = frozenset({"how-to", "faq", "communication"})
_LOOKED_AT = 3
_NEAR = 0.4
"""Share of the first suggestion's score from which on a further one may say what to do first."""


@dataclass(frozen=True, slots=True)
class Playbook:
    """The runbook or triage guide that fits, whose evidence list the ticket is compared with."""

    article_id: str
    path: str
    title: str
    type: str
    reason: str


def find_playbook(answer: Answer, article_of: ArticleOf) -> Playbook | None:
    """The first suggestion if it is one, or else the one that the first article names as related, or else a suggestion
    near the first one about the same component. A runbook for something else is worse than none, and so is any where
    there is no failure.
    """
    top = _find_top(answer, article_of)
    if top is None:
        return None
    if top.meta.type in PLAYBOOK_TYPES:
        return _playbook(top, "it is the first suggestion")
    if top.meta.type in _NO_FAILURE:
        return None
    for name in top.meta.related:
        article = article_of(name)
        if article is not None and article.meta.type in PLAYBOOK_TYPES:
            return _playbook(article, f"{answer.suggestions[0].article_id} names it as related")
    for place, suggestion in enumerate(answer.suggestions[1:_LOOKED_AT], start=2):
        if suggestion.type in PLAYBOOK_TYPES and suggestion.score >= _NEAR * answer.suggestions[0].score:
            article = article_of(suggestion.path)
            if article is not None and _is_about_the_same(article, top):
                return _playbook(article, f"it is suggestion {place}")
    return None


def find_asking(answer: Answer, article_of: ArticleOf) -> tuple[Article, ...]:
    """The articles that the ticket is compared with: the runbook if it is about the same, then the first article."""
    playbook = find_playbook(answer, article_of)
    top = _find_top(answer, article_of)
    guide = article_of(playbook.path) if playbook else None
    if guide is not None and (top is None or not _is_about_the_same(guide, top)):
        guide = None
    return tuple({article.path: article for article in (guide, top) if article is not None}.values())


def _find_top(answer: Answer, article_of: ArticleOf) -> Article | None:
    return article_of(answer.suggestions[0].path) if answer.answered and answer.suggestions else None


def _is_about_the_same(playbook: Article, top: Article) -> bool:
    """Whether what the playbook collects may be missing here: it is the first article, or about a component of it.

    What is done by instruction, asked often or written to customers has no failure that evidence is collected of.
    """
    if top.path == playbook.path:
        return True
    return top.meta.type not in _NO_FAILURE and not set(top.meta.components).isdisjoint(playbook.meta.components)


def _playbook(article: Article, reason: str) -> Playbook:
    return Playbook(article.article_id, article.path, article.title, article.meta.type or "", reason)
