"""A search in the console: one deep answer, narrowed by facets, with what a ticket needs beside it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from indexer.articles import Article
from indexer.scope import Scope
from service.answers import Citation, Question, Suggestion
from service.diagnostics import Diagnostic, Diagnostics, compare_basics, compare_diagnostics
from service.facets import FACETS, FacetCount, Filters, count_facet
from service.findings import Finding, find_details
from service.http.console_article import ChecklistView, checklist_view
from service.http.console_views import RepeatView, ResultView, code_finder, code_label, result_views, split_codes
from service.http.links import article_url, citation_url, lead_out, whole_links_within
from service.http.models import AnswerBody
from service.http.routes_articles import related_cards
from service.http.routes_search import ask
from service.http.security import Caller
from service.http.services import Services
from service.neighbours import find_repeats
from service.notes import quote_lines, write_note
from service.triage import article_reader
from service.triage_playbook import find_asking, find_playbook

if TYPE_CHECKING:
    from service.assistant import Assistant

DEPTH = 30
"""How many of the nearest articles are looked at: facets count and narrow these."""

SHOWN = 8
"""How many results are shown whole at most; the rest are listed by title."""

_SHOWN_ANYWAY = 3
_WORTH_SHOWING = 25
"""Percent of the best score below which a result past the third is listed by title only."""

_IN_NOTE = 5

_SUBJECT = re.compile(
    r"\A\s*(?:subject|betreff|objet|asunto|件名)\s*[:：][ \t]*(\S[^\r\n]*)(?:\r?\n|\Z)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class NeedView:
    """Something that an article wants to be known and the team has to look up, or what it asks the customer for."""

    label: str
    text: str
    is_found: bool
    where: str
    url: str


@dataclass(frozen=True, slots=True)
class TicketView:
    """What helps with the ticket beside the articles.

    Attributes:
        codes: error signatures that were read in the text.
        held: what else the text tells, each kind with the words that tell it.
        asks: what to ask the customer for; `message` is a ready reply that does.
        sources: the articles that ask, with addresses.
        needs: what the team itself has to collect.
        related: articles that the best one names as related and that are not shown, with addresses.
    """

    codes: tuple[str, ...]
    held: tuple[tuple[str, str], ...]
    asks: tuple[str, ...]
    message: str
    sources: tuple[tuple[str, str], ...]
    needs: tuple[NeedView, ...]
    checklist: ChecklistView | None
    related: tuple[tuple[str, str], ...]

    def __bool__(self) -> bool:
        return bool(self.codes or self.held or self.asks or self.needs or self.checklist or self.related)


@dataclass(frozen=True, slots=True)
class SearchView:
    """One search, ready to show.

    Attributes:
        answer: the answer that was narrowed.
        shown, more: the results that pass the filters: the first in full, the others by title.
        looked_at: how many articles the filters were applied to, and the counts are over.
        is_deep: whether there may be more than these.
        has_top: whether the article that the confidence is about passes the filters.
        note: the internal note for the ticket.
    """

    answer: AnswerBody
    shown: tuple[ResultView, ...]
    more: tuple[ResultView, ...]
    looked_at: int
    is_deep: bool
    has_top: bool
    facets: tuple[FacetCount, ...]
    filters: Filters
    ticket: TicketView
    note: str

    @property
    def count(self) -> int:
        return len(self.shown) + len(self.more)


def read_ticket(text: str, limit: int) -> Question:
    """The question in a pasted text; a first line `Subject: ...` is the ticket's subject. Raises InputError."""
    match = _SUBJECT.match(text)
    body = text[match.end() :] if match else text
    return Question(body, match[1].strip() if match else "", limit)


async def search(services: Services, caller: Caller, text: str, filters: Filters, base_url: str) -> SearchView:
    """The search for `text`. Raises ProblemError `busy` or `not-ready`, InputError."""
    assistant = services.library.assistant
    question = read_ticket(text, DEPTH)
    products = list(filters.values("product"))
    answer = await ask(services, caller, question, products)
    wide = answer.suggestions
    if products and (answer.answered or caller.is_internal):
        # Products narrow the search itself, so what other products would give has to be asked for.
        wide = (await services.pool.answer(assistant, question, caller.scope())).suggestions
    return await asyncio.to_thread(_view, assistant, caller, question, answer, wide, filters, base_url)


