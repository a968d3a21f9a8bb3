"""What the console shows of one article: its text with the cited lines marked, and what stands around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from indexer.articles import Article
from indexer.scope import Scope
from indexer.source import SourceText
from indexer.store import ArticleCard
from service.http.links import article_url, links_within, whole_links_within
from service.http.routes_articles import markdown_for, related_cards
from service.http.security import Caller
from service.neighbours import Neighbour
from service.notes import quote_article
from service.rendering import (
    FIRST_STEPS_HEADING,
    LineRange,
    close_links,
    first_steps,
    lead_links_out,
    parse_lines,
    render_article,
    render_fragment,
)

if TYPE_CHECKING:
    from service.assistant import Assistant


@dataclass(frozen=True, slots=True)
class StepView:
    """One of the first steps: as HTML to read, as Markdown to copy."""

    html: Markup
    markdown: str


@dataclass(frozen=True, slots=True)
class ChecklistView:
    """An article's first steps, to tick off.

    Attributes:
        url: the section in the console.
        page_url: the same as a whole address, for the ticket.
        key: names the ticks in the browser; changes with the article.
    """

    title: str
    url: str
    page_url: str
    key: str
    steps: tuple[StepView, ...]


@dataclass(frozen=True, slots=True)
class ArticleView:
    """An article to show.

    Attributes:
        cited: the marked lines, for a person; empty without any.
        gone: lines that were to be marked and that the article does not have, as one that has become shorter.
        related: what its author names as related, with addresses.
        repeats, close: articles that say the same in the same words, and those close in meaning, with addresses.
        reply: the article, or its marked lines, as the body of a reply.
    """

    article: Article
    html: Markup
    version: str
    has_title: bool
    cited: str
    gone: str
    checklist: ChecklistView | None
    related: tuple[tuple[ArticleCard, str], ...]
    repeats: tuple[tuple[Neighbour, str], ...]
    close: tuple[tuple[Neighbour, str], ...]
    source_url: str
    reply: str


def article_view(
    article: Article, assistant: Assistant, caller: Caller, lines: str, base_url: str, neighbours: list[Neighbour]
) -> ArticleView:
    """`article` with `lines` marked, as `caller` may see it."""
    scope = caller.scope()
    wanted = parse_lines(lines)
    cited = _within(wanted, article)
    related = related_cards(article, assistant, scope)
    named = {card.path for card in related}
    return ArticleView(
        article=article,
        html=Markup(render_article(article, links_within(assistant, scope), cited)),  # noqa: S704 -- nh3 cleaned it
        version=assistant.index_version,
        has_title=any(section.level == 1 for section in article.sections),
        cited=_name_lines(cited, "–"),
        gone="" if cited else _name_lines(wanted, "–"),
        checklist=checklist_view(article, assistant, scope, base_url),
        related=tuple((card, article_url(card.path)) for card in related),
        repeats=tuple((other, article_url(other.path)) for other in neighbours if other.shared),
        close=tuple(
            (other, article_url(other.path)) for other in neighbours if not other.shared and other.path not in named
        ),
        source_url=f"/v1{article_url(article.path)}?format=markdown",
        reply=_reply(article, markdown_for(article, assistant, caller), cited, base_url, assistant, scope),
    )


def checklist_view(article: Article, assistant: Assistant, scope: Scope, base_url: str) -> ChecklistView | None:
    """The article's first steps; None where it has none."""
    steps = first_steps(article)
    if not steps:
        return None
    anchor = next(s.anchor for s in article.sections if s.heading_path[-1].strip().lower() == FIRST_STEPS_HEADING)
    url = f"{article_url(article.path)}#{anchor}"
    link_for, whole_link_for = links_within(assistant, scope), whole_links_within(assistant, scope, base_url)
    return ChecklistView(
        title=article.title,
        url=url,
        page_url=base_url + url,
        key=article.version,
        steps=tuple(
            StepView(
                Markup(render_fragment(step.markdown, article.path, link_for)),  # noqa: S704 -- nh3 cleaned it
                lead_links_out(close_links(step.markdown, article.path, link_for), article.path, whole_link_for),
            )
            for step in steps
        ),
    )


def _reply(
    article: Article, markdown: str, cited: LineRange | None, base_url: str, assistant: Assistant, scope: Scope
) -> str:
    """Quotes from `markdown`, the source as the reader may have it: line for line the article's."""
    address = base_url + article_url(article.path)
    source = SourceText(markdown.encode())
    if cited is None or cited.first > source.line_count:
        return quote_article(article.title, article.summary, address)
    last = min(cited.last, source.line_count)
    link_for = whole_links_within(assistant, scope, base_url)
    quoted = lead_links_out(source.slice(source.line_span(cited.first, last)), article.path, link_for)
    span = _name_lines(LineRange(cited.first, last), "-")
    return quote_article(article.title, article.summary, f"{address}?lines={span}", quoted, f"{article.path}:{span}")


def _within(lines: LineRange | None, article: Article) -> LineRange | None:
    """The part of `lines` that the article has; None if that is nothing."""
    count = article.source.text.count("\n") + 1
    return None if lines is None or lines.first > count else LineRange(lines.first, min(lines.last, count))


def _name_lines(lines: LineRange | None, dash: str) -> str:
    if lines is None:
        return ""
    return str(lines.first) if lines.first == lines.last else f"{lines.first}{dash}{lines.last}"
