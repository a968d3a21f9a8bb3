"""What the console's templates show, made from answers and articles. Pure but for reading the article."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from markupsafe import Markup

from indexer.articles import Article
from indexer.errors import NotFound
from indexer.scope import Scope
from indexer.store import ArticleCard
from service.answers import Citation, Reason, Snippet, Suggestion
from service.http.links import article_url, citation_url, links_within
from service.http.models import AnswerBody
from service.http.routes_articles import related_cards
from service.http.security import Caller
from service.notes import quote_lines, write_reply
from service.rendering import Step, first_steps, parse_lines, render_article

if TYPE_CHECKING:
    from service.assistant import Assistant

TONES = {
    "passages": "a",
    "meaning": "a",
    "opening": "b",
    "title": "b",
    "words": "c",
    "signature": "d",
    "error_signature": "d",
    "tickets": "e",
    "similar_tickets": "e",
    "gist": "f",
}
"""Colour of each signal; an unknown one is grey."""

IsCode = Callable[[Citation], bool]
"""Whether a citation lies inside a code block."""

_FENCE_LINE = re.compile(r"^[ \t>]*(?:`{3,}|~{3,})[^\n`]*\n?", re.MULTILINE)
_SOFT_BREAK = re.compile(r"(?<!\n)\n(?!\n|[ \t]*(?:[-*+]|\d+[.)])[ \t])")
_MARKUP = re.compile(
    r"\*\*|`+|^[ \t]*(?:>|[-*+](?=[ \t]))[ \t]?|^#{1,6}[ \t]+|\[(?=[^\]\n]*\]\()|\]\([^)\n]*\)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class SnippetView:
    """A snippet to show: text in pieces, each with whether it is highlighted."""

    pieces: tuple[tuple[str, bool], ...]
    where: str
    section: str
    url: str
    is_code: bool


@dataclass(frozen=True, slots=True)
class BarView:
    """One signal's piece of a score bar, in percent of the whole bar."""

    tone: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class ReasonView:
    """Why an article matched, as a chip."""

    tone: str
    detail: str


@dataclass(frozen=True, slots=True)
class ResultView:
    """One suggestion to show."""

    suggestion: Suggestion
    rank: int
    url: str
    percent: int
    bars: tuple[BarView, ...]
    reasons: tuple[ReasonView, ...]
    snippets: tuple[SnippetView, ...]
    reply: str


@dataclass(frozen=True, slots=True)
class ArticleView:
    """An article to show."""

    article: Article
    html: Markup
    version: str
    has_title: bool
    cited: str
    steps: tuple[Step, ...]
    related: tuple[tuple[ArticleCard, str], ...]
    source_url: str
    page_url: str


def answer_views(answer: AnswerBody, base_url: str, is_code: IsCode) -> list[ResultView]:
    """The answer's suggestions; bars are measured against the best of them."""
    best = max((suggestion.score for suggestion in answer.suggestions), default=0.0) or 1.0
    return [_result(rank, item, best, base_url, is_code) for rank, item in enumerate(answer.suggestions, start=1)]


def code_finder(assistant: Assistant, scope: Scope) -> IsCode:
    """Looks citations up in the articles that they cite."""

    def is_code(citation: Citation) -> bool:
        try:
            article = assistant.article(citation.path, scope)
        except NotFound:
            return False
        line_of = article.source.line_of
        return any(
            line_of(block.start) <= citation.start_line
            and citation.end_line <= line_of(max(block.start, block.end - 1))
            for section in article.sections
            for block in section.blocks
            if block.kind in {"fence", "code_block"}
        )

    return is_code


def article_view(assistant: Assistant, name: str, caller: Caller, lines: str, base_url: str) -> ArticleView:
    """The article `name` with `lines` marked. Raises NotFound."""
    scope = caller.scope()
    article = assistant.article(name, scope)
    cited = parse_lines(lines)
    related = related_cards(article, assistant, scope)
    return ArticleView(
        article=article,
        html=Markup(render_article(article, links_within(assistant, scope), cited)),  # noqa: S704 -- nh3 cleaned it
        version=assistant.index_version,
        has_title=any(section.level == 1 for section in article.sections),
        cited=f"{cited.first}–{cited.last}"
        if cited and cited.first != cited.last
        else str(cited.first)
        if cited
        else "",
        steps=tuple(first_steps(article)),
        related=tuple((card, article_url(card.path)) for card in related),
        source_url=f"/v1{article_url(article.path)}?format=markdown",
        page_url=base_url + article_url(article.path),
    )


def _result(rank: int, suggestion: Suggestion, best: float, base_url: str, is_code: IsCode) -> ResultView:
    share = max(0.0, min(1.0, suggestion.score / best))
    first = suggestion.snippets[0].citation if suggestion.snippets else None
    return ResultView(
        suggestion=suggestion,
        rank=rank,
        url=citation_url(first) if first else article_url(suggestion.path),
        percent=round(100 * share),
        bars=_bars(suggestion.reasons, share),
        reasons=tuple(ReasonView(TONES.get(r.signal, "x"), r.detail) for r in suggestion.reasons),
        snippets=tuple(_snippet(snippet, is_code(snippet.citation)) for snippet in suggestion.snippets),
        reply=write_reply(suggestion, lambda citation: base_url + citation_url(citation)),
    )


def _bars(reasons: tuple[Reason, ...], share: float) -> tuple[BarView, ...]:
    total = sum(max(0.0, reason.contribution) for reason in reasons) or 1.0
    bars: list[BarView] = []
    start = 0.0
    for reason in reasons:
        width = 100 * share * max(0.0, reason.contribution) / total
        bars.append(BarView(TONES.get(reason.signal, "x"), round(start, 2), round(width, 2)))
        start += width
    return tuple(bars)


def _snippet(snippet: Snippet, is_code: bool) -> SnippetView:
    return SnippetView(
        pieces=_pieces(snippet, is_code),
        where=quote_lines(snippet.citation),
        section=" › ".join(snippet.citation.heading_path[1:]) or "Introduction",
        url=citation_url(snippet.citation),
        is_code=is_code,
    )


def _pieces(snippet: Snippet, is_code: bool) -> tuple[tuple[str, bool], ...]:
    """The snippet for reading: fences gone, in prose markup and soft line breaks too, in runs of plain and marked."""
    text = snippet.text.rstrip()
    hidden = _positions(_FENCE_LINE, text) | (set() if is_code else _positions(_MARKUP, text))
    breaks = set() if is_code else _positions(_SOFT_BREAK, text)
    marked = {position for start, end in snippet.highlights for position in range(start, end)}
    shown = [
        (" " if position in breaks else character, position in marked)
        for position, character in enumerate(text)
        if position not in hidden
    ]
    runs = groupby(shown, lambda item: item[1])
    return tuple(("".join(character for character, _ in run), is_marked) for is_marked, run in runs)


def _positions(pattern: re.Pattern[str], text: str) -> set[int]:
    return {position for match in pattern.finditer(text) for position in range(*match.span())}