def _view(
    assistant: Assistant,
    caller: Caller,
    question: Question,
    answer: AnswerBody,
    wide: tuple[Suggestion, ...],
    filters: Filters,
    base_url: str,
) -> SearchView:
    scope = caller.scope()
    found = _read_all(assistant, answer.suggestions, scope)
    every = list(_read_all(assistant, wide, scope).values())
    kept = [s for s in answer.suggestions if s.path in found and filters.admit(found[s.path])]
    articles = [found[suggestion.path] for suggestion in kept]
    repeats = {
        place + 1: RepeatView(repeat.of + 1, articles[repeat.of].title, round(100 * repeat.share))
        for place, repeat in find_repeats(articles[:SHOWN]).items()
    }
    best = max((suggestion.score for suggestion in answer.suggestions), default=0.0)
    link_for = whole_links_within(assistant, scope, base_url)
    codes = code_finder(assistant, scope)
    views = result_views(list(enumerate(kept, start=1)), best, base_url, codes, repeats, link_for)
    whole = max(_SHOWN_ANYWAY, sum(view.percent >= _WORTH_SHOWING for view in views[:SHOWN]))
    noted = replace(answer, suggestions=tuple(lead_out(one, link_for) for one in kept[:_IN_NOTE]))
    return SearchView(
        answer=answer,
        shown=tuple(views[:whole]),
        more=tuple(views[whole:]),
        looked_at=len(every),
        is_deep=len(wide) >= DEPTH,
        has_top=bool(kept) and kept[0].path == answer.suggestions[0].path,
        facets=tuple(
            count_facet(facet, every if facet.name == "product" else list(found.values()), filters)
            for facet in FACETS
            if caller.is_internal or not facet.is_internal
        ),
        filters=filters,
        ticket=_ticket(assistant, caller, question, replace(answer, suggestions=tuple(kept)), found, base_url),
        note=write_note(noted, lambda citation: base_url + citation_url(citation)),
    )


def _ticket(
    assistant: Assistant,
    caller: Caller,
    question: Question,
    answer: AnswerBody,
    found: dict[str, Article],
    base_url: str,
) -> TicketView:
    """What helps with the ticket; `answer` is narrowed by the filters."""
    scope = caller.scope()
    article_of = article_reader(assistant, scope)
    playbook = find_playbook(answer, article_of)
    guide = article_of(playbook.path) if playbook else None
    asking = find_asking(answer, article_of)
    top = found[answer.suggestions[0].path] if answer.answered and answer.suggestions else None
    listed = {suggestion.path for suggestion in answer.suggestions}
    is_left_alone = caller.is_internal and not answer.answered
    diagnostics = compare_basics(question) if is_left_alone else compare_diagnostics(question, asking)
    # Whoever is outside reads nothing of their own text back, so that all they read is the service's own.
    findings = find_details(f"{question.title}\n{question.text}") if caller.is_internal else ()
    signatures = answer.signatures if caller.is_internal else ()
    related = related_cards(top, assistant, scope) if top else []
    return TicketView(
        codes=tuple(code_label(*code) for signature in signatures for code in split_codes(signature)),
        held=_held(findings),
        asks=diagnostics.asks,
        message=diagnostics.message,
        sources=_sources(diagnostics),
        needs=tuple(_need(item) for item in diagnostics.items if caller.is_internal and not item.by_customer),
        checklist=checklist_view(guide, assistant, scope, base_url) if guide else None,
        related=tuple((card.title, article_url(card.path)) for card in related if card.path not in listed),
    )


def _held(findings: tuple[Finding, ...]) -> tuple[tuple[str, str], ...]:
    """One line a kind of detail."""
    quotes: dict[str, list[str]] = {}
    for finding in findings:
        quotes.setdefault(finding.detail.value, []).append(finding.quote)
    return tuple((detail, ", ".join(found)) for detail, found in quotes.items())


def _sources(diagnostics: Diagnostics) -> tuple[tuple[str, str], ...]:
    """Where the customer is asked for something, once for each article."""
    cited: dict[str, Citation] = {}
    for item in diagnostics.items:
        if item.by_customer and item.missing:
            cited.setdefault(item.citation.path, item.citation)
    return tuple((citation.heading_path[0], citation_url(citation)) for citation in cited.values())


def _need(item: Diagnostic) -> NeedView:
    text = item.text.removeprefix(item.label).removeprefix(":").strip()
    return NeedView(
        item.label, text, not item.missing and bool(item.found), quote_lines(item.citation), citation_url(item.citation)
    )


def _read_all(assistant: Assistant, suggestions: tuple[Suggestion, ...], scope: Scope) -> dict[str, Article]:
    """The suggested articles by path, without those that were removed meanwhile."""
    article_of = article_reader(assistant, scope)
    found = ((suggestion.path, article_of(suggestion.path)) for suggestion in suggestions)
    return {path: article for path, article in found if article is not None}
